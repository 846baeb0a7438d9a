//! Network bundles and checkpoints: tensors and layer list in one safetensors file.

use super::file::{WriteError, make, write};
use crate::checkpoint::{Checkpoint, MOMENT_KEYS, STANDING_KEY};
use crate::images::Images;
use crate::network::{BUNDLE_KEY, Network, Tensor};
use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;
use std::path::Path;

/// How the numbers of a bundle are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Floats {
    /// All in 32 bits.
    Whole,
    /// Tensors of two or more dimensions in 16 bits, the others in 32.
    Half,
}

/// Writes a network as one `.safetensors` file whose header holds its layer list.
///
/// # Errors
/// If the file cannot be written.
pub fn write_bundle(path: &Path, network: &Network) -> Result<(), WriteError> {
    let headers = [(BUNDLE_KEY, header(path, &network.architecture)?)];
    write_tensors(path, &network.tensors, &headers, Floats::Whole)
}

/// The same with 16-bit floats for all tensors of two or more dimensions: half the size, and a rounding of 1 in 2,048.
///
/// # Errors
/// If the file cannot be written.
pub fn write_half_bundle(path: &Path, network: &Network) -> Result<(), WriteError> {
    let headers = [(BUNDLE_KEY, header(path, &network.architecture)?)];
    write_tensors(path, &network.tensors, &headers, Floats::Half)
}

/// Writes a run that can be taken up again: a network bundle with the optimiser's tensors in it.
///
/// # Errors
/// If the file cannot be written.
pub fn write_checkpoint(path: &Path, checkpoint: &Checkpoint) -> Result<(), WriteError> {
    let Checkpoint { standing, network, moments } = checkpoint;
    let headers = [(BUNDLE_KEY, header(path, &network.architecture)?), (STANDING_KEY, header(path, standing)?)];
    let mut tensors = network.tensors.clone();
    for (name, both) in moments {
        for (key, values) in MOMENT_KEYS.iter().zip(both) {
            tensors.insert(format!("{key}{name}"), Tensor { shape: vec![values.len()], values: values.clone() });
        }
    }
    write_tensors(path, &tensors, &headers, Floats::Whole)
}

fn header<T: serde::Serialize>(path: &Path, value: &T) -> Result<String, WriteError> {
    ron::to_string(value).map_err(|error| WriteError::new(path, error.to_string()))
}

fn write_tensors(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    headers: &[(&str, String)],
    floats: Floats,
) -> Result<(), WriteError> {
    let failed = |error: &dyn ToString| WriteError::new(path, error.to_string());
    let kept: Vec<(Dtype, Vec<u8>)> = tensors.values().map(|tensor| bytes(tensor, floats)).collect();
    let views = tensors.iter().zip(&kept).map(|((name, tensor), (dtype, bytes))| {
        TensorView::new(*dtype, tensor.shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
    let metadata = headers.iter().map(|(key, text)| (key.to_string(), text.clone())).collect();
    let file = safetensors::serialize(views, Some(metadata)).map_err(|error| failed(&error))?;
    write(path, &file)
}

fn bytes(tensor: &Tensor, floats: Floats) -> (Dtype, Vec<u8>) {
    match floats {
        Floats::Half if tensor.shape.len() > 1 => {
            (Dtype::F16, tensor.values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect())
        }
        Floats::Half | Floats::Whole => {
            (Dtype::F32, tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        }
    }
}

/// Writes labelled images as records like those of CIFAR-10: a byte of label, then colour plane by colour plane.
///
/// # Errors
/// If the file cannot be written.
pub fn write_images(path: &Path, images: &Images) -> Result<(), WriteError> {
    let mut bytes = vec![];
    for (index, &label) in images.labels.iter().enumerate() {
        bytes.push(label as u8);
        let (pixels, channels) = (images.image(index), images.grid.channels as usize);
        (0..channels).for_each(|colour| bytes.extend(pixels.iter().skip(colour).step_by(channels)));
    }
    write(path, &bytes)
}

/// Writes a network and images as `net.safetensors` and `images.bin` into `folder`, which is made where it is missing.
///
/// # Errors
/// Where the folder or a file cannot be written.
pub fn write_sample(folder: &Path, network: &Network, images: &Images) -> Result<(), WriteError> {
    make(folder)?;
    write_bundle(&folder.join("net.safetensors"), network)?;
    write_images(&folder.join("images.bin"), images)
}
