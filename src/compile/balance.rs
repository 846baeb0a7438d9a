//! Cutting the busiest stages finer, until the units of the chip are used up.

use super::error::CompileError;
use super::needs::unit_for;
use super::partition::{Partition, cut, finest, partition};
use super::shortage::{available, needed};
use crate::graph::Graph;
use crate::hardware::{Topology, UnitKind};
use crate::reach::Reach;
use crate::units::StageId;

/// How finely stages are cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slicing {
    /// Into as few slices as the capacities allow.
    #[default]
    Fewest,
    /// Into as many slices as the chip has units, the busiest stages finest.
    Balanced,
}

impl Slicing {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fewest, Self::Balanced];

    /// The name on the command line and in plans.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Fewest => "fewest",
            Self::Balanced => "balanced",
        }
    }
}

impl std::str::FromStr for Slicing {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|slicing| slicing.key() == word);
        found.ok_or_else(|| format!("stages are not cut `{word}`; choose fewest or balanced"))
    }
}

/// Cuts every stage of `graph` so that the largest load of a slice is small: units that the fewest slices leave free go one by
/// one to the stage whose slices have most to do (the greedy apportionment of Fox, Operations Research 14(2), 1966, which is
/// optimal where a stage can be cut into any number of equal parts). `loads` are the cycles that each stage works in all.
///
/// # Errors
/// Where [`partition`] fails.
pub fn balanced(graph: &Graph<i32>, chip: &str, topology: &Topology, loads: &[u64]) -> Result<Partition, CompileError> {
    let mut best = partition(graph, chip, topology)?;
    let most = finest(graph, topology);
    for kind in UnitKind::ALL {
        let of_kind: Vec<usize> =
            (0..graph.stages.len()).filter(|&stage| unit_for(&graph.stages[stage].kind) == kind).collect();
        // a stage may not be cut into just any number, and finer readers take more routes of those whom they hear, so that
        // fewer units than there are may be all that can be used
        let (mut fits, mut tried) = (needed(graph, &best, kind), available(topology, kind));
        let mut bad = tried + 1;
        while bad - fits > 1 {
            let mut least: Vec<usize> = best.iter().map(Vec::len).collect();
            spread(&mut least, &of_kind, loads, &most, tried);
            match within(graph, topology, &least) {
                Some(found) => (fits, best) = (tried, found),
                None => bad = tried,
            }
            tried = fits + (bad - fits) / 2;
        }
    }
    Ok(best)
}

/// The partition into at least so many slices a stage, if there are units for all of them.
fn within(graph: &Graph<i32>, topology: &Topology, least: &[usize]) -> Option<Partition> {
    let (found, faults) = cut(graph, topology, least);
    let enough = UnitKind::ALL.into_iter().all(|kind| needed(graph, &found, kind) <= available(topology, kind));
    (enough && faults.is_empty()).then_some(found)
}

/// Raises the counts of `stages` to `sum` in all, one by one where the load of a slice is largest, and none above its `most`.
fn spread(counts: &mut [usize], stages: &[usize], loads: &[u64], most: &[usize], sum: usize) {
    let used: usize = stages.iter().map(|&stage| counts[stage]).sum();
    for _ in used..sum {
        // a/b > c/d as products; of equals the first
        let heavier =
            |a: usize, b: usize| u128::from(loads[a]) * counts[b] as u128 > u128::from(loads[b]) * counts[a] as u128;
        let growing = stages.iter().copied().filter(|&stage| counts[stage] < most[stage] && loads[stage] > 0);
        if let Some(busiest) = growing.reduce(|a, b| if heavier(b, a) { b } else { a }) {
            counts[busiest] += 1;
        }
    }
}

/// The synaptic operations of each stage if every neuron fired once, and the values of an input, which sends and receives
/// nothing: what can be said of its load without having seen a spike.
#[must_use]
pub fn even_loads(graph: &Graph<i32>) -> Vec<u64> {
    let load = |target: StageId| {
        let whole = graph.stage(target).grid.whole();
        let sources = graph.stage(target).kind.sources();
        if sources.is_empty() {
            return whole.neurons() as u64;
        }
        let of_source = |source: StageId| -> u64 {
            let (reach, grid) = (Reach::new(graph, source, target), graph.stage(source).grid.whole());
            let at = |position| {
                grid.channels.clone().map(|channel| reach.operations(position, channel, &whole)).sum::<u64>()
            };
            grid.positions.clone().map(at).sum()
        };
        sources.into_iter().map(of_source).sum()
    };
    graph.ids().map(load).collect()
}
