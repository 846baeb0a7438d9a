//! Small weights of windows scattered to where they land: what single spikes bring to all positions around them.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, and registers are loaded \
              and stored inside slices whose lengths are asserted just before"
)]

use super::{Level, Set};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Taps that are added up side by side.
const TAPS: usize = 9;
/// Columns of a register of words.
const WORDS: usize = 32;

/// Weights of windows of nine taps, for sums of 16 bits: of each input and sign, the rows of all taps one after the other.
#[derive(Debug, Clone)]
pub(in crate::functional) struct Scatter {
    /// Rows of each position: inputs, then as many with the other sign.
    inputs: usize,
    /// Columns, rounded up to whole registers.
    columns: usize,
    /// In panels of one or two registers: `[panel][row][tap][column]`.
    table: Vec<i8>,
}

/// Who fires in a step, and where it lands.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Fired<'a> {
    /// Codes of each position: `position · rows + row`, those of position `p` at `starts[p]..starts[p + 1]`.
    pub codes: &'a [u32],
    pub starts: &'a [u32],
    /// The row of sums of each tap of each position.
    pub targets: &'a [[u32; TAPS]],
}

/// First column and registers of each panel.
fn panels(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns).step_by(2 * WORDS).map(move |first| (first, ((columns - first) / WORDS).min(2)))
}

impl Scatter {
    /// Weights `row(tap, input)`, of 8 bits, the smallest left out; `None` for another number of taps, and where the
    /// weights of a column may add up to more than 16 bits.
    pub fn new<'a>(
        (taps, inputs, columns): (usize, usize, usize),
        row: impl Fn(usize, usize) -> &'a [i32],
    ) -> Option<Self> {
        let mut most = vec![0i64; columns];
        for (tap, input) in (0..taps).flat_map(|tap| (0..inputs).map(move |input| (tap, input))) {
            let row = row(tap, input);
            if row.iter().fold(false, |any, weight| any | (weight.unsigned_abs() > i8::MAX as u32)) {
                return None;
            }
            most.iter_mut().zip(row).for_each(|(most, weight)| *most += i64::from(weight.abs()));
        }
        if taps != TAPS || inputs == 0 || most.iter().any(|&most| most > i16::MAX.into()) {
            return None;
        }
        let padded = columns.next_multiple_of(WORDS);
        let (mut table, mut at) = (vec![0; 2 * inputs * TAPS * padded], 0);
        for ((first, vectors), code) in panels(padded).flat_map(|panel| (0..2 * inputs).map(move |code| (panel, code)))
        {
            for tap in 0..TAPS {
                let sign = if code < inputs { 1 } else { -1 };
                let row = row(tap, code % inputs).get(first..).unwrap_or_default();
                let to = &mut table[at..at + vectors * WORDS];
                to.iter_mut().zip(row).for_each(|(to, &weight)| *to = (sign * weight) as i8);
                at += vectors * WORDS;
            }
        }
        Some(Self { inputs, columns: padded, table })
    }

    /// Columns of a row of sums.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Adds what is fired to rows of sums; a code that is none of its position's stands for the last one that is.
    ///
    /// # Panics
    /// If there are codes of fewer or more positions than targets, or a target lies beyond the sums.
    pub fn add(&self, level: Level, fired: Fired, sums: &mut [i16]) {
        assert!(fired.starts.len() == fired.targets.len() + 1);
        let last = fired.targets.iter().flatten().fold(0, |last, &target| last.max(target)) as usize;
        assert!(fired.targets.is_empty() || (last + 1) * self.columns <= sums.len());
        for (first, vectors) in panels(self.columns) {
            let panel = &self.table[first * TAPS * 2 * self.inputs..][..vectors * WORDS * TAPS * 2 * self.inputs];
            #[cfg(target_arch = "x86_64")]
            if level.0 == Set::Avx512 {
                // SAFETY: the processor has the instructions, and targets lie within the sums
                unsafe {
                    match vectors {
                        1 => self.avx512::<1>(panel, first, fired, sums),
                        _ => self.avx512::<2>(panel, first, fired, sums),
                    }
                }
                continue;
            }
            match (level.0, vectors) {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the processor has the instructions
                (Set::Avx2, 1) => unsafe { self.avx2::<{ TAPS * WORDS }>(panel, first, fired, sums) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the processor has the instructions
                (Set::Avx2, _) => unsafe { self.avx2::<{ TAPS * 2 * WORDS }>(panel, first, fired, sums) },
                (_, 1) => self.plain::<{ TAPS * WORDS }>(panel, first, fired, sums),
                (_, _) => self.plain::<{ TAPS * 2 * WORDS }>(panel, first, fired, sums),
            }
        }
    }

    /// The row of a code of a position.
    #[inline(always)]
    fn row(&self, code: u32, position: usize) -> usize {
        let rows = 2 * self.inputs as u32;
        code.wrapping_sub((position as u32).wrapping_mul(rows)).min(rows - 1) as usize
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn avx2<const SIZE: usize>(&self, panel: &[i8], first: usize, fired: Fired, sums: &mut [i16]) {
        self.plain::<SIZE>(panel, first, fired, sums);
    }

    #[inline(always)]
    fn plain<const SIZE: usize>(&self, panel: &[i8], first: usize, fired: Fired, sums: &mut [i16]) {
        for ((position, ends), targets) in (0..).zip(fired.starts.windows(2)).zip(fired.targets) {
            let codes = &fired.codes[ends[0] as usize..ends[1] as usize];
            let mut all = [0i16; SIZE];
            for &code in codes {
                let row = &panel[self.row(code, position) * SIZE..][..SIZE];
                all.iter_mut().zip(row).for_each(|(sum, &weight)| *sum = sum.wrapping_add(weight.into()));
            }
            if codes.is_empty() {
                continue;
            }
            for (&target, from) in targets.iter().zip(all.chunks_exact(SIZE / TAPS)) {
                let to = &mut sums[target as usize * self.columns + first..][..SIZE / TAPS];
                to.iter_mut().zip(from).for_each(|(to, &from)| *to = to.wrapping_add(from));
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn avx512<const V: usize>(&self, panel: &[i8], first: usize, fired: Fired, sums: &mut [i16]) {
        for ((position, ends), targets) in (0..).zip(fired.starts.windows(2)).zip(fired.targets) {
            let codes = &fired.codes[ends[0] as usize..ends[1] as usize];
            if codes.is_empty() {
                continue;
            }
            let mut all = [[_mm512_setzero_si512(); V]; TAPS];
            for &code in codes {
                // SAFETY: it is a row of the panel
                let row = unsafe { panel.as_ptr().add(self.row(code, position) * TAPS * V * WORDS) };
                for (tap, sums) in all.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        let weights = unsafe { _mm256_loadu_si256(row.add((tap * V + v) * WORDS).cast()) };
                        *sum = _mm512_add_epi16(*sum, _mm512_cvtepi8_epi16(weights));
                    }
                }
            }
            for (&target, from) in targets.iter().zip(all) {
                for (v, from) in from.into_iter().enumerate() {
                    // SAFETY: the caller's targets are rows of sums
                    unsafe {
                        let to = sums.as_mut_ptr().add(target as usize * self.columns + first + v * WORDS);
                        let sum = _mm512_add_epi16(_mm512_loadu_si512(to.cast()), from);
                        _mm512_storeu_si512(to.cast(), sum);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_alike_in_every_instruction_set() {
        for (inputs, columns) in [(1, 1), (3, 32), (16, 40), (5, 64), (28, 100)] {
            let weight = |tap: usize, input: usize, column: usize| match (tap + input) % 5 {
                0 => 127,
                1 => -127,
                _ => (tap * 31 + input * 17 + column * 7) as i32 % 255 - 127,
            };
            let rows: Vec<Vec<i32>> = (0..TAPS * inputs)
                .map(|row| (0..columns).map(|column| weight(row / inputs, row % inputs, column)).collect())
                .collect();
            let Some(scatter) = Scatter::new((TAPS, inputs, columns), |tap, input| &rows[tap * inputs + input]) else {
                panic!("{inputs} × {columns} fit into 16 bits")
            };
            // a row of positions: each reaches itself and four to each side, of which those beyond the ends lie behind all
            let (positions, rows) = (12usize, 2 * inputs);
            let chosen = |position: usize, row: usize| (position * position + row * 7 + row / 3).is_multiple_of(3);
            let (mut codes, mut starts) = (vec![], vec![0]);
            for position in 0..positions {
                codes.extend((0..rows).filter(|&row| chosen(position, row)).map(|row| (position * rows + row) as u32));
                starts.push(codes.len() as u32);
            }
            let target = |position: usize, tap: usize| match (position + tap).checked_sub(4) {
                Some(target) if target < positions => target as u32,
                Some(_) | None => positions as u32,
            };
            let targets: Vec<[u32; TAPS]> =
                (0..positions).map(|position| std::array::from_fn(|tap| target(position, tap))).collect();
            let mut wanted = vec![3i16; (positions + 1) * scatter.columns()];
            for &code in &codes {
                let (position, row) = (code as usize / rows, code as usize % rows);
                for (tap, column) in (0..TAPS).flat_map(|tap| (0..columns).map(move |column| (tap, column))) {
                    let sign = if row < inputs { 1 } else { -1 };
                    let sum = &mut wanted[targets[position][tap] as usize * scatter.columns() + column];
                    *sum = sum.wrapping_add((sign * weight(tap, row % inputs, column)) as i16);
                }
            }
            for level in Level::all() {
                let mut sums = vec![3; wanted.len()];
                scatter.add(level, Fired { codes: &codes, starts: &starts, targets: &targets }, &mut sums);
                assert_eq!(sums, wanted, "{level:?}, {inputs} × {columns}");
            }
        }
        let heavy = vec![127; 32];
        assert!(Scatter::new((TAPS, 29, 32), |_, _| &heavy).is_none(), "29 · 9 · 127 is more than 16 bits hold");
        assert!(Scatter::new((1, 1, 32), |_, _| &heavy).is_none());
    }
}
