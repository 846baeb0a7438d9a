//! Results become files and tables. Files are written whole: beside their place first, then moved there.

mod bundle;
mod chips;
mod figures;
mod file;
mod html;
mod listing;
mod mapping;
mod markup;
mod results;
mod table;
mod trace;

pub use bundle::write_bundle;
pub use chips::{chip_listing, chips_listing};
pub use file::WriteError;
pub use html::{Results, report_html, write_report};
pub use listing::{graph_listing, network_listing, program_listing};
pub use mapping::{write_hypergraph, write_mapping};
pub use results::{write_accuracy, write_summary};
pub use table::{
    accuracy_table, agreement_table, agreement_verdict, component_table, mapping_table, run_table, run_verdict, whole,
};
pub use trace::write_trace;
