//! Meshes, tori and boards of several chips: ways, latencies, serial links, and full load without a standstill.

use crate::noc::{cores, run, wiring};
use spikemesh::engine::mesh::{Delivery, Mesh, Order, Packet, Wiring};
use spikemesh::engine::traffic;
use spikemesh::hardware::{Direction, Hardware, Multicast, Routing, Shape};
use spikemesh::traffic::{CERTAIN, Pattern, Traffic};
use spikemesh::units::{TileId, UnitId};
use spikemesh::ways::Ways;

fn torus(columns: u32, rows: u32, vcs: u32) -> Hardware {
    cores(columns, rows, |hardware| {
        (hardware.topology.noc.shape, hardware.topology.noc.virtual_channels) = (Shape::Torus, vcs);
    })
}

/// A packet alone in the network: when it arrives.
fn alone(wiring: &Wiring, from: u32, to: u32) -> u64 {
    let packet = Packet { tag: 0, way: wiring.toward(UnitId(to)), flits: 1 };
    let (came, _) = run(&mut Mesh::new(wiring, Order::Forward), vec![(0, UnitId(from), packet)]);
    assert_eq!(came, [Delivery { cycle: came[0].cycle, unit: UnitId(to), tag: 0 }]);
    came[0].cycle
}

#[test]
fn packets_go_along_one_dimension_and_then_the_other_and_take_the_shorter_way_round_a_torus() {
    for (shape, routing) in [(Shape::Mesh, Routing::Xy), (Shape::Mesh, Routing::Yx), (Shape::Torus, Routing::Xy)] {
        let hardware = cores(7, 6, |hardware| {
            (hardware.topology.noc.shape, hardware.topology.noc.routing) = (shape, routing);
        });
        let ways = Ways::over(&hardware.topology);
        for (from, to) in (0..42).flat_map(|from| (0..42).map(move |to| (TileId(from), TileId(to)))) {
            let (mut at, mut sides) = (from, vec![]);
            while let Some(side) = ways.toward(at, to) {
                sides.push(side);
                at = ways.beside(at, side).unwrap();
            }
            let round = |a: u32, b: u32, count: u32| match shape {
                Shape::Mesh => a.abs_diff(b),
                Shape::Torus => a.abs_diff(b).min(count - a.abs_diff(b)),
            };
            let steps = round(from.0 % 7, to.0 % 7, 7) + round(from.0 / 7, to.0 / 7, 6);
            assert_eq!((at, sides.len() as u32), (to, steps));
            let first = |side: &&Direction| side.is_horizontal() == (routing == Routing::Xy);
            let turn = sides.iter().take_while(first).count();
            assert!(!sides[turn..].iter().any(|side| first(&side)), "{from} to {to} turns back: {sides:?}");
        }
    }
}

#[test]
fn flits_take_the_links_of_their_way_on_meshes_of_any_sides() {
    let sides = [(9, 2), (2, 9), (5, 1), (1, 5), (4, 3)];
    for ((columns, rows), routing) in sides.into_iter().flat_map(|side| [(side, Routing::Xy), (side, Routing::Yx)]) {
        let hardware = cores(columns, rows, |hardware| hardware.topology.noc.routing = routing);
        let (wiring, ways, tiles) = (wiring(&hardware), Ways::over(&hardware.topology), columns * rows);
        for (from, to) in (0..tiles).flat_map(|from| (0..tiles).map(move |to| (from, to))) {
            let (mut wanted, mut at) = (vec![0; tiles as usize * Direction::ALL.len()], TileId(from));
            while let Some(side) = ways.toward(at, TileId(to)) {
                wanted[at.index() * Direction::ALL.len() + side as usize] = 1;
                at = ways.beside(at, side).unwrap();
            }
            let mut mesh = Mesh::new(&wiring, Order::Forward);
            let packet = Packet { tag: 0, way: wiring.toward(UnitId(to)), flits: 1 };
            run(&mut mesh, vec![(0, UnitId(from), packet)]);
            assert_eq!(mesh.link_flits(), wanted, "{columns} × {rows}, {routing:?}: {from} to {to}");
        }
    }
}

#[test]
fn zero_load_latency_of_a_torus_is_that_of_the_shorter_way_round() {
    let hardware = torus(8, 5, 2);
    let wiring = wiring(&hardware);
    for (from, to) in (0..40u32).flat_map(|from| (0..40u32).map(move |to| (from, to))) {
        let round = |a: u32, b: u32, count: u32| a.abs_diff(b).min(count - a.abs_diff(b));
        let routers = round(from % 8, to % 8, 8) + round(from / 8, to / 8, 5) + 1;
        assert_eq!(alone(&wiring, from, to), u64::from(3 * routers + 2), "{from} to {to}");
    }
}

#[test]
fn a_torus_with_one_virtual_channel_is_refused() {
    let hardware = torus(4, 4, 1);
    let error = Wiring::new(&hardware.topology, &hardware.timing.noc).unwrap_err().to_string();
    assert!(error.contains("--set noc.virtual_channels=2"), "{error}");
}

#[test]
fn more_virtual_channels_than_a_router_keeps_apart_are_refused() {
    let hardware = cores(4, 4, |hardware| hardware.topology.noc.virtual_channels = 16);
    let error = Wiring::new(&hardware.topology, &hardware.timing.noc).unwrap_err().to_string();
    assert!(error.contains("5 ports with 16 virtual channels each, and a router keeps 64 apart"), "{error}");
}

#[test]
fn links_between_chips_have_their_own_latency_and_width() {
    let hardware = cores(6, 4, |hardware| {
        (hardware.topology.board.chips_across, hardware.topology.board.chips_down) = (3, 2);
        (hardware.topology.noc.flit_bits, hardware.topology.board.chip_link_bits) = (128, 16);
        hardware.timing.noc.link_chip_cycles = 20;
    });
    let wiring = wiring(&hardware);
    for (from, to) in (0..24u32).flat_map(|from| (0..24u32).map(move |to| (from, to))) {
        let hops = (from % 6).abs_diff(to % 6) + (from / 6).abs_diff(to / 6);
        let between = (from % 6 / 2).abs_diff(to % 6 / 2) + (from / 12).abs_diff(to / 12);
        let passage = wiring.passage(UnitId(from), wiring.toward(UnitId(to)));
        assert_eq!(passage.between_chips, u64::from(between));
        assert_eq!(passage.horizontal + passage.vertical, u64::from(hops - between));
        // The last bits of a flit follow the first after 7 cycles.
        assert_eq!(alone(&wiring, from, to), u64::from(3 * (hops + 1) + 2 + between * (20 + 7 - 1)), "{from} to {to}");
    }
    let packet = |tag| (0, UnitId(1), Packet { tag, way: wiring.toward(UnitId(2)), flits: 1 });
    let (came, _) = run(&mut Mesh::new(&wiring, Order::Forward), (0..100).map(packet).collect());
    assert_eq!(came[99].cycle - came[49].cycle, 50 * 8, "a flit of 128 bits takes 8 cycles over 16 wires");
}

#[test]
fn full_load_never_comes_to_a_standstill() {
    let cycles = if std::env::var_os("SPIKEMESH_FULL").is_some_and(|value| value == "1") { 1_000_000 } else { 1500 };
    let several = |hardware: &mut Hardware| hardware.topology.board.chips_across = 2;
    let chips = [
        cores(8, 8, |hardware| hardware.topology.noc.virtual_channels = 1),
        cores(8, 8, |hardware| hardware.topology.noc.routing = Routing::Yx),
        cores(8, 8, |hardware| hardware.topology.noc.multicast = Multicast::Tree),
        cores(8, 8, several),
        torus(8, 8, 2),
        torus(7, 5, 4),
    ];
    for (hardware, pattern) in chips.iter().flat_map(|chip| [Pattern::Uniform, Pattern::Tornado].map(|p| (chip, p))) {
        let plan = Traffic { pattern, rate: CERTAIN, seed: 3, warm_up: cycles / 10, measure: cycles };
        // A standstill is an error that names who waits.
        let measured = traffic(&hardware.topology, &hardware.timing.noc, &plan, |_| true).unwrap();
        assert!(measured.arrived > measured.senders * cycles / 40, "{pattern:?}: {}", measured.arrived);
    }
}
