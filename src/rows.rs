//! Rows of results with named columns: what a sweep gives, and what fronts are drawn from.

use serde::{Deserialize, Serialize};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Whole numbers.
    Whole,
    /// Numbers.
    Real,
    /// Words.
    Word,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name; the unit is part of it where there is one.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// One value.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Cell {
    /// None.
    #[default]
    Empty,
    /// A whole number.
    Whole(i64),
    /// A number.
    Real(f64),
    /// A word, on one line.
    Word(String),
}

/// Rows under columns; every row has a cell for each column, of its kind or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// What stands beside the rows of a sweep, so that they can be taken up again and joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Digest of the plan and of everything that it reads.
    pub identity: String,
    /// Which of how many parts of the sweep this is, from 1.
    pub shard: (u32, u32),
    /// Points of the whole sweep.
    pub points: u64,
    /// The columns of its rows; the first is the number of the point.
    pub columns: Vec<Column>,
}

impl Column {
    /// A column.
    #[must_use]
    pub fn new(name: &str, kind: ColumnKind) -> Self {
        Self { name: name.to_string(), kind }
    }

    /// A value as it stands in a file, read back; `None` if it is of another kind.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<Cell> {
        if text.is_empty() {
            return Some(Cell::Empty);
        }
        match self.kind {
            ColumnKind::Whole => text.parse().ok().map(Cell::Whole),
            ColumnKind::Real => text.parse().ok().map(Cell::Real),
            ColumnKind::Word => Some(Cell::Word(text.to_string())),
        }
    }
}

impl Cell {
    /// The value as a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Whole(value) => Some(*value as f64),
            Self::Real(value) => Some(*value),
            Self::Empty | Self::Word(_) => None,
        }
    }
}

impl std::fmt::Display for Cell {
    /// As it stands in a file: numbers with as many digits as it takes to read the same number back.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Word(word) => write!(f, "{word}"),
        }
    }
}

impl Table {
    /// The place of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}
