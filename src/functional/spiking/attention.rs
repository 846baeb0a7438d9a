//! Scores, softmax and context through all their steps. A step in which anything arrives computes the products of the
//! counts so far anew: short dense loops, and the same numbers as one change after the other gives.

use super::train::Train;
use super::{FunctionalError, Options, Ran, Settle};
use crate::functional::Values;
use crate::functional::attention::{Attention, normalise_all};
use crate::functional::lanes::{HeadProduct, Level, Packed};
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

impl Graded<'_> {
    /// Runs a stage whose `step(sent, values)` updates its values by what was sent in step `sent`, and says whether they may
    /// have changed.
    #[inline(always)]
    fn run(
        &self,
        mut update: impl FnMut(u32, u32, &mut [i32]) -> bool,
        operations: u64,
    ) -> Result<Ran, FunctionalError> {
        let &Options { time_steps, schedule, settle, semantics, record } = self.options;
        let mut ran = Ran::new(self.grid, self.last_input);
        let neurons = self.grid.neurons();
        let (mut now, mut sent) = (vec![0; neurons], vec![0; neurons]);
        let steps = time_steps.max(self.last_input) as usize + 1;
        let mut changes: Vec<i32> = Vec::with_capacity(neurons.saturating_mul(steps));
        ran.operations = operations;
        for step in 1u32.. {
            let changed = update(step, step.saturating_sub(schedule.delay()), &mut now);
            if record {
                ran.widths.count(step, &now);
            }
            let mut fired = false;
            if changed {
                changes.resize(neurons * (step as usize - 1), 0);
                changes.extend(now.iter().zip(&sent).map(|(now, sent)| now.wrapping_sub(*sent)));
                fired = changes[neurons * (step as usize - 1)..].iter().fold(0, |any, change| any | change) != 0;
            }
            match semantics.attention {
                Attention::Accumulated if changed => sent.copy_from_slice(&now),
                Attention::Accumulated => {}
                Attention::PerStep => now.fill(0),
            }
            let busy = time_steps.max(self.last_input);
            let ends = match settle {
                Settle::Steps(settle) => step >= time_steps + settle,
                Settle::ToSilence if step > busy + time_steps => {
                    return Err(FunctionalError::Restless { stage: self.name.to_string(), steps: step });
                }
                Settle::ToSilence => step >= busy && !fired,
            };
            if ends {
                if record {
                    ran.widths.rest(step, &now);
                }
                break;
            }
        }
        ran.values = Values::Narrow(now);
        ran.train = Train::graded(self.grid, changes);
        Ok(ran)
    }

    /// Counts of an operand so far, or of one step by itself; gives whether anything arrived.
    #[inline(always)]
    fn receive(&self, train: &Train, sent: u32, counts: &mut [i32]) -> bool {
        match self.options.semantics.attention {
            Attention::Accumulated => {}
            Attention::PerStep => counts.fill(0),
        }
        train.add_all(sent, counts)
    }

    /// Neurons of a train that send, over all steps that arrive.
    fn arrivals(&self, train: &Train) -> u64 {
        match self.options.settle {
            Settle::ToSilence => train.spikes,
            Settle::Steps(settle) => {
                let steps = self.options.time_steps + settle - self.options.schedule.delay();
                let positions = train.grid.whole().positions;
                positions.map(|p| (1..=steps).map(|step| train.senders(p, step) as u64).sum::<u64>()).sum()
            }
        }
    }
}

/// Runs `S[i, h, j] = Σ_d Q[i, h, d]·K[j, h, d]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn scores(stage: &Graded, [queries, keys]: [&Train; 2], heads: usize) -> Result<Ran, FunctionalError> {
    let [mut query_counts, mut key_counts] = [queries, keys].map(|train| vec![0; train.grid.neurons()]);
    let (columns, rows) = (keys.grid.positions(), queries.grid.positions());
    let operations = stage.arrivals(queries) * columns as u64 + stage.arrivals(keys) * rows as u64;
    let channels = queries.grid.channels as usize;
    let width = channels / heads;
    let mut product = HeadProduct::new(heads, (rows, width, columns));
    let update = |_, sent, now: &mut [i32]| {
        let arrived = [stage.receive(queries, sent, &mut query_counts), stage.receive(keys, sent, &mut key_counts)];
        let changed = arrived.contains(&true);
        if changed {
            let keys = |head: usize, packed: &mut Packed| {
                packed.fill_columns(columns, |key| &key_counts[key * channels + head * width..][..width]);
            };
            product.multiply(stage.level, &query_counts, keys, now);
        }
        changed
    };
    stage.run(update, operations)
}

/// Runs the softmax of scores.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn softmax(stage: &Graded, scores: &Train, rule: SoftmaxRule) -> Result<Ran, FunctionalError> {
    let Options { time_steps, semantics, .. } = *stage.options;
    let softmax = FixedSoftmax::new(&rule, time_steps);
    let columns = scores.grid.channels as usize;
    let keys = columns / rule.heads.max(1) as usize;
    let mut sums = vec![0; scores.grid.neurons()];
    let update = |step: u32, sent, now: &mut [i32]| {
        let arrived = stage.receive(scores, sent, &mut sums);
        let (stale, time) = match semantics.attention {
            Attention::Accumulated => (arrived || step <= time_steps, step),
            Attention::PerStep => (true, 1),
        };
        if stale {
            now.copy_from_slice(&sums);
            normalise_all(&softmax, rule.axis, keys, columns, time, now);
        }
        stale
    };
    stage.run(update, stage.arrivals(scores))
}

/// Runs `O[i, h, d] = Σ_j P[i, h, j]·V[j, h, d]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn context(
    stage: &Graded,
    [probabilities, values]: [&Train; 2],
    heads: usize,
) -> Result<Ran, FunctionalError> {
    let [mut shares, mut counts] = [probabilities, values].map(|train| vec![0; train.grid.neurons()]);
    let (rows, channels) = (stage.grid.positions(), stage.grid.channels as usize);
    let operations = stage.arrivals(probabilities) * (channels / heads) as u64 + stage.arrivals(values) * rows as u64;
    let width = channels / heads;
    let keys = values.grid.positions();
    let mut product = HeadProduct::new(heads, (rows, keys, width));
    let update = |_, sent, now: &mut [i32]| {
        let arrived = [stage.receive(probabilities, sent, &mut shares), stage.receive(values, sent, &mut counts)];
        let changed = arrived.contains(&true);
        if changed {
            let values = |head: usize, packed: &mut Packed| {
                packed.fill_rows(keys, |key| &counts[key * channels + head * width..][..width]);
            };
            product.multiply(stage.level, &shares, values, now);
        }
        changed
    };
    stage.run(update, operations)
}
