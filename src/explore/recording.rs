//! The functional run behind the points of a sweep, once for each network, bits, T, semantics and schedule.

use super::ExploreError;
use super::field::Replayed;
use super::points::Setting;
use crate::account;
use crate::convert;
use crate::engine;
use crate::functional::{self, FunctionalError, Options, Settle, Spiking, Values};
use crate::graph::Graph;
use crate::images::Images;
use crate::network::Network;
use crate::trace::{ImageTrace, Schedule, Trace};

/// What a sweep runs.
#[derive(Debug)]
pub(super) struct Subject {
    pub network: Option<(Network, Images)>,
    pub trace: Option<Trace>,
}

/// The spikes of all images, and what they amount to.
#[derive(Debug)]
pub(super) struct Recording {
    pub graph: Graph<i32>,
    pub fingerprint: String,
    pub images: Vec<ImageTrace>,
    /// Steps in which the biases flow.
    pub drive_steps: u32,
    /// Images that the spiking run classifies right, in percent; absent where only a trace is there.
    pub top1: Option<f64>,
}

impl Recording {
    /// The spikes, for placements and runs.
    pub fn replayed(&self, images: usize) -> Replayed<'_> {
        Replayed { images: &self.images[..images.min(self.images.len())], time_steps: self.drive_steps }
    }
}

impl Subject {
    /// Name of the network.
    pub fn name(&self) -> &str {
        match (&self.network, &self.trace) {
            (Some((network, _)), _) => &network.architecture.name,
            (None, Some(trace)) => &trace.skeleton.name,
            (None, None) => "",
        }
    }

    /// Images of a recording.
    pub fn images(&self) -> usize {
        match (&self.network, &self.trace) {
            (Some((_, images)), _) if !images.is_empty() => images.len(),
            (_, trace) => trace.as_ref().map_or(0, |trace| trace.images.len()),
        }
    }

    /// The recording for a setting: from the trace where it fits, and otherwise by running the network.
    ///
    /// # Errors
    /// If the network cannot be converted or run, or there is a trace only, of another schedule.
    pub fn record(&self, setting: &Setting, schedule: Schedule, chip: &str) -> Result<Recording, ExploreError> {
        let Some((network, images)) = &self.network else {
            return self.trace.as_ref().map_or(Err(ExploreError::NoSpikes), |trace| taken(trace, schedule, chip));
        };
        let graph = convert::quantise(&convert::fold(network)?, &setting.precision)?;
        let fingerprint = convert::fingerprint(&graph);
        let fits = |trace: &&Trace| {
            trace.fingerprint == fingerprint
                && trace.time_steps == setting.time_steps
                && trace.schedule == schedule
                && setting.settle == Settle::ToSilence
        };
        if let Some(trace) = self.trace.as_ref().filter(fits) {
            return Ok(Recording { graph, ..taken(trace, schedule, chip)? });
        }
        if images.is_empty() {
            return Err(ExploreError::NoSpikes);
        }
        run(graph, fingerprint, images, setting, schedule)
    }
}

fn taken(trace: &Trace, schedule: Schedule, chip: &str) -> Result<Recording, ExploreError> {
    engine::check_schedule(trace.schedule, schedule, chip)?;
    Ok(Recording {
        graph: trace.skeleton.clone(),
        fingerprint: trace.fingerprint.clone(),
        images: trace.images.clone(),
        drive_steps: trace.time_steps,
        top1: None,
    })
}

fn run(
    graph: Graph<i32>,
    fingerprint: String,
    images: &Images,
    setting: &Setting,
    schedule: Schedule,
) -> Result<Recording, ExploreError> {
    let Setting { time_steps, semantics, settle, .. } = *setting;
    let options = Options { time_steps, settle, semantics, schedule, record: true, hold_every: None };
    let spiking = Spiking::new(&graph);
    let runs = functional::each_image(images, |_, image| {
        let outcome = spiking.run(image, &options)?;
        let class = account::first_largest(&outcome.values.last().map(Values::to_vec).unwrap_or_default());
        Ok::<_, FunctionalError>((outcome.trace, class))
    })?;
    let right = runs.iter().zip(&images.labels).filter(|((_, class), label)| class == *label).count();
    let top1 = 100.0 * right as f64 / images.len().max(1) as f64;
    let images: Vec<ImageTrace> = runs.into_iter().filter_map(|(trace, _)| trace).collect();
    let settled = images.iter().map(|image| image.steps).max().unwrap_or(0);
    let drive_steps = if semantics.settle_bias { settled } else { time_steps };
    Ok(Recording { graph, fingerprint, images, drive_steps, top1: Some(top1) })
}
