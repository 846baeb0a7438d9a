//! What layers remember from one step to the next: neurons, max-pools, attention.

use super::fused::add_product;
use super::maps::{Values, Windows};
use crate::functional::attention::Attention;
use crate::functional::neuron::NegativeThreshold;
use crate::functional::softmax::softmax;
use crate::network::SoftmaxAxis;
use crate::units::Grid;

/// Neurons of one layer.
#[derive(Debug)]
pub(super) enum Neurons<'n> {
    /// Signed neurons. The potential is counted in thresholds, as published code divides by λ before it adds.
    Signed { clip: f32, potentials: Vec<f32>, counts: Vec<i32> },
    /// Plain neurons, with one threshold for each channel.
    Plain { thresholds: &'n [f32], potentials: Vec<f32> },
}

/// What neurons sent in one step.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Fired {
    pub spikes: u64,
    pub negative: u64,
}

impl<'n> Neurons<'n> {
    pub fn signed(clip: f32, neurons: usize) -> Self {
        Self::Signed { clip, potentials: vec![0.5; neurons], counts: vec![0; neurons] }
    }

    pub fn plain(thresholds: &'n [f32], neurons: usize) -> Self {
        Self::Plain { thresholds, potentials: vec![0.0; neurons] }
    }

    /// Adds a step's sums to the potentials, fires, and replaces the sums by what was fired.
    pub fn fire(&mut self, values: &mut [f32], limit: i32, negative: NegativeThreshold) -> Fired {
        let mut fired = Fired::default();
        match self {
            Self::Signed { clip, potentials, counts } => {
                for ((value, potential), count) in values.iter_mut().zip(potentials).zip(counts) {
                    *potential += *value / *clip;
                    let below = match negative {
                        NegativeThreshold::Zero => *potential < 0.0,
                        NegativeThreshold::Symmetric => *potential <= -1.0,
                    };
                    let spike = i8::from(*potential >= 1.0 && *count < limit) - i8::from(below && *count > 0);
                    *potential -= f32::from(spike);
                    *count += i32::from(spike);
                    *value = f32::from(spike) * *clip;
                    fired.spikes += u64::from(spike != 0);
                    fired.negative += u64::from(spike < 0);
                }
            }
            Self::Plain { thresholds, potentials } => {
                let neurons = values.iter_mut().zip(potentials).zip(thresholds.iter().cycle());
                for ((value, potential), &threshold) in neurons {
                    *potential += *value;
                    let spike = i8::from(*potential > threshold);
                    *value = f32::from(spike);
                    if spike != 0 {
                        *potential = 0.0;
                        fired.spikes += 1;
                    }
                }
            }
        }
        fired
    }
}

/// A max-pool: sums so far, and their maximum that was sent.
#[derive(Debug)]
pub(super) struct MaxPool {
    windows: Windows,
    sums: Vec<f32>,
    sent: Values,
}

impl MaxPool {
    pub fn new(windows: Windows, inputs: usize) -> Self {
        let sums = vec![0.0; inputs];
        Self { sent: windows.maximum(&sums), windows, sums }
    }

    /// What changes when these values arrive.
    pub fn step(&mut self, values: &[f32]) -> Values {
        self.sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        let maximum = self.windows.maximum(&self.sums);
        let change = maximum.iter().zip(&self.sent).map(|(now, before)| now - before).collect();
        self.sent = maximum;
        change
    }
}

/// Attention of one layer, with the sums that the accumulated kind computes with.
#[derive(Debug)]
pub(super) struct Heads {
    heads: usize,
    scale: f32,
    axis: SoftmaxAxis,
    /// Width of a query or key, and of a value, over all heads.
    widths: [usize; 2],
    sums: [Values; 3],
    sent: Values,
}

impl Heads {
    pub fn new(heads: u32, scale: f32, axis: SoftmaxAxis, operands: [Grid; 3]) -> Self {
        let widths = [operands[1].channels as usize, operands[2].channels as usize];
        let sums = operands.map(|grid| vec![0.0; grid.neurons()]);
        Self { heads: heads as usize, scale, axis, widths, sums, sent: vec![] }
    }

    /// What a step sends: the context of its own spikes, or the change of that of all spikes so far.
    pub fn step(&mut self, operands: [&[f32]; 3], kind: Attention, time: u32) -> Values {
        match kind {
            Attention::PerStep => self.context(operands, self.scale),
            Attention::Accumulated => {
                for (sums, values) in self.sums.iter_mut().zip(operands) {
                    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
                let time = time as f32;
                let context = self.context(self.sums.each_ref().map(Vec::as_slice), self.scale / (time * time));
                self.sent.resize(context.len(), 0.0);
                let change = context.iter().zip(&self.sent).map(|(now, before)| now - before).collect();
                self.sent = context;
                change
            }
        }
    }

    fn context(&self, [queries, keys, values]: [&[f32]; 3], scale: f32) -> Values {
        let [width, value_width] = self.widths;
        let (rows, columns) = (queries.len() / width, keys.len() / width);
        let mut result = vec![0.0; rows * value_width];
        let mut scores = vec![0.0; rows * columns];
        for head in 0..self.heads {
            let shared =
                |row: usize| row * width + head * width / self.heads..row * width + (head + 1) * width / self.heads;
            let own = |row: usize| {
                row * value_width + head * value_width / self.heads
                    ..row * value_width + (head + 1) * value_width / self.heads
            };
            for (query, scores) in scores.chunks_exact_mut(columns).enumerate() {
                for (key, score) in scores.iter_mut().enumerate() {
                    let pairs =
                        queries[shared(query)].iter().zip(&keys[shared(key)]).filter(|(query, _)| **query != 0.0);
                    *score = pairs.fold(0.0, |sum, (&query, &key)| query.mul_add(key, sum));
                }
            }
            self.normalise(&mut scores, columns, scale);
            for (query, scores) in scores.chunks_exact(columns).enumerate() {
                let sums = &mut result[own(query)];
                scores.iter().enumerate().for_each(|(key, &share)| add_product(sums, share, &values[own(key)]));
            }
        }
        result
    }

    /// Turns scores, a row for each query, into probabilities.
    fn normalise(&self, scores: &mut [f32], columns: usize, scale: f32) {
        match self.axis {
            SoftmaxAxis::Keys => scores.chunks_exact_mut(columns).for_each(|row| softmax(row, scale)),
            SoftmaxAxis::Queries => {
                for column in 0..columns {
                    let mut vector: Vec<f32> = scores[column..].iter().step_by(columns).copied().collect();
                    softmax(&mut vector, scale);
                    scores[column..].iter_mut().step_by(columns).zip(vector).for_each(|(score, share)| *score = share);
                }
            }
        }
    }
}
