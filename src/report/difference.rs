//! Two runs side by side: what moved, layer by layer.

use super::table::{counted, table, whole};
use crate::summary::{LayerSummary, RunSummary};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Title of a column, and the figure of a layer that stands in it.
type Figure = (&'static str, fn(&LayerSummary) -> f64);

/// Figures of a layer that are compared.
const FIGURES: [Figure; 7] = [
    ("units", |layer| layer.cores as f64),
    ("spikes", |layer| layer.spikes as f64),
    ("synaptic ops", |layer| layer.synaptic_ops as f64),
    ("packets", |layer| layer.packets as f64),
    ("flit hops", |layer| layer.flit_hops as f64),
    ("busy cycles", |layer| layer.busy_cycles as f64),
    ("µJ per image", |layer| layer.energy_uj),
];

/// Layers of both runs, by name, those of the first in their order; `None` where a run lacks it.
fn pairs<'s>(
    before: &'s RunSummary,
    after: &'s RunSummary,
) -> Vec<(&'s str, Option<&'s LayerSummary>, Option<&'s LayerSummary>)> {
    let of =
        |run: &'s RunSummary| run.layers.iter().map(|layer| (layer.name.as_str(), layer)).collect::<BTreeMap<_, _>>();
    let (old, new) = (of(before), of(after));
    let names = before.layers.iter().map(|layer| layer.name.as_str());
    let added = after.layers.iter().map(|layer| layer.name.as_str()).filter(|name| !old.contains_key(name));
    names.chain(added).map(|name| (name, old.get(name).copied(), new.get(name).copied())).collect()
}

/// What moved from one run to the other, as tables; layers that are equal only if `all` are wanted.
#[must_use]
pub fn difference_table(names: [&str; 2], before: &RunSummary, after: &RunSummary, all: bool) -> String {
    let titles = ["layer", "units", "spikes", "synaptic ops", "packets", "flit hops", "busy cycles", "µJ per image"];
    let mut equal = 0;
    let mut rows = vec![];
    for (name, old, new) in pairs(before, after) {
        let figures = FIGURES.map(|(_, figure)| (old.map(figure), new.map(figure)));
        if figures.iter().all(|(old, new)| old == new) {
            equal += 1;
            if !all {
                continue;
            }
        }
        let [a, b, c, d, e, f, g] = figures.map(|(old, new)| change(old, new));
        rows.push([name.to_string(), a, b, c, d, e, f, g]);
    }
    let head = |letter: &str, name: &str, run: &RunSummary| {
        let RunSummary { network, chip, time_steps, .. } = run;
        let images = counted(run.images, "image");
        format!(
            "{letter}: {name}: {network} on {chip}, {images}, T = {time_steps}\n   {}\n",
            run.origin.command.join(" ")
        )
    };
    let mut text = head("A", names[0], before) + &head("B", names[1], after);
    if before.network != after.network {
        text.push_str("These are different networks: layers are paired by their names.\n");
    }
    if before.images != after.images {
        text.push_str("The numbers of images differ, and counts are sums over them.\n");
    }
    if !rows.is_empty() {
        text.push_str(&table(titles, 1, rows.into_iter()));
        text.push('\n');
    }
    text.push_str(&format!(
        "{} equal in all of these.\n",
        if equal == 1 { "1 layer is".to_string() } else { format!("{equal} layers are") }
    ));
    let totals = totals(before, after)
        .into_iter()
        .map(|(name, old, new)| [name, figure(old), figure(new), change(Some(old), Some(new))]);
    text.push_str(&table(["per image", "A", "B", "change"], 1, totals));
    text
}

/// Cycles, time, energy, and energy by component.
fn totals(before: &RunSummary, after: &RunSummary) -> Vec<(String, f64, f64)> {
    let mut totals = vec![
        ("cycles".to_string(), before.cycles_per_image, after.cycles_per_image),
        ("ms".to_string(), before.time_ms_per_image, after.time_ms_per_image),
        ("µJ".to_string(), before.energy_uj_per_image, after.energy_uj_per_image),
    ];
    let components = before.energy_by_component.keys().chain(after.energy_by_component.keys());
    for component in components.collect::<std::collections::BTreeSet<_>>() {
        let of = |run: &RunSummary| run.energy_by_component.get(component).copied().unwrap_or(0.0);
        totals.push((format!("µJ, {component}"), of(before), of(after)));
    }
    totals
}

/// The same as one JSON object.
#[must_use]
pub fn difference_json(before: &RunSummary, after: &RunSummary) -> String {
    let both = |old: Option<f64>, new: Option<f64>| json!({ "a": old, "b": new });
    let layers = pairs(before, after).into_iter().map(|(name, old, new)| {
        let figures = FIGURES.iter().map(|(key, figure)| {
            (key.replace(' ', "_").replace('µ', "u").to_lowercase(), both(old.map(figure), new.map(figure)))
        });
        json!({ "name": name, "figures": Value::Object(figures.collect()) })
    });
    let totals = totals(before, after).into_iter().map(|(name, old, new)| (name, both(Some(old), Some(new))));
    json!({ "layers": layers.collect::<Vec<_>>(), "totals": Value::Object(totals.collect()) }).to_string()
}

fn figure(value: f64) -> String {
    if value == value.round() { whole(value as u64) } else { format!("{value:.4}") }
}

/// `old → new` with the change in percent; one figure where nothing moved.
fn change(old: Option<f64>, new: Option<f64>) -> String {
    match (old, new) {
        (Some(old), Some(new)) if old == new => figure(old),
        (Some(old), Some(new)) if old > 0.0 => {
            format!("{} → {} ({:+.1} %)", figure(old), figure(new), (new / old - 1.0) * 100.0)
        }
        (Some(old), Some(new)) => format!("{} → {}", figure(old), figure(new)),
        (Some(old), None) => format!("{} → none", figure(old)),
        (None, Some(new)) => format!("none → {}", figure(new)),
        (None, None) => String::new(),
    }
}
