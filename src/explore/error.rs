//! Why a network cannot be explored.

use super::expression::ExpressionError;
use crate::compile::CompileError;
use crate::convert::ConvertError;
use crate::engine::EngineError;
use crate::functional::FunctionalError;
use crate::load::LoadError;

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
    /// A file that is not as it should be.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A condition or a column that makes no sense.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// A name in an expression that nothing has.
    #[error("`{expression}`: nothing is called `{name}`; {remedy}")]
    UnknownName {
        /// The expression.
        expression: String,
        /// The name.
        name: String,
        /// What to do about it.
        remedy: String,
    },
    /// A condition that is a number or a word.
    #[error("`{text}`: a condition is wanted, and this is a number or a word; compare it with something")]
    NoCondition {
        /// The expression.
        text: String,
    },
    /// A column that is there already.
    #[error("column `{name}` is there already; give it another name")]
    ColumnTwice {
        /// Its name.
        name: String,
    },
    /// Conditions that no point meets.
    #[error("the conditions leave none of the {points} points:{conditions}\nloosen one of them, or widen an axis")]
    NothingLeft {
        /// Points before conditions.
        points: u64,
        /// How many each condition refuses, one a line.
        conditions: String,
    },
    /// A network without images where no trace fits.
    #[error("the trace has another T, schedule or number of bits, and there are no images to run; give images: \"…\"")]
    NoSpikes,
}
