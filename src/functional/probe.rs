//! Membrane potentials of chosen neurons, step by step, from a recorded run: each weight looked up for itself.

use crate::graph::{Graph, NeuronRule, StageKind, Synapses};
use crate::trace::{ImageTrace, Schedule};
use crate::units::StageId;

/// What one neuron did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The neuron, by its index in the stage's grid.
    pub neuron: u32,
    /// Its threshold; none for a readout.
    pub threshold: Option<i32>,
    /// For each time step, its potential when everything had arrived, before it fired.
    pub before: Vec<i64>,
    /// The same after it fired.
    pub after: Vec<i64>,
    /// What it fired: −1, 0 or +1.
    pub spikes: Vec<i32>,
}

/// Follows neurons of a stage through a recorded image of a graph with weights; neurons that are not there are left out.
///
/// Empty where the stage holds no potentials. Biases flow in the steps up to `time_steps`.
#[must_use]
pub fn probe(
    graph: &Graph<i32>,
    image: &ImageTrace,
    schedule: Schedule,
    time_steps: u32,
    stage: StageId,
    neurons: &[u32],
) -> Vec<Probe> {
    let of = graph.stage(stage);
    let Some(synapses) = of.kind.synapses() else { return vec![] };
    let there = neurons.iter().copied().filter(|&neuron| (neuron as usize) < of.grid.neurons());
    there
        .map(|neuron| {
            let (position, channel) = (neuron / of.grid.channels, neuron % of.grid.channels);
            let input = |step: u32| arriving(graph, image, synapses, (position, channel), step);
            let bias = i64::from(synapses.bias_of(of.grid, (position, channel)));
            let mut spikes = vec![0; image.steps as usize];
            for (step, spike) in (1..).zip(&mut spikes) {
                image.train(stage).visit(step, of.grid, &one(position, channel), |_, _, value| *spike = value);
            }
            let (rule, threshold) = match &of.kind {
                StageKind::Neurons(neurons) => (Some(neurons.rule), neurons.threshold.get(channel as usize).copied()),
                StageKind::Readout { .. }
                | StageKind::Input(_)
                | StageKind::MaxPool { .. }
                | StageKind::Scores { .. }
                | StageKind::Softmax { .. }
                | StageKind::Context { .. } => (None, None),
            };
            let mut potential = match rule {
                Some(NeuronRule::Signed) => i64::from(threshold.unwrap_or(0)) >> 1,
                Some(NeuronRule::Plain) | None => 0,
            };
            let (mut before, mut after) = (vec![], vec![]);
            for (step, &spike) in (1..).zip(&spikes) {
                potential += input(u32::saturating_sub(step, schedule.delay()));
                potential += if step <= time_steps { bias } else { 0 };
                before.push(potential);
                potential = match rule {
                    Some(NeuronRule::Plain) if spike != 0 => 0,
                    Some(NeuronRule::Signed | NeuronRule::Plain) | None => {
                        potential - i64::from(spike) * i64::from(threshold.unwrap_or(0))
                    }
                };
                after.push(potential);
            }
            Probe { neuron, threshold, before, after, spikes }
        })
        .collect()
}

fn one(position: u32, channel: u32) -> crate::units::Region {
    crate::units::Region { positions: position..position + 1, channels: channel..channel + 1 }
}

/// The sum of all weights that the spikes of a step bring to a neuron.
fn arriving(
    graph: &Graph<i32>,
    image: &ImageTrace,
    synapses: &Synapses<i32>,
    (position, channel): (u32, u32),
    step: u32,
) -> i64 {
    let mut sum = 0;
    for projection in &synapses.projections {
        let kernel = &projection.kernel;
        for source in &projection.sources {
            let grid = graph.stage(source.stage).grid;
            let taps = kernel.taps(grid);
            image.train(source.stage).visit(step, grid, &grid.whole(), |from, in_channel, value| {
                let reached = kernel.reached(in_channel);
                if !reached.contains(&channel) {
                    return;
                }
                for tap in taps.of(from).iter().filter(|tap| tap.position == position) {
                    let weight = kernel.row(tap.tap, in_channel)[(channel - reached.start) as usize];
                    sum += i64::from(weight) * i64::from(source.gain) * i64::from(value);
                }
            });
        }
    }
    sum
}
