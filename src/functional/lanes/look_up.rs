//! Numbers looked up in a small table, which registers hold.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, with slices whose \
              lengths are asserted just before"
)]

use super::{LANES, Level, Set};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// A table that begins with the numbers it holds and goes on with zeros for ever.
#[derive(Debug, Clone)]
pub(in crate::functional) struct Table {
    /// Padded to whole pairs of registers, a power of two of them.
    numbers: Vec<u32>,
}

/// Most pairs of registers that a table may fill, for looking up without memory.
const MOST_PAIRS: usize = 8;

impl Table {
    /// The longest table.
    pub const LONGEST: usize = MOST_PAIRS * 2 * LANES;

    /// A table of at most [`Table::LONGEST`] numbers.
    pub fn new(numbers: &[u32]) -> Self {
        let mut padded = numbers.to_vec();
        padded.resize(numbers.len().div_ceil(2 * LANES).next_power_of_two() * 2 * LANES, 0);
        Self { numbers: padded }
    }

    /// All numbers, and zeros behind them.
    pub(super) fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// `found[k]` becomes entry `largest[k] − numbers[k]`.
    ///
    /// # Panics
    /// If the slices have different lengths.
    #[inline(always)]
    pub fn look_up(&self, level: Level, largest: &[i32], numbers: &[i32], found: &mut [u32]) {
        assert!(largest.len() == numbers.len() && numbers.len() == found.len());
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            let pairs = self.numbers.len() / (2 * LANES);
            // SAFETY: the processor has the instructions
            return unsafe {
                match pairs {
                    1 => avx512::<1>(&self.numbers, largest, numbers, found),
                    2 => avx512::<2>(&self.numbers, largest, numbers, found),
                    4 => avx512::<4>(&self.numbers, largest, numbers, found),
                    _ => avx512::<MOST_PAIRS>(&self.numbers, largest, numbers, found),
                }
            };
        }
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx2 {
            // SAFETY: the processor has the instructions
            return unsafe { avx2(&self.numbers, largest, numbers, found) };
        }
        let _ = level;
        for ((found, &largest), &number) in found.iter_mut().zip(largest).zip(numbers) {
            *found = self.numbers.get(largest.abs_diff(number) as usize).copied().unwrap_or(0);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(table: &[u32], largest: &[i32], numbers: &[i32], found: &mut [u32]) {
    let last = _mm256_set1_epi32(table.len() as i32 - 1);
    let mut eights = (largest.chunks_exact(8), numbers.chunks_exact(8), found.chunks_exact_mut(8));
    for ((largest, numbers), found) in (&mut eights.0).zip(&mut eights.1).zip(&mut eights.2) {
        // SAFETY: chunks are registers, and only entries that are there are loaded
        unsafe {
            let load = |numbers: &[i32]| _mm256_loadu_si256(numbers.as_ptr().cast());
            let entry = _mm256_sub_epi32(load(largest), load(numbers));
            let there = _mm256_cmpeq_epi32(_mm256_min_epu32(entry, last), entry);
            let none = _mm256_setzero_si256();
            let numbers = _mm256_mask_i32gather_epi32::<4>(none, table.as_ptr().cast(), entry, there);
            _mm256_storeu_si256(found.as_mut_ptr().cast(), numbers);
        }
    }
    let rest = eights.0.remainder().iter().zip(eights.1.remainder()).zip(eights.2.into_remainder());
    for ((&largest, &number), found) in rest {
        *found = table.get(largest.abs_diff(number) as usize).copied().unwrap_or(0);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn avx512<const PAIRS: usize>(table: &[u32], largest: &[i32], numbers: &[i32], found: &mut [u32]) {
    let mut registers = [[_mm512_setzero_si512(); 2]; PAIRS];
    for (register, table) in registers.iter_mut().flatten().zip(table.chunks_exact(LANES)) {
        // SAFETY: a chunk is one register
        *register = unsafe { _mm512_loadu_si512(table.as_ptr().cast()) };
    }
    for ((largest, numbers), found) in largest.chunks(LANES).zip(numbers.chunks(LANES)).zip(found.chunks_mut(LANES)) {
        let there = u16::MAX >> (LANES - found.len());
        // SAFETY: only the numbers that are there are loaded and stored
        unsafe {
            let largest = _mm512_maskz_loadu_epi32(there, largest.as_ptr());
            let entry = _mm512_sub_epi32(largest, _mm512_maskz_loadu_epi32(there, numbers.as_ptr()));
            let mut values = _mm512_setzero_si512();
            for (pair, &[low, high]) in registers.iter().enumerate() {
                let of_pair = _mm512_cmpeq_epi32_mask(_mm512_srli_epi32::<5>(entry), _mm512_set1_epi32(pair as i32));
                values = _mm512_mask_mov_epi32(values, of_pair, _mm512_permutex2var_epi32(low, entry, high));
            }
            _mm512_mask_storeu_epi32(found.as_mut_ptr().cast(), there, values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_alike_in_every_instruction_set() {
        for length in [0, 1, 31, 33, 100, 129, Table::LONGEST] {
            let numbers: Vec<u32> = (0..length as u32).map(|n| u32::MAX - 7 * n).collect();
            let table = Table::new(&numbers);
            let largest: Vec<i32> = (0..601).map(|n| n * 5 - 900).collect();
            let lower: Vec<i32> = largest.iter().zip(0..).map(|(largest, n)| largest - n * n % 307).collect();
            let far: Vec<i32> = largest.iter().map(|_| i32::MIN).collect();
            for level in Level::all() {
                let mut found = vec![1; largest.len()];
                table.look_up(level, &largest, &lower, &mut found);
                for (n, found) in (0..).zip(&found) {
                    assert_eq!(*found, numbers.get(n * n % 307).copied().unwrap_or(0), "{level:?}, {length}");
                }
                table.look_up(level, &vec![i32::MAX; far.len()], &far, &mut found);
                assert!(found.iter().all(|&found| found == 0), "{level:?}");
            }
        }
    }
}
