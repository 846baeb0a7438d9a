//! Signed neurons of a position from rest through all their steps, a register of them at a time.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, and registers are loaded \
              and stored inside slices whose lengths say how many there are"
)]

use super::raster::{Done, Marks, Raster};
#[cfg(target_arch = "x86_64")]
use super::states::{States, load};
use super::{LANES, Level, Set, WORD};
use crate::functional::Values;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Neurons that fire +1 at their threshold, and −1 below zero or, symmetrically, at minus their threshold.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Signed<'a> {
    /// How many there are.
    pub neurons: usize,
    /// Their thresholds in whole registers, behind the last one `i32::MAX`: what is no neuron never fires.
    pub thresholds: &'a [i32],
    /// Each times the limit.
    pub most: &'a [i32],
    /// Whether all of them are positive.
    pub usual: bool,
    pub symmetric: bool,
    /// Most positive spikes beyond the negative ones.
    pub limit: i32,
}

/// What is added to the potentials of a position: numbers in some steps, and a bias in each of the first ones.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Inflow<'a> {
    pub numbers: Numbers<'a>,
    /// Whole registers, behind the last neuron zeros.
    pub bias: &'a [i32],
    /// Steps in which the bias flows.
    pub driven: usize,
}

/// Rows of whole registers, one for each step; behind the last neuron zeros.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) enum Numbers<'a> {
    /// Of the steps from `delay` on, one every `pitch`.
    Sums { rows: &'a [i32], pitch: usize, delay: usize },
    /// The same in words.
    Words { rows: &'a [i16], pitch: usize, delay: usize },
}

/// What neurons go through.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Course<'a> {
    pub inflow: Inflow<'a>,
    /// Steps that they go through, and up to how many they go on while any fires.
    pub steps: (usize, usize),
}

/// What the neurons of several positions go through. Not an iterator, so that each course is worked out by the instructions of
/// those who run it.
pub(in crate::functional) trait Courses<'c> {
    /// How many positions there are.
    fn count(&self) -> usize;
    /// What the neurons of one of them go through.
    fn course(&self, at: usize) -> Course<'c>;
}

impl Signed<'_> {
    /// Runs the neurons of one position after the other; puts their counts at the end, from a place on, and appends what they
    /// fire. Says whether all came to rest.
    #[inline(always)]
    pub fn run<'c>(
        self,
        level: Level,
        courses: &impl Courses<'c>,
        (counts, to): (&mut Values, usize),
        raster: &mut Raster,
    ) -> bool {
        let (neurons, mut rests, mut to) = (self.neurons, true, to);
        let row = 2 * neurons.div_ceil(WORD).max(1);
        assert!(self.thresholds.len() == neurons.next_multiple_of(LANES));
        #[cfg(target_arch = "x86_64")]
        if let Some(counts) = self.bytes(level, counts) {
            // SAFETY: the processor has the instructions
            return unsafe { self.all_avx512(courses, &mut counts[to..], (raster, row)) };
        }
        let _ = level;
        raster.each(row, courses, |course, marks| {
            for at in (0..neurons).step_by(LANES) {
                rests &= self.plain(course, at, (counts, to + at), (marks, at));
            }
            to += neurons;
        });
        rests
    }

    /// Runs neurons of one position whose bits lie in one word, from a channel on; puts their counts at the end, from a place
    /// on. Says whether they came to rest.
    #[inline(always)]
    pub fn run_word(
        self,
        level: Level,
        course: Course,
        (counts, to): (&mut Values, usize),
        (marks, channel): (&mut Marks, usize),
    ) -> bool {
        assert!(self.thresholds.len() == self.neurons.next_multiple_of(LANES));
        #[cfg(target_arch = "x86_64")]
        if let Some(counts) = self.bytes(level, counts) {
            // SAFETY: the processor has the instructions
            return unsafe { self.word_avx512(course, 0, &mut counts[to..to + self.neurons], (marks, channel)) };
        }
        let _ = level;
        let mut rests = true;
        for at in (0..self.neurons).step_by(LANES) {
            rests &= self.plain(course, at, (counts, to + at), (marks, channel + at));
        }
        rests
    }

    /// Counts in bytes, where neurons go through registers.
    #[cfg(target_arch = "x86_64")]
    fn bytes(self, level: Level, counts: &mut Values) -> Option<&mut Vec<u8>> {
        match counts {
            Values::Bytes(counts) => {
                Some(counts).filter(|_| level.0 == Set::Avx512 && self.usual && self.limit <= i8::MAX.into())
            }
            Values::Words(_) | Values::Narrow(_) | Values::Wide(_) => None,
        }
    }

    /// The potential below which a neuron takes a spike back.
    #[inline(always)]
    fn lowest(self, threshold: i32) -> i32 {
        if self.symmetric { 1i32.wrapping_sub(threshold) } else { 0 }
    }

    #[inline(always)]
    fn plain(
        self,
        course: Course,
        first: usize,
        (counts, to): (&mut Values, usize),
        (marks, channel): (&mut Marks, usize),
    ) -> bool {
        let there = (self.neurons - first).min(LANES);
        let (mut thresholds, mut count) = ([i32::MAX; LANES], [0; LANES]);
        thresholds.copy_from_slice(&self.thresholds[first..first + LANES]);
        let mut potentials = thresholds.map(|threshold| threshold >> 1);
        let lowest = thresholds.map(|threshold| self.lowest(threshold));
        let Inflow { numbers, bias, driven } = course.inflow;
        let (mut rests, mut done) = (true, Done::default());
        for step in 0..course.steps.1 {
            let add = |(potential, number): (&mut i32, i32)| *potential = potential.wrapping_add(number);
            match numbers {
                Numbers::Sums { rows, pitch, delay } => {
                    let at = step.checked_sub(delay).map_or(usize::MAX, |step| first + step * pitch);
                    let sums = rows.get(at..).unwrap_or_default().iter().copied();
                    potentials.iter_mut().zip(sums).for_each(add);
                }
                Numbers::Words { rows, pitch, delay } => {
                    let at = step.checked_sub(delay).map_or(usize::MAX, |step| first + step * pitch);
                    let words = rows.get(at..).unwrap_or_default().iter().map(|&word| word.into());
                    potentials.iter_mut().zip(words).for_each(add);
                }
            }
            if step < driven {
                let bias = bias.get(first..).unwrap_or_default().iter().copied();
                potentials.iter_mut().zip(bias).for_each(add);
            }
            let mut signs = [0i32; LANES];
            for lane in 0..LANES {
                let up = (potentials[lane] >= thresholds[lane]) & (count[lane] < self.limit);
                let down = (potentials[lane] < lowest[lane]) & (count[lane] > 0);
                signs[lane] = i32::from(up) - i32::from(down);
                count[lane] += signs[lane];
                potentials[lane] = potentials[lane].wrapping_sub(signs[lane].wrapping_mul(thresholds[lane]));
            }
            let bits = |of: i32| (0..there).fold(0, |bits, lane| bits | u64::from(signs[lane] == of) << lane);
            rests = signs[..there].iter().fold(0, |any, sign| any | sign) == 0;
            if !rests {
                let fired = (bits(1), bits(-1));
                marks.set(step, channel, fired);
                done.note(step, fired);
            } else if step + 1 >= course.steps.0 {
                break;
            }
        }
        marks.add(done);
        counts.put(to, &count[..there]);
        rests || course.steps.0 == course.steps.1
    }
}

#[cfg(target_arch = "x86_64")]
impl Signed<'_> {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    fn all_avx512<'c>(
        self,
        courses: &impl Courses<'c>,
        counts: &mut [u8],
        (raster, row): (&mut Raster, usize),
    ) -> bool {
        let (neurons, mut to, mut rests) = (self.neurons, 0, true);
        raster.each(row, courses, |course, marks| {
            for at in (0..neurons).step_by(WORD) {
                rests &= self.word_avx512(course, at, &mut counts[to + at..to + neurons.min(at + WORD)], (marks, at));
            }
            to += neurons;
        });
        rests
    }

    /// Neurons from `first` on, as many as there are counts.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    fn word_avx512(self, course: Course, first: usize, counts: &mut [u8], marks: (&mut Marks, usize)) -> bool {
        match counts.len().div_ceil(LANES) {
            1 => self.avx512::<1>(course, first, counts, marks),
            2 => self.avx512::<2>(course, first, counts, marks),
            3 => self.avx512::<3>(course, first, counts, marks),
            _ => self.avx512::<4>(course, first, counts, marks),
        }
    }

    /// `C` registers of neurons, whose bits lie in one word.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    fn avx512<const C: usize>(
        self,
        course: Course,
        first: usize,
        counts: &mut [u8],
        (marks, channel): (&mut Marks, usize),
    ) -> bool {
        let (limit, inflow) = (self.limit as usize, course.inflow);
        match inflow.numbers {
            Numbers::Sums { rows: [], .. } if inflow.driven == limit && course.steps.0 == limit => {
                self.steady::<C>(inflow.bias, first, counts, (marks, channel))
            }
            Numbers::Sums { rows, pitch, delay } => {
                // SAFETY: rows are as long as so many registers
                let wide = |row: &[i32], c| unsafe { _mm512_loadu_si512(row.as_ptr().add(c * LANES).cast()) };
                self.through::<C, _>(course, (first, counts), (rows, pitch, delay), wide, (marks, channel))
            }
            Numbers::Words { rows, pitch, delay } => {
                // SAFETY: rows are as long as so many halves of registers
                let half = |row: &[i16], c| unsafe { _mm256_loadu_si256(row.as_ptr().add(c * LANES).cast()) };
                let wide = |row: &[i16], c| _mm512_cvtepi16_epi32(half(row, c));
                self.through::<C, _>(course, (first, counts), (rows, pitch, delay), wide, (marks, channel))
            }
        }
    }

    /// The same, with rows of numbers that lie `pitch` apart, registers of which are read by `wide`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    fn through<const C: usize, N>(
        self,
        course: Course,
        (first, counts): (usize, &mut [u8]),
        (rows, pitch, delay): (&[N], usize, usize),
        wide: impl Fn(&[N], usize) -> __m512i,
        (marks, channel): (&mut Marks, usize),
    ) -> bool {
        let Inflow { bias, driven, .. } = course.inflow;
        let biases = if driven > 0 { load::<C>(&bias[first..]) } else { [_mm512_setzero_si512(); C] };
        let mut states = States::<C>::at_rest(load(&self.thresholds[first..]), load(&self.most[first..]));
        let (mut at, mut rests, mut done) = (first, true, Done::default());
        let (one, mut count) = (_mm512_set1_epi8(1), _mm512_setzero_si512());
        for step in 0..course.steps.1 {
            let mut row = None;
            if step >= delay {
                row = rows.get(at..at + C * LANES);
                at += pitch;
            }
            match row {
                Some(row) if step < driven => states.add(|c| _mm512_add_epi32(biases[c], wide(row, c))),
                Some(row) => states.add(|c| wide(row, c)),
                None if step < driven => states.add(|c| biases[c]),
                None => {}
            }
            // no neuron has fired more often than there were steps
            let fired = if (step as i32) < self.limit { states.fire::<false>(self) } else { states.fire::<true>(self) };
            rests = fired == (0, 0);
            if !rests {
                marks.set(step, channel, fired);
                done.note(step, fired);
                count = _mm512_mask_add_epi8(count, fired.0, count, one);
                count = _mm512_mask_sub_epi8(count, fired.1, count, one);
            } else if step + 1 >= course.steps.0 {
                break;
            }
        }
        marks.add(done);
        store(counts, count);
        rests || course.steps.0 == course.steps.1
    }

    /// As [`Signed::avx512`], where nothing but the same arrives in as many steps as a neuron can fire in. Then it never takes
    /// a spike back, and once nothing arrives it rests: what arrives is negative, and it has not fired; or is below the
    /// threshold, and so is what is left; or it has fired in every step.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
    fn steady<const C: usize>(
        self,
        arriving: &[i32],
        first: usize,
        counts: &mut [u8],
        (marks, channel): (&mut Marks, usize),
    ) -> bool {
        let (arriving, thresholds) = (load::<C>(&arriving[first..]), load::<C>(&self.thresholds[first..]));
        let (one, mut count, mut done) = (_mm512_set1_epi8(1), _mm512_setzero_si512(), Done::default());
        let mut potentials: [__m512i; C] = std::array::from_fn(|c| _mm512_srai_epi32::<1>(thresholds[c]));
        for step in 0..self.limit as usize {
            let mut plus = 0;
            for c in 0..C {
                let potential = _mm512_add_epi32(potentials[c], arriving[c]);
                let up = _mm512_cmpge_epi32_mask(potential, thresholds[c]);
                potentials[c] = _mm512_mask_sub_epi32(potential, up, potential, thresholds[c]);
                plus |= u64::from(up) << (c * LANES);
            }
            if plus != 0 {
                marks.set(step, channel, (plus, 0));
                done.note(step, (plus, 0));
                count = _mm512_mask_add_epi8(count, plus, count, one);
            }
        }
        marks.add(done);
        store(counts, count);
        true
    }
}

/// Stores as many counts as there are.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn store(counts: &mut [u8], count: __m512i) {
    let there = u64::MAX >> (WORD - counts.len().min(WORD));
    // SAFETY: only the counts that are there are stored
    unsafe { _mm512_mask_storeu_epi8(counts.as_mut_ptr().cast(), there, count) };
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<'c, const N: usize> Courses<'c> for [Course<'c>; N] {
        fn count(&self) -> usize {
            N
        }

        fn course(&self, at: usize) -> Course<'c> {
            self[at]
        }
    }

    #[test]
    fn neurons_fire_alike_in_every_instruction_set() {
        for (neurons, seed) in (0..12).flat_map(|seed| [1, 16, 40, 64, 131].map(|neurons| (neurons, seed))) {
            let stride = (neurons as usize).next_multiple_of(LANES);
            let mixed = |n: i32| (n.wrapping_mul(0x9e37 + seed) >> 7) % 200;
            let mut thresholds: Vec<i32> = (0..neurons).map(|n| 20 + mixed(n * 7 + 3).abs()).collect();
            let mut bias: Vec<i32> = (0..neurons).map(|n| mixed(n * 5 + 1) / 8).collect();
            thresholds.resize(stride, i32::MAX);
            bias.resize(stride, 0);
            let most: Vec<i32> = thresholds.iter().map(|threshold| threshold.wrapping_mul(4)).collect();
            let there = |lane: usize| lane < neurons as usize;
            let sum = |(at, lane): (usize, usize)| if there(lane) { mixed((at + lane) as i32 * 13 + seed) } else { 0 };
            let words: Vec<i16> = (0..5 * stride).map(|at| sum((at - at % stride, at % stride)) as i16).collect();
            let unbiased: Vec<i32> = words.iter().map(|&word| word.into()).collect();
            let biased = |(at, &sum): (usize, &i32)| {
                let (step, lane) = (at / stride, at % stride);
                sum + if step < 3 { bias[lane] } else { 0 }
            };
            let sums: Vec<i32> = unbiased.iter().enumerate().map(biased).collect();
            let all = Inflow { numbers: Numbers::Sums { rows: &sums, pitch: stride, delay: 0 }, bias: &[], driven: 0 };
            let apart =
                Inflow { numbers: Numbers::Sums { rows: &unbiased, pitch: stride, delay: 0 }, bias: &bias, driven: 3 };
            let scattered =
                Inflow { numbers: Numbers::Words { rows: &words, pitch: stride, delay: 0 }, bias: &bias, driven: 3 };
            let steady = Inflow {
                numbers: Numbers::Sums { rows: &[], pitch: stride, delay: 0 },
                bias: &sums[..stride],
                driven: 4,
            };
            let mut wanted = None;
            for (level, symmetric) in Level::all().flat_map(|level| [(level, false), (level, true)]) {
                let (neurons, thresholds, most) = (neurons as usize, &thresholds[..], &most[..]);
                let signed = Signed { neurons, thresholds, most, usual: true, symmetric, limit: 4 };
                let (mut counts, mut raster) = (Values::rest(neurons, 4), Raster::default());
                let course = [Course { inflow: steady, steps: (4, 9) }];
                assert!(signed.run(level, &course, (&mut counts, 0), &mut raster));
                let found = (counts.to_vec(), raster.bits, raster.spikes, raster.negative);
                assert_eq!(&found, wanted.get_or_insert_with(|| found.clone()), "{level:?}, {neurons} steady");
            }
            for (symmetric, steps) in [(false, (5, 12)), (true, (5, 12)), (false, (7, 7)), (true, (3, 3))] {
                let (neurons, thresholds, most) = (neurons as usize, &thresholds[..], &most[..]);
                let signed = Signed { neurons, thresholds, most, usual: true, symmetric, limit: 4 };
                let mut wanted = None;
                let ways = Level::all().flat_map(|level| [all, apart, scattered].map(|inflow| (level, inflow)));
                for ((level, inflow), most) in ways.flat_map(|way| [(way, 4), (way, u32::MAX)]) {
                    let (mut counts, mut raster) = (Values::rest(2 * neurons, most), Raster::default());
                    let courses = [Course { inflow, steps }; 2];
                    let rests = signed.run(level, &courses, (&mut counts, 0), &mut raster);
                    let Raster { mut bits, firsts, lasts, sent, spikes, negative, .. } = raster;
                    if stride <= WORD {
                        let mut again = vec![0; steps.1 * 2];
                        let mut marks = Marks::new(&mut again, 2);
                        let course = Course { inflow, steps };
                        assert_eq!(signed.run_word(level, course, (&mut counts, 0), (&mut marks, 0)), rests);
                        let last = marks.done().last;
                        assert!(last == firsts[1] && bits.starts_with(&again[..2 * last]));
                    }
                    let mut counts = counts.to_vec();
                    assert_eq!(counts.split_off(neurons), counts, "both positions alike");
                    let second = bits.split_off(firsts[1] * 2 * stride.div_ceil(WORD));
                    assert!(bits == second && firsts[0] == 0 && sent.iter().all(|&sent| 2 * u64::from(sent) == spikes));
                    let found = (rests, counts, bits, [spikes, negative, lasts[0].into(), lasts[1].into()]);
                    assert_eq!(&found, wanted.get_or_insert_with(|| found.clone()), "{level:?}, {neurons}, {steps:?}");
                }
                let (_, counts, bits, [spikes, negative, first, second]) = wanted.unwrap_or_default();
                let fired = |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
                let half = stride.div_ceil(WORD);
                let below = bits.chunks(2 * half).map(|row| fired(&row[half..])).sum::<u64>();
                assert_eq!((spikes, negative), (2 * fired(&bits), 2 * below));
                assert_eq!((first, second), ((bits.len() / 2 / half) as u64, first));
                assert_eq!(counts.iter().sum::<i64>(), (spikes / 2) as i64 - negative as i64);
            }
        }
    }
}
