//! Labelled images: CIFAR-10 binary records (a label byte, then colour planes), MNIST IDX files, and Parquet.

use super::fault::{Fault, LoadError};
use super::file::Source;
use super::parquet;
use crate::images::Images;
use crate::network::Input;
use crate::units::Grid;
use std::path::{Path, PathBuf};

/// Most wrong labels that are listed one by one.
const LISTED: usize = 8;

/// Reads labelled images of the shape of `input`: at most `limit`, and no more of the file than they take.
///
/// A file is read as Parquet where it starts like it, as IDX where it starts and is sized or named like one, and otherwise as CIFAR
/// records.
///
/// # Errors
/// If a file is missing or damaged, has the wrong length or the wrong image size, or a label is not below `classes`.
pub fn images(path: &Path, input: &Input, classes: usize, limit: Option<usize>) -> Result<Images, LoadError> {
    let mut source = Source::open(path)?;
    if input.is_absent() {
        return Err(
            source.fault("holds images, and the network takes none", "leave the images out: biases alone drive it")
        );
    }
    let head = source.bytes(0, source.length.min(IDX_IMAGES_HEADER))?;
    let limit = limit.map_or(u64::MAX, |limit| limit as u64);
    if limit == 0 || source.length == 0 {
        let what = if limit == 0 { "is asked for 0 images" } else { "is empty" };
        return Err(source.fault(what, "ask for at least one image of a file that holds some"));
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return Err(source.fault("is compressed with gzip", "unpack it with gunzip"));
    }
    if head.starts_with(parquet::MAGIC) {
        let name = source.name.clone();
        return labels_below(classes, &name, parquet::images(source, Some(input.grid()), limit)?);
    }
    let images = if is_idx(path, &head, source.length, input.grid()) {
        idx(path, source, &head, input.grid(), limit)?
    } else {
        cifar(source, input.grid(), limit)?
    };
    labels_below(classes, &images.1, images.0)
}

type Labelled = (Images, String);

/// Records of one label byte and one byte for each colour of each pixel, colour plane by colour plane.
fn cifar(mut source: Source, grid: Grid, limit: u64) -> Result<Labelled, LoadError> {
    let record = 1 + grid.neurons() as u64;
    whole_records(&source.name, source.length, grid)?;
    let count = limit.min(source.length / record);
    let bytes = source.bytes(0, count * record)?;
    Ok((records(&bytes, grid), source.name))
}

fn whole_records(name: &str, length: u64, grid: Grid) -> Result<(), LoadError> {
    let record = 1 + grid.neurons() as u64;
    if length.is_multiple_of(record) {
        return Ok(());
    }
    let what = format!(
        "has {length} bytes, which are not whole records of 1 label and {} bytes for an image of {grid}",
        record - 1
    );
    Err(Fault::new(what, "take images of the network's size, in CIFAR-10 binary, MNIST IDX or Parquet format").of(name))
}

/// Whole CIFAR-10 records of images of shape `grid`, as a file called `name` holds them.
///
/// # Errors
/// If the last record is cut off, or a label is not below `classes`.
pub fn cifar_records(name: &str, bytes: &[u8], grid: Grid, classes: usize) -> Result<Images, LoadError> {
    whole_records(name, bytes.len() as u64, grid)?;
    labels_below(classes, name, records(bytes, grid))
}

fn records(bytes: &[u8], grid: Grid) -> Images {
    let mut images = Images { grid, pixels: Vec::with_capacity(bytes.len()), labels: vec![] };
    for record in bytes.chunks_exact(1 + grid.neurons()) {
        images.labels.push(u32::from(record[0]));
        let (planes, size) = (&record[1..], grid.positions());
        let pixel = |at: usize| (0..grid.channels as usize).map(move |colour| planes[colour * size + at]);
        images.pixels.extend((0..size).flat_map(pixel));
    }
    images
}

/// An IDX file of grey images of whatever size it says.
pub fn idx_any(path: &Path, classes: usize) -> Result<Images, LoadError> {
    let mut source = Source::open(path)?;
    let head = source.bytes(0, source.length.min(IDX_IMAGES_HEADER))?;
    let [height, width] = [8, 12].map(|at| big_endian(head.get(at..).unwrap_or_default()));
    let (images, name) = idx(path, source, &head, Grid { height, width, channels: 1 }, u64::MAX)?;
    labels_below(classes, &name, images)
}

const IDX_IMAGES: [u8; 4] = [0, 0, 8, 3];
const IDX_LABELS: [u8; 4] = [0, 0, 8, 1];
const IDX_IMAGES_HEADER: u64 = 16;
const IDX_LABELS_HEADER: u64 = 8;

/// Whether a file is an IDX file of images: magic number, and a name or length to match, since a CIFAR record may start alike.
fn is_idx(path: &Path, head: &[u8], length: u64, grid: Grid) -> bool {
    let named = path.file_name().is_some_and(|name| name.to_string_lossy().contains("idx3"));
    named || (head.starts_with(&IDX_IMAGES) && !length.is_multiple_of(1 + grid.neurons() as u64))
}

fn idx(path: &Path, mut source: Source, head: &[u8], grid: Grid, limit: u64) -> Result<Labelled, LoadError> {
    if head.len() < IDX_IMAGES_HEADER as usize || !head.starts_with(&IDX_IMAGES) {
        return Err(source
            .fault("does not start like an IDX file of images (00 00 08 03)", "check that it is unpacked and whole"));
    }
    let [count, height, width] = [4, 8, 12].map(|at| big_endian(&head[at..]));
    let came = Grid { height, width, channels: 1 };
    if came != grid {
        let what = format!("holds images of {came}, where the network takes {grid}");
        return Err(source.fault(&what, "take images of the network's size"));
    }
    let size = u64::from(height) * u64::from(width);
    let promised = IDX_IMAGES_HEADER + u64::from(count) * size;
    if source.length != promised {
        let what =
            format!("has {} bytes, where its header promises {promised}: {count} images of {grid}", source.length);
        return Err(source.fault(&what, "copy or download it again"));
    }
    let wanted = limit.min(u64::from(count));
    let pixels = source.bytes(IDX_IMAGES_HEADER, wanted * size)?;
    let (labels, name) = idx_labels(&source, &labels_beside(path), count, wanted)?;
    Ok((Images { grid, pixels, labels }, name))
}

/// The labels of an IDX file of images, and the name of their file.
fn idx_labels(images: &Source, path: &Path, count: u32, wanted: u64) -> Result<(Vec<u32>, String), LoadError> {
    if path == Path::new(&images.name) {
        let what = "is an IDX file whose name does not say where its labels are";
        return Err(images.fault(what, "call it …images-idx3-ubyte, and its labels …labels-idx1-ubyte beside it"));
    }
    if !path.exists() {
        let what = format!("has no labels beside it: {} does not exist", path.display());
        return Err(images.fault(&what, "put the file of labels there"));
    }
    let mut source = Source::open(path)?;
    let promised = IDX_LABELS_HEADER + u64::from(count);
    let head = source.bytes(0, source.length.min(IDX_LABELS_HEADER))?;
    if source.length != promised || !head.starts_with(&IDX_LABELS) || big_endian(&head[4..]) != count {
        let what =
            format!("is not an IDX file of {count} labels, which is {promised} bytes that start with 00 00 08 01");
        return Err(source.fault(&what, "put the labels of these images there"));
    }
    let labels = source.bytes(IDX_LABELS_HEADER, wanted)?.into_iter().map(u32::from).collect();
    Ok((labels, source.name))
}

/// Where the labels of `…images-idx3-ubyte` are by custom: `…labels-idx1-ubyte`.
fn labels_beside(path: &Path) -> PathBuf {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    path.with_file_name(name.replace("images", "labels").replace("idx3", "idx1"))
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

fn labels_below(classes: usize, name: &str, images: Images) -> Result<Images, LoadError> {
    let wrong: Vec<_> = images.labels.iter().enumerate().filter(|(_, label)| **label as usize >= classes).collect();
    let listed = wrong.iter().take(LISTED).map(|(at, label)| {
        let what = format!("image {at} has label {label}, where the network has {classes} classes");
        Fault::new(what, "take images that it was trained for")
    });
    let more = wrong.len().saturating_sub(LISTED);
    let rest =
        (more > 0).then(|| Fault::new(format!("{more} more images have such labels"), "check the file's format"));
    let faults: Vec<Fault> = listed.chain(rest).collect();
    if faults.is_empty() { Ok(images) } else { Err(LoadError { file: name.to_string(), faults }) }
}
