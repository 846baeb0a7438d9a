//! What a slice takes of its unit, and what a unit has.

use super::fan_out::FanOut;
use super::route::named;
use crate::graph::{Graph, Stage, StageKind, Synapses, Taps};
use crate::hardware::{self, Kernels, Topology, UnitKind};
use crate::network::SoftmaxAxis;
use crate::program::Needs;
use crate::units::{Grid, Region, StageId};
use bitvec::prelude::{BitVec, Lsb0};
use std::collections::BTreeSet;
use std::ops::Range;

const COUNT_BITS: u64 = hardware::COUNT_BITS as u64;
const SCORE_BITS: u64 = hardware::SCORE_BITS as u64;
const SUM_BITS: u64 = hardware::SUM_BITS as u64;

/// The kind of unit that computes a stage.
#[must_use]
pub fn unit_for<S>(kind: &StageKind<S>) -> UnitKind {
    match kind {
        StageKind::Input(_) => UnitKind::Port,
        StageKind::Neurons(_) | StageKind::Readout { .. } => UnitKind::Core,
        StageKind::MaxPool { .. } => UnitKind::MaxPool,
        StageKind::Scores { .. } | StageKind::Context { .. } => UnitKind::Attention,
        StageKind::Softmax { .. } => UnitKind::Softmax,
    }
}

/// What a unit of this kind has; `u64::MAX` where nothing limits it.
pub(super) fn capacities(topology: &Topology, kind: UnitKind) -> Needs {
    let endless = Needs {
        neurons: u64::MAX,
        synapse_bits: u64::MAX,
        axons_in: u64::MAX,
        routes_out: u64::MAX,
        state_bits: u64::MAX,
    };
    let core = &topology.core;
    match kind {
        UnitKind::Core => Needs {
            neurons: core.neurons,
            synapse_bits: core.synapse_bits,
            axons_in: core.axons_in,
            routes_out: core.routes_out,
            ..endless
        },
        UnitKind::MaxPool => Needs { state_bits: topology.max_pool.count_bits, ..endless },
        UnitKind::Attention => Needs { state_bits: topology.attention.state_bits, ..endless },
        UnitKind::Softmax => Needs { state_bits: topology.softmax.state_bits, ..endless },
        UnitKind::Port => endless,
    }
}

/// A capacity by the key it has in a hardware description.
pub(super) fn capacity_key(kind: UnitKind, capacity: usize) -> &'static str {
    match kind {
        UnitKind::Core => ["core.neurons", "core.synapse_bits", "core.axons_in", "core.routes_out", ""][capacity],
        UnitKind::MaxPool => "max_pool.count_bits",
        UnitKind::Attention => "attention.state_bits",
        UnitKind::Softmax => "softmax.state_bits",
        UnitKind::Port => "port",
    }
}

/// The values of [`Needs`] in one row, so that needs and capacities can be compared one by one.
pub(super) fn row(needs: &Needs) -> [u64; 5] {
    [needs.neurons, needs.synapse_bits, needs.axons_in, needs.routes_out, needs.state_bits]
}

/// The capacities that `needs` exceeds, as indices into [`row`].
pub(super) fn exceeded(needs: &Needs, capacities: &Needs) -> impl Iterator<Item = usize> + use<> {
    let pairs = row(needs).into_iter().zip(row(capacities));
    pairs.enumerate().filter(|(_, (need, capacity))| need > capacity).map(|(place, _)| place)
}

/// How the needs of a region of one stage follow from its size.
#[derive(Debug)]
pub(super) struct Demand {
    /// The grid that is cut up.
    pub(super) grid: Grid,
    /// The kind of unit that it needs.
    pub(super) unit: UnitKind,
    /// Channels that stay together: the part of one head.
    pub(super) head: Option<u32>,
    /// Whether all positions stay together: the softmax normalises over them.
    pub(super) all_positions: bool,
    /// Neurons that one route can name.
    named: u64,
    memory: Memory,
}

/// What a region keeps in its unit beside its own values.
#[derive(Debug)]
enum Memory {
    /// Nothing.
    None,
    /// Weights and axons.
    Weights { feeds: Vec<Feed>, expanded: bool, weight_bits: u64 },
    /// The counts of all inputs of its windows.
    Counts(Sources),
    /// State for each row of a head, and for each head.
    Heads { width: u64, row_bits: u64, head_bits: u64 },
}

/// What one source stage brings through one projection.
#[derive(Debug)]
struct Feed {
    source: StageId,
    /// Index of the projection, whose weights several feeds may share.
    projection: usize,
    sources: Sources,
    area: u64,
    group_in: u32,
    group_out: u32,
}

/// For each output position, the source positions that reach it.
#[derive(Debug)]
struct Sources {
    positions: usize,
    starts: Vec<usize>,
    list: Vec<u32>,
}

impl Demand {
    /// The demand of `id` on a chip.
    pub(super) fn new(graph: &Graph<i32>, id: StageId, topology: &Topology) -> Self {
        let (stage, kernels) = (graph.stage(id), topology.core.kernels);
        let head = |heads: u32| Some(stage.grid.channels / heads);
        let (head, memory) = match &stage.kind {
            StageKind::Input(_) => (None, Memory::None),
            StageKind::Neurons(neurons) => (None, weights(graph, stage, &neurons.synapses, kernels)),
            StageKind::Readout { synapses, .. } => (None, weights(graph, stage, synapses, kernels)),
            StageKind::MaxPool { source, window } => {
                let grid = graph.stage(*source).grid;
                (None, Memory::Counts(Sources::new(&Taps::over(*window, grid), grid, stage.grid)))
            }
            StageKind::Softmax { rule, .. } => {
                (head(rule.heads), attention(stage, rule.heads, |keys| (2 * SCORE_BITS * keys, 0)))
            }
            StageKind::Scores { queries, heads, .. } => {
                let width = u64::from(graph.stage(*queries).grid.channels / heads);
                let state = |keys| (COUNT_BITS * width + SCORE_BITS * keys, COUNT_BITS * width * keys);
                (head(*heads), attention(stage, *heads, state))
            }
            StageKind::Context { probabilities, heads, .. } => {
                let keys = u64::from(graph.stage(*probabilities).grid.channels / heads);
                let state = |width| (SCORE_BITS * keys + SUM_BITS * width, COUNT_BITS * keys * width);
                (head(*heads), attention(stage, *heads, state))
            }
        };
        let (unit, all_positions, named) = (unit_for(&stage.kind), normalised(graph, id), named(&topology.noc));
        Self { grid: stage.grid, unit, head, all_positions, named, memory }
    }

    /// What a slice of these regions takes of its unit.
    ///
    /// A shared kernel counts whole for every output channel, even where the slice's positions use some of its taps only.
    /// Weights take the graph's `weight_bits`, biases and thresholds are part of the neurons, and two streams into one
    /// projection share its weights, unless they are expanded. Expanded weights are one for each synaptic operation that
    /// one spike of every source neuron would cause.
    pub(super) fn of(&self, regions: &[Region], fan_out: &FanOut) -> Needs {
        let neurons = regions.iter().map(|region| region.neurons() as u64).sum();
        let mut needs = Needs { neurons, routes_out: fan_out.routes_out(regions, self.named), ..Needs::default() };
        match &self.memory {
            Memory::None => {}
            Memory::Counts(sources) => {
                let counts = |region: &Region| sources.distinct(region) * region.channels.len() as u64;
                needs.state_bits = regions.iter().map(counts).sum::<u64>() * COUNT_BITS;
            }
            Memory::Heads { width, row_bits, head_bits } => {
                let state = |region: &Region| {
                    let (positions, channels) = (region.positions.len() as u64, region.channels.len() as u64);
                    channels.div_ceil(*width) * (positions * row_bits + head_bits)
                };
                needs.state_bits = regions.iter().map(state).sum();
            }
            Memory::Weights { feeds, expanded, weight_bits } => {
                let kept = if *expanded {
                    regions.iter().map(|region| expanded_weights(feeds, region)).sum()
                } else {
                    shared_weights(feeds, distinct_channels(regions))
                };
                needs.synapse_bits = kept * weight_bits;
                needs.axons_in = axons(feeds, regions, *expanded);
            }
        }
        needs
    }
}

fn attention(stage: &Stage<i32>, heads: u32, state: impl Fn(u64) -> (u64, u64)) -> Memory {
    let width = u64::from(stage.grid.channels / heads);
    let (row_bits, head_bits) = state(width);
    Memory::Heads { width, row_bits, head_bits }
}

/// Whether `id` holds scores or probabilities that are normalised over positions.
fn normalised(graph: &Graph<i32>, id: StageId) -> bool {
    let over_queries = |stage: &Stage<i32>, reads: bool| match &stage.kind {
        StageKind::Softmax { scores, rule } => (*scores == id || !reads) && rule.axis == SoftmaxAxis::Queries,
        StageKind::Input(_)
        | StageKind::Neurons(_)
        | StageKind::MaxPool { .. }
        | StageKind::Scores { .. }
        | StageKind::Context { .. }
        | StageKind::Readout { .. } => false,
    };
    over_queries(graph.stage(id), false) || graph.stages.iter().any(|stage| over_queries(stage, true))
}

fn weights(graph: &Graph<i32>, stage: &Stage<i32>, synapses: &Synapses<i32>, kernels: Kernels) -> Memory {
    let mut feeds = vec![];
    for (projection, index) in synapses.projections.iter().zip(0..) {
        let kernel = &projection.kernel;
        for source in &projection.sources {
            let grid = graph.stage(source.stage).grid;
            feeds.push(Feed {
                source: source.stage,
                projection: index,
                sources: Sources::new(&kernel.taps(grid), grid, stage.grid),
                area: u64::from(kernel.window.area()),
                group_in: kernel.in_channels / kernel.groups,
                group_out: kernel.out_channels / kernel.groups,
            });
        }
    }
    feeds.sort_by_key(|feed| feed.source);
    Memory::Weights { feeds, expanded: kernels == Kernels::Expanded, weight_bits: u64::from(graph.weight_bits) }
}

fn shared_weights(feeds: &[Feed], channels: u64) -> u64 {
    let first = |at: usize| !feeds[..at].iter().any(|feed| feed.projection == feeds[at].projection);
    let kernels = (0..feeds.len()).filter(|&at| first(at)).map(|at| &feeds[at]);
    kernels.map(|feed| feed.area * u64::from(feed.group_in) * channels).sum()
}

fn expanded_weights(feeds: &[Feed], region: &Region) -> u64 {
    let channels = region.channels.len() as u64;
    feeds.iter().map(|feed| feed.sources.pairs(region) * u64::from(feed.group_in) * channels).sum()
}

/// Channels that at least one of the regions has.
fn distinct_channels(regions: &[Region]) -> u64 {
    match regions {
        [only] => only.channels.len() as u64,
        _ => regions.iter().flat_map(|region| region.channels.clone()).collect::<BTreeSet<u32>>().len() as u64,
    }
}

/// Distinct source positions, or source neurons, of each source stage. Where several grouped projections read one stage,
/// or several regions do, the neurons of a position are counted from the first that is read to the last.
fn axons(feeds: &[Feed], regions: &[Region], expanded: bool) -> u64 {
    let of_stage = |feeds: &[Feed]| {
        let mut seen: BitVec<u64, Lsb0> = BitVec::repeat(false, feeds[0].sources.positions);
        let pairs = || feeds.iter().flat_map(|feed| regions.iter().map(move |region| (feed, region)));
        pairs().for_each(|(feed, region)| feed.sources.mark(region, &mut seen));
        let read = pairs().map(|(feed, region)| feed.channels(&region.channels));
        let read = read.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0);
        seen.count_ones() as u64 * if expanded { read.len() as u64 } else { 1 }
    };
    feeds.chunk_by(|a, b| a.source == b.source).map(of_stage).sum()
}

impl Feed {
    /// Source channels that the groups of these channels read.
    fn channels(&self, channels: &Range<u32>) -> Range<u32> {
        channels.start / self.group_out * self.group_in..((channels.end - 1) / self.group_out + 1) * self.group_in
    }
}

impl Sources {
    /// The sources of each position of `target` by the taps of each position of `source`.
    fn new(taps: &Taps, source: Grid, target: Grid) -> Self {
        let pairs =
            || source.whole().positions.flat_map(|from| taps.of(from).iter().map(move |tap| (from, tap.position)));
        let mut starts = vec![0; target.positions() + 1];
        pairs().for_each(|(_, to)| starts[to as usize + 1] += 1);
        (0..target.positions()).for_each(|at| starts[at + 1] += starts[at]);
        let mut next = starts.clone();
        let mut list = vec![0; starts[target.positions()]];
        for (from, to) in pairs() {
            list[next[to as usize]] = from;
            next[to as usize] += 1;
        }
        Self { positions: source.positions(), starts, list }
    }

    /// The sources of the positions of `region`, one after the other.
    fn of(&self, region: &Region) -> &[u32] {
        &self.list[self.starts[region.positions.start as usize]..self.starts[region.positions.end as usize]]
    }

    fn pairs(&self, region: &Region) -> u64 {
        self.of(region).len() as u64
    }

    fn mark(&self, region: &Region, seen: &mut BitVec<u64, Lsb0>) {
        self.of(region).iter().for_each(|&position| seen.set(position as usize, true));
    }

    fn distinct(&self, region: &Region) -> u64 {
        let mut seen = BitVec::repeat(false, self.positions);
        self.mark(region, &mut seen);
        seen.count_ones() as u64
    }
}
