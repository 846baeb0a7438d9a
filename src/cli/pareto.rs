//! `pareto`: the rows of a sweep that no other row beats in every respect.

use super::{Failure, say};
use crate::explore::{self, Goal};
use crate::load;
use crate::report;
use crate::rows::{Cell, ColumnKind, Table};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ParetoArgs {
    /// Folder of a sweep, or a table of results
    #[arg(value_name = "DIR|CSV")]
    results: PathBuf,
    /// Two or three columns; less is better, or more with `max:` before it
    #[arg(long, value_name = "COLUMN,COLUMN", value_delimiter = ',', num_args = 1.., required = true)]
    columns: Vec<String>,
    /// Write the front as a table, too
    #[arg(short, long, value_name = "FRONT.csv")]
    output: Option<PathBuf>,
    /// Draw all rows and the front
    #[arg(long, value_name = "FRONT.svg")]
    plot: Option<PathBuf>,
    /// One JSON array on standard output, with one object for each row
    #[arg(long)]
    json: bool,
}

pub fn pareto(args: &ParetoArgs) -> Result<(), Failure> {
    let file = if args.results.is_dir() { args.results.join(report::CSV) } else { args.results.clone() };
    let table = load::table(&file)?;
    if !(2..=3).contains(&args.columns.len()) {
        return Err(Failure::Input(format!("{} columns make no front; give two or three", args.columns.len())));
    }
    let goals: Vec<Goal> = args.columns.iter().map(|name| goal(&table, name)).collect::<Result<_, _>>()?;
    let front = explore::front(&table, &goals);
    let on_front =
        Table { columns: table.columns.clone(), rows: front.iter().map(|row| table.rows[*row].clone()).collect() };
    if let Some(file) = &args.output {
        report::write_table(file, &on_front)?;
    }
    if let Some(file) = &args.plot {
        let columns: Vec<usize> = goals.iter().map(|goal| goal.column).collect();
        report::write_front(file, &table, &columns, &front)?;
    }
    if args.json {
        return say(&report::rows_json(&on_front));
    }
    let last = table.column("status").unwrap_or(0);
    let shown: Vec<usize> =
        (0..last).chain(goals.iter().map(|goal| goal.column).filter(|column| *column >= last)).collect();
    say(&report::rows_table(&on_front, &shown))?;
    let rows = table.rows.iter().filter(|row| goals.iter().all(|goal| row[goal.column].number().is_some())).count();
    say(&format!("{} of {rows} rows with numbers are on the front, {} rows in all", front.len(), table.rows.len()))
}

fn goal(table: &Table, name: &str) -> Result<Goal, Failure> {
    let (more, name) = name.strip_prefix("max:").map_or((false, name), |name| (true, name));
    let numbers = || table.columns.iter().filter(|column| column.kind != ColumnKind::Word).map(|c| c.name.as_str());
    let column = table.column(name).filter(|at| table.columns[*at].kind != ColumnKind::Word);
    let Some(column) = column else {
        let otherwise = format!("choose among {}", numbers().collect::<Vec<_>>().join(", "));
        let remedy = load::did_you_mean(name, numbers(), &otherwise);
        return Err(Failure::Input(format!("the results have no column of numbers `{name}`; {remedy}")));
    };
    if table.rows.iter().all(|row| row[column] == Cell::Empty) {
        return Err(Failure::Input(format!("column `{name}` is empty in all rows; was anything run?")));
    }
    Ok(Goal { column, more })
}
