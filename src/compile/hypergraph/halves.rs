//! Two halves, each within its capacities.

use super::coarsen::{Level, coarsen};
use super::{Hypergraph, KINDS, Weight, has_room, put, take};
use crate::random::Draws;
use std::collections::BTreeSet;

/// Vertices of a graph that is not coarsened any more.
const COARSE: usize = 40;
/// Beginnings on the coarsest graph.
const STARTS: usize = 8;
/// Rounds of moves on each level.
const ROUNDS: usize = 8;

/// The half of each vertex: with the least cut found, within `capacity`, and `fixed` vertices where they are.
/// `None` if no beginning fits, which cannot be where every vertex takes one of one capacity and all of them fit.
pub(crate) fn bisect(
    graph: &Hypergraph,
    fixed: &[Option<bool>],
    capacity: &[Weight; 2],
    draws: &mut Draws,
) -> Option<Vec<bool>> {
    let most = largest(graph, capacity);
    let (mut levels, mut fixations): (Vec<Level>, Vec<Vec<Option<bool>>>) = (vec![], vec![fixed.to_vec()]);
    loop {
        let finest = levels.last().map_or(graph, |level| &level.graph);
        let fixed = fixations.last().map_or(fixed, Vec::as_slice);
        if finest.weights.len() <= COARSE {
            break;
        }
        let level = coarsen(finest, fixed, &most, draws);
        if level.graph.weights.len() * 20 > finest.weights.len() * 19 {
            break;
        }
        let mut coarse = vec![None; level.graph.weights.len()];
        fixed
            .iter()
            .zip(&level.part_of)
            .for_each(|(fixed, &part)| coarse[part as usize] = coarse[part as usize].or(*fixed));
        fixations.push(coarse);
        levels.push(level);
    }
    let mut sides = None;
    loop {
        let here = levels.last().map_or(graph, |level| &level.graph);
        let fixed = fixations.last().map_or(fixed, Vec::as_slice);
        sides = match sides {
            None => begin(here, fixed, capacity, draws),
            Some(sides) => Some(refined(here, fixed, capacity, sides).1),
        };
        let Some(level) = levels.pop() else { return sides };
        fixations.pop();
        sides = sides.map(|sides: Vec<bool>| level.part_of.iter().map(|&part| sides[part as usize]).collect());
    }
}

/// The heaviest vertex that coarsening may make: small enough that the halves can still be filled.
fn largest(graph: &Hypergraph, capacity: &[Weight; 2]) -> Weight {
    let all = graph.weights.iter().fold([0; KINDS], |mut sum, weight| {
        put(&mut sum, weight);
        sum
    });
    std::array::from_fn(|kind| (all[kind].min(capacity[0][kind]).min(capacity[1][kind]) / 8).max(1))
}

/// The best of several beginnings.
fn begin(graph: &Hypergraph, fixed: &[Option<bool>], capacity: &[Weight; 2], draws: &mut Draws) -> Option<Vec<bool>> {
    let starts = (0..STARTS).filter_map(|_| filled(graph, fixed, capacity, draws));
    let refined: Vec<_> = starts.map(|sides| refined(graph, fixed, capacity, sides)).collect();
    refined.into_iter().min_by_key(|(cut, _)| *cut).map(|(_, sides)| sides)
}

/// Vertices in random order along their nets, the first half until it is full, then the second.
fn filled(graph: &Hypergraph, fixed: &[Option<bool>], capacity: &[Weight; 2], draws: &mut Draws) -> Option<Vec<bool>> {
    let nets_of = graph.incidence();
    let (mut sides, mut load) = (vec![None; graph.weights.len()], [[0; KINDS]; 2]);
    for (vertex, side) in fixed.iter().enumerate().filter_map(|(vertex, side)| side.map(|side| (vertex, side))) {
        sides[vertex] = Some(side);
        put(&mut load[usize::from(side)], &graph.weights[vertex]);
    }
    let first = draws.below(2) == 1;
    let mut order: Vec<u32> = (0..graph.weights.len() as u32).collect();
    draws.shuffle(&mut order);
    order.sort_by_key(|&vertex| std::cmp::Reverse(graph.weights[vertex as usize].iter().max().copied()));
    let mut queue: Vec<u32> = vec![];
    for seed in order {
        queue.push(seed);
        while let Some(vertex) = queue.pop() {
            if sides[vertex as usize].is_some() {
                continue;
            }
            let weight = &graph.weights[vertex as usize];
            let side = [first, !first]
                .into_iter()
                .find(|&s| has_room(&load[usize::from(s)], weight, &capacity[usize::from(s)]))?;
            sides[vertex as usize] = Some(side);
            put(&mut load[usize::from(side)], weight);
            queue.extend(nets_of[vertex as usize].iter().flat_map(|&net| &graph.nets[net as usize].0));
        }
    }
    sides.into_iter().collect()
}

/// Rounds in which every vertex moves once, best first; each round is kept up to its best moment.
fn refined(graph: &Hypergraph, fixed: &[Option<bool>], capacity: &[Weight; 2], sides: Vec<bool>) -> (u64, Vec<bool>) {
    let mut moves = Moves::new(graph, fixed, capacity, sides);
    for _ in 0..ROUNDS {
        let before = moves.cut;
        moves.round();
        if moves.cut == before {
            break;
        }
    }
    (moves.cut, moves.sides)
}

struct Moves<'g> {
    graph: &'g Hypergraph,
    nets_of: Vec<Vec<u32>>,
    fixed: &'g [Option<bool>],
    capacity: &'g [Weight; 2],
    sides: Vec<bool>,
    load: [Weight; 2],
    /// Pins of each net in each half.
    pins: Vec<[u32; 2]>,
    cut: u64,
}

impl<'g> Moves<'g> {
    fn new(graph: &'g Hypergraph, fixed: &'g [Option<bool>], capacity: &'g [Weight; 2], sides: Vec<bool>) -> Self {
        let (mut load, mut pins, mut cut) = ([[0; KINDS]; 2], vec![], 0);
        graph.weights.iter().zip(&sides).for_each(|(weight, &side)| put(&mut load[usize::from(side)], weight));
        for (net, cost) in &graph.nets {
            let right = net.iter().filter(|pin| sides[**pin as usize]).count() as u32;
            let left = net.len() as u32 - right;
            cut += if left > 0 && right > 0 { *cost } else { 0 };
            pins.push([left, right]);
        }
        Self { graph, nets_of: graph.incidence(), fixed, capacity, sides, load, pins, cut }
    }

    /// How much less is cut once a vertex has moved.
    fn gain(&self, vertex: usize) -> i64 {
        let from = usize::from(self.sides[vertex]);
        let of_net = |&net: &u32| {
            let (pins, cost) = (self.pins[net as usize], self.graph.nets[net as usize].1 as i64);
            cost * (i64::from(pins[from] == 1) - i64::from(pins[1 - from] == 0))
        };
        self.nets_of[vertex].iter().map(of_net).sum()
    }

    fn shift(&mut self, vertex: usize) {
        let gain = self.gain(vertex);
        let from = usize::from(self.sides[vertex]);
        for &net in &self.nets_of[vertex] {
            self.pins[net as usize][from] -= 1;
            self.pins[net as usize][1 - from] += 1;
        }
        take(&mut self.load[from], &self.graph.weights[vertex]);
        put(&mut self.load[1 - from], &self.graph.weights[vertex]);
        self.sides[vertex] = from == 0;
        self.cut = self.cut.wrapping_add_signed(-gain);
    }

    fn round(&mut self) {
        let free = (0..self.sides.len()).filter(|&vertex| self.fixed[vertex].is_none());
        let mut gains: Vec<Option<i64>> = vec![None; self.sides.len()];
        let mut queue: BTreeSet<(i64, u32)> = BTreeSet::new();
        for vertex in free {
            gains[vertex] = Some(self.gain(vertex));
            queue.insert((self.gain(vertex), vertex as u32));
        }
        let (mut moved, mut best) = (vec![], (self.cut, 0));
        while let Some((gain, vertex)) = self.next(&queue) {
            queue.remove(&(gain, vertex));
            gains[vertex as usize] = None;
            self.shift(vertex as usize);
            moved.push(vertex);
            best = best.min((self.cut, moved.len()));
            for &net in &self.nets_of[vertex as usize] {
                for &pin in &self.graph.nets[net as usize].0 {
                    if let Some(old) = gains[pin as usize] {
                        let new = self.gain(pin as usize);
                        queue.remove(&(old, pin));
                        queue.insert((new, pin));
                        gains[pin as usize] = Some(new);
                    }
                }
            }
        }
        moved[best.1..].iter().rev().for_each(|&vertex| self.shift(vertex as usize));
    }

    /// The vertex with the largest gain whose other half has room.
    fn next(&self, queue: &BTreeSet<(i64, u32)>) -> Option<(i64, u32)> {
        let fits = |(_, vertex): &&(i64, u32)| {
            let to = usize::from(!self.sides[*vertex as usize]);
            has_room(&self.load[to], &self.graph.weights[*vertex as usize], &self.capacity[to])
        };
        queue.iter().rev().find(fits).copied()
    }
}
