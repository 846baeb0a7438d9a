//! Neurons and readouts through all their steps, one position after the other: its potentials stay in the first cache, and
//! weights are summed up in 16 bits before they reach them.

use super::synapses::{Afferent, Afferents, Rows};
use super::train::{Spikes, Train};
use super::{FunctionalError, Options, Ran, Settle};
use crate::functional::arithmetic::Sum;
use crate::functional::neuron::{self, NegativeThreshold};
use crate::graph::{NeuronRule, Neurons};
use crate::units::Grid;
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
}

/// The state of one position.
struct Place<V> {
    potentials: Vec<V>,
    counts: Vec<i32>,
    signs: Vec<i8>,
    /// What arrives in every step in which sources repeat themselves.
    constant: Vec<V>,
    /// Offsets of the rows to be added, and how many come first because they are positive.
    rows: Vec<u32>,
}

/// Runs all positions. Compiled for several instruction sets; all give the same numbers.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+bmi1+bmi2+popcnt+lzcnt",
    "x86_64+avx2+bmi1+bmi2+popcnt+lzcnt",
    "aarch64+neon"
))]
pub(super) fn run<V: Sum<i32> + Into<i64>>(population: &Population) -> Result<Ran, FunctionalError> {
    let grid = population.grid;
    let mut ran = Ran::new(grid, population.last_input);
    let mut spikes = Spikes::new(grid.positions());
    let mut place = Place::<V>::new(population.afferents);
    ran.values.reserve(grid.neurons());
    for position in 0..grid.positions() {
        spikes.position();
        place.rest(population);
        population.position(position, &mut place, &mut spikes, &mut ran)?;
        match population.neurons {
            Some(_) => ran.values.extend(place.counts.iter().map(|&count| i64::from(count))),
            None => ran.values.extend(place.potentials[..grid.channels as usize].iter().map(|&v| v.into())),
        }
    }
    if population.neurons.is_some() {
        ran.train = Train::spikes(grid, spikes);
    }
    Ok(ran)
}

impl<V: Sum<i32> + Into<i64>> Place<V> {
    fn new(afferents: &Afferents) -> Self {
        let padded = afferents.channels.next_multiple_of(super::synapses::LANES);
        Self {
            potentials: vec![V::default(); padded],
            counts: vec![0; afferents.channels],
            signs: vec![0; afferents.channels],
            constant: vec![V::default(); padded],
            rows: vec![],
        }
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
    fn position<V: Sum<i32> + Into<i64>>(
        &self,
        position: usize,
        place: &mut Place<V>,
        spikes: &mut Spikes,
        ran: &mut Ran,
    ) -> Result<(), FunctionalError> {
        let &Options { time_steps, semantics, schedule, settle, record } = self.options;
        let (delay, channels) = (schedule.delay(), self.afferents.channels);
        let (repeats, constant_ops) = self.constant(position, place);
        let last_input = self.last_of(position, delay);
        for step in 1u32.. {
            let sent = step.saturating_sub(delay);
            if (1..=repeats).contains(&sent) {
                add(&mut place.potentials, &place.constant);
                ran.operations += constant_ops;
            }
            if sent != 0 {
                ran.operations += self.arrive(position, sent, place);
            }
            if step <= time_steps || semantics.settle_bias {
                let bias = self.afferents.bias(position);
                place.potentials.iter_mut().zip(bias).for_each(|(potential, &bias)| *potential += V::of(bias));
            }
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

    /// The last step in which anything arrives at a position, or 0.
    fn last_of(&self, position: usize, delay: u32) -> u32 {
        let mut last = 0;
        for afferent in &self.afferents.projections {
            for &(source, _) in &afferent.sources {
                let train = &self.trains[source.index()].train;
                let lasts = afferent.seen(position).iter().map(|&(from, _)| train.last_of(from));
                last = lasts.fold(last, u32::max);
            }
        }
        if last > 0 { last + delay } else { 0 }
    }

    /// Sums up what sources send that repeat themselves; gives the last step in which they do, and the operations of each.
    #[inline(always)]
    fn constant<V: Sum<i32>>(&self, position: usize, place: &mut Place<V>) -> (u32, u64) {
        place.constant.fill(V::default());
        let (mut repeats, mut operations) = (0, 0);
        for afferent in &self.afferents.projections {
            for &(source, gain) in &afferent.sources {
                let train = &self.trains[source.index()].train;
                if train.repeats() > 0 {
                    repeats = train.repeats();
                    operations += numbers(afferent, train, gain, afferent.seen(position), 1, &mut place.constant);
                }
            }
        }
        (repeats, operations)
    }

    /// Adds all that was sent in step `sent`, but by sources that repeat themselves; gives the synaptic operations.
    #[inline(always)]
    fn arrive<V: Sum<i32>>(&self, position: usize, sent: u32, place: &mut Place<V>) -> u64 {
        let mut operations = 0;
        for afferent in &self.afferents.projections {
            let seen = afferent.seen(position);
            for &(source, gain) in &afferent.sources {
                let train = &self.trains[source.index()].train;
                if sent > train.last_step || train.repeats() > 0 {
                    continue;
                }
                operations += match (&afferent.rows, train.signs(0, 0).is_some()) {
                    (Rows::Short { weights, stride, inputs, outputs, burst }, true) => {
                        let plus = gather(train, seen, sent, (*inputs, *stride), &mut place.rows);
                        add_rows(weights, &place.rows, plus, (*burst, *stride), gain, &mut place.potentials);
                        (place.rows.len() * outputs) as u64
                    }
                    (_, false) => numbers(afferent, train, gain, seen, sent, &mut place.potentials),
                    (Rows::Any(_), true) => singles(afferent, train, gain, seen, sent, &mut place.potentials),
                };
            }
        }
        operations
    }
}

/// Collects the offsets of the rows that spikes ask for, positive ones first; gives how many those are.
#[inline(always)]
fn gather(
    train: &Train,
    seen: &[(u32, u32)],
    step: u32,
    (inputs, stride): (usize, usize),
    rows: &mut Vec<u32>,
) -> usize {
    rows.clear();
    let mut negative = false;
    for &(from, tap) in seen {
        let [plus, minus] = train.signs(from, step).unwrap_or_default();
        let first = tap as usize * inputs;
        rows.extend(plus.iter().map(|&channel| ((first + channel as usize) * stride) as u32));
        negative |= !minus.is_empty();
    }
    let positive = rows.len();
    if negative {
        for &(from, tap) in seen {
            let [_, minus] = train.signs(from, step).unwrap_or_default();
            let first = tap as usize * inputs;
            rows.extend(minus.iter().map(|&channel| ((first + channel as usize) * stride) as u32));
        }
    }
    positive
}

/// `sums += gain · (Σ the first `plus` rows − Σ the others)`.
#[inline(always)]
fn add_rows<V: Sum<i32>>(
    weights: &[i16],
    rows: &[u32],
    plus: usize,
    (burst, stride): (usize, usize),
    gain: i32,
    sums: &mut [V],
) {
    let mut first = 0;
    while first < stride {
        let left = stride - first;
        let mut rest = 0;
        while rest < rows.len() {
            let end = rows.len().min(rest + burst);
            let (added, taken) = rows[rest..end].split_at(plus.clamp(rest, end) - rest);
            let rows = [added, taken];
            match left {
                128.. => add_lanes::<V, 128>(weights, rows, first, gain, sums),
                64.. => add_lanes::<V, 64>(weights, rows, first, gain, sums),
                32.. => add_lanes::<V, 32>(weights, rows, first, gain, sums),
                _ => add_lanes::<V, 16>(weights, rows, first, gain, sums),
            }
            rest = end;
        }
        first += match left {
            128.. => 128,
            64.. => 64,
            32.. => 32,
            _ => 16,
        };
    }
}

/// As many channels as fit into registers, from `first` on; the sum of all rows fits into 16 bits.
#[inline(always)]
fn add_lanes<V: Sum<i32>, const WIDTH: usize>(
    weights: &[i16],
    [added, taken]: [&[u32]; 2],
    first: usize,
    gain: i32,
    sums: &mut [V],
) {
    let mut short = [0i16; WIDTH];
    for &row in added {
        let row = &weights[row as usize + first..][..WIDTH];
        short.iter_mut().zip(row).for_each(|(sum, &weight)| *sum = sum.wrapping_add(weight));
    }
    for &row in taken {
        let row = &weights[row as usize + first..][..WIDTH];
        short.iter_mut().zip(row).for_each(|(sum, &weight)| *sum = sum.wrapping_sub(weight));
    }
    let gain = V::of(gain);
    sums[first..first + WIDTH].iter_mut().zip(short).for_each(|(sum, short)| *sum = sum.plus(gain, short.into()));
}

/// Adds numbers times weights; gives the synaptic operations.
#[inline(always)]
fn numbers<V: Sum<i32>>(
    afferent: &Afferent,
    train: &Train,
    gain: i32,
    seen: &[(u32, u32)],
    step: u32,
    sums: &mut [V],
) -> u64 {
    let mut operations = 0;
    for &(from, tap) in seen {
        for (channel, &number) in (0..).zip(train.numbers(from, step)).filter(|(_, number)| **number != 0) {
            operations += afferent.rows.add(tap, channel, V::default().plus(V::of(gain), number), sums);
        }
    }
    operations
}

/// Adds weights of single spikes one by one; gives the synaptic operations.
#[inline(always)]
fn singles<V: Sum<i32>>(
    afferent: &Afferent,
    train: &Train,
    gain: i32,
    seen: &[(u32, u32)],
    step: u32,
    sums: &mut [V],
) -> u64 {
    let mut operations = 0;
    for &(from, tap) in seen {
        let [plus, minus] = train.signs(from, step).unwrap_or_default();
        for (channels, gain) in [(plus, gain), (minus, -gain)] {
            for &channel in channels {
                operations += afferent.rows.add(tap, channel, V::of(gain), sums);
            }
        }
    }
    operations
}

impl Rows<'_> {
    /// Adds one row times a factor; gives its length.
    #[inline(always)]
    fn add<V: Sum<i32>>(&self, tap: u32, channel: u32, factor: V, sums: &mut [V]) -> u64 {
        match self {
            Self::Short { weights, stride, inputs, outputs, .. } => {
                let first = (tap as usize * inputs + channel as usize) * stride;
                let row = &weights[first..first + stride];
                sums.iter_mut().zip(row).for_each(|(sum, &weight)| *sum = sum.plus(factor, weight.into()));
                *outputs as u64
            }
            Self::Any(kernel) => {
                let (reached, row) = (kernel.reached(channel), kernel.row(tap, channel));
                let sums = &mut sums[reached.start as usize..reached.end as usize];
                sums.iter_mut().zip(row).for_each(|(sum, &weight)| *sum = sum.plus(factor, weight));
                row.len() as u64
            }
        }
    }
}

#[inline(always)]
fn add<V: Sum<i32>>(sums: &mut [V], others: &[V]) {
    sums.iter_mut().zip(others).for_each(|(sum, &other)| *sum += other);
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
