//! `report`: the page of one folder of results, or of several beside each other.

use super::{Failure, say};
use crate::load;
use crate::report::{self, Findings};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folders that `run --out`, `demo --out` or `accuracy --out` have written
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The page to write: `report.html` in the folder, or `comparison.html` in the first of several, where left out
    #[arg(short, long, value_name = "PAGE.html")]
    output: Option<PathBuf>,
}

pub fn report(args: &ReportArgs) -> Result<(), Failure> {
    let results: Result<Vec<Findings>, Failure> = args.folders.iter().map(|folder| results(folder)).collect();
    let page = if args.folders.len() > 1 { "comparison.html" } else { "report.html" };
    let page = args.output.clone().unwrap_or_else(|| args.folders[0].join(page));
    report::write_report(&page, &results?)?;
    say(&format!("→ {}", page.display()))
}

/// Makes the page of a folder again.
pub fn remake(folder: &Path) -> Result<(), Failure> {
    Ok(report::write_report(&folder.join("report.html"), &[results(folder)?])?)
}

/// What lies in a folder.
fn results(folder: &Path) -> Result<Findings, Failure> {
    let there = |name: &str| Some(folder.join(name)).filter(|file| file.exists());
    let run = there("summary.json").map(|file| load::summary(&file)).transpose()?;
    let accuracy = there("accuracy.json").map(|file| load::accuracy(&file)).transpose()?;
    if run.is_none() && accuracy.is_none() {
        return Err(Failure::Input(format!(
            "{} holds neither summary.json nor accuracy.json; name a folder that --out has written",
            folder.display()
        )));
    }
    let label =
        folder.file_name().map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into_owned());
    Ok(Findings { label, run, accuracy })
}
