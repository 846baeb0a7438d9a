//! Why does this neuron fire: what arrives, step by step, and where is its threshold?
#![allow(clippy::print_stdout, reason = "an example shows its answer")]

use spikemesh::functional::{Options, Outcome, Semantics, Settle, Spiking};
use spikemesh::graph::Graph;
use spikemesh::trace::Schedule;
use spikemesh::units::StageId;
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
    let trace = spikes(&graph)?.trace.ok_or("recorded")?;
    for probe in functional::probe(&graph, &trace, Schedule::SameStep, 4, StageId(1), &[0, 100, 200]) {
        println!("neuron {}, threshold {:?}", probe.neuron, probe.threshold);
        for (step, (before, spike)) in probe.before.iter().zip(&probe.spikes).enumerate() {
            println!("  step {}: potential {before:>8}, fires {spike:>2}", step + 1);
        }
    }
    Ok(())
}
