//! What a stage sends over all steps of a run, position by position, ready for those who read it.

use super::spare::Spare;
use super::spikes::{Firing, Spikes};
use crate::functional::lanes::Changes;
use crate::functional::values::ends;
use crate::trace::SpikeTrain;
use crate::units::Grid;
use bitvec::prelude::{BitVec, Lsb0};
use std::cell::OnceCell;

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// What one stage sends.
#[derive(Debug)]
pub(super) struct Train {
    pub grid: Grid,
    sent: Sent,
    /// Spikes or graded values sent.
    pub spikes: u64,
    /// How many of them were negative.
    pub negative: u64,
    /// The last step in which anything was sent, or 0.
    pub last_step: u32,
}

#[derive(Debug)]
enum Sent {
    Silent,
    Spikes(Spikes),
    /// The same values in each of the steps up to one.
    Repeated {
        values: Vec<i32>,
        /// As many zeros, for those who want changes.
        zeros: OnceCell<Vec<i32>>,
        until: u32,
    },
    /// Values that changed from step to step, or were sent in each.
    Graded(Levels<i32>),
    /// Values of 16 bits that changed from step to step.
    Words(Levels<i16>),
}

/// Memory for values of some steps: anything, and zeros.
#[derive(Debug, Default)]
pub(super) struct Memory<N> {
    values: Vec<N>,
    zeros: Vec<N>,
}

/// The values of a stage after each step.
#[derive(Debug)]
pub(super) struct Levels<N> {
    neurons: usize,
    /// Whether they go on from step to step, so that changes are sent; else each step is by itself.
    accumulated: bool,
    /// Values of step t, in the order of the grid, from `(t - 1) · neurons` on, behind numbers that mean nothing, so that they
    /// begin where a line of the cache does; none follow after those there are. Before the first step all are zero.
    memory: Memory<N>,
    skipped: usize,
    /// Steps whose values there are.
    steps: usize,
    spikes: u64,
    negative: u64,
    last_step: u32,
}

impl<N> Memory<N> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.capacity() == 0
    }
}

impl<N: Copy + Default + Ord + Into<i32>> Levels<N> {
    /// Values at rest, with room for so many steps.
    pub fn new(neurons: usize, accumulated: bool, steps: usize, mut memory: Memory<N>) -> Self {
        let (Memory { values, zeros }, line) = (&mut memory, LINE / size_of::<N>());
        values.reserve_exact((neurons.saturating_mul(steps.min(64)) + line).saturating_sub(values.len()));
        let skipped = values.as_ptr().align_offset(LINE).min(line);
        values.resize(values.len().max(skipped), N::default());
        zeros.resize(zeros.len().max(neurons), N::default());
        Self { neurons, accumulated, memory, skipped, steps: 0, spikes: 0, negative: 0, last_step: 0 }
    }

    /// The latest values.
    pub fn last(&self) -> &[N] {
        self.row(self.steps)
    }

    /// The values after a step.
    #[inline(always)]
    pub fn at(&self, step: u32) -> &[N] {
        self.row((step as usize).min(self.steps))
    }

    #[inline(always)]
    fn row(&self, step: usize) -> &[N] {
        match step {
            0 => &self.memory.zeros[..self.neurons],
            _ => &self.memory.values[self.skipped + (step - 1) * self.neurons..][..self.neurons],
        }
    }

    /// The values of a step, which may be anything, to be computed, and those that they are sent as changes of; all steps before it are
    /// as they were.
    #[inline(always)]
    pub fn begin(&mut self, step: u32) -> (&mut [N], &[N]) {
        let (neurons, Memory { values, zeros }) = (self.neurons, &mut self.memory);
        let first = self.skipped + (step as usize - 1) * neurons;
        values.resize(values.len().max(first + neurons), N::default());
        while self.steps + 1 < step as usize {
            let to = self.skipped + self.steps * neurons;
            if self.accumulated && self.steps > 0 {
                values.copy_within(to - neurons..to, to);
            } else {
                values[to..to + neurons].fill(N::default());
            }
            self.steps += 1;
        }
        self.steps = step as usize;
        let (before, now) = values.split_at_mut(first);
        let goes_on = self.accumulated && step > 1;
        (&mut now[..neurons], if goes_on { &before[first - neurons..] } else { &zeros[..neurons] })
    }

    /// Notes what is sent in a step whose values have been computed; says whether anything is.
    pub fn end(&mut self, step: u32, changes: Changes) -> bool {
        self.spikes += changes.all;
        self.negative += changes.negative;
        self.last_step = if changes.all > 0 { step } else { self.last_step };
        changes.all > 0
    }

    /// Values `first..first + length` after a step, and what they are sent as changes of; nothing after the last step.
    #[inline(always)]
    fn changes(&self, step: u32, (first, length): (usize, usize)) -> (&[N], &[N]) {
        if step == 0 || step > self.last_step {
            return (&[], &[]);
        }
        let before = if self.accumulated { step as usize - 1 } else { 0 };
        (&self.row(step as usize)[first..][..length], &self.row(before)[first..][..length])
    }

    /// The smallest and the largest of what all that was sent up to any step adds up to.
    fn ends(&self) -> (f64, f64) {
        let values = &self.memory.values[self.skipped..][..self.steps * self.neurons];
        let (low, high) = ends(values);
        // steps by themselves add up
        let times = if self.accumulated { 1.0 } else { self.steps as f64 };
        (f64::from(low) * times, f64::from(high) * times)
    }

    /// The train that sends its changes, of `length` numbers in all.
    fn finish(&self, length: usize) -> SpikeTrain {
        let (neurons, steps) = (self.neurons, length / self.neurons.max(1));
        let mut values = Vec::with_capacity(length);
        for step in 1..=self.last_step.min(steps as u32) {
            let (now, before) = self.changes(step, (0, neurons));
            let pairs = now.iter().zip(before);
            values.extend(pairs.map(|(now, before)| (*now).into().wrapping_sub((*before).into())));
        }
        values.resize(length, 0);
        SpikeTrain::Graded { neurons, values }
    }
}

impl Train {
    pub fn silent(grid: Grid) -> Self {
        Self { grid, sent: Sent::Silent, spikes: 0, negative: 0, last_step: 0 }
    }

    #[inline(always)]
    pub fn spikes(grid: Grid, fired: Firing) -> Self {
        let sent = Spikes::new(fired);
        let (spikes, negative) = sent.counts();
        let last_step = sent.last_step();
        Self { grid, spikes, negative, last_step, sent: Sent::Spikes(sent) }
    }

    /// The same values in each of the steps `1..=until`: so many are not zero, and so many of these negative.
    pub fn repeated(grid: Grid, values: Vec<i32>, (spikes, negative): (u64, u64), until: u32) -> Self {
        let times = u64::from(until);
        let last_step = if spikes > 0 { until } else { 0 };
        Self {
            grid,
            sent: Sent::Repeated { zeros: OnceCell::new(), values, until },
            spikes: spikes * times,
            negative: negative * times,
            last_step,
        }
    }

    /// Values of every step.
    pub fn graded(grid: Grid, levels: Levels<i32>) -> Self {
        let Levels { spikes, negative, last_step, .. } = levels;
        Self { grid, sent: Sent::Graded(levels), spikes, negative, last_step }
    }

    /// Values of every step that fit into words, and go on from step to step.
    pub fn words(grid: Grid, levels: Levels<i16>) -> Self {
        let Levels { spikes, negative, last_step, .. } = levels;
        Self { grid, sent: Sent::Words(levels), spikes, negative, last_step }
    }

    /// Between what all that was sent lies, up to any step; `None` where it sends single spikes.
    pub fn ends(&self) -> Option<(f64, f64)> {
        match &self.sent {
            Sent::Silent => Some((0.0, 0.0)),
            Sent::Spikes(_) => None,
            Sent::Repeated { values, until, .. } => {
                let (low, high) = ends(values);
                Some((f64::from(low) * f64::from(*until), f64::from(high) * f64::from(*until)))
            }
            Sent::Graded(levels) => Some(levels.ends()),
            Sent::Words(levels) => Some(levels.ends()),
        }
    }

    /// The values that it sends changes of, where they go on from step to step and are kept in 32 bits.
    pub fn levels(&self) -> Option<&Levels<i32>> {
        match &self.sent {
            Sent::Graded(levels) => Some(levels).filter(|levels| levels.accumulated),
            Sent::Silent | Sent::Spikes(_) | Sent::Repeated { .. } | Sent::Words(_) => None,
        }
    }

    /// The values that it sends changes of, where they go on from step to step and are kept in words.
    pub fn word_levels(&self) -> Option<&Levels<i16>> {
        match &self.sent {
            Sent::Words(levels) => Some(levels),
            Sent::Silent | Sent::Spikes(_) | Sent::Repeated { .. } | Sent::Graded(_) => None,
        }
    }

    /// Gives back its memory: it sends nothing any more.
    pub fn release(&mut self, spare: &mut Spare) {
        match std::mem::replace(&mut self.sent, Sent::Silent) {
            Sent::Words(levels) => spare.give(levels.memory),
            Sent::Repeated { values, .. } => spare.pixels = values,
            Sent::Silent | Sent::Spikes(_) | Sent::Graded(_) => {}
        }
    }

    /// The words after a step and after the one before, of a position; nothing where none are kept, or it sends nothing then.
    #[inline(always)]
    pub fn word_changes(&self, position: u32, step: u32) -> (&[i16], &[i16]) {
        let channels = self.grid.channels as usize;
        self.word_levels().map_or((&[], &[]), |levels| levels.changes(step, (position as usize * channels, channels)))
    }

    /// Its single spikes; `None` where it sends numbers.
    #[inline]
    pub fn singles(&self) -> Option<&Spikes> {
        match &self.sent {
            Sent::Spikes(spikes) => Some(spikes),
            Sent::Silent | Sent::Repeated { .. } | Sent::Graded(_) | Sent::Words(_) => None,
        }
    }

    /// The codes of single spikes ([`Spikes::codes`]); none of anything else.
    pub fn codes(&self) -> &[u32] {
        self.singles().map_or(&[], Spikes::codes)
    }

    /// The numbers that `count` positions from `first` on send, each less the one beside it; nothing where they send none, or
    /// single spikes.
    #[inline(always)]
    fn numbers(&self, (first, count): (u32, u32), step: u32) -> impl Iterator<Item = i32> {
        let channels = self.grid.channels as usize;
        let (first, length) = (first as usize * channels, count as usize * channels);
        let (now, before) = self.wide((first, length), step);
        let (words, words_before): (&[i16], &[i16]) = match &self.sent {
            Sent::Words(levels) => levels.changes(step, (first, length)),
            Sent::Silent | Sent::Spikes(_) | Sent::Repeated { .. } | Sent::Graded(_) => (&[], &[]),
        };
        let words = words.iter().zip(words_before).map(|(now, before)| i32::from(*now) - i32::from(*before));
        now.iter().zip(before).map(|(now, before)| now.wrapping_sub(*before)).chain(words)
    }

    /// Numbers of 32 bits from one on, so many, and what was there before: their differences are sent in a step.
    #[inline(always)]
    fn wide(&self, (first, length): (usize, usize), step: u32) -> (&[i32], &[i32]) {
        match &self.sent {
            Sent::Repeated { values, zeros, until } if (1..=*until).contains(&step) => {
                let zeros = zeros.get_or_init(|| vec![0; values.len()]);
                (&values[first..first + length], &zeros[first..first + length])
            }
            Sent::Graded(levels) => levels.changes(step, (first, length)),
            Sent::Silent | Sent::Spikes(_) | Sent::Repeated { .. } | Sent::Words(_) => (&[], &[]),
        }
    }

    /// How many channels of a position send in a step.
    #[inline]
    pub fn senders(&self, position: u32, step: u32) -> usize {
        match self.singles() {
            Some(spikes) => spikes.at(position, step).count(),
            None => self.numbers((position, 1), step).filter(|number| *number != 0).count(),
        }
    }

    /// Spikes or graded values sent in the steps up to one.
    pub fn sent_until(&self, last: u32) -> u64 {
        if last >= self.last_step {
            return self.spikes;
        }
        let places = self.grid.whole().positions.flat_map(|position| (1..=last).map(move |step| (position, step)));
        places.map(|(position, step)| self.senders(position, step) as u64).sum()
    }

    /// The numbers that it sends in each of some steps, where they are the same.
    pub fn repeated_numbers(&self) -> Option<&[i32]> {
        match &self.sent {
            Sent::Repeated { values, .. } => Some(values),
            Sent::Silent | Sent::Spikes(_) | Sent::Graded(_) | Sent::Words(_) => None,
        }
    }

    /// The last step in which it sends the same as in the first; 0 where no two steps are known to be alike.
    pub fn repeats(&self) -> u32 {
        match self.sent {
            Sent::Repeated { until, .. } => until,
            Sent::Silent | Sent::Spikes(_) | Sent::Graded(_) | Sent::Words(_) => 0,
        }
    }

    /// No later step holds anything of this position.
    pub fn last_of(&self, position: u32) -> u32 {
        match &self.sent {
            Sent::Spikes(spikes) => spikes.last_of(position),
            Sent::Silent | Sent::Repeated { .. } | Sent::Graded(_) | Sent::Words(_) => self.last_step,
        }
    }

    /// Calls `each` with every channel of a position that sends in a step, and what it sends.
    #[inline(always)]
    pub fn each(&self, position: u32, step: u32, mut each: impl FnMut(usize, i32)) {
        match self.singles() {
            Some(spikes) => spikes.at(position, step).each(each),
            // Two loops, since iterators that go on from one list to another are not compiled for the caller's instruction set.
            None => {
                let (position, channels) = (position as usize, self.grid.channels as usize);
                let place = (position * channels, channels);
                if let Sent::Words(levels) = &self.sent {
                    let (now, before) = levels.changes(step, place);
                    for (channel, (now, before)) in now.iter().zip(before).enumerate() {
                        if now != before {
                            each(channel, i32::from(*now) - i32::from(*before));
                        }
                    }
                    return;
                }
                let (now, before) = self.wide(place, step);
                for (channel, (now, before)) in now.iter().zip(before).enumerate() {
                    if now != before {
                        each(channel, now.wrapping_sub(*before));
                    }
                }
            }
        }
    }

    /// Calls `each` with every step up to one and channel in which a position sends, and what it sends.
    #[inline(always)]
    pub fn each_until(&self, position: u32, last: u32, mut each: impl FnMut(u32, usize, i32)) {
        match self.singles() {
            Some(spikes) => spikes.each_until(position, last, each),
            None => {
                (1..=last).for_each(|step| self.each(position, step, |channel, number| each(step, channel, number)))
            }
        }
    }

    /// Adds what a position sends times `gain` to `row`, channel by channel.
    #[inline(always)]
    pub fn add_to(&self, position: u32, step: u32, gain: i32, row: &mut [i32]) {
        match self.singles() {
            Some(spikes) => spikes.at(position, step).add_to(spikes.level(), gain, row),
            None => {
                let pairs = row.iter_mut().zip(self.numbers((position, 1), step));
                pairs.for_each(|(sum, number)| *sum = sum.wrapping_add(gain.wrapping_mul(number)));
            }
        }
    }

    /// Adds what `count` positions from `first` on send times `gain` to a row, position after position; gives how many
    /// channels send.
    #[inline(always)]
    pub fn add_run(&self, (first, count): (u32, u32), step: u32, gain: i32, row: &mut [i32]) -> usize {
        match self.singles() {
            Some(spikes) => {
                let rows = (first..).zip(row.chunks_exact_mut(self.grid.channels as usize));
                rows.map(|(position, row)| {
                    let signs = spikes.at(position, step);
                    signs.add_to(spikes.level(), gain, row);
                    signs.count()
                })
                .sum()
            }
            None => {
                let pairs = row.iter_mut().zip(self.numbers((first, count), step));
                pairs.fold(0u32, |senders, (sum, number)| {
                    *sum = sum.wrapping_add(gain.wrapping_mul(number));
                    senders + u32::from(number != 0)
                }) as usize
            }
        }
    }

    /// Adds what all positions send to `values`, in the order of the grid; says whether there can be anything.
    #[inline(always)]
    pub fn add_all(&self, step: u32, values: &mut [i32]) -> bool {
        if step == 0 || step > self.last_step {
            return false;
        }
        let rows = values.chunks_exact_mut(self.grid.channels as usize);
        (0..).zip(rows).for_each(|(position, row)| self.add_to(position, step, 1, row));
        true
    }

    /// Adds the single spikes of all positions to counts, which wrap; says whether there can be any.
    #[inline(always)]
    pub fn count_all(&self, step: u32, counts: &mut [i8]) -> bool {
        let Some(spikes) = self.singles().filter(|_| step > 0 && step <= self.last_step) else { return false };
        spikes.raster().count(spikes.level(), step, self.grid.channels as usize, counts);
        true
    }

    /// The train over `steps` steps.
    pub fn finish(self, steps: u32) -> SpikeTrain {
        let neurons = self.grid.neurons();
        let length = neurons * steps as usize;
        match self.sent {
            Sent::Silent => SpikeTrain::Silent,
            Sent::Spikes(spikes) => {
                let [presence, negative] = spikes.planes(steps).map(|words| {
                    let mut bits = BitVec::<u64, Lsb0>::from_vec(words);
                    bits.truncate(length);
                    bits
                });
                SpikeTrain::Spikes { neurons, presence, negative }
            }
            Sent::Repeated { mut values, until, .. } => {
                values = values.repeat(until.min(steps) as usize);
                values.resize(length, 0);
                SpikeTrain::Graded { neurons, values }
            }
            Sent::Graded(levels) => levels.finish(length),
            Sent::Words(levels) => levels.finish(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_in_which_nothing_is_computed_are_at_rest_or_as_before() {
        for accumulated in [true, false] {
            // memory of an image before
            let mut before = Levels::new(3, accumulated, 8, Memory::default());
            (1..=8).for_each(|step| before.begin(step).0.fill(77i16));
            let mut levels = Levels::new(3, accumulated, 8, before.memory);
            assert_eq!((levels.last(), levels.at(5)), (&[0; 3][..], &[0; 3][..]));
            let (now, before) = levels.begin(3);
            assert_eq!(before, [0; 3]);
            now.fill(5);
            let (now, before) = levels.begin(6);
            let rest = if accumulated { [5; 3] } else { [0; 3] };
            assert_eq!(before, rest);
            now.fill(6);
            let wanted = [[0; 3], [0; 3], [0; 3], [5; 3], rest, rest, [6; 3], [6; 3]];
            (0..).zip(wanted).for_each(|(step, wanted)| assert_eq!(levels.at(step), wanted, "{accumulated}, {step}"));
        }
    }
}
