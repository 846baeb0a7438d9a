//! The inner loops in the widest instructions that the processor has. Each is written in plain Rust as well, and all give
//! the same bytes: sums of whole numbers that wrap do not depend on their order.

mod aligned;
mod byte_tables;
mod counts;
mod fire;
mod heads;
#[cfg(target_arch = "x86_64")]
mod left;
mod lists;
mod look_up;
mod pairs;
mod product;
mod raster;
mod reached;
#[cfg(target_arch = "x86_64")]
mod registers;
mod rows;
mod scatter;
mod shares;
mod signs;
#[cfg(target_arch = "x86_64")]
mod states;
mod thresholds;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod weighed;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use aligned::Aligned;
pub(super) use byte_tables::{ByteTables, Found};
pub(super) use counts::{Changes, CountProducts, Shape};
pub(super) use fire::{Course, Courses, Inflow, Numbers, Signed};
pub(super) use heads::HeadProduct;
pub(super) use lists::{Lists, MOST_INPUTS};
pub(super) use look_up::Table;
pub(super) use pairs::{Pairs, Strip};
pub(super) use product::{Inputs, Packed, Row, Width, push_words};
pub(super) use raster::{Done, Marks, Raster};
pub(super) use reached::{Reached, Row as WordRow, Sent, WORDS};
pub(super) use rows::{BURST, Bundle, List, Rows};
pub(super) use scatter::{Fired, Scatter};
pub(super) use shares::{BLOCK, Block, MOST_ROWS, Scale, Shares};
pub(super) use signs::{Signs, Spread, WORD, count_rows, list, mark, spread};
pub(super) use thresholds::Thresholds;

/// Columns of a register; rows of sums are padded to a multiple of it.
pub(super) const LANES: usize = 16;

/// An instruction set that loops are written for, and that this processor has: there is no other way to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// AVX-512 with products of bytes (VNNI) and bytes put side by side (VBMI, VBMI2): Ice Lake, Zen 4, and later.
    Avx512,
    /// AVX2.
    Avx2,
    /// What every processor has.
    Plain,
}

impl Level {
    /// The widest that this processor has.
    pub fn best() -> Self {
        Self::all().next().unwrap_or(Self(Set::Plain))
    }

    /// How many products of bytes are computed in the time in which a row of a single spike brings one weight, about; none
    /// where products take longer.
    pub fn products_for_weight(self) -> usize {
        match self.0 {
            Set::Avx512 => 3,
            Set::Avx2 | Set::Plain => 0,
        }
    }

    /// Whether `spikes` in so many `lists` are added up as rows of bytes sooner than as products of pairs of numbers, of which there
    /// are `inputs` in all: in cycles for 128 columns, about, 3 for a row, 24 for a list, and 8 for a pair that is not of zeros.
    pub fn prefers_rows(self, (spikes, lists): (u64, u64), inputs: u64) -> bool {
        let some = spikes * (2 * inputs).saturating_sub(spikes) / (2 * inputs).max(1);
        self.0 == Set::Avx512 && spikes <= inputs && 3 * spikes + 24 * lists < 8 * some
    }

    /// All that this processor has, widest first.
    pub fn all() -> impl Iterator<Item = Self> {
        [Set::Avx512, Set::Avx2, Set::Plain].into_iter().filter(|set| set.is_there()).map(Self)
    }
}

impl Set {
    fn is_there(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx512vbmi2")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
                    && is_x86_feature_detected!("popcnt")
            }
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            Self::Plain => true,
        };
        #[cfg(not(target_arch = "x86_64"))]
        return self == Self::Plain;
    }
}
