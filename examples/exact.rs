//! Does the spiking network compute what was trained, and when is each layer done?
#![allow(clippy::print_stdout, reason = "an example shows its answer")]

use spikemesh::functional::{Options, Outcome, Semantics, Settle, Spiking};
use spikemesh::graph::Graph;
use spikemesh::trace::Schedule;
use spikemesh::{convert, functional, sample};

type Failure = Box<dyn std::error::Error>;

fn graph() -> Result<Graph<i32>, Failure> {
    // a checkpoint of yours: `load::network("net.safetensors".as_ref(), None)`
    let network = sample::network(sample::SEED)?;
    Ok(convert::quantise(&convert::fold(&network)?, &convert::Precision::default())?)
}

fn spikes(graph: &Graph<i32>) -> Result<Outcome, Failure> {
    let (settle, semantics, schedule) = (Settle::ToSilence, Semantics::EXACT, Schedule::SameStep);
    let options = Options { time_steps: 4, settle, semantics, schedule, record: true };
    Ok(Spiking::new(graph).run(sample::images(sample::SEED, 1).image(0), &options)?)
}

fn main() -> Result<(), Failure> {
    let graph = graph()?;
    let outcome = spikes(&graph)?;
    let wanted = functional::quantised_ann(&graph, sample::images(sample::SEED, 1).image(0), 4)?;
    for ((stage, got), wanted) in graph.stages.iter().zip(&outcome.values).zip(&wanted) {
        println!("{:<36} {}", stage.name, if got == wanted { "equal" } else { "DIFFERS" });
    }
    println!("silent after {} steps", outcome.steps);
    Ok(())
}
