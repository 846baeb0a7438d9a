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

/// Lays out keys `[key][head][channel]`, four channels to a number. A register of a panel holds the columns that packing two of
/// them to words brings into their order: in each quarter four of eight keys.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn fill_keys(heads: &mut [Packed], keys: &[i8], (width, channels): (usize, usize)) {
    let (columns, groups) = (heads[0].stride(), width / 4);
    assert!(keys.len() == columns * channels);
    for (first, vectors) in panels(columns) {
        for register in 0..vectors {
            let (key, mut head, mut group) = (first + register / 2 * 2 * LANES + register % 2 * 4, 0, 0);
            for channel in (0..channels).step_by(LANES) {
                let there = (channels - channel).min(LANES) / 4;
                // SAFETY: all keys lie within the slice, as was asserted
                let rows = unsafe {
                    let from = keys.as_ptr().add(key * channels + channel);
                    let pitch = (channels, there);
                    [
                        quarters(from, pitch),
                        quarters(from.add(channels), pitch),
                        quarters(from.add(2 * channels), pitch),
                        quarters(from.add(3 * channels), pitch),
                    ]
                };
                for row in transposed(rows).into_iter().take(there) {
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

/// A register of four times so many numbers, up to four, those of every eighth key.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn quarters(from: *const i8, (pitch, count): (usize, usize)) -> __m512i {
    // SAFETY: as for the caller; of a last part only the numbers that are there are loaded
    unsafe {
        if count == 4 {
            let all = _mm512_broadcast_i32x4(_mm_loadu_si128(from.cast()));
            let all = _mm512_mask_broadcast_i32x4(all, 0x00f0, _mm_loadu_si128(from.add(8 * pitch).cast()));
            let all = _mm512_mask_broadcast_i32x4(all, 0x0f00, _mm_loadu_si128(from.add(16 * pitch).cast()));
            return _mm512_mask_broadcast_i32x4(all, 0xf000, _mm_loadu_si128(from.add(24 * pitch).cast()));
        }
        let there = u8::MAX >> (8 - count);
        let all = _mm512_broadcast_i32x4(_mm_maskz_loadu_epi32(there, from.cast()));
        let all = _mm512_mask_broadcast_i32x4(all, 0x00f0, _mm_maskz_loadu_epi32(there, from.add(8 * pitch).cast()));
        let all = _mm512_mask_broadcast_i32x4(all, 0x0f00, _mm_maskz_loadu_epi32(there, from.add(16 * pitch).cast()));
        _mm512_mask_broadcast_i32x4(all, 0xf000, _mm_maskz_loadu_epi32(there, from.add(24 * pitch).cast()))
    }
}

/// In each quarter row `n` of the result holds number `n` of all rows.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (low, high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (other_low, other_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(low, other_low),
        _mm512_unpackhi_epi64(low, other_low),
        _mm512_unpacklo_epi64(high, other_high),
        _mm512_unpackhi_epi64(high, other_high),
    ]
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
