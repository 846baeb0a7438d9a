//! `run` and `demo`: images on a chip.

use super::args::{
    ChipArgs, ImageArgs, NetworkArgs, PlaceArgs, PrecisionArgs, SemanticsName, SourceArgs, chip, fingerprint,
    quantised, time_steps,
};
use super::meter::{Clock, Progress, peak_memory_mib};
use super::profile::{self, ProfileArgs, time};
use super::{Failure, check, colour, say};
use crate::account::{self, Comparison, Run};
use crate::activity::Activity;
use crate::compile::{self, Pace, Search};
use crate::convert;
use crate::engine::{self, EngineError, Machine};
use crate::explore::{ExploreError, Field};
use crate::functional::{Options, Settle, Spiking};
use crate::graph::Graph;
use crate::hardware::{Hardware, Updates};
use crate::images::Images;
use crate::load;
use crate::network::Network;
use crate::program::Program;
use crate::report;
use crate::sample;
use crate::summary::{RunSummary, Simulator, StepName};
use crate::trace::{Schedule, Trace, Widths};
use clap::Args;
use rayon::prelude::*;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Network bundle, or checkpoint (.safetensors) with the reference names or with --arch
    #[arg(value_name = "NET", required_unless_present = "trace")]
    net: Option<PathBuf>,
    /// Layer list (RON) of a checkpoint that is no bundle
    #[arg(long, value_name = "ARCH.ron", requires = "net")]
    arch: Option<PathBuf>,
    #[command(flatten)]
    precision: PrecisionArgs,
    /// Images: CIFAR-10 binary, or MNIST IDX (`…images-idx3-ubyte`, with `…labels-idx1-ubyte` beside it); none for a
    /// network that biases alone drive, which runs for T steps
    #[arg(long, value_name = "DATA")]
    images: Option<PathBuf>,
    /// Replay this trace instead of running a network
    #[arg(long, value_name = "TRACE", conflicts_with_all = ["net", "images", "live", "time_steps"])]
    trace: Option<PathBuf>,
    /// How many images, from the first; all where left out
    #[arg(short = 'n', long = "count", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// T: steps in which the image and the biases are injected; 4 where left out
    #[arg(long, value_parser = time_steps())]
    time_steps: Option<u32>,
    #[command(flatten)]
    chip: ChipArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Let the chip hold the potentials and fire itself, instead of replaying the functional run
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many of the embedded test pictures
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=sample::EMBEDDED_PICTURES))]
    count: u32,
    /// T: steps in which the image and the biases are injected
    #[arg(long, value_parser = time_steps(), default_value_t = 4)]
    time_steps: u32,
    /// Let the chip hold the potentials and fire itself, instead of replaying the functional run
    #[arg(long)]
    live: bool,
    /// Write the embedded network and its pictures to this folder, as `net.safetensors` and `images.bin`, to try other commands
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct OutputArgs {
    /// Folder for `report.html`, `summary.json` and `layers.csv`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
    /// Show which prices move the total most, and what the price of an exponential does to it
    #[arg(long)]
    sensitivity: bool,
    #[command(flatten)]
    profile: ProfileArgs,
}

/// A graph on a chip.
pub struct Placed {
    pub hardware: Hardware,
    pub program: Program,
}

impl Placed {
    /// When the chip integrates spikes.
    pub fn schedule(&self) -> Schedule {
        engine::schedule(self.hardware.timing.step.discipline)
    }

    /// The chip with the program laid out on it.
    pub fn machine<'a>(&'a self, graph: &'a Graph<i32>) -> Result<Machine<'a>, EngineError> {
        time(StepName::Engine, || Machine::new(&self.program, &self.hardware.topology, &self.hardware.timing, graph))
    }
}

/// Compiles a graph onto a chip, as the mapping file says or by a strategy.
pub fn place(graph: &Graph<i32>, fingerprint: &str, hardware: Hardware, how: &PlaceArgs) -> Result<Placed, Failure> {
    let mapping = match &how.mapping {
        Some(file) => time(StepName::Load, || load::mapping(file))?,
        None => time(StepName::Compile, || {
            let field = Field::new(graph, fingerprint, &hardware, how.slicing, None)?;
            Ok::<_, ExploreError>(field.map(how.strategy, &Search::default(), &mut |_| Pace::Continue))
        })?,
    };
    let Hardware { name, topology, .. } = &hardware;
    let program = time(StepName::Compile, || compile::program(graph, fingerprint, name, topology, &mapping))?;
    Ok(Placed { hardware, program })
}

/// What one image gave.
pub struct ImageRun {
    pub activity: Activity,
    pub widths: Vec<Widths>,
    pub comparison: Option<Comparison>,
    /// Whether every spike of the chip was that of the functional run; absent in replay.
    pub live_equal: Option<bool>,
}

pub fn demo(args: &DemoArgs, progress: &Progress) -> Result<(), Failure> {
    args.output.profile.begin();
    let network = time(StepName::Load, sample::trained)?;
    let graph = quantised(&network, &convert::Precision::default())?;
    let images = time(StepName::Load, sample::test_pictures)?.first(args.count as usize);
    let placed = place(&graph, &fingerprint(&graph), chip("mesh28".as_ref(), &[])?, &PlaceArgs::default())?;
    if let Some(folder) = &args.save {
        time(StepName::Report, || report::write_sample(folder, &network, &images))?;
    }
    let summary = simulate(&network, &graph, &images, &placed, args.time_steps, args.live, progress)?;
    finish(&summary, &args.output)
}

pub fn run(args: &RunArgs, progress: &Progress) -> Result<(), Failure> {
    args.output.profile.begin();
    let hardware = args.chip.load()?;
    let summary = match (&args.trace, &args.net, &args.images) {
        (Some(trace), _, _) => {
            let trace = time(StepName::Load, || load::trace(trace))?;
            if args.precision.precision() != convert::Precision::default() {
                return Err(Failure::Input("a trace has its bits already; leave the --…-bits options out".to_string()));
            }
            let placed = place(&trace.skeleton, &trace.fingerprint, hardware, &args.place)?;
            replay(&trace, &placed, args.count, progress)?
        }
        (None, Some(net), images) => {
            let source = SourceArgs { net: net.clone(), arch: args.arch.clone() };
            let (network, graph) = NetworkArgs { source, precision: args.precision }.graph()?;
            let placed = place(&graph, &fingerprint(&graph), hardware, &args.place)?;
            let Placed { hardware, program } = &placed;
            progress.note(|| {
                let (stages, slices, routes) = (graph.stages.len(), program.slices.len(), program.routes.len());
                format!("{}: {stages} stages; {slices} slices on {}, {routes} routes", graph.name, hardware.name)
            });
            let time_steps = args.time_steps.unwrap_or(4);
            match (images, network.architecture.input.is_absent()) {
                (None, true) => by_biases(&graph, &placed, time_steps, args.live)?,
                (None, false) => return Err(Failure::Input(format!("{} takes images; give --images", net.display()))),
                (Some(images), _) => {
                    let images = ImageArgs { images: images.clone(), count: args.count }.load(&network)?;
                    simulate(&network, &graph, &images, &placed, time_steps, args.live, progress)?
                }
            }
        }
        (None, None, _) => return Err(Failure::Input("give NET and --images, or --trace".to_string())),
    };
    finish(&summary, &args.output)
}

/// The functional run, the comparison and the engine for each image, then the account.
fn simulate(
    network: &Network,
    graph: &Graph<i32>,
    images: &Images,
    placed: &Placed,
    time_steps: u32,
    live: bool,
    progress: &Progress,
) -> Result<RunSummary, Failure> {
    let options = Options {
        time_steps,
        settle: Settle::ToSilence,
        semantics: check::semantics(SemanticsName::Exact),
        schedule: placed.schedule(),
        record: true,
    };
    let live = live || placed.hardware.timing.core.updates == Updates::Potential;
    let bar = progress.bar("run", images.len());
    let clock = Clock::start();
    let machine = placed.machine(graph)?;
    let spiking = profile::laid_out(graph);
    let runs: Result<Vec<ImageRun>, Failure> = (0..images.len())
        .into_par_iter()
        .map(|index| {
            let run = image_run(&machine, &spiking, images.image(index), &options, live);
            bar.inc(1);
            run
        })
        .collect();
    let (runs, seconds) = (runs?, clock.seconds());
    bar.finish_and_clear();
    let comparisons: Vec<Comparison> = runs.iter().filter_map(|run| run.comparison.clone()).collect();
    let wheel = progress.wheel("float network");
    let agreement = check::agreement(network, graph, images, &options, "exact", &comparisons)?;
    drop(wheel);
    progress.note(|| format!("{} images on {} in {seconds:.2} s", images.len(), placed.hardware.name));
    let drive = if live { "live" } else { "replay" };
    Ok(summarise(graph, placed, time_steps, drive, &runs, Some(agreement), seconds))
}

fn image_run(
    machine: &Machine,
    spiking: &Spiking,
    image: &[u8],
    options: &Options,
    live: bool,
) -> Result<ImageRun, Failure> {
    let (outcome, comparison) = check::compared(spiking, image, options)?;
    let trace = outcome.trace.ok_or_else(|| Failure::Input("the run was not recorded".to_string()))?;
    let (activity, live_equal) = if live {
        let outcome = time(StepName::Engine, || machine.live(image, options.time_steps, trace.steps))?;
        (outcome.activity, Some(outcome.trace.as_ref() == Some(&trace)))
    } else {
        (time(StepName::Engine, || machine.replay(&trace, options.time_steps))?.activity, None)
    };
    Ok(ImageRun { activity, widths: trace.widths, comparison: Some(comparison), live_equal })
}

/// A network that biases alone drive: `time_steps` steps of the functional run and of the engine.
fn by_biases(graph: &Graph<i32>, placed: &Placed, time_steps: u32, live: bool) -> Result<RunSummary, Failure> {
    let options = Options {
        time_steps,
        settle: Settle::Steps(0),
        semantics: check::semantics(SemanticsName::Exact),
        schedule: placed.schedule(),
        record: true,
    };
    let clock = Clock::start();
    let machine = placed.machine(graph)?;
    let outcome = profile::spiking(&profile::laid_out(graph), &[], &options)?;
    let trace = outcome.trace.ok_or_else(|| Failure::Input("the run was not recorded".to_string()))?;
    // What such a chip does depends on potentials, which no trace holds.
    let live = live || placed.hardware.timing.core.updates == Updates::Potential;
    let (activity, live_equal) = if live {
        let outcome = time(StepName::Engine, || machine.live(&[], time_steps, time_steps))?;
        (outcome.activity, Some(outcome.trace.as_ref() == Some(&trace)))
    } else {
        (time(StepName::Engine, || machine.replay(&trace, time_steps))?.activity, None)
    };
    let run = ImageRun { activity, widths: trace.widths, comparison: None, live_equal };
    let drive = if live { "live" } else { "replay" };
    Ok(summarise(graph, placed, time_steps, drive, &[run], None, clock.seconds()))
}

/// A trace from a file on a chip.
fn replay(trace: &Trace, placed: &Placed, count: Option<u32>, progress: &Progress) -> Result<RunSummary, Failure> {
    if trace.schedule != placed.schedule() {
        return Err(Failure::Input(format!(
            "the trace was recorded with schedule {}, where {} integrates spikes by {}; record it again with --schedule {}",
            trace.schedule.key(),
            placed.hardware.name,
            placed.schedule().key(),
            placed.schedule().key().replace('_', "-"),
        )));
    }
    let there = trace.images.len();
    let count = count.map_or(there, |count| count as usize);
    if count > there {
        return Err(Failure::Input(format!("the trace has {there} images, not the {count} of -n; leave -n out")));
    }
    let bar = progress.bar("replay", count);
    let clock = Clock::start();
    let machine = placed.machine(&trace.skeleton)?;
    let runs: Result<Vec<ImageRun>, Failure> = trace.images[..count]
        .par_iter()
        .map(|image| {
            let activity = time(StepName::Engine, || machine.replay(image, trace.time_steps))?.activity;
            bar.inc(1);
            Ok(ImageRun { activity, widths: image.widths.clone(), comparison: None, live_equal: None })
        })
        .collect();
    let (runs, seconds) = (runs?, clock.seconds());
    bar.finish_and_clear();
    Ok(summarise(&trace.skeleton, placed, trace.time_steps, "replay", &runs, None, seconds))
}

pub fn summarise(
    graph: &Graph<i32>,
    placed: &Placed,
    time_steps: u32,
    drive: &str,
    runs: &[ImageRun],
    agreement: Option<crate::summary::Agreement>,
    seconds: f64,
) -> RunSummary {
    let activities: Vec<Activity> = runs.iter().map(|run| run.activity.clone()).collect();
    let widths: Vec<&[Widths]> = runs.iter().map(|run| run.widths.as_slice()).collect();
    let live_equal = runs.iter().map(|run| run.live_equal).reduce(|a, b| a.zip(b).map(|(a, b)| a && b)).flatten();
    let Placed { hardware, program } = placed;
    let run = Run { graph, program, hardware, time_steps, drive, live_equal, activities: &activities, widths: &widths };
    let mut summary = time(StepName::Account, || account::summarise(&run, agreement, Simulator::default()));
    let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    summary.origin.command = super::command_line();
    summary.simulator = Simulator {
        seconds,
        synaptic_ops_per_s: per_second(summary.layers.iter().map(|layer| layer.synaptic_ops).sum()),
        flit_hops_per_s: per_second(summary.layers.iter().map(|layer| layer.flit_hops).sum()),
        peak_memory_mib: peak_memory_mib(),
    };
    summary
}

/// Prints the summary, writes its files, and says whether the result is as it should be.
fn finish(summary: &RunSummary, output: &OutputArgs) -> Result<(), Failure> {
    let equal = summary.agreement.as_ref().is_none_or(|agreement| agreement.all_equal);
    let held = summary.layers.iter().all(|layer| layer.overflows == 0);
    if let Some(folder) = &output.out {
        time(StepName::Report, || {
            report::write_summary(folder, summary)?;
            super::report::remake(folder)
        })?;
    }
    if output.json {
        say(&profile::json(summary)?)?;
    } else {
        let verdict = colour::on_stdout(&report::run_verdict(summary), if held { colour::PLAIN } else { colour::BAD });
        let tables = || [report::run_table(summary), report::component_table(summary), verdict].join("\n");
        time(StepName::Report, || say(&tables()))?;
        if output.sensitivity {
            say(&report::sensitivity_table(summary))?;
        }
        if let Some(agreement) = &summary.agreement {
            say(&colour::on_stdout(&report::agreement_verdict(agreement), colour::verdict(agreement.all_equal)))?;
        }
    }
    if equal && held && summary.live_equal != Some(false) { Ok(()) } else { Err(Failure::Result) }
}
