//! The network on chip: latency and throughput against closed forms, nothing lost or copied, standstill with culprits.

use crate::small_graphs::Dice;
use insta::assert_snapshot;
use spikemesh::engine::mesh::{Delivery, Mesh, Order, Packet, Way, Wiring};
use spikemesh::hardware::{Hardware, Mesh as Size, Multicast};
use spikemesh::load;
use spikemesh::program::{Direction, Tree, TreeNode};
use spikemesh::units::{Cycle, SliceId, TileId, UnitId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A mesh of cores with the timing of `mesh28`.
pub fn cores(columns: u32, rows: u32, edit: impl FnOnce(&mut Hardware)) -> Hardware {
    let mut hardware = load::hardware(Path::new("mesh28"), &[]).unwrap();
    hardware.topology.mesh = Size { columns, rows };
    hardware.topology.layout = vec!["C".to_string()];
    hardware.topology.noc.multicast = Multicast::Unicast;
    edit(&mut hardware);
    hardware
}

pub fn wiring(hardware: &Hardware) -> Wiring {
    Wiring::new(&hardware.topology, &hardware.timing.noc).unwrap()
}

/// Injects packets in their cycles and runs until nothing moves; the cycles that were looked at are counted.
pub fn run(mesh: &mut Mesh, mut schedule: Vec<(Cycle, UnitId, Packet)>) -> (Vec<Delivery>, u64) {
    schedule.sort_by_key(|&(at, ..)| at);
    let mut schedule = schedule.into_iter().peekable();
    let (mut deliveries, mut now, mut looked) = (vec![], 0, 0);
    loop {
        mesh.carry(now, &mut deliveries);
        while let Some((_, unit, packet)) = schedule.next_if(|&(at, ..)| at <= now) {
            mesh.inject(unit, packet);
        }
        mesh.launch(now);
        looked += 1;
        let injection = schedule.peek().map(|&(at, ..)| at);
        let Some(next) = mesh.next(now).into_iter().chain(injection).min() else { return (deliveries, looked) };
        assert!(next > now);
        now = next;
    }
}

/// The tree of the ways along the row first to every unit of a mesh with one unit on each tile.
pub fn tree(columns: u32, from: u32, to: &BTreeSet<u32>) -> Tree {
    let mut nodes = vec![TreeNode { tile: TileId(from), next: [None; 4], local: vec![] }];
    for &to in to {
        let (mut at, mut tile) = (0, from);
        while tile != to {
            let (x, y, to_x, to_y) = (tile % columns, tile / columns, to % columns, to / columns);
            let (direction, beyond) = match (x.cmp(&to_x), y.cmp(&to_y)) {
                (std::cmp::Ordering::Less, _) => (Direction::East, tile + 1),
                (std::cmp::Ordering::Greater, _) => (Direction::West, tile - 1),
                (_, std::cmp::Ordering::Less) => (Direction::South, tile + columns),
                _ => (Direction::North, tile - columns),
            };
            let count = nodes.len() as u32;
            let next = *nodes[at].next[direction as usize].get_or_insert(count);
            if next == count {
                nodes.push(TreeNode { tile: TileId(beyond), next: [None; 4], local: vec![] });
            }
            (at, tile) = (next as usize, beyond);
        }
        nodes[at].local.push(SliceId(to));
    }
    Tree { nodes }
}

#[test]
fn zero_load_latency_is_the_closed_form_for_every_pair() {
    let hardware = cores(8, 8, |_| {});
    let wiring = wiring(&hardware);
    let place = |unit: u32| (i64::from(unit % 8), i64::from(unit / 8));
    for (from, to) in (0..64).flat_map(|from| (0..64).map(move |to| (from, to))) {
        let packet = Packet { tag: 0, way: wiring.toward(UnitId(to)), flits: 1 };
        let (deliveries, _) = run(&mut Mesh::new(&wiring, Order::Forward), vec![(5, UnitId(from), packet)]);
        let ((x, y), (to_x, to_y)) = (place(from), place(to));
        let routers = ((x - to_x).abs() + (y - to_y).abs() + 1) as u64;
        assert_eq!(deliveries, [Delivery { cycle: 5 + 3 * routers + 2, unit: UnitId(to), tag: 0 }]);
    }
}

#[test]
fn every_latency_and_the_flit_interval_enter_the_closed_form() {
    let hardware = cores(6, 5, |hardware| {
        let noc = &mut hardware.timing.noc;
        (noc.router_cycles, noc.link_horizontal_cycles, noc.link_vertical_cycles) = (7, 3, 5);
        (noc.inject_cycles, noc.eject_cycles, noc.flit_interval_cycles) = (11, 13, 2);
        noc.head_cycles = 2;
    });
    let wiring = wiring(&hardware);
    let packet = Packet { tag: 9, way: wiring.toward(UnitId(6 * 4 + 3)), flits: 4 };
    let (deliveries, _) = run(&mut Mesh::new(&wiring, Order::Forward), vec![(0, UnitId(0), packet)]);
    let cycle = 11 + 8 * (2 + 7) + 3 * 3 + 4 * 5 + 13 + 3 * 2;
    assert_eq!(deliveries, [Delivery { cycle, unit: UnitId(27), tag: 9 }]);
}

#[test]
fn a_unit_sends_one_flit_in_an_interval_wherever_they_go() {
    let hardware = cores(2, 2, |hardware| hardware.timing.noc.flit_interval_cycles = 7);
    let wiring = wiring(&hardware);
    let sent = |at, to| (at, UnitId(0), Packet { tag: to, way: wiring.toward(UnitId(to)), flits: 1 });
    let comes = |schedule: Vec<_>| run(&mut Mesh::new(&wiring, Order::Forward), schedule).0;
    for second in [0, 3, 6, 7, 9] {
        let wanted = [comes(vec![sent(0, 1)]), comes(vec![sent(second.max(7), 2)])].concat();
        assert_eq!(comes(vec![sent(0, 1), sent(second, 2)]), wanted, "the second one at {second}");
    }
}

#[test]
fn throughput_of_one_virtual_channel_is_slots_over_the_credit_loop() {
    for (slots, flits_in_five) in [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (8, 5)] {
        let hardware = cores(4, 1, |hardware| {
            (hardware.topology.noc.virtual_channels, hardware.topology.noc.buffer_flits) = (1, slots);
        });
        let wiring = wiring(&hardware);
        let packet = |tag| (0, UnitId(0), Packet { tag, way: wiring.toward(UnitId(3)), flits: 1 });
        let (deliveries, _) = run(&mut Mesh::new(&wiring, Order::Forward), (0..1000).map(packet).collect());
        let between = deliveries[999].cycle - deliveries[399].cycle;
        assert_eq!(between, 600 * 5 / flits_in_five, "{slots} slots");
    }
}

/// Packets with random sources, destinations and cycles, and what must come of them.
struct Traffic {
    schedule: Vec<(Cycle, UnitId, Packet)>,
    wanted: BTreeMap<(u32, UnitId), u64>,
    hops: u64,
    routes: u64,
}

fn traffic(wiring: &mut Wiring, longest: u16, most_copies: usize) -> Traffic {
    let mut dice = Dice(u64::from(longest) + 77);
    let mut traffic = Traffic { schedule: vec![], wanted: BTreeMap::new(), hops: 0, routes: 0 };
    for tag in 0..4000 {
        let from = UnitId(dice.roll(36) as u32);
        let to: BTreeSet<u32> = (0..1 + dice.roll(most_copies)).map(|_| dice.roll(36) as u32).collect();
        let way: Way = match to.first() {
            Some(&only) if most_copies == 1 => wiring.toward(UnitId(only)),
            _ => wiring.plant(from, &tree(6, from.0, &to), |slice| UnitId(slice.0)).unwrap(),
        };
        let flits = 1 + dice.roll(longest as usize) as u16;
        let passage = wiring.passage(from, way);
        assert_eq!(passage.deliveries, to.len() as u64);
        traffic.hops += u64::from(flits) * (passage.horizontal + passage.vertical);
        traffic.routes += u64::from(flits) * passage.routes;
        to.iter().for_each(|&to| *traffic.wanted.entry((tag, UnitId(to))).or_default() += 1);
        traffic.schedule.push((dice.roll(600) as u64, from, Packet { tag, way, flits }));
    }
    traffic
}

#[test]
fn nothing_is_lost_or_delivered_twice_and_the_visiting_order_does_not_matter() {
    let loads = [(1, 1, false), (5, 1, false), (1, 7, true), (4, 7, true)];
    for ((longest, copies, trees), (vcs, slots)) in
        loads.into_iter().flat_map(|load| [(1, 1), (1, 4), (2, 1), (2, 8), (4, 2)].map(|buffers| (load, buffers)))
    {
        if trees && u32::from(longest) > slots {
            continue;
        }
        let hardware = cores(6, 6, |hardware| {
            let noc = &mut hardware.topology.noc;
            (noc.virtual_channels, noc.buffer_flits) = (vcs, slots);
            noc.multicast = if trees { Multicast::Tree } else { Multicast::Unicast };
        });
        let mut wiring = wiring(&hardware);
        let Traffic { schedule, wanted, hops, routes } = traffic(&mut wiring, longest, copies);
        let mut mesh = Mesh::new(&wiring, Order::Forward);
        let (deliveries, _) = run(&mut mesh, schedule.clone());
        let mut came = BTreeMap::new();
        deliveries.iter().for_each(|d| *came.entry((d.tag, d.unit)).or_default() += 1);
        assert!(mesh.is_empty() && came == wanted, "{longest} flits, {copies} copies, {vcs} × {slots} slots");
        assert_eq!((mesh.link_flits().iter().sum::<u64>(), mesh.moves()), (hops, routes));
        let mut backward = Mesh::new(&wiring, Order::Backward);
        assert_eq!(run(&mut backward, schedule).0, deliveries, "{vcs} × {slots} slots backward");
        assert_eq!(backward.link_flits(), mesh.link_flits());
    }
}

#[test]
fn the_clock_jumps_over_cycles_in_which_nothing_moves() {
    let hardware = cores(32, 32, |hardware| hardware.timing.noc.link_vertical_cycles = 1000);
    let wiring = wiring(&hardware);
    let packet = |at: Cycle| (at * 1_000_000, UnitId(0), Packet { tag: 0, way: wiring.toward(UnitId(1023)), flits: 1 });
    let (deliveries, looked) = run(&mut Mesh::new(&wiring, Order::Forward), (0..10).map(packet).collect());
    assert_eq!(deliveries.len(), 10);
    assert!(looked < 10 * 63 * 6, "{looked} cycles looked at");
}

#[test]
fn a_ring_of_waiting_packets_is_a_standstill_that_names_every_one() {
    let hardware = cores(2, 2, |hardware| {
        (hardware.topology.noc.virtual_channels, hardware.topology.noc.buffer_flits) = (1, 1);
    });
    let mut wiring = wiring(&hardware);
    // Clockwise around the four tiles, two links each: packets that turn from every side into every other.
    let ring = [(0, Direction::East), (1, Direction::South), (3, Direction::West), (2, Direction::North)];
    let mut schedule = vec![];
    for start in 0..4 {
        let node = |at: usize, next: Option<u32>| {
            let (tile, direction) = ring[(start + at) % 4];
            let mut node = TreeNode { tile: TileId(tile), next: [None; 4], local: vec![] };
            node.next[direction as usize] = next;
            node.local.extend(next.is_none().then_some(SliceId(tile)));
            node
        };
        let tree = Tree { nodes: vec![node(0, Some(1)), node(1, Some(2)), node(2, None)] };
        let from = UnitId(ring[start].0);
        let way = wiring.plant(from, &tree, |slice| UnitId(slice.0)).unwrap();
        schedule.push((0, from, Packet { tag: start as u32, way, flits: 3 }));
    }
    let mut mesh = Mesh::new(&wiring, Order::Forward);
    let (deliveries, _) = run(&mut mesh, schedule);
    assert!(deliveries.is_empty() && !mesh.is_empty());
    let text: Vec<String> = mesh
        .stuck()
        .into_iter()
        .map(|s| format!("packet {} at {}, {}, lacks {}", s.tag, s.tile, s.input, s.lacks))
        .collect();
    assert_snapshot!(text.join("\n"));
}

#[test]
fn a_tree_that_does_not_fit_the_mesh_is_refused() {
    let hardware = cores(3, 3, |_| {});
    let mut wiring = wiring(&hardware);
    let mut faults = vec![];
    let good = tree(3, 0, &BTreeSet::from([4]));
    let mut plant = |edit: &dyn Fn(&mut Tree)| {
        let mut tree = good.clone();
        edit(&mut tree);
        faults.push(wiring.plant(UnitId(0), &tree, |slice| UnitId(slice.0)).unwrap_err().to_string());
    };
    plant(&|tree| tree.nodes.clear());
    plant(&|tree| tree.nodes[0].tile = TileId(1));
    plant(&|tree| tree.nodes[1].tile = TileId(2));
    plant(&|tree| tree.nodes[1].next[Direction::South as usize] = Some(0));
    plant(&|tree| tree.nodes[1].next[Direction::North as usize] = Some(2));
    plant(&|tree| tree.nodes[2].local = vec![SliceId(8)]);
    assert_snapshot!(faults.join("\n"));
}
