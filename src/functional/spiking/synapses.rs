//! Synapses laid out for reading: which source positions reach a position, and rows of weights side by side.

use super::planes::Planes;
use super::scattered::Scattering;
use crate::functional::lanes::{Aligned, LANES, Packed, Rows, Width};
use crate::graph::{Graph, Kernel, Projection, Stage, StageKind, Synapses, Taps};
use crate::units::{Grid, StageId};
use std::ops::Range;

/// All that arrives at the potentials of a stage.
#[derive(Debug)]
pub(super) struct Afferents<'g> {
    pub projections: Vec<Afferent<'g>>,
    /// One bias for each channel, or for each neuron.
    pub bias: &'g [i32],
    /// The same in whole registers.
    padded: Aligned,
    pub channels: usize,
}

/// One projection.
#[derive(Debug)]
pub(super) struct Afferent<'g> {
    /// Stage and gain.
    pub sources: Vec<(StageId, i32)>,
    /// Everything that position `p` sees: `seen[starts[p]..starts[p + 1]]`.
    seen: Vec<Seen>,
    starts: Vec<u32>,
    pub kernel: &'g Kernel<i32>,
    /// Where every input channel reaches every output channel with 16-bit weights.
    pub short: Option<Short>,
}

/// Source positions one after the other, under taps one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub position: u32,
    pub tap: u32,
    pub count: u32,
}

impl Seen {
    /// Each position and its tap.
    #[inline(always)]
    pub fn each(self) -> impl Iterator<Item = (u32, u32)> + Clone {
        (0..self.count).map(move |at| (self.position + at, self.tap + at))
    }
}

/// Weights laid out for sums of rows and for products.
#[derive(Debug)]
pub(super) struct Short {
    /// For each tap a row for each input channel, then as many with the other sign; where weights fit into 8 bits.
    pub rows: Option<Rows>,
    pub packed: Packed,
    /// Input channels.
    pub inputs: usize,
    /// Inputs in all: taps times channels.
    pub all_inputs: usize,
    pub outputs: usize,
    /// Where windows scatter what single spikes bring.
    pub scatter: Option<Scattering>,
    /// Where windows are products of all they see.
    pub planes: Option<Planes>,
}

impl<'g> Afferents<'g> {
    pub fn new(graph: &'g Graph<i32>, stage: &'g Stage<i32>, synapses: &'g Synapses<i32>) -> Self {
        let projections = synapses.projections.iter().filter(|projection| !projection.sources.is_empty());
        let projections = projections.map(|projection| Afferent::new(graph, stage, projection)).collect();
        Self { projections, ..Self::alone(&synapses.bias, stage.grid.channels as usize) }
    }

    /// Biases, and nothing else.
    fn alone(bias: &'g [i32], channels: usize) -> Self {
        let (biases, width) = (bias.chunks(channels.max(1)), channels.next_multiple_of(LANES));
        let mut padded = Aligned::zeros(biases.len() * width);
        for (to, bias) in padded.signed_mut().chunks_exact_mut(width.max(1)).zip(biases) {
            to[..bias.len()].copy_from_slice(bias);
        }
        Self { projections: vec![], bias, padded, channels }
    }

    /// The biases of a position.
    pub fn bias(&self, position: usize) -> &[i32] {
        let first = if self.bias.len() > self.channels { position * self.channels } else { 0 };
        &self.bias[first..first + self.channels]
    }

    /// The biases of a position in whole registers, zeros behind them.
    #[inline(always)]
    pub fn registers_of_bias(&self, position: usize) -> &[i32] {
        let width = self.channels.next_multiple_of(LANES);
        let first = if self.padded.len() > width { position * width } else { 0 };
        &self.padded.signed()[first..first + width]
    }

    /// Appends those of some positions.
    #[inline(always)]
    pub fn put_registers_of_bias(&self, positions: Range<usize>, to: &mut Vec<i32>) {
        let (begin, width) = (to.len(), self.channels.next_multiple_of(LANES));
        let end = begin + positions.len() * width;
        if self.padded.len() > width {
            to.extend_from_slice(&self.padded.signed()[positions.start * width..][..end - begin]);
            return;
        }
        // all alike: twice as many at a time
        to.extend_from_slice(&self.padded.signed()[..width.min(end - begin)]);
        while to.len() < end {
            let more = (to.len() - begin).min(end - to.len());
            to.extend_from_within(begin..begin + more);
        }
    }
}

impl<'g> Afferent<'g> {
    fn new(graph: &'g Graph<i32>, stage: &'g Stage<i32>, projection: &'g Projection<i32>) -> Self {
        let source = graph.stage(projection.sources[0].stage);
        let width = if matches!(source.kind, StageKind::Input(_)) { Width::Words } else { Width::Signs };
        let source = source.grid;
        let taps = projection.kernel.taps(source);
        let mut seen_by: Vec<Vec<Seen>> = vec![vec![]; stage.grid.positions()];
        for position in source.whole().positions {
            for tap in taps.of(position) {
                let seen = &mut seen_by[tap.position as usize];
                match seen.last_mut() {
                    Some(last) if (last.position + last.count, last.tap + last.count) == (position, tap.tap) => {
                        last.count += 1;
                    }
                    Some(_) | None => seen.push(Seen { position, tap: tap.tap, count: 1 }),
                }
            }
        }
        let mut starts = vec![0];
        for seen in &seen_by {
            starts.push(starts[starts.len() - 1] + seen.len() as u32);
        }
        let sources = projection.sources.iter().map(|source| (source.stage, source.gain)).collect();
        Self {
            sources,
            seen: seen_by.concat(),
            starts,
            kernel: &projection.kernel,
            short: Short::new(&projection.kernel, width, (&taps, source), stage.grid.positions()),
        }
    }

    /// What position `position` sees.
    #[inline(always)]
    pub fn seen(&self, position: usize) -> &[Seen] {
        &self.seen[self.starts[position] as usize..self.starts[position + 1] as usize]
    }
}

impl Short {
    /// Whether rows of so many spikes are added up sooner than a product is computed, which takes the same time for any
    /// number of them: in measured eighths of a cycle for 16 columns.
    pub fn prefers_rows(&self, spikes: usize, sources: usize) -> bool {
        let registers = self.packed.stride() / LANES;
        let rows = 4 * spikes + 40 * sources;
        let product = 5 * self.all_inputs + (1600 + 100 * sources) / registers;
        rows < product
    }

    /// Whether so many spikes are added one by one, each with its own row of 32 bits, sooner than so many products are computed,
    /// in the same unit.
    pub fn prefers_spikes(&self, spikes: usize, products: usize) -> bool {
        let registers = self.packed.stride() / LANES;
        spikes * (16 + 80 / registers) < products * (5 * self.all_inputs + 1700 / registers)
    }

    /// For sources that send what takes so much; `None` for channels in groups, and for weights beyond 16 bits.
    fn new(kernel: &Kernel<i32>, width: Width, (taps, source): (&Taps, Grid), positions: usize) -> Option<Self> {
        let largest = kernel.weights.iter().map(|weight| weight.unsigned_abs()).max().unwrap_or(0);
        let (inputs, outputs) = (kernel.in_channels as usize, kernel.out_channels as usize);
        let all_inputs = kernel.window.area() as usize * inputs;
        let words = 2 * all_inputs * outputs.next_multiple_of(LANES);
        if kernel.groups > 1 || largest > i16::MAX as u32 || outputs == 0 || u32::try_from(words).is_err() {
            return None;
        }
        let packed =
            Packed::new(Width::Words, all_inputs, outputs, |input| &kernel.weights[input * outputs..][..outputs]);
        let row = |row: usize| {
            let (tap, code) = (row / (2 * inputs), row % (2 * inputs));
            let weights = &kernel.weights[(tap * inputs + code % inputs) * outputs..][..outputs];
            (weights, if code < inputs { 1 } else { -1 })
        };
        let rows = (largest <= i8::MAX as u32).then(|| Rows::new(2 * all_inputs, outputs, row));
        let scatter = Scattering::new(kernel, (taps, source), positions);
        let planes = Some(width).filter(|_| kernel.window.area() > 1);
        let planes = planes.and_then(|width| Planes::new(kernel, width, (taps, source), positions));
        Some(Self { rows, packed, inputs, all_inputs, outputs, scatter, planes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn biases_of_positions_stand_as_those_of_each() {
        let (channels, positions) = (5, 7);
        for alike in [true, false] {
            let bias: Vec<i32> = (1..=(channels * if alike { 1 } else { positions }) as i32).collect();
            let afferents = Afferents::alone(&bias, channels);
            for some in [0..positions, 2..5, 3..3, 6..7] {
                let mut found = vec![9];
                afferents.put_registers_of_bias(some.clone(), &mut found);
                let wanted: Vec<i32> =
                    some.flat_map(|position| afferents.registers_of_bias(position)).copied().collect();
                assert_eq!(found.split_first(), Some((&9, &wanted[..])));
                assert_eq!(wanted.iter().filter(|&&bias| bias > 0).count() * LANES, wanted.len() * channels);
            }
        }
    }
}
