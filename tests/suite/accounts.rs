//! Energy adds up exactly however it is split, and the quantised ANN is counted in closed form.

use crate::chips;
use crate::shapes::{Map, Shape, any_graph, transformer};
use proptest::prelude::*;
use spikemesh::account::{Bill, Run, STATIC, ann_baseline, price, summarise};
use spikemesh::action::{Action, Component, Counts};
use spikemesh::activity::{Activity, SliceActivity};
use spikemesh::compile::{Strategy, map, program};
use spikemesh::graph::Graph;
use spikemesh::hardware::Hardware;
use spikemesh::load;
use spikemesh::program::Program;
use spikemesh::summary::{RunSummary, Simulator};
use spikemesh::trace::Widths;
use spikemesh::units::{Femtojoules, StageId, Window};

fn hardware() -> Hardware {
    let mut hardware = load::hardware_from_text("mesh28", load::preset("mesh28").unwrap(), &[]).unwrap();
    hardware.topology = chips::topology(16, 16);
    hardware.topology.core.neurons = 40;
    hardware
}

fn compiled(graph: &Graph<i32>, hardware: &Hardware) -> Program {
    let mapping = map(graph, "chip", &hardware.topology, Strategy::Greedy).unwrap();
    program(graph, "digest", "chip", &hardware.topology, &mapping).unwrap()
}

/// Activities with counts that look random and are the same every time.
fn activities(program: &Program, seed: u64, images: u64) -> Vec<Activity> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 44
    };
    let mut slice = || SliceActivity {
        counts: Counts(std::array::from_fn(|_| next())),
        busy_cycles: next(),
        spikes: next(),
        ..SliceActivity::default()
    };
    let mut activity =
        |cycles| Activity { cycles, slices: program.slices.iter().map(|_| slice()).collect(), ..Activity::default() };
    (0..images).map(|image| activity(seed % 99_991 + image)).collect()
}

fn summary(graph: &Graph<i32>, program: &Program, hardware: &Hardware, activities: &[Activity]) -> RunSummary {
    let simulator = Simulator { seconds: 1.0, synaptic_ops_per_s: 0.0, flit_hops_per_s: 0.0, peak_memory_mib: 0.0 };
    let run =
        Run { graph, program, hardware, time_steps: 4, drive: "replay", live_equal: None, activities, widths: &[] };
    summarise(&run, None, simulator)
}

fn check_sums(bill: &Bill) {
    let sum = |parts: &[Femtojoules]| parts.iter().copied().sum::<Femtojoules>();
    assert_eq!(sum(&bill.slices), sum(&bill.layers));
    assert_eq!(sum(&bill.layers) + bill.standing, bill.total);
    assert_eq!(sum(&bill.components) + bill.standing, bill.total);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn layers_and_components_add_up_to_the_total(graph in any_graph(), seed in any::<u64>(), images in 1..4u64) {
        let hardware = hardware();
        let program = compiled(&graph, &hardware);
        let activities = activities(&program, seed, images);
        let bill = price(&program, &hardware.timing, &hardware.energy, &activities);
        check_sums(&bill);
        let summary = summary(&graph, &program, &hardware, &activities);
        prop_assert_eq!(summary.energy_fj, bill.total.0);
        prop_assert_eq!(summary.energy_by_component_fj.values().sum::<u64>(), bill.total.0);
        let layers: u64 = summary.layers.iter().map(|layer| layer.energy_fj).sum();
        prop_assert_eq!(layers + summary.energy_by_component_fj[STATIC], bill.total.0);
    }
}

#[test]
fn a_doubled_price_changes_its_own_share_only() {
    let (graph, hardware) = (transformer(32, 1), hardware());
    let hardware = Hardware { topology: chips::topology(64, 64), ..hardware };
    let program = compiled(&graph, &hardware);
    let activities = activities(&program, 7, 2);
    let before = price(&program, &hardware.timing, &hardware.energy, &activities);
    for &action in Action::ALL {
        let mut energy = hardware.energy.clone();
        energy.prices[action as usize] = energy.prices[action as usize] * 2;
        let after = price(&program, &hardware.timing, &energy, &activities);
        let count: u64 = activities.iter().flat_map(|a| &a.slices).map(|slice| slice.counts[action]).sum();
        let share = hardware.energy.price(action) * count;
        check_sums(&after);
        assert_eq!(before.total + share, after.total, "{action:?}");
        assert_eq!(before.standing, after.standing);
        for (component, (old, new)) in Component::ALL.iter().zip(before.components.iter().zip(after.components)) {
            let more = if *component == action.component() { share } else { Femtojoules(0) };
            assert_eq!(*old + more, new, "{action:?} in {component:?}");
        }
    }
}

#[test]
fn static_energy_is_power_times_time() {
    let mut hardware = hardware();
    hardware.timing.clock.mhz = 300;
    hardware.energy.static_uw = 65_000;
    let shape = Shape::new(2, 2, 1);
    let program = compiled(&shape.graph, &hardware);
    let idle = |cycles| Activity { cycles, slices: vec![SliceActivity::default()], ..Activity::default() };
    let bill = price(&program, &hardware.timing, &hardware.energy, &[idle(299), idle(301)]);
    assert_eq!(bill.total, Femtojoules(65_000 * 2 * 1000), "2 µs at 65 mW are 130 nJ");
    let bill = price(&program, &hardware.timing, &hardware.energy, &[idle(1)]);
    assert_eq!(bill.total, Femtojoules(216_667), "rounded to the nearest femtojoule");
}

#[test]
fn values_wider_than_the_chip_keeps_are_counted() {
    let mut hardware = hardware();
    hardware.topology.core.membrane_bits = 10;
    let mut shape = Shape::new(2, 2, 2);
    let neurons = shape.neurons(&[StageId(0)], Map::LINEAR, 2);
    shape.max_pool(neurons, Window { height: 2, width: 2, stride: 2, padding: 0 });
    let program = compiled(&shape.graph, &hardware);
    let mut widths = Widths::default();
    [511, -512, 512, -513, 255, 256].into_iter().for_each(|value| widths.add(value));
    let image = vec![widths; 3];
    let mut activities = activities(&program, 1, 2);
    activities[1].slices[0].wide_spikes = 3;
    let simulator = Simulator { seconds: 1.0, synaptic_ops_per_s: 0.0, flit_hops_per_s: 0.0, peak_memory_mib: 0.0 };
    let run = Run {
        graph: &shape.graph,
        program: &program,
        hardware: &hardware,
        time_steps: 4,
        drive: "live",
        live_equal: None,
        activities: &activities,
        widths: &[&image, &image],
    };
    let layers = summarise(&run, None, simulator).layers;
    assert_eq!(
        layers.iter().map(|layer| layer.overflows).collect::<Vec<_>>(),
        [3, 4, 10],
        "10 bits; counts up to 255; 3 pixels"
    );
    assert!(layers.iter().all(|layer| layer.peak_bits == 11));
}

#[test]
fn the_ann_of_the_reference_shape_in_closed_form() {
    let (dim, blocks) = (128u64, 2u64);
    let graph = transformer(dim as u32, blocks as u32);
    let hardware = hardware();
    let baseline = ann_baseline(&graph, &hardware.energy);
    let conv = |side: u64, from: u64, to: u64| (3 * side - 2) * (3 * side - 2) * from * to;
    let stem = conv(32, 3, 16) + conv(32, 16, 32) + conv(32, 32, 64) + conv(16, 64, 128) + conv(8, 128, 128);
    let linear = 64 * dim * dim * (4 + 8) * blocks;
    let attention = 2 * 64 * 64 * dim * blocks;
    assert_eq!(baseline.macs, stem + linear + attention + dim * 10);
    let weights = 9 * (3 * 16 + 16 * 32 + 32 * 64 + 64 * 128 + 128 * 128) + 12 * dim * dim * blocks + dim * 10;
    assert_eq!(baseline.weight_reads, weights);
    let energy = &hardware.energy;
    let least = energy.ann_mac * baseline.macs
        + energy.ann_weight_read * weights
        + energy.ann_activation_access * baseline.activation_accesses;
    assert_eq!(baseline.energy_uj, least.microjoules());
    assert!(baseline.energy_uj < baseline.energy_uj_without_reuse);
    assert_eq!(baseline, ann_baseline(&graph.skeleton(), energy));
}

#[test]
fn activations_are_read_once_by_every_layer_and_written_once() {
    let mut shape = Shape::new(4, 4, 2);
    let first = shape.neurons(&[StageId(0)], Map::conv(3, 1), 6);
    let second = shape.neurons(&[first], Map { groups: 2, ..Map::conv(1, 1) }, 4);
    shape.max_pool(second, Window { height: 2, width: 2, stride: 2, padding: 0 });
    let baseline = ann_baseline(&shape.graph, &hardware().energy);
    assert_eq!(baseline.activation_accesses, (32 + 96) + (96 + 64) + (64 + 16));
    assert_eq!(baseline.macs, 100 * 2 * 6 + 16 * 3 * 4, "two groups see half of the channels each");
}
