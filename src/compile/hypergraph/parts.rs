//! Any number of parts: by halves, and then by moves between all of them.

use super::{Hypergraph, KINDS, Weight, bisect, has_room, put, take};
use crate::random::Draws;

/// Rounds of moves between all parts.
const ROUNDS: usize = 16;

/// The sum over nets of cost · (parts that the net touches − 1).
#[must_use]
pub fn connectivity(graph: &Hypergraph, parts: &[u32]) -> u64 {
    let touched = |pins: &[u32]| {
        let mut touched: Vec<u32> = pins.iter().map(|&pin| parts[pin as usize]).collect();
        touched.sort_unstable();
        touched.dedup();
        touched.len() as u64
    };
    graph.nets.iter().map(|(pins, cost)| cost * touched(pins).saturating_sub(1)).sum()
}

/// The part of each vertex, of `parts` parts of one capacity; the best of `starts` attempts. `None` if none fits.
#[must_use]
pub fn partition(graph: &Hypergraph, parts: u32, capacity: &Weight, seed: u64, starts: u32) -> Option<Vec<u32>> {
    let mut best: Option<(u64, Vec<u32>)> = None;
    let mut draws = Draws::new(seed);
    for _ in 0..starts {
        let mut found = vec![0; graph.weights.len()];
        let vertices: Vec<u32> = (0..graph.weights.len() as u32).collect();
        if halve(graph, &vertices, 0, parts, capacity, &mut draws, &mut found).is_some() {
            improve(graph, parts, capacity, &mut found);
            let cut = connectivity(graph, &found);
            if best.as_ref().is_none_or(|(least, _)| cut < *least) {
                best = Some((cut, found));
            }
        }
    }
    best.map(|(_, parts)| parts)
}

fn halve(
    graph: &Hypergraph,
    vertices: &[u32],
    first: u32,
    parts: u32,
    capacity: &Weight,
    draws: &mut Draws,
    found: &mut [u32],
) -> Option<()> {
    if parts == 1 {
        vertices.iter().for_each(|&vertex| found[vertex as usize] = first);
        return Some(());
    }
    let halves = [parts / 2, parts - parts / 2];
    let part = graph.induced(vertices);
    let room = halves.map(|parts| capacity.map(|capacity| capacity * parts));
    let sides = bisect(&part, &vec![None; vertices.len()], &room, draws)?;
    for (side, first, parts) in [(false, first, halves[0]), (true, first + halves[0], halves[1])] {
        let of_side: Vec<u32> = vertices.iter().zip(&sides).filter(|(_, s)| **s == side).map(|(v, _)| *v).collect();
        halve(graph, &of_side, first, parts, capacity, draws, found)?;
    }
    Some(())
}

/// Moves single vertices to the part where the connectivity falls most, until none does.
fn improve(graph: &Hypergraph, parts: u32, capacity: &Weight, found: &mut [u32]) {
    let nets_of = graph.incidence();
    let mut load = vec![[0; KINDS]; parts as usize];
    graph.weights.iter().zip(&*found).for_each(|(weight, &part)| put(&mut load[part as usize], weight));
    let mut pins = vec![vec![0_u32; parts as usize]; graph.nets.len()];
    for ((net, _), pins) in graph.nets.iter().zip(&mut pins) {
        net.iter().for_each(|&pin| pins[found[pin as usize] as usize] += 1);
    }
    for _ in 0..ROUNDS {
        let mut moved = false;
        for vertex in 0..found.len() {
            let (from, weight) = (found[vertex] as usize, &graph.weights[vertex]);
            let gain = |to: usize| {
                let of_net = |&net: &u32| {
                    let (pins, cost) = (&pins[net as usize], graph.nets[net as usize].1 as i64);
                    cost * (i64::from(pins[from] == 1) - i64::from(pins[to] == 0))
                };
                nets_of[vertex].iter().map(of_net).sum::<i64>()
            };
            let room = (0..parts as usize).filter(|&to| to != from && has_room(&load[to], weight, capacity));
            let Some((gain, to)) =
                room.map(|to| (gain(to), to)).max_by_key(|&(gain, to)| (gain, std::cmp::Reverse(to)))
            else {
                continue;
            };
            if gain > 0 {
                for &net in &nets_of[vertex] {
                    pins[net as usize][from] -= 1;
                    pins[net as usize][to] += 1;
                }
                take(&mut load[from], weight);
                put(&mut load[to], weight);
                found[vertex] = to as u32;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
}
