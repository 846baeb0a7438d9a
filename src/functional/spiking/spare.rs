//! Memory that one image leaves to the next: so that it need not come from the system each time, and is in the caches.

use super::linear::Stream;
use super::train::Memory;
use crate::functional::Values;
use crate::functional::lanes::{Aligned, CountProducts, Level, Shape};
use crate::units::StageId;

/// Memory that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Spare {
    words: Vec<Memory<i16>>,
    counts: Vec<Aligned>,
    /// Values of an earlier image that nobody needs any more: of all stages, and of the one that runs.
    outcome: Vec<Values>,
    stage: Values,
    /// What was injected.
    pub pixels: Vec<i32>,
    /// Products of attentions.
    pub scores: Option<CountProducts>,
    pub contexts: Option<CountProducts>,
    /// What stages of a linear layer send together.
    pub stream: Option<Stream>,
    /// What was scattered.
    pub scattered: Aligned,
}

impl Spare {
    /// Products of scores of a shape; `None` where counts of such a one are not multiplied.
    pub fn take_scores(&mut self, level: Level, shape: Shape) -> Option<CountProducts> {
        let kept = self.scores.take().filter(|product| product.shape() == shape);
        kept.or_else(|| CountProducts::scores(level, shape))
    }

    /// Products of contexts, likewise.
    pub fn take_contexts(&mut self, level: Level, shape: Shape) -> Option<CountProducts> {
        let kept = self.contexts.take().filter(|product| product.shape() == shape);
        kept.or_else(|| CountProducts::context(level, shape))
    }

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

    /// Takes the values of an outcome back.
    pub fn give_outcome(&mut self, values: Vec<Values>) {
        self.outcome = values;
    }

    /// From now on the stage with a number runs.
    pub fn begin(&mut self, stage: StageId) {
        self.stage = self.outcome.get_mut(stage.index()).map(std::mem::take).unwrap_or_default();
    }

    /// Memory for the values of the stage.
    pub fn values(&mut self) -> Values {
        std::mem::take(&mut self.stage)
    }

    /// `count` zeros, to become values of the stage from 0 to `most`.
    pub fn rest(&mut self, count: usize, most: u32) -> Values {
        self.values().rest(count, most)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_kept_for_their_shape_alone() {
        let (level, shape) = (Level::best(), Shape { heads: 2, width: 32, queries: 4, keys: 32 });
        let other = Shape { heads: 1, width: 64, ..shape };
        let mut spare = Spare::default();
        for wanted in [shape, shape, other] {
            let [scores, contexts] = [spare.take_scores(level, wanted), spare.take_contexts(level, wanted)];
            assert_eq!(
                [&scores, &contexts].map(|product| product.as_ref().map(CountProducts::shape)),
                [Some(wanted); 2]
            );
            (spare.scores, spare.contexts) = (scores, contexts);
        }
    }

    #[test]
    fn numbers_that_come_back_are_zeros_again() {
        let mut spare = Spare::default();
        let mut numbers = spare.zeros(40);
        numbers.fill(7);
        spare.give_numbers(numbers);
        assert_eq!(spare.zeros(20)[..20], [0; 20]);
    }
}
