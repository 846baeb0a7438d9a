//! NumPy archives: a zip file of arrays, each with a header that tells its type and shape (`numpy.lib.format`).

use super::fault::{Fault, LoadError};
use super::file::Source;
use super::origins::permuted;
use super::zip::Archive;
use crate::network::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// First bytes of an array.
const MAGIC: &[u8] = b"\x93NUMPY";
const REMEDY: &str = "write the file again with `numpy.savez`";

/// Every array of an archive as 32-bit floats, by its name without `.npy`.
///
/// # Errors
/// All faults together: entries that are no arrays, types that are no numbers, lengths that contradict shapes, whole
/// numbers that 32-bit floats cannot hold; or the one that keeps the archive from being read at all.
pub fn npz(path: &Path) -> Result<BTreeMap<String, Tensor>, LoadError> {
    let source = Source::open(path)?;
    let file = source.name.clone();
    let mut archive = Archive::open(source, "NumPy archive", REMEDY)?;
    let (mut tensors, mut faults) = (BTreeMap::new(), vec![]);
    for name in archive.names.clone() {
        let array = name.trim_end_matches(".npy").to_string();
        match archive.bytes(&name).and_then(|bytes| tensor(&bytes)) {
            Ok(tensor) => drop(tensors.insert(array, tensor)),
            Err(what) => faults.push(Fault::new(format!("array `{array}` {what}"), REMEDY)),
        }
    }
    if faults.is_empty() { Ok(tensors) } else { Err(LoadError { file, faults }) }
}

/// What the header of an array says.
struct Header<'b> {
    dtype: &'b str,
    columns_first: bool,
    shape: Vec<usize>,
    data: &'b [u8],
}

fn tensor(bytes: &[u8]) -> Result<Tensor, String> {
    let Header { dtype, columns_first, mut shape, data } = header(bytes)?;
    let (width, convert) = numbers(dtype).ok_or_else(|| format!("holds `{dtype}`, where plain numbers are wanted"))?;
    let count = shape.iter().try_fold(1usize, |all, &side| all.checked_mul(side));
    if count.and_then(|count| count.checked_mul(width)) != Some(data.len()) {
        return Err(format!("has {} bytes for shape {shape:?} of `{dtype}`", data.len()));
    }
    let values: Option<Vec<f32>> = data.chunks_exact(width).map(convert).collect();
    let values = values.ok_or("holds whole numbers beyond those of 32-bit floats")?;
    if columns_first {
        shape.reverse();
        let axes: Vec<usize> = (0..shape.len()).rev().collect();
        return Ok(permuted(&Tensor { shape, values }, &axes));
    }
    Ok(Tensor { shape, values })
}

fn header(bytes: &[u8]) -> Result<Header<'_>, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("does not start as an array does")?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or("ends in its header")?;
    let (length, rest) = if major == 1 {
        let (length, rest) = rest.split_first_chunk::<2>().ok_or("ends in its header")?;
        (usize::from(u16::from_le_bytes(*length)), rest)
    } else {
        let (length, rest) = rest.split_first_chunk::<4>().ok_or("ends in its header")?;
        (u32::from_le_bytes(*length) as usize, rest)
    };
    let (text, data) = rest.split_at_checked(length).ok_or("ends in its header")?;
    let text = std::str::from_utf8(text).map_err(|_| "has a header that is no text")?;
    let field = |key: &str| text.split_once(&format!("'{key}':")).map(|(_, value)| value.trim_start());
    let (dtype, order, shape) = field("descr")
        .zip(field("fortran_order"))
        .zip(field("shape"))
        .map(|((dtype, order), shape)| (dtype, order, shape))
        .ok_or("has a header without type, order and shape")?;
    let dtype = dtype.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).map_or("a record", |(dtype, _)| dtype);
    let sides = shape.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or("has no shape")?.0;
    let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
    let shape = sides.map(|side| side.parse().map_err(|_| format!("has side `{side}`"))).collect::<Result<_, _>>()?;
    Ok(Header { dtype, columns_first: order.starts_with("True"), shape, data })
}

/// Bytes of a little-endian number and how they become a float; none where a float does not hold a whole number.
type Numbers = (usize, fn(&[u8]) -> Option<f32>);

/// How numbers of a type are read; none for types that are no numbers, or big-endian.
fn numbers(dtype: &str) -> Option<Numbers> {
    macro_rules! of {
        ($type:ty, $value:ident => $float:expr) => {
            (size_of::<$type>(), |bytes| {
                let $value = <$type>::from_le_bytes(bytes.try_into().ok()?);
                $float
            })
        };
    }
    Some(match dtype.trim_start_matches(['<', '|', '=']) {
        "f2" => of!(u16, value => Some(half::f16::from_bits(value).to_f32())),
        "f4" => of!(f32, value => Some(value)),
        "f8" => of!(f64, value => Some(value as f32)),
        "i1" => of!(i8, value => Some(f32::from(value))),
        "u1" | "b1" => of!(u8, value => Some(f32::from(value))),
        "i2" => of!(i16, value => Some(f32::from(value))),
        "u2" => of!(u16, value => Some(f32::from(value))),
        "i4" => of!(i32, value => exact(value.into())),
        "u4" => of!(u32, value => exact(value.into())),
        "i8" => of!(i64, value => exact(value.into())),
        "u8" => of!(u64, value => exact(value.into())),
        _ => return None,
    })
}

/// A whole number as a float that is just that number.
fn exact(number: i128) -> Option<f32> {
    let float = number as f32;
    (float as i128 == number).then_some(float)
}
