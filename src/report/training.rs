//! The log of a training run: a table and its curves.

use super::file::{WriteError, make, write};
use crate::checkpoint::Epoch;
use std::fmt::Write as _;
use std::path::Path;

/// Size of the plot, and the space around its curves, in pixels.
const SIZE: (f64, f64) = (720.0, 360.0);
const MARGIN: (f64, f64) = (56.0, 40.0);

/// Writes `log.csv`, one line for each epoch, and its curves, `curves.svg`, into `folder`, which is made where it is missing.
///
/// # Errors
/// Where the folder or a file cannot be written.
pub fn write_log(folder: &Path, epochs: &[Epoch]) -> Result<(), WriteError> {
    make(folder)?;
    let broken = |error: &dyn std::fmt::Display| WriteError::new(folder, error);
    let mut csv = csv::Writer::from_writer(vec![]);
    for epoch in epochs {
        csv.serialize(epoch).map_err(|error| broken(&error))?;
    }
    write(&folder.join("log.csv"), &csv.into_inner().map_err(|error| broken(&error))?)?;
    write(&folder.join("curves.svg"), curves(epochs).as_bytes())
}

/// A curve: its name, its colour, its values by epoch, and the value at the top of its axis.
type Curve<'a> = (&'a str, &'a str, Vec<f64>, f64);

/// Loss (left axis) and top-1 (right axis) of training and test images by epoch, as SVG.
fn curves(epochs: &[Epoch]) -> String {
    let of = |value: fn(&Epoch) -> f64| epochs.iter().map(value).collect::<Vec<f64>>();
    let (train_loss, test_loss) = (of(|epoch| epoch.train_loss), of(|epoch| epoch.test_loss));
    let top = train_loss.iter().chain(&test_loss).fold(0.1f64, |top, &loss| top.max(loss));
    let curves: [Curve; 4] = [
        ("training loss", "#9ecae1", train_loss, top),
        ("test loss", "#08519c", test_loss, top),
        ("training top-1", "#fdae6b", of(|epoch| epoch.train_top1), 100.0),
        ("test top-1", "#d94801", of(|epoch| epoch.test_top1), 100.0),
    ];
    let (width, height) = SIZE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    axes(&mut svg, top, epochs.len());
    for (at, curve) in curves.iter().enumerate() {
        line(&mut svg, curve, at);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where a value between 0 and `top` lies.
fn height_of(value: f64, top: f64) -> f64 {
    SIZE.1 - MARGIN.1 - value / top * (SIZE.1 - 2.0 * MARGIN.1)
}

/// Where epoch `at` of `count`, from 0, lies.
fn place_of(at: usize, count: usize) -> f64 {
    MARGIN.0 + (SIZE.0 - 2.0 * MARGIN.0) * at as f64 / count.saturating_sub(1).max(1) as f64
}

fn axes(svg: &mut String, top: f64, count: usize) {
    let (left, right, bottom) = (MARGIN.0, SIZE.0 - MARGIN.0, SIZE.1 - MARGIN.1);
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        let y = height_of(share, 1.0);
        let _ = writeln!(svg, "<line x1=\"{left}\" x2=\"{right}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#ddd\"/>");
        let _ =
            writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.2}</text>", left - 6.0, y + 4.0, top * share);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{:.0} %</text>", right + 6.0, y + 4.0, 100.0 * share);
    }
    let label = |x: f64, text: String| {
        format!("<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{text}</text>\n", bottom + 18.0)
    };
    svg.push_str(&label(left, "1".to_string()));
    svg.push_str(&label(SIZE.0 / 2.0, "epoch".to_string()));
    svg.push_str(&label(right, count.to_string()));
}

fn line(svg: &mut String, (name, colour, values, top): &Curve, at: usize) {
    let points = values
        .iter()
        .enumerate()
        .map(|(epoch, &value)| format!("{:.1},{:.1}", place_of(epoch, values.len()), height_of(value, *top)));
    let points = points.collect::<Vec<_>>().join(" ");
    let _ = writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
    let x = MARGIN.0 + 150.0 * at as f64;
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"20\" fill=\"{colour}\">{name}</text>");
}
