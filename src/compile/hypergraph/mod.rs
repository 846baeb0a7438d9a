//! Multilevel partitioning of a hypergraph under hard capacities: the sum over nets of weight · (parts that it touches − 1).
//!
//! Coarsening by heavy connections, several seeded beginnings on the coarsest graph, refinement on the way back: Karypis,
//! Aggarwal, Kumar and Shekhar, Multilevel hypergraph partitioning, IEEE TVLSI 1999; moves and their gains: Fiduccia and
//! Mattheyses, A linear-time heuristic for improving network partitions, DAC 1982; several parts by halves, then moves
//! between all of them: Sanchis, Multiple-way network partitioning, IEEE TC 1989.

mod coarsen;
mod halves;
mod parts;

pub use parts::{connectivity, partition};

pub(super) use halves::bisect;

/// How many kinds of capacity there are.
pub const KINDS: usize = crate::hardware::UnitKind::ALL.len();
/// What a vertex takes of each capacity.
pub type Weight = [u32; KINDS];

/// Vertices with weights, and nets that join any number of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hypergraph {
    /// What each vertex takes.
    pub weights: Vec<Weight>,
    /// The vertices of each net, in order and each once, and what it costs to cut it.
    pub nets: Vec<(Vec<u32>, u64)>,
}

impl Hypergraph {
    /// Nets of each vertex.
    pub(super) fn incidence(&self) -> Vec<Vec<u32>> {
        let mut nets_of = vec![vec![]; self.weights.len()];
        for ((pins, _), net) in self.nets.iter().zip(0..) {
            pins.iter().for_each(|&pin| nets_of[pin as usize].push(net));
        }
        nets_of
    }

    /// The part of the graph that these vertices and the nets among them are.
    pub(super) fn induced(&self, vertices: &[u32]) -> Self {
        let mut place = vec![u32::MAX; self.weights.len()];
        vertices.iter().zip(0..).for_each(|(&vertex, at)| place[vertex as usize] = at);
        let inside = |(pins, cost): &(Vec<u32>, u64)| {
            let pins: Vec<u32> = pins.iter().map(|&pin| place[pin as usize]).filter(|at| *at != u32::MAX).collect();
            (pins.len() > 1).then_some((pins, *cost))
        };
        Self {
            weights: vertices.iter().map(|&vertex| self.weights[vertex as usize]).collect(),
            nets: self.nets.iter().filter_map(inside).collect(),
        }
    }
}

/// Adds a weight to a load.
pub(super) fn put(load: &mut Weight, weight: &Weight) {
    load.iter_mut().zip(weight).for_each(|(load, weight)| *load += weight);
}

/// Takes a weight from a load.
pub(super) fn take(load: &mut Weight, weight: &Weight) {
    load.iter_mut().zip(weight).for_each(|(load, weight)| *load -= weight);
}

/// Whether a capacity has room for a weight beside a load.
pub(super) fn has_room(load: &Weight, weight: &Weight, capacity: &Weight) -> bool {
    (0..KINDS).all(|kind| load[kind] + weight[kind] <= capacity[kind])
}
