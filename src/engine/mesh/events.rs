//! What is underway between routers: flits on links, credits on their way back, flits on their way to units.

use super::pauses::Pauses;
use super::pool::Pool;
use super::state::Downstream;
use super::turn::Turn;
use super::wheel::{Arrival, Wheel};
use super::wiring::Wiring;
use crate::units::Cycle;
use std::collections::VecDeque;
use std::ops::Range;

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

    #[cold]
    fn grow(&mut self) {
        let mut events = vec![T::default(); (2 * self.events.len()).max(16)];
        let mask = events.len() - 1;
        let old = self.events.len().wrapping_sub(1);
        (self.head..self.tail).for_each(|at| events[at & mask] = self.events[at & old]);
        self.events = events;
    }

    /// Adds an event of the cycle that is going on.
    #[inline]
    pub fn push(&mut self, event: T) {
        self.push_if(event, true);
    }

    /// The same if there is reason to, without a branch.
    #[inline(always)]
    pub fn push_if(&mut self, event: T, reason: bool) {
        if self.len() == self.events.len() {
            self.grow();
        }
        let at = self.tail & (self.events.len() - 1);
        self.events[at] = event;
        self.tail += usize::from(reason);
    }

    /// Ends a cycle: what was added in it is due a latency later. When that is; 0 if there was nothing.
    #[inline]
    pub fn close(&mut self, now: Cycle) -> Cycle {
        if self.fresh == self.tail {
            return 0;
        }
        let due = now + self.latency;
        self.waiting.push_back((due, self.tail));
        self.fresh = self.tail;
        self.first = self.first.min(due);
        due
    }

    /// When the last of them are due; 0 if there are none.
    pub fn last(&self) -> Cycle {
        self.waiting.back().map_or(0, |&(due, _)| due)
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.tail - self.head
    }

    /// Takes out the events of the first cycle, where they are due: that cycle and their places.
    #[inline]
    pub fn take_first(&mut self, now: Cycle) -> Option<(Cycle, Range<usize>)> {
        let (due, end) = self.waiting.pop_front_if(|(due, _)| *due <= now)?;
        self.first = self.waiting.front().map_or(Cycle::MAX, |&(due, _)| due);
        let head = std::mem::replace(&mut self.head, end);
        Some((due, head..end))
    }

    /// Takes out all events that are due: their places.
    #[inline]
    pub fn take(&mut self, now: Cycle) -> Range<usize> {
        let head = self.head;
        while self.take_first(now).is_some() {}
        head..self.head
    }

    /// Events that have been taken out, those up to the end of the ring and those from its start, as long as no others are added.
    #[inline]
    pub fn slices(&self, taken: Range<usize>) -> [&[T]; 2] {
        let first = taken.start & self.events.len().wrapping_sub(1);
        let ahead = taken.len().min(self.events.len() - first);
        [&self.events[first..first + ahead], &self.events[..taken.len() - ahead]]
    }
}

/// All that has left a router and is not yet where it goes.
#[derive(Debug, Clone)]
pub(super) struct Leaving {
    /// The next cycles in which flits reach routers, or links that somebody waits for can take a flit.
    pub turn: Turn,
    /// Flits on links.
    pub wheel: Wheel,
    /// Slots on their way back to a virtual channel's upstream end: of flits that have gone on, and of those that units have taken.
    pub returning: Pending<u32>,
    pub ejected: Pending<u32>,
    /// A slot that is free again may as well be so at once where its virtual channel has so many others: sending takes one of them
    /// in a cycle, and before there is no room for the longest packet the slot would be back. Never where every slot matters.
    pub instant: u16,
    /// Flits of the longest packet for all of which there has to be room, so far.
    pub longest: u16,
    /// Whether units need not be told of packets in the cycle in which these come, but whenever anything else is due.
    pub patient: bool,
    pub pauses: Pauses,
    /// Flits that wait behind others in queues.
    pub pool: Pool,
    /// Flits in queues, on links and on their way to units, and packets in sources.
    pub resident: u64,
    /// Virtual channels without room for the longest packet.
    pub starved: u32,
    /// Whether every slot that is free again matters, to somebody who watches.
    precise: bool,
    /// When the last slot is back.
    pub last: Cycle,
}

impl Leaving {
    pub fn new(wiring: &Wiring) -> Self {
        // A slot that is freed in this cycle can be filled in the next one at the earliest, in whatever order routers are visited.
        let credit_cycles = wiring.timing.credit_cycles.max(1);
        Self {
            turn: Turn::default(),
            wheel: Wheel::new(wiring.link_cycles),
            returning: Pending::new(credit_cycles),
            ejected: Pending::new(credit_cycles),
            // Sending takes one slot in a cycle.
            instant: u16::try_from(credit_cycles).unwrap_or(u16::MAX),
            patient: false,
            pauses: Pauses::new(wiring),
            pool: Pool::new(),
            resident: 0,
            longest: 1,
            starved: 0,
            precise: false,
            last: 0,
        }
    }

    /// Puts a flit on a link of a kind.
    #[inline(always)]
    pub fn put(&mut self, now: Cycle, kind: u8, flit: Arrival) {
        self.wheel.put(&mut self.turn, now, kind, flit);
    }

    /// Somebody waits for a link that cannot take a flit now.
    #[inline]
    pub fn wait(&mut self, link: usize, now: Cycle) {
        self.pauses.wait(&mut self.turn, link, now);
    }

    /// Ends a cycle.
    #[inline]
    pub fn close(&mut self, now: Cycle) {
        self.wheel.close(now);
        self.last = self.last.max(self.returning.close(now));
    }

    /// When the first of all is due for which anybody may wait, after `now`; at the end of time if there is nothing. A slot that
    /// is free again matters to nobody where every virtual channel has another one: it comes with whatever is due next.
    pub fn first(&self, now: Cycle) -> Cycle {
        let between = self.turn.first(now).min(self.wheel.far_first).min(self.pauses.far_first());
        let to_units = self.wheel.to_units().first;
        if self.counts_slots() {
            between.min(to_units).min(self.returning.first).min(self.ejected.first)
        } else if self.patient {
            between
        } else {
            between.min(to_units)
        }
    }

    /// When the last of all is due.
    pub fn last(&self) -> Cycle {
        self.last.max(self.pauses.last).max(self.wheel.to_units().last())
    }

    /// From now on there has to be room for all flits of a longer packet.
    pub fn expect(&mut self, flits: u16, downstream: &[Downstream]) {
        self.instant = self.instant.saturating_add(flits - self.longest);
        self.longest = flits;
        self.starved = downstream.iter().filter(|channel| channel.credits < flits).count() as u32;
    }

    /// Notes that a virtual channel has lost a slot: whether it was the last one. Without a branch where slots are often `SCARCE`.
    #[inline(always)]
    pub fn take_slot<const SCARCE: bool>(&mut self, channel: &mut Downstream) -> bool {
        channel.credits -= 1;
        if !SCARCE && channel.credits >= self.longest {
            return false;
        }
        self.starved += u32::from(channel.credits + 1 == self.longest);
        channel.credits == 0
    }

    /// From now on every slot matters.
    pub fn be_precise(&mut self) {
        (self.precise, self.instant) = (true, u16::MAX);
    }

    /// Sends a slot that is free again back to its virtual channel's upstream end, of a flit that goes on. Without a branch where
    /// slots are often `SCARCE`.
    #[inline(always)]
    pub fn give_back<const SCARCE: bool>(&mut self, downstream: &mut [Downstream], at: u32) {
        let back = downstream[at as usize].take_back(self.instant);
        if SCARCE || !back {
            self.returning.push_if(at, !back);
        }
    }

    /// Whether anybody may wait for a slot.
    #[inline]
    pub fn counts_slots(&self) -> bool {
        self.starved > 0 || self.precise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_a_latency_later_in_their_order_however_the_ring_grows() {
        let mut pending: Pending<u64> = Pending::new(3);
        let (mut came, mut wanted) = (vec![], vec![]);
        for now in 0..40 {
            let due = pending.take(now);
            came.extend(pending.slices(due).into_iter().flatten().map(|&event| (now, event)));
            let count = now % 7 * 5;
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
