//! Safetensors files: a header of names, types and shapes, then the bytes (format of huggingface.co/docs/safetensors).

use super::fault::{Fault, LoadError};
use super::file::Source;
use crate::network::Tensor;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::BTreeMap;
use std::path::Path;

/// Longest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;
/// Bytes in front of the header: its length.
const LENGTH_BYTES: u64 = 8;
const REMEDY: &str = "write the file again with the safetensors library";

/// An open safetensors file: its header is read and agrees with its length; the tensors are not read yet.
pub struct TensorFile {
    source: Source,
    start: u64,
    /// Free texts of the header.
    pub metadata: BTreeMap<String, String>,
    /// Type, shape and place of each tensor.
    pub infos: BTreeMap<String, TensorInfo>,
}

impl TensorFile {
    /// Opens a file and checks its header against its length, before anything of its size is allocated.
    ///
    /// # Errors
    /// If the file is not there, not a safetensors file, cut off, or contradicts itself.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        Self::new(Source::open(path)?)
    }

    /// The same of a file that is open already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn new(mut source: Source) -> Result<Self, LoadError> {
        let header_length = header_length(&mut source)?;
        let header = source.bytes(LENGTH_BYTES, header_length)?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|error| source.fault(&format!("has a header that is not a list of tensors ({error})"), REMEDY))?;
        let start = LENGTH_BYTES + header_length;
        let (held, promised) = (source.length - start, metadata.data_len() as u64);
        if held != promised {
            let how = if held < promised { "is cut off" } else { "has bytes left over" };
            let what = format!("{how}: its header promises {promised} bytes of tensors, and {held} are there");
            return Err(source.fault(&what, "copy or download it again"));
        }
        let infos = metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        let metadata = metadata.metadata().iter().flatten().map(|(key, text)| (key.clone(), text.clone())).collect();
        Ok(Self { source, start, metadata, infos })
    }

    /// The file as it was named.
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// The bytes of one tensor.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn bytes(&mut self, info: &TensorInfo) -> Result<Vec<u8>, LoadError> {
        let (start, end) = info.data_offsets;
        self.source.bytes(self.start + start as u64, (end - start) as u64)
    }

    /// Every tensor that `wanted` names, as 32-bit floats.
    ///
    /// # Errors
    /// One fault for each tensor that does not hold floats; or if the disk fails.
    pub fn floats(&mut self, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Tensor>, LoadError> {
        let (mut tensors, mut faults) = (BTreeMap::new(), vec![]);
        for (name, info) in self.infos.clone().into_iter().filter(|(name, _)| wanted(name)) {
            match floats_from(info.dtype) {
                Some(convert) => {
                    let values = convert(&self.bytes(&info)?);
                    tensors.insert(name, Tensor { shape: info.shape, values });
                }
                None => faults.push(Fault::new(
                    format!("tensor `{name}` holds {}, where floats (F16, BF16, F32, F64) are wanted", info.dtype),
                    "export it as floats",
                )),
            }
        }
        if faults.is_empty() { Ok(tensors) } else { Err(LoadError { file: self.name().to_string(), faults }) }
    }
}

fn header_length(source: &mut Source) -> Result<u64, LoadError> {
    if source.length < LENGTH_BYTES {
        let what = format!("has {} bytes, too few for a safetensors file", source.length);
        return Err(source.fault(&what, REMEDY));
    }
    let bytes = source.bytes(0, LENGTH_BYTES)?;
    let length = bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    let room = source.length - LENGTH_BYTES;
    if length > MAX_HEADER || length > room {
        let what = format!(
            "claims a header of {length} bytes, where {room} follow and the format allows {MAX_HEADER} at most"
        );
        return Err(source.fault(&what, "check that it is a whole safetensors file"));
    }
    Ok(length)
}

/// How the bytes of numbers become floats.
pub type Convert = fn(&[u8]) -> Vec<f32>;

/// How little-endian bytes of a type become floats; none for types that are not floats.
pub fn floats_from(dtype: Dtype) -> Option<Convert> {
    fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|&chunk| convert(chunk)).collect()
    }
    let conversions: [(Dtype, Convert); 4] = [
        (Dtype::F16, |bytes| each(bytes, |b| half::f16::from_le_bytes(b).to_f32())),
        (Dtype::BF16, |bytes| each(bytes, |b| half::bf16::from_le_bytes(b).to_f32())),
        (Dtype::F32, |bytes| each(bytes, f32::from_le_bytes)),
        (Dtype::F64, |bytes| each(bytes, |b| f64::from_le_bytes(b) as f32)),
    ];
    conversions.into_iter().find(|(of, _)| *of == dtype).map(|(_, convert)| convert)
}
