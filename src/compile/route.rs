//! The ways of spikes: for each slice its distinct sets of destinations, and for each set the trees of routers.

use super::fan_out::FanOut;
use crate::hardware::{Multicast, Noc, Topology};
use crate::program::{Route, Slice, Tree, TreeNode};
use crate::units::{RouteId, SliceId, TileId};
use crate::ways::Ways;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Every route, slice by slice in the order of first use, and for each slice the route of each of its neurons. Neurons with
/// the same destinations share a route, as many as one can name.
pub(super) fn routes(
    topology: &Topology,
    slices: &[Slice],
    stage_slices: &[Range<u32>],
    fan_outs: &[FanOut],
) -> (Vec<Route>, Vec<Vec<RouteId>>) {
    let units = topology.units();
    let tile_of = |slice: SliceId| units[slices[slice.index()].unit.index()].tile;
    let mut routes: Vec<Route> = vec![];
    let mut route_of = vec![];
    for (slice, source) in slices.iter().zip((0..).map(SliceId)) {
        let fan_out = &fan_outs[slice.stage.index()];
        // for each set the route in use, and how many more neurons it can name
        let mut known: BTreeMap<u32, (RouteId, u64)> = BTreeMap::new();
        let mut of_slice = Vec::with_capacity(slice.region.neurons());
        for class in slice.region.regions().iter().flat_map(|region| fan_out.classes(region)) {
            let (route, left) = known.entry(class).or_insert((RouteId(0), 0));
            if *left == 0 {
                let readers = fan_out.sets[class as usize].iter();
                let ids = readers.map(|(stage, index)| SliceId(stage_slices[stage.index()].start + index));
                let destinations: Vec<SliceId> = ids.collect();
                let trees = trees(topology, tile_of(source), &destinations, tile_of);
                *left = if destinations.is_empty() { u64::MAX } else { named(&topology.noc) };
                *route = RouteId::at(routes.len());
                routes.push(Route { source, destinations, trees });
            }
            *left -= 1;
            of_slice.push(*route);
        }
        route_of.push(of_slice);
    }
    (routes, route_of)
}

/// How many neurons one route can name: a packet says which of them has fired, in `noc.position_bits`.
pub(super) fn named(noc: &Noc) -> u64 {
    1u64.checked_shl(noc.position_bits).unwrap_or(u64::MAX)
}

/// Enters in each slice whom it sends to and who sends to it, in order.
pub(super) fn connect(slices: &mut [Slice], routes: &[Route]) {
    let pairs = routes.iter().flat_map(|route| route.destinations.iter().map(|to| (route.source, *to)));
    for (from, to) in pairs.collect::<BTreeSet<_>>() {
        slices[from.index()].destinations.push(to);
        slices[to.index()].sources.push(from);
    }
}

/// The trees of a packet from a tile to several slices.
pub(super) fn trees(
    topology: &Topology,
    from: TileId,
    to: &[SliceId],
    tile_of: impl Fn(SliceId) -> TileId,
) -> Vec<Tree> {
    let tree = |slices: &[SliceId]| {
        let mut tree = Tree { nodes: vec![TreeNode { tile: from, next: [None; 4], local: vec![] }] };
        for &slice in slices {
            tree.extend(topology, tile_of(slice), slice);
        }
        tree
    };
    match topology.noc.multicast {
        Multicast::Unicast => to.iter().map(|&slice| tree(&[slice])).collect(),
        Multicast::Tree if to.is_empty() => vec![],
        Multicast::Tree => vec![tree(to)],
    }
}

/// The way of a packet from one tile to a slice on another.
pub(super) fn way(topology: &Topology, from: TileId, to: TileId, slice: SliceId) -> Tree {
    let mut tree = Tree { nodes: vec![TreeNode { tile: from, next: [None; 4], local: vec![] }] };
    tree.extend(topology, to, slice);
    tree
}

impl Tree {
    /// Adds the way to a slice on `tile`: along one dimension and then the other, over the routers that are there already.
    ///
    /// All ways from one router turn once, from the same dimension to the other, so they share their first part and never
    /// meet again: no link is in a tree twice.
    fn extend(&mut self, topology: &Topology, tile: TileId, slice: SliceId) {
        let (ways, mut node) = (Ways::over(topology), 0);
        while let Some(direction) = ways.toward(self.nodes[node].tile, tile) {
            let Some(beside) = ways.beside(self.nodes[node].tile, direction) else { break };
            let next = self.nodes[node].next[direction as usize].unwrap_or_else(|| {
                let next = self.nodes.len() as u32;
                self.nodes.push(TreeNode { tile: beside, next: [None; 4], local: vec![] });
                self.nodes[node].next[direction as usize] = Some(next);
                next
            });
            node = next as usize;
        }
        self.nodes[node].local.push(slice);
    }
}
