//! `probe`: spikes and membrane potentials of chosen neurons.

use super::args::{NetworkArgs, Numbers, numbers, time_steps};
use super::{Failure, say};
use crate::functional::{self, Options, Spiking};
use crate::load;
use crate::report::{self, NeuronTrack};
use crate::trace::Schedule;
use crate::units::StageId;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ProbeArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Images: CIFAR-10 binary, MNIST IDX or Parquet
    #[arg(long, value_name = "DATA")]
    images: PathBuf,
    /// Which image, from 0
    #[arg(long, value_name = "K", default_value_t = 0)]
    image: u32,
    /// T: steps in which the image and the biases are injected
    #[arg(long, value_parser = time_steps(), default_value_t = 4)]
    time_steps: u32,
    /// The layer: one with neurons, or the readout
    #[arg(long, value_name = "LAYER")]
    layer: String,
    /// Which of its neurons, by index: `4`, `0..15` (both ends included) or `1,2,4`; at most 256
    #[arg(long, value_parser = numbers, default_value = "0..15")]
    neurons: Numbers,
    /// Folder for `raster.svg`, `membranes.svg`, `neurons.csv` and `neurons.parquet`
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Neurons that fit a drawing.
const MOST: usize = 256;

pub fn probe(args: &ProbeArgs) -> Result<(), Failure> {
    let (network, graph) = args.network.graph()?;
    let Some(stage) = graph.stages.iter().position(|stage| stage.name == args.layer) else {
        let names: Vec<&str> = graph.stages.iter().map(|stage| stage.name.as_str()).collect();
        return Err(Failure::Input(format!("there is no layer {:?}; take one of {}", args.layer, names.join(", "))));
    };
    let of = &graph.stages[stage];
    let neurons = &args.neurons.0;
    if of.kind.synapses().is_none() {
        let what = format!("{} is {}, which holds no potentials", of.name, of.kind.key());
        return Err(Failure::Input(format!("{what}; take a layer of neurons or the readout")));
    }
    if neurons.len() > MOST || neurons.iter().any(|&neuron| neuron as usize >= of.grid.neurons()) {
        let what = format!("{} has {} neurons ({})", of.name, report::whole(of.grid.neurons() as u64), of.grid);
        return Err(Failure::Input(format!("{what}; choose at most {MOST} of them, counted from 0")));
    }
    let images =
        load::images(&args.images, &network.architecture.input, network.classes(), Some(args.image as usize + 1))?;
    if images.len() <= args.image as usize {
        return Err(Failure::Input(format!("--image {} is not there: there are {}", args.image, images.len())));
    }
    let schedule = Schedule::SameStep;
    let options = Options::exact(args.time_steps, schedule);
    let outcome = Spiking::new(&graph).run(images.image(args.image as usize), &options)?;
    let trace = outcome.trace.ok_or_else(|| Failure::Input("the run was not recorded".to_string()))?;
    let probes = functional::probe(&graph, &trace, schedule, args.time_steps, StageId::at(stage), neurons);
    let tracks: Vec<NeuronTrack> = probes
        .into_iter()
        .map(|probe| NeuronTrack {
            neuron: probe.neuron,
            threshold: probe.threshold,
            before: probe.before,
            after: probe.after,
            spikes: probe.spikes,
        })
        .collect();
    report::make(&args.out)?;
    report::write_neurons(&args.out, &of.name, &tracks)?;
    say(&format!("{} neurons of {} over {} time steps → {}", tracks.len(), of.name, trace.steps, args.out.display()))
}
