//! Small weights of windows scattered to where they land: what single spikes bring to all positions around them.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, and registers are loaded \
              and stored inside slices whose lengths are asserted just before"
)]

use super::{Aligned, Level, Raster, Set, WORD};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Positions of a window in a row, and its rows.
const SIDE: usize = 3;
/// Taps of a window.
const TAPS: usize = SIDE * SIDE;
/// Words of a register, and of half a one.
const WORDS: usize = 32;
const HALF: usize = WORDS / 2;

/// Weights of windows of three by three positions that are one apart, for sums of 16 bits. Each is kept as `128 + weight` in a
/// byte, two columns to a word, as in [`super::Rows`].
#[derive(Debug, Clone)]
pub(in crate::functional) struct Scatter {
    /// Rows of each position, one for each input: those of negative spikes are taken away, so that the table of a panel stays in the
    /// first cache as long as can be.
    rows: usize,
    /// Columns, rounded up to whole panels.
    columns: usize,
    /// Panels of a register of words, the last one of half a register where that is enough: `[panel][row][tap][word]`, the columns
    /// of the lower bytes before those of the upper ones.
    table: Aligned,
    /// So many spikes to a window, whichever they are, bring no more than words hold.
    fits: u32,
}

/// What a grid fires in a step.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Fired<'a> {
    pub raster: &'a Raster,
    /// The step, from 0.
    pub step: u32,
    /// Positions of a row of the grid.
    pub across: usize,
}

impl<'a> Fired<'a> {
    fn positions(self) -> usize {
        self.raster.lasts.len()
    }

    /// Words of positive signs of a position, as many of negative ones, and which bits of them count: where a position fires no more
    /// they are any, and none counts. No branch, which nobody could foresee.
    #[inline(always)]
    fn row(self, words: usize, position: usize) -> (&'a [u64], &'a [u64], u64) {
        let Raster { bits, firsts, lasts, .. } = self.raster;
        let last_row = bits.len() / words - 1;
        let row = &bits[(firsts[position] + self.step as usize).min(last_row) * words..][..words];
        let (plus, minus) = row.split_at(words / 2);
        (plus, minus, if self.step < lasts[position] { u64::MAX } else { 0 })
    }
}

/// First column of each panel, and the words of a tap in it.
fn panels(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns).step_by(2 * WORDS).map(move |first| (first, ((columns - first) / 2).min(WORDS)))
}

/// The largest weights of a column that words hold the sum of: how many, of so many of each size.
fn fitting(sizes: &[u32; i8::MAX as usize + 1]) -> u32 {
    let (mut left, mut fits) = (i16::MAX as u32, 0);
    for (size, &count) in (0..sizes.len() as u32).zip(sizes).rev() {
        let most = left.checked_div(size).unwrap_or(u32::MAX);
        if most < count {
            return fits + most;
        }
        (left, fits) = (left - size * count, fits + count);
    }
    u32::MAX
}

impl Scatter {
    /// Weights `row(tap, input)`; `None` where any is beyond 8 bits, or the smallest of them.
    pub fn new<'a>((inputs, columns): (usize, usize), row: impl Fn(usize, usize) -> &'a [i32]) -> Option<Self> {
        let mut sizes = vec![[0u32; i8::MAX as usize + 1]; columns];
        for (tap, input) in (0..TAPS).flat_map(|tap| (0..inputs).map(move |input| (tap, input))) {
            for (sizes, weight) in sizes.iter_mut().zip(row(tap, input)) {
                *sizes.get_mut(weight.unsigned_abs() as usize)? += 1;
            }
        }
        if inputs == 0 {
            return None;
        }
        let fits = sizes.iter().map(fitting).fold(u32::MAX, u32::min);
        let (rows, padded) = (inputs, columns.next_multiple_of(2 * HALF));
        let mut table = Aligned::default();
        table.make_room(rows * TAPS * padded / 4);
        let words: &mut [u16] = bytemuck::cast_slice_mut(&mut table);
        let places = panels(padded).flat_map(|panel| (0..rows).map(move |input| (panel, input)));
        let places = places.flat_map(|place| (0..TAPS).map(move |tap| (place, tap)));
        let mut at = 0;
        for (((first, span), input), tap) in places {
            let row = row(tap, input);
            let byte = |column: usize| (128 + row.get(column).copied().unwrap_or(0)) as u16;
            for (word, column) in words[at..at + span].iter_mut().zip(first..) {
                *word = byte(column) | byte(column + span) << 8;
            }
            at += span;
        }
        Some(Self { rows, columns: padded, table, fits })
    }

    /// Columns of a row of sums.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Words of bits of a position.
    fn words(&self) -> usize {
        2 * self.rows.div_ceil(WORD)
    }

    /// Whether words hold the sums of all windows over a grid.
    pub fn holds(&self, fired: Fired) -> bool {
        if self.fits == u32::MAX || fired.raster.bits.is_empty() {
            return true;
        }
        let sent = |position| {
            let (plus, minus, there) = fired.row(self.words(), position);
            plus.iter().chain(minus).map(|word| (word & there).count_ones()).sum()
        };
        let sent: Vec<u32> = (0..fired.positions()).map(sent).collect();
        // all others lie within one of these
        let windows = (0..fired.positions()).map(|first| (first, fired.across - first % fired.across));
        let seen = |(first, beside): (usize, usize)| -> u32 {
            let rows = (first..sent.len()).step_by(fired.across).take(SIDE);
            rows.flat_map(|row| &sent[row..row + SIDE.min(beside)]).sum()
        };
        windows.map(seen).all(|seen| seen <= self.fits)
    }

    /// Sums of all windows over a grid and a margin of two positions around it, `[position][column]`, without those in which
    /// nothing lies: two more positions than there are in each row, and two more rows. They wrap, where [`Scatter::holds`] says no.
    ///
    /// # Panics
    /// If positions are no whole rows, or have other rows of bits; if there is less room for sums.
    pub fn sum(&self, level: Level, fired: Fired, sums: &mut [i16]) {
        if fired.raster.bits.is_empty() {
            return sums.fill(0);
        }
        let (across, down) = (fired.across, fired.positions() / fired.across);
        let line = (across + SIDE - 1) * self.columns;
        assert!(down * across == fired.positions() && sums.len() >= (down + SIDE - 1) * line);
        sums[..(SIDE - 1) * line].fill(0);
        let table: &[u16] = bytemuck::cast_slice(&self.table);
        for (first, span) in panels(self.columns) {
            let panel = &table[first / 2 * TAPS * self.rows..][..span * TAPS * self.rows];
            for y in 0..down {
                let (sent, below) = ((fired, y * across), &mut sums[y * line + first..(y + SIDE) * line]);
                match (level.0, span) {
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: the processor has the instructions, and there are as many rows of sums as a window has
                    (Set::Avx512, WORDS) => unsafe { avx512(self, panel, sent, below) },
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: as above
                    (Set::Avx512, _) => unsafe { avx512_half(self, panel, sent, below) },
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: the processor has the instructions
                    (Set::Avx2, WORDS) => unsafe { avx2::<WORDS>(self, panel, sent, below) },
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: the processor has the instructions
                    (Set::Avx2, _) => unsafe { avx2::<HALF>(self, panel, sent, below) },
                    (_, WORDS) => self.plain::<WORDS>(panel, sent, below),
                    (_, _) => self.plain::<HALF>(panel, sent, below),
                }
            }
        }
    }

    /// What a row of positions, from one on, brings to the rows of sums that windows over it have; the last one of these is new.
    #[inline(always)]
    fn plain<const SPAN: usize>(&self, panel: &[u16], (fired, first): (Fired, usize), sums: &mut [i16]) {
        let line = (fired.across + SIDE - 1) * self.columns;
        for at in ((SIDE - 1) * line..).step_by(self.columns).take(fired.across + SIDE - 1) {
            sums[at..at + 2 * SPAN].fill(0);
        }
        for x in 0..fired.across {
            let (plus, minus, there) = fired.row(self.words(), first + x);
            let (mut all, mut any, mut excess) = ([[[0i16; SPAN]; 2]; TAPS], 0, 0);
            // no closures here: those are not compiled for the caller's instruction set
            for ((&plus, &minus), channel) in plus.iter().zip(minus).zip((0..).step_by(WORD)) {
                let mut left = (plus | minus) & there;
                any |= left;
                while left != 0 {
                    let sign = 1 - 2 * (minus >> left.trailing_zeros() & 1) as i16;
                    let row = channel + left.trailing_zeros() as usize;
                    left &= left - 1;
                    excess += 128 * i32::from(sign);
                    let row = &panel[row * TAPS * SPAN..][..TAPS * SPAN];
                    for ([lower, upper], words) in all.iter_mut().zip(row.chunks_exact(SPAN)) {
                        for at in 0..SPAN {
                            lower[at] = lower[at].wrapping_add(sign.wrapping_mul((words[at] & 0xff) as i16));
                            upper[at] = upper[at].wrapping_add(sign.wrapping_mul((words[at] >> 8) as i16));
                        }
                    }
                }
            }
            if any == 0 {
                continue;
            }
            let excess = excess as i16;
            for (tap, from) in all.iter().enumerate() {
                let to = (SIDE - 1 - tap / SIDE) * line + (x + SIDE - 1 - tap % SIDE) * self.columns;
                let pairs = sums[to..to + 2 * SPAN].iter_mut().zip(from.as_flattened());
                pairs.for_each(|(sum, from)| *sum = sum.wrapping_add(from.wrapping_sub(excess)));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<const SPAN: usize>(of: &Scatter, panel: &[u16], sent: (Fired, usize), sums: &mut [i16]) {
    of.plain::<SPAN>(panel, sent, sums);
}

/// As [`Scatter::plain`], with registers of so many words: sums of the three positions that a column of positions reaches in each
/// row stay in registers, from where each goes to memory once, when windows have left the column behind.
macro_rules! sliding {
    ($name:ident, $span:ident, $register:ty, [$zero:ident $load:ident $store:ident $set:ident $add:ident $sub:ident $right:ident $left:ident]) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,popcnt")]
        unsafe fn $name(of: &Scatter, panel: &[u16], (fired, first): (Fired, usize), sums: &mut [i16]) {
            // of each position of a row that is reached, and each row: both parts of words, and the upper ones by themselves
            let fresh = [[$zero(); 2]; SIDE];
            let (mut reached, mut spikes) = ([fresh; SIDE], [0; SIDE]);
            let line = (fired.across + SIDE - 1) * of.columns;
            for x in 0..fired.across + SIDE - 1 {
                // two more positions have nothing to bring
                let (plus, minus, there) = fired.row(of.words(), first + x.min(fired.across - 1));
                let there = if x < fired.across { there } else { 0 };
                for ((&plus, &minus), channel) in plus.iter().zip(minus).zip((0..).step_by(WORD)) {
                    let (mut plus, mut minus) = (plus & there, minus & there);
                    spikes[0] += plus.count_ones() as i32 - minus.count_ones() as i32;
                    while plus != 0 {
                        let row = (channel + plus.trailing_zeros() as usize).min(of.rows - 1);
                        plus &= plus - 1;
                        // SAFETY: the row lies within the panel, with a register for each tap
                        let row = unsafe { panel.as_ptr().add(row * TAPS * $span) };
                        for tap in 0..TAPS {
                            let words = unsafe { $load(row.add(tap * $span).cast()) };
                            let [both, upper] = &mut reached[tap % SIDE][tap / SIDE];
                            *both = $add(*both, words);
                            *upper = $add(*upper, $right::<8>(words));
                        }
                    }
                    while minus != 0 {
                        let row = (channel + minus.trailing_zeros() as usize).min(of.rows - 1);
                        minus &= minus - 1;
                        // SAFETY: as above
                        let row = unsafe { panel.as_ptr().add(row * TAPS * $span) };
                        for tap in 0..TAPS {
                            let words = unsafe { $load(row.add(tap * $span).cast()) };
                            let [both, upper] = &mut reached[tap % SIDE][tap / SIDE];
                            *both = $sub(*both, words);
                            *upper = $sub(*upper, $right::<8>(words));
                        }
                    }
                }
                let excess = $set((128 * spikes.iter().sum::<i32>()) as i16);
                for (y, [both, upper]) in reached[SIDE - 1].into_iter().enumerate() {
                    let [lower, upper] = [$sub(both, $left::<8>(upper)), upper].map(|sum| $sub(sum, excess));
                    // SAFETY: the caller has as many rows of sums, with two registers for each position
                    unsafe {
                        let to = sums.as_mut_ptr().add((SIDE - 1 - y) * line + x * of.columns);
                        for (sum, to) in [(lower, to), (upper, to.add($span))] {
                            let sum = if y == 0 { sum } else { $add(sum, $load(to.cast_const().cast())) };
                            $store(to.cast(), sum);
                        }
                    }
                }
                reached = [fresh, reached[0], reached[1]];
                spikes = [0, spikes[0], spikes[1]];
            }
        }
    };
}

sliding!(avx512, WORDS, __m512i, [_mm512_setzero_si512 _mm512_loadu_si512 _mm512_storeu_si512 _mm512_set1_epi16 _mm512_add_epi16 _mm512_sub_epi16
    _mm512_srli_epi16 _mm512_slli_epi16]);
sliding!(avx512_half, HALF, __m256i, [_mm256_setzero_si256 _mm256_loadu_si256 _mm256_storeu_si256 _mm256_set1_epi16 _mm256_add_epi16 _mm256_sub_epi16
    _mm256_srli_epi16 _mm256_slli_epi16]);

#[cfg(test)]
mod tests {
    use super::super::mark;
    use super::*;

    /// Positions that fire nothing in the first step, and signs in the second one; those without any have no rows.
    fn raster((inputs, positions): (usize, usize), sign: impl Fn(usize, usize) -> i32) -> Raster {
        let (mut raster, words) = (Raster::default(), inputs.div_ceil(WORD));
        for position in 0..positions {
            let signs: Vec<i8> = (0..inputs).map(|input| sign(position, input) as i8).collect();
            let fires = signs.iter().any(|&sign| sign != 0);
            raster.firsts.push(raster.bits.len() / (2 * words));
            raster.lasts.push(if fires { 2 } else { 0 });
            if fires {
                let mut rows = vec![0; 4 * words];
                let (plus, minus) = rows[2 * words..].split_at_mut(words);
                mark(&signs, plus, minus);
                raster.bits.extend(rows);
            }
        }
        raster
    }

    #[test]
    fn sums_are_alike_in_every_instruction_set() {
        for (inputs, columns, down, across) in [
            (1, 1, 1, 1),
            (3, 32, 4, 1),
            (16, 40, 3, 4),
            (5, 64, 1, 7),
            (28, 100, 2, 3),
            (9, 130, 3, 3),
            (1_300, 16, 1, 2),
        ] {
            let weight = |tap: usize, input: usize, column: usize| match (tap + input) % 5 {
                0 => 127,
                1 => -127,
                _ => (tap * 31 + input * 17 + column * 7) as i32 % 255 - 127,
            };
            let table: Vec<Vec<i32>> = (0..TAPS * inputs)
                .map(|row| (0..columns).map(|column| weight(row / inputs, row % inputs, column)).collect())
                .collect();
            let Some(scatter) = Scatter::new((inputs, columns), |tap, input| &table[tap * inputs + input]) else {
                panic!("{inputs} × {columns} fit into 16 bits")
            };
            let sign = |position: usize, input: usize| match (position * position + input * 7 + input / 3) % 5 {
                0 | 1 => 1,
                2 => -1,
                _ => 0,
            };
            let raster = raster((inputs, down * across), sign);
            let (line, width) = (across + SIDE - 1, scatter.columns());
            let mut wanted = vec![0i16; (down + SIDE - 1) * line * width];
            for (position, input) in (0..down * across).flat_map(|position| (0..inputs).map(move |i| (position, i))) {
                for (tap, column) in (0..TAPS).flat_map(|tap| (0..columns).map(move |column| (tap, column))) {
                    let (y, x) = (position / across + 2 - tap / SIDE, position % across + 2 - tap % SIDE);
                    let sum = &mut wanted[(y * line + x) * width + column];
                    *sum = sum.wrapping_add((sign(position, input) * weight(tap, input, column)) as i16);
                }
            }
            for level in Level::all() {
                let mut sums = vec![3; wanted.len() + 1];
                scatter.sum(level, Fired { raster: &raster, step: 1, across }, &mut sums);
                assert_eq!(sums.pop(), Some(3));
                assert!(sums == wanted, "{level:?}, {inputs} × {columns}, {down} × {across} positions");
            }
        }
        assert!(Scatter::new((1, 32), |_, _| &[-128]).is_none());
    }

    #[test]
    fn sums_that_words_do_not_hold_are_known() {
        // 258 · 127 is the last that fits
        let heavy = Scatter::new((100, 1), |_, _| &[-127]).unwrap();
        let all = |counts: &[usize]| {
            let raster = raster((100, counts.len()), |position, input| (input < counts[position]).into());
            heavy.holds(Fired { raster: &raster, step: 1, across: 2 })
        };
        assert!(all(&[100, 100, 58, 0]) && !all(&[100, 100, 58, 1]));
        assert!(all(&[58, 0, 100, 100, 0, 0, 0, 58]) && !all(&[58, 0, 100, 100, 0, 1, 0, 0]));
        let mixed = |tap: usize, input: usize| if tap == 3 && input < 50 { &[127][..] } else { &[3] };
        // 50 · 127 and 8 805 · 3 fit
        assert_eq!(Scatter::new((2_000, 1), mixed).map(|of| of.fits), Some(8_855));
        assert_eq!(Scatter::new((900, 1), mixed).map(|of| of.fits), Some(u32::MAX));
    }
}
