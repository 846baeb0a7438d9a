//! Flits that have just come: those that nobody keeps from it move on at once, and are never put into a queue.

use super::Mesh;
use super::allocate::{held_vc, in_turn};
use super::clear::{Clear, Single};
use super::hop::of_port;
use super::rivals::take_turn;
use super::state::{Downstream, Flit, Port, Queue, every};
use super::wheel::{Arrival, Part, SEVERAL};
use super::wiring::{Wiring, bits};
use crate::units::Cycle;

impl Mesh<'_> {
    /// Moves on the only flit that has just come, if it is a packet that nobody keeps from it.
    #[inline]
    pub(super) fn come_alone<const VCS: usize, const PAUSING: bool>(&mut self, flit: Arrival, now: Cycle) -> bool {
        let Self { wiring, routers, ports, turns, downstream, flits, leaving, .. } = self;
        let Arrival { queue, tag, way, part, .. } = flit;
        let (tile, own) = wiring.place_of_queue(queue as usize);
        if !wiring.plain || part != Part::ONLY || routers[tile].occupied & of_port::<VCS>(own) != 0 {
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
        let flit = Single { queue: queue as usize, port: nth, tag, way, part };
        Clear { wiring, ports, downstream, flits, leaving }.pass::<VCS, PAUSING>(flit, vc, now);
        true
    }

    /// Moves on those of the flits that have just come which nobody keeps from it, as [`Mesh::hop`] would; the others that might
    /// have stay in their queues, and their outputs are woken.
    #[inline(never)]
    pub(super) fn move_on<const VCS: usize, const PAUSING: bool>(&mut self, flits: &[Arrival], now: Cycle) {
        let Self { wiring, routers, ports, queues, turns, downstream, flits: counts, leaving, ports_awake, .. } = self;
        let (wiring, ports, turns, downstream) = (*wiring, &mut ports[..], &mut turns[..], &mut downstream[..]);
        let flits_of = &mut counts[..ports.len()];
        let (port_mask, queue_mask) = (wiring.port_mask, wiring.queue_mask);
        let (all, mut several) = (every(VCS as u32), false);
        for &Arrival { queue, tag, way, part, port } in flits {
            if port >= SEVERAL {
                several |= port == SEVERAL;
                continue;
            }
            let (nth, at) = (port as usize, queue as usize & queue_mask);
            let (output, own) = (nth & port_mask, 1 << at);
            let port = &mut ports[nth];
            let (alone, open) = (port.want == own, !PAUSING || leaving.pauses.is_open(nth, now));
            let channel = if !(alone && open) {
                None
            } else if part == Part::ONLY && port.held | u64::from(port.credited ^ all) == 0 {
                Some(if VCS == 2 { take_turn(&mut turns[queue as usize], output * VCS) } else { 0 })
            } else {
                let channels = &mut downstream[nth * VCS..][..VCS];
                let lets = !PAUSING && port.lets::<VCS>(wiring, channels, at, part);
                lets.then(|| port.lead::<VCS>(channels, &mut turns[queue as usize], (at, output), part))
            };
            if let Some(vc) = channel {
                port.want = 0;
                let flit = Single { queue: queue as usize, port: nth, tag, way, part };
                Clear { wiring, ports, downstream, flits: flits_of, leaving }.pass::<VCS, PAUSING>(flit, vc, now);
                continue;
            }
            let queue = &mut queues[queue as usize];
            let (index, of) = (part.index(), part.of());
            (queue.front, queue.len) = (Flit { tag, way, outputs: 1 << output, index, of }, 1);
            let router = &mut routers[nth >> wiring.port_bits];
            router.occupied |= own;
            router.long |= u64::from(part != Part::ONLY) << at;
            // Who holds the channel of an open link leaves in this cycle anyway.
            if !(PAUSING && VCS == 1 && open && port.held != 0 && port.credited != 0) {
                ports_awake.wake(nth);
            }
        }
        if several {
            let several = flits.iter().filter(|flit| flit.port == SEVERAL);
            several.for_each(|flit| self.branch_out::<VCS, PAUSING>(flit, now));
        }
    }

    /// Moves on a flit that has just come to several outputs, if nobody keeps it from any of them; otherwise it stays in its queue.
    #[inline(never)]
    fn branch_out<const VCS: usize, const PAUSING: bool>(&mut self, flit: &Arrival, now: Cycle) {
        let Self { wiring, routers, ports, queues, turns, downstream, flits, leaving, ports_awake, .. } = self;
        let Arrival { queue, tag, way, part, .. } = *flit;
        let (queue, (tile, at)) = (queue as usize, wiring.place_of_queue(queue as usize));
        let (first, own, outputs) = (tile << wiring.port_bits, 1 << at, wiring.outputs(way, tile));
        let lets = |output: u32| {
            let nth = first + output as usize;
            ports[nth].want == own && ports[nth].lets::<VCS>(wiring, &downstream[nth * VCS..][..VCS], at, part)
        };
        if outputs == 0 || !bits(outputs).all(lets) {
            queues[queue] = Queue { len: 1, ..Queue::empty() };
            queues[queue].front = Flit { tag, way, outputs, index: part.index(), of: part.of() };
            let router = &mut routers[tile];
            router.occupied |= own;
            router.long |= u64::from(part.of() > 1) << at;
            router.split |= own;
            bits(outputs).for_each(|output| ports_awake.wake(first + output as usize));
            return;
        }
        for output in bits(outputs) {
            let (output, nth) = (output as usize, first + output as usize);
            let channels = &mut downstream[nth * VCS..][..VCS];
            ports[nth].want = 0;
            let vc = ports[nth].lead::<VCS>(channels, &mut turns[queue], (at, output), part);
            let flit = Single { queue, port: nth, tag, way, part };
            Clear { wiring, ports, downstream, flits, leaving }.send::<VCS, PAUSING>(flit, vc, now);
        }
        let input = &mut ports[queue / VCS];
        input.take_turns(at, in_turn(outputs, input.output_turn) as usize, VCS);
        leaving.give_back(downstream, input.feed + (queue % VCS) as u32);
        leaving.resident += u64::from(outputs.count_ones()) - 1;
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
