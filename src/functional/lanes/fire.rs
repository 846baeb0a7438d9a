//! Signed neurons of a position from rest through all their steps, a register of them at a time.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, with slices whose \
              lengths are asserted just before"
)]

use super::{LANES, Level, Set, WORD};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Neurons that fire +1 at their threshold, and −1 below zero or, symmetrically, at minus their threshold.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Signed<'a> {
    pub thresholds: &'a [i32],
    pub symmetric: bool,
    /// Most positive spikes beyond the negative ones.
    pub limit: i32,
}

/// What is added to the potentials of a position.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) enum Inflow<'a> {
    /// Rows of whole registers, one for each step from `delay` on; and a bias in each of the first `driven` steps.
    Rows { sums: &'a [i32], delay: usize, bias: &'a [i32], driven: usize },
    /// Rows of words, whole registers from `first` on, every `pitch` for a step from `delay` on; and a bias in each of the
    /// first `driven` steps.
    Scattered { rows: &'a [i16], first: usize, pitch: usize, delay: usize, bias: &'a [i32], driven: usize },
}

impl<'a> Inflow<'a> {
    /// Sums of `count` neurons from `first` on in a step, in rows of `stride`.
    #[inline(always)]
    fn sums(self, step: usize, stride: usize, (first, count): (usize, usize)) -> Option<&'a [i32]> {
        match self {
            Self::Rows { sums, delay, .. } => {
                let first = step.checked_sub(delay)? * stride + first;
                sums.get(first..first + count)
            }
            Self::Scattered { .. } => None,
        }
    }

    /// Words of `count` neurons from `at` on in a step.
    #[inline(always)]
    fn words(self, step: usize, (at, count): (usize, usize)) -> Option<&'a [i16]> {
        match self {
            Self::Rows { .. } => None,
            Self::Scattered { rows, first, pitch, delay, .. } => {
                let at = first + at + step.checked_sub(delay)? * pitch;
                rows.get(at..at + count)
            }
        }
    }

    /// Biases of `count` neurons from `first` on, and in how many steps they flow.
    #[inline(always)]
    fn bias(self, first: usize, count: usize) -> (&'a [i32], usize) {
        match self {
            Self::Rows { bias, driven, .. } | Self::Scattered { bias, driven, .. } => {
                (&bias[first.min(bias.len())..bias.len().min(first + count)], driven)
            }
        }
    }
}

/// What neurons go through.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Course<'a> {
    pub inflow: Inflow<'a>,
    /// Steps that they go through, and up to how many they go on while any fires.
    pub steps: (usize, usize),
}

/// Where bits of neurons go: a row for each step, words of positive spikes and as many of negative ones.
pub(in crate::functional) struct Marks<'a> {
    pub bits: &'a mut Vec<u64>,
    pub first: usize,
    /// Words of a row.
    pub row: usize,
    /// The neurons' word within a sign, and the place of the first one in there.
    pub word: usize,
    pub shift: usize,
}

impl Marks<'_> {
    #[inline(always)]
    fn put(&mut self, step: usize, plus: u64, minus: u64) {
        let at = self.first + step * self.row + self.word;
        let end = self.first + (step + 1) * self.row;
        if self.bits.len() < end {
            self.bits.resize(end, 0);
        }
        self.bits[at] |= plus << self.shift;
        self.bits[at + self.row / 2] |= minus << self.shift;
    }
}

impl Signed<'_> {
    /// Runs them; appends to `bits` a row for each step, and gives their counts at the end. Says whether they came to rest.
    ///
    /// # Panics
    /// If there are fewer counts than neurons.
    #[inline(always)]
    pub fn run(self, level: Level, course: Course, counts: &mut [i32], bits: &mut Vec<u64>) -> bool {
        let (neurons, first) = (self.thresholds.len(), bits.len());
        let row = 2 * neurons.div_ceil(WORD).max(1);
        assert!(counts.len() >= neurons);
        bits.resize(first + course.steps.0 * row, 0);
        (0..neurons).step_by(WORD).fold(true, |rests, at| {
            let marks = Marks { bits, first, row, word: at / WORD, shift: 0 };
            self.word(level, course, at, counts, marks) && rests
        })
    }

    /// Runs neurons whose bits lie in one word; gives their counts at the end. Says whether they came to rest.
    ///
    /// # Panics
    /// If there are fewer counts than neurons, or they do not fit into the word.
    #[inline(always)]
    pub fn run_word(self, level: Level, course: Course, counts: &mut [i32], marks: Marks) -> bool {
        let neurons = self.thresholds.len();
        assert!(counts.len() >= neurons && neurons + marks.shift <= WORD);
        self.word(level, course, 0, counts, marks)
    }

    /// Runs neurons from `first` on, those whose bits lie in one word.
    #[inline(always)]
    fn word(self, level: Level, course: Course, first: usize, counts: &mut [i32], marks: Marks) -> bool {
        let last = self.thresholds.len().min(first + WORD);
        #[cfg(target_arch = "x86_64")]
        if level.0 == Set::Avx512 {
            // SAFETY: the processor has the instructions
            return unsafe {
                match (last - first).div_ceil(LANES) {
                    1 => self.avx512::<1>(course, first, counts, marks),
                    2 => self.avx512::<2>(course, first, counts, marks),
                    3 => self.avx512::<3>(course, first, counts, marks),
                    _ => self.avx512::<4>(course, first, counts, marks),
                }
            };
        }
        let _ = level;
        let mut rests = true;
        for at in (first..last).step_by(LANES) {
            let shift = marks.shift + at - first;
            rests &= self.plain(course, at, counts, Marks { bits: &mut *marks.bits, shift, ..marks });
        }
        rests
    }

    /// The potential below which a neuron takes a spike back.
    #[inline(always)]
    fn lowest(self, threshold: i32) -> i32 {
        if self.symmetric { 1i32.wrapping_sub(threshold) } else { 0 }
    }

    #[inline(always)]
    fn plain(self, course: Course, first: usize, counts: &mut [i32], mut marks: Marks) -> bool {
        let there = (self.thresholds.len() - first).min(LANES);
        let stride = self.thresholds.len().next_multiple_of(LANES);
        let (mut thresholds, mut potentials, mut count) = ([i32::MAX; LANES], [0; LANES], [0; LANES]);
        thresholds[..there].copy_from_slice(&self.thresholds[first..first + there]);
        potentials[..there].copy_from_slice(&thresholds[..there]);
        potentials.iter_mut().for_each(|potential| *potential >>= 1);
        let lowest = thresholds.map(|threshold| self.lowest(threshold));
        let (bias, driven) = course.inflow.bias(first, there);
        let mut rests = true;
        for step in 0..course.steps.1 {
            if let Some(sums) = course.inflow.sums(step, stride, (first, LANES)) {
                potentials.iter_mut().zip(sums).for_each(|(potential, &sum)| *potential = potential.wrapping_add(sum));
            }
            if let Some(words) = course.inflow.words(step, (first, LANES)) {
                let pairs = potentials.iter_mut().zip(words);
                pairs.for_each(|(potential, &word)| *potential = potential.wrapping_add(word.into()));
            }
            if step < driven {
                potentials
                    .iter_mut()
                    .zip(bias)
                    .for_each(|(potential, &bias)| *potential = potential.wrapping_add(bias));
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
                marks.put(step, bits(1), bits(-1));
            } else if step + 1 >= course.steps.0 {
                break;
            }
        }
        counts[first..first + there].copy_from_slice(&count[..there]);
        rests || course.steps.0 == course.steps.1
    }

    /// `C` registers of neurons, whose bits lie in one word.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn avx512<const C: usize>(self, course: Course, first: usize, counts: &mut [i32], mut marks: Marks) -> bool {
        let neurons = self.thresholds.len();
        let stride = neurons.next_multiple_of(LANES);
        let there: [u16; C] =
            std::array::from_fn(|c| u16::MAX >> (LANES - neurons.saturating_sub(first + c * LANES).min(LANES)));
        let (zero, one, limit) = (_mm512_setzero_si512(), _mm512_set1_epi32(1), _mm512_set1_epi32(self.limit));
        let thresholds = load::<C>(&self.thresholds[first..neurons.min(first + C * LANES)]);
        let (bias, driven) = course.inflow.bias(first, C * LANES);
        let biases = load::<C>(bias);
        let (mut potentials, mut count) = (thresholds, [zero; C]);
        potentials.iter_mut().for_each(|potential| *potential = _mm512_srai_epi32::<1>(*potential));
        let lowest = thresholds.map(|threshold| if self.symmetric { _mm512_sub_epi32(one, threshold) } else { zero });
        let mut rests = true;
        for step in 0..course.steps.1 {
            let (mut plus, mut minus) = (0, 0);
            let sums = course.inflow.sums(step, stride, (first, C * LANES));
            let words = course.inflow.words(step, (first, C * LANES));
            if let Some(sums) = sums {
                for (c, potential) in potentials.iter_mut().enumerate() {
                    // SAFETY: there are `C` registers of sums
                    let sums = unsafe { _mm512_loadu_si512(sums.as_ptr().add(c * LANES).cast()) };
                    *potential = _mm512_add_epi32(*potential, sums);
                }
            }
            if let Some(words) = words {
                for (c, potential) in potentials.iter_mut().enumerate() {
                    // SAFETY: there are `C` registers of words
                    let words = unsafe { _mm256_loadu_si256(words.as_ptr().add(c * LANES).cast()) };
                    *potential = _mm512_add_epi32(*potential, _mm512_cvtepi16_epi32(words));
                }
            }
            if step < driven {
                potentials
                    .iter_mut()
                    .zip(biases)
                    .for_each(|(potential, bias)| *potential = _mm512_add_epi32(*potential, bias));
            }
            for c in 0..C {
                let (threshold, potential, lowest) = (thresholds[c], potentials[c], lowest[c]);
                let up = _mm512_mask_cmpge_epi32_mask(there[c], potential, threshold);
                let up = _mm512_mask_cmplt_epi32_mask(up, count[c], limit);
                let down = _mm512_mask_cmplt_epi32_mask(there[c], potential, lowest);
                let down = _mm512_mask_cmpgt_epi32_mask(down, count[c], zero);
                let potential = _mm512_mask_sub_epi32(potential, up, potential, threshold);
                potentials[c] = _mm512_mask_add_epi32(potential, down, potential, threshold);
                let more = _mm512_mask_add_epi32(count[c], up, count[c], one);
                count[c] = _mm512_mask_sub_epi32(more, down, more, one);
                plus |= u64::from(up) << (c * LANES);
                minus |= u64::from(down) << (c * LANES);
            }
            rests = plus | minus == 0;
            if !rests {
                marks.put(step, plus, minus);
            } else if step + 1 >= course.steps.0 {
                break;
            }
        }
        for (c, count) in count.into_iter().enumerate() {
            // SAFETY: only the counts that are there are stored
            unsafe { _mm512_mask_storeu_epi32(counts[first + c * LANES..].as_mut_ptr(), there[c], count) };
        }
        rests || course.steps.0 == course.steps.1
    }
}

/// Registers of numbers; zeros behind them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load<const C: usize>(numbers: &[i32]) -> [__m512i; C] {
    let mut registers = [_mm512_setzero_si512(); C];
    for (register, numbers) in registers.iter_mut().zip(numbers.chunks(LANES)) {
        // SAFETY: only the numbers that are there are loaded
        *register = unsafe { _mm512_maskz_loadu_epi32(u16::MAX >> (LANES - numbers.len()), numbers.as_ptr()) };
    }
    registers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neurons_fire_alike_in_every_instruction_set() {
        for (neurons, seed) in (0..12).flat_map(|seed| [1, 16, 40, 64, 131].map(|neurons| (neurons, seed))) {
            let stride = (neurons as usize).next_multiple_of(LANES);
            let mixed = |n: i32| (n.wrapping_mul(0x9e37 + seed) >> 7) % 200;
            let thresholds: Vec<i32> = (0..neurons).map(|n| 20 + mixed(n * 7 + 3).abs()).collect();
            let sums: Vec<i32> = (0..5 * stride as i32).map(|n| mixed(n * 13 + seed)).collect();
            let words: Vec<i16> = sums.iter().map(|&sum| sum as i16).collect();
            let bias: Vec<i32> = (0..neurons).map(|n| mixed(n * 5 + 1) / 8).collect();
            let biased = |(at, &sum): (usize, &i32)| {
                let (step, lane) = (at / stride, at % stride);
                sum + if step < 3 { bias.get(lane).copied().unwrap_or(0) } else { 0 }
            };
            let sums: Vec<i32> = sums.iter().enumerate().map(biased).collect();
            let scattered =
                Inflow::Scattered { rows: &words, first: 0, pitch: stride, delay: 0, bias: &bias, driven: 3 };
            for (symmetric, steps) in [(false, (5, 12)), (true, (5, 12)), (false, (7, 7)), (true, (3, 3))] {
                let signed = Signed { thresholds: &thresholds, symmetric, limit: 4 };
                let mut wanted: Option<(bool, Vec<i32>, Vec<u64>)> = None;
                for (level, inflow) in Level::all().flat_map(|level| {
                    [(level, Inflow::Rows { sums: &sums, delay: 0, bias: &[], driven: 0 }), (level, scattered)]
                }) {
                    let (mut counts, mut bits) = (vec![7; neurons as usize], vec![3]);
                    let rests = signed.run(level, Course { inflow, steps }, &mut counts, &mut bits);
                    // rows in which nothing fires may or may not be there at the end
                    bits.truncate(bits.iter().rposition(|&word| word != 0).unwrap_or(0) + 1);
                    let found = (rests, counts, bits);
                    assert_eq!(&found, wanted.get_or_insert_with(|| found.clone()), "{level:?}, {neurons}, {steps:?}");
                }
                let (_, counts, bits) = wanted.unwrap_or_default();
                let fired = |words: &[u64]| words.iter().map(|word| word.count_ones() as i32).sum::<i32>();
                let half = stride.div_ceil(WORD);
                let net = |row: &[u64]| fired(&row[..row.len().min(half)]) - fired(&row[row.len().min(half)..]);
                assert_eq!(counts.iter().sum::<i32>(), bits[1..].chunks(2 * half).map(net).sum::<i32>());
            }
        }
    }
}
