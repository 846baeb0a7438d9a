//! Where a slice stands in a run.

use super::machine::Seat;
use super::marks::Marks;
use super::units::Intake;
use crate::activity::SliceActivity;
use crate::units::Cycle;
use std::collections::VecDeque;

/// What a slice knows about one step that it has not fired yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Tokens that have come.
    pub tokens: usize,
    /// Packets that they announced.
    pub announced: u64,
    /// Packets that have come.
    pub arrived: u64,
    /// Parcels that came before the step's turn, in order.
    pub early: Vec<u32>,
}

/// What has come from one source, over all steps.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FromSource {
    pub tokens: u32,
    pub announced: u64,
    pub arrived: u64,
}

/// Something that a unit hands over in the cycles of its firing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outgoing {
    /// A parcel of spikes, on a tree of a route, and how long it is.
    Spikes { tag: u32, route: u32, tree: u32, flits: u16 },
    /// A token to a destination.
    Token { destination: u32, packets: u64 },
    /// An acknowledgement to a source.
    Acknowledgement { source: u32 },
    /// Nothing more: the step has ended.
    End,
}

/// A slice in one of two phases: taking in what is due for its step, or firing.
#[derive(Debug, Clone)]
pub(super) struct SliceState {
    /// The step that it takes packets for, or fires.
    pub step: u32,
    pub firing: bool,
    pub intake: Intake,
    /// What is known of each step from `step` on.
    pub tallies: VecDeque<Tally>,
    /// When the lookup of each packet begins that has come but had to wait.
    pub waiting: VecDeque<Cycle>,
    /// Parcels in all tallies that came early.
    pub early: u64,
    pub outbox: VecDeque<(Cycle, Outgoing)>,
    pub from_sources: Vec<FromSource>,
    /// The last step that each destination has acknowledged.
    pub acknowledged: Vec<u32>,
    /// Neurons or vectors that changed in this step; only kept once the biases have ceased.
    pub changed: Marks,
    /// Until when the unit is known to be at work.
    busy_until: Cycle,
    pub activity: SliceActivity,
}

impl SliceState {
    /// A slice before a step, with what has changed in it since it has fired.
    pub fn new(seat: &Seat, step: u32, changed: Marks) -> Self {
        Self {
            step,
            firing: false,
            intake: Intake::default(),
            tallies: VecDeque::new(),
            waiting: VecDeque::new(),
            early: 0,
            outbox: VecDeque::new(),
            from_sources: vec![FromSource::default(); seat.to_sources.len()],
            acknowledged: vec![0; seat.to_destinations.len()],
            changed,
            busy_until: 0,
            activity: SliceActivity::default(),
        }
    }

    /// What is known of a step that has not ended.
    pub fn tally(&mut self, step: u32) -> &mut Tally {
        let at = (step - self.step) as usize;
        if self.tallies.len() <= at {
            self.tallies.resize_with(at + 1, Tally::default);
        }
        &mut self.tallies[at]
    }

    /// Counts the cycles from `start` to `end` in which the unit was at work, once each.
    pub fn work(&mut self, start: Cycle, end: Cycle) {
        self.activity.busy_cycles += end.saturating_sub(start.max(self.busy_until));
        self.busy_until = self.busy_until.max(end);
    }

    /// Notes that a packet waits from `now` until its lookup begins.
    pub fn wait(&mut self, now: Cycle, begin: Cycle) {
        while self.waiting.front().is_some_and(|&begins| begins <= now) {
            self.waiting.pop_front();
        }
        if begin > now {
            self.waiting.push_back(begin);
        }
        self.note_queue();
    }

    /// Keeps the largest number of packets that waited at once.
    pub fn note_queue(&mut self) {
        let queue = self.waiting.len() as u64 + self.early;
        self.activity.peak_queue = self.activity.peak_queue.max(queue);
    }
}
