//! Why images do not run.

use crate::compile::CompileError;
use crate::engine::EngineError;
use crate::functional::FunctionalError;

/// Why images do not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulateError {
    /// The network does not fit the chip.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The functional run fails.
    #[error(transparent)]
    Functional(#[from] FunctionalError),
    /// The engine refuses the run, or it came to a standstill.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The functional run gave no spikes, which a chip needs.
    #[error("the functional run was not recorded")]
    Unrecorded,
    /// A trace of fewer images than wanted.
    #[error("the trace has {there} images, not the {count} of -n; leave -n out")]
    FewImages {
        /// Images of the trace.
        there: usize,
        /// Images that are wanted.
        count: usize,
    },
}
