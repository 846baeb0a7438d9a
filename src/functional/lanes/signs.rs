//! Rows of spikes as bits: one for each channel that fires, and one for each that takes a spike back.

#![allow(
    unsafe_code,
    reason = "registers are loaded and stored inside slices, and instructions beyond the baseline are called after the \
              processor was asked for them"
)]

#[cfg(target_arch = "x86_64")]
use super::left::WANTED;
use super::{LANES, Level, Set};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Channels of a word of bits.
pub(in crate::functional) const WORD: usize = u64::BITS as usize;

/// What a row of channels fires: words of bits, as many for each sign; no channel has both, and bits behind the last
/// channel are zero.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Signs<'a> {
    pub plus: &'a [u64],
    pub minus: &'a [u64],
}

/// Calls `each` with the place of every bit that is set.
#[inline(always)]
fn each_bit(words: &[u64], mut each: impl FnMut(usize)) {
    for (first, &word) in (0..).step_by(WORD).zip(words) {
        let mut left = word;
        while left != 0 {
            each(first + left.trailing_zeros() as usize);
            left &= left - 1;
        }
    }
}

/// Signs −1, 0 and 1, as bits.
#[inline(always)]
pub(in crate::functional) fn mark(signs: &[i8], plus: &mut [u64], minus: &mut [u64]) {
    // the lowest bits of eight bytes, side by side
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let lowest = |bytes: u64| (bytes & 0x0101_0101_0101_0101).wrapping_mul(GATHER) >> 56;
    for ((signs, plus), minus) in signs.chunks(WORD).zip(plus).zip(minus) {
        (*plus, *minus) = (0, 0);
        for (at, eight) in signs.chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..eight.len()].copy_from_slice(bytemuck::cast_slice(eight));
            let bytes = u64::from_le_bytes(bytes);
            let (fired, below) = (lowest(bytes), lowest(bytes >> 7));
            *plus |= (fired & !below) << (8 * at);
            *minus |= below << (8 * at);
        }
    }
}

impl Signs<'_> {
    /// How many channels fire, with either sign.
    #[inline(always)]
    pub fn count(self) -> usize {
        self.plus.iter().chain(self.minus).map(|word| word.count_ones() as usize).sum()
    }

    /// Calls `each` with every channel that fires, and its sign.
    #[inline(always)]
    pub fn each(self, mut each: impl FnMut(usize, i32)) {
        each_bit(self.plus, |channel| each(channel, 1));
        each_bit(self.minus, |channel| each(channel, -1));
    }

    /// Adds the signs times `gain` to sums, which wrap.
    #[inline(always)]
    pub fn add_to(self, level: Level, gain: i32, sums: &mut [i32]) {
        if self.plus.is_empty() {
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions
            return unsafe { add_avx512(self, gain, sums) };
        }
        let _ = level;
        each_lane(self.plus, sums, |sum, fires| *sum = sum.wrapping_add(if fires { gain } else { 0 }));
        each_lane(self.minus, sums, |sum, fires| *sum = sum.wrapping_sub(if fires { gain } else { 0 }));
    }

    /// Adds the signs times `gain` to words, which wrap.
    #[inline(always)]
    pub fn add_to_words(self, gain: i16, words: &mut [i16]) {
        each_lane(self.plus, words, |word, fires| *word = word.wrapping_add(if fires { gain } else { 0 }));
        each_lane(self.minus, words, |word, fires| *word = word.wrapping_sub(if fires { gain } else { 0 }));
    }
}

/// Adds rows of signs, each words of positive ones and then as many of negative ones, to rows of counts of so many channels, which
/// wrap.
#[inline(always)]
pub(in crate::functional) fn count_rows(level: Level, rows: &[u64], channels: usize, counts: &mut [i8]) {
    #[cfg(target_arch = "x86_64")]
    if level.0 == Set::Avx512 {
        // SAFETY: the processor has the instructions
        return unsafe { count_rows_avx512(rows, channels, counts) };
    }
    let _ = level;
    let rows = rows.chunks_exact(2 * channels.div_ceil(WORD));
    for (row, counts) in rows.zip(counts.chunks_exact_mut(channels)) {
        let (plus, minus) = row.split_at(row.len() / 2);
        each_lane(plus, counts, |count, fires| *count = count.wrapping_add(fires.into()));
        each_lane(minus, counts, |count, fires| *count = count.wrapping_sub(fires.into()));
    }
}

/// Calls `each` with every number and whether its bit is set: without branches, so that it becomes a loop over registers.
#[inline(always)]
fn each_lane<N>(bits: &[u64], numbers: &mut [N], each: impl Fn(&mut N, bool)) {
    let places: [u16; LANES] = std::array::from_fn(|lane| 1 << lane);
    for (at, numbers) in numbers.chunks_mut(LANES).take(bits.len() * WORD / LANES).enumerate() {
        let bits = (bits[at * LANES / WORD] >> (at * LANES % WORD)) as u16;
        for (number, place) in numbers.iter_mut().zip(places) {
            each(number, bits & place == place);
        }
    }
}

/// Appends what rows of signs fire to a list, which ends with as many codes as `ends` says after each row: `first` of the row
/// + the channel, or, where the sign is negative, `channels` more. All of them are `count`.
#[inline(always)]
pub(in crate::functional) fn list<'a>(
    level: Level,
    rows: impl Iterator<Item = (Signs<'a>, u32)>,
    (channels, count): (u32, usize),
    (codes, ends): (&mut Vec<u32>, &mut Vec<u32>),
) {
    #[cfg(target_arch = "x86_64")]
    if level.0 == Set::Avx512 {
        // SAFETY: the processor has the instructions
        return unsafe { list_avx512(rows, (channels, count), (codes, ends)) };
    }
    #[cfg(target_arch = "x86_64")]
    if level.0 == Set::Avx2 {
        // SAFETY: the processor has the instructions
        return unsafe { list_avx2(rows, (channels, count), (codes, ends)) };
    }
    let _ = (level, count);
    for (signs, first) in rows {
        signs.each(|channel, sign| codes.push(first + channel as u32 + if sign < 0 { channels } else { 0 }));
        ends.push(codes.len() as u32);
    }
}

/// What a position fires, and where its bytes go.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Spread<'a> {
    /// A row of bits for each step: words of positive signs, then as many of negative ones.
    pub rows: &'a [u64],
    /// Where the bytes of the first step begin.
    pub first: usize,
}

/// Writes what positions fire as bytes, `1 + sign` for each channel, those of a step `pitch` bytes behind those of the step
/// before.
///
/// # Panics
/// If a row reaches beyond the bytes.
#[inline(always)]
pub(in crate::functional) fn spread<'a>(
    level: Level,
    positions: impl Iterator<Item = Spread<'a>>,
    (channels, pitch): (usize, usize),
    bytes: &mut [u8],
) {
    #[cfg(target_arch = "x86_64")]
    if level.0 == Set::Avx512 {
        // SAFETY: the processor has the instructions
        return unsafe { spread_avx512(positions, (channels, pitch), bytes) };
    }
    let _ = level;
    let words = channels.div_ceil(WORD);
    for Spread { rows, first } in positions {
        for (row, at) in rows.chunks_exact(2 * words).zip((first..).step_by(pitch)) {
            let (signs, to) = (Signs { plus: &row[..words], minus: &row[words..] }, &mut bytes[at..at + channels]);
            to.fill(1);
            signs.each(|channel, sign| to[channel] = (1 + sign) as u8);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn spread_avx512<'a>(positions: impl Iterator<Item = Spread<'a>>, (channels, pitch): (usize, usize), bytes: &mut [u8]) {
    let (words, one) = (channels.div_ceil(WORD), _mm512_set1_epi8(1));
    let behind = u64::MAX >> (words * WORD - channels);
    for Spread { rows, first } in positions {
        let steps = rows.len() / (2 * words);
        let bytes = &mut bytes[first..];
        assert!(steps == 0 || (steps - 1) * pitch + channels <= bytes.len());
        for step in 0..steps {
            for word in 0..words {
                let [plus, minus] = [word, words + word].map(|at| rows[step * 2 * words + at]);
                let signed = _mm512_mask_add_epi8(_mm512_maskz_mov_epi8(!minus, one), plus, one, one);
                let there = if word + 1 < words { u64::MAX } else { behind };
                // SAFETY: only the channels that are there are stored, which lie within the bytes
                unsafe {
                    let to = bytes.as_mut_ptr().add(step * pitch + word * WORD);
                    _mm512_mask_storeu_epi8(to.cast(), there, signed);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn count_rows_avx512(rows: &[u64], channels: usize, counts: &mut [i8]) {
    let rows = rows.chunks_exact(2 * channels.div_ceil(WORD));
    for (row, counts) in rows.zip(counts.chunks_exact_mut(channels)) {
        count_avx512(row, counts);
    }
}

/// Adds a row of signs to as many counts as its words have, or fewer.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn count_avx512(row: &[u64], counts: &mut [i8]) {
    let (one, (plus, minus)) = (_mm512_set1_epi8(1), row.split_at(row.len() / 2));
    let words = counts.chunks_mut(WORD).zip(plus.iter().zip(minus));
    for (counts, (&plus, &minus)) in words {
        let there = u64::MAX >> (WORD - counts.len());
        // SAFETY: only the counts that are there are loaded and stored; whole registers without a mask, which is quicker
        unsafe {
            let whole = counts.len() == WORD;
            let sums = if whole {
                _mm512_loadu_si512(counts.as_ptr().cast())
            } else {
                _mm512_maskz_loadu_epi8(there, counts.as_ptr())
            };
            let sums = _mm512_mask_add_epi8(sums, plus, sums, one);
            let sums = _mm512_mask_sub_epi8(sums, minus, sums, one);
            if whole {
                _mm512_storeu_si512(counts.as_mut_ptr().cast(), sums);
            } else {
                _mm512_mask_storeu_epi8(counts.as_mut_ptr(), there, sums);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn add_avx512(signs: Signs, gain: i32, sums: &mut [i32]) {
    let gain = _mm512_set1_epi32(gain);
    for (at, sums) in sums.chunks_mut(LANES).enumerate() {
        let there = u16::MAX >> (LANES - sums.len());
        let lanes = |words: &[u64]| words.get(at / 4).map_or(0, |word| (word >> (at % 4 * LANES)) as u16);
        // SAFETY: only the numbers that are there are loaded and stored
        unsafe {
            let now = _mm512_maskz_loadu_epi32(there, sums.as_ptr());
            let now = _mm512_mask_add_epi32(now, lanes(signs.plus), now, gain);
            let now = _mm512_mask_sub_epi32(now, lanes(signs.minus), now, gain);
            _mm512_mask_storeu_epi32(sums.as_mut_ptr(), there, now);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn list_avx2<'a>(
    rows: impl Iterator<Item = (Signs<'a>, u32)>,
    (channels, count): (u32, usize),
    (codes, ends): (&mut Vec<u32>, &mut Vec<u32>),
) {
    let mut length = codes.len();
    codes.resize(length + count + 8, 0);
    let (behind, ramp) = (_mm256_set1_epi32(channels as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    let places = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    for (signs, first) in rows {
        for (word, (&plus, &minus)) in signs.plus.iter().zip(signs.minus).enumerate() {
            let mut left = plus | minus;
            for part in 0..WORD / 8 {
                let (fired, below) = (left as u8, (minus >> (part * 8)) as u8);
                left >>= 8;
                let to = &mut codes[length..length + 8];
                // SAFETY: rows of the table are registers, and there is room for one
                unsafe {
                    let wanted = _mm256_loadu_si256(WANTED[fired as usize].as_ptr().cast());
                    let first = _mm256_set1_epi32((first as usize + word * WORD + part * 8) as i32);
                    let negative = _mm256_and_si256(_mm256_set1_epi32(below.into()), places);
                    let negative = _mm256_and_si256(_mm256_cmpeq_epi32(negative, places), behind);
                    let code = _mm256_add_epi32(_mm256_add_epi32(ramp, first), negative);
                    _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm256_permutevar8x32_epi32(code, wanted));
                }
                length += fired.count_ones() as usize;
            }
        }
        ends.push(length as u32);
    }
    codes.truncate(length);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi2,popcnt")]
fn list_avx512<'a>(
    rows: impl Iterator<Item = (Signs<'a>, u32)>,
    (channels, count): (u32, usize),
    (codes, ends): (&mut Vec<u32>, &mut Vec<u32>),
) {
    let mut length = codes.len();
    codes.resize(length + count + LANES, 0);
    let behind = _mm512_set1_epi32(channels as i32);
    let ramp: [u8; WORD] = std::array::from_fn(|at| at as u8);
    // SAFETY: it is one register
    let ramp = unsafe { _mm512_loadu_si512(ramp.as_ptr().cast()) };
    for (signs, first) in rows {
        let mut first = first;
        for (&plus, &minus) in signs.plus.iter().zip(signs.minus) {
            let fired = plus | minus;
            let mut places = _mm512_maskz_compress_epi8(fired, ramp);
            let (mut left, mut below) = (fired.count_ones() as usize, _pext_u64(minus, fired));
            loop {
                let code = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(places));
                let code = _mm512_add_epi32(code, _mm512_set1_epi32(first as i32));
                let to = &mut codes[length..length + LANES];
                // SAFETY: there is one register
                unsafe {
                    let signed = _mm512_mask_add_epi32(code, below as u16, code, behind);
                    _mm512_storeu_si512(to.as_mut_ptr().cast(), signed);
                }
                length += left.min(LANES);
                if left <= LANES {
                    break;
                }
                left -= LANES;
                below >>= LANES;
                places = _mm512_shuffle_i64x2::<0b00_11_10_01>(places, places);
            }
            first += WORD as u32;
        }
        ends.push(length as u32);
    }
    codes.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_signs_are_alike_in_every_instruction_set() {
        for length in [1, 15, 16, 17, 64, 131] {
            for seed in 0..40usize {
                let sign = |n: usize| ((n * n * 7 + n * seed + seed) % (seed + 2)).min(2) as i8;
                let signs: Vec<i8> = (0..length).map(|n| if sign(n) == 2 { -1 } else { sign(n) }).collect();
                let words = length.div_ceil(WORD);
                let (mut plus, mut minus) = (vec![7; words], vec![9; words]);
                mark(&signs, &mut plus, &mut minus);
                let row = Signs { plus: &plus, minus: &minus };
                let mut wanted = vec![];
                for (channel, &sign) in signs.iter().enumerate().filter(|(_, sign)| **sign != 0) {
                    wanted.push((100 + channel + if sign < 0 { length } else { 0 }) as u32);
                }
                assert_eq!(row.count(), wanted.len());
                let weighted: Vec<i32> = signs.iter().map(|&sign| 5 - 3 * i32::from(sign)).collect();
                let bits = [&plus[..], &minus, &plus, &minus].concat();
                for level in Level::all() {
                    let (mut codes, mut sums) = (vec![99], vec![5; length]);
                    let (mut ends, none) = (vec![], Signs { plus: &[], minus: &[] });
                    let rows = [(row, 100), (none, 7)].into_iter();
                    list(level, rows, (length as u32, wanted.len()), (&mut codes, &mut ends));
                    assert_eq!(ends, [codes.len() as u32; 2]);
                    codes[1..].sort_unstable();
                    wanted.sort_unstable();
                    assert_eq!((codes[0], &codes[1..]), (99, &wanted[..]), "{level:?}, {length} signs");
                    row.add_to(level, -3, &mut sums);
                    assert!(sums == weighted, "{level:?}, {length} signs");
                    let mut added = vec![5; length];
                    row.add_to_words(-3, &mut added);
                    assert!(added.iter().zip(&sums).all(|(&word, &sum)| i32::from(word) == sum), "{level:?}");
                    let two = Spread { rows: &bits, first: length };
                    let one = Spread { rows: &bits[..2 * words], first: 0 };
                    let mut counts = vec![127; 2 * length];
                    count_rows(level, &bits, length, &mut counts);
                    count_rows(level, &bits[..2 * words], length, &mut counts);
                    let counted = [2, 1].map(|times| signs.iter().map(move |sign| 127i8.wrapping_add(sign * times)));
                    assert!(counts.iter().copied().eq(counted.into_iter().flatten()), "{level:?}, {length} signs");
                    let mut bytes = vec![9; 3 * length];
                    spread(level, [two, one].into_iter(), (length, length), &mut bytes);
                    assert_eq!(bytes, signs.repeat(3).iter().map(|&sign| (1 + sign) as u8).collect::<Vec<_>>());
                }
            }
        }
    }
}
