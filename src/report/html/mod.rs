//! `report.html`: one file that needs nothing else, made of summaries alone.
//!
//! Bars are cells of tables, so that every figure is there as text, too; drawings that are none have a table below them.
//! Nothing is computed here but how long a bar is.

mod accuracy;
mod agreement;
mod chip;
mod compare;
mod constants;
mod energy;
mod layers;
mod overview;
mod page;
mod parts;
mod waterfall;

use super::file::{WriteError, write};
use crate::summary::{AccuracyTable, RunSummary};
use std::path::Path;

/// What a folder of results holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// How the report calls it: the name of its folder.
    pub label: String,
    /// What a network costs on a chip.
    pub run: Option<RunSummary>,
    /// Accuracy by T and settle steps.
    pub accuracy: Option<AccuracyTable>,
}

/// The report of one run, or of several beside each other, as HTML.
#[must_use]
pub fn report_html(results: &[Findings]) -> String {
    page::page(results)
}

/// Writes the report of one run, or of several beside each other.
///
/// # Errors
/// If the file cannot be written.
pub fn write_report(path: &Path, results: &[Findings]) -> Result<(), WriteError> {
    write(path, report_html(results).as_bytes())
}
