//! Does the spiking network compute what was trained, and when is each layer done?
#![allow(clippy::print_stdout, reason = "an example shows its answer")]

use spikemesh::functional::{Options, Spiking};
use spikemesh::trace::Schedule;
use spikemesh::{convert, functional, sample};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // your own: `load::network("net.safetensors".as_ref(), None)?`, and `load::images`
    let (network, images) = (sample::trained()?, sample::test_pictures()?);
    let graph = convert::graph(&network, &convert::Precision::default())?;
    let outcome = Spiking::new(&graph).run(images.image(0), &Options::exact(4, Schedule::SameStep))?;
    let wanted = functional::quantised_ann(&graph, images.image(0), 4)?;
    for (stage, id) in graph.stages.iter().zip(0..) {
        let verdict = if outcome.values[id] == wanted[id] { "equal" } else { "DIFFERS" };
        println!("{:<36} {verdict}, done after step {}", stage.name, outcome.last_step[id]);
    }
    println!("silent after {} steps", outcome.steps);
    Ok(())
}
