//! A foreign network on a foreign chip: DVS gesture on Loihi, against what SANA-FE 2.2.9 reports for both.

use crate::shared;
use spikemesh::account::{self, Run};
use spikemesh::action::Action;
use spikemesh::compile;
use spikemesh::convert::{self, Precision};
use spikemesh::engine::{EngineError, Machine, Outcome};
use spikemesh::functional::{Options, Semantics, Settle, Spiking};
use spikemesh::graph::{Graph, StageKind};
use spikemesh::hardware::Hardware;
use spikemesh::load;
use spikemesh::network::Network;
use spikemesh::program::{Mapping, Placement, Program};
use spikemesh::summary::{RunSummary, Simulator};
use spikemesh::trace::{ImageTrace, Schedule, SpikeTrain};
use spikemesh::units::Grid;
use std::path::{Path, PathBuf};

fn documented(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

fn network() -> Option<(Network, Graph<i32>)> {
    let archive = shared::path("data/dvs-gesture.npz")?;
    let network = load::network(&archive, Some(&documented("dvs-gesture.ron"))).unwrap_or_else(|e| panic!("{e}"));
    let graph = convert::quantise(&convert::fold(&network).unwrap(), &Precision::default()).unwrap();
    Some((network, graph))
}

fn chip() -> Hardware {
    load::hardware("loihi-sanafe".as_ref(), &[]).unwrap_or_else(|error| panic!("{error}"))
}

fn placed(graph: &Graph<i32>, chip: &Hardware) -> Program {
    let mapping = load::mapping(&documented("dvs-gesture-on-loihi.ron")).unwrap_or_else(|error| panic!("{error}"));
    compile::program(graph, &convert::fingerprint(graph), &chip.name, &chip.topology, &mapping)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn functional(graph: &Graph<i32>, steps: u32) -> ImageTrace {
    let options = Options {
        time_steps: steps,
        settle: Settle::Steps(0),
        semantics: Semantics::EXACT,
        schedule: Schedule::NextStep,
        record: true,
        hold_every: None,
    };
    Spiking::new(graph).run(&[], &options).unwrap().trace.unwrap()
}

/// A live run of `steps` steps, and its account.
fn run(steps: u32) -> Option<(Graph<i32>, Outcome, RunSummary)> {
    let (_, graph) = network()?;
    let chip = chip();
    let program = placed(&graph, &chip);
    let machine = Machine::new(&program, &chip.topology, &chip.timing, &graph).unwrap();
    let outcome = machine.live(&[], steps, steps).unwrap();
    let run = Run {
        graph: &graph,
        program: &program,
        hardware: &chip,
        time_steps: steps,
        drive: "live",
        live_equal: None,
        activities: std::slice::from_ref(&outcome.activity),
        widths: &[],
    };
    let summary = account::summarise(&run, None, Simulator::default());
    Some((graph, outcome, summary))
}

fn counts(summary: &RunSummary) -> [u64; 4] {
    [Action::Spike, Action::SynapticOp, Action::AxonOut, Action::NeuronUpdate]
        .map(|action| summary.actions[action.key()])
}

/// Joules with seven digits, as SANA-FE prints them.
fn joules(summary: &RunSummary) -> String {
    format!("{:.6e}", summary.energy_fj as f64 * 1e-15)
}

#[test]
fn weights_thresholds_and_currents_stay_the_integers_they_are() {
    let Some((network, graph)) = network() else { return };
    assert_eq!(graph.weight_bits, 10, "from -289 to 224");
    assert!(network.architecture.input.is_absent());
    let thresholds = [255, 420, 351, 276, 371, 341];
    for (stage, threshold) in graph.stages.iter().zip(thresholds) {
        let StageKind::Neurons(neurons) = &stage.kind else { panic!("{} is {}", stage.name, stage.kind.key()) };
        assert!(neurons.threshold.iter().all(|&own| own == threshold), "{}", stage.name);
        for projection in &neurons.synapses.projections {
            let layer = stage.name.trim_end_matches(".neurons");
            let mut own: Vec<i32> = projection.kernel.weights.clone();
            let mut trained: Vec<i32> = network.tensor(layer, "weight").iter().map(|&weight| weight as i32).collect();
            own.sort_unstable();
            trained.sort_unstable();
            assert_eq!(own, trained, "{layer}");
        }
    }
    let StageKind::Neurons(input) = &graph.stages[0].kind else { panic!("no neurons") };
    assert_eq!((input.synapses.bias.len(), input.synapses.bias.iter().max()), (1024, Some(&255)));
}

#[test]
fn counts_and_energy_of_128_steps_are_those_of_sana_fe() {
    let Some((_, _, summary)) = run(128) else { return };
    assert_eq!(counts(&summary), [38_250, 5_462_418, 259_191, 1_352_421]);
    assert_eq!(joules(&summary), "3.788030e-4");
}

#[test]
fn counts_and_energy_of_1000_steps_are_those_of_sana_fe() {
    let Some((_, _, summary)) = run(1_000) else { return };
    assert_eq!(counts(&summary)[..3], [365_277, 51_549_374, 2_482_643]);
    assert_eq!(joules(&summary), "3.440571e-3");
}

#[test]
fn the_time_of_128_steps_lies_between_the_models_of_sana_fe() {
    let Some((_, _, summary)) = run(128) else { return };
    let seconds = summary.time_ms_per_image * 1e-3;
    let (simple, detailed) = (2.53206e-3, 2.74050e-3);
    assert!((simple..=1.25 * detailed).contains(&seconds), "{seconds} s");
}

/// Spikes of each stage in each step.
fn fired(graph: &Graph<i32>, trace: &ImageTrace) -> Vec<Vec<u64>> {
    let of = |step: u32, stage: usize| {
        let grid: Grid = graph.stages[stage].grid;
        let mut count = 0;
        trace.trains[stage].visit(step, grid, &grid.whole(), |_, _, _| count += 1);
        count
    };
    (1..=trace.steps).map(|step| (0..graph.stages.len()).map(|stage| of(step, stage)).collect()).collect()
}

#[test]
fn every_layer_fires_as_often_in_every_step_as_recorded() {
    let Some((graph, outcome, _)) = run(128) else { return };
    let Some(recorded) = shared::path("reference/dvs-fired-per-step-128.csv") else { return };
    let text = std::fs::read_to_string(recorded).unwrap();
    let row = |line: &str| line.split(',').map(|cell| cell.parse().unwrap()).collect::<Vec<u64>>();
    let recorded: Vec<Vec<u64>> = text.lines().skip(1).map(row).collect();
    assert_eq!(recorded.len(), 128);
    assert_eq!(fired(&graph, &outcome.trace.unwrap()), recorded);
}

#[test]
fn the_chip_fires_what_the_functional_run_fires() {
    let Some((graph, outcome, _)) = run(128) else { return };
    assert_eq!(outcome.trace.unwrap(), functional(&graph, 128));
}

#[test]
fn a_replay_is_refused_where_work_depends_on_potentials_and_equals_live_elsewhere() {
    let Some((_, graph)) = network() else { return };
    let mut chip = chip();
    let program = placed(&graph, &chip);
    let trace = functional(&graph, 16);
    let machine = Machine::new(&program, &chip.topology, &chip.timing, &graph).unwrap();
    let Err(EngineError::Misfit(why)) = machine.replay(&trace, 16) else { panic!("not refused") };
    assert!(why.contains("--live") && why.contains("core.updates=event"), "{why}");
    chip.timing.core.updates = spikemesh::hardware::Updates::Event;
    let machine = Machine::new(&program, &chip.topology, &chip.timing, &graph).unwrap();
    let (live, replay) = (machine.live(&[], 16, 16).unwrap(), machine.replay(&trace, 16).unwrap());
    assert_eq!(live.activity, replay.activity);
    assert_eq!(live.trace, Some(trace));
}

/// The rule of SANA-FE's tutorial: a layer's neurons channel by channel, as many on each core, what is left on the last.
fn tutorial(graph: &Graph<i32>, cores: [u32; 6]) -> Vec<Placement> {
    let mut lines: Vec<Placement> = vec![];
    let mut core = 0;
    for (stage, count) in graph.stages.iter().zip(cores) {
        let (neurons, positions) = (stage.grid.neurons() as u32, stage.grid.positions() as u32);
        let each = neurons / count;
        for nth in 0..count {
            let end = if nth + 1 == count { neurons } else { (nth + 1) * each };
            let (mut at, tile) = (nth * each, core / 4);
            while at < end {
                let (channel, first) = (at / positions, at % positions);
                let whole = if first == 0 { (end - at) / positions } else { 0 };
                let (range, channels) = if whole > 0 {
                    ((0, positions), (channel, channel + whole))
                } else {
                    ((first, positions.min(first + end - at)), (channel, channel + 1))
                };
                at += (range.1 - range.0) * (channels.1 - channels.0);
                let (tile, unit) = ((tile / 4, tile % 4), core % 4);
                lines.push(Placement { stage: stage.name.clone(), positions: range, channels, tile, unit });
            }
            core += 1;
        }
    }
    lines
}

#[test]
fn the_documented_mapping_is_that_of_the_tutorial() {
    let Some((_, graph)) = network() else { return };
    let mapping: Mapping = load::mapping(&documented("dvs-gesture-on-loihi.ron")).unwrap();
    assert_eq!(mapping.slices, tutorial(&graph, [1, 4, 16, 16, 4, 1]));
    let program = placed(&graph, &chip());
    let slices: Vec<usize> = program.stage_slices.iter().map(std::ops::Range::len).collect();
    assert_eq!(slices, [1, 4, 16, 16, 4, 1], "regions of one stage on one core are one slice");
    let last: Vec<usize> = program.slices[37..41].iter().map(|slice| slice.region.neurons()).collect();
    assert_eq!(last, [222, 222, 222, 225], "891 neurons on four cores");
}

#[test]
fn a_plain_last_layer_is_the_answer_and_sends_nothing_on() {
    let Some((_, graph)) = network() else { return };
    let trace = functional(&graph, 128);
    assert!(!matches!(trace.trains.last().unwrap(), SpikeTrain::Silent));
    assert_eq!(trace.trains.last().unwrap().totals(), (40, 0));
    assert_eq!(graph.stages.len(), 6);
}
