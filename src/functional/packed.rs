//! The weights into a region of few channels, laid out so that output positions beside each other are one row of weights.

use super::arithmetic::{Arithmetic, Sum};
use super::sums::add_row;
use crate::graph::{Kernel, Tap};
use crate::units::Region;

/// Channels of a region from which on the rows of a kernel are long enough by themselves.
const MANY_CHANNELS: usize = 16;

/// Weights of one kernel into a region.
#[derive(Debug, Clone)]
pub(super) struct Packed<S> {
    /// Runs of source position `p`: `runs[starts[p]..starts[p + 1]]`.
    starts: Vec<u32>,
    runs: Vec<Run>,
    /// Of each input channel, tap after tap in the order of [`order`], output channels within them.
    weights: Vec<S>,
    /// Weights of an input channel.
    each: usize,
}

/// Output positions beside each other whose taps follow each other.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Its first sum in the region, and its first weight in those of a channel.
    sum: u32,
    weight: u32,
    len: u32,
}

impl<S: Arithmetic> Packed<S> {
    /// The weights into a region; `taps` are those that land in it, source position by source position. None where it has many
    /// channels, or not every input channel reaches all of them, or a position is hit more than once.
    pub fn new(kernel: &Kernel<S>, taps: &[Vec<Tap>], region: &Region) -> Option<Self> {
        let width = region.channels.len();
        let is_whole = kernel.weights.len() == kernel.weight_count();
        if width >= MANY_CHANNELS || kernel.groups != 1 || kernel.pool.is_some() || !is_whole {
            return None;
        }
        let order = order(taps, kernel.window.area() as usize);
        let mut place = vec![0; order.len()];
        order.iter().zip(0..).for_each(|(&tap, at)| place[tap as usize] = at);
        let (mut starts, mut runs) = (vec![0], vec![]);
        for taps in taps {
            let first = runs.len();
            for tap in taps {
                let sum = (tap.position - region.positions.start) * width as u32;
                let weight = place[tap.tap as usize] * width as u32;
                match runs[first..].last_mut() {
                    Some(Run { sum: to, weight: from, len }) if *to + *len == sum && *from + *len == weight => {
                        *len += width as u32;
                    }
                    _ => runs.push(Run { sum, weight, len: width as u32 }),
                }
            }
            starts.push(runs.len() as u32);
        }
        let channels = region.channels.start as usize..region.channels.end as usize;
        let mut weights = vec![];
        for (channel, &tap) in (0..kernel.in_channels).flat_map(|channel| order.iter().map(move |tap| (channel, tap))) {
            weights.extend_from_slice(&kernel.row(tap, channel)[channels.clone()]);
        }
        Some(Self { starts, runs, weights, each: order.len() * width })
    }

    /// Adds the weights of a spike to the sums of the region; how many there are.
    #[inline(always)]
    pub fn receive<V: Sum<S>>(&self, sums: &mut [V], position: u32, channel: u32, factor: V) -> u64 {
        let (at, mut operations) = (position as usize, 0);
        let weights = &self.weights[channel as usize * self.each..][..self.each];
        for run in &self.runs[self.starts[at] as usize..self.starts[at + 1] as usize] {
            let len = run.len as usize;
            add_row(&mut sums[run.sum as usize..][..len], factor, &weights[run.weight as usize..][..len]);
            operations += u64::from(run.len);
        }
        operations
    }
}

/// The taps of a kernel, those behind each other that hit output positions beside each other.
fn order(taps: &[Vec<Tap>], count: usize) -> Vec<u32> {
    let (mut next, mut is_next) = (vec![None; count], vec![false; count]);
    for pair in taps.iter().flat_map(|taps| taps.windows(2)) {
        let [before, after] = [pair[0].tap as usize, pair[1].tap as usize];
        if pair[0].position + 1 == pair[1].position && next[before].is_none() && !is_next[after] {
            (next[before], is_next[after]) = (Some(after), true);
        }
    }
    let (mut order, mut placed) = (vec![], vec![false; count]);
    // Chains from their first taps on, then whatever closes to a ring.
    for first in (0..count).filter(|&tap| !is_next[tap]).chain(0..count) {
        let mut at = Some(first);
        while let Some(tap) = at.filter(|&tap| !std::mem::replace(&mut placed[tap], true)) {
            order.push(tap as u32);
            at = next[tap];
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Taps;
    use crate::units::{Grid, Window};

    #[test]
    fn a_region_gets_the_weights_that_the_kernel_has() {
        let grid = Grid { height: 7, width: 6, channels: 2 };
        for (size, stride, padding) in [(3, 1, 1), (3, 2, 0), (1, 1, 0), (2, 2, 0), (5, 1, 2)] {
            let window = Window { height: size, width: size, stride, padding };
            let weights = (0..size as i32 * size as i32 * 2 * 4).map(|at| at * at % 97 - 40).collect();
            let kernel = Kernel { pool: None, window, in_channels: 2, out_channels: 4, groups: 1, weights };
            let region = Region { positions: 2..9, channels: 1..4 };
            let all = Taps::over(window, grid);
            let within = |at: u32| all.of(at).iter().copied().filter(|tap| region.positions.contains(&tap.position));
            let taps: Vec<Vec<Tap>> = grid.whole().positions.map(|at| within(at).collect()).collect();
            let packed = Packed::new(&kernel, &taps, &region).unwrap();
            assert!(size < 3 || packed.runs.len() < taps.concat().len(), "{size} × {size}");
            for (position, channel) in (0..42).flat_map(|position| [(position, 0), (position, 1)]) {
                let (mut sums, mut wanted) = (vec![7i64; region.neurons()], vec![7i64; region.neurons()]);
                for tap in &taps[position as usize] {
                    for of in region.channels.clone() {
                        let weight = kernel.row(tap.tap, channel)[of as usize];
                        wanted[region.local(tap.position, of)] -= i64::from(weight);
                    }
                }
                let operations = packed.receive(&mut sums, position, channel, -1);
                assert_eq!((sums, operations), (wanted, taps[position as usize].len() as u64 * 3));
            }
        }
    }
}
