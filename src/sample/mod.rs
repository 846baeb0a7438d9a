//! The embedded default: a small vision transformer with every kind of stage, trained on handwritten-looking digits that are
//! drawn from a seed, and pictures to test it with.
//!
//! Beside it, for whoever needs any network of this kind and no answers: one with seeded weights, and pictures of shapes.

mod digits;
mod draw;
mod glyphs;
mod weights;

use crate::images::Images;
use crate::load::{self, reference::Transformer};
use crate::network::{Network, SoftmaxAxis};
use crate::units::Grid;

/// Seed of the embedded default.
pub const SEED: u64 = 0x5eed;

/// Rows and columns of a generated image.
pub const SIZE: u32 = 16;

/// Pictures that are part of this program.
pub const EMBEDDED_PICTURES: i64 = 300;

/// Test pictures of the embedded default's training.
pub const TEST_PICTURES: usize = 2000;

pub use digits::digits;
pub use weights::tensors;

/// The trained network and its test pictures, as `traces/README.md` says how to make them again.
const TRAINED: (&str, &[u8]) = ("traces/digits.safetensors", include_bytes!("../../traces/digits.safetensors"));
const TEST: (&str, &[u8]) = ("traces/digits-test.bin", include_bytes!("../../traces/digits-test.bin"));

/// The embedded network: width 64, two heads, two blocks, L = 4, trained on [`digits`].
///
/// # Errors
/// None in practice: the file was written by this program.
pub fn trained() -> Result<Network, load::LoadError> {
    load::embedded_network(TRAINED.0, TRAINED.1)
}

/// The first of the pictures that the embedded network was tested with; none of them was trained on.
///
/// # Errors
/// None in practice: the file was written by this program.
pub fn test_pictures() -> Result<Images, load::LoadError> {
    let grid = Grid { height: SIZE, width: SIZE, channels: 3 };
    load::cifar_records(TEST.0, TEST.1, grid, 10)
}

/// A network with seeded weights: width 32, one head, one block, L = 4, seeded weights.
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
