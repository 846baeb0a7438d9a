//! From the signs of a row of neurons to the list of those that fire.

#![allow(
    unsafe_code,
    reason = "whole registers are stored into room that was reserved just before, and instructions beyond the baseline \
              are called after the processor was asked for them"
)]

use super::{LANES, Level, Set};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Appends what fires: its channel, or, where the sign is negative, its channel behind all channels. Gives how many are
/// negative. Signs are −1, 0 and 1; there are fewer than 2^31 of them.
pub(in crate::functional) fn compress(level: Level, signs: &[i8], codes: &mut Vec<u32>) -> usize {
    #[cfg(target_arch = "x86_64")]
    if level.0 == Set::Avx512 {
        // SAFETY: the processor has the instructions
        return unsafe { avx512(signs, codes) };
    }
    let _ = level;
    plain(signs, codes)
}

fn plain(signs: &[i8], codes: &mut Vec<u32>) -> usize {
    let channels = signs.len() as u32;
    let mut negative = 0;
    for (first, chunk) in (0u32..).step_by(LANES).zip(signs.chunks(LANES)) {
        if chunk.iter().fold(0, |any, sign| any | sign) == 0 {
            continue;
        }
        for (channel, &sign) in (first..).zip(chunk).filter(|(_, sign)| **sign != 0) {
            negative += usize::from(sign < 0);
            codes.push(if sign < 0 { channels + channel } else { channel });
        }
    }
    negative
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn avx512(signs: &[i8], codes: &mut Vec<u32>) -> usize {
    codes.reserve(signs.len() + LANES);
    let mut length = codes.len();
    let mut negative = 0;
    let channels = _mm512_set1_epi32(signs.len() as i32);
    let mut channel = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for chunk in signs.chunks(LANES) {
        let there = u16::MAX >> (LANES - chunk.len());
        // SAFETY: only the bytes that are there are loaded
        let signs = unsafe { _mm_maskz_loadu_epi8(there, chunk.as_ptr().cast()) };
        let (fired, below) = (_mm_test_epi8_mask(signs, signs), _mm_movepi8_mask(signs));
        let code = _mm512_mask_add_epi32(channel, below, channel, channels);
        // SAFETY: at most as many codes as signs came so far stand before `length`, and a register more was reserved
        unsafe {
            let to = codes.as_mut_ptr().add(length);
            _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi32(fired, code));
        }
        length += fired.count_ones() as usize;
        negative += below.count_ones() as usize;
        channel = _mm512_add_epi32(channel, _mm512_set1_epi32(LANES as i32));
    }
    // SAFETY: all entries up to there were written, and room for them was reserved
    unsafe { codes.set_len(length) };
    negative
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_alike_in_every_instruction_set() {
        for length in [1, 15, 16, 17, 64, 131] {
            for seed in 0..40usize {
                let sign = |n: usize| ((n * n * 7 + n * seed + seed) % (seed + 2)).min(2) as i8;
                let signs: Vec<i8> = (0..length).map(|n| if sign(n) == 2 { -1 } else { sign(n) }).collect();
                let mut wanted = vec![99];
                for (channel, &sign) in signs.iter().enumerate().filter(|(_, sign)| **sign != 0) {
                    wanted.push((channel + if sign < 0 { length } else { 0 }) as u32);
                }
                let negative = signs.iter().filter(|sign| **sign < 0).count();
                for level in Level::all() {
                    let mut codes = vec![99];
                    assert_eq!(compress(level, &signs, &mut codes), negative, "{level:?}");
                    assert_eq!(codes, wanted, "{level:?}, {length} signs");
                }
            }
        }
    }
}
