//! The trained network as it was trained: floats, layer by layer, straight from its tensors.

use super::FunctionalError;
use super::input::normalised;
use super::softmax::softmax;
use crate::images::Images;
use crate::network::{INPUT, Input, Layer, Network, Op, SoftmaxAxis};
use crate::units::{Grid, Window};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

/// Logits of every image, in order: `[image][class]`.
///
/// # Errors
/// If the images have another shape, or a layer has no activation without time.
pub fn float_ann(network: &Network, images: &Images) -> Result<Vec<Vec<f32>>, FunctionalError> {
    let input = &network.architecture.input;
    if input.is_absent() {
        return Err(FunctionalError::NoInput { found: images.grid.neurons() });
    }
    let grid = input.grid();
    if images.grid != grid {
        let (wanted, found) = (grid.neurons(), images.grid.neurons());
        return Err(FunctionalError::ImageSize { grid, wanted, found });
    }
    let logits: Vec<_> =
        (0..images.len()).into_par_iter().map(|index| forward(network, input, images.image(index))).collect();
    logits.into_iter().collect()
}

/// Values of a layer: one row for each position, channels in columns.
type Values = Array2<f32>;

fn forward(network: &Network, input: &Input, image: &[u8]) -> Result<Vec<f32>, FunctionalError> {
    let pixels = pixels(input, image);
    let mut results: Vec<Values> = vec![];
    for layer in &network.architecture.layers {
        let operand = |name: &String| match name.as_str() {
            INPUT => &pixels,
            name => network.position(name).map_or(&pixels, |at| &results[at]),
        };
        let operands: Vec<&Values> = layer.from.iter().map(operand).collect();
        let result = compute(network, layer, &operands)?;
        results.push(result);
    }
    Ok(results.pop().map(|logits| logits.into_iter().collect()).unwrap_or_default())
}

fn pixels(input: &Input, image: &[u8]) -> Values {
    let grid = input.grid();
    let mut values = normalised(&input.mean, &input.std, image);
    Array2::from_shape_simple_fn((grid.positions(), grid.channels as usize), || values.next().unwrap_or_default())
}

fn compute(network: &Network, layer: &Layer, operands: &[&Values]) -> Result<Values, FunctionalError> {
    let tensor = |part: &str| network.tensor(&layer.name, part);
    let channels = |part: &str| Array1::from(tensor(part).to_vec());
    let own = network.grid(&layer.name);
    let Some(&first) = operands.first() else {
        let bias = tensor("bias").to_vec();
        return Ok(Array2::from_shape_vec((own.positions(), own.channels as usize), bias).unwrap_or_default());
    };
    let grid = layer.from.first().map_or(own, |name| network.grid(name));
    Ok(match layer.op {
        Op::Conv { out_channels, kernel, stride, padding, groups, bias } => {
            let window = Window { height: kernel, width: kernel, stride, padding };
            let mut result = convolve(first, grid, window, groups as usize, out_channels as usize, tensor("weight"));
            if bias {
                result += &channels("bias");
            }
            result
        }
        Op::Linear { out_features, bias } => {
            let mut result = first.dot(&matrix(tensor("weight"), out_features as usize).t());
            if bias {
                result += &channels("bias");
            }
            result
        }
        Op::BatchNorm { epsilon } => {
            let deviation = channels("running_var").mapv_into(|variance| (variance + epsilon).sqrt());
            (first - &channels("running_mean")) / &deviation * &channels("weight") + &channels("bias")
        }
        Op::Qcfs { levels } => {
            let (clip, levels) = (tensor("up")[0], levels as f32);
            first.mapv(|z| ((z / clip * levels + 0.5).floor() / levels).clamp(0.0, 1.0) * clip)
        }
        Op::ClippedRelu => first.mapv(|z| z.clamp(0.0, tensor("up")[0])),
        Op::Bias { .. } => first.clone(),
        Op::IntegrateFire => return Err(FunctionalError::NoActivation { stage: layer.name.clone() }),
        Op::MaxPool { kernel, stride, padding } => {
            let window = Window { height: kernel, width: kernel, stride, padding };
            pool(first, grid, window, f32::NEG_INFINITY, f32::max)
        }
        Op::AvgPool { kernel, stride, padding } => {
            let window = Window { height: kernel, width: kernel, stride, padding };
            pool(first, grid, window, 0.0, |sum, value| sum + value) / window.area() as f32
        }
        Op::Add => operands[1..].iter().fold(first.clone(), |sum, other| sum + *other),
        Op::Attention { heads, scale, axis } => attention(operands, heads as usize, scale, axis),
        Op::Mean => first.mean_axis(Axis(0)).unwrap_or_default().insert_axis(Axis(0)),
        Op::Flatten => Array1::from_iter(first.t().iter().copied()).insert_axis(Axis(0)),
    })
}

/// A row-major tensor as a matrix of `rows` rows.
fn matrix(values: &[f32], rows: usize) -> ArrayView2<'_, f32> {
    let shape = (rows, values.len() / rows.max(1));
    ArrayView2::from_shape(shape, values).unwrap_or_else(|_| ArrayView2::from_shape((0, 0), &[]).expect("empty"))
}

/// Convolution as one matrix product for each group; `weights` are `[out, in / groups, ky, kx]`.
fn convolve(values: &Values, grid: Grid, window: Window, groups: usize, out: usize, weights: &[f32]) -> Values {
    let (inputs, outputs) = (grid.channels as usize / groups, out / groups);
    let area = window.area() as usize;
    let (rows, columns) = window.output(grid).unwrap_or((0, 0));
    let mut result = Array2::zeros((rows as usize * columns as usize, out));
    let weights = matrix(weights, out);
    for group in 0..groups {
        let mut patches = Array2::<f32>::zeros((result.nrows(), inputs * area));
        for (position, target, tap) in pairs(grid, window) {
            let from = values.slice(s![position, group * inputs..(group + 1) * inputs]);
            patches.slice_mut(s![target, tap..;area]).assign(&from);
        }
        let within = group * outputs..(group + 1) * outputs;
        let product = patches.dot(&weights.slice(s![within.clone(), ..]).t());
        result.slice_mut(s![.., within]).assign(&product);
    }
    result
}

/// Folds the values under each window.
fn pool(values: &Values, grid: Grid, window: Window, start: f32, fold: impl Fn(f32, f32) -> f32) -> Values {
    let (rows, columns) = window.output(grid).unwrap_or((0, 0));
    let mut result = Array2::from_elem((rows as usize * columns as usize, values.ncols()), start);
    for (position, target, _) in pairs(grid, window) {
        result.row_mut(target).zip_mut_with(&values.row(position), |so_far, &value| *so_far = fold(*so_far, value));
    }
    result
}

/// Every input position under every window: `(input, output, tap)`.
fn pairs(grid: Grid, window: Window) -> impl Iterator<Item = (usize, usize, usize)> {
    let output = window.output(grid).unwrap_or((0, 0));
    (0..grid.height).flat_map(move |y| (0..grid.width).map(move |x| (y, x))).flat_map(move |(y, x)| {
        let position = (y * grid.width + x) as usize;
        window.covering((y, x), output).map(move |(target, tap)| (position, target as usize, tap as usize))
    })
}

/// `softmax(Q·Kᵀ·scale)·V`, head by head.
fn attention(operands: &[&Values], heads: usize, scale: f32, axis: SoftmaxAxis) -> Values {
    let [queries, keys, values] = [operands[0], operands[1], operands[2]];
    let mut result = Array2::zeros((queries.nrows(), values.ncols()));
    let head = |of: &Values, head: usize| {
        let width = of.ncols() / heads;
        head * width..(head + 1) * width
    };
    for at in 0..heads {
        let shared = head(queries, at);
        let mut scores = queries.slice(s![.., shared.clone()]).dot(&keys.slice(s![.., shared]).t());
        let along = match axis {
            SoftmaxAxis::Queries => Axis(0),
            SoftmaxAxis::Keys => Axis(1),
        };
        for mut lane in scores.lanes_mut(along) {
            let mut vector = lane.to_vec();
            softmax(&mut vector, scale);
            lane.assign(&Array1::from(vector));
        }
        let own = head(values, at);
        let context = scores.dot(&values.slice(s![.., own.clone()]));
        result.slice_mut(s![.., own]).assign(&context);
    }
    result
}
