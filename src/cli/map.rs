//! `map`: a network placed on a chip, as a file that can be read and edited, and what the placement is worth.

use super::args::{ChipArgs, NetworkArgs, PrecisionArgs, SourceArgs, time_steps};
use super::meter::{Clock, Progress};
use super::{Failure, interrupt, recording, say};
use crate::compile::hypergraph::{KINDS, connectivity, partition};
use crate::compile::{Pace, Search, Slicing, Strategy};
use crate::convert;
use crate::explore::{Field, Replayed};
use crate::graph::Graph;
use crate::hardware::Hardware;
use crate::load;
use crate::program::Mapping;
use crate::report;
use crate::summary::MappingSummary;
use crate::trace::Trace;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct MapArgs {
    /// Network bundle, or checkpoint (.safetensors) with the reference names or with --arch
    #[arg(value_name = "NET", required_unless_present = "trace")]
    net: Option<PathBuf>,
    /// Layer list (RON) of a checkpoint that is no bundle
    #[arg(long, value_name = "ARCH.ron", requires = "net")]
    arch: Option<PathBuf>,
    #[command(flatten)]
    precision: PrecisionArgs,
    /// Count packets in the spikes of these images, and run them; from the graph alone where left out
    #[arg(long, value_name = "DATA", requires = "net", conflicts_with = "trace")]
    images: Option<PathBuf>,
    /// How many images, from the first
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// T: steps in which the image and the biases are injected
    #[arg(long, value_parser = time_steps(), default_value_t = 4)]
    time_steps: u32,
    /// Count packets in this trace, and replay it; NET may then be left out
    #[arg(long, value_name = "TRACE")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    chip: ChipArgs,
    /// How finely stages are cut: fewest slices that fit, or balanced: all units of the chip, the busiest stages finest
    #[arg(long, value_name = "HOW", default_value = Slicing::default().key())]
    slicing: Slicing,
    /// How slices are placed: row_major, snake, hilbert, greedy, multilevel, force or anneal
    #[arg(long, default_value = Strategy::default().key())]
    strategy: Strategy,
    /// Every strategy in one table
    #[arg(long)]
    compare: bool,
    /// Seed of the strategies that draw
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Swaps that are tried for each slice; the same on every machine
    #[arg(long, default_value_t = Search::default().effort, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    effort: u32,
    /// Most seconds for one strategy, which then gives its best so far: what it gives depends on the machine
    #[arg(long, value_name = "SECONDS")]
    budget: Option<f64>,
    /// The mapping to write
    #[arg(short, long, value_name = "M.ron", required_unless_present_any = ["compare", "hypergraph"])]
    output: Option<PathBuf>,
    /// Write the slices and what they send as a hypergraph in the format of hMETIS, for other partitioners
    #[arg(long, value_name = "H.hgr")]
    hypergraph: Option<PathBuf>,
    /// With --hypergraph: cut it into so many parts, each at most 3 % above the mean, and say the connectivity
    #[arg(long, requires = "hypergraph", value_parser = clap::value_parser!(u32).range(2..=4096))]
    parts: Option<u32>,
    /// The slices unit by unit, too
    #[arg(long)]
    list: bool,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// What is mapped: a network, or what a trace keeps of one.
struct Subject {
    graph: Graph<i32>,
    fingerprint: String,
    trace: Option<Trace>,
}

pub fn map(args: &MapArgs, progress: &Progress) -> Result<(), Failure> {
    let hardware = args.chip.load()?;
    let subject = subject(args, &hardware, progress)?;
    let Subject { graph, fingerprint, trace } = &subject;
    let recorded = trace.as_ref().map(|trace| Replayed::new(trace, &graph.name, fingerprint, &hardware)).transpose()?;
    let field = Field::new(graph, fingerprint, &hardware, args.slicing, recorded)?;
    if let Some(file) = &args.hypergraph {
        return hypergraph(args, &field, file);
    }
    let beside = [Strategy::Snake, Strategy::Hilbert];
    let chosen: Vec<Strategy> = if args.compare {
        Strategy::ALL.to_vec()
    } else {
        beside.into_iter().filter(|other| *other != args.strategy).chain([args.strategy]).collect()
    };
    let mut rows: Vec<MappingSummary> = vec![];
    for strategy in chosen {
        let mapping = placed(args, &field, strategy, progress);
        rows.push(field.judge(strategy.key(), &mapping)?);
        if let Some(file) = args.output.as_ref().filter(|_| strategy == args.strategy) {
            report::write_mapping(file, &mapping)?;
            if args.list {
                say(&report::program_listing(&field.program(&mapping)?, graph, &hardware.topology))?;
            }
        }
    }
    if args.json {
        return say(&serde_json::to_string(&rows)?);
    }
    say(&report::mapping_table(&rows, Strategy::Hilbert.key()))?;
    if let Some(file) = &args.output {
        say(&format!("{} placed by {} → {}", graph.name, args.strategy.key(), file.display()))?;
    }
    Ok(())
}

/// The graph, and the spikes that guide its placement.
fn subject(args: &MapArgs, hardware: &Hardware, progress: &Progress) -> Result<Subject, Failure> {
    let given = args.trace.as_ref().map(|file| load::trace(file)).transpose()?;
    let Some(net) = &args.net else {
        let trace = given.ok_or_else(|| Failure::Input("give NET, or --trace".to_string()))?;
        if args.precision.precision() != convert::Precision::default() {
            return Err(Failure::Input("a trace has its bits already; leave the --…-bits options out".to_string()));
        }
        return Ok(Subject {
            graph: trace.skeleton.clone(),
            fingerprint: trace.fingerprint.clone(),
            trace: Some(trace),
        });
    };
    let source = SourceArgs { net: net.clone(), arch: args.arch.clone() };
    let (network, graph) = NetworkArgs { source, precision: args.precision }.graph()?;
    let fingerprint = convert::fingerprint(&graph);
    let trace = match &args.images {
        None => given,
        Some(images) => {
            let images = super::args::ImageArgs { images: images.clone(), count: Some(args.count) }.load(&network)?;
            Some(recording::recorded(&graph, &images, args.time_steps, hardware, progress)?)
        }
    };
    Ok(Subject { graph, fingerprint, trace })
}

/// A placement, within the budget; interrupted, the best so far.
fn placed(args: &MapArgs, field: &Field, strategy: Strategy, progress: &Progress) -> Mapping {
    let search = Search { seed: args.seed, effort: args.effort };
    let (clock, bar) = (Clock::start(), progress.counter(strategy.key(), "swaps", 0));
    let mapping = field.map(strategy, &search, &mut |now| {
        bar.set_length(now.of);
        bar.set_position(now.tried);
        let spent = args.budget.is_some_and(|budget| clock.seconds() >= budget);
        if spent || interrupt::asked() { Pace::Stop } else { Pace::Continue }
    });
    bar.finish_and_clear();
    mapping
}

/// The slices as a hypergraph, and how well our own partitioner cuts it.
fn hypergraph(args: &MapArgs, field: &Field, file: &std::path::Path) -> Result<(), Failure> {
    let mut graph = field.hypergraph();
    report::write_hypergraph(file, &graph)?;
    say(&format!("{} slices, {} nets → {}", graph.weights.len(), graph.nets.len(), file.display()))?;
    let Some(parts) = args.parts else { return Ok(()) };
    // a part is full by the number of its slices, as it is for other partitioners
    graph.weights.iter_mut().for_each(|weight| *weight = std::array::from_fn(|kind| u32::from(kind == 0)));
    let even = (graph.weights.len() as u32).div_ceil(parts);
    let most = even + even * 3 / 100;
    let cut = partition(&graph, parts, &[most; KINDS], args.seed, args.effort.div_ceil(50))
        .map(|found| connectivity(&graph, &found));
    let all: u64 = graph.nets.iter().map(|(_, cost)| cost).sum();
    say(&match cut {
        Some(cut) => format!("{parts} parts of at most {most} slices: connectivity − 1 is {cut}; all nets weigh {all}"),
        None => format!("no {parts} parts of at most {most} slices found"),
    })
}
