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
mod dump;
mod import;
mod interrupt;
mod map;
mod meter;
mod record;
mod recording;
mod report;
mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What a spiking network costs on a neuromorphic chip, and whether the chip still computes what it was trained to compute.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Threads for work on many images; all processors where left out. Results never depend on it
    #[arg(long, global = true, value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
    /// No progress on standard error
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the embedded network on the embedded chip: the main job, without any file
    Demo(run::DemoArgs),
    /// Turn a checkpoint into a network bundle
    Import(import::ImportArgs),
    /// Compare the spiking network with the trained one, value for value
    Check(check::CheckArgs),
    /// Top-1 by T and settle steps
    Accuracy(accuracy::AccuracyArgs),
    /// Run images on a chip: spikes, cycles and energy, layer by layer
    Run(run::RunArgs),
    /// Record the spikes of images, to be replayed on any chip
    Record(record::RecordArgs),
    /// Place a network on a chip and write the mapping to a file that can be edited
    Map(map::MapArgs),
    /// Make the report of a folder of results again, or of several beside each other
    Report(report::ReportArgs),
    /// List, check and explain hardware descriptions
    Chips(chips::ChipsArgs),
    /// Print what a step gives: the layers, the spiking graph, the program, the activity
    Dump(dump::DumpArgs),
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
    let threads = cli.threads.map_or(0, |threads| threads as usize);
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    let progress = meter::Progress::new(cli.quiet);
    if matches!(cli.verb, Verb::Map(_)) {
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
        Verb::Report(args) => report::report(&args),
        Verb::Chips(args) => chips::chips(&args),
        Verb::Dump(args) => dump::dump(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Result) => ExitCode::from(1),
        Err(Failure::Input(text)) => {
            eprintln!("error: {text}");
            ExitCode::from(2)
        }
    }
}
