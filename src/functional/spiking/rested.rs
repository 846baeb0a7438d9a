//! Widths over time, of values that come to rest one after the other.

use crate::trace::Widths;

/// Widths of the values of a stage, step by step.
#[derive(Debug, Default)]
pub(super) struct Rested {
    /// Widths of the values that were still watched in step `t`, at `t − 1`.
    by_step: Vec<Widths>,
    /// Widths of the values that did not change any more after step `t`, at `t`.
    after: Vec<Widths>,
}

impl Rested {
    /// Counts values as they stand in `step` (from 1).
    pub fn count<V: Copy + Into<i64>>(&mut self, step: u32, values: &[V]) {
        let step = step as usize;
        self.by_step.resize_with(self.by_step.len().max(step), Widths::default);
        values.iter().for_each(|&value| self.by_step[step - 1].add(value.into()));
    }

    /// Counts values that stay as they are in all steps after `step`.
    pub fn rest<V: Copy + Into<i64>>(&mut self, step: u32, values: &[V]) {
        let step = step as usize;
        self.after.resize_with(self.after.len().max(step + 1), Widths::default);
        values.iter().for_each(|&value| self.after[step].add(value.into()));
    }

    /// Over the first `steps` steps.
    pub fn over(&self, steps: u32) -> Widths {
        let mut sum = Widths::default();
        self.by_step.iter().take(steps as usize).for_each(|widths| sum.merge(widths));
        for (step, widths) in (0..steps).zip(&self.after) {
            let times = u64::from(steps - step);
            sum.0.iter_mut().zip(widths.0).for_each(|(sum, count)| *sum += times * count);
        }
        sum
    }
}
