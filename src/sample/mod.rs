//! The embedded default: a small vision transformer with seeded weights and generated images.
//!
//! It has every kind of stage and shows the whole way on a machine without any data. Its weights are drawn, not trained:
//! its answers mean nothing, its spikes, cycles and energy are real, and so is the check against the integer network.

mod draw;
mod weights;

use crate::images::Images;
use crate::load::{self, reference::Transformer};
use crate::network::{Network, SoftmaxAxis};

/// Seed of the embedded default.
pub const SEED: u64 = 0x5eed;

/// Rows and columns of a generated image.
pub const SIZE: u32 = 16;

pub use weights::tensors;

/// The embedded network: width 32, one head, one block, L = 4, seeded weights.
///
/// # Errors
/// None in practice: the layer list and the tensors are made for each other.
pub fn network(seed: u64) -> Result<Network, load::LoadError> {
    let mut architecture =
        Transformer { dim: 32, heads: 1, depth: 1, softmax_axis: SoftmaxAxis::Queries, ..Transformer::default() }
            .layers();
    architecture.name = "sample-d32-b1".to_string();
    (architecture.input.height, architecture.input.width) = (SIZE, SIZE);
    let tensors = tensors(&architecture, seed);
    let file = architecture.name.clone();
    load::assemble(architecture, tensors).map_err(|faults| load::LoadError { file, faults })
}

/// `count` generated pictures of ten shapes, one after the other.
#[must_use]
pub fn images(seed: u64, count: usize) -> Images {
    draw::images(seed, count)
}

/// SplitMix64 (Steele, Lea and Flood 2014): the stream of numbers behind everything seeded here.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1, in steps of 2^-24: the same on every machine.
    fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Sum of twelve uniforms, centred: near normal, with variance 1 and no transcendental function.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}
