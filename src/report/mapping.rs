//! Mapping files: one line for each slice.

use super::file::{WriteError, write};
use crate::program::Mapping;
use ron::ser::PrettyConfig;
use std::path::Path;

/// Writes a mapping as RON that people can edit.
///
/// # Errors
/// If the file cannot be written.
pub fn write_mapping(path: &Path, mapping: &Mapping) -> Result<(), WriteError> {
    let lines = PrettyConfig::new().depth_limit(2).new_line("\n");
    let text = ron::ser::to_string_pretty(mapping, lines).map_err(|error| WriteError::new(path, error))?;
    write(path, format!("{text}\n").as_bytes())
}
