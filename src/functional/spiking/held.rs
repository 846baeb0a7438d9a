//! What neurons hold on the way, for those who begin a run in its middle.

use super::Ran;
use crate::functional::Values;
use std::num::NonZeroU32;
use std::ops::Range;

/// What the neurons of a stage, or a readout, hold once they have fired in a step, in the order of its grid.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Held {
    /// Membrane potentials.
    pub potentials: Values,
    /// Positive minus negative spikes so far; none of plain neurons, which fire as often as they may.
    pub counts: Values,
}

/// When it is to be noted what neurons hold.
#[derive(Debug)]
pub(super) struct Holding {
    each: u32,
    nth: usize,
    times: usize,
}

impl Holding {
    /// At the end of every `each` steps of so many, after which all stays as it is.
    #[inline(always)]
    pub fn new(each: Option<NonZeroU32>, steps: u32) -> Self {
        let times = each.map_or(0, |each| steps.div_ceil(each.get()) as usize);
        Self { each: each.map_or(0, NonZeroU32::get), nth: 0, times }
    }

    /// For which time it is due at the end of a step, none of which may be left out.
    #[inline(always)]
    pub fn due(&mut self, step: u32) -> Option<usize> {
        let due = self.nth < self.times && u64::from(step) == u64::from(self.each) * (self.nth as u64 + 1);
        self.nth += usize::from(due);
        due.then(|| self.nth - 1)
    }

    /// The times that are not due before the neurons have come to rest.
    #[inline(always)]
    pub fn left(self) -> Range<usize> {
        self.nth..self.times
    }
}

impl Ran {
    /// Notes what the next neurons hold for the `nth` time.
    #[inline(always)]
    pub fn hold<V: Copy + Into<i64>>(&mut self, nth: usize, potentials: &[V], counts: Option<&[i32]>) {
        if self.held.len() == nth {
            let narrow = size_of::<V>() == size_of::<i32>();
            let potentials = if narrow { Values::Narrow(vec![]) } else { Values::Wide(vec![]) };
            self.held.push(Held { potentials, counts: Values::default() });
        }
        let held = &mut self.held[nth];
        held.potentials.extend(potentials);
        if let Some(counts) = counts {
            held.counts.extend(counts);
        }
    }
}
