//! How many synapse lanes are worth their silicon?
#![allow(clippy::print_stdout, reason = "an example shows its answer")]

use spikemesh::simulate::{Placed, Unwatched};
use spikemesh::{compile::Strategy, load, simulate};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // spikes do not depend on the chip: recorded once, by `spikemesh record`, they run on any
    let trace = load::trace("traces/sample.safetensors".as_ref())?;
    for lanes in [4, 8, 16, 32, 64, 128] {
        let chip = load::hardware("mesh28".as_ref(), &[format!("core.lanes={lanes}")])?;
        let placed = Placed::new(&trace.skeleton, chip, Strategy::Greedy)?;
        let summary = simulate::trace(&placed, &trace, None, &Unwatched)?;
        println!("{lanes:>4} lanes: {:>7} cycles", summary.cycles_per_image);
    }
    Ok(())
}
