//! The inner loop of a run in floats: a row of weights times a number, added to a row of sums, each rounded once.
#![allow(unsafe_code)]

/// `sums += factor · row`, product and sum rounded together. The bytes are the same on every machine.
pub(super) fn add_product(sums: &mut [f32], factor: f32, row: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the machine has the instructions that the function is compiled for.
        return unsafe { vectors::add_product(sums, factor, row) };
    }
    plain(sums, factor, row);
}

fn plain(sums: &mut [f32], factor: f32, row: &[f32]) {
    sums.iter_mut().zip(row).for_each(|(sum, &weight)| *sum = factor.mul_add(weight, *sum));
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps};

    #[target_feature(enable = "avx2,fma")]
    pub fn add_product(sums: &mut [f32], factor: f32, row: &[f32]) {
        let (sum_vectors, sum_rest) = sums.as_chunks_mut::<8>();
        let (row_vectors, row_rest) = row.as_chunks::<8>();
        let factors = _mm256_set1_ps(factor);
        for (sums, row) in sum_vectors.iter_mut().zip(row_vectors) {
            // SAFETY: both arrays are eight floats long; these loads and stores need no alignment.
            unsafe {
                let sum = _mm256_fmadd_ps(factors, _mm256_loadu_ps(row.as_ptr()), _mm256_loadu_ps(sums.as_ptr()));
                _mm256_storeu_ps(sums.as_mut_ptr(), sum);
            }
        }
        super::plain(sum_rest, factor, row_rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_give_the_same_bytes_as_the_plain_loop() {
        let number = |n: u32| f32::from_bits(0x3f00_0000 | n.wrapping_mul(2_654_435_761) >> 9) - 0.75;
        for width in 0..40u32 {
            let row: Vec<f32> = (0..width).map(number).collect();
            let mut fast: Vec<f32> = (0..width).map(|n| number(n + 1000) * 3.0).collect();
            let mut slow = fast.clone();
            add_product(&mut fast, number(width + 77), &row);
            plain(&mut slow, number(width + 77), &row);
            assert_eq!(fast, slow);
        }
    }

    #[test]
    fn product_and_sum_are_rounded_once() {
        let (tiny, mut sum) = (f32::EPSILON, [-1.0 - 2.0 * f32::EPSILON]);
        plain(&mut sum, 1.0 + tiny, &[1.0 + tiny]);
        assert_eq!(sum, [tiny * tiny]);
    }
}
