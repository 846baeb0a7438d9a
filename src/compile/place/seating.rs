//! Slices on units, and the flit-hops that follow: what the network on chip carries, tree for tree.

use super::problem::{Net, Problem};

const NOBODY: u32 = u32::MAX;

/// A placement that swaps change.
#[derive(Debug)]
pub struct Seating<'p> {
    problem: &'p Problem,
    unit_of: Vec<u32>,
    slice_at: Vec<u32>,
    /// Nets of each slice, and its pairs as the other slice and the flits.
    nets_of: Vec<Vec<u32>>,
    pairs_of: Vec<Vec<(u32, u64)>>,
    net_hops: Vec<u64>,
    hops: u64,
    ruler: Ruler,
    /// Nets that the last swap changed, with the hops that they had.
    undo: Vec<(u32, u64)>,
    seen: Vec<bool>,
}

impl<'p> Seating<'p> {
    /// The slices of `problem` on these units, a different one for each.
    pub(super) fn new(problem: &'p Problem, unit_of: Vec<u32>) -> Self {
        let mut slice_at = vec![NOBODY; problem.units.len()];
        unit_of.iter().zip(0..).for_each(|(&unit, slice)| slice_at[unit as usize] = slice);
        let mut nets_of = vec![vec![]; unit_of.len()];
        for (net, index) in problem.nets.iter().zip(0..) {
            let mut slices: Vec<u32> = net.sinks.iter().copied().chain([net.source]).collect();
            slices.sort_unstable();
            slices.dedup();
            slices.into_iter().for_each(|slice| nets_of[slice as usize].push(index));
        }
        let mut pairs_of = vec![vec![]; unit_of.len()];
        for &(a, b, flits) in &problem.pairs {
            pairs_of[a as usize].push((b, flits));
            pairs_of[b as usize].push((a, flits));
        }
        let longest = problem.mesh.columns.max(problem.mesh.rows) as usize;
        let mut seating = Self {
            problem,
            unit_of,
            slice_at,
            nets_of,
            pairs_of,
            net_hops: vec![],
            hops: 0,
            ruler: Ruler { spans: vec![(0, 0); longest], used: vec![] },
            undo: vec![],
            seen: vec![false; problem.nets.len()],
        };
        for net in &problem.nets {
            let hops = seating.ruler.tree(problem, net, &seating.unit_of);
            seating.net_hops.push(hops);
        }
        let pairs = problem.pairs.iter().map(|&(a, b, flits)| flits * seating.apart(a, b)).sum::<u64>();
        seating.hops = pairs + seating.net_hops.iter().sum::<u64>();
        seating
    }

    /// What is placed.
    pub(super) fn problem(&self) -> &'p Problem {
        self.problem
    }

    /// Flit-hops in all.
    pub(super) fn hops(&self) -> u64 {
        self.hops
    }

    /// The unit of each slice.
    pub(super) fn units(&self) -> &[u32] {
        &self.unit_of
    }

    /// Exchanges what is on two units; the change of the flit-hops. The same swap again takes it back.
    pub(super) fn swap(&mut self, a: u32, b: u32) -> i64 {
        self.undo.clear();
        if a == b {
            return 0;
        }
        let before = self.hops;
        let guests = [self.slice_at[a as usize], self.slice_at[b as usize]];
        let pairs_before = self.pair_hops(guests);
        self.slice_at.swap(a as usize, b as usize);
        for (slice, unit) in [(guests[0], b), (guests[1], a)] {
            if slice != NOBODY {
                self.unit_of[slice as usize] = unit;
            }
        }
        self.hops = self.hops + self.pair_hops(guests) - pairs_before;
        for slice in guests.into_iter().filter(|slice| *slice != NOBODY) {
            for &net in &self.nets_of[slice as usize] {
                if !std::mem::replace(&mut self.seen[net as usize], true) {
                    self.undo.push((net, self.net_hops[net as usize]));
                }
            }
        }
        for &(net, old) in &self.undo {
            self.seen[net as usize] = false;
            let new = self.ruler.tree(self.problem, &self.problem.nets[net as usize], &self.unit_of);
            self.net_hops[net as usize] = new;
            self.hops = self.hops + new - old;
        }
        self.hops as i64 - before as i64
    }

    /// Takes the last swap back, which was of these two units.
    pub(super) fn take_back(&mut self, a: u32, b: u32, change: i64) {
        self.slice_at.swap(a as usize, b as usize);
        for unit in [a, b] {
            let slice = self.slice_at[unit as usize];
            if slice != NOBODY {
                self.unit_of[slice as usize] = unit;
            }
        }
        self.undo.iter().for_each(|&(net, old)| self.net_hops[net as usize] = old);
        self.hops = self.hops.wrapping_add_signed(-change);
    }

    fn apart(&self, a: u32, b: u32) -> u64 {
        let place = |slice: u32| self.problem.place(self.unit_of[slice as usize]);
        let ((ax, ay), (bx, by)) = (place(a), place(b));
        u64::from(ax.abs_diff(bx) + ay.abs_diff(by))
    }

    fn pair_hops(&self, guests: [u32; 2]) -> u64 {
        let of = |slice: u32, skip: u32| {
            let pairs = self.pairs_of[slice as usize].iter().filter(move |(other, _)| *other != skip);
            pairs.map(|&(other, flits)| flits * self.apart(slice, other)).sum::<u64>()
        };
        let [a, b] = guests;
        (if a == NOBODY { 0 } else { of(a, NOBODY) }) + (if b == NOBODY { 0 } else { of(b, a) })
    }
}

/// Measures trees: along the row of the source, and from there along the columns of the sinks.
#[derive(Debug)]
struct Ruler {
    /// For each column, how far the tree reaches up and down.
    spans: Vec<(u32, u32)>,
    used: Vec<u32>,
}

impl Ruler {
    /// Flit-hops of a net: the links of its tree times its flits.
    fn tree(&mut self, problem: &Problem, net: &Net, unit_of: &[u32]) -> u64 {
        let (sx, sy) = problem.turned(unit_of[net.source as usize]);
        let (mut west, mut east, mut links) = (sx, sx, 0);
        for &sink in &net.sinks {
            let (x, y) = problem.turned(unit_of[sink as usize]);
            (west, east) = (west.min(x), east.max(x));
            let (up, down) = (sy.saturating_sub(y), y.saturating_sub(sy));
            let span = &mut self.spans[x as usize];
            if *span == (0, 0) && up + down > 0 {
                self.used.push(x);
            }
            links += up.saturating_sub(span.0) + down.saturating_sub(span.1);
            *span = (span.0.max(up), span.1.max(down));
        }
        self.used.drain(..).for_each(|x| self.spans[x as usize] = (0, 0));
        u64::from(links + east - west) * net.flits
    }
}
