//! Flits on the move: from a queue through the switch to a link or a unit.

use super::NOTHING;
use super::allocate::Round;
use super::state::Flit;
use super::wheel::{Arrival, Part};

impl<const VCS: usize, const PAUSING: bool> Round<'_, VCS, PAUSING> {
    /// Moves a flit of a queue, the first or one in the pool, to an output, into a virtual channel of its packet with a free slot.
    #[inline]
    pub(super) fn pass(&mut self, at: usize, place: u32, output: usize, vc: usize) {
        let flit = self.leave(at, place, output);
        let first = self.channel(output) + vc;
        let (port, downstream) = (&mut self.ports[self.first_port + output], &mut self.downstream[first]);
        port.credited ^= u16::from(self.leaving.take_slot::<false>(downstream)) << vc;
        if flit.is_tail() {
            port.owned &= !(1 << vc);
            port.held &= !(1 << at);
        }
        let (behind, kind) = (port.behind, port.kind);
        let last = flit.outputs == 0;
        if last {
            self.dequeue(at);
        } else {
            self.leaving.resident += 1;
        }
        self.count(output, kind);
        let Flit { tag, way, index, of, .. } = flit;
        let way = self.wiring.next(way, output);
        self.leaving.put(self.now, kind, Arrival { queue: behind + vc as u32, tag, way, part: Part::new(index, of) });
    }

    /// Notes that a flit leaves by an output, and whether its queue still has one for it.
    #[inline]
    fn leave(&mut self, at: usize, place: u32, output: usize) -> Flit {
        let queue = &mut self.queues[self.first_queue + at];
        let (flit, more) = if place == NOTHING {
            (&mut queue.front, queue.len > 1)
        } else {
            let place = self.leaving.pool.get_mut(place);
            (&mut place.flit, place.next != NOTHING)
        };
        flit.outputs &= !(1 << output);
        if flit.is_tail() | !more | !self.wiring.cut_through() {
            self.ports[self.first_port + output].want &= !(1 << at);
        }
        *flit
    }

    /// Counts a flit that leaves, and keeps the link until the next one may.
    #[inline]
    fn count(&mut self, output: usize, kind: u8) {
        let link = self.first_port + output;
        self.flits[link] += 1;
        if PAUSING {
            self.leaving.pauses.take(kind, link, self.now);
        }
    }

    /// Takes the first flit out of its queue and sends its slot's credit back.
    #[inline]
    fn dequeue(&mut self, at: usize) {
        let (nth, rest) = (self.first_queue + at, !(1 << at));
        let (queue, router) = (&mut self.queues[nth], &mut self.routers[self.tile]);
        queue.len -= 1;
        router.long &= rest;
        router.split &= rest;
        if VCS == 2 {
            router.tear(at, false);
        }
        if queue.len == 0 {
            router.occupied &= rest;
        } else {
            self.followed.push_if(nth as u32, true);
        }
        let (port, vc) = (self.first_port + at / self.vcs(), at % self.vcs());
        self.leaving.give_back::<false>(self.downstream, self.ports[port].feed + vc as u32);
    }
}
