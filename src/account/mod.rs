//! What it amounts to: activity priced, spikes compared with the trained network.

mod agreement;
mod baseline;
mod chip_map;
mod price;
mod score;
mod sensitivity;
mod summarise;
mod waterfall;

pub use agreement::{Comparison, agreement};
pub use baseline::ann_baseline;
pub use price::{Bill, price};
pub use score::{Score, first_largest, score};
pub use sensitivity::sensitivity;
pub use summarise::{Run, STATIC, summarise};
