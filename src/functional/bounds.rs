//! How large a sum can become: which stages need wide potentials, and which graphs do not fit at all.
//!
//! A neuron's count stays within `0..=C`, with C no more than the steps in which it can fire; every other bound follows
//! stage by stage. All of them hold in the middle of a step as well, since each input then stands at its old or its new value.

use crate::graph::{Graph, Projection, StageKind, Synapses};
use crate::units::StageId;

/// What of the bounds of a graph depends on its weights alone.
#[derive(Debug)]
pub(super) struct Bounds {
    /// For each stage the size of its largest bias, and Σ |weight| of each output channel and projection.
    potentials: Vec<(f64, Vec<Vec<f64>>)>,
}

impl Bounds {
    pub fn new(graph: &Graph<i32>) -> Self {
        let none = (0.0, vec![]);
        Self {
            potentials: graph.stages.iter().map(|stage| stage.kind.synapses().map_or(none.clone(), weights)).collect(),
        }
    }

    /// The largest size of each stage's potentials or sums when no neuron fires more than `fires` times.
    pub fn sums(&self, graph: &Graph<i32>, fires: u32) -> Vec<f64> {
        let mut sent: Vec<f64> = vec![];
        let mut sums = vec![];
        for (index, stage) in graph.stages.iter().enumerate() {
            let potential = |synapses, of, fires| potential(synapses, &self.potentials[index], of, fires);
            let of = |id: &StageId| sent.get(id.index()).copied().unwrap_or(0.0);
            let fires = f64::from(fires);
            let (sum, sends) = match &stage.kind {
                StageKind::Input(input) => same(fires * 2f64.powi(input.bits as i32 - 1)),
                StageKind::Neurons(neurons) => {
                    let threshold = f64::from(neurons.threshold.iter().copied().max().unwrap_or(0));
                    (potential(&neurons.synapses, of, fires) + threshold * (fires + 1.0), fires)
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
                StageKind::Readout { synapses, .. } => (potential(synapses, of, fires), 0.0),
            };
            sums.push(sum);
            sent.push(sends);
        }
        sums
    }
}

fn same(size: f64) -> (f64, f64) {
    (size, size)
}

/// The size of the largest bias, and Σ |weight| of each output channel, projection by projection.
fn weights(synapses: &Synapses<i32>) -> (f64, Vec<Vec<f64>>) {
    let absolute = |projection: &Projection<i32>| {
        let kernel = &projection.kernel;
        let mut sizes = vec![0u64; kernel.out_channels as usize];
        for (tap, channel) in (0..kernel.window.area()).flat_map(|tap| (0..kernel.in_channels).map(move |c| (tap, c))) {
            let sizes = &mut sizes[kernel.reached(channel).start as usize..];
            let row = sizes.iter_mut().zip(kernel.row(tap, channel));
            row.for_each(|(size, weight)| *size += u64::from(weight.unsigned_abs()));
        }
        sizes.into_iter().map(|size| size as f64).collect()
    };
    let bias = synapses.bias.iter().map(|bias| bias.unsigned_abs()).max().unwrap_or(0);
    (f64::from(bias), synapses.projections.iter().map(absolute).collect())
}

/// Σ |weight · gain| · largest input, over the output channel that gets most, and the largest bias.
fn potential(
    synapses: &Synapses<i32>,
    (bias, absolute): &(f64, Vec<Vec<f64>>),
    sent: impl Fn(&StageId) -> f64,
    steps: f64,
) -> f64 {
    let mut sizes = vec![];
    for (projection, absolute) in synapses.projections.iter().zip(absolute) {
        let windows = projection.kernel.pool.map_or(1.0, |pool| f64::from(pool.area()));
        let gains = projection.sources.iter().map(|source| f64::from(source.gain.unsigned_abs()) * sent(&source.stage));
        let input = gains.sum::<f64>() * windows;
        sizes.resize(absolute.len().max(sizes.len()), 0.0);
        sizes.iter_mut().zip(absolute).for_each(|(size, weights)| *size += weights * input);
    }
    sizes.into_iter().fold(0.0, f64::max) + bias * steps
}
