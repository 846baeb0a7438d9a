//! Rows of sweeps: as CSV and Parquet, whole; and the folder of a sweep, to which rows come as they are ready.
//!
//! `results.csv` is the one file that grows: whole lines are added to it and reach the disk before the next ones are made, so
//! that whatever ends the program, at most the last line is cut off, and that one is left out when the sweep goes on.
//! `results.parquet` is written whole again and again, each time an eighth more rows are there.

use super::file::{WriteError, write};
use crate::rows::{Cell, Column, ColumnKind, Manifest, Table};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of a sweep's rows that anybody can read.
pub const CSV: &str = "results.csv";
/// The same for programs.
pub const PARQUET: &str = "results.parquet";
/// What stands beside the rows.
pub const MANIFEST: &str = "sweep.ron";
/// Held while a sweep writes to the folder.
const LOCK: &str = "sweep.lock";

/// Why a folder takes no rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Another sweep is at work.
    #[error("{0}: another sweep is writing here; wait for it, or name another directory")]
    Busy(String),
}

/// The folder of a sweep, open for rows, and closed to other sweeps.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    file: File,
    table: Table,
    /// Rows in the Parquet file.
    stored: usize,
    _lock: File,
}

/// A folder that no other sweep can write to.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    lock: File,
}

impl Claim {
    /// Makes the folder where it is missing, and keeps others out of it as long as this lives.
    ///
    /// # Errors
    /// If it cannot be made, or another sweep is at work in it.
    pub fn new(folder: &Path) -> Result<Self, JournalError> {
        let failed = |error: std::io::Error| WriteError::new(folder, error.kind());
        std::fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(LOCK);
        let lock = OpenOptions::new().create(true).append(true).open(&path);
        let lock = lock.map_err(|error| WriteError::new(&path, error.kind()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_path_buf(), lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::Busy(folder.display().to_string())),
            Err(std::fs::TryLockError::Error(error)) => Err(WriteError::new(&path, error.kind()).into()),
        }
    }
}

impl Journal {
    /// The folder with the rows that are there already, which take `bytes` of the file; what stands after them is cut off.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn open(claim: Claim, manifest: &Manifest, table: Table, bytes: u64) -> Result<Self, JournalError> {
        let Claim { folder, lock } = claim;
        let text = ron::ser::to_string_pretty(manifest, ron::ser::PrettyConfig::new().depth_limit(2).new_line("\n"));
        let at = folder.join(MANIFEST);
        let text = text.map_err(|error| WriteError::new(&at, error))?;
        write(&at, format!("{text}\n").as_bytes())?;
        let path = folder.join(CSV);
        let failed = |error: std::io::Error| WriteError::new(&path, error.kind());
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        if bytes > 0 {
            file.set_len(bytes).map_err(failed)?;
        } else {
            if path.is_file() {
                file.set_len(0).map_err(failed)?;
            }
            let titles: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            let line = lines(&path, [titles.into_iter().map(str::to_string).collect()].into_iter())?;
            file.write_all(&line).and_then(|()| file.sync_data()).map_err(failed)?;
        }
        let stored = table.rows.len();
        Ok(Self { folder, file, table, stored, _lock: lock })
    }

    /// Adds rows; they are on the disk when this returns.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn add(&mut self, rows: Vec<Vec<Cell>>) -> Result<(), WriteError> {
        let path = self.folder.join(CSV);
        let bytes = lines(&path, rows.iter().map(|row| row.iter().map(Cell::to_string).collect()))?;
        // a device that takes nothing has no data to bring to the disk, and says so by the write itself
        self.file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| WriteError::new(&path, error.kind()))?;
        self.table.rows.extend(rows);
        if self.table.rows.len() >= self.stored + (self.stored / 8).max(16) {
            self.store()?;
        }
        Ok(())
    }

    /// Brings both files into the order of the points.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn finish(mut self) -> Result<Table, WriteError> {
        write_table(&self.folder.join(CSV), &self.sorted())?;
        self.store()?;
        Ok(self.sorted())
    }

    /// The rows so far, in the order of the points.
    fn sorted(&self) -> Table {
        let mut table = self.table.clone();
        table.rows.sort_by_key(|row| match row.first() {
            Some(Cell::Whole(point)) => *point,
            Some(Cell::Empty | Cell::Real(_) | Cell::Word(_)) | None => i64::MAX,
        });
        table
    }

    fn store(&mut self) -> Result<(), WriteError> {
        self.stored = self.table.rows.len();
        write_parquet(&self.folder.join(PARQUET), &self.sorted())
    }
}

/// Writes rows as CSV.
///
/// # Errors
/// If the file cannot be written.
pub fn write_table(path: &Path, table: &Table) -> Result<(), WriteError> {
    let titles = table.columns.iter().map(|column| column.name.clone()).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(Cell::to_string).collect());
    write(path, &lines(path, std::iter::once(titles).chain(rows))?)
}

fn lines(path: &Path, rows: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>, WriteError> {
    let mut csv = csv::Writer::from_writer(vec![]);
    for row in rows {
        csv.write_record(row).map_err(|error| WriteError::new(path, error))?;
    }
    csv.into_inner().map_err(|error| WriteError::new(path, error))
}

/// Writes rows as Parquet: whole numbers as INT64, numbers as DOUBLE, words as UTF-8, each of them optional.
///
/// # Errors
/// If the file cannot be written.
pub fn write_parquet(path: &Path, table: &Table) -> Result<(), WriteError> {
    let bytes = parquet(table).map_err(|error| WriteError::new(path, error))?;
    write(path, &bytes)
}

fn parquet(table: &Table) -> parquet::errors::Result<Vec<u8>> {
    let fields = table.columns.iter().map(|column| field(column).map(Arc::new)).collect::<Result<_, _>>()?;
    let schema = Arc::new(Type::group_type_builder("rows").with_fields(fields).build()?);
    let properties = WriterProperties::builder().set_created_by("spikemesh".to_string()).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let mut at = 0;
    while let Some(mut column) = group.next_column()? {
        let cells: Vec<&Cell> = table.rows.iter().map(|row| &row[at]).collect();
        let kind = table.columns[at].kind;
        let fits = |cell: &Cell| match cell {
            Cell::Empty => false,
            Cell::Whole(_) => kind == ColumnKind::Whole,
            Cell::Real(_) => kind == ColumnKind::Real,
            Cell::Word(_) => kind == ColumnKind::Word,
        };
        let there: Vec<i16> = cells.iter().map(|cell| i16::from(fits(cell))).collect();
        match kind {
            ColumnKind::Whole => {
                let values: Vec<i64> = cells.iter().filter_map(|cell| whole(cell)).collect();
                column.typed::<Int64Type>().write_batch(&values, Some(&there), None)?;
            }
            ColumnKind::Real => {
                let values: Vec<f64> =
                    cells.iter().filter(|cell| fits(cell)).filter_map(|cell| cell.number()).collect();
                column.typed::<DoubleType>().write_batch(&values, Some(&there), None)?;
            }
            ColumnKind::Word => {
                let values: Vec<ByteArray> = cells
                    .iter()
                    .filter(|cell| fits(cell))
                    .map(|cell| ByteArray::from(cell.to_string().as_str()))
                    .collect();
                column.typed::<ByteArrayType>().write_batch(&values, Some(&there), None)?;
            }
        }
        column.close()?;
        at += 1;
    }
    group.close()?;
    writer.into_inner()
}

fn whole(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Whole(value) => Some(*value),
        Cell::Empty | Cell::Real(_) | Cell::Word(_) => None,
    }
}

fn field(column: &Column) -> parquet::errors::Result<Type> {
    let (physical, logical) = match column.kind {
        ColumnKind::Whole => (Physical::INT64, None),
        ColumnKind::Real => (Physical::DOUBLE, None),
        ColumnKind::Word => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}
