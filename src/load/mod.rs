//! Files become nouns: networks, images, hardware descriptions, traces, mappings. Nothing else reads files.
//!
//! Every reader checks all that it can and reports all faults together, each with its place and its remedy; sizes are
//! compared with the length of the file before anything is allocated.

mod assemble;
mod fault;
mod file;
mod hardware;
mod images;
mod keys;
mod mapping;
mod network;
mod outline;
mod presets;
mod reader;
mod sets;
mod skeleton;
mod tensors;
mod trace;

pub mod reference;

pub use assemble::assemble;
pub use fault::{Fault, LoadError, Place};
pub use hardware::{hardware, hardware_from_text};
pub use images::images;
pub use mapping::mapping;
pub use network::{architecture, network};
pub use presets::{PRESETS, preset};
pub use trace::trace;

/// Parses a RON text into a noun.
fn ron_text<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Fault> {
    ron::from_str(text).map_err(|error| {
        let place = Place { line: error.span.start.line, column: error.span.start.col };
        Fault::new(error.code.to_string(), "correct the text there").at(place)
    })
}
