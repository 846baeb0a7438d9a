//! An experiment with a network: what to train or test, on which data, with every knob of the published code under its own name.

use crate::network::SoftmaxAxis;
use serde::{Deserialize, Serialize};

/// Every knob. What a file leaves out is as in the published CIFAR-10 experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Experiment {
    /// Train a network or test one.
    pub action: Action,
    /// Test it as the trained network or as the spiking one.
    pub mode: Mode,
    /// L, quantisation levels of every activation.
    pub l: u32,
    /// T, time steps in which the image is injected (test, `mode: snn`).
    pub t: u32,
    /// Settle steps after T (test, `mode: snn`).
    pub extra_t: u32,
    /// Images of a batch.
    pub bs: u32,
    /// Largest learning rate.
    pub lr: f32,
    /// Weight decay of AdamW, on weights of two or more dimensions.
    pub wd: f32,
    /// Passes over the training images.
    pub epochs: u32,
    /// Name of the run, and of the network that it gives.
    pub id: String,
    /// Seed of weights, order and augmentation.
    pub seed: u64,
    /// The data: a folder, archive or file (see `load::data`), or `digits:N`, N pictures drawn by this project.
    pub data: String,
    /// D, channels of a token.
    pub dim: u32,
    /// Number of attention heads.
    pub num_heads: u32,
    /// Pixels, in rows and in columns, that become one token: 1, 2, 4, 8 or 16, through as many pools as it has twos.
    pub patch_size: u32,
    /// Hidden width of an MLP as a multiple of `dim`.
    pub mlp_ratio: u32,
    /// Whether checkpoints are written.
    pub save: bool,
    /// Top-1, in percent, that a network must exceed to be kept as the best.
    pub save_acc: f32,
    /// The network to test, or whose weights training starts from.
    pub model_path: Option<String>,
    /// Go on with the run that the output folder holds.
    pub inherit: bool,
    /// Max-pools (true) or average-pools (false) in the patch embedding.
    pub use_maxpool: bool,
    /// Mixed precision: products in floats of 16 bits, all else in 32.
    pub use_amp: bool,

    /// What training computes on.
    pub device: Processor,
    /// Number of transformer blocks.
    pub depth: u32,
    /// The index that attention normalises over.
    pub softmax_axis: SoftmaxAxis,
    /// λ that every activation starts from.
    pub lambda: f32,
    /// An architecture file instead of the reference transformer; its sizes then replace those above.
    pub arch: Option<String>,
    /// Part of the label that is spread over all classes.
    pub label_smoothing: f32,
    /// Steps over which the learning rate rises; a tenth of all steps, at most 500, where left out.
    pub warm_up_steps: Option<u32>,
    /// Largest norm of all gradients together; 0 for no limit.
    pub clip_gradient: f32,
    /// Zeros around a training image out of which it is cropped again.
    pub crop_padding: u32,
    /// Whether half of the training images are mirrored.
    pub flip: bool,
    /// Rows and columns of the square that is cut out of a training image; 0 for none.
    pub cutout: u32,
    /// Whether the 25 policies that AutoAugment found for CIFAR-10 are applied (Cubuk et al., CVPR 2019).
    pub auto_augment: bool,
    /// Minutes after which the run stops as if it were interrupted; none where left out.
    pub minutes: Option<f32>,
    /// Steps, counted from the first of the run, after which it stops as if it were interrupted; none where left out.
    pub steps: Option<u32>,
    /// Whether time steps follow the published code or the exact semantics (test, `mode: snn`).
    pub semantics: Semantics,
}

/// What an experiment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Train a network.
    Train,
    /// Test a network.
    Test,
}

/// As what a network is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The trained network in floats.
    Ann,
    /// The spiking network.
    Snn,
}

/// What training computes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Processor {
    /// The processor of the machine: the same bits on every one.
    Cpu,
    /// A graphics processor, in a build for it.
    Gpu,
}

/// The rules of a spiking test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Semantics {
    /// Equal to the integer network at silence.
    Exact,
    /// As the published code.
    Reference,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            action: Action::Train,
            mode: Mode::Ann,
            l: 4,
            t: 4,
            extra_t: 0,
            bs: 128,
            lr: 2e-3,
            wd: 0.05,
            epochs: 200,
            id: "run".to_string(),
            seed: 42,
            data: ".".to_string(),
            dim: 384,
            num_heads: 12,
            patch_size: 4,
            mlp_ratio: 4,
            save: true,
            save_acc: 0.0,
            model_path: None,
            inherit: false,
            use_maxpool: true,
            use_amp: false,
            device: Processor::Cpu,
            depth: 4,
            softmax_axis: SoftmaxAxis::Queries,
            lambda: 4.0,
            arch: None,
            label_smoothing: 0.1,
            warm_up_steps: None,
            clip_gradient: 1.0,
            crop_padding: 4,
            flip: true,
            cutout: 16,
            auto_augment: true,
            minutes: None,
            steps: None,
            semantics: Semantics::Exact,
        }
    }
}

/// Most classes, levels, steps and sizes that any knob may ask for: far above every network, and safe to multiply.
const MAX_SIZE: u32 = 1 << 15;

impl Experiment {
    /// What is wrong with the knobs: each by its key, as what came and what is wanted.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String, String)> {
        let sizes = [
            ("l", self.l),
            ("t", self.t),
            ("bs", self.bs),
            ("epochs", self.epochs),
            ("dim", self.dim),
            ("num_heads", self.num_heads),
            ("mlp_ratio", self.mlp_ratio),
            ("depth", self.depth),
        ];
        let wrong_size = sizes.into_iter().filter(|(_, size)| !(1..=MAX_SIZE).contains(size));
        let sizes = wrong_size.map(|(key, size)| (key, format!("{key} is {size}"), format!("give 1 to {MAX_SIZE}")));
        let ranges = [
            ("lr", self.lr, 0.0, 10.0),
            ("wd", self.wd, 0.0, 10.0),
            ("label_smoothing", self.label_smoothing, 0.0, 0.99),
            ("clip_gradient", self.clip_gradient, 0.0, 1e9),
            ("save_acc", self.save_acc, 0.0, 100.0),
            ("lambda", self.lambda, 1e-3, 1e3),
        ];
        let outside = ranges.into_iter().filter(|(_, value, low, high)| !(low..=high).contains(&value));
        let ranges =
            outside.map(|(key, value, low, high)| (key, format!("{key} is {value}"), format!("give {low} to {high}")));
        let patch = (!(1..=16).contains(&self.patch_size) || !self.patch_size.is_power_of_two())
            .then(|| ("patch_size", format!("patch_size is {}", self.patch_size), "give 1, 2, 4, 8 or 16".to_string()));
        let dim = (!self.dim.is_multiple_of(8)).then(|| {
            let what = format!("dim is {}, and the patch embedding begins with an eighth of it", self.dim);
            ("dim", what, "give a multiple of 8".to_string())
        });
        sizes.chain(ranges).chain(patch).chain(dim).collect()
    }

    /// Knobs that make `other` another run, as `name is …, where the run has …`: all but those of saving, stopping and testing.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let alike = |of: &Self| Self {
            action: Action::Train,
            mode: Mode::Ann,
            semantics: Semantics::Exact,
            t: 0,
            extra_t: 0,
            save: true,
            save_acc: 0.0,
            inherit: true,
            minutes: None,
            steps: None,
            ..of.clone()
        };
        let (own, other) = (serde_json::to_value(alike(self)), serde_json::to_value(alike(other)));
        let (Ok(serde_json::Value::Object(own)), Ok(serde_json::Value::Object(other))) = (own, other) else {
            return vec![];
        };
        let differing = other.iter().filter(|(key, value)| own.get(*key) != Some(value));
        differing.map(|(key, value)| format!("{key} is {value}, where the run has {}", own[key])).collect()
    }

    /// After which of the four convolutions of the patch embedding a pool follows: the last ones, one for each factor 2 of
    /// `patch_size`.
    #[must_use]
    pub fn pools(&self) -> (bool, bool, bool, bool) {
        let pools = self.patch_size.max(1).ilog2();
        (pools >= 4, pools >= 3, pools >= 2, pools >= 1)
    }
}
