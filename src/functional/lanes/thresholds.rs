//! Thresholds of signed neurons in whole registers.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "registers of 512 bits alone read all of it"))]

use super::{Aligned, LANES};

/// Thresholds up to here leave room in a word for the potential of a neuron, and for as large a bias: see [`Thresholds::words`].
pub(in crate::functional) const SMALL: i32 = 1 << 13;

/// Thresholds of the channels of a position; behind the last one what never fires.
#[derive(Debug, Clone)]
pub(in crate::functional) struct Thresholds {
    all: Aligned,
    /// Each times the limit.
    most: Aligned,
    /// Both in words of 16 bits.
    words: Option<[Aligned; 2]>,
    /// Whether all of them are positive.
    usual: bool,
    /// Most positive spikes beyond the negative ones.
    limit: u32,
}

impl Thresholds {
    /// Of neurons that fire no more than `limit` spikes beyond those they take back.
    pub fn new(thresholds: &[i32], limit: u32) -> Self {
        let all = Aligned::filled(thresholds, i32::MAX);
        let mut most = all.clone();
        most.signed_mut().iter_mut().for_each(|most| *most = most.wrapping_mul(limit as i32));
        let small = |&threshold: &i32| {
            (1..SMALL).contains(&threshold) && i64::from(threshold) * i64::from(limit) <= i16::MAX.into()
        };
        let word = |number: &i32| (*number).min(i16::MAX.into()) as i16;
        let words = |numbers: &Aligned| {
            let mut words = Aligned::zeros(numbers.len().div_ceil(2 * LANES) * LANES);
            words.words_mut().fill(i16::MAX);
            words.words_mut().iter_mut().zip(numbers.signed()).for_each(|(to, number)| *to = word(number));
            words
        };
        let small = thresholds.iter().all(small).then(|| [words(&all), words(&most)]);
        let usual = thresholds.iter().all(|&threshold| threshold > 0);
        Self { all, most, words: small, usual, limit }
    }

    /// In whole registers, behind the last one `i32::MAX`.
    pub fn all(&self) -> &[i32] {
        self.all.signed()
    }

    /// What potentials are reset by in all once a neuron has fired as often as it can, likewise.
    pub(super) fn most(&self) -> &[i32] {
        self.most.signed()
    }

    /// Both as words in whole registers, where all are positive and below [`SMALL`], and words hold what potentials are reset by in
    /// all. Then no potential that lies within three such steps of zero leaves a word before something larger than a bias
    /// arrives.
    pub(super) fn words(&self) -> Option<[&[i16]; 2]> {
        self.words.as_ref().map(|words| [words[0].words(), words[1].words()])
    }

    /// Whether all of them are positive.
    pub(super) fn are_usual(&self) -> bool {
        self.usual
    }

    /// Most positive spikes beyond the negative ones.
    pub fn limit(&self) -> u32 {
        self.limit
    }
}
