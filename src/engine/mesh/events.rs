//! What is underway between routers: flits on links, credits on their way back, flits on their way to units.

use super::Way;
use super::pool::Pool;
use super::wiring::{KINDS, Wiring};
use crate::units::Cycle;
use std::collections::VecDeque;

/// Events of one latency: those of one cycle are due together, in the order in which the cycles were.
#[derive(Debug, Clone)]
pub(super) struct Pending<T> {
    /// When the first of them are due; at the end of time if there are none, or those of the cycle that is going on.
    pub first: Cycle,
    latency: Cycle,
    /// A ring of events, as many places as a power of two.
    events: Vec<T>,
    /// The first of them, and the one after the last: counted on and on; and the first one of the cycle that is going on.
    head: usize,
    tail: usize,
    fresh: usize,
    /// When those of earlier cycles are due, and where they end.
    waiting: VecDeque<(Cycle, usize)>,
}

impl<T: Copy + Default> Pending<T> {
    pub fn new(latency: Cycle) -> Self {
        Self { first: Cycle::MAX, latency, events: vec![], head: 0, tail: 0, fresh: 0, waiting: VecDeque::new() }
    }

    /// Makes room for so many events more.
    fn reserve(&mut self, more: usize) {
        if self.events.len() < self.tail - self.head + more {
            self.grow(self.tail - self.head + more);
        }
    }

    #[cold]
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

    /// Ends a cycle: what was added in it is due a latency later.
    #[inline]
    pub fn close(&mut self, now: Cycle) {
        if self.fresh != self.tail {
            self.waiting.push_back((now + self.latency, self.tail));
            self.fresh = self.tail;
            self.first = self.first.min(now + self.latency);
        }
    }

    /// Hands the events that are due to somebody who adds none to these.
    #[inline]
    pub fn take(&mut self, now: Cycle) -> Batch<T> {
        let (head, mut end) = (self.head, self.head);
        while let Some((_, next)) = self.waiting.pop_front_if(|(due, _)| *due <= now) {
            end = next;
        }
        self.first = self.waiting.front().map_or(Cycle::MAX, |&(due, _)| due);
        self.head = end;
        Batch { events: std::mem::take(&mut self.events), head, count: end - head }
    }

    /// Takes the memory of events back that are done.
    #[inline]
    pub fn done(&mut self, batch: Batch<T>) {
        self.events = batch.events;
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
    /// Ports, then units' packet queues, whose links become free again, for each interval longer than a cycle.
    pub pauses: Vec<Pending<u32>>,
    /// Which one of them is that of each kind of link; none where a flit may leave in every cycle.
    pause_of: [Option<u8>; KINDS],
    /// Flits that wait behind others in queues.
    pub pool: Pool,
    /// Flits in queues, on links and on their way to units, and packets in sources.
    pub resident: u64,
    /// Events of each kind for which there is room at least.
    room: usize,
    /// Whether anything may have been added in the cycle that is going on.
    fresh: bool,
    /// When the first of all that was added before is due, at the end of time if there is nothing.
    pub first: Cycle,
}

/// Events for which room is made at once.
const ROOM: usize = 256;

impl Leaving {
    pub fn new(wiring: &Wiring) -> Self {
        let mut intervals: Vec<Cycle> = wiring.intervals.into_iter().filter(|&interval| interval > 1).collect();
        intervals.sort_unstable();
        intervals.dedup();
        let pause_of = wiring.intervals.map(|own| intervals.binary_search(&own).ok().map(|at| at as u8));
        Self {
            links: wiring.link_cycles.map(Pending::new),
            // A slot that is freed in this cycle can be filled in the next one at the earliest, in whatever order routers are visited.
            returning: Pending::new(wiring.timing.credit_cycles.max(1)),
            pauses: intervals.into_iter().map(Pending::new).collect(),
            pause_of,
            pool: Pool::new(),
            resident: 0,
            room: 0,
            fresh: false,
            first: Cycle::MAX,
        }
    }

    /// Makes room for so many credits.
    pub fn reserve_credits(&mut self, more: usize) {
        self.fresh = true;
        self.returning.reserve(self.room + more);
    }

    /// Makes room for what so many ports can send in a cycle.
    #[inline]
    pub fn reserve(&mut self, ports: u32) {
        self.fresh = true;
        if self.room < ports as usize {
            self.room = ROOM;
            self.links.iter_mut().for_each(|link| link.reserve(ROOM));
            self.returning.reserve(ROOM);
            self.pauses.iter_mut().for_each(|pauses| pauses.reserve(ROOM));
        }
        self.room -= ports as usize;
    }

    /// Ends a cycle.
    #[inline]
    pub fn close(&mut self, now: Cycle) {
        if std::mem::take(&mut self.fresh) {
            self.links.iter_mut().for_each(|link| link.close(now));
            self.returning.close(now);
            self.pauses.iter_mut().for_each(|pauses| pauses.close(now));
            self.look();
        }
    }

    /// Looks when the first of it is due.
    #[inline]
    pub fn look(&mut self) {
        let links = self.links.iter().fold(self.returning.first, |first, link| first.min(link.first));
        self.first = self.pauses.iter().fold(links, |first, pauses| first.min(pauses.first));
    }

    /// Keeps a link from taking another flit for its interval; whether that is longer than a cycle.
    #[inline]
    pub fn pause(&mut self, kind: u8, link: u32) -> bool {
        let pause = self.pause_of[kind as usize];
        if let Some(pause) = pause {
            self.pauses[pause as usize].push(link);
        }
        pause.is_some()
    }

    /// Whether there are links that do not take a flit in every cycle.
    #[inline]
    pub fn pausing(&self) -> bool {
        !self.pauses.is_empty()
    }

    /// Puts a flit on a link.
    #[inline]
    pub fn over_link(&mut self, kind: u8, flit: Arrival) {
        self.links[kind as usize].push(flit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_a_latency_later_in_their_order_however_the_ring_grows() {
        let mut pending = Pending::new(3);
        let (mut came, mut wanted) = (vec![], vec![]);
        for now in 0..40 {
            let batch = pending.take(now);
            came.extend(batch.events().concat().into_iter().map(|event: u64| (now, event)));
            pending.done(batch);
            let count = now % 7 * 5;
            pending.reserve(count as usize);
            for event in 0..count {
                pending.push(event);
                wanted.push((now + 3, event));
            }
            pending.close(now);
        }
        wanted.retain(|(due, _)| *due < 40);
        assert_eq!(came, wanted);
    }
}
