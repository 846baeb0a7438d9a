//! The units of a chip: how long each takes for what, and which actions it counts when.
//!
//! | unit | for each arriving spike | at the end of each step | for each packet |
//! |---|---|---|---|
//! | core | `AxonIn`; for each operation `SynapticOp`, `WeightRead`, `PotentialAccess` | `NeuronVisit` for every neuron (sweep) or every updated one (event), `NeuronUpdate` for every updated one; `Spike` | `AxonOut` |
//! | max-pool | `AxonIn`; `PoolCompare` for each window | `Spike` | `AxonOut` |
//! | attention | `AxonIn`; for each sum `AttentionMac` and three `AttentionAccess` (operand, sum read, sum written); two more for the arriving value's own count | `AttentionAccess` for every sum that is scanned; `Spike` | `AxonOut` |
//! | softmax | `AxonIn` | for every vector that is computed again `SoftmaxDivide`, for each of its elements `SoftmaxExp` and `SoftmaxScale`; `Spike` | `AxonOut` |
//! | port | – | `Spike` | `AxonOut` |
//!
//! A neuron is updated in a step if it received an operation in it, or fires, or if the biases flow (step ≤ T); with
//! `updates: "potential"`, if it received an operation, or fires, or holds a potential other than zero. A vector is
//! computed again if one of its scores has changed, or if the steps still count (step ≤ T, when scores are divided by t²).
//! With tokens, every unit counts `Token` for each token and each acknowledgement that it builds; with barriers, `Barrier`
//! once a step. The passages of a packet through the network are counted with the slice that built it.
//!
//! A unit takes packets one after the other through two stages of a pipeline: while the work of one spike is done, the next
//! one is looked up, unless the `lookup` of the core is serial. Firing begins when the last operation is done; packets are
//! built one at a time, each as soon as the last of its spikes has been found.

use crate::action::{Action, Counts};
use crate::graph::{Stage, StageKind};
use crate::hardware::{Lookup, Soma, Timing};
use crate::network::SoftmaxAxis;
use crate::units::{Cycle, Part, Region};

/// What a unit does with spikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Sends the image.
    Port,
    /// Integrates and fires, or only integrates.
    Core(Soma),
    /// Compares counts.
    MaxPool,
    /// Keeps scores or context.
    Attention,
    /// Normalises vectors of scores.
    Softmax(Vectors),
}

/// The vectors that a softmax unit normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vectors {
    axis: SoftmaxAxis,
    /// Channels of a head.
    keys: u32,
    /// How many there are.
    pub count: u32,
    /// Elements of each.
    pub len: u32,
}

impl Vectors {
    fn new(axis: SoftmaxAxis, keys: u32, region: &Region) -> Self {
        let (positions, channels) = (region.positions.len() as u32, region.channels.len() as u32);
        match axis {
            SoftmaxAxis::Queries => Self { axis, keys, count: channels, len: positions },
            SoftmaxAxis::Keys => Self { axis, keys, count: positions * (channels / keys), len: keys },
        }
    }

    /// The vector of a score.
    pub fn of(self, region: &Region, position: u32, channel: u32) -> u32 {
        let channel = channel - region.channels.start;
        match self.axis {
            SoftmaxAxis::Queries => channel,
            SoftmaxAxis::Keys => {
                (position - region.positions.start) * (region.channels.len() as u32 / self.keys) + channel / self.keys
            }
        }
    }
}

impl Role {
    /// What the unit of a slice does.
    pub fn new(stage: &Stage<i32>, part: &Part, timing: &Timing) -> Self {
        match &stage.kind {
            StageKind::Input(_) => Self::Port,
            StageKind::Neurons(_) | StageKind::Readout { .. } => Self::Core(timing.core.soma),
            StageKind::MaxPool { .. } => Self::MaxPool,
            StageKind::Scores { .. } | StageKind::Context { .. } => Self::Attention,
            StageKind::Softmax { rule, .. } => {
                Self::Softmax(Vectors::new(rule.axis, (stage.grid.channels / rule.heads.max(1)).max(1), &part.bounds()))
            }
        }
    }

    /// Things of which it must know whether they changed once the biases have ceased: neurons, or vectors.
    pub fn watched(self, part: &Part) -> usize {
        match self {
            Self::Core(_) => part.neurons(),
            Self::Softmax(vectors) => vectors.count as usize,
            Self::Port | Self::MaxPool | Self::Attention => 0,
        }
    }

    /// Counts what the arrival of `spikes` spikes with `operations` operations in all takes.
    pub fn count_arrival(self, spikes: u64, operations: u64, counts: &mut Counts) {
        counts.add(Action::AxonIn, spikes);
        match self {
            Self::Core(_) => {
                counts.add(Action::SynapticOp, operations);
                counts.add(Action::WeightRead, operations);
                counts.add(Action::PotentialAccess, operations);
            }
            Self::MaxPool => counts.add(Action::PoolCompare, operations),
            Self::Attention => {
                counts.add(Action::AttentionMac, operations);
                counts.add(Action::AttentionAccess, 3 * operations + 2 * spikes);
            }
            Self::Port | Self::Softmax(_) => {}
        }
    }
}

/// How fast a unit is, whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// Cycles to look up one spike.
    axon_in: Cycle,
    /// Whether no spike is looked up while the operations of another one are done.
    serial: bool,
    /// Operations at once, and cycles for them.
    lanes: (u64, Cycle),
    /// Values looked at at once when a step ends, and cycles for them.
    scan: (u64, Cycle),
    /// Cycles more for each value that is updated, and for each that is sent.
    each: (Cycle, Cycle),
    /// Cycles for a division.
    divide: Cycle,
    /// Cycles to build a packet.
    pub axon_out: Cycle,
}

impl Pace {
    /// The pace of a unit with this role.
    pub fn new(role: Role, timing: &Timing) -> Self {
        let Timing { core, max_pool, attention, softmax, port, .. } = timing;
        match role {
            Role::Port => Self {
                axon_in: 0,
                serial: false,
                lanes: (1, 0),
                scan: (1, 0),
                each: (0, 0),
                divide: 0,
                axon_out: port.axon_out_cycles,
            },
            Role::Core(_) => Self {
                axon_in: core.axon_in_cycles,
                serial: core.lookup == Lookup::Serial,
                lanes: (core.lanes, core.synapse_cycles),
                scan: (core.soma_lanes, core.soma_cycles),
                each: (core.update_cycles, core.spike_cycles),
                divide: 0,
                axon_out: core.axon_out_cycles,
            },
            Role::MaxPool => Self {
                axon_in: max_pool.axon_in_cycles,
                serial: false,
                lanes: (max_pool.comparators, max_pool.compare_cycles),
                scan: (1, 0),
                each: (0, 0),
                divide: 0,
                axon_out: max_pool.axon_out_cycles,
            },
            Role::Attention => Self {
                axon_in: attention.axon_in_cycles,
                serial: false,
                lanes: (attention.lanes, attention.mac_cycles),
                scan: (attention.scan_lanes, 1),
                each: (0, 0),
                divide: 0,
                axon_out: attention.axon_out_cycles,
            },
            Role::Softmax(_) => Self {
                axon_in: softmax.axon_in_cycles,
                serial: false,
                lanes: (1, 0),
                scan: (softmax.exp_lanes, softmax.exp_cycles),
                each: (0, 0),
                divide: softmax.divide_cycles,
                axon_out: softmax.axon_out_cycles,
            },
        }
    }

    /// Cycles beyond looking at them, for so many values that are updated and so many that are sent.
    pub fn extra(&self, updated: u64, sent: u64) -> Cycle {
        updated * self.each.0 + sent * self.each.1
    }

    /// Cycles for the operations of one spike.
    pub fn work(&self, operations: u64) -> Cycle {
        operations.div_ceil(self.lanes.0) * self.lanes.1
    }
}

/// The pipeline through which packets enter a unit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Intake {
    /// When the next spike may be looked up.
    lookup_free: Cycle,
    /// When all work so far is done.
    pub done: Cycle,
}

impl Intake {
    /// Takes one spike, not before `now`; when its lookup begins.
    pub fn take(&mut self, now: Cycle, pace: &Pace, work: Cycle) -> Cycle {
        let begin = now.max(self.lookup_free);
        let found = begin + pace.axon_in;
        let work_begins = found.max(self.done);
        self.done = work_begins + work;
        self.lookup_free = if pace.serial { self.done } else { work_begins };
        begin
    }
}

/// How the values of a unit are gone through at the end of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan {
    start: Cycle,
    /// Values at once, and cycles for them; none if all are found at the start.
    pace: Option<(u64, Cycle)>,
    /// When all have been looked at.
    pub end: Cycle,
}

impl Scan {
    /// Looks at `values` values one after the other.
    pub fn through(start: Cycle, values: u64, pace: &Pace) -> Self {
        Self { start, pace: Some(pace.scan), end: start + values.div_ceil(pace.scan.0) * pace.scan.1 }
    }

    /// Normalises `count` vectors of `len` elements one after the other; all is sent at the end.
    pub fn normalise(start: Cycle, count: u64, len: u64, pace: &Pace) -> Self {
        let pass = len.div_ceil(pace.scan.0) * pace.scan.1;
        Self::at_once(start + count * (2 * pass + pace.divide))
    }

    /// The same scan, taking so many cycles more in all.
    pub fn longer(self, cycles: Cycle) -> Self {
        Self { end: self.end + cycles, ..self }
    }

    /// Finds everything at once.
    pub fn at_once(start: Cycle) -> Self {
        Self { start, pace: None, end: start }
    }

    /// When the value that is looked at as number `rank` has been found.
    pub fn found(&self, rank: u64) -> Cycle {
        self.pace.map_or(self.start, |(lanes, cycles)| self.start + (rank / lanes + 1) * cycles)
    }
}
