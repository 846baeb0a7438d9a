//! The common case, in one go: flits without rivals.

use super::allocate::in_turn64;
use super::events::Leaving;
use super::rivals::{Rivals, take_turn};
use super::state::{Downstream, Flit, Port, every};
use super::wheel::{Arrival, Part};
use super::wiring::Wiring;
use super::{Mesh, NOTHING, Way};
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
    /// Moves packets of one flit to the outputs of a word that are `wanted`, where each packet that asks for an output is alone in
    /// its port: no port has to choose between outputs, so that each output settles who goes. The other outputs.
    /// `PAUSING` says whether there are links that do not take a flit in every cycle.
    #[inline(never)]
    pub(super) fn hop<const VCS: usize, const PAUSING: bool>(
        &mut self,
        word: usize,
        mut wanted: u64,
        now: Cycle,
    ) -> u64 {
        let Self { wiring, routers, ports, queues, turns, downstream, flits, leaving, followed, ports_awake, .. } =
            self;
        let flits = &mut flits[..ports.len()];
        let mut others = 0;
        while wanted != 0 {
            let nth = word * 64 + wanted.trailing_zeros() as usize;
            let bit = wanted & wanted.wrapping_neg();
            wanted ^= bit;
            let (tile, output) = wiring.place_of(nth);
            let (router, port) = (&mut routers[tile], &mut ports[nth]);
            let crowded = port.want & !(alone::<VCS>(router.occupied) & !router.odd) != 0;
            let open = !PAUSING || leaving.pauses.is_open(nth, now);
            if PAUSING && VCS == 1 && !crowded && !open {
                port.wait(&mut downstream[nth], leaving, nth);
                continue;
            }
            if crowded || !open {
                others |= bit;
                continue;
            }
            let first = tile << wiring.queue_bits;
            let Some(channels) = downstream[nth * VCS..].first_chunk_mut::<VCS>() else { continue };
            let settled = Rivals { port, channels, turns: &mut turns[first..], output }.settle();
            let Some(at) = settled.winner else {
                if settled.again {
                    ports_awake.wake(nth);
                }
                continue;
            };
            let Some(vc) = settled.channel else {
                ports[(first + at) / VCS].take_turns(at, output, VCS);
                ports_awake.wake(nth);
                continue;
            };
            let queue = &mut queues[first + at];
            let Flit { tag, way, .. } = queue.front;
            queue.len -= 1;
            if queue.len == 0 {
                router.occupied ^= 1 << at;
            } else {
                followed.push((first + at) as u32);
            }
            let port = &mut ports[nth];
            port.want ^= 1 << at;
            port.held ^= 1 << at;
            port.owned ^= 1 << vc;
            if port.want != 0 {
                ports_awake.wake(nth);
            }
            let flit = Single { queue: first + at, port: nth, tag, way };
            Clear { wiring, ports, downstream, flits, leaving }.pass::<VCS, PAUSING>(flit, vc, now);
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
        for &Arrival { queue, tag, way, part } in flits {
            if part.port() == NOTHING {
                continue;
            }
            let (nth, at) = (part.port() as usize, queue as usize & wiring.queue_mask);
            let (output, own) = (nth & wiring.port_mask, 1 << at);
            let port = &mut ports[nth];
            let (alone, open) = (port.want == own, !PAUSING || leaving.pauses.is_open(nth, now));
            if alone && open && port.held | u64::from(port.credited ^ all) == 0 {
                port.want = 0;
                let vc = if VCS == 2 { take_turn(&mut turns[queue as usize], output * VCS) } else { 0 };
                let flit = Single { queue: queue as usize, port: nth, tag, way };
                Clear { wiring, ports, downstream, flits: flits_of, leaving }.pass::<VCS, PAUSING>(flit, vc, now);
                continue;
            }
            let queue = &mut queues[queue as usize];
            (queue.front, queue.len) = (Flit { tag, way, outputs: 1 << output, index: 0, of: 1 }, 1);
            routers[nth >> wiring.port_bits].occupied |= own;
            if PAUSING && VCS == 1 && !open && (alone || port.held != 0) {
                port.wait(&mut downstream[nth], leaving, nth);
            } else {
                ports_awake.wake(nth);
            }
        }
    }
}

impl Port {
    /// Notes that this input has taken an output for one of its queues: others go first the next time.
    #[inline]
    pub fn take_turns(&mut self, at: usize, output: usize, vcs: usize) {
        self.output_turn = output as u8 + 1;
        self.vc_turn = ((at + 1) % vcs) as u8;
    }

    /// Packets of one flit ask for a link that cannot take any now, over one virtual channel: one of them takes it.
    #[inline]
    fn wait(&mut self, downstream: &mut Downstream, leaving: &mut Leaving, link: usize) {
        if self.want == 0 {
            return;
        }
        if self.held == 0 {
            let at = in_turn64(self.want, downstream.turn) as usize;
            self.give(downstream, at, 0);
        }
        leaving.pauses.wait(link);
    }
}

/// What a flit touches that nobody keeps from moving on.
struct Clear<'a> {
    wiring: &'a Wiring,
    ports: &'a mut [Port],
    downstream: &'a mut [Downstream],
    flits: &'a mut [u64],
    leaving: &'a mut Leaving,
}

impl Clear<'_> {
    /// Moves a flit, which is in its queue no more and asks for nothing any more, to its output.
    #[inline(always)]
    fn pass<const VCS: usize, const PAUSING: bool>(self, flit: Single, vc: usize, now: Cycle) {
        let Self { wiring, ports, downstream, flits, leaving } = self;
        let Single { queue, port: nth, tag, way } = flit;
        let (output, at) = (nth & wiring.port_mask, queue & wiring.queue_mask);
        let port = &mut ports[nth];
        let channel = &mut downstream[nth * VCS + vc];
        channel.turn = at as u8 + 1;
        channel.credits -= 1;
        if channel.credits == 0 {
            leaving.starved += 1;
            port.credited ^= 1 << vc;
        }
        flits[nth] += 1;
        let (behind, kind) = (port.behind, port.kind);
        port.turn = (at / VCS) as u8 + 1;
        let input = &mut ports[queue / VCS];
        input.take_turns(at, output, VCS);
        leaving.give_back(downstream, input.feed + (queue % VCS) as u32);
        if PAUSING {
            leaving.pauses.take(kind, nth, now);
        }
        let way = wiring.next(way, output);
        leaving.wheel.put(now, kind, Arrival { queue: behind + vc as u32, tag, way, part: Part::ONLY });
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
