//! Potentials of signed neurons in registers of 512 bits.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, and registers are loaded \
              inside slices whose lengths say how many there are"
)]

use super::LANES;
use super::fire::Signed;
use std::arch::x86_64::*;

/// Registers of neurons.
pub(super) struct States<const C: usize> {
    thresholds: [__m512i; C],
    potentials: [__m512i; C],
    /// What potentials would be without resets: higher by threshold times count.
    arrived: [__m512i; C],
    /// Threshold times the largest count.
    most: [__m512i; C],
}

impl<const C: usize> States<C> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    pub fn at_rest(thresholds: [__m512i; C], most: [__m512i; C]) -> Self {
        let potentials = std::array::from_fn(|c| _mm512_srai_epi32::<1>(thresholds[c]));
        Self { thresholds, potentials, arrived: potentials, most }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    pub fn add(&mut self, numbers: impl Fn(usize) -> __m512i) {
        for c in 0..C {
            let number = numbers(c);
            self.potentials[c] = _mm512_add_epi32(self.potentials[c], number);
            self.arrived[c] = _mm512_add_epi32(self.arrived[c], number);
        }
    }

    /// Fires those that do; gives bits of the positive spikes and of the negative ones. `FULL` where some may have fired as
    /// often as they can.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    pub fn fire<const FULL: bool>(&mut self, rule: Signed) -> (u64, u64) {
        let (mut plus, mut minus) = (0, 0);
        for c in 0..C {
            let (threshold, potential, arrived) = (self.thresholds[c], self.potentials[c], self.arrived[c]);
            let mut up = _mm512_cmpge_epi32_mask(potential, threshold);
            if FULL {
                up = _mm512_mask_cmplt_epi32_mask(up, _mm512_sub_epi32(arrived, potential), self.most[c]);
            }
            let below = if rule.symmetric {
                _mm512_cmplt_epi32_mask(potential, _mm512_sub_epi32(_mm512_set1_epi32(1), threshold))
            } else {
                _mm512_movepi32_mask(potential)
            };
            // counts are never negative
            let down = _mm512_mask_cmpneq_epi32_mask(below, arrived, potential);
            let potential = _mm512_mask_sub_epi32(potential, up, potential, threshold);
            self.potentials[c] = _mm512_mask_add_epi32(potential, down, potential, threshold);
            plus |= u64::from(up) << (c * LANES);
            minus |= u64::from(down) << (c * LANES);
        }
        (plus, minus)
    }
}

/// The first registers of numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn load<const C: usize>(numbers: &[i32]) -> [__m512i; C] {
    let numbers = &numbers[..C * LANES];
    // SAFETY: there are so many registers
    std::array::from_fn(|c| unsafe { _mm512_loadu_si512(numbers.as_ptr().add(c * LANES).cast()) })
}
