//! Checkpoints of training runs: a network bundle with the optimiser's tensors beside it.

use super::assemble::assemble;
use super::fault::{Fault, LoadError};
use super::tensors::TensorFile;
use crate::checkpoint::{Checkpoint, MOMENT_KEYS, STANDING_KEY, Standing};
use crate::network::{Architecture, BUNDLE_KEY, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// Reads the checkpoint of a training run.
///
/// # Errors
/// If the file is no checkpoint, or its network or its optimiser is not whole.
pub fn checkpoint(path: &Path) -> Result<Checkpoint, LoadError> {
    let mut file = TensorFile::open(path)?;
    let name = file.name().to_string();
    let (standing, architecture): (Standing, Architecture) = (header(&file, STANDING_KEY)?, header(&file, BUNDLE_KEY)?);
    let mut tensors = file.floats(|_| true)?;
    let mut moments: BTreeMap<String, [Vec<f32>; 2]> = BTreeMap::new();
    for (which, key) in MOMENT_KEYS.into_iter().enumerate() {
        let names: Vec<String> = tensors.keys().filter(|name| name.starts_with(key)).cloned().collect();
        for tensor in names {
            if let (Some(parameter), Some(found)) = (tensor.strip_prefix(key), tensors.remove(&tensor)) {
                moments.entry(parameter.to_string()).or_default()[which] = found.values;
            }
        }
    }
    let faults = moment_faults(&moments, &tensors);
    if !faults.is_empty() {
        return Err(LoadError { file: name, faults });
    }
    let network = assemble(architecture, tensors).map_err(|faults| LoadError { file: name, faults })?;
    Ok(Checkpoint { standing, network, moments })
}

/// Whether a file is the checkpoint of a training run, and not a network by itself.
///
/// # Errors
/// If it is no safetensors file at all.
pub fn is_checkpoint(path: &Path) -> Result<bool, LoadError> {
    Ok(TensorFile::open(path)?.metadata.contains_key(STANDING_KEY))
}

fn header<T: serde::de::DeserializeOwned>(file: &TensorFile, key: &str) -> Result<T, LoadError> {
    let text = file.metadata.get(key).ok_or_else(|| {
        let what = format!("is no checkpoint of a training run: its header has no `{key}`");
        Fault::new(what, "name the `last.safetensors` of a run").of(file.name())
    })?;
    super::ron_text(text).map_err(|fault| {
        Fault::new(format!("`{key}` in its header does not parse: {}", fault.what), "start the run again")
            .of(file.name())
    })
}

/// Moments that do not belong to a parameter, or not to all of it.
fn moment_faults(moments: &BTreeMap<String, [Vec<f32>; 2]>, tensors: &BTreeMap<String, Tensor>) -> Vec<Fault> {
    let wrong = moments.iter().filter(|(name, both)| {
        let length = tensors.get(*name).map(|tensor| tensor.values.len());
        both.iter().any(|values| Some(values.len()) != length)
    });
    wrong
        .map(|(name, _)| {
            Fault::new(format!("the optimiser's values of `{name}` are not as many as its own"), "start the run again")
        })
        .collect()
}
