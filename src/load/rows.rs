//! Rows of sweeps, read back.

use super::fault::{Fault, LoadError};
use super::file::Source;
use crate::rows::{Cell, Column, ColumnKind, Manifest, Table};
use std::path::Path;

/// Reads what stands beside the rows of a sweep.
///
/// # Errors
/// If there is no such file, or it is none of ours.
pub fn manifest(path: &Path) -> Result<Manifest, LoadError> {
    let source = Source::open(path)?;
    let name = source.name.clone();
    super::ron_text(&source.text()?).map_err(|fault| fault.of(&name))
}

/// Reads rows of known columns, whole ones only, and gives how many bytes they take; a last line that was cut off is left out.
///
/// # Errors
/// If the columns are others, or a row before the last is damaged.
pub fn rows(path: &Path, columns: &[Column]) -> Result<(Table, u64), LoadError> {
    let source = Source::open(path)?;
    let name = source.name.clone();
    let text = source.text()?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut reader = csv::Reader::from_reader(&text.as_bytes()[..whole]);
    let titles = reader.headers().map_err(|error| damaged(&name, &error))?.clone();
    if whole > 0 && !titles.iter().eq(columns.iter().map(|column| column.name.as_str())) {
        let what = format!("has columns {}", titles.iter().collect::<Vec<_>>().join(", "));
        return Err(Fault::new(what, "it is not of this sweep; name another directory").of(&name));
    }
    let mut table = Table { columns: columns.to_vec(), rows: vec![] };
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|error| damaged(&name, &error))?;
        let row: Option<Vec<Cell>> = columns.iter().zip(&record).map(|(column, text)| column.parse(text)).collect();
        let fault =
            || Fault::new(format!("row {} is damaged", line + 1), "remove it, and go on with --resume").of(&name);
        table.rows.push(row.ok_or_else(fault)?);
    }
    Ok((table, whole as u64))
}

/// Reads any table with titles; a column holds whole numbers if all of its values are, numbers if all are, and otherwise words.
///
/// # Errors
/// If it is no table.
pub fn table(path: &Path) -> Result<Table, LoadError> {
    let source = Source::open(path)?;
    let name = source.name.clone();
    let text = source.text()?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let titles = reader.headers().map_err(|error| damaged(&name, &error))?.clone();
    let records: Vec<csv::StringRecord> =
        reader.records().collect::<Result<_, _>>().map_err(|error| damaged(&name, &error))?;
    let kind = |at: usize| {
        let values = || records.iter().map(|record| &record[at]).filter(|text| !text.is_empty());
        if values().all(|text| text.parse::<i64>().is_ok()) {
            ColumnKind::Whole
        } else if values().all(|text| text.parse::<f64>().is_ok()) {
            ColumnKind::Real
        } else {
            ColumnKind::Word
        }
    };
    let columns: Vec<Column> = titles.iter().enumerate().map(|(at, title)| Column::new(title, kind(at))).collect();
    let row = |record: &csv::StringRecord| {
        columns.iter().zip(record).map(|(column, text)| column.parse(text).unwrap_or_default()).collect()
    };
    let rows = records.iter().map(row).collect();
    Ok(Table { columns, rows })
}

fn damaged(name: &str, error: &dyn std::fmt::Display) -> LoadError {
    Fault::new(format!("is no table of results: {error}"), "name a results.csv that a sweep wrote").of(name)
}
