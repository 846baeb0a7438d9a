//! Which keys a hardware description has.

use crate::constants::{ENERGY, LAYOUT, NAME, ORIGINS, SOURCES, SUMMARY, TILES, prices, sections};
use std::collections::BTreeSet;

/// Every path that a description may have.
pub struct Known {
    /// Paths of structs, the whole file among them.
    pub sections: BTreeSet<String>,
    /// Paths of values in them.
    leaves: Vec<String>,
}

impl Known {
    pub fn new() -> Self {
        let of = |path: &str, key: &str| format!("{path}.{key}");
        let mut leaves: Vec<String> = [NAME, SUMMARY, SOURCES, ORIGINS, LAYOUT, TILES].map(String::from).to_vec();
        leaves.extend(sections().iter().flat_map(|(path, fields)| fields.iter().map(|field| of(path, field.key))));
        leaves.extend(prices().iter().map(|(key, _)| of(ENERGY, key)));
        let mut known = Self { sections: BTreeSet::from([String::new()]), leaves };
        for leaf in &known.leaves {
            known.sections.extend(leaf.match_indices('.').map(|(at, _)| leaf[..at].to_string()));
        }
        known
    }

    pub fn has(&self, path: &str) -> bool {
        self.sections.contains(path) || self.leaves.iter().any(|leaf| leaf == path)
    }

    /// Keys of a section.
    pub fn within(&self, section: &str) -> impl Iterator<Item = &str> {
        let paths = self.leaves.iter().chain(&self.sections).filter(|path| !path.is_empty());
        paths.filter_map(move |path| match path.rsplit_once('.') {
            Some((parent, key)) => (parent == section).then_some(key),
            None => section.is_empty().then_some(path.as_str()),
        })
    }
}
