//! Products of rows with a small matrix of weights: four bytes or two words at a time.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are called after the processor was asked for them, with slices whose \
              lengths are asserted just before"
)]

#[cfg(target_arch = "x86_64")]
use super::x86::{avx2, avx512};
use super::{Aligned, LANES, Level, Set, Strip};

/// What 32 bits of a row hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::functional) enum Width {
    /// Four inputs of 0 to 127, for weights of 8 bits with sign: sums of two products then fit into 16 bits.
    Bytes,
    /// Four inputs of −1, 0 or 1, each kept as `1 + input`, for weights of 8 bits with sign.
    Signs,
    /// Two inputs of 16 bits with sign, for such weights.
    Words,
}

impl Width {
    /// Bits of an input.
    fn bits(self) -> u32 {
        32 / self.inputs() as u32
    }

    /// Inputs in 32 bits.
    pub fn inputs(self) -> usize {
        match self {
            Self::Bytes | Self::Signs => 4,
            Self::Words => 2,
        }
    }
}

/// A matrix of weights, laid out in panels of up to 64 columns; in each, the weights of one group of inputs after the
/// other, those of a column together.
#[derive(Debug, Clone)]
pub(in crate::functional) struct Packed {
    width: Width,
    /// Groups of inputs, each of 32 bits.
    pub(super) groups: usize,
    /// Columns, rounded up to whole registers.
    stride: usize,
    pub(super) panels: Aligned,
    /// Where the product of each column starts: what inputs are kept larger by makes up for it.
    starts: Vec<i32>,
}

/// A row of a product: `sums[to..] += factor · (inputs[from..] · weights)`.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Row {
    pub from: usize,
    pub to: usize,
    pub factor: i32,
}

/// A panel of a matrix.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    pub weights: &'a [u32],
    pub starts: &'a [i32],
}

/// Inputs of rows, and what becomes of products.
#[derive(Debug, Clone, Copy)]
pub(in crate::functional) struct Inputs<'a> {
    pub groups: &'a [u32],
    /// Groups of a part of a row, at least one; the parts begin every `pitch` groups.
    pub part: usize,
    pub pitch: usize,
    /// Whether sums are replaced, and not added to.
    pub fresh: bool,
}

/// Panels of a matrix of `stride` columns: the first column, and how many registers wide.
pub(super) fn panels(stride: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = (stride - first) / LANES;
        let vectors = [4, 2, 1].into_iter().find(|&vectors| vectors <= left)?;
        first += vectors * LANES;
        Some((first - vectors * LANES, vectors))
    })
}

impl Packed {
    /// The matrix whose row of weights of each input is `row(input)`; weights fit its width.
    pub fn new<'a>(width: Width, inputs: usize, columns: usize, row: impl Fn(usize) -> &'a [i32]) -> Self {
        let (groups, stride) = (inputs.div_ceil(width.inputs()), columns.next_multiple_of(LANES));
        let mut packed =
            Self { width, groups, stride, panels: Aligned::zeros(groups * stride), starts: vec![0; stride] };
        packed.fill_rows(inputs, &row);
        if width == Width::Signs {
            for input in 0..inputs {
                packed.starts.iter_mut().zip(row(input)).for_each(|(start, weight)| *start -= weight);
            }
        }
        packed
    }

    /// Takes other weights of the same shape, input by input.
    #[inline(always)]
    pub fn fill_rows<'a>(&mut self, inputs: usize, row: impl Fn(usize) -> &'a [i32]) {
        let (mask, bits) = (u32::MAX >> (32 - self.width.bits()), self.width.bits());
        self.panels.fill(0);
        for (first, vectors) in panels(self.stride) {
            let width = vectors * LANES;
            let panel = &mut self.panels[first * self.groups..][..width * self.groups];
            for input in 0..inputs {
                let (group, within) = (input / self.width.inputs(), (input % self.width.inputs()) as u32);
                let to = panel[group * width..][..width].iter_mut();
                to.zip(row(input).iter().skip(first))
                    .for_each(|(to, &weight)| *to |= (weight as u32 & mask) << (within * bits));
            }
        }
    }

    /// Takes other weights of the same shape, words, column by column: those of all inputs.
    #[inline(always)]
    pub fn fill_columns<'a>(&mut self, columns: usize, column: impl Fn(usize) -> &'a [i32]) {
        for (first, vectors) in panels(self.stride) {
            let width = vectors * LANES;
            let panel = &mut self.panels[first * self.groups..][..width * self.groups];
            for at in first..columns.min(first + width) {
                let pairs = column(at)
                    .chunks(2)
                    .map(|pair| pair[0] as u16 as u32 | (pair.get(1).copied().unwrap_or(0) as u32) << 16);
                panel[at - first..].iter_mut().step_by(width).zip(pairs).for_each(|(to, pair)| *to = pair);
            }
        }
    }

    /// Takes other weights of the same shape: bytes `weights[column · pitch..]`, all inputs of a column side by side.
    #[inline(always)]
    pub fn fill_byte_columns(&mut self, columns: usize, weights: &[i8], pitch: usize) {
        let groups = self.groups;
        for (first, vectors) in panels(self.stride) {
            let width = vectors * LANES;
            let panel = &mut self.panels[first * groups..][..width * groups];
            for (group, to) in panel.chunks_exact_mut(width).enumerate() {
                let rows = weights.chunks(pitch).skip(first).take(columns.saturating_sub(first).min(width));
                for (to, row) in to.iter_mut().zip(rows) {
                    let mut four = [0; 4];
                    four.copy_from_slice(bytemuck::cast_slice(&row[4 * group..4 * group + 4]));
                    *to = u32::from_le_bytes(four);
                }
            }
        }
    }

    /// Takes other weights of the same shape, words: those of input `i` are the bytes from `weights[i · pitch]` on.
    #[inline(always)]
    pub fn fill_byte_rows(&mut self, columns: usize, weights: &[i8], pitch: usize) {
        let groups = self.groups;
        for (first, vectors) in panels(self.stride) {
            let width = vectors * LANES;
            let panel = &mut self.panels[first * groups..][..width * groups];
            for (to, pair) in panel.chunks_exact_mut(width).zip(weights.chunks(2 * pitch)) {
                let (low, high) = (pair.get(first..columns), pair.get(pitch + first..pitch + columns));
                let high = high.unwrap_or_default().iter().copied().chain(std::iter::repeat(0));
                for ((to, &low), high) in to.iter_mut().zip(low.unwrap_or_default()).zip(high) {
                    *to = low as i16 as u16 as u32 | (high as i16 as u16 as u32) << 16;
                }
            }
        }
    }

    /// Groups of a row of inputs.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Its panels: the first column of each, and how many registers wide it is.
    pub fn panels(&self) -> impl Iterator<Item = (usize, usize)> {
        panels(self.stride)
    }

    /// Columns of a row of sums.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Adds the products of all rows to their sums, which wrap.
    ///
    /// # Panics
    /// If a row reaches beyond its slice.
    pub fn multiply(&self, level: Level, inputs: &[u32], rows: &[Row], sums: &mut [i32]) {
        let inputs = Inputs { groups: inputs, part: self.groups.max(1), pitch: 0, fresh: false };
        self.multiply_parts(level, inputs, rows, sums);
    }

    /// As [`Packed::multiply`], where a row of inputs comes in parts.
    ///
    /// # Panics
    /// If a row reaches beyond its slice.
    pub fn multiply_parts(&self, level: Level, inputs: Inputs, rows: &[Row], sums: &mut [i32]) {
        let parts = self.groups / inputs.part.max(1);
        let reach = parts.saturating_sub(1) * inputs.pitch + self.groups.min(inputs.part);
        assert!(self.panels.len() == self.groups * self.stride && self.starts.len() == self.stride);
        assert!(inputs.part > 0 && self.groups == parts * inputs.part || self.groups == 0);
        assert!(rows.iter().all(|row| row.from.saturating_add(reach) <= inputs.groups.len()));
        assert!(rows.iter().all(|row| row.to.saturating_add(self.stride) <= sums.len()));
        for (first, vectors) in panels(self.stride) {
            // SAFETY: each row of inputs holds one entry for each group, part by part, and each row of sums `stride` entries from
            // `to`, of which `first..first + vectors · LANES` are touched
            unsafe { self.multiply_panel(level, (first, vectors), inputs, rows, &mut sums[first..]) };
        }
    }

    /// Products of rows of words, one after the other, with a strip: `[panel][row][column]`.
    ///
    /// # Panics
    /// If there is no such strip, or no room for sums.
    pub fn multiply_strip(&self, level: Level, strip: Strip, words: &[u32], sums: &mut [i32]) {
        let (count, width) = (words.len() / self.groups.max(1), strip.width());
        assert!(self.width == Width::Words && strip.first + strip.panels * width <= self.stride);
        assert!(sums.len() >= strip.panels * count * width);
        let row = |n: usize| Row { from: n * self.groups, to: n * width, factor: 1 };
        let (rows, inputs): (Vec<Row>, _) =
            ((0..count).map(row).collect(), Inputs { groups: words, part: self.groups, pitch: 0, fresh: true });
        for (panel, sums) in sums.chunks_exact_mut((count * width).max(1)).take(strip.panels).enumerate() {
            let first = strip.first + panel * width;
            // SAFETY: each row of inputs holds one entry for each group, and each row of sums the columns of a panel
            unsafe { self.multiply_panel(level, (first, width / LANES), inputs, &rows, sums) };
        }
    }

    /// A panel of so many registers from a column on; rows of sums begin with its first column.
    unsafe fn multiply_panel(
        &self,
        level: Level,
        (first, vectors): (usize, usize),
        inputs: Inputs,
        rows: &[Row],
        sums: &mut [i32],
    ) {
        let weights = &self.panels[first * self.groups..][..vectors * LANES * self.groups];
        let panel = Panel { weights, starts: &self.starts[first..first + vectors * LANES] };
        let words = self.width == Width::Words;
        // SAFETY: the processor has the instructions; for the others, as for the caller
        unsafe {
            match (level.0, vectors, words) {
                #[cfg(not(target_arch = "x86_64"))]
                (Set::Avx512 | Set::Avx2, ..) => {}
                (Set::Plain, ..) => plain(self.width, panel, vectors, inputs, rows, sums),
                #[cfg(target_arch = "x86_64")]
                (Set::Avx512, 4, true) => avx512::<4, true>(panel, inputs, rows, sums),
                #[cfg(target_arch = "x86_64")]
                (Set::Avx512, 2, true) => avx512::<2, true>(panel, inputs, rows, sums),
                #[cfg(target_arch = "x86_64")]
                (Set::Avx512, _, true) => avx512::<1, true>(panel, inputs, rows, sums),
                #[cfg(target_arch = "x86_64")]
                (Set::Avx512, 4, false) => avx512::<4, false>(panel, inputs, rows, sums),
                #[cfg(target_arch = "x86_64")]
                (Set::Avx512, 2, false) => avx512::<2, false>(panel, inputs, rows, sums),
                #[cfg(target_arch = "x86_64")]
                (Set::Avx512, _, false) => avx512::<1, false>(panel, inputs, rows, sums),
                #[cfg(target_arch = "x86_64")]
                (Set::Avx2, _, true) => avx2::<true>(panel, vectors, inputs, rows, sums),
                #[cfg(target_arch = "x86_64")]
                (Set::Avx2, _, false) => avx2::<false>(panel, vectors, inputs, rows, sums),
            }
        }
    }
}

fn plain(width: Width, panel: Panel, vectors: usize, inputs: Inputs, rows: &[Row], sums: &mut [i32]) {
    let columns = vectors * LANES;
    let word = |of: u32, k: u32| i32::from((of >> (16 * k)) as i16);
    let byte = |of: u32, k: usize| i32::from(of.to_le_bytes()[k]);
    let signed = |of: u32, k: usize| i32::from(of.to_le_bytes()[k] as i8);
    for row in rows {
        let sums = &mut sums[row.to..][..columns];
        if inputs.fresh {
            sums.fill(0);
        }
        let add = |sum: &mut i32, product: i32| *sum = sum.wrapping_add(row.factor.wrapping_mul(product));
        sums.iter_mut().zip(panel.starts).for_each(|(sum, &start)| add(sum, start));
        for (group, weights) in panel.weights.chunks_exact(columns).enumerate() {
            let input = inputs.groups[row.from + group / inputs.part * inputs.pitch + group % inputs.part];
            if input == 0 {
                continue;
            }
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                add(
                    sum,
                    match width {
                        Width::Bytes | Width::Signs => (0..4).map(|k| byte(input, k) * signed(weight, k)).sum(),
                        Width::Words => {
                            (word(input, 0) * word(weight, 0)).wrapping_add(word(input, 1) * word(weight, 1))
                        }
                    },
                );
            }
        }
    }
}

/// Appends numbers as rows of words, `row = Σ 2^shift · words`: one row where all fit into 16 bits, others for the bits
/// beyond. Calls `push(where the row begins, its factor)`; an odd last number is followed by a zero. Forgets `numbers`.
pub(in crate::functional) fn push_words(numbers: &mut [i32], inputs: &mut Vec<u32>, mut push: impl FnMut(usize, i32)) {
    for shift in [0, 15, 30] {
        let fits = numbers.iter().fold(true, |fits, &number| fits & (number == i32::from(number as i16)));
        let first = inputs.len();
        push(first, 1 << shift);
        inputs.resize(inputs.len() + numbers.len().div_ceil(2), 0);
        let words: &mut [i16] = bytemuck::cast_slice_mut(&mut inputs[first..]);
        let within = if fits { -1 } else { 0x7fff };
        words.iter_mut().zip(&*numbers).for_each(|(word, &number)| *word = (number & within) as i16);
        if fits {
            break;
        }
        numbers.iter_mut().for_each(|number| *number >>= 15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        *seed >> 33
    }

    /// Every instruction set, every width of panel and every number of rows, at the ends of what fits.
    #[test]
    fn products_are_alike_in_every_instruction_set() {
        let mut seed = 1;
        for (inputs, columns, count) in [(1, 1, 1), (27, 16, 5), (64, 48, 13), (9, 112, 6), (144, 64, 9), (6, 130, 3)] {
            for width in [Width::Bytes, Width::Signs, Width::Words] {
                let most = if width == Width::Words { 32_768 } else { 128 };
                let mut weight = || (dice(&mut seed) % (2 * most)) as i32 - most as i32;
                let table: Vec<i32> = (0..inputs * columns).map(|_| weight()).collect();
                let packed = Packed::new(width, inputs, columns, |input| &table[input * columns..][..columns]);
                let (low, count_of) = match width {
                    Width::Bytes => (0, 128),
                    Width::Signs => (-1, 3),
                    Width::Words => (-32_768, 65_536),
                };
                let mut number = || low + (dice(&mut seed) % count_of) as i32;
                let numbers: Vec<i32> = (0..count * inputs).map(|_| number()).collect();
                let mut packed_inputs = vec![];
                for row in numbers.chunks(inputs) {
                    match width {
                        Width::Words => push_words(&mut row.to_vec(), &mut packed_inputs, |_, _| {}),
                        Width::Bytes | Width::Signs => packed_inputs.extend(row.chunks(4).map(|four| {
                            let byte = |k: usize| four.get(k).map_or(0, |&n| (n - low) as u8);
                            u32::from_le_bytes([0, 1, 2, 3].map(byte))
                        })),
                    }
                }
                let row = |m: usize| Row { from: m * packed.groups(), to: m * packed.stride(), factor: 1 - m as i32 };
                let rows: Vec<Row> = (0..count).map(row).collect();
                let mut wanted = vec![7i32; count * packed.stride()];
                for (m, c, i) in
                    (0..count * columns * inputs).map(|n| (n / columns / inputs, n / inputs % columns, n % inputs))
                {
                    let product = numbers[m * inputs + i].wrapping_mul(table[i * columns + c]);
                    let sum = &mut wanted[m * packed.stride() + c];
                    *sum = sum.wrapping_add(product.wrapping_mul(rows[m].factor));
                }
                if width == Width::Words {
                    let column = |c: usize| (0..inputs).map(|i| table[i * columns + c]).collect::<Vec<_>>();
                    let by_column: Vec<Vec<i32>> = (0..columns).map(column).collect();
                    let mut other = Packed::new(width, inputs, columns, |_| &[]);
                    other.fill_columns(columns, |c| &by_column[c]);
                    assert_eq!(other.panels, packed.panels);
                }
                for level in Level::all() {
                    let mut sums = vec![7; wanted.len()];
                    packed.multiply(level, &packed_inputs, &rows, &mut sums);
                    assert_eq!(sums, wanted, "{level:?}, {width:?}: {inputs} × {columns}, {count} rows");
                    for parts in (2..4).filter(|&parts| packed.groups().is_multiple_of(parts)) {
                        // the first parts of all rows, then the second ones
                        let part = packed.groups() / parts;
                        let places = (0..parts * count).map(|at| (at % count * parts + at / count) * part);
                        let apart: Vec<u32> = places.flat_map(|at| packed_inputs[at..at + part].to_vec()).collect();
                        let rows: Vec<Row> = rows.iter().map(|row| Row { from: row.from / parts, ..*row }).collect();
                        let inputs = Inputs { groups: &apart, part, pitch: count * part, fresh: true };
                        let mut fresh = vec![3; wanted.len()];
                        packed.multiply_parts(level, inputs, &rows, &mut fresh);
                        fresh.iter_mut().for_each(|sum| *sum = sum.wrapping_add(7));
                        assert_eq!(fresh, wanted, "{level:?}, {width:?}: {parts} parts");
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_of_any_size_are_sums_of_words() {
        let numbers = [0, 1, -1, 32_767, -32_769, i32::MAX, i32::MIN];
        let (mut inputs, mut rows) = (vec![], vec![]);
        push_words(&mut numbers.to_vec(), &mut inputs, |from, factor| rows.push(Row { from, to: 0, factor }));
        assert_eq!(rows.len(), 3);
        for (at, &number) in numbers.iter().enumerate() {
            let one = Packed::new(Width::Words, numbers.len(), 1, |input| if input == at { &[1] } else { &[0] });
            let mut sums = vec![0; LANES];
            one.multiply(Level(Set::Plain), &inputs, &rows, &mut sums);
            assert_eq!(sums[0], number);
        }
        let (mut inputs, mut rows) = (vec![], 0);
        push_words(&mut [32_767, -32_768, 5], &mut inputs, |_, _| rows += 1);
        assert_eq!((rows, inputs.len()), (1, 2));
    }
}
