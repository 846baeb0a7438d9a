//! Cycles against formulas: a core by its fan-in and fan-out, each special unit, the barrier, and the wave of tokens.

use crate::shapes::{Map, Shape};
use spikemesh::activity::Activity;
use spikemesh::compile::{self, Strategy};
use spikemesh::engine::{Drive, run};
use spikemesh::graph::Graph;
use spikemesh::hardware::Hardware;
use spikemesh::load;
use spikemesh::network::SoftmaxAxis;
use spikemesh::program::Program;
use spikemesh::trace::{ImageTrace, SpikeTrain, Widths};
use spikemesh::units::{Cycle, StageId, Window};

const BARRIER: Cycle = 1_000;

/// One spike: step, stage, position, channel.
type Fired = (u32, usize, u32, u32);

struct Bench {
    chip: Hardware,
    program: Program,
    activity: Activity,
}

impl Bench {
    /// A replay of these spikes with T = 1.
    fn new(graph: &Graph<i32>, sets: &[&str], steps: u32, fired: &[Fired]) -> Self {
        let plain = ["multicast=unicast", "spikes_per_packet=1", "barrier_cycles=1000"];
        let sets: Vec<String> = plain.iter().chain(sets).map(ToString::to_string).collect();
        let chip = load::hardware("mesh28".as_ref(), &sets).unwrap_or_else(|error| panic!("{error}"));
        let mapping = compile::map(graph, &chip.name, &chip.topology, Strategy::RowMajor).unwrap();
        let program = compile::program(graph, "", &chip.name, &chip.topology, &mapping).unwrap();
        assert_eq!(program.slices.len(), graph.stages.len(), "one slice for each stage");
        let mut trains: Vec<_> = graph.stages.iter().map(|stage| SpikeTrain::resting(stage, steps)).collect();
        for &(step, stage, position, channel) in fired {
            trains[stage].put(step, graph.stages[stage].grid, (position, channel), 1);
        }
        let trace = ImageTrace { steps, trains, widths: vec![Widths::default(); graph.stages.len()] };
        let drive = Drive::Replay { graph, trace: &trace, time_steps: 1 };
        let activity = run(&program, &chip.topology, &chip.timing, drive).unwrap().activity;
        Self { chip, program, activity }
    }

    /// Cycles of a packet from one slice to another over an empty network: 3 R + 2 over R routers.
    fn flight(&self, from: usize, to: usize) -> Cycle {
        let units = self.chip.topology.units();
        let place = |slice: usize| {
            let unit = self.program.slices[slice].unit;
            self.chip.topology.mesh.place(units[unit.index()].tile)
        };
        let ((x, y), (to_x, to_y)) = (place(from), place(to));
        3 * u64::from(x.abs_diff(to_x) + y.abs_diff(to_y) + 1) + 2
    }

    fn ends(&self) -> &[Cycle] {
        &self.activity.step_ends
    }
}

/// Input of `pixels` channels, one core of `neurons`, a readout of `classes`.
fn core(pixels: u32, neurons: u32, classes: u32) -> Graph<i32> {
    let mut shape = Shape::new(1, 1, pixels);
    let core = shape.neurons(&[StageId(0)], Map::LINEAR, neurons);
    shape.readout(&[core], Map::LINEAR, classes);
    shape.graph
}

#[test]
fn a_core_takes_lookup_and_fan_in_for_each_spike_then_its_sweep_and_fan_out() {
    let (pixels, neurons, classes) = (6u64, 20u64, 5u64);
    let graph = core(pixels as u32, neurons as u32, classes as u32);
    let fires: [u64; 4] = [0, 3, 4, 17];
    for (serial, lookup) in [(false, 4), (false, 40), (true, 4)] {
        let (lookup_set, serial_set) = (
            format!("core.axon_in_cycles={lookup}"),
            format!("core.lookup={}", if serial { "serial" } else { "overlapped" }),
        );
        let sets = [
            "discipline=barrier",
            "core.soma=sweep",
            "core.soma_lanes=3",
            "core.soma_cycles=50",
            "core.update_cycles=11",
            "core.spike_cycles=7",
            "core.lanes=8",
            "core.synapse_cycles=5",
            "core.axon_out_cycles=2",
            &lookup_set,
            &serial_set,
        ];
        let pixel = |channel: u64| (1, 0, 0, channel as u32);
        let spike = |&channel: &u64| (2, 1, 0, channel as u32);
        let fired: Vec<Fired> = (0..pixels).map(pixel).chain(fires.iter().map(spike)).collect();
        let bench = Bench::new(&graph, &sets, 3, &fired);

        // Step 1: the pixels have come before the sweep over all neurons, each of them updated by its bias, has ended.
        let sweep = |count: u64| count.div_ceil(3) * 50;
        let work = neurons.div_ceil(8) * 5;
        let intake = if serial { pixels * (lookup + work) } else { lookup.max(work) * (pixels - 1) + lookup + work };
        let first = sweep(neurons) + neurons * 11 + intake + BARRIER;
        assert_eq!(bench.ends()[0], first);

        // Step 2: every neuron was reached; a spike is found in its group, after all updates and spikes up to its own.
        let mut built = first;
        for (nth, &neuron) in (1..).zip(&fires) {
            let found = first + (neuron / 3 + 1) * 50 + (neuron + 1) * 11 + nth * 7;
            built = built.max(found) + 2;
        }
        let scanned = first + sweep(neurons) + neurons * 11 + fires.len() as u64 * 7;
        let taken = built + bench.flight(1, 2) + lookup + classes.div_ceil(8) * 5;
        let second = scanned.max(built).max(taken) + BARRIER;
        assert_eq!(bench.ends()[1], second);

        // Step 3: the core is at rest and sweeps all the same; the readout updates what the spikes have reached.
        let third = second + sweep(neurons).max(sweep(classes) + classes * 11) + BARRIER;
        assert_eq!(bench.ends()[2], third);
    }
}

#[test]
fn fan_out_costs_a_packet_for_each_destination() {
    let mut shape = Shape::new(1, 1, 1);
    let core = shape.neurons(&[StageId(0)], Map::LINEAR, 4);
    let readers: Vec<StageId> = (0..3).map(|_| shape.neurons(&[core], Map::LINEAR, 2)).collect();
    shape.readout(&readers, Map::LINEAR, 2);
    let sets = ["discipline=barrier", "core.axon_out_cycles=100", "core.soma_lanes=16", "core.soma_cycles=1"];
    let bench = Bench::new(&shape.graph, &sets, 2, &[(1, 1, 0, 0), (1, 1, 0, 2)]);
    // Both spikes are found in the first cycle, and 2 · 3 packets are built one after the other.
    let built = 1 + 6 * 100;
    let timing = &bench.chip.timing.core;
    let last = built + bench.flight(1, 4) + timing.axon_in_cycles + 2u64.div_ceil(timing.lanes) * timing.synapse_cycles;
    assert_eq!(bench.ends()[0], last + BARRIER);
    assert_eq!(bench.activity.slices[1].packets, 6);
}

#[test]
fn a_max_pool_unit_takes_each_window_that_a_spike_is_in() {
    let mut shape = Shape::new(1, 4, 1);
    let neurons = shape.neurons(&[StageId(0)], Map::LINEAR, 1);
    let pool = shape.max_pool(neurons, Window { height: 1, width: 2, stride: 1, padding: 0 });
    let whole = Window::whole(shape.grid(pool));
    shape.readout(&[pool], Map { window: whole, ..Map::LINEAR }, 2);
    let sets = ["discipline=barrier", "comparators=1", "compare_cycles=9", "max_pool.axon_in_cycles=5"];
    let fired: Vec<Fired> = (0..4).map(|position| (1, 1, position, 0)).collect();
    let bench = Bench::new(&shape.graph, &sets, 1, &fired);
    // All four are found in the first cycle, the first packet is built in the next; inputs are in 1, 2, 2 and 1 windows.
    let first = 1 + 1 + bench.flight(1, 2);
    assert_eq!(bench.ends()[0], first + 5 + (1 + 2 + 2 + 1) * 9 + BARRIER);
}

/// Attention over 2 tokens of 4 channels in one head: stages 1 to 3 are queries, keys and values, then scores, softmax, context.
fn attention() -> Graph<i32> {
    let mut shape = Shape::new(1, 2, 4);
    let context = shape.attention(StageId(0), 1, SoftmaxAxis::Keys);
    let whole = Window::whole(shape.grid(context));
    shape.readout(&[context], Map { window: whole, ..Map::LINEAR }, 2);
    shape.graph
}

#[test]
fn an_attention_unit_takes_a_row_of_sums_for_each_query_and_scans_them_all() {
    let sets =
        ["discipline=barrier", "attention.lanes=1", "mac_cycles=6", "attention.axon_in_cycles=3", "scan_lanes=1"];
    let bench = Bench::new(&attention(), &sets, 2, &[(1, 1, 0, 1), (1, 1, 1, 3)]);
    // Each of two query spikes changes the scores with both keys.
    let first = 1 + 1 + bench.flight(1, 4);
    let taken = first + 3 + 2 * (2 * 6);
    assert_eq!(bench.ends()[0], taken + BARRIER);
    // At rest, the context unit looks through its 8 sums, the score unit through its 4.
    let rest = Bench::new(&attention(), &["discipline=barrier", "scan_lanes=1", "divide_cycles=0"], 1, &[]);
    let softmax = 2 * 2; // two vectors, two passes of a cycle
    assert_eq!(rest.ends()[0], 8u64.max(softmax) + BARRIER);
}

#[test]
fn a_softmax_unit_takes_two_passes_and_a_division_for_each_vector() {
    let sets = ["discipline=barrier", "exp_lanes=1", "exp_cycles=5", "divide_cycles=70"];
    let bench = Bench::new(&attention(), &sets, 1, &[]);
    assert_eq!(bench.ends()[0], 2 * (2 * 2 * 5 + 70) + BARRIER, "two vectors of two elements");
}

#[test]
fn the_barrier_follows_the_slowest_unit_of_every_step() {
    let steps = 5;
    let bench =
        Bench::new(&core(1, 20, 5), &["discipline=barrier", "core.soma=sweep", "core.soma_lanes=4"], steps, &[]);
    let each = 20 / 4 + BARRIER;
    let wanted: Vec<Cycle> = (1..=u64::from(steps)).map(|step| step * each).collect();
    assert_eq!(bench.ends(), wanted);
}

#[test]
fn the_wave_of_tokens_passes_every_layer_after_its_scan() {
    let (layers, neurons) = (4, 12u64);
    let mut shape = Shape::new(1, 1, 2);
    let last = (0..layers).fold(StageId(0), |from, _| shape.neurons(&[from], Map::LINEAR, neurons as u32));
    shape.readout(&[last], Map::LINEAR, neurons as u32);
    let sets = ["core.soma_lanes=5", "core.soma_cycles=3", "core.axon_out_cycles=7", "port.axon_out_cycles=4"];
    let bench = Bench::new(&shape.graph, &sets, 1, &[]);
    // The port builds a token; every layer scans and builds its own; the readout scans and acknowledges.
    let scan = neurons.div_ceil(5) * 3;
    let flights: Cycle = (0..=layers).map(|slice| bench.flight(slice, slice + 1)).sum();
    assert_eq!(bench.activity.cycles, 4 + flights + (layers as u64 + 1) * (scan + 7));
}
