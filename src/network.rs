//! The trained network: a list of layers, and the tensors they were trained to.
//!
//! Activations are grids of positions with channels innermost (see [`Grid`]); an image is `height × width × channels`,
//! a token is a position, a flat vector is one position. Tensors keep the shapes of the training library:
//! convolutions `[out, in / groups, ky, kx]`, linear maps `[out, in]`, everything else one value per channel.

use crate::units::{Grid, Window};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The layer that every list starts from: the normalised image.
pub const INPUT: &str = "input";
/// Key of a network bundle's header under which its [`Architecture`] stands, in RON.
pub const BUNDLE_KEY: &str = "spikemesh.network";

/// A list of layers without its tensors; what an architecture file and the header of a network bundle hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Name of the network in reports.
    pub name: String,
    /// The images that it takes; left out where biases alone drive it.
    #[serde(default, skip_serializing_if = "Input::is_absent")]
    pub input: Input,
    /// The layers, each after all those it reads from; the last one gives the logits, or the spikes that are the answer.
    pub layers: Vec<Layer>,
}

/// Shape and normalisation of the images: `(pixel / 255 - mean) / std` for each channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Rows of pixels.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Colours, or 1 for grey.
    pub channels: u32,
    /// Mean of each channel, on the scale 0 to 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, on the scale 0 to 1.
    pub std: Vec<f32>,
}

impl Input {
    /// Whether there is no image: biases alone drive the network.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        *self == Self::default()
    }

    /// The images as a grid.
    #[must_use]
    pub fn grid(&self) -> Grid {
        Grid { height: self.height, width: self.width, channels: self.channels }
    }
}

/// One layer: what it computes, and from which layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Name of the layer and prefix of its tensors: `name.weight`, `name.up`, ….
    pub name: String,
    /// Names of the layers it reads, in the order of its operands; [`INPUT`] is the image.
    pub from: Vec<String>,
    /// What it computes.
    pub op: Op,
}

/// What a layer computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Op {
    /// A constant current into every neuron of the layer that reads it, in each step, and nothing else: it reads no layer;
    /// tensor `bias [height, width, channels]`, or `[height · width · channels]`.
    Bias {
        /// Rows of positions.
        height: u32,
        /// Positions in a row.
        width: u32,
        /// Channels of a position.
        channels: u32,
    },
    /// Convolution; tensors `weight [out, in / groups, kernel, kernel]` and, with `bias`, `bias [out]`.
    Conv {
        /// Channels of the result.
        out_channels: u32,
        /// Rows and columns of the kernel.
        kernel: u32,
        /// Positions from one window to the next.
        stride: u32,
        /// Rows and columns of zeros on every side.
        padding: u32,
        /// Groups of channels that do not see each other; 1 for an ordinary convolution.
        groups: u32,
        /// Whether there is a bias tensor.
        bias: bool,
    },
    /// Linear map of the channels of every position; tensors `weight [out, in]` and, with `bias`, `bias [out]`.
    Linear {
        /// Channels of the result.
        out_features: u32,
        /// Whether there is a bias tensor.
        bias: bool,
    },
    /// Batch normalisation with running statistics; tensors `weight`, `bias`, `running_mean`, `running_var`, each `[channels]`.
    BatchNorm {
        /// Added to the variance before the square root.
        epsilon: f32,
    },
    /// Quantisation-clip-floor-shift activation `λ/L · clip(floor(z·L/λ + 1/2), 0, L)`; tensor `up [1]` is λ (Bu et al., ICLR 2022).
    Qcfs {
        /// L, the levels that the network was trained with.
        levels: u32,
    },
    /// Rectifier with a trained or fixed clip, `clip(z, 0, λ)`; tensor `up [1]` is λ.
    ClippedRelu,
    /// Unsigned integrate-and-fire neuron that fires at `V > θ` and is reset to zero; tensor `threshold [1]` or `[channels]`.
    /// It has no activation without time, so only the spiking run knows it.
    IntegrateFire,
    /// Maximum over windows; the padding never wins.
    MaxPool {
        /// Rows and columns of a window.
        kernel: u32,
        /// Positions from one window to the next.
        stride: u32,
        /// Rows and columns of padding on every side.
        padding: u32,
    },
    /// Mean over windows, the padding counted as zeros.
    AvgPool {
        /// Rows and columns of a window.
        kernel: u32,
        /// Positions from one window to the next.
        stride: u32,
        /// Rows and columns of zeros on every side.
        padding: u32,
    },
    /// Sum of two or more layers.
    Add,
    /// `softmax(Q·Kᵀ·scale)·V` for each head; reads queries, keys and values, heads side by side in the channels.
    Attention {
        /// Number of heads.
        heads: u32,
        /// Factor on the scores.
        scale: f32,
        /// The index that the softmax normalises over.
        axis: SoftmaxAxis,
    },
    /// Mean over all positions.
    Mean,
    /// All values as channels of one position, channel by channel as `[channels, height, width]` is flattened.
    Flatten,
}

/// The index of `scores[query, key]` that a softmax normalises over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SoftmaxAxis {
    /// For each key, the probabilities of all queries sum to one (dim 2 of `[batch, heads, queries, keys]`).
    Queries,
    /// For each query, the probabilities of all keys sum to one (dim 3), as in most transformers.
    Keys,
}

/// A tensor of 32-bit floats, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// The values; as many as the product of the shape.
    pub values: Vec<f32>,
}

/// A network whose tensors all have the shapes that its layers ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The layers.
    pub architecture: Architecture,
    /// Every tensor that a layer reads, by full name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Shape of the result of each layer, in the order of the list.
    pub grids: Vec<Grid>,
}

impl Network {
    /// The values of tensor `name.part`, where the layer list asks for it.
    ///
    /// # Panics
    /// If no layer asks for it: a network is checked when it is made.
    #[must_use]
    pub fn tensor(&self, name: &str, part: &str) -> &[f32] {
        &self.tensors[&format!("{name}.{part}")].values
    }

    /// Position of layer `name` in the list, or `None` for [`INPUT`] and unknown names.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.architecture.layers.iter().position(|layer| layer.name == name)
    }

    /// Shape of the values of layer `name`, or of the image for [`INPUT`].
    #[must_use]
    pub fn grid(&self, name: &str) -> Grid {
        self.position(name).map_or_else(|| self.architecture.input.grid(), |at| self.grids[at])
    }

    /// Number of logits.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.grids.last().map_or(0, |grid| grid.neurons())
    }
}

/// The tensors that a layer reads, as `(part, shape)`; `input` is the shape of its first operand.
#[must_use]
pub fn tensors_of(op: &Op, input: Grid) -> Vec<(&'static str, Vec<usize>)> {
    let channels = input.channels as usize;
    let with_bias = |weight: Vec<usize>, bias: bool| {
        let out = weight[0];
        let mut tensors = vec![("weight", weight)];
        tensors.extend(bias.then(|| ("bias", vec![out])));
        tensors
    };
    match *op {
        Op::Bias { height, width, channels } => {
            vec![("bias", [height, width, channels].map(|side| side as usize).to_vec())]
        }
        Op::Conv { out_channels, kernel, groups, bias, .. } => {
            let kernel = kernel as usize;
            with_bias(vec![out_channels as usize, channels / groups.max(1) as usize, kernel, kernel], bias)
        }
        Op::Linear { out_features, bias } => with_bias(vec![out_features as usize, channels], bias),
        Op::BatchNorm { .. } => {
            ["weight", "bias", "running_mean", "running_var"].map(|part| (part, vec![channels])).to_vec()
        }
        Op::Qcfs { .. } | Op::ClippedRelu => vec![("up", vec![1])],
        Op::IntegrateFire => vec![("threshold", vec![channels])],
        Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Add | Op::Attention { .. } | Op::Mean | Op::Flatten => vec![],
    }
}

/// Shape of what a layer gives for operands of these shapes, or the reason why it cannot take them.
///
/// # Errors
/// A sentence that says what the layer wants and what it got.
pub fn grid_of(op: &Op, operands: &[Grid]) -> Result<Grid, String> {
    let wanted = match op {
        Op::Bias { .. } => 0..=0,
        Op::Add => 2..=usize::MAX,
        Op::Attention { .. } => 3..=3,
        Op::Conv { .. }
        | Op::Linear { .. }
        | Op::BatchNorm { .. }
        | Op::Qcfs { .. }
        | Op::ClippedRelu
        | Op::IntegrateFire
        | Op::MaxPool { .. }
        | Op::AvgPool { .. }
        | Op::Mean
        | Op::Flatten => 1..=1,
    };
    if !wanted.contains(&operands.len()) {
        let more = if *wanted.end() > *wanted.start() { " or more" } else { "" };
        return Err(format!("reads {} layers, where it wants {}{more}", operands.len(), wanted.start()));
    }
    if let Op::Bias { height, width, channels } = *op {
        return Ok(Grid { height, width, channels });
    }
    let Some(&first) = operands.first() else { return Err("reads no layer".to_string()) };
    if let Some(other) = operands.iter().find(|&&grid| grid != first && !matches!(op, Op::Attention { .. })) {
        return Err(format!("adds layers of different shapes, {first} and {other}"));
    }
    let slide = |kernel: u32, stride: u32, padding: u32, channels: u32| {
        let window = Window { height: kernel, width: kernel, stride, padding };
        let (height, width) = (kernel > 0 && stride > 0).then(|| window.output(first)).flatten()
            .ok_or_else(|| format!("slides a {kernel}×{kernel} window with stride {stride} and padding {padding} over {first}, where not one fits"))?;
        Ok(Grid { height, width, channels })
    };
    match *op {
        Op::Conv { out_channels, kernel, stride, padding, groups, .. } => {
            if groups == 0
                || !first.channels.is_multiple_of(groups)
                || !out_channels.is_multiple_of(groups)
                || out_channels == 0
            {
                return Err(format!(
                    "has {groups} groups, which do not divide {} channels into {out_channels}",
                    first.channels
                ));
            }
            slide(kernel, stride, padding, out_channels)
        }
        Op::Linear { out_features: 0, .. } => Err("has no output features".to_string()),
        Op::Linear { out_features, .. } => Ok(Grid { channels: out_features, ..first }),
        Op::MaxPool { kernel, padding, .. } if padding >= kernel => {
            Err(format!("pads by {padding}, which leaves windows of {kernel} without a value"))
        }
        Op::MaxPool { kernel, stride, padding } | Op::AvgPool { kernel, stride, padding } => {
            slide(kernel, stride, padding, first.channels)
        }
        Op::Attention { heads, .. } => attention_grid(heads, operands),
        Op::Mean => Ok(Grid { height: 1, width: 1, ..first }),
        Op::Flatten => Ok(Grid {
            height: 1,
            width: 1,
            channels: u32::try_from(first.neurons()).map_err(|_| format!("flattens {first}, which is too large"))?,
        }),
        Op::BatchNorm { .. } | Op::Qcfs { .. } | Op::ClippedRelu | Op::IntegrateFire | Op::Add | Op::Bias { .. } => {
            Ok(first)
        }
    }
}

fn attention_grid(heads: u32, operands: &[Grid]) -> Result<Grid, String> {
    let [queries, keys, values] = [operands[0], operands[1], operands[2]];
    if queries.channels != keys.channels || keys.positions() != values.positions() {
        return Err(format!("has queries {queries}, keys {keys} and values {values}, which do not fit each other"));
    }
    if heads == 0 || !queries.channels.is_multiple_of(heads) || !values.channels.is_multiple_of(heads) {
        return Err(format!("has {heads} heads, which do not divide {} channels", queries.channels));
    }
    Ok(Grid { channels: values.channels, ..queries })
}
