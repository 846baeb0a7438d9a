//! The two products of an attention in the instructions of AVX-512: operands as bytes, laid out anew whenever they change.
//! Callers have asked the processor for them.

#![allow(unsafe_code, reason = "registers are loaded and stored inside slices, as the callers promise")]

use super::product::panels;
use super::{Changes, LANES, Packed};
use std::arch::x86_64::*;

/// Splits words into lower and upper bytes; the latter only where any is not zero. Says whether one is.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn split(words: &[i16], low: &mut [u8], high: &mut [i8]) -> bool {
    let (byte, order) = (_mm512_set1_epi16(0xff), _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7));
    let of = |words: &[i16]| {
        let there = u64::MAX >> (64 - words.len());
        // SAFETY: only the words that are there are loaded
        unsafe {
            let one = _mm512_maskz_loadu_epi16(there as u32, words.as_ptr());
            let other = _mm512_maskz_loadu_epi16((there >> 32) as u32, words.as_ptr().wrapping_add(2 * LANES));
            (there, one, other)
        }
    };
    let pack = |one, other| _mm512_permutexvar_epi64(order, _mm512_packus_epi16(one, other));
    let mut any = _mm512_setzero_si512();
    for (words, low) in words.chunks(64).zip(low.chunks_mut(64)) {
        let (there, one, other) = of(words);
        any = _mm512_or_si512(any, _mm512_or_si512(one, other));
        let bytes = pack(_mm512_and_si512(one, byte), _mm512_and_si512(other, byte));
        // SAFETY: only bytes that are there are stored
        unsafe { _mm512_mask_storeu_epi8(low.as_mut_ptr().cast(), there, bytes) };
    }
    if _mm512_test_epi16_mask(any, _mm512_set1_epi16(!0xff)) == 0 {
        return false;
    }
    for (words, high) in words.chunks(64).zip(high.chunks_mut(64)) {
        let (there, one, other) = of(words);
        let bytes = pack(_mm512_srli_epi16::<8>(one), _mm512_srli_epi16::<8>(other));
        // SAFETY: as above
        unsafe { _mm512_mask_storeu_epi8(high.as_mut_ptr(), there, bytes) };
    }
    true
}

/// Columns that a register of a panel holds: those that packing two of them to words brings into their order.
fn column(register: usize, lane: usize) -> usize {
    register / 2 * 2 * LANES + lane / 4 * 8 + register % 2 * 4 + lane % 4
}

/// Lays out keys `[key][head][channel]`, four channels to a number.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn fill_keys(heads: &mut [Packed], keys: &[i8], (width, channels): (usize, usize)) {
    let (columns, groups) = (heads[0].stride(), width / 4);
    for (first, vectors) in panels(columns) {
        for register in 0..vectors {
            // blocks of 16 keys by 64 channels
            for block in (0..channels).step_by(64) {
                let there = u16::MAX >> (LANES - (channels - block).min(64) / 4);
                let rows: [__m512i; LANES] = std::array::from_fn(|lane| {
                    let key =
                        &keys[(first + column(register, lane)) * channels + block..][..(channels - block).min(64)];
                    // SAFETY: only the channels that are there are loaded
                    unsafe { _mm512_maskz_loadu_epi32(there, key.as_ptr().cast()) }
                });
                let (mut head, mut group) = (block / 4 / groups, block / 4 % groups);
                for row in transposed(rows).into_iter().take((channels - block).min(64) / 4) {
                    let to = first * groups + (group * vectors + register) * LANES;
                    let to = &mut heads[head].panels[to..to + LANES];
                    // SAFETY: there is one register
                    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), row) };
                    group += 1;
                    if group == groups {
                        (head, group) = (head + 1, 0);
                    }
                }
            }
        }
    }
}

/// Row `n` of the result holds entry `n` of all rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn transposed(rows: [__m512i; LANES]) -> [__m512i; LANES] {
    let mut pairs = rows;
    for n in 0..8 {
        pairs[2 * n] = _mm512_unpacklo_epi32(rows[2 * n], rows[2 * n + 1]);
        pairs[2 * n + 1] = _mm512_unpackhi_epi32(rows[2 * n], rows[2 * n + 1]);
    }
    let mut fours = pairs;
    for n in 0..4 {
        fours[4 * n] = _mm512_unpacklo_epi64(pairs[4 * n], pairs[4 * n + 2]);
        fours[4 * n + 1] = _mm512_unpackhi_epi64(pairs[4 * n], pairs[4 * n + 2]);
        fours[4 * n + 2] = _mm512_unpacklo_epi64(pairs[4 * n + 1], pairs[4 * n + 3]);
        fours[4 * n + 3] = _mm512_unpackhi_epi64(pairs[4 * n + 1], pairs[4 * n + 3]);
    }
    let mut all = fours;
    for n in 0..4 {
        // the even quarters of registers, then the odd ones
        let even = [0, 8].map(|of| _mm512_shuffle_i32x4::<0x88>(fours[of + n], fours[of + 4 + n]));
        let odd = [0, 8].map(|of| _mm512_shuffle_i32x4::<0xdd>(fours[of + n], fours[of + 4 + n]));
        all[n] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
        all[4 + n] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
        all[8 + n] = _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]);
        all[12 + n] = _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]);
    }
    all
}

/// Lays out values `[key][head][channel]`, those of four keys to a number.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn fill_values(heads: &mut [Packed], values: &[i8], (width, channels): (usize, usize)) {
    let groups = heads[0].groups;
    // registers of 32 columns: of each quarter of 16 channels the first and the third four, then the others
    let halves = [[0, 1, 8, 9, 2, 3, 10, 11], [4, 5, 12, 13, 6, 7, 14, 15]]
        .map(|[a, b, c, d, e, f, g, h]: [i64; 8]| _mm512_setr_epi64(a, b, c, d, e, f, g, h));
    for (group, four) in values.chunks_exact(4 * channels).enumerate() {
        for block in (0..channels).step_by(64) {
            let there = u64::MAX >> (64 - (channels - block).min(64));
            let rows: [__m512i; 4] = std::array::from_fn(|key| {
                let row = &four[key * channels + block..(key + 1) * channels];
                // SAFETY: only the channels that are there are loaded
                unsafe { _mm512_maskz_loadu_epi8(there, row.as_ptr()) }
            });
            let low = [0, 2].map(|key| _mm512_unpacklo_epi8(rows[key], rows[key + 1]));
            let high = [0, 2].map(|key| _mm512_unpackhi_epi8(rows[key], rows[key + 1]));
            let even = [low, high].map(|[one, other]| _mm512_unpacklo_epi16(one, other));
            let odd = [low, high].map(|[one, other]| _mm512_unpackhi_epi16(one, other));
            for (half, order) in halves.into_iter().enumerate().take((channels - block).div_ceil(32)) {
                let (head, column) = ((block + 32 * half) / width, (block + 32 * half) % width);
                let panel = panels(width).find(|&(first, vectors)| column < first + vectors * LANES);
                let Some((first, vectors)) = panel else { continue };
                let to = first * groups + group * vectors * LANES + column - first;
                let to = &mut heads[head].panels[to..to + 2 * LANES];
                // SAFETY: there are two registers
                unsafe {
                    let [first, second] = [even, odd].map(|of| _mm512_permutex2var_epi64(of[0], order, of[1]));
                    _mm512_storeu_si512(to.as_mut_ptr().cast(), first);
                    _mm512_storeu_si512(to[LANES..].as_mut_ptr().cast(), second);
                }
            }
        }
    }
}

/// Rows of a product.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a> {
    /// Their bytes without sign, a row every `pitch`.
    pub low: &'a [u8],
    pub pitch: usize,
    /// Bytes with sign that count 256 times as much, likewise, and which rows have any.
    pub beyond: Option<(&'a [i8], &'a [bool])>,
}

/// What is known of values.
pub(super) struct Tally {
    pub changes: Changes,
    /// Bits of all of them, a lane for each column.
    pub beyond: __m512i,
}

impl Tally {
    #[target_feature(enable = "avx512f")]
    pub fn none() -> Self {
        Self { changes: Changes::default(), beyond: _mm512_setzero_si512() }
    }
}

/// Products of all rows of a head, `WIDE` where they may have upper bytes; those of row `n` from `first + n · pitch` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,popcnt")]
pub(super) unsafe fn product<const WIDE: bool>(
    packed: &Packed,
    inputs: Bytes,
    rows: usize,
    (first, pitch): (usize, usize),
    (now, before): (&mut [i16], &[i16]),
    tally: &mut Tally,
) {
    for (column, vectors) in panels(packed.stride()) {
        let panel = &packed.panels[column * packed.groups..][..vectors * LANES * packed.groups];
        let mut row = 0;
        while row < rows {
            let (to, values) = ((first + column + row * pitch, pitch), (&mut *now, before));
            // SAFETY: as for the caller
            row += unsafe {
                match (vectors, rows - row) {
                    (4, 6..) => tile::<6, 4, WIDE>(panel, (inputs, row), to, values, tally),
                    (4, 2..) => tile::<2, 4, WIDE>(panel, (inputs, row), to, values, tally),
                    (4, _) => tile::<1, 4, WIDE>(panel, (inputs, row), to, values, tally),
                    (_, 8..) => tile::<8, 2, WIDE>(panel, (inputs, row), to, values, tally),
                    (_, 2..) => tile::<2, 2, WIDE>(panel, (inputs, row), to, values, tally),
                    (..) => tile::<1, 2, WIDE>(panel, (inputs, row), to, values, tally),
                }
            };
        }
    }
}

/// `M` rows by `V` registers of columns; gives `M`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,popcnt")]
unsafe fn tile<const M: usize, const V: usize, const WIDE: bool>(
    panel: &[u32],
    (inputs, row): (Bytes, usize),
    (first, pitch): (usize, usize),
    (now, before): (&mut [i16], &[i16]),
    tally: &mut Tally,
) -> usize {
    let mut sums = [[_mm512_setzero_si512(); V]; M];
    // SAFETY: all rows lie within the inputs
    let from: [*const u32; M] =
        std::array::from_fn(|m| unsafe { inputs.low.as_ptr().add((row + m) * inputs.pitch).cast() });
    for (group, weights) in panel.chunks_exact(V * LANES).enumerate() {
        // SAFETY: `weights` holds V registers, each row of inputs one entry for each group
        let weights: [__m512i; V] =
            std::array::from_fn(|v| unsafe { _mm512_loadu_si512(weights.as_ptr().add(v * LANES).cast()) });
        for (sums, from) in sums.iter_mut().zip(from) {
            let input = _mm512_set1_epi32(unsafe { from.add(group).read_unaligned() } as i32);
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm512_dpbusd_epi32(*sum, input, weights);
            }
        }
    }
    let (mut all, mut negative, mut bits) = (0, 0, tally.beyond);
    for (m, mut sums) in sums.into_iter().enumerate() {
        if let Some((high, _)) = inputs.beyond.filter(|(_, beyond)| WIDE && beyond[row + m]) {
            // SAFETY: as above
            let beyond = unsafe { product_of_row::<V>(panel, high.as_ptr().add((row + m) * inputs.pitch).cast()) };
            sums = std::array::from_fn(|v| _mm512_add_epi32(sums[v], _mm512_slli_epi32::<8>(beyond[v])));
        }
        for (v, two) in sums.chunks_exact(2).enumerate() {
            let at = first + m * pitch + v * 2 * LANES;
            if WIDE {
                bits = _mm512_or_si512(bits, _mm512_or_si512(two[0], two[1]));
            }
            // SAFETY: the row lies within both slices
            unsafe {
                let values = _mm512_packs_epi32(two[0], two[1]);
                let earlier = _mm512_loadu_si512(before.as_ptr().add(at).cast());
                _mm512_storeu_si512(now.as_mut_ptr().add(at).cast(), values);
                all += _mm512_cmpneq_epi16_mask(values, earlier).count_ones();
                negative += _mm512_cmplt_epi16_mask(values, earlier).count_ones();
            }
        }
    }
    tally.changes.all += u64::from(all);
    tally.changes.negative += u64::from(negative);
    tally.beyond = bits;
    M
}

/// The product of a row of bytes with sign.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn product_of_row<const V: usize>(panel: &[u32], from: *const u32) -> [__m512i; V] {
    let mut sums = [_mm512_setzero_si512(); V];
    for (group, weights) in panel.chunks_exact(V * LANES).enumerate() {
        // SAFETY: as for the caller
        let input = _mm512_set1_epi32(unsafe { from.add(group).read_unaligned() } as i32);
        for (v, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `weights` holds V registers
            let weights = unsafe { _mm512_loadu_si512(weights.as_ptr().add(v * LANES).cast()) };
            *sum = _mm512_dpbusd_epi32(*sum, weights, input);
        }
    }
    sums
}
