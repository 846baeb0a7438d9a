//! Where is the traffic jam: which links carry most, and how full are they?
#![allow(clippy::print_stdout, reason = "an example shows its answer")]

use spikemesh::simulate::Placed;
use spikemesh::{compile::Strategy, load};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let trace = load::trace("traces/sample.safetensors".as_ref())?;
    for multicast in ["tree", "unicast"] {
        let chip = load::hardware("mesh28".as_ref(), &[format!("noc.multicast={multicast}")])?;
        let placed = Placed::new(&trace.skeleton, chip, Strategy::Greedy)?;
        let activity = placed.machine()?.replay(&trace.images[0], trace.time_steps)?.activity;
        let (link, flits) = activity.link_flits.iter().enumerate().max_by_key(|(_, flits)| **flits).ok_or("links")?;
        let columns = placed.hardware.topology.mesh.columns as usize;
        let (x, y) = (link / 4 % columns, link / 4 / columns);
        println!("{multicast}: {flits} flits in {} cycles over a link of tile ({x}, {y})", activity.cycles);
    }
    Ok(())
}
