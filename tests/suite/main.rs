//! The integration tests: one binary, one file for each behaviour.

mod hardware_descriptions;
mod shared;
mod trained_networks;
