//! Sums of rows of small weights: what single spikes bring.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, and registers are loaded \
              and stored inside slices whose lengths are asserted just before"
)]

use super::{Aligned, LANES, Level, Set};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// So many rows sum up to less than 2^16 in each byte.
pub(in crate::functional) const BURST: usize = 256;

/// Rows of weights of −127 to 127, each kept as `128 + weight` in a byte, two columns to a word of 16 bits: one addition of
/// words adds up both, and a second one the upper bytes by themselves, from which the lower ones follow.
#[derive(Debug, Clone)]
pub(in crate::functional) struct Rows {
    pub(super) count: usize,
    /// Words of a row; columns come in spans, the first half of a span in the lower bytes.
    words: usize,
    /// Span after span, so that what is added up together lies together: `[span][row][word]`.
    table: Aligned,
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
        let (mut table, mut bytes) = (Aligned::default(), vec![128u8; 2 * words]);
        table.make_room((count * words).div_ceil(2));
        let to: &mut [u16] = bytemuck::cast_slice_mut(&mut table);
        for (at, (weights, sign)) in (0..count).map(row).enumerate() {
            bytes.iter_mut().zip(weights).for_each(|(byte, weight)| *byte = (128 + sign * weight) as u8);
            for (first, span) in spans(words) {
                let (lower, upper) = bytes[2 * first..][..2 * span].split_at(span);
                let pairs = lower.iter().zip(upper).map(|(&lower, &upper)| u16::from(lower) | u16::from(upper) << 8);
                to[first * count + at * span..].iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair);
            }
        }
        Self { count, words, table }
    }

    /// The words of all rows in a span.
    #[inline(always)]
    pub(super) fn span(&self, (first, span): (usize, usize)) -> &[u16] {
        &bytemuck::cast_slice(&self.table)[first * self.count..][..span * self.count]
    }

    /// Adds what a bundle asks for, from lists of `codes`, to rows of sums, which wrap: two for each word.
    ///
    /// # Panics
    /// If it names rows that are not there, or sums beyond the slice.
    pub fn add(&self, level: Level, codes: &[&[u32]], bundle: &Bundle, sums: &mut [i32]) {
        let count = self.count as u32;
        let within = |list: &List| {
            let codes = &codes[list.from][list.start..list.end];
            codes.iter().fold(true, |all, code| all & (code.wrapping_add(list.first) < count))
        };
        assert!(bundle.lists.iter().all(within));
        assert!(bundle.targets.iter().all(|&(to, _)| to.saturating_add(2 * self.words) <= sums.len()));
        let short = bundle.lists.iter().all(|list| i16::try_from(list.gain).is_ok());
        for (first, span) in spans(self.words) {
            let (mut begin, table) = (0, (self.span((first, span)), span));
            for &(to, end) in &bundle.targets {
                let (lists, sums) = (&bundle.lists[begin..end], &mut sums[to + 2 * first..][..2 * span]);
                begin = end;
                match (level.0, span) {
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: the processor has the instructions, and all rows that are asked for lie within the table
                    (Set::Avx512, 64) if short => unsafe { avx512_span::<2>(table, codes, lists, sums) },
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: as above
                    (Set::Avx512, _) if short => unsafe { avx512_span::<1>(table, codes, lists, sums) },
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: the processor has the instructions
                    (Set::Avx512 | Set::Avx2, _) => unsafe { avx2(table, codes, lists, sums) },
                    #[cfg(not(target_arch = "x86_64"))]
                    (Set::Avx512 | Set::Avx2, _) => {}
                    (Set::Plain, _) => add_lists(table, codes, lists, sums),
                }
            }
        }
    }

    /// Spans of columns that are summed up together: the first column, and how many there are.
    pub fn spans(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        spans(self.words).map(|(first, span)| (2 * first, 2 * span))
    }

    /// Sums of a span of columns: a row of words for the codes between every two `ends`.
    ///
    /// # Panics
    /// If codes are no rows, or more than [`BURST`] together; if there is no such span, or no room.
    pub fn sum(&self, level: Level, (first, span): (usize, usize), (codes, ends): (&[u32], &[u32]), sums: &mut [i16]) {
        assert!(self.spans().any(|there| there == (first, span)));
        let (first, span, count) = (first / 2, span / 2, self.count as u32);
        assert!(ends.len().saturating_sub(1) * 2 * span <= sums.len());
        let [begin, end] = [ends.first(), ends.last()].map(|end| end.map_or(0, |&end| end as usize));
        assert!(codes[begin..end].iter().fold(true, |all, &code| all & (code < count)));
        assert!(ends.windows(2).all(|ends| ends[0] <= ends[1] && (ends[1] - ends[0]) as usize <= BURST));
        let (table, lists) = ((self.span((first, span)), span), (codes, ends));
        match (level.0, span) {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the instructions, and all rows lie within the table
            (Set::Avx512, 64) => unsafe { avx512_words::<2>(table, lists, sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above
            (Set::Avx512, _) => unsafe { avx512_words::<1>(table, lists, sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the instructions
            (Set::Avx2, _) => unsafe { avx2_words(table, lists, sums) },
            (_, _) => words(table, lists, sums),
        }
    }
}

/// Rows of weights to be added up.
#[derive(Debug, Default)]
pub(in crate::functional) struct Bundle {
    pub lists: Vec<List>,
    /// Where the sums of all lists since the target before go, and where those lists end.
    pub targets: Vec<(usize, usize)>,
}

/// Rows to be added up with a gain: row `code + first` for some of the codes of a list.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct List {
    /// Which list of codes.
    pub from: usize,
    pub start: usize,
    pub end: usize,
    /// Wraps.
    pub first: u32,
    pub gain: i32,
}

impl Bundle {
    pub fn clear(&mut self) {
        self.lists.clear();
        self.targets.clear();
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(table: (&[u16], usize), codes: &[&[u32]], lists: &[List], sums: &mut [i32]) {
    add_lists(table, codes, lists, sums);
}

/// One span of what lists ask for.
#[inline(always)]
fn add_lists((table, span): (&[u16], usize), codes: &[&[u32]], lists: &[List], sums: &mut [i32]) {
    for list in lists {
        for rows in codes[list.from][list.start..list.end].chunks(BURST) {
            let rows = (rows, list.first);
            match span {
                64 => add_span::<64>(table, rows, list.gain, sums),
                32 => add_span::<32>(table, rows, list.gain, sums),
                16 => add_span::<16>(table, rows, list.gain, sums),
                _ => add_span::<8>(table, rows, list.gain, sums),
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_words(table: (&[u16], usize), lists: (&[u32], &[u32]), sums: &mut [i16]) {
    words(table, lists, sums);
}

/// Sums of a span as words, list by list.
#[inline(always)]
fn words((table, span): (&[u16], usize), (codes, ends): (&[u32], &[u32]), sums: &mut [i16]) {
    for (ends, sums) in ends.windows(2).zip(sums.chunks_exact_mut(2 * span)) {
        let rows = (&codes[ends[0] as usize..ends[1] as usize], 0);
        let mut wide = [0; 128];
        match span {
            64 => add_span::<64>(table, rows, 1, &mut wide),
            32 => add_span::<32>(table, rows, 1, &mut wide),
            16 => add_span::<16>(table, rows, 1, &mut wide),
            _ => add_span::<8>(table, rows, 1, &mut wide),
        }
        sums.iter_mut().zip(wide).for_each(|(sum, wide)| *sum = wide as i16);
    }
}

/// The same, of `Z` registers of words.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn avx512_words<const Z: usize>(
    (table, span): (&[u16], usize),
    (codes, ends): (&[u32], &[u32]),
    sums: &mut [i16],
) {
    let there = u32::MAX >> (32 - span.min(32));
    for (ends, sums) in ends.windows(2).zip(sums.chunks_exact_mut(2 * span)) {
        let codes = &codes[ends[0] as usize..ends[1] as usize];
        // SAFETY: as for the caller
        let [both, upper] = unsafe { sum_up::<Z>((table, span), (codes, 0)) };
        let (low, high) = sums.split_at_mut(span);
        for (half, to) in [(both, low), (upper, high)] {
            for (sum, to) in half.into_iter().zip(to.chunks_mut(2 * LANES)) {
                // SAFETY: only the sums that are there are stored
                unsafe { _mm512_mask_storeu_epi16(to.as_mut_ptr(), there, sum) };
            }
        }
    }
}

/// Sums of up to [`BURST`] rows, as words: of the lower bytes, and of the upper ones.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn sum_up<const Z: usize>((table, span): (&[u16], usize), (codes, first): (&[u32], u32)) -> [[__m512i; Z]; 2] {
    let (mut both, mut upper) = ([_mm512_setzero_si512(); Z], [_mm512_setzero_si512(); Z]);
    let there = u32::MAX >> (32 - span.min(32));
    for code in codes {
        // SAFETY: the row lies within the table, and the words of it that are there are loaded
        let from = unsafe { table.as_ptr().add(code.wrapping_add(first) as usize * span) };
        for (z, (both, upper)) in both.iter_mut().zip(&mut upper).enumerate() {
            let from = from.wrapping_add(z * 32);
            let row = if Z > 1 {
                unsafe { _mm512_loadu_si512(from.cast()) }
            } else {
                unsafe { _mm512_maskz_loadu_epi16(there, from.cast()) }
            };
            *both = _mm512_add_epi16(*both, row);
            *upper = _mm512_add_epi16(*upper, _mm512_srli_epi16::<8>(row));
        }
    }
    let excess = _mm512_set1_epi16((128 * codes.len()) as i16);
    for (both, upper) in both.iter_mut().zip(&mut upper) {
        *both = _mm512_sub_epi16(_mm512_sub_epi16(*both, _mm512_slli_epi16::<8>(*upper)), excess);
        *upper = _mm512_sub_epi16(*upper, excess);
    }
    [both, upper]
}

/// One span of `Z` registers of words, whose sums stay in registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn avx512_span<const Z: usize>(
    (table, span): (&[u16], usize),
    codes: &[&[u32]],
    lists: &[List],
    sums: &mut [i32],
) {
    let zero = _mm512_setzero_si512();
    let mut all = [[[zero; 2]; Z]; 2];
    // two bursts at a time take their gains together
    let (mut held, mut held_gain, mut holds) = ([[zero; Z]; 2], 0, false);
    for list in lists {
        for codes in codes[list.from][list.start..list.end].chunks(BURST) {
            // SAFETY: as for the caller
            let now = unsafe { sum_up::<Z>((table, span), (codes, list.first)) };
            if holds {
                fold(&mut all, held, now, (held_gain, list.gain));
            }
            (held, held_gain, holds) = (now, list.gain, !holds);
        }
    }
    if holds {
        fold(&mut all, held, [[zero; Z]; 2], (held_gain, 0));
    }
    let (low, high) = sums.split_at_mut(span);
    for (half, to) in [low, high].into_iter().enumerate() {
        for (z, to) in to.chunks_mut(2 * LANES).enumerate() {
            let ordered = in_order(all[half][z]);
            for (sum, to) in ordered.into_iter().zip(to.chunks_mut(LANES)) {
                let there = u16::MAX >> (LANES - to.len());
                // SAFETY: only the sums that are there are loaded and stored
                unsafe {
                    let sum = _mm512_add_epi32(sum, _mm512_maskz_loadu_epi32(there, to.as_ptr()));
                    _mm512_mask_storeu_epi32(to.as_mut_ptr(), there, sum);
                }
            }
        }
    }
}

/// Adds words of two lists, each times its gain of 16 bits, to sums, which stand as interleaving leaves them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn fold<const Z: usize>(
    all: &mut [[[__m512i; 2]; Z]; 2],
    one: [[__m512i; Z]; 2],
    other: [[__m512i; Z]; 2],
    (first, second): (i32, i32),
) {
    let gains = _mm512_set1_epi32(first & 0xffff | second << 16);
    for half in 0..2 {
        for z in 0..Z {
            let (one, other, sums) = (one[half][z], other[half][z], &mut all[half][z]);
            sums[0] = _mm512_add_epi32(sums[0], _mm512_madd_epi16(_mm512_unpacklo_epi16(one, other), gains));
            sums[1] = _mm512_add_epi32(sums[1], _mm512_madd_epi16(_mm512_unpackhi_epi16(one, other), gains));
        }
    }
}

/// What interleaving has left, in the order of columns.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn in_order([low, high]: [__m512i; 2]) -> [__m512i; 2] {
    let first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    let second = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
    [_mm512_permutex2var_epi32(low, first, high), _mm512_permutex2var_epi32(low, second, high)]
}

/// One span, whose sums stay in registers.
#[inline(always)]
fn add_span<const SPAN: usize>(table: &[u16], (codes, first): (&[u32], u32), gain: i32, sums: &mut [i32]) {
    let (mut both, mut upper) = ([0u16; SPAN], [0u16; SPAN]);
    for code in codes {
        let row = &table[code.wrapping_add(first) as usize * SPAN..][..SPAN];
        for ((both, upper), &word) in both.iter_mut().zip(&mut upper).zip(row) {
            *both = both.wrapping_add(word);
            *upper = upper.wrapping_add(word >> 8);
        }
    }
    let excess = 128 * codes.len() as i32;
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
            let chosen: Vec<u32> = (0..count).map(|n| if count > 100 { n % 3 / 2 } else { n * 7 % 40 }).collect();
            let wide = if count == 5 { 40_000 } else { 0 };
            let (part, codes) = (chosen.len() / 3, chosen.iter().map(|row| row.wrapping_sub(3)).collect::<Vec<_>>());
            let lists = [
                (0, 0, part, -3),
                (0, part, chosen.len(), wide + 70),
                (1, 0, 0, 9),
                (0, part, chosen.len(), -wide - 73),
            ];
            let list = |(from, start, end, gain)| List { from, start, end, first: 3, gain };
            let bundle = Bundle { lists: lists.map(list).to_vec(), targets: vec![(0, 2), (2 * rows.words, 2), (0, 4)] };
            let sum = |column| chosen.iter().map(|&row| weight(row as usize, column)).sum::<i32>();
            for level in Level::all() {
                let mut sums = vec![5; 4 * rows.words];
                rows.add(level, &[&codes, &[]], &bundle, &mut sums);
                let wanted: Vec<i32> = (0..columns).map(|column| 5 - 3 * sum(column)).collect();
                assert_eq!(sums[..columns], wanted, "{level:?}, {columns} columns, {count} rows");
                assert!(sums[columns..].iter().all(|&sum| sum == 5));
                let chosen = &chosen[..chosen.len().min(BURST)];
                let ends = [0, chosen.len() as u32 / 2, chosen.len() as u32 / 2, chosen.len() as u32];
                for (first, span) in rows.spans() {
                    let mut sums = vec![5; 4 * span];
                    rows.sum(level, (first, span), (chosen, &ends), &mut sums);
                    let parts = [&chosen[..chosen.len() / 2], &[], &chosen[chosen.len() / 2..]];
                    for (part, sums) in parts.into_iter().zip(sums.chunks_exact(span)) {
                        let there = first..columns.min(first + span);
                        let sum = |column| part.iter().map(|&row| weight(row as usize, column)).sum::<i32>() as i16;
                        assert_eq!(
                            sums[..there.len()],
                            there.map(sum).collect::<Vec<_>>(),
                            "{level:?}, {columns} columns"
                        );
                    }
                    assert!(sums[3 * span..].iter().all(|&sum| sum == 5));
                }
            }
        }
    }
}
