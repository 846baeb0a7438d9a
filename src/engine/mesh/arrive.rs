//! Flits and credits reach routers, and wake those that can do something with them.

use super::awake::Awake;
use super::events::Leaving;
use super::hop::of_port;
use super::newcomers::{Newcomer, SEVERAL};
use super::pool::{Followed, NOBODY};
use super::state::{Downstream, Flit, Port, Queue, Router};
use super::wheel::{Arrival, Part};
use super::wiring::{Wiring, bits};
use super::{Delivery, Mesh, NOTHING};
use crate::units::{Cycle, UnitId};
use std::hint::select_unpredictable;

/// Free slots on their way from which on they are handed out though nobody waits for any.
const MANY_SLOTS: usize = 64;

/// Packets that reach units in a cycle, up to which they are sorted, not told of by [`Reached`](super::awake::Reached).
const FEW: usize = 4;

impl Mesh<'_> {
    /// Flits and credits that are due arrive; what has reached a unit is added to `deliveries`. Packets of one flit that nobody
    /// keeps from it move on at once. Units that are patient take flits only where they are `asked` to, or where slots are scarce.
    #[inline]
    pub(super) fn arrive<const VCS: usize, const PAUSING: bool>(
        &mut self,
        now: Cycle,
        asked: bool,
        deliveries: &mut Vec<Delivery>,
    ) {
        self.leaving.turn.empty(now);
        let scarce = self.leaving.counts_slots();
        if self.leaving.wheel.to_units().first <= now && (asked || scarce || !self.leaving.patient) {
            self.eject::<VCS>(now, deliveries);
        }
        let returning = self.leaving.returning.len() + self.leaving.ejected.len();
        if returning > 0 && (scarce || returning >= MANY_SLOTS) {
            self.take_credits(now);
        }
        if PAUSING {
            while let Some(link) = self.leaving.pauses.next_open(now) {
                self.reopen::<VCS>(link, now);
            }
        }
        let Some((first, mut others)) = self.leaving.wheel.take(now) else { return };
        if others.is_empty() {
            if VCS == 0 || !self.come_alone::<VCS, PAUSING>(first, now) {
                self.come::<VCS, PAUSING>(&[first], now);
            }
            return;
        }
        others.push(first);
        self.come::<VCS, PAUSING>(&others, now);
        self.leaving.wheel.recycle(others);
    }

    /// Flits come to routers.
    #[inline(always)]
    fn come<const VCS: usize, const PAUSING: bool>(&mut self, flits: &[Arrival], now: Cycle) {
        let mut newcomers = std::mem::take(&mut self.newcomers);
        if newcomers.len() < flits.len() {
            newcomers.resize(flits.len(), Newcomer::default());
        }
        let count = self.enqueue::<VCS, PAUSING>(flits, &mut newcomers, now);
        if VCS != 0 && count > 0 {
            self.move_on::<VCS, PAUSING>(flits, &mut newcomers[..count], now);
        }
        self.newcomers = newcomers;
    }

    /// Slots that are free again by now can be filled.
    pub(super) fn take_credits(&mut self, now: Cycle) {
        let Self { leaving, downstream, revived, .. } = self;
        for ring in [&mut leaving.returning, &mut leaving.ejected] {
            let slots = ring.take(now);
            for slots in ring.slices(slots) {
                for &at in slots {
                    let downstream = &mut downstream[at as usize];
                    downstream.credits += 1;
                    leaving.starved -= u32::from(downstream.credits == leaving.longest);
                    // More free slots than the longest packet has flits change nothing.
                    if downstream.credits <= leaving.longest {
                        revived.push(at);
                    }
                }
            }
        }
        while let Some(at) = self.revived.pop() {
            self.look_again(at as usize);
        }
    }

    /// Units take flits, in the cycles in which they come.
    fn eject<const VCS: usize>(&mut self, now: Cycle, deliveries: &mut Vec<Delivery>) {
        let vcs = if VCS == 0 { self.vcs } else { VCS };
        let Leaving { wheel, ejected, instant, last, resident, .. } = &mut self.leaving;
        let flits = wheel.to_units_mut();
        while let Some((cycle, taken)) = flits.take_first(now) {
            let (first, few) = (deliveries.len(), taken.len() <= FEW);
            *resident -= taken.len() as u64;
            for &Arrival { queue: channel, tag, part, .. } in flits.slices(taken).into_iter().flatten() {
                if !self.downstream[channel as usize].take_back(*instant) {
                    ejected.push(channel);
                }
                if part.is_tail() {
                    let unit = self.wiring.behind[channel as usize / vcs];
                    if few {
                        deliveries.push(Delivery { cycle, unit: UnitId(unit), tag });
                    } else {
                        self.reached.mark(unit as usize, tag);
                    }
                }
            }
            if few {
                deliveries[first..].sort_unstable();
            } else {
                self.reached.drain(|unit, tag| deliveries.push(Delivery { cycle, unit: UnitId(unit as u32), tag }));
            }
            ejected.close(cycle);
            *last = cycle + self.wiring.timing.credit_cycles.max(1);
        }
    }

    /// Whoever sends into a virtual channel with a slot that is free again.
    fn look_again(&mut self, downstream: usize) {
        let (at, vc) = (downstream / self.vcs, downstream % self.vcs);
        if let Some(port) = self.ports.get_mut(at) {
            port.credited |= 1 << vc;
            self.wake(at);
        } else {
            let unit = at - self.ports.len();
            self.sources[unit].credited |= 1 << vc;
            self.sources_awake.wake(unit);
        }
    }

    /// A link that somebody waits for can take a flit again.
    fn reopen<const VCS: usize>(&mut self, link: usize, now: Cycle) {
        let Some(port) = self.ports.get_mut(link) else {
            return self.sources_awake.wake(link - self.ports.len());
        };
        if VCS == 1 {
            let downstream = &mut self.downstream[link];
            port.settle(downstream, &mut self.leaving.pauses, link, now);
            let odd = self.routers[link >> self.wiring.port_bits].odd();
            if port.credited != 0 && port.want & port.held & !odd != 0 {
                return self.departing.push(link as u32);
            }
        }
        self.wake(link);
    }

    /// An output is looked at again if anybody wants it.
    fn wake(&mut self, port: usize) {
        if self.ports[port].want != 0 {
            self.ports_awake.wake(port);
        }
    }

    /// Flits come into their queues. Those that come into ports without any may move on at once: they are noted at the beginning of
    /// `newcomers`, which has room for all, instead. How many these are.
    #[inline(never)]
    fn enqueue<const VCS: usize, const PAUSING: bool>(
        &mut self,
        flits: &[Arrival],
        newcomers: &mut [Newcomer],
        now: Cycle,
    ) -> usize {
        let mut line = Line::<VCS, PAUSING>::of(self, now);
        let wiring = line.wiring;
        // as `place_of_queue` does, with the mask in a register
        let queue_mask = wiring.queue_mask;
        let (mut count, mut rest) = (0, newcomers.len());
        for (flit, nth) in flits.iter().zip(0..) {
            let (tile, own) = (flit.queue as usize >> wiring.queue_bits, flit.queue as usize & queue_mask);
            let first = tile << wiring.port_bits;
            let empty = VCS != 0 && line.routers[tile].occupied & of_port::<VCS>(own) == 0;
            let (port, moves) = if let Some(output) = wiring.only_output(flit.way, tile) {
                let port = first + output as usize;
                let moves = empty
                    && (!PAUSING || flit.part == Part::ONLY && (VCS != 1 || line.leaving.pauses.is_open(port, now)));
                line.ports[port].want |= u64::from(moves) << own;
                (port as u32, moves)
            } else {
                if empty && !PAUSING {
                    for output in bits(wiring.outputs(flit.way, tile)) {
                        line.ports[first + output as usize].want |= 1 << own;
                    }
                }
                (SEVERAL, empty && !PAUSING)
            };
            // Nobody could foresee which one it is.
            rest -= usize::from(!moves);
            newcomers[select_unpredictable(moves, count, rest)] = Newcomer { flit: nth, port };
            count += usize::from(moves);
        }
        line.line_up(flits, &mut newcomers[rest..]);
        count
    }

    /// The next flits of queues whose first ones have left come to the front.
    pub(super) fn step_up<const VCS: usize, const PAUSING: bool>(&mut self, now: Cycle) {
        let mut followed = std::mem::take(&mut self.followed);
        Line::<VCS, PAUSING>::of(self, now).step_up(&mut followed);
        self.followed = followed;
    }
}

/// What flits touch in a cycle that take their places in queues.
pub(super) struct Line<'a, const VCS: usize, const PAUSING: bool> {
    pub wiring: &'a Wiring,
    pub now: Cycle,
    pub routers: &'a mut [Router],
    pub ports: &'a mut [Port],
    pub queues: &'a mut [Queue],
    pub ready: &'a mut [Cycle],
    pub downstream: &'a mut [Downstream],
    pub awake: &'a mut Awake,
    pub leaving: &'a mut Leaving,
}

impl<'a, const VCS: usize, const PAUSING: bool> Line<'a, VCS, PAUSING> {
    #[inline(always)]
    fn of(mesh: &'a mut Mesh<'_>, now: Cycle) -> Self {
        let Mesh { wiring, routers, ports, queues, ready, downstream, ports_awake: awake, leaving, .. } = mesh;
        Self { wiring, now, routers, ports, queues, ready, downstream, awake, leaving }
    }

    /// Those of the flits that have come which wait take their places in queues, all of them behind others at first: which queues had
    /// none before, nobody could foresee. Behind links that pause, most have none.
    #[inline(always)]
    fn line_up(&mut self, flits: &[Arrival], waiting: &mut [Newcomer]) {
        let mut firsts = 0;
        for nth in 0..waiting.len() {
            let Newcomer { flit, port } = waiting[nth];
            let Arrival { queue: at, tag, way, part } = flits[flit as usize];
            let outputs = if port == SEVERAL {
                self.wiring.outputs(way, self.wiring.place_of_queue(at as usize).0)
            } else {
                1 << (port as usize & self.wiring.port_mask)
            };
            let flit = Flit { tag, way, outputs, index: part.index(), of: part.of() };
            let queue = &mut self.queues[at as usize];
            queue.len += 1;
            if PAUSING && queue.len == 1 {
                queue.front = flit;
                self.be_first(at as usize, flit);
                continue;
            }
            let pool = &mut self.leaving.pool;
            let place = pool.add(flit);
            let alone = queue.second == NOTHING;
            pool.get_mut(select_unpredictable(alone, NOBODY, queue.last)).next = place;
            queue.second = select_unpredictable(alone, place, queue.second);
            queue.last = place;
            waiting[firsts] = waiting[nth];
            firsts += usize::from(queue.len == 1);
            if part.index() > 0 && self.wiring.cut_through() {
                self.follow(at as usize, outputs);
            }
        }
        for first in &waiting[..firsts] {
            let at = flits[first.flit as usize].queue as usize;
            let flit = self.advance(at);
            self.be_first(at, flit);
        }
    }

    /// A flit that has just come is the first one of a queue.
    #[inline(always)]
    fn be_first(&mut self, at: usize, flit: Flit) {
        if let Some(ready) = self.ready.get_mut(at) {
            *ready = self.now + self.wiring.timing.head_cycles.saturating_sub(1);
        }
        self.come_first(at, flit, self.now);
    }

    /// The next flits of queues come to their fronts, when those before have left.
    #[inline(always)]
    pub fn step_up(&mut self, followed: &mut Followed) {
        for &at in followed.drain() {
            let at = at as usize;
            if let Some(ready) = self.ready.get_mut(at) {
                *ready = self.now + self.wiring.timing.head_cycles;
            }
            let flit = self.advance(at);
            self.come_first(at, flit, self.now + 1);
        }
    }

    /// Puts the next flit of a queue to its front, and gives it.
    #[inline(always)]
    fn advance(&mut self, at: usize) -> Flit {
        let queue = &mut self.queues[at];
        let next = self.leaving.pool.take(queue.second);
        (queue.front, queue.second) = (next.flit, next.next);
        next.flit
    }

    /// A flit that is the first of a router's queue asks for its outputs, from a cycle on.
    #[inline]
    fn come_first(&mut self, whole: usize, flit: Flit, from: Cycle) {
        let (tile, at) = self.wiring.place_of_queue(whole);
        let (router, bit) = (&mut self.routers[tile], 1 << at);
        let (long, split) = (flit.of != 1, self.wiring.splits(flit.way));
        router.come_first(at, long, split);
        if VCS == 2 {
            let beside = self.queues[whole ^ 1].front.outputs;
            router.tear(at, (router.occupied >> (at ^ 1) & 1 != 0) & (beside != flit.outputs));
        }
        if long || split {
            self.ask_all(tile, at, flit.outputs, from);
        } else {
            let odd = router.odd();
            let port = (tile << self.wiring.port_bits) + flit.outputs.trailing_zeros() as usize;
            let wants = self.ask(port, bit, from);
            if PAUSING && wants & odd == 0 && self.leaving.pauses.can_put_off(port, from) {
                // A longer packet may hold the channel, and wait for its next flit.
                if wants == bit && self.ports[port].held == 0 {
                    self.leaving.pauses.put_off(port, from);
                }
                self.leaving.wait(port, from);
            } else {
                self.awake.wake(port);
            }
        }
    }

    /// A queue asks for an output, from a cycle on; those who do.
    #[inline]
    fn ask(&mut self, nth: usize, bit: u64, from: Cycle) -> u64 {
        let port = &mut self.ports[nth];
        if PAUSING {
            port.settle(&mut self.downstream[nth], &mut self.leaving.pauses, nth, from);
        }
        port.want |= bit;
        port.want
    }

    /// A queue asks for several outputs.
    fn ask_all(&mut self, tile: usize, at: usize, outputs: u32, from: Cycle) {
        for output in bits(outputs) {
            let port = self.wiring.port(tile, output);
            self.ask(port, 1 << at, from);
            self.awake.wake(port);
        }
    }

    /// The last flit of a queue may leave by outputs that have taken those of its packet before it.
    fn follow(&mut self, at: usize, outputs: u32) {
        let Queue { front, len, .. } = self.queues[at];
        if len > 1 && u32::from(front.index) + u32::from(len) - 1 < u32::from(front.of) {
            let (tile, at) = self.wiring.place_of_queue(at);
            self.ask_all(tile, at, outputs, self.now);
        }
    }
}
