//! Flits on the move: from a queue through the switch to a link or a unit.

use super::events::Ejection;
use super::{Flit, Mesh, NOTHING, SIDES};
use crate::units::Cycle;

impl Mesh<'_> {
    /// Moves a flit of a queue to one output, at which its packet holds a virtual channel with a free slot.
    pub(super) fn pass(&mut self, router: usize, at: usize, index: u32, output: u32, now: Cycle) {
        let base = self.wiring.first_port[router] as usize;
        let (channel, vc) = (base + output as usize, self.held_vc(base, at, output));
        let flit = &mut self.flits[index as usize];
        flit.outputs &= !(1 << output);
        let flit = *flit;
        self.moves += 1;
        self.fill(channel, vc);
        if flit.is_tail() {
            self.channels[channel].owned &= !(1 << vc);
            self.queues[base * self.vcs + at].held &= !(1 << output);
        }
        let last = flit.outputs == 0;
        if last {
            self.dequeue(router, at, now);
        }
        let downstream = channel * self.vcs + vc;
        if output < SIDES {
            self.over_link(channel, output, vc, if last { Some(index) } else { None }, flit, now);
            return;
        }
        let kind = self.wiring.kind[channel];
        self.count(channel, kind, now);
        if last {
            self.discard(index);
        } else {
            self.resident += 1;
        }
        let unit = if flit.is_tail() { self.wiring.behind[channel] } else { NOTHING };
        let due = now + self.wiring.timing.router_cycles + self.wiring.timing.eject_cycles;
        self.ejected.push(due, Ejection { downstream: downstream as u32, tag: flit.tag, unit });
    }

    /// Sends a flit, or a copy of it where it stays in its queue as well.
    fn over_link(&mut self, channel: usize, side: u32, vc: usize, moved: Option<u32>, flit: Flit, now: Cycle) {
        let way = self.wiring.next(flit.way, side);
        let index = match moved {
            Some(index) => {
                self.flits[index as usize].way = way;
                index
            }
            None => self.store(Flit { way, ..flit }),
        };
        let kind = self.wiring.kind[channel];
        self.count(channel, kind, now);
        let due = now + self.wiring.timing.router_cycles + self.wiring.link_cycles[kind as usize];
        let queue = self.wiring.behind[channel] * self.vcs as u32 + vc as u32;
        self.arrivals[kind as usize].push(due, (queue, index));
    }

    /// Takes a slot of a virtual channel.
    pub(super) fn fill(&mut self, channel: usize, vc: usize) {
        let downstream = &mut self.downstream[channel * self.vcs + vc];
        downstream.credits -= 1;
        if downstream.credits == 0 {
            self.channels[channel].credited &= !(1 << vc);
        }
    }

    /// Counts a flit that leaves, and keeps the channel until the next one may.
    pub(super) fn count(&mut self, channel: usize, kind: u8, now: Cycle) {
        let interval = self.wiring.intervals[kind as usize];
        self.channels[channel].flits += 1;
        if interval > 1 {
            self.channels[channel].free_at = now + interval;
            self.pauses[kind as usize].push(now + interval, channel as u32);
        }
    }

    /// Takes the first flit out of its queue and sends its slot's credit back.
    fn dequeue(&mut self, router: usize, at: usize, now: Cycle) {
        let base = self.wiring.first_port[router] as usize;
        let queue = &mut self.queues[base * self.vcs + at];
        let next = self.flits[queue.first as usize].next;
        queue.first = next;
        if next == NOTHING {
            self.occupied[router] &= !(1 << at);
        } else {
            queue.ready = now + self.wiring.timing.head_cycles;
        }
        let downstream = self.wiring.feeds[base * self.vcs + at];
        self.give_back(downstream, now);
    }
}

/// The set bits of a mask, lowest first.
#[inline]
pub(super) fn bits64(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = mask.trailing_zeros();
        (mask != 0).then(|| {
            mask &= mask - 1;
            bit
        })
    })
}
