//! Accuracy against time steps, and the table of T by settle steps.

use super::parts::{head, most, name, part, section as new};
use crate::report::figures::{at, ticks};
use crate::report::markup::{Element, tag, text};
use crate::summary::{AccuracyRow, AccuracyTable};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 120.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 42.0;

/// The section: curves and heat map.
pub(super) fn section(id: &str, table: &AccuracyTable) -> Element {
    let lead = format!(
        "Top-1 over {}, {} semantics, {} weights; the float network reaches {:.1} % (top-5 {:.1} %).",
        super::parts::counted(table.images, "image"),
        table.semantics,
        table.weights,
        table.ann_top1,
        table.ann_top5
    );
    new(id, "Accuracy", &lead)
        .put(text("h3", "Against the time steps T"))
        .put(tag("div").class("chart").put(curves(id, table)))
        .put(text("h3", "T by settle steps"))
        .put(heat(table))
}

fn x(table: &AccuracyTable, time_steps: u32) -> f64 {
    let (least, most) =
        (table.rows.first().map_or(0, |row| row.time_steps), table.rows.last().map_or(1, |row| row.time_steps));
    let along = part(f64::from(time_steps - least.min(time_steps)), f64::from(most - least.min(most)));
    LEFT + 12.0 + along * (WIDTH - LEFT - RIGHT - 24.0)
}

fn y(top1: f64, most: f64) -> f64 {
    HEIGHT - BOTTOM - part(top1, most) * (HEIGHT - TOP - BOTTOM)
}

/// The columns that are drawn: at most five, the first and the last among them.
fn drawn(table: &AccuracyTable) -> Vec<usize> {
    let columns = table.settle.len();
    if columns <= 5 { (0..columns).collect() } else { vec![0, columns / 4, columns / 2, columns * 3 / 4, columns - 1] }
}

const COLOURS: [&str; 5] = ["synapse", "soma", "axon", "max_pool", "softmax"];
const MARKS: [&str; 5] = ["●", "▲", "■", "◆", "▼"];

fn curves(id: &str, table: &AccuracyTable) -> Element {
    let highest = most(table.rows.iter().flat_map(|row| row.top1.iter().copied()).chain([table.ann_top1])).max(1.0);
    let label = format!("{id}-curves");
    let mut svg = tag("svg")
        .set("viewBox", format!("0 0 {WIDTH} {HEIGHT}"))
        .set("role", "img")
        .set("aria-labelledby", &label)
        .set("width", WIDTH);
    svg = svg.put(
        text(
            "title",
            "Top-1 against the time steps T, a line for each number of settle steps; the table below holds the figures",
        )
        .set("id", &label),
    );
    for tick in ticks(highest) {
        let at_y = at(y(tick, highest));
        svg = svg.put(line(LEFT, &at_y, WIDTH - RIGHT, &at_y, "axis")).put(label_at(
            LEFT - 8.0,
            y(tick, highest) + 4.0,
            "end",
            &format!("{tick} %"),
        ));
    }
    for row in &table.rows {
        svg =
            svg.put(label_at(x(table, row.time_steps), HEIGHT - BOTTOM + 18.0, "middle", &row.time_steps.to_string()));
    }
    svg = svg.put(label_at((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 4.0, "middle", "time steps T"));
    let ann = at(y(table.ann_top1, highest));
    svg = svg.put(line(LEFT, &ann, WIDTH - RIGHT, &ann, "axis strong").set("stroke-dasharray", "5 4"));
    let mut labels = vec![(y(table.ann_top1, highest), "┄ float ANN".to_string(), "soft")];
    for (nth, column) in drawn(table).into_iter().enumerate() {
        svg = svg.put(curve(table, column, nth, highest));
        let end = table.rows.last().and_then(|row| row.top1.get(column)).map_or(0.0, |&top1| y(top1, highest));
        labels.push((end, format!("{} settle {}", MARKS[nth], table.settle[column]), COLOURS[nth]));
    }
    svg.put_all(spread(labels).into_iter().map(|(at_y, label, colour)| {
        label_at(WIDTH - RIGHT + 8.0, at_y + 4.0, "start", &label).set("style", format!("fill:var(--{colour})"))
    }))
}

/// Labels moved apart so that they can be read.
fn spread(mut labels: Vec<(f64, String, &'static str)>) -> Vec<(f64, String, &'static str)> {
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = 0.0;
    for label in &mut labels {
        label.0 = label.0.max(free);
        free = label.0 + 15.0;
    }
    labels
}

fn curve(table: &AccuracyTable, column: usize, nth: usize, highest: f64) -> Element {
    let point = |row: &AccuracyRow| {
        row.top1.get(column).map(|&top1| (x(table, row.time_steps), y(top1, highest), row.time_steps, top1))
    };
    let points: Vec<_> = table.rows.iter().filter_map(point).collect();
    let path: Vec<String> = points.iter().map(|(x, y, ..)| format!("{},{}", at(*x), at(*y))).collect();
    let colour = format!("stroke:var(--{})", COLOURS[nth]);
    let marks = points.iter().map(|(x, y, time_steps, top1)| {
        text("text", MARKS[nth])
            .set("x", at(*x))
            .set("y", at(*y + 4.0))
            .set("text-anchor", "middle")
            .set("style", format!("fill:var(--{});font-size:12px", COLOURS[nth]))
            .set("data-t", format!("T = {time_steps}, {} settle steps\ntop-1 {top1:.1} %", table.settle[column]))
    });
    tag("g").put(tag("polyline").class("line").set("points", path.join(" ")).set("style", colour)).put_all(marks)
}

fn line(x1: f64, y1: &str, x2: f64, y2: &str, class: &str) -> Element {
    tag("line").set("x1", at(x1)).set("y1", y1).set("x2", at(x2)).set("y2", y2).class(class)
}

fn label_at(x: f64, y: f64, anchor: &str, label: &str) -> Element {
    text("text", label).set("x", at(x)).set("y", at(y)).set("text-anchor", anchor)
}

/// The table itself, shaded by its values.
fn heat(table: &AccuracyTable) -> Element {
    let all = || table.rows.iter().flat_map(|row| row.top1.iter().copied());
    let (least, greatest) = (all().fold(f64::INFINITY, f64::min), most(all()));
    let titles: Vec<String> =
        ["<T \\ settle".to_string()].into_iter().chain(table.settle.iter().map(u32::to_string)).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let rows = table.rows.iter().map(|row| {
        let cells = row.top1.iter().enumerate().map(|(column, &top1)| {
            let shade = part(top1 - least, greatest - least);
            let of = |list: &[f64]| list.get(column).copied().unwrap_or(f64::NAN);
            let settle = table.settle.get(column).copied().unwrap_or(0);
            let tip = format!(
                "T = {}, {settle} settle steps\ntop-1 {top1:.1} %\ntop-5 {:.1} %\nloss {:.3}",
                row.time_steps,
                of(&row.top5),
                of(&row.loss)
            );
            shaded(shade, format!("{top1:.1}")).set("data-t", tip)
        });
        tag("tr").put(name(&row.time_steps.to_string())).put_all(cells)
    });
    let body = tag("table")
        .class("heat")
        .put(text("caption", "Top-1 in percent; the darker, the higher"))
        .put(head(&titles))
        .put(tag("tbody").put_all(rows));
    tag("div").class("scroll").put(body)
}

/// A cell as dark as `shade` (0 to 1).
pub(super) fn shaded(shade: f64, label: String) -> Element {
    let class = if shade > 0.6 { "on" } else { "" };
    let cell = text("td", label).set("style", format!("--v:{}", at(shade)));
    if class.is_empty() { cell } else { cell.class(class) }
}
