//! Mapping files: one line for each slice; and the hypergraph of the slices, for other partitioners.

use super::file::{WriteError, write};
use crate::compile::hypergraph::Hypergraph;
use crate::program::Mapping;
use ron::ser::PrettyConfig;
use std::fmt::Write;
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

/// Writes a hypergraph in the format of hMETIS: nets with their costs, vertices counted from 1.
///
/// # Errors
/// If the file cannot be written.
pub fn write_hypergraph(path: &Path, graph: &Hypergraph) -> Result<(), WriteError> {
    let mut text = format!("{} {} 1\n", graph.nets.len(), graph.weights.len());
    for (pins, cost) in &graph.nets {
        let _ = write!(text, "{cost}");
        for pin in pins {
            let _ = write!(text, " {}", pin + 1);
        }
        text.push('\n');
    }
    write(path, text.as_bytes())
}
