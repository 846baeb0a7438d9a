//! Neurons and readouts through all their steps, one position after the other. All that arrives at a position is summed up
//! first, step by step, as rows of weights or as a product; its potentials then go through the steps in the first cache.

use super::arrivals::Arrivals;
use super::linear::Stream;
use super::spikes::Firing;
use super::synapses::Afferents;
use super::train::Train;
use super::{FunctionalError, Options, Ran, Settle};
use crate::functional::Values;
use crate::functional::arithmetic::Sum;
use crate::functional::lanes::{Aligned, Course, Courses, LANES, Level, Signed};
use crate::functional::neuron::{self, NegativeThreshold};
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
    /// Their thresholds in whole registers, behind the last one `i32::MAX`.
    pub thresholds: Aligned,
    /// What potentials are reset by in all once a neuron has fired as often as it can, likewise.
    pub most: Aligned,
    /// Whether all of them are positive.
    pub usual: bool,
    /// What every stage before sends.
    pub trains: &'a [Ran],
    pub options: &'a Options,
    /// The last step in which anything arrives at any position, or 0.
    pub last_input: u32,
    pub level: Level,
}

/// The state of one position.
struct Place<V> {
    potentials: Vec<V>,
    counts: Vec<i32>,
    signs: Vec<i8>,
}

/// Runs all positions. Compiled for several instruction sets; all give the same numbers.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+bmi1+bmi2+popcnt+lzcnt",
    "x86_64+avx2+bmi1+bmi2+popcnt+lzcnt",
    "aarch64+neon"
))]
pub(super) fn run<V: Sum<i32> + Into<i64> + Pod>(
    population: &Population,
    stream: &mut Option<Stream>,
) -> Result<Ran, FunctionalError> {
    let (grid, quick) = (population.grid, population.is_quick::<V>());
    // no closure here: those are not compiled for the instruction set of this function
    let linear = if quick { population.behind_linear(stream)? } else { None };
    if let Some(ran) = linear {
        return Ok(ran);
    }
    let mut ran = Ran::new(grid, population.last_input, population.options.time_steps);
    let mut spikes = Firing::new(population.level, grid, population.options.time_steps.max(population.last_input) + 1);
    let mut place = Place::<V>::new(population.afferents.channels);
    ran.values = match population.neurons.map(|neurons| neurons.rule) {
        Some(NeuronRule::Signed) => Values::counts(grid.neurons(), population.options.time_steps),
        Some(NeuronRule::Plain) => Values::counts(grid.neurons(), u32::MAX),
        None if size_of::<V>() == size_of::<i32>() => Values::Narrow(vec![]),
        None => Values::Wide(vec![]),
    };
    let mut arrivals = Arrivals::default();
    ran.operations += population.lay_out(quick, &mut arrivals);
    if quick {
        ran.values = Values::rest(grid.neurons(), population.options.time_steps);
    }
    for first in (0..grid.positions()).step_by(population.block()) {
        let block = first..grid.positions().min(first + population.block());
        ran.operations += population.arrive(block.clone(), &mut arrivals);
        if quick {
            population.quickly(block, &arrivals, &mut ran.values, &mut spikes)?;
            continue;
        }
        for position in block {
            spikes.position();
            place.rest(population);
            population.position(position, &arrivals, &mut place, &mut spikes, &mut ran)?;
            match population.neurons {
                Some(_) => ran.values.extend(&place.counts),
                None => ran.values.extend(&place.potentials[..grid.channels as usize]),
            }
        }
    }
    if population.neurons.is_some() {
        ran.train = Train::spikes(grid, spikes);
    }
    Ok(ran)
}

impl<V: Sum<i32> + Into<i64> + Pod> Place<V> {
    fn new(channels: usize) -> Self {
        let potentials = vec![V::default(); channels.next_multiple_of(LANES)];
        let (counts, signs) = (vec![0; channels], vec![0; channels]);
        Self { potentials, counts, signs }
    }

    fn rest(&mut self, population: &Population) {
        self.potentials.fill(V::default());
        self.counts.fill(0);
        if let Some(neurons) = population.neurons {
            for (potential, &threshold) in self.potentials.iter_mut().zip(&neurons.threshold) {
                *potential = neuron::start(neurons.rule, V::of(threshold));
            }
        }
    }
}

impl Population<'_> {
    /// One position through all its steps.
    #[inline(always)]
    fn position<V: Sum<i32> + Into<i64> + Pod>(
        &self,
        position: usize,
        arrivals: &Arrivals<V>,
        place: &mut Place<V>,
        spikes: &mut Firing,
        ran: &mut Ran,
    ) -> Result<(), FunctionalError> {
        let &Options { time_steps, semantics, settle, record, .. } = self.options;
        let channels = self.afferents.channels;
        let (last_input, sums) = (arrivals.last(position), arrivals.sums(position));
        for step in 1u32.. {
            let width = place.potentials.len();
            let sums = sums.get((step as usize - 1) * width..step as usize * width).unwrap_or_default();
            place.potentials.iter_mut().zip(sums).for_each(|(potential, &sum)| *potential += sum);
            if record {
                ran.widths.count(step, &place.potentials[..channels]);
            }
            let fired = match self.neurons {
                Some(neurons) => {
                    fire(neurons, semantics.negative_threshold, time_steps as i32, place);
                    spikes.fire(&place.signs)
                }
                None => {
                    ran.note_potentials(step, position, &place.potentials[..channels]);
                    false
                }
            };
            let ends = match settle {
                Settle::Steps(settle) => step >= time_steps + settle,
                Settle::ToSilence if self.neurons.is_none() => step >= time_steps.max(self.last_input),
                Settle::ToSilence if step > time_steps.max(self.last_input) + time_steps => {
                    return Err(FunctionalError::Restless { stage: self.name.to_string(), steps: step });
                }
                Settle::ToSilence => step >= time_steps.max(last_input) && !fired,
            };
            if ends {
                if record {
                    ran.widths.rest(step, &place.potentials[..channels]);
                }
                break;
            }
        }
        Ok(())
    }

    /// Whether positions go through all their steps at once: where nobody looks at potentials on the way.
    fn is_quick<V: Pod>(&self) -> bool {
        let signed = self.neurons.is_some_and(|neurons| neurons.rule == NeuronRule::Signed);
        signed && !self.options.record && size_of::<V>() == size_of::<i32>()
    }

    /// Signed neurons of some channels.
    pub fn signed(&self, channels: Range<usize>) -> Signed<'_> {
        let Options { semantics, time_steps, .. } = *self.options;
        let symmetric = semantics.negative_threshold == NegativeThreshold::Symmetric;
        let lanes = channels.start..channels.end.next_multiple_of(LANES);
        let (thresholds, most) = (&self.thresholds.signed()[lanes.clone()], &self.most.signed()[lanes]);
        Signed { neurons: channels.len(), thresholds, most, usual: self.usual, symmetric, limit: time_steps as i32 }
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
        let courses = Block { population: self, arrivals, positions: block, most: self.most_steps() };
        if signed.run(self.level, &courses, (counts, to), spikes.raster()) {
            Ok(())
        } else {
            Err(FunctionalError::Restless { stage: self.name.to_string(), steps: courses.most + 1 })
        }
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
        Course { inflow: population.inflow(arrivals, position), steps: (least as usize, most as usize) }
    }
}

/// Fires the neurons of a position.
#[inline(always)]
fn fire<V: Sum<i32>>(neurons: &Neurons<i32>, negative: NegativeThreshold, limit: i32, place: &mut Place<V>) {
    let Place { potentials, counts, signs, .. } = place;
    let states = potentials.iter_mut().zip(counts).zip(signs).zip(&neurons.threshold);
    match (neurons.rule, negative) {
        (NeuronRule::Signed, NegativeThreshold::Zero) => states.for_each(|(((v, n), sign), &threshold)| {
            signed(v, n, sign, V::of(threshold), V::default(), limit);
        }),
        (NeuronRule::Signed, NegativeThreshold::Symmetric) => states.for_each(|(((v, n), sign), &threshold)| {
            signed(v, n, sign, V::of(threshold), V::default().plus(-V::ONE, threshold - 1), limit);
        }),
        (NeuronRule::Plain, _) => states.for_each(|(((v, n), sign), &threshold)| {
            *sign = neuron::plain(*v, V::of(threshold));
            *n += i32::from(*sign);
            *v = if *sign == 0 { *v } else { V::default() };
        }),
    }
}

/// The signed rule without branches: −1 below `lowest`.
#[inline(always)]
fn signed<V: Sum<i32>>(potential: &mut V, count: &mut i32, sign: &mut i8, threshold: V, lowest: V, limit: i32) {
    let up = (*potential >= threshold) & (*count < limit);
    let down = (*potential < lowest) & (*count > 0);
    let (lower, higher) = (*potential - threshold, *potential - -threshold);
    *potential = if up {
        lower
    } else if down {
        higher
    } else {
        *potential
    };
    *count += i32::from(up) - i32::from(down);
    *sign = i8::from(up) - i8::from(down);
}
