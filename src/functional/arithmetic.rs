//! The whole numbers that a spiking graph is run in, narrow and wide.

use super::softmax::{FixedSoftmax, Normalise};
use crate::graph::Input;
use crate::units::Number;
use std::fmt::Debug;
use std::ops::{AddAssign, Neg, Sub, SubAssign};

/// A sum of products of numbers `S`: a membrane potential, a score, a context.
pub trait Sum<S>:
    Copy
    + Default
    + PartialEq
    + PartialOrd
    + Debug
    + Send
    + Sync
    + Sub<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + 'static
{
    /// One.
    const ONE: Self;
    /// The number as a sum.
    fn of(number: S) -> Self;
    /// Half of it, rounded down where it is a whole number.
    #[must_use]
    fn half(self) -> Self;
    /// `self + factor · number`. Whole numbers wrap: the bounds of a run say why none ever has to.
    #[must_use]
    fn plus(self, factor: Self, number: S) -> Self;
    /// A spike count.
    fn count(spikes: i32) -> Self;
    /// Its whole part, of which widths are counted.
    fn whole(self) -> i64;
    /// The sum with this whole part, which fits, and nothing behind it.
    fn of_whole(whole: i64) -> Self;
}

/// The numbers that a spiking graph can be run in.
pub trait Arithmetic: Number + Sum<Self> + Into<Self::Wide> {
    /// What holds every sum, however wide.
    type Wide: Sum<Self>;
    /// How scores become probabilities.
    type Softmax: Normalise<Self>;
    /// Whether a graded spike of this size, in either direction, fits into a number.
    fn fits(size: f64) -> bool;
    /// Its size, for bounds.
    fn size(self) -> f64;
    /// A signed spike as a number.
    fn spike(sign: i8) -> Self;
    /// A normalised pixel as the number that is injected.
    fn pixel(normalised: f32, input: &Input) -> Self;
    /// The numbers as whole numbers, if that is what they are.
    fn integers(numbers: Vec<Self>) -> Option<Vec<i32>>;
    /// A potential of the readout as a logit.
    fn logit(potential: Self::Wide, scale: f32) -> f32;
}

macro_rules! whole_sum {
    ($sum:ty) => {
        impl Sum<i32> for $sum {
            const ONE: Self = 1;
            #[inline]
            fn of(number: i32) -> Self {
                number.into()
            }
            #[inline]
            fn half(self) -> Self {
                self >> 1
            }
            #[inline]
            fn plus(self, factor: Self, number: i32) -> Self {
                self.wrapping_add(factor.wrapping_mul(Self::from(number)))
            }
            #[inline]
            fn count(spikes: i32) -> Self {
                spikes.into()
            }
            #[inline]
            fn whole(self) -> i64 {
                self.into()
            }
            #[inline]
            fn of_whole(whole: i64) -> Self {
                whole as Self
            }
        }
    };
}
whole_sum!(i32);
whole_sum!(i64);

impl Arithmetic for i32 {
    type Wide = i64;
    type Softmax = FixedSoftmax;
    fn fits(size: f64) -> bool {
        size <= f64::from(Self::MAX)
    }
    #[inline]
    fn size(self) -> f64 {
        f64::from(self).abs()
    }
    #[inline]
    fn spike(sign: i8) -> Self {
        sign.into()
    }
    fn pixel(normalised: f32, input: &Input) -> Self {
        let limit = 2f32.powi(input.bits as i32 - 1);
        (normalised * 2f32.powi(input.fraction_bits as i32)).round().clamp(-limit, limit - 1.0) as Self
    }
    fn integers(numbers: Vec<Self>) -> Option<Vec<i32>> {
        Some(numbers)
    }
    #[inline]
    fn logit(potential: i64, scale: f32) -> f32 {
        (potential as f64 * f64::from(scale)) as f32
    }
}
