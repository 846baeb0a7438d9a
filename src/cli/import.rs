//! `import`: a checkpoint becomes a network bundle.

use super::{Failure, args::SourceArgs, say};
use crate::report;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// The bundle to write
    #[arg(short, long, value_name = "NET.safetensors")]
    output: PathBuf,
    /// Keep weights as 16-bit floats: half the size
    #[arg(long)]
    half: bool,
}

pub fn import(args: &ImportArgs) -> Result<(), Failure> {
    let network = args.source.load()?;
    if args.half {
        report::write_half_bundle(&args.output, &network)?;
    } else {
        report::write_bundle(&args.output, &network)?;
    }
    let values: usize = network.tensors.values().map(|tensor| tensor.values.len()).sum();
    say(&format!(
        "{}: {} layers, {values} values → {}",
        network.architecture.name,
        network.architecture.layers.len(),
        args.output.display()
    ))?;
    Ok(())
}
