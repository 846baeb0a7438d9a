//! A network on a device: its parameters, and the forward pass of any list of layers.

use super::TrainError;
use super::layers::{self, Moments, Values};
use super::target::{Products, Target};
use crate::network::{Architecture, INPUT, Layer, Network, Op, Tensor as Plain};
use crate::units::{Grid, Window};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use std::collections::BTreeMap;

/// Part of a batch normalisation's running moments that a new batch replaces (PyTorch's default).
const MOMENTUM: f32 = 0.1;

/// Flat tensors by full name.
pub type Tensors = BTreeMap<String, Tensor<1>>;

/// A network whose tensors live on a device.
pub struct Model {
    architecture: Architecture,
    grids: Vec<Grid>,
    shapes: BTreeMap<String, Vec<usize>>,
    /// What is learnt.
    pub parameters: Tensors,
    /// Running mean and variance of the batch normalisations.
    pub statistics: Tensors,
    device: Device,
    products: Products,
}

/// What a forward pass in training mode gives.
pub struct Pass {
    /// `[image, class]`.
    pub logits: Tensor<2>,
    /// For each batch normalisation, what its batch was like.
    moments: Vec<(String, Moments)>,
}

fn no_gradient(layer: &Layer) -> TrainError {
    TrainError::NoGradient { layer: layer.name.clone() }
}

/// Whether a tensor is kept from batches instead of being learnt.
fn is_statistic(name: &str) -> bool {
    name.ends_with(".running_mean") || name.ends_with(".running_var")
}

impl Model {
    /// Puts a network on a device.
    ///
    /// # Errors
    /// If a layer has no activation without time, and so no gradient.
    pub fn new(network: &Network, target: &Target) -> Result<Self, TrainError> {
        let layers = &network.architecture.layers;
        if let Some(layer) = layers.iter().find(|layer| matches!(layer.op, Op::IntegrateFire)) {
            return Err(no_gradient(layer));
        }
        let device = &target.device;
        let plain = device.clone().inner();
        let (mut parameters, mut statistics) = (Tensors::new(), Tensors::new());
        for (name, tensor) in &network.tensors {
            let data = TensorData::new(tensor.values.clone(), [tensor.values.len()]);
            if is_statistic(name) {
                statistics.insert(name.clone(), Tensor::from_data(data, &plain));
            } else {
                parameters.insert(name.clone(), Tensor::from_data(data, device).require_grad());
            }
        }
        Ok(Self {
            architecture: network.architecture.clone(),
            grids: network.grids.clone(),
            shapes: network.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect(),
            parameters,
            statistics,
            device: device.clone(),
            products: target.products,
        })
    }

    /// The device that gradients are computed on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether a parameter has two or more dimensions, and so decays.
    pub fn is_matrix(&self, name: &str) -> bool {
        self.shapes.get(name).is_some_and(|shape| shape.len() > 1)
    }

    /// The network as it is now.
    #[must_use]
    pub fn network(&self) -> Network {
        let all = self.parameters.iter().chain(&self.statistics);
        let tensors = all.map(|(name, tensor)| {
            let shape = self.shapes.get(name).cloned().unwrap_or_default();
            (name.clone(), Plain { shape, values: values(tensor.clone()) })
        });
        Network { architecture: self.architecture.clone(), tensors: tensors.collect(), grids: self.grids.clone() }
    }

    /// The forward pass with the batch's own moments, for training; `images` are `[image, position, colour]`, normalised.
    ///
    /// # Errors
    /// If a layer has no activation without time.
    pub fn train(&self, images: Values) -> Result<Pass, TrainError> {
        let mut moments = vec![];
        let logits = self.forward(
            images,
            |name| self.parameters[name].clone(),
            |layer, values, epsilon| {
                let own = |part: &str| self.parameters[&format!("{}.{part}", layer.name)].clone();
                let (values, met) = layers::normalise(values, own("weight"), own("bias"), epsilon);
                moments.push((layer.name.clone(), met));
                values
            },
            layers::clip,
        )?;
        Ok(Pass { logits, moments })
    }

    /// Logits with the moments kept from training, without gradients.
    ///
    /// # Errors
    /// If a layer has no activation without time.
    pub fn test(&self, images: Values) -> Result<Tensor<2>, TrainError> {
        let own = |name: &str| self.parameters[name].clone().inner();
        self.forward(
            images.inner(),
            own,
            |layer, values, epsilon| {
                let own = |part: &str| own(&format!("{}.{part}", layer.name));
                let kept = |part: &str| self.statistics[&format!("{}.{part}", layer.name)].clone();
                let of = [own("weight"), own("bias"), kept("running_mean"), kept("running_var")];
                layers::normalise_by(values, of, epsilon)
            },
            layers::clip_only,
        )
    }

    fn forward(
        &self,
        images: Values,
        parameter: impl Fn(&str) -> Tensor<1>,
        mut normalise: impl FnMut(&Layer, Values, f32) -> Values,
        clip: impl Fn(Values, Tensor<1>, Option<u32>) -> Values,
    ) -> Result<Tensor<2>, TrainError> {
        let mut last = images.clone();
        let mut results: BTreeMap<&str, (Values, Grid)> = BTreeMap::new();
        results.insert(INPUT, (images, self.architecture.input.grid()));
        for (layer, grid) in self.architecture.layers.iter().zip(&self.grids) {
            let own = |part: &str| parameter(&format!("{}.{part}", layer.name));
            let operand = |at: usize| results[layer.from[at].as_str()].0.clone();
            let first_grid = layer.from.first().map_or(*grid, |from| results[from.as_str()].1);
            let biased =
                |values: Values, bias: bool| if bias { values + layers::per_channel(own("bias")) } else { values };
            let values = match layer.op {
                Op::Conv { out_channels, kernel, stride, padding, groups, bias } => {
                    let sizes = (out_channels as usize, groups as usize);
                    let window = square(kernel, stride, padding);
                    biased(layers::convolve(operand(0), first_grid, own("weight"), sizes, window, self.products), bias)
                }
                Op::Linear { out_features, bias } => {
                    biased(layers::linear(operand(0), own("weight"), out_features as usize, self.products), bias)
                }
                Op::BatchNorm { epsilon } => normalise(layer, operand(0), epsilon),
                Op::Qcfs { levels } => clip(operand(0), own("up"), Some(levels)),
                Op::ClippedRelu => clip(operand(0), own("up"), None),
                Op::MaxPool { kernel, stride, padding } => {
                    layers::max_pool(operand(0), first_grid, square(kernel, stride, padding))
                }
                Op::AvgPool { kernel, stride, padding } => {
                    layers::avg_pool(operand(0), first_grid, square(kernel, stride, padding))
                }
                Op::Add => (1..layer.from.len()).fold(operand(0), |sum, at| sum + operand(at)),
                Op::Attention { heads, scale, axis } => {
                    let operands = [operand(0), operand(1), operand(2)];
                    layers::attention(operands, heads as usize, scale, axis, self.products)
                }
                Op::Mean => operand(0).mean_dim(1),
                Op::Flatten => layers::flatten(operand(0)),
                Op::Bias { .. } => layers::current(own("bias"), *grid, last.dims()[0]),
                Op::IntegrateFire => return Err(no_gradient(layer)),
            };
            last = values.clone();
            results.insert(&layer.name, (values, *grid));
        }
        let [images, positions, classes] = last.dims();
        Ok(last.reshape([images, positions * classes]))
    }

    /// The gradients of all parameters; one of zeros where the loss does not depend on one.
    pub fn gradients(&self, mut found: Gradients) -> Tensors {
        let of = |(name, parameter): (&String, &Tensor<1>)| {
            let gradient = parameter.grad_remove(&mut found).unwrap_or_else(|| parameter.clone().inner().zeros_like());
            (name.clone(), gradient)
        };
        self.parameters.iter().map(of).collect()
    }

    /// Lets the running moments follow those of a batch: the variance is that of the population that the batch was drawn from.
    pub fn keep(&mut self, pass: &Pass) {
        for (layer, met) in &pass.moments {
            let unbiased = met.count as f32 / (met.count.max(2) - 1) as f32;
            let found =
                [("running_mean", met.mean.clone()), ("running_var", met.variance.clone().mul_scalar(unbiased))];
            for (part, value) in found {
                if let Some(kept) = self.statistics.get_mut(&format!("{layer}.{part}")) {
                    *kept = kept.clone().mul_scalar(1.0 - MOMENTUM) + value.mul_scalar(MOMENTUM);
                }
            }
        }
    }
}

fn square(kernel: u32, stride: u32, padding: u32) -> Window {
    Window { height: kernel, width: kernel, stride, padding }
}

/// The values of a flat tensor.
pub fn values(tensor: Tensor<1>) -> Vec<f32> {
    // a tensor of this project holds 32-bit floats on a device that can be read; anything else is a fault of the library
    tensor.try_into_vec_as::<f32>().unwrap_or_else(|error| panic!("a tensor that cannot be read: {error}"))
}
