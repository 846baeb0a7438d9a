//! Where the time of a command went, as a table.

use super::figures::{percent, three};
use super::table::{table, whole};
use crate::profile::{Profile, ProfileRow};

/// The steps of the house, then the stages of the functional run and what else it computes.
#[must_use]
pub fn profile_table(profile: &Profile) -> String {
    let of = |rows: &[ProfileRow]| rows.iter().map(|row| row.seconds).sum::<f64>();
    let (steps, functional) = (of(&profile.steps), of(&profile.stages) + of(&profile.other_functional));
    let mut text = rows("step", &profile.steps, steps);
    if functional > 0.0 {
        let parts: Vec<ProfileRow> = profile.stages.iter().chain(&profile.other_functional).cloned().collect();
        text += &format!("\n\n{}", rows("functional: stage", &parts, functional));
    }
    let (seconds, steps) = (three(profile.seconds), three(steps));
    format!("{text}\n{seconds} s by the clock; {steps} s in the steps, summed over threads")
}

fn rows(title: &str, rows: &[ProfileRow], all: f64) -> String {
    let share = |seconds: f64| if all > 0.0 { percent(seconds / all) } else { percent(0.0) };
    let cells = rows.iter().map(|row| {
        let each = if row.calls > 0 { row.seconds / row.calls as f64 } else { 0.0 };
        [
            row.name.clone(),
            whole(row.calls),
            format!("{:.3}", row.seconds * 1e3),
            format!("{:.3}", each * 1e3),
            share(row.seconds),
        ]
    });
    table([title, "calls", "ms", "ms a call", "share"], 1, cells)
}
