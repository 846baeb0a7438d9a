//! Time-step disciplines: when a slice may fire, and what it tells the others.
//!
//! With tokens, a slice fires step t when the tokens of step t have come from all its sources, and with them all the packets
//! that the tokens announce, and when all its destinations have acknowledged step `t - steps_ahead`. A token says how many
//! packets it closes, so it may overtake them. Tokens only wait for earlier stages, acknowledgements for earlier steps, and
//! units take every packet, so there is always somebody who can go on.
//!
//! With barriers, all slices fire together; when the network is empty and all work is done, the barrier follows. All turns
//! start anew then, so that a step takes the time that its own spikes take, whatever was before.

use super::drive::Spikes;
use super::fault::{Culprit, EngineError, Stall};
use super::machine::Directed;
use super::mesh::Packet;
use super::packets::Kind;
use super::recorder::Recorder;
use super::run::Run;
use super::state::SliceState;
use crate::action::Action;
use crate::hardware::Discipline;
use crate::trace::Schedule;
use crate::units::{Cycle, SliceId};

/// The order in which a discipline computes.
#[must_use]
pub fn schedule(discipline: Discipline) -> Schedule {
    match discipline {
        Discipline::Barrier => Schedule::NextStep,
        Discipline::Tokens => Schedule::SameStep,
    }
}

/// Refuses spikes of one schedule on a chip that integrates them by another.
///
/// # Errors
/// [`EngineError::ForeignSchedule`], with the option of a recording that fits.
pub fn check_schedule(trace: Schedule, wanted: Schedule, chip: &str) -> Result<(), EngineError> {
    if trace == wanted {
        return Ok(());
    }
    Err(EngineError::ForeignSchedule { chip: chip.to_string(), wanted: wanted.key(), trace: trace.key() })
}

/// Steps between the firing of a spike and its integration.
pub(super) fn delay(discipline: Discipline) -> u32 {
    schedule(discipline).delay()
}

impl SliceState {
    /// A source has ended a step.
    pub fn take_token(&mut self, source: usize, step: u32, packets: u64) {
        self.from_sources[source].tokens += 1;
        self.from_sources[source].announced += packets;
        if step >= self.step {
            let tally = self.tally(step);
            tally.tokens += 1;
            tally.announced += packets;
        }
    }

    /// Whether all that is due in this step has come.
    fn is_complete(&mut self) -> bool {
        let sources = self.from_sources.len();
        let step = self.step;
        let tally = self.tally(step);
        tally.tokens == sources && tally.announced == tally.arrived
    }
}

impl<D: Spikes, R: Recorder> Run<'_, D, R> {
    /// Everybody who can fires the first step.
    pub fn begin(&mut self) {
        for slice in 0..self.slices.len() {
            if self.is_barrier() && self.steps >= self.first {
                self.fire(slice, 0);
            } else {
                self.fire_if_ready(slice, 0);
            }
        }
    }

    /// With tokens: a slice that waits for nobody fires.
    pub fn fire_if_ready(&mut self, slice: usize, now: Cycle) {
        let ahead = self.machine.timing.step.steps_ahead;
        let (steps, barrier) = (self.steps, self.is_barrier());
        let state = &mut self.slices[slice];
        let needed = state.step.saturating_sub(ahead);
        if !barrier
            && !state.firing
            && state.step <= steps
            && state.is_complete()
            && state.acknowledged.iter().all(|&step| step >= needed)
        {
            let start = now.max(state.intake.done);
            self.fire(slice, start);
        }
    }

    /// A slice has handed over everything of its step, and takes what is due in the next one.
    pub fn end_step(&mut self, slice: usize, now: Cycle) {
        self.note(slice, |step| step.ends = step.ends.max(now));
        let state = &mut self.slices[slice];
        let end = &mut self.step_ends[(state.step - self.first) as usize];
        *end = now.max(*end);
        state.firing = false;
        state.step += 1;
        state.tallies.pop_front();
        let step = state.step;
        let early = std::mem::take(&mut state.tally(step).early);
        state.early -= early.len() as u64;
        for tag in early {
            let source = self.machine.source_of(slice, self.parcels.get(tag).sender);
            self.integrate(slice, (tag, source), now);
        }
        self.fire_if_ready(slice, now);
    }

    /// Hands a token or an acknowledgement to the router.
    pub fn send_control(&mut self, slice: usize, kind: Kind, to: Directed) {
        let step = self.slices[slice].step;
        let tag = self.parcels.add(kind, SliceId::at(slice), step, 1);
        let packet = Packet { tag, way: to.way, flits: self.machine.control_flits };
        self.send(slice, packet, to.passage, Action::Token);
    }

    /// Nothing is underway: whether that is the end. With barriers, the next step begins otherwise.
    ///
    /// # Errors
    /// If anybody still waits for something.
    pub fn at_rest(&mut self, now: Cycle) -> Result<bool, EngineError> {
        let ended = self.slices.iter().map(|state| state.step - 1).min().unwrap_or(self.steps);
        if !self.mesh.is_empty() || (ended < self.steps && !self.is_barrier()) {
            return Err(EngineError::Stall(Stall { cycle: now, culprits: self.culprits() }));
        }
        if !self.is_barrier() || ended < self.first {
            return Ok(true);
        }
        let done = self.slices.iter().map(|state| state.intake.done).fold(now, Cycle::max);
        let start = done + self.machine.timing.step.barrier_cycles;
        self.step_ends[(ended - self.first) as usize] = start;
        for state in &mut self.slices {
            state.activity.counts.add(Action::Barrier, 1);
            state.waiting.clear();
        }
        self.mesh.start_anew();
        for slice in 0..self.slices.len() {
            if ended < self.steps {
                self.fire(slice, start);
            }
        }
        Ok(ended == self.steps)
    }

    fn culprits(&self) -> Vec<Culprit> {
        let name = |slice: usize| {
            let seat = self.seat(slice);
            format!("{} ({:?} of {})", SliceId::at(slice), self.machine.graph.stage(seat.stage).name, seat.part)
        };
        let mut culprits = vec![];
        for stuck in self.mesh.stuck() {
            let sender = name(self.parcels.get(stuck.tag).sender.index());
            let (x, y) = self.machine.wiring.place(stuck.tile);
            let who = format!("packet of {sender} at tile ({x}, {y}), {}", stuck.input);
            culprits.push(Culprit { who, waits_for: stuck.lacks });
        }
        let waiting = |(_, state): &(usize, &SliceState)| !self.is_barrier() && state.step <= self.steps;
        for (slice, state) in self.slices.iter().enumerate().filter(waiting) {
            let waits = self.waits(slice, state);
            let who = format!("{} in step {}", name(slice), state.step);
            culprits.extend(waits.into_iter().map(|waits_for| Culprit { who: who.clone(), waits_for }));
        }
        culprits
    }

    /// What keeps a slice from firing its step, with tokens.
    fn waits(&self, slice: usize, state: &SliceState) -> Vec<String> {
        let here = &self.machine.program.slices[slice];
        let mut waits = vec![];
        for (source, from) in here.sources.iter().zip(&state.from_sources) {
            if from.tokens < state.step {
                waits.push(format!("the token of {source}"));
            } else if from.announced > from.arrived {
                let (missing, announced) = (from.announced - from.arrived, from.announced);
                waits.push(format!("{missing} of the {announced} packets that {source} has announced"));
            }
        }
        let needed = state.step.saturating_sub(self.machine.timing.step.steps_ahead);
        for (destination, &step) in here.destinations.iter().zip(&state.acknowledged) {
            if step < needed {
                waits.push(format!("{destination} to acknowledge step {needed}"));
            }
        }
        waits
    }
}
