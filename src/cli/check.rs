//! `check`: the spiking network against the trained one, value for value.

use super::args::{ImageArgs, NetworkArgs, SemanticsName, time_steps};
use super::meter::Progress;
use super::profile::{self, ProfileArgs, part, time};
use super::{Failure, colour, say};
use crate::account::{self, Comparison};
use crate::functional::{self, Options, Outcome, Semantics, Settle, Spiking};
use crate::graph::Graph;
use crate::images::Images;
use crate::network::Network;
use crate::report;
use crate::summary::{Agreement, StepName};
use crate::trace::Schedule;
use clap::Args;

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// T: steps in which the image and the biases are injected
    #[arg(long, value_parser = time_steps(), default_value_t = 4)]
    time_steps: u32,
    /// What is computed
    #[arg(long, value_enum, default_value = "exact")]
    semantics: SemanticsName,
    /// Settle steps after T; until silence where left out, which only the exact semantics reach
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1024))]
    settle: Option<u32>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    profile: ProfileArgs,
}

/// The options behind a name.
pub fn semantics(name: SemanticsName) -> Semantics {
    match name {
        SemanticsName::Exact => Semantics::EXACT,
        SemanticsName::Reference => Semantics::REFERENCE,
    }
}

pub fn check(args: &CheckArgs, progress: &Progress) -> Result<(), Failure> {
    args.profile.begin();
    let (network, graph) = args.network.graph()?;
    let images = args.images.load(&network)?;
    let settle = match (args.settle, args.semantics) {
        (Some(steps), _) => Settle::Steps(steps),
        (None, SemanticsName::Exact) => Settle::ToSilence,
        (None, SemanticsName::Reference) => Settle::Steps(0),
    };
    let options = Options {
        time_steps: args.time_steps,
        settle,
        semantics: semantics(args.semantics),
        schedule: Schedule::SameStep,
        record: false,
    };
    let name = match args.semantics {
        SemanticsName::Exact => "exact",
        SemanticsName::Reference => "reference",
    };
    let spiking = profile::laid_out(&graph);
    let bar = progress.bar("check", images.len());
    let comparisons = functional::each_image(&images, |_, image| {
        bar.inc(1);
        Ok::<_, functional::FunctionalError>(compared(&spiking, image, &options)?.1)
    })?;
    bar.finish_and_clear();
    let wheel = progress.wheel("float network");
    let agreement = agreement(&network, &graph, &images, &options, name, &comparisons)?;
    drop(wheel);
    if args.json {
        say(&profile::json(&agreement)?)?;
    } else {
        let verdict = colour::on_stdout(&report::agreement_verdict(&agreement), colour::verdict(agreement.all_equal));
        time(StepName::Report, || say(&format!("{}\n{verdict}", report::agreement_table(&agreement))))?;
    }
    if args.semantics == SemanticsName::Exact && !agreement.all_equal { Err(Failure::Result) } else { Ok(()) }
}

/// A spiking run of one image, and how it compares with the integer network.
pub fn compared(
    spiking: &Spiking,
    image: &[u8],
    options: &Options,
) -> Result<(Outcome, Comparison), functional::FunctionalError> {
    let outcome = profile::spiking(spiking, image, options)?;
    let quantised = part("integer network", || functional::quantised_ann(spiking.graph(), image, options.time_steps))?;
    let equal = outcome
        .values
        .iter()
        .zip(&quantised)
        .map(|(own, other)| own.iter().zip(other).filter(|(own, other)| own == other).count() as u64);
    let comparison = Comparison {
        values: quantised.iter().map(|values| values.len() as u64).collect(),
        equal: equal.collect(),
        spikes: outcome.spikes.clone(),
        negative_spikes: outcome.negative_spikes.clone(),
        synaptic_ops: outcome.synaptic_ops.clone(),
        last_step: outcome.last_step.clone(),
        silent_step: outcome.steps,
        spiking_class: account::first_largest(outcome.values.last().map_or(&[], Vec::as_slice)),
        quantised_class: account::first_largest(quantised.last().map_or(&[], Vec::as_slice)),
    };
    Ok((outcome, comparison))
}

/// The verdict over all images.
pub fn agreement(
    network: &Network,
    graph: &Graph<i32>,
    images: &Images,
    options: &Options,
    semantics: &str,
    comparisons: &[Comparison],
) -> Result<Agreement, Failure> {
    let ann = part("float network", || functional::float_ann(network, images))?;
    Ok(time(StepName::Account, || {
        let ann_classes: Vec<u32> = ann.iter().map(|logits| account::first_largest(logits)).collect();
        account::agreement(graph, &images.labels, options.time_steps, semantics, &ann_classes, comparisons)
    }))
}
