//! What is underway between routers: flits on links, credits on their way back, flits on their way to units.

use super::Way;
use super::pauses::Pauses;
use super::pool::Pool;
use super::state::Downstream;
use super::wiring::{KINDS, Wiring, bits};
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

    /// Makes room for so many events more.
    pub fn reserve(&mut self, more: usize) {
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

    /// An event that has been taken out, as long as no others are added.
    #[inline]
    pub fn get(&self, at: usize) -> T {
        self.events[at & (self.events.len() - 1)]
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
    /// When the first flits on the links of each kind are due.
    pub firsts: [Cycle; KINDS],
    /// Kinds of link on which flits have left in the cycle that is going on, one bit each.
    touched: u8,
    /// Slots on their way back to a virtual channel's upstream end: of flits that have gone on, and of those that units have taken.
    pub returning: Pending<u32>,
    pub ejected: Pending<u32>,
    /// A slot that is free again may as well be so at once where its virtual channel has so many others: sending takes one of them
    /// in a cycle, and before the last one is gone the slot would be back. Never where every slot matters.
    pub instant: u16,
    /// Whether units need not be told of packets in the cycle in which these come, but whenever anything else is due.
    pub patient: bool,
    pub pauses: Pauses,
    /// Flits that wait behind others in queues.
    pub pool: Pool,
    /// Flits in queues, on links and on their way to units, and packets in sources.
    pub resident: u64,
    /// Events of each kind for which there is room at least.
    room: usize,
    /// Whether anything may have been added in the cycle that is going on.
    fresh: bool,
    /// Virtual channels without a free slot.
    pub starved: u32,
    /// Whether every slot that is free again matters, not only the first one of a virtual channel: to packets of several flits
    /// that move on only where all of them have room, and to somebody who watches.
    precise: bool,
    /// When the first of all that was added before is due and may let somebody go on; at the end of time if there is nothing.
    pub first: Cycle,
    /// When the last of all is due.
    pub last: Cycle,
}

/// Events for which room is made at once.
const ROOM: usize = 256;

/// How many slots a virtual channel must have for another one not to matter before it is back.
fn soon(wiring: &Wiring) -> u16 {
    u16::try_from(wiring.timing.credit_cycles.max(1)).unwrap_or(u16::MAX)
}

impl Leaving {
    pub fn new(wiring: &Wiring) -> Self {
        Self {
            links: wiring.link_cycles.map(Pending::new),
            // A slot that is freed in this cycle can be filled in the next one at the earliest, in whatever order routers are visited.
            returning: Pending::new(wiring.timing.credit_cycles.max(1)),
            ejected: Pending::new(wiring.timing.credit_cycles.max(1)),
            instant: soon(wiring),
            patient: false,
            firsts: [Cycle::MAX; KINDS],
            touched: 0,
            pauses: Pauses::new(wiring),
            pool: Pool::new(),
            resident: 0,
            room: 0,
            fresh: false,
            starved: 0,
            precise: false,
            first: Cycle::MAX,
            last: 0,
        }
    }

    /// Makes room for what so many ports can send in a cycle.
    #[inline]
    pub fn reserve(&mut self, ports: u32) {
        self.fresh = true;
        if self.room < ports as usize {
            self.room = ROOM.max(ports as usize);
            self.links.iter_mut().for_each(|link| link.reserve(self.room));
            self.returning.reserve(self.room);
        }
        self.room -= ports as usize;
    }

    /// Ends a cycle.
    #[inline]
    pub fn close(&mut self, now: Cycle) {
        if !std::mem::take(&mut self.fresh) {
            return;
        }
        let mut last = self.last.max(self.pauses.last).max(self.returning.close(now));
        for kind in bits(std::mem::take(&mut self.touched).into()) {
            let link = &mut self.links[kind as usize];
            last = last.max(link.close(now));
            self.firsts[kind as usize] = link.first;
        }
        self.last = last;
        self.look();
    }

    /// Something has been taken out in this cycle.
    #[inline]
    pub fn touch(&mut self) {
        self.fresh = true;
    }

    /// Looks when the first of it is due for which anybody may wait. A slot that is free again matters to nobody where every
    /// virtual channel has another one: it comes with whatever is due next.
    #[inline]
    fn look(&mut self) {
        let [between @ .., to_units] = &self.firsts;
        let first = between.iter().fold(self.pauses.first(), |first, &link| first.min(link));
        self.first = if self.counts_slots() {
            first.min(*to_units).min(self.returning.first).min(self.ejected.first)
        } else if self.patient {
            first
        } else {
            first.min(*to_units)
        };
    }

    /// From now on every slot matters, not only the first one of a virtual channel.
    pub fn be_precise(&mut self) {
        (self.precise, self.instant) = (true, u16::MAX);
    }

    /// Sends a slot that is free again back to its virtual channel's upstream end, of a flit that goes on.
    #[inline]
    pub fn give_back(&mut self, downstream: &mut [Downstream], at: u32) {
        if !downstream[at as usize].take_back(self.instant) {
            self.returning.push(at);
        }
    }

    /// Whether anybody may wait for a slot.
    #[inline]
    pub fn counts_slots(&self) -> bool {
        self.starved > 0 || self.precise
    }

    /// Puts a flit on a link.
    #[inline]
    pub fn over_link(&mut self, kind: u8, flit: Arrival) {
        self.touched |= 1 << kind;
        self.links[kind as usize].push(flit);
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
            came.extend(pending.take(now).map(|at| (now, pending.get(at))));
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
