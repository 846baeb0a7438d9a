//! How wide potentials, counts and sums can become at worst, whatever the image.

use crate::graph::{Graph, StageKind, Synapses};
use crate::network::SoftmaxAxis;
use crate::units::StageId;

/// Bits, sign included, of the widest value that each stage can hold with T = `time_steps`, in the order of the stages.
///
/// Sums of absolute weights bound potentials: a channel's positive weights at the highest counts of their sources, its
/// negative ones at the lowest, in the middle of the grid where every tap lands. Plain neurons are bounded as if they
/// fired in T steps at most.
#[must_use]
pub fn widths(graph: &Graph<i32>, time_steps: u32) -> Vec<u32> {
    let mut sent: Vec<(i64, i64)> = vec![];
    let mut widths = vec![];
    for stage in &graph.stages {
        let steps = i64::from(time_steps);
        let of = |id: StageId| sent[id.index()];
        let (held, counted) = match &stage.kind {
            StageKind::Input(input) => {
                let pixel = 1i64 << (input.bits - 1);
                ((-pixel, pixel - 1), (-pixel * steps, (pixel - 1) * steps))
            }
            StageKind::Neurons(neurons) => {
                let (low, high) = potentials(&neurons.synapses, stage.grid.channels, &of, steps);
                let half = neurons.threshold.iter().copied().max().map_or(0, i64::from);
                ((low - half * steps, high + half), (0, steps))
            }
            StageKind::Readout { synapses, .. } => (potentials(synapses, stage.grid.channels, &of, steps), (0, 0)),
            StageKind::MaxPool { source, .. } => (of(*source), of(*source)),
            StageKind::Scores { queries, keys, heads } => {
                let width = i64::from(graph.stage(*queries).grid.channels / heads);
                let high = width * of(*queries).1 * of(*keys).1;
                ((0, high), (0, high))
            }
            StageKind::Softmax { rule, .. } => ((0, 1 << rule.probability_bits), (0, 1 << rule.probability_bits)),
            StageKind::Context { probabilities, values, .. } => {
                let high = largest_row(graph, *probabilities) * of(*values).1;
                ((0, high), (0, high))
            }
        };
        widths.push(bits(held.0).max(bits(held.1)));
        sent.push(counted);
    }
    widths
}

/// Lowest and highest potential of any channel.
fn potentials(
    synapses: &Synapses<i32>,
    channels: u32,
    sent: &impl Fn(StageId) -> (i64, i64),
    steps: i64,
) -> (i64, i64) {
    let (mut low, mut high) = (vec![0i64; channels as usize], vec![0i64; channels as usize]);
    for (neuron, &bias) in synapses.bias.iter().enumerate() {
        let channel = neuron % channels as usize;
        low[channel] = low[channel].min(i64::from(bias) * steps);
        high[channel] = high[channel].max(i64::from(bias) * steps);
    }
    for projection in &synapses.projections {
        let kernel = &projection.kernel;
        let area = i64::from(kernel.pool.map_or(1, crate::units::Window::area));
        let (least, most) = projection.sources.iter().fold((0, 0), |(least, most), source| {
            let (l, m) = sent(source.stage);
            (least + l * i64::from(source.gain) * area, most + m * i64::from(source.gain) * area)
        });
        for tap in 0..kernel.window.area() {
            for input in 0..kernel.in_channels {
                for (output, &weight) in kernel.reached(input).zip(kernel.row(tap, input)) {
                    let weight = i64::from(weight);
                    let ends = (weight * least, weight * most);
                    low[output as usize] += ends.0.min(ends.1);
                    high[output as usize] += ends.0.max(ends.1);
                }
            }
        }
    }
    (low.into_iter().min().unwrap_or(0), high.into_iter().max().unwrap_or(0))
}

/// Largest sum of the probabilities of one query over its keys.
fn largest_row(graph: &Graph<i32>, softmax: StageId) -> i64 {
    let stage = graph.stage(softmax);
    match &stage.kind {
        StageKind::Softmax { rule, .. } => {
            let keys = i64::from(stage.grid.channels / rule.heads);
            match rule.axis {
                SoftmaxAxis::Queries => keys << rule.probability_bits,
                SoftmaxAxis::Keys => (1 << rule.probability_bits) + keys,
            }
        }
        StageKind::Input(_)
        | StageKind::Neurons(_)
        | StageKind::MaxPool { .. }
        | StageKind::Scores { .. }
        | StageKind::Context { .. }
        | StageKind::Readout { .. } => 0,
    }
}

/// Bits of a signed integer.
fn bits(value: i64) -> u32 {
    65 - (value ^ (value >> 63)).leading_zeros()
}
