//! What happens between routers: flits on links, credits on their way back, flits on their way to units, and who is woken.

use super::{Delivery, Flit, Mesh, NOTHING};
use crate::units::{Cycle, UnitId};
use std::collections::VecDeque;

/// Events of one latency: pushed in the order in which they are due.
#[derive(Debug, Clone)]
pub(super) struct Pending<T>(VecDeque<(Cycle, T)>);

impl<T> Pending<T> {
    pub fn new() -> Self {
        Self(VecDeque::new())
    }

    pub fn push(&mut self, due: Cycle, event: T) {
        debug_assert!(self.0.back().is_none_or(|(last, _)| *last <= due), "one latency, so one order");
        self.0.push_back((due, event));
    }

    #[inline]
    pub fn pop(&mut self, now: Cycle) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_front().map(|(_, event)| event)
    }

    #[inline]
    pub fn next(&self) -> Option<Cycle> {
        self.0.front().map(|(due, _)| *due)
    }
}

/// A flit on its way from a router to a unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ejection {
    /// Its virtual channel, whose slot is free again when the unit has taken it.
    pub downstream: u32,
    pub tag: u32,
    /// The unit, where it is the last of its packet.
    pub unit: u32,
}

/// Routers or sources that may be able to move something.
#[derive(Debug, Clone, Default)]
pub(super) struct Awake {
    pub list: Vec<u32>,
    pub listed: Vec<bool>,
}

impl Awake {
    pub fn new(len: usize) -> Self {
        Self { list: vec![], listed: vec![false; len] }
    }

    #[inline]
    pub fn wake(&mut self, index: u32) {
        if !std::mem::replace(&mut self.listed[index as usize], true) {
            self.list.push(index);
        }
    }
}

impl Mesh<'_> {
    /// Credits and flits that are due arrive.
    pub(super) fn arrive(&mut self, now: Cycle) {
        while let Some(downstream) = self.returning.pop(now) {
            let channel = downstream as usize / self.vcs;
            self.downstream[downstream as usize].credits += 1;
            self.channels[channel].credited |= 1 << (downstream as usize % self.vcs);
            self.wake(channel);
        }
        for kind in 0..self.pauses.len() {
            while let Some(channel) = self.pauses[kind].pop(now) {
                self.wake(channel as usize);
            }
        }
        for kind in 0..self.arrivals.len() {
            while let Some((queue, flit)) = self.arrivals[kind].pop(now) {
                self.enqueue(queue, flit, now);
            }
        }
    }

    /// Units take the flits that have reached them.
    pub(super) fn eject(&mut self, now: Cycle, deliveries: &mut Vec<Delivery>) {
        while let Some(Ejection { downstream, tag, unit }) = self.ejected.pop(now) {
            self.resident -= 1;
            self.give_back(downstream, now);
            if unit != NOTHING {
                deliveries.push(Delivery { cycle: now, unit: UnitId(unit), tag });
            }
        }
    }

    /// Sends the credit of a slot back to its channel.
    pub(super) fn give_back(&mut self, downstream: u32, now: Cycle) {
        // A slot that is freed in this cycle can be filled in the next one at the earliest, in whatever order routers are visited.
        self.returning.push(now + self.wiring.timing.credit_cycles.max(1), downstream);
    }

    /// Whoever sends into a channel looks again.
    fn wake(&mut self, channel: usize) {
        match channel.checked_sub(self.wiring.router_of.len()) {
            Some(source) => self.sources_awake.wake(source as u32),
            None => {
                let router = self.wiring.router_of[channel];
                if self.occupied[router as usize] != 0 {
                    self.routers_awake.wake(router);
                }
            }
        }
    }

    fn enqueue(&mut self, at: u32, index: u32, now: Cycle) {
        let router = self.wiring.router_of_queue[at as usize];
        let flit = &mut self.flits[index as usize];
        (flit.outputs, flit.ahead) = self.wiring.outputs(flit.way, router);
        flit.next = NOTHING;
        let queue = &mut self.queues[at as usize];
        let bit = 1 << (at - self.wiring.first_port[router as usize] * self.vcs as u32);
        let occupied = &mut self.occupied[router as usize];
        if *occupied & bit == 0 {
            *occupied |= bit;
            queue.first = index;
            queue.ready = now + self.wiring.timing.head_cycles.saturating_sub(1);
        } else {
            self.flits[queue.last as usize].next = index;
        }
        queue.last = index;
        self.routers_awake.wake(router);
    }

    /// Puts a flit into the pool.
    pub(super) fn store(&mut self, flit: Flit) -> u32 {
        self.resident += 1;
        match self.flits.get(self.free as usize).map(|place| place.next) {
            Some(next) => {
                let index = std::mem::replace(&mut self.free, next);
                self.flits[index as usize] = flit;
                index
            }
            None => {
                self.flits.push(flit);
                (self.flits.len() - 1) as u32
            }
        }
    }

    /// Takes a flit out of the pool.
    pub(super) fn discard(&mut self, index: u32) {
        self.flits[index as usize].next = std::mem::replace(&mut self.free, index);
    }
}
