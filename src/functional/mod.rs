//! What is computed, without a clock: the rules of each stage, the spiking run, and the networks it is compared with.

pub mod arithmetic;
pub mod attention;
mod bounds;
mod float_ann;
mod float_snn;
pub mod input;
mod integer_ann;
mod lanes;
pub mod max_pool;
pub mod neuron;
mod packed;
mod population;
mod probe;
mod quantised_ann;
pub mod slice;
pub mod softmax;
mod spiking;
mod sums;
mod values;

pub use attention::Attention;
pub use float_ann::float_ann;
pub use float_snn::{FloatOutcome, FloatSnn};
pub use integer_ann::IntegerAnn;
pub use neuron::NegativeThreshold;
pub use probe::{Probe, probe};
pub use quantised_ann::quantised_ann;
pub use spiking::{Held, Options, Outcome, Settle, Spiking};
pub use sums::Emit;
pub use values::Values;

use crate::images::Images;
use crate::units::Grid;
use rayon::prelude::*;

/// What a spiking run computes, where published code and exactness differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Semantics {
    /// When a neuron takes a spike back.
    pub negative_threshold: NegativeThreshold,
    /// What attention computes with.
    pub attention: Attention,
    /// Whether biases keep flowing after the last drive step.
    pub settle_bias: bool,
}

impl Semantics {
    /// At silence, every value equals that of the quantised network.
    pub const EXACT: Self =
        Self { negative_threshold: NegativeThreshold::Zero, attention: Attention::Accumulated, settle_bias: false };
    /// What the published PyTorch code of the reference network computes.
    pub const REFERENCE: Self =
        Self { negative_threshold: NegativeThreshold::Symmetric, attention: Attention::PerStep, settle_bias: true };
}

/// Why a network cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionalError {
    /// An image for a network that biases alone drive.
    #[error(
        "there is an image of {found} bytes, and the network takes none: biases alone drive it; leave the images out"
    )]
    NoInput {
        /// Bytes of the image.
        found: usize,
    },
    /// An image of another size.
    #[error(
        "the image has {found} bytes, where the network takes {grid}, which is {wanted}; give images of that shape"
    )]
    ImageSize {
        /// Shape of the network's images.
        grid: Grid,
        /// Bytes of such an image.
        wanted: usize,
        /// Bytes of this one.
        found: usize,
    },
    /// Nothing would be injected.
    #[error("T = 0 time steps inject nothing; give at least 1")]
    NoTimeSteps,
    /// A stage that goes on and on.
    #[error(
        "stage `{stage}` still sends after {steps} steps; only the exact semantics fall silent, so give a number of settle steps"
    )]
    Restless {
        /// Name of the stage.
        stage: String,
        /// Steps that were run.
        steps: u32,
    },
    /// Graded spikes beyond 32 bits.
    #[error("the sums of stage `{stage}` may reach {size:e}, beyond 32 bits; use fewer probability bits or time steps")]
    TooLarge {
        /// Name of the stage.
        stage: String,
        /// Largest size of a sum.
        size: u64,
    },
    /// A maximum that moves by more than a spike.
    #[error("the maximum of stage `{stage}` changes by {change} in one step; let it read the single spikes of a stage")]
    Jump {
        /// Name of the stage.
        stage: String,
        /// The change.
        change: i32,
    },
    /// A neuron without an activation.
    #[error("stage `{stage}` has plain neurons, which have no activation without time; only a spiking run knows them")]
    NoActivation {
        /// Name of the stage.
        stage: String,
    },
}

/// Bytes of the largest block that is kept from image to image.
const LARGEST_KEPT: usize = 24 << 20;

/// Runs `each` on every image, on all threads; results in the order of the images.
///
/// # Errors
/// The error of the first image that has one.
pub fn each_image<T: Send, E: Send>(
    images: &Images,
    each: impl Fn(usize, &[u8]) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    // What an image takes is given back after it, and the system's allocator keeps for the next one what is smaller than
    // the largest block that it ever took back: pages that came from the system anew took a tenth of the time.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGEST_KEPT)));
    let results: Vec<_> = (0..images.len()).into_par_iter().map(|index| each(index, images.image(index))).collect();
    results.into_iter().collect()
}
