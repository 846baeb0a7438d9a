//! Potentials of signed neurons in registers of 512 bits, as numbers of 32 bits or of 16.

#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline are used where the processor was asked for them only, and registers are loaded \
              inside slices whose lengths are looked at just before"
)]

use super::Thresholds;
use super::thresholds::SMALL;
use std::arch::x86_64::*;

/// Registers of neurons.
pub(super) struct States<R, const C: usize> {
    thresholds: [__m512i; C],
    potentials: [__m512i; C],
    /// What potentials would be without resets: higher by threshold times count. It may wrap.
    arrived: [__m512i; C],
    /// Threshold times the largest count.
    most: [__m512i; C],
    extremes: R,
}

/// How a register holds numbers of neurons. Its functions are those of instructions, to be used where the processor has them only.
pub(super) trait Register: Copy {
    /// Neurons of a register.
    const LANES: usize;
    /// Nothing that does not fit.
    fn new() -> Self;
    /// Notes potentials before anybody fires.
    fn note(self, potential: __m512i) -> Self;
    /// Whether all potentials that were noted are what they should be.
    fn fits(self) -> bool;
    /// Thresholds from a channel on, and what they are reset by at most.
    fn thresholds(of: &Thresholds, first: usize) -> [__m512i; 2];
    /// The first biases; `None` where one is too large.
    fn bias(of: &[i32]) -> Option<__m512i>;
    fn half(one: __m512i) -> __m512i;
    fn plus(one: __m512i, other: __m512i) -> __m512i;
    fn minus(one: __m512i, other: __m512i) -> __m512i;
    /// A potential after what arrives.
    fn arrive(potential: __m512i, number: __m512i) -> __m512i;
    fn reaches(one: __m512i, other: __m512i) -> u64;
    fn is_below(one: __m512i, other: __m512i) -> u64;
    fn is_negative(one: __m512i) -> u64;
    fn differs(one: __m512i, other: __m512i) -> u64;
    /// Less another number where bits say so, or more.
    fn reset(one: __m512i, there: u64, other: __m512i) -> __m512i;
    fn restore(one: __m512i, there: u64, other: __m512i) -> __m512i;
    /// The potential below which a symmetric neuron takes a spike back.
    fn lowest(threshold: __m512i) -> __m512i;
}

/// Numbers that a register reads as its own.
pub(super) trait Reads<N>: Register {
    /// A register of them from one on.
    ///
    /// # Safety
    /// As many as it has lanes have to be there.
    unsafe fn numbers(from: *const N) -> __m512i;
}

impl<R: Register, const C: usize> States<R, C> {
    /// Neurons of each register from a channel on.
    #[inline(always)]
    pub fn at_rest(of: &Thresholds, channels: [usize; C]) -> Self {
        let mut states = Self {
            thresholds: [zero(); C],
            potentials: [zero(); C],
            arrived: [zero(); C],
            most: [zero(); C],
            extremes: R::new(),
        };
        for (c, channel) in channels.into_iter().enumerate() {
            [states.thresholds[c], states.most[c]] = R::thresholds(of, channel);
            states.potentials[c] = R::half(states.thresholds[c]);
        }
        states.arrived = states.potentials;
        states
    }

    /// Adds what arrives.
    #[inline(always)]
    pub fn add(&mut self, numbers: [__m512i; C]) {
        for (c, number) in numbers.into_iter().enumerate() {
            self.arrived[c] = R::plus(self.arrived[c], number);
            self.potentials[c] = R::arrive(self.potentials[c], number);
        }
    }

    /// Fires those that do; gives bits of the positive spikes and of the negative ones. `FULL` where some may have fired as
    /// often as they can.
    #[inline(always)]
    pub fn fire<const FULL: bool>(&mut self, symmetric: bool) -> (u64, u64) {
        let (mut plus, mut minus) = (0, 0);
        for c in 0..C {
            let (threshold, potential, arrived) = (self.thresholds[c], self.potentials[c], self.arrived[c]);
            self.extremes = self.extremes.note(potential);
            let mut up = R::reaches(potential, threshold);
            if FULL {
                up &= R::is_below(R::minus(arrived, potential), self.most[c]);
            }
            let below =
                if symmetric { R::is_below(potential, R::lowest(threshold)) } else { R::is_negative(potential) };
            // counts are never negative
            let down = below & R::differs(arrived, potential);
            self.potentials[c] = R::restore(R::reset(potential, up, threshold), down, threshold);
            plus |= up << (c * R::LANES);
            minus |= down << (c * R::LANES);
        }
        (plus, minus)
    }

    /// Whether potentials are what they should be.
    #[inline(always)]
    pub fn fit(&self) -> bool {
        self.extremes.fits()
    }
}

#[inline(always)]
fn zero() -> __m512i {
    // SAFETY: whoever uses registers has the instruction
    unsafe { _mm512_setzero_si512() }
}

/// Numbers of 32 bits, which hold whatever neurons come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers;

/// Words of 16 bits, which hold potentials as long as none of them comes near their ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    lowest: __m512i,
    highest: __m512i,
}

/// Potentials stay between minus this and it, so that a bias below [`SMALL`] does not lead beyond a word; what else arrives stops at
/// its ends.
const FAR: i16 = 3 * SMALL as i16 - 1;

// SAFETY of all below: the caller has the instructions, and a register is loaded from as many numbers
impl Register for Numbers {
    const LANES: usize = 16;

    #[inline(always)]
    fn new() -> Self {
        Self
    }
    #[inline(always)]
    fn note(self, _: __m512i) -> Self {
        self
    }
    #[inline(always)]
    fn fits(self) -> bool {
        true
    }
    #[inline(always)]
    fn thresholds(of: &Thresholds, first: usize) -> [__m512i; 2] {
        let (all, most) = (&of.all()[first..][..Self::LANES], &of.most()[first..][..Self::LANES]);
        unsafe { [<Self as Reads<i32>>::numbers(all.as_ptr()), <Self as Reads<i32>>::numbers(most.as_ptr())] }
    }
    #[inline(always)]
    fn bias(of: &[i32]) -> Option<__m512i> {
        Some(unsafe { <Self as Reads<i32>>::numbers(of[..Self::LANES].as_ptr()) })
    }
    #[inline(always)]
    fn half(one: __m512i) -> __m512i {
        unsafe { _mm512_srai_epi32::<1>(one) }
    }
    #[inline(always)]
    fn plus(one: __m512i, other: __m512i) -> __m512i {
        unsafe { _mm512_add_epi32(one, other) }
    }
    #[inline(always)]
    fn minus(one: __m512i, other: __m512i) -> __m512i {
        unsafe { _mm512_sub_epi32(one, other) }
    }
    #[inline(always)]
    fn arrive(potential: __m512i, number: __m512i) -> __m512i {
        unsafe { _mm512_add_epi32(potential, number) }
    }
    #[inline(always)]
    fn reaches(one: __m512i, other: __m512i) -> u64 {
        unsafe { _mm512_cmpge_epi32_mask(one, other) }.into()
    }
    #[inline(always)]
    fn is_below(one: __m512i, other: __m512i) -> u64 {
        unsafe { _mm512_cmplt_epi32_mask(one, other) }.into()
    }
    #[inline(always)]
    fn is_negative(one: __m512i) -> u64 {
        unsafe { _mm512_movepi32_mask(one) }.into()
    }
    #[inline(always)]
    fn differs(one: __m512i, other: __m512i) -> u64 {
        unsafe { _mm512_cmpneq_epi32_mask(one, other) }.into()
    }
    #[inline(always)]
    fn reset(one: __m512i, there: u64, other: __m512i) -> __m512i {
        unsafe { _mm512_mask_sub_epi32(one, there as u16, one, other) }
    }
    #[inline(always)]
    fn restore(one: __m512i, there: u64, other: __m512i) -> __m512i {
        unsafe { _mm512_mask_add_epi32(one, there as u16, one, other) }
    }
    #[inline(always)]
    fn lowest(threshold: __m512i) -> __m512i {
        unsafe { _mm512_sub_epi32(_mm512_set1_epi32(1), threshold) }
    }
}

impl Reads<i32> for Numbers {
    #[inline(always)]
    unsafe fn numbers(from: *const i32) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
}

impl Reads<i16> for Numbers {
    #[inline(always)]
    unsafe fn numbers(from: *const i16) -> __m512i {
        unsafe { _mm512_cvtepi16_epi32(_mm256_loadu_si256(from.cast())) }
    }
}

impl Register for Words {
    const LANES: usize = 32;

    #[inline(always)]
    fn new() -> Self {
        Self { lowest: zero(), highest: zero() }
    }
    #[inline(always)]
    fn note(self, potential: __m512i) -> Self {
        let Self { lowest, highest } = self;
        unsafe { Self { lowest: _mm512_min_epi16(lowest, potential), highest: _mm512_max_epi16(highest, potential) } }
    }
    #[inline(always)]
    fn fits(self) -> bool {
        let Self { lowest, highest } = self;
        unsafe {
            let far = _mm512_cmpgt_epi16_mask(highest, _mm512_set1_epi16(FAR));
            (far | _mm512_cmplt_epi16_mask(lowest, _mm512_set1_epi16(-FAR))) == 0
        }
    }
    #[inline(always)]
    fn thresholds(of: &Thresholds, first: usize) -> [__m512i; 2] {
        let [all, most] = of.words().unwrap_or_default();
        let (all, most) = (&all[first..][..Self::LANES], &most[first..][..Self::LANES]);
        unsafe { [Self::numbers(all.as_ptr()), Self::numbers(most.as_ptr())] }
    }
    #[inline(always)]
    fn bias(of: &[i32]) -> Option<__m512i> {
        let (first, second) = of[..Self::LANES].split_at(Self::LANES / 2);
        unsafe {
            let low = _mm512_cvtsepi32_epi16(_mm512_loadu_si512(first.as_ptr().cast()));
            let high = _mm512_cvtsepi32_epi16(_mm512_loadu_si512(second.as_ptr().cast()));
            let bias = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
            let large = _mm512_cmpge_epu16_mask(_mm512_abs_epi16(bias), _mm512_set1_epi16(SMALL as i16));
            if large == 0 { Some(bias) } else { None }
        }
    }
    #[inline(always)]
    fn half(one: __m512i) -> __m512i {
        unsafe { _mm512_srai_epi16::<1>(one) }
    }
    #[inline(always)]
    fn plus(one: __m512i, other: __m512i) -> __m512i {
        unsafe { _mm512_add_epi16(one, other) }
    }
    #[inline(always)]
    fn minus(one: __m512i, other: __m512i) -> __m512i {
        unsafe { _mm512_sub_epi16(one, other) }
    }
    #[inline(always)]
    fn arrive(potential: __m512i, number: __m512i) -> __m512i {
        unsafe { _mm512_adds_epi16(potential, number) }
    }
    #[inline(always)]
    fn reaches(one: __m512i, other: __m512i) -> u64 {
        unsafe { _mm512_cmpge_epi16_mask(one, other) }.into()
    }
    #[inline(always)]
    fn is_below(one: __m512i, other: __m512i) -> u64 {
        unsafe { _mm512_cmplt_epi16_mask(one, other) }.into()
    }
    #[inline(always)]
    fn is_negative(one: __m512i) -> u64 {
        unsafe { _mm512_movepi16_mask(one) }.into()
    }
    #[inline(always)]
    fn differs(one: __m512i, other: __m512i) -> u64 {
        unsafe { _mm512_cmpneq_epi16_mask(one, other) }.into()
    }
    #[inline(always)]
    fn reset(one: __m512i, there: u64, other: __m512i) -> __m512i {
        unsafe { _mm512_mask_sub_epi16(one, there as u32, one, other) }
    }
    #[inline(always)]
    fn restore(one: __m512i, there: u64, other: __m512i) -> __m512i {
        unsafe { _mm512_mask_add_epi16(one, there as u32, one, other) }
    }
    #[inline(always)]
    fn lowest(threshold: __m512i) -> __m512i {
        unsafe { _mm512_sub_epi16(_mm512_set1_epi16(1), threshold) }
    }
}

impl Reads<i16> for Words {
    #[inline(always)]
    unsafe fn numbers(from: *const i16) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
}
