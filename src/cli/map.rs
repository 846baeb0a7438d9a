//! `map`: a network placed on a chip, as a file that can be read and edited.

use super::args::{ChipArgs, NetworkArgs};
use super::{Failure, say};
use crate::compile::{self, Strategy};
use crate::convert;
use crate::report;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct MapArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    chip: ChipArgs,
    /// How slices are placed: row_major, snake, hilbert or greedy
    #[arg(long, default_value = Strategy::default().key())]
    strategy: Strategy,
    /// The mapping to write
    #[arg(short, long, value_name = "M.ron")]
    output: PathBuf,
}

pub fn map(args: &MapArgs) -> Result<(), Failure> {
    let (_, graph) = args.network.graph()?;
    let hardware = args.chip.load()?;
    let mapping = compile::map(&graph, &hardware.name, &hardware.topology, args.strategy)?;
    let fingerprint = convert::fingerprint(&graph);
    let program = compile::program(&graph, &fingerprint, &hardware.name, &hardware.topology, &mapping)?;
    report::write_mapping(&args.output, &mapping)?;
    say(&report::program_listing(&program, &graph, &hardware.topology))?;
    say(&format!("{} slices → {}", mapping.slices.len(), args.output.display()))?;
    Ok(())
}
