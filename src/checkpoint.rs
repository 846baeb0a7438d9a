//! A training run as it stands: what is needed to go on with it as if it had never stopped.

use crate::experiment::Experiment;
use crate::network::Network;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Key of a checkpoint's header under which [`Standing`] stands, in RON.
pub const STANDING_KEY: &str = "spikemesh.training";
/// Prefixes of the optimiser's tensors in a checkpoint: means of gradients, and of their squares.
pub const MOMENT_KEYS: [&str; 2] = ["optimiser.mean.", "optimiser.square."];

/// A run that can be taken up again.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// How far it has come.
    pub standing: Standing,
    /// The network as it is now.
    pub network: Network,
    /// For each parameter, the optimiser's means of its gradients and of their squares, flat.
    pub moments: BTreeMap<String, [Vec<f32>; 2]>,
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// What is being run.
    pub experiment: Experiment,
    /// Steps done.
    pub step: u64,
    /// Sum of the losses of the present epoch, image by image.
    pub loss_sum: f64,
    /// Training images of the present epoch that were classified rightly.
    pub correct: u64,
    /// Best top-1 on the test images so far, in percent.
    pub best: f64,
    /// The epochs done.
    pub epochs: Vec<Epoch>,
}

/// One line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Number, from 1.
    pub epoch: u64,
    /// Steps done at its end.
    pub step: u64,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Mean loss of its training images as they were met.
    pub train_loss: f64,
    /// Top-1 on them, in percent.
    pub train_top1: f64,
    /// Mean cross-entropy of the test images at its end.
    pub test_loss: f64,
    /// Top-1 on them, in percent.
    pub test_top1: f64,
}

impl Standing {
    /// A run before its first step.
    #[must_use]
    pub fn new(experiment: Experiment) -> Self {
        Self { experiment, step: 0, loss_sum: 0.0, correct: 0, best: 0.0, epochs: vec![] }
    }
}
