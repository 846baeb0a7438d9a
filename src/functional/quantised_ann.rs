//! The integer network without time: what every stage must hold at silence, computed directly with L := T.
//!
//! Dense loops over values, not over spikes: nothing is shared with the spiking run but the softmax itself.

use super::softmax::{FixedSoftmax, Normalise};
use super::{FunctionalError, attention, input};
use crate::graph::{Graph, Kernel, NeuronRule, Neurons, Projection, Stage, StageKind, Synapses};
use crate::units::{Grid, StageId, Window};
use multiversion::multiversion;

/// The values of every stage at silence after `time_steps` drive steps, in the order of its grid: spike counts
/// `clip(floor((Σ W·N + T·b + floor(θ/2)) / θ), 0, T)`, maxima, scores, probabilities, context, the potentials of the
/// readout, and for the input T times each pixel.
///
/// # Errors
/// If the image has another size, or a stage has plain neurons, which have no activation without time.
pub fn quantised_ann(graph: &Graph<i32>, image: &[u8], time_steps: u32) -> Result<Vec<Vec<i64>>, FunctionalError> {
    let pixels = input::injected(graph, image)?;
    let mut values: Vec<Vec<i64>> = vec![];
    for stage in &graph.stages {
        let of = |id: &StageId| Operand { grid: graph.stage(*id).grid, values: &values[id.index()] };
        let result = match &stage.kind {
            StageKind::Input(_) => pixels.iter().map(|&pixel| i64::from(pixel) * i64::from(time_steps)).collect(),
            StageKind::Neurons(neurons) => {
                let sums = potentials(stage.grid, &neurons.synapses, of, time_steps);
                activations(stage, neurons, sums, time_steps)?
            }
            StageKind::Readout { synapses, .. } => potentials(stage.grid, synapses, of, time_steps),
            StageKind::MaxPool { source, window } => max_pool(of(source), *window, stage.grid),
            StageKind::Scores { queries, keys, heads } => scores(of(queries), of(keys), *heads as usize),
            StageKind::Softmax { scores, rule } => {
                let mut vector: Vec<i32> = of(scores).values.iter().map(|&score| score as i32).collect();
                let columns = stage.grid.channels as usize;
                let keys = columns / rule.heads as usize;
                let softmax = FixedSoftmax::new(rule, time_steps);
                attention::normalise_all(&softmax, rule.axis, keys, columns, time_steps, &mut vector);
                vector.into_iter().map(i64::from).collect()
            }
            StageKind::Context { probabilities, values, heads } => {
                context(of(probabilities), of(values), *heads as usize)
            }
        };
        values.push(result);
    }
    Ok(values)
}

/// The values of a stage, and their shape.
#[derive(Clone, Copy)]
struct Operand<'a> {
    grid: Grid,
    values: &'a [i64],
}

impl<'a> Operand<'a> {
    fn row(self, position: usize) -> &'a [i64] {
        let channels = self.grid.channels as usize;
        &self.values[position * channels..(position + 1) * channels]
    }
}

fn activations(
    stage: &Stage<i32>,
    neurons: &Neurons<i32>,
    sums: Vec<i64>,
    time_steps: u32,
) -> Result<Vec<i64>, FunctionalError> {
    match neurons.rule {
        NeuronRule::Signed => {}
        NeuronRule::Plain => return Err(FunctionalError::NoActivation { stage: stage.name.clone() }),
    }
    let thresholds = neurons.threshold.iter().map(|&threshold| i64::from(threshold)).cycle();
    let count = |(sum, threshold): (i64, i64)| (sum + threshold / 2).div_euclid(threshold).clamp(0, time_steps.into());
    Ok(sums.into_iter().zip(thresholds).map(count).collect())
}

/// `Σ W·gain·N + T·b` for every neuron.
fn potentials<'a>(
    grid: Grid,
    synapses: &Synapses<i32>,
    of: impl Fn(&StageId) -> Operand<'a>,
    time_steps: u32,
) -> Vec<i64> {
    let bias: Vec<i64> = synapses.bias.iter().map(|&bias| i64::from(bias) * i64::from(time_steps)).collect();
    let mut sums: Vec<i64> = bias.iter().copied().cycle().take(grid.neurons()).collect();
    for projection in &synapses.projections {
        let Some((source, values)) = summed(projection, &of) else { continue };
        let (source, values) = match projection.kernel.pool {
            Some(window) => pooled(Operand { grid: source, values: &values }, window, &projection.kernel),
            None => (source, values),
        };
        convolve(Operand { grid: source, values: &values }, &projection.kernel, grid, &mut sums);
    }
    sums
}

/// `Σ gain·N` over the sources of a projection.
fn summed<'a>(projection: &Projection<i32>, of: impl Fn(&StageId) -> Operand<'a>) -> Option<(Grid, Vec<i64>)> {
    let grid = of(&projection.sources.first()?.stage).grid;
    let mut sum = vec![0; grid.neurons()];
    for source in &projection.sources {
        let values = of(&source.stage).values;
        sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum += i64::from(source.gain) * value);
    }
    Some((grid, sum))
}

fn pooled(source: Operand, window: Window, kernel: &Kernel<i32>) -> (Grid, Vec<i64>) {
    let grid = kernel.pooled(source.grid);
    let mut sums = vec![0; grid.neurons()];
    for (sums, at) in sums.chunks_exact_mut(grid.channels as usize).zip(places(grid)) {
        for (position, _) in under(window, at, source.grid) {
            sums.iter_mut().zip(source.row(position)).for_each(|(sum, value)| *sum += value);
        }
    }
    (grid, sums)
}

/// Compiled for several instruction sets, since 64-bit products are slow without vectors.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn convolve(source: Operand, kernel: &Kernel<i32>, grid: Grid, sums: &mut [i64]) {
    for (sums, at) in sums.chunks_exact_mut(grid.channels as usize).zip(places(grid)) {
        for (position, tap) in under(kernel.window, at, source.grid) {
            for (channel, &value) in (0..).zip(source.row(position)).filter(|(_, value)| **value != 0) {
                let reached = kernel.reached(channel);
                let sums = &mut sums[reached.start as usize..reached.end as usize];
                sums.iter_mut().zip(kernel.row(tap, channel)).for_each(|(sum, &w)| *sum += i64::from(w) * value);
            }
        }
    }
}

fn max_pool(source: Operand, window: Window, grid: Grid) -> Vec<i64> {
    let largest = |at| {
        let rows: Vec<_> = under(window, at, source.grid).map(|(position, _)| source.row(position)).collect();
        (0..grid.channels as usize).map(move |c| rows.iter().map(|row| row[c]).max().unwrap_or(0))
    };
    places(grid).flat_map(largest).collect()
}

fn scores(queries: Operand, keys: Operand, heads: usize) -> Vec<i64> {
    let width = queries.grid.channels as usize / heads;
    let dot = |i: usize, j: usize, head: usize| {
        let channels = head * width..(head + 1) * width;
        queries.row(i)[channels.clone()].iter().zip(&keys.row(j)[channels]).map(|(q, k)| q * k).sum()
    };
    let row = |i| (0..heads).flat_map(move |head| (0..keys.grid.positions()).map(move |j| dot(i, j, head)));
    (0..queries.grid.positions()).flat_map(row).collect()
}

fn context(probabilities: Operand, values: Operand, heads: usize) -> Vec<i64> {
    let keys = values.grid.positions();
    let width = values.grid.channels as usize / heads;
    let mix = |i: usize, channel: usize| {
        let head = &probabilities.row(i)[channel / width * keys..][..keys];
        head.iter().enumerate().map(|(j, p)| p * values.row(j)[channel]).sum()
    };
    let row = |i| (0..values.grid.channels as usize).map(move |channel| mix(i, channel));
    (0..probabilities.grid.positions()).flat_map(row).collect()
}

/// All `(y, x)` of a grid, in order.
pub(super) fn places(grid: Grid) -> impl Iterator<Item = (u32, u32)> {
    (0..grid.height).flat_map(move |y| (0..grid.width).map(move |x| (y, x)))
}

/// Input positions under the window at output `(y, x)`, each with its tap.
pub(super) fn under(window: Window, (y, x): (u32, u32), source: Grid) -> impl Iterator<Item = (usize, u32)> {
    let along = move |at: u32, tap: u32, length: u32| {
        (at * window.stride + tap).checked_sub(window.padding).filter(|&input| input < length)
    };
    (0..window.height).flat_map(move |ky| {
        let row = along(y, ky, source.height);
        (0..window.width).filter_map(move |kx| {
            let (row, column) = (row?, along(x, kx, source.width)?);
            Some(((row * source.width + column) as usize, ky * window.width + kx))
        })
    })
}
