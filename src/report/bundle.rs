//! Network bundles: tensors and layer list in one safetensors file.

use super::file::{WriteError, make, write};
use crate::images::Images;
use crate::network::{BUNDLE_KEY, Network};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;

/// Writes a network as one `.safetensors` file whose header holds its layer list.
///
/// # Errors
/// If the file cannot be written.
pub fn write_bundle(path: &Path, network: &Network) -> Result<(), WriteError> {
    let failed = |error: &dyn ToString| WriteError::new(path, error.to_string());
    let layers = ron::to_string(&network.architecture).map_err(|error| failed(&error))?;
    let bytes: Vec<Vec<u8>> = network
        .tensors
        .values()
        .map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = network.tensors.iter().zip(&bytes).map(|((name, tensor), bytes)| {
        TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
    let metadata = [(BUNDLE_KEY.to_string(), layers)].into_iter().collect();
    let file = safetensors::serialize(views, Some(metadata)).map_err(|error| failed(&error))?;
    write(path, &file)
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
