//! Widths over time, of values that come to rest one after the other.

use crate::trace::Widths;

/// Widths of the values of a stage, over the steps up to T, and step by step beyond.
#[derive(Debug, Default)]
pub(super) struct Rested {
    /// T: no run has fewer steps.
    time_steps: u32,
    /// Widths of the values that were still watched in the steps up to T, at 0, and in step `T + t`, at `t`.
    by_step: Vec<Widths>,
    /// Widths of the values that did not change any more after step `t`, at `t`.
    after: Vec<Widths>,
}

impl Rested {
    /// Of nothing so far.
    pub fn new(time_steps: u32) -> Self {
        Self { time_steps, ..Self::default() }
    }

    /// Counts values as they stand in `step` (from 1).
    pub fn count<V: Copy + Into<i64>>(&mut self, step: u32, values: &[V]) {
        let beyond = step.saturating_sub(self.time_steps) as usize;
        self.by_step.resize_with(self.by_step.len().max(beyond + 1), Widths::default);
        self.by_step[beyond].add_all(values);
    }

    /// Counts values that stay as they are in all steps after `step`.
    pub fn rest<V: Copy + Into<i64>>(&mut self, step: u32, values: &[V]) {
        let step = step as usize;
        self.after.resize_with(self.after.len().max(step + 1), Widths::default);
        self.after[step].add_all(values);
    }

    /// Over the first `steps` steps, at least T.
    pub fn over(&self, steps: u32) -> Widths {
        let mut sum = Widths::default();
        let watched = steps.saturating_sub(self.time_steps) as usize + 1;
        self.by_step.iter().take(watched).for_each(|widths| sum.merge(widths));
        for (step, widths) in (0..steps).zip(&self.after) {
            let times = u64::from(steps - step);
            sum.0.iter_mut().zip(widths.0).for_each(|(sum, count)| *sum += times * count);
        }
        sum
    }
}
