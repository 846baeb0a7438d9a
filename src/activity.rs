//! What happened on the chip: counts, cycles and loads, in whole numbers, before anything is priced.

use crate::action::Counts;
use crate::units::Cycle;
use serde::Serialize;

/// The activity of one image on one chip.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// Cycles from the first injection to the end of the last step.
    pub cycles: Cycle,
    /// Cycle at which the last unit ended each time step.
    pub step_ends: Vec<Cycle>,
    /// What each slice did and caused.
    pub slices: Vec<SliceActivity>,
    /// What each stage did in each time step: all steps of the first stage, then those of the next.
    pub stage_steps: Vec<StageStep>,
    /// Flits over each link: tile by tile, four links each in the order of `Direction::ALL`.
    pub link_flits: Vec<u64>,
}

/// What the slices of one stage did in one time step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StageStep {
    /// Cycle in which the first of them began to take packets for the step or, if none came, to fire.
    pub begins: Cycle,
    /// Cycle in which the first of them began to fire.
    pub fires: Cycle,
    /// Cycle in which the last of them had handed over everything.
    pub ends: Cycle,
    /// Spikes sent, or graded values.
    pub spikes: u64,
    /// Packets of spikes sent, each copy of a unicast counted.
    pub packets: u64,
}

/// What one slice did; the packets it sent are counted here on their whole way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SliceActivity {
    /// How often each action happened.
    pub counts: Counts,
    /// Cycles in which its unit was at work.
    pub busy_cycles: Cycle,
    /// Spikes sent, or graded values.
    pub spikes: u64,
    /// How many of them were negative.
    pub negative_spikes: u64,
    /// Graded values sent that are wider than the field of a packet for them.
    pub wide_spikes: u64,
    /// Packets of spikes sent, each copy of a unicast counted.
    pub packets: u64,
    /// Links passed by the flits of its spikes, tokens and acknowledgements.
    pub flit_hops: u64,
    /// Most packets that waited at once in its unit's input queue.
    pub peak_queue: u64,
    /// Most packets that waited at once for its router, the one that was being sent included.
    pub peak_outgoing: u64,
}
