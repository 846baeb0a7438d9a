//! At silence every value equals the integer network's, bit for bit, for every order in which spikes may arrive.

use crate::shared;
use crate::small_graphs::{self, Dice, Plan, plan};
use proptest::prelude::*;
use spikemesh::convert::{self, Precision};
use spikemesh::functional::slice::SliceState;
use spikemesh::functional::{
    IntegerAnn, Options, Outcome, Probe, Semantics, Settle, Spiking, Values, each_image, input, probe, quantised_ann,
};
use spikemesh::graph::{Graph, NeuronRule, StageKind};
use spikemesh::images::Images;
use spikemesh::load;
use spikemesh::reach::Reach;
use spikemesh::trace::{Schedule, SpikeTrain, Widths};
use spikemesh::units::{Region, StageId};
use std::num::NonZeroU32;

fn options(time_steps: u32, schedule: Schedule) -> Options {
    Options::exact(time_steps, schedule)
}

fn run(graph: &Graph<i32>, image: &[u8], time_steps: u32, schedule: Schedule) -> Outcome {
    Spiking::new(graph).run(image, &options(time_steps, schedule)).unwrap()
}

/// What flows into the first neurons of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Currents {
    OfChannels,
    OfNeurons,
    /// And nothing else does.
    Alone,
}

impl Currents {
    fn into(self, mut graph: Graph<i32>) -> Graph<i32> {
        let first = graph.stages.iter_mut().find_map(|stage| {
            let StageKind::Neurons(neurons) = &mut stage.kind else { return None };
            Some((stage.grid, &mut neurons.synapses))
        });
        let Some((grid, synapses)) = first.filter(|_| self != Self::OfChannels) else { return graph };
        let bias = |at: usize| synapses.bias[at % synapses.bias.len()] + (at * at % 7) as i32 - 3;
        synapses.bias = (0..grid.neurons()).map(bias).collect();
        if self == Self::Alone {
            synapses.projections.clear();
        }
        graph
    }
}

fn currents() -> impl Strategy<Value = Currents> {
    prop_oneof![Just(Currents::OfChannels), Just(Currents::OfNeurons), Just(Currents::Alone)]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    prop_oneof![Just(Schedule::SameStep), Just(Schedule::NextStep)]
}

/// Cuts every stage into regions, at random where its rule allows it, and at rest.
fn slices<'g>(graph: &'g Graph<i32>, image: &[u8], time_steps: u32, dice: &mut Dice) -> Vec<Slice<'g>> {
    let pixels = input::injected(graph, image).unwrap();
    let mut slices = vec![];
    for id in graph.ids() {
        let grid = graph.stage(id).grid;
        let whole = grid.whole();
        let (rows, columns) = match graph.stage(id).kind {
            StageKind::Scores { .. } | StageKind::Softmax { .. } => (1, 1),
            StageKind::Input(_)
            | StageKind::Neurons(_)
            | StageKind::MaxPool { .. }
            | StageKind::Context { .. }
            | StageKind::Readout { .. } => (1 + dice.roll(3.min(grid.positions())), 1 + dice.roll(2)),
        };
        for row in 0..rows {
            for column in 0..columns {
                let region = Region {
                    positions: part(whole.positions.end, row, rows),
                    channels: part(whole.channels.end, column, columns),
                };
                slices.push(Slice::new(graph, id, region, time_steps));
            }
        }
    }
    for slice in slices.iter_mut().filter(|slice| slice.id.index() == 0) {
        for local in 0..slice.region.neurons() {
            let (position, channel) = slice.region.global(local);
            let pixel = pixels[(position * graph.stages[0].grid.channels + channel) as usize];
            slice.state.receive(slice.id, position, channel, pixel);
        }
    }
    slices
}

fn part(length: u32, index: usize, parts: usize) -> std::ops::Range<u32> {
    let at = |index: usize| length * index as u32 / parts as u32;
    at(index)..at(index + 1)
}

struct Slice<'g> {
    id: StageId,
    region: Region,
    state: SliceState<'g>,
    reads: Vec<StageId>,
    /// Its own step: the last one in which it fired.
    step: u32,
}

/// A spike: stage, position, channel, value.
type Event = (StageId, u32, u32, i32);

impl<'g> Slice<'g> {
    fn new(graph: &'g Graph<i32>, id: StageId, region: Region, time_steps: u32) -> Self {
        let state = SliceState::new(graph, id, region.clone(), time_steps);
        Self { id, region, state, reads: graph.stage(id).kind.sources(), step: 0 }
    }

    /// Fires; returns what it sends.
    fn fire(&mut self) -> Vec<Event> {
        self.step += 1;
        let mut sent = vec![];
        let id = self.id;
        self.state.fire(self.step, &mut |position, channel, value| sent.push((id, position, channel, value)));
        sent
    }

    fn receive(&mut self, (source, position, channel, value): Event) {
        self.state.receive(source, position, channel, value);
    }
}

/// The values of a whole stage from those of its slices.
fn gathered(graph: &Graph<i32>, slices: &[Slice], id: StageId) -> Vec<i64> {
    let channels = graph.stage(id).grid.channels;
    let mut values = vec![0; graph.stage(id).grid.neurons()];
    for slice in slices.iter().filter(|slice| slice.id == id) {
        for (local, value) in slice.state.values().into_iter().enumerate() {
            let (position, channel) = slice.region.global(local);
            values[(position * channels + channel) as usize] = value;
        }
    }
    values
}

/// Runs in step with a schedule, all that arrives in a step in random order; returns what each stage sent, step by step.
fn in_step(slices: &mut [Slice], steps: u32, delay: u32, dice: &mut Dice) -> Vec<Vec<Event>> {
    let mut sent: Vec<Vec<Event>> = vec![];
    for step in 1..=steps as usize {
        sent.push(vec![]);
        for slice in slices.iter_mut() {
            let mut arriving: Vec<Event> = match (step - 1).checked_sub(delay as usize) {
                Some(from) => sent[from].iter().filter(|e| slice.reads.contains(&e.0)).copied().collect(),
                None => vec![],
            };
            while !arriving.is_empty() {
                let event = arriving.swap_remove(dice.roll(arriving.len()));
                slice.receive(event);
            }
            let fired = slice.fire();
            sent[step - 1].extend(fired);
        }
    }
    sent
}

/// Delivers and fires in no order at all, until nothing is in flight and nothing fires.
fn in_any_order(slices: &mut [Slice], time_steps: u32, dice: &mut Dice) {
    let mut in_flight: Vec<(usize, Event)> = vec![];
    let mut quiet = 0;
    let patience = 2 + dice.roll(400);
    while quiet < slices.len() {
        if !in_flight.is_empty() && dice.roll(patience) > 0 {
            let (target, event) = in_flight.swap_remove(dice.roll(in_flight.len()));
            slices[target].receive(event);
            quiet = 0;
            continue;
        }
        // Once nothing is in flight, a whole round without a spike is silence.
        let index = if in_flight.is_empty() { quiet } else { dice.roll(slices.len()) };
        let fired = slices[index].fire();
        let still = fired.is_empty() && slices[index].step >= time_steps && in_flight.is_empty();
        quiet = if still { quiet + 1 } else { 0 };
        let id = slices[index].id;
        for target in (0..slices.len()).filter(|&target| slices[target].reads.contains(&id)) {
            in_flight.extend(fired.iter().map(|&event| (target, event)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_silent_run_holds_the_integer_network(plan in plan(), time_steps in 1u32..=16, schedule in schedule()) {
        let (graph, image) = (plan.graph(), plan.image(&plan.graph()));
        let outcome = run(&graph, &image, time_steps, schedule);
        let wanted = quantised_ann(&graph, &image, time_steps).unwrap();
        for (stage, (found, wanted)) in graph.stages.iter().zip(outcome.values.iter().zip(&wanted)) {
            prop_assert_eq!(found, wanted, "stage {}", stage.name);
        }
    }

    #[test]
    fn a_run_is_the_same_whether_it_is_recorded_or_not(
        plan in plan(), currents in currents(), time_steps in 1u32..=6, schedule in schedule(),
        settle in proptest::option::of(1u32..4),
    ) {
        let (graph, image) = (currents.into(plan.graph()), plan.image(&plan.graph()));
        let exact = options(time_steps, schedule);
        let recorded = settle.map_or(exact, |settle| {
            Options { settle: Settle::Steps(settle), semantics: Semantics::REFERENCE, ..exact }
        });
        let spiking = Spiking::new(&graph);
        let wanted = Outcome { trace: None, ..spiking.run(&image, &recorded).unwrap() };
        let found = spiking.run(&image, &Options { record: false, ..recorded }).unwrap();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn a_run_is_the_same_in_whatever_memory(
        plan in plan(), other in plan(), time_steps in 1u32..=6, other_steps in 1u32..=200, schedule in schedule(),
        record in any::<bool>(),
    ) {
        let (graph, others) = (plan.graph(), other.graph());
        let (image, options) = (plan.image(&graph), Options { record, ..options(time_steps, schedule) });
        let spiking = Spiking::new(&graph);
        let wanted = spiking.run(&image, &options).unwrap();
        let later = Plan { seed: plan.seed.wrapping_add(1), ..plan.clone() }.image(&graph);
        for outcome in [
            run(&graph, &later, time_steps, schedule),
            run(&graph, &image, other_steps, schedule),
            run(&others, &other.image(&others), time_steps, schedule),
        ] {
            spiking.reuse(outcome);
            prop_assert_eq!(&spiking.run(&image, &options).unwrap(), &wanted);
        }
    }

    #[test]
    fn what_neurons_hold_on_the_way_is_what_a_probe_finds(
        plan in plan(), plain in any::<bool>(), currents in currents(), time_steps in 1u32..=6,
        schedule in schedule(), each in 1u32..=4, record in any::<bool>(),
    ) {
        let rule = if plain { NeuronRule::Plain } else { NeuronRule::Signed };
        let plan = Plan { rule, ..plan };
        let (graph, image) = (currents.into(plan.graph()), plan.image(&plan.graph()));
        let trace = run(&graph, &image, time_steps, schedule).trace.unwrap();
        let options = Options { hold_every: NonZeroU32::new(each), record, ..options(time_steps, schedule) };
        let outcome = Spiking::new(&graph).run(&image, &options).unwrap();
        for (id, held) in graph.ids().zip(&outcome.held) {
            let neurons: Vec<u32> = (0..graph.stage(id).grid.neurons() as u32).collect();
            let probes = probe(&graph, &trace, schedule, time_steps, id, &neurons);
            prop_assert_eq!(held.len() as u32, if probes.is_empty() { 0 } else { trace.steps / each });
            for (held, step) in held.iter().zip((each..).step_by(each as usize)) {
                let potentials: Vec<i64> = probes.iter().map(|probe| probe.after[step as usize - 1]).collect();
                prop_assert_eq!(&held.potentials, &potentials, "{} after step {}", graph.stage(id).name, step);
                let count = |probe: &Probe| probe.spikes[..step as usize].iter().copied().map(i64::from).sum();
                let counts: Vec<i64> = probes.iter().map(count).collect();
                let signed = !plain && probes.iter().all(|probe| probe.threshold.is_some());
                prop_assert_eq!(&held.counts, &if signed { counts } else { vec![] });
            }
        }
    }

    #[test]
    fn products_give_the_integer_network(plan in plan(), time_steps in prop_oneof![1u32..=16, 120u32..=130]) {
        let (graph, image) = (plan.graph(), plan.image(&plan.graph()));
        let products = IntegerAnn::new(&graph).run(&image, time_steps).unwrap();
        let wanted = quantised_ann(&graph, &image, time_steps).unwrap();
        for (stage, (found, wanted)) in graph.stages.iter().zip(products.iter().zip(&wanted)) {
            prop_assert_eq!(found, wanted, "stage {}", stage.name);
        }
    }

    #[test]
    fn any_order_of_arrival_ends_in_the_same_values(plan in plan(), time_steps in 1u32..=8, order in any::<u64>()) {
        let (graph, image) = (plan.graph(), plan.image(&plan.graph()));
        let mut dice = Dice(order);
        let mut slices = slices(&graph, &image, time_steps, &mut dice);
        in_any_order(&mut slices, time_steps, &mut dice);
        let wanted = quantised_ann(&graph, &image, time_steps).unwrap();
        for id in graph.ids() {
            prop_assert_eq!(&gathered(&graph, &slices, id)[..], &wanted[id.index()][..], "{}", graph.stage(id).name);
        }
    }

    #[test]
    fn slices_send_what_the_whole_run_sends(
        plan in plan(), plain in any::<bool>(), time_steps in 1u32..=6, schedule in schedule(), order in any::<u64>(),
    ) {
        let rule = if plain { NeuronRule::Plain } else { NeuronRule::Signed };
        let plan = Plan { rule, ..plan };
        let (graph, image) = (plan.graph(), plan.image(&plan.graph()));
        let trace = run(&graph, &image, time_steps, schedule).trace.unwrap();
        let mut dice = Dice(order);
        let mut slices = slices(&graph, &image, time_steps, &mut dice);
        let sent = in_step(&mut slices, trace.steps, schedule.delay(), &mut dice);
        for id in graph.ids() {
            let grid = graph.stage(id).grid;
            for step in 1..=trace.steps {
                let mut wanted = vec![];
                trace.train(id).visit(step, grid, &grid.whole(), |p, c, v| wanted.push((id, p, c, v)));
                let mut found: Vec<Event> = sent[step as usize - 1].iter().filter(|e| e.0 == id).copied().collect();
                found.sort_unstable();
                prop_assert_eq!(found, wanted, "{} in step {}", &graph.stage(id).name, step);
            }
            let mut widths = Widths::default();
            for slice in slices.iter().filter(|slice| slice.id == id) {
                widths.0.iter_mut().zip(slice.state.widths().0).for_each(|(sum, count)| *sum += count);
            }
            prop_assert_eq!(&widths, &trace.widths[id.index()], "widths of {}", &graph.stage(id).name);
        }
    }

    #[test]
    fn operations_are_what_the_spikes_reach(plan in plan(), schedule in schedule()) {
        let (graph, image) = (plan.graph(), plan.image(&plan.graph()));
        let outcome = run(&graph, &image, 4, schedule);
        let trace = outcome.trace.unwrap();
        for target in graph.ids() {
            let mut operations = 0;
            for source in graph.stage(target).kind.sources() {
                let reach = Reach::new(&graph, source, target);
                let whole = graph.stage(target).grid.whole();
                let grid = graph.stage(source).grid;
                for step in 1..=trace.steps {
                    trace.train(source).visit(step, grid, &grid.whole(), |position, channel, _| {
                        operations += reach.operations(position, channel, &whole);
                    });
                }
            }
            prop_assert_eq!(outcome.synaptic_ops[target.index()], operations, "{}", &graph.stage(target).name);
        }
    }
}

/// The largest size of a linear stage's sums without time, from the values of its only source.
fn largest_sum(graph: &Graph<i32>, stage: usize, values: &[Vec<i64>]) -> i64 {
    let synapses = graph.stages[stage].kind.synapses().unwrap();
    let (kernel, source) = (&synapses.projections[0].kernel, synapses.projections[0].sources[0].stage);
    let (inputs, outputs) = (kernel.in_channels as usize, kernel.out_channels as usize);
    let sum = |row: &[i64], out: usize| {
        let products = row.iter().zip(kernel.weights[out..].iter().step_by(outputs));
        products.map(|(value, &weight)| value * i64::from(weight)).sum::<i64>().abs()
    };
    let rows = values[source.index()].chunks(inputs);
    rows.flat_map(|row| (0..outputs).map(move |out| sum(row, out))).max().unwrap()
}

#[test]
fn sums_outgrow_32_bits_without_harm() {
    let plan = Plan { probability_bits: 14, ..small_graphs::SAMPLE };
    let mut sizes = vec![];
    for shift in 0..=10 {
        let mut graph = plan.graph();
        let proj = graph.stages.iter().position(|stage| stage.name == "proj").unwrap();
        let StageKind::Neurons(neurons) = &mut graph.stages[proj].kind else { panic!("proj is no neurons") };
        neurons.synapses.projections[0].kernel.weights.iter_mut().for_each(|weight| *weight <<= shift);
        let image = plan.image(&graph);
        let wanted = quantised_ann(&graph, &image, 8).unwrap();
        sizes.push(largest_sum(&graph, proj, &wanted));
        assert!(IntegerAnn::new(&graph).run(&image, 8).unwrap() == wanted, "products, weights by 2^{shift}");
        for record in [true, false] {
            let options = Options { record, ..options(8, Schedule::SameStep) };
            let found = Spiking::new(&graph).run(&image, &options).unwrap();
            assert!(found.values == wanted, "weights by 2^{shift}, recorded: {record}");
        }
    }
    let most = i64::from(i32::MAX);
    assert!(sizes[0] < most && sizes[8] > most && sizes[10] > most, "{sizes:?}");
}

#[test]
fn attention_in_words_runs_in_the_memory_of_another_image() {
    let plan = Plan { side: 15, ..small_graphs::SAMPLE };
    let graph = plan.graph();
    let images = [1, 2].map(|seed| Plan { seed, ..plan.clone() }.image(&graph));
    let [first, second] = images.each_ref().map(|image| run(&graph, image, 4, Schedule::SameStep));
    let words = graph.stages.iter().zip(&first.values).filter(|(_, values)| matches!(values, Values::Words(_)));
    assert_eq!(words.map(|(stage, _)| &stage.name[..]).collect::<Vec<_>>(), ["input", "scores", "softmax"]);
    let spiking = Spiking::new(&graph);
    spiking.reuse(first.clone());
    let found = spiking.run(&images[1], &options(4, Schedule::SameStep)).unwrap();
    assert!(found == second && found != first);
}

#[test]
fn pixels_that_outgrow_words_are_as_exact() {
    let graph = small_graphs::SAMPLE.graph();
    let image = small_graphs::SAMPLE.image(&graph);
    let pixels = input::injected(&graph, &image).unwrap();
    let largest = pixels.iter().map(|pixel| pixel.unsigned_abs()).max().unwrap();
    for time_steps in [100, 300] {
        let outcome = run(&graph, &image, time_steps, Schedule::SameStep);
        let words = time_steps * largest <= i16::MAX as u32;
        assert_eq!((matches!(outcome.values[0], Values::Words(_)), words), (words, time_steps == 100));
        assert!(outcome.values == quantised_ann(&graph, &image, time_steps).unwrap(), "T = {time_steps}");
        let count = |reason: fn(&i32) -> bool| pixels.iter().filter(|pixel| reason(pixel)).count() as u64;
        let counts = [count(|&pixel| pixel != 0), count(|&pixel| pixel < 0)].map(|count| count * u64::from(time_steps));
        assert_eq!([outcome.spikes[0], outcome.negative_spikes[0]], counts, "T = {time_steps}");
    }
}

#[test]
fn a_real_network_is_exact_stage_by_stage() {
    let Some(path) = shared::path("models/cifar10-d128-b2.safetensors") else { return };
    let Some(images) = shared::path("data/cifar10-test-1000.bin") else { return };
    let network = load::network(&path, None).unwrap();
    let images = load::images(&images, &network.architecture.input, network.classes(), Some(2)).unwrap();
    let graph = convert::quantise(&convert::fold(&network).unwrap(), &Precision::default()).unwrap();
    for time_steps in [1, 2, 4, 8, 16] {
        for schedule in [Schedule::SameStep, Schedule::NextStep] {
            let mut steps = vec![];
            for index in 0..images.len() {
                let outcome = run(&graph, images.image(index), time_steps, schedule);
                let wanted = quantised_ann(&graph, images.image(index), time_steps).unwrap();
                assert!(IntegerAnn::new(&graph).run(images.image(index), time_steps).unwrap() == wanted);
                for (stage, (found, wanted)) in graph.stages.iter().zip(outcome.values.iter().zip(&wanted)) {
                    assert!(found == wanted, "stage {} differs at T = {time_steps}", stage.name);
                }
                steps.push(outcome.steps);
            }
            // Over the first thousand images the slowest is silent after 1, 5, 9 and 18 steps for T = 1, 2, 4 and 8; one
            // step of delay for each stage comes on top.
            let most =
                if time_steps == 1 { 1 } else { 2 * time_steps + 2 } + schedule.delay() * graph.stages.len() as u32;
            assert!(steps.iter().all(|&steps| steps <= most), "T = {time_steps}, {schedule:?}: silent after {steps:?}");
        }
    }
}

#[test]
fn threads_change_nothing() {
    let plan = Plan { side: 5, ..small_graphs::SAMPLE };
    let graph = plan.graph();
    let pixels: Vec<u8> = (0..6).flat_map(|seed| Plan { seed, ..plan.clone() }.image(&graph)).collect();
    let images = Images { grid: graph.stages[0].grid, pixels, labels: vec![0; 6] };
    let outcomes = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let each = |_, image: &[u8]| Spiking::new(&graph).run(image, &options(4, Schedule::SameStep));
        pool.install(|| each_image(&images, each)).unwrap()
    };
    let alone = outcomes(1);
    assert!(alone == outcomes(2));
    assert!(alone[0] != alone[1]);
}

#[test]
fn what_cannot_be_run_says_why() {
    let graph = small_graphs::SAMPLE.graph();
    let image = small_graphs::SAMPLE.image(&graph);
    let fault = |graph: &Graph<i32>, image: &[u8], options: Options| {
        Spiking::new(graph).run(image, &options).unwrap_err().to_string()
    };
    let exact = options(4, Schedule::SameStep);
    let endless = fault(&graph, &image, Options { semantics: Semantics::REFERENCE, ..exact });
    assert!(endless.contains("give a number of settle steps"), "{endless}");
    assert!(fault(&graph, &image[1..], exact).contains("has 83 bytes, where the network takes 6×7×2, which is 84"));
    assert!(fault(&graph, &image, Options { time_steps: 0, ..exact }).contains("give at least 1"));
    let long = fault(&graph, &image, Options { time_steps: 100_000, ..exact });
    assert!(long.contains("`scores`") && long.contains("beyond 32 bits"), "{long}");
    let plain = Plan { rule: NeuronRule::Plain, ..small_graphs::SAMPLE };
    let fault = quantised_ann(&plain.graph(), &image, 4).unwrap_err().to_string();
    assert!(fault.contains("`conv` has plain neurons"), "{fault}");
}

/// The random graphs are worth something only while their neurons fire, take spikes back, and attention varies.
#[test]
fn the_small_graphs_are_lively() {
    let plan = |seed| Plan { seed, ..small_graphs::SAMPLE };
    let mut taken_back = 0;
    for seed in 0..8 {
        let graph = plan(seed).graph();
        let outcome = run(&graph, &plan(seed).image(&graph), 8, Schedule::SameStep);
        for (stage, train) in graph.stages.iter().zip(&outcome.trace.unwrap().trains) {
            let (spikes, negative) = train.totals();
            assert!(spikes > 0 || matches!(train, SpikeTrain::Silent), "{} is silent", stage.name);
            taken_back += if matches!(stage.kind, StageKind::Neurons(_)) { negative } else { 0 };
        }
        assert!(outcome.steps > 8, "seed {seed} settles at once");
    }
    assert!(taken_back > 100, "only {taken_back} spikes were taken back");
}
