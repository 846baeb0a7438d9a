//! Every value of every stage is in exactly one slice, and every slice within the capacities of its unit.

use crate::chips;
use crate::shapes::{Map, Shape, any_graph, transformer};
use crate::shared;
use proptest::prelude::*;
use spikemesh::compile::{self, Strategy, map, partition, program};
use spikemesh::convert;
use spikemesh::graph::{Graph, StageKind};
use spikemesh::hardware::{Kernels, Topology, UnitKind};
use spikemesh::load;
use spikemesh::network::SoftmaxAxis;
use spikemesh::program::Program;
use spikemesh::reach::Reach;
use spikemesh::units::{Region, StageId};
use std::collections::BTreeSet;

fn compiled(graph: &Graph<i32>, topology: &Topology, strategy: Strategy) -> Program {
    let mapping = map(graph, "chip", topology, strategy).unwrap_or_else(|error| panic!("{error}"));
    let program = program(graph, "digest", "chip", topology, &mapping).unwrap_or_else(|error| panic!("{error}"));
    let again = compile::program(graph, "digest", "chip", topology, &mapping_of(graph, topology, &program)).unwrap();
    assert_eq!(program, again, "a mapping read off a program gives the same program");
    program
}

fn mapping_of(graph: &Graph<i32>, topology: &Topology, program: &Program) -> spikemesh::program::Mapping {
    let units = topology.units();
    let regions = |slice: &'_ spikemesh::program::Slice| slice.region.regions().to_vec();
    let pairs =
        program.slices.iter().rev().flat_map(|slice| regions(slice).into_iter().map(move |region| (slice, region)));
    let line = |(slice, region): (&spikemesh::program::Slice, Region)| spikemesh::program::Placement {
        stage: graph.stage(slice.stage).name.clone(),
        positions: (region.positions.start, region.positions.end),
        channels: (region.channels.start, region.channels.end),
        tile: topology.mesh.place(units[slice.unit.index()].tile),
        unit: units[slice.unit.index()].port,
    };
    let slices = pairs.map(line).collect();
    spikemesh::program::Mapping { network: graph.name.clone(), chip: "chip".to_string(), slices }
}

/// Capacities small enough that the stages of a random graph are cut.
fn tight(neurons: u64, axons_in: u64, kernels: Kernels) -> Topology {
    let mut topology = chips::topology(32, 32);
    topology.core.neurons = neurons;
    topology.core.axons_in = axons_in.max(if kernels == Kernels::Shared { 98 } else { 800 });
    topology.core.kernels = kernels;
    topology.core.synapse_bits = 60_000;
    topology.core.routes_out = 400;
    topology.max_pool.count_bits = 8 * 9 * 4;
    topology.attention.state_bits = 1 << 18;
    topology.softmax.state_bits = 1 << 17;
    topology
}

fn check_cover(graph: &Graph<i32>, program: &Program) {
    for id in graph.ids() {
        let grid = graph.stage(id).grid;
        let mut seen = vec![0u32; grid.neurons()];
        let range = program.stage_slices[id.index()].clone();
        for slice in &program.slices[range.start as usize..range.end as usize] {
            assert_eq!(slice.stage, id);
            for local in 0..slice.region.neurons() {
                let (position, channel) = slice.region.global(local);
                seen[position as usize * grid.channels as usize + channel as usize] += 1;
            }
        }
        assert!(seen.iter().all(|&times| times == 1), "{}: each value in one slice", graph.stage(id).name);
    }
}

fn check_units(graph: &Graph<i32>, topology: &Topology, program: &Program) {
    let units = topology.units();
    let seats: BTreeSet<_> = program.slices.iter().map(|slice| slice.unit).collect();
    assert_eq!(seats.len(), program.slices.len(), "one slice on a unit");
    for slice in &program.slices {
        let kind = units[slice.unit.index()].kind;
        assert_eq!(kind, compile::unit_for(&graph.stage(slice.stage).kind));
        let needs = slice.needs;
        match kind {
            UnitKind::Core => {
                assert!(needs.neurons <= topology.core.neurons);
                assert!(needs.synapse_bits <= topology.core.synapse_bits);
                assert!(needs.axons_in <= topology.core.axons_in);
                assert!(needs.routes_out <= topology.core.routes_out);
            }
            UnitKind::MaxPool => assert!(needs.state_bits <= topology.max_pool.count_bits),
            UnitKind::Attention => assert!(needs.state_bits <= topology.attention.state_bits),
            UnitKind::Softmax => assert!(needs.state_bits <= topology.softmax.state_bits),
            UnitKind::Port => {}
        }
    }
}

/// What a core needs, counted synapse by synapse.
fn check_needs(graph: &Graph<i32>, topology: &Topology, program: &Program) {
    for slice in &program.slices {
        let stage = graph.stage(slice.stage);
        assert_eq!(slice.needs.neurons, slice.region.neurons() as u64);
        let routes = program.routes.iter().filter(|route| program.slices[route.source.index()] == *slice);
        assert_eq!(slice.needs.routes_out, routes.map(|route| route.destinations.len() as u64).sum::<u64>());
        if stage.kind.synapses().is_none() {
            continue;
        }
        let (mut positions, mut neurons, mut synapses) = (0, 0, 0);
        for source in stage.kind.sources() {
            let reach = Reach::new(graph, source, slice.stage);
            let grid = graph.stage(source).grid;
            for position in grid.whole().positions {
                let regions = slice.region.regions();
                let operations =
                    |channel| regions.iter().map(|region| reach.operations(position, channel, region)).sum::<u64>();
                let heard = grid.whole().channels.filter(|&channel| operations(channel) > 0).count() as u64;
                positions += u64::from(heard > 0);
                neurons += heard;
                synapses += grid.whole().channels.map(operations).sum::<u64>();
            }
        }
        match topology.core.kernels {
            Kernels::Shared => assert_eq!(slice.needs.axons_in, positions),
            Kernels::Expanded => {
                assert_eq!(slice.needs.axons_in, neurons);
                assert_eq!(slice.needs.synapse_bits, synapses * 8);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn slices_cover_every_value_once_within_all_capacities(
        graph in any_graph(), neurons in 3..200u64, axons in 9..80u64, expanded in any::<bool>(), strategy in 0..4usize,
    ) {
        let topology = tight(neurons, axons, if expanded { Kernels::Expanded } else { Kernels::Shared });
        let program = compiled(&graph, &topology, Strategy::ALL[strategy]);
        check_cover(&graph, &program);
        check_units(&graph, &topology, &program);
        check_needs(&graph, &topology, &program);
    }
}

fn regions(graph: &Graph<i32>, topology: &Topology, stage: StageId) -> Vec<Region> {
    partition(graph, "chip", topology).unwrap_or_else(|error| panic!("{error}"))[stage.index()].clone()
}

#[test]
fn a_stage_that_fits_one_unit_is_one_slice() {
    let graph = transformer(128, 1);
    let mut topology = chips::topology(16, 16);
    topology.core.neurons = 1 << 20;
    let partition = partition(&graph, "chip", &topology).unwrap();
    assert!(partition.iter().zip(&graph.stages).all(|(regions, stage)| *regions == [stage.grid.whole()]));
}

#[test]
fn the_fewest_slices_win_and_then_the_fewest_blocks_of_channels() {
    let mut shape = Shape::new(8, 8, 3);
    let stage = shape.neurons(&[StageId(0)], Map::conv(3, 1), 16);
    let mut topology = chips::topology(8, 8);
    topology.core.neurons = 256;
    let quarters = [0..16, 16..32, 32..48, 48..64].map(|positions| Region { positions, channels: 0..16 });
    assert_eq!(regions(&shape.graph, &topology, stage), quarters, "neurons: by positions, at the ends of rows");
    topology.core.synapse_bits = 8 * 27 * 8;
    let eighths = regions(&shape.graph, &topology, stage);
    assert_eq!(
        eighths[..2],
        [0..8, 8..16].map(|channels| Region { positions: 0..32, channels }),
        "weights: by channels"
    );
    topology.core.synapse_bits = 1 << 30;
    topology.core.neurons = 1024;
    topology.core.axons_in = 40;
    let runs = regions(&shape.graph, &topology, stage);
    assert_eq!(runs.len(), 2, "axons: 5 rows of 8 columns, which are all that 4 rows of windows at an edge can see");
}

#[test]
fn softmax_slices_keep_what_they_normalise() {
    for (axis, cut) in [(SoftmaxAxis::Queries, false), (SoftmaxAxis::Keys, true)] {
        let mut shape = Shape::new(4, 4, 8);
        shape.attention(StageId(0), 2, axis);
        let mut topology = chips::topology(16, 16);
        topology.softmax.state_bits = 16 * 16 * 32;
        topology.attention.state_bits = 16 * 16 * 16 + 2 * 16 * 4 * 8;
        let by_head = compiled(&shape.graph, &topology, Strategy::Greedy);
        let softmax =
            shape.graph.ids().find(|&id| matches!(shape.graph.stage(id).kind, StageKind::Softmax { .. })).unwrap();
        assert_eq!(by_head.stage_slices[softmax.index()].len(), 2, "a head each");
        topology.softmax.state_bits -= 1;
        let finer = partition(&shape.graph, "chip", &topology);
        assert_eq!(finer.is_ok(), cut, "only over keys can positions be cut");
        if let Ok(finer) = finer {
            assert_eq!(finer[softmax.index()].len(), 3, "both heads of 5 or 6 queries fit");
        }
    }
}

fn real() -> Option<Graph<i32>> {
    let network = load::network(&shared::path("models/cifar10-d128-b2.safetensors")?, None).unwrap();
    Some(convert::quantise(&convert::fold(&network).unwrap(), &convert::Precision::default()).unwrap())
}

fn built_in(name: &str, sets: &[&str]) -> Topology {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    load::hardware_from_text(name, load::preset(name).unwrap(), &sets).unwrap().topology
}

#[test]
fn the_real_network_fits_the_mesh_with_shared_and_with_expanded_kernels() {
    let Some(graph) = real() else { return };
    let expanded = ["core.kernels=expanded", "core.synapse_bits=67108864", "core.axons_in=65536"];
    for sets in [&[][..], &expanded] {
        let topology = built_in("mesh28", sets);
        for strategy in Strategy::ALL {
            let program = compiled(&graph, &topology, strategy);
            assert_eq!(program, compiled(&graph.skeleton(), &topology, strategy), "the shape is enough");
            check_cover(&graph, &program);
            check_units(&graph, &topology, &program);
            println!("{strategy:?} {sets:?}: {} slices, {} routes", program.slices.len(), program.routes.len());
        }
    }
}

#[test]
fn the_real_network_learns_what_loihi_lacks() {
    let Some(graph) = real() else { return };
    let error = map(&graph, "loihi", &built_in("loihi", &[]), Strategy::Greedy).unwrap_err();
    insta::assert_snapshot!(error, @r##"
    network `cifar10-d128-b2` cannot be put on chip `loihi`:
    - the chip has no max-pool unit, which `patch_embed.maxpool2`, `patch_embed.maxpool3` need; take a chip that has one, add `max_pool` to a tile of its layout, or take a network without such stages
    - the chip has no attention unit, which `block.0.attn.attention.scores`, `block.0.attn.attention`, `block.1.attn.attention.scores`, `block.1.attn.attention` need; take a chip that has one, add `attention` to a tile of its layout, or take a network without such stages
    - the chip has no softmax unit, which `block.0.attn.attention.softmax`, `block.1.attn.attention.softmax` need; take a chip that has one, add `softmax` to a tile of its layout, or take a network without such stages
    - stage `head` does not fit however it is cut: positions 0..1, channels 0..1 alone needs `core.axons_in` of 49152, and a unit has 4096; --set core.axons_in=49152 or more makes room, and with core.kernels=shared it counts positions instead of neurons
    - 894 cores are needed, 128 are there, 766 are missing
        169 for stage `block.1.mlp.fc1_relu` (8×8×512); `core.synapse_bits` sets the number
        140 for stage `patch_embed.proj_relu2` (32×32×64); `core.synapse_bits` sets the number
        140 for stage `patch_embed.proj_relu3` (16×16×128); `core.synapse_bits` sets the number
        104 for stage `block.0.mlp.fc1_relu` (8×8×512); `core.synapse_bits` sets the number
        64 for stage `patch_embed.rpe_relu` (8×8×128); `core.synapse_bits` sets the number
        36 for stage `patch_embed.proj_relu1` (32×32×32); `core.synapse_bits` sets the number
        32 for stage `block.0.mlp.fc2_relu` (8×8×128); `core.synapse_bits` sets the number
        32 for stage `block.1.attn.q_relu` (8×8×128); `core.synapse_bits` sets the number
        32 for stage `block.1.attn.k_relu` (8×8×128); `core.synapse_bits` sets the number
        32 for stage `block.1.attn.v_relu` (8×8×128); `core.synapse_bits` sets the number
        32 for stage `block.1.mlp.fc2_relu` (8×8×128); `core.synapse_bits` sets the number
        16 for stage `patch_embed.proj_relu` (32×32×16); `core.neurons` sets the number
        16 for stage `block.0.attn.q_relu` (8×8×128); `core.synapse_bits` sets the number
        16 for stage `block.0.attn.k_relu` (8×8×128); `core.synapse_bits` sets the number
        16 for stage `block.0.attn.v_relu` (8×8×128); `core.synapse_bits` sets the number
        8 for stage `block.0.attn.proj_relu` (8×8×128); `core.neurons` sets the number
        8 for stage `block.1.attn.proj_relu` (8×8×128); `core.neurons` sets the number
        1 for stage `head` (1×1×10); `core.synapse_bits` sets the number
      any one of these gives enough of them:
        --set mesh.rows=28
    "##);
}
