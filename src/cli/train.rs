//! `train`: an experiment is run, as training or as a test.

use super::Failure;
use super::accuracy::{self, Plan};
use super::meter::Progress;
use crate::experiment::{Action, Experiment, Mode, Semantics};
use crate::functional;
use crate::images::Images;
use crate::load;
use crate::sample;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The experiment (RON), or the published code's `cifar10.yml`
    #[arg(value_name = "SPEC")]
    pub spec: PathBuf,
    /// Folder for checkpoints, log and curves, or for the table of a test
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on with the run that DIR holds, as `inherit: true` does
    #[arg(long)]
    pub inherit: bool,
}

pub fn train(args: &TrainArgs, progress: &Progress) -> Result<(), Failure> {
    let mut experiment = load::experiment(&args.spec)?;
    experiment.inherit |= args.inherit;
    match experiment.action {
        Action::Train => super::training::run(&experiment, &args.out, *progress),
        Action::Test => test(&experiment, &args.out, progress),
    }
}

/// How data begins that is drawn: `digits:20000`.
pub const DRAWN: &str = "digits:";

/// Training and test images of an experiment.
pub fn data(experiment: &Experiment) -> Result<(Images, Images), Failure> {
    if let Some(count) = experiment.data.strip_prefix(DRAWN) {
        let count: usize = count.parse().ok().filter(|count| (10..=1_000_000).contains(count)).ok_or_else(|| {
            Failure::Input(format!("data is `{}`; write `digits:` and a number from 10 to 1000000", experiment.data))
        })?;
        return Ok((sample::digits(sample::SEED, 0, count), sample::digits(sample::SEED, 1, sample::TEST_PICTURES)));
    }
    Ok(load::data(Path::new(&experiment.data))?)
}

/// The network of `model_path` on the test images, as itself or as spiking network.
fn test(experiment: &Experiment, out: &Path, progress: &Progress) -> Result<(), Failure> {
    let Some(path) = &experiment.model_path else {
        return Err(Failure::Input("action is `test`, and model_path names no network; name one".to_string()));
    };
    let network = load::network(Path::new(path), experiment.arch.as_deref().map(Path::new))?;
    let (_, images) = data(experiment)?;
    let (semantics, name) = match experiment.semantics {
        Semantics::Exact => (functional::Semantics::EXACT, "exact"),
        Semantics::Reference => (functional::Semantics::REFERENCE, "reference"),
    };
    let (time_steps, settle) = match experiment.mode {
        Mode::Ann => (vec![], vec![]),
        Mode::Snn => (vec![experiment.t], (0..=experiment.extra_t).collect()),
    };
    let plan = Plan { time_steps, settle, semantics, name: name.to_string() };
    accuracy::test(&network, &images, &plan, out, progress)
}
