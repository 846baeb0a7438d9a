//! Hardware descriptions as tables: every constant with its unit and source.

use super::table::{table, whole};
use crate::hardware::{Hardware, UnitKind};

/// One chip: every constant, its unit, what it is and where it comes from.
#[must_use]
pub fn chip_listing(chip: &Hardware) -> String {
    let rows = chip
        .constants()
        .into_iter()
        .map(|constant| [constant.path, constant.value, constant.unit.to_string(), constant.sentence, constant.source]);
    let sources = chip.references.iter().map(|(key, publication)| format!("\n[{key}] {publication}"));
    format!(
        "{}: {}\n{}\n{}{}",
        chip.name,
        chip.summary,
        units(chip),
        table(["constant", "value", "unit", "what it is", "source"], 5, rows),
        sources.collect::<String>()
    )
}

/// Several chips: a line for each.
#[must_use]
pub fn chips_listing(chips: &[Hardware]) -> String {
    let rows = chips.iter().map(|chip| {
        let (topology, timing) = (&chip.topology, &chip.timing);
        [
            chip.name.clone(),
            format!("{} × {}", topology.mesh.columns, topology.mesh.rows),
            units(chip),
            whole(topology.core.neurons),
            timing.step.discipline.key().to_string(),
            topology.noc.multicast.key().to_string(),
            chip.summary.clone(),
        ]
    });
    table(["chip", "tiles", "units", "neurons a core", "time steps by", "multicast", "what it models"], 7, rows)
}

/// How many units of each kind there are.
fn units(chip: &Hardware) -> String {
    let units = chip.topology.units();
    let count = |kind: UnitKind| units.iter().filter(|unit| unit.kind == kind).count();
    let counted = UnitKind::ALL.iter().map(|&kind| (kind, count(kind))).filter(|(_, count)| *count > 0);
    counted.map(|(kind, count)| format!("{count} {}", kind.key())).collect::<Vec<_>>().join(", ")
}
