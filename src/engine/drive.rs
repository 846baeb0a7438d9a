//! Where spikes come from: a recorded run, or the units themselves.

use super::packets::Spike;
use super::{EngineError, Machine};
use crate::functional::input;
use crate::functional::slice::SliceState;
use crate::graph::{Stage, StageKind};
use crate::trace::{ImageTrace, SpikeTrain, Widths};
use crate::units::StageId;

/// What the machine asks of a drive.
pub(super) trait Spikes {
    /// A slice takes spikes of a stage.
    fn receive(&mut self, slice: usize, source: StageId, spikes: &[Spike]);
    /// Appends what a slice sends in a step, positions in order and channels within them.
    fn fire(&mut self, slice: usize, step: u32, fired: &mut Vec<Spike>);
}

/// Spikes from a recorded run.
#[derive(Debug)]
pub(super) struct Replay<'a> {
    machine: &'a Machine<'a>,
    trace: &'a ImageTrace,
}

impl<'a> Replay<'a> {
    /// A replay on a machine.
    ///
    /// # Errors
    /// If the trace is of another graph.
    pub fn new(machine: &'a Machine<'a>, trace: &'a ImageTrace) -> Result<Self, EngineError> {
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
    fn receive(&mut self, _: usize, _: StageId, _: &[Spike]) {}

    fn fire(&mut self, slice: usize, step: u32, fired: &mut Vec<Spike>) {
        let seat = &self.machine.seats[slice];
        self.trace.train(seat.stage).visit(step, seat.grid, seat.region, |position, channel, value| {
            fired.push(Spike { position, channel, value });
        });
    }
}

/// Spikes from units that hold potentials, counts and sums.
pub(super) struct Live<'a> {
    machine: &'a Machine<'a>,
    states: Vec<SliceState<'a>>,
    trains: Vec<SpikeTrain>,
    steps: u32,
}

impl<'a> Live<'a> {
    /// Units at rest, the image before them.
    ///
    /// # Errors
    /// If the image has another size, or the graph has no weights.
    pub fn new(machine: &'a Machine<'a>, image: &[u8], time_steps: u32, steps: u32) -> Result<Self, EngineError> {
        let graph = machine.graph;
        if let Some(stage) = graph.stages.iter().find(|stage| !has_numbers(stage)) {
            let what = "has no weights: units compute spikes with a whole graph only; a trace can be replayed without";
            return Err(EngineError::Misfit(format!("stage {:?} {what}", stage.name)));
        }
        let pixels = input::injected(graph, image).map_err(|fault| EngineError::Misfit(fault.to_string()))?;
        let places = machine.seats.iter().map(|seat| (seat.stage, seat.region.clone()));
        let mut states = SliceState::several(graph, places, time_steps);
        for (state, seat) in states.iter_mut().zip(&machine.seats).filter(|(_, seat)| seat.stage == StageId(0)) {
            for (position, channel) in (0..seat.region.neurons()).map(|local| seat.region.global(local)) {
                let neuron = seat.grid.whole().local(position, channel);
                state.receive(seat.stage, position, channel, pixels[neuron]);
            }
        }
        let trains = graph.stages.iter().map(|stage| SpikeTrain::resting(stage, steps)).collect();
        Ok(Self { machine, states, trains, steps })
    }

    /// Who fired when, and how wide everything was.
    pub fn into_trace(self) -> ImageTrace {
        let mut widths = vec![Widths::default(); self.trains.len()];
        for (state, seat) in self.states.iter().zip(&self.machine.seats) {
            widths[seat.stage.index()].merge(&state.widths());
        }
        ImageTrace { steps: self.steps, trains: self.trains, widths }
    }
}

impl Spikes for Live<'_> {
    fn receive(&mut self, slice: usize, source: StageId, spikes: &[Spike]) {
        for spike in spikes {
            self.states[slice].receive(source, spike.position, spike.channel, spike.value);
        }
    }

    fn fire(&mut self, slice: usize, step: u32, fired: &mut Vec<Spike>) {
        let seat = &self.machine.seats[slice];
        let train = &mut self.trains[seat.stage.index()];
        self.states[slice].fire(step, &mut |position, channel, value| {
            train.put(step, seat.grid, (position, channel), value);
            fired.push(Spike { position, channel, value });
        });
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
            synapses.bias.len() == channels && kernels.all(|kernel| kernel.weights.len() == kernel.weight_count())
        })
}
