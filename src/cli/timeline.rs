//! `timeline`: one image on a chip, cycle by cycle.

use super::args::{ChipArgs, NetworkArgs, PlaceArgs, PrecisionArgs, SourceArgs, time_steps};
use super::run;
use super::{Failure, say};
use crate::convert;
use crate::engine::{self, Log};
use crate::explore::Replayed;
use crate::functional::{Options, Spiking};
use crate::graph::Graph;
use crate::load;
use crate::report;
use crate::simulate::{self, ImageRun, Unwatched};
use crate::trace::{ImageTrace, Schedule};
use crate::units::TileId;
use clap::Args;
use std::ops::Range;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct TimelineArgs {
    /// Network bundle, or checkpoint (.safetensors) with the reference names or with --arch
    #[arg(value_name = "NET", required_unless_present = "trace")]
    net: Option<PathBuf>,
    /// Layer list (RON) of a checkpoint that is no bundle
    #[arg(long, value_name = "ARCH.ron", requires = "net")]
    arch: Option<PathBuf>,
    #[command(flatten)]
    precision: PrecisionArgs,
    /// Images: CIFAR-10 binary, MNIST IDX or Parquet
    #[arg(long, value_name = "DATA", required_unless_present = "trace")]
    images: Option<PathBuf>,
    /// Replay this trace instead of running a network
    #[arg(long, value_name = "TRACE", conflicts_with_all = ["net", "images", "time_steps"])]
    trace: Option<PathBuf>,
    /// Which image, from 0
    #[arg(long, value_name = "K", default_value_t = 0)]
    image: u32,
    /// T: steps in which the image and the biases are injected
    #[arg(long, value_parser = time_steps(), default_value_t = 4)]
    time_steps: u32,
    #[command(flatten)]
    chip: ChipArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Cycles to watch, the second one excluded; the whole run where left out
    #[arg(long, value_name = "FROM..TO", value_parser = window)]
    window: Option<Range<u64>>,
    /// Most events of each kind that are written
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    events: u32,
    /// Also write the waveform of the router of this tile to `routers.vcd`; may be given several times
    #[arg(long = "router", value_name = "X,Y", value_parser = tile)]
    routers: Vec<(u32, u32)>,
    /// Folder for `timeline.json` and `routers.vcd`
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Cycles as `1000..2000`.
fn window(text: &str) -> Result<Range<u64>, String> {
    let bounds = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match bounds {
        Some((from, to)) if from < to => Ok(from..to),
        Some(_) | None => Err(format!("`{text}` is no range of cycles; write 1000..2000")),
    }
}

/// A tile as `3,4`.
fn tile(text: &str) -> Result<(u32, u32), String> {
    let place = text.split_once(',').and_then(|(x, y)| Some((x.trim().parse().ok()?, y.trim().parse().ok()?)));
    place.ok_or_else(|| format!("`{text}` is no tile; write its column and row, as in 3,4"))
}

/// What is replayed: a graph, its digest, T and the spikes.
struct Source {
    graph: Graph<i32>,
    fingerprint: String,
    time_steps: u32,
    image: ImageTrace,
}

pub fn timeline(args: &TimelineArgs) -> Result<(), Failure> {
    let hardware = args.chip.load()?;
    let mesh = hardware.topology.mesh;
    if let Some((x, y)) = args.routers.iter().find(|(x, y)| *x >= mesh.columns || *y >= mesh.rows) {
        let size = format!("{} has {} × {} tiles", hardware.name, mesh.columns, mesh.rows);
        return Err(Failure::Input(format!("--router {x},{y} is outside: {size}, counted from 0")));
    }
    let routers: Vec<TileId> = args.routers.iter().map(|(x, y)| TileId(y * mesh.columns + x)).collect();
    let source = source(args, engine::schedule(hardware.timing.step.discipline), &hardware.name)?;
    let spikes = Replayed { images: std::slice::from_ref(&source.image), time_steps: source.time_steps };
    let placed = run::place(&source.graph, &source.fingerprint, hardware, &args.place, Some(&spikes))?;
    let machine = placed.machine()?;
    let whole = machine.replay(&source.image, source.time_steps)?.activity;
    let window = args.window.clone().unwrap_or(0..whole.cycles + 1);
    if window.start > whole.cycles {
        let (start, end) = (report::whole(window.start), report::whole(whole.cycles));
        return Err(Failure::Input(format!(
            "--window starts at cycle {start}, and the run ends at {end}; choose one before"
        )));
    }
    let mut log = Log::new(window, args.events as usize, &routers);
    machine.watched(&source.image, source.time_steps, &mut log)?;
    let events = log.into_events();
    let image = ImageRun { activity: whole, widths: source.image.widths.clone(), comparison: None, live_equal: None };
    let summary = simulate::summarise(&placed, source.time_steps, "replay", &[image], None, &Unwatched);
    report::make(&args.out)?;
    let file = args.out.join("timeline.json");
    report::write_timeline(&file, &summary, &placed.program, &events)?;
    let left_out = match events.left_out {
        0 => String::new(),
        some => format!("; {} events left out, as --events allows no more: choose a --window", report::whole(some)),
    };
    say(&format!(
        "cycles {}..{} of {}: {} spans, {} packets{left_out} → {}; open it at https://ui.perfetto.dev",
        events.window.start,
        events.window.end,
        summary.waterfall.cycles,
        report::whole((events.intakes.len() + events.firings.len()) as u64),
        report::whole(events.flights.len() as u64),
        file.display()
    ))?;
    if !routers.is_empty() {
        let file = args.out.join("routers.vcd");
        report::write_waveform(&file, &events, mesh.columns)?;
        say(&format!("{} changes at {} routers → {}", events.changes.len(), routers.len(), file.display()))?;
    }
    Ok(())
}

fn source(args: &TimelineArgs, schedule: Schedule, chip: &str) -> Result<Source, Failure> {
    let missing = |there: usize| {
        Failure::Input(format!("--image {} is not there: there are {there}, counted from 0", args.image))
    };
    if let Some(file) = &args.trace {
        let mut trace = load::trace(file)?;
        engine::check_schedule(trace.schedule, schedule, chip)?;
        let there = trace.images.len();
        if args.image as usize >= there {
            return Err(missing(there));
        }
        let image = trace.images.swap_remove(args.image as usize);
        return Ok(Source {
            graph: trace.skeleton,
            fingerprint: trace.fingerprint,
            time_steps: trace.time_steps,
            image,
        });
    }
    let (Some(net), Some(images)) = (&args.net, &args.images) else {
        return Err(Failure::Input("give NET and --images, or --trace".to_string()));
    };
    let source = SourceArgs { net: net.clone(), arch: args.arch.clone() };
    let (network, graph) = NetworkArgs { source, precision: args.precision }.graph()?;
    let limit = Some(args.image as usize + 1);
    let images = load::images(images, &network.architecture.input, network.classes(), limit)?;
    if images.len() <= args.image as usize {
        return Err(missing(images.len()));
    }
    let options = Options::exact(args.time_steps, schedule);
    let outcome = Spiking::new(&graph).run(images.image(args.image as usize), &options)?;
    let image = outcome.trace.ok_or_else(|| Failure::Input("the run was not recorded".to_string()))?;
    Ok(Source { fingerprint: convert::fingerprint(&graph), graph, time_steps: args.time_steps, image })
}
