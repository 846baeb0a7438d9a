//! `noc`: synthetic traffic over the routers of a chip.

use super::args::ChipArgs;
use super::meter::Progress;
use super::{Failure, say};
use crate::engine;
use crate::report;
use crate::traffic::{CERTAIN, LoadCurve, Pattern, Point, Traffic};
use crate::units::Cycle;
use clap::Args;
use rayon::prelude::*;

#[derive(Debug, Args)]
pub struct NocArgs {
    #[command(flatten)]
    chip: ChipArgs,
    /// Whom units send to: uniform, transpose, bit-complement, tornado, neighbour or hotspot
    #[arg(long, default_value = "uniform")]
    traffic: Pattern,
    /// Flits for each unit and cycle, one rate or several: 0.05,0.1,0.2
    #[arg(long, value_delimiter = ',', value_parser = rate, default_value = "0.1")]
    rate: Vec<f64>,
    /// Seed of the chances, one or several: 1,2,3,4,5
    #[arg(long, value_delimiter = ',', default_value = "1")]
    seed: Vec<u64>,
    /// Cycles before anything is measured
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    warm_up: Cycle,
    /// Cycles in which packets are measured
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    measure: Cycle,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.trim().parse::<f64>().map_err(|_| format!("`{text}` is no number"))?;
    if (0.0..=1.0).contains(&rate) {
        Ok(rate)
    } else {
        Err(format!("{rate} is no rate; a unit makes 0 to 1 flits in a cycle"))
    }
}

pub fn noc(args: &NocArgs, progress: &Progress) -> Result<(), Failure> {
    let hardware = args.chip.load()?;
    let (warm_up, measure) = (args.warm_up, args.measure);
    let runs: Vec<(f64, u64)> = args.rate.iter().flat_map(|&r| args.seed.iter().map(move |&s| (r, s))).collect();
    let bar = progress.counter("traffic", "cycles", runs.len() as u64 * (warm_up + measure));
    let run = |&(rate, seed): &(f64, u64)| {
        let plan =
            Traffic { pattern: args.traffic, rate: (rate * CERTAIN as f64).round() as u64, seed, warm_up, measure };
        let mut seen = 0;
        let watch = |now: Cycle| {
            let now = now.min(warm_up + measure);
            bar.inc(now - seen);
            seen = now;
            true
        };
        let measured = engine::traffic(&hardware.topology, &hardware.timing.noc, &plan, watch)?;
        Ok((measured.senders, measured.point(rate, seed)))
    };
    let points: Vec<(u64, Point)> = runs.par_iter().map(run).collect::<Result<_, engine::EngineError>>()?;
    bar.finish_and_clear();
    let curve = LoadCurve {
        chip: hardware.name.clone(),
        traffic: args.traffic,
        mesh: (hardware.topology.mesh.columns, hardware.topology.mesh.rows),
        senders: points.first().map_or(0, |(senders, _)| *senders),
        warm_up_cycles: warm_up,
        measure_cycles: measure,
        points: points.into_iter().map(|(_, point)| point).collect(),
    };
    if args.json { say(&serde_json::to_string_pretty(&curve)?) } else { say(&report::load_table(&curve)) }
}
