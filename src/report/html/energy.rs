//! Energy of each layer, stacked by component.

use super::parts::{STATIC, as_table, components, kind, legend, most, name, part, section as new, table, title};
use crate::report::figures::{at, energy, percent};
use crate::report::markup::{Element, tag, text};
use crate::summary::{LayerSummary, RunSummary};

/// The section: a bar for each layer, and its figures as a table.
pub(super) fn section(id: &str, run: &RunSummary) -> Element {
    let lead = "What each layer's units spend on an image, by component. A packet is paid for by the layer that sends it, on its whole way.";
    let longest = most(run.layers.iter().map(|layer| layer.energy_fj as f64));
    let rows = run.layers.iter().map(|layer| {
        let (value, unit) = energy(layer.energy_uj);
        let bar = tag("td").class("wide").put(stack(layer, longest));
        let share = percent(part(layer.energy_fj as f64, run.energy_fj as f64));
        tag("tr")
            .put(name(&layer.name))
            .put(kind(&layer.kind))
            .put(bar)
            .put(text("td", format!("{value} {unit}")))
            .put(text("td", share))
    });
    let bars = table(&["<layer", "<kind", "<energy by component", "per image", "share"], rows);
    new(id, "Energy by layer", lead)
        .put(legend(occurring(run)))
        .put(bars)
        .put(as_table("Energy by layer and component as a table", figures(run)))
}

/// The components that any layer pays for.
fn occurring(run: &RunSummary) -> impl Iterator<Item = &'static str> {
    components().filter(|key| *key != STATIC && run.layers.iter().any(|layer| spent(layer, key) > 0))
}

fn spent(layer: &LayerSummary, component: &str) -> u64 {
    layer.energy_by_component_fj.get(component).copied().unwrap_or(0)
}

/// A layer's bar, as a part of the longest one.
pub(super) fn stack(layer: &LayerSummary, longest: f64) -> Element {
    let segment = |key: &'static str| {
        let share = percent(part(spent(layer, key) as f64, layer.energy_fj as f64));
        let width = part(spent(layer, key) as f64, longest) * 100.0;
        tag("i")
            .class(key)
            .set("style", format!("width:{}%", at(width)))
            .set("data-t", format!("{}\n{}: {share} of the layer", layer.name, title(key)))
    };
    let there = components().filter(|key| part(spent(layer, key) as f64, longest) > 0.0005);
    tag("div").class("track").put_all(there.map(segment))
}

fn figures(run: &RunSummary) -> Element {
    let columns: Vec<&str> = occurring(run).collect();
    let titles: Vec<String> = columns.iter().map(|key| title(key)).collect();
    let titles: Vec<&str> = ["<layer"].into_iter().chain(titles.iter().map(String::as_str)).collect();
    let images = run.images.max(1) as f64;
    let rows = run.layers.iter().map(|layer| {
        let cell = |key: &&str| {
            let (value, unit) = energy(spent(layer, key) as f64 * 1e-9 / images);
            text("td", if spent(layer, key) == 0 { "–".to_string() } else { format!("{value} {unit}") })
        };
        tag("tr").put(name(&layer.name)).put_all(columns.iter().map(cell))
    });
    table(&titles, rows)
}
