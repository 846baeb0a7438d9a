//! Chosen neurons as drawings: who fired in which time step, and how the membrane potentials went.

use super::figures::{at, ticks};
use super::file::{WriteError, write};
use super::markup::{Element, tag, text};
use super::rows::{write_parquet, write_table};
use crate::rows::{Cell, Column, ColumnKind, Table};
use std::path::Path;

/// One neuron over the time steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeuronTrack {
    /// The neuron, by its index in the stage.
    pub neuron: u32,
    /// Its threshold; none for a readout.
    pub threshold: Option<i32>,
    /// Potential in each step when everything had arrived.
    pub before: Vec<i64>,
    /// Potential in each step after firing.
    pub after: Vec<i64>,
    /// What it fired in each step: −1, 0 or +1.
    pub spikes: Vec<i32>,
}

const LEFT: f64 = 90.0;
const STEP: f64 = 26.0;
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#444}.axis{stroke:#ccc}.up{fill:#2257c4}.down{fill:#c4452f}.v{fill:none;stroke:#2257c4;stroke-width:1.6}.theta{stroke:#c4452f;stroke-dasharray:4 3}svg{background:#fff}";

/// Writes `raster.svg`, `membranes.svg`, `neurons.csv` and `neurons.parquet` into a folder that is there.
///
/// # Errors
/// If a file cannot be written.
pub fn write_neurons(folder: &Path, stage: &str, tracks: &[NeuronTrack]) -> Result<(), WriteError> {
    write(&folder.join("raster.svg"), raster(stage, tracks).to_string().as_bytes())?;
    write(&folder.join("membranes.svg"), membranes(stage, tracks).to_string().as_bytes())?;
    let rows = rows(tracks);
    write_table(&folder.join("neurons.csv"), &rows)?;
    write_parquet(&folder.join("neurons.parquet"), &rows)
}

/// A row for each neuron and time step.
fn rows(tracks: &[NeuronTrack]) -> Table {
    let names = ["neuron", "time_step", "potential_before", "potential_after", "spike", "threshold"];
    let columns = names.map(|name| Column { name: name.to_string(), kind: ColumnKind::Whole }).to_vec();
    let of = |track: &NeuronTrack| {
        let threshold = track.threshold.map_or(Cell::Empty, |threshold| Cell::Whole(threshold.into()));
        let steps = track.before.iter().zip(&track.after).zip(&track.spikes).zip(1..);
        let row = |(((before, after), spike), step): (((&i64, &i64), &i32), i64)| {
            let numbers = [i64::from(track.neuron), step, *before, *after, i64::from(*spike)];
            numbers.map(Cell::Whole).into_iter().chain([threshold.clone()]).collect::<Vec<Cell>>()
        };
        steps.map(row).collect::<Vec<_>>()
    };
    Table { columns, rows: tracks.iter().flat_map(of).collect() }
}

fn page(width: f64, height: f64, title: &str) -> Element {
    let svg = tag("svg")
        .set("xmlns", "http://www.w3.org/2000/svg")
        .set("viewBox", format!("0 0 {} {}", at(width), at(height)));
    let svg = svg.set("width", at(width)).set("height", at(height)).set("role", "img");
    svg.put(text("title", title)).put(tag("style").raw(STYLE)).put(label(8.0, 18.0, "start", title))
}

fn label(x: f64, y: f64, anchor: &str, words: &str) -> Element {
    text("text", words).set("x", at(x)).set("y", at(y)).set("text-anchor", anchor)
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Element {
    tag("line").set("class", class).set("x1", at(from.0)).set("y1", at(from.1)).set("x2", at(to.0)).set("y2", at(to.1))
}

/// Step numbers under a drawing, at most about forty of them.
fn steps(count: usize, step: f64, y: f64) -> Element {
    let every = count.div_ceil(40).max(1);
    let number = |n: usize| label(LEFT + (n as f64 + 0.5) * step, y, "middle", &(n + 1).to_string());
    tag("g").put_all((0..count).step_by(every).map(number)).put(label(8.0, y, "start", "time step"))
}

/// How wide a time step is drawn.
fn width_of(count: usize) -> f64 {
    (1400.0 / count.max(1) as f64).clamp(2.0, STEP)
}

/// Upright triangles are positive spikes, hanging ones negative.
fn raster(stage: &str, tracks: &[NeuronTrack]) -> Element {
    let count = tracks.iter().map(|track| track.spikes.len()).max().unwrap_or(0);
    let (step, row, top) = (width_of(count), 16.0, 34.0);
    let bottom = top + row * tracks.len() as f64;
    let mut svg =
        page(LEFT + step * count as f64 + 20.0, bottom + 30.0, &format!("{stage}: spikes of {} neurons", tracks.len()));
    for (nth, track) in tracks.iter().enumerate() {
        let y = top + (nth as f64 + 0.5) * row;
        svg = svg.put(line("axis", (LEFT, y), (LEFT + step * count as f64, y))).put(label(
            LEFT - 8.0,
            y + 4.0,
            "end",
            &format!("neuron {}", track.neuron),
        ));
        for (at_step, &spike) in track.spikes.iter().enumerate().filter(|(_, spike)| **spike != 0) {
            let (x, half) = (LEFT + (at_step as f64 + 0.5) * step, (step / 2.0 - 0.5).min(6.0));
            let tip = if spike > 0 { -6.0 } else { 6.0 };
            let points = format!("{},{} {},{} {},{}", at(x - half), at(y), at(x + half), at(y), at(x), at(y + tip));
            svg = svg.put(tag("polygon").set("class", if spike > 0 { "up" } else { "down" }).set("points", points));
        }
    }
    svg.put(steps(count, step, bottom + 18.0))
}

/// One panel for each neuron: the potential rises to what has arrived, and falls by the threshold where it fires.
fn membranes(stage: &str, tracks: &[NeuronTrack]) -> Element {
    let count = tracks.iter().map(|track| track.before.len()).max().unwrap_or(0);
    let (step, panel, top) = (width_of(count), 90.0, 34.0);
    let bottom = top + panel * tracks.len() as f64;
    let mut svg = page(
        LEFT + step * count as f64 + 20.0,
        bottom + 30.0,
        &format!("{stage}: membrane potentials of {} neurons", tracks.len()),
    );
    for (nth, track) in tracks.iter().enumerate() {
        let all = || track.before.iter().chain(&track.after).copied().chain(track.threshold.map(i64::from)).chain([0]);
        let (least, most) = (all().min().unwrap_or(0) as f64, all().max().unwrap_or(0) as f64);
        let base = top + panel * (nth as f64 + 1.0) - 12.0;
        let y = |value: f64| base - (value - least) / (most - least).max(1.0) * (panel - 24.0);
        let end = LEFT + step * count as f64;
        svg = svg.put(line("axis", (LEFT, y(0.0)), (end, y(0.0)))).put(label(
            LEFT - 8.0,
            base - panel / 2.0 + 10.0,
            "end",
            &format!("neuron {}", track.neuron),
        ));
        if let Some(threshold) = track.threshold {
            svg = svg.put(line("theta", (LEFT, y(f64::from(threshold))), (end, y(f64::from(threshold)))));
        }
        if let Some(&tick) = ticks(most).last() {
            svg = svg.put(label(LEFT - 8.0, y(tick) + 4.0, "end", &super::figures::short(tick)));
        }
        let points: Vec<String> = track
            .before
            .iter()
            .zip(&track.after)
            .enumerate()
            .flat_map(|(at_step, (&before, &after))| {
                let x = LEFT + at_step as f64 * step;
                [(x + step * 0.15, before), (x + step * 0.5, before), (x + step * 0.5, after), (x + step, after)]
                    .map(|(x, v)| format!("{},{}", at(x), at(y(v as f64))))
            })
            .collect();
        svg = svg.put(tag("polyline").set("class", "v").set("points", points.join(" ")));
    }
    svg.put(steps(count, step, bottom + 18.0)).put(label(
        LEFT,
        bottom + 28.0,
        "start",
        "blue: potential, before and after firing; dashed: threshold",
    ))
}
