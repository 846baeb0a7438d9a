//! What it amounts to: activity priced, spikes compared with the trained network.

mod agreement;
mod score;

pub use agreement::{Comparison, agreement};
pub use score::{Score, first_largest, score};
