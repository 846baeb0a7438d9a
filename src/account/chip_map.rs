//! The chip as a map: what each unit and each link did.

use super::price::Bill;
use super::summarise::{Run, operations};
use crate::action::Counts;
use crate::activity::SliceActivity;
use crate::program::Direction;
use crate::summary::{ChipMap, LinkSummary, SliceSummary, UnitSummary};
use crate::units::TileId;

/// The map of a run, over all its images.
pub(super) fn chip_map(run: &Run<'_>, bill: &Bill, counts: &[Counts]) -> ChipMap {
    let topology = &run.hardware.topology;
    let mut slice_at = vec![None; topology.units().len()];
    for (index, slice) in run.program.slices.iter().enumerate() {
        slice_at[slice.unit.index()] = Some(index);
    }
    let units = topology.units().into_iter().zip(slice_at);
    ChipMap {
        summary: run.hardware.summary.clone(),
        mhz: run.hardware.timing.clock.mhz,
        columns: topology.mesh.columns,
        rows: topology.mesh.rows,
        units: units
            .map(|(unit, slice)| {
                let (x, y) = topology.mesh.place(unit.tile);
                let slice = slice.map(|index| slice_summary(run, bill, counts, index));
                UnitSummary { kind: unit.kind.key().to_string(), x, y, port: unit.port, slice }
            })
            .collect(),
        links: links(run),
    }
}

fn cycles(run: &Run<'_>) -> u64 {
    run.activities.iter().map(|activity| activity.cycles).sum()
}

fn slice_summary(run: &Run<'_>, bill: &Bill, counts: &[Counts], index: usize) -> SliceSummary {
    let slice = &run.program.slices[index];
    let did = || run.activities.iter().map(|activity| &activity.slices[index]);
    let sum = |of: fn(&SliceActivity) -> u64| did().map(of).sum::<u64>();
    let busy_cycles = sum(|slice| slice.busy_cycles);
    SliceSummary {
        layer: slice.stage.0,
        region: slice.region.to_string(),
        neurons: slice.region.neurons() as u64,
        busy_cycles,
        utilisation: part(busy_cycles, cycles(run)),
        spikes: sum(|slice| slice.spikes),
        packets: sum(|slice| slice.packets),
        synaptic_ops: operations(&run.graph.stage(slice.stage).kind, &counts[index]),
        energy_fj: bill.slices[index].0,
        peak_queue: did().map(|slice| slice.peak_queue).max().unwrap_or(0),
    }
}

fn links(run: &Run<'_>) -> Vec<LinkSummary> {
    let mesh = run.hardware.topology.mesh;
    let slots = cycles(run) / run.hardware.timing.noc.flit_interval_cycles;
    let sides = Direction::ALL.len();
    let flits = |link: usize| run.activities.iter().filter_map(|a| a.link_flits.get(link)).sum::<u64>();
    let passed = (0..mesh.tiles() * sides).map(|link| (link, flits(link))).filter(|(_, flits)| *flits > 0);
    passed
        .map(|(link, flits)| {
            let (x, y) = mesh.place(TileId::at(link / sides));
            let toward = Direction::ALL[link % sides].key().to_string();
            LinkSummary { x, y, toward, flits, load: part(flits, slots) }
        })
        .collect()
}

/// A part of a whole, from 0 to 1.
fn part(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
