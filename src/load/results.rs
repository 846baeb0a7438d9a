//! Results of earlier runs.

use super::fault::LoadError;
use super::file::Source;
use crate::summary::{AccuracyTable, RunSummary};
use serde::de::DeserializeOwned;
use std::path::Path;

/// Reads `summary.json` of a folder of results.
///
/// # Errors
/// If it is missing, or was not written by this version.
pub fn summary(file: &Path) -> Result<RunSummary, LoadError> {
    let run: RunSummary = json(file, "run the command again")?;
    let there = run.layers.len();
    let slices = run.map.units.iter().filter_map(|unit| unit.slice.as_ref());
    if let Some(wrong) = slices.map(|slice| slice.layer as usize).find(|&layer| layer >= there) {
        let what = format!("names layer {wrong}, where there are {there}");
        return Err(Source::open(file)?.fault(&what, "run the command again"));
    }
    Ok(run)
}

/// Reads `accuracy.json` of a folder of results.
///
/// # Errors
/// If it is missing, or was not written by this version.
pub fn accuracy(file: &Path) -> Result<AccuracyTable, LoadError> {
    json(file, "run `spikemesh accuracy … --out` again")
}

fn json<T: DeserializeOwned>(file: &Path, remedy: &str) -> Result<T, LoadError> {
    let source = Source::open(file)?;
    let name = source.name.clone();
    let text = source.text()?;
    serde_json::from_str(&text).map_err(|error| {
        let what = format!("is no result of this version of spikemesh ({error})");
        super::fault::Fault::new(what, remedy).of(&name)
    })
}
