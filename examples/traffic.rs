//! Where is the traffic jam: which links carry most, and how full are they?
#![allow(clippy::print_stdout, reason = "an example shows its answer")]

use spikemesh::functional::{Options, Outcome, Semantics, Settle, Spiking};
use spikemesh::graph::Graph;
use spikemesh::hardware::Hardware;
use spikemesh::program::Program;
use spikemesh::trace::Schedule;
use spikemesh::{compile, convert, engine, load, sample};

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

/// The chip with changes, and the program placed on it.
fn placed(graph: &Graph<i32>, sets: &[String]) -> Result<(Hardware, Program), Failure> {
    let text = load::preset("mesh28").ok_or("mesh28 is built in")?;
    let chip = load::hardware_from_text("mesh28", text, sets)?;
    let mapping = compile::map(graph, &chip.name, &chip.topology, compile::Strategy::default())?;
    let program = compile::program(graph, &convert::fingerprint(graph), &chip.name, &chip.topology, &mapping)?;
    Ok((chip, program))
}

fn main() -> Result<(), Failure> {
    let graph = graph()?;
    let trace = spikes(&graph)?.trace.ok_or("recorded")?;
    for multicast in ["tree", "unicast"] {
        let (chip, program) = placed(&graph, &[format!("noc.multicast={multicast}")])?;
        let drive = engine::Drive::Replay { graph: &graph, trace: &trace, time_steps: 4 };
        let activity = engine::run(&program, &chip.topology, &chip.timing, drive)?.activity;
        let (link, flits) = activity.link_flits.iter().enumerate().max_by_key(|(_, flits)| **flits).ok_or("links")?;
        let (x, y) = (link / 4 % chip.topology.mesh.columns as usize, link / 4 / chip.topology.mesh.columns as usize);
        println!("{multicast}: {flits} flits in {} cycles over a link of tile ({x}, {y})", activity.cycles);
    }
    Ok(())
}
