//! What can be seen of a router from outside.

use super::Mesh;
use crate::units::TileId;

impl Mesh<'_> {
    /// Flits that have left a router so far by each of its outputs: east, west, south, north, then the units of its tile.
    #[must_use]
    pub fn output_flits(&self, tile: TileId) -> Vec<u64> {
        self.flits[self.wiring.ports_of(tile.index())].to_vec()
    }

    /// Flits that have been sent toward a router so far: by its neighbours in the east, west, south and north, then by the
    /// units of its tile; none at the edge of the mesh.
    #[must_use]
    pub fn input_flits(&self, tile: TileId) -> Vec<u64> {
        let sent = |port: usize| self.flits.get(self.wiring.upstream(port)).copied().unwrap_or(0);
        self.wiring.ports_of(tile.index()).map(sent).collect()
    }
}
