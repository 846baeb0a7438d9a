//! Files become nouns: networks, images, hardware descriptions, traces, mappings. Nothing else reads files.
//!
//! Every reader checks all that it can and reports all faults together, each with its place and its remedy; sizes are
//! compared with the length of the file before anything is allocated.

mod archive;
mod assemble;
mod checkpoint;
mod data;
mod experiment;
mod fault;
mod file;
mod hardware;
mod images;
mod keys;
mod mapping;
mod network;
mod npz;
mod origins;
mod outline;
mod parquet;
mod pickle;
mod pictures;
mod plan;
mod presets;
mod reader;
mod results;
mod rows;
mod sets;
mod skeleton;
mod tensors;
mod torch;
mod trace;
mod zip;

pub mod reference;

pub use assemble::assemble;
pub use checkpoint::{checkpoint, is_checkpoint};
pub use data::data;
pub use experiment::experiment;
pub use fault::{Fault, LoadError, Place, did_you_mean};
pub use hardware::{hardware, hardware_from_text};
pub use images::{cifar_records, images};
pub use mapping::mapping;
pub use network::{architecture, embedded_network, network, tensors};
pub use plan::plan;
pub use presets::{PRESETS, preset};
pub use results::{accuracy, summary};
pub use rows::{manifest, rows, table};
pub use trace::trace;

/// Parses a RON text into a noun.
fn ron_text<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Fault> {
    use ron::Error::{NoSuchEnumVariant, NoSuchStructField};
    ron::from_str(text).map_err(|error| {
        let place = Place { line: error.span.start.line, column: error.span.start.col };
        let mut remedy = "correct the text there".to_string();
        if let NoSuchEnumVariant { expected, found, .. } | NoSuchStructField { expected, found, .. } = &error.code {
            remedy = fault::did_you_mean(found, expected.iter().copied(), &remedy);
        }
        Fault::new(error.code.to_string(), remedy).at(place)
    })
}
