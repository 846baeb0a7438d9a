//! Writing a file so that nobody ever sees half of it.

use std::io::Write;
use std::path::Path;

/// Why a file was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: cannot be written ({reason}); check that its folder exists and has room")]
pub struct WriteError {
    /// The file as it was named.
    pub file: String,
    /// What went wrong.
    pub reason: String,
}

impl WriteError {
    /// The error for a file and its cause.
    pub(super) fn new(path: &Path, reason: impl ToString) -> Self {
        Self { file: path.display().to_string(), reason: reason.to_string() }
    }
}

/// Writes a whole file: into a temporary one in the same folder, which then takes its name.
///
/// # Errors
/// If the folder is missing, full, or may not be written.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(bytes)?;
        file.as_file().sync_data()?;
        readable(file.as_file())?;
        file.persist(path).map_err(|error| error.error).map(drop)
    });
    written.map_err(|error| WriteError::new(path, error.kind()))
}

/// Gives the file the permissions of any other result: temporary files are their owner's alone.
fn readable(file: &std::fs::File) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Makes a folder for results, with all above it, where it is missing.
///
/// # Errors
/// If it cannot be made.
pub fn make(folder: &Path) -> Result<(), WriteError> {
    if folder.exists() && !folder.is_dir() {
        return Err(WriteError::new(folder, "it is a file, where a folder is wanted"));
    }
    std::fs::create_dir_all(folder).map_err(|error| WriteError::new(folder, error.kind()))
}

/// Writes pages, by name, into a folder, which is made where it is missing.
///
/// # Errors
/// Where the folder or a page cannot be written.
pub fn write_pages(folder: &Path, pages: &[(String, Vec<u8>)]) -> Result<(), WriteError> {
    make(folder)?;
    pages.iter().try_for_each(|(name, page)| write(&folder.join(name), page))
}
