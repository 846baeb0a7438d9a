//! The common case, in one go: flits without rivals.

use super::allocate::in_turn64;
use super::events::Leaving;
use super::state::{Downstream, Flit, Port, every};
use super::wheel::Arrival;
use super::wiring::Wiring;
use super::{Mesh, Way};
use crate::units::Cycle;

/// A packet of one flit that asks for one output.
#[derive(Debug, Clone, Copy)]
struct Single {
    /// Its queue, counted through the network.
    queue: usize,
    /// The port of the output.
    port: usize,
    tag: u32,
    way: Way,
}

impl Mesh<'_> {
    /// Moves flits to the outputs of a word that are `wanted`: every packet of one flit that is alone in its port and alone in
    /// asking for its output, behind which all virtual channels have a free slot. What it asks for it gets. With one virtual
    /// channel, the packet that holds it has no rivals either. The other outputs.
    /// `PAUSING` says whether there are links that do not take a flit in every cycle.
    #[inline(never)]
    pub(super) fn hop<const VCS: usize, const PAUSING: bool>(
        &mut self,
        word: usize,
        mut wanted: u64,
        now: Cycle,
    ) -> u64 {
        let Self { wiring, routers, ports, queues, turns, downstream, flits, leaving, followed, ports_awake, .. } = self;
        let flits = &mut flits[..ports.len()];
        let (port_bits, queue_bits, all) = (wiring.port_bits, wiring.queue_bits, every(VCS as u32));
        let mut others = 0;
        while wanted != 0 {
            let nth = word * 64 + wanted.trailing_zeros() as usize;
            let bit = wanted & wanted.wrapping_neg();
            wanted ^= bit;
            let tile = nth >> port_bits;
            let (router, port) = (&mut routers[tile], &mut ports[nth]);
            let (want, alone) = (port.want, alone::<VCS>(router.occupied) & !router.odd);
            if PAUSING && VCS == 1 && want & !alone == 0 && !leaving.pauses.is_open(nth, now) {
                port.wait(&mut downstream[nth], leaving, nth);
                continue;
            }
            let (first, held) = if VCS == 1 && port.held != 0 { (port.held & want, 0) } else { (want, port.held) };
            let rivals = (first & first.wrapping_sub(1)) | (first & !alone) | held | u64::from(port.credited ^ all);
            if first == 0 || rivals != 0 || (PAUSING && !leaving.pauses.is_open(nth, now)) {
                others |= bit;
                continue;
            }
            let at = (tile << queue_bits) + first.trailing_zeros() as usize;
            let queue = &mut queues[at];
            let Flit { tag, way, .. } = queue.front;
            queue.len -= 1;
            if queue.len == 0 {
                router.occupied ^= first;
            } else {
                followed.push(at as u32);
            }
            if VCS == 1 {
                (port.held, port.owned) = (0, 0);
                if want != first {
                    ports_awake.wake(nth);
                }
            }
            port.want = want ^ first;
            let flit = Single { queue: at, port: nth, tag, way };
            Clear { wiring, ports, turns, downstream, flits, leaving }.pass::<VCS, PAUSING>(flit, now);
        }
        others
    }

    /// Moves on those of the flits that have just come which nobody keeps from it, as [`Mesh::hop`] would; the others that might
    /// have stay in their queues, and their outputs are woken.
    #[inline(never)]
    pub(super) fn move_on<const VCS: usize, const PAUSING: bool>(&mut self, flits: &[Arrival], now: Cycle) {
        let Self { wiring, routers, ports, queues, turns, downstream, flits: counts, leaving, ports_awake, .. } = self;
        let flits_of = &mut counts[..ports.len()];
        let all = every(VCS as u32);
        for &Arrival { queue, tag, way, index: output, of } in flits {
            if of == 0 {
                continue;
            }
            let (tile, at) = wiring.place_of_queue(queue as usize);
            let (nth, own) = ((tile << wiring.port_bits) + usize::from(output), 1 << at);
            let (router, port) = (&mut routers[tile], &mut ports[nth]);
            let (alone, open) = (port.want == own, !PAUSING || leaving.pauses.is_open(nth, now));
            let beside = if VCS == 2 { router.occupied & (1 << (at ^ 1)) } else { 0 };
            if alone && open && beside | port.held | u64::from(port.credited ^ all) == 0 {
                port.want = 0;
                let flit = Single { queue: queue as usize, port: nth, tag, way };
                Clear { wiring, ports, turns, downstream, flits: flits_of, leaving }.pass::<VCS, PAUSING>(flit, now);
                continue;
            }
            let queue = &mut queues[queue as usize];
            (queue.front, queue.len) = (Flit { tag, way, outputs: 1 << output, index: 0, of: 1 }, 1);
            router.occupied |= own;
            if PAUSING && VCS == 1 && !open && (alone || port.held != 0) {
                port.wait(&mut downstream[nth], leaving, nth);
            } else {
                ports_awake.wake(nth);
            }
        }
    }
}

impl Port {
    /// Packets of one flit ask for a link that cannot take any now, over one virtual channel: one of them takes it.
    #[inline]
    fn wait(&mut self, downstream: &mut Downstream, leaving: &mut Leaving, link: usize) {
        if self.want == 0 {
            return;
        }
        if self.held == 0 {
            let at = in_turn64(self.want, downstream.turn) as u8;
            (self.owned, self.held) = (1, 1 << at);
            (downstream.owner, downstream.turn) = (at, at + 1);
        }
        leaving.pauses.wait(link);
    }
}

/// What a flit touches that nobody keeps from moving on.
struct Clear<'a> {
    wiring: &'a Wiring,
    ports: &'a mut [Port],
    turns: &'a mut [u16],
    downstream: &'a mut [Downstream],
    flits: &'a mut [u64],
    leaving: &'a mut Leaving,
}

impl Clear<'_> {
    /// Moves a flit, which is in its queue no more and asks for nothing any more, to its output.
    #[inline(always)]
    fn pass<const VCS: usize, const PAUSING: bool>(self, flit: Single, now: Cycle) {
        let Self { wiring, ports, turns, downstream, flits, leaving } = self;
        let Single { queue, port: nth, tag, way } = flit;
        let (output, at) = (nth & wiring.port_mask, queue & wiring.queue_mask);
        // The channel that comes first in turn: the second one after a packet has taken the first one.
        let vc = if VCS == 2 {
            let turn = &mut turns[queue];
            let vc = usize::from(usize::from(*turn) == output * VCS + 1);
            *turn = (output * VCS + vc) as u16 + 1;
            vc
        } else {
            0
        };
        let port = &mut ports[nth];
        let channel = &mut downstream[nth * VCS + vc];
        channel.turn = at as u8 + 1;
        channel.credits -= 1;
        if channel.credits == 0 {
            leaving.starved += 1;
            port.credited ^= 1 << vc;
        }
        port.turn = (at / VCS) as u8 + 1;
        flits[nth] += 1;
        let (behind, kind) = (port.behind, port.kind);
        let input = &mut ports[queue / VCS];
        input.output_turn = output as u8 + 1;
        input.vc_turn = ((at + 1) % VCS) as u8;
        leaving.give_back(downstream, input.feed + (at % VCS) as u32);
        if PAUSING {
            leaving.pauses.take(kind, nth, now);
        }
        let way = wiring.next(way, output);
        leaving.wheel.put(kind, Arrival { queue: behind + vc as u32, tag, way, index: 0, of: 1 });
    }
}

/// Queues that are the only ones of their ports with flits; none of them are found for many virtual channels.
#[inline]
fn alone<const VCS: usize>(occupied: u64) -> u64 {
    match VCS {
        1 => occupied,
        2 => {
            let both = occupied & (occupied >> 1) & 0x5555_5555_5555_5555;
            occupied & !(both | both << 1)
        }
        _ => 0,
    }
}
