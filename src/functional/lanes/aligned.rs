//! Numbers that begin where a line of the cache does, so that no register of them lies in two lines.

#![allow(unsafe_code, reason = "registers are plain numbers, which the library that casts them has to be told")]

use super::LANES;

/// A register of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
struct Register([u32; LANES]);

// SAFETY: it is an array of numbers of 64 bytes, as many as it is aligned to, so that nothing lies between them
unsafe impl bytemuck::Zeroable for Register {}
// SAFETY: as above
unsafe impl bytemuck::Pod for Register {}

/// Numbers in whole registers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::functional) struct Aligned(Vec<Register>);

impl Aligned {
    /// `count` zeros, a multiple of those in a register.
    pub fn zeros(count: usize) -> Self {
        Self(vec![Register([0; LANES]); count / LANES])
    }

    /// Numbers, and behind them as many others as a whole register takes.
    pub fn filled(numbers: &[i32], behind: i32) -> Self {
        let mut all = Self(vec![Register([behind as u32; LANES]); numbers.len().div_ceil(LANES)]);
        all.signed_mut()[..numbers.len()].copy_from_slice(numbers);
        all
    }

    /// Makes room for so many numbers; those there are stay what they are.
    pub fn make_room(&mut self, count: usize) {
        self.0.resize(self.0.len().max(count.div_ceil(LANES)), Register([0; LANES]));
    }

    /// The same numbers with sign.
    #[inline]
    pub fn signed(&self) -> &[i32] {
        bytemuck::cast_slice(&self.0)
    }

    /// Words of 16 bits, two in each number.
    #[inline]
    pub fn words(&self) -> &[i16] {
        bytemuck::cast_slice(&self.0)
    }

    /// The same, to be changed.
    #[inline]
    pub fn words_mut(&mut self) -> &mut [i16] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    /// The same numbers, to be changed.
    #[inline]
    pub fn signed_mut(&mut self) -> &mut [i32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

impl std::ops::Deref for Aligned {
    type Target = [u32];
    #[inline]
    fn deref(&self) -> &[u32] {
        bytemuck::cast_slice(&self.0)
    }
}

impl std::ops::DerefMut for Aligned {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}
