//! Who may be able to move something: outputs or sources, one bit each.

use super::wiring::bits64;

/// A set of small numbers that is gone through word by word, without looking at words that are empty.
#[derive(Debug, Clone)]
pub(super) struct Awake {
    words: Vec<u64>,
    /// The words with anything in them, one bit each.
    filled: Vec<u64>,
    /// Whether any may be: not where nobody has woken since all was taken.
    some: bool,
}

impl Awake {
    pub fn new(len: usize) -> Self {
        let words = len.div_ceil(64);
        Self { words: vec![0; words], filled: vec![0; words.div_ceil(64)], some: false }
    }

    #[inline]
    pub fn wake(&mut self, index: usize) {
        self.wake_all(index / 64, 1 << (index % 64));
    }

    /// Adds numbers of one word.
    #[inline]
    pub fn wake_all(&mut self, word: usize, bits: u64) {
        self.words[word] |= bits;
        self.filled[word / 64] |= 1 << (word % 64);
        self.some = true;
    }

    /// Begins to take all out: how many groups of 64 words there are.
    #[inline]
    pub fn begin(&mut self) -> usize {
        self.some = false;
        self.filled.len()
    }

    /// Takes the words out of a group that have anything in them, one bit each: they are to be taken themselves.
    #[inline]
    pub fn take_group(&mut self, group: usize) -> u64 {
        std::mem::take(&mut self.filled[group])
    }

    /// Takes out all of one word.
    #[inline]
    pub fn take(&mut self, word: usize) -> u64 {
        std::mem::take(&mut self.words[word])
    }

    #[inline]
    pub fn any(&self) -> bool {
        self.some && self.filled.iter().any(|&group| group != 0)
    }
}

/// The units that packets reach in one cycle, at most one each, whichever comes first: they are told in their order.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    units: Awake,
    /// The packet of each of them.
    tags: Vec<u32>,
}

impl Reached {
    pub fn new(units: usize) -> Self {
        Self { units: Awake::new(units), tags: vec![0; units] }
    }

    #[inline]
    pub fn mark(&mut self, unit: usize, tag: u32) {
        self.units.wake(unit);
        self.tags[unit] = tag;
    }

    /// Takes all of them out, in order.
    #[inline]
    pub fn drain(&mut self, mut each: impl FnMut(usize, u32)) {
        for group in 0..self.units.begin() {
            for word in bits64(self.units.take_group(group)) {
                let word = group * 64 + word as usize;
                for unit in bits64(self.units.take(word)) {
                    let unit = word * 64 + unit as usize;
                    each(unit, self.tags[unit]);
                }
            }
        }
    }
}
