//! The files of a run: `summary.json` and `layers.csv`.

use super::file::{WriteError, write};
use crate::summary::RunSummary;
use std::path::Path;

/// Writes `summary.json` and `layers.csv` into `folder`, which is made where it is missing.
///
/// # Errors
/// Where the folder or a file cannot be written; neither file then has half its content.
pub fn write_summary(folder: &Path, run: &RunSummary) -> Result<(), WriteError> {
    std::fs::create_dir_all(folder).map_err(|error| WriteError::new(folder, error.kind()))?;
    let broken = |error: &dyn std::fmt::Display| WriteError::new(folder, error);
    let mut json = serde_json::to_vec_pretty(run).map_err(|error| broken(&error))?;
    json.push(b'\n');
    let mut csv = csv::Writer::from_writer(vec![]);
    for layer in &run.layers {
        csv.serialize(layer).map_err(|error| broken(&error))?;
    }
    let csv = csv.into_inner().map_err(|error| broken(&error))?;
    write(&folder.join("summary.json"), &json)?;
    write(&folder.join("layers.csv"), &csv)
}
