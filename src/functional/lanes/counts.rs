//! The two products of an attention whose operands are counts: values of a step in words, beside those of the step before.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, with slices whose \
              lengths are asserted just before"
)]

#[cfg(target_arch = "x86_64")]
use super::tiles::{Bytes, Tally, fill_keys, fill_values, product, split};
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

/// An attention: its heads, the channels of each, and how many queries and keys there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::functional) struct Shape {
    pub heads: usize,
    pub width: usize,
    pub queries: usize,
    pub keys: usize,
}

/// Products of rows, one for each query, with matrices of counts of 0 to 127, one for each head.
#[derive(Debug)]
pub(in crate::functional) struct CountProducts {
    level: Level,
    shape: Shape,
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
    /// Products `Q·Kᵀ`; `None` where channels of a head are no whole groups, or keys no whole pairs of registers.
    pub fn scores(level: Level, shape: Shape) -> Option<Self> {
        let whole = shape.width.is_multiple_of(Width::Bytes.inputs()) && shape.keys.is_multiple_of(2 * LANES);
        whole.then(|| Self::new(level, shape, (Width::Bytes, shape.width, shape.keys)))
    }

    /// Products `P·V`; `None` where keys are no whole groups, or channels of a head no whole pairs of registers. Shares are words, but
    /// hardly any of them is beyond a byte, so that AVX-512 multiplies bytes.
    pub fn context(level: Level, shape: Shape) -> Option<Self> {
        let kind = if level.0 == Set::Avx512 { Width::Bytes } else { Width::Words };
        let whole = shape.keys.is_multiple_of(kind.inputs()) && shape.width.is_multiple_of(2 * LANES);
        whole.then(|| Self::new(level, shape, (kind, shape.keys, shape.width)))
    }

    fn new(level: Level, shape: Shape, (kind, inputs, columns): (Width, usize, usize)) -> Self {
        let packed = Packed::new(kind, inputs, columns, |_| &[]);
        let (inputs, sums) = (vec![0; packed.groups], vec![0; packed.stride()]);
        let (low, high, beyond) = (vec![], vec![], vec![]);
        Self { level, shape, packed: vec![packed; shape.heads], inputs, sums, low, high, beyond }
    }

    /// What they are products for.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Scores `[query][head][key]` of queries and keys `[position][head][channel]`, all of which fit into words; counts how they
    /// differ from those before.
    ///
    /// # Panics
    /// If a slice has another length.
    #[inline(always)]
    pub fn scores_of(&mut self, queries: &[i8], keys: &[i8], now: &mut [i16], before: &[i16]) -> Changes {
        let Shape { heads, width, queries: rows, keys: columns } = self.shape;
        let channels = heads * width;
        assert!(keys.len() == columns * channels && queries.len() == rows * channels);
        assert!(now.len() == rows * heads * columns && now.len() == before.len());
        #[cfg(target_arch = "x86_64")]
        if self.level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions, and slices have the lengths that were asserted
            return unsafe { self.scores_avx512(queries, keys, (now, before)) };
        }
        for (head, packed) in self.packed.iter_mut().enumerate() {
            packed.fill_byte_columns(columns, &keys[head * width..], channels);
        }
        let to_pitch = heads * columns;
        let place = |head| Place { from: head * width, from_pitch: channels, to: head * columns, to_pitch };
        let places: Vec<Place> = (0..heads).map(place).collect();
        self.multiply(bytemuck::cast_slice(queries), &places, now, before).0
    }

    /// Contexts `[query][head][channel]` of shares `[query][head][key]` and values `[key][head][channel]`; counts how they
    /// differ from those before. `None` where one does not fit into a word.
    ///
    /// # Panics
    /// If a slice has another length.
    #[inline(always)]
    pub fn contexts_of(&mut self, shares: &[i16], values: &[i8], now: &mut [i16], before: &[i16]) -> Option<Changes> {
        let Shape { heads, width, queries: rows, keys } = self.shape;
        let channels = heads * width;
        assert!(values.len() == keys * channels && shares.len() == rows * heads * keys);
        assert!(now.len() == rows * channels && now.len() == before.len());
        #[cfg(target_arch = "x86_64")]
        if self.level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions, and slices have the lengths that were asserted
            return unsafe { self.contexts_avx512(shares, values, (now, before)) };
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
            for row in 0..self.shape.queries {
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
        let Shape { heads, width, queries: rows, keys: columns } = self.shape;
        let channels = heads * width;
        fill_keys(&mut self.packed, keys, (width, channels));
        let (mut tally, (now, before)) = (Tally::none(), values);
        for (head, packed) in self.packed.iter().enumerate() {
            let inputs = Bytes { low: &bytemuck::cast_slice(queries)[head * width..], pitch: channels, beyond: None };
            let to = (head * columns, heads * columns);
            // SAFETY: as for the caller
            unsafe { product::<false>(packed, inputs, rows, to, (&mut *now, before), &mut tally) };
        }
        tally.changes
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,popcnt")]
    unsafe fn contexts_avx512(
        &mut self,
        shares: &[i16],
        values: &[i8],
        (now, before): (&mut [i16], &[i16]),
    ) -> Option<Changes> {
        let Shape { heads, width, queries: rows, keys } = self.shape;
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

#[cfg(test)]
mod tests {
    use super::super::HeadProduct;
    use super::*;

    #[test]
    fn products_of_counts_are_those_of_numbers() {
        for (heads, width, queries, keys) in
            [(2, 32, 5, 32), (1, 32, 7, 64), (4, 32, 64, 64), (2, 96, 3, 96), (3, 64, 2, 32), (3, 12, 4, 64)]
        {
            let (channels, shape) = (heads * width, Shape { heads, width, queries, keys });
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
                let mut products = CountProducts::scores(level, shape).unwrap();
                // those of an image before leave nothing behind
                products.scores_of(&vec![9; q.len()], &vec![7; k.len()], &mut now, &before);
                assert_eq!(products.scores_of(&q, &k, &mut now, &before), changes, "{level:?}");
                assert_eq!(now, wanted, "{level:?}");
            }
            for (level, wanted) in Level::all().map(|level| (level, words(&contexts))) {
                let (before, mut now) = (changed(&contexts), vec![7; wanted.len()]);
                let mut changes = Changes::default();
                changes.count(&wanted, &before);
                let Some(mut products) = CountProducts::context(level, shape) else { continue };
                let large = vec![i16::MAX; shares.len()];
                assert_eq!(products.contexts_of(&large, &k, &mut now, &before), None, "{level:?}");
                let found = products.contexts_of(&words(&shares), &k, &mut now, &before);
                assert_eq!((found, &now), (Some(changes), &wanted), "{level:?}");
            }
        }
        let level = Level::best();
        assert!(CountProducts::scores(level, Shape { heads: 2, width: 6, queries: 4, keys: 32 }).is_none());
        assert!(CountProducts::context(level, Shape { heads: 1, width: 20, queries: 4, keys: 16 }).is_none());
        assert!(CountProducts::context(level, Shape { heads: 1, width: 32, queries: 4, keys: 16 }).is_some());
    }

    fn wide_words(words: &[i16]) -> Vec<i32> {
        words.iter().map(|&word| word.into()).collect()
    }
}
