//! Several runs beside each other.

use super::Findings;
use super::page::Entry;
use super::parts::{bar_cell, components, legend, most, name, part, section as new, table, title};
use crate::report::figures::{at, energy, percent, short, three, time};
use crate::report::markup::{Element, tag, text};
use crate::report::whole;
use crate::summary::{LayerSummary, RunSummary};

/// A run with the name of its folder.
type Named<'a> = (&'a str, &'a RunSummary);

/// The sections that compare.
pub(super) fn sections(results: &[Findings]) -> Vec<Entry> {
    let runs: Vec<Named> =
        results.iter().filter_map(|result| Some((result.label.as_str(), result.run.as_ref()?))).collect();
    let entry = |id: &str, title, body| Entry { id: id.to_string(), title, body };
    vec![
        entry("side", "Side by side", side("side", &runs)),
        entry("components", "Energy", by_component("components", &runs)),
        entry("bylayer", "Layers", by_layer("bylayer", &runs)),
        entry("differences", "Constants", differences("differences", &runs)),
    ]
}

fn columns<'a>(runs: &[Named<'a>]) -> Vec<String> {
    ["<".to_string()].into_iter().chain(runs.iter().map(|(label, _)| (*label).to_string())).collect()
}

fn titled(titles: &[String], rows: impl IntoIterator<Item = Element>) -> Element {
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    table(&titles, rows)
}

fn side(id: &str, runs: &[Named]) -> Element {
    let sum = |run: &RunSummary, of: fn(&LayerSummary) -> u64| {
        short(run.layers.iter().map(of).sum::<u64>() as f64 / run.images.max(1) as f64)
    };
    let unit = |(value, unit): (String, &str)| format!("{value} {unit}");
    let exact = |run: &RunSummary| {
        run.agreement
            .as_ref()
            .map_or("not compared", |agreement| if agreement.all_equal { "✓ every layer" } else { "✗ differs" })
            .to_string()
    };
    let top1 = |run: &RunSummary| {
        run.agreement
            .as_ref()
            .and_then(|agreement| agreement.snn_top1)
            .map_or("–".to_string(), |top1| format!("{} %", three(top1)))
    };
    let row = |title: &str, of: &dyn Fn(&RunSummary) -> String| {
        tag("tr").put(name(title)).put_all(runs.iter().map(|(_, run)| text("td", of(run))))
    };
    let rows = [
        row("network", &|run| run.network.clone()),
        row("chip", &|run| run.chip.clone()),
        row("images", &|run| whole(run.images)),
        row("T", &|run| run.time_steps.to_string()),
        row("energy per image", &|run| unit(energy(run.energy_uj_per_image))),
        row("time per image", &|run| unit(time(run.time_ms_per_image))),
        row("cycles per image", &|run| three(run.cycles_per_image)),
        row("spikes per image", &|run| sum(run, |layer| layer.spikes)),
        row("synaptic ops per image", &|run| sum(run, |layer| layer.synaptic_ops)),
        row("packets per image", &|run| sum(run, |layer| layer.packets)),
        row("flit hops per image", &|run| sum(run, |layer| layer.flit_hops)),
        row("units in use", &|run| whole(run.layers.iter().map(|layer| layer.cores).sum())),
        row("ANN on this technology", &|run| unit(energy(run.ann_baseline.energy_uj))),
        row("equal to the integer network", &exact),
        row("top-1", &top1),
        row("command", &|run| run.origin.command.join(" ")),
    ];
    new(id, "Side by side", "What one image takes in each of the runs.").put(titled(&columns(runs), rows))
}

fn by_component(id: &str, runs: &[Named]) -> Element {
    let of = |run: &RunSummary, key: &str| run.energy_by_component.get(key).copied().unwrap_or(0.0);
    let longest = most(runs.iter().map(|(_, run)| run.energy_uj_per_image));
    let occurring: Vec<&'static str> =
        components().filter(|key| runs.iter().any(|(_, run)| of(run, key) > 0.0)).collect();
    let bars = runs.iter().map(|(label, run)| {
        let segment = |key: &&'static str| {
            let (value, unit) = energy(of(run, key));
            let share = percent(part(of(run, key), run.energy_uj_per_image));
            tag("i")
                .class(*key)
                .set("style", format!("width:{}%", at(part(of(run, key), longest) * 100.0)))
                .set("data-t", format!("{label}\n{}: {value} {unit}, {share}", title(key)))
        };
        let (value, unit) = energy(run.energy_uj_per_image);
        let bar = tag("td")
            .class("wide")
            .put(tag("div").class("track").put_all(occurring.iter().filter(|key| of(run, key) > 0.0).map(segment)));
        tag("tr").put(name(label)).put(bar).put(text("td", format!("{value} {unit}")))
    });
    let rows = occurring.iter().map(|key| {
        let cell = |(_, run): &Named| {
            let (value, unit) = energy(of(run, key));
            text("td", format!("{value} {unit}"))
        };
        tag("tr").put(name(&title(key))).put_all(runs.iter().map(cell))
    });
    new(id, "Energy by component", "All bars have one scale.")
        .put(table(&["<run", "<energy by component", "per image"], bars))
        .put(legend(occurring.iter().copied()))
        .put(titled(&columns(runs), rows))
}

/// The layers of all runs, in the order in which they first occur.
fn layer_names<'a>(runs: &[Named<'a>]) -> Vec<&'a str> {
    let mut names = vec![];
    for layer in runs.iter().flat_map(|(_, run)| &run.layers) {
        if !names.contains(&layer.name.as_str()) {
            names.push(layer.name.as_str());
        }
    }
    names
}

fn by_layer(id: &str, runs: &[Named]) -> Element {
    let longest = most(runs.iter().flat_map(|(_, run)| run.layers.iter().map(|layer| layer.energy_uj)));
    let rows = layer_names(runs).into_iter().map(|layer_name| {
        let cells = runs.iter().flat_map(|(label, run)| {
            let Some(layer) = run.layers.iter().find(|layer| layer.name == layer_name) else {
                return [tag("td"), text("td", "–")];
            };
            let (value, unit) = energy(layer.energy_uj);
            let tip = format!(
                "{layer_name}, {label}\n{value} {unit} an image\n{} busy cycles on {} units",
                whole(layer.busy_cycles),
                layer.cores
            );
            [bar_cell(part(layer.energy_uj, longest), "", "mid", &tip), text("td", format!("{value} {unit}"))]
        });
        tag("tr").put(name(layer_name)).put_all(cells)
    });
    let titles = ["<layer".to_string()]
        .into_iter()
        .chain(runs.iter().flat_map(|(label, _)| [format!("<{label}"), String::new()]));
    let titles: Vec<String> = titles.collect();
    new(id, "Energy by layer", "Per image, without static power; all bars have one scale.").put(titled(&titles, rows))
}

/// The constants in which the chips differ.
fn differences(id: &str, runs: &[Named]) -> Element {
    let value = |run: &RunSummary, path: &str| {
        run.constants
            .iter()
            .find(|constant| constant.path == path)
            .map(|constant| format!("{} {}", constant.value, constant.unit).trim_end().to_string())
    };
    let Some((_, first)) = runs.first() else { return new(id, "Constants that differ", "There is no run.") };
    let differing: Vec<&str> = first
        .constants
        .iter()
        .map(|constant| constant.path.as_str())
        .filter(|path| runs.iter().any(|(_, run)| value(run, path) != value(first, path)))
        .collect();
    if differing.is_empty() {
        return new(id, "Constants that differ", "The chips of all runs have the same constants.");
    }
    let rows = differing.iter().map(|path| {
        tag("tr")
            .put(tag("th").set("scope", "row").class("l").put(text("code", path)))
            .put_all(runs.iter().map(|(_, run)| text("td", value(run, path).unwrap_or_default())))
    });
    new(id, "Constants that differ", "All others are the same in every run.")
        .put(titled(&columns(runs), rows))
        .set("class", "long")
}
