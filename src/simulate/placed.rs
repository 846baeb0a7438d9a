//! A graph with its place on a chip.

use super::{Request, SimulateError};
use crate::compile::{self, Strategy};
use crate::convert;
use crate::engine::{self, EngineError, Machine};
use crate::graph::Graph;
use crate::hardware::{Hardware, Updates};
use crate::program::{Mapping, Program};
use crate::trace::{Schedule, Trace};

/// A graph with its place on a chip.
#[derive(Debug)]
pub struct Placed<'a> {
    /// The graph.
    pub graph: &'a Graph<i32>,
    /// The chip.
    pub hardware: Hardware,
    /// The slices on their units, and the ways between them.
    pub program: Program,
}

impl<'a> Placed<'a> {
    /// Cuts the graph into as few slices as fit, and places them by a strategy.
    ///
    /// # Errors
    /// If the graph does not fit the chip.
    pub fn new(graph: &'a Graph<i32>, hardware: Hardware, strategy: Strategy) -> Result<Self, SimulateError> {
        let mapping = compile::map(graph, &hardware.name, &hardware.topology, strategy)?;
        Self::by(graph, &convert::fingerprint(graph), hardware, &mapping)
    }

    /// Places the graph, whose digest is `fingerprint`, as a mapping says.
    ///
    /// # Errors
    /// If the mapping does not hold for graph and chip.
    pub fn by(
        graph: &'a Graph<i32>,
        fingerprint: &str,
        hardware: Hardware,
        mapping: &Mapping,
    ) -> Result<Self, SimulateError> {
        let program = compile::program(graph, fingerprint, &hardware.name, &hardware.topology, mapping)?;
        Ok(Self { graph, hardware, program })
    }

    /// When the chip integrates spikes.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        engine::schedule(self.hardware.timing.step.discipline)
    }

    /// The chip with the program laid out on it.
    ///
    /// # Errors
    /// If a packet or a count does not fit what the chip has for it.
    pub fn machine(&self) -> Result<Machine<'_>, EngineError> {
        Machine::new(&self.program, &self.hardware.topology, &self.hardware.timing, self.graph)
    }

    /// Whether the chip fires itself: where that was asked for, and where its cost depends on potentials, which no trace holds.
    pub(super) fn is_live(&self, request: Request) -> bool {
        request.live || self.hardware.timing.core.updates == Updates::Potential
    }

    /// Whether a trace can be replayed here.
    pub(super) fn takes(&self, trace: &Trace) -> Result<(), SimulateError> {
        Ok(engine::check_schedule(trace.schedule, self.schedule(), &self.hardware.name)?)
    }
}
