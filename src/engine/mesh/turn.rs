//! Which of the next cycles bring anything, one bit each.

use crate::units::Cycle;

/// Cycles of a turn, after which places are used again.
pub(super) const TURN: Cycle = 128;

/// The cycles of a turn from now on that bring anything.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turn(u128);

impl Turn {
    /// A cycle brings something.
    #[inline]
    pub fn fill(&mut self, at: Cycle) {
        self.0 |= 1 << (at % TURN);
    }

    /// All that a cycle brings has been taken.
    #[inline]
    pub fn empty(&mut self, at: Cycle) {
        self.0 &= !(1 << (at % TURN));
    }

    /// The first cycle after `now` that brings anything; the end of time if there is none.
    #[inline]
    pub fn first(self, now: Cycle) -> Cycle {
        let ahead = self.0.rotate_right(((now + 1) % TURN) as u32).trailing_zeros();
        if self.0 == 0 { Cycle::MAX } else { now + 1 + Cycle::from(ahead) }
    }
}
