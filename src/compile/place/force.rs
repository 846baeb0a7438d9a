//! Swaps along the pull of the traffic, from the Hilbert curve.
//!
//! Every slice is drawn to the tile where its traffic times distance is least; it swaps seats with whoever sits on or near
//! that tile wherever that shortens the ways of all. Force-directed placement: Quinn and Breuer, A forced directed component
//! placement procedure, IEEE TCAS 1979; for spiking networks, from a Hilbert curve: Jin et al., ASPLOS 2023.

use super::greedy::Distance;
use super::hilbert::Hilbert;
use super::{Pace, Placer, Problem, Progress, Search, Seating, Watch};
use crate::hardware::UnitKind;
use std::collections::BTreeMap;

/// Force-directed swaps.
pub(super) struct Force;

/// Units nearest to the zero of the force that a slice tries.
const TARGETS: usize = 12;

impl Placer for Force {
    fn place(&self, problem: &Problem, search: &Search, watch: Watch) -> Vec<u32> {
        let mut seating = Seating::new(problem, Hilbert.place(problem, search, watch));
        relax(problem, &mut seating, search, watch);
        seating.units().to_vec()
    }
}

/// Swaps until no slice finds a better seat near the zero of its force, the effort is spent, or `watch` stops it.
pub(super) fn relax(problem: &Problem, seating: &mut Seating, search: &Search, watch: Watch) {
    let mut units: BTreeMap<UnitKind, Vec<u32>> = BTreeMap::new();
    problem.units.iter().zip(0..).for_each(|(unit, index)| units.entry(unit.kind).or_default().push(index));
    let pulls = pulls(problem);
    let slices = problem.kinds.len();
    let of = slices as u64 * u64::from(search.effort);
    let (mut tried, mut still) = (0, 0);
    while still < slices && tried < of {
        for (slice, pulls) in pulls.iter().enumerate() {
            let of_kind = units.get(&problem.kinds[slice]).map_or(&[][..], Vec::as_slice);
            let moved = settle(problem, seating, slice, pulls, of_kind, &mut tried);
            still = if moved { 0 } else { still + 1 };
        }
        if watch(Progress { tried: tried.min(of), of, hops: seating.hops() }) == Pace::Stop {
            return;
        }
    }
}

/// Gives a slice the best seat near the zero of its force; whether it moved.
fn settle(
    problem: &Problem,
    seating: &mut Seating,
    slice: usize,
    pulls: &[(u32, u64)],
    units: &[u32],
    tried: &mut u64,
) -> bool {
    let from: Vec<_> =
        pulls.iter().map(|&(other, flits)| (problem.place(seating.units()[other as usize]), flits)).collect();
    let distance = Distance::new(problem.mesh, &from);
    let mut near: Vec<(u64, u32)> = units.iter().map(|&unit| (distance.from(problem.place(unit)), unit)).collect();
    near.sort_unstable();
    let here = seating.units()[slice];
    let mut best = (0, here);
    for (_, unit) in near.into_iter().take(TARGETS).filter(|(_, unit)| *unit != here) {
        let change = seating.swap(here, unit);
        seating.take_back(here, unit, change);
        *tried += 1;
        best = best.min((change, unit));
    }
    if best.0 < 0 {
        seating.swap(here, best.1);
    }
    best.0 < 0
}

/// For each slice, with whom it exchanges how much.
fn pulls(problem: &Problem) -> Vec<Vec<(u32, u64)>> {
    let mut pulls = vec![BTreeMap::new(); problem.kinds.len()];
    let mut add = |a: u32, b: u32, flits: u64| {
        *pulls[a as usize].entry(b).or_default() += flits;
        *pulls[b as usize].entry(a).or_default() += flits;
    };
    for net in &problem.nets {
        net.sinks.iter().filter(|sink| **sink != net.source).for_each(|&sink| add(net.source, sink, net.flits));
    }
    problem.pairs.iter().for_each(|&(a, b, flits)| add(a, b, flits));
    pulls.into_iter().map(|pulls| pulls.into_iter().collect()).collect()
}
