//! Mapping files: which slice of which stage sits on which unit, written and edited by people.

use super::fault::{Fault, LoadError};
use super::file::Source;
use super::outline::Outline;
use crate::program::Mapping;
use std::path::Path;

/// Reads a mapping. Whether it fits a graph and a chip is for the compiler to say.
///
/// # Errors
/// Where the text stops making sense, or every slice that has no neurons, with line and column.
pub fn mapping(path: &Path) -> Result<Mapping, LoadError> {
    let source = Source::open(path)?;
    let name = source.name.clone();
    let text = source.text()?;
    let mapping: Mapping = super::ron_text(&text).map_err(|fault| fault.of(&name))?;
    let faults = empty_slices(&mapping, &text);
    if faults.is_empty() { Ok(mapping) } else { Err(LoadError { file: name, faults }) }
}

fn empty_slices(mapping: &Mapping, text: &str) -> Vec<Fault> {
    let outline = Outline::new(text);
    let mut faults = vec![];
    for (number, slice) in mapping.slices.iter().enumerate() {
        let place = outline.get(&format!("slices.{number}")).map(|entry| outline.place(entry.start));
        for (key, (start, end)) in [("positions", slice.positions), ("channels", slice.channels)] {
            if start >= end {
                let what = format!("a slice of `{}` has {key} ({start}, {end}), which are none", slice.stage);
                faults.push(Fault { place, ..Fault::new(what, "give the first and the one after the last") });
            }
        }
    }
    faults
}
