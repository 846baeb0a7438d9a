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
    /// Channels of a head.
    width: usize,
    /// Rows of the other operand.
    rows: usize,
    /// One for each head. With AVX-512, columns stand as packing registers of sums to words takes them.
    packed: Vec<Packed>,
    /// A row of numbers on its way, and its sums.
    inputs: Vec<u32>,
    sums: Vec<i32>,
}

/// Where inputs and values of the rows of a head are: those of row `n` begin `n` pitches on.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Bytes.
    from: usize,
    from_pitch: usize,
    /// Words.
    to: usize,
    to_pitch: usize,
}

impl CountProducts {
    /// Products `Q·Kᵀ` of `queries` rows with as many columns as `keys`; `None` where channels of a head are no whole groups,
    /// or keys no whole pairs of registers.
    pub fn scores(heads: usize, width: usize, (queries, keys): (usize, usize)) -> Option<Self> {
        let whole = width.is_multiple_of(Width::Bytes.inputs()) && keys.is_multiple_of(2 * LANES);
        whole.then(|| Self::new(heads, width, queries, Packed::new(Width::Bytes, width, keys, |_| &[])))
    }

    /// Products `P·V` of `queries` rows; `None` where keys are no whole groups, or channels of a head no whole pairs of
    /// registers.
    pub fn context(heads: usize, width: usize, (queries, keys): (usize, usize)) -> Option<Self> {
        let whole = keys.is_multiple_of(Width::Words.inputs()) && width.is_multiple_of(2 * LANES);
        whole.then(|| Self::new(heads, width, queries, Packed::new(Width::Words, keys, width, |_| &[])))
    }

    fn new(heads: usize, width: usize, rows: usize, packed: Packed) -> Self {
        let (inputs, sums) = (vec![0; packed.groups], vec![0; packed.stride()]);
        Self { width, rows, packed: vec![packed; heads], inputs, sums }
    }

    /// Scores `[query][head][key]` of queries and keys `[position][head][channel]`, all of which fit into words; counts how they
    /// differ from those before.
    ///
    /// # Panics
    /// If a slice has another length.
    #[inline(always)]
    pub fn scores_of(&mut self, level: Level, queries: &[i8], keys: &[i8], now: &mut [i16], before: &[i16]) -> Changes {
        let (channels, columns) = (self.packed.len() * self.width, self.packed[0].stride());
        assert!(keys.len() == columns * channels);
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions
            unsafe { fill_keys(&mut self.packed, keys, (self.width, channels)) };
        }
        if level.0 != Set::Avx512 {
            for (head, packed) in self.packed.iter_mut().enumerate() {
                packed.fill_byte_columns(columns, &keys[head * self.width..], channels);
            }
        }
        let place = |head: usize| Place {
            from: head * self.width,
            from_pitch: channels,
            to: head * columns,
            to_pitch: self.packed.len() * columns,
        };
        let places: Vec<Place> = (0..self.packed.len()).map(place).collect();
        self.multiply::<false>(level, bytemuck::cast_slice(queries), &places, now, before).0
    }

    /// Contexts `[query][head][channel]` of shares `[query][head][key]` and values `[key][head][channel]`; counts how they
    /// differ from those before. `None` where one does not fit into a word.
    ///
    /// # Panics
    /// If a slice has another length.
    #[inline(always)]
    pub fn contexts_of(
        &mut self,
        level: Level,
        shares: &[i16],
        values: &[i8],
        now: &mut [i16],
        before: &[i16],
    ) -> Option<Changes> {
        let (heads, width) = (self.packed.len(), self.width);
        let (channels, keys) = (heads * width, values.len() / (heads * width));
        assert!(values.len() == 2 * self.packed[0].groups * channels);
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions
            unsafe { fill_values(&mut self.packed, values, (width, channels)) };
        }
        if level.0 != Set::Avx512 {
            for (head, packed) in self.packed.iter_mut().enumerate() {
                packed.fill_byte_rows(width, &values[head * width..], channels);
            }
        }
        let place = |head: usize| Place {
            from: 2 * head * keys,
            from_pitch: 2 * heads * keys,
            to: head * width,
            to_pitch: channels,
        };
        let places: Vec<Place> = (0..heads).map(place).collect();
        let (changes, fits) = self.multiply::<true>(level, bytemuck::cast_slice(shares), &places, now, before);
        fits.then_some(changes)
    }

    /// All heads: how values have changed, and whether they fit.
    #[inline(always)]
    fn multiply<const WORDS: bool>(
        &mut self,
        level: Level,
        inputs: &[u8],
        places: &[Place],
        now: &mut [i16],
        before: &[i16],
    ) -> (Changes, bool) {
        let (mut changes, mut fits, rows) = (Changes::default(), true, self.rows);
        for (packed, &place) in self.packed.iter().zip(places) {
            let end = |first: usize, pitch: usize, length: usize| first + rows.saturating_sub(1) * pitch + length;
            assert!(end(place.from, place.from_pitch, 4 * packed.groups) <= inputs.len());
            assert!(end(place.to, place.to_pitch, packed.stride()) <= now.len().min(before.len()));
            #[cfg(target_arch = "x86_64")]
            if level.0 == Set::Avx512 {
                // SAFETY: the processor has the instructions; all rows lie within the slices
                unsafe {
                    for (first, vectors) in panels(packed.stride()) {
                        let panel = &packed.panels[first * packed.groups..][..vectors * LANES * packed.groups];
                        let place = Place { to: place.to + first, ..place };
                        let (some, fit) = match vectors {
                            4 => avx512::<4, WORDS>(panel, inputs, (place, rows), now, before),
                            _ => avx512::<2, WORDS>(panel, inputs, (place, rows), now, before),
                        };
                        changes.all += some.all;
                        changes.negative += some.negative;
                        fits &= fit;
                    }
                }
                continue;
            }
            for row in 0..rows {
                let from = &inputs[place.from + row * place.from_pitch..][..4 * packed.groups];
                bytemuck::cast_slice_mut(&mut self.inputs).copy_from_slice(from);
                self.sums.fill(0);
                packed.multiply(level, &self.inputs, &[Row { from: 0, to: 0, factor: 1 }], &mut self.sums);
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
                for (at, row) in transposed(rows).into_iter().enumerate().take((channels - block).min(64) / 4) {
                    let (head, group) = ((block / 4 + at) / groups, (block / 4 + at) % groups);
                    let to = first * groups + (group * vectors + register) * LANES;
                    let to = &mut heads[head].panels[to..to + LANES];
                    // SAFETY: there is one register
                    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), row) };
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

/// Lays out values `[key][head][channel]`, those of two keys to a number.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn fill_values(heads: &mut [Packed], values: &[i8], (width, channels): (usize, usize)) {
    let (zero, groups) = (_mm512_setzero_si512(), heads[0].groups);
    // registers of 32 columns: of each quarter of 16 channels the first and the third four, then the others
    let halves = [[0, 1, 8, 9, 2, 3, 10, 11], [4, 5, 12, 13, 6, 7, 14, 15]]
        .map(|[a, b, c, d, e, f, g, h]: [i64; 8]| _mm512_setr_epi64(a, b, c, d, e, f, g, h));
    for (group, two) in values.chunks_exact(2 * channels).enumerate() {
        for block in (0..channels).step_by(64) {
            let there = u64::MAX >> (64 - (channels - block).min(64));
            let (one, other) = (&two[block..channels], &two[channels + block..]);
            // SAFETY: only the channels that are there are loaded
            let (one, other) = unsafe {
                (_mm512_maskz_loadu_epi8(there, one.as_ptr()), _mm512_maskz_loadu_epi8(there, other.as_ptr()))
            };
            let (low, high) = (_mm512_unpacklo_epi8(one, other), _mm512_unpackhi_epi8(one, other));
            let even = (_mm512_unpacklo_epi8(low, zero), _mm512_unpacklo_epi8(high, zero));
            let odd = (_mm512_unpackhi_epi8(low, zero), _mm512_unpackhi_epi8(high, zero));
            for (half, order) in halves.into_iter().enumerate().take((channels - block).div_ceil(32)) {
                let (head, column) = ((block + 32 * half) / width, (block + 32 * half) % width);
                let panel = panels(width).find(|&(first, vectors)| column < first + vectors * LANES);
                let Some((first, vectors)) = panel else { continue };
                let to = first * groups + group * vectors * LANES + column - first;
                let to = &mut heads[head].panels[to..to + 2 * LANES];
                // SAFETY: there are two registers
                unsafe {
                    let [first, second] = [even, odd].map(|of| _mm512_permutex2var_epi64(of.0, order, of.1));
                    _mm512_storeu_si512(to.as_mut_ptr().cast(), first);
                    _mm512_storeu_si512(to[LANES..].as_mut_ptr().cast(), second);
                }
            }
        }
    }
}

/// Changes of values, a lane for each of 32 columns.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Tally {
    all: __m512i,
    negative: __m512i,
    /// Bits beyond words.
    beyond: __m512i,
}

/// All rows of a panel of `V` registers: how values have changed, and whether they fit.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn avx512<const V: usize, const WORDS: bool>(
    panel: &[u32],
    inputs: &[u8],
    (place, rows): (Place, usize),
    now: &mut [i16],
    before: &[i16],
) -> (Changes, bool) {
    let zero = _mm512_setzero_si512();
    let (mut changes, mut fits, mut row) = (Changes::default(), true, 0);
    while row < rows {
        let mut tally = Tally { all: zero, negative: zero, beyond: zero };
        // so few rows that lanes of a tally hold their counts
        let end = rows.min(row + (i16::MAX as usize) / V);
        while row < end {
            let at = Place { from: place.from + row * place.from_pitch, to: place.to + row * place.to_pitch, ..place };
            // SAFETY: as for the caller
            row += unsafe {
                match end - row {
                    6.. => avx512_tile::<6, V, WORDS>(panel, inputs, at, (&mut *now, before), &mut tally),
                    4.. => avx512_tile::<4, V, WORDS>(panel, inputs, at, (&mut *now, before), &mut tally),
                    2.. => avx512_tile::<2, V, WORDS>(panel, inputs, at, (&mut *now, before), &mut tally),
                    _ => avx512_tile::<1, V, WORDS>(panel, inputs, at, (&mut *now, before), &mut tally),
                }
            };
        }
        let sum = |words| _mm512_reduce_add_epi32(_mm512_madd_epi16(words, _mm512_set1_epi16(1))) as u64;
        changes.all += sum(tally.all);
        changes.negative += sum(tally.negative);
        fits &= _mm512_test_epi32_mask(tally.beyond, _mm512_set1_epi32(!0x7fff)) == 0;
    }
    (changes, fits)
}

/// The first `M` rows by `V` registers of columns; gives `M`.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn avx512_tile<const M: usize, const V: usize, const WORDS: bool>(
    panel: &[u32],
    inputs: &[u8],
    place: Place,
    (now, before): (&mut [i16], &[i16]),
    tally: &mut Tally,
) -> usize {
    let mut sums = [[_mm512_setzero_si512(); V]; M];
    // SAFETY: all rows lie within the inputs
    let from: [*const u32; M] =
        std::array::from_fn(|m| unsafe { inputs.as_ptr().add(place.from + m * place.from_pitch).cast() });
    for (group, weights) in panel.chunks_exact(V * LANES).enumerate() {
        // SAFETY: `weights` holds V registers, each row of inputs one entry for each group
        let weights: [__m512i; V] =
            std::array::from_fn(|v| unsafe { _mm512_loadu_si512(weights.as_ptr().add(v * LANES).cast()) });
        for (sums, from) in sums.iter_mut().zip(from) {
            let input = _mm512_set1_epi32(unsafe { from.add(group).read_unaligned() } as i32);
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = if WORDS {
                    _mm512_dpwssd_epi32(*sum, input, weights)
                } else {
                    _mm512_dpbusd_epi32(*sum, input, weights)
                };
            }
        }
    }
    let one = _mm512_set1_epi16(1);
    for (m, sums) in sums.iter().enumerate() {
        for (v, two) in sums.chunks_exact(2).enumerate() {
            let at = place.to + m * place.to_pitch + v * 2 * LANES;
            if WORDS {
                // a sum that fits has the same bits from the sign of a word on
                for &sum in two {
                    let bits = _mm512_xor_si512(sum, _mm512_srai_epi32::<31>(sum));
                    tally.beyond = _mm512_or_si512(tally.beyond, bits);
                }
            }
            // SAFETY: the row lies within both slices
            unsafe {
                let values = _mm512_packs_epi32(two[0], two[1]);
                let change = _mm512_sub_epi16(values, _mm512_loadu_si512(before.as_ptr().add(at).cast()));
                _mm512_storeu_si512(now.as_mut_ptr().add(at).cast(), values);
                tally.all = _mm512_add_epi16(tally.all, _mm512_min_epu16(change, one));
                tally.negative = _mm512_add_epi16(tally.negative, _mm512_srli_epi16::<15>(change));
            }
        }
    }
    M
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
            let shares: Vec<i32> = (0..queries * heads * keys).map(|n| (n * 37 % 50) as i32).collect();
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
                let mut products = CountProducts::scores(heads, width, (queries, keys)).unwrap();
                assert_eq!(products.scores_of(level, &q, &k, &mut now, &before), changes, "{level:?}");
                assert_eq!(now, wanted, "{level:?}");
            }
            for (level, wanted) in Level::all().map(|level| (level, words(&contexts))) {
                let (before, mut now) = (changed(&contexts), vec![7; wanted.len()]);
                let mut changes = Changes::default();
                changes.count(&wanted, &before);
                let mut products = CountProducts::context(heads, width, (queries, keys)).unwrap();
                let found = products.contexts_of(level, &words(&shares), &k, &mut now, &before);
                assert_eq!((found, &now), (Some(changes), &wanted), "{level:?}");
                let large = vec![i16::MAX; shares.len()];
                assert_eq!(products.contexts_of(level, &large, &k, &mut now, &before), None, "{level:?}");
            }
        }
        assert!(CountProducts::scores(2, 6, (4, 32)).is_none() && CountProducts::context(1, 20, (4, 16)).is_none());
    }

    fn wide_words(words: &[i16]) -> Vec<i32> {
        words.iter().map(|&word| word.into()).collect()
    }
}
