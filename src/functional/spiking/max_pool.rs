//! Max-pools through all their steps, one window after the other.

use super::reached::Columns;
use super::spikes::Firing;
use super::train::Train;
use super::{FunctionalError, Options, Ran, Settle};
use crate::functional::Values;
use crate::functional::lanes::Level;
use crate::graph::Taps;
use crate::units::{Grid, Window};
use multiversion::multiversion;

/// The windows of a max-pool.
#[derive(Debug)]
pub(super) struct Windows {
    /// Input positions under each window.
    covered: Vec<Vec<u32>>,
    /// Windows over each input position.
    over: Vec<u32>,
    columns: Columns,
}

impl Windows {
    pub fn new(window: Window, source: Grid, output: Grid) -> Self {
        let taps = Taps::over(window, source);
        let mut covered = vec![vec![]; output.positions()];
        for position in source.whole().positions {
            taps.of(position).iter().for_each(|tap| covered[tap.position as usize].push(position));
        }
        let over = source.whole().positions.map(|position| taps.of(position).len() as u32).collect();
        Self { covered, over, columns: Columns::new(window, source, output) }
    }
}

/// Runs a max-pool on what its source sends.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+popcnt", "x86_64+avx2+popcnt", "aarch64+neon"))]
pub(super) fn run(
    (name, grid): (&str, Grid),
    windows: &Windows,
    source: &Train,
    options: &Options,
    (last_input, level): (u32, Level),
) -> Result<Ran, FunctionalError> {
    let steps = match options.settle {
        Settle::Steps(settle) => options.time_steps + settle,
        Settle::ToSilence => options.time_steps.max(last_input),
    };
    let delay = options.schedule.delay();
    let mut ran = Ran::new(grid, last_input, options.time_steps);
    let mut spikes = Firing::new(level, grid, steps);
    let sent = steps.saturating_sub(delay);
    match source.singles() {
        // counts of single spikes are no larger than the steps, and change by one
        Some(singles) if steps <= i8::MAX as u32 => {
            ran.operations = singles.weighed(&windows.over, sent);
            ran.values = Values::Bytes(windows.columns.run(singles, (sent as usize, delay as usize), &mut spikes));
            ran.train = Train::spikes(grid, spikes);
            if options.record {
                ran.count_widths(steps);
            }
        }
        Some(_) | None => {
            ran.values = Values::counts(grid.neurons(), if source.singles().is_some() { steps } else { u32::MAX });
            for (position, &over) in (0..).zip(&windows.over) {
                let sends = (1..=sent).map(|step| source.senders(position, step));
                ran.operations += u64::from(over) * sends.sum::<usize>() as u64;
            }
            let maxima = maxima(windows, (source, steps, delay), grid.channels as usize);
            changes(name, &maxima, (grid, options.record), &mut spikes, &mut ran)?;
            ran.train = Train::spikes(grid, spikes);
        }
    }
    Ok(ran)
}

impl Ran {
    /// Counts the widths of what its spikes add up to, step by step.
    fn count_widths(&mut self, steps: u32) {
        let mut counts = vec![0; self.train.grid.neurons()];
        for step in 1..=steps {
            self.train.count_all(step, &mut counts);
            self.widths.count(step, &counts);
        }
        self.widths.rest(steps, &counts);
    }
}

/// The maximum of each window after each step, `[step][window][channel]`.
#[inline(always)]
fn maxima(windows: &Windows, (source, steps, delay): (&Train, u32, u32), channels: usize) -> Vec<i32> {
    let mut counts = vec![0; source.grid.neurons()];
    let size = windows.covered.len() * channels;
    let mut maxima = vec![0; size * steps as usize];
    for (step, maxima) in (1..=steps).zip(maxima.chunks_exact_mut(size)) {
        for (position, row) in (0..).zip(counts.chunks_exact_mut(channels)) {
            source.add_to(position, step.saturating_sub(delay), 1, row);
        }
        for (covered, maxima) in windows.covered.iter().zip(maxima.chunks_exact_mut(channels)) {
            largest(&counts, covered, maxima);
        }
    }
    maxima
}

/// Sends the changes of the maxima from step to step.
#[inline(always)]
fn changes(
    name: &str,
    maxima: &[i32],
    (grid, record): (Grid, bool),
    spikes: &mut Firing,
    ran: &mut Ran,
) -> Result<(), FunctionalError> {
    let channels = grid.channels as usize;
    let mut signs = vec![0i8; channels];
    let rest = vec![0; channels];
    for position in 0..grid.positions() {
        spikes.position();
        let (mut before, mut last) = (&rest[..], 0);
        for (step, maxima) in (1..).zip(maxima.chunks_exact(grid.neurons())) {
            let now = &maxima[position * channels..][..channels];
            let jump = differences(now, before, &mut signs);
            if jump {
                let mut changes = now.iter().zip(before).map(|(now, before): (&i32, &i32)| now.wrapping_sub(*before));
                let change = changes.find(|change| !(-1..=1).contains(change)).unwrap_or_default();
                return Err(FunctionalError::Jump { stage: name.to_string(), change });
            }
            spikes.fire(&signs);
            (before, last) = (now, step);
            if record {
                ran.widths.count(step, before);
            }
        }
        if record {
            ran.widths.rest(last, before);
        }
        ran.values.extend(before);
    }
    Ok(())
}

/// How maxima change, where by no more than a spike; says whether any changes by more.
#[inline(always)]
fn differences(now: &[i32], before: &[i32], signs: &mut [i8]) -> bool {
    let mut jump = false;
    for ((sign, &now), &before) in signs.iter_mut().zip(now).zip(before) {
        let change = now.wrapping_sub(before);
        *sign = change as i8;
        jump |= !(-1..=1).contains(&change);
    }
    jump
}

/// The largest count under a window, channel by channel; the padding takes no part.
#[inline(always)]
fn largest(counts: &[i32], covered: &[u32], maxima: &mut [i32]) {
    let channels = maxima.len();
    let row = |position: u32| &counts[position as usize * channels..][..channels];
    let Some((&first, others)) = covered.split_first() else { return };
    maxima.copy_from_slice(row(first));
    for &position in others {
        maxima.iter_mut().zip(row(position)).for_each(|(maximum, &count)| *maximum = count.max(*maximum));
    }
}
