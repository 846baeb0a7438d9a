//! `record`: the spikes of images as a trace that any chip can replay.

use super::args::{ImageArgs, NetworkArgs, time_steps};
use super::meter::Progress;
use super::{Failure, say};
use crate::convert;
use crate::functional::{self, FunctionalError, Options, Spiking};
use crate::report;
use crate::trace::{Schedule, Trace};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct RecordArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// T: steps in which the image and the biases are injected
    #[arg(long, value_parser = time_steps(), default_value_t = 4)]
    time_steps: u32,
    /// When spikes are integrated: what the chip's time-step discipline asks for
    #[arg(long, value_enum, default_value = "same-step")]
    schedule: ScheduleName,
    /// The trace to write
    #[arg(short, long, value_name = "TRACE")]
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScheduleName {
    /// For chips with tokens
    SameStep,
    /// For chips with a barrier
    NextStep,
}

pub fn record(args: &RecordArgs, progress: &Progress) -> Result<(), Failure> {
    let (network, graph) = args.network.graph()?;
    let images = args.images.load(&network)?;
    let schedule = match args.schedule {
        ScheduleName::SameStep => Schedule::SameStep,
        ScheduleName::NextStep => Schedule::NextStep,
    };
    let options = Options::exact(args.time_steps, schedule);
    let spiking = Spiking::new(&graph);
    let bar = progress.bar("record", images.len());
    let traces = functional::each_image(&images, |_, image| {
        bar.inc(1);
        Ok::<_, FunctionalError>(spiking.run(image, &options)?.trace)
    })?;
    bar.finish_and_clear();
    let trace = Trace {
        skeleton: graph.skeleton(),
        fingerprint: convert::fingerprint(&graph),
        time_steps: args.time_steps,
        schedule,
        images: traces.into_iter().flatten().collect(),
    };
    report::write_trace(&args.output, &trace)?;
    let spikes: u64 = trace.images.iter().flat_map(|image| &image.trains).map(|train| train.totals().0).sum();
    say(&format!("{} images, {} spikes → {}", trace.images.len(), report::whole(spikes), args.output.display()))?;
    Ok(())
}
