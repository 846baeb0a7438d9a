//! When each layer worked on which time step.

use super::accuracy::shaded;
use super::parts::{as_table, counted, head, name, part, section as new, table};
use crate::report::figures::{at, short, ticks, time};
use crate::report::markup::{Element, tag, text};
use crate::report::whole;
use crate::summary::{LayerSummary, RunSummary, StepSummary, Waterfall};

const WIDTH: f64 = 1100.0;
const LEFT: f64 = 190.0;
const ROW: f64 = 26.0;
const LANE: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 44.0;
/// Steps that are drawn or listed.
const MOST: usize = 32;

/// The section: bars over cycles, and the spikes of each step.
pub(super) fn section(id: &str, run: &RunSummary) -> Element {
    let fall = &run.waterfall;
    let shown = fall.layers.iter().map(Vec::len).max().unwrap_or(0).min(MOST);
    let lead = format!(
        "The first image, from its first packet to silence: {} in {} cycles{}. Pale: the layer's units take in packets of the step; strong: they fire it. Even and odd steps lie in two lanes, as the units of a layer need not be in the same step.",
        counted(fall.steps.into(), "time step"),
        whole(fall.cycles),
        if (shown as u32) < fall.steps { format!(", the first {shown} steps shown") } else { String::new() },
    );
    new(id, "Time steps", &lead)
        .put(tag("div").class("chart").put(drawing(id, run, shown)))
        .put(as_table("Begin and end of every step as a table", figures(run, shown)))
        .put(text("h3", "Spikes in each time step"))
        .put(spikes(run, shown))
        .set("class", "long")
}

/// The first `shown` steps of a layer.
fn steps(fall: &Waterfall, layer: usize, shown: usize) -> &[StepSummary] {
    fall.layers.get(layer).map_or(&[], |steps| &steps[..shown.min(steps.len())])
}

fn drawing(id: &str, run: &RunSummary, shown: usize) -> Element {
    let fall = &run.waterfall;
    let last =
        (0..run.layers.len()).flat_map(|layer| steps(fall, layer, shown)).map(|step| step.ends).max().unwrap_or(0)
            as f64;
    let height = TOP + run.layers.len() as f64 * ROW + BOTTOM;
    let label = format!("{id}-drawing");
    let scale = move |cycle: u64| LEFT + part(cycle as f64, last) * (WIDTH - LEFT - 12.0);
    let mut svg = tag("svg")
        .class("fall fixed")
        .set("viewBox", format!("0 0 {WIDTH} {height}"))
        .set("width", WIDTH)
        .set("role", "img")
        .set("aria-labelledby", &label)
        .put(
            text("title", "When each layer worked on which time step; the table below holds the cycles")
                .set("id", &label),
        );
    let bottom = height - BOTTOM;
    for tick in ticks(last) {
        let x = at(scale(tick as u64));
        let grid = tag("line").class("axis").set("x1", &x).set("x2", &x).set("y1", at(TOP)).set("y2", at(bottom));
        let when = time(tick / run.map.mhz as f64 * 1e-3);
        let caption = |dy: f64, words: String| {
            text("text", words).set("x", &x).set("y", at(bottom + dy)).set("text-anchor", "middle")
        };
        svg = svg
            .put(grid)
            .put(caption(17.0, if tick == 0.0 { "0 cycles".to_string() } else { short(tick) }))
            .put(caption(33.0, format!("{} {}", when.0, when.1)));
    }
    svg.put_all(
        run.layers
            .iter()
            .enumerate()
            .map(|(at_layer, layer)| row(layer, at_layer, steps(fall, at_layer, shown), scale)),
    )
}

fn row(layer: &LayerSummary, nth: usize, steps: &[StepSummary], scale: impl Fn(u64) -> f64) -> Element {
    let top = TOP + nth as f64 * ROW;
    let back = tag("rect").class("back").set("x", 0).set("y", at(top)).set("width", WIDTH).set("height", ROW);
    let title = text("text", shortened(&layer.name)).class("name").set("x", 0).set("y", at(top + ROW / 2.0 + 4.0));
    let bars = steps.iter().enumerate().map(|(step, of)| {
        let lane = top + 2.0 + if step % 2 == 0 { 0.0 } else { LANE + 2.0 };
        let bar = |class: &str, from: u64, to: u64| {
            tag("rect")
                .class(class)
                .set("x", at(scale(from)))
                .set("y", at(lane))
                .set("width", at((scale(to) - scale(from)).max(0.7)))
                .set("height", LANE)
        };
        let tip = format!(
            "{}, time step {}\ntakes in from cycle {}\nfires from {}\nends at {}\n{} spikes in {} packets",
            layer.name,
            step + 1,
            whole(of.begins),
            whole(of.fires),
            whole(of.ends),
            whole(of.spikes),
            whole(of.packets)
        );
        let group = tag("g").class(if step % 2 == 0 { "even" } else { "odd" }).set("data-t", tip);
        let group = group.put(bar("in", of.begins, of.fires)).put(bar("out", of.fires, of.ends));
        let room = scale(of.ends) - scale(of.fires);
        if room < 12.0 {
            return group;
        }
        group.put(
            text("text", step + 1)
                .class("n")
                .set("x", at((scale(of.fires) + scale(of.ends)) / 2.0))
                .set("y", at(lane + LANE - 1.5)),
        )
    });
    tag("g").class("row").put(back).put(title).put_all(bars)
}

/// A name that fits beside the bars: its end says most.
fn shortened(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= 27 {
        name.to_string()
    } else {
        format!("…{}", letters[letters.len() - 26..].iter().collect::<String>())
    }
}

fn numbered(shown: usize) -> Vec<String> {
    ["<layer".to_string()].into_iter().chain((1..=shown).map(|step| step.to_string())).collect()
}

fn figures(run: &RunSummary, shown: usize) -> Element {
    let titles = numbered(shown);
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let rows = run.layers.iter().enumerate().map(|(at, layer)| {
        let cell = |step: &StepSummary| text("td", format!("{}–{}", whole(step.begins), whole(step.ends)));
        tag("tr").put(name(&layer.name)).put_all(steps(&run.waterfall, at, shown).iter().map(cell))
    });
    table(&titles, rows)
}

fn spikes(run: &RunSummary, shown: usize) -> Element {
    let titles = numbered(shown);
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let rows = run.layers.iter().enumerate().map(|(at, layer)| {
        let cell = |step: &StepSummary| {
            let rate = part(step.spikes as f64, layer.neurons as f64);
            let label = if step.spikes == 0 { "·".to_string() } else { short(step.spikes as f64) };
            shaded(rate.min(1.0), label)
        };
        tag("tr").put(name(&layer.name)).put_all(steps(&run.waterfall, at, shown).iter().map(cell))
    });
    let caption = text(
        "caption",
        "Spikes (or graded values) sent in each step; the darker, the larger the part of the layer's values that speak",
    );
    tag("div")
        .class("scroll")
        .put(tag("table").class("heat small").put(caption).put(head(&titles)).put(tag("tbody").put_all(rows)))
}
