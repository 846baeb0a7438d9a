//! What a stage sends over all steps of a run, position by position, ready for those who read it.

use crate::functional::lanes::{LANES, Level, compress};
use crate::trace::SpikeTrain;
use crate::units::Grid;
use bitvec::prelude::{BitVec, Lsb0};
use multiversion::multiversion;
use std::ops::Range;

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
        until: u32,
    },
    /// Values of step t, from 1, in the order of the grid, from `(t − 1) · neurons`.
    Graded(Vec<i32>),
}

/// Spikes of a grid while they are fired, position by position and step by step.
#[derive(Debug)]
pub(super) struct Firing {
    level: Level,
    /// Who fires: channels, and behind all channels those of negative spikes.
    codes: Vec<u32>,
    /// Where the codes of each step of each position end.
    ends: Vec<u32>,
    /// How many steps there are before each position.
    firsts: Vec<usize>,
    last_step: u32,
    negative: u64,
}

impl Firing {
    pub fn new(level: Level, grid: Grid) -> Self {
        let firsts = Vec::with_capacity(grid.positions() + 1);
        Self { level, codes: vec![], ends: vec![], firsts, last_step: 0, negative: 0 }
    }

    /// Begins the next position.
    pub fn position(&mut self) {
        self.firsts.push(self.ends.len());
    }

    /// Notes what the channels of the position fire in its next step, which is `step`; says whether any does.
    #[inline]
    pub fn fire(&mut self, step: u32, signs: &[i8]) -> bool {
        let before = self.codes.len();
        self.negative += compress(self.level, signs, &mut self.codes) as u64;
        self.ends.push(self.codes.len() as u32);
        let fired = self.codes.len() > before;
        if fired {
            self.last_step = self.last_step.max(step);
        }
        fired
    }
}

/// Spikes of a grid.
#[derive(Debug)]
pub(super) struct Spikes {
    channels: usize,
    /// Who fires, position by position and step by step; whole registers can be read from the last one.
    codes: Vec<u32>,
    /// Where the codes of step `s` of position `p` begin: at `p · steps + s − 1`, and one more end.
    starts: Vec<u32>,
    /// The last step of each position in which it fires, or 0.
    lasts: Vec<u32>,
    /// The last of them.
    steps: u32,
}

impl Spikes {
    fn new(channels: usize, mut fired: Firing) -> Self {
        let steps = fired.last_step as usize;
        fired.firsts.push(fired.ends.len());
        let positions = fired.firsts.len() - 1;
        let (mut starts, mut lasts) = (Vec::with_capacity(positions * steps + 1), Vec::with_capacity(positions));
        starts.push(0);
        for ends in fired.firsts.windows(2).map(|runs| &fired.ends[runs[0]..runs[1]]) {
            let before = starts[starts.len() - 1];
            let last = ends.last().copied().unwrap_or(before);
            starts.extend(ends.iter().copied().chain(std::iter::repeat(last)).take(steps));
            lasts.push(ends.iter().position(|&end| end == last).map_or(0, |at| at as u32 + u32::from(last > before)));
        }
        fired.codes.extend([0; LANES]);
        Self { channels, codes: fired.codes, starts, lasts, steps: fired.last_step }
    }

    /// Where the codes of a position and step are.
    #[inline(always)]
    fn at(&self, position: u32, step: u32) -> Range<usize> {
        if step == 0 || step > self.steps {
            return 0..0;
        }
        let run = position as usize * self.steps as usize + step as usize - 1;
        self.starts[run] as usize..self.starts[run + 1] as usize
    }

    /// Appends the codes of a position and step, each turned into `(code + first) · stride`, to the first `length` of `rows`,
    /// which has room for a register more; gives the new length.
    #[inline(always)]
    pub fn gather(
        &self,
        (position, step): (u32, u32),
        (first, stride): (u32, u32),
        rows: &mut [u32],
        length: usize,
    ) -> usize {
        let Range { mut start, end } = self.at(position, step);
        let mut to = length;
        let length = length + (end - start);
        // most have a few: the first register is taken unasked, which no branch predictor gets wrong
        loop {
            let mut few = [0; LANES];
            few.copy_from_slice(&self.codes[start..start + LANES]);
            few.iter_mut().for_each(|code| *code = (*code + first).wrapping_mul(stride));
            rows[to..to + LANES].copy_from_slice(&few);
            (start, to) = (start + LANES, to + LANES);
            if start >= end {
                return length;
            }
        }
    }
}

impl Train {
    pub fn silent(grid: Grid) -> Self {
        Self { grid, sent: Sent::Silent, spikes: 0, negative: 0, last_step: 0 }
    }

    pub fn spikes(grid: Grid, fired: Firing) -> Self {
        let (spikes, negative, last_step) = (fired.codes.len() as u64, fired.negative, fired.last_step);
        let sent = Sent::Spikes(Spikes::new(grid.channels as usize, fired));
        Self { grid, spikes, negative, last_step, sent }
    }

    /// The same values in each of the steps `1..=until`.
    pub fn repeated(grid: Grid, values: Vec<i32>, until: u32) -> Self {
        let (spikes, negative) = counts(&values);
        let times = u64::from(until);
        let last_step = if spikes > 0 { until } else { 0 };
        Self {
            grid,
            sent: Sent::Repeated { values, until },
            spikes: spikes * times,
            negative: negative * times,
            last_step,
        }
    }

    /// Values of every step, one step after the other.
    pub fn graded(grid: Grid, values: Vec<i32>) -> Self {
        let (spikes, negative) = counts(&values);
        let last = values.iter().rposition(|&value| value != 0);
        let last_step = last.map_or(0, |at| (at / grid.neurons()) as u32 + 1);
        Self { grid, sent: Sent::Graded(values), spikes, negative, last_step }
    }

    /// Its single spikes; `None` where it sends numbers.
    #[inline]
    pub fn singles(&self) -> Option<&Spikes> {
        match &self.sent {
            Sent::Spikes(spikes) => Some(spikes),
            Sent::Silent | Sent::Repeated { .. } | Sent::Graded(_) => None,
        }
    }

    /// The numbers that a position sends; nothing where it sends none, or single spikes.
    #[inline]
    pub fn numbers(&self, position: u32, step: u32) -> &[i32] {
        let channels = self.grid.channels as usize;
        let first = position as usize * channels;
        match &self.sent {
            Sent::Repeated { values, until } if (1..=*until).contains(&step) => &values[first..first + channels],
            Sent::Graded(values) if (1..=self.last_step).contains(&step) => {
                &values[(step as usize - 1) * self.grid.neurons() + first..][..channels]
            }
            Sent::Silent | Sent::Spikes(_) | Sent::Repeated { .. } | Sent::Graded(_) => &[],
        }
    }

    /// How many channels of a position send in a step.
    #[inline]
    pub fn senders(&self, position: u32, step: u32) -> usize {
        match self.singles() {
            Some(spikes) => spikes.at(position, step).len(),
            None => self.numbers(position, step).iter().filter(|number| **number != 0).count(),
        }
    }

    /// The last step in which it sends the same as in the first; 0 where no two steps are known to be alike.
    pub fn repeats(&self) -> u32 {
        match self.sent {
            Sent::Repeated { until, .. } => until,
            Sent::Silent | Sent::Spikes(_) | Sent::Graded(_) => 0,
        }
    }

    /// No later step holds anything of this position.
    pub fn last_of(&self, position: u32) -> u32 {
        match &self.sent {
            Sent::Spikes(spikes) => spikes.lasts[position as usize],
            Sent::Silent | Sent::Repeated { .. } | Sent::Graded(_) => self.last_step,
        }
    }

    /// Calls `each` with every channel of a position that sends in a step, and what it sends.
    #[inline(always)]
    pub fn each(&self, position: u32, step: u32, mut each: impl FnMut(usize, i32)) {
        match self.singles() {
            Some(spikes) => {
                for &code in &spikes.codes[spikes.at(position, step)] {
                    let code = code as usize;
                    if code < spikes.channels { each(code, 1) } else { each(code - spikes.channels, -1) }
                }
            }
            None => {
                let numbers = self.numbers(position, step).iter().enumerate();
                numbers.filter(|(_, number)| **number != 0).for_each(|(channel, &number)| each(channel, number));
            }
        }
    }

    /// Adds what a position sends times `gain` to `row`, channel by channel.
    #[inline(always)]
    pub fn add_to(&self, position: u32, step: u32, gain: i32, row: &mut [i32]) {
        match self.singles() {
            Some(_) => self.each(position, step, |channel, sign| row[channel] += sign * gain),
            None => {
                let pairs = row.iter_mut().zip(self.numbers(position, step));
                pairs.for_each(|(sum, &number)| *sum = sum.wrapping_add(gain.wrapping_mul(number)));
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

    /// The train over `steps` steps.
    pub fn finish(self, steps: u32) -> SpikeTrain {
        let neurons = self.grid.neurons();
        let length = neurons * steps as usize;
        match self.sent {
            Sent::Silent => SpikeTrain::Silent,
            Sent::Spikes(spikes) => {
                let planes = [(); 2].map(|()| BitVec::<u64, Lsb0>::repeat(false, length));
                let [mut presence, mut negative] = planes;
                let channels = spikes.channels;
                for (position, step) in self.grid.whole().positions.flat_map(|p| (1..=steps).map(move |step| (p, step)))
                {
                    let first = (step as usize - 1) * neurons + position as usize * channels;
                    for &code in &spikes.codes[spikes.at(position, step)] {
                        let code = code as usize;
                        presence.set(first + code % channels, true);
                        negative.set(first + code % channels, code >= channels);
                    }
                }
                SpikeTrain::Spikes { neurons, presence, negative }
            }
            Sent::Repeated { mut values, until } => {
                values = values.repeat(until.min(steps) as usize);
                values.resize(length, 0);
                SpikeTrain::Graded { neurons, values }
            }
            Sent::Graded(mut values) => {
                values.resize(length, 0);
                SpikeTrain::Graded { neurons, values }
            }
        }
    }
}

/// How many numbers are not zero, and how many of them are negative.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn counts(values: &[i32]) -> (u64, u64) {
    values.iter().fold((0, 0), |(all, negative), &value| (all + u64::from(value != 0), negative + u64::from(value < 0)))
}
