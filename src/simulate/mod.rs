//! Images on a chip: the steps below in their order, from the spikes to the summary.
//!
//! A trained network and a chip become [`Placed`]; [`images`] runs pictures on it, [`biases`] a network that nothing else
//! drives, [`trace`] spikes that were recorded before.

mod compare;
mod error;
mod placed;
mod watch;

pub use compare::{Networks, agreement, compared, float};
pub use error::SimulateError;
pub use placed::Placed;
pub use watch::{Unwatched, Watch};

use crate::account::{self, Comparison, Run};
use crate::activity::Activity;
use crate::engine::{AtRest, Foreseen, Machine, Outcome};
use crate::functional::{Options, Settle, Spiking};
use crate::images::Images;
use crate::network::Network;
use crate::profile::StepName;
use crate::summary::{Agreement, RunSummary, Simulator};
use crate::trace::{ImageTrace, Trace, Widths};
use rayon::prelude::*;
use std::sync::OnceLock;

/// Spans of steps for each thread, so that those of unlike length keep all of them busy; and most of them: each holds a copy of
/// all potentials.
const SPANS: usize = 4;
const MOST_SPANS: usize = 64;

/// How images run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// T: steps in which the image and the biases are injected.
    pub time_steps: u32,
    /// Whether the chip holds the potentials and fires itself, instead of replaying the functional run. A chip whose cost
    /// depends on potentials always does.
    pub live: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self { time_steps: 4, live: false }
    }
}

/// What one image gave.
#[derive(Debug, Clone)]
pub struct ImageRun {
    /// What happened on the chip.
    pub activity: Activity,
    /// How wide potentials became.
    pub widths: Vec<Widths>,
    /// The functional run against the integer network; absent for a trace.
    pub comparison: Option<Comparison>,
    /// Whether every spike of the chip was that of the functional run; absent in replay.
    pub live_equal: Option<bool>,
}

/// Runs images, compares every value with the integer network, and prices what happened.
///
/// # Errors
/// If an image does not fit the network, a run does not fall silent, or the chip comes to a standstill.
pub fn images(
    network: &Network,
    placed: &Placed,
    images: &Images,
    request: Request,
    watch: &impl Watch,
) -> Result<RunSummary, SimulateError> {
    let options = Options::exact(request.time_steps, placed.schedule());
    let live = placed.is_live(request);
    let (machine, networks) = rayon::join(
        || watch.step(StepName::Engine, || placed.machine()),
        || watch.part("layout", || Networks::new(placed.graph)),
    );
    let mut machine = machine?;
    machine.spans = spans(images.len());
    let units = units(&machine, request.time_steps, live, watch)?;
    let run = |index| {
        let run = image(&machine, units.as_ref(), &networks, images.image(index), &options, watch);
        watch.image_done();
        run
    };
    let (runs, logits) = rayon::join(
        || (0..images.len()).into_par_iter().map(run).collect::<Result<Vec<ImageRun>, SimulateError>>(),
        || float(network, images, watch),
    );
    let (runs, logits) = (runs?, logits?);
    watch.images_done();
    let comparisons: Vec<Comparison> = runs.iter().filter_map(|run| run.comparison.clone()).collect();
    let agreement = agreement(placed.graph, images, &options, "exact", (&logits, &comparisons), watch);
    let drive = if live { "live" } else { "replay" };
    Ok(summarise(placed, request.time_steps, drive, &runs, Some(agreement), watch))
}

/// Into how many spans the steps of an image are cut: enough to keep all threads busy where images alone do not.
fn spans(images: usize) -> u32 {
    let threads = rayon::current_num_threads();
    if images >= threads { 1 } else { (SPANS * threads / images.max(1)).min(MOST_SPANS) as u32 }
}

/// The units of a run that finds its spikes by itself.
fn units<'m>(
    machine: &'m Machine,
    time_steps: u32,
    live: bool,
    watch: &impl Watch,
) -> Result<Option<AtRest<'m>>, SimulateError> {
    let units = live.then(|| watch.step(StepName::Engine, || machine.at_rest(time_steps)));
    Ok(units.transpose()?)
}

fn image(
    machine: &Machine,
    units: Option<&AtRest>,
    networks: &Networks,
    image: &[u8],
    options: &Options,
    watch: &impl Watch,
) -> Result<ImageRun, SimulateError> {
    let (outcome, comparison) = compared(networks, image, options, watch)?;
    let trace = outcome.trace.ok_or(SimulateError::Unrecorded)?;
    let run = match units {
        Some(units) => {
            let held = OnceLock::new();
            let foresee = |each| {
                let again = Options { record: false, ..options.held(trace.steps, each) };
                let outcome = watch.spiking(&networks.spiking, image, &again)?;
                Ok::<_, SimulateError>(Foreseen { trace: &trace, held: held.get_or_init(|| outcome.held) })
            };
            found(watch.step(StepName::Engine, || units.run_foreseen(image, trace.steps, foresee))?, trace)
        }
        None => replayed(machine, trace, options.time_steps, watch)?,
    };
    Ok(ImageRun { comparison: Some(comparison), ..run })
}

/// The spikes of a functional run on the chip, which replays them.
fn replayed(
    machine: &Machine,
    trace: ImageTrace,
    time_steps: u32,
    watch: &impl Watch,
) -> Result<ImageRun, SimulateError> {
    let activity = watch.step(StepName::Engine, || machine.replay(&trace, time_steps))?.activity;
    Ok(ImageRun { activity, widths: trace.widths, comparison: None, live_equal: None })
}

/// A run whose spikes the chip has found by itself, against those of the functional run.
fn found(outcome: Outcome, trace: ImageTrace) -> ImageRun {
    let live_equal = Some(outcome.trace.as_ref() == Some(&trace));
    ImageRun { activity: outcome.activity, widths: trace.widths, comparison: None, live_equal }
}

/// Runs a network that biases alone drive, for T steps.
///
/// # Errors
/// If the network takes images, or the chip comes to a standstill.
pub fn biases(placed: &Placed, request: Request, watch: &impl Watch) -> Result<RunSummary, SimulateError> {
    let options = Options { settle: Settle::Steps(0), ..Options::exact(request.time_steps, placed.schedule()) };
    let live = placed.is_live(request);
    let mut machine = watch.step(StepName::Engine, || placed.machine())?;
    machine.spans = spans(1);
    let units = units(&machine, request.time_steps, live, watch)?;
    let spiking = watch.part("layout", || Spiking::new(placed.graph));
    let run = match units {
        Some(units) => side_by_side(&units, &spiking, &options, watch)?,
        None => {
            let trace = watch.spiking(&spiking, &[], &options)?.trace.ok_or(SimulateError::Unrecorded)?;
            replayed(&machine, trace, request.time_steps, watch)?
        }
    };
    let drive = if live { "live" } else { "replay" };
    Ok(summarise(placed, request.time_steps, drive, &[run], None, watch))
}

/// The functional run for T steps, and beside it the chip, which finds the same spikes by itself.
fn side_by_side(
    units: &AtRest,
    spiking: &Spiking,
    options: &Options,
    watch: &impl Watch,
) -> Result<ImageRun, SimulateError> {
    let known = OnceLock::new();
    let run = |options: Options| watch.spiking(spiking, &[], &options).map(|outcome| known.get_or_init(|| outcome));
    let foresee = |each| {
        let outcome = run(options.held(options.time_steps, each))?;
        Foreseen::of(outcome).ok_or(SimulateError::Unrecorded)
    };
    let chip = watch.step(StepName::Engine, || units.run_foreseen(&[], options.time_steps, foresee))?;
    if known.get().is_none() {
        run(*options)?;
    }
    let trace = known.into_inner().and_then(|outcome| outcome.trace);
    Ok(found(chip, trace.ok_or(SimulateError::Unrecorded)?))
}

/// Replays the first `count` images of a trace, or all.
///
/// # Errors
/// If the trace is of another graph or another schedule, or holds fewer images, or the chip comes to a standstill.
pub fn trace(
    placed: &Placed,
    trace: &Trace,
    count: Option<usize>,
    watch: &impl Watch,
) -> Result<RunSummary, SimulateError> {
    placed.takes(trace)?;
    let there = trace.images.len();
    let count = count.unwrap_or(there);
    if count > there {
        return Err(SimulateError::FewImages { there, count });
    }
    let mut machine = watch.step(StepName::Engine, || placed.machine())?;
    machine.spans = spans(count);
    let runs: Result<Vec<ImageRun>, SimulateError> = trace.images[..count]
        .par_iter()
        .map(|image| {
            let run = replayed(&machine, image.clone(), trace.time_steps, watch);
            watch.image_done();
            run
        })
        .collect();
    let runs = runs?;
    watch.images_done();
    Ok(summarise(placed, trace.time_steps, "replay", &runs, None, watch))
}

/// What the runs of images cost.
#[must_use]
pub fn summarise(
    placed: &Placed,
    time_steps: u32,
    drive: &str,
    runs: &[ImageRun],
    agreement: Option<Agreement>,
    watch: &impl Watch,
) -> RunSummary {
    let activities: Vec<Activity> = runs.iter().map(|run| run.activity.clone()).collect();
    let widths: Vec<&[Widths]> = runs.iter().map(|run| run.widths.as_slice()).collect();
    let live_equal = runs.iter().map(|run| run.live_equal).reduce(|a, b| a.zip(b).map(|(a, b)| a && b)).flatten();
    let Placed { graph, hardware, program, .. } = placed;
    let run = Run { graph, program, hardware, time_steps, drive, live_equal, activities: &activities, widths: &widths };
    watch.step(StepName::Account, || account::summarise(&run, agreement, Simulator::default()))
}
