//! The command line: calls the steps in order, shows progress, prints results.
//!
//! Exit status 0: done. 1: a result is not as it should be (a stage that differs from the
//! integer network, in the exact semantics, or a value that is wider than the chip keeps it). 2: an input is wrong.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line is where results and errors are printed"
)]

mod accuracy;
mod args;
mod check;
mod chips;
mod colour;
mod complete;
mod diff;
mod dump;
mod import;
mod interrupt;
mod map;
mod merge;
mod meter;
mod noc;
mod pareto;
mod probe;
mod profile;
mod record;
mod recording;
mod report;
mod run;
mod sweep;
mod timeline;
mod train;
mod training;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What a spiking network costs on a neuromorphic chip, and whether the chip still computes what it was trained to compute.
#[derive(Debug, Parser)]
#[command(name = "spikemesh", version, max_term_width = 120, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Threads for work on many images; all processors where left out. Results never depend on it
    #[arg(long, global = true, value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
    /// No progress on standard error
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say on standard error what is done, and how long it takes
    #[arg(long, short, global = true)]
    verbose: bool,
}

/// What stands under the help of the whole program.
const AFTER: &str = "\
Examples:
  spikemesh demo --out out
  spikemesh run NET.safetensors --images data.bin --chip mesh28 -n 1 --out out
  spikemesh chips mesh28

Exit status:
  0  done
  1  a result is not as it should be: a layer differs from the integer network,
     or a value is wider than the chip keeps it
  2  an input is wrong

Colours only on a terminal, and never where NO_COLOR is set.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the embedded network on the embedded chip: the main job, without any file
    #[command(
        after_help = "Examples:\n  spikemesh demo --out out\n  spikemesh demo -n 2 --live\n  spikemesh demo -n 4 --save sample"
    )]
    Demo(run::DemoArgs),
    /// Turn a checkpoint into a network bundle
    #[command(after_help = "Examples:\n  spikemesh import sample/net.safetensors -o bundle.safetensors")]
    Import(import::ImportArgs),
    /// Compare the spiking network with the trained one, value for value
    #[command(
        after_help = "Examples:\n  spikemesh check sample/net.safetensors --images sample/images.bin -n 2 --time-steps 4"
    )]
    Check(check::CheckArgs),
    /// Top-1 by T and settle steps
    #[command(
        after_help = "Examples:\n  spikemesh accuracy sample/net.safetensors --images sample/images.bin --time-steps 1..4 --settle 0..2 --out out"
    )]
    Accuracy(accuracy::AccuracyArgs),
    /// Run images on a chip: spikes, cycles and energy, layer by layer
    #[command(
        after_help = "Examples:\n  spikemesh run sample/net.safetensors --images sample/images.bin -n 1 --chip mesh28 --out out\n  spikemesh run sample/net.safetensors --images sample/images.bin -n 1 --chip mesh28 --set core.lanes=8\n  spikemesh run --trace traces/sample.safetensors --chip mesh28"
    )]
    Run(run::RunArgs),
    /// Record the spikes of images, to be replayed on any chip
    #[command(
        after_help = "Examples:\n  spikemesh record sample/net.safetensors --images sample/images.bin -n 2 -o trace.safetensors"
    )]
    Record(record::RecordArgs),
    /// Place a network on a chip and write the mapping to a file that can be edited
    #[command(after_help = "Examples:\n  spikemesh map sample/net.safetensors --chip mesh28 -o mapping.ron")]
    Map(map::MapArgs),
    /// Write down what happens on a chip cycle by cycle, for Perfetto and for wave viewers
    #[command(
        after_help = "Examples:\n  spikemesh timeline sample/net.safetensors --images sample/images.bin --chip mesh28 --out out\n  spikemesh timeline --trace traces/sample.safetensors --chip mesh28 --window 1000..2000 --router 3,4 --out out"
    )]
    Timeline(timeline::TimelineArgs),
    /// Draw the spikes and membrane potentials of chosen neurons
    #[command(
        after_help = "Examples:\n  spikemesh probe sample/net.safetensors --images sample/images.bin --layer patch_embed.proj_relu --neurons 0..7 --out out"
    )]
    Probe(probe::ProbeArgs),
    /// Make the report of a folder of results again, or of several beside each other
    #[command(after_help = "Examples:\n  spikemesh report out\n  spikemesh report out out8 -o comparison.html")]
    Report(report::ReportArgs),
    /// Run a plan of many points: chips, placements, bits, T
    #[command(after_help = "Examples:\n  spikemesh sweep docs/plans/sample.ron --out sweep")]
    Sweep(sweep::SweepArgs),
    /// Compare two runs layer by layer
    #[command(after_help = "Examples:\n  spikemesh diff out out8")]
    Diff(diff::DiffArgs),
    /// Join the parts of a sweep
    #[command(after_help = "Examples:\n  spikemesh merge sweep --out whole")]
    Merge(merge::MergeArgs),
    /// The rows of a sweep that no other beats everywhere
    #[command(
        after_help = "Examples:\n  spikemesh pareto sweep --columns time_ms_per_image,energy_uj_per_image --plot front.svg"
    )]
    Pareto(pareto::ParetoArgs),
    /// Run synthetic traffic over a chip's routers: latency, throughput, load of the links
    #[command(
        after_help = "Examples:\n  spikemesh noc --chip mesh28 --rate 0.05,0.1,0.2 --seed 1,2,3\n  spikemesh noc --chip mesh28 --set mesh.columns=8 --set mesh.rows=8 --traffic transpose --rate 0.1 --json"
    )]
    Noc(noc::NocArgs),
    /// Train a network, or test one, as an experiment file says (the trainer itself is the feature `train` of the build)
    Train(train::TrainArgs),
    /// List, check and explain hardware descriptions
    #[command(after_help = "Examples:\n  spikemesh chips\n  spikemesh chips mesh28 --set mesh.columns=32")]
    Chips(chips::ChipsArgs),
    /// Print what a step gives: the layers, the spiking graph, the program, the activity
    #[command(
        after_help = "Examples:\n  spikemesh dump sample/net.safetensors --stage graph\n  spikemesh dump sample/net.safetensors --stage program --chip mesh28"
    )]
    Dump(dump::DumpArgs),
    /// Print the completions of a shell
    #[command(after_help = "Examples:\n  spikemesh completions bash > spikemesh.bash")]
    Completions(complete::CompletionArgs),
    /// Write the manual pages
    #[command(after_help = "Examples:\n  spikemesh man --out man")]
    Man(complete::ManArgs),
}

/// Why a command did not do what was asked.
#[derive(Debug)]
enum Failure {
    /// An input is wrong.
    Input(String),
    /// A result is not as it should be; it was printed already.
    Result,
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Input(error.to_string())
    }
}

/// The words of the command line, the program by its name alone.
fn command_line() -> Vec<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("spikemesh".to_string()).chain(words).collect()
}

/// Prints a result; whoever reads it may stop doing so, as `head` does, which ends the command without a word.
fn say(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Runs the command line and gives its exit status.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(columns) = colour::columns() {
        crate::report::fit_tables(columns);
    }
    let threads = cli.threads.map_or(0, |threads| threads as usize);
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    let progress = meter::Progress::new(cli.quiet, cli.verbose);
    if matches!(cli.verb, Verb::Map(_) | Verb::Sweep(_)) {
        interrupt::watch();
    }
    let done = match cli.verb {
        Verb::Demo(args) => run::demo(&args, &progress),
        Verb::Import(args) => import::import(&args),
        Verb::Check(args) => check::check(&args, &progress),
        Verb::Accuracy(args) => accuracy::accuracy(&args, &progress),
        Verb::Run(args) => run::run(&args, &progress),
        Verb::Record(args) => record::record(&args, &progress),
        Verb::Map(args) => map::map(&args, &progress),
        Verb::Timeline(args) => timeline::timeline(&args),
        Verb::Probe(args) => probe::probe(&args),
        Verb::Report(args) => report::report(&args),
        Verb::Sweep(args) => sweep::sweep(&args, &progress),
        Verb::Diff(args) => diff::diff(&args),
        Verb::Merge(args) => merge::merge(&args),
        Verb::Pareto(args) => pareto::pareto(&args),
        Verb::Noc(args) => noc::noc(&args, &progress),
        Verb::Train(args) => train::train(&args, &progress),
        Verb::Chips(args) => chips::chips(&args),
        Verb::Dump(args) => dump::dump(&args),
        Verb::Completions(args) => complete::completions(&args),
        Verb::Man(args) => complete::man(&args),
    };
    profile::tell();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Result) => ExitCode::from(1),
        Err(Failure::Input(text)) => {
            eprintln!("{}: {text}", colour::on_stderr("error", colour::BAD));
            ExitCode::from(2)
        }
    }
}
