//! ZIP archives, of which the files of PyTorch and of NumPy are some.

use super::fault::{Fault, LoadError};
use super::file::{Bytes, Source};
use ::zip::ZipArchive;
use ::zip::result::ZipError;
use std::io::{BufReader, Read};

/// Most bytes of a file in an archive: above every network that is taken, and safe to add and multiply.
const MAX_BYTES: u64 = 1 << 32;
/// Deflate never packs better than this (RFC 1951), so a larger claim is wrong.
const BEST_RATIO: u64 = 1032;

/// An open archive: its directory is read, its files are not yet.
pub struct Archive {
    archive: ZipArchive<BufReader<Bytes>>,
    /// Names of its files, in the order of the directory.
    pub names: Vec<String>,
}

impl Archive {
    /// Opens an archive; `kind` says in errors what it should be, `remedy` how to make a sound one.
    ///
    /// # Errors
    /// If it is none, or cut off, or its directory contradicts it.
    pub fn open(source: Source, kind: &str, remedy: &str) -> Result<Self, LoadError> {
        let file = source.name.clone();
        let broken = |error: ZipError| Fault::new(format!("is not a whole {kind} ({error})"), remedy).of(&file);
        let archive = ZipArchive::new(BufReader::new(source.reader())).map_err(broken)?;
        let names =
            archive.file_names().map(|name| name.map(String::from)).collect::<Result<_, _>>().map_err(broken)?;
        Ok(Self { archive, names })
    }

    /// The bytes of one of its files; or what is wrong with it.
    ///
    /// # Errors
    /// If it is not there, damaged, or claims more bytes than can be.
    pub fn bytes(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let mut entry = self.archive.by_name(name).map_err(|error| format!("cannot be unpacked ({error})"))?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        if size > MAX_BYTES || size > packed.saturating_mul(BEST_RATIO).saturating_add(BEST_RATIO) {
            return Err(format!("claims {size} bytes, packed into {packed}"));
        }
        let mut bytes = vec![];
        match entry.by_ref().take(size + 1).read_to_end(&mut bytes) {
            Ok(read) if read as u64 == size => Ok(bytes),
            Ok(read) => Err(format!("claims {size} bytes, and {read} or more are there")),
            Err(error) => Err(format!("cannot be unpacked ({error})")),
        }
    }
}
