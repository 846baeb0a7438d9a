//! What happened on the chip one after the other: the noun behind timelines and waveforms, for one image and one window of
//! cycles.

use crate::units::{Cycle, SliceId, TileId};
use std::ops::Range;

/// The events of a window, each kind in the order in which it was noted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// The cycles that were watched.
    pub window: Range<Cycle>,
    /// Units at work on packets; work that follows without a gap is one span.
    pub intakes: Vec<Span>,
    /// Units that fire.
    pub firings: Vec<Span>,
    /// Packets of spikes from unit to unit.
    pub flights: Vec<Flight>,
    /// Flits over every link up to some cycles, in the order of [`crate::activity::Activity::link_flits`].
    pub samples: Vec<(Cycle, Vec<u64>)>,
    /// The routers that were watched, with how many units their tiles have.
    pub routers: Vec<(TileId, usize)>,
    /// What changed at them, cycle by cycle.
    pub changes: Vec<Change>,
    /// Events that were left out because there were too many.
    pub left_out: u64,
}

/// A unit at work for one time step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The slice on the unit.
    pub slice: SliceId,
    /// The time step.
    pub step: u32,
    /// First cycle.
    pub begin: Cycle,
    /// The one after the last.
    pub end: Cycle,
    /// Spikes taken in, or fired.
    pub spikes: u64,
}

/// One copy of a packet of spikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// The slice that sent it.
    pub from: SliceId,
    /// When it was handed to the router.
    pub sent: Cycle,
    /// The slice that took it.
    pub to: SliceId,
    /// When that began to look it up.
    pub taken: Cycle,
}

/// A router's counts in one cycle in which one of them changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The cycle.
    pub cycle: Cycle,
    /// Which of the routers watched.
    pub router: usize,
    /// Flits sent toward it so far, port by port: east, west, south, north, then the units of its tile.
    pub inputs: Vec<u64>,
    /// Flits that have left it so far, port by port.
    pub outputs: Vec<u64>,
}
