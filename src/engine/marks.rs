//! Which neurons of a core, or vectors of a softmax unit, changed in a step.

use std::ops::Range;

/// A set of small numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    /// An empty set of numbers below `len`.
    pub fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    /// Adds all of `range`.
    pub fn add(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end {
            let (word, from) = (at / 64, at % 64);
            let bits = (range.end - at).min(64 - from);
            self.0[word] |= (u64::MAX >> (64 - bits)) << from;
            at += bits;
        }
    }

    /// How many are in it.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// How many are below `number`.
    pub fn rank(&self, number: usize) -> u64 {
        let below = self.0[number / 64] & !(u64::MAX << (number % 64));
        u64::from(below.count_ones())
            + self.0[..number / 64].iter().map(|word| u64::from(word.count_ones())).sum::<u64>()
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_across_words_are_counted_and_ranked() {
        let mut marks = Marks::new(200);
        marks.add(3..5);
        marks.add(60..130);
        marks.add(4..61);
        assert_eq!(marks.count(), 127);
        assert_eq!((marks.rank(3), marks.rank(4), marks.rank(130), marks.rank(64)), (0, 1, 127, 61));
        marks.clear();
        assert_eq!(marks.count(), 0);
    }
}
