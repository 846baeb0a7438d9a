//! Many runs of one network: placements compared, plans swept, fronts drawn. Knows nothing of its own about chips: it asks the
//! steps below and keeps what they say in rows.

mod error;
mod expression;
mod field;
mod figures;
mod front;
mod points;
mod recording;
mod screen;
mod sweep;

pub use error::ExploreError;
pub use expression::{Expression, ExpressionError, Value};
pub use field::{Field, Replayed};
pub use front::{Goal, front};
pub use points::{Point, points};
pub use screen::screening;
pub use sweep::{Sink, Sweep};
