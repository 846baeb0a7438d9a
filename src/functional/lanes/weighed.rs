//! Sums of rows of small weights that lists of single spikes bring: those of each source together, then times its gain.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, and registers are loaded \
              and stored inside slices whose lengths are asserted just before"
)]

#[cfg(target_arch = "x86_64")]
use super::LANES;
use super::lists::Sent;
#[cfg(target_arch = "x86_64")]
use super::rows::{fold, in_order};
use super::{Level, Lists, Rows, Set};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::ops::Range;

impl Rows {
    /// Sums of a span of columns, row after row, of the first rows of weights, those of one sign.
    ///
    /// # Panics
    /// If lists are of more inputs than there are rows; if there is no such span or row, or no room.
    pub fn weigh(
        &self,
        level: Level,
        (first, span): (usize, usize),
        (lists, rows): (&Lists, Range<usize>),
        sums: &mut [i32],
    ) {
        assert!(lists.inputs() <= self.count && self.spans().any(|there| there == (first, span)));
        let (table, sums) = (self.span((first / 2, span / 2)), &mut sums[..rows.len() * span]);
        match (level.0, span) {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the instructions, and there is a row for every input
            (Set::Avx512, 128) => unsafe { avx512_weigh::<2>((table, span / 2), (lists, rows), sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above
            (Set::Avx512, _) => unsafe { avx512_weigh::<1>((table, span / 2), (lists, rows), sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the instructions
            (Set::Avx2, _) => unsafe { avx2_weigh((table, span / 2), (lists, rows), sums) },
            (_, _) => weigh((table, span / 2), (lists, rows), sums),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_weigh(table: (&[u16], usize), rows: (&Lists, Range<usize>), sums: &mut [i32]) {
    weigh(table, rows, sums);
}

/// A span of columns of rows of lists.
#[inline(always)]
fn weigh(table: (&[u16], usize), (lists, rows): (&Lists, Range<usize>), sums: &mut [i32]) {
    for (row, sums) in rows.zip(sums.chunks_exact_mut(2 * table.1)) {
        weigh_row(table, lists.row(row), sums);
    }
}

#[inline(always)]
fn weigh_row<'a>((table, span): (&[u16], usize), lists: impl Iterator<Item = Sent<'a>>, sums: &mut [i32]) {
    sums.fill(0);
    let (low, high) = sums.split_at_mut(span);
    for Sent { plus, minus, gain } in lists {
        let signs = [(plus, i32::from(gain)), (minus, -i32::from(gain))];
        for (&channel, gain) in signs.into_iter().flat_map(|(channels, gain)| channels.iter().map(move |it| (it, gain)))
        {
            let row = &table[channel as usize * span..][..span];
            for ((low, high), &word) in low.iter_mut().zip(&mut *high).zip(row) {
                *low = low.wrapping_add(gain.wrapping_mul(i32::from(word & 0xff) - 128));
                *high = high.wrapping_add(gain.wrapping_mul(i32::from(word >> 8) - 128));
            }
        }
    }
}

/// As [`weigh`], of `Z` registers of words.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn avx512_weigh<const Z: usize>(
    table: (&[u16], usize),
    (lists, rows): (&Lists, Range<usize>),
    sums: &mut [i32],
) {
    for (row, sums) in rows.zip(sums.chunks_exact_mut(2 * table.1)) {
        // SAFETY: as for the caller
        unsafe { avx512_weigh_row::<Z>(table, lists.row(row), sums) };
    }
}

/// A row of lists, whose sums stay in registers.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn avx512_weigh_row<'a, const Z: usize>(
    (table, span): (&[u16], usize),
    lists: impl Iterator<Item = Sent<'a>>,
    sums: &mut [i32],
) {
    let (zero, there) = (_mm512_setzero_si512(), u32::MAX >> (32 - span.min(32)));
    let load = |channel: u16, z: usize| {
        // SAFETY: the caller has a row for every channel, and the words of it that are there are loaded
        unsafe {
            let from = table.as_ptr().add(channel as usize * span + z * 32);
            if Z > 1 { _mm512_loadu_si512(from.cast()) } else { _mm512_maskz_loadu_epi16(there, from.cast()) }
        }
    };
    let mut all = [[[zero; 2]; Z]; 2];
    // two lists at a time take their gains together
    let (mut held, mut held_gain, mut holds) = ([[zero; Z]; 2], 0, false);
    for Sent { plus, minus, gain } in lists {
        let (mut both, mut upper) = ([zero; Z], [zero; Z]);
        for &channel in plus {
            for z in 0..Z {
                let row = load(channel, z);
                both[z] = _mm512_add_epi16(both[z], row);
                upper[z] = _mm512_add_epi16(upper[z], _mm512_srli_epi16::<8>(row));
            }
        }
        for &channel in minus {
            for z in 0..Z {
                let row = load(channel, z);
                both[z] = _mm512_sub_epi16(both[z], row);
                upper[z] = _mm512_sub_epi16(upper[z], _mm512_srli_epi16::<8>(row));
            }
        }
        let excess = _mm512_set1_epi16((plus.len() as i16).wrapping_sub(minus.len() as i16).wrapping_mul(128));
        for (both, upper) in both.iter_mut().zip(&mut upper) {
            *both = _mm512_sub_epi16(_mm512_sub_epi16(*both, _mm512_slli_epi16::<8>(*upper)), excess);
            *upper = _mm512_sub_epi16(*upper, excess);
        }
        let now = [both, upper];
        if holds {
            fold(&mut all, held, now, (held_gain, gain.into()));
        }
        (held, held_gain, holds) = (now, gain.into(), !holds);
    }
    if holds {
        fold(&mut all, held, [[zero; Z]; 2], (held_gain, 0));
    }
    for (half, all) in all.into_iter().enumerate() {
        for (z, all) in all.into_iter().enumerate() {
            let [first, second] = in_order(all);
            let to = &mut sums[half * span + 2 * LANES * z..];
            // SAFETY: only the sums that are there are stored
            unsafe {
                if Z > 1 {
                    let to = &mut to[..2 * LANES];
                    _mm512_storeu_epi32(to.as_mut_ptr(), first);
                    _mm512_storeu_epi32(to[LANES..].as_mut_ptr(), second);
                } else {
                    _mm512_mask_storeu_epi32(to.as_mut_ptr(), there as u16, first);
                    _mm512_mask_storeu_epi32(to.as_mut_ptr().wrapping_add(LANES), (there >> LANES) as u16, second);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Signs;
    use super::*;

    #[test]
    fn what_sources_send_is_weighed_alike_in_every_instruction_set() {
        let (inputs, words) = (131, 3);
        let weight = |row: usize, column: usize| (row * 31 + column * 17 + row * column) as i32 % 255 - 127;
        let word = |n: usize| (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(n as u32 * 11);
        // of the third word three channels are there; no channel has both signs
        let row = |n: usize, there: [u64; 3]| -> Vec<u64> {
            let sign = |flip: u64| (0..3).map(move |at| word(n + at) & there[at] & (word(n + at + 50) ^ flip));
            sign(0).chain(sign(u64::MAX)).collect()
        };
        let sources = [
            (row(1, [u64::MAX, u64::MAX, 7]), 255),
            (row(7, [0; 3]), 5),
            (row(9, [7, 0, 2]), -300),
            (row(20, [5, 9, 0]), 1),
        ];
        let mut lists = Lists::default();
        lists.clear(inputs);
        for level in Level::all() {
            // a row of nothing, and one of all sources
            lists.push_signs(level, (words, 1), &[]);
            lists.push_signs(level, (words, 1), &sources.each_ref().map(|(bits, gain)| (&bits[..], *gain)));
        }
        let mut numbers = vec![0; inputs];
        for (bits, gain) in &sources {
            let (plus, minus) = bits.split_at(words);
            Signs { plus, minus }.each(|channel, sign| numbers[channel] += sign * i32::from(*gain));
        }
        for columns in [1, 16, 30, 48, 128, 248] {
            let table: Vec<Vec<i32>> = (0..inputs).map(|r| (0..columns).map(|c| weight(r, c)).collect()).collect();
            let rows = Rows::new(inputs, columns, |row| (&table[row], 1));
            for (level, (first, span)) in Level::all().flat_map(|level| rows.spans().map(move |span| (level, span))) {
                let mut sums = vec![5; 3 * span];
                rows.weigh(level, (first, span), (&lists, 0..2), &mut sums);
                let sum = |column| numbers.iter().zip(&table).map(|(number, row)| number * row[column]).sum::<i32>();
                let wanted = (first..first + span).map(|column| if column < columns { sum(column) } else { 0 });
                assert!(sums[..span].iter().all(|&sum| sum == 0) && sums[2 * span..].iter().all(|&sum| sum == 5));
                assert!(
                    sums[span..2 * span].iter().copied().eq(wanted),
                    "{level:?}, {columns} columns from {first} on"
                );
            }
        }
    }

    #[test]
    fn sums_of_more_rows_than_words_hold_are_weighed_too() {
        let (inputs, all) = (400, vec![127; 16]);
        let rows = Rows::new(inputs, 16, |_| (&all, 1));
        // the first 30 take a spike back, all others fire
        let words = |from: u64, to: u64| {
            (0..7 * 64).step_by(64).map(move |first| {
                (first..first + 64)
                    .fold(0u64, |word, channel| word | u64::from((from..to).contains(&channel)) << (channel % 64))
            })
        };
        let bits: Vec<u64> = words(30, 400).chain(words(0, 30)).collect();
        let mut lists = Lists::default();
        lists.clear(inputs);
        for level in Level::all() {
            lists.push_signs(level, (7, 1), &[(&bits, 100)]);
            let mut sums = vec![0; 16];
            let row = lists.rows() - 1;
            rows.weigh(level, (0, 16), (&lists, row..row + 1), &mut sums);
            assert!(sums.iter().all(|&sum| sum == 127 * 100 * (370 - 30)), "{level:?}");
        }
    }
}
