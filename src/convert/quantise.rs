//! Real numbers → integers: for each output channel a scale at which the threshold is exact and the largest weight
//! fills the weight bits.

use super::ConvertError;
use crate::graph::{
    Graph, Input, Kernel, NeuronRule, Neurons, Projection, SoftmaxRule, Source, Stage, StageKind, Synapses,
};
use multiversion::multiversion;

/// Widths of the integers that a chip holds, in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision {
    /// Weights, sign included.
    pub weight_bits: u32,
    /// Gains of the sources of a residual sum, unsigned; a single source has gain 1.
    pub gain_bits: u32,
    /// Fraction of a probability: one is `2^probability_bits`.
    pub probability_bits: u32,
    /// Address of the softmax unit's table of powers of two.
    pub table_bits: u32,
    /// Fraction of an input pixel.
    pub input_fraction_bits: u32,
    /// Input pixel, sign included.
    pub input_bits: u32,
}

impl Default for Precision {
    fn default() -> Self {
        Self {
            weight_bits: 8,
            gain_bits: 8,
            probability_bits: 10,
            table_bits: 8,
            input_fraction_bits: 6,
            input_bits: 9,
        }
    }
}

impl Precision {
    fn check(self) -> Result<(), ConvertError> {
        let ranges = [
            ("--weight-bits", self.weight_bits, 2, 16),
            ("--gain-bits", self.gain_bits, 1, 16),
            ("--probability-bits", self.probability_bits, 1, 16),
            ("--table-bits", self.table_bits, 1, 12),
            ("--input-fraction-bits", self.input_fraction_bits, 0, 15),
            ("--input-bits", self.input_bits, 2, 16),
        ];
        for (option, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                return Err(ConvertError::Precision { option, value, low, high });
            }
        }
        Ok(())
    }
}

/// Largest threshold: leaves the rest of 32 bits to the sums that build up above it.
const LARGEST_THRESHOLD: f64 = (1 << 28) as f64;
/// Largest bias of a step.
const LARGEST_BIAS: f64 = (1 << 30) as f64;

/// The graph in integers.
///
/// A channel's scale s makes θ = λ·s whole and its largest weight `2^(weight_bits − 1) − 1`; weights, and the bias of a
/// step, are rounded at that scale. Sources of a residual sum get integer gains in the ratio of their λ.
///
/// # Errors
/// A precision outside its range, or a bias that no integer of 32 bits holds at the scale of its channel's weights.
pub fn quantise(graph: &Graph<f32>, precision: &Precision) -> Result<Graph<i32>, ConvertError> {
    precision.check()?;
    let mut quantising = Quantising { graph, precision, weight_bits: precision.weight_bits };
    let stages = graph.stages.iter().map(|stage| quantising.stage(stage)).collect::<Result<_, _>>()?;
    Ok(Graph { name: graph.name.clone(), weight_bits: quantising.weight_bits, stages })
}

struct Quantising<'a> {
    graph: &'a Graph<f32>,
    precision: &'a Precision,
    /// Widest weight so far: plain neurons keep integer weights as they are.
    weight_bits: u32,
}

impl Quantising<'_> {
    fn stage(&mut self, stage: &Stage<f32>) -> Result<Stage<i32>, ConvertError> {
        let precision = self.precision;
        let kind = match &stage.kind {
            StageKind::Input(input) => StageKind::Input(Input {
                fraction_bits: precision.input_fraction_bits,
                bits: precision.input_bits,
                ..input.clone()
            }),
            StageKind::Neurons(neurons) => StageKind::Neurons(self.neurons(&stage.name, neurons)?),
            StageKind::MaxPool { source, window } => StageKind::MaxPool { source: *source, window: *window },
            StageKind::Scores { queries, keys, heads } => {
                StageKind::Scores { queries: *queries, keys: *keys, heads: *heads }
            }
            StageKind::Softmax { scores, rule } => StageKind::Softmax {
                scores: *scores,
                rule: SoftmaxRule {
                    probability_bits: precision.probability_bits,
                    table_bits: precision.table_bits,
                    ..*rule
                },
            },
            StageKind::Context { probabilities, values, heads } => {
                StageKind::Context { probabilities: *probabilities, values: *values, heads: *heads }
            }
            StageKind::Readout { synapses, .. } => self.readout(&stage.name, synapses, stage.grid.channels as usize)?,
        };
        Ok(Stage { name: stage.name.clone(), grid: stage.grid, kind })
    }

    /// What one integer unit of a source is worth, where one real unit is worth `gain`.
    fn unit(&self, source: Source<f32>) -> f64 {
        let bits = match self.graph.stage(source.stage).kind {
            StageKind::Input(_) => self.precision.input_fraction_bits,
            StageKind::Context { .. } => self.precision.probability_bits,
            StageKind::Neurons(_)
            | StageKind::MaxPool { .. }
            | StageKind::Scores { .. }
            | StageKind::Softmax { .. }
            | StageKind::Readout { .. } => 0,
        };
        f64::from(source.gain) / f64::from(1u32 << bits)
    }

    /// Integer gains of a projection's sources, and what one unit of weight times gain is worth.
    fn gains(&self, sources: &[Source<f32>]) -> (Vec<Source<i32>>, f64) {
        let units: Vec<f64> = sources.iter().map(|&source| self.unit(source)).collect();
        let largest = units.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let alike = units.iter().all(|&unit| unit == largest);
        let steps = if alike { 1.0 } else { f64::from((1u32 << self.precision.gain_bits) - 1) };
        let gain = |unit: f64| ((unit / largest * steps).round() as i32).max(1);
        let sources =
            sources.iter().zip(&units).map(|(source, &unit)| Source { stage: source.stage, gain: gain(unit) });
        (sources.collect(), largest / steps)
    }

    fn neurons(&mut self, name: &str, neurons: &Neurons<f32>) -> Result<Neurons<i32>, ConvertError> {
        let folded: Vec<_> = neurons.synapses.projections.iter().map(|p| self.gains(&p.sources)).collect();
        let largest = largest_weights(&neurons.synapses, &folded, neurons.threshold.len());
        if neurons.rule == NeuronRule::Plain && whole(neurons, &folded, &largest) {
            let widest = largest.iter().copied().fold(0.0, f64::max) as u32;
            self.weight_bits = self.weight_bits.max(33 - widest.leading_zeros());
            let threshold = neurons.threshold.iter().map(|&threshold| threshold as i32).collect();
            let synapses = scaled(name, &neurons.synapses, folded, &vec![1.0; largest.len()], self.weight_bits)?;
            return Ok(Neurons { synapses, threshold, rule: neurons.rule });
        }
        let scales: Vec<(i32, f64)> = neurons
            .threshold
            .iter()
            .zip(&largest)
            .map(|(&clip, &weight)| threshold_and_scale(f64::from(clip), weight, self.precision.weight_bits))
            .collect();
        let scale: Vec<f64> = scales.iter().map(|(_, scale)| *scale).collect();
        let synapses = scaled(name, &neurons.synapses, folded, &scale, self.precision.weight_bits)?;
        Ok(Neurons {
            synapses,
            threshold: scales.iter().map(|(threshold, _)| *threshold).collect(),
            rule: neurons.rule,
        })
    }

    /// A readout has one scale for all channels, so that its potentials compare as logits.
    fn readout(&self, name: &str, synapses: &Synapses<f32>, channels: usize) -> Result<StageKind<i32>, ConvertError> {
        let folded: Vec<_> = synapses.projections.iter().map(|p| self.gains(&p.sources)).collect();
        let largest = largest_weights(synapses, &folded, channels);
        let weight = largest.iter().copied().fold(0.0, f64::max);
        let (_, scale) = threshold_and_scale(1.0, weight, self.precision.weight_bits);
        let scales = vec![scale; channels];
        let synapses = scaled(name, synapses, folded, &scales, self.precision.weight_bits)?;
        Ok(StageKind::Readout { synapses, scale: (1.0 / scale) as f32 })
    }
}

type Folded = (Vec<Source<i32>>, f64);

/// The largest absolute weight of each output channel, in real units of one weight times gain.
fn largest_weights(synapses: &Synapses<f32>, folded: &[Folded], channels: usize) -> Vec<f64> {
    let mut largest = vec![0.0f64; channels];
    for (projection, (_, unit)) in synapses.projections.iter().zip(folded) {
        let kernel = &projection.kernel;
        for (channels, weights) in rows(kernel) {
            for (channel, weight) in channels.zip(weights) {
                largest[channel] = largest[channel].max(f64::from(weight.abs()) * unit);
            }
        }
    }
    largest
}

/// Output channels and weights of every row of a kernel, in the order of its memory.
fn rows(kernel: &Kernel<f32>) -> impl Iterator<Item = (std::ops::Range<usize>, &[f32])> {
    let width = (kernel.out_channels / kernel.groups) as usize;
    kernel.weights.chunks_exact(width).enumerate().map(move |(row, weights)| {
        let reached = kernel.reached(row as u32 % kernel.in_channels);
        (reached.start as usize..reached.end as usize, weights)
    })
}

/// The whole threshold of a channel and the scale that makes it whole; rounding down keeps the weights within their bits.
fn threshold_and_scale(clip: f64, largest_weight: f64, weight_bits: u32) -> (i32, f64) {
    let full = f64::from((1u32 << (weight_bits - 1)) - 1);
    let threshold = if largest_weight > 0.0 { (clip * full / largest_weight).floor() } else { 32_768.0 };
    let threshold = threshold.clamp(1.0, LARGEST_THRESHOLD);
    (threshold as i32, threshold / clip)
}

/// Whether a stage of plain neurons is made of integers already.
fn whole(neurons: &Neurons<f32>, folded: &[Folded], largest: &[f64]) -> bool {
    let whole = |values: &[f32]| values.iter().all(|value| value.fract() == 0.0 && value.abs() < 1e9);
    let kernels = neurons.synapses.projections.iter().map(|projection| &projection.kernel);
    whole(&neurons.threshold)
        && whole(&neurons.synapses.bias)
        && kernels.into_iter().all(|kernel| whole(&kernel.weights))
        && folded.iter().all(|(_, unit)| *unit == 1.0)
        && largest.iter().all(|&weight| weight < 32_768.0)
}

fn scaled(
    name: &str,
    synapses: &Synapses<f32>,
    folded: Vec<Folded>,
    scale: &[f64],
    weight_bits: u32,
) -> Result<Synapses<i32>, ConvertError> {
    let full = f64::from((1u32 << (weight_bits - 1)) - 1);
    let mut projections = vec![];
    for (projection, (sources, unit)) in synapses.projections.iter().zip(folded) {
        let mut weights = vec![0; projection.kernel.weights.len()];
        let mut rounded = &mut weights[..];
        for (channels, row) in rows(&projection.kernel) {
            let (here, others) = rounded.split_at_mut(row.len());
            round_all(here, (row, unit, &scale[channels]), full);
            rounded = others;
        }
        let Kernel { pool, window, in_channels, out_channels, groups, .. } = projection.kernel;
        projections
            .push(Projection { sources, kernel: Kernel { pool, window, in_channels, out_channels, groups, weights } });
    }
    let scale_len = scale.len();
    let bias = synapses.bias.iter().zip(scale.iter().cycle()).enumerate().map(|(channel, (&bias, scale))| {
        let value = (f64::from(bias) * scale).round();
        if value.abs() <= LARGEST_BIAS { Ok(value as i32) } else { Err(large_bias(name, channel % scale_len, value)) }
    });
    Ok(Synapses { projections, bias: bias.collect::<Result<_, _>>()? })
}

/// Weights times a unit and the scales of their channels, rounded, halves away from zero, and none beyond `full`.
/// Compiled for several instruction sets; all give the same numbers.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn round_all(rounded: &mut [i32], (row, unit, scales): (&[f32], f64, &[f64]), full: f64) {
    // no closure here: those are not compiled for the instruction set of this function
    for ((rounded, &weight), &scale) in rounded.iter_mut().zip(row).zip(scales) {
        // one beyond the largest is cut back to it, so that numbers fit, and what is behind their points is kept
        let exact = (f64::from(weight) * unit * scale).clamp(-full - 1.0, full + 1.0);
        let whole = exact as i32;
        let rest = exact - f64::from(whole);
        *rounded = (whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)).clamp(-(full as i32), full as i32);
    }
}

fn large_bias(stage: &str, channel: usize, value: f64) -> ConvertError {
    ConvertError::Number {
        stage: stage.to_string(),
        channel,
        why: format!("the bias is {value:.0} at the scale of the weights, which are far smaller"),
        remedy: "use fewer --weight-bits, or look for a batch-norm with a running variance near zero",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_rounded_as_numbers_are_and_cut_at_the_largest() {
        let row = [0.0, 0.25, -0.25, 0.75, 1.25, -1.25, 63.24, 63.26, -63.6, 1e30, -1e30, 0.249_999_99];
        let (unit, scales) = (2.0, vec![1.0; row.len()]);
        let mut rounded = vec![0; row.len()];
        round_all(&mut rounded, (&row, unit, &scales), 127.0);
        let wanted = row.map(|weight| (f64::from(weight) * unit).round().clamp(-127.0, 127.0) as i32);
        assert_eq!(rounded, wanted);
        assert_eq!(wanted[..6], [0, 1, -1, 2, 3, -3], "halves go away from zero");
    }
}
