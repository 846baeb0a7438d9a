//! Whether every layer computes what the integer network computes.

use super::parts::{bar_cell, counted, kind, most, name, part, section as new, table};
use crate::report::figures::three;
use crate::report::markup::{Element, tag, text};
use crate::report::whole;
use crate::summary::{Agreement, LayerAgreement};

/// The section: a line for each layer.
pub(super) fn section(id: &str, agreement: &Agreement) -> Element {
    let latest = most(agreement.layers.iter().map(|layer| f64::from(layer.silent_step)));
    let rows = agreement.layers.iter().map(|layer| row(layer, latest));
    let titles = ["<layer", "<kind", "values compared", "equal", "<", "<silent after", "step"];
    let heading = new(
        id,
        "Exactness",
        "Every value of every layer at silence, compared with the integer network that the chip is to compute.",
    );
    heading.put(tag("p").put(text("span", verdict(agreement)))).put(table(&titles, rows))
}

fn verdict(agreement: &Agreement) -> String {
    let off = agreement.layers.iter().filter(|layer| layer.equal_neurons < layer.neurons).count();
    let equal = if agreement.all_equal {
        "Every value of every layer is equal".to_string()
    } else {
        format!("{off} of {} differ", counted(agreement.layers.len() as u64, "layer"))
    };
    let top1 = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {} %", three(value)));
    let scores = [
        top1("float ANN", agreement.ann_top1),
        top1("integer ANN", agreement.quantised_ann_top1),
        top1("spiking", agreement.snn_top1),
    ];
    let scores: Vec<String> = scores.into_iter().flatten().collect();
    let scores = if scores.is_empty() { String::new() } else { format!(" Top-1: {}.", scores.join(", ")) };
    format!(
        "{equal}, over {}; silent after {} ({} semantics, T = {}).{scores}",
        counted(agreement.images, "image"),
        counted(agreement.silent_step.into(), "time step"),
        agreement.semantics,
        agreement.time_steps
    )
}

fn row(layer: &LayerAgreement, latest: f64) -> Element {
    let exact = layer.equal_neurons == layer.neurons;
    let (word, class) = if exact { ("✓ exact", "l good") } else { ("✗ differs", "l bad") };
    let step = f64::from(layer.silent_step);
    let tip = format!("{}\nlast spike in step {}", layer.name, layer.silent_step);
    tag("tr")
        .put(name(&layer.name))
        .put(kind(&layer.kind))
        .put(text("td", whole(layer.neurons)))
        .put(text("td", whole(layer.equal_neurons)))
        .put(text("td", word).class(class))
        .put(bar_cell(part(step, latest), "quiet", "mid", &tip))
        .put(text("td", layer.silent_step))
}
