//! What is wrong with a file: all of it at once, each fault with its place and its remedy.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, in files that have lines.
    pub place: Option<Place>,
    /// What came, and what was wanted.
    pub what: String,
    /// What would put it right.
    pub remedy: String,
}

/// A place in a text: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// This place of a text that itself starts at `start` of another.
    #[must_use]
    pub fn after(self, start: Self) -> Self {
        let column = if self.line == 1 { start.column + self.column - 1 } else { self.column };
        Self { line: start.line + self.line - 1, column }
    }
}

impl Fault {
    /// A fault of the file as a whole.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: None, what: what.into(), remedy: remedy.into() }
    }

    /// The same fault at a place of the text.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    /// The fault as the only one of `file`.
    #[must_use]
    pub fn of(self, file: &str) -> LoadError {
        LoadError { file: file.to_string(), faults: vec![self] }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

/// Why a file was not taken. Displays one fault a line: `file:line:column: what; remedy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// The file as it was named.
    pub file: String,
    /// Everything that is wrong with it, in the order of the file.
    pub faults: Vec<Fault>,
}

impl std::error::Error for LoadError {}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            match fault.place {
                Some(Place { line, column }) => write!(f, "{end}{}:{line}:{column}: {fault}", self.file)?,
                None => write!(f, "{end}{}: {fault}", self.file)?,
            }
        }
        Ok(())
    }
}

/// The candidate that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let most = (length / 3).clamp(if length > 3 { 2 } else { 1 }, 4);
    let near = |candidate: &&str| distance(word, candidate) <= most;
    candidates.into_iter().filter(near).min_by_key(|candidate| distance(word, candidate))
}

/// `did you mean …?` where something is near, and otherwise what to do without a guess.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>, otherwise: &str) -> String {
    nearest(word, candidates).map_or_else(|| otherwise.to_string(), |near| format!("did you mean `{near}`?"))
}

/// Letters to insert, delete or replace on the way from one word to the other (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, &other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_offered_and_far_ones_are_not() {
        let keys = ["columns", "rows", "neurons"];
        assert_eq!(nearest("colums", keys), Some("columns"));
        assert_eq!(nearest("row", keys), Some("rows"));
        assert_eq!(nearest("weights", keys), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
