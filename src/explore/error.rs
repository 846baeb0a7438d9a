//! Why a network cannot be explored.

use crate::compile::CompileError;
use crate::convert::ConvertError;
use crate::engine::EngineError;
use crate::functional::FunctionalError;

/// Why a network cannot be explored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExploreError {
    /// The network does not become a graph.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// It cannot be run.
    #[error(transparent)]
    Functional(#[from] FunctionalError),
    /// It does not fit the chip.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The engine refuses the run, or it came to a standstill.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A trace of another network.
    #[error(
        "the trace was recorded with another network: its fingerprint is {trace}, and that of `{network}` is {own}; record it again, with the same bits"
    )]
    ForeignTrace {
        /// Name of the network.
        network: String,
        /// Its fingerprint.
        own: String,
        /// That of the trace.
        trace: String,
    },
    /// A trace of another schedule.
    #[error(
        "the trace was recorded with schedule {trace}, where {chip} integrates spikes by {wanted}; record it again with --schedule {}",
        .wanted.replace('_', "-")
    )]
    ForeignSchedule {
        /// Name of the chip.
        chip: String,
        /// What the chip asks for.
        wanted: &'static str,
        /// What the trace has.
        trace: &'static str,
    },
}
