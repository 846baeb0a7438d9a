//! Accuracy by T and settle steps: text, CSV and heat map.

use super::file::{WriteError, write};
use super::table::empty;
use crate::summary::AccuracyTable;
use comfy_table::CellAlignment;
use std::fmt::Write as _;
use std::path::Path;

/// Width and height of a cell of the heat map, and the space for titles, in pixels.
const CELL: (usize, usize) = (64, 34);
const MARGIN: (usize, usize) = (64, 66);

/// Top-1, top-5 and loss, T by settle steps.
#[must_use]
pub fn accuracy_table(accuracy: &AccuracyTable) -> String {
    let ann = format!(
        "{} images; float ANN: top-1 {:.2} %, top-5 {:.2} %, loss {:.4}.",
        accuracy.images, accuracy.ann_top1, accuracy.ann_top5, accuracy.ann_loss
    );
    if accuracy.rows.is_empty() {
        return ann;
    }
    let cells =
        |values: &[f64], digits: usize| values.iter().map(|value| format!("{value:.digits$}")).collect::<Vec<_>>();
    let top1 = grid(accuracy, "top-1 in percent", |at| cells(&accuracy.rows[at].top1, 1));
    let top5 = grid(accuracy, "top-5 in percent", |at| cells(&accuracy.rows[at].top5, 1));
    let loss = grid(accuracy, "loss", |at| cells(&accuracy.rows[at].loss, 4));
    format!("{top1}\n\n{top5}\n\n{loss}\n\n{} semantics, {} weights; {ann}", accuracy.semantics, accuracy.weights)
}

fn grid(accuracy: &AccuracyTable, title: &str, cells: impl Fn(usize) -> Vec<String>) -> String {
    let mut table = empty();
    table.set_header(std::iter::once("T \\ settle".to_string()).chain(accuracy.settle.iter().map(u32::to_string)));
    for (at, row) in accuracy.rows.iter().enumerate() {
        table.add_row(std::iter::once(row.time_steps.to_string()).chain(cells(at)));
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{title}\n{table}")
}

/// Writes `accuracy.csv`, one line for each cell, and `accuracy.svg`, top-1 as a heat map, into `folder`.
///
/// # Errors
/// Where the folder or a file cannot be written.
pub(super) fn write_files(folder: &Path, accuracy: &AccuracyTable) -> Result<(), WriteError> {
    let broken = |error: &dyn std::fmt::Display| WriteError::new(folder, error);
    let mut csv = csv::Writer::from_writer(vec![]);
    let titles = ["semantics", "weights", "time_steps", "settle_steps", "top1_percent", "top5_percent", "loss"];
    csv.write_record(titles).map_err(|error| broken(&error))?;
    let line = |mode: &str, weights: &str, place: [String; 2], score: [f64; 3]| {
        let [time_steps, settle] = place;
        let [top1, top5, loss] = score.map(|value| format!("{value:.6}"));
        [mode.to_string(), weights.to_string(), time_steps, settle, top1, top5, loss]
    };
    let none = [String::new(), String::new()];
    let ann = line("ann", "float", none, [accuracy.ann_top1, accuracy.ann_top5, accuracy.ann_loss]);
    csv.write_record(ann).map_err(|error| broken(&error))?;
    for row in &accuracy.rows {
        for (column, settle) in accuracy.settle.iter().enumerate() {
            let place = [row.time_steps.to_string(), settle.to_string()];
            let score = [row.top1[column], row.top5[column], row.loss[column]];
            csv.write_record(line(&accuracy.semantics, &accuracy.weights, place, score))
                .map_err(|error| broken(&error))?;
        }
    }
    write(&folder.join("accuracy.csv"), &csv.into_inner().map_err(|error| broken(&error))?)?;
    if accuracy.rows.is_empty() { Ok(()) } else { write(&folder.join("accuracy.svg"), heat_map(accuracy).as_bytes()) }
}

/// Top-1 as SVG: rows T, columns settle steps, dark where it is high.
fn heat_map(accuracy: &AccuracyTable) -> String {
    let (columns, rows) = (accuracy.settle.len(), accuracy.rows.len());
    let (width, height) = (MARGIN.0 + columns * CELL.0 + 16, MARGIN.1 + rows * CELL.1 + 16);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"18\">top-1 in %, {} semantics, {} images</text>\n\
         <text x=\"{}\" y=\"38\">settle steps</text>\n<text x=\"8\" y=\"56\">T</text>\n",
        accuracy.semantics, accuracy.images, MARGIN.0
    );
    for (column, settle) in accuracy.settle.iter().enumerate() {
        let x = MARGIN.0 + column * CELL.0 + CELL.0 / 2;
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"56\" text-anchor=\"middle\">{settle}</text>");
    }
    for (at, row) in accuracy.rows.iter().enumerate() {
        let y = MARGIN.1 + at * CELL.1;
        let _ = writeln!(svg, "<text x=\"8\" y=\"{}\">{}</text>", y + 22, row.time_steps);
        for (column, &top1) in row.top1.iter().enumerate() {
            cell(&mut svg, (MARGIN.0 + column * CELL.0, y), top1);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn cell(svg: &mut String, (x, y): (usize, usize), percent: f64) {
    let share = (percent / 100.0).clamp(0.0, 1.0);
    let blend = |light: f64, dark: f64| light + (dark - light) * share;
    let fill = format!("rgb({:.0},{:.0},{:.0})", blend(247.0, 8.0), blend(251.0, 48.0), blend(255.0, 107.0));
    let ink = if share > 0.5 { "#fff" } else { "#000" };
    let (width, height) = CELL;
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\" stroke=\"#fff\"/>"
    );
    let (middle, base) = (x + width / 2, y + 22);
    let _ =
        writeln!(svg, "<text x=\"{middle}\" y=\"{base}\" text-anchor=\"middle\" fill=\"{ink}\">{percent:.1}</text>");
}
