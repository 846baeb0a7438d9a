//! What does an image cost on this chip, and which layer spends most?
#![allow(clippy::print_stdout, reason = "an example shows its answer")]

use spikemesh::functional::{Options, Outcome, Semantics, Settle, Spiking};
use spikemesh::graph::Graph;
use spikemesh::hardware::Hardware;
use spikemesh::program::Program;
use spikemesh::trace::Schedule;
use spikemesh::{account, compile, convert, engine, load, sample, summary};

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
    let (chip, program) = placed(&graph, &[])?;
    let drive = engine::Drive::Replay { graph: &graph, trace: &trace, time_steps: 4 };
    let activity = engine::run(&program, &chip.topology, &chip.timing, drive)?.activity;
    let run = account::Run {
        graph: &graph,
        program: &program,
        hardware: &chip,
        time_steps: 4,
        drive: "replay",
        live_equal: None,
        activities: &[activity],
        widths: &[&trace.widths],
    };
    let summary = account::summarise(&run, None, summary::Simulator::default());
    println!("{:.3} µJ and {:.4} ms an image", summary.energy_uj_per_image, summary.time_ms_per_image);
    let dearest = summary.layers.iter().max_by_key(|layer| layer.energy_fj).ok_or("there are layers")?;
    println!("most of it in {}: {:.3} µJ", dearest.name, dearest.energy_uj);
    Ok(())
}
