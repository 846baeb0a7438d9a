//! When a neuron fires: the two rules, and what they leave behind.

use crate::graph::NeuronRule;

use super::arithmetic::Sum;

/// The potential below which a signed neuron takes a spike back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NegativeThreshold {
    /// Fires −1 at `V < 0`: every settled neuron then holds exactly the quantised activation.
    Zero,
    /// Fires −1 at `V ≤ −θ`, as published code does: some counts stay one too high for ever.
    Symmetric,
}

/// The spike that a signed neuron fires, −1, 0 or +1: at most `limit` more positive ones than negative ones in all.
#[inline]
pub fn signed<S, V: Sum<S>>(potential: V, threshold: V, count: i32, limit: i32, negative: NegativeThreshold) -> i8 {
    let below = match negative {
        NegativeThreshold::Zero => potential < V::default(),
        NegativeThreshold::Symmetric => potential <= -threshold,
    };
    i8::from(potential >= threshold && count < limit) - i8::from(below && count > 0)
}

/// The spike that a plain neuron fires, 0 or 1.
#[inline]
pub fn plain<S, V: Sum<S>>(potential: V, threshold: V) -> i8 {
    i8::from(potential > threshold)
}

/// The potential that a neuron starts from.
pub fn start<S, V: Sum<S>>(rule: NeuronRule, threshold: V) -> V {
    match rule {
        NeuronRule::Signed => threshold.half(),
        NeuronRule::Plain => V::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NegativeThreshold::{Symmetric, Zero};

    #[test]
    fn signed_neurons_stay_between_their_bounds() {
        let fire = |potential: i32, count, negative| signed::<i32, i32>(potential, 10, count, 4, negative);
        assert_eq!([fire(10, 0, Zero), fire(9, 0, Zero), fire(10, 4, Zero)], [1, 0, 0]);
        assert_eq!([fire(-1, 1, Zero), fire(0, 1, Zero), fire(-1, 0, Zero)], [-1, 0, 0]);
        assert_eq!([fire(-10, 1, Symmetric), fire(-9, 1, Symmetric), fire(-10, 0, Symmetric)], [-1, 0, 0]);
    }

    #[test]
    fn plain_neurons_fire_above_their_threshold_only() {
        assert_eq!([plain::<i32, i32>(10, 10), plain::<i32, i32>(11, 10), plain::<i32, i32>(-11, 10)], [0, 1, 0]);
        assert_eq!([start::<i32, i32>(NeuronRule::Signed, 11), start::<i32, i32>(NeuronRule::Plain, 11)], [5, 0]);
    }
}
