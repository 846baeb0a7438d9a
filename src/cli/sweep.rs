//! `sweep`: a plan carried out, and its rows kept as they come.

use super::meter::Progress;
use super::{Failure, interrupt, say};
use crate::explore::{self, Sweep};
use crate::load;
use crate::plan::Screen;
use crate::report::{self, Claim, Journal};
use crate::rows::{Cell, Manifest, Table};
use clap::Args;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Args)]
pub struct SweepArgs {
    /// The plan
    #[arg(value_name = "PLAN.ron")]
    plan: PathBuf,
    /// Folder for `results.csv` and `results.parquet`
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Go on where a sweep of the same plan was cut off
    #[arg(long)]
    resume: bool,
    /// Part k of n, from 1; `merge` joins the parts
    #[arg(long, value_name = "k/n", value_parser = shard, default_value = "1/1")]
    shard: (u32, u32),
    /// Count points, runs and placements, and stop
    #[arg(long)]
    dry: bool,
}

fn shard(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    let wanted = |(k, n): &(u32, u32)| (1..=*n).contains(k) && *n <= 65_536;
    parts.filter(wanted).ok_or_else(|| format!("`{text}` is no part; write 2/4 for the second of four"))
}

pub fn sweep(args: &SweepArgs, progress: &Progress) -> Result<(), Failure> {
    let plan = load::plan(&args.plan)?;
    let screen = plan.screen;
    let sweep = Sweep::new(plan)?;
    let share = sweep.share(args.shard);
    if args.dry {
        let ([runs, placements, recordings], (k, n)) = (sweep.runs(), args.shard);
        let all = format!(
            "{} points take {runs} runs, {placements} placements and {recordings} functional runs",
            sweep.len()
        );
        return say(&format!("{all}; {} points are in part {k}/{n}", share.len()));
    }
    let manifest = Manifest {
        identity: sweep.identity().to_string(),
        shard: args.shard,
        points: sweep.len(),
        columns: sweep.columns().to_vec(),
    };
    let (results, done) = opened(args, &manifest)?;
    let left = share.difference(&done).count();
    if !done.is_empty() {
        eprintln!("note: {} of {} points are there already", share.len() - left, share.len());
    }
    let bar = progress.counter("sweep", "points", share.len() as u64);
    bar.set_position((share.len() - left) as u64);
    bar.reset_eta();
    let journal = Mutex::new((results, Ok(())));
    sweep.run(&share, &done, &|rows| {
        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
        let (results, written) = &mut *journal;
        if written.is_ok() {
            let count = rows.len() as u64;
            *written = results.add(rows);
            bar.inc(if written.is_ok() { count } else { 0 });
        }
        written.is_ok() && !interrupt::asked()
    });
    bar.finish_and_clear();
    let (results, written) = journal.into_inner().unwrap_or_else(PoisonError::into_inner);
    let again = "what is there is kept; put it right, and go on with --resume";
    written.map_err(|error: report::WriteError| Failure::Input(format!("{error}\n{again}")))?;
    let table = results.finish().map_err(|error| Failure::Input(format!("{error}\n{again}")))?;
    say(&verdict(&table, &args.out, screen))?;
    if table.rows.len() < share.len() {
        eprintln!("interrupted: {} of {} points; go on with --resume", table.rows.len(), share.len());
        return Err(Failure::Result);
    }
    Ok(())
}

/// The folder, claimed, with the rows that are there already.
fn opened(args: &SweepArgs, manifest: &Manifest) -> Result<(Journal, BTreeSet<u64>), Failure> {
    let claim = Claim::new(&args.out)?;
    let (beside, rows) = (args.out.join(report::MANIFEST), args.out.join(report::CSV));
    let folder = args.out.display();
    if !beside.exists() {
        let empty = Table { columns: manifest.columns.clone(), rows: vec![] };
        return Ok((Journal::open(claim, manifest, empty, 0)?, BTreeSet::new()));
    }
    if !args.resume {
        let what = format!("{folder}: holds a sweep already; go on with it by --resume, or name another directory");
        return Err(Failure::Input(what));
    }
    let there = load::manifest(&beside)?;
    if there.identity != manifest.identity || there.points != manifest.points || there.columns != manifest.columns {
        let what = format!(
            "{folder}: holds the sweep of another plan, or of other files; its identity is {}, and this one's {}; name another directory",
            there.identity, manifest.identity
        );
        return Err(Failure::Input(what));
    }
    if there.shard != manifest.shard {
        let (k, n) = there.shard;
        return Err(Failure::Input(format!("{folder}: holds part {k}/{n}; go on with --shard {k}/{n}")));
    }
    let (table, bytes) = if rows.exists() { load::rows(&rows, &manifest.columns)? } else { Default::default() };
    let table = Table { columns: manifest.columns.clone(), ..table };
    let done =
        table.rows.iter().filter_map(|row| row.first().and_then(Cell::number)).map(|point| point as u64).collect();
    Ok((Journal::open(claim, manifest, table, bytes)?, done))
}

/// What came out, in a few lines.
pub fn verdict(table: &Table, out: &Path, screen: Screen) -> String {
    let status = table.column("status");
    let count = |wanted: &str| {
        let is = |row: &&Vec<Cell>| status.is_some_and(|at| row[at] == Cell::Word(wanted.to_string()));
        table.rows.iter().filter(is).count()
    };
    let mut text = format!(
        "{} points: {} run, {} forecast only, {} refused → {}",
        table.rows.len(),
        count("run"),
        count("screened"),
        count("refused"),
        out.join(report::CSV).display()
    );
    if let (Screen::Halving { keep, .. }, Some(screening)) = (screen, explore::screening(table, usize_of(screen))) {
        text.push_str(&format!(
            "\nscreening: {keep} kept; of {} others that were run, {} were faster than the slowest of the kept, {} than the fastest; \
             of {} pairs of kept points the forecast had {} in the wrong order; {} runs took less than the forecast",
            screening.audited,
            screening.audited_faster_than_slowest,
            screening.audited_faster_than_fastest,
            screening.pairs,
            screening.pairs_in_wrong_order,
            screening.undercut
        ));
    }
    text
}

fn usize_of(screen: Screen) -> usize {
    match screen {
        Screen::All => usize::MAX,
        Screen::Halving { keep, .. } => keep as usize,
    }
}
