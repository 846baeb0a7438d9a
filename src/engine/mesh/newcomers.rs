//! Flits that have just come: those that nobody keeps from it move on at once, and are never put into a queue.

use super::allocate::{held_vc, in_turn};
use super::clear::{Clear, Single};
use super::hop::of_port;
use super::rivals::take_turn;
use super::state::{Downstream, Flit, Port, every};
use super::wheel::{Arrival, Part};
use super::wiring::{Wiring, bits};
use super::{Mesh, NOTHING};
use crate::units::Cycle;

/// A flit that has just come: into a port without any, so that it may move on at once, or to wait.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Newcomer {
    /// Which one it is of those that have come.
    pub flit: u32,
    /// The port that it asks for, or [`SEVERAL`].
    pub port: u32,
}

/// Stands for the ports of a flit that asks for several of them.
pub(super) const SEVERAL: u32 = NOTHING;

impl Mesh<'_> {
    /// Moves on the only flit that has just come, if it is a packet that nobody keeps from it.
    #[inline]
    pub(super) fn come_alone<const VCS: usize, const PAUSING: bool>(&mut self, flit: Arrival, now: Cycle) -> bool {
        let Self { wiring, routers, ports, turns, downstream, flits, leaving, .. } = self;
        let Arrival { queue, tag, way, part } = flit;
        let (tile, own) = wiring.place_of_queue(queue as usize);
        if part != Part::ONLY || routers[tile].occupied & of_port::<VCS>(own) != 0 {
            return false;
        }
        let Some(output) = wiring.only_output(way, tile) else { return false };
        let nth = (tile << wiring.port_bits) + output as usize;
        let Port { want, held, credited, .. } = ports[nth];
        let free = want | held | u64::from(credited ^ every(VCS as u32)) == 0;
        if !free || (PAUSING && !leaving.pauses.is_open(nth, now)) {
            return false;
        }
        let vc = if VCS == 2 { take_turn(&mut turns[queue as usize], output as usize * VCS) } else { 0 };
        let flit = Single { queue: queue as usize, at: own, port: nth, output: output as usize, tag, way, part };
        Clear { wiring, ports, downstream, flits, leaving }.pass::<VCS, PAUSING, false>(flit, vc, now);
        true
    }

    /// Moves on those of the flits that have just come which nobody keeps from it, as routers would in the same cycle; the others
    /// that might have stay in their queues, and their outputs are woken.
    #[inline(never)]
    pub(super) fn move_on<const VCS: usize, const PAUSING: bool>(
        &mut self,
        flits: &[Arrival],
        newcomers: &mut [Newcomer],
        now: Cycle,
    ) {
        let Self { wiring, ports, turns, downstream, flits: counts, leaving, .. } = self;
        let (wiring, ports, turns, downstream) = (*wiring, &mut ports[..], &mut turns[..], &mut downstream[..]);
        let counts = &mut counts[..ports.len()];
        let (port_mask, queue_mask, all, mut left) = (wiring.port_mask, wiring.queue_mask, every(VCS as u32), 0);
        for nth in 0..newcomers.len() {
            let newcomer = newcomers[nth];
            let Arrival { queue, tag, way, part } = flits[newcomer.flit as usize];
            let (to, at) = (newcomer.port as usize, queue as usize & queue_mask);
            // Those that branch out have no port.
            if let Some(port) = ports.get_mut(to)
                && port.want == 1 << at
                && part == Part::ONLY
                && port.held | u64::from(port.credited ^ all) == 0
                && (!PAUSING || leaving.pauses.is_open(to, now))
            {
                port.want = 0;
                let output = to & port_mask;
                let vc = if VCS == 2 { take_turn(&mut turns[queue as usize], output * VCS) } else { 0 };
                let flit = Single { queue: queue as usize, at, port: to, output, tag, way, part: Part::ONLY };
                Clear { wiring, ports, downstream, flits: counts, leaving }.pass::<VCS, PAUSING, false>(flit, vc, now);
            } else {
                newcomers[left] = newcomer;
                left += 1;
            }
        }
        for &Newcomer { flit, port } in &newcomers[..left] {
            let flit = &flits[flit as usize];
            let moved = match port {
                SEVERAL => self.branch_out::<VCS, PAUSING>(flit, now),
                _ => self.follow::<VCS, PAUSING>(flit, port, now),
            };
            if !moved {
                self.stay::<VCS, PAUSING>(flit, port, now);
            }
        }
    }

    /// Moves on a flit that has just come to the output that it asks for, if it is alone in asking and the output
    /// [lets](Port::lets) it; whether it has.
    #[inline]
    fn follow<const VCS: usize, const PAUSING: bool>(&mut self, flit: &Arrival, port: u32, now: Cycle) -> bool {
        let Self { wiring, ports, turns, downstream, flits, leaving, .. } = self;
        let Arrival { queue, tag, way, part } = *flit;
        let (queue, nth) = (queue as usize, port as usize);
        let (at, output, port) = (queue & wiring.queue_mask, nth & wiring.port_mask, &mut ports[nth]);
        let channels = &mut downstream[nth * VCS..][..VCS];
        if PAUSING || port.want != 1 << at || !port.lets::<VCS>(wiring, channels, at, part) {
            return false;
        }
        port.want = 0;
        let vc = port.lead::<VCS>(channels, &mut turns[queue], (at, output), part);
        let flit = Single { queue, at, port: nth, output, tag, way, part };
        Clear { wiring, ports, downstream, flits, leaving }.pass::<VCS, PAUSING, false>(flit, vc, now);
        true
    }

    /// Puts a flit that has just come, and asks for its outputs, into its queue, where there is none.
    #[inline]
    fn stay<const VCS: usize, const PAUSING: bool>(&mut self, flit: &Arrival, port: u32, now: Cycle) {
        let Self { wiring, routers, ports, queues, leaving, ports_awake, .. } = self;
        let Arrival { queue, tag, way, part } = *flit;
        let (tile, at) = wiring.place_of_queue(queue as usize);
        let (first, split, router) = (tile << wiring.port_bits, port == SEVERAL, &mut routers[tile]);
        let outputs = if split { wiring.outputs(way, tile) } else { 1 << (port as usize - first) };
        let queue = &mut queues[queue as usize];
        (queue.front, queue.len) = (Flit { tag, way, outputs, index: part.index(), of: part.of() }, 1);
        router.come_first(at, part.of() > 1, split);
        if split {
            return bits(outputs).for_each(|output| ports_awake.wake(first + output as usize));
        }
        let nth = port as usize;
        let Port { held, credited, .. } = ports[nth];
        // Who holds the channel of an open link leaves in this cycle anyway.
        if !(PAUSING && VCS == 1 && held != 0 && credited != 0 && leaving.pauses.is_open(nth, now)) {
            ports_awake.wake(nth);
        }
    }

    /// Moves on a flit that has just come to several outputs, if nobody keeps it from any of them; whether it has.
    #[inline]
    fn branch_out<const VCS: usize, const PAUSING: bool>(&mut self, flit: &Arrival, now: Cycle) -> bool {
        let Self { wiring, ports, turns, downstream, flits, leaving, .. } = self;
        let Arrival { queue, tag, way, part } = *flit;
        let (queue, (tile, at)) = (queue as usize, wiring.place_of_queue(queue as usize));
        let (first, outputs) = (tile << wiring.port_bits, wiring.outputs(way, tile));
        let lets = |output: u32| {
            let (nth, port) = (first + output as usize, &ports[first + output as usize]);
            port.want == 1 << at && port.lets::<VCS>(wiring, &downstream[nth * VCS..][..VCS], at, part)
        };
        if outputs == 0 || !bits(outputs).all(lets) {
            return false;
        }
        for output in bits(outputs) {
            let (output, nth) = (output as usize, first + output as usize);
            let channels = &mut downstream[nth * VCS..][..VCS];
            ports[nth].want = 0;
            let vc = ports[nth].lead::<VCS>(channels, &mut turns[queue], (at, output), part);
            let flit = Single { queue, at, port: nth, output, tag, way, part };
            Clear { wiring, ports, downstream, flits, leaving }.send::<VCS, PAUSING, false>(flit, vc, now);
        }
        let input = &mut ports[queue / VCS];
        input.take_turns(at, in_turn(outputs, input.output_turn) as usize, VCS);
        leaving.give_back::<false>(downstream, input.feed + (queue % VCS) as u32);
        leaving.resident += u64::from(outputs.count_ones()) - 1;
        true
    }
}

impl Port {
    /// Whether a flit of a queue can leave by this output, which nobody else asks for: whether its packet holds a virtual channel
    /// with a free slot, or, if it is the first one, whether all of those that are free have room for it.
    #[inline]
    fn lets<const VCS: usize>(&self, wiring: &Wiring, channels: &[Downstream], at: usize, part: Part) -> bool {
        if part.index() > 0 {
            let credited = self.credited >> held_vc(self.owned, channels, at) & 1;
            return self.held >> at & u64::from(credited) != 0;
        }
        let free = every(VCS as u32) & !self.owned;
        free != 0 && free & !(self.credited & wiring.roomy(part.of(), channels)) == 0
    }

    /// The virtual channel by which such a flit leaves: the first flit of a packet takes it, and the last one gives it back.
    #[inline]
    fn lead<const VCS: usize>(
        &mut self,
        channels: &mut [Downstream],
        turn: &mut u16,
        (at, output): (usize, usize),
        part: Part,
    ) -> usize {
        let (first, free) = (output * VCS, every(VCS as u32) & !self.owned);
        let vc = match part.index() {
            0 if VCS == 2 && free == 3 => take_turn(turn, first),
            0 => free.trailing_zeros() as usize,
            _ => held_vc(self.owned, channels, at),
        };
        if part.index() > 0 {
            self.held ^= u64::from(part.is_tail()) << at;
            self.owned ^= u16::from(part.is_tail()) << vc;
            return vc;
        }
        *turn = (first + vc) as u16 + 1;
        if !part.is_tail() {
            self.give(&mut channels[vc], at, vc);
        }
        vc
    }
}
