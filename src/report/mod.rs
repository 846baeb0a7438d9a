//! Results become files and tables. Files are written whole: beside their place first, then moved there.

mod bundle;
mod chips;
mod file;
mod listing;
mod mapping;
mod results;
mod table;
mod trace;

pub use bundle::write_bundle;
pub use chips::{chip_listing, chips_listing};
pub use file::WriteError;
pub use listing::{graph_listing, network_listing, program_listing};
pub use mapping::{write_hypergraph, write_mapping};
pub use results::write_summary;
pub use table::{
    accuracy_table, agreement_table, agreement_verdict, component_table, mapping_table, run_table, run_verdict, whole,
};
pub use trace::write_trace;
