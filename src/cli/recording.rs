//! The functional run of some images as a trace for one chip.

use super::Failure;
use super::meter::Progress;
use crate::convert;
use crate::engine;
use crate::functional::{self, FunctionalError, Options, Spiking};
use crate::graph::Graph;
use crate::hardware::Hardware;
use crate::images::Images;
use crate::trace::Trace;

/// The spikes of `images`, until silence, with the schedule of the chip.
pub fn recorded(
    graph: &Graph<i32>,
    images: &Images,
    time_steps: u32,
    hardware: &Hardware,
    progress: &Progress,
) -> Result<Trace, Failure> {
    let schedule = engine::schedule(hardware.timing.step.discipline);
    let options = Options::exact(time_steps, schedule);
    let (spiking, bar) = (Spiking::new(graph), progress.bar("record", images.len()));
    let traces = functional::each_image(images, |_, image| {
        bar.inc(1);
        Ok::<_, FunctionalError>(spiking.run(image, &options)?.trace)
    })?;
    bar.finish_and_clear();
    let images = traces.into_iter().flatten().collect();
    Ok(Trace { skeleton: graph.skeleton(), fingerprint: convert::fingerprint(graph), time_steps, schedule, images })
}
