//! Synapses laid out for reading: which source positions reach a position, and rows of weights side by side.

use crate::functional::lanes::{LANES, Packed, Rows, Width};
use crate::graph::{Graph, Kernel, Projection, Stage, Synapses};
use crate::units::StageId;

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
    pub kernel: &'g Kernel<i32>,
    /// Where every input channel reaches every output channel with 16-bit weights.
    pub short: Option<Short>,
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
        Self {
            sources,
            seen: seen_by.concat(),
            starts,
            kernel: &projection.kernel,
            short: Short::new(&projection.kernel),
        }
    }

    /// What position `position` sees.
    pub fn seen(&self, position: usize) -> &[(u32, u32)] {
        &self.seen[self.starts[position] as usize..self.starts[position + 1] as usize]
    }
}

impl Short {
    /// Whether rows of so many spikes are added up sooner than a product is computed, which takes the same time for any
    /// number of them: in measured eighths of a cycle for 16 columns.
    pub fn prefers_rows(&self, spikes: usize, sources: usize) -> bool {
        let registers = self.packed.stride() / LANES;
        let rows = 5 * spikes + 70 * sources;
        let product = 5 * self.all_inputs + (1600 + 16 * spikes) / registers;
        rows < product
    }

    /// `None` for channels in groups, and for weights beyond 16 bits.
    fn new(kernel: &Kernel<i32>) -> Option<Self> {
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
        Some(Self { rows, packed, inputs, all_inputs, outputs })
    }
}
