//! Why does this neuron fire: what arrives, step by step, and where is its threshold?
#![allow(clippy::print_stdout, reason = "an example shows its answer")]

use spikemesh::functional::{Options, Spiking};
use spikemesh::trace::Schedule;
use spikemesh::units::StageId;
use spikemesh::{convert, functional, sample};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (network, images) = (sample::trained()?, sample::test_pictures()?);
    let graph = convert::graph(&network, &convert::Precision::default())?;
    let outcome = Spiking::new(&graph).run(images.image(0), &Options::exact(4, Schedule::SameStep))?;
    let trace = outcome.trace.ok_or("recorded")?;
    for probe in functional::probe(&graph, &trace, Schedule::SameStep, 4, StageId(1), &[0, 100, 200]) {
        println!("neuron {}, threshold {:?}", probe.neuron, probe.threshold);
        for (step, (before, spike)) in probe.before.iter().zip(&probe.spikes).enumerate() {
            println!("  step {}: potential {before:>8}, fires {spike:>2}", step + 1);
        }
    }
    Ok(())
}
