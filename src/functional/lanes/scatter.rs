//! Small weights of windows scattered to where they land: what single spikes bring to all positions around them.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, and registers are loaded \
              and stored inside slices whose lengths are asserted just before"
)]

use super::{Aligned, Level, Set};
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
    /// Rows of each position: inputs, then as many with the other sign.
    rows: usize,
    /// Columns, rounded up to whole panels.
    columns: usize,
    /// Panels of a register of words, the last one of half a register where that is enough: `[panel][row][tap][word]`, the columns
    /// of the lower bytes before those of the upper ones.
    table: Aligned,
    /// So many spikes to a window, whichever they are, bring no more than words hold.
    fits: u32,
}

/// Who fires in a step.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Fired<'a> {
    /// Codes of each position: `position · rows + row`, those of position `p` at `starts[p]..starts[p + 1]`.
    pub codes: &'a [u32],
    pub starts: &'a [u32],
    /// Positions of a row of the grid.
    pub across: usize,
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
        let (rows, padded) = (2 * inputs, columns.next_multiple_of(2 * HALF));
        let mut table = Aligned::default();
        table.make_room(rows * TAPS * padded / 4);
        let words: &mut [u16] = bytemuck::cast_slice_mut(&mut table);
        let places = panels(padded).flat_map(|panel| (0..rows).map(move |code| (panel, code)));
        let places = places.flat_map(|place| (0..TAPS).map(move |tap| (place, tap)));
        let mut at = 0;
        for (((first, span), code), tap) in places {
            let (sign, row) = (if code < inputs { 1 } else { -1 }, row(tap, code % inputs));
            let byte = |column: usize| (128 + sign * row.get(column).copied().unwrap_or(0)) as u16;
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

    /// Whether words hold the sums of all windows over a grid.
    pub fn holds(&self, Fired { starts, across, .. }: Fired) -> bool {
        let down = starts.len().saturating_sub(1) / across.max(1);
        // where it is one row or position short, windows reach beyond the grid
        let seen = |y: usize, x: usize| -> u32 {
            let rows = (y..(y + SIDE).min(down)).map(|y| &starts[y * across..][..across + 1]);
            rows.map(|row| row[(x + SIDE).min(across)] - row[x]).sum()
        };
        let mut windows = (0..down).flat_map(|y| (0..across).map(move |x| (y, x)));
        self.fits == u32::MAX || windows.all(|(y, x)| seen(y, x) <= self.fits)
    }

    /// Sums of all windows over a grid and a margin of two positions around it, `[position][column]`, without those in which
    /// nothing lies: two more positions than there are in each row, and two more rows. A code that is none of its position's stands
    /// for the last one that is. Sums wrap, where [`Scatter::holds`] says no.
    ///
    /// # Panics
    /// If positions are no whole rows, codes lie behind the last one, or there is less room for sums.
    pub fn sum(&self, level: Level, fired: Fired, sums: &mut [i16]) {
        let positions = fired.starts.len().saturating_sub(1);
        let (down, line) = (positions / fired.across, (fired.across + SIDE - 1) * self.columns);
        assert!(fired.across > 0 && down * fired.across == positions && sums.len() >= (down + SIDE - 1) * line);
        assert!(fired.starts.is_sorted() && fired.starts.last().is_none_or(|&end| end as usize <= fired.codes.len()));
        sums[..(SIDE - 1) * line].fill(0);
        let table: &[u16] = bytemuck::cast_slice(&self.table);
        for (first, span) in panels(self.columns) {
            let panel = &table[first / 2 * TAPS * self.rows..][..span * TAPS * self.rows];
            for y in 0..down {
                let starts = &fired.starts[y * fired.across..][..fired.across + 1];
                let sent = (fired.codes, starts, (y * fired.across * self.rows) as u32);
                let below = &mut sums[y * line + first..(y + SIDE) * line];
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

    /// The row of a code of a position whose codes begin at `base`.
    #[inline(always)]
    fn row(&self, code: u32, base: u32) -> usize {
        code.wrapping_sub(base).min(self.rows as u32 - 1) as usize
    }

    /// What a row of positions brings to the rows of sums that windows over it have; the last one of these is new.
    #[inline(always)]
    fn plain<const SPAN: usize>(&self, panel: &[u16], (codes, starts, first): Sent, sums: &mut [i16]) {
        let (across, line) = (starts.len() - 1, (starts.len() + SIDE - 2) * self.columns);
        let new = (SIDE - 1) * line;
        for at in (new..).step_by(self.columns).take(across + SIDE - 1) {
            sums[at..at + 2 * SPAN].fill(0);
        }
        for ((x, ends), base) in (0..).zip(starts.windows(2)).zip((first..).step_by(self.rows)) {
            let codes = &codes[ends[0] as usize..ends[1] as usize];
            let mut all = [[[0i16; SPAN]; 2]; TAPS];
            for &code in codes {
                let row = &panel[self.row(code, base) * TAPS * SPAN..][..TAPS * SPAN];
                for ([lower, upper], words) in all.iter_mut().zip(row.chunks_exact(SPAN)) {
                    lower.iter_mut().zip(words).for_each(|(sum, word)| *sum = sum.wrapping_add((word & 0xff) as i16));
                    upper.iter_mut().zip(words).for_each(|(sum, word)| *sum = sum.wrapping_add((word >> 8) as i16));
                }
            }
            let excess = (128 * codes.len()) as i16;
            for (tap, from) in all.iter().enumerate() {
                let to = (SIDE - 1 - tap / SIDE) * line + (x + SIDE - 1 - tap % SIDE) * self.columns;
                let pairs = sums[to..to + 2 * SPAN].iter_mut().zip(from.as_flattened());
                pairs.for_each(|(sum, from)| *sum = sum.wrapping_add(from.wrapping_sub(excess)));
            }
        }
    }
}

/// Codes, where those of each position of a row begin, and the first code that the first of them has.
type Sent<'a> = (&'a [u32], &'a [u32], u32);

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<const SPAN: usize>(of: &Scatter, panel: &[u16], sent: Sent, sums: &mut [i16]) {
    of.plain::<SPAN>(panel, sent, sums);
}

/// As [`Scatter::plain`], with registers of so many words: sums of the three positions that a column of positions reaches in each
/// row stay in registers, from where each goes to memory once, when windows have left the column behind.
macro_rules! sliding {
    ($name:ident, $span:ident, $register:ty, [$zero:ident $load:ident $store:ident $set:ident $add:ident $sub:ident $right:ident $left:ident]) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
        unsafe fn $name(of: &Scatter, panel: &[u16], (codes, starts, first): Sent, sums: &mut [i16]) {
            // of each position of a row that is reached, and each row: both parts of words, and the upper ones by themselves
            let fresh = [[$zero(); 2]; SIDE];
            let (mut reached, mut spikes, mut base) = ([fresh; SIDE], [0; SIDE], first);
            let (across, line) = (starts.len() - 1, (starts.len() + SIDE - 2) * of.columns);
            for x in 0..across + SIDE - 1 {
                if x < across {
                    let codes = &codes[starts[x] as usize..starts[x + 1] as usize];
                    spikes[0] = codes.len();
                    for &code in codes {
                        // SAFETY: the row lies within the panel, with a register for each tap
                        let row = unsafe { panel.as_ptr().add(of.row(code, base) * TAPS * $span) };
                        for tap in 0..TAPS {
                            let words = unsafe { $load(row.add(tap * $span).cast()) };
                            let [both, upper] = &mut reached[tap % SIDE][tap / SIDE];
                            *both = $add(*both, words);
                            *upper = $add(*upper, $right::<8>(words));
                        }
                    }
                    base = base.wrapping_add(of.rows as u32);
                }
                let excess = $set((128 * spikes.iter().sum::<usize>()) as i16);
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
    use super::*;

    #[test]
    fn sums_are_alike_in_every_instruction_set() {
        for (inputs, columns, down, across) in
            [(1, 1, 1, 1), (3, 32, 4, 1), (16, 40, 3, 4), (5, 64, 1, 7), (28, 100, 2, 3), (9, 130, 3, 3)]
        {
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
            let rows = 2 * inputs;
            let chosen = |position: usize, row: usize| (position * position + row * 7 + row / 3).is_multiple_of(3);
            let (mut codes, mut starts) = (vec![], vec![0]);
            for position in 0..down * across {
                codes.extend((0..rows).filter(|&row| chosen(position, row)).map(|row| (position * rows + row) as u32));
                starts.push(codes.len() as u32);
            }
            let (line, width) = (across + SIDE - 1, scatter.columns());
            let mut wanted = vec![0i16; (down + SIDE - 1) * line * width];
            for &code in &codes {
                let (position, row) = (code as usize / rows, code as usize % rows);
                for (tap, column) in (0..TAPS).flat_map(|tap| (0..columns).map(move |column| (tap, column))) {
                    let (y, x) = (position / across + 2 - tap / SIDE, position % across + 2 - tap % SIDE);
                    let sign = if row < inputs { 1 } else { -1 };
                    let sum = &mut wanted[(y * line + x) * width + column];
                    *sum = sum.wrapping_add((sign * weight(tap, row % inputs, column)) as i16);
                }
            }
            for level in Level::all() {
                let mut sums = vec![3; wanted.len() + 1];
                scatter.sum(level, Fired { codes: &codes, starts: &starts, across }, &mut sums);
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
        let all = |counts: &[u32]| {
            let starts: Vec<u32> = [0]
                .iter()
                .chain(counts)
                .scan(0, |sum, count| {
                    Some({
                        *sum += count;
                        *sum
                    })
                })
                .collect();
            heavy.holds(Fired { codes: &[], starts: &starts, across: 2 })
        };
        assert!(all(&[100, 100, 58, 0]) && !all(&[100, 100, 58, 1]));
        assert!(all(&[58, 0, 100, 100, 0, 0, 100, 100]) && !all(&[58, 0, 100, 100, 0, 1, 0, 0]));
        let mixed = |tap: usize, input: usize| if tap == 3 && input < 50 { &[127][..] } else { &[3] };
        // 50 · 127 and 8 805 · 3 fit
        assert_eq!(Scatter::new((2_000, 1), mixed).map(|of| of.fits), Some(8_855));
        assert_eq!(Scatter::new((900, 1), mixed).map(|of| of.fits), Some(u32::MAX));
    }
}
