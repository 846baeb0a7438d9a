//! `accuracy`: top-1, top-5 and loss by T and settle steps.

use super::args::{ImageArgs, NetworkArgs, Numbers, SemanticsName, numbers};
use super::meter::Progress;
use super::{Failure, check, say};
use crate::account;
use crate::convert::{self, Precision};
use crate::functional::{self, FloatSnn, FunctionalError, Options, Settle, Spiking};
use crate::images::Images;
use crate::report;
use crate::summary::{AccuracyRow, AccuracyTable};
use crate::trace::Schedule;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

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
    /// What is computed
    #[arg(long, value_enum, default_value = "exact")]
    semantics: SemanticsName,
    /// Numbers of the spiking run: as on a chip, or 32-bit floats as in the published code
    #[arg(long, value_enum, default_value = "int")]
    weights: WeightsName,
    /// Folder for `accuracy.json` and `report.html`, which also shows the run whose results lie there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WeightsName {
    /// Integers of the widths given
    Int,
    /// 32-bit floats, the network unfolded, sums in the published code's order
    Float,
}

pub fn accuracy(args: &AccuracyArgs, progress: &Progress) -> Result<(), Failure> {
    if args.time_steps.0.contains(&0) {
        return Err(Failure::Input("--time-steps contains 0, which injects nothing; give at least 1".to_string()));
    }
    let network = args.network.source.load()?;
    let images = args.images.load(&network)?;
    let wheel = progress.wheel("float network");
    let ann = functional::float_ann(&network, &images)?;
    drop(wheel);
    let ann_score = account::score(&ann, &images.labels);
    let rows = match args.weights {
        WeightsName::Float if args.network.precision.precision() != Precision::default() => {
            return Err(Failure::Input("--weights float has no bits; leave the --…-bits options out".to_string()));
        }
        WeightsName::Float => {
            let spiking = FloatSnn::new(&network);
            let semantics = check::semantics(args.semantics);
            let run = |image: &[u8], time_steps, settle| {
                Ok(spiking.run(image, time_steps, settle, semantics)?.logits_by_step)
            };
            rows(&run, &images, args, progress)?
        }
        WeightsName::Int => {
            let graph = convert::quantise(&convert::fold(&network)?, &args.network.precision.precision())?;
            let spiking = Spiking::new(&graph);
            let run = |image: &[u8], time_steps, settle| {
                Ok(spiking.run(image, &options(time_steps, settle, args.semantics))?.logits_by_step)
            };
            rows(&run, &images, args, progress)?
        }
    };
    let name = |value: Option<clap::builder::PossibleValue>| value.map_or(String::new(), |v| v.get_name().to_string());
    let table = AccuracyTable {
        images: images.len() as u64,
        semantics: name(args.semantics.to_possible_value()),
        weights: name(args.weights.to_possible_value()),
        ann_top1: ann_score.top1,
        ann_top5: ann_score.top5,
        settle: args.settle.0.clone(),
        rows,
    };
    if let Some(folder) = &args.out {
        report::write_accuracy_json(folder, &table)?;
        super::report::remake(folder)?;
    }
    if args.json {
        say(&serde_json::to_string(&table)?)?;
    } else {
        say(&report::accuracy_table(&table))?;
    }
    Ok(())
}

fn options(time_steps: u32, settle: u32, semantics: SemanticsName) -> Options {
    Options {
        time_steps,
        settle: Settle::Steps(settle),
        semantics: check::semantics(semantics),
        schedule: Schedule::SameStep,
        record: false,
    }
}

/// A spiking run of an image with so many driven and settle steps; gives the logits after each step.
type Run<'a> = &'a (dyn Fn(&[u8], u32, u32) -> Result<Vec<Vec<f32>>, FunctionalError> + Sync);

/// One row for each T: a single run with the most settle steps gives every column.
fn rows(run: Run, images: &Images, args: &AccuracyArgs, progress: &Progress) -> Result<Vec<AccuracyRow>, Failure> {
    let most = args.settle.0.iter().copied().max().unwrap_or(0);
    let bar = progress.bar("spiking", args.time_steps.0.len() * images.len());
    let mut rows = vec![];
    for &time_steps in &args.time_steps.0 {
        let runs = functional::each_image(images, |_, image| {
            bar.inc(1);
            run(image, time_steps, most)
        })?;
        let mut row = AccuracyRow { time_steps, top1: vec![], top5: vec![], loss: vec![] };
        for &settle in &args.settle.0 {
            let at = (time_steps + settle) as usize - 1;
            // the logits of a run are sums over its steps; their mean is what the network was trained to give
            let logits: Vec<Vec<f32>> =
                runs.iter().map(|steps| steps[at].iter().map(|sum| sum / time_steps as f32).collect()).collect();
            let score = account::score(&logits, &images.labels);
            row.top1.push(score.top1);
            row.top5.push(score.top5);
            row.loss.push(score.loss);
        }
        rows.push(row);
    }
    bar.finish_and_clear();
    Ok(rows)
}
