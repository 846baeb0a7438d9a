//! The rules for one region of one stage, event by event: what a unit of a chip computes, whatever the order of arrival.

use super::Semantics;
use super::arithmetic::{Arithmetic, Sum};
use super::attention::{Context, Scores, Softmax};
use super::bounds::{Bounds, Extent};
use super::max_pool::MaxPool;
use super::population::Population;
use super::spiking::Held;
use super::sums::Emit;
use crate::graph::{Graph, Stage, StageKind, Synapses};
use crate::trace::Widths;
use crate::units::{Grid, Region, StageId};

/// The state of a region of a stage.
///
/// In each step, everything that arrives is received, in any order, and then the region fires once.
#[derive(Debug, Clone)]
pub struct SliceState<'g, S: Arithmetic = i32> {
    unit: Unit<'g, S>,
    time_steps: u32,
    settle_bias: bool,
    operations: u64,
    widths: Option<Widths>,
}

/// What a stage's kind needs to keep.
#[derive(Debug, Clone)]
enum Unit<'g, S: Arithmetic> {
    Input {
        id: StageId,
        region: Region,
        pixels: Vec<S>,
        injected: i32,
    },
    /// Potentials that fit into the graph's numbers.
    Narrow(Population<'g, S, S>),
    Wide(Population<'g, S, S::Wide>),
    MaxPool(MaxPool<S>),
    Scores(Scores<S>),
    Softmax(Softmax<S>),
    Context(Context<S>),
}

impl<'g> SliceState<'g> {
    /// A region at rest, in the exact semantics, which counts widths. Regions of scores and softmax stages hold every
    /// vector that is normalised whole.
    #[must_use]
    pub fn new(graph: &'g Graph<i32>, stage: StageId, region: Region, time_steps: u32) -> Self {
        Self::several(graph, [(stage, region)], time_steps).remove(0)
    }

    /// Several regions at rest, as by [`SliceState::new`].
    #[must_use]
    pub fn several(
        graph: &'g Graph<i32>,
        places: impl IntoIterator<Item = (StageId, Region)>,
        time_steps: u32,
    ) -> Vec<Self> {
        // A neuron gets no input later than one step for each stage before it after the last drive.
        let fires = time_steps.saturating_add(graph.stages.len() as u32);
        let extent = Extent { time_steps, fires, attention: Semantics::EXACT.attention };
        let bounds = Bounds::new(graph).all(graph, extent);
        let state = |(stage, region): (StageId, Region)| {
            let narrow = bounds[stage.index()].is_narrow();
            let setting = Setting { time_steps, semantics: Semantics::EXACT, narrow, record: true };
            Self::prepare(graph, stage, region, setting)
        };
        places.into_iter().map(state).collect()
    }
}

/// What holds for every stage of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub time_steps: u32,
    pub semantics: Semantics,
    /// Whether potentials fit into the graph's numbers.
    pub narrow: bool,
    /// Whether widths are counted.
    pub record: bool,
}

impl<'g, S: Arithmetic> SliceState<'g, S> {
    pub(super) fn prepare(graph: &'g Graph<S>, id: StageId, region: Region, setting: Setting) -> Self {
        let Setting { time_steps, semantics, .. } = setting;
        let stage = graph.stage(id);
        let grid = |id: &StageId| graph.stage(*id).grid;
        let mode = semantics.attention;
        let unit = match &stage.kind {
            StageKind::Input(_) => {
                Unit::Input { id, pixels: vec![S::default(); region.neurons()], region, injected: 0 }
            }
            StageKind::Neurons(neurons) => Unit::potentials(graph, stage, &neurons.synapses, region, setting),
            StageKind::Readout { synapses, .. } => Unit::potentials(graph, stage, synapses, region, setting),
            StageKind::MaxPool { source, window } => Unit::MaxPool(MaxPool::new(*window, grid(source), region)),
            StageKind::Scores { queries, keys, heads } => {
                Unit::Scores(Scores::new([*queries, *keys], [grid(queries), grid(keys)], *heads, region, mode))
            }
            StageKind::Softmax { scores, rule } => {
                Unit::Softmax(Softmax::new(*rule, grid(scores), region, time_steps, mode))
            }
            StageKind::Context { probabilities: from, values, heads } => {
                Unit::Context(Context::new([*from, *values], [grid(from), grid(values)], *heads, region, mode))
            }
        };
        let widths = setting.record.then(Widths::default);
        Self { unit, time_steps, settle_bias: semantics.settle_bias, operations: 0, widths }
    }

    /// Takes a spike of neuron `(position, channel)` of stage `source`: ±1, or the value of a graded spike. A spike that
    /// lands outside the region changes nothing. The input stage takes its image as spikes of itself.
    pub fn receive(&mut self, source: StageId, position: u32, channel: u32, value: S) {
        self.operations += match &mut self.unit {
            Unit::Input { id, region, pixels, .. } => {
                if source == *id && region.contains(position, channel) {
                    pixels[region.local(position, channel)] += value;
                }
                0
            }
            Unit::Narrow(population) => population.receive(source, position, channel, value),
            Unit::Wide(population) => population.receive(source, position, channel, value),
            Unit::MaxPool(pool) => pool.receive(position, channel, value),
            Unit::Scores(scores) => scores.receive(source, position, channel, value),
            Unit::Softmax(softmax) => softmax.receive(position, channel, value),
            Unit::Context(context) => context.receive(source, position, channel, value),
        };
    }

    /// Ends step `step` (from 1): adds the biases while the drive lasts, counts widths, and hands what the region sends
    /// to `emit(position, channel, value)`, positions in order and channels within them.
    pub fn fire(&mut self, step: u32, emit: Emit<S>) {
        let drive = step <= self.time_steps;
        let bias = drive || self.settle_bias;
        let widths = self.widths.as_mut();
        match &mut self.unit {
            Unit::Input { region, pixels, injected, .. } => {
                if let Some(widths) = widths {
                    pixels.iter().for_each(|pixel| widths.add(pixel.whole()));
                }
                *injected += i32::from(drive);
                for (local, &pixel) in pixels.iter().enumerate().filter(|(_, p)| drive && **p != S::default()) {
                    let (position, channel) = region.global(local);
                    emit(position, channel, pixel);
                }
            }
            Unit::Narrow(population) => population.fire(bias, widths, emit),
            Unit::Wide(population) => population.fire(bias, widths, emit),
            Unit::MaxPool(pool) => pool.fire(widths, emit),
            Unit::Scores(scores) => scores.fire(widths, emit),
            Unit::Softmax(softmax) => softmax.fire(step, widths, emit),
            Unit::Context(context) => context.fire(widths, emit),
        }
    }

    /// Calls `each` for up to 64 neurons after the other, in the order of [`Region::local`], with the index of the first of them
    /// and a bit for each of them whose potential is not zero; stages without potentials have none.
    pub fn charged(&self, each: &mut dyn FnMut(usize, u64)) {
        match &self.unit {
            Unit::Narrow(population) => population.charged(each),
            Unit::Wide(population) => population.charged(each),
            Unit::Input { .. } | Unit::MaxPool(_) | Unit::Scores(_) | Unit::Softmax(_) | Unit::Context(_) => {}
        }
    }

    /// What the region holds, in the order of [`Region::local`]: spike counts of neurons, maxima, scores, probabilities,
    /// context, potentials of a readout, and for the input all that it has injected.
    #[must_use]
    pub fn values(&self) -> Vec<S::Wide> {
        let wide = |values: &[S]| values.iter().map(|&value| value.into()).collect();
        match &self.unit {
            Unit::Input { pixels, injected, .. } => {
                let times = S::Wide::count(*injected);
                pixels.iter().map(|&pixel| S::Wide::default().plus(times, pixel)).collect()
            }
            Unit::Narrow(population) => population.values(),
            Unit::Wide(population) => population.values(),
            Unit::MaxPool(pool) => wide(pool.values()),
            Unit::Scores(scores) => wide(scores.values()),
            Unit::Softmax(softmax) => wide(softmax.values()),
            Unit::Context(context) => wide(context.values()),
        }
    }

    /// Takes over what neurons hold in a run of the whole stage, of shape `grid`; other regions stay what they are.
    pub(crate) fn hold(&mut self, grid: Grid, held: &Held) {
        match &mut self.unit {
            Unit::Narrow(population) => population.hold(grid, held),
            Unit::Wide(population) => population.hold(grid, held),
            Unit::Input { .. } | Unit::MaxPool(_) | Unit::Scores(_) | Unit::Softmax(_) | Unit::Context(_) => {}
        }
    }

    /// What the region carries into the next step: potentials of neurons, pixels, and otherwise its values.
    pub(crate) fn carried(&self) -> Vec<S::Wide> {
        match &self.unit {
            Unit::Narrow(population) => population.potentials(),
            Unit::Wide(population) => population.potentials(),
            Unit::Input { pixels, .. } => pixels.iter().map(|&pixel| pixel.into()).collect(),
            Unit::MaxPool(_) | Unit::Scores(_) | Unit::Softmax(_) | Unit::Context(_) => self.values(),
        }
    }

    /// Counts widths from now on, or none.
    pub(crate) fn count_widths(&mut self, whether: bool) {
        self.widths = whether.then(Widths::default);
    }

    /// How wide potentials, maxima and sums were when each step's integration ended; empty where nothing is recorded.
    #[must_use]
    pub fn widths(&self) -> Widths {
        self.widths.clone().unwrap_or_default()
    }

    /// Synaptic operations so far: sums changed, or windows compared.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations
    }
}

impl<'g, S: Arithmetic> Unit<'g, S> {
    fn potentials(
        graph: &'g Graph<S>,
        stage: &'g Stage<S>,
        synapses: &'g Synapses<S>,
        region: Region,
        Setting { time_steps, semantics, narrow, .. }: Setting,
    ) -> Self {
        let limit = i32::try_from(time_steps).unwrap_or(i32::MAX);
        let negative = semantics.negative_threshold;
        if narrow {
            Self::Narrow(Population::new(graph, stage, synapses, region, limit, negative))
        } else {
            Self::Wide(Population::new(graph, stage, synapses, region, limit, negative))
        }
    }
}
