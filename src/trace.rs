//! Spike traces: who fired in which time step, stage by stage; what a functional run gives and a replay needs.

use crate::graph::{Graph, Stage, StageKind};
use crate::units::{Grid, Number, Region, StageId};
use bitvec::prelude::{BitVec, Lsb0};
use serde::{Deserialize, Serialize};

/// Key of a trace file's header under which its [`Header`] stands, in RON.
pub const TRACE_KEY: &str = "spikemesh.trace";

/// What stands before the spikes in a trace file.
///
/// The spikes of a stage follow as tensors with one row for each step of each image, images one after the other:
/// `<stage>.presence` and `<stage>.negative` hold one bit for each neuron (`u8`, neuron `n` is bit `n % 8` of byte `n / 8`),
/// `<stage>.values` of graded stages an `i32`. Tensor `widths`, `u64 [images, stages, 65]`, holds [`Widths`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Digest of the spiking graph.
    pub fingerprint: String,
    /// T.
    pub time_steps: u32,
    /// When spikes are integrated.
    pub schedule: Schedule,
    /// Steps of each image.
    pub steps: Vec<u32>,
    /// The graph without its numbers.
    pub skeleton: Graph<i32>,
}

/// When a spike that is fired in step t is integrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// In the same step, stage after stage: what a chip with end-of-step tokens does, and the published code.
    SameStep,
    /// In step t + 1: what a chip with a global barrier does.
    NextStep,
}

impl Schedule {
    /// The name in files and reports.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::SameStep => "same_step",
            Self::NextStep => "next_step",
        }
    }

    /// Steps between the firing of a spike and its integration.
    #[must_use]
    pub fn delay(self) -> u32 {
        match self {
            Self::SameStep => 0,
            Self::NextStep => 1,
        }
    }
}

/// The spikes of several images through one network.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The graph without its numbers (see [`Graph::skeleton`]): enough to compile it onto a chip.
    pub skeleton: Graph<i32>,
    /// Digest of the spiking graph that made it: a trace is replayed against no other.
    pub fingerprint: String,
    /// T: steps in which the image and the biases are injected.
    pub time_steps: u32,
    /// When spikes are integrated.
    pub schedule: Schedule,
    /// One entry for each image.
    pub images: Vec<ImageTrace>,
}

/// The spikes of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTrace {
    /// Number of time steps run: all spikes lie in steps `1..=steps`.
    pub steps: u32,
    /// What each stage sent.
    pub trains: Vec<SpikeTrain>,
    /// How wide the potentials, counts or sums of each stage were.
    pub widths: Vec<Widths>,
}

impl ImageTrace {
    /// What a stage sent.
    #[must_use]
    pub fn train(&self, stage: StageId) -> &SpikeTrain {
        &self.trains[stage.index()]
    }
}

/// How many values of a stage had each width in bits, sign included, at the end of a step's integration, over all steps:
/// what membranes and counters of a chip must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widths(pub [u64; 65]);

impl Default for Widths {
    fn default() -> Self {
        Self([0; 65])
    }
}

impl Widths {
    /// Counts one value.
    pub fn add(&mut self, value: i64) {
        // a bit for the sign, and those from the highest one on that differs from it
        let bits = ((value ^ (value >> 63)) << 1 | 1) as u64;
        self.0[bits.ilog2() as usize + 1] += 1;
    }

    /// Counts values.
    pub(crate) fn add_all<V: Copy + Into<i64>>(&mut self, values: &[V]) {
        values.iter().for_each(|&value| self.add(value.into()));
    }

    /// Adds all counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }

    /// The widest value, in bits.
    #[must_use]
    pub fn peak(&self) -> u32 {
        self.0.iter().rposition(|&count| count > 0).unwrap_or(0) as u32
    }

    /// How many values do not fit into `bits`.
    #[must_use]
    pub fn over(&self, bits: u32) -> u64 {
        self.0.iter().skip(bits as usize + 1).sum()
    }
}

/// What one stage sent over time. Neuron `n` of step `t` (from 1) has index `(t - 1) · neurons + n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpikeTrain {
    /// Nothing: a readout.
    Silent,
    /// At most one signed spike for each neuron and step.
    Spikes {
        /// Number of neurons.
        neurons: usize,
        /// Whether there was a spike.
        presence: BitVec<u64, Lsb0>,
        /// Whether it was negative; false where there was none.
        negative: BitVec<u64, Lsb0>,
    },
    /// A signed integer for each neuron and step; zero is not sent.
    Graded {
        /// Number of neurons.
        neurons: usize,
        /// The values.
        values: Vec<i32>,
    },
}

impl SpikeTrain {
    /// Steps that the train holds; later ones are empty.
    #[must_use]
    pub fn steps(&self) -> u32 {
        let (values, neurons) = match self {
            Self::Silent => (0, 0),
            Self::Spikes { neurons, presence, .. } => (presence.len(), *neurons),
            Self::Graded { neurons, values } => (values.len(), *neurons),
        };
        values.checked_div(neurons).unwrap_or(0) as u32
    }

    /// What a stage sends that sends nothing for `steps` steps.
    #[must_use]
    pub fn resting<S: Number>(stage: &Stage<S>, steps: u32) -> Self {
        let neurons = stage.grid.neurons();
        let len = neurons * steps as usize;
        if matches!(stage.kind, StageKind::Readout { .. }) {
            Self::Silent
        } else if stage.kind.is_graded() {
            Self::Graded { neurons, values: vec![0; len] }
        } else {
            Self::Spikes { neurons, presence: BitVec::repeat(false, len), negative: BitVec::repeat(false, len) }
        }
    }

    /// Adds what neuron `(position, channel)` of a stage of shape `grid` sends in `step` (from 1, one that the train holds):
    /// ±1, or a graded value.
    pub fn put(&mut self, step: u32, grid: Grid, (position, channel): (u32, u32), value: i32) {
        let at = (step - 1) as usize * grid.neurons() + grid.whole().local(position, channel);
        match self {
            Self::Silent => {}
            Self::Spikes { presence, negative, .. } => {
                presence.set(at, true);
                negative.set(at, value < 0);
            }
            Self::Graded { values, .. } => values[at] = value,
        }
    }

    /// Appends the steps of another train of the same stage.
    pub(crate) fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::Spikes { presence, negative, .. }, Self::Spikes { presence: more, negative: more_negative, .. }) => {
                presence.extend_from_bitslice(more);
                negative.extend_from_bitslice(more_negative);
            }
            (Self::Graded { values, .. }, Self::Graded { values: more, .. }) => values.extend_from_slice(more),
            (Self::Silent | Self::Spikes { .. } | Self::Graded { .. }, _) => {}
        }
    }

    /// Whether it holds whole steps of a stage of this shape.
    #[must_use]
    pub fn fits(&self, grid: Grid) -> bool {
        let whole = |neurons: usize, values: usize| neurons == grid.neurons() && values.is_multiple_of(neurons.max(1));
        match self {
            Self::Silent => true,
            Self::Spikes { neurons, presence, negative } => {
                whole(*neurons, presence.len()) && presence.len() == negative.len()
            }
            Self::Graded { neurons, values } => whole(*neurons, values.len()),
        }
    }

    /// Calls `visit(position, channel, value)` for everything that `region` of a stage of shape `grid` sent in `step`
    /// (from 1), positions in order and channels within them; value is ±1 for spikes.
    pub fn visit(&self, step: u32, grid: Grid, region: &Region, mut visit: impl FnMut(u32, u32, i32)) {
        if step == 0 || step > self.steps() {
            return;
        }
        let start = (step - 1) as usize * grid.neurons();
        for position in region.positions.clone() {
            let row = start + position as usize * grid.channels as usize;
            let channels = row + region.channels.start as usize..row + region.channels.end as usize;
            match self {
                Self::Silent => {}
                Self::Spikes { presence, negative, .. } => {
                    for at in presence[channels.clone()].iter_ones() {
                        let value = if negative[channels.start + at] { -1 } else { 1 };
                        visit(position, region.channels.start + at as u32, value);
                    }
                }
                Self::Graded { values, .. } => {
                    for (at, &value) in values[channels].iter().enumerate().filter(|(_, value)| **value != 0) {
                        visit(position, region.channels.start + at as u32, value);
                    }
                }
            }
        }
    }

    /// Spikes (or graded values) in all, and how many of them are negative.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        match self {
            Self::Silent => (0, 0),
            Self::Spikes { presence, negative, .. } => (presence.count_ones() as u64, negative.count_ones() as u64),
            Self::Graded { values, .. } => (
                values.iter().filter(|value| **value != 0).count() as u64,
                values.iter().filter(|value| **value < 0).count() as u64,
            ),
        }
    }
}
