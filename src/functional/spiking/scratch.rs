//! Inputs on their way into sums: lists of rows, and rows of products.

use super::synapses::{Seen, Short};
use super::train::Train;
use crate::functional::lanes::{Bundle, List, Row, push_words};

/// Inputs on their way into sums.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub bundle: Bundle,
    /// Numbers that arrive in one step, and counts of spikes.
    numbers: Vec<i32>,
    counts: Vec<i8>,
    /// Rows of a product.
    pub inputs: Vec<u32>,
    pub rows: Vec<Row>,
    /// Products that are the same in several steps, position by position; with biases, where these flow just as long.
    pub repeated: Vec<i32>,
}

/// The tap under which all is seen, where so many positions are seen under one that counting bytes pays, and bytes hold it.
fn alike(seen: &[Seen]) -> Option<u32> {
    let first = seen.first().filter(|_| (4..=i8::MAX as usize).contains(&seen.len()))?;
    seen.iter().all(|seen| seen.count == 1 && seen.tap == first.tap).then_some(first.tap)
}

impl Scratch {
    pub fn clear(&mut self) {
        self.bundle.clear();
        self.inputs.clear();
        self.rows.clear();
        self.repeated.clear();
    }

    /// Pushes all that arrives in a step as a row of a product; gives how many send anything.
    #[inline(always)]
    pub fn push<'t>(
        &mut self,
        sources: impl Iterator<Item = (&'t Train, i32)>,
        short: &Short,
        seen: &[Seen],
        (step, to): (u32, usize),
    ) -> usize {
        self.numbers.clear();
        self.numbers.resize(short.all_inputs, 0);
        let mut senders = 0;
        for (train, gain) in sources {
            if let (Some(spikes), Some(tap)) = (train.singles(), alike(seen)) {
                self.counts.clear();
                self.counts.resize(short.inputs, 0);
                senders += spikes.count_run(seen.iter().map(|seen| seen.position), step, &mut self.counts);
                let pairs = self.numbers[tap as usize * short.inputs..].iter_mut().zip(&self.counts);
                pairs.for_each(|(sum, &count)| *sum = sum.wrapping_add(gain.wrapping_mul(count.into())));
                continue;
            }
            for seen in seen {
                let row = &mut self.numbers[seen.tap as usize * short.inputs..][..seen.count as usize * short.inputs];
                senders += train.add_run((seen.position, seen.count), step, gain, row);
            }
        }
        if senders > 0 {
            push_words(&mut self.numbers, &mut self.inputs, |from, factor| self.rows.push(Row { from, to, factor }));
        }
        senders
    }
}

impl Bundle {
    /// Adds the lists of what is sent in a step, source by source; gives how many channels send.
    #[inline(always)]
    pub(super) fn collect<'t>(
        &mut self,
        sources: impl Iterator<Item = (&'t Train, i32)>,
        inputs: usize,
        seen: &[Seen],
        step: u32,
    ) -> usize {
        let mut senders = 0;
        for (from, (train, gain)) in sources.enumerate().filter(|(_, (train, _))| step <= train.last_step) {
            let Some(spikes) = train.singles() else { continue };
            let starts = spikes.starts(step);
            for &Seen { position, tap, count } in seen {
                let start = starts[position as usize] as usize;
                let end = starts[(position + count) as usize] as usize;
                if end > start {
                    let first = tap.wrapping_sub(position).wrapping_mul(2 * inputs as u32);
                    self.lists.push(List { from, start, end, first, gain });
                    senders += end - start;
                }
            }
        }
        senders
    }
}
