//! Products of rows in the instructions of x86-64. Callers have asked the processor for them; each row of inputs holds one
//! entry for each group of the panel, part by part, and each row of sums all its columns.

#![allow(unsafe_code, reason = "vectors are loaded and stored through pointers, inside slices as the callers promise")]

use super::product::{Inputs, Panel};
use super::{LANES, Row};
use std::arch::x86_64::*;

/// Several rows at a time, so that each register of weights serves them all.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn avx512<const V: usize, const WORDS: bool>(
    panel: Panel,
    inputs: Inputs,
    mut rows: &[Row],
    sums: &mut [i32],
) {
    while !rows.is_empty() {
        // SAFETY: as for the caller
        let done = unsafe {
            match rows.len() {
                12.. if V <= 2 => avx512_block::<12, V, WORDS>(panel, inputs, rows, sums),
                6.. => avx512_block::<6, V, WORDS>(panel, inputs, rows, sums),
                4.. => avx512_block::<4, V, WORDS>(panel, inputs, rows, sums),
                2.. => avx512_block::<2, V, WORDS>(panel, inputs, rows, sums),
                _ => avx512_block::<1, V, WORDS>(panel, inputs, rows, sums),
            }
        };
        rows = &rows[done..];
    }
}

/// The first `M` rows by `V` registers of columns; gives `M`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn avx512_block<const M: usize, const V: usize, const WORDS: bool>(
    panel: Panel,
    inputs: Inputs,
    rows: &[Row],
    sums: &mut [i32],
) -> usize {
    // SAFETY: a panel has starts for all its columns
    let starts: [__m512i; V] =
        std::array::from_fn(|v| unsafe { _mm512_loadu_si512(panel.starts.as_ptr().add(v * LANES).cast()) });
    let mut products = [starts; M];
    // SAFETY: rows begin within the inputs
    let mut from: [*const u32; M] = std::array::from_fn(|m| unsafe { inputs.groups.as_ptr().add(rows[m].from) });
    for weights in panel.weights.chunks_exact(inputs.part * V * LANES) {
        for (group, weights) in weights.chunks_exact(V * LANES).enumerate() {
            // SAFETY: `weights` holds V registers, each part of a row of inputs one entry for each of its groups
            let weights: [__m512i; V] =
                std::array::from_fn(|v| unsafe { _mm512_loadu_si512(weights.as_ptr().add(v * LANES).cast()) });
            for (products, from) in products.iter_mut().zip(from) {
                let input = _mm512_set1_epi32(unsafe { from.add(group).read() } as i32);
                for (product, weights) in products.iter_mut().zip(weights) {
                    *product = if WORDS {
                        _mm512_dpwssd_epi32(*product, input, weights)
                    } else {
                        _mm512_dpbusd_epi32(*product, input, weights)
                    };
                }
            }
        }
        // the last part has none behind it
        from.iter_mut().for_each(|from| *from = from.wrapping_add(inputs.pitch));
    }
    if rows[..M].iter().any(|row| row.factor != 1) {
        for m in 0..M {
            let factor = _mm512_set1_epi32(rows[m].factor);
            products[m].iter_mut().for_each(|product| *product = _mm512_mullo_epi32(*product, factor));
        }
    }
    let kept = if inputs.fresh { 0 } else { u16::MAX };
    for m in 0..M {
        // SAFETY: rows of sums have all columns
        unsafe {
            let sums = sums.as_mut_ptr().add(rows[m].to);
            for (v, &product) in products[m].iter().enumerate() {
                let sum = _mm512_maskz_loadu_epi32(kept, sums.add(v * LANES));
                _mm512_storeu_si512(sums.add(v * LANES).cast(), _mm512_add_epi32(sum, product));
            }
        }
    }
    M
}

#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2<const WORDS: bool>(
    panel: Panel,
    vectors: usize,
    inputs: Inputs,
    rows: &[Row],
    sums: &mut [i32],
) {
    for vector in 0..vectors {
        let mut rows = rows;
        while !rows.is_empty() {
            // SAFETY: as for the caller
            let done = unsafe {
                match rows.len() {
                    4.. => avx2_block::<4, WORDS>(panel, (vector, vectors), inputs, rows, sums),
                    _ => avx2_block::<1, WORDS>(panel, (vector, vectors), inputs, rows, sums),
                }
            };
            rows = &rows[done..];
        }
    }
}

/// The first `M` rows by 16 columns; gives `M`.
#[target_feature(enable = "avx2")]
unsafe fn avx2_block<const M: usize, const WORDS: bool>(
    panel: Panel,
    (vector, vectors): (usize, usize),
    inputs: Inputs,
    rows: &[Row],
    sums: &mut [i32],
) -> usize {
    let starts = panel.starts[vector * LANES..][..LANES].as_ptr();
    // SAFETY: 16 columns are two registers
    let starts: [__m256i; 2] = std::array::from_fn(|half| unsafe { _mm256_loadu_si256(starts.add(half * 8).cast()) });
    let mut products = [starts; M];
    let mut from: [*const u32; M] = std::array::from_fn(|m| inputs.groups[rows[m].from..].as_ptr());
    for weights in panel.weights.chunks_exact(inputs.part * vectors * LANES) {
        for (group, weights) in weights.chunks_exact(vectors * LANES).enumerate() {
            let weights = weights[vector * LANES..][..LANES].as_ptr();
            // SAFETY: 16 columns are two registers; each part of a row of inputs holds one entry for each of its groups
            let weights: [__m256i; 2] =
                std::array::from_fn(|half| unsafe { _mm256_loadu_si256(weights.add(half * 8).cast()) });
            for (products, from) in products.iter_mut().zip(from) {
                let input = _mm256_set1_epi32(unsafe { from.add(group).read() } as i32);
                for (product, weights) in products.iter_mut().zip(weights) {
                    let sums = if WORDS {
                        _mm256_madd_epi16(input, weights)
                    } else {
                        // no sum of two products leaves 16 bits, since inputs are below 128
                        _mm256_madd_epi16(_mm256_maddubs_epi16(input, weights), _mm256_set1_epi16(1))
                    };
                    *product = _mm256_add_epi32(*product, sums);
                }
            }
        }
        // the last part has none behind it
        from.iter_mut().for_each(|from| *from = from.wrapping_add(inputs.pitch));
    }
    for (products, row) in products.iter().zip(rows) {
        let factor = _mm256_set1_epi32(row.factor);
        let sums = &mut sums[row.to + vector * LANES..][..LANES];
        for (product, sums) in products.iter().zip(sums.chunks_exact_mut(8)) {
            // SAFETY: a chunk is one register
            unsafe {
                let product = _mm256_mullo_epi32(*product, factor);
                let sum = if inputs.fresh {
                    product
                } else {
                    _mm256_add_epi32(_mm256_loadu_si256(sums.as_ptr().cast()), product)
                };
                _mm256_storeu_si256(sums.as_mut_ptr().cast(), sum);
            }
        }
    }
    M
}
