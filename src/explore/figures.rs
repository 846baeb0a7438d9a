//! The columns of a sweep's rows: what is known of a point without running it, and what a run adds.

use super::ExploreError;
use super::expression::Expression;
use super::points::{self, Point};
use super::recording::Recording;
use crate::account::{self, Run};
use crate::hardware::{Hardware, UnitKind};
use crate::plan::{Level, Plan};
use crate::program::{LinkLoads, Program};
use crate::rows::{Cell, Column, ColumnKind};
use crate::summary::Simulator;
use std::collections::BTreeMap;

/// Columns after the axes, before those of the plan.
pub(super) const RESULTS: [(&str, ColumnKind); 18] = [
    ("status", ColumnKind::Word),
    ("cycles_per_image", ColumnKind::Real),
    ("time_ms_per_image", ColumnKind::Real),
    ("energy_uj_per_image", ColumnKind::Real),
    ("static_uj_per_image", ColumnKind::Real),
    ("cycles_least", ColumnKind::Real),
    ("time_ms_least", ColumnKind::Real),
    ("flit_hops", ColumnKind::Real),
    ("most_link_flits", ColumnKind::Real),
    ("packets", ColumnKind::Whole),
    ("spikes", ColumnKind::Whole),
    ("synaptic_ops", ColumnKind::Whole),
    ("tiles", ColumnKind::Whole),
    ("cores_used", ColumnKind::Whole),
    ("units_used", ColumnKind::Whole),
    ("steps", ColumnKind::Whole),
    ("top1", ColumnKind::Real),
    ("overflows", ColumnKind::Whole),
];

/// What is known of a group without running it.
pub(super) fn common(
    hardware: &Hardware,
    program: &Program,
    recorded: &Recording,
    loads: &LinkLoads,
    least: u64,
) -> BTreeMap<&'static str, Cell> {
    let images = recorded.images.len().max(1) as f64;
    let units = hardware.topology.units();
    let on_core = |slice: &&crate::program::Slice| units[slice.unit.index()].kind == UnitKind::Core;
    let cycles = least as f64 / images;
    BTreeMap::from([
        ("cycles_least", Cell::Real(cycles)),
        ("time_ms_least", Cell::Real(cycles / hardware.timing.clock.mhz as f64 * 1e-3)),
        ("flit_hops", Cell::Real(loads.hops() as f64 / images)),
        ("most_link_flits", Cell::Real(loads.most() as f64 / images)),
        ("tiles", Cell::Whole(hardware.topology.mesh.tiles() as i64)),
        ("cores_used", Cell::Whole(program.slices.iter().filter(on_core).count() as i64)),
        ("units_used", Cell::Whole(program.slices.len() as i64)),
        ("steps", Cell::Whole(recorded.images.iter().map(|image| i64::from(image.steps)).max().unwrap_or(0))),
        ("top1", recorded.top1.map_or(Cell::Empty, Cell::Real)),
    ])
}

/// What a run gave, at the prices of a point.
pub(super) fn priced(run: &Run, found: &mut BTreeMap<&str, Cell>) {
    let summary = account::summarise(run, None, Simulator::default());
    let sum =
        |of: fn(&crate::summary::LayerSummary) -> u64| Cell::Whole(summary.layers.iter().map(of).sum::<u64>() as i64);
    found.extend([
        ("cycles_per_image", Cell::Real(summary.cycles_per_image)),
        ("time_ms_per_image", Cell::Real(summary.time_ms_per_image)),
        ("energy_uj_per_image", Cell::Real(summary.energy_uj_per_image)),
        (
            "static_uj_per_image",
            summary.energy_by_component.get(account::STATIC).map_or(Cell::Empty, |uj| Cell::Real(*uj)),
        ),
        ("packets", sum(|layer| layer.packets)),
        ("spikes", sum(|layer| layer.spikes)),
        ("synaptic_ops", sum(|layer| layer.synaptic_ops)),
        ("overflows", sum(|layer| layer.overflows)),
    ]);
}

/// The columns of a plan's rows.
pub(super) fn columns(
    plan: &Plan,
    derived: &[(String, Expression)],
    base: &Hardware,
) -> Result<Vec<Column>, ExploreError> {
    let mut columns = vec![Column::new("point", ColumnKind::Whole)];
    for (name, span) in &plan.axes {
        let levels = span.levels();
        let kind = if levels.iter().any(|level| matches!(level, Level::Word(_))) {
            ColumnKind::Word
        } else if levels.iter().any(|level| matches!(level, Level::Real(_))) {
            ColumnKind::Real
        } else {
            ColumnKind::Whole
        };
        columns.push(Column::new(name, kind));
    }
    columns.extend(RESULTS.iter().map(|(name, kind)| Column::new(name, *kind)));
    let probe = Point {
        number: 0,
        levels: plan.axes.iter().filter_map(|(_, span)| span.levels().into_iter().next()).collect(),
    };
    for (name, expression) in derived {
        let known: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        if known.contains(name) {
            return Err(ExploreError::ColumnTwice { name: name.clone() });
        }
        for wanted in expression.names() {
            let there = known.iter().any(|known| known == wanted)
                || points::value_of(plan, &probe, Some(base), wanted).is_some();
            if !there {
                return Err(points::unknown(plan, &expression.to_string(), wanted, &known));
            }
        }
        columns.push(Column::new(name, ColumnKind::Real));
    }
    columns.push(Column::new("reason", ColumnKind::Word));
    Ok(columns)
}
