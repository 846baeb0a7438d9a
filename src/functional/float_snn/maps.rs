//! The maps between activations, each sum in the order in which PyTorch 2 adds it on a CPU with 512-bit vectors.
//!
//! A neuron on its threshold falls to one side or the other by the last bit of its potential, and every later layer follows
//! it. So the order of additions is part of what published code computes: convolutions add up 16 input channels at a time,
//! window by window, linear maps 192 inputs at a time behind their bias; every product and sum is rounded once.

use super::fused::add_product;
use crate::network::{Layer, Network, Op};
use crate::units::{Grid, Window};

/// Input channels that a convolution adds up before it adds them to the others.
const CONV_RUN: usize = 16;
/// Inputs that a linear map adds up before it adds them to the others.
const LINEAR_RUN: usize = 192;

/// Values of a layer in the order of its grid, channels innermost.
pub(super) type Values = Vec<f32>;

/// A linear map of windows, its weights in the order in which they are added.
#[derive(Debug)]
pub(super) struct Affine<'n> {
    /// Output position and tap under which each input position lies: those of position `p` are
    /// `taps[starts[p]..starts[p + 1]]`.
    windows: Vec<Vec<(u32, u32)>>,
    groups: usize,
    inputs: usize,
    outputs: usize,
    positions: usize,
    /// Channels added up before their sum is added to the others.
    run: usize,
    /// Rows of output channels for each tap and input channel.
    rows: Vec<f32>,
    bias: Option<&'n [f32]>,
    /// Whether the bias comes before the products, or after them.
    bias_first: bool,
}

impl<'n> Affine<'n> {
    /// The map of a convolution or linear layer on `grid`; `None` for any other layer.
    pub fn new(network: &'n Network, layer: &Layer, grid: Grid) -> Option<Self> {
        let weights = |groups: u32, window, outputs: u32| {
            Self::of_windows(grid, window, groups as usize, outputs as usize, network.tensor(&layer.name, "weight"))
        };
        let bias = |has: bool| has.then(|| network.tensor(&layer.name, "bias"));
        match layer.op {
            Op::Conv { out_channels, kernel, stride, padding, groups, bias: has } => {
                let window = Window { height: kernel, width: kernel, stride, padding };
                Some(Self { run: CONV_RUN, bias: bias(has), ..weights(groups, window, out_channels) })
            }
            Op::Linear { out_features, bias: has } => Some(Self {
                run: LINEAR_RUN,
                bias: bias(has),
                bias_first: true,
                ..weights(1, Window::ONE, out_features)
            }),
            Op::Bias { .. }
            | Op::BatchNorm { .. }
            | Op::Qcfs { .. }
            | Op::ClippedRelu
            | Op::IntegrateFire
            | Op::MaxPool { .. }
            | Op::AvgPool { .. }
            | Op::Add
            | Op::Attention { .. }
            | Op::Mean
            | Op::Flatten => None,
        }
    }

    fn of_windows(grid: Grid, window: Window, groups: usize, outputs: usize, weights: &[f32]) -> Self {
        let (inputs, area) = (grid.channels as usize, window.area() as usize);
        let within = inputs / groups;
        let mut rows = Vec::with_capacity(weights.len());
        for tap in 0..area {
            for input in 0..inputs {
                let (first, input) = (input / within * (outputs / groups), input % within);
                rows.extend((first..first + outputs / groups).map(|o| weights[(o * within + input) * area + tap]));
            }
        }
        let (windows, positions) = covered(grid, window);
        Self { windows, groups, inputs, outputs, positions, run: 1, rows, bias: None, bias_first: false }
    }

    /// The map of `values`; the bias only where it is asked for.
    pub fn apply(&self, values: &[f32], biased: bool) -> Values {
        let bias = self.bias.filter(|_| biased);
        let mut result = vec![0.0; self.positions * self.outputs];
        if let Some(bias) = bias.filter(|_| self.bias_first) {
            result.chunks_exact_mut(self.outputs).for_each(|row| row.copy_from_slice(bias));
        }
        let mut sums = vec![0.0; self.outputs / self.groups];
        let within = self.inputs / self.groups;
        for (row, windows) in result.chunks_exact_mut(self.outputs).zip(&self.windows) {
            for (group, row) in row.chunks_exact_mut(sums.len()).enumerate() {
                for first in (0..within).step_by(self.run) {
                    let inputs = group * within + first..group * within + within.min(first + self.run);
                    self.add_run(&mut sums, values, windows, inputs);
                    row.iter_mut().zip(&sums).for_each(|(value, sum)| *value += sum);
                }
            }
        }
        if let Some(bias) = bias.filter(|_| !self.bias_first) {
            let rows = result.chunks_exact_mut(self.outputs);
            rows.for_each(|row| row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias));
        }
        result
    }

    /// Sums over the windows' taps and some input channels.
    fn add_run(&self, sums: &mut [f32], values: &[f32], windows: &[(u32, u32)], inputs: std::ops::Range<usize>) {
        sums.fill(0.0);
        for &(position, tap) in windows {
            let channels = &values[position as usize * self.inputs..][inputs.clone()];
            for (channel, &value) in inputs.clone().zip(channels).filter(|(_, value)| **value != 0.0) {
                let row = (tap as usize * self.inputs + channel) * sums.len();
                add_product(sums, value, &self.rows[row..row + sums.len()]);
            }
        }
    }
}

/// For each output position the input positions under its window, tap by tap; and how many there are.
fn covered(grid: Grid, window: Window) -> (Vec<Vec<(u32, u32)>>, usize) {
    let output = window.output(grid).unwrap_or((0, 0));
    let positions = output.0 as usize * output.1 as usize;
    let mut windows = vec![vec![]; positions];
    for (position, place) in (0..grid.height).flat_map(|y| (0..grid.width).map(move |x| (y, x))).enumerate() {
        for (target, tap) in window.covering(place, output) {
            windows[target as usize].push((position as u32, tap));
        }
    }
    (windows, positions)
}

/// Batch normalisation with running statistics; the shift only where it is asked for.
#[derive(Debug)]
pub(super) enum Normalisation<'n> {
    /// Behind a convolution, whose channels lie side by side: one product and one sum, rounded together.
    Folded { scale: Vec<f32>, shift: Vec<f32> },
    /// Behind a linear map, whose channels are transposed for it: `(z − mean) / deviation · weight + bias`, each rounded.
    Stepwise { mean: &'n [f32], inverse: Vec<f32>, weight: &'n [f32], bias: &'n [f32] },
}

impl<'n> Normalisation<'n> {
    pub fn new(network: &'n Network, layer: &Layer, epsilon: f32) -> Self {
        let [weight, bias, mean, variance] =
            ["weight", "bias", "running_mean", "running_var"].map(|part| network.tensor(&layer.name, part));
        let inverse: Vec<f32> = variance.iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect();
        let before = layer.from.first().and_then(|name| network.position(name));
        if before.is_some_and(|at| matches!(network.architecture.layers[at].op, Op::Linear { .. })) {
            return Self::Stepwise { mean, inverse, weight, bias };
        }
        let scale: Vec<f32> = inverse.iter().zip(weight).map(|(inverse, weight)| inverse * weight).collect();
        let shift =
            bias.iter().zip(mean).zip(&scale).map(|((bias, mean), scale)| (-mean).mul_add(*scale, *bias)).collect();
        Self::Folded { scale, shift }
    }

    pub fn apply(&self, values: &[f32], biased: bool) -> Values {
        let channels = match self {
            Self::Folded { scale, .. } => scale.len(),
            Self::Stepwise { mean, .. } => mean.len(),
        };
        let normalise = |(&value, channel): (&f32, usize)| match self {
            Self::Folded { scale, shift } => value.mul_add(scale[channel], if biased { shift[channel] } else { 0.0 }),
            Self::Stepwise { mean, inverse, weight, bias } if biased => {
                (value - mean[channel]) * inverse[channel] * weight[channel] + bias[channel]
            }
            Self::Stepwise { inverse, weight, .. } => value * inverse[channel] * weight[channel],
        };
        values.iter().zip((0..channels).cycle()).map(normalise).collect()
    }
}

/// The windows of a pool.
#[derive(Debug)]
pub(super) struct Windows {
    windows: Vec<Vec<(u32, u32)>>,
    channels: usize,
    area: f32,
}

impl Windows {
    pub fn new(grid: Grid, window: Window) -> Self {
        Self { windows: covered(grid, window).0, channels: grid.channels as usize, area: window.area() as f32 }
    }

    pub fn maximum(&self, values: &[f32]) -> Values {
        self.fold(values, f32::NEG_INFINITY, f32::max)
    }

    /// The padding counts as zeros.
    pub fn mean(&self, values: &[f32]) -> Values {
        self.fold(values, 0.0, |sum, value| sum + value).into_iter().map(|sum| sum / self.area).collect()
    }

    fn fold(&self, values: &[f32], start: f32, fold: impl Fn(f32, f32) -> f32) -> Values {
        let mut result = vec![start; self.windows.len() * self.channels];
        for (row, windows) in result.chunks_exact_mut(self.channels.max(1)).zip(&self.windows) {
            for &(position, _) in windows {
                let from = &values[position as usize * self.channels..][..self.channels];
                row.iter_mut().zip(from).for_each(|(so_far, &value)| *so_far = fold(*so_far, value));
            }
        }
        result
    }
}
