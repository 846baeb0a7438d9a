//! `completions` and `man`: what shells and manuals know of the command line.

use super::{Cli, Failure, say};
use crate::report;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for `spikemesh.1` and a page for each command
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn completions(args: &CompletionArgs) -> Result<(), Failure> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "spikemesh", &mut script);
    say(String::from_utf8_lossy(&script).trim_end())
}

pub fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    let mut pages = vec![("spikemesh.1".to_string(), page(&command)?)];
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = format!("spikemesh-{}", verb.get_name());
        let titled = verb.clone().display_name(name.clone());
        pages.push((format!("{name}.1"), page(&titled)?));
    }
    let count = pages.len();
    report::write_pages(&args.out, &pages)?;
    say(&format!("{count} pages → {}", args.out.display()))
}

fn page(command: &clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = vec![];
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}
