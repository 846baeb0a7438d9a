//! Energy and time at a glance.

use super::parts::{STATIC, bar, components, counted, most, part, section as new, title};
use crate::report::figures::{energy, percent, short, three, time};
use crate::report::markup::{Element, tag, text};
use crate::report::whole;
use crate::summary::{Agreement, RunSummary};

/// The figures that everybody asks for first.
pub(super) fn figures(run: &RunSummary) -> Element {
    let (spent, spent_unit) = energy(run.energy_uj_per_image);
    let (took, took_unit) = time(run.time_ms_per_image);
    let (ann, ann_unit) = energy(run.ann_baseline.energy_uj);
    let images = run.images.max(1) as f64;
    let sum = |of: fn(&crate::summary::LayerSummary) -> u64| run.layers.iter().map(of).sum::<u64>() as f64 / images;
    let (spikes, operations) = (sum(|layer| layer.spikes), sum(|layer| layer.synaptic_ops));
    let ratio = three(part(run.energy_uj_per_image, run.ann_baseline.energy_uj));
    let per_operation = energy(part(run.energy_uj_per_image, operations));
    let tiles = [
        tile("Energy per image", &spent, spent_unit, &format!("{ratio} times the {ann} {ann_unit} of a quantised ANN")),
        tile(
            "Time per image",
            &took,
            took_unit,
            &format!("{} cycles at {} MHz", three(run.cycles_per_image), run.map.mhz),
        ),
        tile(
            "Synaptic ops per image",
            &short(operations),
            "",
            &format!("{} {} each, all in", per_operation.0, per_operation.1),
        ),
        tile("Spikes per image", &short(spikes), "", &format!("in {} packets", short(sum(|layer| layer.packets)))),
    ];
    let row = tag("div").class("kpis").put_all(tiles);
    match &run.agreement {
        Some(agreement) => row.put(verdict(agreement)),
        None => row,
    }
}

fn tile(name: &str, value: &str, unit: &str, note: &str) -> Element {
    tag("div")
        .class("kpi")
        .put(text("div", name).class("name"))
        .put(text("div", value).put(text("span", unit)).class("value"))
        .put(text("div", note).class("note"))
}

fn verdict(agreement: &Agreement) -> Element {
    let stages = agreement.layers.len();
    let equal = agreement.layers.iter().filter(|layer| layer.equal_neurons == layer.neurons).count();
    let (value, class) = if agreement.all_equal { ("✓ exact", "good") } else { ("✗ differs", "bad") };
    let top1 =
        agreement.snn_top1.map(|top1| format!("; top-1 {} % of {}", three(top1), counted(agreement.images, "image")));
    let note = format!("{equal} of {stages} stages equal the integer network{}", top1.unwrap_or_default());
    tag("div")
        .class("kpi")
        .put(text("div", "Computes the network").class("name"))
        .put(text("div", value).class(format!("value {class}")))
        .put(text("div", note).class("note"))
}

/// Where the energy goes, and what an ANN would take.
pub(super) fn section(id: &str, run: &RunSummary) -> Element {
    let lead = "Where the energy of an image goes, and what the same network would take as a quantised ANN on the same technology.";
    new(id, "At a glance", lead).put(stack(run)).put(tag("div").class("two").put(shares(run)).put(against_ann(run)))
}

fn spent(run: &RunSummary) -> impl Iterator<Item = (&'static str, f64)> {
    let of = |key| run.energy_by_component.get(key).copied().unwrap_or(0.0);
    components().map(move |key| (key, of(key))).filter(|(_, energy)| *energy > 0.0)
}

fn stack(run: &RunSummary) -> Element {
    let segment = |(key, spent): (&'static str, f64)| {
        let share = part(spent, run.energy_uj_per_image);
        let (value, unit) = energy(spent);
        let label = if share > 0.12 { format!("{} {}", title(key), percent(share)) } else { String::new() };
        text("i", label)
            .class(key)
            .set("style", format!("width:{}%", crate::report::figures::at(share * 100.0)))
            .set("data-t", format!("{}\n{value} {unit} an image\n{} of all", title(key), percent(share)))
    };
    tag("div").class("track big").set("aria-hidden", "true").put_all(spent(run).map(segment))
}

fn shares(run: &RunSummary) -> Element {
    let row = |(key, spent): (&'static str, f64)| {
        let (value, unit) = energy(spent);
        let name =
            tag("th").set("scope", "row").class("l").put(tag("i").class(format!("swatch {key}"))).text(title(key));
        let share = percent(part(spent, run.energy_uj_per_image));
        tag("tr").put(name).put(text("td", format!("{value} {unit}"))).put(text("td", share))
    };
    let (all, unit) = energy(run.energy_uj_per_image);
    let total = tag("tr")
        .put(text("th", "all").set("scope", "row").class("l"))
        .put(text("td", format!("{all} {unit}")))
        .put(text("td", "100 %"));
    let table = tag("table")
        .put(super::parts::head(&["<component", "energy per image", "share"]))
        .put(tag("tbody").put_all(spent(run).map(row)))
        .put(tag("tfoot").put(total));
    tag("div").put(text("h3", "By component")).put(table)
}

fn against_ann(run: &RunSummary) -> Element {
    let ann = run.ann_baseline;
    let dynamic = run.energy_uj_per_image - run.energy_by_component.get(STATIC).copied().unwrap_or(0.0);
    let rows = [
        ("this chip, all in", run.energy_uj_per_image, ""),
        ("this chip, without static power", dynamic, ""),
        ("ANN, a weight read for every MAC", ann.energy_uj_without_reuse, "quiet"),
        ("ANN, every weight read once", ann.energy_uj, "quiet"),
    ];
    let longest = most(rows.iter().map(|row| row.1));
    let row = |(name, spent, class): (&str, f64, &str)| {
        let (value, unit) = energy(spent);
        let bar = tag("td").class("mid").put(bar(part(spent, longest), class));
        tag("tr").put(super::parts::name(name)).put(bar).put(text("td", format!("{value} {unit}")))
    };
    let table =
        tag("table").put(super::parts::head(&["<", "", "energy per image"])).put(tag("tbody").put_all(rows.map(row)));
    let note = format!(
        "The ANN has {} MACs, {} weights and {} activation accesses an image, priced by the same description; it pays no static power here.",
        whole(ann.macs),
        whole(ann.weight_reads),
        whole(ann.activation_accesses)
    );
    tag("div").put(text("h3", "Against an ANN")).put(table).put(text("p", note).class("lead"))
}
