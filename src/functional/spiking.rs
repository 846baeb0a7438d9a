//! The spiking run: each stage through all its steps before the next one starts, as nothing flows back.

use super::arithmetic::Arithmetic;
use super::slice::{Setting, SliceState};
use super::train::Train;
use super::{FunctionalError, Semantics, bounds, input};
use crate::graph::{Graph, StageKind};
use crate::trace::{ImageTrace, Schedule, Widths};
use crate::units::StageId;

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
}

/// What a run of one image gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<S: Arithmetic> {
    /// Steps run: to silence, the last one in which anything was sent or integrated, and at least T.
    pub steps: u32,
    /// All spikes, where they were to be recorded and are whole numbers.
    pub trace: Option<ImageTrace>,
    /// What each stage holds in the end, in the order of its grid (see [`SliceState::values`]).
    pub values: Vec<Vec<S::Wide>>,
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
}

/// A spiking graph ready to run.
#[derive(Debug, Clone, Copy)]
pub struct Spiking<'g, S> {
    graph: &'g Graph<S>,
}

/// One stage on its way through all steps.
struct StageRun<'g, S: Arithmetic> {
    state: SliceState<'g, S>,
    train: Train<S>,
    /// The last step in which anything arrives, or 0.
    last_input: u32,
    /// Widths of each step; nothing where they are not recorded.
    widths: Vec<Widths>,
    logits_by_step: Vec<Vec<f32>>,
}

impl<'g, S: Arithmetic> Spiking<'g, S> {
    /// A run of this graph.
    #[must_use]
    pub fn new(graph: &'g Graph<S>) -> Self {
        Self { graph }
    }

    /// Runs one image of `height · width · channels` bytes.
    ///
    /// # Errors
    /// If the image has another size, a sum may outgrow its number, or a stage never falls silent.
    pub fn run(&self, image: &[u8], options: &Options) -> Result<Outcome<S>, FunctionalError> {
        let pixels = input::injected(self.graph, image)?;
        let sums = self.check(options)?;
        let mut runs = vec![];
        for id in self.graph.ids() {
            let run = self.stage(id, &pixels, &runs, S::narrow(sums[id.index()]), options)?;
            runs.push(run);
        }
        Ok(outcome(runs, options))
    }

    /// The bounds of all sums, where every graded value fits.
    fn check(&self, options: &Options) -> Result<Vec<f64>, FunctionalError> {
        if options.time_steps == 0 {
            return Err(FunctionalError::NoTimeSteps);
        }
        let settle = match options.settle {
            Settle::Steps(settle) => settle,
            Settle::ToSilence => 0,
        };
        let fires = options.time_steps.saturating_add(settle).saturating_add(self.graph.stages.len() as u32);
        let sums = bounds::sums(self.graph, fires);
        for (stage, &size) in self.graph.stages.iter().zip(&sums) {
            if stage.kind.is_graded() && !S::fits(size) {
                return Err(FunctionalError::TooLarge { stage: stage.name.clone(), size: size as u64 });
            }
        }
        Ok(sums)
    }

    fn stage(
        &self,
        id: StageId,
        pixels: &[S],
        before: &[StageRun<'g, S>],
        narrow: bool,
        options: &Options,
    ) -> Result<StageRun<'g, S>, FunctionalError> {
        let stage = self.graph.stage(id);
        let state = self.state(id, pixels, narrow, options);
        let sources: Vec<_> =
            stage.kind.sources().into_iter().map(|source| (source, &before[source.index()].train)).collect();
        let delay = options.schedule.delay();
        let last_input = sources.iter().map(|(_, train)| train.last_step).filter(|&step| step > 0).max();
        let last_input = last_input.map_or(0, |step| step + delay);
        let scale = match stage.kind {
            StageKind::Readout { scale, .. } => Some(scale),
            StageKind::Input(_)
            | StageKind::Neurons(_)
            | StageKind::MaxPool { .. }
            | StageKind::Scores { .. }
            | StageKind::Softmax { .. }
            | StageKind::Context { .. } => None,
        };
        let mut run = StageRun::new(state, Train::new(stage.grid, scale.is_none(), stage.kind.is_graded()), last_input);
        for step in 1.. {
            run.step(step, &sources, delay, scale, options.record);
            if ends(step, &run, options, &stage.name)? {
                break;
            }
        }
        Ok(run)
    }

    /// A stage at rest; the input stage holds its image.
    fn state(&self, id: StageId, pixels: &[S], narrow: bool, options: &Options) -> SliceState<'g, S> {
        let stage = self.graph.stage(id);
        let &Options { time_steps, semantics, record, .. } = options;
        let setting = Setting { time_steps, semantics, narrow, record };
        let mut state = SliceState::prepare(self.graph, id, stage.grid.whole(), setting);
        if matches!(stage.kind, StageKind::Input(_)) {
            let channels = stage.grid.channels;
            (0..).zip(pixels).for_each(|(n, &pixel)| state.receive(id, n / channels, n % channels, pixel));
        }
        state
    }
}

impl<'g, S: Arithmetic> StageRun<'g, S> {
    fn new(state: SliceState<'g, S>, train: Train<S>, last_input: u32) -> Self {
        Self { state, train, last_input, widths: vec![], logits_by_step: vec![] }
    }

    /// One step: all that its sources sent, then its own firing.
    fn step(&mut self, step: u32, sources: &[(StageId, &Train<S>)], delay: u32, scale: Option<f32>, record: bool) {
        let Self { state, train, .. } = self;
        for (source, sent) in sources {
            sent.visit(step.saturating_sub(delay), |position, channel, value| {
                state.receive(*source, position, channel, value);
            });
        }
        train.begin_step();
        state.fire(step, &mut |position, channel, value| train.push(position, channel, value));
        if record {
            self.widths.push(state.take_widths());
        }
        if let Some(scale) = scale {
            self.logits_by_step.push(state.values().into_iter().map(|of| S::logit(of, scale)).collect());
        }
    }

    /// The last step in which it sent or integrated anything.
    fn last_step(&self) -> u32 {
        self.train.last_step.max(self.last_input)
    }

    /// Widths over the first `steps` steps; a stage at rest stays as it was in its last one.
    fn widths_over(&self, steps: u32) -> Widths {
        let mut sum = Widths::default();
        for step in 0..steps as usize {
            if let Some(widths) = self.widths.get(step).or(self.widths.last()) {
                sum.0.iter_mut().zip(widths.0).for_each(|(sum, count)| *sum += count);
            }
        }
        sum
    }
}

/// Whether a stage has nothing more to do after `step`.
fn ends<S: Arithmetic>(step: u32, run: &StageRun<S>, options: &Options, name: &str) -> Result<bool, FunctionalError> {
    let busy = options.time_steps.max(run.last_input);
    match options.settle {
        Settle::Steps(settle) => Ok(step >= options.time_steps + settle),
        Settle::ToSilence if step >= busy && run.train.last_step < step => Ok(true),
        // A signed neuron has answered its last input after T more steps, a plain one after one.
        Settle::ToSilence if step > busy + options.time_steps => {
            Err(FunctionalError::Restless { stage: name.to_string(), steps: step })
        }
        Settle::ToSilence => Ok(false),
    }
}

fn outcome<S: Arithmetic>(runs: Vec<StageRun<S>>, options: &Options) -> Outcome<S> {
    let steps = match options.settle {
        Settle::Steps(settle) => options.time_steps + settle,
        Settle::ToSilence => runs.iter().map(StageRun::last_step).fold(options.time_steps, u32::max),
    };
    let mut logits_by_step = runs.last().map(|run| run.logits_by_step.clone()).unwrap_or_default();
    if let Some(last) = logits_by_step.last().cloned() {
        logits_by_step.resize(steps as usize, last);
    }
    Outcome {
        steps,
        values: runs.iter().map(|run| run.state.values()).collect(),
        logits_by_step,
        synaptic_ops: runs.iter().map(|run| run.state.operations()).collect(),
        spikes: runs.iter().map(|run| run.train.spikes).collect(),
        negative_spikes: runs.iter().map(|run| run.train.negative).collect(),
        last_step: runs.iter().map(|run| run.train.last_step).collect(),
        trace: options.record.then(|| trace(runs, steps)).flatten(),
    }
}

fn trace<S: Arithmetic>(runs: Vec<StageRun<S>>, steps: u32) -> Option<ImageTrace> {
    let widths = runs.iter().map(|run| run.widths_over(steps)).collect();
    let trains = runs.into_iter().map(|run| run.train.finish(steps)).collect::<Option<_>>()?;
    Some(ImageTrace { steps, trains, widths })
}
