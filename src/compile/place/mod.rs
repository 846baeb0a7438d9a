//! Giving each slice a unit of its kind. Every strategy is a [`Placer`] in a file of its own, with its paper.

mod anneal;
mod force;
mod greedy;
mod hilbert;
mod multilevel;
mod order;
mod problem;
mod seating;

pub use multilevel::hypergraph;
pub use problem::Problem;
pub use seating::Seating;

use crate::units::UnitId;

/// A way to find units for slices.
trait Placer {
    /// The unit of each slice. The same problem and search give the same units, unless `watch` stops it.
    fn place(&self, problem: &Problem, search: &Search, watch: Watch) -> Vec<u32>;
}

/// How slices find their units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Multilevel partitioning of the slices into ever smaller fields of the mesh.
    Multilevel,
    /// From the Hilbert curve, swaps along the pull of the traffic.
    Force,
    /// Simulated annealing, from the greedy placement.
    Anneal,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 7] =
        [Self::RowMajor, Self::Snake, Self::Hilbert, Self::Greedy, Self::Multilevel, Self::Force, Self::Anneal];

    /// The name on the command line and in reports.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::RowMajor => "row_major",
            Self::Snake => "snake",
            Self::Hilbert => "hilbert",
            Self::Greedy => "greedy",
            Self::Multilevel => "multilevel",
            Self::Force => "force",
            Self::Anneal => "anneal",
        }
    }

    /// Whether its result depends on the traffic.
    #[must_use]
    pub fn is_guided(self) -> bool {
        match self {
            Self::RowMajor | Self::Snake | Self::Hilbert => false,
            Self::Greedy | Self::Multilevel | Self::Force | Self::Anneal => true,
        }
    }

    /// Whether its result depends on [`Search::seed`].
    #[must_use]
    pub fn is_seeded(self) -> bool {
        match self {
            Self::RowMajor | Self::Snake | Self::Hilbert | Self::Greedy | Self::Force => false,
            Self::Multilevel | Self::Anneal => true,
        }
    }

    fn placer(self) -> &'static dyn Placer {
        match self {
            Self::RowMajor => &order::RowMajor,
            Self::Snake => &order::Snake,
            Self::Hilbert => &hilbert::Hilbert,
            Self::Greedy => &greedy::Greedy,
            Self::Multilevel => &multilevel::Multilevel,
            Self::Force => &force::Force,
            Self::Anneal => &anneal::Anneal,
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

/// How long a strategy may look, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search {
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Swaps that are tried for each slice: a limit that is the same on every machine.
    pub effort: u32,
}

impl Default for Search {
    fn default() -> Self {
        Self { seed: 1, effort: 1000 }
    }
}

/// How far a strategy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Swaps tried so far.
    pub tried: u64,
    /// Swaps that it will try in all.
    pub of: u64,
    /// Flit-hops of the best placement so far, control included.
    pub hops: u64,
}

/// Whether a strategy goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Go on.
    Continue,
    /// Stop, and give the best placement so far.
    Stop,
}

/// Is told how far a strategy has come, and says whether it goes on. The library has no clock: a budget of time is kept here,
/// and a placement that it cut short depends on the machine.
pub type Watch<'a> = &'a mut dyn FnMut(Progress) -> Pace;

/// The unit of each slice of `problem`.
#[must_use]
pub fn place(problem: &Problem, strategy: Strategy, search: &Search, watch: Watch) -> Vec<UnitId> {
    strategy.placer().place(problem, search, watch).into_iter().map(UnitId).collect()
}
