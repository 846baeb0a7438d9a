//! What the stages of a network hold.

use multiversion::multiversion;

/// The values of a stage, in the order of its grid, in numbers that hold every value it can have.
#[derive(Debug, Clone)]
pub enum Values {
    /// Spike counts and their maxima, where T is below 128.
    Bytes(Vec<u8>),
    /// Scores, shares and contexts that fit into 16 bits.
    Words(Vec<i16>),
    /// Whatever fits into 32 bits.
    Narrow(Vec<i32>),
    /// Anything else.
    Wide(Vec<i64>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Narrow(vec![])
    }
}

impl Values {
    /// Room for `count` whole numbers from 0 to `most`.
    pub(super) fn counts(count: usize, most: u32) -> Self {
        if most <= i8::MAX as u32 {
            Self::Bytes(Vec::with_capacity(count))
        } else {
            Self::Narrow(Vec::with_capacity(count))
        }
    }

    /// `count` zeros, to become whole numbers from 0 to `most`, in the memory of other values.
    pub(super) fn rest(self, count: usize, most: u32) -> Self {
        if most <= i8::MAX as u32 {
            let mut zeros = if let Self::Bytes(bytes) = self { bytes } else { vec![] };
            zeros.clear();
            zeros.resize(count, 0);
            Self::Bytes(zeros)
        } else {
            Self::Narrow(vec![0; count])
        }
    }

    /// Memory for words: that of these values, if they are words.
    pub(super) fn into_words(self) -> Vec<i16> {
        if let Self::Words(words) = self { words } else { vec![] }
    }

    /// Puts values, which fit, from `first` on.
    #[inline(always)]
    pub(super) fn put<N: Copy + Into<i32>>(&mut self, first: usize, values: &[N]) {
        match self {
            Self::Bytes(all) => all[first..].iter_mut().zip(values).for_each(|(to, &value)| *to = value.into() as u8),
            Self::Words(all) => all[first..].iter_mut().zip(values).for_each(|(to, &value)| *to = value.into() as i16),
            Self::Narrow(all) => all[first..].iter_mut().zip(values).for_each(|(to, &value)| *to = value.into()),
            Self::Wide(all) => all[first..].iter_mut().zip(values).for_each(|(to, &value)| *to = value.into().into()),
        }
    }

    /// Values in as few bits as they need.
    pub(super) fn of(values: Vec<i64>) -> Self {
        let narrow: Result<Vec<i32>, _> = values.iter().map(|&value| i32::try_from(value)).collect();
        narrow.map_or(Self::Wide(values), Self::Narrow)
    }

    /// Appends values, which fit.
    #[inline(always)]
    pub(super) fn extend<N: Copy + Into<i64>>(&mut self, values: &[N]) {
        match self {
            Self::Bytes(all) => all.extend(values.iter().map(|&value| value.into() as u8)),
            Self::Words(all) => all.extend(values.iter().map(|&value| value.into() as i16)),
            Self::Narrow(all) => all.extend(values.iter().map(|&value| value.into() as i32)),
            Self::Wide(all) => all.extend(values.iter().map(|&value| value.into())),
        }
    }

    /// One of them.
    #[must_use]
    pub fn at(&self, place: usize) -> i64 {
        match self {
            Self::Bytes(values) => values[place].into(),
            Self::Words(values) => values[place].into(),
            Self::Narrow(values) => values[place].into(),
            Self::Wide(values) => values[place],
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Words(values) => values.len(),
            Self::Narrow(values) => values.len(),
            Self::Wide(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The smallest and the largest of them and zero.
    pub(super) fn ends(&self) -> (f64, f64) {
        let narrow = |(low, high): (i32, i32)| (f64::from(low), f64::from(high));
        match self {
            Self::Bytes(values) => narrow(ends(values)),
            Self::Words(values) => narrow(ends(values)),
            Self::Narrow(values) => narrow(ends(values)),
            Self::Wide(values) => {
                values.iter().fold((0.0, 0.0), |(low, high), &v| (f64::min(low, v as f64), f64::max(high, v as f64)))
            }
        }
    }

    /// All of them, wide.
    #[must_use]
    pub fn to_vec(&self) -> Vec<i64> {
        match self {
            Self::Bytes(values) => values.iter().map(|&value| value.into()).collect(),
            Self::Words(values) => values.iter().map(|&value| value.into()).collect(),
            Self::Narrow(values) => values.iter().map(|&value| value.into()).collect(),
            Self::Wide(values) => values.clone(),
        }
    }

    /// How many stand in the same place in both.
    #[must_use]
    pub fn equal(&self, other: &Self) -> usize {
        match (self, other) {
            (Self::Bytes(own), Self::Bytes(other)) => equal(own, other),
            (Self::Narrow(own), Self::Narrow(other)) => equal(own, other),
            (Self::Words(words), Self::Narrow(wide)) | (Self::Narrow(wide), Self::Words(words)) => {
                words.iter().zip(wide).map(|(&word, &wide)| usize::from(i32::from(word) == wide)).sum()
            }
            (Self::Bytes(_) | Self::Words(_) | Self::Narrow(_) | Self::Wide(_), _) => {
                equal(&self.to_vec(), &other.to_vec())
            }
        }
    }
}

/// The smallest and the largest of numbers and zero.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn ends<N: Copy + Default + Ord + Into<i32>>(values: &[N]) -> (i32, i32) {
    let none = (N::default(), N::default());
    let (low, high) = values.iter().fold(none, |(low, high), &value| (low.min(value), high.max(value)));
    (low.into(), high.into())
}

fn equal<N: PartialEq>(own: &[N], other: &[N]) -> usize {
    own.iter().zip(other).map(|(own, other)| usize::from(own == other)).sum()
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.equal(other) == self.len()
    }
}

impl PartialEq<Vec<i64>> for Values {
    fn eq(&self, other: &Vec<i64>) -> bool {
        self.to_vec() == *other
    }
}
