//! Cutting every stage into slices that fit a unit: as few as the capacities of the chip allow.

use super::error::{CompileError, Fault};
use super::fan_out::FanOut;
use super::needs::{Demand, capacities, capacity_key, exceeded, row};
use super::shortage;
use super::tiling::Tiling;
use crate::graph::Graph;
use crate::hardware::Topology;
use crate::program::Needs;
use crate::units::{Region, StageId};
use std::ops::{Range, RangeInclusive};

/// For each stage, the regions of its slices, in order of their first position and channel.
pub type Partition = Vec<Vec<Region>>;

/// Cuts every stage of `graph` into slices for the units of a chip.
///
/// A stage is cut into equal blocks of channels, and into the same runs of positions for each block. Of all numbers of
/// blocks the one with the fewest slices wins, and of equals the one with the fewest blocks. The runs are as equal as
/// the capacities allow, and end with a row of the grid where that takes no more of them. A stage's routes end in the
/// slices of those that read it, so the last stage is cut first.
///
/// # Errors
/// If the graph does not fit: which stage needs how many units of which kind, and what would make it fit.
pub fn partition(graph: &Graph<i32>, chip: &str, topology: &Topology) -> Result<Partition, CompileError> {
    let mut faults = shortage::unfit(graph, topology);
    let (partition, large) = cut(graph, topology, &[]);
    faults.extend(large);
    faults.extend(shortage::too_few(graph, topology, &partition));
    if faults.is_empty() { Ok(partition) } else { Err(CompileError::new(graph, chip, faults)) }
}

/// The partition into at least so many slices a stage, one where `least` says nothing. A stage that cannot be cut finely
/// enough is whole, and has a fault if the chip has its kind of unit.
pub(super) fn cut(graph: &Graph<i32>, topology: &Topology, least: &[usize]) -> (Partition, Vec<Fault>) {
    let mut tilings: Vec<Tiling> = graph.stages.iter().map(|stage| Tiling::whole(stage.grid)).collect();
    let mut faults = vec![];
    for id in graph.ids().rev() {
        let demand = Demand::new(graph, id, topology);
        let fan_out = FanOut::new(graph, id, &tilings);
        let capacities = capacities(topology, demand.unit);
        let cutter = Cutter { demand: &demand, fan_out: &fan_out, capacities };
        match cutter.fewest(least.get(id.index()).copied().unwrap_or(1)) {
            Some(regions) => {
                if let Ok(tiling) = Tiling::new(demand.grid, regions) {
                    tilings[id.index()] = tiling;
                }
            }
            None if shortage::available(topology, demand.unit) == 0 => {}
            None => faults.extend(cutter.too_large(graph, id)),
        }
    }
    faults.reverse();
    (tilings.into_iter().map(|tiling| tiling.regions).collect(), faults)
}

/// The most slices that each stage can be cut into, whatever they hold.
pub(super) fn finest(graph: &Graph<i32>, topology: &Topology) -> Vec<usize> {
    let of_stage = |id| {
        let demand = Demand::new(graph, id, topology);
        let blocks = demand.grid.channels / demand.head.unwrap_or(1);
        blocks as usize * if demand.all_positions { 1 } else { demand.grid.positions() }
    };
    graph.ids().map(of_stage).collect()
}

/// Where a stage is cut: every run of positions with every block of channels is a slice.
struct Cuts {
    runs: Vec<Range<u32>>,
    blocks: Vec<Range<u32>>,
}

struct Cutter<'a> {
    demand: &'a Demand,
    fan_out: &'a FanOut,
    capacities: Needs,
}

impl Cutter<'_> {
    /// The fewest slices that fit, of which there are to be at least so many.
    fn fewest(&self, least: usize) -> Option<Vec<Region>> {
        let width = self.demand.head.unwrap_or(1);
        let granules = self.demand.grid.channels / width;
        let mut best: Option<Cuts> = None;
        let mut widest = u32::MAX;
        for parts in 1..=granules {
            let fewest = best.as_ref().map_or(usize::MAX, |cuts| cuts.runs.len() * cuts.blocks.len());
            if parts as usize >= fewest {
                break;
            }
            if granules.div_ceil(parts) == widest {
                continue;
            }
            widest = granules.div_ceil(parts);
            let blocks = even(granules, parts, width);
            if let Some(runs) = self.runs(&blocks, least.div_ceil(blocks.len())..=(fewest - 1) / blocks.len()) {
                best = Some(Cuts { runs, blocks });
            }
        }
        let Cuts { runs, blocks } = best?;
        let of_run = |run: Range<u32>| {
            blocks.iter().map(move |block| Region { positions: run.clone(), channels: block.clone() })
        };
        Some(runs.into_iter().flat_map(of_run).collect())
    }

    /// The fewest runs of positions that fit with these blocks of channels, so many at least and at most.
    fn runs(&self, blocks: &[Range<u32>], wanted: RangeInclusive<usize>) -> Option<Vec<Range<u32>>> {
        let (grid, most) = (self.demand.grid, *wanted.end());
        if self.capacities.neurons.saturating_mul(most as u64) / (blocks[0].len() as u64) < grid.positions() as u64 {
            return None;
        }
        let mut runs: Vec<Range<u32>> = vec![];
        while runs.last().map_or(0, |run| run.end) < grid.whole().positions.end {
            if runs.len() == most {
                return None;
            }
            runs.push(self.longest(runs.last(), blocks)?);
        }
        let finer = *wanted.start() > runs.len();
        let parts = runs.len().max(*wanted.start()) as u32;
        if parts as usize > most || parts > self.most_runs() {
            return None;
        }
        let by_rows = (parts <= grid.height).then(|| even(grid.height, parts, grid.width));
        let balanced = by_rows.into_iter().chain([even(grid.whole().positions.end, parts, 1)]);
        let fits = |runs: &Vec<Range<u32>>| runs.iter().all(|run| self.fits(run, blocks));
        balanced.into_iter().find(fits).or((!finer).then_some(runs))
    }

    fn most_runs(&self) -> u32 {
        if self.demand.all_positions { 1 } else { self.demand.grid.whole().positions.end }
    }

    /// The longest run that fits after `previous`, whose length is a good guess; `None` if not even one position fits.
    fn longest(&self, previous: Option<&Range<u32>>, blocks: &[Range<u32>]) -> Option<Range<u32>> {
        let positions = self.demand.grid.whole().positions.end;
        if self.demand.all_positions {
            return self.fits(&(0..positions), blocks).then_some(0..positions);
        }
        let start = previous.map_or(0, |run| run.end);
        let by_neurons = self.capacities.neurons / blocks[0].len() as u64;
        let mut good = start;
        let mut bad = u64::from(positions).min(u64::from(start).saturating_add(by_neurons)) as u32 + 1;
        let mut probe = (start + previous.map_or(positions, |run| run.len() as u32)).min(bad - 1);
        let guess = probe;
        while bad - good > 1 {
            if self.fits(&(start..probe), blocks) {
                good = probe;
            } else {
                bad = probe;
            }
            probe = if good == guess { good + 1 } else { good + (bad - good) / 2 };
        }
        (good > start).then_some(start..good)
    }

    fn fits(&self, run: &Range<u32>, blocks: &[Range<u32>]) -> bool {
        blocks.iter().all(|block| {
            let region = Region { positions: run.clone(), channels: block.clone() };
            exceeded(&self.demand.of(std::slice::from_ref(&region), self.fan_out), &self.capacities).next().is_none()
        })
    }

    /// The first of the smallest possible slices that does not fit, as a fault.
    fn too_large(&self, graph: &Graph<i32>, id: StageId) -> Option<Fault> {
        let whole = self.demand.grid.whole();
        let width = self.demand.head.unwrap_or(1);
        let runs = self.most_runs();
        let blocks = even(whole.channels.end / width, whole.channels.end / width, width);
        for run in even(runs, runs, whole.positions.end / runs) {
            for block in &blocks {
                let region = Region { positions: run.clone(), channels: block.clone() };
                let needs = self.demand.of(std::slice::from_ref(&region), self.fan_out);
                if let Some(at) = exceeded(&needs, &self.capacities).next() {
                    return Some(Fault::TooLarge {
                        stage: graph.stage(id).name.clone(),
                        region,
                        capacity: capacity_key(self.demand.unit, at),
                        needed: row(&needs)[at],
                        available: row(&self.capacities)[at],
                    });
                }
            }
        }
        None
    }
}

/// `0..count` in `parts` runs that differ in length by one at most, longer ones first, each number standing for `width`.
fn even(count: u32, parts: u32, width: u32) -> Vec<Range<u32>> {
    let cut = |part: u32| (count / parts * part + part.min(count % parts)) * width;
    (0..parts).map(|part| cut(part)..cut(part + 1)).collect()
}
