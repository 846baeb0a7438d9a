//! What a spiking network costs on a neuromorphic chip, and whether the chip still computes what the network was trained to compute.
//!
//! The whole way, from a trained network and a chip to the cost of an image:
//!
//! ```
//! use spikemesh::{account, compile, convert, engine, functional, load, sample, summary::Simulator};
//!
//! // a checkpoint would come from `load::network`, images from `load::images`
//! let network = sample::network(sample::SEED)?;
//! let images = sample::images(sample::SEED, 1);
//! let graph = convert::quantise(&convert::fold(&network)?, &convert::Precision::default())?;
//!
//! let chip = load::hardware("mesh28".as_ref(), &["core.lanes=16".to_string()])?;
//! let mapping = compile::map(&graph, &chip.name, &chip.topology, compile::Strategy::Greedy)?;
//! let program = compile::program(&graph, &convert::fingerprint(&graph), &chip.name, &chip.topology, &mapping)?;
//!
//! // what is computed, and whether it is what the integer network computes
//! let options = functional::Options {
//!     time_steps: 4,
//!     settle: functional::Settle::ToSilence,
//!     semantics: functional::Semantics::EXACT,
//!     schedule: engine::schedule(chip.timing.step.discipline),
//!     record: true,
//! };
//! let outcome = functional::Spiking::new(&graph).run(images.image(0), &options)?;
//! assert_eq!(outcome.values, functional::quantised_ann(&graph, images.image(0), 4)?);
//!
//! // when it happens, and what it costs
//! let trace = outcome.trace.ok_or("recorded above")?;
//! let drive = engine::Drive::Replay { graph: &graph, trace: &trace, time_steps: 4 };
//! let activity = engine::run(&program, &chip.topology, &chip.timing, drive)?.activity;
//! let run = account::Run {
//!     graph: &graph,
//!     program: &program,
//!     hardware: &chip,
//!     time_steps: 4,
//!     drive: "replay",
//!     live_equal: None,
//!     activities: &[activity],
//!     widths: &[&trace.widths],
//! };
//! let summary = account::summarise(&run, None, Simulator::default());
//! assert!(summary.cycles_per_image > 0.0 && summary.energy_uj_per_image > 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub mod functional;
pub mod graph;
pub mod hardware;
pub mod images;
pub mod load;
pub mod network;
pub mod plan;
pub mod program;
pub mod random;
pub mod reach;
pub mod report;
pub mod rows;
pub mod sample;
pub mod summary;
pub mod trace;
pub mod traffic;
#[cfg(feature = "train")]
pub mod train;
pub mod units;
pub mod ways;
