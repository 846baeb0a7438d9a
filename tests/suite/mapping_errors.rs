//! What people read when a network has no place on a chip, or when their mapping is not one.

use crate::chips;
use crate::shapes::{Map, Shape, transformer};
use insta::assert_snapshot;
use spikemesh::compile::{Strategy, map, program};
use spikemesh::graph::Graph;
use spikemesh::hardware::{Kernels, Topology, UnitKind};
use spikemesh::network::SoftmaxAxis;
use spikemesh::program::Mapping;
use spikemesh::units::{StageId, Window};

/// Input, neurons, attention and a readout on a small chip, mapped, with no fault yet.
fn sound() -> (Graph<i32>, Topology, Mapping) {
    let mut shape = Shape::new(4, 4, 3);
    let neurons = shape.neurons(&[StageId(0)], Map::conv(3, 1), 8);
    let context = shape.attention(neurons, 2, SoftmaxAxis::Queries);
    let whole = Window::whole(shape.grid(context));
    shape.readout(&[context], Map { window: whole, ..Map::LINEAR }, 5);
    let mut topology = chips::topology(4, 4);
    topology.core.neurons = 64;
    let mapping = map(&shape.graph, "small", &topology, Strategy::RowMajor).unwrap();
    (shape.graph, topology, mapping)
}

fn faults_of(change: impl FnOnce(&mut Topology, &mut Mapping)) -> String {
    let (graph, mut topology, mut mapping) = sound();
    change(&mut topology, &mut mapping);
    program(&graph, "digest", "small", &topology, &mapping).unwrap_err().to_string()
}

fn line<'a>(mapping: &'a mut Mapping, stage: &str) -> &'a mut spikemesh::program::Placement {
    mapping.slices.iter_mut().find(|line| line.stage == stage).unwrap()
}

#[test]
fn two_slices_on_one_unit() {
    let faults = faults_of(|_, mapping| {
        let tile = line(mapping, "neurons2").tile;
        line(mapping, "neurons1").tile = tile;
    });
    assert_snapshot!(faults, @r##"
    network `shape` cannot be put on chip `small`:
    - stage `neurons2`, positions 0..8, channels 0..8, on tile (1, 0), unit 1: shares that unit with stage `neurons1`, positions 0..8, channels 0..8, and a unit holds one slice; unit 1 of tile (0, 0) is a core that is free
    "##);
}

#[test]
fn a_forgotten_slice() {
    let faults = faults_of(|_, mapping| {
        mapping.slices.remove(2);
    });
    assert_snapshot!(faults, @r##"
    network `shape` cannot be put on chip `small`:
    - stage `neurons1`: no slice holds positions 8..16, channels 0..8; add a line for them, or widen another; unit 0 of tile (1, 0) is a core that is free
    "##);
}

#[test]
fn a_slice_on_a_unit_of_another_kind() {
    let faults = faults_of(|_, mapping| {
        let softmax = line(mapping, "softmax6").clone();
        let readout = line(mapping, "readout8");
        (readout.tile, readout.unit) = (softmax.tile, softmax.unit);
    });
    assert_snapshot!(faults, @r##"
    network `shape` cannot be put on chip `small`:
    - stage `readout8`, positions 0..1, channels 0..5, on tile (3, 1), unit 0: that unit is a softmax unit, and the stage needs a core; unit 1 of tile (1, 2) is a core that is free
    "##);
}

#[test]
fn a_region_beyond_the_stage_and_one_that_is_empty() {
    let faults = faults_of(|_, mapping| {
        line(mapping, "neurons1").positions = (8, 8);
        line(mapping, "readout8").channels = (0, 6);
    });
    assert_snapshot!(faults, @r##"
    network `shape` cannot be put on chip `small`:
    - stage `neurons1`, positions 8..8, channels 0..8, on tile (0, 0), unit 1: holds nothing, since a range ends at its start or before; remove the line, or give it positions and channels
    - stage `readout8`, positions 0..1, channels 0..6, on tile (1, 2), unit 1: the stage has positions 0..1, channels 0..5 only; keep the ranges within them
    - stage `neurons1`: no slice holds positions 0..8, channels 0..8; add a line for them, or widen another; unit 0 of tile (2, 2) is a core that is free
    "##);
}

#[test]
fn overlapping_slices() {
    let faults = faults_of(|_, mapping| line(mapping, "neurons1").positions = (0, 9));
    assert_snapshot!(faults, @r##"
    network `shape` cannot be put on chip `small`:
    - stage `neurons1`, positions 8..16, channels 0..8, on tile (1, 0), unit 0: holds values that are on tile (0, 0), unit 1 already, with positions 0..9, channels 0..8; let one range end where the other starts
    - stage `neurons1`, positions 0..9, channels 0..8, on tile (0, 0), unit 1: needs `core.neurons` of 72, and the unit has 64; cut it into smaller slices, or --set core.neurons=72
    "##);
}

#[test]
fn units_and_stages_that_are_not_there() {
    let faults = faults_of(|_, mapping| {
        line(mapping, "neurons2").tile = (4, 0);
        line(mapping, "neurons3").unit = 2;
        line(mapping, "readout8").stage = "head".to_string();
    });
    assert_snapshot!(faults, @r##"
    network `shape` cannot be put on chip `small`:
    - stage `neurons2`, positions 0..8, channels 0..8, on tile (4, 0), unit 1: columns and rows are numbered from 0, and the mesh has 4 and 4; unit 1 of tile (1, 0) is a core that is free
    - stage `neurons3`, positions 0..8, channels 0..8, on tile (0, 1), unit 2: the tile's units are numbered from 0, and it has 1; unit 0 of tile (0, 1) is a core that is free
    - stage `head`, positions 0..1, channels 0..5, on tile (1, 2), unit 1: the network has no such stage; its stages are `input`, `neurons1`, `neurons2`, `neurons3`, `neurons4`, `scores5`, `softmax6`, `context7`, `readout8`
    - stage `readout8`: no slice holds positions 0..1, channels 0..5; add a line for them, or widen another; unit 0 of tile (2, 2) is a core that is free
    "##);
}

#[test]
fn slices_that_cut_a_head_or_ask_too_much() {
    let faults = faults_of(|topology, mapping| {
        topology.softmax.state_bits = 16 * 16 * 32;
        let mut second = line(mapping, "scores5").clone();
        line(mapping, "scores5").positions = (0, 8);
        (second.positions, second.tile, second.unit) = ((8, 16), (1, 3), 0);
        mapping.slices.push(second);
    });
    assert_snapshot!(faults, @r##"
    network `shape` cannot be put on chip `small`:
    - stage `scores5`, positions 8..16, channels 0..32, on tile (1, 3), unit 0: that unit is a max-pool unit, and the stage needs an attention unit; no attention unit of the chip is free
    - stage `scores5`, positions 0..8, channels 0..32, on tile (2, 1), unit 0: cuts what belongs together; give the slice channels from one multiple of 16 to another and all positions, 0..16
    - stage `scores5`, positions 8..16, channels 0..32, on tile (1, 3), unit 0: cuts what belongs together; give the slice channels from one multiple of 16 to another and all positions, 0..16
    - stage `softmax6`, positions 0..16, channels 0..32, on tile (3, 1), unit 0: needs `softmax.state_bits` of 16384, and the unit has 8192; cut it into smaller slices, or --set softmax.state_bits=16384
    "##);
}

#[test]
fn a_chip_without_the_units() {
    let mut topology = chips::topology(4, 4);
    topology.tiles.values_mut().for_each(|units| *units = vec![UnitKind::Core]);
    topology.tiles.insert('p', vec![UnitKind::Core, UnitKind::Port]);
    topology.core.neurons = 1 << 16;
    topology.core.weight_bits = 6;
    let error = map(&transformer(128, 1), "plain", &topology, Strategy::Greedy).unwrap_err();
    assert_snapshot!(error, @r##"
    network `shape` cannot be put on chip `plain`:
    - the chip has no max-pool unit, which `max_pool4`, `max_pool6` need; take a chip that has one, add `max_pool` to a tile of its layout, or take a network without such stages
    - the chip has no attention unit, which `scores11`, `context13` need; take a chip that has one, add `attention` to a tile of its layout, or take a network without such stages
    - the chip has no softmax unit, which `softmax12` needs; take a chip that has one, add `softmax` to a tile of its layout, or take a network without such stages
    - weights are 8 bits wide, and a core holds up to 6; quantise with --weight-bits 6, or --set core.weight_bits=8
    "##);
}

#[test]
fn a_chip_that_is_too_small() {
    let mut topology = chips::topology(8, 8);
    topology.core.neurons = 1024;
    topology.core.kernels = Kernels::Expanded;
    topology.core.synapse_bits = 1 << 22;
    topology.softmax.table_bits = 5;
    let error = map(&transformer(128, 1), "small", &topology, Strategy::Greedy).unwrap_err();
    assert_snapshot!(error, @r##"
    network `shape` cannot be put on chip `small`:
    - stage `softmax12` looks up 6 address bits in its table of powers of two, and a softmax unit has 5; --set softmax.table_bits=6, or quantise with --table-bits 5
    - 236 cores are needed, 52 are there, 184 are missing
        64 for stage `neurons3` (32×32×64); `core.neurons` sets the number
        35 for stage `neurons5` (16×16×128); `core.synapse_bits` sets the number
        32 for stage `neurons2` (32×32×32); `core.neurons` sets the number
        32 for stage `neurons15` (8×8×512); `core.neurons` sets the number
        16 for stage `neurons1` (32×32×16); `core.neurons` sets the number
        16 for stage `neurons7` (8×8×128); `core.synapse_bits` sets the number
        8 for stage `neurons8` (8×8×128); `core.neurons` sets the number
        8 for stage `neurons9` (8×8×128); `core.neurons` sets the number
        8 for stage `neurons10` (8×8×128); `core.neurons` sets the number
        8 for stage `neurons14` (8×8×128); `core.neurons` sets the number
        8 for stage `neurons16` (8×8×128); `core.neurons` sets the number
        1 for stage `readout17` (1×1×10); `core.neurons` sets the number
      any one of these gives enough of them:
        --set mesh.rows=37
    "##);
}

#[test]
fn a_unit_that_is_too_small_however_a_stage_is_cut() {
    let mut topology = chips::topology(8, 8);
    topology.core.axons_in = 8;
    topology.softmax.state_bits = 1000;
    let (graph, ..) = sound();
    assert_snapshot!(map(&graph, "small", &topology, Strategy::Greedy).unwrap_err(), @r##"
    network `shape` cannot be put on chip `small`:
    - stage `neurons1` does not fit however it is cut: positions 5..6, channels 0..1 alone needs `core.axons_in` of 9, and a unit has 8; --set core.axons_in=9 or more makes room, and with core.kernels=shared it counts positions instead of neurons
    - stage `softmax6` does not fit however it is cut: positions 0..16, channels 0..16 alone needs `softmax.state_bits` of 8192, and a unit has 1000; --set softmax.state_bits=8192 or more makes room
    - stage `readout8` does not fit however it is cut: positions 0..1, channels 0..1 alone needs `core.axons_in` of 16, and a unit has 8; --set core.axons_in=16 or more makes room, and with core.kernels=shared it counts positions instead of neurons
    "##);
}

#[test]
fn graded_spikes_wider_than_a_packet_carries() {
    let faults = faults_of(|topology, _| topology.noc.graded_bits = 8);
    assert_snapshot!(faults, @r##"
    network `shape` cannot be put on chip `small`:
    - stage `input` sends values of 9 bits, and a packet carries 8; --set noc.graded_bits=9, or quantise with fewer --input-bits
    - stage `softmax6` sends values of 10 bits, and a packet carries 8; --set noc.graded_bits=10, or quantise with fewer --probability-bits
    "##);
}
