//! Quantities and ids: the ground floor that every other module stands on.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// Clock steps of the chip since the start of an image.
pub type Cycle = u64;

/// A number that can be weight, threshold or gain of a spiking graph: `i32` on a chip, `f32` in the published code.
pub trait Number: Copy + Default + PartialEq + PartialOrd + fmt::Debug + Send + Sync + 'static {}
impl Number for i32 {}
impl Number for f32 {}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The id as an index into the vector of its kind.
            #[must_use]
            #[inline]
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// The id of position `index` of the vector of its kind.
            #[must_use]
            pub fn at(index: usize) -> Self {
                Self(u32::try_from(index).expect("fewer than 2^32 of each kind"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }
    };
}

id!(
    /// A stage of the spiking graph.
    StageId, "stage "
);
id!(
    /// A slice: the part of a stage that sits on one unit.
    SliceId, "slice "
);
id!(
    /// A tile of the mesh, row by row: `y * columns + x`.
    TileId, "tile "
);
id!(
    /// A core or special unit: tiles in order, and the units of a tile in order.
    UnitId, "unit "
);
id!(
    /// A set of destinations shared by many neurons.
    RouteId, "route "
);

/// The shape of a stage: positions (pixels, tokens) row by row, channels innermost.
///
/// Neuron `(y, x, c)` has index `(y * width + x) * channels + c`. Tokens are positions; a flat vector is one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Rows of positions.
    pub height: u32,
    /// Positions in a row.
    pub width: u32,
    /// Channels of a position.
    pub channels: u32,
}

impl Grid {
    /// Number of positions.
    #[must_use]
    #[inline]
    pub fn positions(self) -> usize {
        self.height as usize * self.width as usize
    }

    /// Number of neurons (or values).
    #[must_use]
    #[inline]
    pub fn neurons(self) -> usize {
        self.positions() * self.channels as usize
    }

    /// The region that is the whole grid.
    #[must_use]
    pub fn whole(self) -> Region {
        Region { positions: 0..self.height * self.width, channels: 0..self.channels }
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.height, self.width, self.channels)
    }
}

/// A part of a grid: consecutive positions, and of each of them the same consecutive channels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region {
    /// Positions, row by row.
    pub positions: Range<u32>,
    /// Channels of each position.
    pub channels: Range<u32>,
}

impl Region {
    /// Number of neurons (or values) in the region.
    #[must_use]
    #[inline]
    pub fn neurons(&self) -> usize {
        self.positions.len() * self.channels.len()
    }

    /// Whether the region holds neuron `(position, channel)`.
    #[must_use]
    #[inline]
    pub fn contains(&self, position: u32, channel: u32) -> bool {
        self.positions.contains(&position) && self.channels.contains(&channel)
    }

    /// Index of `(position, channel)` within the region, positions outermost.
    #[must_use]
    #[inline]
    pub fn local(&self, position: u32, channel: u32) -> usize {
        (position - self.positions.start) as usize * self.channels.len() + (channel - self.channels.start) as usize
    }

    /// `(position, channel)` of index `local` within the region; inverse of [`Region::local`].
    #[must_use]
    #[inline]
    pub fn global(&self, local: usize) -> (u32, u32) {
        let channels = self.channels.len();
        (self.positions.start + (local / channels) as u32, self.channels.start + (local % channels) as u32)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "positions {}..{}, channels {}..{}",
            self.positions.start, self.positions.end, self.channels.start, self.channels.end
        )
    }
}

/// The part of a grid that one unit holds: one region, or several without a value in common, in order.
///
/// Its values are numbered region by region, within each as by [`Region::local`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Part(Vec<Region>);

impl Part {
    /// The part that consists of these regions.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn new(regions: Vec<Region>) -> Self {
        assert!(!regions.is_empty(), "a part has at least one region");
        Self(regions)
    }

    /// Its regions, in order.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.0
    }

    /// Number of neurons (or values).
    #[must_use]
    pub fn neurons(&self) -> usize {
        self.0.iter().map(Region::neurons).sum()
    }

    /// Whether it holds neuron `(position, channel)`.
    #[must_use]
    pub fn contains(&self, position: u32, channel: u32) -> bool {
        self.0.iter().any(|region| region.contains(position, channel))
    }

    /// The smallest region that holds all of it.
    #[must_use]
    pub fn bounds(&self) -> Region {
        let cover = |a: Range<u32>, b: &Range<u32>| a.start.min(b.start)..a.end.max(b.end);
        self.0[1..].iter().fold(self.0[0].clone(), |all, region| Region {
            positions: cover(all.positions, &region.positions),
            channels: cover(all.channels, &region.channels),
        })
    }

    /// Its regions, each with the number of its first value.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &Region)> {
        self.0.iter().scan(0, |next, region| {
            let first = *next;
            *next += region.neurons();
            Some((first, region))
        })
    }

    /// Index of `(position, channel)` within the part.
    ///
    /// # Panics
    /// If the part does not hold it.
    #[must_use]
    #[inline]
    pub fn local(&self, position: u32, channel: u32) -> usize {
        match &self.0[..] {
            [only] => only.local(position, channel),
            _ => {
                let holder = self.numbered().find(|(_, region)| region.contains(position, channel));
                let (first, region) = holder.expect("a part is asked for its own values only");
                first + region.local(position, channel)
            }
        }
    }

    /// `(position, channel)` of index `local` within the part; inverse of [`Part::local`].
    ///
    /// # Panics
    /// If the part has fewer values.
    #[must_use]
    pub fn global(&self, local: usize) -> (u32, u32) {
        let (first, region) = self
            .numbered()
            .find(|(first, region)| local < first + region.neurons())
            .expect("a part is asked for its own values only");
        region.global(local - first)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, region)| {
            let between = if at == 0 { "" } else { "; " };
            write!(f, "{between}{region}")
        })
    }
}

/// Energy in whole femtojoules (1e-15 J), so that sums over layers and over components agree exactly; stays at its largest
/// value, 18 kJ, once it is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Femtojoules(pub u64);

impl Femtojoules {
    /// The energy in microjoules, for people.
    #[must_use]
    pub fn microjoules(self) -> f64 {
        self.0 as f64 * 1e-9
    }
}

impl std::ops::Add for Femtojoules {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::AddAssign for Femtojoules {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::ops::Mul<u64> for Femtojoules {
    type Output = Self;
    fn mul(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl std::iter::Sum for Femtojoules {
    fn sum<I: Iterator<Item = Self>>(energies: I) -> Self {
        energies.fold(Self(0), std::ops::Add::add)
    }
}

/// A window that slides over the positions of a grid: of a convolution or a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Rows of the window.
    pub height: u32,
    /// Columns of the window.
    pub width: u32,
    /// Positions from one window to the next, both ways.
    pub stride: u32,
    /// Rows and columns of zeros added on every side.
    pub padding: u32,
}

impl Window {
    /// The window of one position: the map of a token-wise linear layer.
    pub const ONE: Self = Self { height: 1, width: 1, stride: 1, padding: 0 };

    /// The window that covers a whole grid.
    #[must_use]
    pub fn whole(grid: Grid) -> Self {
        Self { height: grid.height, width: grid.width, stride: 1, padding: 0 }
    }

    /// Positions under the window.
    #[must_use]
    pub fn area(self) -> u32 {
        self.height * self.width
    }

    /// Rows and columns of windows over `grid`, or `None` where not even one fits.
    #[must_use]
    pub fn output(self, grid: Grid) -> Option<(u32, u32)> {
        let along = |length: u32, window: u32| {
            let padded = length.checked_add(self.padding.checked_mul(2)?)?;
            Some(padded.checked_sub(window)?.checked_div(self.stride)? + 1)
        };
        Some((along(grid.height, self.height)?, along(grid.width, self.width)?))
    }

    /// Output positions whose window covers input position `(y, x)`, as `(output position, tap)` in order, where
    /// `tap = ky * width + kx` and `output` is [`Window::output`].
    pub fn covering(self, (y, x): (u32, u32), (rows, columns): (u32, u32)) -> impl Iterator<Item = (u32, u32)> {
        let along = move |at: u32, window: u32, count: u32| {
            (0..count).filter_map(move |o| {
                let tap = i64::from(at) + i64::from(self.padding) - i64::from(o) * i64::from(self.stride);
                (0 <= tap && tap < i64::from(window)).then_some((o, tap as u32))
            })
        };
        along(y, self.height, rows).flat_map(move |(oy, ky)| {
            along(x, self.width, columns).map(move |(ox, kx)| (oy * columns + ox, ky * self.width + kx))
        })
    }
}
