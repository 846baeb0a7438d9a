//! Signed neurons in registers of 512 bits: as numbers of 32 bits, or as words of 16 bits where those hold their potentials, and
//! several positions at once where each has few.

#![allow(unsafe_code, reason = "registers are loaded and stored inside slices whose lengths are looked at just before")]

use super::fire::{Course, Courses, Numbers, Signed};
use super::raster::{Done, Marks, Raster};
use super::states::{Numbers as Wide, Reads, Register, States, Words};
use super::{LANES, WORD};
use std::arch::x86_64::*;
use std::marker::PhantomData;

/// Bits of the positive spikes of a step, and of the negative ones.
type Spikes = (u64, u64);

/// A register of neurons of a position.
#[derive(Clone, Copy)]
struct Lane<'a, R, N> {
    /// What the first one of them reads in its first step; then every `pitch`.
    rows: &'a [N],
    bias: &'a [i32],
    /// The first one.
    channel: usize,
    of: PhantomData<R>,
}

/// When numbers flow into registers of neurons, and how long these go on.
#[derive(Clone, Copy)]
struct Times {
    pitch: usize,
    delay: usize,
    driven: usize,
    steps: (usize, usize),
}

/// How registers of neurons have ended.
#[derive(Clone, Copy)]
struct Ended {
    /// Whether registers held their potentials: if not, nothing else is known.
    fits: bool,
    rests: bool,
    /// Positive spikes beyond the negative ones, byte by byte.
    counts: __m512i,
}

impl Ended {
    /// Nothing is known.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn unfit() -> Self {
        Self { fits: false, rests: false, counts: _mm512_setzero_si512() }
    }
}

impl<'c> Course<'c> {
    /// Whether nothing but the same arrives in as many steps as a neuron can fire in, and it goes through no more.
    fn is_steady(&self, limit: usize) -> bool {
        let nothing = matches!(self.inflow.numbers, Numbers::Sums { rows: [], .. });
        nothing && self.inflow.driven == limit && self.steps.0 == limit
    }

    /// Those of the neurons from one on that a register takes, which begin with a channel.
    #[inline(always)]
    fn lane<R, N>(&self, rows: &'c [N], at: usize, channel: usize) -> Lane<'c, R, N> {
        let bias = if self.inflow.driven > 0 { &self.inflow.bias[at..] } else { &[] };
        Lane { rows: rows.get(at..).unwrap_or_default(), bias, channel, of: PhantomData }
    }

    fn times(&self, (pitch, delay): (usize, usize)) -> Times {
        Times { pitch, delay, driven: self.inflow.driven, steps: self.steps }
    }
}

impl Signed<'_> {
    /// As [`Signed::run`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    pub(super) fn all_avx512<'c>(
        self,
        courses: &impl Courses<'c>,
        counts: &mut [u8],
        (raster, row): (&mut Raster, usize),
    ) -> bool {
        let (neurons, all) = (self.neurons, courses.count());
        let (mut at, mut every, mut fired) = (0, true, vec![]);
        let together = if all > 0 { self.together(&courses.course(0)) } else { 1 };
        while at < all {
            let (course, counts) = (courses.course(at), &mut counts[at * neurons..]);
            if together > 1 && all - at >= together {
                fired.resize(fired.len().max(course.steps.1), (0, 0));
                let (ended, steps) = self.group_avx512((courses, course), (at, together), &mut fired);
                if ended.fits {
                    every &= ended.rests;
                    store(&mut counts[..together * neurons], (neurons, ended.counts));
                    share(&fired[..steps], together, raster, all - at);
                    at += together;
                    continue;
                }
            }
            let mut marks = raster.begin((row, course.steps.1, all - at));
            for first in (0..neurons).step_by(WORD) {
                let counts = &mut counts[first..neurons.min(first + WORD)];
                every &= self.word_avx512(course, first, counts, (&mut marks, first));
            }
            let done = marks.done();
            at += 1;
            raster.end(row, done, at == all);
        }
        every
    }

    /// How many positions go through registers together: those of few neurons.
    fn together(self, course: &Course) -> usize {
        let lanes = self.neurons.next_multiple_of(LANES);
        let steady = course.is_steady(self.thresholds.limit() as usize) && (lanes == LANES || lanes == 2 * LANES);
        let words = self.in_words() && lanes == Words::LANES && matches!(course.inflow.numbers, Numbers::Words { .. });
        if steady || words { WORD / lanes } else { 1 }
    }

    /// Whether words hold potentials, as far as it is known ahead, and whole registers of words come in.
    fn in_words(self) -> bool {
        self.thresholds.words().is_some() && self.neurons.div_ceil(LANES).is_multiple_of(2)
    }

    /// Some positions that go through registers together, from one on, and in how many steps they may have fired. They do not fit where
    /// something else flows into one of them than into the first.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    fn group_avx512<'c>(
        self,
        (courses, course): (&impl Courses<'c>, Course<'c>),
        (first, together): (usize, usize),
        fired: &mut [Spikes],
    ) -> (Ended, usize) {
        let (lanes, mut steps) = (WORD / together, 0);
        let put = |step, spikes| {
            fired[steps..step].fill((0, 0));
            fired[step] = spikes;
            steps = step + 1;
        };
        let nth = |nth: usize| if nth == 0 { course } else { courses.course(first + nth) };
        let ended = match course.inflow.numbers {
            Numbers::Words { pitch, delay, .. } => {
                let (mut registers, mut times) =
                    ([course.lane::<Words, _>(&[], 0, 0); 2], course.times((pitch, delay)));
                for (of, register) in (0..).step_by(Words::LANES).zip(&mut registers) {
                    let (course, at) = (nth(of / lanes), of % lanes);
                    let Numbers::Words { rows, .. } = course.inflow.numbers else { return (Ended::unfit(), 0) };
                    *register = course.lane(rows, at, self.first + at);
                    // one that goes on longer than by itself has nothing more to fire
                    times.steps.0 = times.steps.0.max(course.steps.0);
                }
                self.through(times, registers, put)
            }
            Numbers::Sums { .. } => {
                let mut registers = [course.lane(&[], 0, 0); WORD / LANES];
                for (of, register) in (0..).step_by(LANES).zip(&mut registers) {
                    let (course, at) = (nth(of / lanes), of % lanes);
                    if !course.is_steady(self.thresholds.limit() as usize) {
                        return (Ended::unfit(), 0);
                    }
                    *register = course.lane(&[], at, self.first + at);
                }
                self.steady(registers, put)
            }
        };
        (ended, steps)
    }

    /// Neurons of a position from `first` on, as many as there are counts, whose bits lie in one word.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    pub(super) fn word_avx512(
        self,
        course: Course,
        first: usize,
        counts: &mut [u8],
        (marks, channel): (&mut Marks, usize),
    ) -> bool {
        let registers = counts.len().div_ceil(LANES);
        if let Numbers::Words { rows, pitch, delay } = course.inflow.numbers
            && self.in_words()
        {
            let (times, mut done) = (course.times((pitch, delay)), Done::default());
            let put = |step, fired| note((marks, &mut done), (step, channel), fired);
            let ended = match registers {
                1 | 2 => self.through(times, self.lanes::<Words, _, 1>(&course, rows, first), put),
                _ => self.through(times, self.lanes::<Words, _, 2>(&course, rows, first), put),
            };
            if ended.fits {
                marks.add(done);
                store(counts, (counts.len(), ended.counts));
                return ended.rests;
            }
            marks.clear(channel, counts.len());
        }
        let ended = match registers {
            1 => self.wide_avx512::<1>(&course, first, (marks, channel)),
            2 => self.wide_avx512::<2>(&course, first, (marks, channel)),
            3 => self.wide_avx512::<3>(&course, first, (marks, channel)),
            _ => self.wide_avx512::<4>(&course, first, (marks, channel)),
        };
        store(counts, (counts.len(), ended.counts));
        ended.rests
    }

    /// `C` registers of neurons as numbers of 32 bits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    fn wide_avx512<const C: usize>(
        self,
        course: &Course,
        first: usize,
        (marks, channel): (&mut Marks, usize),
    ) -> Ended {
        let mut done = Done::default();
        let put = |step, fired| note((marks, &mut done), (step, channel), fired);
        let ended = match course.inflow.numbers {
            Numbers::Sums { rows, .. } if course.is_steady(self.thresholds.limit() as usize) => {
                self.steady(self.lanes::<Wide, _, C>(course, rows, first), put)
            }
            Numbers::Sums { rows, pitch, delay } => {
                self.through(course.times((pitch, delay)), self.lanes::<Wide, _, C>(course, rows, first), put)
            }
            Numbers::Words { rows, pitch, delay } => {
                self.through(course.times((pitch, delay)), self.lanes::<Wide, _, C>(course, rows, first), put)
            }
        };
        marks.add(done);
        ended
    }

    /// Registers of neurons of a position, side by side.
    #[inline(always)]
    fn lanes<'c, R: Register, N: Copy, const C: usize>(
        self,
        course: &Course<'c>,
        rows: &'c [N],
        first: usize,
    ) -> [Lane<'c, R, N>; C] {
        let mut registers = [course.lane(&[], 0, 0); C];
        for (at, register) in (first..).step_by(R::LANES).zip(&mut registers) {
            *register = course.lane(rows, at, self.first + at);
        }
        registers
    }

    /// Registers of neurons through all their steps; `put` takes what they fire.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    fn through<R: Reads<N>, N, const C: usize>(
        self,
        Times { pitch, delay, driven, steps }: Times,
        registers: [Lane<R, N>; C],
        mut put: impl FnMut(usize, Spikes),
    ) -> Ended {
        let (one, mut counts) = (_mm512_set1_epi8(1), _mm512_setzero_si512());
        let (mut biases, mut channels, mut length) = ([counts; C], [0; C], usize::MAX);
        for (c, register) in registers.iter().enumerate() {
            if driven > 0 {
                let Some(bias) = R::bias(register.bias) else { return Ended::unfit() };
                biases[c] = bias;
            }
            (channels[c], length) = (register.channel, length.min(register.rows.len()));
        }
        let mut states = States::<R, C>::at_rest(self.thresholds, channels);
        let (mut at, mut rests, limit) = (0, true, self.thresholds.limit() as usize);
        for step in 0..steps.1 {
            if step < driven {
                states.add(biases);
            }
            if step >= delay {
                if at + R::LANES <= length {
                    let mut numbers = biases;
                    for (number, register) in numbers.iter_mut().zip(&registers) {
                        // SAFETY: there is a register of numbers
                        *number = unsafe { R::numbers(register.rows.as_ptr().add(at)) };
                    }
                    states.add(numbers);
                }
                at += pitch;
            }
            // no neuron has fired more often than there were steps
            let symmetric = self.symmetric;
            let fired = if step < limit { states.fire::<false>(symmetric) } else { states.fire::<true>(symmetric) };
            rests = fired == (0, 0);
            if !rests {
                put(step, fired);
                counts = _mm512_mask_add_epi8(counts, fired.0, counts, one);
                counts = _mm512_mask_sub_epi8(counts, fired.1, counts, one);
            } else if step + 1 >= steps.0 {
                break;
            }
        }
        Ended { fits: states.fit(), rests: rests || steps.0 == steps.1, counts }
    }

    /// The same, where nothing but biases flow, in as many steps as a neuron can fire in. Then it never takes a spike back, and
    /// once nothing arrives it rests: what arrives is negative, and it has not fired; or is below the threshold, and so is what
    /// is left; or it has fired in every step.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    fn steady<const C: usize>(self, registers: [Lane<Wide, i32>; C], mut put: impl FnMut(usize, Spikes)) -> Ended {
        let zero = _mm512_setzero_si512();
        let (mut arriving, mut thresholds, mut potentials) = ([zero; C], [zero; C], [zero; C]);
        for (c, register) in registers.iter().enumerate() {
            arriving[c] = Wide::bias(register.bias).unwrap_or(zero);
            [thresholds[c], _] = Wide::thresholds(self.thresholds, register.channel);
            potentials[c] = Wide::half(thresholds[c]);
        }
        let (one, mut counts) = (_mm512_set1_epi8(1), zero);
        for step in 0..self.thresholds.limit() as usize {
            let mut plus = 0;
            for c in 0..C {
                let potential = _mm512_add_epi32(potentials[c], arriving[c]);
                let up = _mm512_cmpge_epi32_mask(potential, thresholds[c]);
                potentials[c] = _mm512_mask_sub_epi32(potential, up, potential, thresholds[c]);
                plus |= u64::from(up) << (c * LANES);
            }
            if plus != 0 {
                put(step, (plus, 0));
                counts = _mm512_mask_add_epi8(counts, plus, counts, one);
            }
        }
        Ended { fits: true, rests: true, counts }
    }
}

/// Notes what neurons fire in a step whose bits begin with a place.
#[inline(always)]
fn note((marks, done): (&mut Marks, &mut Done), (step, at): (usize, usize), fired: Spikes) {
    marks.set(step, at, fired);
    done.note(step, fired);
}

/// Notes what positions have fired that went through registers together, step by step, with `left` to come, these included.
#[inline]
#[target_feature(enable = "popcnt")]
fn share(fired: &[Spikes], together: usize, raster: &mut Raster, left: usize) {
    let (lanes, row) = (WORD / together, 2);
    for nth in 0..together {
        let (shift, there) = (nth * lanes, u64::MAX >> (WORD - lanes));
        let (mut marks, mut done) = (raster.begin((row, fired.len(), left - nth)), Done::default());
        for (step, &(plus, minus)) in fired.iter().enumerate() {
            let fired = (plus >> shift & there, minus >> shift & there);
            marks.set(step, 0, fired);
            done.note_any(step, fired);
        }
        marks.add(done);
        let done = marks.done();
        raster.end(row, done, left - nth == 1);
    }
}

/// Stores as many counts of each position as there are, where several went through registers together.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn store(counts: &mut [u8], (neurons, all): (usize, __m512i)) {
    if neurons == counts.len() || neurons.is_multiple_of(LANES) {
        let there = u64::MAX >> (WORD - counts.len().min(WORD));
        // SAFETY: only the counts that are there are stored
        return unsafe { _mm512_mask_storeu_epi8(counts.as_mut_ptr().cast(), there, all) };
    }
    let mut bytes = [0u8; WORD];
    // SAFETY: there is a register of them
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), all) };
    let lanes = neurons.next_multiple_of(LANES);
    counts
        .chunks_exact_mut(neurons)
        .zip(bytes.chunks_exact(lanes))
        .for_each(|(to, from)| to.copy_from_slice(&from[..neurons]));
}
