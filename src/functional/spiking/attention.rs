//! Scores, softmax and context through all their steps. A step in which anything arrives computes the products of the
//! counts so far anew: short dense loops, and the same numbers as one change after the other gives.

use super::train::{Levels, Train};
use super::{FunctionalError, Options, Ran, Settle};
use crate::functional::Values;
use crate::functional::attention::{Attention, normalise_all};
use crate::functional::lanes::{CountProducts, HeadProduct, Level, Packed};
use crate::functional::softmax::{FixedSoftmax, Normalise};
use crate::graph::SoftmaxRule;
use crate::units::Grid;
use multiversion::multiversion;

/// A stage that sends the changes of its values, or in the per-step kind all of them.
pub(super) struct Graded<'a> {
    pub name: &'a str,
    pub grid: Grid,
    pub options: &'a Options,
    /// The last step in which anything arrives, or 0.
    pub last_input: u32,
    pub level: Level,
}

/// What a graded stage computes.
trait Compute {
    /// Takes what was sent in a step, and says whether values may change in `step`.
    fn receive(&mut self, step: u32, sent: u32) -> bool;
    /// Computes all values of `step`, which are zero.
    fn compute(&mut self, step: u32, values: &mut [i32]);
}

impl Graded<'_> {
    /// Runs a stage through all its steps.
    #[inline(always)]
    fn run(&self, mut computing: impl Compute, operations: u64) -> Result<Ran, FunctionalError> {
        let &Options { time_steps, schedule, settle, semantics, record } = self.options;
        let mut ran = Ran::new(self.grid, self.last_input);
        let neurons = self.grid.neurons();
        let accumulated = semantics.attention == Attention::Accumulated;
        let busy = time_steps.max(self.last_input);
        let mut levels = Levels::new(neurons, accumulated, busy as usize + 2);
        let zeros = if record { vec![0; neurons] } else { vec![] };
        ran.operations = operations;
        for step in 1u32.. {
            let changed = computing.receive(step, step.saturating_sub(schedule.delay()));
            let mut fired = false;
            if changed {
                computing.compute(step, levels.begin(step));
                fired = levels.end(step);
            }
            if record {
                ran.widths.count(step, if changed || accumulated { levels.last() } else { &zeros });
            }
            let ends = match settle {
                Settle::Steps(settle) => step >= time_steps + settle,
                Settle::ToSilence if step > busy + time_steps => {
                    return Err(FunctionalError::Restless { stage: self.name.to_string(), steps: step });
                }
                Settle::ToSilence => step >= busy && !fired,
            };
            if ends {
                if record {
                    ran.widths.rest(step, if accumulated { levels.last() } else { &zeros });
                }
                break;
            }
        }
        ran.values = Values::Narrow(if accumulated { levels.last().to_vec() } else { vec![0; neurons] });
        ran.train = Train::graded(self.grid, levels);
        Ok(ran)
    }

    /// Takes what a train sent in a step; gives whether anything did.
    #[inline(always)]
    fn receive(&self, train: &Train, sent: u32, counts: &mut Counts) -> bool {
        let accumulated = self.options.semantics.attention == Attention::Accumulated;
        match counts {
            Counts::Levels { step } => {
                *step = sent;
                sent > 0 && sent <= train.last_step
            }
            Counts::Bytes(counts) => train.count_all(sent, bytemuck::cast_slice_mut(counts)),
            Counts::Numbers(counts) => {
                if !accumulated {
                    counts.fill(0);
                }
                train.add_all(sent, counts)
            }
        }
    }

    /// How the counts of an operand are kept: in bytes where it sends single spikes and products of counts are computed.
    fn counts(&self, train: &Train, bytes: bool) -> Counts {
        let accumulated = self.options.semantics.attention == Attention::Accumulated;
        let neurons = train.grid.neurons();
        if bytes {
            Counts::Bytes(vec![0; neurons.div_ceil(4)])
        } else if accumulated && train.levels().is_some() {
            Counts::Levels { step: 0 }
        } else {
            Counts::Numbers(vec![0; neurons])
        }
    }

    /// Whether counts of a train so far are 0 to 127.
    fn counts_fit(&self, train: &Train) -> bool {
        let accumulated = self.options.semantics.attention == Attention::Accumulated;
        accumulated && train.singles().is_some() && train.last_step <= i8::MAX as u32
    }

    /// Neurons of a train that send, over all steps that arrive.
    fn arrivals(&self, train: &Train) -> u64 {
        match self.options.settle {
            Settle::ToSilence => train.spikes,
            Settle::Steps(settle) => train.sent_until(self.options.time_steps + settle - self.options.schedule.delay()),
        }
    }
}

/// Counts of an operand so far, or of one step by itself.
enum Counts {
    /// The operand keeps them: as they stand after a step.
    Levels {
        step: u32,
    },
    /// Counts of single spikes, four to a number.
    Bytes(Vec<u32>),
    Numbers(Vec<i32>),
}

impl Counts {
    /// All of them as numbers; nothing where they are bytes.
    fn numbers<'a>(&'a self, train: &'a Train) -> &'a [i32] {
        match self {
            Self::Levels { step } => train.levels().map_or(&[], |levels| levels.at(*step)),
            Self::Numbers(numbers) => numbers,
            Self::Bytes(_) => &[],
        }
    }

    /// All of them as bytes, four to a number; nothing where they are numbers.
    fn bytes(&self) -> &[u32] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Levels { .. } | Self::Numbers(_) => &[],
        }
    }
}

/// A product of two operands, head by head.
struct Product<'a> {
    stage: &'a Graded<'a>,
    trains: [&'a Train; 2],
    counts: [Counts; 2],
    by_counts: Option<CountProducts>,
    by_numbers: HeadProduct,
    /// Channels of the second operand, and of each of its heads.
    channels: usize,
    width: usize,
}

impl Product<'_> {
    #[inline(always)]
    fn receive_both(&mut self, sent: u32) -> bool {
        let [first, second] = &mut self.counts;
        let arrived =
            [self.stage.receive(self.trains[0], sent, first), self.stage.receive(self.trains[1], sent, second)];
        arrived.contains(&true)
    }
}

struct Scores<'a>(Product<'a>);

impl Compute for Scores<'_> {
    #[inline(always)]
    fn receive(&mut self, _: u32, sent: u32) -> bool {
        self.0.receive_both(sent)
    }

    #[inline(always)]
    fn compute(&mut self, _: u32, values: &mut [i32]) {
        let Product { stage, trains, counts: [queries, keys], by_counts, by_numbers, channels, width } = &mut self.0;
        let (channels, width) = (*channels, *width);
        if let Some(products) = by_counts {
            let keys: &[i8] = &bytemuck::cast_slice(keys.bytes())[..trains[1].grid.neurons()];
            return products.add_scores(stage.level, queries.bytes(), keys, values);
        }
        let (queries, keys) = (queries.numbers(trains[0]), keys.numbers(trains[1]));
        let fill = |head: usize, packed: &mut Packed| {
            packed.fill_columns(keys.len() / channels, |key| &keys[key * channels + head * width..][..width]);
        };
        by_numbers.multiply(stage.level, queries, fill, values);
    }
}

struct Contexts<'a>(Product<'a>);

impl Compute for Contexts<'_> {
    #[inline(always)]
    fn receive(&mut self, _: u32, sent: u32) -> bool {
        self.0.receive_both(sent)
    }

    #[inline(always)]
    fn compute(&mut self, _: u32, sums: &mut [i32]) {
        let Product { stage, trains, counts: [shares, values], by_counts, by_numbers, channels, width } = &mut self.0;
        let (channels, width) = (*channels, *width);
        let shares = shares.numbers(trains[0]);
        let mut wide = vec![];
        if let Some(products) = by_counts {
            let counts: &[i8] = &bytemuck::cast_slice(values.bytes())[..trains[1].grid.neurons()];
            if products.add_context(stage.level, shares, counts, sums) {
                return;
            }
            wide.extend(counts.iter().map(|&count| i32::from(count)));
        }
        let values = if wide.is_empty() { values.numbers(trains[1]) } else { &wide };
        let fill = |head: usize, packed: &mut Packed| {
            packed.fill_rows(values.len() / channels, |key| &values[key * channels + head * width..][..width]);
        };
        by_numbers.multiply(stage.level, shares, fill, sums);
    }
}

struct Softmax<'a> {
    stage: &'a Graded<'a>,
    scores: &'a Train,
    sums: Counts,
    rule: SoftmaxRule,
    softmax: FixedSoftmax,
}

impl Compute for Softmax<'_> {
    #[inline(always)]
    fn receive(&mut self, step: u32, sent: u32) -> bool {
        let arrived = self.stage.receive(self.scores, sent, &mut self.sums);
        match self.stage.options.semantics.attention {
            Attention::Accumulated => arrived || step <= self.stage.options.time_steps,
            Attention::PerStep => true,
        }
    }

    #[inline(always)]
    fn compute(&mut self, step: u32, values: &mut [i32]) {
        let time = match self.stage.options.semantics.attention {
            Attention::Accumulated => step,
            Attention::PerStep => 1,
        };
        values.copy_from_slice(self.sums.numbers(self.scores));
        let columns = self.scores.grid.channels as usize;
        let keys = columns / self.rule.heads.max(1) as usize;
        normalise_all(&self.softmax, self.rule.axis, keys, columns, time, values);
    }
}

/// Runs `S[i, h, j] = Σ_d Q[i, h, d]·K[j, h, d]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+popcnt", "x86_64+avx2+popcnt", "aarch64+neon"))]
pub(super) fn scores(stage: &Graded, trains: [&Train; 2], heads: usize) -> Result<Ran, FunctionalError> {
    let [queries, keys] = trains;
    let (columns, rows) = (keys.grid.positions(), queries.grid.positions());
    let operations = stage.arrivals(queries) * columns as u64 + stage.arrivals(keys) * rows as u64;
    let channels = queries.grid.channels as usize;
    let width = channels / heads;
    let by_counts = CountProducts::scores(heads, width, (rows, columns));
    let by_counts = by_counts.filter(|_| trains.iter().all(|train| stage.counts_fit(train)));
    let counts = trains.map(|train| stage.counts(train, by_counts.is_some()));
    let by_numbers = HeadProduct::new(heads, (rows, width, columns));
    stage.run(Scores(Product { stage, trains, counts, by_counts, by_numbers, channels, width }), operations)
}

/// Runs the softmax of scores.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn softmax(stage: &Graded, scores: &Train, rule: SoftmaxRule) -> Result<Ran, FunctionalError> {
    let softmax = FixedSoftmax::new(&rule, stage.options.time_steps);
    let sums = stage.counts(scores, false);
    stage.run(Softmax { stage, scores, sums, rule, softmax }, stage.arrivals(scores))
}

/// Runs `O[i, h, d] = Σ_j P[i, h, j]·V[j, h, d]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+popcnt", "x86_64+avx2+popcnt", "aarch64+neon"))]
pub(super) fn context(stage: &Graded, trains: [&Train; 2], heads: usize) -> Result<Ran, FunctionalError> {
    let [probabilities, values] = trains;
    let (rows, channels) = (stage.grid.positions(), stage.grid.channels as usize);
    let operations = stage.arrivals(probabilities) * (channels / heads) as u64 + stage.arrivals(values) * rows as u64;
    let width = channels / heads;
    let keys = values.grid.positions();
    let by_counts = CountProducts::context(heads, width, (rows, keys)).filter(|_| stage.counts_fit(values));
    let counts = [stage.counts(probabilities, false), stage.counts(values, by_counts.is_some())];
    let by_numbers = HeadProduct::new(heads, (rows, keys, width));
    stage.run(Contexts(Product { stage, trains, counts, by_counts, by_numbers, channels, width }), operations)
}
