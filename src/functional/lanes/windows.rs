//! The largest of the counts under a window, and how it changes.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, with slices whose \
              lengths are asserted just before"
)]

use super::{Level, Set, WORD, mark};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Replaces `largest` by the largest count of each channel over the `covered` rows of `counts`, where there are any, and
/// marks which have grown and which have shrunk: by no more than one.
///
/// # Panics
/// If a row reaches beyond `counts`.
#[inline(always)]
pub(in crate::functional) fn track_largest(
    level: Level,
    counts: &[i8],
    covered: &[u32],
    largest: &mut [i8],
    (plus, minus): (&mut [u64], &mut [u64]),
) {
    let channels = largest.len();
    assert!(covered.iter().all(|&row| (row as usize + 1) * channels <= counts.len()));
    if covered.is_empty() {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if level.0 == Set::Avx512 {
        // SAFETY: the processor has the instructions, and all rows lie within the counts
        return unsafe { avx512(counts, covered, largest, (plus, minus)) };
    }
    let _ = level;
    let row = |row: u32| &counts[row as usize * channels..][..channels];
    let mut now = row(covered[0]).to_vec();
    for &covered in &covered[1..] {
        now.iter_mut().zip(row(covered)).for_each(|(largest, &count)| *largest = count.max(*largest));
    }
    for (before, now) in largest.iter_mut().zip(&mut now) {
        (*before, *now) = (*now, now.wrapping_sub(*before));
    }
    mark(&now, plus, minus);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn avx512(counts: &[i8], covered: &[u32], largest: &mut [i8], (plus, minus): (&mut [u64], &mut [u64])) {
    let channels = largest.len();
    let words = plus.iter_mut().zip(minus);
    for ((at, largest), (plus, minus)) in (0..).step_by(WORD).zip(largest.chunks_mut(WORD)).zip(words) {
        let there = u64::MAX >> (WORD - largest.len());
        // SAFETY: the caller's rows lie within the counts, and only the channels that are there are loaded and stored
        unsafe {
            let row = |row: u32| _mm512_maskz_loadu_epi8(there, counts.as_ptr().add(row as usize * channels + at));
            let now = covered[1..].iter().fold(row(covered[0]), |now, &covered| _mm512_max_epi8(now, row(covered)));
            let before = _mm512_maskz_loadu_epi8(there, largest.as_ptr());
            *plus = _mm512_cmpgt_epi8_mask(now, before);
            *minus = _mm512_cmplt_epi8_mask(now, before);
            _mm512_mask_storeu_epi8(largest.as_mut_ptr(), there, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_alike_in_every_instruction_set() {
        for channels in [1, 16, 63, 64, 100, 128] {
            let counts: Vec<i8> = (0..9 * channels).map(|n| ((n * n + n / 7) % 3) as i8 + 2).collect();
            let covered = [0, 3, 4, 8, 7];
            let column = |channel: usize| covered.iter().map(move |&row| row as usize * channels + channel);
            let wanted: Vec<i8> =
                (0..channels).map(|c| column(c).map(|at| counts[at]).max().unwrap_or_default()).collect();
            let before: Vec<i8> = wanted.iter().enumerate().map(|(n, &now)| now + (n % 3) as i8 - 1).collect();
            for level in Level::all() {
                let (mut largest, words) = (before.clone(), channels.div_ceil(WORD));
                let (mut plus, mut minus) = (vec![0; words], vec![0; words]);
                track_largest(level, &counts, &covered, &mut largest, (&mut plus, &mut minus));
                assert_eq!(largest, wanted, "{level:?}, {channels} channels");
                for channel in 0..channels {
                    let bit = |words: &[u64]| words[channel / WORD] >> (channel % WORD) & 1 == 1;
                    assert_eq!((bit(&plus), bit(&minus)), (channel % 3 == 0, channel % 3 == 2), "{level:?}");
                }
            }
        }
    }
}
