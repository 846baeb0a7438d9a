//! The trained network as it was trained: floats, layer by layer, straight from its tensors.

use super::FunctionalError;
use super::input::normalised;
use super::quantised_ann::{places, under};
use super::softmax::softmax;
use crate::images::Images;
use crate::network::{INPUT, Input, Layer, Network, Op, SoftmaxAxis};
use crate::units::{Grid, Window};
use multiversion::multiversion;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

/// Output positions of a convolution whose windows are laid out together: they stay in the second cache.
const BLOCK: usize = 256;

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
    let layers = prepared(network);
    let forward = |patches: &mut Vec<f32>, index| forward(&layers, pixels(input, images.image(index)), patches);
    let logits: Vec<_> = (0..images.len()).into_par_iter().map_init(Vec::new, forward).collect();
    logits.into_iter().collect()
}

/// How all results lie.
const ROWS: &str = "rows one after the other";

/// Values of a layer: one row for each position, channels in columns.
type Values = Array2<f32>;

/// A layer with what it needs for every image.
struct Prepared<'n> {
    network: &'n Network,
    layer: &'n Layer,
    /// Its operands, the image before all layers.
    operands: Vec<usize>,
    /// Those that no later layer reads.
    last_reads: Vec<usize>,
    /// Shapes of its first operand and of itself.
    grids: [Grid; 2],
    /// For each group of a convolution its weights, `[tap · input, output]`.
    kernels: Vec<Array2<f32>>,
}

fn prepared<'n>(network: &'n Network) -> Vec<Prepared<'n>> {
    let place = |name: &String| if name == INPUT { 0 } else { network.position(name).map_or(0, |at| at + 1) };
    let mut last = vec![0; network.architecture.layers.len() + 1];
    for (at, layer) in network.architecture.layers.iter().enumerate() {
        layer.from.iter().for_each(|name| last[place(name)] = at);
    }
    let prepare = |(at, layer): (usize, &'n Layer)| {
        let operands: Vec<usize> = layer.from.iter().map(place).collect();
        let own = network.grid(&layer.name);
        let grids = [layer.from.first().map_or(own, |name| network.grid(name)), own];
        let last_reads = operands.iter().copied().filter(|&operand| last[operand] == at).collect();
        let kernels = if let Op::Conv { out_channels, kernel, groups, .. } = layer.op {
            let sizes = [groups, out_channels, kernel * kernel, grids[0].channels / groups];
            kernels(network.tensor(&layer.name, "weight"), sizes.map(|size| size as usize))
        } else {
            vec![]
        };
        Prepared { network, layer, operands, last_reads, grids, kernels }
    };
    network.architecture.layers.iter().enumerate().map(prepare).collect()
}

/// `[out, in / groups, ky, kx]` → for each group `[tap · input, output]`.
fn kernels(weights: &[f32], [groups, out, area, inputs]: [usize; 4]) -> Vec<Array2<f32>> {
    let outputs = out / groups.max(1);
    let kernel = |group: usize| {
        let weight = |(row, output): (usize, usize)| {
            let (tap, input) = (row / inputs, row % inputs);
            weights[((group * outputs + output) * inputs + input) * area + tap]
        };
        Array2::from_shape_fn((area * inputs, outputs), weight)
    };
    (0..groups).map(kernel).collect()
}

fn forward(layers: &[Prepared], pixels: Values, patches: &mut Vec<f32>) -> Result<Vec<f32>, FunctionalError> {
    let mut results = vec![pixels];
    for layer in layers {
        let result = match layer.last_reads[..] {
            [operand] if layer.is_elementwise() => layer.changed(std::mem::take(&mut results[operand])),
            _ => layer.compute(&results, patches)?,
        };
        let result = if result.is_standard_layout() { result } else { result.as_standard_layout().into_owned() };
        layer.last_reads.iter().for_each(|&read| results[read] = Array2::default((0, 0)));
        results.push(result);
    }
    Ok(results.pop().map(|logits| logits.into_iter().collect()).unwrap_or_default())
}

fn pixels(input: &Input, image: &[u8]) -> Values {
    let grid = input.grid();
    let mut values = normalised(&input.mean, &input.std, image);
    Array2::from_shape_simple_fn((grid.positions(), grid.channels as usize), || values.next().unwrap_or_default())
}

impl Prepared<'_> {
    fn tensor(&self, part: &str) -> &[f32] {
        self.network.tensor(&self.layer.name, part)
    }

    /// Whether each value becomes another one by itself.
    fn is_elementwise(&self) -> bool {
        matches!(self.layer.op, Op::BatchNorm { .. } | Op::Qcfs { .. } | Op::ClippedRelu)
    }

    /// The values of a layer that is elementwise, in place of its operand's.
    fn changed(&self, mut values: Values) -> Values {
        let channels = values.ncols().max(1);
        let all = values.as_slice_mut().expect(ROWS);
        if let Op::BatchNorm { epsilon } = self.layer.op {
            let deviation: Vec<f32> =
                self.tensor("running_var").iter().map(|variance| (variance + epsilon).sqrt()).collect();
            let of = [self.tensor("running_mean"), &deviation, self.tensor("weight"), self.tensor("bias")];
            all.chunks_exact_mut(channels).for_each(|row| normalise(row, of));
        } else if let Op::Qcfs { levels } = self.layer.op {
            clip(all, self.tensor("up")[0], levels as f32);
        } else {
            let up = self.tensor("up")[0];
            all.iter_mut().for_each(|z| *z = z.clamp(0.0, up));
        }
        values
    }

    fn compute(&self, results: &[Values], patches: &mut Vec<f32>) -> Result<Values, FunctionalError> {
        let [grid, own] = self.grids;
        let Some(&first) = self.operands.first() else {
            let bias = self.tensor("bias").to_vec();
            return Ok(Array2::from_shape_vec((own.positions(), own.channels as usize), bias).unwrap_or_default());
        };
        let operands: Vec<&Values> = self.operands.iter().map(|&at| &results[at]).collect();
        let first = &results[first];
        let square = |kernel, stride, padding| Window { height: kernel, width: kernel, stride, padding };
        Ok(match self.layer.op {
            Op::Conv { kernel, stride, padding, bias, .. } => {
                let window = square(kernel, stride, padding);
                self.with_bias(convolve(first, [grid, own], window, &self.kernels, patches), bias)
            }
            Op::Linear { out_features, bias } => {
                self.with_bias(first.dot(&matrix(self.tensor("weight"), out_features as usize).t()), bias)
            }
            Op::Bias { .. } => first.clone(),
            Op::BatchNorm { .. } | Op::Qcfs { .. } | Op::ClippedRelu => self.changed(first.clone()),
            Op::IntegrateFire => return Err(FunctionalError::NoActivation { stage: self.layer.name.clone() }),
            Op::MaxPool { kernel, stride, padding } => {
                pool(first, [grid, own], square(kernel, stride, padding), f32::NEG_INFINITY, f32::max)
            }
            Op::AvgPool { kernel, stride, padding } => {
                let window = square(kernel, stride, padding);
                pool(first, [grid, own], window, 0.0, |sum, value| sum + value) / window.area() as f32
            }
            Op::Add => operands[1..].iter().fold(first.clone(), |sum, other| sum + *other),
            Op::Attention { heads, scale, axis } => attention(&operands, heads as usize, scale, axis),
            Op::Mean => first.mean_axis(Axis(0)).unwrap_or_default().insert_axis(Axis(0)),
            Op::Flatten => Array1::from_iter(first.t().iter().copied()).insert_axis(Axis(0)),
        })
    }

    fn with_bias(&self, mut values: Values, bias: bool) -> Values {
        if bias {
            values += &Array1::from(self.tensor("bias").to_vec());
        }
        values
    }
}

/// Batch normalisation of a position: `(z − mean) / deviation · weight + bias`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn normalise(row: &mut [f32], [mean, deviation, weight, bias]: [&[f32]; 4]) {
    let of = mean.iter().zip(deviation).zip(weight).zip(bias);
    for (value, (((mean, deviation), weight), bias)) in row.iter_mut().zip(of) {
        *value = (*value - mean) / deviation * weight + bias;
    }
}

/// `λ · clip(floor(z·L/λ + 1/2) / L, 0, 1)` (Bu et al., ICLR 2022).
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn clip(values: &mut [f32], up: f32, levels: f32) {
    for value in values {
        *value = ((*value / up * levels + 0.5).floor() / levels).clamp(0.0, 1.0) * up;
    }
}

/// A row-major tensor as a matrix of `rows` rows.
fn matrix(values: &[f32], rows: usize) -> ArrayView2<'_, f32> {
    let shape = (rows, values.len() / rows.max(1));
    ArrayView2::from_shape(shape, values).unwrap_or_else(|_| ArrayView2::from_shape((0, 0), &[]).expect("empty"))
}

/// Values row by row.
fn rows(values: &Values) -> &[f32] {
    values.as_slice().expect(ROWS)
}

/// Convolution as matrix products of what windows see: for each group, a block of output positions at a time.
fn convolve(
    values: &Values,
    [grid, own]: [Grid; 2],
    window: Window,
    kernels: &[Array2<f32>],
    patches: &mut Vec<f32>,
) -> Values {
    let (positions, out) = (own.positions(), own.channels as usize);
    let (channels, values) = (values.ncols(), rows(values));
    let mut result = Array2::zeros((positions, out));
    let at: Vec<(u32, u32)> = places(own).collect();
    for (group, kernel) in kernels.iter().enumerate() {
        let (width, outputs) = kernel.dim();
        let inputs = channels / kernels.len();
        for (nth, block) in at.chunks(BLOCK).enumerate() {
            patches.clear();
            patches.resize(block.len() * width, 0.0);
            for (row, &at) in patches.chunks_exact_mut(width.max(1)).zip(block) {
                for (position, tap) in under(window, at, grid) {
                    let seen = &values[position * channels + group * inputs..][..inputs];
                    row[tap as usize * inputs..][..inputs].copy_from_slice(seen);
                }
            }
            let rows = nth * BLOCK..nth * BLOCK + block.len();
            let mut to = result.slice_mut(s![rows, group * outputs..(group + 1) * outputs]);
            general_mat_mul(1.0, &matrix(patches, block.len()), kernel, 0.0, &mut to);
        }
    }
    result
}

/// Folds the values under each window.
fn pool(values: &Values, [grid, own]: [Grid; 2], window: Window, start: f32, fold: impl Fn(f32, f32) -> f32) -> Values {
    let channels = values.ncols();
    let from = rows(values);
    let mut result = vec![start; own.positions() * channels];
    for (row, at) in result.chunks_exact_mut(channels.max(1)).zip(places(own)) {
        for (position, _) in under(window, at, grid) {
            let values = &from[position * channels..][..channels];
            row.iter_mut().zip(values).for_each(|(so_far, &value)| *so_far = fold(*so_far, value));
        }
    }
    Array2::from_shape_vec((own.positions(), channels), result).unwrap_or_default()
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
