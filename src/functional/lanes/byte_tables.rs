//! Bytes of an image looked up in a table for each channel, which registers hold.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, with slices whose \
              lengths are asserted just before"
)]

use super::{Level, Set};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Bytes of a register.
const BYTES: usize = 64;

/// What each byte becomes in each channel: words.
#[derive(Debug, Clone)]
pub(in crate::functional) struct ByteTables {
    /// For each channel their lower and their upper bytes.
    words: Vec<[[u8; 256]; 2]>,
    /// The largest word, whatever its sign.
    most: u16,
}

/// Where the bytes of an image go.
pub(in crate::functional) struct Found<'a> {
    /// What each byte becomes, and a number of times that.
    pub numbers: &'a mut [i32],
    pub products: &'a mut [i16],
    pub times: i16,
}

impl ByteTables {
    /// Tables of all channels; `None` where a number does not fit into a word.
    pub fn new(known: &[[i32; 256]]) -> Option<Self> {
        let mut tables = Self { words: vec![[[0; 256]; 2]; known.len()], most: 0 };
        for ([lower, upper], known) in tables.words.iter_mut().zip(known) {
            for ((lower, upper), &number) in lower.iter_mut().zip(upper).zip(known) {
                let word = i16::try_from(number).ok()?;
                [*lower, *upper] = word.to_le_bytes();
                tables.most = tables.most.max(word.unsigned_abs());
            }
        }
        Some(tables)
    }

    /// The same number as a word, if so many times each word of the tables still fits into one.
    pub fn times(&self, times: u32) -> Option<i16> {
        let most = i64::from(self.most) * i64::from(times);
        i16::try_from(times).ok().filter(|_| most <= i64::from(i16::MAX))
    }

    /// Looks up all bytes of an image, channel after channel of each pixel; how many numbers are not zero, and how many of these are
    /// negative.
    ///
    /// # Panics
    /// If there is not one place for each byte.
    pub fn look_up(&self, level: Level, image: &[u8], found: &mut Found<'_>) -> (u64, u64) {
        assert!(found.numbers.len() == image.len() && found.products.len() == image.len());
        #[cfg(target_arch = "x86_64")]
        let ahead = match &self.words[..] {
            // SAFETY: the processor has the instructions
            [gray] if level.0 == Set::Avx512 => unsafe { avx512([gray], image, found) },
            // SAFETY: likewise
            [red, green, blue] if level.0 == Set::Avx512 => unsafe { avx512([red, green, blue], image, found) },
            _ => Ahead::default(),
        };
        #[cfg(not(target_arch = "x86_64"))]
        let ahead = Ahead::default();
        let _ = level;
        self.look_up_rest(ahead, image, found)
    }

    /// The bytes behind those that have been looked up.
    fn look_up_rest(&self, ahead: Ahead, image: &[u8], found: &mut Found<'_>) -> (u64, u64) {
        let Ahead { bytes, mut some, mut negative } = ahead;
        let places = found.numbers[bytes..].iter_mut().zip(&mut found.products[bytes..]);
        let tables = self.words.iter().cycle().skip(bytes % self.words.len().max(1));
        for ((&byte, table), (number, product)) in image[bytes..].iter().zip(tables).zip(places) {
            let word = i16::from_le_bytes(table.each_ref().map(|part| part[usize::from(byte)]));
            (*number, *product) = (word.into(), word.wrapping_mul(found.times));
            some += u64::from(word != 0);
            negative += u64::from(word < 0);
        }
        (some, negative)
    }
}

/// Bytes that have been looked up, and how many are not zero, and negative.
#[derive(Debug, Clone, Copy, Default)]
struct Ahead {
    bytes: usize,
    some: u64,
    negative: u64,
}

/// Whole registers of bytes. Each of them is looked up in the quarters of its own channel only: others pass it on as it is.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,popcnt")]
fn avx512<const C: usize>(tables: [&[[u8; 256]; 2]; C], image: &[u8], found: &mut Found<'_>) -> Ahead {
    let mut planes = [[[_mm512_setzero_si512(); 4]; 2]; C];
    for (quarters, parts) in planes.iter_mut().flatten().zip(tables.into_iter().flatten()) {
        for (quarter, bytes) in quarters.iter_mut().zip(parts.as_chunks::<BYTES>().0) {
            // SAFETY: a chunk is a register
            *quarter = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        }
    }
    // Bytes are put side by side within quarters of registers: those of the first words come first in each.
    let order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    let times = _mm512_set1_epi16(found.times);
    let channels = const { channels::<C>() };
    let (mut some, mut negative) = (0, 0);
    let registers = image.as_chunks::<BYTES>().0;
    let numbers = found.numbers.as_chunks_mut::<BYTES>().0;
    let products = found.products.as_chunks_mut::<BYTES>().0;
    for (nth, ((bytes, numbers), products)) in registers.iter().zip(numbers).zip(products).enumerate() {
        // SAFETY: chunks are whole registers of bytes, two of words, and four of numbers
        unsafe {
            let bytes = _mm512_permutexvar_epi64(order, _mm512_loadu_si512(bytes.as_ptr().cast()));
            let upper = _mm512_movepi8_mask(bytes);
            let mut parts = [bytes; 2];
            for (planes, own) in planes.iter().zip(channels[nth % C]) {
                for (part, quarters) in parts.iter_mut().zip(planes) {
                    let [first, second, third, fourth] = *quarters;
                    *part = _mm512_mask2_permutex2var_epi8(first, *part, own & !upper, second);
                    *part = _mm512_mask2_permutex2var_epi8(third, *part, own & upper, fourth);
                }
            }
            let [low, high] = parts;
            for (half, words) in
                [_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)].into_iter().enumerate()
            {
                some += u64::from(_mm512_test_epi16_mask(words, words).count_ones());
                negative += u64::from(_mm512_movepi16_mask(words).count_ones());
                let product = _mm512_mullo_epi16(words, times);
                _mm512_storeu_si512(products.as_mut_ptr().add(32 * half).cast(), product);
                let number = numbers.as_mut_ptr().add(32 * half);
                _mm512_storeu_si512(number.cast(), _mm512_cvtepi16_epi32(_mm512_castsi512_si256(words)));
                let last = _mm512_extracti64x4_epi64::<1>(words);
                _mm512_storeu_si512(number.add(16).cast(), _mm512_cvtepi16_epi32(last));
            }
        }
    }
    Ahead { bytes: registers.len() * BYTES, some, negative }
}

/// In registers that begin with each of the channels, modulo 64: which bytes are of which channel, one bit each, in the order in which
/// they are looked up.
#[cfg(target_arch = "x86_64")]
const fn channels<const C: usize>() -> [[u64; C]; C] {
    let (mut channels, mut at) = ([[0; C]; C], 0);
    while at < C * BYTES {
        let (register, byte) = (at / BYTES, at % BYTES);
        let eight = [0, 2, 4, 6, 1, 3, 5, 7][byte / 8];
        channels[register][at % C] |= 1 << (eight * 8 + byte % 8);
        at += 1;
    }
    channels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_looked_up_alike_in_every_instruction_set() {
        for channels in 1..=4 {
            let known: Vec<[i32; 256]> =
                (0..channels).map(|c| std::array::from_fn(|byte| (byte as i32 - 90 - 7 * c) * (61 + c))).collect();
            let tables = ByteTables::new(&known).unwrap();
            for length in [0, 1, 63, 64, 65, 192, 193, 1021] {
                let image: Vec<u8> = (0..length).map(|at| (at * at % 251 * 3 % 256) as u8).collect();
                let wanted: Vec<i32> =
                    image.iter().enumerate().map(|(at, &byte)| known[at % known.len()][usize::from(byte)]).collect();
                let count = |reason: fn(&i32) -> bool| wanted.iter().filter(|number| reason(number)).count() as u64;
                for level in Level::all() {
                    let (mut numbers, mut products) = (vec![1; length], vec![1; length]);
                    let mut found = Found { numbers: &mut numbers, products: &mut products, times: 2 };
                    let counts = tables.look_up(level, &image, &mut found);
                    assert_eq!(counts, (count(|&n| n != 0), count(|&n| n < 0)), "{level:?}, {channels}, {length}");
                    assert_eq!(numbers, wanted, "{level:?}, {channels}, {length}");
                    assert!(products.iter().zip(&wanted).all(|(&product, number)| i32::from(product) == 2 * number));
                }
            }
        }
    }

    #[test]
    fn products_fit_into_words_or_there_are_none() {
        let known = |most: i32| vec![std::array::from_fn(|byte| if byte == 9 { most } else { 0 })];
        assert!(ByteTables::new(&known(32_768)).is_none());
        let tables = ByteTables::new(&known(-8192)).unwrap();
        assert_eq!([tables.times(3), tables.times(4), tables.times(u32::MAX)], [Some(3), None, None]);
    }
}
