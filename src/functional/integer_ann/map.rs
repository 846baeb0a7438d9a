//! One projection of the integer network: values laid out as rows of a product.

use crate::functional::Values;
use crate::functional::lanes::{Level, Packed, Row, Width, push_words};
use crate::functional::quantised_ann::{places, under};
use crate::graph::{Graph, Projection};
use crate::units::Grid;

/// Rows of a product that are laid out at a time: they stay in the first cache.
const ROWS: usize = 48;

/// One projection as a product.
#[derive(Debug)]
pub(super) struct Map<'g> {
    projection: &'g Projection<i32>,
    /// Shape of its sources, and what the convolution slides over.
    source: Grid,
    inputs: Grid,
    /// For counts of one source, where weights fit.
    bytes: Option<Packed>,
    words: Packed,
    /// Inputs of each output position, `runs[starts[p]..starts[p + 1]]`; the rest of its row are zeros.
    runs: Vec<Run>,
    starts: Vec<u32>,
}

/// Consecutive inputs of a row: first of the row, first of the grid, how many.
type Run = (u32, u32, u32);

impl<'g> Map<'g> {
    /// `None` for channels in groups, and for weights beyond 16 bits.
    pub fn new(graph: &Graph<i32>, output: Grid, projection: &'g Projection<i32>) -> Option<Self> {
        let kernel = &projection.kernel;
        let source = graph.stage(projection.sources.first()?.stage).grid;
        let inputs = kernel.pooled(source);
        let (channels, columns) = (kernel.in_channels as usize, kernel.out_channels as usize);
        let within = |low: i32, high: i32| kernel.weights.iter().all(|weight| (low..=high).contains(weight));
        if kernel.groups > 1 || !within(i16::MIN.into(), i16::MAX.into()) {
            return None;
        }
        let rows = kernel.window.area() as usize * channels;
        let packed = |width| Packed::new(width, rows, columns, |input| &kernel.weights[input * columns..][..columns]);
        let bytes = within(i8::MIN.into(), i8::MAX.into()) && projection.sources.len() == 1 && kernel.pool.is_none();
        let (mut runs, mut starts): (Vec<Run>, _) = (vec![], vec![0]);
        for at in places(output) {
            let first = runs.len();
            for (position, tap) in under(kernel.window, at, inputs) {
                let (to, from) = (tap * kernel.in_channels, position as u32 * kernel.in_channels);
                match runs[first..].last_mut() {
                    Some((t, f, count)) if *t + *count == to && *f + *count == from => *count += kernel.in_channels,
                    Some(_) | None => runs.push((to, from, kernel.in_channels)),
                }
            }
            starts.push(runs.len() as u32);
        }
        let (bytes, words) = (bytes.then(|| packed(Width::Bytes)), packed(Width::Words));
        Some(Self { projection, source, inputs, bytes, words, runs, starts })
    }

    /// Runs of each output position, in order.
    fn runs(&self) -> impl Iterator<Item = &[Run]> {
        self.starts.windows(2).map(|ends| &self.runs[ends[0] as usize..ends[1] as usize])
    }

    /// Adds the product with the values of its sources to rows of sums.
    pub fn multiply(&self, level: Level, values: &[Values], sums: &mut [i32]) {
        let source = self.projection.sources[0];
        match (&self.bytes, &values[source.stage.index()]) {
            (Some(packed), Values::Bytes(counts)) => self.multiply_bytes(level, packed, (counts, source.gain), sums),
            (_, Values::Bytes(_) | Values::Words(_) | Values::Narrow(_) | Values::Wide(_)) => {
                self.multiply_words(level, &self.summed(values), sums);
            }
        }
    }

    fn multiply_bytes(&self, level: Level, packed: &Packed, (counts, gain): (&[u8], i32), sums: &mut [i32]) {
        let (groups, stride) = (packed.groups(), packed.stride());
        let mut inputs = vec![0u32; ROWS.min(self.starts.len() - 1) * groups];
        let mut rows = vec![];
        let mut all = self.runs().enumerate().peekable();
        while all.peek().is_some() {
            inputs.fill(0);
            rows.clear();
            let laid: &mut [u8] = bytemuck::cast_slice_mut(&mut inputs);
            for (row, (position, runs)) in laid.chunks_exact_mut(4 * groups).zip(&mut all) {
                for &(to, from, count) in runs {
                    row[to as usize..(to + count) as usize]
                        .copy_from_slice(&counts[from as usize..(from + count) as usize]);
                }
                rows.push(Row { from: rows.len() * groups, to: position * stride, factor: gain });
            }
            packed.multiply(level, &inputs, &rows, sums);
        }
    }

    fn multiply_words(&self, level: Level, numbers: &[i32], sums: &mut [i32]) {
        let (mut inputs, mut rows, mut row) = (vec![], vec![], vec![]);
        let last = self.starts.len() - 2;
        for (position, runs) in self.runs().enumerate() {
            row.clear();
            row.resize(self.projection.kernel.weights.len() / self.projection.kernel.out_channels.max(1) as usize, 0);
            for &(to, from, count) in runs {
                row[to as usize..(to + count) as usize]
                    .copy_from_slice(&numbers[from as usize..(from + count) as usize]);
            }
            let to = position * self.words.stride();
            push_words(&mut row, &mut inputs, |from, factor| rows.push(Row { from, to, factor }));
            if rows.len() >= ROWS || position == last {
                self.words.multiply(level, &inputs, &rows, sums);
                inputs.clear();
                rows.clear();
            }
        }
    }

    /// `Σ gain·N` over its sources, summed over the windows of its pool.
    fn summed(&self, values: &[Values]) -> Vec<i32> {
        let mut sum: Vec<i32> = vec![];
        for source in &self.projection.sources {
            let values = &values[source.stage.index()];
            sum.resize(values.len(), 0);
            match values {
                Values::Bytes(values) => add(source.gain, values, &mut sum),
                Values::Words(values) => add(source.gain, values, &mut sum),
                Values::Narrow(values) => add(source.gain, values, &mut sum),
                Values::Wide(_) => {}
            }
        }
        let Some(pool) = self.projection.kernel.pool else { return sum };
        let channels = self.inputs.channels as usize;
        let mut pooled = vec![0; self.inputs.neurons()];
        for (row, at) in pooled.chunks_exact_mut(channels).zip(places(self.inputs)) {
            for (position, _) in under(pool, at, self.source) {
                add(1, &sum[position * channels..][..channels], row);
            }
        }
        pooled
    }
}

fn add<N: Copy + Into<i32>>(gain: i32, values: &[N], sums: &mut [i32]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum = sum.wrapping_add(gain.wrapping_mul(value.into()));
    }
}
