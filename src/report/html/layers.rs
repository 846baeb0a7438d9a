//! What each layer does: spikes, synaptic operations, firing rate, and all figures.

use super::parts::{bar_cell, kind, most, name, part, section as new, table};
use crate::report::figures::{energy, percent, short};
use crate::report::markup::{Element, tag, text};
use crate::report::whole;
use crate::summary::{LayerSummary, RunSummary};

/// Spikes, operations and rates as bars.
pub(super) fn work(id: &str, run: &RunSummary) -> Element {
    let lead = "Spikes (or graded values) that each layer sends, synaptic operations that it carries out, and how often one of its values speaks in a time step. Per image.";
    let images = run.images.max(1) as f64;
    let largest = |of: fn(&LayerSummary) -> f64| most(run.layers.iter().map(of));
    let (spikes, operations) = (largest(|l| l.spikes as f64), largest(|l| l.synaptic_ops as f64));
    let rate = largest(|l| l.firing_rate);
    let rows = run.layers.iter().map(|layer| {
        let [sent, done] = [layer.spikes, layer.synaptic_ops].map(|count| count as f64);
        let negative = percent(part(layer.negative_spikes as f64, sent));
        let tips = [
            format!("{}\n{} spikes an image\n{negative} of them negative", layer.name, short(sent / images)),
            format!("{}\n{} synaptic operations an image", layer.name, short(done / images)),
            format!("{}\n{} of values speak in a time step", layer.name, percent(layer.firing_rate)),
        ];
        tag("tr")
            .put(name(&layer.name))
            .put(kind(&layer.kind))
            .put(text("td", whole(layer.neurons)))
            .put(bar_cell(part(sent, spikes), "", "mid", &tips[0]))
            .put(text("td", short(sent / images)))
            .put(bar_cell(part(done, operations), "alt", "mid", &tips[1]))
            .put(text("td", short(done / images)))
            .put(bar_cell(part(layer.firing_rate, rate), "third", "mid", &tips[2]))
            .put(text("td", percent(layer.firing_rate)))
    });
    let titles = ["<layer", "<kind", "values", "<spikes", "", "<synaptic ops", "", "<firing rate", ""];
    new(id, "Spikes and synaptic operations", lead).put(table(&titles, rows))
}

/// Every figure of every layer.
pub(super) fn section(id: &str, run: &RunSummary) -> Element {
    let lead = "Counts are summed over the images; layers.csv holds the same figures. Peak bits are the widest potential, count or sum; a value that is wider than its unit keeps it, or than a packet carries it, is counted as an overflow.";
    let titles = [
        "<layer",
        "<kind",
        "units",
        "spikes",
        "negative",
        "synaptic ops",
        "packets",
        "flit hops",
        "busy cycles",
        "energy per image",
        "peak queue",
        "peak bits",
        "overflows",
    ];
    let rows = run.layers.iter().map(|layer| {
        let (value, unit) = energy(layer.energy_uj);
        let counts = [
            layer.cores,
            layer.spikes,
            layer.negative_spikes,
            layer.synaptic_ops,
            layer.packets,
            layer.flit_hops,
            layer.busy_cycles,
        ];
        let last = [layer.peak_queue, u64::from(layer.peak_bits), layer.overflows];
        tag("tr")
            .put(name(&layer.name))
            .put(kind(&layer.kind))
            .put_all(counts.map(|count| text("td", whole(count))))
            .put(text("td", format!("{value} {unit}")))
            .put_all(last.map(|count| text("td", whole(count))))
    });
    new(id, "All figures by layer", lead).put(table(&titles, rows))
}
