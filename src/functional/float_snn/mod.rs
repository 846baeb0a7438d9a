//! The spiking run in 32-bit floats, as published code runs it: unfolded, layer by layer, all layers in each step.

mod fused;
mod maps;
mod state;

use super::input::normalised;
use super::{FunctionalError, Semantics};
use crate::network::{INPUT, Layer, Network, Op};
use crate::units::{Grid, Window};
use maps::{Affine, Normalisation, Values, Windows};
use state::{Fired, Heads, MaxPool, Neurons};

/// What a run of one image gave.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatOutcome {
    /// Sum of the logits of all steps so far. Entry `t − 1` is that after step t.
    pub logits_by_step: Vec<Vec<f32>>,
    /// Spikes that each layer fired, in the order of the network's list; 0 where a layer has no neurons.
    pub spikes: Vec<u64>,
    /// How many of them were negative.
    pub negative_spikes: Vec<u64>,
}

/// A trained network ready to run as a spiking network in 32-bit floats.
#[derive(Debug)]
pub struct FloatSnn<'n> {
    network: &'n Network,
    layers: Vec<Prepared<'n>>,
}

/// A layer with what it needs to run.
#[derive(Debug)]
struct Prepared<'n> {
    /// Results of these layers are its operands; `None` is the image.
    operands: Vec<Option<usize>>,
    map: Map<'n>,
}

/// What a layer does in a step.
#[derive(Debug)]
enum Map<'n> {
    /// A constant current into every neuron.
    Current(&'n [f32]),
    Affine(Affine<'n>),
    Normalise(Normalisation<'n>),
    Mean(Windows),
    Add,
    Flatten(usize),
    /// It remembers something: see [`State`].
    Stateful,
}

/// What a layer remembers.
#[derive(Debug)]
enum State<'n> {
    Nothing,
    Neurons(Neurons<'n>),
    MaxPool(MaxPool),
    Heads(Heads),
}

impl<'n> FloatSnn<'n> {
    /// A run of this network.
    #[must_use]
    pub fn new(network: &'n Network) -> Self {
        let layers = network.architecture.layers.iter().map(|layer| Prepared::new(network, layer)).collect();
        Self { network, layers }
    }

    /// Runs one image of `height · width · channels` bytes for `time_steps` driven steps and `settle` more. A spike is
    /// integrated in the step in which it was fired.
    ///
    /// # Errors
    /// If the image has another size, or `time_steps` is 0.
    pub fn run(
        &self,
        image: &[u8],
        time_steps: u32,
        settle: u32,
        semantics: Semantics,
    ) -> Result<FloatOutcome, FunctionalError> {
        let input = &self.network.architecture.input;
        let grid = input.grid();
        if image.len() != grid.neurons() {
            return Err(FunctionalError::ImageSize { grid, wanted: grid.neurons(), found: image.len() });
        }
        if time_steps == 0 {
            return Err(FunctionalError::NoTimeSteps);
        }
        let pixels: Values = normalised(&input.mean, &input.std, image).collect();
        let dark = vec![0.0; pixels.len()];
        let mut states: Vec<State> = self.network.architecture.layers.iter().map(|layer| self.state(layer)).collect();
        let mut fired = vec![Fired::default(); states.len()];
        let mut logits_by_step: Vec<Vec<f32>> = vec![];
        for step in 1..=time_steps + settle {
            let image = if step <= time_steps { &pixels } else { &dark };
            let mut logits = self.step(image, (step, time_steps), semantics, &mut states, &mut fired);
            if let Some(before) = logits_by_step.last() {
                logits.iter_mut().zip(before).for_each(|(logit, before)| *logit += before);
            }
            logits_by_step.push(logits);
        }
        Ok(FloatOutcome {
            logits_by_step,
            spikes: fired.iter().map(|fired| fired.spikes).collect(),
            negative_spikes: fired.iter().map(|fired| fired.negative).collect(),
        })
    }

    /// One step of all layers; gives what the last one computed.
    fn step(
        &self,
        image: &Values,
        (step, time_steps): (u32, u32),
        semantics: Semantics,
        states: &mut [State],
        fired: &mut [Fired],
    ) -> Values {
        let mut results: Vec<Values> = Vec::with_capacity(self.layers.len());
        for ((layer, state), fired) in self.layers.iter().zip(states).zip(fired) {
            let operands: Vec<&Values> =
                layer.operands.iter().map(|operand| operand.map_or(image, |at| &results[at])).collect();
            let result = match state {
                State::Nothing => layer.map.apply(&operands, step <= time_steps || semantics.settle_bias),
                State::MaxPool(pool) => pool.step(operands[0]),
                State::Heads(heads) => {
                    heads.step([operands[0], operands[1], operands[2]], semantics.attention, step.min(time_steps))
                }
                State::Neurons(neurons) => {
                    let mut values = operands[0].clone();
                    let now = neurons.fire(&mut values, time_steps as i32, semantics.negative_threshold);
                    fired.spikes += now.spikes;
                    fired.negative += now.negative;
                    values
                }
            };
            results.push(result);
        }
        results.pop().unwrap_or_default()
    }

    /// What a layer remembers, at rest.
    fn state(&self, layer: &Layer) -> State<'n> {
        let operands: Vec<Grid> = layer.from.iter().map(|name| self.network.grid(name)).collect();
        let neurons = operands.first().map_or(0, |grid| grid.neurons());
        match layer.op {
            Op::Qcfs { .. } | Op::ClippedRelu => {
                State::Neurons(Neurons::signed(self.network.tensor(&layer.name, "up")[0], neurons))
            }
            Op::IntegrateFire => State::Neurons(Neurons::plain(self.network.tensor(&layer.name, "threshold"), neurons)),
            Op::MaxPool { kernel, stride, padding } => {
                let window = Window { height: kernel, width: kernel, stride, padding };
                State::MaxPool(MaxPool::new(Windows::new(operands[0], window), neurons))
            }
            Op::Attention { heads, scale, axis } => {
                State::Heads(Heads::new(heads, scale, axis, [operands[0], operands[1], operands[2]]))
            }
            Op::Bias { .. }
            | Op::Conv { .. }
            | Op::Linear { .. }
            | Op::BatchNorm { .. }
            | Op::AvgPool { .. }
            | Op::Add
            | Op::Mean
            | Op::Flatten => State::Nothing,
        }
    }
}

impl<'n> Prepared<'n> {
    fn new(network: &'n Network, layer: &Layer) -> Self {
        let grid = network.grid(layer.from.first().map_or(INPUT, String::as_str));
        let map = match layer.op {
            Op::Bias { .. } => Map::Current(network.tensor(&layer.name, "bias")),
            Op::Conv { .. } | Op::Linear { .. } => Affine::new(network, layer, grid).map_or(Map::Stateful, Map::Affine),
            Op::BatchNorm { epsilon } => Map::Normalise(Normalisation::new(network, layer, epsilon)),
            Op::AvgPool { kernel, stride, padding } => {
                Map::Mean(Windows::new(grid, Window { height: kernel, width: kernel, stride, padding }))
            }
            Op::Mean => Map::Mean(Windows::new(grid, Window::whole(grid))),
            Op::Add => Map::Add,
            Op::Flatten => Map::Flatten(grid.channels as usize),
            Op::Qcfs { .. } | Op::ClippedRelu | Op::IntegrateFire | Op::MaxPool { .. } | Op::Attention { .. } => {
                Map::Stateful
            }
        };
        Self { operands: layer.from.iter().map(|name| network.position(name)).collect(), map }
    }
}

impl Map<'_> {
    /// `biased`: whether biases flow in this step.
    fn apply(&self, operands: &[&Values], biased: bool) -> Values {
        if let Self::Current(values) = self {
            return if biased { values.to_vec() } else { vec![0.0; values.len()] };
        }
        let first = operands[0];
        match self {
            Self::Affine(map) => map.apply(first, biased),
            Self::Normalise(map) => map.apply(first, biased),
            Self::Mean(windows) => windows.mean(first),
            Self::Add => operands[1..].iter().fold(first.clone(), |mut sum, other| {
                sum.iter_mut().zip(*other).for_each(|(sum, value)| *sum += value);
                sum
            }),
            Self::Flatten(channels) => {
                (0..*channels).flat_map(|channel| first[channel..].iter().step_by(*channels).copied()).collect()
            }
            Self::Current(_) | Self::Stateful => first.clone(),
        }
    }
}
