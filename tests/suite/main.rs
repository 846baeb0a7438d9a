//! The integration tests: one binary, one file for each behaviour.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

mod accounts;
mod accuracy_tables;
mod architecture;
mod bad_inputs;
mod book;
mod booksim;
mod chips;
mod closed_forms;
mod command_line;
mod damaged_files;
mod data_sets;
mod documented_networks;
mod dvs_gesture;
mod embedded;
mod engine;
mod exactness;
mod files_written_and_read;
mod hardware_descriptions;
mod mapping_errors;
mod noc;
mod noc_booksim;
mod noc_shapes;
mod packing;
mod partition;
mod placement;
mod profiles;
mod public_surface;
mod pytorch_checkpoints;
mod reference;
mod reports;
mod routes;
mod sensitivity;
mod shapes;
mod shared;
mod small_graphs;
mod sweeps;
mod trained_networks;
#[cfg(feature = "train")]
mod training;
#[cfg(feature = "train")]
mod training_runs;
