//! Program × chip × input → activity: the event-driven, cycle-level machine, in whole numbers.
#![deny(clippy::float_arithmetic)]

mod fault;
pub mod mesh;

pub use fault::{Culprit, EngineError, Stall};

use crate::activity::Activity;
use crate::graph::Graph;
use crate::hardware::{Timing, Topology};
use crate::program::Program;
use crate::trace::ImageTrace;

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
}

/// Runs one image on one chip.
///
/// # Errors
/// [`EngineError`] if program, chip and input do not belong together, or if the run comes to a standstill.
pub fn run(program: &Program, topology: &Topology, timing: &Timing, drive: Drive) -> Result<Outcome, EngineError> {
    let _ = (program, topology, timing, drive);
    Err(EngineError::Misfit("the engine moves packets, but does not run programs yet".into()))
}
