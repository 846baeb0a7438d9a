//! `diff`: two runs side by side, layer by layer.

use super::{Failure, say};
use crate::load;
use crate::report;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The run that is compared with: a folder that `run --out` wrote, or its summary.json
    #[arg(value_name = "A")]
    before: PathBuf,
    /// The other run
    #[arg(value_name = "B")]
    after: PathBuf,
    /// Layers that are equal, too
    #[arg(long)]
    all: bool,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub fn diff(args: &DiffArgs) -> Result<(), Failure> {
    let read = |path: &PathBuf| load::summary(&if path.is_dir() { path.join("summary.json") } else { path.clone() });
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    if args.json {
        return say(&report::difference_json(&before, &after));
    }
    let name = |path: &PathBuf| path.display().to_string();
    say(&report::difference_table([&name(&args.before), &name(&args.after)], &before, &after, args.all))
}
