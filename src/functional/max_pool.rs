//! Max-pool: counts of the inputs, and the changes of the maximum over each window.

use super::arithmetic::Arithmetic;
use super::sums::{Emit, Sums};
use crate::graph::Taps;
use crate::trace::Widths;
use crate::units::{Grid, Region, Window};

/// The largest counts under the windows of a region.
#[derive(Debug, Clone)]
pub(super) struct MaxPool<S> {
    /// Positive minus negative spikes of each input: all positions, the region's channels.
    counts: Vec<S>,
    /// Windows over each input position.
    taps: Taps,
    /// Input positions under each window of the region.
    covered: Vec<Vec<u32>>,
    /// Windows of the region that must be looked at again.
    stale: Vec<bool>,
    maxima: Sums<S>,
}

impl<S: Arithmetic> MaxPool<S> {
    pub fn new(window: Window, source: Grid, region: Region) -> Self {
        let taps = Taps::over(window, source);
        let mut covered = vec![vec![]; region.positions.len()];
        for position in source.whole().positions {
            for tap in taps.of(position).iter().filter(|tap| region.positions.contains(&tap.position)) {
                covered[(tap.position - region.positions.start) as usize].push(position);
            }
        }
        Self {
            counts: vec![S::default(); source.positions() * region.channels.len()],
            taps,
            stale: vec![false; covered.len()],
            covered,
            maxima: Sums::new(region),
        }
    }

    /// Counts a spike; returns the number of windows that it is compared in.
    pub fn receive(&mut self, position: u32, channel: u32, value: S) -> u64 {
        let region = &self.maxima.region;
        if !region.channels.contains(&channel) {
            return 0;
        }
        let at = position as usize * region.channels.len() + (channel - region.channels.start) as usize;
        self.counts[at] += value;
        let mut windows = 0;
        for tap in self.taps.of(position).iter().filter(|tap| region.positions.contains(&tap.position)) {
            self.stale[(tap.position - region.positions.start) as usize] = true;
            windows += 1;
        }
        self.maxima.changed |= windows > 0;
        windows
    }

    /// Sends the changes of the maxima.
    pub fn fire(&mut self, widths: Option<&mut Widths>, emit: Emit<S>) {
        let width = self.maxima.width();
        for (window, stale) in self.stale.iter_mut().enumerate().filter(|(_, stale)| **stale) {
            let rows = self.covered[window].iter().map(|&at| &self.counts[at as usize * width..][..width]);
            largest(&mut self.maxima.now[window * width..][..width], rows);
            *stale = false;
        }
        if let Some(widths) = widths {
            self.maxima.count_widths(widths);
        }
        self.maxima.emit_changes(emit);
    }

    pub fn values(&self) -> &[S] {
        &self.maxima.now
    }
}

/// The largest of all rows, channel by channel; the padding takes no part.
pub fn largest<'a, S: Arithmetic>(maxima: &mut [S], mut rows: impl Iterator<Item = &'a [S]>) {
    let Some(first) = rows.next() else { return };
    maxima.copy_from_slice(first);
    for row in rows {
        for (maximum, &count) in maxima.iter_mut().zip(row) {
            *maximum = if count > *maximum { count } else { *maximum };
        }
    }
}
