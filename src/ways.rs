//! How a packet finds its way: dimension-order routing over the tiles of a chip.

use crate::hardware::{Direction, Mesh, Routing, Shape, Topology};
use crate::units::TileId;

/// Dimension-order routing over a mesh or torus of tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    mesh: Mesh,
    shape: Shape,
    routing: Routing,
}

impl Ways {
    /// How packets find their way over this mesh.
    #[must_use]
    pub fn over(topology: &Topology) -> Self {
        Self { mesh: topology.mesh, shape: topology.noc.shape, routing: topology.noc.routing }
    }

    /// Where a packet leaves the router of one tile on its way to another; none where it has arrived. On a torus it takes
    /// the shorter way round, and of two equal ones the one to the east or south.
    #[must_use]
    pub fn toward(self, from: TileId, to: TileId) -> Option<Direction> {
        let ((x, y), (to_x, to_y)) = (self.mesh.place(from), self.mesh.place(to));
        let horizontal = match self.along(x, to_x, self.mesh.columns) {
            0 => None,
            east if east > 0 => Some(Direction::East),
            _ => Some(Direction::West),
        };
        let vertical = match self.along(y, to_y, self.mesh.rows) {
            0 => None,
            south if south > 0 => Some(Direction::South),
            _ => Some(Direction::North),
        };
        match self.routing {
            Routing::Xy => horizontal.or(vertical),
            Routing::Yx => vertical.or(horizontal),
        }
    }

    fn along(self, from: u32, to: u32, count: u32) -> i64 {
        let (straight, count) = (i64::from(to) - i64::from(from), i64::from(count));
        match self.shape {
            Shape::Torus if 2 * straight > count => straight - count,
            Shape::Torus if 2 * straight <= -count => straight + count,
            Shape::Torus | Shape::Mesh => straight,
        }
    }

    /// Column and row of a tile.
    #[must_use]
    pub fn place(self, tile: TileId) -> (u32, u32) {
        self.mesh.place(tile)
    }

    fn tile(self, (x, y): (u32, u32)) -> TileId {
        TileId(y * self.mesh.columns + x)
    }

    /// The tile on a side of another; none beyond the edge of a mesh, or where a ring of one tile would lead back to it.
    #[must_use]
    pub fn beside(self, tile: TileId, side: Direction) -> Option<TileId> {
        let (x, y) = self.mesh.place(tile);
        let step = |at: u32, count: u32, up: bool| match (self.closes(tile, side), up) {
            (false, true) => Some(at + 1),
            (false, false) => Some(at - 1),
            (true, _) if self.shape == Shape::Mesh || count == 1 => None,
            (true, true) => Some(0),
            (true, false) => Some(count - 1),
        };
        let (x, y) = match side {
            Direction::North => (x, step(y, self.mesh.rows, false)?),
            Direction::East => (step(x, self.mesh.columns, true)?, y),
            Direction::South => (x, step(y, self.mesh.rows, true)?),
            Direction::West => (step(x, self.mesh.columns, false)?, y),
        };
        Some(self.tile((x, y)))
    }

    /// Whether a side of a tile is at the edge of the drawing: on a torus, the link there closes its ring.
    #[must_use]
    pub fn closes(self, tile: TileId, side: Direction) -> bool {
        let (x, y) = self.mesh.place(tile);
        match side {
            Direction::North => y == 0,
            Direction::East => x + 1 == self.mesh.columns,
            Direction::South => y + 1 == self.mesh.rows,
            Direction::West => x == 0,
        }
    }

    /// Whether a packet that leaves a tile by `side` for another still has a closing link before it, in this dimension, when
    /// it is in the next router.
    #[must_use]
    pub fn closing_ahead(self, from: TileId, side: Direction, to: TileId) -> bool {
        let Some(next) = self.beside(from, side).filter(|_| self.shape == Shape::Torus) else { return false };
        let ((x, y), (to_x, to_y)) = (self.mesh.place(next), self.mesh.place(to));
        match side {
            Direction::North => y < to_y,
            Direction::East => x > to_x,
            Direction::South => y > to_y,
            Direction::West => x < to_x,
        }
    }
}
