//! Hardware descriptions as tables: every constant with its unit and source.

use super::table::{narrow_table, whole};
use crate::constants::Constant;
use crate::hardware::{Hardware, Origin, UnitKind};
use serde::Serialize;
use std::collections::BTreeMap;

/// Columns of a terminal that the widest table takes.
const WIDTH: u16 = 120;

/// One chip: every constant with its unit, node and source, and whether it is marginal or an average.
#[must_use]
pub fn chip_listing(chip: &Hardware) -> String {
    let rows = chip.constants().into_iter().map(|constant| {
        let value = format!("{} {}", constant.value, constant.unit).trim_end().to_string();
        [constant.path, value, constant.node, constant.basis, constant.source]
    });
    let sources = chip.references.iter().map(|(key, publication)| format!("\n[{key}] {publication}"));
    format!(
        "{}: {}\n{}\n{}{}",
        chip.name,
        chip.summary,
        units(chip),
        narrow_table(["constant", "value", "node", "basis", "source"], WIDTH, rows),
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
    narrow_table(
        ["chip", "tiles", "units", "neurons a core", "time steps by", "multicast", "what it models"],
        WIDTH,
        rows,
    )
}

/// How many units of each kind there are.
fn units(chip: &Hardware) -> String {
    let units = chip.topology.units();
    let count = |kind: UnitKind| units.iter().filter(|unit| unit.kind == kind).count();
    let counted = UnitKind::ALL.iter().map(|&kind| (kind, count(kind))).filter(|(_, count)| *count > 0);
    counted.map(|(kind, count)| format!("{count} {}", kind.key())).collect::<Vec<_>>().join(", ")
}

/// A chip as `chips --json` prints it.
#[derive(Debug, Serialize)]
pub struct ChipListing<'a> {
    name: &'a str,
    summary: &'a str,
    units: BTreeMap<&'static str, usize>,
    references: &'a BTreeMap<String, String>,
    origins: &'a BTreeMap<String, Origin>,
    constants: Vec<Constant>,
}

/// Every constant of several chips, in an object `chips`.
#[must_use]
pub fn chips_json(chips: &[Hardware]) -> BTreeMap<&'static str, Vec<ChipListing<'_>>> {
    fn listing(chip: &Hardware) -> ChipListing<'_> {
        let units = chip.topology.units();
        let count = |kind: UnitKind| units.iter().filter(|unit| unit.kind == kind).count();
        ChipListing {
            name: &chip.name,
            summary: &chip.summary,
            units: UnitKind::ALL.iter().map(|&kind| (kind.key(), count(kind))).collect(),
            references: &chip.references,
            origins: &chip.origins,
            constants: chip.constants(),
        }
    }
    BTreeMap::from([("chips", chips.iter().map(listing).collect())])
}
