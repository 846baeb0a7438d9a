//! Inputs on their way into sums: lists of rows, and rows of products.

use super::synapses::{Seen, Short};
use super::train::Train;
use crate::functional::lanes::{Aligned, Bundle, List, Row, push_words};

/// Inputs on their way into sums.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub bundle: Bundle,
    /// Numbers that arrive in one step, or in several ones, and counts of spikes.
    numbers: Vec<i32>,
    counts: Aligned,
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

    /// Pushes all that arrives in the first steps, each as a row of a product, where it is single spikes that are counted
    /// before they are weighted; gives how many there are. `None` where it is anything else.
    #[inline(always)]
    pub fn push_counts<'t>(
        &mut self,
        sources: impl Iterator<Item = (&'t Train, i32)>,
        short: &Short,
        seen: &[Seen],
        (steps, to): (u32, impl Fn(u32) -> usize),
    ) -> Option<usize> {
        let (tap, inputs, each) = (alike(seen)? as usize, short.inputs, short.all_inputs);
        self.numbers.clear();
        self.numbers.resize(each * steps as usize, 0);
        let mut senders = 0;
        for (train, gain) in sources {
            let spikes = train.singles()?;
            let all = inputs * steps as usize;
            self.counts.make_room(all.div_ceil(size_of::<u32>()));
            let counts = &mut bytemuck::cast_slice_mut(&mut self.counts)[..all];
            counts.fill(0);
            let positions = seen.iter().map(|seen| seen.position as usize);
            senders += spikes.count_steps(positions, steps, counts);
            for (numbers, counts) in self.numbers.chunks_exact_mut(each).zip(counts.chunks_exact(inputs)) {
                let pairs = numbers[tap * inputs..].iter_mut().zip(counts);
                pairs.for_each(|(sum, &count)| *sum = sum.wrapping_add(gain.wrapping_mul(count.into())));
            }
        }
        for (step, numbers) in (1..).zip(self.numbers.chunks_exact_mut(each)) {
            let to = to(step);
            push_words(numbers, &mut self.inputs, |from, factor| self.rows.push(Row { from, to, factor }));
        }
        Some(senders)
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
