//! Links that do not take a flit in every cycle, and who waits for them.

use super::wiring::{FROM_UNITS, KINDS, Wiring};
use crate::units::Cycle;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When links can take their next flits: those behind ports, then those of units' packet queues.
#[derive(Debug, Clone)]
pub(super) struct Pauses {
    intervals: [Cycle; KINDS],
    /// When each link can take a flit again; empty where that is in the next cycle for all.
    free_at: Vec<Cycle>,
    /// Links that somebody waits for, each of them once, by when they can take a flit.
    awaited: BinaryHeap<Reverse<(Cycle, u32)>>,
    is_awaited: Vec<bool>,
    /// When the last of all is free.
    pub last: Cycle,
}

impl Pauses {
    pub fn new(wiring: &Wiring) -> Self {
        let pausing = |kind: u8| wiring.intervals[kind as usize] > 1;
        // A chip has links from its units in any case; those between chips only where the board has several.
        let any = pausing(FROM_UNITS) || wiring.kind.iter().any(|&kind| pausing(kind));
        let links = if any { wiring.links() } else { 0 };
        Self {
            intervals: wiring.intervals,
            free_at: vec![0; links],
            awaited: BinaryHeap::new(),
            is_awaited: vec![false; links],
            last: 0,
        }
    }

    /// Whether there are links that do not take a flit in every cycle.
    #[inline]
    pub fn any(&self) -> bool {
        !self.free_at.is_empty()
    }

    /// Whether a link can take a flit that has not taken one in this cycle.
    #[inline]
    pub fn is_open(&self, link: usize, now: Cycle) -> bool {
        self.free_at.get(link).is_none_or(|&free_at| free_at <= now)
    }

    /// A link takes a flit.
    #[inline]
    pub fn take(&mut self, kind: u8, link: usize, now: Cycle) {
        if let Some(free_at) = self.free_at.get_mut(link) {
            *free_at = now + self.intervals[kind as usize];
            self.last = self.last.max(*free_at);
        }
    }

    /// Somebody waits for a link that cannot take a flit now.
    pub fn wait(&mut self, link: usize) {
        if !std::mem::replace(&mut self.is_awaited[link], true) {
            self.awaited.push(Reverse((self.free_at[link], link as u32)));
        }
    }

    /// When the first link that somebody waits for is free; at the end of time if there is none.
    #[inline]
    pub fn first(&self) -> Cycle {
        self.awaited.peek().map_or(Cycle::MAX, |Reverse((free_at, _))| *free_at)
    }

    /// A link that somebody has waited for and that can take a flit now.
    #[inline]
    pub fn next_open(&mut self, now: Cycle) -> Option<usize> {
        if self.first() > now {
            return None;
        }
        let Reverse((_, link)) = self.awaited.pop()?;
        self.is_awaited[link as usize] = false;
        Some(link as usize)
    }
}
