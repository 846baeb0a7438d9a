//! Checkpoints of PyTorch (`.pt`, `.pth`): a ZIP archive of a pickle and the numbers of each storage.

use super::fault::{Fault, LoadError};
use super::file::Source;
use super::pickle::{Pickle, Value};
use super::tensors::{Convert, floats_from};
use super::zip::Archive;
use crate::network::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// The file of an archive that describes the tensors.
const PICKLE: &str = "data.pkl";
/// Entries under which the tensors may lie, in this order; else they are the topmost dictionary itself.
const PLACES: [&str; 4] = ["model", "state_dict", "model_state_dict", "net"];
/// What training on several devices puts before every name.
const PARALLEL: &str = "module.";

/// Whether a file begins like a ZIP archive.
pub fn is_archive(source: &mut Source) -> Result<bool, LoadError> {
    Ok(source.bytes(0, source.length.min(4))? == b"PK\x03\x04")
}

/// The tensors of a checkpoint that `wanted` names, as 32-bit floats.
///
/// # Errors
/// If it is no such archive, asks for anything but data, or a tensor does not fit its storage or holds no floats.
pub fn tensors(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Tensor>, LoadError> {
    let source = Source::open(path)?;
    let file = source.name.clone();
    let fault = |what: &str, remedy: &str| Fault::new(what, remedy).of(&file);
    let mut archive =
        Archive::open(source, "checkpoint of PyTorch", "save it again with `torch.save`, or copy it again")?;
    let name = archive.names.iter().find(|name| *name == PICKLE || name.ends_with("/data.pkl")).cloned();
    let Some(name) = name else {
        return Err(fault("is a ZIP archive without `data.pkl`", "save it again with `torch.save`"));
    };
    let folder = name.trim_end_matches(PICKLE).to_string();
    let pickle = archive.bytes(&name).map_err(|what| format!("holds a pickle that {what}"));
    let pickle = pickle.and_then(|bytes| Pickle::read(&bytes)).map_err(|what| {
        let remedy = "save its `model` entry alone, `torch.save({'model': model.state_dict()}, …)`, or as safetensors";
        fault(&what, remedy)
    })?;
    let place = PLACES.iter().find_map(|place| pickle.get(pickle.top(), place)).unwrap_or(pickle.top());
    let described: Vec<(&str, &Value)> =
        pickle.entries(place).filter(|(_, value)| matches!(value, Value::Tensor { .. })).collect();
    if described.is_empty() {
        return Err(fault("holds no dictionary of tensors", "save `model.state_dict()`"));
    }
    let prefix = if described.iter().all(|(name, _)| name.starts_with(PARALLEL)) { PARALLEL } else { "" };
    let (mut tensors, mut faults) = (BTreeMap::new(), vec![]);
    for (name, value) in described {
        let name = name.strip_prefix(prefix).unwrap_or(name);
        if !wanted(name) {
            continue;
        }
        match tensor(&mut archive, &folder, value) {
            Ok(tensor) => drop(tensors.insert(name.to_string(), tensor)),
            Err(what) => faults.push(Fault::new(format!("tensor `{name}` {what}"), "export it as contiguous floats")),
        }
    }
    if faults.is_empty() { Ok(tensors) } else { Err(LoadError { file, faults }) }
}

/// The numbers of one tensor, in the order of its shape; or what is wrong with it.
fn tensor(archive: &mut Archive, folder: &str, value: &Value) -> Result<Tensor, String> {
    let Value::Tensor { dtype, key, offset, shape, strides } = value else {
        return Err("is no tensor".to_string());
    };
    let (width, convert) = floats_of(dtype).ok_or_else(|| format!("holds {dtype}, where floats are wanted"))?;
    let name = format!("{folder}data/{key}");
    if !archive.names.contains(&name) {
        return Err(format!("lies in `data/{key}`, which the archive does not have"));
    }
    let mut bytes = archive.bytes(&name).map_err(|what| format!("lies in `data/{key}`, which {what}"))?;
    let held = bytes.len() / width;
    bytes.truncate(held * width);
    let Some(places) = places(shape, strides, *offset, held) else {
        return Err(format!("has shape {shape:?}, which does not fit the {held} numbers of its storage"));
    };
    let stored = convert(&bytes);
    Ok(Tensor { shape: shape.clone(), values: places.map(|at| stored[at]).collect() })
}

/// Where the numbers of a tensor lie in its storage, in the order of its shape; none where they lie outside.
fn places(shape: &[usize], strides: &[usize], offset: usize, held: usize) -> Option<impl Iterator<Item = usize>> {
    if shape.len() != strides.len() {
        return None;
    }
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size))?;
    let reach = shape
        .iter()
        .zip(strides)
        .try_fold(offset, |reach, (&size, &stride)| reach.checked_add(size.saturating_sub(1).checked_mul(stride)?))?;
    // a storage may be shown more than once, but never more often than it holds numbers
    if count > held || (count > 0 && reach >= held) {
        return None;
    }
    let (shape, strides) = (shape.to_vec(), strides.to_vec());
    Some((0..count).map(move |index| {
        let along = shape.iter().zip(&strides).rev();
        along.fold((index, offset), |(rest, at), (&size, &stride)| (rest / size, at + rest % size * stride)).1
    }))
}

/// Bytes of a number of a storage, and how they become floats.
fn floats_of(dtype: &str) -> Option<(usize, Convert)> {
    match dtype {
        "FloatStorage" => Some((4, floats_from(safetensors::Dtype::F32)?)),
        "DoubleStorage" => Some((8, floats_from(safetensors::Dtype::F64)?)),
        "HalfStorage" => Some((2, floats_from(safetensors::Dtype::F16)?)),
        "BFloat16Storage" => Some((2, floats_from(safetensors::Dtype::BF16)?)),
        _ => None,
    }
}
