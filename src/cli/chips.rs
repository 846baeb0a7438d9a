//! `chips`: hardware descriptions listed, checked and explained.

use super::args::{SetArgs, chip};
use super::{Failure, say};
use crate::load;
use crate::report;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct ChipsArgs {
    /// Hardware description (RON) or built-in name, to be checked and explained; lists the built-in ones where left out
    #[arg(value_name = "CHIP")]
    chip: Option<PathBuf>,
    #[command(flatten)]
    sets: SetArgs,
}

pub fn chips(args: &ChipsArgs) -> Result<(), Failure> {
    match &args.chip {
        Some(name) => say(&report::chip_listing(&chip(name, &args.sets.set)?))?,
        None if args.sets.set.is_empty() => {
            let all: Result<Vec<_>, Failure> =
                load::PRESETS.iter().map(|(name, _)| chip(Path::new(name), &[])).collect();
            say(&report::chips_listing(&all?))?;
        }
        None => {
            return Err(Failure::Input(
                "--set changes one chip; name it, as in `chips mesh28 --set mesh.columns=32`".to_string(),
            ));
        }
    }
    Ok(())
}
