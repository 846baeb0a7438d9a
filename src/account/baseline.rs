//! The same network as a quantised ANN on the same technology: the comparison that every user is asked for.
//!
//! A chip for ANNs keeps weights and activations in registers while it reuses them, and how well it does so differs from
//! chip to chip. So the account gives both ends. At the lower one every weight and every activation is read once in each
//! layer that uses it, which no chip can undercut; a spiking network below it saves energy beyond doubt. At the upper
//! one a weight is read for every multiply-accumulate, just as a core reads one for every synaptic operation.

use crate::graph::{Graph, Stage, StageKind, Synapses, Taps};
use crate::hardware::Energy;
use crate::summary::AnnBaseline;
use crate::units::Femtojoules;

/// What one image costs an ANN with the shape of `graph`.
///
/// Streams that meet in one projection are added up before the map, so it counts once; windows over zero padding are
/// not multiplied. Sums of pools, maxima and softmax count as the activations that they read and write, without their
/// arithmetic, and the image is read but not written.
#[must_use]
pub fn ann_baseline(graph: &Graph<i32>, energy: &Energy) -> AnnBaseline {
    let (mut macs, mut weights, mut activations) = (0, 0, 0);
    for stage in &graph.stages {
        let (stage_macs, stage_weights) = work(graph, stage);
        macs += stage_macs;
        weights += stage_weights;
        let sources = stage.kind.sources();
        activations += sources.iter().map(|&source| graph.stage(source).grid.neurons() as u64).sum::<u64>();
        activations += if sources.is_empty() { 0 } else { stage.grid.neurons() as u64 };
    }
    let always: Femtojoules = energy.ann_mac * macs + energy.ann_activation_access * activations;
    AnnBaseline {
        macs,
        weight_reads: weights,
        activation_accesses: activations,
        energy_uj: (always + energy.ann_weight_read * weights).microjoules(),
        energy_uj_without_reuse: (always + energy.ann_weight_read * macs).microjoules(),
    }
}

/// Multiply-accumulates and distinct weights of a stage.
fn work(graph: &Graph<i32>, stage: &Stage<i32>) -> (u64, u64) {
    match &stage.kind {
        StageKind::Neurons(neurons) => maps(graph, &neurons.synapses),
        StageKind::Readout { synapses, .. } => maps(graph, synapses),
        StageKind::Scores { queries, .. } => {
            let queries = graph.stage(*queries).grid;
            (stage.grid.neurons() as u64 * u64::from(queries.channels) / heads(stage), 0)
        }
        StageKind::Context { probabilities, .. } => {
            let keys = u64::from(graph.stage(*probabilities).grid.channels) / heads(stage);
            (stage.grid.neurons() as u64 * keys, 0)
        }
        StageKind::Input(_) | StageKind::MaxPool { .. } | StageKind::Softmax { .. } => (0, 0),
    }
}

fn heads(stage: &Stage<i32>) -> u64 {
    match &stage.kind {
        StageKind::Scores { heads, .. } | StageKind::Context { heads, .. } => u64::from(*heads),
        StageKind::Softmax { rule, .. } => u64::from(rule.heads),
        StageKind::Input(_) | StageKind::Neurons(_) | StageKind::MaxPool { .. } | StageKind::Readout { .. } => 1,
    }
}

fn maps(graph: &Graph<i32>, synapses: &Synapses<i32>) -> (u64, u64) {
    let of_projection = |projection: &crate::graph::Projection<i32>| {
        let kernel = &projection.kernel;
        let Some(source) = projection.sources.first() else { return (0, 0) };
        let pooled = kernel.pooled(graph.stage(source.stage).grid);
        let taps = Taps::over(kernel.window, pooled);
        let pairs: u64 = pooled.whole().positions.map(|position| taps.of(position).len() as u64).sum();
        let at_tap = u64::from(kernel.in_channels / kernel.groups) * u64::from(kernel.out_channels);
        (pairs * at_tap, u64::from(kernel.window.area()) * at_tap)
    };
    synapses.projections.iter().map(of_projection).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}
