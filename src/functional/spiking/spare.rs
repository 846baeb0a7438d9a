//! Memory that one image leaves to the next: so that it need not come from the system each time, and is in the caches.

use super::linear::Stream;
use super::train::Memory;
use crate::functional::lanes::{Aligned, CountProducts};

/// Memory that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Spare {
    words: Vec<Memory<i16>>,
    counts: Vec<Aligned>,
    /// Products of attentions.
    pub scores: Option<CountProducts>,
    pub contexts: Option<CountProducts>,
    /// What stages of a linear layer send together.
    pub stream: Option<Stream>,
    /// What was scattered.
    pub scattered: Aligned,
}

impl Spare {
    /// So many numbers or more, which are zero.
    pub fn zeros(&mut self, count: usize) -> Aligned {
        let mut zeros = self.counts.pop().unwrap_or_default();
        zeros.make_room(count);
        zeros[..count].fill(0);
        zeros
    }

    /// Takes numbers back.
    pub fn give_numbers(&mut self, numbers: Aligned) {
        self.counts.push(numbers);
    }

    /// Memory for words.
    pub fn take(&mut self) -> Memory<i16> {
        self.words.pop().unwrap_or_default()
    }

    /// Takes words back.
    pub fn give(&mut self, words: Memory<i16>) {
        if !words.is_empty() {
            self.words.push(words);
        }
    }
}
