//! The regions of a stage's slices, and which of them a spike's area touches.

use crate::units::{Grid, Region};
use std::collections::BTreeSet;
use std::ops::Range;

/// The regions that a stage is cut into, each value in exactly one.
#[derive(Debug, Clone)]
pub(super) struct Tiling {
    /// The regions, in order of their first position and channel.
    pub(super) regions: Vec<Region>,
    bands: Bands,
    /// For each pair of bands, positions outermost, the slice that covers it.
    cells: Vec<u32>,
}

/// What keeps regions from being a tiling.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Flaws {
    /// Parts of the grid that no region covers.
    pub(super) gaps: Vec<Region>,
    /// Pairs of regions that have values in common, by index.
    pub(super) overlaps: BTreeSet<(u32, u32)>,
}

/// The finest grid of cells that no region cuts.
#[derive(Debug, Clone)]
struct Bands {
    positions: Vec<u32>,
    channels: Vec<u32>,
}

const NOBODY: u32 = u32::MAX;

impl Tiling {
    /// The tiling of `grid` by `regions`, each of them inside the grid and not empty.
    ///
    /// # Errors
    /// If a value of the grid is in no region, or in two.
    pub(super) fn new(grid: Grid, regions: Vec<Region>) -> Result<Self, Flaws> {
        let bands = Bands::new(grid, &regions);
        let mut cells = vec![NOBODY; (bands.positions.len() - 1) * (bands.channels.len() - 1)];
        let mut flaws = Flaws::default();
        for (region, index) in regions.iter().zip(0..) {
            for cell in bands.touched(region) {
                if cells[cell] == NOBODY {
                    cells[cell] = index;
                } else {
                    flaws.overlaps.insert((cells[cell], index));
                }
            }
        }
        flaws.gaps = bands.gaps(&cells);
        if flaws == Flaws::default() { Ok(Self { regions, bands, cells }) } else { Err(flaws) }
    }

    /// The grid as a single region.
    pub(super) fn whole(grid: Grid) -> Self {
        let regions = vec![grid.whole()];
        let bands = Bands::new(grid, &regions);
        Self { regions, bands, cells: vec![0] }
    }

    /// The same tiling where region `n` is part of slice `slices[n]`; each is a slice of its own otherwise.
    pub(super) fn joined(mut self, slices: &[u32]) -> Self {
        self.cells.iter_mut().for_each(|cell| *cell = slices[*cell as usize]);
        self
    }

    /// The end of the channels from `channel` on that no region cuts.
    pub(super) fn uncut(&self, channel: u32) -> u32 {
        let cuts = &self.bands.channels;
        cuts.get(cuts.partition_point(|&cut| cut <= channel)).copied().unwrap_or(u32::MAX)
    }

    /// Indices of the slices that have values of `area`; one may come several times.
    pub(super) fn touched(&self, area: &Region) -> impl Iterator<Item = u32> {
        self.bands.touched(area).map(|cell| self.cells[cell])
    }
}

impl Bands {
    fn new(grid: Grid, regions: &[Region]) -> Self {
        let cuts = |whole: Range<u32>, ranges: &mut dyn Iterator<Item = Range<u32>>| {
            let ends: BTreeSet<u32> = ranges.chain([whole]).flat_map(|range| [range.start, range.end]).collect();
            ends.into_iter().collect()
        };
        let whole = grid.whole();
        Self {
            positions: cuts(whole.positions, &mut regions.iter().map(|region| region.positions.clone())),
            channels: cuts(whole.channels, &mut regions.iter().map(|region| region.channels.clone())),
        }
    }

    fn touched(&self, area: &Region) -> impl Iterator<Item = usize> + use<> {
        let among = |cuts: &[u32], range: &Range<u32>| {
            cuts.partition_point(|&cut| cut <= range.start) - 1..cuts.partition_point(|&cut| cut < range.end)
        };
        let (rows, columns) = (among(&self.positions, &area.positions), among(&self.channels, &area.channels));
        let width = self.channels.len() - 1;
        rows.flat_map(move |row| columns.clone().map(move |column| row * width + column))
    }

    /// The cells that nobody covers, neighbours taken together along the channels and then along the positions.
    fn gaps(&self, cells: &[u32]) -> Vec<Region> {
        let mut gaps: Vec<Region> = vec![];
        for (row, positions) in cells.chunks(self.channels.len() - 1).zip(self.positions.windows(2)) {
            let mut column = 0;
            while let Some(start) = row.iter().skip(column).position(|&cell| cell == NOBODY).map(|at| column + at) {
                let length = row[start..].iter().take_while(|&&cell| cell == NOBODY).count();
                column = start + length;
                let channels = self.channels[start]..self.channels[column];
                match gaps.iter_mut().find(|gap| gap.positions.end == positions[0] && gap.channels == channels) {
                    Some(above) => above.positions.end = positions[1],
                    None => gaps.push(Region { positions: positions[0]..positions[1], channels }),
                }
            }
        }
        gaps
    }
}
