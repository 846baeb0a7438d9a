//! Single spikes of a grid: bits position by position as they are fired, and lists step by step for those who read rows.

use crate::functional::lanes::{Done, LANES, Level, Marks, Raster, Signs, WORD, count_rows, list, mark};
use crate::units::Grid;
use std::cell::OnceCell;
use std::ops::Range;

/// Steps that room is made for ahead.
const MOST_STEPS: usize = 32;

/// Spikes of a grid while they are fired, position by position and step by step.
#[derive(Debug)]
pub(super) struct Firing {
    level: Level,
    grid: Grid,
    raster: Raster,
}

impl Firing {
    /// Nothing so far, with room for about so many steps.
    pub fn new(level: Level, grid: Grid, steps: u32) -> Self {
        let rows = grid.positions().saturating_mul((steps as usize).min(MOST_STEPS));
        let bits = Vec::with_capacity(rows.saturating_mul(2 * words(grid)));
        let firsts = Vec::with_capacity(grid.positions() + 1);
        let [lasts, sent] = [(); 2].map(|()| Vec::with_capacity(grid.positions()));
        Self { level, grid, raster: Raster { bits, firsts, lasts, sent, ..Raster::default() } }
    }

    /// As many steps of every position, in which nothing has been fired yet.
    pub fn of_steps(level: Level, grid: Grid, steps: u32) -> Self {
        let firsts = (0..grid.positions()).map(|position| position * steps as usize).collect();
        let bits = vec![0; grid.positions() * steps as usize * 2 * words(grid)];
        let [lasts, sent] = [(); 2].map(|()| vec![0; grid.positions()]);
        Self { level, grid, raster: Raster { bits, firsts, lasts, sent, ..Raster::default() } }
    }

    /// Begins the next position.
    pub fn position(&mut self) {
        self.raster.firsts.push(self.raster.bits.len() / (2 * words(self.grid)));
    }

    /// Notes what the channels of the position fire in its next step; says whether any does.
    #[inline(always)]
    pub fn fire(&mut self, signs: &[i8]) -> bool {
        let (words, first) = (words(self.grid), self.raster.bits.len());
        self.raster.bits.resize(first + 2 * words, 0);
        let row = &mut self.raster.bits[first..];
        let (plus, minus) = row.split_at_mut(words);
        mark(signs, plus, minus);
        row.iter().fold(0, |any, word| any | word) != 0
    }

    /// The rows of the next position, at most so many, with room for as many positions as are left.
    #[inline(always)]
    pub fn begin(&mut self, most: usize, left: usize) -> Marks<'_> {
        self.raster.begin((2 * words(self.grid), most, left))
    }

    /// Notes what the position has fired that was begun; forgets the room behind the last one.
    #[inline(always)]
    pub fn end(&mut self, done: Done, last: bool) {
        self.raster.end(2 * words(self.grid), done, last);
    }

    /// For those who fire whole positions.
    pub fn raster(&mut self) -> &mut Raster {
        &mut self.raster
    }

    /// The rows of a position, where as many were made ahead for each.
    #[inline(always)]
    pub fn marks(&mut self, position: usize) -> Marks<'_> {
        let row = 2 * words(self.grid);
        let firsts = &self.raster.firsts;
        let (first, end) = (firsts[position] * row, firsts.get(position + 1).map(|end| end * row));
        let end = end.unwrap_or(self.raster.bits.len());
        Marks::new(&mut self.raster.bits[first..end], row)
    }
}

/// Words of bits for the channels of a position.
fn words(grid: Grid) -> usize {
    (grid.channels as usize).div_ceil(WORD).max(1)
}

/// Spikes of a grid.
#[derive(Debug)]
pub(super) struct Spikes {
    fired: Firing,
    /// Who fires, step by step, for those who need it so.
    lists: OnceCell<Lists>,
}

/// Codes of who fires, step by step and position by position.
#[derive(Debug)]
struct Lists {
    codes: Vec<u32>,
    /// Where the codes of position `p` in step `s` begin: at `(s − 1) · positions + p`, and one more end.
    starts: Vec<u32>,
}

impl Spikes {
    /// Spikes that were fired.
    #[inline(always)]
    pub fn new(mut fired: Firing) -> Self {
        fired.position();
        if fired.raster.lasts.len() + 1 < fired.raster.firsts.len() {
            count(&mut fired.raster, words(fired.grid));
        }
        Self { fired, lists: OnceCell::new() }
    }

    /// How many there are, and how many of them are negative.
    pub fn counts(&self) -> (u64, u64) {
        (self.fired.raster.spikes, self.fired.raster.negative)
    }

    /// The last step of each position in which it fires, or 0.
    pub fn lasts(&self) -> &[u32] {
        &self.fired.raster.lasts
    }

    /// The last step of a position in which it fires, or 0.
    pub fn last_of(&self, position: u32) -> u32 {
        self.fired.raster.lasts[position as usize]
    }

    /// The last step in which any position fires, or 0.
    pub fn last_step(&self) -> u32 {
        self.fired.raster.lasts.iter().copied().max().unwrap_or(0)
    }

    /// What a position fires in a step.
    #[inline(always)]
    pub fn at(&self, position: u32, step: u32) -> Signs<'_> {
        let row = self.fired.raster.row(position as usize, step, 2 * words(self.fired.grid));
        let (plus, minus) = row.split_at(row.len() / 2);
        Signs { plus, minus }
    }

    /// Rows of a position for the first steps, but no more than it fires in: words of positive spikes, then as many of
    /// negative ones.
    #[inline(always)]
    pub fn rows(&self, position: usize, steps: u32) -> &[u64] {
        let (raster, row) = (&self.fired.raster, 2 * words(self.fired.grid));
        let first = raster.firsts[position] * row;
        &raster.bits[first..first + raster.lasts[position].min(steps) as usize * row]
    }

    /// Calls `each` with every step up to one and channel in which a position fires, and its sign.
    #[inline(always)]
    pub fn each_until(&self, position: u32, last: u32, mut each: impl FnMut(u32, usize, i32)) {
        let words = words(self.fired.grid);
        for (step, row) in (1..).zip(self.rows(position as usize, last).chunks_exact(2 * words)) {
            let (plus, minus) = row.split_at(words);
            Signs { plus, minus }.each(|channel, sign| each(step, channel, sign));
        }
    }

    /// All of them, as bits.
    pub fn raster(&self) -> &Raster {
        &self.fired.raster
    }

    /// Words of bits, row after row.
    pub fn bits(&self) -> &[u64] {
        &self.fired.raster.bits
    }

    /// How many rows there are before each of some positions, and the last step that there is of each, or 0.
    #[inline(always)]
    pub fn places(&self, positions: Range<usize>) -> (&[usize], &[u32]) {
        (&self.fired.raster.firsts[positions.clone()], &self.fired.raster.lasts[positions])
    }

    /// How often a position fires in the first steps.
    #[inline(always)]
    pub fn sent_by(&self, position: usize, steps: u32) -> u32 {
        if self.fired.raster.lasts[position] <= steps {
            return self.fired.raster.sent[position];
        }
        self.rows(position, steps).iter().map(|word| word.count_ones()).sum()
    }

    /// How often all positions fire in the first steps, each time as often as its `weights` say.
    #[inline(always)]
    pub fn weighed(&self, weights: &[u32], steps: u32) -> u64 {
        if self.last_step() > steps {
            let sent = (0..)
                .zip(weights)
                .map(|(position, &weight)| u64::from(weight) * u64::from(self.sent_by(position, steps)));
            return sent.sum();
        }
        self.fired.raster.sent.iter().zip(weights).map(|(&sent, &weight)| u64::from(weight) * u64::from(sent)).sum()
    }

    /// Adds what positions fire in the first steps to counts step by step, which wrap; gives how many spikes there are.
    #[inline(always)]
    pub fn count_steps(&self, positions: impl Iterator<Item = usize>, steps: u32, counts: &mut [i8]) -> usize {
        let (channels, mut all) = (self.fired.grid.channels as usize, 0);
        for position in positions {
            all += self.sent_by(position, steps) as usize;
            count_rows(self.level(), self.rows(position, steps), channels, counts);
        }
        all
    }

    /// Codes of who fires, step by step and position by position: `position · 2 · channels + channel`, and `channels` more
    /// where the spike is negative.
    pub fn codes(&self) -> &[u32] {
        &self.lists().codes
    }

    /// Where the codes of all positions begin in a step that is not beyond the last one, and one more end.
    #[inline(always)]
    pub fn starts(&self, step: u32) -> &[u32] {
        let positions = self.fired.raster.lasts.len();
        &self.lists().starts[(step as usize - 1) * positions..][..positions + 1]
    }

    #[inline(always)]
    fn lists(&self) -> &Lists {
        self.lists.get_or_init(|| self.list())
    }

    fn list(&self) -> Lists {
        let (positions, channels) = (self.fired.raster.lasts.len() as u32, self.fired.grid.channels);
        let steps = self.last_step();
        let room = |count: u64| Vec::with_capacity(count as usize + LANES);
        let mut lists = Lists { codes: room(self.counts().0), starts: room(u64::from(steps) * u64::from(positions)) };
        lists.starts.push(0);
        let places = (1..=steps).flat_map(|step| (0..positions).map(move |position| (step, position)));
        let rows = places.map(|(step, position)| (self.at(position, step), position * 2 * channels));
        list(self.fired.level, rows, (channels, self.counts().0 as usize), (&mut lists.codes, &mut lists.starts));
        lists
    }

    /// The instruction set that reads them.
    pub fn level(&self) -> Level {
        self.fired.level
    }

    /// Bits of `steps` steps, neuron after neuron: whether there is a spike, and whether it is negative.
    pub fn planes(&self, steps: u32) -> [Vec<u64>; 2] {
        let (grid, neurons) = (self.fired.grid, self.fired.grid.neurons());
        let mut planes = [(); 2].map(|()| vec![0u64; (neurons * steps as usize).div_ceil(WORD)]);
        let [presence, negative] = &mut planes;
        for (step, position) in grid.whole().positions.flat_map(|p| (1..=steps).map(move |step| (step, p))) {
            let first = (step as usize - 1) * neurons + position as usize * grid.channels as usize;
            let Signs { plus, minus } = self.at(position, step);
            for (at, (plus, minus)) in (first..).step_by(WORD).zip(plus.iter().zip(minus)) {
                set(presence, at, plus | minus);
                set(negative, at, *minus);
            }
        }
        planes
    }
}

/// Finds out from the bits when each position fires for the last time, and how many spikes there are.
#[inline(always)]
fn count(raster: &mut Raster, words: usize) {
    (raster.spikes, raster.negative) = (0, 0);
    raster.lasts.clear();
    raster.sent.clear();
    for ends in raster.firsts.windows(2) {
        let (mut last, mut sent) = (0, 0);
        let rows = raster.bits[ends[0] * 2 * words..ends[1] * 2 * words].chunks_exact(2 * words);
        for (step, row) in (1..).zip(rows) {
            let ones = |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
            let (plus, minus) = (ones(&row[..words]), ones(&row[words..]));
            raster.spikes += plus + minus;
            sent += plus + minus;
            raster.negative += minus;
            last = if plus + minus > 0 { step } else { last };
        }
        raster.lasts.push(last);
        raster.sent.push(sent as u32);
    }
}

/// Sets bits from place `at` on.
#[inline(always)]
fn set(words: &mut [u64], at: usize, bits: u64) {
    let (word, shift) = (at / WORD, at % WORD);
    words[word] |= bits << shift;
    let beyond = bits >> 1 >> (WORD - 1 - shift);
    if beyond != 0 {
        words[word + 1] |= beyond;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_are_weighed_up_to_a_step() {
        let grid = Grid { height: 1, width: 3, channels: 70 };
        let sign = |position: usize, channel: usize, step: usize| match (position, step) {
            (0, 1 | 2) | (2, 4) => ((channel + step) % 3) as i8 - 1,
            _ => 0,
        };
        let mut fired = Firing::new(Level::best(), grid, 4);
        for position in 0..grid.positions() {
            fired.position();
            for step in 1..=4 {
                fired.fire(&(0..70).map(|channel| sign(position, channel, step)).collect::<Vec<_>>());
            }
        }
        let (spikes, weights) = (Spikes::new(fired), [2, 5, 11]);
        for last in 0..=5 {
            let each = (0..3).flat_map(|position| (1..=last.min(4)).map(move |step| (position, step)));
            let all = each.flat_map(|(position, step)| (0..70).map(move |channel| (position, channel, step)));
            let sent = all.filter(|&(position, channel, step)| sign(position, channel, step) != 0);
            let wanted: u64 = sent.map(|(position, ..)| u64::from(weights[position])).sum();
            assert_eq!(spikes.weighed(&weights, last as u32), wanted, "up to {last}");
        }
    }
}
