//! What is underway between routers: flits on links, credits on their way back, flits on their way to units.

use super::pool::Pool;
use super::wiring::Wiring;
use super::{Delivery, NOTHING, Way};
use crate::units::{Cycle, UnitId};
use std::collections::VecDeque;

/// Events of one latency: those of one cycle are due together, in the order in which the cycles were.
#[derive(Debug, Clone)]
pub(super) struct Pending<T> {
    /// Events of the cycle that is going on, and when they are due.
    open: Vec<T>,
    due: Cycle,
    /// Those of earlier cycles.
    waiting: VecDeque<(Cycle, Vec<T>)>,
    /// Memory to be used again.
    spare: Vec<Vec<T>>,
}

impl<T> Pending<T> {
    pub fn new() -> Self {
        Self { open: vec![], due: 0, waiting: VecDeque::new(), spare: vec![] }
    }

    /// Adds an event; all of one cycle are due in the same cycle.
    #[inline]
    pub fn push(&mut self, due: Cycle, event: T) {
        debug_assert!(self.open.is_empty() || self.due == due, "one latency, so one order");
        self.due = due;
        self.open.push(event);
    }

    /// Closes the cycle that was going on, and takes the events that are due.
    #[inline]
    pub fn take(&mut self, now: Cycle) -> Option<Vec<T>> {
        if !self.open.is_empty() {
            let next = self.spare.pop().unwrap_or_default();
            self.waiting.push_back((self.due, std::mem::replace(&mut self.open, next)));
        }
        if self.waiting.front()?.0 > now {
            return None;
        }
        self.waiting.pop_front().map(|(_, events)| events)
    }

    /// Takes back the memory of events that are done.
    #[inline]
    pub fn done(&mut self, mut events: Vec<T>) {
        events.clear();
        self.spare.push(events);
    }

    pub fn next(&self) -> Option<Cycle> {
        let open = if self.open.is_empty() { None } else { Some(self.due) };
        self.waiting.front().map(|(due, _)| *due).or(open)
    }
}

/// A flit on a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// Its queue, as [`Wiring::queue_behind`] names it.
    pub queue: u32,
    pub tag: u32,
    pub way: Way,
    pub index: u16,
    pub of: u16,
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

/// All that has left a router and is not yet where it goes.
#[derive(Debug, Clone)]
pub(super) struct Leaving {
    /// Flits on their way into a queue, for each latency.
    pub links: Vec<Pending<Arrival>>,
    /// For each kind of link its latency's place among them, and the cycles from a router or a unit's packet queue to the queue.
    pub link_of: [u8; 4],
    pub link_cycles: [Cycle; 4],
    /// Slots on their way back to a virtual channel's upstream end.
    pub returning: Pending<u32>,
    pub credit_cycles: Cycle,
    ejected: Pending<Ejection>,
    eject_cycles: Cycle,
    /// Ports, then units' packet queues, whose links become free again, for each kind, where the interval is longer than a cycle.
    pub pauses: [Pending<u32>; 4],
    /// Flits that wait behind others in queues.
    pub pool: Pool,
    /// Flits in queues, on links and on their way to units, and packets in sources.
    pub resident: u64,
    /// Flits switched to an output of a router so far.
    pub moves: u64,
}

impl Leaving {
    pub fn new(wiring: &Wiring) -> Self {
        let timing = &wiring.timing;
        let [horizontal, vertical, between_chips] = wiring.link_cycles.map(|cycles| timing.router_cycles + cycles);
        let link_cycles = [horizontal, vertical, between_chips, timing.inject_cycles];
        let mut latencies: Vec<Cycle> = vec![];
        let link_of = link_cycles.map(|cycles| {
            let known = latencies.iter().position(|&latency| latency == cycles);
            known.unwrap_or_else(|| {
                latencies.push(cycles);
                latencies.len() - 1
            }) as u8
        });
        Self {
            links: latencies.iter().map(|_| Pending::new()).collect(),
            link_of,
            link_cycles,
            returning: Pending::new(),
            // A slot that is freed in this cycle can be filled in the next one at the earliest, in whatever order routers are visited.
            credit_cycles: timing.credit_cycles.max(1),
            ejected: Pending::new(),
            eject_cycles: timing.router_cycles + timing.eject_cycles,
            pauses: std::array::from_fn(|_| Pending::new()),
            pool: Pool::new(),
            resident: 0,
            moves: 0,
        }
    }

    /// Puts a flit on a link.
    #[inline]
    pub fn over_link(&mut self, kind: u8, now: Cycle, flit: Arrival) {
        let due = now + self.link_cycles[kind as usize];
        self.links[self.link_of[kind as usize] as usize].push(due, flit);
    }

    /// Sends a flit to a unit.
    #[inline]
    pub fn to_unit(&mut self, now: Cycle, flit: Ejection) {
        self.ejected.push(now + self.eject_cycles, flit);
    }

    /// Sends the credit of a slot back to its channel.
    #[inline]
    pub fn give_back(&mut self, downstream: u32, now: Cycle) {
        self.returning.push(now + self.credit_cycles, downstream);
    }

    /// Units take the flits that have reached them.
    pub fn eject(&mut self, now: Cycle, deliveries: &mut Vec<Delivery>) {
        while let Some(flits) = self.ejected.take(now) {
            for &Ejection { downstream, tag, unit } in &flits {
                self.give_back(downstream, now);
                if unit != NOTHING {
                    deliveries.push(Delivery { cycle: now, unit: UnitId(unit), tag });
                }
            }
            self.resident -= flits.len() as u64;
            self.ejected.done(flits);
        }
    }

    /// When the next of it is due.
    pub fn next(&self) -> Option<Cycle> {
        let links = self.links.iter().filter_map(Pending::next);
        let pauses = self.pauses.iter().filter_map(Pending::next);
        links.chain(pauses).chain(self.returning.next()).chain(self.ejected.next()).min()
    }
}
