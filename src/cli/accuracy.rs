//! `accuracy`: top-1, top-5 and loss by T and settle steps.

use super::args::{ImageArgs, NetworkArgs, Numbers, SemanticsName, numbers, quantised};
use super::meter::Progress;
use super::profile::{self, ProfileArgs, part, time};
use super::{Failure, check, say};
use crate::account;
use crate::convert::Precision;
use crate::functional::{self, Attention, FloatSnn, FunctionalError, NegativeThreshold, Options, Semantics, Settle};
use crate::images::Images;
use crate::network::Network;
use crate::profile::StepName;
use crate::report;
use crate::summary::{AccuracyRow, AccuracyTable};
use crate::trace::Schedule;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct AccuracyArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// T, one row each: `4`, `1..8` (both ends included) or `1,2,4`
    #[arg(long, value_parser = numbers, default_value = "1..8")]
    time_steps: Numbers,
    /// Steps after T, one column each
    #[arg(long, value_parser = numbers, default_value = "0..4")]
    settle: Numbers,
    #[command(flatten)]
    semantics: SemanticsArgs,
    /// Numbers of the spiking run: as on a chip, or 32-bit floats as in the published code
    #[arg(long, value_enum, default_value = "int")]
    weights: WeightsName,
    /// Folder for `accuracy.json`, `accuracy.csv`, a heat map `accuracy.svg`, and `report.html`, which also shows the run whose
    /// results lie there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    profile: ProfileArgs,
}

/// What is computed: one of two, and each of their differences by itself.
#[derive(Debug, Args)]
struct SemanticsArgs {
    /// What is computed
    #[arg(long, value_enum, default_value = "exact")]
    semantics: SemanticsName,
    /// Whether biases keep flowing in the settle steps, instead of what the semantics say
    #[arg(long, value_name = "on|off", value_enum)]
    settle_bias: Option<Switch>,
    /// When a neuron takes a spike back, instead of what the semantics say
    #[arg(long, value_enum)]
    negative_threshold: Option<ThresholdName>,
    /// What attention computes with, instead of what the semantics say
    #[arg(long, value_enum)]
    attention: Option<AttentionName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ThresholdName {
    /// Below zero
    Zero,
    /// At −θ and below, as the published code
    Symmetric,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AttentionName {
    /// With the counts so far
    Accumulated,
    /// With the spikes of each step by themselves, as the published code
    PerStep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WeightsName {
    /// Integers of the widths given
    Int,
    /// 32-bit floats, the network unfolded, sums in the published code's order
    Float,
}

impl SemanticsArgs {
    fn semantics(&self) -> Semantics {
        let named = check::semantics(self.semantics);
        Semantics {
            settle_bias: self.settle_bias.map_or(named.settle_bias, |switch| switch == Switch::On),
            negative_threshold: self.negative_threshold.map_or(named.negative_threshold, |name| match name {
                ThresholdName::Zero => NegativeThreshold::Zero,
                ThresholdName::Symmetric => NegativeThreshold::Symmetric,
            }),
            attention: self.attention.map_or(named.attention, |name| match name {
                AttentionName::Accumulated => Attention::Accumulated,
                AttentionName::PerStep => Attention::PerStep,
            }),
        }
    }

    /// The name of the semantics, and what was changed in them.
    fn name(&self) -> String {
        let name =
            |value: Option<clap::builder::PossibleValue>| value.map_or_else(String::new, |v| v.get_name().to_string());
        let changes = [
            self.settle_bias.map(|switch| format!("settle bias {}", name(switch.to_possible_value()))),
            self.negative_threshold.map(|other| format!("{} negative threshold", name(other.to_possible_value()))),
            self.attention.map(|other| format!("{} attention", name(other.to_possible_value()))),
        ];
        let named = std::iter::once(name(self.semantics.to_possible_value()));
        named.chain(changes.into_iter().flatten()).collect::<Vec<_>>().join(", ")
    }
}

/// Which cells of a table are computed, and how.
pub struct Plan {
    /// T, one row each.
    pub time_steps: Vec<u32>,
    /// Settle steps, one column each.
    pub settle: Vec<u32>,
    /// What is computed.
    pub semantics: Semantics,
    /// Its name.
    pub name: String,
}

pub fn accuracy(args: &AccuracyArgs, progress: &Progress) -> Result<(), Failure> {
    if args.time_steps.0.contains(&0) {
        return Err(Failure::Input("--time-steps contains 0, which injects nothing; give at least 1".to_string()));
    }
    let precision = args.network.precision.precision();
    if args.weights == WeightsName::Float && precision != Precision::default() {
        return Err(Failure::Input("--weights float has no bits; leave the --…-bits options out".to_string()));
    }
    args.profile.begin();
    let network = args.network.source.load()?;
    let images = args.images.load(&network)?;
    let plan = Plan {
        time_steps: args.time_steps.0.clone(),
        settle: args.settle.0.clone(),
        semantics: args.semantics.semantics(),
        name: args.semantics.name(),
    };
    let precision = (args.weights == WeightsName::Int).then_some(precision);
    let table = table(&network, &images, &plan, precision, progress)?;
    if let Some(folder) = &args.out {
        time(StepName::Report, || {
            report::write_accuracy(folder, &table)?;
            super::report::remake(folder)
        })?;
    }
    if args.json {
        say(&profile::json(&table)?)
    } else {
        time(StepName::Report, || say(&report::accuracy_table(&table)))
    }
}

/// Tests a network as a plan says, with integers of the usual widths; the table is written and printed.
pub fn test(network: &Network, images: &Images, plan: &Plan, out: &Path, progress: &Progress) -> Result<(), Failure> {
    let table = table(network, images, plan, Some(Precision::default()), progress)?;
    report::write_accuracy(out, &table)?;
    say(&report::accuracy_table(&table))
}

/// The table of a plan, in integers or, without a precision, in floats.
fn table(
    network: &Network,
    images: &Images,
    plan: &Plan,
    precision: Option<Precision>,
    progress: &Progress,
) -> Result<AccuracyTable, Failure> {
    let wheel = progress.wheel("float network");
    let ann = part("float network", || functional::float_ann(network, images))?;
    let ann = account::score(&ann, &images.labels);
    drop(wheel);
    let rows = match precision {
        Some(precision) => {
            let graph = quantised(network, &precision)?;
            let spiking = profile::laid_out(&graph);
            let run = |image: &[u8], time_steps, settle| {
                let (settle, schedule) = (Settle::Steps(settle), Schedule::SameStep);
                let options = Options {
                    time_steps,
                    settle,
                    semantics: plan.semantics,
                    schedule,
                    record: false,
                    hold_every: None,
                };
                let mut outcome = profile::spiking(&spiking, image, &options)?;
                let logits = std::mem::take(&mut outcome.logits_by_step);
                spiking.reuse(outcome);
                Ok(logits)
            };
            rows(&run, images, plan, progress)?
        }
        None => {
            let spiking = FloatSnn::new(network);
            let run = |image: &[u8], time_steps, settle| {
                let outcome = part("float spiking run", || spiking.run(image, time_steps, settle, plan.semantics))?;
                Ok(outcome.logits_by_step)
            };
            rows(&run, images, plan, progress)?
        }
    };
    Ok(AccuracyTable {
        images: images.len() as u64,
        semantics: plan.name.clone(),
        weights: if precision.is_some() { "int" } else { "float" }.to_string(),
        ann_top1: ann.top1,
        ann_top5: ann.top5,
        ann_loss: ann.loss,
        settle: plan.settle.clone(),
        rows,
    })
}

/// A spiking run of an image with so many driven and settle steps; gives the logits after each step.
type Run<'a> = &'a (dyn Fn(&[u8], u32, u32) -> Result<Vec<Vec<f32>>, FunctionalError> + Sync);

/// One row for each T: a single run with the most settle steps gives every column. Without settle steps, the first T steps of a
/// longer run are those of a run of T steps, so that a single run gives every row.
fn rows(run: Run, images: &Images, plan: &Plan, progress: &Progress) -> Result<Vec<AccuracyRow>, Failure> {
    let settle = plan.settle.iter().copied().max().unwrap_or(0);
    let longest = plan.time_steps.iter().copied().max();
    let all = match longest {
        Some(longest) if settle == 0 => vec![longest],
        Some(_) | None => plan.time_steps.clone(),
    };
    let bar = progress.bar("spiking", all.len() * images.len());
    let mut rows = vec![];
    for time_steps in all {
        let runs = functional::each_image(images, |_, image| {
            bar.inc(1);
            run(image, time_steps, settle)
        })?;
        let of = if settle == 0 { &plan.time_steps[..] } else { std::slice::from_ref(&time_steps) };
        rows.extend(of.iter().map(|&of| row(of, &plan.settle, &runs, &images.labels)));
    }
    bar.finish_and_clear();
    Ok(rows)
}

/// The cells of one T, from the logits of each image in each step.
fn row(time_steps: u32, settle: &[u32], runs: &[Vec<Vec<f32>>], labels: &[u32]) -> AccuracyRow {
    let mut row = AccuracyRow { time_steps, top1: vec![], top5: vec![], loss: vec![] };
    for &settle in settle {
        let at = (time_steps + settle) as usize - 1;
        // the logits of a run are sums over its steps; their mean is what the network was trained to give
        let mean = |steps: &Vec<Vec<f32>>| steps[at].iter().map(|sum| sum / time_steps as f32).collect();
        let score = account::score(&runs.iter().map(mean).collect::<Vec<_>>(), labels);
        row.top1.push(score.top1);
        row.top5.push(score.top5);
        row.loss.push(score.loss);
    }
    row
}
