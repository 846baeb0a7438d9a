//! Who sends to whom, as far as the graph alone says; and which links what is sent passes.

use super::fan_out::FanOut;
use super::partition::Partition;
use super::route::{trees, way};
use super::tiling::Tiling;
use crate::graph::Graph;
use crate::hardware::Topology;
use crate::program::{Direction, Flow, LinkLoads, Program, Traffic, Tree};
use crate::units::{SliceId, StageId};
use std::collections::BTreeMap;

/// The traffic of one time step in which every neuron fires once, in packets of one spike and without tokens: what can be
/// said without having seen a spike.
#[must_use]
pub fn even_traffic(graph: &Graph<i32>, partition: &Partition) -> Traffic {
    let starts: Vec<u32> =
        partition.iter().scan(0, |sum, regions| Some(std::mem::replace(sum, *sum + regions.len() as u32))).collect();
    let tilings =
        graph.stages.iter().zip(partition).map(|(stage, regions)| {
            Tiling::new(stage.grid, regions.clone()).unwrap_or_else(|_| Tiling::whole(stage.grid))
        });
    let tilings: Vec<Tiling> = tilings.collect();
    let mut traffic = Traffic::default();
    for (stage, regions) in partition.iter().enumerate() {
        let fan_out = FanOut::new(graph, StageId::at(stage), &tilings);
        for (region, source) in regions.iter().zip(starts[stage]..) {
            let mut spikes: BTreeMap<u32, u64> = BTreeMap::new();
            fan_out.classes(region).for_each(|class| *spikes.entry(class).or_default() += 1);
            for (class, flits) in spikes {
                let readers = fan_out.sets[class as usize].iter();
                let destinations = readers.map(|(reader, index)| SliceId(starts[reader.index()] + index)).collect();
                traffic.flows.push(Flow { source: SliceId(source), destinations, flits });
            }
        }
    }
    traffic
}

/// What each link carries of `traffic`, with the slices of `program` where they are.
#[must_use]
pub fn link_loads(program: &Program, topology: &Topology, traffic: &Traffic) -> LinkLoads {
    let mut flits = vec![0; topology.mesh.tiles() * Direction::ALL.len()];
    let units = topology.units();
    let tile = |slice: SliceId| units[program.slices[slice.index()].unit.index()].tile;
    for flow in &traffic.flows {
        let trees = trees(topology, tile(flow.source), &flow.destinations, tile);
        trees.iter().for_each(|tree| pass(tree, flow.flits, &mut flits));
    }
    for (from, to) in traffic.neighbours() {
        for (from, to) in [(from, to), (to, from)] {
            pass(&way(topology, tile(from), tile(to), to), traffic.control, &mut flits);
        }
    }
    LinkLoads { flits }
}

fn pass(tree: &Tree, count: u64, flits: &mut [u64]) {
    for node in &tree.nodes {
        let links = Direction::ALL.into_iter().filter(|direction| node.next[*direction as usize].is_some());
        links.for_each(|link| flits[node.tile.index() * Direction::ALL.len() + link as usize] += count);
    }
}
