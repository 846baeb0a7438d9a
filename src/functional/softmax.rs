//! Softmax: in fixed point as a chip does it, and in floats as published code does it.

use super::lanes::{BLOCK, Block, Changes, Level, MOST_ROWS, Scale, Shares, Table};
use crate::graph::SoftmaxRule;
use crate::network::SoftmaxAxis;
use multiversion::multiversion;

/// Turns scores into probabilities.
pub trait Normalise<S>: Clone + std::fmt::Debug + Send + Sync {
    /// A softmax by this rule in a run of `time_steps` drive steps.
    fn new(rule: &SoftmaxRule, time_steps: u32) -> Self;
    /// Replaces scores, as they stand in step `step` (from 1), by their probabilities, vector by vector.
    fn normalise(&self, vectors: Vectors, scores: &mut [S], step: u32);
}

/// Where the vectors of a matrix of scores are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vectors {
    /// One after the other, so many values each.
    Runs(usize),
    /// In the columns of rows of so many values.
    Columns(usize),
}

/// Fractional bits of an exponent before its table address is cut off.
const EXPONENT_BITS: u32 = 24;
/// Fractional bits of a power of two; the first entry of the table is `2^POWER_BITS`.
const POWER_BITS: u32 = 24;
/// Fractional bits of the reciprocal beyond those that the result has.
const GUARD_BITS: u32 = 16;
/// Most powers that are computed ahead.
const LONGEST_TABLE: u64 = 1 << 12;

/// `2^(x − max)` by shift and table, one integer division for each vector, rounded.
#[derive(Debug, Clone)]
pub struct FixedSoftmax {
    /// `2^(−k / 2^table_bits)` with [`POWER_BITS`] fractional bits.
    powers: Vec<u64>,
    /// Exponent of one unit of score in each of the steps 1..=T, with [`EXPONENT_BITS`] fractional bits.
    factors: Vec<u64>,
    table_bits: u32,
    probability_bits: u32,
}

impl Normalise<i32> for FixedSoftmax {
    fn new(rule: &SoftmaxRule, time_steps: u32) -> Self {
        let unit = rule.scale * std::f64::consts::LOG2_E * f64::from(1u32 << EXPONENT_BITS);
        let factor = |step: u32| (unit / f64::from(step).powi(2)).round() as u64;
        Self {
            powers: powers_of_two(rule.table_bits),
            factors: (1..=time_steps.max(1)).map(factor).collect(),
            table_bits: rule.table_bits,
            probability_bits: rule.probability_bits,
        }
    }

    #[inline(always)]
    fn normalise(&self, vectors: Vectors, scores: &mut [i32], step: u32) {
        let factor = self.factor(step);
        let ends = scores.iter().fold((i32::MAX, i32::MIN), |(low, high), &score| (low.min(score), high.max(score)));
        let farthest = (i64::from(ends.1) - i64::from(ends.0)).max(0) as u64;
        let power = |distance: u64| self.power(distance, factor) as u32;
        // scores are small whole numbers, so that the same distances come again and again; from one on, all powers are zero
        if let Some(table) = self.table(factor, farthest) {
            let level = Level::best();
            return self.shares(vectors, scores, |largest, scores, powers| {
                table.look_up(level, largest, scores, powers);
            });
        }
        let known = if farthest < LONGEST_TABLE.min(scores.len() as u64) { farthest + 1 } else { 0 };
        let known: Vec<u32> = (0..known).map(power).collect();
        self.shares(vectors, scores, |largest, scores, powers| {
            for ((found, &largest), &score) in powers.iter_mut().zip(largest).zip(scores) {
                let distance = largest.abs_diff(score);
                *found = known.get(distance as usize).copied().unwrap_or_else(|| power(distance.into()));
            }
        });
    }
}

/// Softmax over the columns of a matrix of words, step by step.
#[derive(Debug)]
pub(super) struct Columns {
    scale: Scale,
    /// Powers of all distances from zero on, until they are zero, in each of the steps 1..=T; where they fill a table.
    tables: Vec<Option<Table>>,
}

impl Columns {
    /// `None` where shares do not fit into words.
    fn new(softmax: &FixedSoftmax) -> Option<Self> {
        let shift = POWER_BITS + GUARD_BITS;
        let scale = Scale { fraction: shift + softmax.probability_bits, shift };
        let fits = softmax.probability_bits < i16::BITS - 1 && scale.fraction <= 52;
        let table = |&factor: &u64| softmax.table(factor, u64::MAX);
        fits.then(|| Self { scale, tables: softmax.factors.iter().map(table).collect() })
    }

    /// Shares of scores, in rows of `columns`, as they stand in a step, beside those of the step before, which `earlier` scores
    /// had; counts how they differ. `None` where the columns are no whole blocks, a column is too long, or the powers of the
    /// distances fill no table.
    #[inline(always)]
    pub fn normalise(
        &self,
        (level, shares): (Level, &mut Shares),
        (columns, step): (usize, u32),
        (scores, earlier): (&[i16], &[i16]),
        (now, before): (&mut [i16], &[i16]),
    ) -> Option<Changes> {
        let (steps, rows) = (self.tables.len(), scores.len() / columns.max(1));
        if !columns.is_multiple_of(BLOCK) || !(1..=MOST_ROWS).contains(&rows) {
            return None;
        }
        let table = self.tables[(step.max(1) as usize).min(steps) - 1].as_ref()?;
        let earlier = Some(earlier).filter(|_| step as usize > steps);
        let mut changes = Changes::default();
        for first in (0..columns).step_by(BLOCK) {
            let block = Block { first, pitch: columns, rows, scores, earlier, before };
            let some = shares.of_block(level, (table, self.scale), block, now);
            changes.all += some.all;
            changes.negative += some.negative;
        }
        Some(changes)
    }
}

/// A softmax by a rule, laid out once for all images.
#[derive(Debug)]
pub(super) struct Prepared {
    pub softmax: FixedSoftmax,
    /// The drive steps of a run.
    pub time_steps: u32,
    /// For vectors in the columns of words.
    pub columns: Option<Columns>,
}

impl Prepared {
    pub fn new(rule: &SoftmaxRule, time_steps: u32) -> Self {
        let softmax = FixedSoftmax::new(rule, time_steps);
        let columns = Columns::new(&softmax).filter(|_| rule.axis == SoftmaxAxis::Queries);
        Self { softmax, time_steps, columns }
    }
}

/// So many powers add up to less than 2^32.
const BURST: usize = 255;

impl FixedSoftmax {
    /// Replaces scores by shares of the powers that `look_up(largest scores, scores, powers)` finds.
    #[inline(always)]
    fn shares(&self, vectors: Vectors, scores: &mut [i32], look_up: impl Fn(&[i32], &[i32], &mut [u32])) {
        match vectors {
            Vectors::Runs(length) => scores.chunks_mut(length.max(1)).for_each(|vector| self.run(vector, &look_up)),
            Vectors::Columns(columns) => self.columns(columns.max(1), scores, look_up),
        }
    }

    /// Normalises one vector.
    #[inline(always)]
    fn run(&self, vector: &mut [i32], look_up: impl Fn(&[i32], &[i32], &mut [u32])) {
        let largest = vec![vector.iter().copied().max().unwrap_or_default(); vector.len()];
        let mut powers = vec![0; vector.len()];
        look_up(&largest, vector, &mut powers);
        let reciprocal = self.reciprocal(powers.iter().map(|&power| u64::from(power)).sum());
        share_all(&powers, &vec![reciprocal; powers.len()], vector);
    }

    /// Normalises every column of a matrix.
    #[inline(always)]
    fn columns(&self, columns: usize, scores: &mut [i32], look_up: impl Fn(&[i32], &[i32], &mut [u32])) {
        let mut largest = scores[..columns.min(scores.len())].to_vec();
        for row in scores.chunks(columns) {
            largest.iter_mut().zip(row).for_each(|(largest, &score)| *largest = score.max(*largest));
        }
        let (mut powers, mut sums) = (vec![0; scores.len()], vec![0u64; columns]);
        for (powers, scores) in
            powers.chunks_mut(columns.saturating_mul(BURST)).zip(scores.chunks(columns.saturating_mul(BURST)))
        {
            let mut some = vec![0u32; columns];
            for (powers, row) in powers.chunks_mut(columns).zip(scores.chunks(columns)) {
                look_up(&largest[..row.len()], row, powers);
                some.iter_mut().zip(powers).for_each(|(sum, power)| *sum += *power);
            }
            sums.iter_mut().zip(some).for_each(|(sum, some)| *sum += u64::from(some));
        }
        let reciprocals: Vec<u64> = sums.into_iter().map(|sum| self.reciprocal(sum)).collect();
        let narrow: Option<Vec<u32>> = reciprocals.iter().map(|&reciprocal| u32::try_from(reciprocal).ok()).collect();
        for (powers, row) in powers.chunks(columns).zip(scores.chunks_mut(columns)) {
            match &narrow {
                Some(reciprocals) => share_all(powers, reciprocals, row),
                None => share_all(powers, &reciprocals, row),
            }
        }
    }

    /// The factor of a step.
    fn factor(&self, step: u32) -> u64 {
        self.factors[(step.max(1) as usize).min(self.factors.len()) - 1]
    }

    /// Powers of the distances from zero up to one; `None` where too many of them are not zero.
    fn table(&self, factor: u64, farthest: u64) -> Option<Table> {
        let mut near = vec![];
        for distance in 0..=farthest {
            match self.power(distance, factor) as u32 {
                0 => break,
                _ if near.len() == Table::LONGEST => return None,
                power => near.push(power),
            }
        }
        Some(Table::new(&near))
    }

    /// What a power is multiplied with for its share of a sum, with [`GUARD_BITS`] more than the probability's.
    fn reciprocal(&self, sum: u64) -> u64 {
        (1u64 << (POWER_BITS + GUARD_BITS + self.probability_bits)).checked_div(sum).unwrap_or_default()
    }

    /// `2^(−distance · factor)` with [`POWER_BITS`] fractional bits.
    fn power(&self, distance: u64, factor: u64) -> u64 {
        let cut = EXPONENT_BITS - self.table_bits;
        let exponent = distance.saturating_mul(factor).saturating_add((1 << cut) >> 1) >> cut;
        let entry = self.powers[(exponent & ((1 << self.table_bits) - 1)) as usize];
        entry.checked_shr((exponent >> self.table_bits).min(64) as u32).unwrap_or(0)
    }
}

/// Probabilities from powers and the reciprocals of their sums, rounded.
#[inline(always)]
fn share_all<R: Copy + Into<u64>>(powers: &[u32], reciprocals: &[R], probabilities: &mut [i32]) {
    let half = 1u64 << (POWER_BITS + GUARD_BITS - 1);
    for ((probability, &power), &reciprocal) in probabilities.iter_mut().zip(powers).zip(reciprocals) {
        *probability = ((u64::from(power) * reciprocal.into() + half) >> (POWER_BITS + GUARD_BITS)) as i32;
    }
}

/// The table of `2^(−k / 2^bits)`, from square roots and products only, which every machine rounds alike.
fn powers_of_two(bits: u32) -> Vec<u64> {
    let roots: Vec<f64> =
        std::iter::successors(Some(0.5f64), |power| Some(power.sqrt())).take(bits as usize + 1).collect();
    let power = |k: usize| {
        let factors = (0..bits).filter(|bit| k >> bit & 1 == 1).map(|bit| roots[(bits - bit) as usize]);
        (factors.product::<f64>() * f64::from(1u32 << POWER_BITS)).round() as u64
    };
    (0..1usize << bits).map(power).collect()
}

/// Replaces scores by `softmax(scores · scale)`, added up in their order.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma", "aarch64+neon"))]
pub fn softmax(vector: &mut [f32], scale: f32) {
    vector.iter_mut().for_each(|score| *score *= scale);
    let largest = vector.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    vector.iter_mut().for_each(|score| *score = exp(*score - largest));
    let sum: f32 = vector.iter().sum();
    vector.iter_mut().for_each(|power| *power /= sum);
}

/// `e^x` for `x ≤ 0`, to the last bit as the vector library beneath PyTorch gives it, on every machine: `x = q·ln 2 + s`
/// with ln 2 in two parts, then a polynomial in `s` (Shibata and Petrogalli, SLEEF, IEEE TPDS 2020, expf to 1.0 ulp).
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LN_2: [f32; 2] = [0.693_145_75, 1.428_606_8e-6];
    const POLYNOMIAL: [f32; 6] = [1.985_276_2e-4, 1.393_043_6e-3, 8.333_361e-3, 4.166_648_5e-2, 0.166_666_67, 0.5];
    let q = (x * std::f32::consts::LOG2_E).round_ties_even();
    let s = LN_2.iter().fold(x, |rest, &part| q.mul_add(-part, rest));
    let u = POLYNOMIAL[1..].iter().fold(POLYNOMIAL[0], |sum, &coefficient| sum.mul_add(s, coefficient));
    let power = f64::from_bits((1023 + q.max(-200.0) as i64).cast_unsigned() << 52);
    (f64::from((s * s).mul_add(u, s) + 1.0) * power) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(scale: f64, probability_bits: u32) -> SoftmaxRule {
        SoftmaxRule { heads: 1, axis: SoftmaxAxis::Keys, scale, probability_bits, table_bits: 8 }
    }

    #[test]
    fn fixed_point_is_within_one_step_of_the_real_softmax() {
        for (scale, bits, time_steps) in [(0.07, 8, 1), (0.3, 12, 4), (1.9, 16, 8)] {
            let rule = rule(scale, bits);
            let mut whole: Vec<i32> = (0..64).map(|i| (i * 37) % 41 - 11).collect();
            let mut real: Vec<f32> = whole.iter().map(|&score| score as f32).collect();
            FixedSoftmax::new(&rule, time_steps).normalise(Vectors::Runs(64), &mut whole, 3);
            let time = time_steps.min(3) as f32;
            softmax(&mut real, rule.scale as f32 / (time * time));
            let unit = f32::from(2u8).powi(bits as i32);
            for (whole, real) in whole.iter().zip(real) {
                // Half a step of rounding, and half a table entry: 2^(1/512) - 1 of the value.
                let allowed = 0.51 + real * unit * 0.0014 + 0.01;
                assert!((*whole as f32 - real * unit).abs() <= allowed, "{whole} against {}", real * unit);
            }
        }
    }

    #[test]
    fn equal_scores_share_evenly() {
        let mut vector = vec![7; 64];
        FixedSoftmax::new(&rule(0.5, 12), 4).normalise(Vectors::Columns(1), &mut vector, 9);
        assert_eq!(vector, vec![64; 64]);
    }

    #[test]
    fn far_scores_vanish_without_overflow() {
        let mut vector = vec![i32::MAX, i32::MIN, 0];
        FixedSoftmax::new(&rule(1e9, 16), 1).normalise(Vectors::Runs(3), &mut vector, 1);
        assert_eq!(vector, vec![1 << 16, 0, 0]);
    }

    #[test]
    fn columns_are_normalised_like_runs_with_and_without_a_table() {
        for (rows, columns, spread) in [(64, 7, 400), (5, 3, 100_000), (1, 1, 1)] {
            let scores: Vec<i32> = (0..rows * columns).map(|n| ((n * 7919) % spread) as i32 - 50).collect();
            let softmax = FixedSoftmax::new(&rule(0.01, 12), 4);
            let mut matrix = scores.clone();
            softmax.normalise(Vectors::Columns(columns), &mut matrix, 2);
            for column in 0..columns {
                let mut vector: Vec<i32> = scores[column..].iter().step_by(columns).copied().collect();
                softmax.normalise(Vectors::Runs(rows), &mut vector, 2);
                assert!(vector.iter().eq(matrix[column..].iter().step_by(columns)), "{rows} × {columns}: {column}");
            }
        }
    }

    #[test]
    fn the_table_starts_at_one_and_halves() {
        let table = powers_of_two(8);
        assert_eq!(table[0], 1 << POWER_BITS);
        assert_eq!(table[128], (f64::from(1u32 << POWER_BITS) / 2f64.sqrt()).round() as u64);
        assert!(table.windows(2).all(|pair| pair[0] > pair[1]) && table[255] > table[0] / 2);
    }
}
