//! Constants of a chip as tables: each with its key, sentence and range, declared once.

/// What a constant may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// A whole number from the first to the second, both included.
    Whole(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
}

/// One constant of a section.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Key in the file; ends in its unit where it has one.
    pub key: &'static str,
    /// What it is, in a sentence.
    pub sentence: &'static str,
    /// What it may be.
    pub range: Range,
}

/// A table of constants. Values pass as numbers; a word is its index in [`Range::Word`].
pub trait Section: Sized {
    /// Where the section stands in the file, such as `topology.mesh`.
    const PATH: &'static str;
    /// The constants, in the order of the file.
    const FIELDS: &'static [Field];
    /// Makes the section from one value for each field, each within its range.
    fn from_values(values: &[u64]) -> Self;
    /// The value of each field.
    fn values(&self) -> Vec<u64>;
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every choice.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The words for them in a hardware description.
            pub const KEYS: &'static [&'static str] = &[$($key),*];

            /// The word in files and reports.
            #[must_use]
            pub fn key(self) -> &'static str {
                Self::KEYS[self as usize]
            }
        }

        impl Value for $name {
            fn from_value(value: u64) -> Self {
                Self::ALL[value as usize]
            }
            fn value(self) -> u64 {
                self as u64
            }
        }
    };
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident in $path:literal { $($key:ident: $kind:ty, $range:expr, $sentence:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name { $(#[doc = $sentence] pub $key: $kind,)* }

        impl Section for $name {
            const PATH: &'static str = $path;
            const FIELDS: &'static [Field] = &[
                $(Field { key: stringify!($key), sentence: $sentence, range: $range },)*
            ];
            fn from_values(values: &[u64]) -> Self {
                let mut values = values.iter();
                Self { $($key: Value::from_value(*values.next().expect("one value for each field")),)* }
            }
            fn values(&self) -> Vec<u64> {
                vec![$(Value::value(self.$key)),*]
            }
        }
    };
}

/// A constant as it passes through a [`Section`].
pub(crate) trait Value: Copy {
    fn from_value(value: u64) -> Self;
    fn value(self) -> u64;
}

impl Value for u32 {
    fn from_value(value: u64) -> Self {
        value as Self
    }
    fn value(self) -> u64 {
        u64::from(self)
    }
}

impl Value for u64 {
    fn from_value(value: u64) -> Self {
        value
    }
    fn value(self) -> u64 {
        self
    }
}

pub(crate) use {choice, section};
