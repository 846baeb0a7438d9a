//! Which neurons of a core, or vectors of a softmax unit, changed in a step.

use std::ops::Range;

/// A set of small numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks(Vec<u64>);

/// Some numbers of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Patch {
    /// Which 64 numbers, and which of them.
    pub word: u32,
    pub bits: u64,
}

impl Patch {
    /// The numbers of `range`, appended to those of `patches` from `first` on.
    pub fn append(range: Range<u32>, first: usize, patches: &mut Vec<Self>) {
        let mut at = range.start;
        while at < range.end {
            let (word, from) = (at / 64, at % 64);
            let count = (range.end - at).min(64 - from);
            let bits = (u64::MAX >> (64 - count)) << from;
            match patches[first..].iter_mut().find(|patch| patch.word == word) {
                Some(patch) => patch.bits |= bits,
                None => patches.push(Self { word, bits }),
            }
            at += count;
        }
    }
}

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

    /// Adds some numbers.
    #[inline]
    pub fn add_word(&mut self, patch: &Patch) {
        self.0[patch.word as usize] |= patch.bits;
    }

    /// Adds the numbers from `first` on that have a bit in `bits`.
    #[inline]
    pub fn add_bits(&mut self, first: usize, bits: u64) {
        let (word, shift) = (first / 64, first % 64);
        self.0[word] |= bits << shift;
        if shift > 0 && bits >> (64 - shift) != 0 {
            self.0[word + 1] |= bits >> (64 - shift);
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
        let mut patches = vec![];
        [3..5, 60..130, 4..61].into_iter().for_each(|range| Patch::append(range, 0, &mut patches));
        assert_eq!(patches.len(), 3);
        patches.iter().for_each(|patch| marks.add_word(patch));
        assert_eq!((marks.count(), marks.rank(130)), (127, 127));
        marks.clear();
        marks.add_bits(62, 0b1011);
        assert_eq!((marks.count(), marks.rank(62), marks.rank(64), marks.rank(66)), (3, 0, 2, 3));
    }
}
