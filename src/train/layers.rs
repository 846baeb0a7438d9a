//! What each layer computes on a batch, so that it can be differentiated.
//!
//! Values are `[image, position, channel]`, as everywhere in this project; only convolutions and pools turn them round.

use super::target::Products;
use crate::network::SoftmaxAxis;
use crate::units::{Grid, Window};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};

/// Values of a layer: `[image, position, channel]`.
pub type Values = Tensor<3>;

/// Mean and variance of the values that a batch normalisation met, `[channel]` each, and how many they were.
pub struct Moments {
    /// Mean of each channel.
    pub mean: Tensor<1>,
    /// Variance of each channel, divided by the count.
    pub variance: Tensor<1>,
    /// Values of a channel.
    pub count: usize,
}

/// Convolution; `weight` is `[out, in / groups, ky, kx]`, flat.
pub fn convolve(
    values: Values,
    grid: Grid,
    weight: Tensor<1>,
    (out, groups): (usize, usize),
    window: Window,
    products: Products,
) -> Values {
    let kernel = window.height as usize;
    let weight: Tensor<4> = weight.reshape([out, grid.channels as usize / groups, kernel, kernel]);
    let both = |value: u32| [value as usize; 2];
    let options = ConvOptions::new(both(window.stride), both(window.padding), [1, 1], groups);
    let [values, weight] = [planes(values, grid), weight].map(|operand| products.narrow(operand));
    positions(products.widen(conv2d(values, weight, None, options)))
}

/// `[image, position, channel]` → `[image, channel, row, column]`.
fn planes(values: Values, grid: Grid) -> Tensor<4> {
    let [images, _, channels] = values.dims();
    values.reshape([images, grid.height as usize, grid.width as usize, channels]).permute([0, 3, 1, 2])
}

/// `[image, channel, row, column]` → `[image, position, channel]`.
fn positions(planes: Tensor<4>) -> Values {
    let [images, channels, height, width] = planes.dims();
    planes.permute([0, 2, 3, 1]).reshape([images, height * width, channels])
}

/// Linear map of the channels of every position; `weight` is `[out, in]`, flat.
pub fn linear(values: Values, weight: Tensor<1>, out: usize, products: Products) -> Values {
    let [images, positions, channels] = values.dims();
    let weight = weight.reshape([out, channels]).transpose();
    let values = values.reshape([images * positions, channels]);
    products.widen(products.narrow(values).matmul(products.narrow(weight))).reshape([images, positions, out])
}

/// The same values for every image.
pub fn current(bias: Tensor<1>, grid: Grid, images: usize) -> Values {
    let [positions, channels] = [grid.positions(), grid.channels as usize];
    bias.reshape([1, positions, channels]).expand([images, positions, channels])
}

/// One value for each channel, ready to be spread over images and positions.
pub fn per_channel(values: Tensor<1>) -> Values {
    let channels = values.dims()[0];
    values.reshape([1, 1, channels])
}

/// Batch normalisation by the moments of the batch itself (Ioffe and Szegedy 2015).
pub fn normalise(values: Values, weight: Tensor<1>, bias: Tensor<1>, epsilon: f32) -> (Values, Moments) {
    let [images, positions, channels] = values.dims();
    let flat = values.reshape([images * positions, channels]);
    let mean = column_means(flat.clone());
    let centred = flat - mean.clone();
    let variance = column_means(centred.clone().square());
    let scale = variance.clone().add_scalar(epsilon).sqrt().recip() * weight.reshape([1, channels]);
    let result = centred * scale + bias.reshape([1, channels]);
    let moment = |of: Tensor<2>| of.detach().inner().reshape([channels]);
    let moments = Moments { mean: moment(mean), variance: moment(variance), count: images * positions };
    (result.reshape([images, positions, channels]), moments)
}

/// Mean of each column, `[1, column]`, as a mean of means: summed one after the other, a hundred thousand rows would lose three digits of
/// a 32-bit float, enough to bring activations over the edge of a level.
fn column_means(values: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = values.dims();
    let group = (1..=rows.isqrt()).rev().find(|&group| rows.is_multiple_of(group)).unwrap_or(1);
    values.reshape([rows / group, group, columns]).mean_dim(1).reshape([rows / group, columns]).mean_dim(0)
}

/// Batch normalisation by the moments kept from training.
pub fn normalise_by(values: Values, of: [Tensor<1>; 4], epsilon: f32) -> Values {
    let [weight, bias, mean, variance] = of;
    let scale = weight / variance.add_scalar(epsilon).sqrt();
    (values - per_channel(mean)) * per_channel(scale) + per_channel(bias)
}

/// `λ/L · clip(floor(z·L/λ + 1/2), 0, L)`, or `clip(z, 0, λ)` without levels, with a straight-through gradient:
/// the floor counts as the identity, and the clip passes what lies between its bounds. These are left out, as PyTorch does: a value that
/// was quantised to 0 or to λ passes nothing on. With one level there is nothing else, so the bounds count there.
///
/// Written as `z·inside + λ·(clipped − inside·z/λ)` with everything but z and λ held fixed, which has that value and those gradients
/// (∂/∂λ = clipped − inside·z/λ, Bu et al. 2022) at a third of the passes over memory. Its rounding is taken off again: values of one level are
/// equal, and a max-pool behind them passes its gradient to the first of equals.
pub fn clip(values: Values, clip: Tensor<1>, levels: Option<u32>) -> Values {
    let clip: Values = clip.reshape([1, 1, 1]);
    let plain = clip.clone().detach().inner();
    let (scaled, inside, clipped) = clip_parts(values.clone().detach().inner(), plain.clone(), levels);
    let slope = clipped.clone() - inside.clone() * scaled;
    let through = values * Tensor::from_inner(inside) + clip * Tensor::from_inner(slope);
    let rounding = clipped * plain - through.clone().detach().inner();
    through + Tensor::from_inner(rounding)
}

/// The same without gradients, exactly as the float network computes it.
pub fn clip_only(values: Values, clip: Tensor<1>, levels: Option<u32>) -> Values {
    let clip: Values = clip.reshape([1, 1, 1]);
    clip_parts(values, clip.clone(), levels).2 * clip
}

/// `z/λ`, whether its quantised value lies between 0 and 1 (as 1 or 0), and that value clipped.
fn clip_parts(values: Values, clip: Values, levels: Option<u32>) -> (Values, Values, Values) {
    let scaled = values / clip;
    let quantised = match levels {
        Some(levels) => scaled.clone().mul_scalar(levels).add_scalar(0.5).floor().div_scalar(levels),
        None => scaled.clone(),
    };
    let clipped = quantised.clone().clamp(0.0, 1.0);
    let inside = if levels == Some(1) {
        clipped.clone().equal(quantised)
    } else {
        quantised.clone().greater_elem(0.0).bool_and(quantised.lower_elem(1.0))
    };
    let inside = inside.float();
    (scaled, inside, clipped)
}

/// Maximum over windows; the padding never wins.
pub fn max_pool(values: Values, grid: Grid, window: Window) -> Values {
    let options = MaxPoolOptions::new([window.height as usize; 2])
        .with_stride([window.stride as usize; 2])
        .with_padding([window.padding as usize; 2]);
    positions(max_pool2d(planes(values, grid), options))
}

/// Mean over windows, the padding counted as zeros.
pub fn avg_pool(values: Values, grid: Grid, window: Window) -> Values {
    let options = AvgPoolOptions::new([window.height as usize; 2])
        .with_stride([window.stride as usize; 2])
        .with_padding([window.padding as usize; 2])
        .with_count_include_pad(true);
    positions(avg_pool2d(planes(values, grid), options))
}

/// `softmax(Q·Kᵀ·scale)·V` for each head.
pub fn attention(operands: [Values; 3], heads: usize, scale: f32, axis: SoftmaxAxis, products: Products) -> Values {
    let split = |values: Values| -> Tensor<4> {
        let [images, positions, channels] = values.dims();
        products.narrow(values.reshape([images, positions, heads, channels / heads]).permute([0, 2, 1, 3]))
    };
    let [queries, keys, values] = operands.map(split);
    let scores = products.widen(queries.matmul(keys.transpose())).mul_scalar(scale);
    let dimension = match axis {
        SoftmaxAxis::Queries => 2,
        SoftmaxAxis::Keys => 3,
    };
    let context = products.widen(products.narrow(softmax(scores, dimension)).matmul(values));
    let [images, _, positions, width] = context.dims();
    context.permute([0, 2, 1, 3]).reshape([images, positions, heads * width])
}

/// All values of an image as channels of one position, channel by channel.
pub fn flatten(values: Values) -> Values {
    let [images, positions, channels] = values.dims();
    values.swap_dims(1, 2).reshape([images, 1, positions * channels])
}
