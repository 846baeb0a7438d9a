//! Training: a network and images → a network that classifies them.
//!
//! The network is trained as it will run: quantised activations with learnt λ, batch normalisation in training mode, AdamW. A run is
//! a function of its experiment and its images: order and augmentation of each epoch come from streams of their own, so that
//! a run that was stopped at any step and taken up again ends with the same weights as one that was not.

mod augment;
mod layers;
mod learner;
mod model;
mod optimiser;
mod pixels;
mod policy;
mod run;
mod start;
mod target;

pub use augment::{Augmentation, plain, training};
pub use learner::{Batch, Found, Learner, Score};
pub use model::Model;
pub use optimiser::{AdamW, Schedule};
pub use run::{Observer, Report, Run};
pub use start::weights;
pub use target::{Products, Target, target};

/// Why training stopped, or did not start.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// A layer that cannot be differentiated.
    #[error("layer `{layer}` has no activation without time, and so no gradient; train with `Qcfs` and convert")]
    NoGradient {
        /// The layer.
        layer: String,
    },
    /// The loss is infinite or not a number.
    #[error(
        "the loss of step {step} is not a number (learning rate {rate:.3e}); the checkpoints before it are good: \
         go on from the best one with a smaller `lr` or a `clip_gradient`"
    )]
    LossIsNoNumber {
        /// The step, from 1.
        step: u64,
        /// Its learning rate.
        rate: f64,
    },
    /// The images do not fit the network.
    #[error("{what}; {remedy}")]
    Data {
        /// What came, and what is wanted.
        what: String,
        /// What would put it right.
        remedy: String,
    },
    /// Mixed precision on a device that has none.
    #[error("this device has no 16-bit floats (bfloat16), which mixed precision needs; set `use_amp: false`")]
    NoMixedPrecision,
    /// No graphics processor to compute on.
    #[error("device is `gpu`, and there is none: {0}; or set `device: cpu`")]
    NoGpu(String),
    /// What an observer could not do, such as writing a checkpoint.
    #[error("{0}")]
    Observer(String),
}
