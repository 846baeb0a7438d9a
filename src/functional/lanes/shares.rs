//! A softmax over the columns of a matrix of words, a block of columns at a time: from scores to shares without leaving the
//! nearest cache.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, with slices whose \
              lengths are asserted just before"
)]

use super::{Aligned, Changes, LANES, Level, Set, Table};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Columns of a block: a register of words.
pub(in crate::functional) const BLOCK: usize = 2 * LANES;
/// Most rows, whose powers of up to 24 bits add up to less than 2^32.
pub(in crate::functional) const MOST_ROWS: usize = 255;

/// How powers become shares: `(power · (2^fraction / sum) + half) >> shift`, the quotient cut off.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Scale {
    /// At most 52, so that quotients of floating-point numbers are exact when they are cut off.
    pub fraction: u32,
    pub shift: u32,
}

/// A block of columns of a matrix, and what became of it in the step before.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Block<'a> {
    /// Rows of `pitch` words; the block begins at `first` of each.
    pub first: usize,
    pub pitch: usize,
    pub rows: usize,
    pub scores: &'a [i16],
    /// Scores of the step before, where the same ones have the same shares.
    pub earlier: Option<&'a [i16]>,
    /// Shares of the step before.
    pub before: &'a [i16],
}

/// Shares of a block of columns.
#[derive(Debug, Default)]
pub(in crate::functional) struct Shares {
    /// Powers of all scores, row by row.
    powers: Aligned,
}

impl Shares {
    /// Puts shares of a block into `now`, which is laid out as the scores are; counts how they differ from those before.
    ///
    /// # Panics
    /// If a slice is shorter than the rows, or there are more of them than [`MOST_ROWS`].
    #[inline(always)]
    pub fn of_block(
        &mut self,
        level: Level,
        (table, scale): (&Table, Scale),
        block: Block,
        now: &mut [i16],
    ) -> Changes {
        let Block { first, pitch, rows, scores, earlier, before } = block;
        let end = first + rows.saturating_sub(1) * pitch + BLOCK;
        assert!(rows <= MOST_ROWS && end <= scores.len().min(now.len()).min(before.len()));
        assert!(earlier.is_none_or(|earlier| end <= earlier.len()));
        if self.powers.len() != rows * BLOCK {
            self.powers = Aligned::zeros(rows * BLOCK);
        }
        // the largest score has the first power, so that sums are no smaller than that, and quotients fit into 32 bits
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 && u64::from(table.numbers()[0]) << 32 > 1 << scale.fraction {
            // SAFETY: the processor has the instructions, and rows lie within the slices
            return unsafe { avx512((table.numbers(), scale), block, &mut self.powers, now) };
        }
        let row = |row: usize| first + row * pitch..first + row * pitch + BLOCK;
        if earlier.is_some_and(|earlier| (0..rows).all(|at| earlier[row(at)] == scores[row(at)])) {
            (0..rows).for_each(|at| now[row(at)].copy_from_slice(&before[row(at)]));
            return Changes::default();
        }
        let (mut largest, mut sums) = ([i32::MIN; BLOCK], [0u32; BLOCK]);
        for at in 0..rows {
            let scores = scores[row(at)].iter();
            largest.iter_mut().zip(scores).for_each(|(largest, &score)| *largest = i32::from(score).max(*largest));
        }
        for (at, powers) in self.powers.chunks_exact_mut(BLOCK).enumerate() {
            let mut wide = [0; BLOCK];
            wide.iter_mut().zip(&scores[row(at)]).for_each(|(wide, &score)| *wide = score.into());
            table.look_up(level, &largest, &wide, powers);
            sums.iter_mut().zip(powers).for_each(|(sum, power)| *sum += *power);
        }
        // sums are below 2^32; a quotient is at least 1 / sum away from the next whole number, which no rounding bridges
        let reciprocals = sums.map(|sum| ((1u64 << scale.fraction) as f64 / f64::from(sum.max(1))) as u64);
        let (mut changes, half) = (Changes::default(), 1u64 << (scale.shift - 1));
        for (at, powers) in self.powers.chunks_exact(BLOCK).enumerate() {
            let now = &mut now[row(at)];
            for ((now, &power), &reciprocal) in now.iter_mut().zip(powers).zip(&reciprocals) {
                *now = ((u64::from(power) * reciprocal + half) >> scale.shift) as i16;
            }
            changes.count(now, &before[row(at)]);
        }
        changes
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
unsafe fn avx512((table, scale): (&[u32], Scale), block: Block, powers: &mut [u32], now: &mut [i16]) -> Changes {
    let Block { first, pitch, rows, scores, earlier, before } = block;
    // SAFETY: for the caller, and all below, rows lie within the slices
    let of = |slice: &[i16], row: usize| unsafe { _mm512_loadu_si512(slice.as_ptr().add(first + row * pitch).cast()) };
    let mut largest = _mm512_set1_epi16(i16::MIN);
    let (mut least, mut differ) = (_mm512_set1_epi16(i16::MAX), _mm512_setzero_si512());
    for row in 0..rows {
        let score = of(scores, row);
        (largest, least) = (_mm512_max_epi16(largest, score), _mm512_min_epi16(least, score));
        if let Some(earlier) = earlier {
            differ = _mm512_or_si512(differ, _mm512_xor_si512(score, of(earlier, row)));
        }
    }
    if earlier.is_some() && _mm512_test_epi32_mask(differ, differ) == 0 {
        for row in 0..rows {
            let to = first + row * pitch;
            now[to..to + BLOCK].copy_from_slice(&before[to..to + BLOCK]);
        }
        return Changes::default();
    }
    let spread = _mm512_sub_epi16(largest, least);
    let (low, high) = (_mm512_and_si512(spread, _mm512_set1_epi32(0xffff)), _mm512_srli_epi32::<16>(spread));
    let farthest = _mm512_reduce_max_epu32(_mm512_max_epu32(low, high)) as usize;
    let pairs = (farthest / (2 * LANES) + 1).next_power_of_two().min(table.len() / (2 * LANES));
    let largest = [_mm512_castsi512_si256(largest), _mm512_extracti64x4_epi64::<1>(largest)];
    let place = (&scores[first..], pitch);
    // SAFETY: as for the caller
    let sums = unsafe {
        match pairs {
            1 => powers_avx512::<1>(table, largest, place, powers),
            2 => powers_avx512::<2>(table, largest, place, powers),
            4 => powers_avx512::<4>(table, largest, place, powers),
            _ => powers_avx512::<8>(table, largest, place, powers),
        }
    };
    let whole = _mm512_set1_pd((1u64 << scale.fraction) as f64);
    // sums are below 2^32; a quotient is at least 1 / sum away from the next whole number, which no rounding bridges
    let reciprocal = |sum| _mm512_cvttpd_epu64(_mm512_div_pd(whole, _mm512_cvtepu64_pd(sum)));
    let even = sums.map(|sum| reciprocal(_mm512_and_si512(sum, _mm512_set1_epi64(0xffff_ffff))));
    let odd = sums.map(|sum| reciprocal(_mm512_srli_epi64::<32>(sum)));
    let half = _mm512_set1_epi64(1 << (scale.shift - 1));
    let (shift, upper) = (_mm_cvtsi32_si128(scale.shift as i32), _mm_cvtsi32_si128(scale.shift as i32 - 32));
    // packing takes four words of each register in turn
    let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    let mut changes = Changes::default();
    for (row, powers) in powers.chunks_exact(BLOCK).enumerate() {
        let mut shares = [_mm512_setzero_si512(); 2];
        for (n, shares) in shares.iter_mut().enumerate() {
            // SAFETY: a row of powers is two registers
            let powers = unsafe { _mm512_loadu_si512(powers.as_ptr().add(n * LANES).cast()) };
            let low = _mm512_add_epi64(_mm512_mul_epu32(powers, even[n]), half);
            let high = _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64::<32>(powers), odd[n]), half);
            // shares of odd columns belong into the upper halves
            let (low, high) = (_mm512_srl_epi64(low, shift), _mm512_srl_epi64(high, upper));
            *shares = _mm512_mask_mov_epi32(low, 0xaaaa, high);
        }
        let shares = _mm512_permutexvar_epi64(order, _mm512_packs_epi32(shares[0], shares[1]));
        let earlier = of(before, row);
        changes.all += u64::from(_mm512_cmpneq_epi16_mask(shares, earlier).count_ones());
        changes.negative += u64::from(_mm512_cmplt_epi16_mask(shares, earlier).count_ones());
        // SAFETY: as for the caller
        unsafe { _mm512_storeu_si512(now.as_mut_ptr().add(first + row * pitch).cast(), shares) };
    }
    changes
}

/// Powers of the distances of scores from the largest of their column, by a table of `PAIRS` pairs of registers, beyond which
/// they are zero; gives their sums.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn powers_avx512<const PAIRS: usize>(
    table: &[u32],
    largest: [__m256i; 2],
    (scores, pitch): (&[i16], usize),
    powers: &mut [u32],
) -> [__m512i; 2] {
    let zero = _mm512_setzero_si512();
    let mut registers = [[zero; 2]; PAIRS];
    for (register, table) in registers.iter_mut().flatten().zip(table.chunks_exact(LANES)) {
        // SAFETY: a chunk is one register
        *register = unsafe { _mm512_loadu_si512(table.as_ptr().cast()) };
    }
    let largest = largest.map(|largest| _mm512_cvtepi16_epi32(largest));
    let (mut sums, end) = ([zero; 2], _mm512_set1_epi32((PAIRS * 2 * LANES) as i32));
    for (row, powers) in powers.chunks_exact_mut(BLOCK).enumerate() {
        for half in 0..2 {
            // SAFETY: the caller's rows lie within the scores, and a row of powers is two registers
            unsafe {
                let scores = _mm256_loadu_si256(scores.as_ptr().add(row * pitch + half * LANES).cast());
                let entry = _mm512_sub_epi32(largest[half], _mm512_cvtepi16_epi32(scores));
                let found = select::<PAIRS>(&registers, entry);
                let found = _mm512_maskz_mov_epi32(_mm512_cmplt_epu32_mask(entry, end), found);
                _mm512_storeu_si512(powers.as_mut_ptr().add(half * LANES).cast(), found);
                sums[half] = _mm512_add_epi32(sums[half], found);
            }
        }
    }
    sums
}

/// Entries of a table, by their lower bits: halves of halves.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn select<const PAIRS: usize>(table: &[[__m512i; 2]; PAIRS], entry: __m512i) -> __m512i {
    let mut found = table.map(|[low, high]| _mm512_permutex2var_epi32(low, entry, high));
    let (mut left, mut bit) = (PAIRS, 2 * LANES as i32);
    while left > 1 {
        let upper = _mm512_test_epi32_mask(entry, _mm512_set1_epi32(bit));
        for n in 0..left / 2 {
            found[n] = _mm512_mask_mov_epi32(found[2 * n], upper, found[2 * n + 1]);
        }
        (left, bit) = (left / 2, 2 * bit);
    }
    found[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_alike_in_every_instruction_set() {
        for (rows, pitch, spread, length) in [(64, 64, 40, 30), (5, 32, 300, 256), (255, 96, 90, 129), (1, 32, 1, 1)] {
            let count = rows * pitch;
            let mut scores: Vec<i16> = (0..count).map(|n| ((n * n * 31 + n * 7) % spread) as i16 - 20).collect();
            let earlier = scores.clone();
            // the first block stays as it was
            scores.iter_mut().enumerate().skip(BLOCK).step_by(pitch).for_each(|(n, score)| *score -= (n % 3) as i16);
            let before: Vec<i16> = (0..count).map(|n| (n % 40) as i16).collect();
            let table: Vec<u32> = (0..length).map(|n| (1 << 24) >> (n / 16)).collect();
            let (table, scale) = (Table::new(&table), Scale { fraction: 50, shift: 40 });
            let mut wanted: Option<(Vec<i16>, Vec<Changes>)> = None;
            for level in Level::all() {
                let (mut now, mut shares, mut changes) = (vec![9; count], Shares::default(), vec![]);
                for first in (0..pitch).step_by(BLOCK) {
                    let block = Block { first, pitch, rows, scores: &scores, earlier: None, before: &before };
                    changes.push(shares.of_block(level, (&table, scale), block, &mut now));
                    let (mut again, earlier) = (vec![9; count], Some(&earlier[..]));
                    let alike =
                        scores.iter().skip(first).step_by(pitch).eq(earlier.unwrap().iter().skip(first).step_by(pitch));
                    let block = Block { earlier, ..block };
                    changes.push(shares.of_block(level, (&table, scale), block, &mut again));
                    let wanted = if alike { &before } else { &now };
                    let of = |all: &[i16]| {
                        all.chunks(pitch).map(|row| row[first..first + BLOCK].to_vec()).collect::<Vec<_>>()
                    };
                    assert_eq!(of(&again), of(wanted), "{level:?}: {first}");
                }
                let column: i32 = now.iter().step_by(pitch).map(|&share| i32::from(share)).sum();
                assert!((column - 1024).abs() <= rows as i32 / 2, "{level:?}: {column}");
                let found = (now, changes);
                assert_eq!(&found, wanted.get_or_insert_with(|| found.clone()), "{level:?}, {rows} rows");
            }
        }
    }
}
