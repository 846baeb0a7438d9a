//! Max-pools of single spikes, a row of windows after the other: a row of positions goes through all its steps before the next
//! one, so that all of it stays in the first cache.

use super::spikes::{Firing, Spikes};
use crate::functional::lanes::{Reached, Sent, WORD, WORDS, WordRow};
use crate::units::{Grid, Window};

/// Where the windows of a max-pool find the words of a row of positions: those under the same tap stand beside each other.
#[derive(Debug)]
pub(super) struct Columns {
    window: Window,
    source: Grid,
    output: Grid,
    /// Words of a position.
    words: usize,
    /// Where the words of each position of a row lie.
    places: Vec<usize>,
    /// The row of positions, and of windows.
    row: WordRow,
}

impl Columns {
    pub fn new(window: Window, source: Grid, output: Grid) -> Self {
        let words = (source.channels as usize).div_ceil(WORD).max(1);
        let [width, stride, padding] = [window.width, window.stride, window.padding].map(|number| number as usize);
        let (own, outputs) = (source.width as usize, output.width as usize);
        // positions that are a stride apart are neighbours; those that send begin with a register
        let length = (own + padding).div_ceil(stride).max(outputs + (width - 1) / stride);
        let begin = (padding..padding + own).map(|x| x % stride * length + x / stride).min().unwrap_or(0);
        let shift = (begin * words).next_multiple_of(WORDS) - begin * words;
        let place = |x: usize| (x % stride * length + x / stride) * words + shift;
        let places: Vec<_> = (padding..padding + own).map(place).collect();
        let taps: Vec<_> = (0..width).map(place).collect();
        let across = (outputs * words).next_multiple_of(WORDS);
        let end = places.iter().max().map_or(0, |place| place + words);
        let sending = begin * words + shift..end.next_multiple_of(WORDS);
        let seen = taps.iter().max().map_or(0, |tap| tap + across);
        let size = seen.next_multiple_of(WORDS).max(sending.end);
        Self { window, source, output, words, places, row: WordRow { size, sending, across, taps } }
    }

    /// Fires the changes of the largest counts of what arrives in the first steps, each `delay` steps later; gives the counts in
    /// the end.
    #[inline(always)]
    pub fn run(&self, spikes: &Spikes, (steps, delay): (usize, usize), fired: &mut Firing) -> Vec<u8> {
        let [height, stride, padding] =
            [self.window.height, self.window.stride, self.window.padding].map(|number| number as usize);
        let (rows, below, level) = (self.source.height as usize, self.output.height as usize, spikes.level());
        let mut reached = Reached::new(&self.row, (height, steps));
        let [mut firsts, mut lasts] = [(); 2].map(|()| vec![0; self.row.size]);
        let [mut plus, mut minus] = [(); 2].map(|()| vec![0; steps * self.row.across]);
        let (mut laid, mut counts) = (0, vec![0; self.output.neurons()]);
        let each = self.output.width as usize * self.output.channels as usize;
        for (y, counts) in counts.chunks_exact_mut(each).enumerate() {
            let (begin, end) = (y * stride, (y * stride + height).min(rows + padding));
            let seen = begin.saturating_sub(padding)..end.saturating_sub(padding);
            for y in laid..seen.end {
                let last = self.find(y, spikes, steps, [&mut firsts, &mut lasts]);
                let (negative, pitch) = (self.words, 2 * self.words);
                let sent = Sent { bits: spikes.bits(), firsts: &firsts, lasts: &lasts, negative, pitch };
                reached.lay(level, (y, last), &sent);
            }
            laid = laid.max(seen.end);
            let last = reached.track(level, seen, [&mut plus, &mut minus]);
            reached.largest(level, self.output.channels as usize, counts);
            self.fire((below - y, last, delay), (&plus, &minus), fired);
        }
        counts
    }

    /// Finds where the words of a row of positions begin, and in which step they end; gives the last one of these.
    #[inline(always)]
    fn find(&self, y: usize, spikes: &Spikes, steps: usize, [firsts, lasts]: [&mut [u64]; 2]) -> usize {
        let across = self.source.width as usize;
        let (begins, ends) = spikes.places(y * across..(y + 1) * across);
        for ((&begin, &end), &place) in begins.iter().zip(ends).zip(&self.places) {
            let (begin, end) = ((2 * self.words * begin) as u64, u64::from(end).min(steps as u64));
            (firsts[place], lasts[place]) = (begin, end);
            for word in 1..self.words {
                (firsts[place + word], lasts[place + word]) = (begin + word as u64, end);
            }
        }
        ends.iter().fold(0, |last, &end| last.max(end as usize)).min(steps)
    }

    /// Fires what changes in a row of windows, with `left` rows to come, this one included.
    #[inline(always)]
    fn fire(&self, (left, last, delay): (usize, usize, usize), (plus, minus): (&[u64], &[u64]), fired: &mut Firing) {
        let (words, across, raster) = (self.words, self.output.width as usize, fired.raster());
        for x in 0..across {
            let mut marks = raster.begin((2 * words, last + delay, left * across - x));
            for word in 0..words {
                let sent = [plus, minus].map(|of| of.get(x * words + word..last * self.row.across).unwrap_or_default());
                marks.put((delay, word), sent.into(), self.row.across);
            }
            let done = marks.done();
            raster.end(2 * words, done, left * across - x == 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functional::lanes::Level;
    use crate::graph::Taps;

    #[test]
    fn largest_counts_are_those_of_the_windows_in_every_instruction_set() {
        let dice = |n: usize| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        for (size, stride, padding, channels) in
            [(3, 2, 1, 64), (2, 2, 0, 131), (3, 1, 1, 16), (1, 3, 0, 65), (5, 2, 2, 1)]
        {
            let window = Window { height: size, width: size, stride, padding };
            let source = Grid { height: 7, width: 6, channels };
            let (height, width) = window.output(source).unwrap();
            let output = Grid { height, width, channels };
            let (taps, steps, channels) = (Taps::over(window, source), 9, channels as usize);
            let count = |position: usize, channel: usize, step: usize| -> i8 {
                // up to three more counts, and then less
                let most = dice(position * channels + channel) % 4;
                step.min(most).saturating_sub(step.saturating_sub(5)) as i8
            };
            let largest = |position: usize, channel: usize, step: usize| {
                let seen = (0..source.positions())
                    .filter(|&at| taps.of(at as u32).iter().any(|tap| tap.position as usize == position));
                seen.map(|at| count(at, channel, step)).max().unwrap_or(0)
            };
            for (level, delay) in Level::all().flat_map(|level| [(level, 0), (level, 1)]) {
                let mut fired = Firing::new(level, source, steps);
                for position in 0..source.positions() {
                    fired.position();
                    for step in 1..=steps as usize {
                        let change = |channel| count(position, channel, step) - count(position, channel, step - 1);
                        fired.fire(&(0..channels).map(change).collect::<Vec<_>>());
                    }
                }
                let (spikes, mut fired) = (Spikes::new(fired), Firing::new(level, output, steps));
                let columns = Columns::new(window, source, output);
                let counts = columns.run(&spikes, (steps as usize - delay, delay), &mut fired);
                let fired = Spikes::new(fired);
                for position in 0..output.positions() {
                    for step in 1..=steps as usize {
                        let mut signs = vec![0; channels];
                        fired.at(position as u32, step as u32).each(|channel, sign| signs[channel] = sign as i8);
                        for (channel, sign) in signs.into_iter().enumerate() {
                            let [now, before] =
                                [step, step - 1].map(|step| largest(position, channel, step.saturating_sub(delay)));
                            assert_eq!(sign, now - before, "{level:?}, {window:?}, {position}, {channel}, {step}");
                        }
                    }
                    let end = |channel| largest(position, channel, steps as usize - delay) as u8;
                    let wanted: Vec<u8> = (0..channels).map(end).collect();
                    assert_eq!(counts[position * channels..][..channels], wanted, "{level:?}, {window:?}, {position}");
                }
            }
        }
    }
}
