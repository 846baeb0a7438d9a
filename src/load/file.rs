//! Opening a file, with the checks that come before the first byte is read.

use super::fault::{Fault, LoadError};
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

/// Most bytes of a text: architecture, hardware description or mapping.
const MAX_TEXT: u64 = 64 << 20;

/// A regular file or one that is part of this program, open, with its length in bytes.
pub struct Source {
    /// The file as it was named.
    pub name: String,
    /// Bytes that it holds.
    pub length: u64,
    bytes: Bytes,
}

/// Where the bytes come from.
pub enum Bytes {
    /// From a file on disk.
    File(File),
    /// From this program itself.
    Embedded(Cursor<&'static [u8]>),
}

impl Read for Bytes {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::File(file) => file.read(into),
            Self::Embedded(bytes) => bytes.read(into),
        }
    }
}

impl Seek for Bytes {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Embedded(bytes) => bytes.seek(to),
        }
    }
}

impl Source {
    /// Opens a regular file.
    ///
    /// # Errors
    /// If it is missing, a directory, not a regular file, or cannot be opened.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let name = path.display().to_string();
        let fault = |error: std::io::Error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                return Fault::new("does not exist", "check the path").of(&name);
            }
            Fault::new(format!("cannot be opened ({})", error.kind()), "check its permissions").of(&name)
        };
        let metadata = std::fs::metadata(path).map_err(fault)?;
        if metadata.is_dir() {
            return Err(Fault::new("is a directory, where a file is wanted", "name a file in it").of(&name));
        }
        if !metadata.is_file() {
            return Err(Fault::new("is not a regular file", "copy its contents into one").of(&name));
        }
        let file = File::open(path).map_err(fault)?;
        Ok(Self { name, length: metadata.len(), bytes: Bytes::File(file) })
    }

    /// A file that is part of this program.
    pub fn embedded(name: &str, bytes: &'static [u8]) -> Self {
        Self { name: name.to_string(), length: bytes.len() as u64, bytes: Bytes::Embedded(Cursor::new(bytes)) }
    }

    /// The bytes from the first one on, to be read piece by piece.
    pub fn reader(self) -> Bytes {
        self.bytes
    }

    /// Reads `length` bytes from `start`. The caller has compared both with the file's length.
    ///
    /// # Errors
    /// If the file ends before that, or the disk fails.
    pub fn bytes(&mut self, start: u64, length: u64) -> Result<Vec<u8>, LoadError> {
        let mut bytes = vec![];
        let read = self.bytes.seek(SeekFrom::Start(start)).and_then(|_| {
            let wanted = usize::try_from(length).map_err(std::io::Error::other)?;
            bytes.try_reserve_exact(wanted).map_err(std::io::Error::other)?;
            Read::by_ref(&mut self.bytes).take(length).read_to_end(&mut bytes)
        });
        match read {
            Ok(read) if read as u64 == length => Ok(bytes),
            Ok(_) => Err(self.fault("became shorter while it was read", "leave it alone until the run has ended")),
            Err(error) => Err(self.fault(&format!("cannot be read ({})", error.kind()), "check disk and memory")),
        }
    }

    /// Reads the whole file as text.
    ///
    /// # Errors
    /// If it is too large for a text, or not UTF-8.
    pub fn text(mut self) -> Result<String, LoadError> {
        if self.length > MAX_TEXT {
            let what = format!("has {} bytes, where a text of at most {MAX_TEXT} is wanted", self.length);
            return Err(self.fault(&what, "check that it is the right file"));
        }
        let bytes = self.bytes(0, self.length)?;
        String::from_utf8(bytes).map_err(|error| {
            let what = format!("is not text: byte {} is not UTF-8", error.utf8_error().valid_up_to());
            self.fault(&what, "check that it is a RON file")
        })
    }

    /// One fault of this file.
    pub fn fault(&self, what: &str, remedy: &str) -> LoadError {
        Fault::new(what, remedy).of(&self.name)
    }
}
