//! Sums that are sent as graded spikes: what changed since the last step, or the whole of each step.

use super::arithmetic::{Arithmetic, Sum};
use crate::trace::Widths;
use crate::units::Region;

/// What takes the spikes of a step: position, channel, value.
pub type Emit<'a, S> = &'a mut dyn FnMut(u32, u32, S);

/// The sums of a region, and what of them has been sent.
#[derive(Debug, Clone)]
pub(super) struct Sums<S> {
    pub region: Region,
    /// In the order of [`Region::local`].
    pub now: Vec<S>,
    pub sent: Vec<S>,
    /// Whether any may differ from what has been sent.
    pub changed: bool,
}

impl<S: Arithmetic> Sums<S> {
    pub fn new(region: Region) -> Self {
        let zeros = vec![S::default(); region.neurons()];
        Self { region, now: zeros.clone(), sent: zeros, changed: false }
    }

    /// Channels of a position.
    pub fn width(&self) -> usize {
        self.region.channels.len()
    }

    /// Sends what changed.
    pub fn emit_changes(&mut self, emit: Emit<S>) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let width = self.width();
        for (row, position) in self.region.positions.clone().enumerate() {
            let at = row * width..(row + 1) * width;
            let values = self.now[at.clone()].iter().zip(&mut self.sent[at]);
            for ((&now, sent), channel) in values.zip(self.region.channels.clone()) {
                if now != *sent {
                    emit(position, channel, now - *sent);
                    *sent = now;
                }
            }
        }
    }

    /// Sends everything and starts from zero again.
    pub fn emit_whole(&mut self, emit: Emit<S>) {
        self.emit_changes(emit);
        self.now.fill(S::default());
        self.sent.fill(S::default());
    }

    pub fn count_widths(&self, widths: &mut Widths) {
        self.now.iter().for_each(|sum| widths.add(sum.whole()));
    }
}

/// `sums[k] += factor · numbers[k]`.
#[inline(always)]
pub(super) fn add_row<S: Arithmetic, V: Sum<S>>(sums: &mut [V], factor: V, numbers: &[S]) {
    let pairs = sums.iter_mut().zip(numbers);
    if factor == V::ONE {
        pairs.for_each(|(sum, &number)| *sum += V::of(number));
    } else if factor == -V::ONE {
        pairs.for_each(|(sum, &number)| *sum -= V::of(number));
    } else {
        pairs.for_each(|(sum, &number)| *sum = sum.plus(factor, number));
    }
}

/// `sums[k · stride] += factor · numbers[k]`.
#[inline]
pub(super) fn add_column<S: Arithmetic>(sums: &mut [S], stride: usize, factor: S, numbers: &[S]) {
    for (sum, &number) in sums.iter_mut().step_by(stride).zip(numbers) {
        *sum = sum.plus(factor, number);
    }
}
