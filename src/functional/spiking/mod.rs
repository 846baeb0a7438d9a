//! The spiking run: each stage through all its steps before the next one starts, as nothing flows back.

mod arrivals;
mod attention;
mod held;
mod image;
mod linear;
mod max_pool;
mod neurons;
mod planes;
mod reached;
mod rested;
mod scattered;
mod scratch;
mod spare;
mod sparse;
mod spikes;
mod synapses;
mod train;
mod watched;

use super::bounds::{Bound, Bounds, Extent};
use super::lanes::{Level, Thresholds};
use super::softmax::Prepared;
use super::{FunctionalError, Semantics, Values, input};
use crate::graph::{Graph, StageKind};
use crate::trace::{ImageTrace, Schedule};
use crate::units::{Grid, StageId};
use attention::Graded;
pub use held::Held;
use image::Pixels;
use linear::Stream;
use max_pool::Windows;
use neurons::Population;
use rested::Rested;
use spare::Spare;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use synapses::Afferents;
use train::Train;

/// How long a run goes on after the drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// Until nothing is sent any more and nothing can fire.
    ToSilence,
    /// For this many steps.
    Steps(u32),
}

/// How a network is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// T: steps in which the image and the biases are injected.
    pub time_steps: u32,
    /// How long it goes on afterwards.
    pub settle: Settle,
    /// What is computed.
    pub semantics: Semantics,
    /// When spikes are integrated.
    pub schedule: Schedule,
    /// Whether to keep all spikes and widths.
    pub record: bool,
    /// Whether to keep what neurons hold, at the end of every so many steps.
    pub hold_every: Option<NonZeroU32>,
}

impl Options {
    /// A recorded run until silence in the exact semantics: what a chip replays.
    #[must_use]
    pub fn exact(time_steps: u32, schedule: Schedule) -> Self {
        let (settle, semantics) = (Settle::ToSilence, Semantics::EXACT);
        Self { time_steps, settle, semantics, schedule, record: true, hold_every: None }
    }

    /// The same for so many steps in all, at least T, and with what neurons hold at the end of every `each` of them.
    #[must_use]
    pub fn held(self, steps: u32, each: NonZeroU32) -> Self {
        Self { settle: Settle::Steps(steps.saturating_sub(self.time_steps)), hold_every: Some(each), ..self }
    }
}

/// What a run of one image gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Steps run: to silence, the last one in which anything was sent or integrated, and at least T.
    pub steps: u32,
    /// All spikes, where they were to be recorded.
    pub trace: Option<ImageTrace>,
    /// What each stage holds in the end, in the order of its grid (see [`super::slice::SliceState::values`]).
    pub values: Vec<Values>,
    /// Logits after each step, times T: potential · scale. Entry `t − 1` is that after step t.
    pub logits_by_step: Vec<Vec<f32>>,
    /// Synaptic operations of each stage: sums changed, or windows compared, by what arrived.
    pub synaptic_ops: Vec<u64>,
    /// Spikes, or graded values, that each stage sent.
    pub spikes: Vec<u64>,
    /// How many of them were negative.
    pub negative_spikes: Vec<u64>,
    /// The last step in which each stage sent anything; 0 where it never did.
    pub last_step: Vec<u32>,
    /// What the neurons of each stage held on the way, where that was to be kept: entry `n` is that after `n + 1` times as many
    /// steps as were asked for. None for stages without neurons.
    pub held: Vec<Vec<Held>>,
}

/// A spiking graph ready to run: synapses laid out once for all images.
#[derive(Debug)]
pub struct Spiking<'g> {
    graph: &'g Graph<i32>,
    layouts: Vec<Layout<'g>>,
    /// For each stage the graded ones that no later stage reads.
    read: Vec<Vec<StageId>>,
    bounds: Bounds,
    /// What bounds were asked for first, and what they are.
    known: OnceLock<(Extent, Vec<Bound>)>,
    level: Level,
    spare: Mutex<Vec<Spare>>,
}

/// What a stage needs beside its numbers.
#[derive(Debug)]
enum Layout<'g> {
    Pixels(Pixels),
    Synapses(Afferents<'g>),
    Windows(Windows),
    /// For the drive steps that were asked for first.
    Softmax(OnceLock<Prepared>),
    Nothing,
}

/// One stage after all its steps.
#[derive(Debug)]
struct Ran {
    train: Train,
    values: Values,
    operations: u64,
    /// The last step in which anything arrives, or 0.
    last_input: u32,
    /// Widths of its values, where they are recorded.
    widths: Rested,
    /// Potentials of a readout after each step.
    potentials_by_step: Vec<Vec<i64>>,
    held: Vec<Held>,
}

impl<'g> Spiking<'g> {
    /// A run of this graph.
    #[must_use]
    pub fn new(graph: &'g Graph<i32>) -> Self {
        let layout = |stage: &'g crate::graph::Stage<i32>| match &stage.kind {
            StageKind::Neurons(neurons) => Layout::Synapses(Afferents::new(graph, stage, &neurons.synapses)),
            StageKind::Readout { synapses, .. } => Layout::Synapses(Afferents::new(graph, stage, synapses)),
            StageKind::MaxPool { source, window } => {
                Layout::Windows(Windows::new(*window, graph.stage(*source).grid, stage.grid))
            }
            StageKind::Softmax { .. } => Layout::Softmax(OnceLock::new()),
            StageKind::Input(input) => Layout::Pixels(Pixels::new(input)),
            StageKind::Scores { .. } | StageKind::Context { .. } => Layout::Nothing,
        };
        Self {
            graph,
            layouts: graph.stages.iter().map(layout).collect(),
            read: last_read(graph),
            bounds: Bounds::new(graph),
            known: OnceLock::new(),
            level: Level::best(),
            spare: Mutex::default(),
        }
    }

    /// The graph that it runs.
    #[must_use]
    pub fn graph(&self) -> &'g Graph<i32> {
        self.graph
    }

    /// Runs one image of `height · width · channels` bytes.
    ///
    /// # Errors
    /// If the image has another size, a sum may outgrow its number, or a stage never falls silent.
    pub fn run(&self, image: &[u8], options: &Options) -> Result<Outcome, FunctionalError> {
        self.run_observed(image, options, &mut |_| {})
    }

    /// Runs one image, and calls `done` after each stage.
    ///
    /// # Errors
    /// As [`Spiking::run`].
    pub fn run_observed(
        &self,
        image: &[u8],
        options: &Options,
        done: &mut dyn FnMut(StageId),
    ) -> Result<Outcome, FunctionalError> {
        input::check(self.graph, image)?;
        let bounds = self.check(options)?;
        let (mut runs, mut spare) =
            (Vec::with_capacity(self.graph.stages.len()), self.spares().pop().unwrap_or_default());
        spare.stream.iter_mut().for_each(Stream::forget);
        for id in self.graph.ids() {
            let bound = self.bound(id, &bounds, &runs);
            spare.begin(id);
            let run = self.stage(id, image, (&runs[..], &mut spare), bound, options)?;
            runs.push(run);
            if !options.record {
                self.read[id.index()].iter().for_each(|read| runs[read.index()].train.release(&mut spare));
            }
            done(id);
        }
        self.spares().push(spare);
        Ok(self.outcome(runs, options))
    }

    /// Takes an outcome back that nobody needs any more: a later run puts its values into the same memory, where they fit. What a run
    /// gives does not depend on it.
    pub fn reuse(&self, outcome: Outcome) {
        let mut spare = self.spares().pop().unwrap_or_default();
        spare.give_outcome(outcome.values);
        self.spares().push(spare);
    }

    fn spares(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bounds of all sums, where every graded value fits.
    fn check(&self, options: &Options) -> Result<(Extent, Vec<Bound>), FunctionalError> {
        if options.time_steps == 0 {
            return Err(FunctionalError::NoTimeSteps);
        }
        let settle = match options.settle {
            Settle::Steps(settle) => settle,
            Settle::ToSilence => 0,
        };
        let fires = options.time_steps.saturating_add(settle).saturating_add(self.graph.stages.len() as u32);
        let extent = Extent { time_steps: options.time_steps, fires, attention: options.semantics.attention };
        let (known, bounds) = self.known.get_or_init(|| (extent, self.bounds.all(self.graph, extent)));
        let bounds = if *known == extent { bounds.clone() } else { self.bounds.all(self.graph, extent) };
        for (stage, bound) in self.graph.stages.iter().zip(&bounds) {
            if stage.kind.is_graded() && !bound.is_narrow() {
                return Err(FunctionalError::TooLarge { stage: stage.name.clone(), size: bound.size as u64 });
            }
            if options.settle == Settle::ToSilence && options.semantics.settle_bias && stage.kind.synapses().is_some() {
                return Err(FunctionalError::Restless { stage: stage.name.clone(), steps: options.time_steps });
            }
        }
        Ok((extent, bounds))
    }

    /// The bound of a stage: where it is too large for 32 bits, that behind what its sources have sent indeed, which is often
    /// far less than what they might have.
    fn bound(&self, id: StageId, (extent, bounds): &(Extent, Vec<Bound>), before: &[Ran]) -> Bound {
        let bound = bounds[id.index()];
        if bound.is_narrow() || self.graph.stage(id).kind.synapses().is_none() {
            return bound;
        }
        let sent = |id: &StageId| before[id.index()].train.ends().unwrap_or(bounds[id.index()].sent);
        self.bounds.of(self.graph, id, *extent, sent)
    }

    fn stage(
        &self,
        id: StageId,
        image: &[u8],
        (before, spare): (&[Ran], &mut Spare),
        bound: Bound,
        options: &Options,
    ) -> Result<Ran, FunctionalError> {
        let stage = self.graph.stage(id);
        let (name, grid) = (stage.name.as_str(), stage.grid);
        let train = |id: &StageId| &before[id.index()].train;
        let sources = stage.kind.sources();
        let last_input = sources.iter().map(|source| train(source).last_step).filter(|&step| step > 0).max();
        let last_input = last_input.map_or(0, |step| step + options.schedule.delay());
        let level = self.level;
        let graded = Graded { name, grid, options, last_input, level, size: bound.size };
        match (&stage.kind, &self.layouts[id.index()]) {
            (StageKind::Scores { queries, keys, heads }, _) => {
                attention::scores(&graded, spare, [train(queries), train(keys)], *heads as usize)
            }
            (StageKind::Softmax { scores, rule }, Layout::Softmax(prepared)) => {
                let known = prepared.get_or_init(|| Prepared::new(rule, options.time_steps));
                if known.time_steps == options.time_steps {
                    attention::softmax(&graded, spare, train(scores), (*rule, known))
                } else {
                    let other = Prepared::new(rule, options.time_steps);
                    attention::softmax(&graded, spare, train(scores), (*rule, &other))
                }
            }
            (StageKind::Context { probabilities, values, heads }, _) => {
                attention::context(&graded, spare, [train(probabilities), train(values)], *heads as usize)
            }
            (StageKind::MaxPool { source, .. }, Layout::Windows(windows)) => {
                max_pool::run((name, grid), windows, train(source), options, (last_input, level))
            }
            (kind, Layout::Synapses(afferents)) => {
                let neurons = kind.neurons();
                let trains = before;
                let thresholds = neurons.map_or(&[][..], |neurons| &neurons.threshold);
                let thresholds = Thresholds::new(thresholds, options.time_steps);
                let population =
                    Population { name, grid, afferents, neurons, thresholds, trains, options, last_input, level };
                if bound.is_narrow() {
                    neurons::run::<i32>(&population, spare)
                } else {
                    neurons::run::<i64>(&population, spare)
                }
            }
            (_, Layout::Pixels(pixels)) => Ok(pixels.run(image, (grid, level), spare, options)),
            // A stage is laid out for what it is: no other pair occurs.
            (_, Layout::Nothing | Layout::Windows(_) | Layout::Softmax(_)) => {
                Ok(Ran::new(grid, last_input, options.time_steps))
            }
        }
    }

    fn outcome(&self, mut runs: Vec<Ran>, options: &Options) -> Outcome {
        let steps = match options.settle {
            Settle::Steps(settle) => options.time_steps + settle,
            Settle::ToSilence => runs.iter().map(Ran::last_step).fold(options.time_steps, u32::max),
        };
        let scale = match self.graph.stages.last().map(|stage| &stage.kind) {
            Some(StageKind::Readout { scale, .. }) => f64::from(*scale),
            _ => 1.0,
        };
        let logits = |potentials: &Vec<i64>| potentials.iter().map(|&v| (v as f64 * scale) as f32).collect();
        let mut logits_by_step: Vec<Vec<f32>> =
            runs.last().map(|run| run.potentials_by_step.iter().map(logits).collect()).unwrap_or_default();
        if let Some(last) = logits_by_step.last().cloned() {
            logits_by_step.resize(steps as usize, last);
        }
        let mut outcome = Outcome {
            steps,
            trace: None,
            values: vec![],
            logits_by_step,
            synaptic_ops: runs.iter().map(|run| run.operations).collect(),
            spikes: runs.iter().map(|run| run.train.spikes).collect(),
            negative_spikes: runs.iter().map(|run| run.train.negative).collect(),
            last_step: runs.iter().map(|run| run.train.last_step).collect(),
            held: runs.iter_mut().map(|run| std::mem::take(&mut run.held)).collect(),
        };
        // a stage that came to rest earlier stays as it is
        let times = options.hold_every.map_or(0, |each| steps / each) as usize;
        for held in &mut outcome.held {
            held.resize(if held.is_empty() { 0 } else { times }, held.last().cloned().unwrap_or_default());
        }
        let widths = if options.record { runs.iter().map(|run| run.widths.over(steps)).collect() } else { vec![] };
        let (values, trains): (_, Vec<Train>) = runs.into_iter().map(|run| (run.values, run.train)).unzip();
        outcome.values = values;
        if options.record {
            let trains = trains.into_iter().map(|train| train.finish(steps)).collect();
            outcome.trace = Some(ImageTrace { steps, trains, widths });
        }
        outcome
    }
}

/// For each stage the graded ones that no later stage reads.
fn last_read(graph: &Graph<i32>) -> Vec<Vec<StageId>> {
    let mut last = vec![None; graph.stages.len()];
    for (id, stage) in graph.ids().zip(&graph.stages) {
        stage.kind.sources().iter().for_each(|source| last[source.index()] = Some(id));
    }
    let graded: Vec<StageId> = graph.ids().filter(|id| graph.stage(*id).kind.is_graded()).collect();
    graph.ids().map(|id| graded.iter().copied().filter(|read| last[read.index()] == Some(id)).collect()).collect()
}

impl Ran {
    fn new(grid: Grid, last_input: u32, time_steps: u32) -> Self {
        Self {
            train: Train::silent(grid),
            values: Values::Narrow(vec![]),
            operations: 0,
            last_input,
            widths: Rested::new(time_steps),
            potentials_by_step: vec![],
            held: vec![],
        }
    }

    /// Notes the potentials of one position of a readout.
    fn note_potentials<V: Copy + Into<i64>>(&mut self, step: u32, position: usize, potentials: &[V]) {
        let step = step as usize;
        self.potentials_by_step.resize_with(self.potentials_by_step.len().max(step), Vec::new);
        let row = &mut self.potentials_by_step[step - 1];
        row.resize(row.len().max((position + 1) * potentials.len()), 0);
        let row = &mut row[position * potentials.len()..];
        row.iter_mut().zip(potentials).for_each(|(to, &from)| *to = from.into());
    }

    /// The last step in which it sent or integrated anything.
    fn last_step(&self) -> u32 {
        self.train.last_step.max(self.last_input)
    }
}
