//! Results become files and tables. Files are written whole: beside their place first, then moved there.

mod bundle;
mod file;
mod mapping;
mod trace;

pub use bundle::write_bundle;
pub use file::WriteError;
pub use mapping::write_mapping;
pub use trace::write_trace;
