//! Signed neurons of a position from rest through all their steps, a register of them at a time.

#![allow(unsafe_code, reason = "instructions beyond the baseline are called after the processor was asked for them")]

use super::raster::{Done, Marks, Raster};
use super::{LANES, Level, Set, Thresholds, WORD};
use crate::functional::Values;

/// Neurons that fire +1 at their threshold, and −1 below zero or, symmetrically, at minus their threshold.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Signed<'a> {
    pub thresholds: &'a Thresholds,
    /// Which of these are theirs: the first one, which begins a register, and how many there are.
    pub first: usize,
    pub neurons: usize,
    pub symmetric: bool,
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

/// What the neurons of several positions go through: courses that differ in what flows, in biases and in how many steps there
/// are at least only. Not an iterator, so that each course is worked out by the instructions of those who run it.
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
                let whole = self.thresholds.are_usual() && self.thresholds.limit() <= i8::MAX as u32;
                Some(counts).filter(|_| level.0 == Set::Avx512 && whole)
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
        let (mut thresholds, mut count, limit) = ([i32::MAX; LANES], [0; LANES], self.thresholds.limit() as i32);
        thresholds.copy_from_slice(&self.thresholds.all()[self.first + first..][..LANES]);
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
                let up = (potentials[lane] >= thresholds[lane]) & (count[lane] < limit);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Positions that a run has. To one of them comes what words hardly hold; two others have such biases, which what comes takes back.
    const POSITIONS: usize = 9;
    const FAR: usize = 6;
    const HEAVY: usize = 3;
    const LIGHT: usize = 4;
    const STEPS: usize = 12;

    impl<'c> Courses<'c> for Vec<Course<'c>> {
        fn count(&self) -> usize {
            self.len()
        }

        fn course(&self, at: usize) -> Course<'c> {
            self[at]
        }
    }

    /// What neurons have done in the end: whether they rest, their counts, and what they have fired.
    type Done = (bool, Vec<i64>, Vec<u64>, Vec<usize>, Vec<u32>, Vec<u32>, [u64; 2]);

    fn run(level: Level, signed: Signed, courses: &Vec<Course>, most: u32) -> Done {
        let (mut counts, mut raster) =
            (Values::default().rest(courses.len() * signed.neurons, most), Raster::default());
        let rests = signed.run(level, courses, (&mut counts, 0), &mut raster);
        let Raster { bits, firsts, lasts, sent, spikes, negative, .. } = raster;
        (rests, counts.to_vec(), bits, firsts, lasts, sent, [spikes, negative])
    }

    /// Thresholds, and for each position biases and sums of steps that come beside them.
    fn inputs(neurons: usize, seed: i32, scale: i32) -> (Thresholds, Vec<Vec<i32>>, Vec<Vec<i16>>) {
        let stride = neurons.next_multiple_of(LANES);
        let mixed = move |n: i32| (n.wrapping_mul(0x9e37 + seed) >> 7) % 200;
        let thresholds: Vec<i32> = (0..neurons as i32).map(|n| scale * (20 + mixed(n * 7 + 3).abs())).collect();
        let row = move |each: &dyn Fn(i32) -> i32| -> Vec<i32> {
            (0..stride as i32).map(|lane| if lane < neurons as i32 { each(lane) } else { 0 }).collect()
        };
        let bias = |position: usize| match position {
            HEAVY => row(&|_| 32_740),
            LIGHT => row(&|_| -32_900),
            _ => row(&|lane| scale * mixed(lane * 5 + 1) / (8 + position as i32)),
        };
        let sum = |(step, position): (usize, usize), lane: i32| {
            let number = mixed((step * 97 + position) as i32 * 13 + lane * 5 + seed);
            match position {
                FAR => 163 * number,
                HEAVY if step < 3 => number - 32_500,
                LIGHT if step < 3 => number + 32_500,
                // something comes late, to some of them
                _ if step < 2 || position % 3 == 2 && step == STEPS - 1 => scale * number,
                _ => 0,
            }
        };
        let sums = |position: usize| -> Vec<i16> {
            let rows = (0..STEPS).flat_map(|step| row(&|lane| sum((step, position), lane)));
            rows.map(|sum| sum as i16).collect()
        };
        (Thresholds::new(&thresholds, 4), (0..POSITIONS).map(bias).collect(), (0..POSITIONS).map(sums).collect())
    }

    #[test]
    fn neurons_fire_alike_in_every_instruction_set() {
        let sizes = [1, 16, 24, 32, 40, 64, 131];
        for (neurons, seed) in sizes.into_iter().flat_map(|neurons| (0..6).map(move |seed| (neurons, seed))) {
            // thresholds that words hold, and larger ones
            for scale in [1, 160 / (seed % 2 + 1)] {
                let (thresholds, biases, words) = inputs(neurons, seed, scale);
                let pitch = neurons.next_multiple_of(LANES);
                let unbiased: Vec<Vec<i32>> =
                    words.iter().map(|words| words.iter().map(|&word| word.into()).collect()).collect();
                let biased = |(sums, bias): (&Vec<i32>, &Vec<i32>)| -> Vec<i32> {
                    let bias = bias.iter().chain(bias).chain(bias).copied().chain(std::iter::repeat(0));
                    sums.iter().zip(bias).map(|(sum, bias)| sum + bias).collect()
                };
                let all: Vec<Vec<i32>> = unbiased.iter().zip(&biases).map(biased).collect();
                for (symmetric, delay, steps) in [
                    (false, 0, (12, 30)),
                    (true, 0, (12, 30)),
                    (false, 0, (14, 14)),
                    (true, 1, (3, 3)),
                    (false, 1, (13, 40)),
                ] {
                    let of = |position: usize, inflow| {
                        let late = steps.0 == steps.1 || position % 3 == 2 || position == FAR;
                        let least = if late { steps.0 } else { 3 };
                        Course { inflow, steps: (least, steps.1) }
                    };
                    let apart =
                        |position: usize, numbers| of(position, Inflow { numbers, bias: &biases[position], driven: 3 });
                    let together = |position: usize| {
                        let numbers = Numbers::Sums { rows: &all[position], pitch, delay };
                        of(position, Inflow { numbers, bias: &[], driven: 0 })
                    };
                    let sums = |at: usize| apart(at, Numbers::Sums { rows: &unbiased[at], pitch, delay });
                    let scattered = |at: usize| apart(at, Numbers::Words { rows: &words[at], pitch, delay });
                    let signed = Signed { thresholds: &thresholds, first: 0, neurons, symmetric };
                    let ways: [Vec<Course>; 3] = [
                        (0..POSITIONS).map(sums).collect(),
                        (0..POSITIONS).map(scattered).collect(),
                        (0..POSITIONS).map(together).collect(),
                    ];
                    let mut wanted = None;
                    for (way, courses) in ways.iter().enumerate().filter(|(way, _)| *way < 2 || delay == 0) {
                        for (level, most) in Level::all().flat_map(|level| [(level, 4), (level, u32::MAX)]) {
                            let found = run(level, signed, courses, most);
                            let wanted = wanted.get_or_insert_with(|| found.clone());
                            assert_eq!(&found, wanted, "{level:?}, {neurons} × {scale}, {steps:?}, way {way}");
                            alone(level, signed, courses, wanted);
                        }
                    }
                    let (_, counts, bits, _, _, _, [spikes, negative]) = wanted.unwrap_or_default();
                    let fired = |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
                    let half = pitch.div_ceil(WORD);
                    let below = bits.chunks(2 * half).map(|row| fired(&row[half..])).sum::<u64>();
                    assert_eq!((spikes, negative), (fired(&bits), below));
                    assert_eq!(counts.iter().sum::<i64>(), spikes as i64 - 2 * negative as i64);
                }
            }
        }
    }

    /// Neurons whose bits lie in one word do by themselves what they do in a run.
    fn alone(level: Level, signed: Signed, courses: &[Course], (_, counts, bits, firsts, ..): &Done) {
        if signed.neurons > WORD {
            return;
        }
        let ends = firsts[1..].iter().copied().chain([bits.len() / 2]);
        for ((at, course), (first, end)) in courses.iter().enumerate().zip(firsts.iter().zip(ends)) {
            let (mut again, mut counted) = (vec![0; course.steps.1 * 2], Values::default().rest(signed.neurons, 4));
            let mut marks = Marks::new(&mut again, 2);
            signed.run_word(level, *course, (&mut counted, 0), (&mut marks, 0));
            assert_eq!(marks.done().last, end - first);
            assert_eq!(again[..2 * (end - first)], bits[2 * first..2 * end]);
            assert_eq!(counted.to_vec(), counts[at * signed.neurons..][..signed.neurons]);
        }
    }

    #[test]
    fn neurons_that_a_current_drives_fire_alike_in_every_instruction_set() {
        for (neurons, seed) in [1, 16, 24, 32, 40, 64, 131].into_iter().flat_map(|n| (0..4).map(move |seed| (n, seed)))
        {
            let (thresholds, biases, words) = inputs(neurons, seed, 1);
            let pitch = neurons.next_multiple_of(LANES);
            let large: Vec<Vec<i32>> = biases.iter().map(|bias| bias.iter().map(|bias| 9 * bias).collect()).collect();
            let sums: Vec<Vec<i32>> = words.iter().map(|of| of.iter().map(|&word| word.into()).collect()).collect();
            // to one of the positions something else comes
            let course = |position: usize| {
                let other = position == 5;
                let numbers = Numbers::Sums { rows: if other { &sums[position] } else { &[] }, pitch, delay: 0 };
                let steps = (if other { STEPS } else { 4 }, 30);
                Course { inflow: Inflow { numbers, bias: &large[position], driven: 4 }, steps }
            };
            let all: Vec<Course> = (0..POSITIONS).map(course).collect();
            for symmetric in [false, true] {
                let (signed, mut wanted) = (Signed { thresholds: &thresholds, first: 0, neurons, symmetric }, None);
                for level in Level::all() {
                    let found = run(level, signed, &all, 4);
                    assert!(found.0);
                    let wanted = wanted.get_or_insert_with(|| found.clone());
                    assert_eq!(&found, wanted, "{level:?}, {neurons} steady");
                    alone(level, signed, &all, wanted);
                }
            }
        }
    }
}
