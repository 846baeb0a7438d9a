//! `merge`: the parts of a sweep joined.

use super::{Failure, say, sweep};
use crate::load;
use crate::plan::Screen;
use crate::report::{self, Claim, Journal};
use crate::rows::{Cell, Manifest, Table};
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Folders of the parts
    #[arg(value_name = "DIR", required = true)]
    parts: Vec<PathBuf>,
    /// Folder for the whole, which must hold no sweep yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn merge(args: &MergeArgs) -> Result<(), Failure> {
    let mut first: Option<(&PathBuf, Manifest)> = None;
    let mut rows: BTreeMap<i64, Vec<Cell>> = BTreeMap::new();
    for part in &args.parts {
        let manifest = load::manifest(&part.join(report::MANIFEST))?;
        let (_, whole) = first.get_or_insert_with(|| (part, manifest.clone()));
        if (&manifest.identity, &manifest.columns) != (&whole.identity, &whole.columns) {
            let other = first.map(|(part, _)| part.display().to_string()).unwrap_or_default();
            let what = format!("{}: is of another plan than {other}; join parts of one sweep", part.display());
            return Err(Failure::Input(what));
        }
        for row in load::rows(&part.join(report::CSV), &manifest.columns)?.0.rows {
            let Some(Cell::Whole(point)) = row.first() else { continue };
            if rows.get(point).is_some_and(|other| *other != row) {
                let what = format!("{}: point {point} has other results than in another part", part.display());
                return Err(Failure::Input(format!("{what}; were the parts made by one version of spikemesh?")));
            }
            rows.insert(*point, row);
        }
    }
    let Some((_, manifest)) = first else { return Err(Failure::Input("name the parts".to_string())) };
    let manifest = Manifest { shard: (1, 1), ..manifest };
    if args.out.join(report::MANIFEST).exists() {
        return Err(Failure::Input(format!("{}: holds a sweep already; name another directory", args.out.display())));
    }
    let empty = Table { columns: manifest.columns.clone(), rows: vec![] };
    let mut results = Journal::open(Claim::new(&args.out)?, &manifest, empty, 0)?;
    results.add(rows.into_values().collect())?;
    let table = results.finish()?;
    say(&sweep::verdict(&table, &args.out, Screen::All))?;
    let missing = manifest.points - table.rows.len() as u64;
    if missing > 0 {
        eprintln!("{missing} of {} points are missing; name all parts, or go on with sweep --resume", manifest.points);
        return Err(Failure::Result);
    }
    Ok(())
}
