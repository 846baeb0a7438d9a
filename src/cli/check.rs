//! `check`: the spiking network against the trained one, value for value.

use super::args::{ImageArgs, NetworkArgs, SemanticsName, time_steps};
use super::meter::Progress;
use super::profile::{self, ProfileArgs, Profiled, time};
use super::{Failure, colour, say};
use crate::functional::{self, Options, Semantics, Settle};
use crate::profile::StepName;
use crate::report;
use crate::simulate::{self, Networks, Watch};
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
        hold_every: None,
    };
    let name = match args.semantics {
        SemanticsName::Exact => "exact",
        SemanticsName::Reference => "reference",
    };
    let networks = Profiled.part("layout", || Networks::new(&graph));
    let bar = progress.bar("check", images.len());
    let comparisons = functional::each_image(&images, |_, image| {
        bar.inc(1);
        let (outcome, comparison) = simulate::compared(&networks, image, &options, &Profiled)?;
        networks.spiking.reuse(outcome);
        Ok::<_, functional::FunctionalError>(comparison)
    })?;
    bar.finish_and_clear();
    let wheel = progress.wheel("float network");
    let logits = simulate::float(&network, &images, &Profiled)?;
    drop(wheel);
    let agreement = simulate::agreement(&graph, &images, &options, name, (&logits, &comparisons), &Profiled);
    if args.json {
        say(&profile::json(&agreement)?)?;
    } else {
        let verdict = colour::on_stdout(&report::agreement_verdict(&agreement), colour::verdict(agreement.all_equal));
        time(StepName::Report, || say(&format!("{}\n{verdict}", report::agreement_table(&agreement))))?;
    }
    if args.semantics == SemanticsName::Exact && !agreement.all_equal { Err(Failure::Result) } else { Ok(()) }
}
