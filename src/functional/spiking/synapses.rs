//! Synapses laid out for reading: which source positions reach a position, and rows of weights side by side.

use crate::graph::{Graph, Kernel, Projection, Stage, Synapses};
use crate::units::StageId;

/// Rows are padded to a multiple of this many channels, so that they are added up in whole vectors.
pub(super) const LANES: usize = 16;

/// All that arrives at the potentials of a stage.
#[derive(Debug)]
pub(super) struct Afferents<'g> {
    pub projections: Vec<Afferent<'g>>,
    /// One bias for each channel, or for each neuron.
    pub bias: &'g [i32],
    pub channels: usize,
}

/// One projection.
#[derive(Debug)]
pub(super) struct Afferent<'g> {
    /// Stage and gain.
    pub sources: Vec<(StageId, i32)>,
    /// Source position and tap of everything that position `p` sees: `seen[starts[p]..starts[p + 1]]`.
    seen: Vec<(u32, u32)>,
    starts: Vec<u32>,
    pub rows: Rows<'g>,
}

/// The weights of a projection.
#[derive(Debug)]
pub(super) enum Rows<'g> {
    /// Every input channel reaches every output channel with 16-bit weights: rows of `stride` weights for each tap and
    /// input channel. The sum of `burst` weights still fits into 16 bits.
    Short { weights: Vec<i16>, stride: usize, inputs: usize, outputs: usize, burst: usize },
    /// Any other kernel, as it is.
    Any(&'g Kernel<i32>),
}

impl<'g> Afferents<'g> {
    pub fn new(graph: &'g Graph<i32>, stage: &'g Stage<i32>, synapses: &'g Synapses<i32>) -> Self {
        let projections = synapses.projections.iter().filter(|projection| !projection.sources.is_empty());
        Self {
            projections: projections.map(|projection| Afferent::new(graph, stage, projection)).collect(),
            bias: &synapses.bias,
            channels: stage.grid.channels as usize,
        }
    }

    /// The biases of a position.
    pub fn bias(&self, position: usize) -> &[i32] {
        let first = if self.bias.len() > self.channels { position * self.channels } else { 0 };
        &self.bias[first..first + self.channels]
    }
}

impl<'g> Afferent<'g> {
    fn new(graph: &'g Graph<i32>, stage: &'g Stage<i32>, projection: &'g Projection<i32>) -> Self {
        let source = graph.stage(projection.sources[0].stage).grid;
        let taps = projection.kernel.taps(source);
        let mut seen_by = vec![vec![]; stage.grid.positions()];
        for position in source.whole().positions {
            for tap in taps.of(position) {
                seen_by[tap.position as usize].push((position, tap.tap));
            }
        }
        let mut starts = vec![0];
        for seen in &seen_by {
            starts.push(starts[starts.len() - 1] + seen.len() as u32);
        }
        let sources = projection.sources.iter().map(|source| (source.stage, source.gain)).collect();
        Self { sources, seen: seen_by.concat(), starts, rows: Rows::new(&projection.kernel) }
    }

    /// What position `position` sees.
    pub fn seen(&self, position: usize) -> &[(u32, u32)] {
        &self.seen[self.starts[position] as usize..self.starts[position + 1] as usize]
    }
}

impl<'g> Rows<'g> {
    fn new(kernel: &'g Kernel<i32>) -> Self {
        let largest = kernel.weights.iter().map(|weight| weight.unsigned_abs()).max().unwrap_or(0).max(1);
        let burst = (i16::MAX as u32 / largest) as usize;
        let outputs = kernel.out_channels as usize;
        if kernel.groups > 1 || burst < 8 || outputs == 0 {
            return Self::Any(kernel);
        }
        let stride = outputs.next_multiple_of(LANES);
        let mut weights = vec![0; kernel.weights.len() / outputs * stride];
        for (to, from) in weights.chunks_exact_mut(stride).zip(kernel.weights.chunks_exact(outputs)) {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = from as i16);
        }
        Self::Short { weights, stride, inputs: kernel.in_channels as usize, outputs, burst }
    }
}
