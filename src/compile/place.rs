//! Giving each slice a unit of its kind.

use super::fan_out::FanOut;
use super::needs::unit_for;
use super::partition::Partition;
use super::tiling::Tiling;
use crate::graph::Graph;
use crate::hardware::{Mesh, Topology, Unit, UnitKind};
use crate::units::{StageId, TileId, UnitId};
use std::collections::BTreeMap;
use std::ops::Range;

/// How slices find their units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Stage after stage, tiles row by row from the left.
    RowMajor,
    /// Stage after stage, tiles row by row, every other row from the right.
    Snake,
    /// Stage after stage, tiles along a Hilbert curve.
    Hilbert,
    #[default]
    /// Stage after stage, each slice on the free unit nearest to the slices that it hears from.
    Greedy,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 4] = [Self::RowMajor, Self::Snake, Self::Hilbert, Self::Greedy];

    /// The name on the command line and in reports.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::RowMajor => "row_major",
            Self::Snake => "snake",
            Self::Hilbert => "hilbert",
            Self::Greedy => "greedy",
        }
    }
}

impl std::str::FromStr for Strategy {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::key).join(", ");
        let found = Self::ALL.into_iter().find(|strategy| strategy.key() == word);
        found.ok_or_else(|| format!("there is no placement strategy `{word}`; choose one of {known}"))
    }
}

/// The unit of each slice, stage by stage in the order of `partition`.
///
/// # Panics
/// If the chip has fewer units of a kind than the partition has slices for it, which [`super::partition`] refuses.
#[must_use]
pub fn place(graph: &Graph<i32>, topology: &Topology, partition: &Partition, strategy: Strategy) -> Vec<UnitId> {
    let mesh = topology.mesh;
    let rank: Vec<u32> = (0..mesh.tiles()).map(|tile| rank(mesh, TileId::at(tile), strategy)).collect();
    let units = topology.units();
    let mut free: BTreeMap<UnitKind, Vec<UnitId>> = BTreeMap::new();
    let mut order: Vec<UnitId> = (0..units.len()).map(UnitId::at).collect();
    order.sort_by_key(|unit| (rank[units[unit.index()].tile.index()], *unit));
    order.into_iter().for_each(|unit| free.entry(units[unit.index()].kind).or_default().push(unit));
    match strategy {
        Strategy::RowMajor | Strategy::Snake | Strategy::Hilbert => in_order(graph, partition, free),
        Strategy::Greedy => near_sources(graph, mesh, &units, partition, free),
    }
}

/// Where a tile comes in the order of a strategy.
fn rank(mesh: Mesh, tile: TileId, strategy: Strategy) -> u32 {
    let (x, y) = mesh.place(tile);
    match strategy {
        Strategy::RowMajor => tile.0,
        Strategy::Snake if y % 2 == 1 => y * mesh.columns + mesh.columns - 1 - x,
        Strategy::Snake => tile.0,
        Strategy::Hilbert | Strategy::Greedy => hilbert(mesh.columns.max(mesh.rows).next_power_of_two(), x, y),
    }
}

/// Distance of `(x, y)` from the start of the Hilbert curve that fills a square of `side`, a power of two.
fn hilbert(side: u32, mut x: u32, mut y: u32) -> u32 {
    let mut distance = 0;
    let mut half = side / 2;
    while half > 0 {
        let (right, low) = (u32::from(x & half > 0), u32::from(y & half > 0));
        distance += half * half * ((3 * right) ^ low);
        if low == 0 {
            if right == 1 {
                (x, y) = (side - 1 - x, side - 1 - y);
            }
            (x, y) = (y, x);
        }
        half /= 2;
    }
    distance
}

fn in_order(graph: &Graph<i32>, partition: &Partition, mut free: BTreeMap<UnitKind, Vec<UnitId>>) -> Vec<UnitId> {
    let mut seats = vec![];
    for (stage, regions) in graph.stages.iter().zip(partition) {
        let units = free.entry(unit_for(&stage.kind)).or_default();
        seats.extend(units.drain(..regions.len()));
    }
    seats
}

/// Each slice takes the free unit with the least traffic times distance, as if all neurons fired alike.
fn near_sources(
    graph: &Graph<i32>,
    mesh: Mesh,
    units: &[Unit],
    partition: &Partition,
    mut free: BTreeMap<UnitKind, Vec<UnitId>>,
) -> Vec<UnitId> {
    let starts: Vec<usize> =
        partition.iter().scan(0, |sum, regions| Some(std::mem::replace(sum, *sum + regions.len()))).collect();
    let heard = traffic(graph, partition, &starts);
    let mut seats: Vec<UnitId> = vec![];
    for (stage, regions) in graph.stages.iter().zip(partition) {
        let free = free.entry(unit_for(&stage.kind)).or_default();
        for _ in regions {
            let from = heard[seats.len()].iter().map(|(&source, &spikes)| (units[seats[source].index()].tile, spikes));
            let distance = Distance::new(mesh, &from.collect::<Vec<_>>());
            let nearest = (0..free.len()).min_by_key(|&at| distance.from(mesh.place(units[free[at].index()].tile)));
            seats.push(free.remove(nearest.expect("the partition asks for no more units than there are")));
        }
    }
    seats
}

/// For each slice, how many neurons of which slices it hears.
fn traffic(graph: &Graph<i32>, partition: &Partition, starts: &[usize]) -> Vec<BTreeMap<usize, u64>> {
    let tilings: Vec<Tiling> = graph
        .stages
        .iter()
        .zip(partition)
        .map(|(stage, regions)| Tiling::new(stage.grid, regions.clone()).unwrap_or_else(|_| Tiling::whole(stage.grid)))
        .collect();
    let mut heard = vec![BTreeMap::new(); partition.iter().map(Vec::len).sum()];
    for (stage, regions) in partition.iter().enumerate() {
        let fan_out = FanOut::new(graph, StageId::at(stage), &tilings);
        for (region, source) in regions.iter().zip(starts[stage]..) {
            let mut spikes: BTreeMap<u32, u64> = BTreeMap::new();
            fan_out.classes(region).for_each(|class| *spikes.entry(class).or_default() += 1);
            for (class, count) in spikes {
                for (reader, index) in &fan_out.sets[class as usize] {
                    *heard[starts[reader.index()] + *index as usize].entry(source).or_default() += count;
                }
            }
        }
    }
    heard
}

/// Weighted distance of a tile from several others: the part along the row and the part along the column.
struct Distance {
    columns: Vec<u64>,
    rows: Vec<u64>,
}

impl Distance {
    fn new(mesh: Mesh, from: &[(TileId, u64)]) -> Self {
        let along = |length: u32, place: &dyn Fn(TileId) -> u32| {
            let sum = |at: u32| from.iter().map(|&(tile, weight)| weight * u64::from(place(tile).abs_diff(at))).sum();
            Range { start: 0, end: length }.map(sum).collect()
        };
        Self {
            columns: along(mesh.columns, &|tile| mesh.place(tile).0),
            rows: along(mesh.rows, &|tile| mesh.place(tile).1),
        }
    }

    fn from(&self, (x, y): (u32, u32)) -> u64 {
        self.columns[x as usize] + self.rows[y as usize]
    }
}
