//! The spiking graph: stages, what flows between them, and the numbers they hold.
//!
//! `Graph<f32>` is the folded network in the numbers it was trained with; `Graph<i32>` is what a chip holds.
//! A stage reads stages before it only, so their order is an order of computation.

use crate::network::SoftmaxAxis;
use crate::units::{Grid, Number, StageId, Window};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A feed-forward graph of stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Graph<S> {
    /// Name of the network.
    pub name: String,
    /// Widest weight of its kernels, sign included, in bits; 32 for floats.
    pub weight_bits: u32,
    /// The stages, each after all those it reads from. The first is the input, unless biases alone drive the network; the
    /// last is the readout, or plain neurons whose spike counts are the answer.
    pub stages: Vec<Stage<S>>,
}

/// One node of the spiking graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage<S> {
    /// Name in reports: that of the layer whose values the stage holds.
    pub name: String,
    /// Shape of what it holds and sends.
    pub grid: Grid,
    /// What it does.
    pub kind: StageKind<S>,
}

/// What a stage does with the spikes it receives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum StageKind<S> {
    /// Sends the normalised image, as graded spikes, in each of the steps 1..=T.
    Input(Input),
    /// Integrates and fires.
    Neurons(Neurons<S>),
    /// Counts the spikes of its source and sends the changes of the maximum over each window.
    MaxPool {
        /// The stage it reads.
        source: StageId,
        /// Its windows.
        window: Window,
    },
    /// Keeps `S[i, h, j] = Σ_d Q[i, h, d]·K[j, h, d]`; grid positions are queries `i`, channels `h·keys + j`.
    Scores {
        /// The stage of the queries.
        queries: StageId,
        /// The stage of the keys.
        keys: StageId,
        /// Number of heads.
        heads: u32,
    },
    /// Turns scores into probabilities of the same grid.
    Softmax {
        /// The stage of the scores.
        scores: StageId,
        /// How.
        rule: SoftmaxRule,
    },
    /// Keeps `O[i, h, d] = Σ_j P[i, h, j]·V[j, h, d]` and sends its changes.
    Context {
        /// The stage of the probabilities.
        probabilities: StageId,
        /// The stage of the values.
        values: StageId,
        /// Number of heads.
        heads: u32,
    },
    /// Integrates and never fires; potentials are the logits.
    Readout {
        /// What arrives.
        synapses: Synapses<S>,
        /// Value of one unit of potential as a logit, at T = 1.
        scale: f32,
    },
}

/// How the image becomes graded spikes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Mean of each channel, on the scale 0 to 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, on the scale 0 to 1.
    pub std: Vec<f32>,
    /// A normalised pixel `x` is sent as `round(x · 2^fraction_bits)` on a chip.
    pub fraction_bits: u32,
    /// Bits of a pixel, sign included; larger values are clipped.
    pub bits: u32,
}

/// A population of integrate-and-fire neurons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Neurons<S> {
    /// What arrives.
    pub synapses: Synapses<S>,
    /// Threshold θ of each channel.
    pub threshold: Vec<S>,
    /// When they fire.
    pub rule: NeuronRule,
}

/// When a neuron fires and what that leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NeuronRule {
    /// Signed spikes, reset by subtraction, bounded spike count, V starting at θ/2: reproduces QCFS exactly.
    Signed,
    /// Unsigned spike at `V > θ`, reset to zero, V starting at zero, no bound: the plain neuron of other people's networks.
    Plain,
}

/// All that flows into the potentials of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Synapses<S> {
    /// Linear maps, each from one or several stages.
    pub projections: Vec<Projection<S>>,
    /// Bias of each channel, or of each neuron of the stage, added in each of the steps 1..=T.
    pub bias: Vec<S>,
}

/// One linear map into a stage: several sources of one shape share its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Projection<S> {
    /// The stages that are added up before the map.
    pub sources: Vec<Source<S>>,
    /// The map.
    pub kernel: Kernel<S>,
}

/// One stream into a projection.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Source<S> {
    /// The stage that sends.
    pub stage: StageId,
    /// Factor on every spike of it: what one spike is worth against those of the other sources.
    pub gain: S,
}

/// A linear map with shared weights: optional sum over `pool` windows, then a (grouped) convolution.
///
/// A linear layer on tokens is [`Window::ONE`]; one on a flat vector has the whole grid as its window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kernel<S> {
    /// Windows that are summed up first; the mean's division is in the weights.
    pub pool: Option<Window>,
    /// Windows of the convolution, over the pooled grid.
    pub window: Window,
    /// Channels of the source.
    pub in_channels: u32,
    /// Channels of the stage.
    pub out_channels: u32,
    /// Groups of channels that do not see each other.
    pub groups: u32,
    /// `weights[(tap · in_channels + input channel) · (out_channels / groups) + output channel within its group]`,
    /// `tap = ky · window.width + kx`.
    pub weights: Vec<S>,
}

impl<S: Number> Kernel<S> {
    /// How many weights its shape asks for.
    #[must_use]
    pub fn weight_count(&self) -> usize {
        self.window.area() as usize * self.in_channels as usize * (self.out_channels / self.groups) as usize
    }

    /// Output channels that an input channel reaches, the same for every tap.
    #[must_use]
    #[inline]
    pub fn reached(&self, in_channel: u32) -> Range<u32> {
        let width = self.out_channels / self.groups;
        let group = in_channel / (self.in_channels / self.groups);
        group * width..(group + 1) * width
    }

    /// Weights from `(tap, input channel)` to the output channels of [`Kernel::reached`], in order.
    #[must_use]
    #[inline]
    pub fn row(&self, tap: u32, in_channel: u32) -> &[S] {
        let width = (self.out_channels / self.groups) as usize;
        let start = (tap as usize * self.in_channels as usize + in_channel as usize) * width;
        &self.weights[start..start + width]
    }

    /// The grid that the convolution slides over: the source's, or that of its pool windows.
    ///
    /// # Panics
    /// If no pool window fits: a graph is checked when it is made.
    #[must_use]
    pub fn pooled(&self, source: Grid) -> Grid {
        self.pool.map_or(source, |pool| {
            let (height, width) = pool.output(source).expect("a pool window fits its grid");
            Grid { height, width, ..source }
        })
    }

    /// Where a spike of each source position goes: every `(output position, tap)`, once for each pool window on the way.
    ///
    /// # Panics
    /// If no window fits: a graph is checked when it is made.
    #[must_use]
    pub fn taps(&self, source: Grid) -> Taps {
        let pooled = self.pooled(source);
        let direct = Taps::over(self.window, pooled);
        let Some(pool) = self.pool else { return direct };
        Taps::collect(source, |at| {
            let windows = pool.covering(at, (pooled.height, pooled.width));
            windows.flat_map(|(window, _)| direct.of(window).iter().copied()).collect::<Vec<_>>()
        })
    }
}

/// One place where a spike lands: an output position and the weights it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    /// Output position.
    pub position: u32,
    /// Index of the kernel's tap.
    pub tap: u32,
}

impl From<(u32, u32)> for Tap {
    fn from((position, tap): (u32, u32)) -> Self {
        Self { position, tap }
    }
}

/// The taps of every source position of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taps {
    starts: Vec<usize>,
    taps: Vec<Tap>,
}

impl Taps {
    /// The taps of a window that slides over `grid`.
    ///
    /// # Panics
    /// If no window fits: a graph is checked when it is made.
    #[must_use]
    pub fn over(window: Window, grid: Grid) -> Self {
        let output = window.output(grid).expect("a window fits its grid");
        Self::collect(grid, |at| window.covering(at, output).map(Tap::from))
    }

    fn collect<I: IntoIterator<Item = Tap>>(grid: Grid, taps_at: impl Fn((u32, u32)) -> I) -> Self {
        let mut all = Self { starts: vec![0], taps: vec![] };
        for y in 0..grid.height {
            for x in 0..grid.width {
                all.taps.extend(taps_at((y, x)));
                all.starts.push(all.taps.len());
            }
        }
        all
    }

    /// Taps of a source position, ordered by output position.
    #[must_use]
    pub fn of(&self, position: u32) -> &[Tap] {
        let at = position as usize;
        &self.taps[self.starts[at]..self.starts[at + 1]]
    }
}

/// How a softmax computes: `2^(x - max)` by shift and table, one integer division for each vector, rounded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SoftmaxRule {
    /// Number of heads.
    pub heads: u32,
    /// The index it normalises over.
    pub axis: SoftmaxAxis,
    /// Real value of one unit of score at t = 1: λq·λk·scale; at step t it is divided by `min(t, T)²`.
    pub scale: f64,
    /// Fractional bits p of a probability: one is `2^p`.
    pub probability_bits: u32,
    /// Address bits of the table of powers of two.
    pub table_bits: u32,
}

impl<S: Number> Graph<S> {
    /// The stage with this id.
    #[must_use]
    pub fn stage(&self, id: StageId) -> &Stage<S> {
        &self.stages[id.index()]
    }

    /// Ids of all stages, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = StageId> + use<S> {
        (0..self.stages.len()).map(StageId::at)
    }

    /// The same graph without weights, biases and thresholds: its shape, which is all that a chip's timing depends on.
    #[must_use]
    pub fn skeleton(&self) -> Self {
        let mut skeleton = self.clone();
        for stage in &mut skeleton.stages {
            let synapses = match &mut stage.kind {
                StageKind::Neurons(neurons) => {
                    neurons.threshold.clear();
                    &mut neurons.synapses
                }
                StageKind::Readout { synapses, .. } => synapses,
                StageKind::Input(_)
                | StageKind::MaxPool { .. }
                | StageKind::Scores { .. }
                | StageKind::Softmax { .. }
                | StageKind::Context { .. } => continue,
            };
            synapses.bias.clear();
            synapses.projections.iter_mut().for_each(|projection| projection.kernel.weights.clear());
        }
        skeleton
    }

    /// The stages that read the spikes of `id`, in order.
    pub fn consumers(&self, id: StageId) -> impl Iterator<Item = StageId> {
        self.ids().filter(move |&other| self.stage(other).kind.sources().contains(&id))
    }
}

impl<S: Number> StageKind<S> {
    /// The stages it reads from, each once, in the order of operands.
    #[must_use]
    pub fn sources(&self) -> Vec<StageId> {
        match self {
            Self::Input(_) => vec![],
            Self::Neurons(neurons) => neurons.synapses.sources(),
            Self::Readout { synapses, .. } => synapses.sources(),
            Self::MaxPool { source, .. } => vec![*source],
            Self::Scores { queries, keys, .. } => vec![*queries, *keys],
            Self::Softmax { scores, .. } => vec![*scores],
            Self::Context { probabilities, values, .. } => vec![*probabilities, *values],
        }
    }

    /// What arrives at its potentials, for stages that have any.
    #[must_use]
    pub fn synapses(&self) -> Option<&Synapses<S>> {
        match self {
            Self::Neurons(neurons) => Some(&neurons.synapses),
            Self::Readout { synapses, .. } => Some(synapses),
            Self::Input(_)
            | Self::MaxPool { .. }
            | Self::Scores { .. }
            | Self::Softmax { .. }
            | Self::Context { .. } => None,
        }
    }

    /// The neurons, for stages that have any.
    #[must_use]
    pub fn neurons(&self) -> Option<&Neurons<S>> {
        match self {
            Self::Neurons(neurons) => Some(neurons),
            Self::Readout { .. }
            | Self::Input(_)
            | Self::MaxPool { .. }
            | Self::Scores { .. }
            | Self::Softmax { .. }
            | Self::Context { .. } => None,
        }
    }

    /// Whether it sends signed integers instead of single spikes.
    #[must_use]
    pub fn is_graded(&self) -> bool {
        match self {
            Self::Input(_) | Self::Scores { .. } | Self::Softmax { .. } | Self::Context { .. } => true,
            Self::Neurons(_) | Self::MaxPool { .. } | Self::Readout { .. } => false,
        }
    }

    /// The name of the kind in reports, files and errors.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Neurons(_) => "neurons",
            Self::MaxPool { .. } => "max_pool",
            Self::Scores { .. } => "scores",
            Self::Softmax { .. } => "softmax",
            Self::Context { .. } => "context",
            Self::Readout { .. } => "readout",
        }
    }
}

impl<S: Number> Synapses<S> {
    /// The stages that send to these synapses, each once.
    #[must_use]
    pub fn sources(&self) -> Vec<StageId> {
        let mut sources = vec![];
        for source in self.projections.iter().flat_map(|p| &p.sources) {
            if !sources.contains(&source.stage) {
                sources.push(source.stage);
            }
        }
        sources
    }

    /// The bias of a neuron of a stage of shape `grid`, whose biases are given for each channel or for each neuron.
    #[must_use]
    pub fn bias_of(&self, grid: Grid, (position, channel): (u32, u32)) -> S {
        let each = self.bias.len() == grid.channels as usize;
        self.bias[if each { channel as usize } else { grid.whole().local(position, channel) }]
    }
}
