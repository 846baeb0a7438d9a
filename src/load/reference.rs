//! The reference network, a spiking transformer for small images, as a list of layers with the names of its published code.

use super::fault::Fault;
use crate::network::{Architecture, INPUT, Input, Layer, Op, SoftmaxAxis, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The reference transformer in short form; what a file leaves out is as in the published network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transformer {
    /// Name of the network in reports.
    pub name: String,
    /// The images that it takes.
    pub input: Input,
    /// D, channels of a token; the patch embedding grows through D/8, D/4 and D/2.
    pub dim: u32,
    /// Number of attention heads.
    pub heads: u32,
    /// Number of transformer blocks.
    pub depth: u32,
    /// Hidden width of an MLP as a multiple of `dim`.
    pub mlp_ratio: u32,
    /// L, the levels of every activation.
    pub levels: u32,
    /// Number of logits.
    pub classes: u32,
    /// After which of the four convolutions a 3×3 pool with stride 2 follows.
    pub max_pool: (bool, bool, bool, bool),
    /// Whether the pools take the mean, the padding counted as zeros, instead of the maximum.
    pub average: bool,
    /// The index that attention normalises over.
    pub softmax_axis: SoftmaxAxis,
    /// Factor on the scores.
    pub scale: f32,
    /// Added to the variances of the batch normalisations.
    pub epsilon: f32,
}

impl Default for Transformer {
    /// The published network for CIFAR-10.
    fn default() -> Self {
        Self {
            name: "spiking transformer".to_string(),
            input: Input {
                height: 32,
                width: 32,
                channels: 3,
                mean: vec![0.4914, 0.4822, 0.4465],
                std: vec![0.2023, 0.1994, 0.2010],
            },
            dim: 384,
            heads: 12,
            depth: 4,
            mlp_ratio: 4,
            levels: 4,
            classes: 10,
            max_pool: (false, false, true, true),
            average: false,
            softmax_axis: SoftmaxAxis::Queries,
            scale: 0.125,
            epsilon: 1e-5,
        }
    }
}

/// Channels of a head in the published networks.
const HEAD_WIDTH: u32 = 32;
/// Largest value of any size in the short form: far above every network, and safe to multiply.
const MAX_SIZE: u32 = 1 << 15;

impl Transformer {
    /// Whether the tensors have the names of the published code.
    pub fn names(tensors: &BTreeMap<String, Tensor>) -> bool {
        tensors.keys().any(|name| name.starts_with("patch_embed."))
    }

    /// Sizes of the network whose tensors these are; a tensor that is missing leaves its size as published.
    #[must_use]
    pub fn of(name: &str, tensors: &BTreeMap<String, Tensor>) -> Self {
        let published = Self::default();
        let size = |tensor: &str, dimension: usize| {
            let length = *tensors.get(tensor)?.shape.get(dimension)?;
            u32::try_from(length).ok().filter(|length| (1..=MAX_SIZE).contains(length))
        };
        let dim = size("patch_embed.proj_conv3.weight", 0).or(size("head.weight", 1)).unwrap_or(published.dim);
        let hidden = size("block.0.mlp.fc1_linear.weight", 0).unwrap_or(published.mlp_ratio * dim);
        let has_block = |depth: &u32| tensors.keys().any(|name| name.starts_with(&format!("block.{depth}.")));
        Self {
            name: name.to_string(),
            dim,
            heads: (dim / HEAD_WIDTH).max(1),
            depth: (0..MAX_SIZE).take_while(has_block).count() as u32,
            mlp_ratio: (hidden / dim).max(1),
            classes: size("head.weight", 0).or(size("head.bias", 0)).unwrap_or(published.classes),
            ..published
        }
    }

    /// What is wrong with the sizes, each by its key.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, Fault)> {
        let sizes = [
            ("dim", self.dim),
            ("heads", self.heads),
            ("depth", self.depth),
            ("mlp_ratio", self.mlp_ratio),
            ("levels", self.levels),
            ("classes", self.classes),
        ];
        let mut faults: Vec<_> = sizes
            .into_iter()
            .filter(|(_, size)| !(1..=MAX_SIZE).contains(size))
            .map(|(key, size)| (key, Fault::new(format!("{key} is {size}"), format!("give one from 1 to {MAX_SIZE}"))))
            .collect();
        if !self.dim.is_multiple_of(8) {
            let what = format!("dim is {}, and the patch embedding begins with an eighth of it", self.dim);
            faults.push(("dim", Fault::new(what, "give a multiple of 8")));
        }
        faults
    }

    /// The network as a list of layers; their names are the prefixes of their tensors.
    #[must_use]
    pub fn layers(&self) -> Architecture {
        let mut list = List { layers: vec![], levels: self.levels, epsilon: self.epsilon };
        let tokens = self.embedding(&mut list);
        let tokens = (0..self.depth).fold(tokens, |tokens, at| self.block(&mut list, &format!("block.{at}"), &tokens));
        let mean = list.push("mean", &[&tokens], Op::Mean);
        list.push("head", &[&mean], Op::Linear { out_features: self.classes, bias: true });
        Architecture { name: self.name.clone(), input: self.input.clone(), layers: list.layers }
    }

    fn embedding(&self, list: &mut List) -> String {
        let pools = [self.max_pool.0, self.max_pool.1, self.max_pool.2, self.max_pool.3];
        let mut last = INPUT.to_string();
        for ((suffix, divisor), pool) in [("", 8), ("1", 4), ("2", 2), ("3", 1)].into_iter().zip(pools) {
            last = list.activated("patch_embed.proj", ("conv", suffix), &last, conv(self.dim / divisor));
            if pool {
                let (kind, pool) = if self.average {
                    ("avgpool", Op::AvgPool { kernel: 3, stride: 2, padding: 1 })
                } else {
                    ("maxpool", Op::MaxPool { kernel: 3, stride: 2, padding: 1 })
                };
                last = list.push(&format!("patch_embed.{kind}{suffix}"), &[&last], pool);
            }
        }
        let position = list.activated("patch_embed.rpe", ("conv", ""), &last, conv(self.dim));
        list.push("patch_embed.add", &[&last, &position], Op::Add)
    }

    fn block(&self, list: &mut List, prefix: &str, tokens: &str) -> String {
        let linear = |out_features| Op::Linear { out_features, bias: true };
        let [queries, keys, values] = ["q", "k", "v"]
            .map(|name| list.activated(&format!("{prefix}.attn.{name}"), ("linear", ""), tokens, linear(self.dim)));
        let attention = Op::Attention { heads: self.heads, scale: self.scale, axis: self.softmax_axis };
        let context = list.push(&format!("{prefix}.attn.attention"), &[&queries, &keys, &values], attention);
        let attended = list.activated(&format!("{prefix}.attn.proj"), ("linear", ""), &context, linear(self.dim));
        let tokens = list.push(&format!("{prefix}.add1"), &[tokens, &attended], Op::Add);
        let hidden = linear(self.mlp_ratio * self.dim);
        let hidden = list.activated(&format!("{prefix}.mlp.fc1"), ("linear", ""), &tokens, hidden);
        let mixed = list.activated(&format!("{prefix}.mlp.fc2"), ("linear", ""), &hidden, linear(self.dim));
        list.push(&format!("{prefix}.add2"), &[&tokens, &mixed], Op::Add)
    }
}

fn conv(out_channels: u32) -> Op {
    Op::Conv { out_channels, kernel: 3, stride: 1, padding: 1, groups: 1, bias: false }
}

/// A list of layers under construction.
struct List {
    layers: Vec<Layer>,
    levels: u32,
    epsilon: f32,
}

impl List {
    /// Appends a layer and gives its name.
    fn push(&mut self, name: &str, from: &[&str], op: Op) -> String {
        let from = from.iter().map(ToString::to_string).collect();
        self.layers.push(Layer { name: name.to_string(), from, op });
        name.to_string()
    }

    /// Appends a linear map, its batch normalisation and its activation: `prefix_{map, bn, relu}suffix`.
    fn activated(&mut self, prefix: &str, (map, suffix): (&str, &str), from: &str, op: Op) -> String {
        let (levels, epsilon) = (self.levels, self.epsilon);
        let mapped = self.push(&format!("{prefix}_{map}{suffix}"), &[from], op);
        let normalised = self.push(&format!("{prefix}_bn{suffix}"), &[&mapped], Op::BatchNorm { epsilon });
        self.push(&format!("{prefix}_relu{suffix}"), &[&normalised], Op::Qcfs { levels })
    }
}
