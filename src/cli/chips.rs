//! `chips`: hardware descriptions listed, checked and explained.

use super::args::{SetArgs, chip};
use super::{Failure, say};
use crate::hardware::Hardware;
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
    /// One JSON object on standard output: every constant of every chip
    #[arg(long)]
    json: bool,
}

pub fn chips(args: &ChipsArgs) -> Result<(), Failure> {
    let chips: Vec<Hardware> = match &args.chip {
        Some(name) => vec![chip(name, &args.sets.set)?],
        None if args.sets.set.is_empty() => {
            load::PRESETS.iter().map(|(name, _)| chip(Path::new(name), &[])).collect::<Result<_, _>>()?
        }
        None => {
            return Err(Failure::Input(
                "--set changes one chip; name it, as in `chips mesh28 --set mesh.columns=32`".to_string(),
            ));
        }
    };
    say(&match (args.json, &chips[..]) {
        (true, chips) => serde_json::to_string(&report::chips_json(chips))?,
        (false, [chip]) if args.chip.is_some() => report::chip_listing(chip),
        (false, chips) => report::chips_listing(chips),
    })
}
