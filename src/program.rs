//! A graph in its place: which slice of which stage sits on which unit, and how spikes find their way.

pub use crate::hardware::Direction;

use crate::units::{Part, RouteId, SliceId, StageId, TileId, UnitId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Range;

/// A compiled network: all that the engine needs to know of the graph's shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Name of the network.
    pub network: String,
    /// Name of the chip.
    pub chip: String,
    /// Digest of the spiking graph.
    pub fingerprint: String,
    /// The slices, stage by stage, each stage's regions in order.
    pub slices: Vec<Slice>,
    /// For each stage, its slices.
    pub stage_slices: Vec<Range<u32>>,
    /// The ways of spikes, slice by slice: one for each distinct set of destinations, or several where more neurons share a set
    /// than a packet can name.
    pub routes: Vec<Route>,
    /// For each slice and each neuron of its region (by `Part::local`), the route of its spikes.
    pub route_of: Vec<Vec<RouteId>>,
}

/// The part of a stage that sits on one unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slice {
    /// The stage.
    pub stage: StageId,
    /// The part of it.
    pub region: Part,
    /// The unit.
    pub unit: UnitId,
    /// The slices that send to it, in order.
    pub sources: Vec<SliceId>,
    /// The slices that it sends to, in order.
    pub destinations: Vec<SliceId>,
    /// What it takes of its unit's capacities.
    pub needs: Needs,
}

/// What a slice takes of its unit's capacities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Potentials, counts or sums.
    pub neurons: u64,
    /// Weight memory, in bits.
    pub synapse_bits: u64,
    /// Entries of the axon-in table.
    pub axons_in: u64,
    /// Entries of the axon-out table.
    pub routes_out: u64,
    /// State memory of a special unit, in bits.
    pub state_bits: u64,
}

/// A set of destinations and the way to them from one slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The slice that sends.
    pub source: SliceId,
    /// The slices that receive, in order; none for neurons that nobody reads.
    pub destinations: Vec<SliceId>,
    /// One tree for each packet that a spike needs: a single one with tree multicast, one for each destination with unicast.
    pub trees: Vec<Tree>,
}

/// The routers that one packet passes, as a tree from the sender's tile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// The routers; the first is the sender's, each child comes after its parent.
    pub nodes: Vec<TreeNode>,
}

/// One router of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreeNode {
    /// The router's tile.
    pub tile: TileId,
    /// Where the packet goes on, by [`Direction`]: index of the next node.
    pub next: [Option<u32>; 4],
    /// The slices of this tile that receive it.
    pub local: Vec<SliceId>,
}

/// Which slice sits where: the part of a program that people read and edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Name of the network.
    pub network: String,
    /// Name of the chip.
    pub chip: String,
    /// The slices, stage by stage.
    pub slices: Vec<Placement>,
}

/// One line of a mapping. Several lines may put regions of one stage on one core: they become one slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Name of the stage.
    pub stage: String,
    /// First position and the one after the last.
    pub positions: (u32, u32),
    /// First channel and the one after the last.
    pub channels: (u32, u32),
    /// Column and row of the tile.
    pub tile: (u32, u32),
    /// Which of the tile's units, from 0.
    pub unit: u32,
}

/// What the slices of a network send to each other, wherever they sit; slices in the order of [`Program::slices`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What each slice sends to each distinct set of slices.
    pub flows: Vec<Flow>,
    /// Flits of tokens from each slice to each one that hears it, and of acknowledgements back: so many each way.
    pub control: u64,
}

/// What one slice sends to one set of slices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// The slice that sends.
    pub source: SliceId,
    /// The slices that receive, in order.
    pub destinations: Vec<SliceId>,
    /// Flits of all packets of spikes, each counted once however many receive it.
    pub flits: u64,
}

impl Traffic {
    /// Each slice with each one that hears it, once.
    #[must_use]
    pub fn neighbours(&self) -> BTreeSet<(SliceId, SliceId)> {
        self.flows.iter().flat_map(|flow| flow.destinations.iter().map(|to| (flow.source, *to))).collect()
    }

    /// Adds what the same flows carried another time.
    pub fn add(&mut self, other: &Self) {
        self.flows.iter_mut().zip(&other.flows).for_each(|(flow, other)| flow.flits += other.flits);
        self.control += other.control;
    }
}

/// What the links of a chip carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkLoads {
    /// Flits over each link: tile by tile, four links each in the order of [`Direction::ALL`].
    pub flits: Vec<u64>,
}

impl LinkLoads {
    /// Flits times the links that each of them passes.
    #[must_use]
    pub fn hops(&self) -> u64 {
        self.flits.iter().sum()
    }

    /// Flits over the busiest link.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.flits.iter().copied().max().unwrap_or(0)
    }
}
