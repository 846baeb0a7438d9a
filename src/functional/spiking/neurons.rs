//! Neurons and readouts through all their steps, one position after the other. All that arrives at a position is summed up
//! first, step by step, as rows of weights or as a product; its potentials then go through the steps in the first cache.

use super::synapses::{Afferent, Afferents, Short};
use super::train::{Firing, Train};
use super::{FunctionalError, Options, Ran, Settle};
use crate::functional::Values;
use crate::functional::arithmetic::Sum;
use crate::functional::lanes::{LANES, Level, Row, Rows, push_words};
use crate::functional::neuron::{self, NegativeThreshold};
use crate::graph::{NeuronRule, Neurons};
use crate::units::Grid;
use bytemuck::Pod;
use multiversion::multiversion;

/// What a population does in a run.
pub(super) struct Population<'a> {
    pub name: &'a str,
    pub grid: Grid,
    pub afferents: &'a Afferents<'a>,
    /// `None` for a readout.
    pub neurons: Option<&'a Neurons<i32>>,
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
    /// What is added to the potentials in each of the first steps: biases and all that arrives.
    sums: Vec<V>,
    scratch: Scratch,
}

/// Inputs on their way into sums.
#[derive(Default)]
struct Scratch {
    /// Offsets of rows of weights, and how many there are up to the end of each source.
    offsets: Vec<u32>,
    ends: Vec<usize>,
    /// Numbers that arrive in one step.
    numbers: Vec<i32>,
    /// Rows of a product.
    inputs: Vec<u32>,
    rows: Vec<Row>,
}

/// Runs all positions. Compiled for several instruction sets; all give the same numbers.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+bmi1+bmi2+popcnt+lzcnt",
    "x86_64+avx2+bmi1+bmi2+popcnt+lzcnt",
    "aarch64+neon"
))]
pub(super) fn run<V: Sum<i32> + Into<i64> + Pod>(population: &Population) -> Result<Ran, FunctionalError> {
    let grid = population.grid;
    let mut ran = Ran::new(grid, population.last_input);
    let mut spikes = Firing::new(population.level, grid);
    let mut place = Place::<V>::new(population.afferents.channels);
    ran.values = match population.neurons.map(|neurons| neurons.rule) {
        Some(NeuronRule::Signed) => Values::counts(grid.neurons(), population.options.time_steps),
        Some(NeuronRule::Plain) => Values::counts(grid.neurons(), u32::MAX),
        None if size_of::<V>() == size_of::<i32>() => Values::Narrow(vec![]),
        None => Values::Wide(vec![]),
    };
    for position in 0..grid.positions() {
        spikes.position();
        place.rest(population);
        population.position(position, &mut place, &mut spikes, &mut ran)?;
        match population.neurons {
            Some(_) => ran.values.extend(&place.counts),
            None => ran.values.extend(&place.potentials[..grid.channels as usize]),
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
        Self { potentials, counts, signs, sums: vec![], scratch: Scratch::default() }
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
        place: &mut Place<V>,
        spikes: &mut Firing,
        ran: &mut Ran,
    ) -> Result<(), FunctionalError> {
        let &Options { time_steps, semantics, settle, record, .. } = self.options;
        let channels = self.afferents.channels;
        let last_input = self.last_of(position);
        ran.operations += self.arrive(position, last_input, place);
        for step in 1u32.. {
            let width = place.potentials.len();
            let sums = place.sums.get((step as usize - 1) * width..step as usize * width).unwrap_or_default();
            place.potentials.iter_mut().zip(sums).for_each(|(potential, &sum)| *potential += sum);
            if record {
                ran.widths.count(step, &place.potentials[..channels]);
            }
            let fired = match self.neurons {
                Some(neurons) => {
                    fire(neurons, semantics.negative_threshold, time_steps as i32, place);
                    spikes.fire(step, &place.signs)
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

    /// The last step in which anything arrives at a position, or 0; no later one than the run has.
    fn last_of(&self, position: usize) -> u32 {
        let mut last = 0;
        for afferent in &self.afferents.projections {
            for &(source, _) in &afferent.sources {
                let train = &self.trains[source.index()].train;
                let lasts = afferent.seen(position).iter().map(|&(from, _)| train.last_of(from));
                last = lasts.fold(last, u32::max);
            }
        }
        let last = if last > 0 { last + self.options.schedule.delay() } else { 0 };
        match self.options.settle {
            Settle::ToSilence => last,
            Settle::Steps(settle) => last.min(self.options.time_steps + settle),
        }
    }

    /// Sums up biases and all that arrives until step `last`; gives the synaptic operations.
    #[inline(always)]
    fn arrive<V: Sum<i32> + Pod>(&self, position: usize, last: u32, place: &mut Place<V>) -> u64 {
        let Options { time_steps, semantics, settle, schedule, .. } = *self.options;
        let driven = match settle {
            Settle::Steps(settle) if semantics.settle_bias => time_steps + settle,
            Settle::Steps(_) | Settle::ToSilence => time_steps,
        };
        let width = place.potentials.len();
        place.sums.clear();
        let bias = self.afferents.bias(position);
        for step in 1..=driven as usize {
            place.sums.extend(bias.iter().map(|&bias| V::of(bias)));
            place.sums.resize(step * width, V::default());
        }
        place.sums.resize(driven.max(last) as usize * width, V::default());
        let delay = schedule.delay();
        let steps = last.saturating_sub(delay);
        let first = (delay as usize * width).min(place.sums.len());
        let sums = &mut place.sums[first..];
        let mut operations = 0;
        for afferent in &self.afferents.projections {
            operations += match &afferent.short {
                Some(short) if size_of::<V>() == size_of::<i32>() => {
                    self.short(afferent, short, (position, steps), bytemuck::cast_slice_mut(sums), &mut place.scratch)
                }
                Some(_) | None => self.one_by_one(afferent, (position, steps), width, sums),
            };
        }
        operations
    }

    /// Adds what was sent through one projection in steps 1 to `steps`, to one row of sums for each; gives the synaptic
    /// operations.
    #[inline(always)]
    fn short(
        &self,
        afferent: &Afferent,
        short: &Short,
        (position, steps): (usize, u32),
        sums: &mut [i32],
        scratch: &mut Scratch,
    ) -> u64 {
        let sources = afferent.sources.iter().map(|&(source, gain)| (&self.trains[source.index()].train, gain));
        let repeats = sources.clone().map(|(train, _)| train.repeats()).min().unwrap_or(0);
        // single spikes bring rows
        let rows = short.rows.as_ref().filter(|_| sources.clone().all(|(train, _)| train.singles().is_some()));
        let seen = afferent.seen(position);
        scratch.inputs.clear();
        scratch.rows.clear();
        let (mut operations, mut senders, mut first) = (0, 0, 0);
        for sent in 1..=steps {
            let to = (sent as usize - 1) * short.packed.stride();
            if (2..=repeats).contains(&sent) {
                scratch.repeat(first, to);
            } else {
                first = scratch.rows.len();
                let of = |train: &Train| seen.iter().map(|&(from, _)| train.senders(from, sent)).sum::<usize>();
                senders = match rows {
                    Some(rows) => scratch.gather(sources.clone(), (short.inputs, rows.words()), seen, sent),
                    None => sources.clone().map(|(train, _)| of(train)).sum(),
                };
                match rows {
                    Some(rows) if short.prefers_rows(senders, afferent.sources.len()) => {
                        let gains = sources.clone().map(|(_, gain)| gain);
                        scratch.add_rows(self.level, gains, rows, &mut sums[to..to + short.packed.stride()]);
                    }
                    Some(_) | None if senders > 0 => scratch.push(sources.clone(), short, seen, (sent, to)),
                    Some(_) | None => {}
                }
            }
            operations += (senders * short.outputs) as u64;
        }
        short.packed.multiply(self.level, &scratch.inputs, &scratch.rows, sums);
        operations
    }

    /// Adds what was sent through one projection in steps 1 to `steps`, spike by spike; gives the synaptic operations.
    #[inline(always)]
    fn one_by_one<V: Sum<i32>>(
        &self,
        afferent: &Afferent,
        (position, steps): (usize, u32),
        width: usize,
        sums: &mut [V],
    ) -> u64 {
        let (kernel, mut operations) = (afferent.kernel, 0);
        for (sent, sums) in (1..=steps).zip(sums.chunks_exact_mut(width)) {
            for (&(source, gain), &(from, tap)) in afferent
                .sources
                .iter()
                .flat_map(|source| afferent.seen(position).iter().map(move |seen| (source, seen)))
            {
                self.trains[source.index()].train.each(from, sent, |channel, number| {
                    let channel = channel as u32;
                    let (reached, row) = (kernel.reached(channel), kernel.row(tap, channel));
                    let sums = &mut sums[reached.start as usize..reached.end as usize];
                    let factor = V::default().plus(V::of(gain), number);
                    sums.iter_mut().zip(row).for_each(|(sum, &weight)| *sum = sum.plus(factor, weight));
                    operations += row.len() as u64;
                });
            }
        }
        operations
    }
}

impl Scratch {
    /// Takes the first rows from `first` on once more, for other sums.
    fn repeat(&mut self, first: usize, to: usize) {
        let count = self.rows[first..].iter().take_while(|row| row.to == self.rows[first].to).count();
        self.rows.extend_from_within(first..first + count);
        let last = self.rows.len() - count;
        self.rows[last..].iter_mut().for_each(|row| row.to = to);
    }

    /// Collects the offsets of the rows of weights that spikes ask for, source after source; gives how many there are.
    #[inline(always)]
    fn gather<'t>(
        &mut self,
        sources: impl Iterator<Item = (&'t Train, i32)>,
        (inputs, words): (usize, usize),
        seen: &[(u32, u32)],
        step: u32,
    ) -> usize {
        self.ends.clear();
        let mut length = 0;
        for spikes in sources.filter_map(|(train, _)| train.singles()) {
            // the windows of a pool may show a position several times
            self.offsets.resize(self.offsets.len().max(length + seen.len() * inputs + LANES), 0);
            for &(from, tap) in seen {
                let first = 2 * tap * inputs as u32;
                length = spikes.gather((from, step), (first, words as u32), &mut self.offsets, length);
            }
            self.ends.push(length);
        }
        length
    }

    /// Adds the rows of weights at the offsets, each source with its gain.
    #[inline(always)]
    fn add_rows(&self, level: Level, gains: impl Iterator<Item = i32>, rows: &Rows, sums: &mut [i32]) {
        let mut start = 0;
        for (&end, gain) in self.ends.iter().zip(gains) {
            rows.add(level, &self.offsets[start..end], gain, sums);
            start = end;
        }
    }

    /// Pushes all that arrives in a step as a row of a product.
    #[inline(always)]
    fn push<'t>(
        &mut self,
        sources: impl Iterator<Item = (&'t Train, i32)>,
        short: &Short,
        seen: &[(u32, u32)],
        (step, to): (u32, usize),
    ) {
        self.numbers.clear();
        self.numbers.resize(short.all_inputs, 0);
        for (train, gain) in sources {
            for &(from, tap) in seen {
                let row = &mut self.numbers[tap as usize * short.inputs..][..short.inputs];
                train.add_to(from, step, gain, row);
            }
        }
        push_words(&mut self.numbers, &mut self.inputs, |from, factor| self.rows.push(Row { from, to, factor }));
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
