//! Bits of what neurons fire, while they fire it.

#![allow(unsafe_code, reason = "instructions beyond the baseline are called after the processor was asked for them")]

use super::fire::{Course, Courses};
#[cfg(target_arch = "x86_64")]
use super::signs::count_avx512;
use super::{Level, Set, WORD, count_rows};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// What the neurons of all positions fire, one position after the other: rows of bits, one for each step.
#[derive(Debug, Default)]
pub(in crate::functional) struct Raster {
    /// For each row words of positive spikes, then as many of negative ones.
    pub bits: Vec<u64>,
    /// How many rows there are of positions that were begun and have ended.
    pub rows: usize,
    /// How many rows there are before each position.
    pub firsts: Vec<usize>,
    /// The last step of each position in which it fires, from 1; or 0.
    pub lasts: Vec<u32>,
    /// How often each position fires.
    pub sent: Vec<u32>,
    /// How many spikes there are, and how many of them are negative.
    pub spikes: u64,
    pub negative: u64,
}

/// Rows of bits of one position while it fires; those to come are zeros.
pub(in crate::functional) struct Marks<'a> {
    bits: &'a mut [u64],
    /// Words of a row.
    row: usize,
    done: Done,
}

/// What a position has fired in all its steps.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::functional) struct Done {
    /// The last step in which anything was fired, from 1; or 0.
    pub last: usize,
    positive: u32,
    negative: u32,
}

impl Done {
    /// Notes what is fired in a step, from 0, none later than those before.
    #[inline(always)]
    pub fn note(&mut self, step: usize, (plus, minus): (u64, u64)) {
        self.positive += plus.count_ones();
        self.negative += minus.count_ones();
        self.last = step + 1;
    }

    /// Notes what is fired in a step, if anything is, without a branch on it.
    #[inline(always)]
    pub fn note_any(&mut self, step: usize, fired: (u64, u64)) {
        let last = if fired == (0, 0) { self.last } else { step + 1 };
        self.note(step, fired);
        self.last = last;
    }

    /// How often it has fired.
    #[inline(always)]
    fn spikes(self) -> u32 {
        self.positive + self.negative
    }
}

impl<'a> Marks<'a> {
    /// Rows of so many words each, in which nothing is fired yet.
    #[inline(always)]
    pub fn new(bits: &'a mut [u64], row: usize) -> Self {
        Self { bits, row, done: Done::default() }
    }

    /// Sets bits of what is fired in a step, from 0, `at` bits beyond the beginning.
    #[inline(always)]
    pub fn set(&mut self, step: usize, at: usize, (plus, minus): (u64, u64)) {
        let word = step * self.row + at / WORD;
        self.bits[word] |= plus << (at % WORD);
        self.bits[word + self.row / 2] |= minus << (at % WORD);
    }

    /// Clears so many bits from one on, which lie in one word, in all steps.
    #[cfg(target_arch = "x86_64")]
    pub fn clear(&mut self, at: usize, count: usize) {
        let bits = u64::MAX >> (WORD - count.clamp(1, WORD)) << (at % WORD);
        self.bits.chunks_exact_mut(self.row / 2).for_each(|row| row[at / WORD] &= !bits);
    }

    /// Sets such bits, and counts them.
    #[inline(always)]
    pub fn fire(&mut self, step: usize, at: usize, fired: (u64, u64)) {
        self.set(step, at, fired);
        let mut done = Done::default();
        done.note(step, fired);
        self.add(done);
    }

    /// Adds what neurons whose bits are set have fired.
    #[inline(always)]
    pub fn add(&mut self, done: Done) {
        self.done.positive += done.positive;
        self.done.negative += done.negative;
        self.done.last = self.done.last.max(done.last);
    }

    /// Puts one word of what is fired in each step from one on, of which every `pitch`th word holds a step.
    #[inline(always)]
    pub fn put(&mut self, (step, word): (usize, usize), fired: (&[u64], &[u64]), pitch: usize) {
        let mut done = Done::default();
        let (plus, minus) = (fired.0, &fired.1[..fired.0.len()]);
        let (bits, half) = (&mut *self.bits, self.row / 2);
        let (mut step, mut from, mut to) = (step, 0, step * self.row + word);
        while from < plus.len() {
            let fired = (plus[from], minus[from]);
            (bits[to], bits[to + half]) = fired;
            done.note_any(step, fired);
            (step, from, to) = (step + 1, from + pitch, to + 2 * half);
        }
        self.add(done);
    }

    /// All that was fired.
    #[inline(always)]
    pub fn done(self) -> Done {
        self.done
    }
}

impl Raster {
    /// Lets each course fire its rows, of so many words.
    #[inline(always)]
    pub fn each<'c>(&mut self, row: usize, courses: &impl Courses<'c>, mut fire: impl FnMut(Course<'c>, &mut Marks)) {
        let count = courses.count();
        for at in 0..count {
            let course = courses.course(at);
            let mut marks = self.begin((row, course.steps.1, count - at));
            fire(course, &mut marks);
            let done = marks.done();
            self.end(row, done, at + 1 == count);
        }
    }

    /// Adds what all positions fire in a step, nothing in step 0, to counts of so many channels each, which wrap.
    #[inline(always)]
    pub fn count(&self, level: Level, step: u32, channels: usize, counts: &mut [i8]) {
        if step == 0 {
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions
            return unsafe { self.count_avx512(step, channels, counts) };
        }
        for (position, counts) in counts.chunks_exact_mut(channels).enumerate() {
            count_rows(level, self.row(position, step, 2 * channels.div_ceil(WORD)), channels, counts);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn count_avx512(&self, step: u32, channels: usize, counts: &mut [i8]) {
        // usual widths have code of their own
        match channels {
            64 => return self.count_words::<1>(step, counts),
            128 => return self.count_words::<2>(step, counts),
            384 => return self.count_words::<6>(step, counts),
            _ => {}
        }
        for (position, counts) in counts.chunks_exact_mut(channels).enumerate() {
            count_avx512(self.row(position, step, 2 * channels.div_ceil(WORD)), counts);
        }
    }

    /// The same where channels fill so many words.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn count_words<const WORDS: usize>(&self, step: u32, counts: &mut [i8]) {
        let (one, rows) = (_mm512_set1_epi8(1), self.bits.as_chunks::<WORDS>().0);
        let counts = counts.as_chunks_mut::<WORD>().0.chunks_exact_mut(WORDS);
        for ((counts, first), &last) in counts.zip(&self.firsts).zip(&self.lasts) {
            if step > last {
                continue;
            }
            let row = 2 * (first + step as usize - 1);
            let Some([plus, minus]) = rows[row..].first_chunk() else { continue };
            for ((counts, &plus), &minus) in counts.iter_mut().zip(plus).zip(minus) {
                // SAFETY: there are as many counts as a register has bytes
                unsafe {
                    let sums = _mm512_loadu_si512(counts.as_ptr().cast());
                    let sums = _mm512_mask_add_epi8(sums, plus, sums, one);
                    let sums = _mm512_mask_sub_epi8(sums, minus, sums, one);
                    _mm512_storeu_si512(counts.as_mut_ptr().cast(), sums);
                }
            }
        }
    }

    /// The words, so many, of what a position fires in a step; none in step 0, and behind its last one.
    #[inline(always)]
    pub fn row(&self, position: usize, step: u32, words: usize) -> &[u64] {
        if step == 0 || step > self.lasts[position] {
            return &[];
        }
        &self.bits[(self.firsts[position] + step as usize - 1) * words..][..words]
    }

    /// The next position, to fire at most so many rows of so many words; room is made for as many positions at once.
    #[inline(always)]
    pub fn begin(&mut self, (row, most, left): (usize, usize, usize)) -> Marks<'_> {
        let (first, most) = (self.rows * row, most * row);
        if self.bits.len() < first + most {
            self.bits.resize(first + left * most, 0);
        }
        Marks::new(&mut self.bits[first..first + most], row)
    }

    /// Notes what the position fired that was begun; forgets the room behind the last one.
    #[inline(always)]
    pub fn end(&mut self, row: usize, done: Done, last: bool) {
        self.firsts.push(self.rows);
        self.lasts.push(done.last as u32);
        self.sent.push(done.spikes());
        self.spikes += u64::from(done.spikes());
        self.negative += u64::from(done.negative);
        self.rows += done.last;
        if last {
            self.bits.truncate(self.rows * row);
        }
    }

    /// Notes what some channels of a position fired, for which room was made ahead.
    #[inline(always)]
    pub fn add(&mut self, position: usize, done: Done) {
        self.lasts[position] = self.lasts[position].max(done.last as u32);
        self.sent[position] += done.spikes();
        self.spikes += u64::from(done.spikes());
        self.negative += u64::from(done.negative);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_are_counted_alike_in_every_instruction_set() {
        for channels in [8usize, 64, 70, 128, 192, 384] {
            let half = channels.div_ceil(WORD);
            let (mut raster, mut state) = (Raster::default(), 7u64);
            let mut word = |there: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state ^ state >> 29) & u64::MAX >> (WORD - there)
            };
            // positions that fire in none, some and all of three steps
            for position in 0..7 {
                let mut marks = raster.begin((2 * half, 3, 7 - position));
                for (step, at) in
                    (0..position % 4).flat_map(|step| (0..channels).step_by(WORD).map(move |at| (step, at)))
                {
                    let there = (channels - at).min(WORD);
                    let (plus, some) = (word(there), word(there));
                    marks.fire(step, at, (plus, some & !plus));
                }
                let done = marks.done();
                raster.end(2 * half, done, position == 6);
            }
            for step in 0..=4 {
                let mut wanted = vec![5i8; 7 * channels];
                for (position, counts) in wanted.chunks_exact_mut(channels).enumerate() {
                    let row = raster.row(position, step, 2 * half);
                    let (plus, minus) = row.split_at(row.len() / 2);
                    for (channel, count) in counts.iter_mut().enumerate().filter(|_| !plus.is_empty()) {
                        let bit = |words: &[u64]| (words[channel / WORD] >> (channel % WORD) & 1) as i8;
                        *count += bit(plus) - bit(minus);
                    }
                }
                assert_eq!(step > 0 && step < 4, wanted.iter().any(|&count| count != 5), "{channels}, {step}");
                for level in Level::all() {
                    let mut counts = vec![5; 7 * channels];
                    raster.count(level, step, channels, &mut counts);
                    assert_eq!(counts, wanted, "{level:?}, {channels} channels, step {step}");
                }
            }
        }
    }
}
