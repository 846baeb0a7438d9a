//! What can be said of a replay without running it: what it will send, and the cycles that no run of it undercuts.
//!
//! Traffic is exact, since spikes do not depend on timing. The cycles are the longest way through the steps of all slices if
//! no packet ever waits for another: a slice fires when its own last step has ended, its work is done, and tokens and
//! acknowledgements could have come over an empty network. What units look at after the biases have ceased is taken at the
//! least that it can be.

use super::drive::{Replay, Spikes};
use super::machine::{Directed, Seat};
use super::packets::{self, Spike};
use super::units::{Role, Scan};
use super::{EngineError, Machine, control};
use crate::hardware::{Discipline, Soma};
use crate::program::{Flow, Traffic};
use crate::trace::ImageTrace;
use crate::units::{Cycle, SliceId};

/// A replay as it would be on a network without contention.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forecast {
    /// What is sent; one flow for each route of the program, in their order.
    pub traffic: Traffic,
    /// Cycles that no run undercuts.
    pub cycles: Cycle,
    /// Cycles that each slice works, in all.
    pub work: Vec<Cycle>,
}

impl Forecast {
    /// Adds another image on the same machine, run after this one.
    pub fn add(&mut self, other: &Self) {
        self.traffic.add(&other.traffic);
        self.cycles += other.cycles;
        self.work.iter_mut().zip(&other.work).for_each(|(work, other)| *work += other);
    }
}

/// What one slice does in one step.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    /// Cycles for the spikes that are due in it.
    intake: Cycle,
    /// Cycles from the firing to the last packet.
    firing: Cycle,
}

impl Machine<'_> {
    /// What a replay of `trace` will send, and the least that it takes.
    ///
    /// # Errors
    /// [`EngineError::Misfit`] if the trace is of another graph.
    pub fn forecast(&self, trace: &ImageTrace, time_steps: u32) -> Result<Forecast, EngineError> {
        let (flits, work) = self.census(trace, time_steps)?;
        let flows = self.program.routes.iter().zip(flits).map(|(route, flits)| Flow {
            source: route.source,
            destinations: route.destinations.clone(),
            flits,
        });
        let barrier = self.timing.step.discipline == Discipline::Barrier;
        let control = if barrier { 0 } else { u64::from(trace.steps) * u64::from(self.control_flits) };
        let traffic = Traffic { flows: flows.collect(), control };
        let cycles = if barrier { self.least_with_barriers(&work) } else { self.least_with_tokens(&work) };
        let of_slice = |slice: usize| work.iter().map(|step| step[slice].intake + step[slice].firing).sum();
        Ok(Forecast { traffic, cycles, work: (0..self.seats.len()).map(of_slice).collect() })
    }

    /// Flits of each route, and for each step the work of each slice.
    fn census(&self, trace: &ImageTrace, time_steps: u32) -> Result<(Vec<u64>, Vec<Vec<Work>>), EngineError> {
        let mut drive = Replay::new(self, trace)?;
        let (slices, noc) = (self.seats.len(), &self.wiring.noc);
        let steps = trace.steps as usize;
        let delay = control::delay(self.timing.step.discipline) as usize;
        let mut flits = vec![0; self.program.routes.len()];
        let mut work = vec![vec![Work::default(); slices]; steps + delay];
        let mut fired = vec![];
        for (step, slice) in (0..steps).flat_map(|step| (0..slices).map(move |slice| (step, slice))) {
            let seat = &self.seats[slice];
            drive.fire(slice, step as u32 + 1, &mut fired);
            let mut built = 0;
            for (route, group) in packets::groups(&fired, self.route_of(slice), noc) {
                flits[route.index()] += u64::from(packets::spike_flits(noc, group.len(), seat.graded));
                built += self.ways[route.index()].trees.len() as u64;
                for &place in &self.ways[route.index()].destinations {
                    let to = self.program.slices[slice].destinations[place as usize].index();
                    work[step + delay][to].intake += self.seats[to].intake(self.input_of(slice, to), group);
                }
            }
            let firing = seat.firing((step as u32) < time_steps, fired.len() as u64);
            work[step][slice].firing = firing.max(built * seat.pace.axon_out);
            fired.clear();
        }
        Ok((flits, work))
    }

    /// The place of one slice among those that another hears.
    fn input_of(&self, from: usize, to: usize) -> Option<usize> {
        self.program.slices[to].sources.binary_search(&SliceId::at(from)).ok()
    }

    /// Cycles that a packet takes over an empty network.
    fn flight(&self, directed: &Directed) -> Cycle {
        let (timing, passage) = (&self.wiring.timing, &directed.passage);
        timing.inject_cycles
            + passage.routes * (timing.head_cycles + timing.router_cycles)
            + passage.horizontal * timing.link_horizontal_cycles
            + passage.vertical * timing.link_vertical_cycles
            + passage.between_chips * timing.link_chip_cycles
            + timing.eject_cycles
    }

    /// The longest way, step after step and slice after slice; whoever is heard comes first.
    fn least_with_tokens(&self, work: &[Vec<Work>]) -> Cycle {
        let ahead = self.timing.step.steps_ahead as usize;
        let mut ends = vec![0; self.seats.len()];
        // for each step and slice, when it began to fire and when it had built its last packet
        let mut fired: Vec<Vec<(Cycle, Cycle)>> = vec![];
        for (step, work) in work.iter().enumerate() {
            let mut now = vec![(0, 0); self.seats.len()];
            for (slice, seat) in self.seats.iter().enumerate() {
                let here = &self.program.slices[slice];
                let (mut first, mut start): (Option<Cycle>, Cycle) = (None, 0);
                for (source, directed) in here.sources.iter().zip(&seat.to_sources) {
                    let (began, built) = now[source.index()];
                    let flight = self.flight(directed);
                    let place = self.program.slices[source.index()].destinations.binary_search(&SliceId::at(slice));
                    let tokens = place.unwrap_or(0) as u64 + 1;
                    first = Some(first.map_or(began + flight, |first| first.min(began + flight)));
                    start = start.max(built + tokens * self.seats[source.index()].pace.axon_out + flight);
                }
                start = start.max(ends[slice].max(first.unwrap_or(0)) + work[slice].intake);
                if let Some(earlier) = (step + 1).checked_sub(ahead + 1) {
                    for (destination, directed) in here.destinations.iter().zip(&seat.to_destinations) {
                        start = start.max(fired[earlier][destination.index()].1 + self.flight(directed));
                    }
                }
                let built = start + work[slice].firing;
                now[slice] = (start, built);
                let control = (here.sources.len() + here.destinations.len()) as u64;
                ends[slice] = built + control * seat.pace.axon_out;
            }
            fired.push(now);
        }
        ends.into_iter().max().unwrap_or(0)
    }

    /// The slowest slice of each step, and a barrier after it.
    fn least_with_barriers(&self, work: &[Vec<Work>]) -> Cycle {
        let barrier = self.timing.step.barrier_cycles;
        let pairs = work.iter().zip(work.iter().skip(1));
        let slowest =
            pairs.map(|(now, next)| now.iter().zip(next).map(|(a, b)| a.firing + b.intake).max().unwrap_or(0));
        slowest.map(|cycles| cycles + barrier).sum()
    }
}

impl Seat<'_> {
    /// Cycles that the spikes of a packet take, back to back.
    fn intake(&self, source: Option<usize>, spikes: &[Spike]) -> Cycle {
        let Some(source) = source else { return 0 };
        spikes.iter().map(|spike| self.inputs[source].of(spike.position, spike.channel).1).sum()
    }

    /// Cycles from the firing until the last value has been looked at, at least.
    fn firing(&self, drive: bool, fired: u64) -> Cycle {
        let all = self.part.neurons() as u64;
        match self.role {
            Role::Port | Role::MaxPool => 0,
            Role::Attention => Scan::through(0, all, &self.pace).end,
            Role::Softmax(vectors) => {
                let count = if drive { u64::from(vectors.count) } else { fired.min(1) };
                Scan::normalise(0, count, u64::from(vectors.len), &self.pace).end
            }
            Role::Core(soma) => {
                let looked = if drive || soma == Soma::Sweep { all } else { fired };
                let updated = if drive { all } else { fired };
                Scan::through(0, looked, &self.pace).end + self.pace.extra(updated, fired)
            }
        }
    }
}
