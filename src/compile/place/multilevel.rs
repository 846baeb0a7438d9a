//! The mesh cut into halves and halves of halves, the slices with it, so that little traffic crosses each cut.
//!
//! Min-cut placement: Breuer, A class of min-cut placement algorithms, DAC 1977; what lies outside a field pulls as if it lay
//! on its edge: Dunlop and Kernighan, IEEE TCAD 1985; each cut by the multilevel partitioner of [`hypergraph`]. Multilevel
//! partitions of spiking networks: Li et al., SNEAP, ISLPED 2020. Swaps repair what the cuts could not see.
//!
//! [`hypergraph`]: crate::compile::hypergraph

use super::force::relax;
use super::{Pace, Placer, Problem, Progress, Search, Seating, Watch};
use crate::compile::hypergraph::{Hypergraph, KINDS, Weight, bisect, put};
use crate::hardware::UnitKind;
use crate::random::Draws;
use std::collections::{BTreeMap, VecDeque};

/// Recursive halving, then swaps.
pub(super) struct Multilevel;

/// Attempts from different beginnings.
const ATTEMPTS: u64 = 4;

impl Placer for Multilevel {
    fn place(&self, problem: &Problem, search: &Search, watch: Watch) -> Vec<u32> {
        let mut draws = Draws::new(search.seed);
        let mut best: Option<(u64, Vec<u32>)> = None;
        for attempt in 0..ATTEMPTS {
            let mut seating = Seating::new(problem, Fields::new(problem).cut(&mut draws));
            let effort = (u64::from(search.effort) / ATTEMPTS) as u32;
            relax(problem, &mut seating, &Search { effort, ..*search }, &mut |_| Pace::Continue);
            if best.as_ref().is_none_or(|(hops, _)| seating.hops() < *hops) {
                best = Some((seating.hops(), seating.units().to_vec()));
            }
            let hops = best.as_ref().map_or(0, |(hops, _)| *hops);
            if watch(Progress { tried: attempt + 1, of: ATTEMPTS, hops }) == Pace::Stop {
                break;
            }
        }
        best.map_or_else(Vec::new, |(_, units)| units)
    }
}

/// A rectangle of tiles: columns and rows from the first to the one after the last.
type Field = [u32; 4];

/// Slices in fields of the mesh.
struct Fields<'p> {
    problem: &'p Problem,
    graph: Hypergraph,
    nets_of: Vec<Vec<u32>>,
    /// Twice the middle of the field of each slice.
    middles: Vec<(u32, u32)>,
    seats: Vec<u32>,
}

fn kind_weight(kind: UnitKind) -> Weight {
    UnitKind::ALL.map(|other| u32::from(other == kind))
}

impl<'p> Fields<'p> {
    fn new(problem: &'p Problem) -> Self {
        let graph = hypergraph(problem);
        let middle = (problem.mesh.columns, problem.mesh.rows);
        let slices = problem.kinds.len();
        Self { problem, nets_of: graph.incidence(), graph, middles: vec![middle; slices], seats: vec![0; slices] }
    }

    /// Cuts fields until they are single tiles.
    fn cut(mut self, draws: &mut Draws) -> Vec<u32> {
        let whole = [0, self.problem.mesh.columns, 0, self.problem.mesh.rows];
        let mut queue: VecDeque<(Field, Vec<u32>)> = VecDeque::new();
        queue.push_back((whole, (0..self.problem.kinds.len() as u32).collect()));
        while let Some((field, slices)) = queue.pop_front() {
            let [west, east, north, south] = field;
            if slices.is_empty() {
                continue;
            }
            if east - west == 1 && south - north == 1 {
                self.seat(field, &slices);
                continue;
            }
            let [near, far] = if east - west >= south - north {
                let middle = west + (east - west) / 2;
                [[west, middle, north, south], [middle, east, north, south]]
            } else {
                let middle = north + (south - north) / 2;
                [[west, east, north, middle], [west, east, middle, south]]
            };
            let sides = self.split(&slices, &near, &far, draws);
            for (field, side) in [(near, false), (far, true)] {
                let inside: Vec<u32> =
                    slices.iter().zip(&sides).filter(|(_, s)| **s == side).map(|(s, _)| *s).collect();
                let middle = (field[0] + field[1], field[2] + field[3]);
                inside.iter().for_each(|&slice| self.middles[slice as usize] = middle);
                queue.push_back((field, inside));
            }
        }
        self.seats
    }

    /// Gives the slices of one tile its units.
    fn seat(&mut self, field: Field, slices: &[u32]) {
        let mut free: BTreeMap<UnitKind, Vec<u32>> = BTreeMap::new();
        for index in (0..self.problem.units.len() as u32).rev() {
            if self.problem.place(index) == (field[0], field[2]) {
                free.entry(self.problem.units[index as usize].kind).or_default().push(index);
            }
        }
        for &slice in slices {
            let units = free.entry(self.problem.kinds[slice as usize]).or_default();
            self.seats[slice as usize] = units.pop().expect("a field holds no more slices than it has units");
        }
    }

    /// What the units of a field can take.
    fn capacity(&self, field: &Field) -> Weight {
        let mut capacity = [0; KINDS];
        for (unit, index) in self.problem.units.iter().zip(0..) {
            let (x, y) = self.problem.place(index);
            if (field[0]..field[1]).contains(&x) && (field[2]..field[3]).contains(&y) {
                put(&mut capacity, &kind_weight(unit.kind));
            }
        }
        capacity
    }

    /// Which slices of a field go to its far half.
    fn split(&self, slices: &[u32], near: &Field, far: &Field, draws: &mut Draws) -> Vec<bool> {
        let capacity = [self.capacity(near), self.capacity(far)];
        let graph = self.inside(slices, near, far);
        let mut fixed = vec![None; slices.len()];
        fixed.extend([Some(false), Some(true)]);
        let mut sides = bisect(&graph, &fixed, &capacity, draws)
            .expect("single slices of one kind each fit where there are as many units");
        sides.truncate(slices.len());
        sides
    }

    /// The slices of a field, with two more vertices for all that lies beyond its near and its far half.
    fn inside(&self, slices: &[u32], near: &Field, far: &Field) -> Hypergraph {
        let place: BTreeMap<u32, u32> = slices.iter().copied().zip(0..).collect();
        let [first, second] = [slices.len() as u32, slices.len() as u32 + 1];
        let across = near[1] == far[0];
        let border = 2 * if across { far[0] } else { far[2] };
        let mut nets: Vec<u32> =
            slices.iter().flat_map(|&slice| self.nets_of[slice as usize].iter().copied()).collect();
        nets.sort_unstable();
        nets.dedup();
        let mut graph = Hypergraph::default();
        graph.weights = slices.iter().map(|&slice| self.graph.weights[slice as usize]).chain([[0; KINDS]; 2]).collect();
        for net in nets {
            let (pins, cost) = &self.graph.nets[net as usize];
            let of_pin = |pin: &u32| {
                let (x, y) = self.middles[*pin as usize];
                let beyond = if (if across { x } else { y }) < border { first } else { second };
                place.get(pin).copied().unwrap_or(beyond)
            };
            let mut pins: Vec<u32> = pins.iter().map(of_pin).collect();
            pins.sort_unstable();
            pins.dedup();
            let both = pins.binary_search(&first).is_ok() && pins.binary_search(&second).is_ok();
            if pins.len() > 1 && !both {
                graph.nets.push((pins, *cost));
            }
        }
        graph
    }
}

/// Slices as vertices that take one unit of their kind each; trees and pairs as nets.
#[must_use]
pub fn hypergraph(problem: &Problem) -> Hypergraph {
    let mut nets: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
    for net in &problem.nets {
        let mut pins: Vec<u32> = net.sinks.iter().copied().chain([net.source]).collect();
        pins.sort_unstable();
        pins.dedup();
        if pins.len() > 1 {
            *nets.entry(pins).or_default() += net.flits;
        }
    }
    problem.pairs.iter().for_each(|&(a, b, flits)| *nets.entry(vec![a, b]).or_default() += flits);
    Hypergraph {
        weights: problem.kinds.iter().map(|kind| kind_weight(*kind)).collect(),
        nets: nets.into_iter().collect(),
    }
}
