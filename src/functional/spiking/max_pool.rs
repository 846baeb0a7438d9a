//! Max-pools through all their steps, one window after the other.

use super::train::{Spikes, Train};
use super::{FunctionalError, Options, Ran, Settle};
use crate::graph::Taps;
use crate::units::{Grid, Window};
use multiversion::multiversion;

/// The windows of a max-pool.
#[derive(Debug)]
pub(super) struct Windows {
    /// Input positions under each window.
    covered: Vec<Vec<u32>>,
    /// Windows over each input position.
    over: Vec<u64>,
}

impl Windows {
    pub fn new(window: Window, source: Grid, output: Grid) -> Self {
        let taps = Taps::over(window, source);
        let mut covered = vec![vec![]; output.positions()];
        for position in source.whole().positions {
            taps.of(position).iter().for_each(|tap| covered[tap.position as usize].push(position));
        }
        Self { covered, over: source.whole().positions.map(|position| taps.of(position).len() as u64).collect() }
    }
}

/// Runs a max-pool on what its source sends.
pub(super) fn run(
    (name, grid): (&str, Grid),
    windows: &Windows,
    source: &Train,
    options: &Options,
    last_input: u32,
) -> Result<Ran, FunctionalError> {
    let steps = match options.settle {
        Settle::Steps(settle) => options.time_steps + settle,
        Settle::ToSilence => options.time_steps.max(last_input),
    };
    let delay = options.schedule.delay();
    let counts = counts(source, steps, delay);
    let mut ran = Ran::new(grid, last_input);
    for (position, over) in (0..).zip(&windows.over) {
        let sends = (1..=steps.saturating_sub(delay)).map(|step| source.senders(position, step));
        ran.operations += over * sends.sum::<u64>();
    }
    let mut spikes = Spikes::new(grid.positions());
    let channels = grid.channels as usize;
    let (mut now, mut before, mut signs) = (vec![0; channels], vec![0; channels], vec![0i8; channels]);
    for covered in &windows.covered {
        spikes.position();
        before.fill(0);
        for step in 1..=steps {
            let counts = &counts[(step as usize - 1) * source.grid.neurons()..][..source.grid.neurons()];
            largest(counts, covered, &mut now);
            let changes = now.iter().zip(&before).map(|(now, before)| now - before);
            for (sign, change) in signs.iter_mut().zip(changes) {
                *sign = i8::try_from(change)
                    .ok()
                    .filter(|change| (-1..=1).contains(change))
                    .ok_or_else(|| FunctionalError::Jump { stage: name.to_string(), change })?;
            }
            spikes.fire(step, &signs);
            std::mem::swap(&mut now, &mut before);
            if options.record {
                ran.widths.count(step, &before);
            }
        }
        if options.record {
            ran.widths.rest(steps, &before);
        }
        ran.values.extend(before.iter().map(|&maximum| i64::from(maximum)));
    }
    ran.train = Train::spikes(grid, spikes);
    Ok(ran)
}

/// Counts of all inputs after each step.
fn counts(source: &Train, steps: u32, delay: u32) -> Vec<i32> {
    let neurons = source.grid.neurons();
    let mut counts = vec![0; neurons * steps as usize];
    for step in 1..=steps {
        let (before, now) = counts.split_at_mut((step as usize - 1) * neurons);
        let now = &mut now[..neurons];
        if step > 1 {
            now.copy_from_slice(&before[before.len() - neurons..]);
        }
        source.add_all(step.saturating_sub(delay), now);
    }
    counts
}

/// The largest count under a window, channel by channel; the padding takes no part.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn largest(counts: &[i32], covered: &[u32], maxima: &mut [i32]) {
    let channels = maxima.len();
    let row = |position: u32| &counts[position as usize * channels..][..channels];
    let Some((&first, others)) = covered.split_first() else { return };
    maxima.copy_from_slice(row(first));
    for &position in others {
        maxima.iter_mut().zip(row(position)).for_each(|(maximum, &count)| *maximum = count.max(*maximum));
    }
}
