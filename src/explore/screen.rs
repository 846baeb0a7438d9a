//! Successive halving: which points the engine runs, and how often that choice was wrong.

use super::field::forecast;
use super::sweep::{Group, Plot, Shelf, Sweep};
use crate::engine::Machine;
use crate::random::Draws;
use crate::rows::{Cell, Table};
use crate::summary::Screening;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The points that the engine runs: those with the least possible time, and a few of the others.
///
/// Each rung forecasts the points that are left, on twice as many images as the one before, and puts the slower half aside.
pub(super) fn halving(
    sweep: &Sweep,
    plot: &Plot,
    shelf: &Shelf,
    keep: usize,
    audit: usize,
    seed: u64,
) -> BTreeSet<usize> {
    let group_of: BTreeMap<usize, &Group> =
        plot.groups.iter().flat_map(|group| group.points.iter().map(move |point| (*point, group))).collect();
    let mut left: Vec<usize> = group_of.keys().copied().collect();
    let mut aside: Vec<usize> = vec![];
    let (mut images, all) = (1, sweep.images().max(1));
    while left.len() > keep {
        let wanted: BTreeSet<usize> = left.iter().copied().collect();
        let groups: Vec<&Group> =
            plot.groups.iter().filter(|group| group.points.iter().any(|point| wanted.contains(point))).collect();
        let least: BTreeMap<usize, u64> = groups
            .par_iter()
            .map(|group| (group.points[0], cycles(sweep, plot, shelf, group, images).unwrap_or(u64::MAX)))
            .collect();
        let time = |point: usize| {
            let cycles = least.get(&group_of[&point].points[0]).copied().unwrap_or(u64::MAX);
            cycles as f64 / sweep.mhz(point) as f64
        };
        let mut timed: Vec<(f64, usize)> = left.iter().map(|&point| (time(point), point)).collect();
        timed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        left = timed.into_iter().map(|(_, point)| point).collect();
        aside.extend(left.split_off(keep.max(left.len().div_ceil(2))));
        images = (2 * images).min(all);
    }
    aside.sort_unstable();
    Draws::new(seed ^ 0xa0d17).shuffle(&mut aside);
    left.into_iter().chain(aside.into_iter().take(audit)).collect()
}

fn cycles(sweep: &Sweep, plot: &Plot, shelf: &Shelf, group: &Group, images: usize) -> Option<u64> {
    let seated = sweep.seated(plot, shelf, group).ok()?;
    let recorded = seated.recording.as_ref().as_ref().ok()?;
    let (topology, timing) = (&seated.hardware.topology, &seated.hardware.timing);
    let machine = Machine::new(&seated.program, topology, timing, &recorded.graph).ok()?;
    forecast(&machine, recorded.replayed(images)).ok().map(|forecast| forecast.cycles)
}

/// How often the screening behind these rows was wrong, as far as the engine has run its points; `keep` were chosen by it.
#[must_use]
pub fn screening(table: &Table, keep: usize) -> Option<Screening> {
    let (status, least, time) =
        (table.column("status")?, table.column("time_ms_least")?, table.column("time_ms_per_image")?);
    let figures = |row: &Vec<Cell>| Some((row[least].number()?, row[time].number()?));
    let mut run: Vec<(f64, f64)> = table.rows.iter().filter_map(figures).collect();
    run.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let screened = table.rows.iter().filter(|row| row[status] == Cell::Word("screened".to_string())).count();
    let (chosen, audited) = run.split_at(keep.min(run.len()));
    let worst = chosen.iter().map(|(_, time)| *time).fold(0.0, f64::max);
    let best = chosen.iter().map(|(_, time)| *time).fold(f64::INFINITY, f64::min);
    let pairs = || chosen.iter().enumerate().flat_map(|(at, a)| chosen[at + 1..].iter().map(move |b| (a, b)));
    Some(Screening {
        screened: screened as u64,
        chosen: chosen.len() as u64,
        audited: audited.len() as u64,
        audited_faster_than_slowest: audited.iter().filter(|(_, time)| *time < worst).count() as u64,
        audited_faster_than_fastest: audited.iter().filter(|(_, time)| *time < best).count() as u64,
        pairs: pairs().count() as u64,
        pairs_in_wrong_order: pairs().filter(|(a, b)| a.0 < b.0 && a.1 > b.1).count() as u64,
        undercut: run.iter().filter(|(least, time)| time < least).count() as u64,
    })
}
