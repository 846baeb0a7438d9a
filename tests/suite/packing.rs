//! Packing spikes into wide flits, as ELSA does: packets and energy as computed by hand.

use crate::shapes::{Map, Shape};
use spikemesh::action::Action;
use spikemesh::compile::{self, Strategy};
use spikemesh::engine::{Drive, run};
use spikemesh::hardware::UnitKind;
use spikemesh::load;
use spikemesh::network::SoftmaxAxis;
use spikemesh::trace::{ImageTrace, SpikeTrain, Widths};
use spikemesh::units::{Femtojoules, StageId};

/// Spikes of 40 neurons in one step: packets, flit-hops, and the energy of axons out and network.
fn sent(spikes_per_packet: u32) -> (u64, u64, Femtojoules) {
    // with barriers there are no tokens on the same ways
    let sets = [format!("spikes_per_packet={spikes_per_packet}"), "discipline=barrier".to_string()];
    let chip = load::hardware("elsa28".as_ref(), &sets).unwrap_or_else(|error| panic!("{error}"));
    let mut shape = Shape::new(1, 1, 1);
    let neurons = shape.neurons(&[StageId(0)], Map::LINEAR, 40);
    shape.readout(&[neurons], Map::LINEAR, 2);
    let graph = shape.graph;
    let mapping = compile::map(&graph, &chip.name, &chip.topology, Strategy::RowMajor).unwrap();
    let program = compile::program(&graph, "", &chip.name, &chip.topology, &mapping).unwrap();
    let mut trains: Vec<SpikeTrain> = graph.stages.iter().map(|stage| SpikeTrain::resting(stage, 1)).collect();
    let grid = graph.stage(neurons).grid;
    (0..40).for_each(|channel| trains[1].put(1, grid, (0, channel), if channel % 3 == 0 { -1 } else { 1 }));
    let trace = ImageTrace { steps: 1, trains, widths: vec![Widths::default(); 3] };
    let drive = Drive::Replay { graph: &graph, trace: &trace, time_steps: 1 };
    let activity = run(&program, &chip.topology, &chip.timing, drive).unwrap().activity;
    let slice = &activity.slices[1];
    assert_eq!((slice.spikes, slice.negative_spikes), (40, 14));
    let paid = [Action::AxonOut, Action::FlitRoute, Action::HopHorizontal, Action::HopVertical, Action::LocalDelivery];
    let energy = paid.iter().map(|&action| chip.energy.price(action) * slice.counts[action]).sum();
    (slice.packets, slice.flit_hops, energy)
}

#[test]
fn seventeen_spikes_share_a_flit_and_its_energy() {
    let chip = load::hardware("elsa28".as_ref(), &[]).unwrap();
    let noc = &chip.topology.noc;
    assert_eq!((chip.topology.mesh.columns, chip.topology.mesh.rows), (6, 6));
    assert_eq!((noc.flit_bits, noc.spikes_per_packet, noc.position_bits + 1), (256, 17, 13));
    assert!(noc.header_bits + 17 * 13 <= 256 && noc.header_bits + 18 * 13 > 256, "17 fit and 18 do not");
    assert_eq!(chip.topology.units().iter().filter(|unit| unit.kind == UnitKind::Core).count(), 36);
    // One packet over one hop: out 1.15, two crossbars of 1.63, one link of 11.37, input memory 0.092 pJ.
    let packet = 1_150 + 2 * 1_630 + 11_370 + 92;
    assert_eq!(sent(17), (3, 3, Femtojoules(3 * packet)), "17 + 17 + 6 spikes");
    assert_eq!(sent(1), (40, 40, Femtojoules(40 * packet)));
}

#[test]
fn a_graded_value_that_no_packet_can_carry_is_counted() {
    let chip = load::hardware("mesh28".as_ref(), &["graded_bits=12".to_string()]).unwrap();
    let mut shape = Shape::new(2, 2, 2);
    let neurons = shape.neurons(&[StageId(0)], Map::LINEAR, 4);
    let context = shape.attention(neurons, 2, SoftmaxAxis::Keys);
    shape.readout(&[context], Map::LINEAR, 2);
    let graph = shape.graph;
    let mapping = compile::map(&graph, &chip.name, &chip.topology, Strategy::RowMajor).unwrap();
    let program = compile::program(&graph, "", &chip.name, &chip.topology, &mapping).unwrap();
    let mut trains: Vec<SpikeTrain> = graph.stages.iter().map(|stage| SpikeTrain::resting(stage, 2)).collect();
    let (grid, at) = (graph.stage(context).grid, context.index());
    for (channel, value) in [2047, 2048, -2048, -2049].into_iter().enumerate() {
        trains[at].put(1, grid, (3, channel as u32), value);
    }
    trains[at].put(2, grid, (0, 0), i32::MIN);
    let trace = ImageTrace { steps: 2, trains, widths: vec![Widths::default(); graph.stages.len()] };
    let drive = Drive::Replay { graph: &graph, trace: &trace, time_steps: 2 };
    let activity = run(&program, &chip.topology, &chip.timing, drive).unwrap().activity;
    let wide = |stage: usize| {
        let slices = program.stage_slices[stage].clone();
        slices.map(|slice| activity.slices[slice as usize].wide_spikes).sum::<u64>()
    };
    let wanted = (0..graph.stages.len()).map(|stage| if stage == at { 3 } else { 0 });
    assert_eq!(
        (0..graph.stages.len()).map(wide).collect::<Vec<_>>(),
        wanted.collect::<Vec<_>>(),
        "12 bits end at 2047"
    );
}
