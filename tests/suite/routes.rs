//! Spikes reach exactly the slices whose values they change, each once, on ways that turn once.

use crate::chips;
use crate::shapes::{Map, Shape, any_graph, transformer};
use proptest::prelude::*;
use spikemesh::compile::{Strategy, map, program};
use spikemesh::graph::Graph;
use spikemesh::hardware::{Multicast, Routing, Topology};
use spikemesh::network::SoftmaxAxis;
use spikemesh::program::{Direction, Program, Tree};
use spikemesh::reach::Reach;
use spikemesh::units::{SliceId, StageId, TileId, Window};
use std::collections::{BTreeMap, BTreeSet};

fn compiled(graph: &Graph<i32>, topology: &Topology, strategy: Strategy) -> Program {
    let mapping = map(graph, "chip", topology, strategy).unwrap_or_else(|error| panic!("{error}"));
    program(graph, "digest", "chip", topology, &mapping).unwrap_or_else(|error| panic!("{error}"))
}

fn chip(routing: usize, multicast: usize, neurons: u64) -> Topology {
    let mut topology = chips::topology(24, 40);
    topology.noc.routing = Routing::ALL[routing];
    topology.noc.multicast = Multicast::ALL[multicast];
    topology.core.neurons = neurons;
    topology.max_pool.count_bits = 8 * 9 * 8;
    topology
}

/// Every spike is delivered to exactly the slices in which it changes a value.
fn check_reach(graph: &Graph<i32>, program: &Program) {
    for (source, routes) in program.slices.iter().zip(&program.route_of) {
        assert_eq!(routes.len(), source.region.neurons());
        let readers: BTreeMap<_, _> =
            graph.consumers(source.stage).map(|id| (id, Reach::new(graph, source.stage, id))).collect();
        for (local, route) in routes.iter().enumerate() {
            let (position, channel) = source.region.global(local);
            let changes = |slice: &SliceId| {
                let target = &program.slices[slice.index()];
                let mut regions = target.region.regions().iter();
                let reach = readers.get(&target.stage);
                reach.is_some_and(|reach| regions.any(|region| reach.operations(position, channel, region) > 0))
            };
            let slices = (0..program.slices.len()).map(SliceId::at);
            let wanted: Vec<SliceId> = slices.filter(changes).collect();
            assert_eq!(program.routes[route.index()].destinations, wanted);
        }
    }
}

fn step(topology: &Topology, from: TileId, to: TileId) -> Direction {
    let ((x, y), (to_x, to_y)) = (topology.mesh.place(from), topology.mesh.place(to));
    match (i64::from(to_x) - i64::from(x), i64::from(to_y) - i64::from(y)) {
        (0, -1) => Direction::North,
        (1, 0) => Direction::East,
        (0, 1) => Direction::South,
        (-1, 0) => Direction::West,
        other => panic!("not a link: {other:?}"),
    }
}

/// The slices that a tree delivers to; checks its ways.
fn delivered(topology: &Topology, program: &Program, tree: &Tree) -> Vec<SliceId> {
    let units = topology.units();
    let mut slices = vec![];
    let mut arrived: Vec<Option<Direction>> = vec![None; tree.nodes.len()];
    let mut links = BTreeSet::new();
    for (at, node) in tree.nodes.iter().enumerate() {
        assert_eq!(at == 0, arrived[at].is_none(), "one way to every router but the first");
        assert!(!node.local.is_empty() || node.next.iter().any(Option::is_some), "no way ends for nothing");
        for direction in Direction::ALL {
            let Some(next) = node.next[direction as usize] else { continue };
            assert!(next as usize > at && arrived[next as usize].is_none(), "children come later, each once");
            assert_eq!(step(topology, node.tile, tree.nodes[next as usize].tile), direction);
            assert!(links.insert((node.tile, direction)), "no link twice");
            if let Some(before) = arrived[at] {
                let vertical = |d: Direction| matches!(d, Direction::North | Direction::South);
                let turns = vertical(before) != vertical(direction);
                let allowed = vertical(before) == (topology.noc.routing == Routing::Yx);
                assert!(!turns || allowed, "turns from the first dimension to the second only");
                assert_ne!(direction, before.opposite());
            }
            arrived[next as usize] = Some(direction);
        }
        for slice in &node.local {
            assert_eq!(units[program.slices[slice.index()].unit.index()].tile, node.tile);
            slices.push(*slice);
        }
    }
    slices.sort_unstable();
    slices
}

fn check_trees(topology: &Topology, program: &Program) {
    let units = topology.units();
    for route in &program.routes {
        let start = units[program.slices[route.source.index()].unit.index()].tile;
        assert!(route.trees.iter().all(|tree| tree.nodes[0].tile == start));
        let ends: Vec<Vec<SliceId>> = route.trees.iter().map(|tree| delivered(topology, program, tree)).collect();
        match topology.noc.multicast {
            Multicast::Unicast => {
                assert!(ends.iter().all(|slices| slices.len() == 1));
                assert_eq!(ends.concat(), route.destinations);
            }
            Multicast::Tree => {
                assert_eq!(ends.len(), usize::from(!route.destinations.is_empty()));
                assert_eq!(ends.concat(), route.destinations);
            }
        }
    }
}

/// Sources and destinations are each other's inverse, and the union of the routes; no two routes of a slice are alike.
fn check_neighbours(program: &Program) {
    for (id, slice) in program.slices.iter().enumerate() {
        let id = SliceId::at(id);
        let routes: Vec<_> = program.routes.iter().filter(|route| route.source == id).collect();
        let union: BTreeSet<SliceId> = routes.iter().flat_map(|route| route.destinations.clone()).collect();
        assert_eq!(slice.destinations, union.into_iter().collect::<Vec<_>>());
        let distinct: BTreeSet<_> = routes.iter().map(|route| &route.destinations).collect();
        assert_eq!(distinct.len(), routes.len());
        for to in &slice.destinations {
            assert!(program.slices[to.index()].sources.contains(&id));
        }
        for from in &slice.sources {
            assert!(program.slices[from.index()].destinations.contains(&id));
        }
        assert!(slice.sources.is_sorted());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn spikes_reach_the_slices_that_they_change(
        graph in any_graph(), routing in 0..2usize, multicast in 0..2usize, neurons in 8..100u64, strategy in 0..4usize,
    ) {
        let topology = chip(routing, multicast, neurons);
        let program = compiled(&graph, &topology, Strategy::ALL[strategy]);
        check_reach(&graph, &program);
        check_trees(&topology, &program);
        check_neighbours(&program);
    }
}

/// The fewest routes of a slice, if each names so many neurons at most.
fn check_names(program: &Program, named: usize) {
    for (id, (slice, routes)) in program.slices.iter().zip(&program.route_of).enumerate() {
        let mut neurons: BTreeMap<_, usize> = BTreeMap::new();
        routes.iter().for_each(|route| *neurons.entry(*route).or_default() += 1);
        let mut sharing: BTreeMap<&[SliceId], (usize, usize)> = BTreeMap::new();
        for (route, &neurons) in &neurons {
            let route = &program.routes[route.index()];
            assert_eq!(route.source, SliceId::at(id));
            assert!(route.destinations.is_empty() || neurons <= named, "{neurons} neurons on a route");
            let (routes, all) = sharing.entry(&route.destinations).or_default();
            (*routes, *all) = (*routes + 1, *all + neurons);
        }
        let fewest =
            |(to, (routes, all)): (&&[SliceId], &(usize, usize))| to.is_empty() || *routes == all.div_ceil(named);
        assert!(sharing.iter().all(fewest));
        let entries: usize = neurons.keys().map(|route| program.routes[route.index()].destinations.len()).sum();
        assert_eq!(slice.needs.routes_out, entries as u64);
    }
}

#[test]
fn a_route_names_no_more_neurons_than_its_packets_can_tell_apart() {
    let mut shape = Shape::new(6, 6, 3);
    let neurons = shape.neurons(&[StageId(0)], Map::conv(3, 1), 8);
    let context = shape.attention(neurons, 2, SoftmaxAxis::Keys);
    shape.readout(&[context], Map { window: Window::whole(shape.grid(context)), ..Map::LINEAR }, 5);
    for bits in [0, 1, 3, 4, 6, 12, 64] {
        let mut topology = chip(0, 1, 64);
        topology.noc.position_bits = bits;
        let program = compiled(&shape.graph, &topology, Strategy::RowMajor);
        check_reach(&shape.graph, &program);
        check_trees(&topology, &program);
        check_names(&program, if bits < 64 { 1 << bits } else { usize::MAX });
    }
}

#[test]
fn the_real_shape_is_routed_in_all_four_ways() {
    let graph = transformer(128, 2);
    for (routing, multicast) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut topology = chip(routing, multicast, 4096);
        topology.max_pool.count_bits = 1 << 20;
        let program = compiled(&graph, &topology, Strategy::Greedy);
        check_trees(&topology, &program);
        check_neighbours(&program);
    }
}

#[test]
fn near_sources_is_shorter_than_row_by_row() {
    let graph = transformer(128, 2);
    let mut topology = chip(0, 1, 4096);
    topology.max_pool.count_bits = 1 << 20;
    let hops = |strategy| {
        let program = compiled(&graph, &topology, strategy);
        let length =
            |route: &spikemesh::program::Route| route.trees.iter().map(|tree| tree.nodes.len() - 1).sum::<usize>();
        let of_slice = |routes: &Vec<_>| {
            routes.iter().map(|route: &spikemesh::units::RouteId| length(&program.routes[route.index()])).sum::<usize>()
        };
        program.route_of.iter().map(of_slice).sum::<usize>()
    };
    let [row_major, snake, hilbert, searched @ ..] = Strategy::ALL.map(hops);
    println!("links passed when every neuron fires once: {row_major} {snake} {hilbert} {searched:?}");
    assert!(searched.iter().all(|hops| hops < &row_major && hops < &hilbert && hops < &snake));
}
