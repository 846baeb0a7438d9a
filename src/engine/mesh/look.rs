//! What can be seen of a router from outside.

use super::{Mesh, NOTHING, SIDES};
use crate::units::TileId;

impl Mesh<'_> {
    /// Flits that have left a router so far by each of its outputs: north, east, south, west, then the units of its tile.
    #[must_use]
    pub fn output_flits(&self, tile: TileId) -> Vec<u64> {
        let router = &self.routers[tile.index()];
        self.flits[router.first_port as usize..][..usize::from(router.ports)].to_vec()
    }

    /// Flits that have been sent toward a router so far: by its neighbours in the north, east, south and west, then by the
    /// units of its tile; none at the edge of the mesh.
    #[must_use]
    pub fn input_flits(&self, tile: TileId) -> Vec<u64> {
        let router = &self.routers[tile.index()];
        let sent = |side: u32| {
            let port = (router.first_port + side) as usize;
            let at_edge = side < SIDES && self.wiring.behind[port] == NOTHING;
            if at_edge { 0 } else { self.flits[self.wiring.upstream(port)] }
        };
        (0..u32::from(router.ports)).map(sent).collect()
    }
}
