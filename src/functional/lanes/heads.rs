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
