//! Joining vertices that share heavy nets, pair by pair.

use super::{Hypergraph, KINDS, Weight};
use crate::random::Draws;
use std::collections::BTreeMap;

/// A smaller graph, and for each vertex of the finer one the vertex that it became part of.
pub(super) struct Level {
    pub graph: Hypergraph,
    pub part_of: Vec<u32>,
}

/// Joins each vertex with the one that it shares the most with; none heavier than `most`, and none of `fixed`.
pub(super) fn coarsen(graph: &Hypergraph, fixed: &[Option<bool>], most: &Weight, draws: &mut Draws) -> Level {
    let nets_of = graph.incidence();
    let vertices = graph.weights.len();
    let mut order: Vec<u32> = (0..vertices as u32).collect();
    draws.shuffle(&mut order);
    let mut part_of = vec![u32::MAX; vertices];
    let mut weights: Vec<Weight> = vec![];
    for vertex in order {
        if part_of[vertex as usize] != u32::MAX {
            continue;
        }
        let mate = mate(graph, &nets_of[vertex as usize], vertex, &part_of, fixed, most);
        part_of[vertex as usize] = weights.len() as u32;
        let mut weight = graph.weights[vertex as usize];
        if let Some(mate) = mate {
            part_of[mate as usize] = weights.len() as u32;
            super::put(&mut weight, &graph.weights[mate as usize]);
        }
        weights.push(weight);
    }
    Level { graph: Hypergraph { weights, nets: joined(graph, &part_of) }, part_of }
}

/// The free vertex that shares the most with `vertex`: the sum of cost / (pins − 1) over common nets, in 1/1024.
fn mate(
    graph: &Hypergraph,
    nets: &[u32],
    vertex: u32,
    part_of: &[u32],
    fixed: &[Option<bool>],
    most: &Weight,
) -> Option<u32> {
    if fixed[vertex as usize].is_some() {
        return None;
    }
    let mut shared: BTreeMap<u32, u64> = BTreeMap::new();
    for &net in nets {
        let (pins, cost) = &graph.nets[net as usize];
        let each = cost.saturating_mul(1024) / (pins.len() as u64 - 1);
        pins.iter().filter(|pin| **pin != vertex).for_each(|&pin| *shared.entry(pin).or_default() += each);
    }
    let fits = |other: u32| {
        let (a, b) = (&graph.weights[vertex as usize], &graph.weights[other as usize]);
        (0..KINDS).all(|kind| a[kind] + b[kind] <= most[kind])
    };
    let free = |other: u32| part_of[other as usize] == u32::MAX && fixed[other as usize].is_none() && fits(other);
    shared
        .into_iter()
        .filter(|(other, _)| free(*other))
        .max_by_key(|&(other, sum)| (sum, std::cmp::Reverse(other)))
        .map(|(other, _)| other)
}

/// The nets among the parts; those within one part are gone, equal ones are one.
fn joined(graph: &Hypergraph, part_of: &[u32]) -> Vec<(Vec<u32>, u64)> {
    let mut nets: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
    for (pins, cost) in &graph.nets {
        let mut pins: Vec<u32> = pins.iter().map(|&pin| part_of[pin as usize]).collect();
        pins.sort_unstable();
        pins.dedup();
        if pins.len() > 1 {
            *nets.entry(pins).or_default() += cost;
        }
    }
    nets.into_iter().collect()
}
