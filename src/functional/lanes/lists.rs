//! Single spikes that sources send, as lists of channels.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, and registers are stored \
              inside slices whose lengths are looked at just before"
)]

use super::{BURST, Level, Set, WORD};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// So many inputs have numbers of 16 bits.
pub(in crate::functional) const MOST_INPUTS: usize = 1 << 16;

/// What comes in rows from several sources: for each that sends anything a list of channels, and its gain; several where there are
/// more than [`BURST`].
#[derive(Debug, Default)]
pub(in crate::functional) struct Lists {
    inputs: usize,
    /// Of each list those that fire, then those that take a spike back; behind the last one anything.
    channels: Vec<u16>,
    lists: Vec<List>,
    /// Where the lists of each row begin, and of the last one end.
    rows: Vec<u32>,
}

/// Where the channels of a list begin, and those of either sign end.
#[derive(Debug, Clone, Copy)]
struct List {
    begin: u32,
    plus: u32,
    minus: u32,
    gain: i16,
}

/// What one source sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent<'a> {
    pub plus: &'a [u16],
    pub minus: &'a [u16],
    pub gain: i16,
}

impl Lists {
    /// Forgets all rows; the next ones have so many inputs.
    ///
    /// # Panics
    /// If words of 16 bits do not count them.
    pub fn clear(&mut self, inputs: usize) {
        assert!(inputs <= MOST_INPUTS);
        self.inputs = inputs;
        self.lists.clear();
        self.rows.clear();
        self.rows.push(0);
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows.len() - 1
    }

    /// The lists of a row.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = Sent<'_>> {
        let lists = &self.lists[self.rows[row] as usize..self.rows[row + 1] as usize];
        lists.iter().map(|&List { begin, plus, minus, gain }| Sent {
            plus: &self.channels[begin as usize..plus as usize],
            minus: &self.channels[plus as usize..minus as usize],
            gain,
        })
    }

    /// Appends rows, step by step, that the signs of some sources come to, those of each with its gain. Each source has rows of
    /// `words` words of positive signs and as many of negative ones, and sends nothing behind its last one.
    ///
    /// # Panics
    /// If a source has more channels than there are inputs, or words are not as many as these need.
    #[inline(always)]
    pub fn push_signs(&mut self, level: Level, (words, steps): (usize, usize), sources: &[(&[u64], i16)]) {
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions
            return unsafe { self.push_avx512((words, steps), sources) };
        }
        let _ = level;
        self.push((words, steps), sources, plain);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt")]
    fn push_avx512(&mut self, (words, steps): (usize, usize), sources: &[(&[u64], i16)]) {
        self.push((words, steps), sources, |word, first, to| avx512(word, first, to));
    }

    #[inline(always)]
    fn push(
        &mut self,
        (words, steps): (usize, usize),
        sources: &[(&[u64], i16)],
        each: impl Fn(u64, u16, &mut [u16]) -> usize,
    ) {
        assert!(words == self.inputs.div_ceil(WORD));
        let mut at = self.lists.last().map_or(0, |list| list.minus) as usize;
        // whole words of either sign of all sources, and a word behind them
        let room = at + (sources.len() * steps * 2 * words + 1) * WORD;
        if self.channels.len() < room {
            self.channels.resize(2 * room, 0);
        }
        let channels = &mut self.channels[..];
        let inputs = u64::MAX >> (words * WORD - self.inputs);
        for row in (0..steps).map(|step| 2 * words * step..2 * words * (step + 1)) {
            for (bits, gain) in sources {
                let Some(row) = bits.get(row.clone()) else { continue };
                let (begin, mut ends, (plus, minus)) = (at, [0u32; 2], row.split_at(words));
                // what was just stored is not read again, which would wait for it
                let last = plus.last().unwrap_or(&0) | minus.last().unwrap_or(&0);
                assert!(last & !inputs == 0, "no more channels than inputs");
                for (signs, end) in [plus, minus].into_iter().zip(&mut ends) {
                    for (&word, channel) in signs.iter().zip((0u16..).step_by(WORD)) {
                        at += each(word, channel, &mut channels[at..at + WORD]);
                    }
                    *end = at as u32;
                }
                // parts that sums of words hold
                let (mut begin, at) = (begin as u32, at as u32);
                while begin < at {
                    let end = at.min(begin + BURST as u32);
                    self.lists.push(List { begin, plus: ends[0].clamp(begin, end), minus: end, gain: *gain });
                    begin = end;
                }
            }
            self.rows.push(self.lists.len() as u32);
        }
    }
}

/// The places of bits, from `first` on; gives how many there are.
fn plain(word: u64, first: u16, to: &mut [u16]) -> usize {
    let (mut left, mut count) = (word, 0);
    while left != 0 {
        to[count] = first + left.trailing_zeros() as u16;
        (left, count) = (left & (left - 1), count + 1);
    }
    count
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt")]
fn avx512(word: u64, first: u16, to: &mut [u16]) -> usize {
    const HALF: usize = WORD / 2;
    let ramp: [u8; WORD] = std::array::from_fn(|at| at as u8);
    // SAFETY: it is one register
    let ramp = unsafe { _mm512_loadu_si512(ramp.as_ptr().cast()) };
    let places = _mm512_maskz_compress_epi8(word, ramp);
    let (count, first) = (word.count_ones() as usize, _mm512_set1_epi16(first as i16));
    let (low, high) = (_mm512_castsi512_si256(places), _mm512_extracti64x4_epi64::<1>(places));
    let to = &mut to[..WORD];
    // SAFETY: there are two registers
    unsafe {
        _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_add_epi16(_mm512_cvtepu8_epi16(low), first));
        // hardly any word has more
        if count > HALF {
            let to = to[HALF..].as_mut_ptr();
            _mm512_storeu_si512(to.cast(), _mm512_add_epi16(_mm512_cvtepu8_epi16(high), first));
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_alike_in_every_instruction_set() {
        let words = 2;
        let bits = |seed: u64| -> Vec<u64> {
            let word =
                |n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ seed) ^ n).rotate_left(seed as u32 + n as u32 * 7);
            // the second word of each sign has three channels only; no channel has both signs
            let row = |n: u64| {
                let (any, sign) = ([word(2 * n), word(2 * n + 1) & 7], word(n + 99));
                [any[0] & sign, any[1] & sign, any[0] & !sign, any[1] & !sign]
            };
            (0..3).flat_map(row).collect()
        };
        let (mut one, other) = (bits(1), bits(5));
        // nothing in its second step, all in its third
        one[4..8].fill(0);
        one[8..10].copy_from_slice(&[u64::MAX, 7]);
        one[10..].fill(0);
        let places = |row: &[u64], half: usize| -> Vec<u16> {
            let set = |n: &u16| row[half * words + *n as usize / WORD] >> (n % 64) & 1 == 1;
            (0..128).filter(set).collect()
        };
        for level in Level::all() {
            let mut lists = Lists::default();
            for _ in 0..2 {
                lists.clear(67);
                lists.push_signs(level, (words, 1), &[]);
                lists.push_signs(level, (words, 4), &[(&one, 3), (&other[..8], -7)]);
            }
            assert_eq!((lists.rows(), lists.row(0).count(), lists.row(4).count()), (5, 0, 0), "{level:?}");
            for (row, from) in [(1, 0..4), (2, 4..8), (3, 8..12)] {
                let sources = [(&one, 3), (&other, -7)].into_iter().take(if row == 3 { 1 } else { 2 });
                let sent = sources
                    .map(|(bits, gain)| (&bits[from.clone()], gain))
                    .filter(|(row, _)| row.iter().any(|&w| w != 0));
                let wanted: Vec<_> = sent.map(|(row, gain)| (places(row, 0), places(row, 1), gain)).collect();
                let found: Vec<_> = lists.row(row).map(|of| (of.plus.to_vec(), of.minus.to_vec(), of.gain)).collect();
                assert_eq!(found, wanted, "{level:?}, row {row}");
            }
        }
    }
}
