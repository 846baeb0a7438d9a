//! What a stage sends over all steps of a run, position by position, ready for those who read it.

use crate::trace::SpikeTrain;
use crate::units::Grid;
use bitvec::prelude::{BitVec, Lsb0};

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

/// Spikes of a grid: for each position and step the channels of the positive ones, then those of the negative ones.
#[derive(Debug)]
pub(super) struct Spikes {
    channels: Vec<u32>,
    /// Run `r` is `channels[ends[r]..ends[r + 1]]`; each step of a position has two.
    ends: Vec<u32>,
    /// First run of each position.
    firsts: Vec<u32>,
    last_step: u32,
    negative: u64,
}

impl Spikes {
    pub fn new(positions: usize) -> Self {
        Self { channels: vec![], ends: vec![0], firsts: Vec::with_capacity(positions + 1), last_step: 0, negative: 0 }
    }

    /// Begins the next position.
    pub fn position(&mut self) {
        self.firsts.push(self.ends.len() as u32 - 1);
    }

    /// Notes what the channels of the position fire in its next step, which is `step`; says whether any does.
    #[inline]
    pub fn fire(&mut self, step: u32, signs: &[i8]) -> bool {
        let before = self.channels.len();
        self.run(signs, 1);
        let positive = self.channels.len();
        self.run(signs, -1);
        self.negative += (self.channels.len() - positive) as u64;
        let fired = self.channels.len() > before;
        if fired {
            self.last_step = self.last_step.max(step);
        }
        fired
    }

    #[inline]
    fn run(&mut self, signs: &[i8], sign: i8) {
        for (first, chunk) in (0u32..).step_by(16).zip(signs.chunks(16)) {
            if chunk.iter().fold(false, |any, &own| any | (own == sign)) {
                let channels = (first..).zip(chunk).filter(|(_, own)| **own == sign);
                self.channels.extend(channels.map(|(channel, _)| channel));
            }
        }
        self.ends.push(self.channels.len() as u32);
    }

    /// Steps for which anything is known of a position; it is silent in all later ones.
    fn steps(&self, position: usize) -> u32 {
        let end = self.firsts.get(position + 1).copied().unwrap_or(self.ends.len() as u32 - 1);
        (end - self.firsts[position]) / 2
    }

    #[inline]
    fn at(&self, position: usize, step: u32) -> [&[u32]; 2] {
        if step == 0 || step > self.steps(position) {
            return [&[], &[]];
        }
        let run = self.firsts[position] as usize + 2 * (step as usize - 1);
        let channels = |run: usize| &self.channels[self.ends[run] as usize..self.ends[run + 1] as usize];
        [channels(run), channels(run + 1)]
    }
}

impl Train {
    pub fn silent(grid: Grid) -> Self {
        Self { grid, sent: Sent::Silent, spikes: 0, negative: 0, last_step: 0 }
    }

    pub fn spikes(grid: Grid, spikes: Spikes) -> Self {
        let (all, negative, last_step) = (spikes.channels.len() as u64, spikes.negative, spikes.last_step);
        Self { grid, spikes: all, negative, last_step, sent: Sent::Spikes(spikes) }
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

    /// The single spikes of a position: channels of the positive and of the negative ones. `None` where it sends numbers.
    #[inline]
    pub fn signs(&self, position: u32, step: u32) -> Option<[&[u32]; 2]> {
        match &self.sent {
            Sent::Silent => Some([&[], &[]]),
            Sent::Spikes(spikes) => Some(spikes.at(position as usize, step)),
            Sent::Repeated { .. } | Sent::Graded(_) => None,
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
    pub fn senders(&self, position: u32, step: u32) -> u64 {
        match self.signs(position, step) {
            Some([positive, negative]) => (positive.len() + negative.len()) as u64,
            None => self.numbers(position, step).iter().filter(|number| **number != 0).count() as u64,
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
            Sent::Spikes(spikes) => spikes.steps(position as usize).min(self.last_step),
            Sent::Silent | Sent::Repeated { .. } | Sent::Graded(_) => self.last_step,
        }
    }

    /// Adds what a position sends to `row`, channel by channel; says whether there can be anything.
    #[inline]
    fn add_to(&self, position: u32, step: u32, row: &mut [i32]) -> bool {
        match self.signs(position, step) {
            Some([positive, negative]) => {
                positive.iter().for_each(|&channel| row[channel as usize] += 1);
                negative.iter().for_each(|&channel| row[channel as usize] -= 1);
                !positive.is_empty() || !negative.is_empty()
            }
            None => {
                let numbers = self.numbers(position, step);
                row.iter_mut().zip(numbers).for_each(|(sum, &number)| *sum = sum.wrapping_add(number));
                !numbers.is_empty()
            }
        }
    }

    /// Adds what all positions send to `values`, in the order of the grid; says whether there can be anything.
    pub fn add_all(&self, step: u32, values: &mut [i32]) -> bool {
        if step == 0 || step > self.last_step {
            return false;
        }
        let rows = values.chunks_exact_mut(self.grid.channels as usize);
        (0..).zip(rows).fold(false, |any, (position, row)| self.add_to(position, step, row) | any)
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
                for (position, step) in (0..self.grid.positions()).flat_map(|p| (1..=steps).map(move |step| (p, step)))
                {
                    let first = (step as usize - 1) * neurons + position * self.grid.channels as usize;
                    let [positive, below] = spikes.at(position, step);
                    positive.iter().chain(below).for_each(|&channel| presence.set(first + channel as usize, true));
                    below.iter().for_each(|&channel| negative.set(first + channel as usize, true));
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
fn counts(values: &[i32]) -> (u64, u64) {
    let count = |of: fn(&&i32) -> bool| values.iter().filter(of).count() as u64;
    (count(|value| **value != 0), count(|value| **value < 0))
}
