//! Trained network → spiking graph: batch-norm folding, thresholds, integers.
//!
//! [`fold`] turns the layer list into stages in the numbers of the training; [`quantise`] gives every output channel a
//! scale at which its threshold is an integer and its largest weight fills the weight bits. Nothing depends on T.

mod fingerprint;
mod fold;
mod quantise;
mod width;

pub use fingerprint::fingerprint;
pub use fold::fold;
pub use quantise::{Precision, quantise};
pub use width::widths;

use crate::graph::Graph;
use crate::network::Network;

/// The spiking graph of a trained network, in integers: [`fold`] and [`quantise`] one after the other.
///
/// # Errors
/// If a layer has no place in a spiking graph, or a number none in its integers.
pub fn graph(network: &Network, precision: &Precision) -> Result<Graph<i32>, ConvertError> {
    quantise(&fold(network)?, precision)
}

/// Why a network cannot become a spiking graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A layer stands where the spiking graph has nothing for it.
    #[error("layer `{layer}` ({what}): {why}; {remedy}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// What kind of layer it is.
        what: &'static str,
        /// What is wrong.
        why: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A number does not fit into the integers of the graph.
    #[error("stage `{stage}`, channel {channel}: {why}; {remedy}")]
    Number {
        /// Name of the stage.
        stage: String,
        /// The channel.
        channel: usize,
        /// What is wrong.
        why: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A precision outside its range.
    #[error("{option} is {value}, wanted {low} to {high}")]
    Precision {
        /// The option as the command line spells it.
        option: &'static str,
        /// What came.
        value: u32,
        /// Least that is possible.
        low: u32,
        /// Most that is possible.
        high: u32,
    },
}
