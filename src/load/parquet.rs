//! Labelled images as data-set hubs keep them: Parquet with a column of picture files and one of labels.

use super::fault::{Fault, LoadError};
use super::file::Source;
use super::pictures;
use crate::images::Images;
use crate::units::Grid;
use bytes::Bytes;
use parquet::basic::Type as Physical;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::types::ColumnDescPtr;
use rayon::prelude::*;

/// First bytes of a file.
pub const MAGIC: &[u8] = b"PAR1";
/// Rows that are read at a time.
const BATCH: usize = 4096;
/// Largest label: far above every data set, and small enough to count by.
const MAX_LABEL: u32 = 1 << 15;
/// Most bytes of all decoded pictures together.
const MAX_PIXELS: usize = 4 << 30;
/// Most faults that are listed one by one.
const LISTED: usize = 8;
const REMEDY: &str = "copy or download it again";

/// Reads the first rows as images: of shape `grid` where one is given, and otherwise of the shape of the first of them.
///
/// # Errors
/// If the file is cut off or damaged, has no columns of pictures and labels, or a row has no picture, no label, or a
/// picture that is damaged or of another size.
pub fn images(source: Source, grid: Option<Grid>, limit: u64) -> Result<Images, LoadError> {
    let file = source.name.clone();
    // the library asserts what a damaged page may break
    std::panic::catch_unwind(|| read_images(source, grid, limit))
        .unwrap_or_else(|_| Err(Fault::new("cannot be read as Parquet (a page contradicts itself)", REMEDY).of(&file)))
}

fn read_images(mut source: Source, grid: Option<Grid>, limit: u64) -> Result<Images, LoadError> {
    let length = source.length;
    let bytes = Bytes::from(source.bytes(0, length)?);
    let broken = |error: ParquetError| source.fault(&format!("cannot be read as Parquet ({error})"), REMEDY);
    let file = SerializedFileReader::new(bytes).map_err(broken)?;
    let columns = Columns::of(&file).map_err(|what| {
        source.fault(&what, "take a data set with pictures (`image.bytes` or `img.bytes`) and whole numbers (`label`)")
    })?;
    let claimed = file.metadata().file_metadata().num_rows();
    let Some(rows) = u64::try_from(claimed).ok().filter(|&rows| rows <= length) else {
        return Err(source.fault(&format!("claims {claimed} rows in {length} bytes"), REMEDY));
    };
    let wanted = rows.min(limit) as usize;
    let mut rows = Rows::default();
    for at in 0..file.num_row_groups() {
        let left = wanted - rows.labels.len();
        if left > 0 {
            let group = file.get_row_group(at).map_err(broken)?;
            columns.read(group.as_ref(), left, &mut rows).map_err(broken)?;
        }
    }
    if rows.labels.len() < wanted || wanted == 0 {
        let what = format!("holds {} whole rows, where its header promises {claimed}", rows.labels.len());
        return Err(source.fault(&what, REMEDY));
    }
    decoded(&rows, grid).map_err(|faults| LoadError { file: source.name, faults })
}

/// What was read of each row.
#[derive(Default)]
struct Rows {
    pictures: Vec<ByteArray>,
    labels: Vec<i64>,
}

/// Where pictures and labels stand among the columns.
struct Columns {
    pictures: usize,
    labels: usize,
}

impl Columns {
    fn of(file: &SerializedFileReader<Bytes>) -> Result<Self, String> {
        let schema = file.metadata().file_metadata().schema_descr();
        let find = |wanted: &dyn Fn(&str, Physical) -> bool| {
            let fits =
                |column: &ColumnDescPtr| column.max_rep_level() == 0 && wanted(column.name(), column.physical_type());
            schema.columns().iter().position(fits)
        };
        let pictures = find(&|name, physical| name == "bytes" && physical == Physical::BYTE_ARRAY);
        let labels = find(&|name, physical| name == "label" && matches!(physical, Physical::INT32 | Physical::INT64));
        let named = || {
            let names = schema.columns().iter().map(|column| format!("{} ({})", column.path(), column.physical_type()));
            names.collect::<Vec<_>>().join(", ")
        };
        match (pictures, labels) {
            (Some(pictures), Some(labels)) => Ok(Self { pictures, labels }),
            (None, _) => Err(format!("has no column of pictures among {}", named())),
            (_, None) => Err(format!("has no column of labels among {}", named())),
        }
    }

    /// Appends at most `count` rows of a group.
    fn read(&self, group: &dyn RowGroupReader, count: usize, rows: &mut Rows) -> Result<(), ParquetError> {
        if let ColumnReader::ByteArrayColumnReader(mut reader) = group.get_column_reader(self.pictures)? {
            read(&mut reader, count, &mut rows.pictures)?;
        }
        let labels = group.get_column_reader(self.labels)?;
        if let ColumnReader::Int64ColumnReader(mut reader) = labels {
            read(&mut reader, count, &mut rows.labels)?;
        } else if let ColumnReader::Int32ColumnReader(mut reader) = labels {
            let mut narrow: Vec<i32> = vec![];
            read(&mut reader, count, &mut narrow)?;
            rows.labels.extend(narrow.into_iter().map(i64::from));
        }
        if rows.pictures.len() == rows.labels.len() {
            return Ok(());
        }
        let what = format!("{} pictures and {} labels", rows.pictures.len(), rows.labels.len());
        Err(ParquetError::General(what))
    }
}

/// Appends at most `count` values of a column in which every row has one.
fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    count: usize,
    values: &mut Vec<T::T>,
) -> Result<(), ParquetError> {
    let (end, mut levels) = (values.len() + count, vec![]);
    while values.len() < end {
        levels.clear();
        let before = values.len();
        let (rows, found, _) = reader.read_records((end - before).min(BATCH), Some(&mut levels), None, values)?;
        if found < rows {
            return Err(ParquetError::General(format!("one of the rows {before} to {} is empty", before + rows - 1)));
        }
        if rows == 0 {
            break;
        }
    }
    Ok(())
}

/// The pictures as bytes, the labels as classes; or everything that is wrong with them.
fn decoded(rows: &Rows, grid: Option<Grid>) -> Result<Images, Vec<Fault>> {
    let fault =
        |at: usize, what: String| Fault::new(format!("row {at} {what}"), "take images of one size with labels from 0");
    let grid = match grid {
        Some(grid) => grid,
        None => pictures::grid(rows.pictures[0].data()).map_err(|what| vec![fault(0, what)])?,
    };
    if grid.neurons().checked_mul(rows.labels.len()).is_none_or(|bytes| bytes > MAX_PIXELS) {
        let what = format!("holds {} images of {grid}, more than {MAX_PIXELS} bytes", rows.labels.len());
        return Err(vec![Fault::new(what, "ask for fewer of them (-n)")]);
    }
    let decode = |(at, picture): (usize, &ByteArray)| {
        let label = u32::try_from(rows.labels[at]).ok().filter(|&label| label < MAX_LABEL);
        let label = label.ok_or_else(|| fault(at, format!("has label {}", rows.labels[at])))?;
        pictures::decode(picture.data(), grid).map(|pixels| (pixels, label)).map_err(|what| fault(at, what))
    };
    let results: Vec<Result<(Vec<u8>, u32), Fault>> = rows.pictures.par_iter().enumerate().map(decode).collect();
    let mut images = Images { grid, pixels: Vec::with_capacity(grid.neurons() * results.len()), labels: vec![] };
    let mut faults = vec![];
    for result in results {
        match result {
            Ok((pixels, label)) => {
                images.pixels.extend(pixels);
                images.labels.push(label);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(images) } else { Err(first(faults)) }
}

/// The first faults, and how many more there are.
fn first(mut faults: Vec<Fault>) -> Vec<Fault> {
    let more = faults.len().saturating_sub(LISTED);
    faults.truncate(LISTED);
    if more > 0 {
        faults.push(Fault::new(format!("{more} more rows are like that"), "check the file's format"));
    }
    faults
}
