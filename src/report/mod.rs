//! Results become files and tables. Files are written whole: beside their place first, then moved there.

mod accuracy;
mod bundle;
mod chips;
mod difference;
mod figures;
mod file;
mod front;
mod html;
mod listing;
mod mapping;
mod markup;
mod narrow;
mod neurons;
mod profile;
mod results;
mod rows;
mod table;
mod timeline;
mod trace;
mod traffic;
mod training;
mod waveform;

pub use accuracy::accuracy_table;
pub use bundle::{write_bundle, write_checkpoint, write_half_bundle, write_images, write_sample};
pub use chips::{ChipListing, chip_listing, chips_json, chips_listing};
pub use difference::{difference_json, difference_table};
pub use file::{WriteError, make, write_pages};
pub use front::write_front;
pub use html::{Findings, report_html, write_report};
pub use listing::{graph_listing, network_listing, program_listing};
pub use mapping::{write_hypergraph, write_mapping};
pub use neurons::{NeuronTrack, write_neurons};
pub use profile::profile_table;
pub use results::{write_accuracy, write_summary};
pub use rows::{CSV, Claim, Journal, JournalError, MANIFEST, PARQUET, write_parquet, write_table};
pub use table::{
    agreement_table, agreement_verdict, component_table, fit_tables, mapping_table, rows_json, rows_table, run_table,
    run_verdict, sensitivity_table, whole,
};
pub use timeline::{timeline, write_timeline};
pub use trace::write_trace;
pub use traffic::load_table;
pub use training::write_log;
pub use waveform::{waveform, write_waveform};
