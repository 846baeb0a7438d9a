//! Neurons and readouts through all their steps, one position after the other. All that arrives at a position is summed up
//! first, step by step, as rows of weights or as a product; its potentials then go through the steps in the first cache.

use super::arrivals::Arrivals;
use super::scattered::{Scattered, Scattering};
use super::spare::Spare;
use super::spikes::Firing;
use super::synapses::Afferents;
use super::train::Train;
use super::{FunctionalError, Options, Ran, Settle};
use crate::functional::arithmetic::Sum;
use crate::functional::lanes::{Course, Courses, Level, Numbers, Signed, Thresholds};
use crate::functional::{NegativeThreshold, Values};
use crate::graph::{NeuronRule, Neurons};
use crate::units::Grid;
use bytemuck::Pod;
use multiversion::multiversion;
use std::ops::Range;

/// What a population does in a run.
pub(super) struct Population<'a> {
    pub name: &'a str,
    pub grid: Grid,
    pub afferents: &'a Afferents<'a>,
    /// `None` for a readout.
    pub neurons: Option<&'a Neurons<i32>>,
    /// Their thresholds.
    pub thresholds: Thresholds,
    /// What every stage before sends.
    pub trains: &'a [Ran],
    pub options: &'a Options,
    /// The last step in which anything arrives at any position, or 0.
    pub last_input: u32,
    pub level: Level,
}

/// Runs all positions. Compiled for several instruction sets; all give the same numbers.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+bmi1+bmi2+popcnt+lzcnt",
    "x86_64+avx2+bmi1+bmi2+popcnt+lzcnt",
    "aarch64+neon"
))]
pub(super) fn run<V: Sum<i32> + Into<i64> + Pod>(
    population: &Population,
    spare: &mut Spare,
) -> Result<Ran, FunctionalError> {
    let (grid, quick) = (population.grid, population.is_quick::<V>());
    // no closure here: those are not compiled for the instruction set of this function
    let linear = if quick { population.behind_linear(spare)? } else { None };
    if let Some(ran) = linear {
        return Ok(ran);
    }
    let mut ran = Ran::new(grid, population.last_input, population.options.time_steps);
    let mut spikes = Firing::new(population.level, grid, population.most_steps());
    ran.values = match population.neurons.map(|neurons| neurons.rule) {
        Some(NeuronRule::Signed) => spare.rest(grid.neurons(), population.options.time_steps),
        Some(NeuronRule::Plain) => spare.rest(grid.neurons(), u32::MAX),
        None if size_of::<V>() == size_of::<i32>() => Values::Narrow(vec![]),
        None => Values::Wide(vec![]),
    };
    let mut arrivals = Arrivals::<V>::default();
    ran.operations += population.lay_out(quick, &mut arrivals, &mut spare.scattered);
    let size = population.block(&arrivals);
    for first in (0..grid.positions()).step_by(size) {
        let block = first..grid.positions().min(first + size);
        ran.operations += population.arrive(block.clone(), &mut arrivals);
        if quick {
            population.quickly(block, &arrivals, &mut ran.values, &mut spikes)?;
        } else {
            population.watched(block, &arrivals, &mut spikes, &mut ran)?;
        }
    }
    if let Some(scattered) = arrivals.release() {
        spare.scattered = scattered;
    }
    if population.neurons.is_some() {
        ran.train = Train::spikes(grid, spikes);
    }
    Ok(ran)
}

impl Population<'_> {
    /// Whether positions go through all their steps at once: where nobody looks at potentials on the way.
    fn is_quick<V: Pod>(&self) -> bool {
        let signed = self.neurons.is_some_and(|neurons| neurons.rule == NeuronRule::Signed);
        let unseen = !self.options.record && self.options.hold_every.is_none();
        signed && unseen && size_of::<V>() == size_of::<i32>()
    }

    /// Signed neurons of some channels.
    pub fn signed(&self, channels: Range<usize>) -> Signed<'_> {
        let symmetric = self.options.semantics.negative_threshold == NegativeThreshold::Symmetric;
        Signed { thresholds: &self.thresholds, first: channels.start, neurons: channels.len(), symmetric }
    }

    /// A block of signed neurons, each position through all its steps at once; puts their counts.
    #[inline(always)]
    fn quickly<V: Sum<i32> + Pod>(
        &self,
        block: Range<usize>,
        arrivals: &Arrivals<V>,
        counts: &mut Values,
        spikes: &mut Firing,
    ) -> Result<(), FunctionalError> {
        let (signed, to) = (self.signed(0..self.afferents.channels), block.start * self.afferents.channels);
        let (scattered, most) = (self.scattered(arrivals), self.most_steps());
        let courses = Block { population: self, arrivals, scattered, positions: block, most };
        if signed.run(self.level, &courses, (counts, to), spikes.raster()) { Ok(()) } else { Err(self.restless()) }
    }

    /// What is wrong where some neurons have not come to rest by then.
    pub fn restless(&self) -> FunctionalError {
        FunctionalError::Restless { stage: self.name.to_string(), steps: self.most_steps() + 1 }
    }

    /// Steps that a position takes at most, as far as it is known before it runs.
    pub fn most_steps(&self) -> u32 {
        let time_steps = self.options.time_steps;
        match self.options.settle {
            Settle::Steps(settle) => time_steps + settle,
            Settle::ToSilence => time_steps.max(self.last_input) + time_steps,
        }
    }

    /// Steps that a position takes at least, at which something arrives for the last time in step `last`, or never: 0.
    #[inline(always)]
    pub fn least_steps(&self, last: u32) -> u32 {
        let time_steps = self.options.time_steps;
        match self.options.settle {
            Settle::Steps(settle) => time_steps + settle,
            Settle::ToSilence => time_steps.max(last),
        }
    }
}

/// What the positions of a block go through.
struct Block<'a, V> {
    population: &'a Population<'a>,
    arrivals: &'a Arrivals<V>,
    scattered: Option<(&'a Scattering, &'a Scattered)>,
    positions: Range<usize>,
    most: u32,
}

impl<'a, V: Sum<i32> + Pod> Courses<'a> for Block<'a, V> {
    fn count(&self) -> usize {
        self.positions.len()
    }

    #[inline(always)]
    fn course(&self, at: usize) -> Course<'a> {
        let Self { population, arrivals, most, .. } = *self;
        let position = self.positions.start + at;
        let least = population.least_steps(arrivals.last(position));
        let mut inflow = population.inflow(arrivals, position);
        if let Some((windows, from)) = self.scattered {
            let delay = population.options.schedule.delay() as usize;
            inflow.numbers = Numbers::Words { rows: windows.sums(from, position), pitch: windows.size, delay };
        }
        Course { inflow, steps: (least as usize, most as usize) }
    }
}
