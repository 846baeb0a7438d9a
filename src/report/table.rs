//! Summaries as tables for the terminal.

use super::narrow::fitted;
use crate::rows::{Cell, ColumnKind};
use crate::summary::{Agreement, LayerSummary, MappingSummary, RunSummary};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};
use std::sync::atomic::{AtomicU16, Ordering};

/// Columns of the terminal, 0 where there is none.
static WIDTH: AtomicU16 = AtomicU16::new(0);

/// Lets all tables from now on fit a terminal of so many columns: numbers get a letter, names
/// lose their beginnings, and columns are left out, or what is too wide goes on in a second line of its cell.
/// Without it, and in files and pipes, tables are as wide as their content.
pub fn fit_tables(columns: u16) {
    WIDTH.store(columns, Ordering::Relaxed);
}

/// A table without content.
pub(super) fn empty() -> Table {
    let mut table = Table::new();
    table.load_style(style());
    match WIDTH.load(Ordering::Relaxed) {
        0 => {}
        columns => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
        }
    }
    table
}

/// Columns side by side, a line under their titles.
fn style() -> TableStyle {
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'))
}

/// A table whose columns are numbers but for the first `words`.
pub(super) fn table<const N: usize>(
    titles: [&str; N],
    words: usize,
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut cells = (titles.map(String::from).to_vec(), rows.map(Vec::from).collect());
    let mut left_out = vec![];
    let width = WIDTH.load(Ordering::Relaxed);
    if width > 0 {
        (cells, left_out) = fitted(cells, usize::from(width));
    }
    let mut table = empty();
    table.set_header(cells.0).add_rows(cells.1);
    for column in table.column_iter_mut().skip(words) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    match left_out.is_empty() {
        true => table.to_string(),
        false => format!("{table}\nLeft out in a terminal of {width} columns: {}.", left_out.join(", ")),
    }
}

/// A table of words that is no wider than the terminal, or `width` columns without one: long cells take several lines.
pub(super) fn narrow_table<const N: usize>(
    titles: [&str; N],
    width: u16,
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut table = empty();
    table.set_header(titles).add_rows(rows);
    if WIDTH.load(Ordering::Relaxed) == 0 {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table.to_string()
}

/// Stage by stage: how many values equal the integer network's, and what the spikes were.
#[must_use]
pub fn agreement_table(agreement: &Agreement) -> String {
    let titles = ["layer", "kind", "values", "equal", "spikes", "negative", "synaptic ops", "silent after"];
    let rows = agreement.layers.iter().map(|layer| {
        [
            layer.name.clone(),
            layer.kind.clone(),
            whole(layer.neurons),
            share(layer.equal_neurons, layer.neurons),
            whole(layer.spikes),
            whole(layer.negative_spikes),
            whole(layer.synaptic_ops),
            layer.silent_step.to_string(),
        ]
    });
    table(titles, 2, rows)
}

/// The verdict in words, for under the table.
#[must_use]
pub fn agreement_verdict(agreement: &Agreement) -> String {
    let top1 = |value: Option<f64>| value.map_or("no labels".to_string(), |percent| format!("{percent:.1} %"));
    let equal = if agreement.all_equal {
        format!(
            "every value of every stage equals the integer network's; silent after {}",
            counted(agreement.silent_step.into(), "step")
        )
    } else {
        let off = agreement.layers.iter().filter(|layer| layer.equal_neurons < layer.neurons).count();
        format!("{off} of {} stages differ from the integer network", agreement.layers.len())
    };
    format!(
        "{}, T = {}, {} semantics: {equal}.\ntop-1: float ANN {}, integer ANN {}, spiking {}; spiking and float ANN choose the same class on {:.1} %.",
        counted(agreement.images, "image"),
        agreement.time_steps,
        agreement.semantics,
        top1(agreement.ann_top1),
        top1(agreement.quantised_ann_top1),
        top1(agreement.snn_top1),
        agreement.agreement,
    )
}

/// Layer by layer: units, spikes, operations, packets, cycles, energy; then what no layer pays, and all of it.
#[must_use]
pub fn run_table(run: &RunSummary) -> String {
    let titles = [
        "layer",
        "kind",
        "neurons",
        "units",
        "spikes",
        "negative",
        "synaptic ops",
        "packets",
        "flit hops",
        "busy cycles",
        "µJ per image",
    ];
    let row = |name: &str, kind: &str, counts: [u64; 8], energy: f64| {
        let [neurons, units, spikes, negative, operations, packets, hops, busy] = counts.map(whole);
        let energy = format!("{energy:.3}");
        [name.into(), kind.into(), neurons, units, spikes, negative, operations, packets, hops, busy, energy]
    };
    let counts = |layer: &LayerSummary| {
        let LayerSummary { neurons, cores, spikes, negative_spikes, .. } = *layer;
        let LayerSummary { synaptic_ops, packets, flit_hops, busy_cycles, .. } = *layer;
        [neurons, cores, spikes, negative_spikes, synaptic_ops, packets, flit_hops, busy_cycles]
    };
    let layers = run.layers.iter().map(|layer| row(&layer.name, &layer.kind, counts(layer), layer.energy_uj));
    let all = run.layers.iter().map(counts).fold([0; 8], |sum, counts| std::array::from_fn(|at| sum[at] + counts[at]));
    let idle = run.energy_by_component.get("static").copied().unwrap_or(0.0);
    let last = [
        [
            "static power".into(),
            "".into(),
            "".into(),
            "".into(),
            "".into(),
            "".into(),
            "".into(),
            "".into(),
            "".into(),
            "".into(),
            format!("{idle:.3}"),
        ],
        row("all", "", all, run.energy_uj_per_image),
    ];
    let note = "\nCounts are summed over the images. Synaptic ops are values changed by arriving spikes, in special units too.\n";
    table(titles, 2, layers.chain(last)) + note
}

/// Component by component, with each one's share of the whole.
#[must_use]
pub fn component_table(run: &RunSummary) -> String {
    let rows = run.energy_by_component.iter().map(|(component, energy)| {
        let fj = run.energy_by_component_fj.get(component).copied().unwrap_or(0);
        [component.clone(), format!("{energy:.3}"), share(fj, run.energy_fj)]
    });
    table(["component", "energy µJ per image", "share"], 1, rows)
}

/// The run in words, for under the tables.
#[must_use]
pub fn run_verdict(run: &RunSummary) -> String {
    let ann = run.ann_baseline;
    let wide = run.layers.iter().filter(|layer| layer.overflows > 0).map(|layer| {
        format!(
            "\nNOT what the chip would give: {} ({}) reached {} bits, and {} values are wider than its unit keeps them or its \
             packets carry them; counts go on in full width here. Take wider memories, more noc.graded_bits, or fewer weight bits \
             or time steps.",
            layer.name,
            layer.kind,
            layer.peak_bits,
            whole(layer.overflows)
        )
    });
    let wide: Vec<String> = wide.collect();
    format!(
        "{} on {}: {}, T = {}, {} drive.\nper image: {:.0} cycles, {:.4} ms, {:.3} µJ; the same network as a quantised ANN on this technology: {:.3} µJ ({} MACs).{}",
        run.network,
        run.chip,
        counted(run.images, "image"),
        run.time_steps,
        run.drive,
        run.cycles_per_image,
        run.time_ms_per_image,
        run.energy_uj_per_image,
        ann.energy_uj,
        whole(ann.macs),
        wide.concat(),
    )
}

/// Placements side by side, the change against `base` beside the weighted hops.
#[must_use]
pub fn mapping_table(rows: &[MappingSummary], base: &str) -> String {
    let hops = rows.iter().find(|row| row.strategy == base).map(|row| row.flit_hops);
    let against = format!("vs {base}");
    let titles =
        ["strategy", "cores", "filled", "weighted hops", &against, "busiest link", "cycles ≥", "cycles", "µJ ≥", "µJ"];
    let round = |value: f64| whole(value.round() as u64);
    let energy = |energy: f64| format!("{energy:.2}");
    let cells = rows.iter().map(|row| {
        let change =
            hops.filter(|hops| *hops > 0.0).map(|hops| format!("{:+.1} %", (row.flit_hops / hops - 1.0) * 100.0));
        [
            row.strategy.clone(),
            format!("{} of {}", row.cores_used, row.cores),
            format!("{:.1} %", row.utilisation),
            round(row.flit_hops),
            change.unwrap_or_default(),
            round(row.most_link_flits),
            row.predicted_cycles.map(round).unwrap_or_default(),
            row.simulated_cycles.map(round).unwrap_or_default(),
            row.predicted_energy_uj.map(energy).unwrap_or_default(),
            row.energy_uj.map(energy).unwrap_or_default(),
        ]
    });
    table(titles, 1, cells)
}

/// Some columns of rows.
#[must_use]
pub fn rows_table(rows: &crate::rows::Table, columns: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(style()).set_header(columns.iter().map(|at| rows.columns[*at].name.clone()));
    for row in &rows.rows {
        table.add_row(columns.iter().map(|at| match &row[*at] {
            Cell::Real(value) => format!("{value:.4}"),
            Cell::Whole(_) | Cell::Word(_) | Cell::Empty => row[*at].to_string(),
        }));
    }
    for (column, at) in table.column_iter_mut().zip(columns) {
        if rows.columns[*at].kind != ColumnKind::Word {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// Rows as one JSON array of objects, empty cells as null.
#[must_use]
pub fn rows_json(rows: &crate::rows::Table) -> String {
    let object = |row: &Vec<Cell>| {
        let values = rows.columns.iter().zip(row).map(|(column, cell)| {
            let value = match cell {
                Cell::Empty => serde_json::Value::Null,
                Cell::Whole(value) => (*value).into(),
                Cell::Real(value) => (*value).into(),
                Cell::Word(word) => word.clone().into(),
            };
            (column.name.clone(), value)
        });
        serde_json::Value::Object(values.collect())
    };
    serde_json::Value::Array(rows.rows.iter().map(object).collect()).to_string()
}

/// Price by price, the heaviest first: its part of the total, and the total if it were half or twice as high.
#[must_use]
pub fn sensitivity_table(run: &RunSummary) -> String {
    let per_image = |energy_fj: u64| format!("{:.3}", energy_fj as f64 * 1e-9 / run.images.max(1) as f64);
    let picojoules = |price_fj: u64| format!("{}", price_fj as f64 / 1000.0);
    let rows = run.sensitivity.levers.iter().map(|lever| {
        [
            lever.constant.clone(),
            if lever.count == 0 { String::new() } else { picojoules(lever.price_fj) },
            if lever.count == 0 { String::new() } else { whole(lever.count) },
            per_image(lever.energy_fj),
            format!("{:.2} %", lever.share * 100.0),
            per_image(lever.halved_fj),
            per_image(lever.doubled_fj),
        ]
    });
    let titles = ["constant", "pJ", "times", "µJ per image", "share", "total if halved", "total if doubled"];
    let prices = table(titles, 1, rows);
    let exponentials = run.actions.get("softmax_exp").copied().unwrap_or(0);
    if exponentials == 0 {
        return prices;
    }
    let rows = run.sensitivity.softmax.iter().map(|point| {
        let change = point.energy_fj as f64 / run.energy_fj.max(1) as f64 - 1.0;
        [picojoules(point.price_fj), per_image(point.energy_fj), format!("{:+.2} %", change * 100.0)]
    });
    format!("{prices}\n\n{}", table(["softmax_exp_pj", "total µJ per image", "change"], 0, rows))
}

/// A whole number with its thousands apart.
#[must_use]
pub fn whole(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// So many of a thing.
pub(super) fn counted(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", whole(count), if count == 1 { "" } else { "s" })
}

/// A part of a whole in percent, never rounded up to all of it.
fn share(part: u64, all: u64) -> String {
    if part == all {
        return "100 %".to_string();
    }
    format!("{:.2} %", (part as f64 / all as f64 * 10_000.0).floor() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(["0", "999", "1,000", "12,345,678"].map(String::from), [0, 999, 1_000, 12_345_678].map(whole));
    }

    #[test]
    fn a_missing_value_never_reads_as_all() {
        assert_eq!(share(999_999, 1_000_000), "99.99 %");
        assert_eq!(share(5, 5), "100 %");
    }
}
