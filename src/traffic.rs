//! Synthetic traffic on a network on chip, and what came of it: the patterns by which networks are compared.

use crate::units::Cycle;
use serde::Serialize;

/// Whom a unit sends to. Places are columns and rows of tiles; on a tile with several units each sends to its counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// To any unit, itself included, all alike.
    Uniform,
    /// From (x, y) to (y, x).
    Transpose,
    /// From (x, y) to the place that mirrors it at the middle of the mesh.
    BitComplement,
    /// Almost half way round, along rows and along columns.
    Tornado,
    /// One step along the row and one along the column, the last to the first.
    Neighbour,
    /// All to the first unit of the tile in the middle.
    Hotspot,
}

impl Pattern {
    /// Every pattern.
    pub const ALL: [Self; 6] =
        [Self::Uniform, Self::Transpose, Self::BitComplement, Self::Tornado, Self::Neighbour, Self::Hotspot];

    /// The name on the command line and in reports.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Transpose => "transpose",
            Self::BitComplement => "bit-complement",
            Self::Tornado => "tornado",
            Self::Neighbour => "neighbour",
            Self::Hotspot => "hotspot",
        }
    }

    /// Where a unit on tile `(x, y)` sends to; none where that is any tile, or lies outside of a mesh that is not square.
    #[must_use]
    pub fn target(self, (x, y): (u32, u32), (columns, rows): (u32, u32)) -> Option<(u32, u32)> {
        let shifted = |by: fn(u32) -> u32| ((x + by(columns)) % columns, (y + by(rows)) % rows);
        match self {
            Self::Uniform => None,
            Self::Transpose => Some((y, x)).filter(|&(x, y)| x < columns && y < rows),
            Self::BitComplement => Some((columns - 1 - x, rows - 1 - y)),
            Self::Tornado => Some(shifted(|count| (count - 1) / 2)),
            Self::Neighbour => Some(shifted(|_| 1)),
            Self::Hotspot => Some((columns / 2, rows / 2)),
        }
    }
}

impl std::str::FromStr for Pattern {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::key).join(", ");
        let found = Self::ALL.into_iter().find(|pattern| pattern.key() == word);
        found.ok_or_else(|| format!("there is no traffic pattern `{word}`; choose one of {known}"))
    }
}

/// Certainty, as an offered rate: in each cycle a packet.
pub const CERTAIN: u64 = 1 << 32;

/// Traffic of single-flit packets: in each cycle each unit makes one by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Whom to.
    pub pattern: Pattern,
    /// The chance, out of [`CERTAIN`].
    pub rate: u64,
    /// Where the chances come from.
    pub seed: u64,
    /// Cycles before anything is measured.
    pub warm_up: Cycle,
    /// Cycles in which packets are measured; the run goes on, with the same traffic, until all of them have arrived, for at
    /// most as many cycles again.
    pub measure: Cycle,
}

/// What came of traffic, in whole numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// Units that send.
    pub senders: u64,
    /// Cycles that were measured.
    pub cycles: Cycle,
    /// Packets that were made in them.
    pub made: u64,
    /// Packets that arrived in them, whenever they were made.
    pub arrived: u64,
    /// How many of those that were made had each latency, from making to arrival.
    pub latencies: Vec<u64>,
    /// Flits over each link in these cycles: tile by tile, four links each in the order of the sides.
    pub link_flits: Vec<u64>,
    /// Flits switched in the whole run.
    pub flit_hops: u64,
}

impl Measured {
    /// Packets that were made in the measured cycles and arrived before the end of the run.
    #[must_use]
    pub fn timed(&self) -> u64 {
        self.latencies.iter().sum()
    }

    /// The smallest latency that `permille` of the packets do not exceed; 0 without any.
    #[must_use]
    pub fn quantile(&self, permille: u64) -> Cycle {
        let (mut seen, needed) = (0, (self.timed() * permille).div_ceil(1000).max(1));
        let reached = |&count: &u64| {
            seen += count;
            seen >= needed
        };
        self.latencies.iter().position(reached).unwrap_or(0) as Cycle
    }

    /// The run as a row of a table.
    #[must_use]
    pub fn point(&self, rate: f64, seed: u64) -> Point {
        let chances = (self.senders * self.cycles).max(1) as f64;
        let timed = self.timed();
        let sum: u64 = self.latencies.iter().zip(0..).map(|(&count, latency): (_, u64)| count * latency).sum();
        Point {
            rate,
            seed,
            offered: self.made as f64 / chances,
            accepted: self.arrived as f64 / chances,
            latency_mean: sum as f64 / timed.max(1) as f64,
            latency_p50: self.quantile(500),
            latency_p99: self.quantile(990),
            latency_max: self.latencies.len().saturating_sub(1) as Cycle,
            unfinished: self.made - timed,
            flit_hops: self.flit_hops,
            link_load: self.link_flits.iter().map(|&flits| flits as f64 / self.cycles.max(1) as f64).collect(),
        }
    }
}

/// One run of traffic as people and scripts read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Rate that was asked for, in flits for each unit and cycle.
    pub rate: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Packets made, for each sending unit and cycle.
    pub offered: f64,
    /// Packets that arrived, for each sending unit and cycle.
    pub accepted: f64,
    /// Cycles from making to arrival, the wait in the unit's packet queue included: mean.
    pub latency_mean: f64,
    /// Median.
    pub latency_p50: Cycle,
    /// The latency that one in a hundred exceeds.
    pub latency_p99: Cycle,
    /// Largest.
    pub latency_max: Cycle,
    /// Measured packets that had not arrived at the end: above zero, the network is saturated.
    pub unfinished: u64,
    /// Flits switched in the whole run.
    pub flit_hops: u64,
    /// Flits in a cycle over each link: tile by tile, four links each, to the east, west, south and north.
    pub link_load: Vec<f64>,
}

/// The traffic of a chip at several rates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadCurve {
    /// Name of the chip.
    pub chip: String,
    /// Whom units send to.
    pub traffic: Pattern,
    /// Columns and rows of tiles.
    pub mesh: (u32, u32),
    /// Units that send.
    pub senders: u64,
    /// Cycles before, and cycles of, each measurement.
    pub warm_up_cycles: Cycle,
    /// Cycles of each measurement.
    pub measure_cycles: Cycle,
    /// One for each rate and seed.
    pub points: Vec<Point>,
}
