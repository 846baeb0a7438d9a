//! The common case, in one go: flits without rivals.

use super::Mesh;
use super::allocate::{Round, held_vc, in_turn64};
use super::clear::{Clear, Single};
use super::events::Leaving;
use super::offers::Offer;
use super::pauses::Pauses;
use super::pool::Followed;
use super::rivals::{Rivals, Settled};
use super::state::{Downstream, Flit, Port, Queue, Router};
use super::wheel::Part;
use super::wiring::bits64;
use crate::units::Cycle;

impl<const VCS: usize, const PAUSING: bool> Round<'_, VCS, PAUSING> {
    /// Moves flits to the outputs of a word that are `wanted`, where each output can settle who goes, and ports at most between the two
    /// queues of theirs. The other outputs, and those that should be looked at in the next cycle, too.
    #[inline(never)]
    pub(super) fn hop(&mut self, word: usize, wanted: u64) -> (u64, u64) {
        let Self { wiring, now, routers, ports, queues, turns, downstream, flits, leaving, followed, offers, .. } =
            self;
        let (now, mut left, mut others, mut again) = (*now, wanted, 0, 0);
        loop {
            let goes = if left != 0 {
                let nth = word * 64 + left.trailing_zeros() as usize;
                let bit = left & left.wrapping_neg();
                left &= left - 1;
                let (tile, output) = wiring.place_of(nth);
                let (router, want) = (&mut routers[tile], ports[nth].want);
                let (first, torn, odd) = (tile << wiring.queue_bits, want & router.torn, router.odd());
                let asked = (wanted >> ((nth - output) % 64)) as u32 & wiring.sides;
                // Only the allocator looks at flits behind the first one of a queue, which longer packets have; what it settles for one
                // output, no port may settle here for another.
                let aside = (others >> ((nth - output) % 64)) as u32 & wiring.sides;
                let choosy = PAUSING || odd != 0 || aside != 0;
                let crowded = choosy
                    && (want & odd != 0
                        || (VCS == 2 && torn != 0 && has_to_choose(&queues[first..], (torn, odd), asked)));
                let port = &mut ports[nth];
                let open = !PAUSING || leaving.pauses.is_open(nth, now);
                if PAUSING && VCS == 1 {
                    port.settle(&mut downstream[nth], &mut leaving.pauses, nth, now);
                    leaving.pauses.put_off(nth, Cycle::MAX);
                }
                if PAUSING && VCS == 1 && !crowded && !open {
                    port.wait(&mut downstream[nth], leaving, nth, now);
                    continue;
                }
                if crowded || !open {
                    // A longer packet without rivals goes on into the virtual channel that it holds.
                    let long = port.want & router.long;
                    if PAUSING || long != port.want & port.held || !is_alone::<VCS>(long, port.want, router) {
                        others |= bit;
                        continue;
                    }
                    let at = long.trailing_zeros() as usize;
                    let vc = held_vc(port.owned, &downstream[nth * VCS..][..VCS], at);
                    if port.credited >> vc & 1 != 0 {
                        let more = Clear { wiring, ports, downstream, flits, leaving }.release::<VCS, PAUSING>(
                            &mut Behind { router, queues, followed },
                            nth,
                            first + at,
                            vc,
                            (true, now),
                        );
                        again |= if more { bit } else { 0 };
                    }
                    continue;
                }
                let Some(channels) = downstream[nth * VCS..].first_chunk_mut::<VCS>() else { continue };
                let settled =
                    Rivals { ports, nth, first_queue: first, channels, turns: &mut turns[first..], output }.settle();
                let Settled { winner: Some(at), channel, .. } = settled else {
                    again |= if settled.again { bit } else { 0 };
                    continue;
                };
                let offer = Offer { nth: nth as u32, queue: (first + at) as u32, channel: channel.map(|vc| vc as u8) };
                if VCS == 2 && !PAUSING && torn >> at & 1 != 0 {
                    let other = queues[first + (at ^ 1)].front.outputs & asked;
                    let turn = ports[(first + at) / VCS].output_turn;
                    let Some(taken) = offers.settle(offer, (output as u32, other), turn, &mut again) else { continue };
                    taken
                } else {
                    offer
                }
            } else {
                let waiting = if VCS == 2 && !PAUSING { offers.first() } else { None };
                let Some(offer) = waiting else { return (others, again) };
                offer
            };
            let (nth, queue) = (goes.nth as usize, goes.queue as usize);
            let (tile, bit) = (nth >> wiring.port_bits, 1 << (nth % 64));
            let Some(vc) = goes.channel else {
                ports[nth].turn = ((queue & wiring.queue_mask) / VCS) as u8 + 1;
                ports[queue / VCS].take_turns(queue & wiring.queue_mask, nth & wiring.port_mask, VCS);
                again |= bit;
                continue;
            };
            let more = Clear { wiring, ports, downstream, flits, leaving }.release::<VCS, PAUSING>(
                &mut Behind { router: &mut routers[tile], queues, followed },
                nth,
                queue,
                vc.into(),
                (false, now),
            );
            again |= if more { bit } else { 0 };
        }
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
                let from = (tile << wiring.queue_bits) + downstream[nth].owner();
                let router = &mut routers[tile];
                let more = Clear { wiring, ports, downstream, flits, leaving }.release::<1, PAUSING>(
                    &mut Behind { router, queues, followed },
                    nth,
                    from,
                    0,
                    (false, now),
                );
                if more {
                    ports_awake.wake(nth);
                }
            }
        }
        departing.clear();
    }
}

impl Port {
    /// Notes that this input has taken an output for one of its queues: others go first the next time.
    #[inline]
    pub fn take_turns(&mut self, at: usize, output: usize, vcs: usize) {
        self.output_turn = output as u8 + 1;
        if vcs > 1 {
            self.vc_turn = ((at + 1) % vcs) as u8;
        }
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
        leaving.wait(link, now);
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

/// What is behind a flit that is first in a queue.
struct Behind<'a> {
    router: &'a mut Router,
    queues: &'a mut [Queue],
    followed: &'a mut Followed,
}

impl Clear<'_> {
    /// Moves the first flit of a queue, which asks for one output only, to it, into a virtual channel that its packet holds; those
    /// who still ask for it are next. `long` says whether it is of a longer packet. Whether to look again in the next cycle.
    #[inline(always)]
    fn release<const VCS: usize, const PAUSING: bool>(
        self,
        behind: &mut Behind<'_>,
        nth: usize,
        from: usize,
        vc: usize,
        (long, now): (bool, Cycle),
    ) -> bool {
        let at = from & self.wiring.queue_mask;
        let queue = &mut behind.queues[from];
        let Flit { tag, way, index, of, .. } = queue.front;
        let part = if long { Part::new(index, of) } else { Part::ONLY };
        queue.len -= 1;
        let more = queue.len != 0;
        behind.router.occupied ^= u64::from(!more) << at;
        behind.followed.push_if(from as u32, more);
        if VCS == 2 {
            behind.router.tear(at, false);
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
        let output = nth & clear.wiring.port_mask;
        clear.pass::<VCS, PAUSING, true>(Single { queue: from, at, port: nth, output, tag, way, part }, vc, now);
        if !(PAUSING && VCS == 1) {
            return others != 0;
        }
        if others == 0 {
            return false;
        }
        if others & behind.router.odd() == 0 && leaving.pauses.can_put_off(nth, now + 1) {
            leaving.pauses.put_off(nth, now + 1);
            leaving.wait(nth, now);
            return false;
        }
        true
    }
}

/// The queues of the port of one.
#[inline]
pub(super) fn of_port<const VCS: usize>(own: usize) -> u64 {
    if VCS == 2 { 0b11 << (own & !1) } else { 1 << own }
}

/// Whether a port may have to choose between an output that some queues of `torn` pairs want and another one of those that are
/// `asked` for: the queue beside one of them wants that, or is `odd`, so that flits behind its first one may.
#[inline]
fn has_to_choose(queues: &[Queue], (torn, odd): (u64, u64), asked: u32) -> bool {
    let wants = |beside: u32| odd >> beside & 1 != 0 || queues[beside as usize].front.outputs & asked != 0;
    bits64(torn).any(|at| wants(at ^ 1))
}

/// Whether of the queues that want something one is `long`, the only one of them and of its port, and takes this output only.
#[inline]
fn is_alone<const VCS: usize>(long: u64, want: u64, router: &Router) -> bool {
    long == want && want.is_power_of_two() && want & alone::<VCS>(router.occupied) & !router.split != 0
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
    use super::super::{Delivery, Order, Packet, Way, Wiring};
    use super::*;
    use crate::hardware::{
        self, AttentionCapacity, Board, CoreCapacity, Direction, Kernels, MaxPoolCapacity, Multicast, Noc, NocTiming,
        Routing, Shape, SoftmaxCapacity, Topology, UnitKind,
    };
    use crate::program::{Tree, TreeNode};
    use crate::units::{SliceId, TileId, UnitId};

    use std::cmp::Ordering;
    use std::collections::BTreeSet;

    const COLUMNS: u32 = 4;

    /// 4 × 3 cores.
    fn cores(multicast: Multicast, virtual_channels: u32, buffer_flits: u32) -> Topology {
        let noc = Noc {
            shape: Shape::Mesh,
            routing: Routing::Xy,
            multicast,
            virtual_channels,
            buffer_flits,
            flit_bits: 64,
            header_bits: 24,
            position_bits: 12,
            graded_bits: 16,
            spikes_per_packet: 1,
        };
        Topology {
            mesh: hardware::Mesh { columns: COLUMNS, rows: 3 },
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

    /// Numbers at random, each below a count.
    fn dice(mut state: u64) -> impl FnMut(u64) -> u64 {
        move |count| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % count
        }
    }

    /// The ways to several cores, first along rows.
    fn tree(from: u32, to: &[u32]) -> Tree {
        let node = |tile| TreeNode { tile: TileId(tile), next: [None; 4], local: vec![] };
        let mut nodes = vec![node(from)];
        for &to in to {
            let (mut at, mut here) = (0, from);
            while here != to {
                let (direction, beyond) = match (here % COLUMNS).cmp(&(to % COLUMNS)) {
                    Ordering::Less => (Direction::East, here + 1),
                    Ordering::Greater => (Direction::West, here - 1),
                    Ordering::Equal if here < to => (Direction::South, here + COLUMNS),
                    Ordering::Equal => (Direction::North, here - COLUMNS),
                };
                at = nodes[at].next[direction as usize].map_or(nodes.len(), |next| next as usize);
                if at == nodes.len() {
                    let before = nodes.iter().position(|node| node.tile == TileId(here)).unwrap();
                    nodes[before].next[direction as usize] = Some(at as u32);
                    nodes.push(node(beyond));
                }
                here = beyond;
            }
            nodes[at].local.push(SliceId(to));
        }
        Tree { nodes }
    }

    /// Three ways of each core to some others, where there are trees; else none.
    fn plant(wiring: &mut Wiring) -> Vec<Vec<Way>> {
        let (mut below, units) = (dice(7), wiring.units() as u32);
        let count = if wiring.cut_through() { 3 } else { 0 };
        let mut ways = vec![vec![]; units as usize];
        for (from, _) in (0..units).flat_map(|from| (0..count).map(move |nth| (from, nth))) {
            let to: BTreeSet<u32> = (0..2 + below(3)).map(|_| below(units.into()) as u32).collect();
            let tree = tree(from, &to.into_iter().collect::<Vec<_>>());
            ways[from as usize].push(wiring.plant(UnitId(from), &tree, |slice| UnitId(slice.0)).unwrap());
        }
        ways
    }

    /// What comes when, if units send packets of up to `longest` flits to each other at random, half of them to one where they meet, if
    /// they do.
    fn traffic(
        wiring: &Wiring,
        trees: &[Vec<Way>],
        (longest, every): (u64, u64),
        meet: bool,
    ) -> (Vec<Delivery>, Vec<u64>) {
        let (mut mesh, mut below) = (Mesh::new(wiring, Order::Forward), dice(every));
        let mut deliveries = vec![];
        for now in 0..3000 {
            mesh.carry(now, &mut deliveries);
            for tag in 0..wiring.units() as u32 {
                if now < 2000 && below(every) == 0 {
                    let to = if meet && below(2) == 0 { 0 } else { below(wiring.units() as u64) as u32 };
                    let tree = trees[tag as usize].get(below(6) as usize);
                    let way = tree.copied().unwrap_or_else(|| wiring.toward(UnitId(to)));
                    let packet = Packet { tag, way, flits: 1 + below(longest) as u16 };
                    mesh.inject(UnitId(tag), packet);
                }
            }
            mesh.launch(now);
        }
        assert!(deliveries.is_sorted(), "by cycle, then by unit");
        (deliveries, mesh.link_flits())
    }

    #[test]
    fn short_cuts_lead_where_the_allocator_does() {
        for (vcs, interval, buffer) in
            [(1, 1, 8), (1, 2, 2), (1, 7, 3), (1, 41, 8), (1, 150, 2), (2, 1, 2), (2, 1, 8), (2, 7, 8)]
        {
            for multicast in [Multicast::Unicast, Multicast::Tree] {
                let mut wiring = Wiring::new(&cores(multicast, vcs, buffer), &timing(interval)).unwrap();
                let trees = plant(&mut wiring);
                let mut general = wiring.clone();
                assert!(std::mem::replace(&mut general.plain, false));
                let meeting = [(1, 400), (1, 60), (1, 8), (3, 60), (3, 8)].map(|load| (load, true));
                let apart = [(1, 5), (2, 3), (2, 5), (3, 4), (4, 8), (4, 11)].map(|load| (load, false));
                for ((longest, every), meet) in meeting.into_iter().chain(apart) {
                    let load = (longest.min(buffer.into()), every);
                    let [quick, wanted] = [&wiring, &general].map(|wiring| traffic(wiring, &trees, load, meet));
                    let case =
                        format!("{multicast:?}, {vcs} channels, {interval} cycles, {buffer} slots, {load:?}, {meet}");
                    assert!(quick == wanted && !wanted.0.is_empty(), "{case}");
                }
            }
        }
    }
}
