//! `run` and `demo`: images on a chip.

use super::args::{
    ChipArgs, ImageArgs, NetworkArgs, PlaceArgs, PrecisionArgs, SourceArgs, chip, fingerprint, quantised, time_steps,
};
use super::meter::{Clock, Progress, peak_memory_mib};
use super::profile::{self, ProfileArgs, Profiled, time};
use super::{Failure, colour, recording, say};
use crate::compile::{Pace, Search, Slicing};
use crate::convert;
use crate::explore::{ExploreError, Field, Replayed};
use crate::functional::{FunctionalError, Options, Outcome, Spiking};
use crate::graph::Graph;
use crate::hardware::Hardware;
use crate::load;
use crate::profile::StepName;
use crate::report;
use crate::sample;
use crate::simulate::{self, Placed, Request, Watch};
use crate::summary::{RunSummary, Simulator};
use clap::Args;
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::sync::OnceLock;

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
    /// Images: CIFAR-10 binary, MNIST IDX (`…images-idx3-ubyte`, with `…labels-idx1-ubyte` beside it) or Parquet; none for a
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

/// Compiles a graph onto a chip, as the mapping file says or by a strategy. Recorded spikes, where there are any, say which
/// stages are busiest.
pub fn place<'a>(
    graph: &'a Graph<i32>,
    fingerprint: &str,
    hardware: Hardware,
    how: &PlaceArgs,
    spikes: Option<&Replayed>,
) -> Result<Placed<'a>, Failure> {
    let mapping = match &how.mapping {
        Some(file) => time(StepName::Load, || load::mapping(file))?,
        None => time(StepName::Compile, || {
            let spikes = spikes.copied().filter(|_| how.slicing == Slicing::Balanced);
            let field = Field::new(graph, fingerprint, &hardware, how.slicing, spikes)?;
            Ok::<_, ExploreError>(field.map(how.strategy, &Search::default(), &mut |_| Pace::Continue))
        })?,
    };
    Ok(time(StepName::Compile, || Placed::by(graph, fingerprint, hardware, &mapping))?)
}

/// Shows how far a run has come, and measures it.
struct Shown {
    progress: Progress,
    bar: ProgressBar,
    clock: Clock,
    /// When all images had run.
    seconds: OnceLock<f64>,
}

impl Shown {
    fn new(progress: Progress, what: &'static str, images: usize) -> Self {
        Self { progress, bar: progress.bar(what, images), clock: Clock::start(), seconds: OnceLock::new() }
    }

    /// The summary with what is known only here: the command, the time and the memory that it took.
    fn signed(&self, mut summary: RunSummary) -> RunSummary {
        let seconds = *self.seconds.get_or_init(|| self.clock.seconds());
        self.progress.note(|| format!("{} images on {} in {seconds:.2} s", summary.images, summary.chip));
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
}

impl Watch for Shown {
    fn step<T>(&self, step: StepName, work: impl FnOnce() -> T) -> T {
        Profiled.step(step, work)
    }

    fn part<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        let _wheel = (name == "float network").then(|| self.progress.wheel("float network"));
        Profiled.part(name, work)
    }

    fn spiking(&self, spiking: &Spiking, image: &[u8], options: &Options) -> Result<Outcome, FunctionalError> {
        Profiled.spiking(spiking, image, options)
    }

    fn image_done(&self) {
        self.bar.inc(1);
    }

    fn images_done(&self) {
        self.bar.finish_and_clear();
        self.seconds.get_or_init(|| self.clock.seconds());
    }
}

pub fn demo(args: &DemoArgs, progress: &Progress) -> Result<(), Failure> {
    args.output.profile.begin();
    let network = time(StepName::Load, sample::trained)?;
    let graph = quantised(&network, &convert::Precision::default())?;
    let images = time(StepName::Load, sample::test_pictures)?.first(args.count as usize);
    let placed = place(&graph, &fingerprint(&graph), chip("mesh28".as_ref(), &[])?, &PlaceArgs::default(), None)?;
    if let Some(folder) = &args.save {
        time(StepName::Report, || report::write_sample(folder, &network, &images))?;
    }
    let request = Request { time_steps: args.time_steps, live: args.live };
    let shown = Shown::new(*progress, "run", images.len());
    finish(&shown.signed(simulate::images(&network, &placed, &images, request, &shown)?), &args.output)
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
            let spikes = Replayed { images: &trace.images, time_steps: trace.time_steps };
            let placed = place(&trace.skeleton, &trace.fingerprint, hardware, &args.place, Some(&spikes))?;
            let count = args.count.map(|count| count as usize);
            let shown = Shown::new(*progress, "replay", count.unwrap_or(trace.images.len()));
            shown.signed(simulate::trace(&placed, &trace, count, &shown)?)
        }
        (None, Some(net), images) => {
            let source = SourceArgs { net: net.clone(), arch: args.arch.clone() };
            let (network, graph) = NetworkArgs { source, precision: args.precision }.graph()?;
            let time_steps = args.time_steps.unwrap_or(4);
            let images =
                images.as_ref().map(|images| ImageArgs { images: images.clone(), count: args.count }.load(&network));
            let images = images.transpose()?;
            // the first image says which stages are busiest
            let first = match (&images, args.place.slicing) {
                (Some(images), Slicing::Balanced) => {
                    Some(recording::recorded(&graph, &images.clone().first(1), time_steps, &hardware, progress)?)
                }
                (Some(_) | None, Slicing::Fewest | Slicing::Balanced) => None,
            };
            let spikes = first.as_ref().map(|trace| Replayed { images: &trace.images, time_steps });
            let placed = place(&graph, &fingerprint(&graph), hardware, &args.place, spikes.as_ref())?;
            let Placed { hardware, program, .. } = &placed;
            progress.note(|| {
                let (stages, slices, routes) = (graph.stages.len(), program.slices.len(), program.routes.len());
                format!("{}: {stages} stages; {slices} slices on {}, {routes} routes", graph.name, hardware.name)
            });
            let request = Request { time_steps, live: args.live };
            match (&images, network.architecture.input.is_absent()) {
                (None, true) => {
                    let shown = Shown::new(*progress, "run", 1);
                    shown.signed(simulate::biases(&placed, request, &shown)?)
                }
                (None, false) => return Err(Failure::Input(format!("{} takes images; give --images", net.display()))),
                (Some(images), _) => {
                    let shown = Shown::new(*progress, "run", images.len());
                    shown.signed(simulate::images(&network, &placed, images, request, &shown)?)
                }
            }
        }
        (None, None, _) => return Err(Failure::Input("give NET and --images, or --trace".to_string())),
    };
    finish(&summary, &args.output)
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
    if let Some(folder) = output.out.as_ref().filter(|_| !output.json) {
        say(&format!("→ {}", folder.join("report.html").display()))?;
    }
    if equal && held && summary.live_equal != Some(false) { Ok(()) } else { Err(Failure::Result) }
}
