//! How long an image takes without a chip, spiking and not, against the published PyTorch code on two threads; and how near
//! each stage of the spiking run comes to what the machine can do at best.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement may fail loudly and prints its figures"
)]

mod held;

use criterion::{Criterion, criterion_group, criterion_main};
use held::limits::Limits;
use held::{Limit, TIME_STEPS, measure, options, real};
use spikemesh::functional::{FunctionalError, IntegerAnn, Outcome, Spiking, each_image, float_ann};
use spikemesh::graph::{Graph, Projection, Stage, StageKind};
use spikemesh::images::Images;
use spikemesh::units::StageId;
use std::time::Instant;

/// Images of one measurement: enough to keep all threads busy.
const IMAGES: usize = 16;
/// Runs of each image whose stages are measured, and rounds of them, with the machine's limits measured in between, since others may
/// slow it down for seconds; the fastest counts.
const REPEATS: usize = 10;
const ROUNDS: usize = 20;
/// What a stage has to reach of its limit.
const SHARE: f64 = 0.6;
/// What the published code takes for the 4 steps of an image.
const PYTORCH_SPIKING: f64 = 26.4;
/// What its float network takes for an image, at best.
const PYTORCH_FLOAT: f64 = 3.0;

fn an_image(criterion: &mut Criterion) {
    let Some((network, graph, images)) = real(IMAGES) else { return };
    let (spiking, integer, options) = (Spiking::new(&graph), IntegerAnn::new(&graph), options(false));
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut group = criterion.benchmark_group(format!("an image of cifar10-d128-b2, T = 4, threads: {threads}"));
        group.sample_size(10);
        // limits are for two threads; one takes twice as long
        let limit = |milliseconds: f64, why| Limit { milliseconds: milliseconds * 2.0 / threads as f64, why };
        let limits = [
            limit(PYTORCH_SPIKING / 10.0, "a tenth of the published code's 26.4 ms on two threads"),
            limit(PYTORCH_SPIKING / 25.0, "a twenty-fifth of it"),
        ];
        measure(&mut group, "spiking, to silence", IMAGES, &limits, || {
            let run = |_, image: &[u8]| {
                let outcome = spiking.run(image, &options)?;
                let steps = outcome.steps;
                spiking.reuse(outcome);
                Ok::<_, FunctionalError>(steps)
            };
            pool.install(|| each_image(&images, run)).unwrap()
        });
        let fifth = [limit(PYTORCH_FLOAT / 5.0, "a fifth of PyTorch's 3.0 ms in floats on two threads")];
        measure(&mut group, "integer network", IMAGES, &fifth, || {
            pool.install(|| each_image(&images, |_, image| integer.run(image, TIME_STEPS))).unwrap()
        });
        let twice = [limit(PYTORCH_FLOAT * 2.0, "twice PyTorch's 3.0 ms on two threads")];
        measure(&mut group, "float network", IMAGES, &twice, || pool.install(|| float_ann(&network, &images)).unwrap());
    }
}

/// Products that a stage would take as a dense one: of a step. Where windows of the source are summed up first (the mean before
/// the readout), an operation is a spike that is counted for an output, so that each of the window's positions is one.
fn dense(graph: &Graph<i32>, stage: &Stage<i32>) -> u64 {
    let grid = |id: &StageId| graph.stage(*id).grid;
    match &stage.kind {
        StageKind::Neurons(_) | StageKind::Readout { .. } => {
            let projections = stage.kind.synapses().into_iter().flat_map(|synapses| &synapses.projections);
            let each = |projection: &Projection<i32>| match projection.kernel.pool {
                Some(pool) => projection.kernel.weight_count() * projection.sources.len() * pool.area() as usize,
                None => projection.kernel.weight_count(),
            };
            projections.map(|projection| (each(projection) * stage.grid.positions()) as u64).sum()
        }
        StageKind::Scores { queries, keys, .. } => (grid(queries).neurons() * grid(keys).positions()) as u64,
        StageKind::Context { values, .. } => (stage.grid.positions() * grid(values).neurons()) as u64,
        StageKind::Input(_) | StageKind::MaxPool { .. } | StageKind::Softmax { .. } => 0,
    }
}

/// Nanoseconds that a stage needs at best for a step where it is no product of what it is sent: bytes that are looked up,
/// counts that go on and are compared, powers that are looked up, spikes that are counted before the readout.
fn other(graph: &Graph<i32>, stage: &Stage<i32>, limits: Limits) -> Option<f64> {
    let neurons = |ids: &[StageId]| ids.iter().map(|id| graph.stage(*id).grid.neurons()).sum::<usize>() as f64;
    let own = stage.grid.neurons() as f64;
    match &stage.kind {
        StageKind::Input(_) => Some(own / f64::from(TIME_STEPS) / limits.look_ups),
        StageKind::MaxPool { source, window } => {
            Some((neurons(&[*source]) + own * f64::from(window.area())) / limits.counts)
        }
        StageKind::Softmax { .. } => Some(own / limits.look_ups),
        StageKind::Neurons(_) | StageKind::Readout { .. } => {
            let projections = &stage.kind.synapses()?.projections;
            let pooled = projections.iter().all(|projection| projection.kernel.pool.is_some());
            Some(neurons(&stage.kind.sources()) / limits.counts).filter(|_| pooled)
        }
        StageKind::Scores { .. } | StageKind::Context { .. } => None,
    }
}

/// Products of bytes that a product of its inputs with weights of 8 bits takes: numbers of 16 bits take two. Those are what
/// graded stages send, and sums of single spikes with gains that add up to more than a byte holds.
fn bytes(graph: &Graph<i32>, stage: &Stage<i32>) -> f64 {
    let graded = |id: &StageId| graph.stage(*id).kind.is_graded();
    let projections = stage.kind.synapses().into_iter().flat_map(|synapses| &synapses.projections);
    let gains = projections.map(|projection| projection.sources.iter().map(|source| source.gain.abs()).sum::<i32>());
    let wide = stage.kind.sources().iter().any(graded) || gains.max().unwrap_or(0) > i8::MAX.into();
    if wide { 2.0 } else { 1.0 }
}

/// Runs each image some times, and keeps the fastest seconds of its stages; what the runs gave, one for each image.
fn stages(spiking: &Spiking, images: &Images, seconds: &mut [Vec<f64>]) -> Vec<Outcome> {
    let run = |(index, seconds): (usize, &mut Vec<f64>)| {
        let mut outcome = None;
        for _ in 0..REPEATS {
            if let Some(outcome) = outcome.take() {
                spiking.reuse(outcome);
            }
            let mut begin = Instant::now();
            let mut done = |id: StageId| {
                seconds[id.index()] = seconds[id.index()].min(begin.elapsed().as_secs_f64());
                begin = Instant::now();
            };
            outcome = Some(spiking.run_observed(images.image(index), &options(false), &mut done).unwrap());
        }
        outcome
    };
    seconds.iter_mut().enumerate().filter_map(run).collect()
}

/// What a stage takes, and could take at best, in seconds.
struct Row<'a> {
    name: &'a str,
    density: Option<f64>,
    measured: f64,
    /// The better of the two loops for its density: rows of single spikes added to potentials, or dense products of as many bytes as
    /// its inputs need; or that of what else it does.
    limit: f64,
    /// The same, with rows that are summed up in pairs.
    paired: f64,
    /// Its neurons, which have to be fired as well.
    firing: f64,
}

impl<'a> Row<'a> {
    /// A stage, which is number `at`, and the seconds that it takes.
    fn new(graph: &'a Graph<i32>, (at, measured): (usize, f64), outcomes: &[Outcome], limits: Limits) -> Self {
        let stage = &graph.stages[at];
        let each = |of: &dyn Fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>() as f64 / outcomes.len() as f64;
        let operations = each(&|outcome| outcome.synaptic_ops[at]);
        let sources = stage.kind.sources();
        let busy =
            |outcome: &Outcome| sources.iter().map(|of| outcome.last_step[of.index()]).max().unwrap_or(TIME_STEPS);
        let all = each(&|outcome| dense(graph, stage) * u64::from(busy(outcome)));
        let products = all * bytes(graph, stage) / limits.products * 1e-9;
        let other = other(graph, stage, limits).map(|step| step * each(&|outcome| busy(outcome).into()) * 1e-9);
        let by = |rows: f64| (operations / rows * 1e-9).min(products);
        // spikes that are counted before they are weighted would bring rows as well
        let limit = if all > 0.0 { by(limits.rows) } else { other.unwrap_or(0.0) };
        let paired = other.unwrap_or_else(|| by(limits.paired));
        let steps = each(&|outcome| u64::from(busy(outcome).max(TIME_STEPS)));
        let fires = stage.kind.neurons().is_some();
        let firing = if fires { stage.grid.neurons() as f64 * steps / limits.neurons * 1e-9 } else { 0.0 };
        let density = (all > 0.0).then(|| operations / all * 100.0);
        Self { name: &stage.name, density, measured, limit, paired, firing }
    }

    fn print(&self) {
        let density = self.density.map_or(String::new(), |density| format!("{density:.1} %"));
        let share = |limit: f64| limit / self.measured * 100.0;
        println!(
            "{:<32} {density:>8} {:>7.1} µs {:>7.1} µs {:>4.0} % {:>6.0} %  {:>7.1} µs {:>4.0} % {:>6.0} %  {}",
            self.name,
            self.measured * 1e6,
            self.limit * 1e6,
            share(self.limit),
            share(self.limit + self.firing),
            self.paired * 1e6,
            share(self.paired),
            share(self.paired + self.firing),
            ["held", "held with its neurons", "missed"][self.verdict(self.limit)],
        );
    }

    /// 0 where it reaches a limit, 1 where it does with its neurons, 2 where it does not.
    fn verdict(&self, limit: f64) -> usize {
        let reached = [limit, limit + self.firing, f64::INFINITY].map(|limit| limit >= SHARE * self.measured);
        reached.iter().position(|&reached| reached).unwrap_or(2)
    }
}

/// Prints each stage beside its limits.
fn roofline(_: &mut Criterion) {
    let Some((_, graph, images)) = real(IMAGES) else { return };
    let (spiking, mut seconds) = (Spiking::new(&graph), vec![vec![f64::MAX; graph.stages.len()]; IMAGES]);
    let (mut limits, mut outcomes) = (Limits::measure(None), vec![]);
    for _ in 0..ROUNDS {
        outcomes = stages(&spiking, &images, &mut seconds);
        limits = Limits::measure(Some(limits));
    }
    let Limits { products, rows, paired, neurons, counts, look_ups } = limits;
    println!(
        "limits of one thread, G a second: {products:.0} products of bytes, {rows:.1} weights in rows, {paired:.1} of them in pairs, \
         {neurons:.1} neurons, {counts:.0} counts compared, {look_ups:.1} numbers looked up"
    );
    println!("{:55}rows added to potentials, or products  rows in pairs, or products", "");
    println!("{:32} density   measured      limit  share  neurons       limit  share  neurons", "stage");
    let mut reached = [[0; 3]; 2];
    for at in 0..graph.stages.len() {
        let measured = seconds.iter().map(|seconds| seconds[at]).sum::<f64>() / IMAGES as f64;
        let row = Row::new(&graph, (at, measured), &outcomes, limits);
        row.print();
        reached[0][row.verdict(row.limit)] += 1;
        reached[1][row.verdict(row.paired)] += 1;
    }
    for (of, [held, with_neurons, missed]) in ["their limits", "those in pairs"].into_iter().zip(reached) {
        println!(
            "{:.0} % of {of}: {held} stages, with their neurons {with_neurons} more; {missed} are below",
            SHARE * 100.0
        );
    }
}

criterion_group!(benches, an_image, roofline);
criterion_main!(benches);
