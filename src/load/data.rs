//! Data sets: training and test images together, from a folder or an archive.

use super::archive;
use super::fault::{Fault, LoadError};
use super::file::Source;
use super::images::{cifar_records, idx_any};
use super::parquet;
use crate::images::Images;
use crate::units::Grid;
use std::path::{Path, PathBuf};

/// Images of CIFAR-10.
const CIFAR: Grid = Grid { height: 32, width: 32, channels: 3 };
/// Classes of the data sets that do not say how many they have.
const CLASSES: usize = 10;
/// Files of the binary version: five batches to train on, one to test with.
const CIFAR_TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const CIFAR_TEST: &str = "test_batch.bin";
/// What the official archive unpacks to, and what it is called.
const CIFAR_FOLDER: &str = "cifar-10-batches-bin";
const CIFAR_ARCHIVE: &str = "cifar-10-binary.tar.gz";
const IDX: [&str; 2] = ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"];
/// Parts of the names of Parquet files, whose names are otherwise free.
const PARQUET: [&str; 2] = ["train", "test"];

/// Reads training and test images.
///
/// `path` is the official archive of CIFAR-10 (binary version), or a folder with it, with its files, with the four IDX files of MNIST or
/// Fashion-MNIST, or with Parquet files whose names say `train` and `test`.
///
/// # Errors
/// If nothing of that is there, or a file of it is missing, cut off, or has labels out of range.
pub fn data(path: &Path) -> Result<(Images, Images), LoadError> {
    if path.extension().is_some_and(|extension| extension == "parquet") && path.is_file() {
        let what = "holds training or test images, where both are wanted";
        return Err(Fault::new(what, "name the folder that holds both files").of(&path.display().to_string()));
    }
    if !path.is_dir() {
        return archived(path);
    }
    let packed = PARQUET.map(|part| shards(path, part));
    let inner = path.join(CIFAR_FOLDER);
    let has = |folder: &Path, files: &[&str]| files.iter().any(|file| folder.join(file).exists());
    let binary: Vec<&str> = CIFAR_TRAIN.into_iter().chain([CIFAR_TEST]).collect();
    match () {
        () if has(path, &binary) => batches(path),
        () if has(&inner, &binary) => batches(&inner),
        () if has(path, &IDX) => both(path, IDX, |file| idx_any(file, CLASSES)),
        () if has(path, &[CIFAR_ARCHIVE]) => archived(&path.join(CIFAR_ARCHIVE)),
        () if packed.iter().all(|files| !files.is_empty()) => sharded(&packed),
        () => {
            let what = "holds no data set";
            let remedy = format!(
                "put {CIFAR_ARCHIVE}, its files (data_batch_1.bin …), the four IDX files of MNIST, or Parquet files \
                 named …train….parquet and …test….parquet there"
            );
            Err(Fault::new(what, remedy).of(&path.display().to_string()))
        }
    }
}

/// The Parquet files of a folder whose names hold `part`, by name.
fn shards(folder: &Path, part: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let named = |path: &PathBuf| {
        let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().to_lowercase());
        path.extension().is_some_and(|extension| extension == "parquet") && stem.contains(part)
    };
    let mut files: Vec<PathBuf> = entries.filter(named).collect();
    files.sort();
    files
}

/// Training and test images out of Parquet files, all of the shape of the first training image.
fn sharded(files: &[Vec<PathBuf>; 2]) -> Result<(Images, Images), LoadError> {
    let mut grid = None;
    let mut read = |files: &[PathBuf]| -> Result<Images, LoadError> {
        let mut parts = vec![];
        for file in files {
            let images = parquet::images(Source::open(file)?, grid, u64::MAX)?;
            grid = Some(images.grid);
            parts.push(images);
        }
        Ok(Images::joined(parts))
    };
    Ok((read(&files[0])?, read(&files[1])?))
}

fn both(
    folder: &Path,
    files: [&str; 2],
    read: impl Fn(&Path) -> Result<Images, LoadError>,
) -> Result<(Images, Images), LoadError> {
    Ok((read(&folder.join(files[0]))?, read(&folder.join(files[1]))?))
}

/// The six files of the binary version.
fn batches(folder: &Path) -> Result<(Images, Images), LoadError> {
    let read = |name: &str| -> Result<Images, LoadError> {
        let path: PathBuf = folder.join(name);
        let mut source = Source::open(&path)?;
        let bytes = source.bytes(0, source.length)?;
        cifar_records(&source.name, &bytes, CIFAR, CLASSES)
    };
    let train: Vec<Images> = CIFAR_TRAIN.iter().map(|name| read(name)).collect::<Result<_, _>>()?;
    Ok((Images::joined(train), read(CIFAR_TEST)?))
}

fn archived(path: &Path) -> Result<(Images, Images), LoadError> {
    let source = Source::open(path)?;
    let file = source.name.clone();
    let wanted = |name: &str| CIFAR_TRAIN.contains(&name) || name == CIFAR_TEST;
    let files = archive::files(source, wanted)?;
    let read = |name: &str| -> Result<Images, LoadError> {
        let found = files.iter().find(|(other, _)| other == name);
        let (_, bytes) = found.ok_or_else(|| {
            let what = format!("is an archive without {name}");
            Fault::new(what, format!("take {CIFAR_ARCHIVE}, the binary version of CIFAR-10")).of(&file)
        })?;
        cifar_records(&format!("{file}/{name}"), bytes, CIFAR, CLASSES)
    };
    let train: Vec<Images> = CIFAR_TRAIN.iter().map(|name| read(name)).collect::<Result<_, _>>()?;
    Ok((Images::joined(train), read(CIFAR_TEST)?))
}
