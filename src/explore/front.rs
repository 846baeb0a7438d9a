//! Pareto fronts: the rows that no other row beats everywhere.

use crate::rows::Table;

/// A column and whether more of it is better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// Place of the column.
    pub column: usize,
    /// Whether more is better.
    pub more: bool,
}

/// The rows on the front, in their order. Rows without a number in one of the columns are not on it; of rows that are equal
/// in all of them, each one is.
#[must_use]
pub fn front(table: &Table, goals: &[Goal]) -> Vec<usize> {
    let figures = |row: usize| -> Option<Vec<f64>> {
        let figure = |goal: &Goal| {
            table.rows[row][goal.column].number().filter(|n| n.is_finite()).map(|n| if goal.more { -n } else { n })
        };
        goals.iter().map(figure).collect()
    };
    let mut all: Vec<(Vec<f64>, usize)> = (0..table.rows.len()).filter_map(|row| Some((figures(row)?, row))).collect();
    // whoever comes earlier in this order is never beaten by one that comes later
    all.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal).then(a.1.cmp(&b.1)));
    let beats = |a: &[f64], b: &[f64]| a != b && a.iter().zip(b).all(|(a, b)| a <= b);
    let mut front: Vec<(Vec<f64>, usize)> = vec![];
    for (figures, row) in all {
        if !front.iter().any(|(other, _)| beats(other, &figures)) {
            front.push((figures, row));
        }
    }
    let mut rows: Vec<usize> = front.into_iter().map(|(_, row)| row).collect();
    rows.sort_unstable();
    rows
}
