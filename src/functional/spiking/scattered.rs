//! What single spikes scatter to all positions around them.

use super::arrivals::Arrivals;
use super::neurons::Population;
use super::synapses::{Afferent, Scattering, Short};
use crate::functional::arithmetic::Sum;
use crate::functional::lanes::Fired;
use bytemuck::Pod;

/// Sums `[step][position][column]` of what a source sends, for all positions.
#[derive(Debug)]
pub(super) struct Scattered {
    pub sums: Vec<i16>,
    /// Numbers of a step, and of a position.
    pub size: usize,
    pub columns: usize,
    pub gain: i32,
}

/// Bytes of the sums of a projection that are scattered at once: longer runs go position by position.
const MOST_SCATTERED: usize = 16 << 20;

impl Population<'_> {
    /// Scatters what single spikes bring through one projection, one entry for each source, and gives the synaptic operations;
    /// nothing where that would take too much memory.
    #[inline(always)]
    pub fn scatter_all(&self, afferent: &Afferent, short: &Short) -> Option<(Vec<Scattered>, u64)> {
        let Scattering { weights, targets, reached } = short.scatter.as_ref()?;
        let columns = weights.columns();
        let size = (self.grid.positions() + 1) * columns;
        let (mut all, mut operations) = (vec![], 0);
        for (train, gain) in self.sources(afferent) {
            let steps = train.last_step.min(self.last_sent());
            if size.saturating_mul(steps as usize).saturating_mul(size_of::<i16>()) > MOST_SCATTERED {
                return None;
            }
            let (spikes, mut sums) = (train.singles()?, vec![0; size * steps as usize]);
            for (step, sums) in (1..=steps).zip(sums.chunks_exact_mut(size)) {
                let fired = Fired { codes: spikes.codes(), starts: spikes.starts(step), targets };
                weights.add(self.level, fired, sums);
                let landed = fired.starts.windows(2).zip(reached).map(|(ends, &reached)| (ends[1] - ends[0]) * reached);
                operations += u64::from(landed.sum::<u32>()) * short.outputs as u64;
            }
            all.push(Scattered { sums, size, columns, gain });
        }
        Some((all, operations))
    }

    /// Adds what has been scattered.
    #[inline(always)]
    pub fn by_scattering<V: Sum<i32> + Pod>(&self, scattered: &[Scattered], arrivals: &mut Arrivals<V>) -> u64 {
        for (at, steps) in self.sent(arrivals) {
            let position = arrivals.positions.start + at;
            for (sent, from) in (1..=steps).flat_map(|sent| scattered.iter().map(move |from| (sent, from))) {
                let first = (sent as usize - 1) * from.size + position * from.columns;
                let Some(row) = from.sums.get(first..first + from.columns) else { continue };
                let to = arrivals.to(at, sent, self.options.schedule.delay());
                let sums: &mut [i32] = bytemuck::cast_slice_mut(&mut arrivals.sums[to..to + arrivals.width]);
                let pairs = sums.iter_mut().zip(row);
                pairs.for_each(|(sum, &number)| *sum = sum.wrapping_add(from.gain.wrapping_mul(number.into())));
            }
        }
        0
    }
}
