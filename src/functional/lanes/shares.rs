//! A softmax over the columns of a matrix of words, a block of columns at a time: from scores to shares without leaving the
//! nearest cache.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, with slices whose \
              lengths are asserted just before"
)]

use super::{Changes, LANES, Level, Set, Table};
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

/// Shares of a block of columns.
#[derive(Debug, Default)]
pub(in crate::functional) struct Shares {
    /// Powers of all scores, row by row.
    powers: Vec<u32>,
}

impl Shares {
    /// Replaces a block of columns, in rows of `pitch` words of which the first one begins at `first`, by its shares; counts
    /// how they differ from those before.
    ///
    /// # Panics
    /// If a slice is shorter than the rows, or there are more of them than [`MOST_ROWS`].
    #[inline(always)]
    pub fn of_block(
        &mut self,
        level: Level,
        (table, scale): (&Table, Scale),
        (first, pitch, rows): (usize, usize, usize),
        scores: &[i16],
        (now, before): (&mut [i16], &[i16]),
    ) -> Changes {
        let end = first + rows.saturating_sub(1) * pitch + BLOCK;
        assert!(rows <= MOST_ROWS && end <= scores.len().min(now.len()).min(before.len()));
        let block = |row: usize| first + row * pitch..first + row * pitch + BLOCK;
        let (mut largest, mut least) = ([i16::MIN; BLOCK], [i16::MAX; BLOCK]);
        for row in 0..rows {
            for ((largest, least), &score) in largest.iter_mut().zip(&mut least).zip(&scores[block(row)]) {
                (*largest, *least) = (score.max(*largest), score.min(*least));
            }
        }
        let largest = largest.map(i32::from);
        let farthest = largest.iter().zip(least).map(|(largest, least)| largest - i32::from(least)).max().unwrap_or(0);
        self.powers.resize(rows * BLOCK, 0);
        let powers = &mut self.powers[..rows * BLOCK];
        let sums = table.powers(level, (&largest, farthest as usize), (&scores[first..], pitch), powers);
        // sums are below 2^32; a quotient is at least 1 / sum away from the next whole number, which no rounding bridges
        let reciprocals = sums.map(|sum| ((1u64 << scale.fraction) as f64 / f64::from(sum.max(1))) as u64);
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 && reciprocals.iter().all(|&reciprocal| reciprocal <= u32::MAX.into()) {
            let reciprocals = reciprocals.map(|reciprocal| reciprocal as u32);
            let rows = (first, pitch);
            // SAFETY: the processor has the instructions, and rows lie within the slices
            return unsafe { avx512(powers, &reciprocals, scale, rows, (now, before)) };
        }
        let (mut changes, half) = (Changes::default(), 1u64 << (scale.shift - 1));
        for (row, powers) in powers.chunks_exact(BLOCK).enumerate() {
            let now = &mut now[block(row)];
            for ((now, &power), &reciprocal) in now.iter_mut().zip(powers).zip(&reciprocals) {
                *now = ((u64::from(power) * reciprocal + half) >> scale.shift) as i16;
            }
            changes.count(now, &before[block(row)]);
        }
        changes
    }
}

impl Table {
    /// Powers of the distances of all scores from the largest of their column, none of which is beyond `farthest`; gives the
    /// sum of each column.
    #[inline(always)]
    fn powers(
        &self,
        level: Level,
        (largest, farthest): (&[i32; BLOCK], usize),
        (scores, pitch): (&[i16], usize),
        powers: &mut [u32],
    ) -> [u32; BLOCK] {
        let mut sums = [0; BLOCK];
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            assert!(powers.len() <= BLOCK || scores.len() >= (powers.len() / BLOCK - 1) * pitch + BLOCK);
            let numbers = self.numbers();
            let pairs = (farthest / (2 * LANES) + 1).next_power_of_two().min(numbers.len() / (2 * LANES));
            // SAFETY: the processor has the instructions, and rows of scores lie within the slice
            unsafe {
                match pairs {
                    1 => powers_avx512::<1>(numbers, largest, (scores, pitch), powers, &mut sums),
                    2 => powers_avx512::<2>(numbers, largest, (scores, pitch), powers, &mut sums),
                    4 => powers_avx512::<4>(numbers, largest, (scores, pitch), powers, &mut sums),
                    _ => powers_avx512::<8>(numbers, largest, (scores, pitch), powers, &mut sums),
                }
            }
            return sums;
        }
        let _ = farthest;
        for (row, powers) in powers.chunks_exact_mut(BLOCK).enumerate() {
            let mut wide = [0; BLOCK];
            wide.iter_mut().zip(&scores[row * pitch..]).for_each(|(wide, &score)| *wide = score.into());
            self.look_up(level, largest, &wide, powers);
            sums.iter_mut().zip(powers).for_each(|(sum, power)| *sum += *power);
        }
        sums
    }
}

/// Powers by a table of `PAIRS` pairs of registers; beyond it they are zero.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn powers_avx512<const PAIRS: usize>(
    table: &[u32],
    largest: &[i32; BLOCK],
    (scores, pitch): (&[i16], usize),
    powers: &mut [u32],
    sums: &mut [u32; BLOCK],
) {
    let zero = _mm512_setzero_si512();
    let mut registers = [[zero; 2]; PAIRS];
    for (register, table) in registers.iter_mut().flatten().zip(table.chunks_exact(LANES)) {
        // SAFETY: a chunk is one register
        *register = unsafe { _mm512_loadu_si512(table.as_ptr().cast()) };
    }
    // SAFETY: there are two registers
    let largest = [0, LANES].map(|at| unsafe { _mm512_loadu_si512(largest[at..].as_ptr().cast()) });
    let (mut all, end) = ([zero; 2], _mm512_set1_epi32((PAIRS * 2 * LANES) as i32));
    for (row, powers) in powers.chunks_exact_mut(BLOCK).enumerate() {
        for half in 0..2 {
            // SAFETY: the caller's rows lie within the scores, and a row of powers is two registers
            unsafe {
                let scores = _mm256_loadu_si256(scores.as_ptr().add(row * pitch + half * LANES).cast());
                let entry = _mm512_sub_epi32(largest[half], _mm512_cvtepi16_epi32(scores));
                let found = select::<PAIRS>(&registers, entry);
                let found = _mm512_maskz_mov_epi32(_mm512_cmplt_epu32_mask(entry, end), found);
                _mm512_storeu_si512(powers.as_mut_ptr().add(half * LANES).cast(), found);
                all[half] = _mm512_add_epi32(all[half], found);
            }
        }
    }
    for (sums, all) in sums.chunks_exact_mut(LANES).zip(all) {
        // SAFETY: a chunk is one register
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), all) };
    }
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

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn avx512(
    powers: &[u32],
    reciprocals: &[u32; BLOCK],
    scale: Scale,
    (first, pitch): (usize, usize),
    (now, before): (&mut [i16], &[i16]),
) -> Changes {
    let (one, zero) = (_mm512_set1_epi16(1), _mm512_setzero_si512());
    let half = _mm512_set1_epi64(1 << (scale.shift - 1));
    let (shift, upper) = (_mm_cvtsi32_si128(scale.shift as i32), _mm_cvtsi32_si128(scale.shift as i32 - 32));
    // SAFETY: there are two registers
    let even = [0, LANES].map(|at| unsafe { _mm512_loadu_si512(reciprocals[at..].as_ptr().cast()) });
    let odd = even.map(|even| _mm512_srli_epi64::<32>(even));
    // packing takes four words of each register in turn
    let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    let (mut all, mut negative) = (zero, zero);
    for (row, powers) in powers.chunks_exact(BLOCK).enumerate() {
        let at = first + row * pitch;
        // SAFETY: a row of powers is two registers, and the caller's rows lie within the slices
        unsafe {
            let mut shares = [zero; 2];
            for (n, shares) in shares.iter_mut().enumerate() {
                let powers = _mm512_loadu_si512(powers.as_ptr().add(n * LANES).cast());
                let low = _mm512_add_epi64(_mm512_mul_epu32(powers, even[n]), half);
                let high = _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64::<32>(powers), odd[n]), half);
                // shares of odd columns belong into the upper halves
                let (low, high) = (_mm512_srl_epi64(low, shift), _mm512_srl_epi64(high, upper));
                *shares = _mm512_mask_mov_epi32(low, 0xaaaa, high);
            }
            let shares = _mm512_permutexvar_epi64(order, _mm512_packs_epi32(shares[0], shares[1]));
            let change = _mm512_sub_epi16(shares, _mm512_loadu_si512(before.as_ptr().add(at).cast()));
            _mm512_storeu_si512(now.as_mut_ptr().add(at).cast(), shares);
            all = _mm512_add_epi16(all, _mm512_min_epu16(change, one));
            negative = _mm512_add_epi16(negative, _mm512_srli_epi16::<15>(change));
        }
    }
    let sum = |words| _mm512_reduce_add_epi32(_mm512_madd_epi16(words, one)) as u64;
    Changes { all: sum(all), negative: sum(negative) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_alike_in_every_instruction_set() {
        for (rows, pitch, spread, length) in [(64, 64, 40, 30), (5, 32, 300, 256), (255, 96, 90, 129), (1, 32, 1, 1)] {
            let count = rows * pitch;
            let scores: Vec<i16> = (0..count).map(|n| ((n * n * 31 + n * 7) % spread) as i16 - 20).collect();
            let before: Vec<i16> = (0..count).map(|n| (n % 40) as i16).collect();
            let table: Vec<u32> = (0..length).map(|n| (1 << 24) >> (n / 16)).collect();
            let (table, scale) = (Table::new(&table), Scale { fraction: 50, shift: 40 });
            let mut wanted: Option<(Vec<i16>, Changes)> = None;
            for level in Level::all() {
                let (mut now, mut shares, mut changes) = (vec![9; count], Shares::default(), Changes::default());
                for first in (0..pitch).step_by(BLOCK) {
                    let (slices, place) = ((&mut now[..], &before[..]), (first, pitch, rows));
                    let some = shares.of_block(level, (&table, scale), place, &scores, slices);
                    changes.all += some.all;
                    changes.negative += some.negative;
                }
                let column: i32 = now.iter().step_by(pitch).map(|&share| i32::from(share)).sum();
                assert!((column - 1024).abs() <= rows as i32 / 2, "{level:?}: {column}");
                let found = (now, changes);
                assert_eq!(&found, wanted.get_or_insert_with(|| found.clone()), "{level:?}, {rows} rows");
            }
        }
    }
}
