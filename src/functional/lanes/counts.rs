//! The two products of an attention whose operands are counts: values of a step in words, beside those of the step before.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, with slices whose \
              lengths are asserted just before"
)]

#[cfg(target_arch = "x86_64")]
use super::product::panels;
use super::{LANES, Level, Packed, Row, Set, Width};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// How many values have changed, and how many of them have become smaller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::functional) struct Changes {
    pub all: u64,
    pub negative: u64,
}

impl Changes {
    /// Counts how values differ from those before.
    #[inline(always)]
    pub fn count<N: Copy + Into<i32>>(&mut self, now: &[N], before: &[N]) {
        let (mut all, mut negative) = (0u32, 0u32);
        for (now, before) in now.iter().zip(before) {
            let change = (*now).into().wrapping_sub((*before).into());
            all += u32::from(change != 0);
            negative += u32::from(change < 0);
        }
        self.all += u64::from(all);
        self.negative += u64::from(negative);
    }
}

/// Products of rows with matrices of counts of 0 to 127, one for each head.
#[derive(Debug)]
pub(in crate::functional) struct CountProducts {
    level: Level,
    /// Channels of a head.
    width: usize,
    /// Rows of the other operand.
    rows: usize,
    /// One for each head. With AVX-512, columns stand as packing registers of sums to words takes them.
    packed: Vec<Packed>,
    /// A row of numbers on its way, and its sums.
    inputs: Vec<u32>,
    sums: Vec<i32>,
    /// Rows of words of a head as bytes, the lower ones; and the upper ones, where a row has any.
    low: Vec<u8>,
    high: Vec<i8>,
    /// Whether a row has upper bytes.
    beyond: Vec<bool>,
}

/// Where inputs and values of the rows of a head are: those of row `n` begin `n` pitches on.
#[derive(Debug, Clone, Copy)]
struct Place {
    from: usize,
    from_pitch: usize,
    /// Words.
    to: usize,
    to_pitch: usize,
}

impl CountProducts {
    /// Products `Q·Kᵀ` of `queries` rows with as many columns as `keys`; `None` where channels of a head are no whole groups,
    /// or keys no whole pairs of registers.
    pub fn scores(level: Level, heads: usize, width: usize, (queries, keys): (usize, usize)) -> Option<Self> {
        let whole = width.is_multiple_of(Width::Bytes.inputs()) && keys.is_multiple_of(2 * LANES);
        whole.then(|| Self::new(level, (heads, width, queries), Packed::new(Width::Bytes, width, keys, |_| &[])))
    }

    /// Products `P·V` of `queries` rows; `None` where keys are no whole groups, or channels of a head no whole pairs of
    /// registers. Shares are words, but hardly any of them is beyond a byte, so that AVX-512 multiplies bytes.
    pub fn context(level: Level, heads: usize, width: usize, (queries, keys): (usize, usize)) -> Option<Self> {
        let kind = if level.0 == Set::Avx512 { Width::Bytes } else { Width::Words };
        let whole = keys.is_multiple_of(kind.inputs()) && width.is_multiple_of(2 * LANES);
        whole.then(|| Self::new(level, (heads, width, queries), Packed::new(kind, keys, width, |_| &[])))
    }

    fn new(level: Level, (heads, width, rows): (usize, usize, usize), packed: Packed) -> Self {
        let (inputs, sums) = (vec![0; packed.groups], vec![0; packed.stride()]);
        let (low, high, beyond) = (vec![], vec![], vec![]);
        Self { level, width, rows, packed: vec![packed; heads], inputs, sums, low, high, beyond }
    }

    /// Scores `[query][head][key]` of queries and keys `[position][head][channel]`, all of which fit into words; counts how they
    /// differ from those before.
    ///
    /// # Panics
    /// If a slice has another length.
    #[inline(always)]
    pub fn scores_of(&mut self, queries: &[i8], keys: &[i8], now: &mut [i16], before: &[i16]) -> Changes {
        let (channels, columns) = (self.packed.len() * self.width, self.packed[0].stride());
        assert!(keys.len() == columns * channels && queries.len() == self.rows * channels);
        assert!(now.len() == self.rows * self.packed.len() * columns && now.len() == before.len());
        #[cfg(target_arch = "x86_64")]
        if self.level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions, and slices have the lengths that were asserted
            return unsafe { self.scores_avx512(queries, keys, (now, before)) };
        }
        for (head, packed) in self.packed.iter_mut().enumerate() {
            packed.fill_byte_columns(columns, &keys[head * self.width..], channels);
        }
        let to_pitch = self.packed.len() * columns;
        let place = |head| Place { from: head * self.width, from_pitch: channels, to: head * columns, to_pitch };
        let places: Vec<Place> = (0..self.packed.len()).map(place).collect();
        self.multiply(bytemuck::cast_slice(queries), &places, now, before).0
    }

    /// Contexts `[query][head][channel]` of shares `[query][head][key]` and values `[key][head][channel]`; counts how they
    /// differ from those before. `None` where one does not fit into a word.
    ///
    /// # Panics
    /// If a slice has another length.
    #[inline(always)]
    pub fn contexts_of(&mut self, shares: &[i16], values: &[i8], now: &mut [i16], before: &[i16]) -> Option<Changes> {
        let (heads, width) = (self.packed.len(), self.width);
        let (channels, keys) = (heads * width, self.packed[0].groups * self.packed[0].width().inputs());
        assert!(values.len() == keys * channels && shares.len() == self.rows * heads * keys);
        assert!(now.len() == self.rows * channels && now.len() == before.len());
        #[cfg(target_arch = "x86_64")]
        if self.level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions, and slices have the lengths that were asserted
            return unsafe { self.contexts_avx512((shares, keys), values, (now, before)) };
        }
        for (head, packed) in self.packed.iter_mut().enumerate() {
            packed.fill_byte_rows(width, &values[head * width..], channels);
        }
        let from_pitch = 2 * heads * keys;
        let place = |head| Place { from: 2 * head * keys, from_pitch, to: head * width, to_pitch: channels };
        let places: Vec<Place> = (0..heads).map(place).collect();
        let (changes, fits) = self.multiply(bytemuck::cast_slice(shares), &places, now, before);
        fits.then_some(changes)
    }

    /// All heads, inputs of which are bytes of groups: how values have changed, and whether they fit.
    #[inline(always)]
    fn multiply(&mut self, inputs: &[u8], places: &[Place], now: &mut [i16], before: &[i16]) -> (Changes, bool) {
        let (mut changes, mut fits) = (Changes::default(), true);
        for (packed, &place) in self.packed.iter().zip(places) {
            for row in 0..self.rows {
                let from = &inputs[place.from + row * place.from_pitch..][..4 * packed.groups];
                bytemuck::cast_slice_mut(&mut self.inputs).copy_from_slice(from);
                self.sums.fill(0);
                packed.multiply(self.level, &self.inputs, &[Row { from: 0, to: 0, factor: 1 }], &mut self.sums);
                let to = place.to + row * place.to_pitch..place.to + row * place.to_pitch + packed.stride();
                let now = &mut now[to.clone()];
                for (now, &sum) in now.iter_mut().zip(&self.sums) {
                    *now = sum as i16;
                    fits &= i32::from(*now) == sum;
                }
                changes.count(now, &before[to]);
            }
        }
        (changes, fits)
    }
}

#[cfg(target_arch = "x86_64")]
impl CountProducts {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,popcnt")]
    unsafe fn scores_avx512(&mut self, queries: &[i8], keys: &[i8], values: (&mut [i16], &[i16])) -> Changes {
        let (heads, channels) = (self.packed.len(), self.packed.len() * self.width);
        fill_keys(&mut self.packed, keys, (self.width, channels));
        let (mut tally, (now, before)) = (Tally::none(), values);
        for (head, packed) in self.packed.iter().enumerate() {
            let columns = packed.stride();
            let inputs =
                Bytes { low: &bytemuck::cast_slice(queries)[head * self.width..], pitch: channels, beyond: None };
            let to = (head * columns, heads * columns);
            // SAFETY: as for the caller
            unsafe { product::<false>(packed, inputs, self.rows, to, (&mut *now, before), &mut tally) };
        }
        tally.changes
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,popcnt")]
    unsafe fn contexts_avx512(
        &mut self,
        (shares, keys): (&[i16], usize),
        values: &[i8],
        (now, before): (&mut [i16], &[i16]),
    ) -> Option<Changes> {
        let (rows, heads, width) = (self.rows, self.packed.len(), self.width);
        fill_values(&mut self.packed, values, (width, heads * width));
        self.low.resize(rows * keys, 0);
        self.high.resize(rows * keys, 0);
        self.beyond.resize(rows, false);
        let mut tally = Tally::none();
        for (head, packed) in self.packed.iter().enumerate() {
            for row in 0..rows {
                let shares = &shares[(row * heads + head) * keys..][..keys];
                let within = row * keys..(row + 1) * keys;
                self.beyond[row] = split(shares, &mut self.low[within.clone()], &mut self.high[within]);
            }
            let inputs = Bytes { low: &self.low, pitch: keys, beyond: Some((&self.high, &self.beyond)) };
            let to = (head * width, heads * width);
            // SAFETY: as for the caller
            unsafe { product::<true>(packed, inputs, rows, to, (&mut *now, before), &mut tally) };
        }
        (_mm512_test_epi32_mask(tally.beyond, _mm512_set1_epi32(!0x7fff)) == 0).then_some(tally.changes)
    }
}

/// Splits words into lower and upper bytes; the latter only where any is not zero. Says whether one is.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn split(words: &[i16], low: &mut [u8], high: &mut [i8]) -> bool {
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
#[cfg(target_arch = "x86_64")]
fn column(register: usize, lane: usize) -> usize {
    register / 2 * 2 * LANES + lane / 4 * 8 + register % 2 * 4 + lane % 4
}

/// Lays out keys `[key][head][channel]`, four channels to a number.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn fill_keys(heads: &mut [Packed], keys: &[i8], (width, channels): (usize, usize)) {
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
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn fill_values(heads: &mut [Packed], values: &[i8], (width, channels): (usize, usize)) {
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
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Bytes<'a> {
    /// Their bytes without sign, a row every `pitch`.
    low: &'a [u8],
    pitch: usize,
    /// Bytes with sign that count 256 times as much, likewise, and which rows have any.
    beyond: Option<(&'a [i8], &'a [bool])>,
}

/// What is known of values.
#[cfg(target_arch = "x86_64")]
struct Tally {
    changes: Changes,
    /// Bits of all of them, a lane for each column.
    beyond: __m512i,
}

#[cfg(target_arch = "x86_64")]
impl Tally {
    #[target_feature(enable = "avx512f")]
    fn none() -> Self {
        Self { changes: Changes::default(), beyond: _mm512_setzero_si512() }
    }
}

/// Products of all rows of a head, `WIDE` where they may have upper bytes; those of row `n` from `first + n · pitch` on.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,popcnt")]
unsafe fn product<const WIDE: bool>(
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
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
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

#[cfg(test)]
mod tests {
    use super::super::HeadProduct;
    use super::*;

    #[test]
    fn products_of_counts_are_those_of_numbers() {
        for (heads, width, queries, keys) in
            [(2, 32, 5, 32), (1, 32, 7, 64), (4, 32, 64, 64), (2, 96, 3, 96), (3, 64, 2, 32)]
        {
            let channels = heads * width;
            let counts = |seed: usize, rows: usize| -> Vec<i8> {
                (0..rows * channels).map(|n| ((n * n * 7 + n * seed) as i8 & 127) / 8).collect()
            };
            let wide = |counts: &[i8]| counts.iter().map(|&count| count.into()).collect::<Vec<i32>>();
            let words = |numbers: &[i32]| numbers.iter().map(|&number| number as i16).collect::<Vec<i16>>();
            let (q, k) = (counts(3, queries), counts(5, keys));
            let shares: Vec<i32> =
                (0..queries * heads * keys).map(|n| (n * 37 % 20) as i32 + i32::from(n % 190 == 0) * 300).collect();
            let mut wanted = vec![0; queries * heads * keys];
            let by_column = |head: usize, packed: &mut Packed| {
                let all = wide(&k);
                packed.fill_columns(keys, |key| &all[key * channels + head * width..][..width]);
            };
            HeadProduct::new(heads, (queries, width, keys)).multiply(Level::best(), &wide(&q), by_column, &mut wanted);
            let mut contexts = vec![0; queries * channels];
            let by_row = |head: usize, packed: &mut Packed| {
                let all = wide(&k);
                packed.fill_rows(keys, |key| &all[key * channels + head * width..][..width]);
            };
            HeadProduct::new(heads, (queries, keys, width)).multiply(Level::best(), &shares, by_row, &mut contexts);
            let changed = |now: &[i32]| -> Vec<i16> {
                (0..).zip(now).map(|(n, &now)| (now + [0, 0, 3, -(now.min(5))][n % 4]) as i16).collect()
            };
            for (level, wanted) in Level::all().map(|level| (level, words(&wanted))) {
                let (before, mut now) = (changed(&wide_words(&wanted)), vec![7; wanted.len()]);
                let mut changes = Changes::default();
                changes.count(&wanted, &before);
                let mut products = CountProducts::scores(level, heads, width, (queries, keys)).unwrap();
                assert_eq!(products.scores_of(&q, &k, &mut now, &before), changes, "{level:?}");
                assert_eq!(now, wanted, "{level:?}");
            }
            for (level, wanted) in Level::all().map(|level| (level, words(&contexts))) {
                let (before, mut now) = (changed(&contexts), vec![7; wanted.len()]);
                let mut changes = Changes::default();
                changes.count(&wanted, &before);
                let mut products = CountProducts::context(level, heads, width, (queries, keys)).unwrap();
                let found = products.contexts_of(&words(&shares), &k, &mut now, &before);
                assert_eq!((found, &now), (Some(changes), &wanted), "{level:?}");
                let large = vec![i16::MAX; shares.len()];
                assert_eq!(products.contexts_of(&large, &k, &mut now, &before), None, "{level:?}");
            }
        }
        let level = Level::best();
        assert!(CountProducts::scores(level, 2, 6, (4, 32)).is_none());
        assert!(CountProducts::context(level, 1, 20, (4, 16)).is_none());
    }

    fn wide_words(words: &[i16]) -> Vec<i32> {
        words.iter().map(|&word| word.into()).collect()
    }
}
