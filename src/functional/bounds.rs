//! How large a sum can become: which stages need wide potentials, and which graphs do not fit at all.
//!
//! A neuron's count stays within `0..=C`, with C no more than the steps in which it can fire; every other bound follows
//! stage by stage. All of them hold in the middle of a step as well, since each input then stands at its old or its new value.

use super::arithmetic::Arithmetic;
use crate::graph::{Graph, StageKind, Synapses};
use crate::units::StageId;

/// The largest size of each stage's potentials or sums when no neuron fires more than `fires` times.
pub(super) fn sums<S: Arithmetic>(graph: &Graph<S>, fires: u32) -> Vec<f64> {
    let mut sent: Vec<f64> = vec![];
    let mut sums = vec![];
    for stage in &graph.stages {
        let of = |id: &StageId| sent.get(id.index()).copied().unwrap_or(0.0);
        let fires = f64::from(fires);
        let (sum, sends) = match &stage.kind {
            StageKind::Input(input) => same(fires * 2f64.powi(input.bits as i32 - 1)),
            StageKind::Neurons(neurons) => {
                let threshold = neurons.threshold.iter().map(|of| of.size()).fold(0.0, f64::max);
                (potential(&neurons.synapses, stage.grid.channels, of, fires) + threshold * (fires + 1.0), fires)
            }
            StageKind::MaxPool { source, .. } => same(of(source)),
            StageKind::Scores { queries, keys, heads } => {
                let width = graph.stage(*queries).grid.channels / heads.max(&1);
                same(of(queries) * of(keys) * f64::from(width))
            }
            StageKind::Softmax { rule, .. } => same(2f64.powi(rule.probability_bits as i32)),
            StageKind::Context { probabilities, values, .. } => {
                same(of(probabilities) * of(values) * graph.stage(*values).grid.positions() as f64)
            }
            StageKind::Readout { synapses, .. } => (potential(synapses, stage.grid.channels, of, fires), 0.0),
        };
        sums.push(sum);
        sent.push(sends);
    }
    sums
}

fn same(size: f64) -> (f64, f64) {
    (size, size)
}

/// Σ |weight · gain| · largest input, over the output channel that gets most, and its bias.
fn potential<S: Arithmetic>(synapses: &Synapses<S>, channels: u32, sent: impl Fn(&StageId) -> f64, steps: f64) -> f64 {
    let mut sizes = vec![0.0f64; channels as usize];
    for (neuron, bias) in synapses.bias.iter().enumerate() {
        let size = &mut sizes[neuron % channels as usize];
        *size = size.max(bias.size() * steps);
    }
    for projection in &synapses.projections {
        let kernel = &projection.kernel;
        let windows = kernel.pool.map_or(1.0, |pool| f64::from(pool.area()));
        let input: f64 = projection.sources.iter().map(|source| source.gain.size() * sent(&source.stage)).sum();
        for tap in 0..kernel.window.area() {
            for channel in 0..kernel.in_channels {
                let reached = kernel.reached(channel);
                for (size, weight) in sizes[reached.start as usize..].iter_mut().zip(kernel.row(tap, channel)) {
                    *size += weight.size() * input * windows;
                }
            }
        }
    }
    sizes.into_iter().fold(0.0, f64::max)
}
