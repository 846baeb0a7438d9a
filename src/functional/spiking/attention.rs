//! Scores, softmax and context through all their steps. A step in which anything arrives computes the products of the
//! counts so far anew: short dense loops, and the same numbers as one change after the other gives.

use super::spare::Spare;
use super::train::{Levels, Memory, Train};
use super::{FunctionalError, Options, Ran, Settle};
use crate::functional::Values;
use crate::functional::attention::{Attention, normalise_all};
use crate::functional::lanes::{Aligned, Changes, CountProducts, HeadProduct, Level, Packed, Shape, Shares};
use crate::functional::softmax::Prepared;
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
    /// The largest size of its values, by what can arrive.
    pub size: f64,
}

/// What a graded stage computes, in numbers `N`.
trait Compute<N> {
    /// Takes what was sent in a step, and says whether values may change in `step`.
    fn receive(&mut self, step: u32, sent: u32) -> bool;
    /// Computes all values of `step`, which may be anything, and counts how they differ from those before; `None` where one does not
    /// fit.
    fn compute(&mut self, step: u32, now: &mut [N], before: &[N]) -> Option<Changes>;
}

/// Numbers that values are kept in.
trait Kept: Copy + Default + Into<i32> + Into<i64> + Ord {
    /// What sends them.
    fn train(grid: Grid, levels: Levels<Self>) -> Train;
    /// All of them, in the memory of others, where it fits.
    fn values(values: &[Self], memory: Values) -> Values;
}

impl Kept for i32 {
    fn train(grid: Grid, levels: Levels<Self>) -> Train {
        Train::graded(grid, levels)
    }
    fn values(values: &[Self], _: Values) -> Values {
        Values::Narrow(values.to_vec())
    }
}

impl Kept for i16 {
    fn train(grid: Grid, levels: Levels<Self>) -> Train {
        Train::words(grid, levels)
    }
    fn values(values: &[Self], memory: Values) -> Values {
        let mut words = memory.into_words();
        words.clear();
        words.extend_from_slice(values);
        Values::Words(words)
    }
}

/// How values differ from those before.
#[inline(always)]
fn changes<N: Copy + Into<i32>>(now: &[N], before: &[N]) -> Changes {
    let mut changes = Changes::default();
    changes.count(now, before);
    changes
}

impl Graded<'_> {
    /// Runs a stage through all its steps; `None` where a value does not fit into its numbers.
    #[inline(always)]
    fn run<N: Kept>(
        &self,
        computing: &mut impl Compute<N>,
        (memory, room): (Memory<N>, Values),
        operations: u64,
    ) -> Result<Option<Ran>, FunctionalError> {
        let &Options { time_steps, schedule, settle, semantics, record, .. } = self.options;
        let mut ran = Ran::new(self.grid, self.last_input, self.options.time_steps);
        let neurons = self.grid.neurons();
        let accumulated = semantics.attention == Attention::Accumulated;
        let busy = time_steps.max(self.last_input);
        let mut levels = Levels::new(neurons, accumulated, busy as usize + 2, memory);
        let zeros = if record { vec![N::default(); neurons] } else { vec![] };
        ran.operations = operations;
        for step in 1u32.. {
            let changed = computing.receive(step, step.saturating_sub(schedule.delay()));
            let mut fired = false;
            if changed {
                let (now, before) = levels.begin(step);
                let Some(changes) = computing.compute(step, now, before) else { return Ok(None) };
                fired = levels.end(step, changes);
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
        ran.values = if accumulated { N::values(levels.last(), room) } else { Values::Narrow(vec![0; neurons]) };
        ran.train = N::train(self.grid, levels);
        Ok(Some(ran))
    }

    /// Runs a stage whose values fit into 32 bits, as was checked.
    #[inline(always)]
    fn in_whole_numbers(&self, mut computing: impl Compute<i32>, operations: u64) -> Result<Ran, FunctionalError> {
        self.run(&mut computing, (Memory::default(), Values::default()), operations)?.ok_or_else(|| self.too_large())
    }

    fn too_large(&self) -> FunctionalError {
        FunctionalError::TooLarge { stage: self.name.to_string(), size: self.size as u64 }
    }

    /// Takes what a train sent in a step; gives whether anything did.
    #[inline(always)]
    fn receive(&self, train: &Train, sent: u32, counts: &mut Counts) -> bool {
        let accumulated = self.options.semantics.attention == Attention::Accumulated;
        match counts {
            Counts::Levels { step } | Counts::Words { step } => {
                *step = sent;
                sent > 0 && sent <= train.last_step
            }
            Counts::Bytes(counts) => {
                train.count_all(sent, &mut bytemuck::cast_slice_mut(counts)[..train.grid.neurons()])
            }
            Counts::Numbers(counts) => {
                if !accumulated {
                    counts.fill(0);
                }
                train.add_all(sent, counts)
            }
        }
    }

    /// How the counts of an operand are kept: as it does, in bytes, or, for products of any numbers, in 32 bits.
    fn counts(&self, spare: &mut Spare, train: &Train, bytes: bool) -> Counts {
        let accumulated = self.options.semantics.attention == Attention::Accumulated;
        let neurons = train.grid.neurons();
        if train.singles().is_some() && bytes {
            Counts::Bytes(spare.zeros(neurons.div_ceil(size_of::<u32>())))
        } else if accumulated && train.levels().is_some() {
            Counts::Levels { step: 0 }
        } else if accumulated && train.word_levels().is_some() && !bytes {
            Counts::Words { step: 0 }
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
    /// The same in words.
    Words {
        step: u32,
    },
    /// Counts of single spikes.
    Bytes(Aligned),
    Numbers(Vec<i32>),
}

impl Counts {
    /// All of them as numbers; nothing where they are none.
    fn numbers<'a>(&'a self, train: &'a Train) -> &'a [i32] {
        match self {
            Self::Levels { step } => train.levels().map_or(&[], |levels| levels.at(*step)),
            Self::Numbers(numbers) => numbers,
            Self::Words { .. } | Self::Bytes(_) => &[],
        }
    }

    /// The step after which the operand has them; 0 where it does not keep them.
    fn step(&self) -> u32 {
        match self {
            Self::Levels { step } | Self::Words { step } => *step,
            Self::Bytes(_) | Self::Numbers(_) => 0,
        }
    }

    /// All of them as words; nothing where they are none.
    fn words<'a>(&self, train: &'a Train) -> &'a [i16] {
        match self {
            Self::Words { step } => train.word_levels().map_or(&[], |levels| levels.at(*step)),
            Self::Levels { .. } | Self::Bytes(_) | Self::Numbers(_) => &[],
        }
    }

    /// All of them as bytes; nothing where they are none.
    fn bytes(&self, train: &Train) -> &[i8] {
        match self {
            Self::Bytes(bytes) => &bytemuck::cast_slice(bytes)[..train.grid.neurons()],
            Self::Levels { .. } | Self::Words { .. } | Self::Numbers(_) => &[],
        }
    }
}

/// A product of two operands, head by head.
struct Product<'a, P> {
    stage: &'a Graded<'a>,
    trains: [&'a Train; 2],
    counts: [Counts; 2],
    product: P,
    /// Channels of the second operand, and of each of its heads.
    channels: usize,
    width: usize,
}

impl<P> Product<'_, P> {
    #[inline(always)]
    fn receive_both(&mut self, sent: u32) -> bool {
        let [first, second] = &mut self.counts;
        let arrived =
            [self.stage.receive(self.trains[0], sent, first), self.stage.receive(self.trains[1], sent, second)];
        arrived.contains(&true)
    }

    /// Gives back its memory, and the product.
    fn end(self, spare: &mut Spare) -> P {
        for counts in self.counts {
            if let Counts::Bytes(counts) = counts {
                spare.give_numbers(counts);
            }
        }
        self.product
    }
}

struct Scores<P>(P);

impl Compute<i16> for Scores<Product<'_, CountProducts>> {
    #[inline(always)]
    fn receive(&mut self, _: u32, sent: u32) -> bool {
        self.0.receive_both(sent)
    }

    #[inline(always)]
    fn compute(&mut self, _: u32, now: &mut [i16], before: &[i16]) -> Option<Changes> {
        let Product { trains, counts: [queries, keys], product, .. } = &mut self.0;
        Some(product.scores_of(queries.bytes(trains[0]), keys.bytes(trains[1]), now, before))
    }
}

impl Compute<i32> for Scores<Product<'_, HeadProduct>> {
    #[inline(always)]
    fn receive(&mut self, _: u32, sent: u32) -> bool {
        self.0.receive_both(sent)
    }

    #[inline(always)]
    fn compute(&mut self, _: u32, now: &mut [i32], before: &[i32]) -> Option<Changes> {
        let Product { stage, trains, counts: [queries, keys], product, channels, width } = &mut self.0;
        let (channels, width) = (*channels, *width);
        let (queries, keys) = (queries.numbers(trains[0]), keys.numbers(trains[1]));
        let fill = |head: usize, packed: &mut Packed| {
            packed.fill_columns(keys.len() / channels, |key| &keys[key * channels + head * width..][..width]);
        };
        product.multiply(stage.level, queries, fill, now);
        Some(changes(now, before))
    }
}

struct Contexts<P>(P);

impl Compute<i16> for Contexts<Product<'_, CountProducts>> {
    #[inline(always)]
    fn receive(&mut self, _: u32, sent: u32) -> bool {
        self.0.receive_both(sent)
    }

    #[inline(always)]
    fn compute(&mut self, _: u32, now: &mut [i16], before: &[i16]) -> Option<Changes> {
        let Product { trains, counts: [shares, values], product, .. } = &mut self.0;
        product.contexts_of(shares.words(trains[0]), values.bytes(trains[1]), now, before)
    }
}

impl Compute<i32> for Contexts<Product<'_, HeadProduct>> {
    #[inline(always)]
    fn receive(&mut self, _: u32, sent: u32) -> bool {
        self.0.receive_both(sent)
    }

    #[inline(always)]
    fn compute(&mut self, _: u32, now: &mut [i32], before: &[i32]) -> Option<Changes> {
        let Product { stage, trains, counts: [shares, values], product, channels, width } = &mut self.0;
        let (channels, width) = (*channels, *width);
        let (shares, values) = (shares.numbers(trains[0]), values.numbers(trains[1]));
        let fill = |head: usize, packed: &mut Packed| {
            packed.fill_rows(values.len() / channels, |key| &values[key * channels + head * width..][..width]);
        };
        product.multiply(stage.level, shares, fill, now);
        Some(changes(now, before))
    }
}

struct Softmax<'a> {
    stage: &'a Graded<'a>,
    scores: &'a Train,
    sums: Counts,
    rule: SoftmaxRule,
    prepared: &'a Prepared,
    shares: Shares,
    wide: Vec<i32>,
}

impl Softmax<'_> {
    #[inline(always)]
    fn receive(&mut self, step: u32, sent: u32) -> bool {
        let arrived = self.stage.receive(self.scores, sent, &mut self.sums);
        match self.stage.options.semantics.attention {
            Attention::Accumulated => arrived || step <= self.stage.options.time_steps,
            Attention::PerStep => true,
        }
    }

    /// The step that scores are scaled by.
    fn time(&self, step: u32) -> u32 {
        match self.stage.options.semantics.attention {
            Attention::Accumulated => step,
            Attention::PerStep => 1,
        }
    }
}

impl Compute<i32> for Softmax<'_> {
    #[inline(always)]
    fn receive(&mut self, step: u32, sent: u32) -> bool {
        Softmax::receive(self, step, sent)
    }

    #[inline(always)]
    fn compute(&mut self, step: u32, now: &mut [i32], before: &[i32]) -> Option<Changes> {
        now.copy_from_slice(self.sums.numbers(self.scores));
        let columns = self.scores.grid.channels as usize;
        let keys = columns / self.rule.heads.max(1) as usize;
        normalise_all(&self.prepared.softmax, self.rule.axis, keys, columns, self.time(step), now);
        Some(changes(now, before))
    }
}

impl Compute<i16> for Softmax<'_> {
    #[inline(always)]
    fn receive(&mut self, step: u32, sent: u32) -> bool {
        Softmax::receive(self, step, sent)
    }

    #[inline(always)]
    fn compute(&mut self, step: u32, now: &mut [i16], before: &[i16]) -> Option<Changes> {
        let columns = self.scores.grid.channels as usize;
        let keys = columns / self.rule.heads.max(1) as usize;
        let (scores, time) = (self.sums.words(self.scores), self.time(step));
        if let (Some(softmax), Some(levels)) = (&self.prepared.columns, self.scores.word_levels()) {
            let earlier = levels.at(self.sums.step().saturating_sub(1));
            let memory = (self.stage.level, &mut self.shares);
            if let Some(changes) = softmax.normalise(memory, (columns, time), (scores, earlier), (&mut *now, before)) {
                return Some(changes);
            }
        }
        self.wide.clear();
        self.wide.extend(scores.iter().map(|&score| i32::from(score)));
        normalise_all(&self.prepared.softmax, self.rule.axis, keys, columns, self.time(step), &mut self.wide);
        now.iter_mut().zip(&self.wide).for_each(|(now, &share)| *now = share as i16);
        Some(changes(now, before))
    }
}

/// Runs `S[i, h, j] = Σ_d Q[i, h, d]·K[j, h, d]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+popcnt", "x86_64+avx2+popcnt", "aarch64+neon"))]
pub(super) fn scores(
    stage: &Graded,
    spare: &mut Spare,
    trains: [&Train; 2],
    heads: usize,
) -> Result<Ran, FunctionalError> {
    let [queries, keys] = trains.map(|train| train.grid.positions());
    let operations = stage.arrivals(trains[0]) * keys as u64 + stage.arrivals(trains[1]) * queries as u64;
    let channels = trains[0].grid.channels as usize;
    let width = channels / heads;
    if stage.size <= f64::from(i16::MAX) && trains.iter().all(|train| stage.counts_fit(train)) {
        let shape = Shape { heads, width, queries, keys };
        if let Some(product) = spare.take_scores(stage.level, shape) {
            let counts = trains.map(|train| stage.counts(spare, train, true));
            let mut scores = Scores(Product { stage, trains, counts, product, channels, width });
            let ran = stage.run::<i16>(&mut scores, (spare.take(), spare.values()), operations)?;
            spare.scores = Some(scores.0.end(spare));
            if let Some(ran) = ran {
                return Ok(ran);
            }
        }
    }
    let counts = trains.map(|train| stage.counts(spare, train, false));
    let product = HeadProduct::new(heads, (queries, width, keys));
    stage.in_whole_numbers(Scores(Product { stage, trains, counts, product, channels, width }), operations)
}

/// Runs the softmax of scores.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn softmax(
    stage: &Graded,
    spare: &mut Spare,
    scores: &Train,
    (rule, prepared): (SoftmaxRule, &Prepared),
) -> Result<Ran, FunctionalError> {
    let words = scores.word_levels().is_some() && stage.size <= f64::from(i16::MAX);
    let (operations, sums) = (stage.arrivals(scores), stage.counts(spare, scores, !words));
    let mut softmax = Softmax { stage, scores, sums, rule, prepared, shares: Shares::default(), wide: vec![] };
    if words {
        let ran = stage.run::<i16>(&mut softmax, (spare.take(), spare.values()), operations)?;
        return ran.ok_or_else(|| stage.too_large());
    }
    stage.in_whole_numbers(softmax, operations)
}

/// Runs `O[i, h, d] = Σ_j P[i, h, j]·V[j, h, d]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+popcnt", "x86_64+avx2+popcnt", "aarch64+neon"))]
pub(super) fn context(
    stage: &Graded,
    spare: &mut Spare,
    trains: [&Train; 2],
    heads: usize,
) -> Result<Ran, FunctionalError> {
    let [probabilities, values] = trains;
    let [queries, keys] = [stage.grid.positions(), values.grid.positions()];
    let channels = stage.grid.channels as usize;
    let width = channels / heads;
    let operations = stage.arrivals(probabilities) * width as u64 + stage.arrivals(values) * queries as u64;
    if probabilities.word_levels().is_some() && stage.counts_fit(values) {
        let shape = Shape { heads, width, queries, keys };
        if let Some(product) = spare.take_contexts(stage.level, shape) {
            let counts = [stage.counts(spare, probabilities, false), stage.counts(spare, values, true)];
            let mut contexts = Contexts(Product { stage, trains, counts, product, channels, width });
            let ran = stage.run::<i16>(&mut contexts, (spare.take(), spare.values()), operations)?;
            spare.contexts = Some(contexts.0.end(spare));
            if let Some(ran) = ran {
                return Ok(ran);
            }
        }
    }
    let counts = [stage.counts(spare, probabilities, true), stage.counts(spare, values, false)];
    let product = HeadProduct::new(heads, (queries, keys, width));
    stage.in_whole_numbers(Contexts(Product { stage, trains, counts, product, channels, width }), operations)
}
