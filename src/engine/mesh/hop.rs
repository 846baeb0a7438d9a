//! The common case, in one go: flits without rivals.

use super::allocate::{Round, held_vc, in_turn, in_turn64};
use super::awake::Awake;
use super::events::Leaving;
use super::pauses::Pauses;
use super::rivals::{Rivals, take_turn};
use super::state::{Downstream, Flit, Port, Queue, Router, every};
use super::wheel::{Arrival, Part, SEVERAL};
use super::wiring::{Wiring, bits};
use super::{Mesh, NOTHING, Way};
use crate::units::Cycle;

/// A flit that asks for one output.
#[derive(Debug, Clone, Copy)]
struct Single {
    /// Its queue, counted through the network.
    queue: usize,
    /// The port of the output.
    port: usize,
    tag: u32,
    way: Way,
    part: Part,
}

impl<const VCS: usize, const PAUSING: bool> Round<'_, VCS, PAUSING> {
    /// Moves flits to the outputs of a word that are `wanted`, where each packet that asks for an output is alone in
    /// its port: no port has to choose between outputs, so that each output settles who goes. The other outputs.
    #[inline(never)]
    pub(super) fn hop(&mut self, word: usize, mut wanted: u64) -> u64 {
        let Self { wiring, now, routers, ports, queues, turns, downstream, flits, leaving, followed, awake, .. } = self;
        let now = *now;
        let mut others = 0;
        while wanted != 0 {
            let nth = word * 64 + wanted.trailing_zeros() as usize;
            let bit = wanted & wanted.wrapping_neg();
            wanted ^= bit;
            let (tile, output) = wiring.place_of(nth);
            let (router, port) = (&mut routers[tile], &mut ports[nth]);
            let crowded = port.want & !(alone::<VCS>(router.occupied) & !router.odd()) != 0;
            let open = !PAUSING || leaving.pauses.is_open(nth, now);
            if PAUSING && VCS == 1 {
                port.settle(&mut downstream[nth], &mut leaving.pauses, nth, now);
                leaving.pauses.put_off(nth, Cycle::MAX);
            }
            if PAUSING && VCS == 1 && !crowded && !open {
                port.wait(&mut downstream[nth], leaving, nth, now);
                continue;
            }
            let first = tile << wiring.queue_bits;
            let long = port.want & router.long;
            if !PAUSING && long != 0 && long == port.want & port.held && is_alone::<VCS>(port.want, router) {
                let at = long.trailing_zeros() as usize;
                let vc = held_vc(port.owned, &downstream[nth * VCS..][..VCS], at);
                if port.credited >> vc & 1 != 0 {
                    Clear { wiring, ports, downstream, flits, leaving }.release::<VCS, PAUSING>(
                        &mut Behind { router, queues, followed, awake },
                        nth,
                        first + at,
                        vc,
                        (true, now),
                    );
                }
                continue;
            }
            if crowded || !open {
                others |= bit;
                continue;
            }
            let Some(channels) = downstream[nth * VCS..].first_chunk_mut::<VCS>() else { continue };
            let settled = Rivals { port, channels, turns: &mut turns[first..], output }.settle();
            let Some(at) = settled.winner else {
                if settled.again {
                    awake.wake(nth);
                }
                continue;
            };
            let Some(vc) = settled.channel else {
                ports[(first + at) / VCS].take_turns(at, output, VCS);
                awake.wake(nth);
                continue;
            };
            Clear { wiring, ports, downstream, flits, leaving }.release::<VCS, PAUSING>(
                &mut Behind { router, queues, followed, awake },
                nth,
                first + at,
                vc,
                (false, now),
            );
        }
        others
    }
}

impl Mesh<'_> {
    /// Packets that hold the channels of links which can take a flit again, the only ones, leave.
    #[inline(never)]
    pub(super) fn depart<const PAUSING: bool>(&mut self, now: Cycle) {
        let Self {
            wiring, routers, ports, queues, downstream, flits, leaving, followed, ports_awake, departing, ..
        } = self;
        for &nth in &*departing {
            let nth = nth as usize;
            // It may have left with others of its router.
            if leaving.pauses.is_open(nth, now) {
                let tile = nth >> wiring.port_bits;
                let from = (tile << wiring.queue_bits) + usize::from(downstream[nth].owner);
                let router = &mut routers[tile];
                Clear { wiring, ports, downstream, flits, leaving }.release::<1, PAUSING>(
                    &mut Behind { router, queues, followed, awake: ports_awake },
                    nth,
                    from,
                    0,
                    (false, now),
                );
            }
        }
        departing.clear();
    }

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

    /// Notes that this input has taken an output for one of its queues: others go first the next time.
    #[inline]
    pub fn take_turns(&mut self, at: usize, output: usize, vcs: usize) {
        self.output_turn = output as u8 + 1;
        self.vc_turn = ((at + 1) % vcs) as u8;
    }

    /// Packets of one flit ask for a link that cannot take any now, over one virtual channel: one of them takes it.
    #[inline]
    fn wait(&mut self, downstream: &mut Downstream, leaving: &mut Leaving, link: usize, now: Cycle) {
        if self.want == 0 {
            return;
        }
        if self.held == 0 {
            let at = in_turn64(self.want, downstream.turn) as usize;
            self.give(downstream, at, 0);
        }
        leaving.pauses.wait(link, now);
    }

    /// Settles who goes next over a link, where that has been put off, before others ask for it in a cycle.
    #[inline]
    pub fn settle(&mut self, downstream: &mut Downstream, pauses: &mut Pauses, link: usize, now: Cycle) {
        if pauses.has_put_off(link, now) {
            pauses.put_off(link, Cycle::MAX);
            let at = in_turn64(self.want, downstream.turn) as usize;
            self.give(downstream, at, 0);
        }
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

/// What is behind a flit that is first in a queue.
struct Behind<'a> {
    router: &'a mut Router,
    queues: &'a mut [Queue],
    followed: &'a mut Vec<u32>,
    awake: &'a mut Awake,
}

impl Clear<'_> {
    /// Moves the first flit of a queue, which asks for one output only, to it, into a virtual channel that its packet holds; those
    /// who still ask for it are next. Whether it is of a `long` packet.
    #[inline(always)]
    fn release<const VCS: usize, const PAUSING: bool>(
        self,
        behind: &mut Behind<'_>,
        nth: usize,
        from: usize,
        vc: usize,
        (long, now): (bool, Cycle),
    ) {
        let at = from & self.wiring.queue_mask;
        let queue = &mut behind.queues[from];
        let Flit { tag, way, index, of, .. } = queue.front;
        let part = if long { Part::new(index, of) } else { Part::ONLY };
        queue.len -= 1;
        if queue.len == 0 {
            behind.router.occupied ^= 1 << at;
        } else {
            behind.followed.push(from as u32);
        }
        let port = &mut self.ports[nth];
        port.want ^= 1 << at;
        port.held ^= u64::from(part.is_tail()) << at;
        port.owned ^= u16::from(part.is_tail()) << vc;
        if long {
            behind.router.long ^= 1 << at;
        }
        let others = port.want;
        let Self { wiring, ports, downstream, flits, leaving } = self;
        let clear = Clear { wiring, ports, downstream, flits, leaving: &mut *leaving };
        clear.pass::<VCS, PAUSING>(Single { queue: from, port: nth, tag, way, part }, vc, now);
        if others == 0 {
            return;
        }
        if PAUSING && VCS == 1 && others & behind.router.odd() == 0 && leaving.pauses.can_put_off(nth, now + 1) {
            leaving.pauses.put_off(nth, now + 1);
            leaving.pauses.wait(nth, now);
        } else {
            behind.awake.wake(nth);
        }
    }

    /// Moves a flit, which is in its queue no more and asks for nothing any more, to its output, and gives its slot back.
    #[inline(always)]
    fn pass<const VCS: usize, const PAUSING: bool>(self, flit: Single, vc: usize, now: Cycle) {
        let Self { wiring, ports, downstream, flits, leaving } = self;
        let (output, at) = (flit.port & wiring.port_mask, flit.queue & wiring.queue_mask);
        let clear = Clear { wiring, ports, downstream, flits, leaving: &mut *leaving };
        clear.send::<VCS, PAUSING>(flit, vc, now);
        let input = &mut ports[flit.queue / VCS];
        input.take_turns(at, output, VCS);
        leaving.give_back(downstream, input.feed + (flit.queue % VCS) as u32);
    }

    /// Moves a flit to one of its outputs.
    #[inline(always)]
    fn send<const VCS: usize, const PAUSING: bool>(self, flit: Single, vc: usize, now: Cycle) {
        let Self { wiring, ports, downstream, flits, leaving } = self;
        let Single { queue, port: nth, tag, way, part } = flit;
        let (output, at) = (nth & wiring.port_mask, queue & wiring.queue_mask);
        let port = &mut ports[nth];
        let channel = &mut downstream[nth * VCS + vc];
        channel.turn = at as u8 + 1;
        if leaving.take_slot(channel) {
            port.credited ^= 1 << vc;
        }
        flits[nth] += 1;
        let (behind, kind) = (port.behind, port.kind);
        port.turn = (at / VCS) as u8 + 1;
        if PAUSING {
            leaving.pauses.take(kind, nth, now);
        }
        let way = wiring.next(way, output);
        leaving.wheel.put(now, kind, Arrival { queue: behind + vc as u32, tag, way, part, port: NOTHING });
    }
}

/// The queues of the port of one.
#[inline]
pub(super) fn of_port<const VCS: usize>(own: usize) -> u64 {
    if VCS == 2 { 0b11 << (own & !1) } else { 1 << own }
}

/// Whether one queue wants something whose packet takes a single output, the only one of its port with flits.
#[inline]
fn is_alone<const VCS: usize>(want: u64, router: &Router) -> bool {
    want.is_power_of_two() && want & alone::<VCS>(router.occupied) & !router.split != 0
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

#[cfg(test)]
mod tests {
    use super::super::{Delivery, Order, Packet};
    use super::*;
    use crate::hardware::{
        self, AttentionCapacity, Board, CoreCapacity, Kernels, MaxPoolCapacity, Multicast, Noc, NocTiming, Routing,
        Shape, SoftmaxCapacity, Topology, UnitKind,
    };
    use crate::units::UnitId;

    /// 4 × 3 cores.
    fn cores(virtual_channels: u32, buffer_flits: u32) -> Topology {
        let noc = Noc {
            shape: Shape::Mesh,
            routing: Routing::Xy,
            multicast: Multicast::Unicast,
            virtual_channels,
            buffer_flits,
            flit_bits: 64,
            header_bits: 24,
            position_bits: 12,
            graded_bits: 16,
            spikes_per_packet: 1,
        };
        Topology {
            mesh: hardware::Mesh { columns: 4, rows: 3 },
            layout: vec!["C".into()],
            tiles: [('C', vec![UnitKind::Core])].into_iter().collect(),
            core: CoreCapacity {
                neurons: 1,
                synapse_bits: 1,
                weight_bits: 8,
                kernels: Kernels::Shared,
                axons_in: 1,
                routes_out: 1,
                membrane_bits: 16,
            },
            max_pool: MaxPoolCapacity { count_bits: 1 },
            attention: AttentionCapacity { state_bits: 1 },
            softmax: SoftmaxCapacity { state_bits: 1, table_bits: 1 },
            noc,
            board: Board { chips_across: 1, chips_down: 1, chip_link_bits: 8 },
        }
    }

    fn timing(flit_interval_cycles: Cycle) -> NocTiming {
        NocTiming {
            head_cycles: 0,
            router_cycles: 2,
            link_horizontal_cycles: 1,
            link_vertical_cycles: 2,
            link_chip_cycles: 20,
            flit_interval_cycles,
            credit_cycles: 2,
            inject_cycles: 2,
            eject_cycles: 1,
        }
    }

    /// What comes when, if units send packets of up to `longest` flits to each other at random.
    fn traffic(wiring: &Wiring, longest: u64, every: u64) -> (Vec<Delivery>, Vec<u64>) {
        let (mut mesh, mut state) = (Mesh::new(wiring, Order::Forward), every);
        let mut below = |count: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % count
        };
        let mut deliveries = vec![];
        for now in 0..3000 {
            mesh.carry(now, &mut deliveries);
            for tag in 0..wiring.units() as u32 {
                if now < 2000 && below(every) == 0 {
                    // Half of them go to one unit, where they meet.
                    let to = if below(2) == 0 { 0 } else { below(wiring.units() as u64) as u32 };
                    let packet = Packet { tag, way: wiring.toward(UnitId(to)), flits: 1 + below(longest) as u16 };
                    mesh.inject(UnitId(tag), packet);
                }
            }
            mesh.launch(now);
        }
        (deliveries, mesh.link_flits())
    }

    #[test]
    fn short_cuts_lead_where_the_allocator_does() {
        for (vcs, interval, buffer) in [(1, 1, 8), (1, 2, 2), (1, 7, 3), (1, 41, 8), (1, 150, 2), (2, 1, 2), (2, 7, 8)]
        {
            let wiring = Wiring::new(&cores(vcs, buffer), &timing(interval)).unwrap();
            let mut general = wiring.clone();
            assert!(std::mem::replace(&mut general.plain, false));
            for (longest, every) in [(1, 400), (1, 60), (1, 8), (3, 60), (3, 8)] {
                let (quick, wanted) = (traffic(&wiring, longest, every), traffic(&general, longest, every));
                let case = format!("{vcs} channels, {interval} cycles, {buffer} slots, {longest} flits, 1 in {every}");
                assert!(quick == wanted && !wanted.0.is_empty(), "{case}");
            }
        }
    }
}
