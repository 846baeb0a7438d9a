//! A sweep as it is asked for: what runs on what, which axes there are, and which of their points are wanted.

use serde::{Deserialize, Serialize};

/// A sweep. Files are named from the folder of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The network: a bundle, a checkpoint, or `sample` for the embedded one; empty if there is a trace only.
    #[serde(default)]
    pub network: String,
    /// Layer list of a checkpoint that is no bundle; empty if it needs none.
    #[serde(default)]
    pub arch: String,
    /// The images; empty for the embedded network and for a trace.
    #[serde(default)]
    pub images: String,
    /// How many images, from the first.
    #[serde(default = "one")]
    pub count: u32,
    /// A recorded trace, replayed wherever a point asks for its network, T and schedule; empty if there is none.
    #[serde(default)]
    pub trace: String,
    /// The chip: a file, or the name of a built-in one.
    pub chip: String,
    /// Changes to it at all points, as with `--set`.
    #[serde(default)]
    pub set: Vec<String>,
    /// What varies: a name, and the values that it takes.
    pub axes: Vec<(String, Span)>,
    /// Which points of the axes are wanted.
    #[serde(default)]
    pub points: Choice,
    /// Conditions that a point must meet, over axes and constants of the chip.
    #[serde(default)]
    pub only: Vec<String>,
    /// Further columns: a name, and an expression over axes, constants, and columns before it.
    #[serde(default)]
    pub columns: Vec<(String, String)>,
    /// Seed of points that are drawn.
    #[serde(default)]
    pub seed: u64,
    /// Which points the engine runs, where not all.
    #[serde(default)]
    pub screen: Screen,
}

fn one() -> u32 {
    1
}

/// The values of an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// These.
    Values(Vec<Level>),
    /// Whole numbers from the first to the second, both included, in steps of the third.
    Range(i64, i64, i64),
    /// The first, twice that, and so on up to the second.
    Doubling(i64, i64),
}

/// One value of an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Level {
    /// A whole number.
    Whole(i64),
    /// A number.
    Real(f64),
    /// A word.
    Word(String),
}

/// Which points of the axes are wanted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// All of them; the last axis varies fastest.
    #[default]
    Grid,
    /// The first values of all axes, the second values, and so on.
    List,
    /// So many, each axis drawn by itself; equal ones may come.
    Random(u32),
    /// So many, on each axis spread evenly over its values (McKay, Beckman, Conover, Technometrics 1979).
    Latin(u32),
}

/// Which points the engine runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Screen {
    /// All.
    #[default]
    All,
    /// Successive halving (Jamieson and Talwalkar, AISTATS 2016): by the time that no run undercuts, on ever more images, the
    /// slower half is put aside until so many points are left; these are run, and so many of the others, drawn, to see how
    /// often the screening was wrong.
    Halving {
        /// Points that are left.
        keep: u32,
        /// Points among the others that are run.
        audit: u32,
    },
}

/// Axes that are not constants of the chip.
pub const OWN_AXES: [&str; 13] = [
    "weight_bits",
    "gain_bits",
    "probability_bits",
    "table_bits",
    "input_fraction_bits",
    "input_bits",
    "time_steps",
    "settle",
    "semantics",
    "slicing",
    "strategy",
    "seed",
    "effort",
];

/// Most points of a sweep.
pub const MOST_POINTS: u64 = 1_000_000;

impl Span {
    /// The values in order.
    #[must_use]
    pub fn levels(&self) -> Vec<Level> {
        match self {
            Self::Values(levels) => levels.clone(),
            Self::Range(first, last, step) if *step > 0 => {
                let steps = (0..).map(|at| first.checked_add(step.checked_mul(at)?));
                steps
                    .map_while(|value| value.filter(|value| value <= last))
                    .take(MOST_POINTS as usize)
                    .map(Level::Whole)
                    .collect()
            }
            Self::Range(..) => vec![],
            Self::Doubling(first, last) if *first > 0 => {
                let steps = std::iter::successors(Some(*first), |value| value.checked_mul(2));
                steps.take_while(|value| value <= last).map(Level::Whole).collect()
            }
            Self::Doubling(..) => vec![],
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Word(word) => write!(f, "{word}"),
        }
    }
}
