//! Where spikes come from: a recorded run, or the units themselves.

use super::machine::Seat;
use super::marks::Marks;
use super::packets::Spike;
use super::{EngineError, Machine};
use crate::functional::slice::SliceState;
use crate::functional::{Held, input};
use crate::graph::{Stage, StageKind};
use crate::hardware::Updates;
use crate::trace::{ImageTrace, SpikeTrain, Widths};
use crate::units::{Region, StageId};
use std::ops::Range;

/// What the machine asks of a drive. A copy goes on by itself.
pub(super) trait Spikes: Clone + Send {
    /// Whether what is fired in a step depends on what was received in those before.
    const REMEMBERS: bool;
    /// A slice takes spikes of a stage.
    fn receive(&mut self, slice: usize, source: StageId, spikes: &[Spike]);
    /// Appends what a slice sends in a step, positions in order and channels within them.
    fn fire(&mut self, slice: usize, step: u32, fired: &mut Vec<Spike>);
    /// Marks the neurons of a slice whose potential is not zero after it has fired.
    fn charged(&mut self, slice: usize, marks: &mut Marks);
    /// Keeps what is sent, and how wide everything is, in these steps and in no others.
    fn keep(&mut self, steps: Range<u32>);
    /// Takes over what the neurons of a slice hold; `held` is that of its whole stage.
    fn hold(&mut self, slice: usize, held: &Held);
    /// All that it carries from step to step, slice by slice; for comparison.
    fn carried(&self) -> Vec<Vec<i64>>;
}

/// Spikes from a recorded run.
#[derive(Debug, Clone)]
pub(super) struct Replay<'a> {
    machine: &'a Machine<'a>,
    trace: &'a ImageTrace,
}

impl<'a> Replay<'a> {
    /// A replay on a machine.
    ///
    /// # Errors
    /// If the trace is of another graph, or does not say all that units need.
    pub fn new(machine: &'a Machine<'a>, trace: &'a ImageTrace) -> Result<Self, EngineError> {
        if machine.timing.core.updates == Updates::Potential {
            let what = "on this chip every neuron with a potential is updated, and a trace holds spikes, not potentials; \
                        let the chip compute them (--live), or choose --set core.updates=event";
            return Err(EngineError::Misfit(what.into()));
        }
        Self::beside(machine, trace)
    }

    /// A replay beside units that hold potentials themselves.
    ///
    /// # Errors
    /// If the trace is of another graph.
    pub fn beside(machine: &'a Machine<'a>, trace: &'a ImageTrace) -> Result<Self, EngineError> {
        let stages = &machine.graph.stages;
        let fits = trace.trains.len() == stages.len()
            && trace.trains.iter().zip(stages).all(|(train, stage)| train.fits(stage.grid));
        if !fits {
            let what = "the trace was recorded with another graph; record it again with this one";
            return Err(EngineError::Misfit(what.into()));
        }
        Ok(Self { machine, trace })
    }
}

impl Spikes for Replay<'_> {
    const REMEMBERS: bool = false;

    fn receive(&mut self, _: usize, _: StageId, _: &[Spike]) {}

    fn fire(&mut self, slice: usize, step: u32, fired: &mut Vec<Spike>) {
        let seat = &self.machine.seats[slice];
        for region in seat.part.regions() {
            self.trace.train(seat.stage).visit(step, seat.grid, region, |position, channel, value| {
                fired.push(Spike { position, channel, value });
            });
        }
    }

    fn charged(&mut self, _: usize, _: &mut Marks) {}

    fn keep(&mut self, _: Range<u32>) {}

    fn hold(&mut self, _: usize, _: &Held) {}

    fn carried(&self) -> Vec<Vec<i64>> {
        vec![]
    }
}

/// Spikes from units that hold potentials, counts and sums.
#[derive(Clone)]
pub(super) struct Live<'a> {
    machine: &'a Machine<'a>,
    /// One state for each region, slice by slice.
    states: Vec<SliceState<'a>>,
    /// The first state of each slice, and one past the last slice's.
    first: Vec<usize>,
    /// What each stage has sent in the steps that are kept; none where nothing is.
    trains: Vec<SpikeTrain>,
    /// The first of these steps.
    kept_from: u32,
}

impl<'a> Live<'a> {
    /// Units at rest, for runs of T steps.
    ///
    /// # Errors
    /// If the graph has no weights.
    pub fn new(machine: &'a Machine<'a>, time_steps: u32) -> Result<Self, EngineError> {
        let graph = machine.graph;
        if let Some(stage) = graph.stages.iter().find(|stage| !has_numbers(stage)) {
            let what = "has no weights: units compute spikes with a whole graph only; a trace can be replayed without";
            return Err(EngineError::Misfit(format!("stage {:?} {what}", stage.name)));
        }
        let regions = |seat: &Seat<'a>| seat.part.regions().iter().map(|region| (seat.stage, region.clone())).collect();
        let places: Vec<Vec<(StageId, Region)>> = machine.seats.iter().map(regions).collect();
        let ends = places.iter().scan(0, |sum, places| {
            *sum += places.len();
            Some(*sum)
        });
        let first = std::iter::once(0).chain(ends).collect();
        let states = SliceState::several(graph, places.into_iter().flatten(), time_steps);
        Ok(Self { machine, states, first, trains: vec![], kept_from: 0 })
    }

    /// The same units with an image before them.
    ///
    /// # Errors
    /// If the image has another size.
    pub fn before(&self, image: &[u8]) -> Result<Self, EngineError> {
        let (graph, mut live) = (self.machine.graph, self.clone());
        let pixels = input::injected(graph, image).map_err(|fault| EngineError::Misfit(fault.to_string()))?;
        let is_input = |seat: &Seat| matches!(graph.stage(seat.stage).kind, StageKind::Input(_));
        for (slice, seat) in self.machine.seats.iter().enumerate().filter(|(_, seat)| is_input(seat)) {
            for (region, at) in seat.part.regions().iter().zip(self.regions(slice)) {
                for (position, channel) in (0..region.neurons()).map(|local| region.global(local)) {
                    let neuron = seat.grid.whole().local(position, channel);
                    live.states[at].receive(seat.stage, position, channel, pixels[neuron]);
                }
            }
        }
        Ok(live)
    }

    /// The states of a slice.
    fn regions(&self, slice: usize) -> Range<usize> {
        self.first[slice]..self.first[slice + 1]
    }

    /// Who fired when, and how wide everything was, in `steps` steps: those of several drives, one after the other.
    pub fn trace(machine: &Machine, drives: &[Self], steps: u32) -> ImageTrace {
        let stages = &machine.graph.stages;
        let mut widths = vec![Widths::default(); stages.len()];
        let mut trains: Vec<SpikeTrain> = stages.iter().map(|stage| SpikeTrain::resting(stage, 0)).collect();
        for drive in drives {
            for (slice, seat) in machine.seats.iter().enumerate() {
                drive.regions(slice).for_each(|at| widths[seat.stage.index()].merge(&drive.states[at].widths()));
            }
            trains.iter_mut().zip(&drive.trains).for_each(|(train, more)| train.append(more));
        }
        ImageTrace { steps, trains, widths }
    }
}

impl Spikes for Live<'_> {
    const REMEMBERS: bool = true;

    fn receive(&mut self, slice: usize, source: StageId, spikes: &[Spike]) {
        for at in self.regions(slice) {
            for spike in spikes {
                self.states[at].receive(source, spike.position, spike.channel, spike.value);
            }
        }
    }

    fn fire(&mut self, slice: usize, step: u32, fired: &mut Vec<Spike>) {
        let seat = &self.machine.seats[slice];
        let before = fired.len();
        for state in &mut self.states[self.first[slice]..self.first[slice + 1]] {
            state.fire(step, &mut |position, channel, value| fired.push(Spike { position, channel, value }));
        }
        if let Some(train) = self.trains.get_mut(seat.stage.index()) {
            for &Spike { position, channel, value } in &fired[before..] {
                train.put(step + 1 - self.kept_from, seat.grid, (position, channel), value);
            }
        }
    }

    fn charged(&mut self, slice: usize, marks: &mut Marks) {
        let seat = &self.machine.seats[slice];
        for ((number, _), at) in seat.part.numbered().zip(self.regions(slice)) {
            self.states[at].charged(&mut |local, charged| marks.add_bits(number + local, charged));
        }
    }

    fn keep(&mut self, steps: Range<u32>) {
        self.states.iter_mut().for_each(|state| state.count_widths(!steps.is_empty()));
        let stages = self.machine.graph.stages.iter().filter(|_| !steps.is_empty());
        self.trains = stages.map(|stage| SpikeTrain::resting(stage, steps.end - steps.start)).collect();
        self.kept_from = steps.start;
    }

    fn hold(&mut self, slice: usize, held: &Held) {
        let grid = self.machine.seats[slice].grid;
        self.states[self.first[slice]..self.first[slice + 1]].iter_mut().for_each(|state| state.hold(grid, held));
    }

    fn carried(&self) -> Vec<Vec<i64>> {
        self.states.iter().map(SliceState::carried).collect()
    }
}

/// Whether a stage has the weights, biases and thresholds that its shape asks for.
fn has_numbers(stage: &Stage<i32>) -> bool {
    let channels = stage.grid.channels as usize;
    let thresholds = match &stage.kind {
        StageKind::Neurons(neurons) => neurons.threshold.len() == channels,
        StageKind::Input(_)
        | StageKind::MaxPool { .. }
        | StageKind::Scores { .. }
        | StageKind::Softmax { .. }
        | StageKind::Context { .. }
        | StageKind::Readout { .. } => true,
    };
    thresholds
        && stage.kind.synapses().is_none_or(|synapses| {
            let mut kernels = synapses.projections.iter().map(|projection| &projection.kernel);
            [channels, stage.grid.neurons()].contains(&synapses.bias.len())
                && kernels.all(|kernel| kernel.weights.len() == kernel.weight_count())
        })
}
