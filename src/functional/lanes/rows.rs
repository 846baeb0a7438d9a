//! Sums of rows of small weights: what single spikes bring.

#![allow(
    unsafe_code,
    reason = "loops compiled for instructions beyond the baseline are called after the processor was asked for them"
)]

use super::{LANES, Level, Set};

/// So many rows sum up to less than 2^16 in each byte.
const BURST: usize = 256;

/// Rows of weights of −127 to 127, each kept as `128 + weight` in a byte, two columns to a word of 16 bits: one addition of
/// words adds up both, and a second one the upper bytes by themselves, from which the lower ones follow.
#[derive(Debug, Clone)]
pub(in crate::functional) struct Rows {
    /// Words of a row; columns come in spans, the first half of a span in the lower bytes.
    words: usize,
    rows: Vec<u16>,
}

/// Spans of a row of so many words: the first word, and how many.
fn spans(words: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let span = [64, 32, 16, 8].into_iter().find(|&span| first + span <= words)?;
        first += span;
        Some((first - span, span))
    })
}

impl Rows {
    /// Rows of `columns` weights, each `row(r)` times a sign: products are −127 to 127.
    pub fn new<'a>(count: usize, columns: usize, row: impl Fn(usize) -> (&'a [i32], i32)) -> Self {
        let words = columns.next_multiple_of(LANES) / 2;
        let mut rows = Vec::with_capacity(count * words);
        for (weights, sign) in (0..count).map(row) {
            let byte = |column: usize| weights.get(column).map_or(128, |weight| (128 + sign * weight) as u16);
            for (first, span) in spans(words) {
                rows.extend((2 * first..2 * first + span).map(|column| byte(column) | byte(column + span) << 8));
            }
        }
        Self { words, rows }
    }

    /// Words of a row: row `r` begins at offset `r` times as many.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Adds `gain` times the rows at these offsets to sums, which wrap: two for each word.
    pub fn add(&self, level: Level, offsets: &[u32], gain: i32, sums: &mut [i32]) {
        match level.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the instructions
            Set::Avx512 => unsafe { avx512(self, offsets, gain, sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the instructions
            Set::Avx2 => unsafe { avx2(self, offsets, gain, sums) },
            #[cfg(not(target_arch = "x86_64"))]
            Set::Avx512 | Set::Avx2 => {}
            Set::Plain => add(self, offsets, gain, sums),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn avx512(of: &Rows, offsets: &[u32], gain: i32, sums: &mut [i32]) {
    add(of, offsets, gain, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(of: &Rows, offsets: &[u32], gain: i32, sums: &mut [i32]) {
    add(of, offsets, gain, sums);
}

#[inline(always)]
fn add(of: &Rows, offsets: &[u32], gain: i32, sums: &mut [i32]) {
    for (first, span) in spans(of.words) {
        let sums = &mut sums[2 * first..2 * (first + span)];
        for offsets in offsets.chunks(BURST) {
            match span {
                64 => add_span::<64>(&of.rows[first..], offsets, gain, sums),
                32 => add_span::<32>(&of.rows[first..], offsets, gain, sums),
                16 => add_span::<16>(&of.rows[first..], offsets, gain, sums),
                _ => add_span::<8>(&of.rows[first..], offsets, gain, sums),
            }
        }
    }
}

/// One span, whose sums stay in registers.
#[inline(always)]
fn add_span<const SPAN: usize>(rows: &[u16], offsets: &[u32], gain: i32, sums: &mut [i32]) {
    let (mut both, mut upper) = ([0u16; SPAN], [0u16; SPAN]);
    for &offset in offsets {
        let row = &rows[offset as usize..][..SPAN];
        for ((both, upper), &word) in both.iter_mut().zip(&mut upper).zip(row) {
            *both = both.wrapping_add(word);
            *upper = upper.wrapping_add(word >> 8);
        }
    }
    let excess = 128 * offsets.len() as i32;
    let (low, high) = sums.split_at_mut(SPAN);
    for ((low, both), upper) in low.iter_mut().zip(both).zip(upper) {
        let sum = i32::from(both.wrapping_sub(upper << 8)) - excess;
        *low = low.wrapping_add(gain.wrapping_mul(sum));
    }
    for (high, upper) in high.iter_mut().zip(upper) {
        *high = high.wrapping_add(gain.wrapping_mul(i32::from(upper) - excess));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_alike_in_every_instruction_set() {
        for (columns, count) in [(1, 0), (16, 5), (30, 300), (48, 256), (128, 17), (248, 513), (512, 40)] {
            let weight = |row: usize, column: usize| match row % 3 {
                0 => -127,
                1 => 127,
                _ => (row * 31 + column * 17) as i32 % 255 - 127,
            };
            let table: Vec<Vec<i32>> = (0..40).map(|r| (0..columns).map(|c| -weight(r, c)).collect()).collect();
            let rows = Rows::new(40, columns, |row| (&table[row], -1));
            // many rows of one sign reach the ends of what a word holds
            let chosen: Vec<usize> = (0..count).map(|n| if count > 100 { n % 3 / 2 } else { n * 7 % 40 }).collect();
            let offsets: Vec<u32> = chosen.iter().map(|row| (row * rows.words()) as u32).collect();
            let sum = |column| chosen.iter().map(|&row| weight(row, column)).sum::<i32>();
            for level in Level::all() {
                let mut sums = vec![5; 2 * rows.words()];
                rows.add(level, &offsets, -3, &mut sums);
                let wanted: Vec<i32> = (0..columns).map(|column| 5 - 3 * sum(column)).collect();
                assert_eq!(sums[..columns], wanted, "{level:?}, {columns} columns, {count} rows");
                assert!(sums[columns..].iter().all(|&sum| sum == 5));
            }
        }
    }
}
