//! Program × chip × input → activity: the event-driven, cycle-level machine, in whole numbers.
//!
//! One cycle, move by move; the clock jumps over cycles in which nothing is due:
//!
//! 1. Flits and credits that are due arrive, and every router that can moves flits on.
//! 2. Units take the packets that have reached them: spikes into potentials, counts and sums, tokens and acknowledgements
//!    into their books; a unit that waits for nothing more fires its time step.
//! 3. Firing units hand over what they have built: spikes in packets, then tokens and acknowledgements; then their next
//!    time step begins.
//! 4. Packet queues send their next flits into the routers.
//! 5. The clock goes to the next cycle in which anything is due. If there is none, all is done, or the barrier begins the
//!    next time step, or the run has come to a standstill, and those who wait are named.
//!
//! Everything that one router or unit does to another lies in a later cycle or a later move, so the result does not depend
//! on the order in which they are visited.
#![deny(clippy::float_arithmetic)]

mod control;
mod drive;
mod fault;
mod fire;
mod forecast;
mod inputs;
mod machine;
mod marks;
pub mod mesh;
mod packets;
mod recorder;
mod run;
mod spans;
mod state;
mod traffic;
mod units;

pub use control::{check_schedule, schedule};
pub use fault::{Culprit, EngineError, Stall};
pub use forecast::Forecast;
pub use machine::Machine;
pub use recorder::{Log, Recorder};
pub use spans::Foreseen;
pub use traffic::traffic;

use drive::{Live, Replay};
use run::{Run, Start};
use spans::Steps;

use crate::activity::Activity;
use crate::functional::{self, FunctionalError, Spiking};
use crate::graph::Graph;
use crate::hardware::{Timing, Topology};
use crate::program::Program;
use crate::trace::{ImageTrace, Schedule};
use std::num::NonZeroU32;
use std::sync::OnceLock;

/// Where the spikes come from.
#[derive(Debug, Clone, Copy)]
pub enum Drive<'a> {
    /// From a recorded run: the engine moves packets and counts the work that each one causes.
    Replay {
        /// The graph of the program; its skeleton is enough.
        graph: &'a Graph<i32>,
        /// Who fired when, recorded with the schedule of the chip's discipline.
        trace: &'a ImageTrace,
        /// T: steps in which the biases flow.
        time_steps: u32,
    },
    /// From the units themselves: they hold potentials, integrate what arrives, and fire.
    Live {
        /// The graph of the program, with weights.
        graph: &'a Graph<i32>,
        /// Bytes of the image, colours innermost.
        image: &'a [u8],
        /// T: steps in which the image and the biases are injected.
        time_steps: u32,
        /// Steps to run.
        steps: u32,
    },
}

/// What a run gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What happened on the chip.
    pub activity: Activity,
    /// Who fired when; absent where spikes came from a trace.
    pub trace: Option<ImageTrace>,
    /// In how many spans of steps it ran, side by side; nothing else depends on it.
    pub spans: usize,
}

/// Runs one image on one chip; for several images make a [`Machine`] once.
///
/// # Errors
/// [`EngineError`] if program, chip and input do not belong together, or if the run comes to a standstill.
pub fn run(program: &Program, topology: &Topology, timing: &Timing, drive: Drive) -> Result<Outcome, EngineError> {
    match drive {
        Drive::Replay { graph, trace, time_steps } => {
            Machine::new(program, topology, timing, graph)?.replay(trace, time_steps)
        }
        Drive::Live { graph, image, time_steps, steps } => {
            Machine::new(program, topology, timing, graph)?.live(image, time_steps, steps)
        }
    }
}

impl Machine<'_> {
    /// Runs one image whose spikes were recorded with the [`schedule`] of the chip's discipline; biases flow in the steps up
    /// to `time_steps`.
    ///
    /// # Errors
    /// [`EngineError::Misfit`] if the trace is of another graph, [`EngineError::Stall`] at a standstill.
    pub fn replay(&self, trace: &ImageTrace, time_steps: u32) -> Result<Outcome, EngineError> {
        let (drive, steps) = (Replay::new(self, trace)?, Steps::on(self, time_steps, trace.steps));
        let foresee = |_| Ok::<_, EngineError>(Foreseen { trace, held: &[] });
        let (activity, drives) = spans::run(self, drive, steps, foresee)?;
        Ok(Outcome { activity, trace: None, spans: drives.len() })
    }

    /// The same, with somebody who watches; that changes nothing.
    ///
    /// # Errors
    /// As [`Machine::replay`].
    pub fn watched<R: Recorder>(
        &self,
        trace: &ImageTrace,
        time_steps: u32,
        recorder: &mut R,
    ) -> Result<Outcome, EngineError> {
        let start = Start::first(self, Replay::new(self, trace)?);
        let done = Run::new(self, start, recorder, time_steps, trace.steps).finish()?;
        Ok(Outcome { activity: spans::join(self, &[done]), trace: None, spans: 1 })
    }

    /// The units at rest, ready to compute spikes; image and biases flow in the steps up to `time_steps`.
    ///
    /// # Errors
    /// [`EngineError::Misfit`] if weights are missing.
    pub fn at_rest(&self, time_steps: u32) -> Result<AtRest<'_>, EngineError> {
        Ok(AtRest { machine: self, units: Live::new(self, time_steps)?, time_steps })
    }

    /// Runs one image for `steps` steps, the units computing the spikes; for several images lay them out [once](Self::at_rest).
    ///
    /// # Errors
    /// As [`Machine::at_rest`] and [`AtRest::run`].
    pub fn live(&self, image: &[u8], time_steps: u32, steps: u32) -> Result<Outcome, EngineError> {
        self.at_rest(time_steps)?.run(image, steps)
    }
}

/// Units that compute spikes, before any image has come: laid out once, for any number of runs.
pub struct AtRest<'m> {
    machine: &'m Machine<'m>,
    units: Live<'m>,
    time_steps: u32,
}

impl AtRest<'_> {
    /// Runs one image for `steps` steps, the units computing the spikes.
    ///
    /// # Errors
    /// [`EngineError::Misfit`] if the image has another size, [`EngineError::Stall`] at a standstill.
    pub fn run(&self, image: &[u8], steps: u32) -> Result<Outcome, EngineError> {
        let known = OnceLock::new();
        self.run_foreseen(image, steps, |each| {
            let options = functional::Options::exact(self.time_steps, Schedule::NextStep).held(steps, each);
            let misfit = |fault: FunctionalError| EngineError::Misfit(fault.to_string());
            let outcome = Spiking::new(self.machine.graph).run(image, &options).map_err(misfit)?;
            let unrecorded = || EngineError::Misfit("the functional run was not recorded".into());
            Foreseen::of(known.get_or_init(|| outcome)).ok_or_else(unrecorded)
        })
    }

    /// The same. Where a chip with barriers runs spans of steps side by side, `foresee` is called once beside the first span,
    /// for what a functional run of so many steps, with schedule [`Schedule::NextStep`], holds at the end of each span of the
    /// given length. If that is wrong, all is run again in one piece.
    ///
    /// # Errors
    /// As [`AtRest::run`], those of `foresee`, and [`EngineError::Misfit`] if what was foreseen is of another graph.
    pub fn run_foreseen<'f, E: From<EngineError> + Send>(
        &self,
        image: &[u8],
        steps: u32,
        foresee: impl FnOnce(NonZeroU32) -> Result<Foreseen<'f>, E> + Send,
    ) -> Result<Outcome, E> {
        let (units, cut) = (self.units.before(image)?, Steps::on(self.machine, self.time_steps, steps));
        let (activity, drives) = spans::run(self.machine, units, cut, foresee)?;
        Ok(Outcome { activity, trace: Some(Live::trace(self.machine, &drives, steps)), spans: drives.len() })
    }
}
