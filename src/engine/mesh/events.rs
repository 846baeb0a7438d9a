//! What is underway between routers: flits on links, credits on their way back, flits on their way to units.

use super::Way;
use super::pool::Pool;
use super::wiring::{KINDS, Wiring};
use crate::units::Cycle;
use std::collections::VecDeque;

/// Events of one latency: those of one cycle are due together, in the order in which the cycles were.
#[derive(Debug, Clone)]
pub(super) struct Pending<T> {
    latency: Cycle,
    /// A ring of events, as many places as a power of two.
    events: Vec<T>,
    /// The first of them, and the one after the last: counted on and on.
    head: usize,
    tail: usize,
    /// When those of the cycle that is going on are due.
    due: Cycle,
    /// When those of earlier cycles are due, and where they end.
    waiting: VecDeque<(Cycle, usize)>,
}

impl<T: Copy + Default> Pending<T> {
    pub fn new(latency: Cycle) -> Self {
        Self { latency, events: vec![], head: 0, tail: 0, due: 0, waiting: VecDeque::new() }
    }

    /// Makes room for so many events more.
    #[inline]
    pub fn reserve(&mut self, more: usize) {
        if self.events.len() < self.tail - self.head + more {
            self.grow(self.tail - self.head + more);
        }
    }

    fn grow(&mut self, len: usize) {
        let mut events = vec![T::default(); len.next_power_of_two()];
        let mask = events.len() - 1;
        let old = self.events.len().wrapping_sub(1);
        (self.head..self.tail).for_each(|at| events[at & mask] = self.events[at & old]);
        self.events = events;
    }

    /// Adds an event of the cycle that is going on, for which there is room.
    #[inline]
    pub fn push(&mut self, event: T) {
        let at = self.tail & (self.events.len() - 1);
        self.events[at] = event;
        self.tail += 1;
    }

    /// Begins a cycle, and says how many events are due in it.
    #[inline]
    pub fn begin(&mut self, now: Cycle) -> usize {
        if self.waiting.back().map_or(self.head, |&(_, end)| end) != self.tail {
            self.waiting.push_back((self.due, self.tail));
        }
        self.due = now + self.latency;
        let mut end = self.head;
        while let Some(&(_, next)) = self.waiting.front().filter(|(due, _)| *due <= now) {
            end = next;
            self.waiting.pop_front();
        }
        end - self.head
    }

    /// Hands the next `count` events to somebody who adds none to these.
    #[inline]
    pub fn take(&mut self, count: usize) -> Batch<T> {
        let batch = Batch { events: std::mem::take(&mut self.events), head: self.head, count };
        self.head += count;
        batch
    }

    /// Takes the memory of events back that are done.
    #[inline]
    pub fn done(&mut self, batch: Batch<T>) {
        self.events = batch.events;
    }

    pub fn next(&self) -> Option<Cycle> {
        let open = if self.head == self.tail { None } else { Some(self.due) };
        self.waiting.front().map(|(due, _)| *due).or(open)
    }
}

/// Events that are due.
#[derive(Debug)]
pub(super) struct Batch<T> {
    events: Vec<T>,
    head: usize,
    count: usize,
}

impl<T> Batch<T> {
    /// The events, those up to the end of the ring and those from its start.
    #[inline]
    pub fn events(&self) -> [&[T]; 2] {
        let first = self.head & self.events.len().wrapping_sub(1);
        let ahead = self.count.min(self.events.len() - first);
        [&self.events[first..first + ahead], &self.events[..self.count - ahead]]
    }
}

/// A flit on its way over a link.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Arrival {
    /// Its queue; on the way to a unit its virtual channel, whose slot is free again when
    /// the unit has taken it.
    pub queue: u32,
    pub tag: u32,
    pub way: Way,
    pub index: u16,
    pub of: u16,
}

/// All that has left a router and is not yet where it goes.
#[derive(Debug, Clone)]
pub(super) struct Leaving {
    /// Flits on links, for each kind.
    pub links: [Pending<Arrival>; KINDS],
    /// Slots on their way back to a virtual channel's upstream end.
    pub returning: Pending<u32>,
    /// Ports, then units' packet queues, whose links become free again, for each kind, where the interval is longer than a cycle.
    pub pauses: [Pending<u32>; KINDS],
    /// Flits that wait behind others in queues.
    pub pool: Pool,
    /// Flits in queues, on links and on their way to units, and packets in sources.
    pub resident: u64,
}

impl Leaving {
    pub fn new(wiring: &Wiring) -> Self {
        Self {
            links: wiring.link_cycles.map(Pending::new),
            // A slot that is freed in this cycle can be filled in the next one at the earliest, in whatever order routers are visited.
            returning: Pending::new(wiring.timing.credit_cycles.max(1)),
            pauses: wiring.intervals.map(Pending::new),
            pool: Pool::new(),
            resident: 0,
        }
    }

    /// Makes room for what so many ports can send in a cycle.
    pub fn reserve(&mut self, ports: usize) {
        self.links.iter_mut().for_each(|link| link.reserve(ports));
        self.returning.reserve(ports);
        self.pauses.iter_mut().for_each(|pauses| pauses.reserve(ports));
    }

    /// Puts a flit on a link.
    #[inline]
    pub fn over_link(&mut self, kind: u8, flit: Arrival) {
        self.links[kind as usize].push(flit);
    }

    /// When the next of it is due.
    pub fn next(&self) -> Option<Cycle> {
        let links = self.links.iter().filter_map(Pending::next);
        let pauses = self.pauses.iter().filter_map(Pending::next);
        links.chain(pauses).chain(self.returning.next()).min()
    }
}
