//! What does an image cost on this chip, and which layer spends most?
#![allow(clippy::print_stdout, reason = "an example shows its answer")]

use spikemesh::simulate::{Placed, Request, Unwatched};
use spikemesh::{compile::Strategy, convert, load, sample, simulate};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // your own: `load::network("net.safetensors".as_ref(), None)?`, and `load::images`
    let (network, images) = (sample::trained()?, sample::test_pictures()?.first(1));
    let graph = convert::graph(&network, &convert::Precision::default())?;
    let chip = load::hardware("mesh28".as_ref(), &[])?;
    let placed = Placed::new(&graph, chip, Strategy::Greedy)?;
    let summary = simulate::images(&network, &placed, &images, Request::default(), &Unwatched)?;
    println!("{:.3} µJ and {:.4} ms an image", summary.energy_uj_per_image, summary.time_ms_per_image);
    let dearest = summary.layers.iter().max_by_key(|layer| layer.energy_fj).ok_or("there are layers")?;
    println!("most of it in {}: {:.3} µJ", dearest.name, dearest.energy_uj);
    println!("exact: {}", summary.agreement.is_some_and(|agreement| agreement.all_equal));
    Ok(())
}
