//! How large a sum can become: which stages need wide potentials, and which graphs do not fit at all.
//!
//! A signed neuron's count stays within `0..=T`; every other bound follows stage by stage. All of them hold in the middle
//! of a step as well, since each input then stands at its old or its new value. What a stage has sent is often far within
//! what it might have: where that is known, sums behind it are bounded by it.

use super::arithmetic::Arithmetic;
use super::attention::Attention;
use crate::graph::{Graph, NeuronRule, Projection, StageKind, Synapses};
use crate::units::StageId;
use multiversion::multiversion;

/// What of the bounds of a graph depends on its weights alone: for each stage its largest bias, by size, and of each
/// projection and output channel the sums of its negative and of its positive weights.
#[derive(Debug)]
pub(super) struct Bounds {
    potentials: Vec<(f64, Vec<Vec<Ends>>)>,
}

/// What bounds counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// T.
    pub time_steps: u32,
    /// Steps in which a neuron can fire.
    pub fires: u32,
    pub attention: Attention,
}

/// Lowest and highest value.
pub(super) type Ends = (f64, f64);

/// The bounds of a stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bound {
    /// The largest size of its potentials or sums.
    pub size: f64,
    /// What all it sends adds up to.
    pub sent: Ends,
}

impl Bound {
    /// Whether sums fit into 32 bits.
    pub fn is_narrow(&self) -> bool {
        i32::fits(self.size)
    }
}

impl Bounds {
    pub fn new(graph: &Graph<i32>) -> Self {
        let none = (0.0, vec![]);
        Self {
            potentials: graph.stages.iter().map(|stage| stage.kind.synapses().map_or(none.clone(), weights)).collect(),
        }
    }

    /// The bounds of all stages, whatever the image.
    pub fn all(&self, graph: &Graph<i32>, extent: Extent) -> Vec<Bound> {
        let mut bounds: Vec<Bound> = vec![];
        for id in graph.ids() {
            let of = |id: &StageId| bounds.get(id.index()).map_or((0.0, 0.0), |bound| bound.sent);
            bounds.push(self.of(graph, id, extent, of));
        }
        bounds
    }

    /// The bounds of a stage whose sources have sent, or might send, what adds up to so much.
    pub fn of(&self, graph: &Graph<i32>, id: StageId, extent: Extent, sent: impl Fn(&StageId) -> Ends) -> Bound {
        let (bias, projections) = &self.potentials[id.index()];
        let (fires, time_steps) = (f64::from(extent.fires), f64::from(extent.time_steps));
        // single steps of both signs add up over all of them
        let operand = |id: &StageId| match extent.attention {
            Attention::Accumulated => size(sent(id)),
            Attention::PerStep => fires,
        };
        let potential = |synapses: &Synapses<i32>| {
            let (low, high) = potential(synapses, projections, &sent);
            (low - bias * fires, high + bias * fires)
        };
        let (size, sent) = match &graph.stage(id).kind {
            StageKind::Input(input) => same(fires * 2f64.powi(input.bits as i32 - 1)),
            StageKind::Neurons(neurons) => {
                let threshold = f64::from(neurons.threshold.iter().copied().max().unwrap_or(0));
                let most = match neurons.rule {
                    NeuronRule::Signed => time_steps,
                    NeuronRule::Plain => fires,
                };
                let (low, high) = potential(&neurons.synapses);
                (size((low - threshold * (most + 1.0), high + threshold * 2.0)), (0.0, most))
            }
            StageKind::MaxPool { source, .. } => (size(sent(source)), sent(source)),
            StageKind::Scores { queries, keys, heads } => {
                let width = graph.stage(*queries).grid.channels / heads.max(&1);
                same(operand(queries) * operand(keys) * f64::from(width))
            }
            StageKind::Softmax { rule, .. } => {
                let one = 2f64.powi(rule.probability_bits as i32);
                (one, (0.0, one))
            }
            StageKind::Context { probabilities, values, .. } => {
                let most = size(sent(probabilities)) * operand(values) * graph.stage(*values).grid.positions() as f64;
                match extent.attention {
                    Attention::Accumulated => (most, (0.0, most)),
                    Attention::PerStep => same(most),
                }
            }
            StageKind::Readout { synapses, .. } => (size(potential(synapses)), (0.0, 0.0)),
        };
        Bound { size, sent }
    }
}

fn size((low, high): Ends) -> f64 {
    high.max(-low)
}

fn same(size: f64) -> (f64, Ends) {
    (size, (-size, size))
}

fn weights(synapses: &Synapses<i32>) -> (f64, Vec<Vec<Ends>>) {
    let ends = |projection: &Projection<i32>| {
        let kernel = &projection.kernel;
        let [mut lows, mut highs] = [(); 2].map(|()| vec![0; kernel.out_channels as usize]);
        for (tap, channel) in (0..kernel.window.area()).flat_map(|tap| (0..kernel.in_channels).map(move |c| (tap, c))) {
            let first = kernel.reached(channel).start as usize;
            add_ends(&mut lows[first..], &mut highs[first..], kernel.row(tap, channel));
        }
        lows.into_iter().zip(highs).map(|(low, high)| (low as f64, high as f64)).collect()
    };
    let bias = synapses.bias.iter().map(|bias| bias.unsigned_abs()).max().unwrap_or(0);
    (f64::from(bias), synapses.projections.iter().map(ends).collect())
}

/// Adds negative weights to the lower ends of their columns, and positive ones to the upper ends. Compiled for several
/// instruction sets; all give the same numbers.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn add_ends(lows: &mut [i64], highs: &mut [i64], weights: &[i32]) {
    lows.iter_mut().zip(weights).for_each(|(low, &weight)| *low += i64::from(weight.min(0)));
    highs.iter_mut().zip(weights).for_each(|(high, &weight)| *high += i64::from(weight.max(0)));
}

/// The ends of `Σ weight · gain · input` over all output channels.
fn potential(synapses: &Synapses<i32>, projections: &[Vec<Ends>], sent: impl Fn(&StageId) -> Ends) -> Ends {
    let mut sums: Vec<Ends> = vec![];
    for (projection, ends) in synapses.projections.iter().zip(projections) {
        let windows = projection.kernel.pool.map_or(1.0, |pool| f64::from(pool.area()));
        let input = projection.sources.iter().fold((0.0, 0.0), |(low, high), source| {
            let (gain, (least, most)) = (f64::from(source.gain) * windows, sent(&source.stage));
            (low + (gain * least).min(gain * most), high + (gain * least).max(gain * most))
        });
        sums.resize(ends.len().max(sums.len()), (0.0, 0.0));
        for ((low, high), (negative, positive)) in sums.iter_mut().zip(ends) {
            *low += positive * input.0 + negative * input.1;
            *high += positive * input.1 + negative * input.0;
        }
    }
    sums.into_iter().fold((0.0, 0.0), |(low, high), (l, h)| (f64::min(low, l), f64::max(high, h)))
}
