//! The machine computes what the network computes, spike for spike, whichever way it is driven, mapped and timed.

use crate::shared;
use crate::small_graphs::{Plan, SAMPLE};
use insta::assert_snapshot;
use spikemesh::action::Action;
use spikemesh::activity::Activity;
use spikemesh::compile::{self, Strategy};
use spikemesh::convert::{self, Precision};
use spikemesh::engine::mesh::Order;
use spikemesh::engine::{Drive, EngineError, Machine, run, schedule};
use spikemesh::functional::{Options, Outcome, Spiking};
use spikemesh::graph::{Graph, Source, StageKind};
use spikemesh::hardware::{Discipline, Hardware, Multicast, Soma};
use spikemesh::load;
use spikemesh::network::SoftmaxAxis;
use spikemesh::program::Program;
use spikemesh::units::{StageId, Window};
use std::path::Path;

/// `mesh28` with cores and pools so small that every stage of a small graph is cut.
fn small_chip(sets: &[&str]) -> Hardware {
    let small = ["core.neurons=60", "max_pool.count_bits=1024", "step.steps_ahead=1"];
    let sets: Vec<String> = small.iter().chain(sets).map(ToString::to_string).collect();
    load::hardware(Path::new("mesh28"), &sets).unwrap_or_else(|error| panic!("{error}"))
}

fn program(graph: &Graph<i32>, hardware: &Hardware, strategy: Strategy) -> Program {
    let mapping = compile::map(graph, &hardware.name, &hardware.topology, strategy).unwrap();
    compile::program(graph, "", &hardware.name, &hardware.topology, &mapping).unwrap()
}

fn functional(graph: &Graph<i32>, image: &[u8], time_steps: u32, discipline: Discipline) -> Outcome {
    let options = Options::exact(time_steps, schedule(discipline));
    Spiking::new(graph).run(image, &options).unwrap()
}

/// Runs an image live and replayed, sees to it that all agree, and gives the activity.
fn agreed(graph: &Graph<i32>, image: &[u8], time_steps: u32, hardware: &Hardware, strategy: Strategy) -> Activity {
    let program = program(graph, hardware, strategy);
    let wanted = functional(graph, image, time_steps, hardware.timing.step.discipline);
    let trace = wanted.trace.unwrap();
    let mut machine = Machine::new(&program, &hardware.topology, &hardware.timing, graph).unwrap();
    let live = machine.live(image, time_steps, trace.steps).unwrap();
    let computed = live.trace.unwrap();
    for id in graph.ids() {
        assert_eq!(computed.train(id), trace.train(id), "what {} sent", graph.stage(id).name);
        assert_eq!(computed.widths[id.index()], trace.widths[id.index()], "how wide {} was", graph.stage(id).name);
    }
    assert_eq!(machine.replay(&trace, time_steps).unwrap().activity, live.activity);
    // Units that were laid out once know nothing of the images before.
    let units = machine.at_rest(time_steps).unwrap();
    let other: Vec<u8> = image.iter().map(|byte| !byte).collect();
    units.run(&other, trace.steps).unwrap();
    assert_eq!(units.run(image, trace.steps).unwrap().trace.as_ref(), Some(&computed), "after another image");
    machine.order = Order::Backward;
    assert_eq!(machine.live(image, time_steps, trace.steps).unwrap().activity, live.activity);
    for spans in [2, 3, 100] {
        machine.spans = spans;
        let in_spans = machine.live(image, time_steps, trace.steps).unwrap();
        let barrier = hardware.timing.step.discipline == Discipline::Barrier;
        let cut = trace.steps.div_ceil(trace.steps.div_ceil(spans)) as usize;
        assert_eq!(in_spans.spans, if barrier { cut } else { 1 }, "all spans end as foreseen");
        assert_eq!(in_spans.activity, live.activity, "in {spans} spans");
        assert_eq!(in_spans.trace.as_ref(), Some(&computed), "in {spans} spans");
        assert_eq!(machine.replay(&trace, time_steps).unwrap().activity, live.activity, "in {spans} spans");
    }
    conserved(graph, &program, &live.activity, &wanted.synaptic_ops, &wanted.spikes);
    let skeleton = graph.skeleton();
    let drive = Drive::Replay { graph: &skeleton, trace: &trace, time_steps };
    assert_eq!(run(&program, &hardware.topology, &hardware.timing, drive).unwrap().activity, live.activity);
    live.activity
}

/// Operations and spikes of each stage are those of the functional run, and every hop is paid by somebody.
fn conserved(graph: &Graph<i32>, program: &Program, activity: &Activity, operations: &[u64], spikes: &[u64]) {
    for id in graph.ids() {
        let action = match graph.stage(id).kind {
            StageKind::Neurons(_) | StageKind::Readout { .. } => Action::SynapticOp,
            StageKind::MaxPool { .. } => Action::PoolCompare,
            StageKind::Scores { .. } | StageKind::Context { .. } => Action::AttentionMac,
            StageKind::Softmax { .. } => Action::AxonIn,
            StageKind::Input(_) => Action::SoftmaxExp,
        };
        let slices = program.stage_slices[id.index()].clone().map(|slice| &activity.slices[slice as usize]);
        let found: u64 = slices.clone().map(|slice| slice.counts[action]).sum();
        assert_eq!(found, operations[id.index()], "{} of {}", action.key(), graph.stage(id).name);
        assert_eq!(slices.map(|slice| slice.spikes).sum::<u64>(), spikes[id.index()]);
    }
    let sum = |action| activity.slices.iter().map(|slice| slice.counts[action]).sum::<u64>();
    let hops: u64 = activity.slices.iter().map(|slice| slice.flit_hops).sum();
    assert_eq!(activity.link_flits.iter().sum::<u64>(), hops);
    assert_eq!(sum(Action::HopHorizontal) + sum(Action::HopVertical) + sum(Action::HopChip), hops);
    assert_eq!(sum(Action::FlitRoute), hops + sum(Action::LocalDelivery));
    assert!(activity.slices.iter().all(|slice| slice.busy_cycles <= activity.cycles));
    assert!(activity.step_ends.is_sorted() && activity.step_ends.last() == Some(&activity.cycles));
}

#[test]
fn every_chip_mapping_and_drive_gives_the_functional_spikes() {
    let plans = [SAMPLE, Plan { seed: 2, stride: 2, groups: 1, heads: 1, axis: SoftmaxAxis::Keys, ..SAMPLE }];
    for (plan, strategy) in plans.iter().flat_map(|plan| Strategy::ALL.map(|strategy| (plan, strategy))) {
        let graph = plan.graph();
        for discipline in ["discipline=tokens", "discipline=barrier"] {
            for multicast in ["multicast=tree", "multicast=unicast"] {
                let hardware = small_chip(&[discipline, multicast]);
                agreed(&graph, &plan.image(&graph), 3, &hardware, strategy);
            }
        }
    }
}

#[test]
fn a_network_without_special_units_runs_on_the_other_built_in_chip() {
    // Two layers of neurons and a readout: what a chip of cores alone can hold.
    let plan = Plan { seed: 5, groups: 1, ..SAMPLE };
    let mut graph = plan.graph();
    let cut = graph.stages.iter().position(|stage| stage.kind.key() == "max_pool").unwrap();
    let mut readout = graph.stages.pop().unwrap();
    graph.stages.truncate(cut);
    let last = StageId::at(cut - 1);
    let grid = graph.stage(last).grid;
    let StageKind::Readout { synapses, .. } = &mut readout.kind else { panic!("a readout") };
    synapses.projections.truncate(1);
    let projection = &mut synapses.projections[0];
    projection.sources = vec![Source { stage: last, gain: 1 }];
    let kernel = &mut projection.kernel;
    let outputs = kernel.out_channels as usize;
    (kernel.pool, kernel.window, kernel.in_channels) = (Some(Window::whole(grid)), Window::ONE, grid.channels);
    kernel.weights = (0..grid.channels as usize * outputs).map(|at| at as i32 % 7 - 3).collect();
    graph.stages.push(readout);
    for strategy in Strategy::ALL {
        for sets in [&[][..], &["noc.multicast=tree"], &["step.discipline=tokens"]] {
            let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
            let hardware = load::hardware(Path::new("loihi"), &sets).unwrap();
            let activity = agreed(&graph, &plan.image(&graph), 3, &hardware, strategy);
            assert!(activity.slices.iter().any(|slice| slice.spikes > 0));
        }
    }
}

#[test]
fn buffers_packets_soma_and_timing_change_cycles_but_not_spikes() {
    let (graph, image) = (SAMPLE.graph(), SAMPLE.image(&SAMPLE.graph()));
    let plain = agreed(&graph, &image, 2, &small_chip(&[]), Strategy::Snake);
    for sets in [
        &["virtual_channels=1", "buffer_flits=1", "spikes_per_packet=2"][..],
        &["spikes_per_packet=1"],
        &["flit_bits=16", "multicast=unicast"],
        &["flit_bits=64", "buffer_flits=5", "virtual_channels=3"],
        &["soma=sweep"],
        &["soma=sweep", "discipline=barrier", "barrier_cycles=0"],
        &["flit_interval_cycles=3", "credit_cycles=0", "inject_cycles=1", "eject_cycles=0"],
        &["link_horizontal_cycles=9", "routing=yx"],
        &["steps_ahead=5"],
        &["head_cycles=2"],
        &["shape=torus"],
        &["chips_across=2", "chip_link_bits=4"],
    ] {
        let activity = agreed(&graph, &image, 2, &small_chip(sets), Strategy::Snake);
        assert_ne!(activity, plain, "{sets:?}");
        let spikes = |activity: &Activity| activity.slices.iter().map(|slice| slice.spikes).collect::<Vec<_>>();
        // With barriers, spikes are integrated a step later, which may bring others on the way to the same counts.
        assert_eq!(spikes(&activity) == spikes(&plain), !sets.contains(&"discipline=barrier"), "{sets:?}");
    }
}

/// The input and the readout alone: one pixel, one weight.
fn pair() -> Graph<i32> {
    let mut graph = SAMPLE.graph();
    let readout = graph.stages.pop().unwrap();
    graph.stages.truncate(1);
    graph.stages[0].grid.height = 1;
    graph.stages[0].grid.width = 1;
    graph.stages.push(readout);
    let grid = graph.stages[0].grid;
    let StageKind::Readout { synapses, .. } = &mut graph.stages[1].kind else { panic!("a readout") };
    synapses.projections.truncate(1);
    let projection = &mut synapses.projections[0];
    projection.sources.truncate(1);
    (projection.sources[0].stage, projection.sources[0].gain) = (StageId(0), 1);
    projection.kernel.pool = None;
    projection.kernel.in_channels = grid.channels;
    projection.kernel.weights.truncate(5 * grid.channels as usize);
    graph
}

#[test]
fn the_cycles_of_one_packet_are_the_closed_form() {
    let (graph, hardware) = (pair(), small_chip(&["core.lanes=2", "core.axon_in_cycles=4", "core.soma_lanes=1"]));
    let program = program(&graph, &hardware, Strategy::RowMajor);
    let units = hardware.topology.units();
    let place = |slice: usize| hardware.topology.mesh.place(units[program.slices[slice].unit.index()].tile);
    let ((x, y), (to_x, to_y)) = (place(0), place(1));
    let routers = u64::from(x.abs_diff(to_x) + y.abs_diff(to_y) + 1);
    let activity = agreed(&graph, &[0, 255], 1, &hardware, Strategy::RowMajor);
    // One cycle to build the packet, its way, two look-ups of 4 cycles, three groups of lanes for the second pixel's five
    // weights, five neurons, and the acknowledgement.
    assert_eq!(activity.cycles, 1 + (3 * routers + 2) + 2 * 4 + 3 + 5 + 1);
    let [port, core] = &activity.slices[..] else { panic!("two slices") };
    assert_eq!((port.packets, port.spikes, port.negative_spikes), (1, 2, 1));
    assert_eq!((port.flit_hops, core.flit_hops), (2 * (routers - 1), routers - 1));
    assert_eq!((port.busy_cycles, core.busy_cycles), (2, 2 * 4 + 3 + 5 + 1));
    let counts = |slice: usize| {
        let counts = &activity.slices[slice].counts;
        Action::ALL
            .iter()
            .map(|&action| (action.key(), counts[action]))
            .filter(|(_, count)| *count > 0)
            .collect::<Vec<_>>()
    };
    assert_snapshot!(format!("port {:?}\ncore {:?}", counts(0), counts(1)));
}

#[test]
fn a_sweeping_soma_visits_all_neurons_and_both_update_the_same() {
    let (graph, image) = (SAMPLE.graph(), SAMPLE.image(&SAMPLE.graph()));
    let total = |soma: &str, action| {
        let hardware = small_chip(&[soma]);
        let activity = agreed(&graph, &image, 2, &hardware, Strategy::Snake);
        (activity.slices.iter().map(|slice| slice.counts[action]).sum::<u64>(), activity.step_ends.len() as u64)
    };
    let (sweep, steps) = total("soma=sweep", Action::NeuronVisit);
    let cells =
        graph.stages.iter().filter(|stage| stage.kind.synapses().is_some()).map(|stage| stage.grid.neurons() as u64);
    assert_eq!(sweep, steps * cells.sum::<u64>());
    let (updates, _) = total("soma=sweep", Action::NeuronUpdate);
    assert_eq!(total("soma=event", Action::NeuronUpdate).0, updates);
    assert_eq!(total("soma=event", Action::NeuronVisit).0, updates);
    assert!(updates < sweep);
}

#[test]
fn a_packet_that_never_arrives_is_a_standstill_that_names_who_waits() {
    let (graph, hardware) = (pair(), small_chip(&[]));
    let mut program = program(&graph, &hardware, Strategy::RowMajor);
    for tree in program.routes.iter_mut().flat_map(|route| &mut route.trees) {
        tree.nodes.last_mut().unwrap().local.clear();
    }
    let drive = Drive::Live { graph: &graph, image: &[3, 4], time_steps: 2, steps: 3 };
    let error = run(&program, &hardware.topology, &hardware.timing, drive).unwrap_err();
    assert!(matches!(error, EngineError::Stall(_)));
    assert_snapshot!(error);
}

#[test]
fn a_wrong_route_shows_as_wrong_spikes() {
    let (graph, hardware) = (SAMPLE.graph(), small_chip(&["discipline=barrier"]));
    let image = SAMPLE.image(&graph);
    let mut program = program(&graph, &hardware, Strategy::RowMajor);
    let trace = functional(&graph, &image, 2, Discipline::Barrier).trace.unwrap();
    // The spikes of one slice of `conv` do not reach one of its destinations any more.
    let slice = program.stage_slices[1].start;
    let route =
        program.routes.iter_mut().find(|route| route.source.0 == slice && !route.destinations.is_empty()).unwrap();
    let lost = route.destinations[0];
    let nodes = route.trees.iter_mut().flat_map(|tree| &mut tree.nodes);
    // The flit ends at a unit of its way all the same, or it would stand there for ever.
    nodes.for_each(|node| {
        if node.local.len() > 1 || node.next.iter().any(Option::is_some) {
            node.local.retain(|&to| to != lost);
        }
    });
    let mut machine = Machine::new(&program, &hardware.topology, &hardware.timing, &graph).unwrap();
    let live = machine.live(&image, 2, trace.steps).unwrap();
    assert_ne!(live.trace.as_ref().unwrap().trains, trace.trains);
    // What is lost shows in spans of steps, too, though they begin with what should have come.
    for spans in [2, 3, trace.steps] {
        machine.spans = spans;
        assert_eq!(machine.live(&image, 2, trace.steps).unwrap(), live, "in {spans} spans");
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (graph, hardware) = (SAMPLE.graph(), small_chip(&[]));
    let image = SAMPLE.image(&graph);
    let program = program(&graph, &hardware, Strategy::RowMajor);
    let (topology, timing) = (&hardware.topology, &hardware.timing);
    let trace = functional(&graph, &image, 2, Discipline::Tokens).trace.unwrap();
    let (other, skeleton) = (pair(), graph.skeleton());
    let live = |graph, image| Drive::Live { graph, image, time_steps: 2, steps: 9 };
    let mut texts = vec![
        run(&program, topology, timing, live(&graph, &image[1..])).unwrap_err(),
        run(&program, topology, timing, live(&skeleton, &image)).unwrap_err(),
        run(&program, topology, timing, live(&other, &image)).unwrap_err(),
        run(
            &program,
            topology,
            timing,
            Drive::Replay {
                graph: &graph,
                trace: &spikemesh::trace::ImageTrace { trains: trace.trains[1..].to_vec(), ..trace.clone() },
                time_steps: 2,
            },
        )
        .unwrap_err(),
    ];
    let mut narrow = topology.clone();
    (narrow.noc.multicast, narrow.noc.flit_bits, narrow.noc.buffer_flits) = (Multicast::Tree, 32, 4);
    texts.push(run(&program, &narrow, timing, live(&graph, &image)).unwrap_err());
    let mut tiny = topology.clone();
    tiny.mesh.rows = 2;
    texts.push(run(&program, &tiny, timing, live(&graph, &image)).unwrap_err());
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    assert_snapshot!(texts.join("\n"));
}

#[test]
fn the_real_network_runs_on_the_built_in_chip() {
    let Some(path) = shared::path("models/cifar10-d128-b2.safetensors") else { return };
    let Some(images) = shared::path("data/cifar10-test-1000.bin") else { return };
    let network = load::network(&path, None).unwrap();
    let graph = convert::quantise(&convert::fold(&network).unwrap(), &Precision::default()).unwrap();
    let image = load::images(&images, &network.architecture.input, 10, Some(1)).unwrap();
    let hardware = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        load::hardware(Path::new("mesh28"), &sets).unwrap()
    };
    for (sets, strategy) in [(&[][..], Strategy::Greedy), (&["discipline=barrier"], Strategy::Hilbert)] {
        let activity = agreed(&graph, image.image(0), 2, &hardware(sets), strategy);
        println!("{} cycles, {} steps", activity.cycles, activity.step_ends.len());
    }
    assert_eq!(hardware(&[]).timing.core.soma, Soma::Event);
}

#[test]
fn the_readme_tells_the_loop_in_the_words_of_the_engine() {
    let docs = include_str!("../../src/engine/mod.rs").lines().map_while(|line| line.strip_prefix("//!"));
    let docs: Vec<&str> = docs.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let moves = docs.join("\n");
    let moves = &moves[moves.find("One cycle").unwrap()..moves.find("Everything").unwrap()];
    assert!(include_str!("../../README.md").contains(moves.trim()), "README.md lacks:\n{moves}");
}
