//! Many runs of one network: placements compared, plans swept, fronts drawn. Knows nothing of its own about chips: it asks the
//! steps below and keeps what they say in rows.

mod error;
mod field;

pub use error::ExploreError;
pub use field::{Field, Replayed};
