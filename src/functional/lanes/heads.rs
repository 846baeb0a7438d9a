//! Products head by head, with weights that change from time to time.

use super::{Level, Packed, Row, Width, push_words};

/// For each head of an attention a product of rows of numbers with a matrix:
/// `[row][head][input] · [head][input][column]`. Weights fit into 16 bits.
#[derive(Debug)]
pub(in crate::functional) struct HeadProduct {
    heads: usize,
    rows: usize,
    width: usize,
    columns: usize,
    packed: Packed,
    inputs: Vec<u32>,
    /// Rows of each head.
    taken: Vec<Vec<Row>>,
    numbers: Vec<i32>,
    sums: Vec<i32>,
}

/// The two products of an attention whose operands are counts of 0 to 127.
#[derive(Debug)]
pub(in crate::functional) struct CountProducts {
    heads: usize,
    /// Channels of a head.
    width: usize,
    packed: Packed,
    /// Rows of each head.
    rows: Vec<Vec<Row>>,
    inputs: Vec<u32>,
}

impl CountProducts {
    /// Products `Q·Kᵀ` of `queries` rows with as many columns as `keys`; `None` where channels of a head are no whole groups.
    pub fn scores(heads: usize, width: usize, (queries, keys): (usize, usize)) -> Option<Self> {
        let packed = Packed::new(Width::Bytes, width, keys, |_| &[]);
        let whole = width.is_multiple_of(Width::Bytes.inputs()) && packed.stride() == keys;
        let row = |head: usize| {
            move |query: usize| Row {
                from: (query * heads + head) * width / Width::Bytes.inputs(),
                to: (query * heads + head) * keys,
                factor: 1,
            }
        };
        let rows = (0..heads).map(|head| (0..queries).map(row(head)).collect()).collect();
        whole.then_some(Self { heads, width, packed, rows, inputs: vec![] })
    }

    /// Products `P·V` of `queries` rows; `None` where keys are no whole groups, or channels of a head no whole registers.
    pub fn context(heads: usize, width: usize, (queries, keys): (usize, usize)) -> Option<Self> {
        let packed = Packed::new(Width::Words, keys, width, |_| &[]);
        let whole = keys.is_multiple_of(Width::Words.inputs()) && packed.stride() == width;
        let row = |head: usize| {
            move |query: usize| Row {
                from: (query * heads + head) * keys / Width::Words.inputs(),
                to: (query * heads + head) * width,
                factor: 1,
            }
        };
        let rows = (0..heads).map(|head| (0..queries).map(row(head)).collect()).collect();
        whole.then_some(Self { heads, width, packed, rows, inputs: vec![] })
    }

    /// Adds scores `[query][head][key]` of queries, four counts to a number, and keys to sums.
    #[inline(always)]
    pub fn add_scores(&mut self, level: Level, queries: &[u32], keys: &[i8], sums: &mut [i32]) {
        let channels = self.heads * self.width;
        for (head, rows) in self.rows.iter().enumerate() {
            self.packed.fill_byte_columns(keys.len() / channels, &keys[head * self.width..], channels);
            self.packed.multiply(level, queries, rows, sums);
        }
    }

    /// Adds contexts `[query][head][channel]` of shares `[query][head][key]` and values to sums; says whether it did, which
    /// it does where all shares fit into 16 bits.
    #[inline(always)]
    pub fn add_context(&mut self, level: Level, shares: &[i32], values: &[i8], sums: &mut [i32]) -> bool {
        self.inputs.resize(shares.len() / 2, 0);
        let words: &mut [i16] = bytemuck::cast_slice_mut(&mut self.inputs);
        let fits = words.iter_mut().zip(shares).fold(true, |fits, (word, &share)| {
            *word = share as i16;
            fits & (i32::from(*word) == share)
        });
        let channels = self.heads * self.width;
        for (head, rows) in self.rows.iter().enumerate().filter(|_| fits) {
            self.packed.fill_byte_rows(self.width, &values[head * self.width..], channels);
            self.packed.multiply(level, &self.inputs, rows, sums);
        }
        fits
    }
}

impl HeadProduct {
    /// All products of `rows` rows, `width` inputs and `columns` columns.
    pub fn new(heads: usize, (rows, width, columns): (usize, usize, usize)) -> Self {
        let packed = Packed::new(Width::Words, width, columns, |_| &[]);
        let (sums, taken) = (vec![0; rows * packed.stride()], vec![vec![]; heads]);
        Self { heads, rows, width, columns, packed, inputs: vec![], taken, numbers: vec![], sums }
    }

    /// `sums[row][head][column]` from all rows, with the weights that `fill(head, matrix)` takes for each head.
    #[inline(always)]
    pub fn multiply(&mut self, level: Level, numbers: &[i32], fill: impl Fn(usize, &mut Packed), sums: &mut [i32]) {
        let (stride, width) = (self.packed.stride(), self.heads * self.columns);
        let whole = stride == self.columns;
        self.push(numbers, if whole { width } else { stride }, whole);
        sums.fill(0);
        for head in 0..self.heads {
            fill(head, &mut self.packed);
            if whole {
                self.packed.multiply(level, &self.inputs, &self.taken[head], sums);
                continue;
            }
            self.sums.fill(0);
            self.packed.multiply(level, &self.inputs, &self.taken[head], &mut self.sums);
            for (to, from) in sums.chunks_exact_mut(width).take(self.rows).zip(self.sums.chunks_exact(stride)) {
                to[head * self.columns..][..self.columns].copy_from_slice(&from[..self.columns]);
            }
        }
    }

    /// Turns numbers into words, whose products go to every `pitch` sums, those of the heads beside each other or alone.
    fn push(&mut self, numbers: &[i32], pitch: usize, beside: bool) {
        let Self { heads, width, columns, .. } = *self;
        self.inputs.clear();
        self.taken.iter_mut().for_each(Vec::clear);
        // where heads are whole pairs of words, all rows are turned at once
        let size = if width.is_multiple_of(2) { self.rows * heads * width } else { width };
        for (at, numbers) in numbers.chunks_exact(size.max(1)).enumerate() {
            self.numbers.clear();
            self.numbers.extend_from_slice(numbers);
            let taken = &mut self.taken;
            push_words(&mut self.numbers, &mut self.inputs, |from, factor| {
                for part in 0..size / width {
                    let (row, head) = ((at * size / width + part) / heads, (at * size / width + part) % heads);
                    let to = row * pitch + if beside { head * columns } else { 0 };
                    taken[head].push(Row { from: from + part * width / 2, to, factor });
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_counts_are_those_of_numbers() {
        for (heads, width, queries, keys) in [(2, 16, 5, 16), (1, 32, 7, 64), (4, 32, 64, 64), (2, 48, 3, 112)] {
            let channels = heads * width;
            let counts = |seed: usize, rows: usize| -> Vec<i8> {
                (0..rows * channels).map(|n| (n * n * 7 + n * seed) as i8 & 127).collect()
            };
            let wide = |counts: &[i8]| counts.iter().map(|&count| count.into()).collect::<Vec<i32>>();
            let (q, k) = (counts(3, queries), counts(5, keys));
            let shares: Vec<i32> = (0..queries * heads * keys).map(|n| (n * 37 % 32_768) as i32).collect();
            let mut wanted = vec![0; queries * heads * keys];
            let by_column = |head: usize, packed: &mut Packed| {
                let all = wide(&k);
                packed.fill_columns(keys, |key| &all[key * channels + head * width..][..width]);
            };
            HeadProduct::new(heads, (queries, width, keys)).multiply(Level::best(), &wide(&q), by_column, &mut wanted);
            let mut contexts = vec![0; queries * channels];
            let by_row = |head: usize, packed: &mut Packed| {
                let all = wide(&k);
                packed.fill_rows(keys, |key| &all[key * channels + head * width..][..width]);
            };
            HeadProduct::new(heads, (queries, keys, width)).multiply(Level::best(), &shares, by_row, &mut contexts);
            let four = |four: &[i8]| four.iter().rev().fold(0u32, |all, &count| all << 8 | count as u32);
            let groups: Vec<u32> = q.chunks(4).map(four).collect();
            for level in Level::all() {
                let mut sums = vec![0; wanted.len()];
                let mut products = CountProducts::scores(heads, width, (queries, keys));
                if let Some(products) = products.as_mut() {
                    products.add_scores(level, &groups, &k, &mut sums);
                }
                assert_eq!(sums, wanted, "{level:?}");
                let mut sums = vec![0; contexts.len()];
                let mut products = CountProducts::context(heads, width, (queries, keys));
                let fits = products.as_mut().map(|products| products.add_context(level, &shares, &k, &mut sums));
                assert_eq!((fits, sums), (Some(true), contexts.clone()), "{level:?}");
            }
            let mut products = CountProducts::context(heads, width, (queries, keys));
            let wide = vec![32_768; shares.len()];
            let fits = products.as_mut().map(|products| products.add_context(Level::best(), &wide, &k, &mut contexts));
            assert_eq!(fits, Some(false));
        }
        assert!(CountProducts::scores(2, 6, (4, 16)).is_none() && CountProducts::context(1, 20, (4, 16)).is_none());
    }
}
