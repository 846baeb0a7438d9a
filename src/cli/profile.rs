//! Where the time goes: the steps of the house and the stages of the functional run, measured where it was asked for.
//!
//! The library knows no clock. It says when a stage is done, and the steps are timed where the command line calls them.

use super::Failure;
use super::meter::Clock;
use crate::functional::{FunctionalError, Options, Outcome, Spiking};
use crate::graph::Graph;
use crate::profile::{Profile, ProfileRow, StepName};
use crate::report;
use crate::simulate::Watch;
use serde::Serialize;
use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Everything measured so far; empty where nobody asked.
static MEASURED: OnceLock<(Clock, Mutex<Profile>)> = OnceLock::new();

/// The profile of a command.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ProfileArgs {
    /// Say on standard error where the time goes, step by step and stage by stage; `profile` with --json
    #[arg(long)]
    profile: bool,
}

impl ProfileArgs {
    /// Measures from now on, where it was asked for.
    pub fn begin(self) {
        if self.profile {
            MEASURED.get_or_init(|| (Clock::start(), Mutex::default()));
        }
    }
}

fn measured() -> Option<MutexGuard<'static, Profile>> {
    MEASURED.get().map(|(_, profile)| profile.lock().unwrap_or_else(PoisonError::into_inner))
}

thread_local! {
    /// Seconds of the pieces that were measured within the one underway.
    static WITHIN: Cell<f64> = const { Cell::new(0.0) };
}

/// Does a piece of a step's work, and adds its time to the step; pieces of others within it are theirs alone.
pub fn time<T>(step: StepName, work: impl FnOnce() -> T) -> T {
    if MEASURED.get().is_none() {
        return work();
    }
    let (clock, before) = (Clock::start(), WITHIN.replace(0.0));
    let done = work();
    let seconds = clock.seconds();
    let within = WITHIN.replace(before + seconds);
    if let Some(mut profile) = measured() {
        profile.steps[step as usize].add(seconds - within);
    }
    done
}

/// A part of the functional step that is not the spiking run, under its own name.
pub fn part<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let clock = Clock::start();
    let done = time(StepName::Functional, work);
    if let Some(mut profile) = measured() {
        row(&mut profile.other_functional, name).add(clock.seconds());
    }
    done
}

/// A graph made ready for spiking runs.
pub fn laid_out(graph: &Graph<i32>) -> Spiking<'_> {
    part("layout", || Spiking::new(graph))
}

/// The spiking run of an image, stage by stage.
pub fn spiking(spiking: &Spiking, image: &[u8], options: &Options) -> Result<Outcome, FunctionalError> {
    if MEASURED.get().is_none() {
        return spiking.run(image, options);
    }
    let mut clock = Clock::start();
    let mut done = |id| {
        let seconds = clock.seconds();
        if let Some(mut profile) = measured() {
            row(&mut profile.stages, &spiking.graph().stage(id).name).add(seconds);
        }
        clock = Clock::start();
    };
    time(StepName::Functional, || spiking.run_observed(image, options, &mut done))
}

/// Measures what runs, where it was asked for.
pub struct Profiled;

impl Watch for Profiled {
    fn step<T>(&self, step: StepName, work: impl FnOnce() -> T) -> T {
        time(step, work)
    }

    fn part<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        part(name, work)
    }

    fn spiking(&self, run: &Spiking, image: &[u8], options: &Options) -> Result<Outcome, FunctionalError> {
        spiking(run, image, options)
    }
}

/// The row of this name, at the end where it is new.
fn row<'a>(rows: &'a mut Vec<ProfileRow>, name: &str) -> &'a mut ProfileRow {
    let at = rows.iter().position(|row| row.name == name).unwrap_or(rows.len());
    if at == rows.len() {
        rows.push(ProfileRow { name: name.to_string(), ..ProfileRow::default() });
    }
    &mut rows[at]
}

/// What was measured up to now.
fn taken() -> Option<Profile> {
    let mut profile = measured()?.clone();
    // they may run side by side, and begin in any order
    profile.other_functional.sort_by(|one, other| one.name.cmp(&other.name));
    profile.seconds = MEASURED.get().map_or(0.0, |(clock, _)| clock.seconds());
    Some(profile)
}

/// A result with its profile, if there is one, as one more key.
#[derive(Serialize)]
struct WithProfile<'a, T> {
    #[serde(flatten)]
    result: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
}

/// A result as one JSON object.
pub fn json<T: Serialize>(result: &T) -> Result<String, Failure> {
    Ok(serde_json::to_string(&WithProfile { result, profile: taken() })?)
}

/// Prints the profile on standard error, where there is one.
pub fn tell() {
    if let Some(profile) = taken() {
        eprintln!("{}", report::profile_table(&profile));
    }
}
