//! One network on one chip, to be placed in many ways.

use super::ExploreError;
use crate::account::{self, Run};
use crate::activity::Activity;
use crate::compile::{self, Pace, Partition, Problem, Search, Slicing, Strategy, Watch};
use crate::engine::{self, Forecast, Machine};
use crate::graph::Graph;
use crate::hardware::{Hardware, UnitKind};
use crate::program::{Mapping, Program};
use crate::summary::{MappingSummary, RunSummary, Simulator};
use crate::trace::{ImageTrace, Trace, Widths};
use crate::units::Cycle;

/// A network on a chip before anybody has a seat.
#[derive(Debug)]
pub struct Field<'a> {
    graph: &'a Graph<i32>,
    fingerprint: &'a str,
    hardware: &'a Hardware,
    partition: Partition,
    problem: Problem,
    recorded: Option<Replayed<'a>>,
}

/// Recorded spikes that guide a placement and judge it.
#[derive(Debug, Clone, Copy)]
pub struct Replayed<'a> {
    /// The images.
    pub images: &'a [ImageTrace],
    /// T: steps in which the biases flow.
    pub time_steps: u32,
}

impl<'a> Replayed<'a> {
    /// The spikes of a trace, if it is of this network and this chip's discipline.
    ///
    /// # Errors
    /// If the trace is of another graph or schedule.
    pub fn new(trace: &'a Trace, network: &str, fingerprint: &str, hardware: &Hardware) -> Result<Self, ExploreError> {
        if trace.fingerprint != fingerprint {
            return Err(ExploreError::ForeignTrace {
                network: network.to_string(),
                own: fingerprint.to_string(),
                trace: trace.fingerprint.clone(),
            });
        }
        let wanted = engine::schedule(hardware.timing.step.discipline);
        engine::check_schedule(trace.schedule, wanted, &hardware.name)?;
        Ok(Self { images: &trace.images, time_steps: trace.time_steps })
    }
}

impl<'a> Field<'a> {
    /// Cuts the network into slices, and counts what they send: in the recorded spikes, or as if all neurons fired alike.
    ///
    /// # Errors
    /// If the network does not fit the chip, or the spikes are of another graph.
    pub fn new(
        graph: &'a Graph<i32>,
        fingerprint: &'a str,
        hardware: &'a Hardware,
        slicing: Slicing,
        recorded: Option<Replayed<'a>>,
    ) -> Result<Self, ExploreError> {
        let topology = &hardware.topology;
        let partition = compile::partition(graph, &hardware.name, topology)?;
        let mut field = Self::cut(graph, fingerprint, hardware, partition);
        let mut seen = recorded.map(|recorded| field.seen(recorded)).transpose()?;
        if slicing == Slicing::Balanced {
            let loads = seen.as_ref().map_or_else(|| compile::even_loads(graph), |seen| field.loads(&seen.work));
            field =
                Self::cut(graph, fingerprint, hardware, compile::balanced(graph, &hardware.name, topology, &loads)?);
            seen = recorded.map(|recorded| field.seen(recorded)).transpose()?;
        }
        if let Some(seen) = seen {
            field.problem = Problem::new(graph, topology, &field.partition, &seen.traffic);
        }
        Ok(Self { recorded, ..field })
    }

    /// The slices, and what they send if all neurons fire alike.
    fn cut(graph: &'a Graph<i32>, fingerprint: &'a str, hardware: &'a Hardware, partition: Partition) -> Self {
        let even = compile::even_traffic(graph, &partition);
        let problem = Problem::new(graph, &hardware.topology, &partition, &even);
        Self { graph, fingerprint, hardware, partition, problem, recorded: None }
    }

    /// What the slices send and work in recorded spikes, wherever they sit.
    fn seen(&self, recorded: Replayed) -> Result<Forecast, ExploreError> {
        let anywhere = self.map(Strategy::RowMajor, &Search::default(), &mut |_| Pace::Continue);
        let program = self.program(&anywhere)?;
        forecast(&Machine::new(&program, &self.hardware.topology, &self.hardware.timing, self.graph)?, recorded)
    }

    /// The work of each stage's slices together.
    fn loads(&self, work: &[Cycle]) -> Vec<u64> {
        let mut slices = work.iter();
        self.partition.iter().map(|regions| slices.by_ref().take(regions.len()).sum()).collect()
    }

    /// A placement by a strategy.
    pub fn map(&self, strategy: Strategy, search: &Search, watch: Watch) -> Mapping {
        let seats = compile::place(&self.problem, strategy, search, watch);
        compile::mapping(self.graph, &self.hardware.name, &self.hardware.topology, &self.partition, &seats)
    }

    /// The slices and what they send, as a hypergraph.
    #[must_use]
    pub fn hypergraph(&self) -> compile::hypergraph::Hypergraph {
        compile::slice_hypergraph(&self.problem)
    }

    /// The program of a mapping.
    ///
    /// # Errors
    /// If the mapping does not fit.
    pub fn program(&self, mapping: &Mapping) -> Result<Program, ExploreError> {
        let Self { graph, fingerprint, hardware, .. } = self;
        Ok(compile::program(graph, fingerprint, &hardware.name, &hardware.topology, mapping)?)
    }

    /// What a placement is worth: from the spikes, where there are any, with a run on the engine.
    ///
    /// # Errors
    /// If the mapping does not fit, or the run fails.
    pub fn judge(&self, name: &str, mapping: &Mapping) -> Result<MappingSummary, ExploreError> {
        let program = self.program(mapping)?;
        let topology = &self.hardware.topology;
        let Some(recorded) = self.recorded else {
            let flows = compile::even_traffic(self.graph, &self.partition);
            let loads = compile::link_loads(&program, topology, &flows);
            return Ok(self.summary(name, &program, loads.hops(), loads.most()));
        };
        let machine = Machine::new(&program, topology, &self.hardware.timing, self.graph)?;
        let Forecast { traffic, cycles: predicted, .. } = forecast(&machine, recorded)?;
        let loads = compile::link_loads(&program, topology, &traffic);
        let run = replay(self.graph, &program, self.hardware, &machine, recorded)?;
        let mut summary = self.summary(name, &program, loads.hops(), loads.most());
        let predicted = predicted as f64 / recorded.images.len().max(1) as f64;
        // all but static power follows from the spikes, whatever waits for whatever
        let standing = run.energy_by_component.get(account::STATIC).copied().unwrap_or(0.0);
        let waiting = 1.0 - predicted / run.cycles_per_image.max(1.0);
        summary.predicted_cycles = Some(predicted);
        summary.simulated_cycles = Some(run.cycles_per_image);
        summary.predicted_energy_uj = Some(run.energy_uj_per_image - waiting * standing);
        summary.energy_uj = Some(run.energy_uj_per_image);
        Ok(summary)
    }

    fn summary(&self, name: &str, program: &Program, hops: u64, most: u64) -> MappingSummary {
        let units = self.hardware.topology.units();
        let cores = units.iter().filter(|unit| unit.kind == UnitKind::Core).count() as u64;
        let on_core = |slice: &&crate::program::Slice| units[slice.unit.index()].kind == UnitKind::Core;
        let neurons: u64 = program.slices.iter().filter(on_core).map(|slice| slice.needs.neurons).sum();
        let images = self.recorded.map_or(1, |recorded| recorded.images.len().max(1)) as f64;
        MappingSummary {
            strategy: name.to_string(),
            cores_used: program.slices.iter().filter(on_core).count() as u64,
            cores,
            units_used: program.slices.len() as u64,
            units: units.len() as u64,
            utilisation: 100.0 * neurons as f64 / (cores * self.hardware.topology.core.neurons).max(1) as f64,
            flit_hops: hops as f64 / images,
            most_link_flits: most as f64 / images,
            predicted_cycles: None,
            simulated_cycles: None,
            predicted_energy_uj: None,
            energy_uj: None,
        }
    }
}

/// What all images send, and the sums of their least cycles and of their work.
pub(super) fn forecast(machine: &Machine, recorded: Replayed) -> Result<Forecast, ExploreError> {
    let mut sum = Forecast::default();
    for image in recorded.images {
        let forecast = machine.forecast(image, recorded.time_steps)?;
        if sum.work.is_empty() {
            sum = forecast;
        } else {
            sum.add(&forecast);
        }
    }
    Ok(sum)
}

/// All images on the engine, priced.
pub(super) fn replay(
    graph: &Graph<i32>,
    program: &Program,
    hardware: &Hardware,
    machine: &Machine,
    recorded: Replayed,
) -> Result<RunSummary, ExploreError> {
    let activities = replay_all(machine, recorded)?;
    let widths: Vec<&[Widths]> = recorded.images.iter().map(|image| image.widths.as_slice()).collect();
    let run = Run {
        graph,
        program,
        hardware,
        time_steps: recorded.time_steps,
        drive: "replay",
        live_equal: None,
        activities: &activities,
        widths: &widths,
    };
    Ok(account::summarise(&run, None, Simulator::default()))
}

/// All images on the engine.
pub(super) fn replay_all(machine: &Machine, recorded: Replayed) -> Result<Vec<Activity>, ExploreError> {
    let replayed = recorded.images.iter().map(|image| machine.replay(image, recorded.time_steps));
    Ok(replayed.map(|outcome| outcome.map(|outcome| outcome.activity)).collect::<Result<_, _>>()?)
}
