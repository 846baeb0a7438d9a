//! Pareto fronts as pictures: points over two columns, the front among them drawn through; a third column as colour.

use super::file::{WriteError, write};
use crate::rows::Table;
use std::fmt::Write;
use std::path::Path;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 60.0;
/// Lines across each axis.
const MARKS: u32 = 5;

/// Where a value lies between the least and the largest of its column.
struct Axis {
    least: f64,
    span: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>) -> Self {
        let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let span = if most > least { most - least } else { 1.0 };
        Self { least: if least.is_finite() { least } else { 0.0 }, span }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.least) / self.span
    }
}

/// Draws the rows of a table over two or three of its columns as SVG; `front` are the rows on the front.
///
/// # Errors
/// If the file cannot be written.
pub fn write_front(path: &Path, table: &Table, columns: &[usize], front: &[usize]) -> Result<(), WriteError> {
    write(path, picture(table, columns, front).as_bytes())
}

fn picture(table: &Table, columns: &[usize], front: &[usize]) -> String {
    let figures = |row: usize| -> Option<Vec<f64>> { columns.iter().map(|at| table.rows[row][*at].number()).collect() };
    let all: Vec<(usize, Vec<f64>)> = (0..table.rows.len()).filter_map(|row| Some((row, figures(row)?))).collect();
    let axes: Vec<Axis> = (0..columns.len()).map(|at| Axis::new(all.iter().map(|(_, figures)| figures[at]))).collect();
    let x = |value: f64| LEFT + axes[0].share(value) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - axes[1].share(value) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    for mark in 0..=MARKS {
        let share = f64::from(mark) / f64::from(MARKS);
        let values = [0, 1].map(|at: usize| axes[at].least + share * axes[at].span);
        let (at_x, at_y) = (x(values[0]), y(values[1]));
        let _ = write!(
            svg,
            "<path d=\"M{at_x:.1} {TOP}V{:.1}M{LEFT} {at_y:.1}H{:.1}\" stroke=\"#e4e4e4\" fill=\"none\"/>\n\
             <text x=\"{at_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            HEIGHT - BOTTOM,
            WIDTH - RIGHT,
            HEIGHT - BOTTOM + 18.0,
            short(values[0]),
            LEFT - 6.0,
            at_y + 4.0,
            short(values[1]),
        );
    }
    titles(&mut svg, table, columns);
    let mut line: Vec<&Vec<f64>> =
        all.iter().filter(|(row, _)| front.contains(row)).map(|(_, figures)| figures).collect();
    line.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    if columns.len() == 2 {
        let points: Vec<String> =
            line.iter().map(|figures| format!("{:.1},{:.1}", x(figures[0]), y(figures[1]))).collect();
        let _ = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"#c0392b\"/>", points.join(" "));
    }
    for (row, figures) in &all {
        let on_front = front.contains(row);
        let colour = match figures.get(2) {
            Some(third) => format!("hsl({:.0} 70% 45%)", 240.0 - 240.0 * axes[2].share(*third)),
            None if on_front => "#c0392b".to_string(),
            None => "#7f8c8d".to_string(),
        };
        let (radius, ring) = if on_front { (5.0, "#000000") } else { (3.0, "none") };
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" fill=\"{colour}\" stroke=\"{ring}\"><title>row {row}</title></circle>",
            x(figures[0]),
            y(figures[1]),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// What the axes are, and what the marks mean.
fn titles(svg: &mut String, table: &Table, columns: &[usize]) {
    let name = |at: usize| escaped(&table.columns[columns[at]].name);
    let middle = (HEIGHT - BOTTOM + TOP) / 2.0;
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
         <text x=\"16\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {middle:.1})\">{}</text>\n",
        (WIDTH - RIGHT + LEFT) / 2.0,
        HEIGHT - 18.0,
        name(0),
        name(1),
    );
    let legend = if columns.len() > 2 { format!("colour: {}", name(2)) } else { String::new() };
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\">{legend}</text>",
        WIDTH - RIGHT + 10.0,
        TOP + 26.0
    );
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\">large: on the front</text>",
        WIDTH - RIGHT + 10.0,
        TOP + 10.0
    );
}

fn short(value: f64) -> String {
    if value == 0.0 || (0.01..1e6).contains(&value.abs()) {
        let digits = (3 - value.abs().max(1e-9).log10().floor() as i32).clamp(0, 4) as usize;
        format!("{value:.digits$}")
    } else {
        format!("{value:.3e}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
