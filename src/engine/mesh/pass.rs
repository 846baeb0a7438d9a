//! Flits on the move: from a queue through the switch to a link or a unit.

use super::allocate::Visit;
use super::events::{Arrival, Ejection};
use super::state::{Flit, Port, every};
use super::wiring::bits;
use super::{NOTHING, SIDES};

impl<const VCS: usize> Visit<'_, VCS> {
    /// Moves every flit of a packet of one that is alone in its port and alone in asking for its output, behind which all
    /// virtual channels have a free slot: what it asks for it gets. The outputs for which others ask.
    #[inline]
    pub(super) fn pass_unopposed(&mut self) -> u32 {
        if !self.wiring.plain {
            return self.router.wanted;
        }
        let alone = self.alone() & !self.router.odd;
        let all = every(self.vcs() as u32);
        let mut others = 0;
        for output in bits(self.router.wanted) {
            let Port { want, held, credited, .. } = self.ports[output as usize];
            if want & (want - 1) == 0 && want & alone != 0 && held == 0 && credited == all {
                self.hop(want.trailing_zeros() as usize, output as usize);
            } else {
                others |= 1 << output;
            }
        }
        others
    }

    /// Queues that are the only ones of their ports with flits.
    #[inline]
    fn alone(&self) -> u64 {
        let occupied = self.router.occupied;
        match VCS {
            1 => occupied,
            2 => {
                let both = occupied & (occupied >> 1) & 0x5555_5555_5555_5555;
                occupied & !(both | both << 1)
            }
            _ => {
                let several = |port: &usize| {
                    ((occupied >> (port * self.vcs())) & u64::from(every(self.vcs() as u32))).count_ones() > 1
                };
                let crowded = (0..self.ports.len()).filter(several);
                let group = u64::from(every(self.vcs() as u32));
                crowded.fold(occupied, |alone, port| alone & !(group << (port * self.vcs())))
            }
        }
    }

    /// Moves such a flit.
    #[inline]
    fn hop(&mut self, at: usize, output: usize) {
        let (vcs, first) = (self.vcs(), output * self.vcs());
        let (input, own) = (at / vcs, at % vcs);
        let queue = &mut self.queues[at];
        let Flit { tag, way, index, of, .. } = queue.front;
        let turn = usize::from(queue.turn).wrapping_sub(first);
        let vc = if turn < vcs { turn } else { 0 };
        queue.turn = (first + vc + 1) as u16;
        queue.len -= 1;
        let left = queue.len;
        let port = &mut self.ports[output];
        let downstream = &mut self.downstream[first + vc];
        downstream.turn = at as u8 + 1;
        downstream.credits -= 1;
        port.credited &= !(u16::from(downstream.credits == 0) << vc);
        port.want = 0;
        port.turn = input as u8 + 1;
        let (behind, kind) = (port.behind, port.kind);
        self.router.wanted &= !(1 << output);
        let port = &mut self.ports[input];
        port.output_turn = output as u8 + 1;
        port.vc_turn = if own + 1 == vcs { 0 } else { own as u8 + 1 };
        self.leaving.give_back(port.feed + own as u32, self.now);
        if left == 0 {
            self.router.occupied &= !(1 << at);
        } else {
            self.followed |= 1 << at;
        }
        self.flits[output] += 1;
        self.leaving.moves += 1;
        if output < SIDES as usize {
            let way = self.wiring.next(way, output);
            self.leaving.over_link(kind, self.now, Arrival { queue: behind + vc as u32, tag, way, index, of });
        } else {
            let downstream = self.first_downstream + (first + vc) as u32;
            self.leaving.to_unit(self.now, Ejection { downstream, tag, unit: behind });
        }
    }

    /// Moves a flit of a queue, the first or one in the pool, to an output, into a virtual channel of its packet with a free slot.
    #[inline]
    pub(super) fn pass(&mut self, at: usize, place: u32, output: usize, vc: usize) {
        let flit = self.leave(at, place, output);
        let first = output * self.vcs() + vc;
        let (port, downstream) = (&mut self.ports[output], &mut self.downstream[first]);
        downstream.credits -= 1;
        port.credited &= !(u16::from(downstream.credits == 0) << vc);
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
        if output < SIDES as usize {
            let way = self.wiring.next(way, output);
            let arrival = Arrival { queue: behind + vc as u32, tag, way, index, of };
            self.leaving.over_link(kind, self.now, arrival);
        } else {
            let unit = if flit.is_tail() { behind } else { NOTHING };
            let downstream = self.first_downstream + first as u32;
            self.leaving.to_unit(self.now, Ejection { downstream, tag, unit });
        }
    }

    /// Notes that a flit leaves by an output, and whether its queue still has one for it.
    #[inline]
    fn leave(&mut self, at: usize, place: u32, output: usize) -> Flit {
        let queue = &mut self.queues[at];
        let (flit, more) = if place == NOTHING {
            (&mut queue.front, queue.len > 1)
        } else {
            let place = self.leaving.pool.get_mut(place);
            (&mut place.flit, place.next != NOTHING)
        };
        flit.outputs &= !(1 << output);
        if flit.is_tail() || !more || !self.wiring.cut_through() {
            let port = &mut self.ports[output];
            port.want &= !(1 << at);
            self.router.wanted &= !(u32::from(port.want == 0) << output);
        }
        *flit
    }

    /// Counts a flit that leaves, and keeps the link until the next one may.
    #[inline]
    fn count(&mut self, output: usize, kind: u8) {
        let interval = self.wiring.intervals[kind as usize];
        self.leaving.moves += 1;
        self.flits[output] += 1;
        if interval > 1 {
            self.router.open &= !(1 << output);
            let port = self.router.first_port + output as u32;
            self.leaving.pauses[kind as usize].push(self.now + interval, port);
        }
    }

    /// Takes the first flit out of its queue and sends its slot's credit back.
    #[inline]
    fn dequeue(&mut self, at: usize) {
        let queue = &mut self.queues[at];
        queue.len -= 1;
        self.router.odd &= !(1 << at);
        if queue.len == 0 {
            self.router.occupied &= !(1 << at);
        } else {
            self.step_up(at);
        }
        let (port, vc) = (at / self.vcs(), at % self.vcs());
        self.leaving.give_back(self.ports[port].feed + vc as u32, self.now);
    }

    /// The next flit of a queue comes to its front.
    pub(super) fn step_up(&mut self, at: usize) {
        let queue = &mut self.queues[at];
        let next = self.leaving.pool.take(queue.second);
        (queue.front, queue.second) = (next.flit, next.next);
        for output in bits(next.flit.outputs) {
            self.ports[output as usize].want |= 1 << at;
        }
        self.router.wanted |= next.flit.outputs;
        self.router.odd |= u64::from(next.flit.is_odd()) << at;
        if let Some(ready) = self.ready.get_mut(at) {
            *ready = self.now + self.wiring.timing.head_cycles;
        }
    }
}
