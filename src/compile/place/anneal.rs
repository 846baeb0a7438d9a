//! Simulated annealing over swaps of two units of one kind, from the greedy placement.
//!
//! Kirkpatrick, Gelatt and Vecchi, Optimization by simulated annealing, Science 1983; with the shrinking range of swaps of
//! Betz and Rose, VPR, FPL 1997. The temperature falls by a constant factor over the swaps that the effort allows.

use super::force::relax;
use super::greedy::Greedy;
use super::{Pace, Placer, Problem, Progress, Search, Seating, Watch};
use crate::hardware::UnitKind;
use crate::random::Draws;
use std::collections::BTreeMap;

/// Simulated annealing.
pub(super) struct Anneal;

/// Swaps between two looks at the best placement.
const ROUND: u64 = 1024;
/// Swaps that measure the first temperature.
const SAMPLE: usize = 200;
/// First temperature, as a part of the mean change of a swap; low, since the greedy placement is worth keeping.
const WARM: f64 = 0.2;
/// Last temperature, as a part of the first.
const COLD: f64 = 0.002;

impl Placer for Anneal {
    fn place(&self, problem: &Problem, search: &Search, watch: Watch) -> Vec<u32> {
        let mut seating = Seating::new(problem, Greedy.place(problem, search, watch));
        let mut best = (seating.hops(), seating.units().to_vec());
        let Some(mut moves) = Moves::new(problem, search.seed) else { return best.1 };
        let of = problem.kinds.len() as u64 * u64::from(search.effort);
        let first = WARM * moves.mean_change(&mut seating);
        let mut tried = 0;
        while tried < of {
            let done = tried as f64 / of as f64;
            let temperature = first * COLD.powf(done);
            let range = ((1.0 - done) * f64::from(problem.mesh.columns.max(problem.mesh.rows))).ceil() as u32;
            for _ in 0..ROUND.min(of - tried) {
                let (a, b) = moves.draw(problem, &seating, range.max(2));
                let change = seating.swap(a, b);
                if change > 0 && moves.draws.uniform() >= (-(change as f64) / temperature).exp() {
                    seating.take_back(a, b, change);
                }
            }
            tried = (tried + ROUND).min(of);
            if seating.hops() < best.0 {
                best = (seating.hops(), seating.units().to_vec());
            }
            if watch(Progress { tried, of, hops: best.0 }) == Pace::Stop {
                return best.1;
            }
        }
        let mut seating = Seating::new(problem, best.1);
        relax(problem, &mut seating, &Search { effort: 100, ..*search }, &mut |_| Pace::Continue);
        seating.units().to_vec()
    }
}

/// Draws swaps.
struct Moves {
    draws: Draws,
    /// The units of each kind.
    units: BTreeMap<UnitKind, Vec<u32>>,
    /// Slices that have more than one unit to choose from.
    movable: Vec<u32>,
}

impl Moves {
    fn new(problem: &Problem, seed: u64) -> Option<Self> {
        let mut units: BTreeMap<UnitKind, Vec<u32>> = BTreeMap::new();
        problem.units.iter().zip(0..).for_each(|(unit, index)| units.entry(unit.kind).or_default().push(index));
        let several = |kind: &UnitKind| units.get(kind).is_some_and(|units| units.len() > 1);
        let movable: Vec<u32> =
            problem.kinds.iter().zip(0..).filter(|(kind, _)| several(kind)).map(|(_, at)| at).collect();
        (!movable.is_empty()).then(|| Self { draws: Draws::new(seed), units, movable })
    }

    /// The unit of a slice and another of its kind, within `range` tiles of it where a few draws find one.
    fn draw(&mut self, problem: &Problem, seating: &Seating, range: u32) -> (u32, u32) {
        let slice = self.movable[self.draws.below(self.movable.len() as u64) as usize] as usize;
        let here = seating.units()[slice];
        let (x, y) = problem.place(here);
        let units = &self.units[&problem.kinds[slice]];
        let mut there = here;
        for _ in 0..16 {
            there = units[self.draws.below(units.len() as u64) as usize];
            let (to_x, to_y) = problem.place(there);
            if there != here && x.abs_diff(to_x) <= range && y.abs_diff(to_y) <= range {
                break;
            }
        }
        (here, there)
    }

    /// Mean size of the change of a swap of two neighbours.
    fn mean_change(&mut self, seating: &mut Seating) -> f64 {
        let problem = seating.problem();
        let mut sum = 0.0;
        for _ in 0..SAMPLE {
            let (a, b) = self.draw(problem, seating, 4);
            let change = seating.swap(a, b);
            seating.take_back(a, b, change);
            sum += change.unsigned_abs() as f64;
        }
        (sum / SAMPLE as f64).max(1.0)
    }
}
