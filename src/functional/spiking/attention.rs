//! Scores, softmax and context through all their steps. A step in which anything arrives computes the products of the
//! counts so far anew: short dense loops, and the same numbers as one change after the other gives.

use super::train::Train;
use super::{FunctionalError, Options, Ran, Settle};
use crate::functional::attention::{Attention, normalise_all};
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
}

impl Graded<'_> {
    /// Runs a stage whose `step(sent, values)` updates its values by what was sent in step `sent`, and says whether they may
    /// have changed.
    fn run(
        &self,
        mut update: impl FnMut(u32, u32, &mut [i32]) -> bool,
        operations: u64,
    ) -> Result<Ran, FunctionalError> {
        let &Options { time_steps, schedule, settle, semantics, record } = self.options;
        let mut ran = Ran::new(self.grid, self.last_input);
        let neurons = self.grid.neurons();
        let (mut now, mut sent) = (vec![0; neurons], vec![0; neurons]);
        let mut changes: Vec<i32> = vec![];
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
                fired = changes[neurons * (step as usize - 1)..].iter().any(|&change| change != 0);
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
        ran.values = now.into_iter().map(i64::from).collect();
        ran.train = Train::graded(self.grid, changes);
        Ok(ran)
    }

    /// Counts of an operand so far, or of one step by itself; gives whether anything arrived.
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
                positions.map(|p| (1..=steps).map(|step| train.senders(p, step)).sum::<u64>()).sum()
            }
        }
    }
}

/// Runs `S[i, h, j] = Σ_d Q[i, h, d]·K[j, h, d]`.
pub(super) fn scores(stage: &Graded, [queries, keys]: [&Train; 2], heads: usize) -> Result<Ran, FunctionalError> {
    let [mut query_counts, mut key_counts] = [queries, keys].map(|train| vec![0; train.grid.neurons()]);
    let (columns, rows) = (keys.grid.positions(), queries.grid.positions());
    let operations = stage.arrivals(queries) * columns as u64 + stage.arrivals(keys) * rows as u64;
    let mut transposed = vec![0; key_counts.len()];
    let update = |_, sent, now: &mut [i32]| {
        let arrived = [stage.receive(queries, sent, &mut query_counts), stage.receive(keys, sent, &mut key_counts)];
        let changed = arrived.contains(&true);
        if changed {
            transpose(&key_counts, columns, &mut transposed);
            query_key(&query_counts, &transposed, (rows, columns, heads), now);
        }
        changed
    };
    stage.run(update, operations)
}

fn transpose(rows: &[i32], height: usize, columns: &mut [i32]) {
    let width = rows.len() / height;
    for (at, row) in rows.chunks_exact(width).enumerate() {
        columns[at..].iter_mut().step_by(height).zip(row).for_each(|(to, &from)| *to = from);
    }
}

/// `keys[channel][key]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn query_key(queries: &[i32], keys: &[i32], (rows, columns, heads): (usize, usize, usize), scores: &mut [i32]) {
    let channels = queries.len() / rows;
    for (query, scores) in queries.chunks_exact(channels).zip(scores.chunks_exact_mut(heads * columns)) {
        let heads = query.chunks_exact(channels / heads).zip(keys.chunks_exact(channels / heads * columns));
        for ((query, keys), scores) in heads.zip(scores.chunks_exact_mut(columns)) {
            scores.fill(0);
            for (&count, keys) in query.iter().zip(keys.chunks_exact(columns)).filter(|(count, _)| **count != 0) {
                let pairs = scores.iter_mut().zip(keys);
                pairs.for_each(|(score, &key)| *score = score.wrapping_add(count.wrapping_mul(key)));
            }
        }
    }
}

/// Runs the softmax of scores.
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
pub(super) fn context(
    stage: &Graded,
    [probabilities, values]: [&Train; 2],
    heads: usize,
) -> Result<Ran, FunctionalError> {
    let [mut shares, mut counts] = [probabilities, values].map(|train| vec![0; train.grid.neurons()]);
    let (rows, channels) = (stage.grid.positions(), stage.grid.channels as usize);
    let operations = stage.arrivals(probabilities) * (channels / heads) as u64 + stage.arrivals(values) * rows as u64;
    let update = |_, sent, now: &mut [i32]| {
        let arrived = [stage.receive(probabilities, sent, &mut shares), stage.receive(values, sent, &mut counts)];
        let changed = arrived.contains(&true);
        if changed {
            mix(&shares, &counts, (rows, channels, heads), now);
        }
        changed
    };
    stage.run(update, operations)
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn mix(shares: &[i32], values: &[i32], (rows, channels, heads): (usize, usize, usize), context: &mut [i32]) {
    let (columns, keys) = (shares.len() / rows, values.len() / channels);
    for (shares, context) in shares.chunks_exact(columns).zip(context.chunks_exact_mut(channels)) {
        let width = channels / heads;
        for (head, (shares, sums)) in shares.chunks_exact(keys).zip(context.chunks_exact_mut(width)).enumerate() {
            sums.fill(0);
            for (&share, values) in shares.iter().zip(values.chunks_exact(channels)).filter(|(share, _)| **share != 0) {
                let pairs = sums.iter_mut().zip(&values[head * width..(head + 1) * width]);
                pairs.for_each(|(sum, &value)| *sum = sum.wrapping_add(share.wrapping_mul(value)));
            }
        }
    }
}
