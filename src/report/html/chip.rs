//! The chip as a map: which layer sits where, how busy every unit is, what every link carries.

use super::parts::{as_table, counted, kind, most, name, part, section as new, table};
use crate::report::figures::{at, energy, percent, short};
use crate::report::markup::{Element, tag, text};
use crate::report::whole;
use crate::summary::{ChipMap, LinkSummary, RunSummary, SliceSummary, UnitSummary};
use std::cmp::Reverse;

/// From the centre of a tile to the next, and the side of a tile.
const PITCH: f64 = 56.0;
const TILE: f64 = 42.0;
/// Tiles (of several units each) that are drawn one by one; larger chips are drawn in squares of tiles.
const MOST_UNITS: usize = 2_200;
/// Units in the table below the map.
const MOST_ROWS: usize = 400;

/// The section: the map with its views, and its units as a table.
pub(super) fn section(id: &str, run: &RunSummary) -> Element {
    let block = block(&run.map);
    let mut lead = "Every unit of the chip in its place; the number is the layer that sits there. Lines between tiles are links, the wider the more flits passed.".to_string();
    if block > 1 {
        lead += &format!(
            " The chip is large: each square stands for the busiest unit of {block} × {block} tiles, and links are left out."
        );
    }
    let map_id = format!("{id}-map");
    let map = drawing(run, block).set("id", &map_id).set("data-view", "busy");
    let side = tag("div").put(text("h3", "Layers").set("style", "margin-top:0")).put(layers(run));
    new(id, "The chip", &lead)
        .put(views(&map_id, run))
        .put(tag("div").class("mapbox").put(tag("div").class("chart").put(map)).put(side))
        .put(shapes(&run.map))
        .put(as_table("The units as a table", figures(run)))
        .put(as_table("The busiest links as a table", links(run)))
}

/// The buttons that change what the colours say.
fn views(map: &str, run: &RunSummary) -> Element {
    let slices = || run.map.units.iter().filter_map(|unit| unit.slice.as_ref());
    let highest = |of: fn(&SliceSummary) -> f64| most(slices().map(of));
    let (value, unit) = energy(highest(|slice| slice.energy_fj as f64) * 1e-9);
    let queue = highest(|slice| slice.peak_queue as f64);
    let busiest = percent(highest(|slice| slice.utilisation));
    let all = [
        ("busy", "Utilisation", busiest.clone()),
        ("layer", "Layers", String::new()),
        ("energy", "Energy", format!("{value} {unit}")),
        ("spikes", "Spikes", short(highest(|slice| slice.spikes as f64))),
        ("queue", "Longest queue", format!("{} packets", short(queue))),
    ];
    let button = |(view, title, most): &(&str, &str, String)| {
        text("button", title)
            .set("type", "button")
            .set("value", view)
            .set("aria-pressed", *view == "busy")
            .set("data-most", most)
    };
    let key = format!("{map}-key");
    let seg = tag("div")
        .class("seg")
        .set("role", "group")
        .set("aria-label", "What the colours say")
        .set("data-for", map)
        .set("data-key", &key);
    let scale = tag("span").class("scale").set("id", &key).text("0 ").put(tag("i")).put(text("b", busiest));
    tag("div").class("tools").put(seg.put_all(all.iter().map(button))).put(scale)
}

/// Tiles along the side of the squares that the map is drawn in.
fn block(map: &ChipMap) -> u32 {
    (1..).find(|&side| map.units.len() / (side * side) as usize <= MOST_UNITS).unwrap_or(1)
}

/// What is drawn of one square: its busiest units, a single one where squares hold several tiles.
fn shown(map: &ChipMap, block: u32) -> Vec<&UnitSummary> {
    let mut units: Vec<&UnitSummary> = map.units.iter().collect();
    if block > 1 {
        let busy = |unit: &UnitSummary| unit.slice.as_ref().map_or(0, |slice| slice.busy_cycles + 1);
        units.sort_by_key(|unit| (unit.y / block, unit.x / block, Reverse(busy(unit)), unit.y, unit.x, unit.port));
        units.dedup_by_key(|unit| (unit.y / block, unit.x / block));
    }
    units
}

fn drawing(run: &RunSummary, block: u32) -> Element {
    let map = &run.map;
    let (columns, rows) = (map.columns.div_ceil(block), map.rows.div_ceil(block));
    let [width, height] = [columns, rows].map(|count| f64::from(count) * PITCH + 26.0);
    let label = format!(
        "{} × {} tiles of {}, the units coloured by what the buttons choose; the tables below hold the figures",
        map.columns, map.rows, run.chip
    );
    let slices = || map.units.iter().filter_map(|unit| unit.slice.as_ref());
    let highest = |of: fn(&SliceSummary) -> f64| most(slices().map(of));
    let tops = [
        highest(|slice| slice.utilisation),
        highest(|slice| slice.energy_fj as f64),
        highest(|slice| slice.spikes as f64),
        highest(|slice| slice.peak_queue as f64),
    ];
    let mut svg = tag("svg")
        .class("map")
        .set("viewBox", format!("0 0 {} {}", at(width), at(height)))
        .set("width", at(width.min(940.0)))
        .set("role", "img")
        .set("aria-label", label);
    if columns * rows <= MOST_UNITS as u32 {
        svg = svg.put(axes(columns, rows, block));
    }
    if block == 1 {
        let heaviest = most(map.links.iter().map(|link| link.flits as f64));
        svg = svg.put_all(map.links.iter().map(|link| link_line(link, heaviest)));
    }
    let units = shown(map, block);
    let mut of_tile: Vec<&[&UnitSummary]> = units.chunk_by(|a, b| (a.x, a.y) == (b.x, b.y)).collect();
    if block > 1 {
        of_tile = units.chunks(1).collect();
    }
    svg.put_all(of_tile.into_iter().flat_map(|tile| {
        tile.iter().enumerate().map(|(nth, unit)| placed(run, unit, nth, tile.len(), block, &tops)).collect::<Vec<_>>()
    }))
}

/// Column and row numbers.
fn axes(columns: u32, rows: u32, block: u32) -> Element {
    let step = (columns.max(rows) / 16).max(1) as usize;
    let number = |x: f64, y: f64, n: u32| {
        text("text", n * block).set("x", at(x)).set("y", at(y)).set("style", "fill:var(--faint)")
    };
    let across = (0..columns).step_by(step).map(|n| number(centre(n), 12.0, n));
    let down = (0..rows).step_by(step).map(|n| number(8.0, centre(n) + 4.0, n));
    tag("g").put_all(across.chain(down))
}

fn centre(tile: u32) -> f64 {
    f64::from(tile) * PITCH + 20.0 + TILE / 2.0
}

/// One unit: its shape says what it is, its number which layer sits there.
fn placed(run: &RunSummary, unit: &UnitSummary, nth: usize, of: usize, block: u32, tops: &[f64; 4]) -> Element {
    let along = (1..).find(|side| side * side >= of).unwrap_or(1);
    let size = TILE / along as f64;
    let [x, y] = [(unit.x, nth % along), (unit.y, nth / along)]
        .map(|(tile, place)| centre(tile / block) - TILE / 2.0 + (place as f64 + 0.5) * size);
    let place = format!(
        "{} at tile ({}, {}){}",
        unit.kind.replace('_', "-"),
        unit.x,
        unit.y,
        if of > 1 { format!(", unit {}", unit.port) } else { String::new() }
    );
    let shape = shape(&unit.kind, x, y, size - 3.0);
    let Some(slice) = &unit.slice else { return shape.class("u idle").set("data-t", format!("{place}\nunused")) };
    let layer = run.layers.get(slice.layer as usize);
    let images = run.images.max(1) as f64;
    let (spent, spent_unit) = energy(slice.energy_fj as f64 * 1e-9 / images);
    let tip = format!(
        "{}\n{place}\n{}\nbusy {} of all cycles\n{} synaptic ops, {} spikes, {} packets\n{spent} {spent_unit} an image, longest queue {}",
        layer.map_or("?", |layer| layer.name.as_str()),
        slice.region,
        percent(slice.utilisation),
        short(slice.synaptic_ops as f64 / images),
        short(slice.spikes as f64 / images),
        short(slice.packets as f64 / images),
        slice.peak_queue
    );
    let values = [slice.utilisation, slice.energy_fj as f64, slice.spikes as f64, slice.peak_queue as f64];
    let [b, e, s, q] = std::array::from_fn(|nth| at(part(values[nth], tops[nth])));
    let style = format!("--b:{b};--e:{e};--s:{s};--q:{q};--h:{}", hue(slice.layer as usize, run.layers.len()));
    let shape = shape.class("u").set("style", style).set("data-l", slice.layer).set("data-t", tip);
    if block > 1 || size < 16.0 {
        return shape;
    }
    tag("g").put(shape).put(text("text", slice.layer + 1).set("x", at(x)).set("y", at(y + 4.0)))
}

/// Layers go once around the circle of colours.
fn hue(layer: usize, layers: usize) -> u32 {
    (200 + layer * 320 / layers.max(1)) as u32 % 360
}

/// The outline of a kind of unit, `size` wide.
fn shape(kind: &str, x: f64, y: f64, size: f64) -> Element {
    let r = size / 2.0;
    let polygon = |corners: &[(f64, f64)]| {
        let points: Vec<String> =
            corners.iter().map(|(dx, dy)| format!("{},{}", at(x + dx * r), at(y + dy * r))).collect();
        tag("polygon").set("points", points.join(" "))
    };
    match kind {
        "max_pool" => polygon(&[(-1.0, -0.85), (1.0, -0.85), (1.0, 0.25), (0.0, 1.0), (-1.0, 0.25)]),
        "attention" => {
            polygon(&[(-0.55, -0.95), (0.55, -0.95), (1.08, 0.0), (0.55, 0.95), (-0.55, 0.95), (-1.08, 0.0)])
        }
        "softmax" => tag("circle").set("cx", at(x)).set("cy", at(y)).set("r", at(r)),
        "port" => polygon(&[(0.0, -1.1), (1.1, 0.0), (0.0, 1.1), (-1.1, 0.0)]),
        _ => tag("rect")
            .set("x", at(x - r))
            .set("y", at(y - r))
            .set("width", at(size))
            .set("height", at(size))
            .set("rx", 4),
    }
}

/// A link, beside that of the other direction.
fn link_line(link: &LinkSummary, heaviest: f64) -> Element {
    let (x, y) = (centre(link.x), centre(link.y));
    let (from, to, aside) = (TILE / 2.0 + 0.5, PITCH - TILE / 2.0 - 0.5, 5.0);
    let [x1, y1, x2, y2] = match link.toward.as_str() {
        "north" => [x + aside, y - from, x + aside, y - to],
        "east" => [x + from, y + aside, x + to, y + aside],
        "south" => [x - aside, y + from, x - aside, y + to],
        _ => [x - from, y - aside, x - to, y - aside],
    };
    let weight = part(link.flits as f64, heaviest);
    let tip = format!(
        "link from ({}, {}) {}\n{} flits\nbusy {} of all cycles",
        link.x,
        link.y,
        link.toward,
        whole(link.flits),
        percent(link.load)
    );
    tag("line")
        .class("k")
        .set("x1", at(x1))
        .set("y1", at(y1))
        .set("x2", at(x2))
        .set("y2", at(y2))
        .set("style", format!("stroke-width:{};opacity:{}", at(1.2 + weight * 6.0), at(0.25 + 0.75 * weight)))
        .set("data-t", tip)
}

/// The layers with their numbers and units.
fn layers(run: &RunSummary) -> Element {
    let entry = |(nth, layer): (usize, &crate::summary::LayerSummary)| {
        let number = text("b", nth + 1).set("style", format!("--h:{}", hue(nth, run.layers.len())));
        tag("li")
            .set("data-l", nth)
            .set("tabindex", 0)
            .put(number)
            .put(text("em", &layer.name))
            .put(text("span", counted(layer.cores, "unit")))
    };
    tag("ol").class("layers").put_all(run.layers.iter().enumerate().map(entry))
}

/// Which shape is which kind of unit.
fn shapes(map: &ChipMap) -> Element {
    let mut kinds: Vec<&str> = map.units.iter().map(|unit| unit.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let entry = |kind: &str| {
        let drawn = shape(kind, 8.0, 8.0, 13.0).set("style", "fill:var(--faint)");
        let icon = tag("svg")
            .set("viewBox", "0 0 16 16")
            .set("width", 14)
            .set("height", 14)
            .set("aria-hidden", "true")
            .set("style", "display:inline-block;vertical-align:-2px;margin-right:6px")
            .put(drawn);
        tag("li").put(icon).text(kind.replace('_', "-"))
    };
    let unused = tag("li").text("dashed: unused");
    tag("ul").class("legend").set("aria-label", "Kinds of unit").put_all(kinds.into_iter().map(entry)).put(unused)
}

fn figures(run: &RunSummary) -> Element {
    let mut used: Vec<(&UnitSummary, &SliceSummary)> =
        run.map.units.iter().filter_map(|unit| Some((unit, unit.slice.as_ref()?))).collect();
    used.sort_by_key(|(_, slice)| Reverse(slice.busy_cycles));
    let left_out = used.len().saturating_sub(MOST_ROWS);
    let rows = used.into_iter().take(MOST_ROWS).map(|(unit, slice)| {
        let layer = run.layers.get(slice.layer as usize).map_or("?", |layer| layer.name.as_str());
        let (spent, spent_unit) = energy(slice.energy_fj as f64 * 1e-9 / run.images.max(1) as f64);
        tag("tr")
            .put(name(&format!("({}, {}) {}", unit.x, unit.y, unit.port)))
            .put(kind(&unit.kind))
            .put(text("td", layer).class("l"))
            .put(text("td", &slice.region).class("l kind"))
            .put(text("td", percent(slice.utilisation)))
            .put_all(
                [slice.busy_cycles, slice.synaptic_ops, slice.spikes, slice.packets, slice.peak_queue]
                    .map(|count| text("td", whole(count))),
            )
            .put(text("td", format!("{spent} {spent_unit}")))
    });
    let titles = [
        "<tile, unit",
        "<kind",
        "<layer",
        "<part of it",
        "utilisation",
        "busy cycles",
        "synaptic ops",
        "spikes",
        "packets",
        "peak queue",
        "energy per image",
    ];
    let table = table(&titles, rows);
    if left_out == 0 {
        table
    } else {
        tag("div").put(table).put(text("p", format!("{left_out} less busy units are in summary.json.")).class("lead"))
    }
}

fn links(run: &RunSummary) -> Element {
    let mut links: Vec<&LinkSummary> = run.map.links.iter().collect();
    links.sort_by_key(|link| Reverse(link.flits));
    let rows = links.into_iter().take(40).map(|link| {
        tag("tr")
            .put(name(&format!("({}, {})", link.x, link.y)))
            .put(kind(&link.toward))
            .put(text("td", whole(link.flits)))
            .put(text("td", percent(link.load)))
    });
    table(&["<tile", "<toward", "flits", "busy"], rows)
}
