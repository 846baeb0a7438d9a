//! Stage after stage along a line through all tiles: row by row, or like a snake (boustrophedon).
//!
//! The orders against which published mappers are measured, as in Balaji et al., Mapping spiking neural networks to
//! neuromorphic hardware, IEEE TVLSI 2020.

use super::{Placer, Problem, Search, Watch};
use crate::hardware::UnitKind;
use std::collections::BTreeMap;

/// Tiles row by row from the left.
pub(super) struct RowMajor;
/// Tiles row by row, every other row from the right.
pub(super) struct Snake;

impl Placer for RowMajor {
    fn place(&self, problem: &Problem, _: &Search, _: Watch) -> Vec<u32> {
        along(problem, |(x, y)| u64::from(y) << 32 | u64::from(x))
    }
}

impl Placer for Snake {
    fn place(&self, problem: &Problem, _: &Search, _: Watch) -> Vec<u32> {
        along(problem, |(x, y)| {
            u64::from(y) << 32 | u64::from(if y % 2 == 0 { x } else { problem.mesh.columns - 1 - x })
        })
    }
}

/// The units of each kind in the order of `rank` of their tiles.
pub(super) fn ranked(problem: &Problem, rank: impl Fn((u32, u32)) -> u64) -> BTreeMap<UnitKind, Vec<u32>> {
    let mut order: Vec<u32> = (0..problem.units.len() as u32).collect();
    order.sort_by_key(|&unit| (rank(problem.place(unit)), unit));
    let mut free: BTreeMap<UnitKind, Vec<u32>> = BTreeMap::new();
    order.into_iter().for_each(|unit| free.entry(problem.units[unit as usize].kind).or_default().push(unit));
    free
}

/// Each slice takes the next unit of its kind in the order of `rank`.
pub(super) fn along(problem: &Problem, rank: impl Fn((u32, u32)) -> u64) -> Vec<u32> {
    let mut next =
        ranked(problem, rank).into_iter().map(|(kind, units)| (kind, units.into_iter())).collect::<BTreeMap<_, _>>();
    let mut take = |kind| next.get_mut(&kind).and_then(Iterator::next);
    problem
        .kinds
        .iter()
        .map(|kind| take(*kind).expect("a problem has as many units of each kind as it needs"))
        .collect()
}
