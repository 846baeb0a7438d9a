//! What a spiking network costs on a neuromorphic chip, and whether the chip still computes what the network was trained to compute.
//!
//! The whole way, from a trained network and a chip to the cost of an image:
//!
//! ```
//! use spikemesh::{compile::Strategy, convert, load, sample, simulate};
//!
//! // a checkpoint of yours would come from `load::network`, images from `load::images`
//! let (network, images) = (sample::trained()?, sample::test_pictures()?.first(2));
//! let graph = convert::graph(&network, &convert::Precision::default())?;
//! let chip = load::hardware("mesh28".as_ref(), &["core.lanes=16".to_string()])?;
//! let placed = simulate::Placed::new(&graph, chip, Strategy::Greedy)?;
//! let summary = simulate::images(&network, &placed, &images, simulate::Request::default(), &simulate::Unwatched)?;
//!
//! // energy, time and, layer by layer, spikes and synaptic operations
//! let (microjoules, milliseconds) = (summary.energy_uj_per_image, summary.time_ms_per_image);
//! let operations: u64 = summary.layers.iter().map(|layer| layer.synaptic_ops).sum();
//! assert!(microjoules > 0.0 && milliseconds > 0.0 && operations > 0);
//! // and whether every value of every stage is the one that was trained
//! assert!(summary.agreement.is_some_and(|agreement| agreement.all_equal));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Some modules keep their names and signatures within a minor version; a test holds their public items against a record.
//!
//! Promised: `simulate`, `load`, `sample`, `convert`, `network`, `images`, `hardware`, `field`, `trace`, `summary`, `profile`.
//!
//! The others are public so that they can be read, tried and built upon, and may change with any version.

pub mod account;
pub mod action;
pub mod activity;
pub mod checkpoint;
pub mod cli;
pub mod compile;
pub mod constants;
pub mod convert;
pub mod engine;
pub mod events;
pub mod experiment;
pub mod explore;
pub mod field;
pub mod functional;
pub mod graph;
pub mod hardware;
pub mod images;
pub mod load;
pub mod network;
pub mod plan;
pub mod profile;
pub mod program;
pub mod random;
pub mod reach;
pub mod report;
pub mod rows;
pub mod sample;
pub mod simulate;
pub mod summary;
pub mod trace;
pub mod traffic;
#[cfg(feature = "train")]
pub mod train;
pub mod units;
pub mod ways;
