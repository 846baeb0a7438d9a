//! `dump`: the nouns between the steps, as text.

use super::args::{NetworkArgs, PlaceArgs, chip, time_steps};
use super::run;
use super::{Failure, say};
use crate::convert;
use crate::functional::{Options, Spiking};
use crate::load;
use crate::report;
use crate::simulate::Placed;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct DumpArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Which noun
    #[arg(long, value_enum)]
    stage: Noun,
    /// T, for the widths of the graph and for the activity
    #[arg(long, value_parser = time_steps(), default_value_t = 4)]
    time_steps: u32,
    /// Hardware description, for program and activity
    #[arg(long, value_name = "CHIP", required_if_eq_any = [("stage", "program"), ("stage", "activity")])]
    chip: Option<PathBuf>,
    /// Change a constant of the chip, as if it stood in the file
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "chip")]
    set: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Images, of which the first runs, for the activity
    #[arg(long, value_name = "DATA", required_if_eq("stage", "activity"))]
    images: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Noun {
    /// The trained layers
    Network,
    /// The spiking graph
    Graph,
    /// The slices on their units
    Program,
    /// What happened on the chip, as JSON
    Activity,
}

pub fn dump(args: &DumpArgs) -> Result<(), Failure> {
    let (network, graph) = args.network.graph()?;
    let placed = || -> Result<Placed<'_>, Failure> {
        let hardware = chip(args.chip.as_deref().unwrap_or_else(|| "mesh28".as_ref()), &args.set)?;
        run::place(&graph, &convert::fingerprint(&graph), hardware, &args.place, None)
    };
    let text = match args.stage {
        Noun::Network => report::network_listing(&network),
        Noun::Graph => report::graph_listing(&graph, &convert::widths(&graph, args.time_steps)),
        Noun::Program => {
            let placed = placed()?;
            report::program_listing(&placed.program, &graph, &placed.hardware.topology)
        }
        Noun::Activity => {
            let placed = placed()?;
            let images = args.images.as_deref().unwrap_or_else(|| "".as_ref());
            let images = load::images(images, &network.architecture.input, network.classes(), Some(1))?;
            let options = Options::exact(args.time_steps, placed.schedule());
            let outcome = Spiking::new(&graph).run(images.image(0), &options)?;
            let machine = placed.machine()?;
            let trace = outcome.trace.as_ref();
            let activity =
                trace.map(|trace| machine.replay(trace, args.time_steps)).transpose()?.map(|run| run.activity);
            serde_json::to_string_pretty(&activity)?
        }
    };
    say(&text)?;
    Ok(())
}
