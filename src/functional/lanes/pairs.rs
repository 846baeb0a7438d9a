//! Products of rows of words with a matrix, pair by pair of inputs: pairs of zeros cost nothing.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, and registers are loaded \
              and stored inside slices whose lengths are asserted just before"
)]

#[cfg(target_arch = "x86_64")]
use super::left::WANTED;
use super::{LANES, Level, Packed, Set, Signs};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::ops::Range;

/// Rows of numbers of 16 bits, two to a pair; pairs of zeros are left out.
#[derive(Debug, Clone)]
pub(in crate::functional) struct Pairs {
    /// Pairs of a whole row.
    groups: usize,
    /// Which pair of its row each one is, and its two numbers; behind the last one is room for a register.
    places: Vec<u32>,
    numbers: Vec<u32>,
    /// Where the pairs of each row begin, and of the last one end.
    starts: Vec<u32>,
    /// A row on its way.
    row: Vec<u32>,
}

impl Pairs {
    /// No rows so far, each of `inputs` numbers.
    pub fn new(inputs: usize) -> Self {
        Self { groups: inputs.div_ceil(2), places: vec![], numbers: vec![], starts: vec![0], row: vec![] }
    }

    /// Forgets all rows; the next ones have `inputs` numbers each.
    pub fn clear(&mut self, inputs: usize) {
        self.groups = inputs.div_ceil(2);
        self.starts.truncate(1);
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Appends a row of pairs.
    ///
    /// # Panics
    /// If it has another number of pairs.
    #[inline(always)]
    pub fn push(&mut self, level: Level, row: &[u32]) {
        assert!(row.len() == self.groups);
        let end = self.room();
        let (places, numbers) = (&mut self.places[end..], &mut self.numbers[end..]);
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions
            self.starts.push((end + unsafe { push_avx512(row, places, numbers) }) as u32);
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx2 {
            // SAFETY: the processor has the instructions
            self.starts.push((end + unsafe { push_avx2(row, places, numbers) }) as u32);
            return;
        }
        let _ = level;
        let mut count = 0;
        for (place, &pair) in (0..).zip(row) {
            (places[count], numbers[count]) = (place, pair);
            count += usize::from(pair != 0);
        }
        self.starts.push((end + count) as u32);
    }
}

impl Pairs {
    /// Appends rows, step by step, that the signs of some sources come to, those of each times its gain; sums wrap. Each
    /// source has rows of `words` words of positive signs and as many of negative ones, and zeros behind its last one.
    ///
    /// # Panics
    /// If a source has more channels than a row has numbers.
    #[inline(always)]
    pub fn push_signs(&mut self, level: Level, (words, steps): (usize, usize), sources: &[(&[u64], i16)]) {
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions
            return unsafe { self.push_signs_avx512((words, steps), sources) };
        }
        let mut row = std::mem::take(&mut self.row);
        for step in 0..steps {
            row.clear();
            row.resize(self.groups, 0);
            let first = 2 * words * step;
            for (signs, gain) in
                sources.iter().filter_map(|(rows, gain)| Some((rows.get(first..first + 2 * words)?, gain)))
            {
                let (plus, minus) = signs.split_at(words);
                Signs { plus, minus }.add_to_words(*gain, bytemuck::cast_slice_mut(&mut row));
            }
            self.push(level, &row);
        }
        self.row = row;
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,popcnt")]
    fn push_signs_avx512(&mut self, (words, steps): (usize, usize), sources: &[(&[u64], i16)]) {
        let ramp = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        for step in 0..steps {
            let end = self.room();
            let (places, numbers) = (&mut self.places[end..], &mut self.numbers[end..]);
            let (mut place, mut count) = (ramp, 0);
            for word in 0..words {
                let mut halves = [_mm512_setzero_si512(); 2];
                for (rows, gain) in sources {
                    let Some(row) = rows.get(2 * words * step..2 * words * (step + 1)) else { continue };
                    let (gain, plus, minus) = (_mm512_set1_epi16(*gain), row[word], row[words + word]);
                    halves[0] = _mm512_mask_add_epi16(halves[0], plus as u32, halves[0], gain);
                    halves[1] = _mm512_mask_add_epi16(halves[1], (plus >> 32) as u32, halves[1], gain);
                    halves[0] = _mm512_mask_sub_epi16(halves[0], minus as u32, halves[0], gain);
                    halves[1] = _mm512_mask_sub_epi16(halves[1], (minus >> 32) as u32, halves[1], gain);
                }
                for pairs in halves {
                    let any = _mm512_test_epi32_mask(pairs, pairs);
                    let (to_place, to) = (&mut places[count..count + LANES], &mut numbers[count..count + LANES]);
                    // SAFETY: there is a register of each
                    unsafe {
                        _mm512_storeu_si512(to_place.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(any, place));
                        _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(any, pairs));
                    }
                    count += any.count_ones() as usize;
                    place = _mm512_add_epi32(place, _mm512_set1_epi32(LANES as i32));
                }
            }
            assert!(places[..count].last().is_none_or(|&last| (last as usize) < self.groups));
            self.starts.push((end + count) as u32);
        }
    }

    /// Makes room for another row; gives where it begins.
    #[inline(always)]
    fn room(&mut self) -> usize {
        let end = self.starts[self.starts.len() - 1] as usize;
        let wanted = end + self.groups.next_multiple_of(2 * LANES) + LANES;
        if self.numbers.len() < wanted {
            self.numbers.resize(2 * wanted, 0);
            self.places.resize(2 * wanted, 0);
        }
        end
    }
}

/// Panels of a matrix that rows go through together, all of the same width.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Strip {
    /// The first column.
    pub first: usize,
    pub panels: usize,
    /// Registers of a panel.
    vectors: usize,
}

impl Strip {
    /// Columns of a panel.
    pub fn width(self) -> usize {
        self.vectors * LANES
    }
}

impl Packed {
    /// All columns, in strips that registers have sums for.
    pub fn strips(&self) -> impl Iterator<Item = Strip> {
        let mut panels = self.panels().peekable();
        std::iter::from_fn(move || {
            let (first, vectors) = panels.next()?;
            let second = panels.next_if(|&(_, other)| (vectors, other) == (4, 4));
            Some(Strip { first, panels: 1 + usize::from(second.is_some()), vectors })
        })
    }

    /// Products of some rows with a strip: `[panel][row][column]`.
    ///
    /// # Panics
    /// If rows have another number of pairs than the matrix, there is no such strip or row, or no room for sums.
    #[inline(always)]
    pub fn multiply_pairs(&self, level: Level, strip: Strip, (pairs, rows): (&Pairs, Range<usize>), sums: &mut [i32]) {
        let (width, size) = (strip.width(), rows.len() * strip.width());
        assert!(pairs.groups == self.groups);
        let strip_of = &self.panels[strip.first * self.groups..][..strip.panels * width * self.groups];
        let (ends, sums) = (&pairs.starts[rows.start..=rows.end], &mut sums[..strip.panels * size]);
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 && strip.panels == 2 {
            let (one, other) = sums.split_at_mut(size);
            // SAFETY: as below
            return unsafe { avx512_two(strip_of, pairs, ends, (one, other)) };
        }
        for (panel, sums) in strip_of.chunks_exact(width * self.groups).zip(sums.chunks_exact_mut(size.max(1))) {
            // SAFETY: the processor has the instructions; places lie within the panel, and there is room for all sums
            unsafe {
                match (level.0, strip.vectors) {
                    #[cfg(target_arch = "x86_64")]
                    (Set::Avx512, 4) => avx512::<4>(panel, pairs, ends, sums),
                    #[cfg(target_arch = "x86_64")]
                    (Set::Avx512, 2) => avx512::<2>(panel, pairs, ends, sums),
                    #[cfg(target_arch = "x86_64")]
                    (Set::Avx512, _) => avx512::<1>(panel, pairs, ends, sums),
                    #[cfg(target_arch = "x86_64")]
                    (Set::Avx2, 4) => avx2::<8>(panel, pairs, ends, sums),
                    #[cfg(target_arch = "x86_64")]
                    (Set::Avx2, 2) => avx2::<4>(panel, pairs, ends, sums),
                    #[cfg(target_arch = "x86_64")]
                    (Set::Avx2, _) => avx2::<2>(panel, pairs, ends, sums),
                    #[cfg(not(target_arch = "x86_64"))]
                    (Set::Avx512 | Set::Avx2, _) => {}
                    (Set::Plain, _) => plain(panel, width, pairs, ends, sums),
                }
            }
        }
    }
}

/// The pairs between two ends.
#[inline(always)]
fn entries<'a>(pairs: &'a Pairs, ends: &[u32]) -> (&'a [u32], &'a [u32]) {
    let range = ends[0] as usize..ends[1] as usize;
    (&pairs.places[range.clone()], &pairs.numbers[range])
}

fn plain(panel: &[u32], width: usize, pairs: &Pairs, ends: &[u32], sums: &mut [i32]) {
    let word = |of: u32, k: u32| i32::from((of >> (16 * k)) as i16);
    for (ends, sums) in ends.windows(2).zip(sums.chunks_exact_mut(width)) {
        sums.fill(0);
        let (places, numbers) = entries(pairs, ends);
        for (&place, &pair) in places.iter().zip(numbers) {
            let weights = &panel[place as usize * width..][..width];
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                let product = (word(pair, 0) * word(weight, 0)).wrapping_add(word(pair, 1) * word(weight, 1));
                *sum = sum.wrapping_add(product);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn push_avx2(row: &[u32], places: &mut [u32], numbers: &mut [u32]) -> usize {
    let (mut eights, mut count) = (row.chunks_exact(8), 0);
    for (first, pairs) in (0..).step_by(8).zip(&mut eights) {
        let (to_place, to) = (&mut places[count..count + 8], &mut numbers[count..count + 8]);
        // SAFETY: chunks and rows of the table are registers, and behind those found so far is room for one
        unsafe {
            let pairs = _mm256_loadu_si256(pairs.as_ptr().cast());
            let none = _mm256_cmpeq_epi32(pairs, _mm256_setzero_si256());
            let any = !_mm256_movemask_ps(_mm256_castsi256_ps(none)) as usize & 0xff;
            let wanted = _mm256_loadu_si256(WANTED[any].as_ptr().cast());
            let place = _mm256_add_epi32(wanted, _mm256_set1_epi32(first));
            _mm256_storeu_si256(to_place.as_mut_ptr().cast(), place);
            _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm256_permutevar8x32_epi32(pairs, wanted));
            count += any.count_ones() as usize;
        }
    }
    let first = row.len() - eights.remainder().len();
    for (place, &pair) in (first as u32..).zip(eights.remainder()) {
        (places[count], numbers[count]) = (place, pair);
        count += usize::from(pair != 0);
    }
    count
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,popcnt")]
fn push_avx512(row: &[u32], places: &mut [u32], numbers: &mut [u32]) -> usize {
    let mut place = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let mut count = 0;
    for row in row.chunks(LANES) {
        let there = u16::MAX >> (LANES - row.len());
        // SAFETY: only the pairs that are there are loaded, and behind those found so far is room for a register
        unsafe {
            let pairs = _mm512_maskz_loadu_epi32(there, row.as_ptr().cast());
            let any = _mm512_test_epi32_mask(pairs, pairs);
            let to = places[count..count + LANES].as_mut_ptr();
            _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi32(any, place));
            let to = numbers[count..count + LANES].as_mut_ptr();
            _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi32(any, pairs));
            count += any.count_ones() as usize;
        }
        place = _mm512_add_epi32(place, _mm512_set1_epi32(LANES as i32));
    }
    count
}

/// A panel of `V` registers; two sums of each column, so that an addition need not wait for the one before.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn avx512<const V: usize>(panel: &[u32], pairs: &Pairs, ends: &[u32], sums: &mut [i32]) {
    for (ends, sums) in ends.windows(2).zip(sums.chunks_exact_mut(V * LANES)) {
        let (places, numbers) = entries(pairs, ends);
        let (mut even, mut odd) = ([_mm512_setzero_si512(); V], [_mm512_setzero_si512(); V]);
        let (mut two_places, mut two_numbers) = (places.chunks_exact(2), numbers.chunks_exact(2));
        for (places, numbers) in (&mut two_places).zip(&mut two_numbers) {
            // SAFETY: the caller's places lie within the panel
            unsafe {
                avx512_pair(panel, places[0], numbers[0], &mut even);
                avx512_pair(panel, places[1], numbers[1], &mut odd);
            }
        }
        if let (&[place], &[pair]) = (two_places.remainder(), two_numbers.remainder()) {
            // SAFETY: as above
            unsafe { avx512_pair(panel, place, pair, &mut even) };
        }
        store(even, odd, sums);
    }
}

/// Two panels of four registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn avx512_two(panels: &[u32], pairs: &Pairs, ends: &[u32], (one, other): (&mut [i32], &mut [i32])) {
    let panels = panels.split_at(panels.len() / 2);
    let sums = one.chunks_exact_mut(4 * LANES).zip(other.chunks_exact_mut(4 * LANES));
    for (ends, (one, other)) in ends.windows(2).zip(sums) {
        let (places, numbers) = entries(pairs, ends);
        let (mut even, mut odd) = ([[_mm512_setzero_si512(); 4]; 2], [[_mm512_setzero_si512(); 4]; 2]);
        let (mut two_places, mut two_numbers) = (places.chunks_exact(2), numbers.chunks_exact(2));
        for (places, numbers) in (&mut two_places).zip(&mut two_numbers) {
            // SAFETY: the caller's places lie within the panels
            unsafe {
                avx512_pair(panels.0, places[0], numbers[0], &mut even[0]);
                avx512_pair(panels.1, places[0], numbers[0], &mut even[1]);
                avx512_pair(panels.0, places[1], numbers[1], &mut odd[0]);
                avx512_pair(panels.1, places[1], numbers[1], &mut odd[1]);
            }
        }
        if let (&[place], &[pair]) = (two_places.remainder(), two_numbers.remainder()) {
            // SAFETY: as above
            unsafe {
                avx512_pair(panels.0, place, pair, &mut even[0]);
                avx512_pair(panels.1, place, pair, &mut even[1]);
            }
        }
        store(even[0], odd[0], one);
        store(even[1], odd[1], other);
    }
}

/// Stores sums of two parts.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn store<const V: usize>(even: [__m512i; V], odd: [__m512i; V], sums: &mut [i32]) {
    for ((even, odd), sums) in even.into_iter().zip(odd).zip(sums.chunks_exact_mut(LANES)) {
        // SAFETY: a chunk is one register
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), _mm512_add_epi32(even, odd)) };
    }
}

/// Adds the products of one pair.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn avx512_pair<const V: usize>(panel: &[u32], place: u32, pair: u32, sums: &mut [__m512i; V]) {
    let pair = _mm512_set1_epi32(pair as i32);
    // SAFETY: the caller's place lies within the panel
    let from = unsafe { panel.as_ptr().add(place as usize * V * LANES) };
    for (v, sum) in sums.iter_mut().enumerate() {
        // SAFETY: a place is `V` registers
        *sum = _mm512_dpwssd_epi32(*sum, pair, unsafe { _mm512_loadu_si512(from.add(v * LANES).cast()) });
    }
}

/// A panel of `H` registers of eight columns.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2<const H: usize>(panel: &[u32], pairs: &Pairs, ends: &[u32], sums: &mut [i32]) {
    for (ends, sums) in ends.windows(2).zip(sums.chunks_exact_mut(H * 8)) {
        let (places, numbers) = entries(pairs, ends);
        let mut all = [_mm256_setzero_si256(); H];
        for (&place, &pair) in places.iter().zip(numbers) {
            let pair = _mm256_set1_epi32(pair as i32);
            for (h, sum) in all.iter_mut().enumerate() {
                // SAFETY: the caller's places lie within the panel
                let weights = unsafe { _mm256_loadu_si256(panel.as_ptr().add((place as usize * H + h) * 8).cast()) };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pair, weights));
            }
        }
        for (sum, sums) in all.into_iter().zip(sums.chunks_exact_mut(8)) {
            // SAFETY: a chunk is one register
            unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast(), sum) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Row, WORD, Width};
    use super::*;

    #[test]
    fn rows_of_signs_are_those_of_their_numbers() {
        for channels in [5usize, 64, 100, 128] {
            let words = channels.div_ceil(WORD);
            let bits = |seed: u64, word: u64| {
                let left = (channels as u64 - (word % words as u64) * 64).min(64);
                (word + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_mul(seed) & (u64::MAX >> (64 - left))
            };
            let signs = |seed: u64, rows: usize| -> Vec<u64> {
                let row = |row: usize| {
                    let plus = (0..words).map(move |word| bits(seed, (row * words + word) as u64));
                    let minus = (0..words).map(move |word| bits(seed + 2, (row * words + word) as u64));
                    plus.clone().chain(minus.zip(plus).map(|(minus, plus)| minus & !plus))
                };
                (0..rows).flat_map(row).collect()
            };
            let (one, other) = (signs(3, 4), signs(7, 2));
            let mut wanted: Option<Pairs> = None;
            for level in Level::all() {
                let mut pairs = Pairs::new(channels);
                pairs.push_signs(level, (words, 5), &[(&one, 7), (&other, -300)]);
                let end = pairs.starts[pairs.rows()] as usize;
                pairs.places.truncate(end);
                pairs.numbers.truncate(end);
                pairs.row.clear();
                let mut row = vec![0u32; channels.div_ceil(2)];
                for (signs, gain) in [(&one, 7), (&other, -300)] {
                    let (plus, minus) = signs[2 * words..4 * words].split_at(words);
                    Signs { plus, minus }.add_to_words(gain, bytemuck::cast_slice_mut(&mut row));
                }
                let second = pairs.starts[1] as usize..pairs.starts[2] as usize;
                assert!(pairs.numbers[second].iter().eq(row.iter().filter(|pair| **pair != 0)), "{level:?}");
                let wanted = wanted.get_or_insert_with(|| pairs.clone());
                assert_eq!(format!("{pairs:?}"), format!("{wanted:?}"), "{level:?}, {channels} channels");
            }
        }
    }

    #[test]
    fn sums_of_pairs_are_products_of_rows() {
        for (inputs, columns, count) in [(1, 1, 1), (27, 16, 5), (64, 48, 13), (9, 112, 6), (144, 64, 9), (6, 130, 3)] {
            let mixed = |n: usize| ((n * n * 7919 + n * 31) % 65_521) as i32 - 32_768;
            let table: Vec<i32> = (0..inputs * columns).map(mixed).collect();
            let packed = Packed::new(Width::Words, inputs, columns, |input| &table[input * columns..][..columns]);
            let pair = |n: usize| if n * n % 7 < 3 { (mixed(n) as u32 & 0xffff_0000) | (n as u32 % 3) } else { 0 };
            let dense: Vec<u32> = (0..count * packed.groups()).map(pair).collect();
            let row = |m: usize| Row { from: m * packed.groups(), to: m * packed.stride(), factor: 1 };
            let mut wanted = vec![0; count * packed.stride()];
            packed.multiply(Level::best(), &dense, &(0..count).map(row).collect::<Vec<_>>(), &mut wanted);
            for level in Level::all() {
                let mut pairs = Pairs::new(inputs);
                dense.chunks(packed.groups()).for_each(|row| pairs.push(level, row));
                assert_eq!(pairs.rows(), count);
                for strip in packed.strips() {
                    let mut sums = vec![7; (count - 1) * strip.panels * strip.width()];
                    packed.multiply_pairs(level, strip, (&pairs, 1..count), &mut sums);
                    let mut again = vec![7; sums.len()];
                    packed.multiply_strip(level, strip, &dense[packed.groups()..], &mut again);
                    assert_eq!(again, sums, "{level:?}: {inputs} × {columns}");
                    for (n, sums) in sums.chunks(strip.width()).enumerate() {
                        let (panel, row) = (n / (count - 1), 1 + n % (count - 1));
                        let first = row * packed.stride() + strip.first + panel * strip.width();
                        assert_eq!(sums, &wanted[first..][..sums.len()], "{level:?}: {inputs} × {columns}, row {row}");
                    }
                }
            }
        }
    }
}
