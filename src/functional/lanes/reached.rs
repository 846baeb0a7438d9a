//! Counts as bits: for each count a plane of the channels that have reached it. The largest of several counts is reached where
//! any of them has reached it.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, and registers are arrays"
)]

use super::{Level, Set, WORD};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::ops::Range;

/// Words of a register: rows of words are padded to a multiple of it.
pub(in crate::functional) const WORDS: usize = 8;

/// Rows of words in whole registers.
#[derive(Debug)]
pub(in crate::functional) struct Row {
    /// Words of a row of positions, those among them that send anything, and of a row of windows.
    pub size: usize,
    pub sending: Range<usize>,
    pub across: usize,
    /// Where the words under each tap of a row of windows begin.
    pub taps: Vec<usize>,
}

/// What the channels of a row of positions have reached, and those of the rows under a window, step by step.
#[derive(Debug)]
pub(in crate::functional) struct Reached<'a> {
    row: &'a Row,
    /// Steps that there are, and rows under a window.
    steps: usize,
    height: usize,
    /// How many counts any channel has reached.
    most: usize,
    /// Of the row that is laid out, for each count the channels that have reached it.
    counts: Vec<u64>,
    /// For each count, `[row under the window][step]`: the windows in which any channel of the row has reached it.
    rows: Vec<u64>,
    /// The last step of each of these rows in which anything is sent.
    lasts: Vec<usize>,
    /// For each count the windows of a row that have reached it.
    largest: Vec<u64>,
}

/// Where the words of a row are found, each among rows of bits that go on from step to step.
#[derive(Debug)]
pub(in crate::functional) struct Sent<'a> {
    pub bits: &'a [u64],
    /// Where each word of positive spikes is in the first step, and the last step that there is of it, or 0. The words of a position
    /// stand side by side, and where these are two, in an even place.
    pub firsts: &'a [u64],
    pub lasts: &'a [u64],
    /// From those to the negative spikes, and to the next step.
    pub negative: usize,
    pub pitch: usize,
}

impl<'a> Reached<'a> {
    /// Nothing is reached, for `height` rows under a window, and as many steps.
    pub fn new(row: &'a Row, (height, steps): (usize, usize)) -> Self {
        let lasts = vec![0; height];
        Self { row, steps, height, most: 0, counts: vec![], rows: vec![], lasts, largest: vec![] }
    }

    /// Takes what the next row of positions sends in its first `last` steps.
    #[inline(always)]
    pub fn lay(&mut self, level: Level, (y, last): (usize, usize), sent: &Sent) {
        let slot = y % self.height;
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions
            return unsafe { self.lay_avx512((slot, last), sent) };
        }
        let _ = level;
        self.lay_in::<[u64; WORDS]>((slot, last), sent);
    }

    /// Finds how the largest counts of windows change that see some rows, the last ones laid out, `[step][word]`; gives how many
    /// steps there are in which they may.
    #[inline(always)]
    pub fn track(&mut self, level: Level, seen: Range<usize>, signs: [&mut [u64]; 2]) -> usize {
        let slots: Vec<usize> = seen.map(|y| y % self.height).filter(|&slot| self.lasts[slot] > 0).collect();
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions
            return unsafe { self.track_avx512(&slots, signs) };
        }
        let _ = level;
        self.track_in::<[u64; WORDS]>(&slots, signs)
    }

    /// The largest counts of the row of windows that was tracked last, of so many channels.
    #[inline(always)]
    pub fn largest(&self, level: Level, channels: usize, largest: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions
            return unsafe { self.largest_avx512(channels, largest) };
        }
        let _ = level;
        let words = channels.div_ceil(WORD);
        for (x, largest) in largest.chunks_exact_mut(channels).enumerate() {
            let count = |word: usize, bit: usize| {
                let reached = |most: usize| self.largest[most * self.row.across + x * words + word] >> bit & 1;
                (0..self.most).map(reached).sum::<u64>() as u8
            };
            largest.iter_mut().enumerate().for_each(|(at, largest)| *largest = count(at / WORD, at % WORD));
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn lay_avx512(&mut self, row: (usize, usize), sent: &Sent) {
        self.lay_in::<__m512i>(row, sent);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn track_avx512(&mut self, slots: &[usize], signs: [&mut [u64]; 2]) -> usize {
        self.track_in::<__m512i>(slots, signs)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn largest_avx512(&self, channels: usize, largest: &mut [u8]) {
        let (mut at, one) = (0, _mm512_set1_epi8(1));
        for largest in largest.chunks_exact_mut(channels) {
            for largest in largest.chunks_mut(WORD) {
                let mut count = _mm512_setzero_si512();
                for most in 0..self.most {
                    count = _mm512_mask_add_epi8(count, self.largest[most * self.row.across + at], count, one);
                }
                // SAFETY: only the bytes that are there are stored
                unsafe {
                    _mm512_mask_storeu_epi8(largest.as_mut_ptr().cast(), u64::MAX >> (WORD - largest.len()), count)
                };
                at += 1;
            }
        }
    }

    #[inline(always)]
    fn lay_in<B: Bits>(&mut self, (slot, last): (usize, usize), sent: &Sent) {
        self.lasts[slot] = last;
        self.counts.fill(0);
        for step in 0..last {
            for at in self.row.sending.clone().step_by(WORDS) {
                self.step::<B>((at, step), B::gather(sent, (at, step)));
            }
            // no count is larger than the steps so far; all are there after the last one
            let most = if step + 1 < last { self.most.min(step + 1) } else { self.most };
            match self.row.taps[..] {
                [left, middle, right] => self.join::<B>((most, slot, step), &[left, middle, right]),
                ref taps => self.join::<B>((most, slot, step), taps),
            }
        }
    }

    /// Which windows see a count reached in the row that is laid out.
    #[inline(always)]
    fn join<B: Bits>(&mut self, (most, slot, step): (usize, usize, usize), taps: &[usize]) {
        let Row { size, across, .. } = *self.row;
        for (most, reached) in self.counts.chunks_exact(size).take(most).enumerate() {
            let to = ((most * self.height + slot) * self.steps + step) * across;
            let to = &mut self.rows[to..to + across];
            for at in (0..across).step_by(WORDS) {
                let mut joint = B::none();
                for tap in taps {
                    joint = joint.or(B::load(reached, tap + at));
                }
                joint.store(to, at);
            }
        }
    }

    /// Those who fire reach one count more, or one less.
    #[inline(always)]
    fn step<B: Bits>(&mut self, (at, step): (usize, usize), [plus, minus]: [B; 2]) {
        let (size, known) = (self.row.size, self.most.min(step + 1));
        // those who fire and have reached all counts below
        let mut up = plus;
        if known > 0 {
            let mut count = B::load(&self.counts, at);
            for place in (at + size..).step_by(size).take(known - 1) {
                let next = B::load(&self.counts, place);
                count.or(up).without(minus.without(next)).store(&mut self.counts, place - size);
                (up, count) = (up.and(count), next);
            }
            count.or(up).without(minus).store(&mut self.counts, (known - 1) * size + at);
            up = up.and(count);
        }
        if up.any() {
            self.most += 1;
            self.counts.resize(self.most * size, 0);
            self.rows.resize(self.most * self.height * self.steps * self.row.across, 0);
            up.store(&mut self.counts, (self.most - 1) * size + at);
        }
    }

    #[inline(always)]
    fn track_in<B: Bits>(&mut self, slots: &[usize], signs: [&mut [u64]; 2]) -> usize {
        self.largest.clear();
        self.largest.resize(self.most * self.row.across, 0);
        match *slots {
            [upper, middle, lower] => self.follow::<B>(&[upper, middle, lower], signs),
            _ => self.follow::<B>(slots, signs),
        }
    }

    #[inline(always)]
    fn follow<B: Bits>(&mut self, slots: &[usize], [plus, minus]: [&mut [u64]; 2]) -> usize {
        let (across, lines) = (self.row.across, self.steps * self.row.across);
        let last = slots.iter().map(|&slot| self.lasts[slot]).max().unwrap_or(0);
        for step in 0..last {
            for at in (0..across).step_by(WORDS) {
                let (mut up, mut down) = (B::none(), B::none());
                for most in 0..self.most.min(step + 1) {
                    let rows = &self.rows[most * self.height * lines..][..self.height * lines];
                    let mut now = B::none();
                    for &slot in slots {
                        // rows stay what they are after their last step
                        let step = step.min(self.lasts[slot] - 1);
                        now = now.or(B::load(rows, slot * lines + step * across + at));
                    }
                    let before = B::load(&self.largest, most * across + at);
                    up = up.or(now.without(before));
                    down = down.or(before.without(now));
                    now.store(&mut self.largest, most * across + at);
                }
                up.store(plus, step * across + at);
                down.store(minus, step * across + at);
            }
        }
        last
    }
}

/// Bits of a register.
trait Bits: Copy {
    /// Those of words from a place on.
    fn load(words: &[u64], at: usize) -> Self;
    /// Positive and negative spikes of a row, from a place on, in a step.
    fn gather(sent: &Sent, at: (usize, usize)) -> [Self; 2];
    fn store(self, words: &mut [u64], at: usize);
    fn none() -> Self;
    fn or(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn without(self, other: Self) -> Self;
    fn any(self) -> bool;
}

impl Bits for [u64; WORDS] {
    #[inline(always)]
    fn load(words: &[u64], at: usize) -> Self {
        let words = &words[at..at + WORDS];
        std::array::from_fn(|at| words[at])
    }
    #[inline(always)]
    fn store(self, words: &mut [u64], at: usize) {
        words[at..at + WORDS].copy_from_slice(&self);
    }
    #[inline(always)]
    fn gather(sent: &Sent, (at, step): (usize, usize)) -> [Self; 2] {
        [0, sent.negative].map(|beyond| {
            std::array::from_fn(|lane| {
                let place = sent.firsts[at + lane] as usize + step * sent.pitch + beyond;
                if sent.lasts[at + lane] > step as u64 { sent.bits[place] } else { 0 }
            })
        })
    }
    #[inline(always)]
    fn none() -> Self {
        [0; WORDS]
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        std::array::from_fn(|at| self[at] | other[at])
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        std::array::from_fn(|at| self[at] & other[at])
    }
    #[inline(always)]
    fn without(self, other: Self) -> Self {
        std::array::from_fn(|at| self[at] & !other[at])
    }
    #[inline(always)]
    fn any(self) -> bool {
        self != [0; WORDS]
    }
}

/// Pairs of words that begin at the places of some lanes.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
unsafe fn pairs(words: *const u64, places: &[u64], lanes: [usize; 4]) -> __m512i {
    // SAFETY: the caller has asked for words that are there
    unsafe {
        let pairs = _mm512_castsi128_si512(_mm_loadu_si128(words.add(places[lanes[0]] as usize).cast()));
        let pairs = _mm512_inserti64x2::<1>(pairs, _mm_loadu_si128(words.add(places[lanes[1]] as usize).cast()));
        let pairs = _mm512_inserti64x2::<2>(pairs, _mm_loadu_si128(words.add(places[lanes[2]] as usize).cast()));
        _mm512_inserti64x2::<3>(pairs, _mm_loadu_si128(words.add(places[lanes[3]] as usize).cast()))
    }
}

// SAFETY of all below: these are only used where the processor was asked for them, and slices hold a register
#[cfg(target_arch = "x86_64")]
impl Bits for __m512i {
    #[inline(always)]
    fn load(words: &[u64], at: usize) -> Self {
        unsafe { _mm512_loadu_si512(words[at..at + WORDS].as_ptr().cast()) }
    }
    #[inline(always)]
    fn store(self, words: &mut [u64], at: usize) {
        unsafe { _mm512_storeu_si512(words[at..at + WORDS].as_mut_ptr().cast(), self) }
    }
    #[inline(always)]
    fn gather(sent: &Sent, (at, step): (usize, usize)) -> [Self; 2] {
        let (first, last) = (Self::load(sent.firsts, at), Self::load(sent.lasts, at));
        // only words that are there are loaded
        unsafe {
            let place = _mm512_add_epi64(first, _mm512_set1_epi64((step * sent.pitch) as i64));
            let sends = _mm512_cmpgt_epu64_mask(last, _mm512_set1_epi64(step as i64));
            let (bits, firsts) = (sent.bits.as_ptr(), &sent.firsts[at..at + WORDS]);
            // places from which on there are all words of both signs
            let end = _mm512_set1_epi64((sent.bits.len() + 1).saturating_sub(2 * sent.negative) as i64);
            let there = _mm512_cmplt_epu64_mask(place, end);
            let from = bits.add(step * sent.pitch);
            if sent.negative == 1 && there == 0xff {
                // the signs of a position lie beside each other
                let (low, high) = (pairs(from, firsts, [0, 1, 2, 3]), pairs(from, firsts, [4, 5, 6, 7]));
                let lanes = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
                let plus = _mm512_maskz_permutex2var_epi64(sends, low, lanes, high);
                let lanes = _mm512_add_epi64(lanes, _mm512_set1_epi64(1));
                return [plus, _mm512_maskz_permutex2var_epi64(sends, low, lanes, high)];
            }
            if sent.negative == 2 && there & 0x55 == 0x55 {
                // as do both words of a sign, the first of which is in an even lane
                let (plus, minus) = (pairs(from, firsts, [0, 2, 4, 6]), pairs(from.add(2), firsts, [0, 2, 4, 6]));
                return [_mm512_maskz_mov_epi64(sends, plus), _mm512_maskz_mov_epi64(sends, minus)];
            }
            let end = _mm512_set1_epi64(sent.bits.len().saturating_sub(sent.negative) as i64);
            let (sends, none) = (_mm512_mask_cmplt_epu64_mask(sends, place, end), Self::none());
            let beyond = _mm512_add_epi64(place, _mm512_set1_epi64(sent.negative as i64));
            let plus = _mm512_mask_i64gather_epi64::<8>(none, sends, place, bits.cast());
            [plus, _mm512_mask_i64gather_epi64::<8>(none, sends, beyond, bits.cast())]
        }
    }
    #[inline(always)]
    fn none() -> Self {
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        unsafe { _mm512_or_si512(self, other) }
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        unsafe { _mm512_and_si512(self, other) }
    }
    #[inline(always)]
    fn without(self, other: Self) -> Self {
        unsafe { _mm512_andnot_si512(other, self) }
    }
    #[inline(always)]
    fn any(self) -> bool {
        unsafe { _mm512_test_epi64_mask(self, self) != 0 }
    }
}
