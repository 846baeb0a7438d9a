//! Who may be able to move something: routers or sources, one bit each.

/// A set of small numbers that is gone through word by word.
#[derive(Debug, Clone)]
pub(super) struct Awake(Vec<u64>);

impl Awake {
    pub fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    #[inline]
    pub fn wake(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    #[inline]
    pub fn wake_all(&mut self, word: usize, bits: u64) {
        self.0[word] |= bits;
    }

    pub fn words(&self) -> usize {
        self.0.len()
    }

    /// Takes out all of one word.
    #[inline]
    pub fn take(&mut self, word: usize) -> u64 {
        std::mem::take(&mut self.0[word])
    }

    pub fn any(&self) -> bool {
        self.0.iter().any(|&word| word != 0)
    }
}
