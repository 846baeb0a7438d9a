//! Checkpoints of PyTorch (`.pt`, `.pth`): a ZIP archive of a pickle and the numbers of each storage.

use super::fault::{Fault, LoadError};
use super::file::Source;
use super::pickle::{Pickle, Value};
use super::tensors::{Convert, floats_from};
use super::zip;
use crate::network::Tensor;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// Most bytes of the pickle itself.
const MAX_PICKLE: u64 = 256 << 20;
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
    let mut source = Source::open(path)?;
    let files = zip::directory(&mut source)?;
    let Some((name, place)) = files.iter().find(|(name, _)| *name == "data.pkl" || name.ends_with("/data.pkl")) else {
        return Err(source.fault("is a ZIP archive without `data.pkl`", "save it again with `torch.save`"));
    };
    let folder = name.trim_end_matches("data.pkl").to_string();
    if place.end - place.start > MAX_PICKLE {
        return Err(source.fault("holds a pickle that is too large", "save its `model` entry alone"));
    }
    let bytes = source.bytes(place.start, place.end - place.start)?;
    let pickle = Pickle::read(&bytes).map_err(|what| {
        source.fault(
            &what,
            "save its `model` entry alone, `torch.save({'model': model.state_dict()}, …)`, or as safetensors",
        )
    })?;
    let place = PLACES.iter().find_map(|place| pickle.get(pickle.top(), place)).unwrap_or(pickle.top());
    let described: Vec<(&str, &Value)> =
        pickle.entries(place).filter(|(_, value)| matches!(value, Value::Tensor { .. })).collect();
    if described.is_empty() {
        return Err(source.fault("holds no dictionary of tensors", "save `model.state_dict()`"));
    }
    let prefix = if described.iter().all(|(name, _)| name.starts_with(PARALLEL)) { PARALLEL } else { "" };
    let (mut tensors, mut faults) = (BTreeMap::new(), vec![]);
    for (name, value) in described {
        let name = name.strip_prefix(prefix).unwrap_or(name);
        if !wanted(name) {
            continue;
        }
        match tensor(&mut source, &files, &folder, value)? {
            Ok(tensor) => drop(tensors.insert(name.to_string(), tensor)),
            Err(what) => faults.push(Fault::new(format!("tensor `{name}` {what}"), "export it as contiguous floats")),
        }
    }
    if faults.is_empty() { Ok(tensors) } else { Err(LoadError { file: source.name, faults }) }
}

/// The numbers of one tensor, in the order of its shape; or what is wrong with it.
fn tensor(
    source: &mut Source,
    files: &BTreeMap<String, Range<u64>>,
    folder: &str,
    value: &Value,
) -> Result<Result<Tensor, String>, LoadError> {
    let Value::Tensor { dtype, key, offset, shape, strides } = value else {
        return Ok(Err("is no tensor".to_string()));
    };
    let Some((width, convert)) = floats_of(dtype) else {
        return Ok(Err(format!("holds {dtype}, where floats are wanted")));
    };
    let Some(place) = files.get(&format!("{folder}data/{key}")) else {
        return Ok(Err(format!("lies in `data/{key}`, which the archive does not have")));
    };
    let held = ((place.end - place.start) / width) as usize;
    let Some(places) = places(shape, strides, *offset, held) else {
        return Ok(Err(format!("has shape {shape:?}, which does not fit the {held} numbers of its storage")));
    };
    let stored = convert(&source.bytes(place.start, held as u64 * width)?);
    Ok(Ok(Tensor { shape: shape.clone(), values: places.map(|at| stored[at]).collect() }))
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
fn floats_of(dtype: &str) -> Option<(u64, Convert)> {
    match dtype {
        "FloatStorage" => Some((4, floats_from(safetensors::Dtype::F32)?)),
        "DoubleStorage" => Some((8, floats_from(safetensors::Dtype::F64)?)),
        "HalfStorage" => Some((2, floats_from(safetensors::Dtype::F16)?)),
        "BFloat16Storage" => Some((2, floats_from(safetensors::Dtype::BF16)?)),
        _ => None,
    }
}
