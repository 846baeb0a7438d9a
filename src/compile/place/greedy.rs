//! Stage after stage, each slice on the free unit with the least traffic times distance to the slices that it hears from.
//!
//! The constructive half of Varshika et al., Design of many-core big little µBrains, IEEE 2022, and of most mappers: the
//! order of the stages is that of the signal, so whoever is heard has a seat already.

use super::{Placer, Problem, Search, Watch, hilbert, order};
use crate::hardware::Mesh;
use std::collections::BTreeMap;

/// Nearest free unit.
pub(super) struct Greedy;

impl Placer for Greedy {
    fn place(&self, problem: &Problem, _: &Search, _: Watch) -> Vec<u32> {
        let mut free = order::ranked(problem, |place| hilbert::distance(problem, place));
        let heard = heard(problem);
        let mut seats: Vec<u32> = vec![];
        for (kind, from) in problem.kinds.iter().zip(heard) {
            let free = free.entry(*kind).or_default();
            let from: Vec<_> =
                from.into_iter().map(|(slice, flits)| (problem.place(seats[slice as usize]), flits)).collect();
            let distance = Distance::new(problem.mesh, &from);
            let nearest = (0..free.len()).min_by_key(|&at| distance.from(problem.place(free[at])));
            seats.push(free.remove(nearest.expect("a problem has as many units of each kind as it needs")));
        }
        seats
    }
}

/// For each slice, how much of which earlier slices it hears.
fn heard(problem: &Problem) -> Vec<BTreeMap<u32, u64>> {
    let mut heard = vec![BTreeMap::new(); problem.kinds.len()];
    let mut add = |a: u32, b: u32, flits: u64| *heard[a.max(b) as usize].entry(a.min(b)).or_default() += flits;
    for net in &problem.nets {
        net.sinks.iter().filter(|sink| **sink != net.source).for_each(|&sink| add(net.source, sink, net.flits));
    }
    problem.pairs.iter().for_each(|&(a, b, flits)| add(a, b, flits));
    heard
}

/// Weighted distance of a tile from several others: the part along the row and the part along the column.
pub(super) struct Distance {
    columns: Vec<u64>,
    rows: Vec<u64>,
}

impl Distance {
    /// The distance from all of `from`, each with its weight.
    pub(super) fn new(mesh: Mesh, from: &[((u32, u32), u64)]) -> Self {
        let along = |length: u32, place: &dyn Fn((u32, u32)) -> u32| {
            let sum = |at: u32| from.iter().map(|&(tile, weight)| weight * u64::from(place(tile).abs_diff(at))).sum();
            (0..length).map(sum).collect()
        };
        Self { columns: along(mesh.columns, &|(x, _)| x), rows: along(mesh.rows, &|(_, y)| y) }
    }

    /// The distance of one tile.
    pub(super) fn from(&self, (x, y): (u32, u32)) -> u64 {
        self.columns[x as usize] + self.rows[y as usize]
    }
}
