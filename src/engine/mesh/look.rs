//! What can be seen of a router from outside.

use super::{Mesh, SIDES};
use crate::units::TileId;

impl Mesh<'_> {
    /// Flits that have left a router so far by each of its outputs: north, east, south, west, then the units of its tile.
    #[must_use]
    pub fn output_flits(&self, tile: TileId) -> Vec<u64> {
        let ports = self.wiring.first_port[tile.index()] as usize..self.wiring.first_port[tile.index() + 1] as usize;
        self.channels[ports].iter().map(|channel| channel.flits).collect()
    }

    /// Flits that have been sent toward a router so far: by its neighbours in the north, east, south and west, then by the
    /// units of its tile; none at the edge of the mesh.
    #[must_use]
    pub fn input_flits(&self, tile: TileId) -> Vec<u64> {
        let router = tile.index();
        let (first, end) = (self.wiring.first_port[router], self.wiring.first_port[router + 1]);
        let sent = |port: u32| {
            let at_edge = port - first < SIDES && self.wiring.behind[port as usize] == super::NOTHING;
            if at_edge { 0 } else { self.channels[self.wiring.upstream(port as usize)].flits }
        };
        (first..end).map(sent).collect()
    }
}
