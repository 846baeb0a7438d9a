//! What single spikes scatter to all positions around them.

use super::arrivals::Arrivals;
use super::neurons::Population;
use super::planes::lasts;
use super::synapses::{Afferent, Short};
use crate::functional::arithmetic::Sum;
use crate::functional::lanes::{Aligned, Fired, Scatter};
use crate::graph::{Kernel, Taps};
use crate::units::{Grid, Window};
use bytemuck::Pod;

/// Windows whose weights are scattered.
#[derive(Debug)]
pub(super) struct Scattering {
    weights: Scatter,
    window: Window,
    source: Grid,
    /// Numbers of a step.
    pub size: usize,
    /// Where the sums of each window stand.
    places: Vec<u32>,
    /// How many windows see each position.
    reached: Vec<u32>,
}

/// Sums `[step][row][position][column]` of what a source sends, for all windows and a margin.
#[derive(Debug)]
pub(super) struct Scattered {
    pub sums: Aligned,
    /// How many steps there are; what lies behind them means nothing.
    steps: usize,
    pub gain: i32,
    /// The last of the steps in which anything is sent to each window, or 0.
    pub lasts: Vec<u32>,
}

/// Sums of a projection that are scattered at once: longer runs go position by position.
const MOST_SCATTERED: usize = 8 << 20;

impl Scattering {
    /// `None` where windows have another shape, weights do not fit, or a step takes too much memory.
    pub fn new(kernel: &Kernel<i32>, (taps, source): (&Taps, Grid), positions: usize) -> Option<Self> {
        let Window { height, width, stride, padding } = kernel.window;
        if (height, width, stride) != (3, 3, 1) || padding > 2 || kernel.pool.is_some() {
            return None;
        }
        let (inputs, outputs) = (kernel.in_channels as usize, kernel.out_channels as usize);
        let row = |tap, input| &kernel.weights[(tap * inputs + input) * outputs..][..outputs];
        let weights = Scatter::new((inputs, outputs), row)?;
        let size =
            (source.height as usize + 2).saturating_mul(source.width as usize + 2).saturating_mul(weights.columns());
        if size > MOST_SCATTERED {
            return None;
        }
        let (beside, across, margin) = (source.width + 2, source.width + 2 * padding - 2, 2 - padding);
        let place = |at: u32| ((at / across + margin) * beside + at % across + margin) * weights.columns() as u32;
        let places = (0..positions as u32).map(place).collect();
        let reached = source.whole().positions.map(|position| taps.of(position).len() as u32).collect();
        Some(Self { weights, window: kernel.window, source, size, places, reached })
    }

    /// What arrives at a window, one row of sums every `size`.
    #[inline(always)]
    pub fn sums<'a>(&self, from: &'a Scattered, position: usize) -> &'a [i16] {
        from.sums.words()[..from.steps * self.size].get(self.places[position] as usize..).unwrap_or_default()
    }
}

impl Population<'_> {
    /// Scatters what single spikes bring through one projection, one entry for each source, and gives the synaptic operations;
    /// nothing where that would take too much memory, or words do not hold the sums. Memory may be `spare`.
    #[inline(always)]
    pub fn scatter_all(
        &self,
        afferent: &Afferent,
        short: &Short,
        spare: &mut Aligned,
    ) -> Option<(Vec<Scattered>, u64)> {
        let &Scattering { ref weights, window, source, size, ref reached, .. } = short.scatter.as_ref()?;
        let (mut all, mut operations) = (vec![], 0);
        for (train, gain) in self.sources(afferent) {
            let steps = train.last_step.min(self.last_sent());
            if size.saturating_mul(steps as usize) > MOST_SCATTERED {
                return None;
            }
            let spikes = train.singles()?;
            let fired = |step| Fired { raster: spikes.raster(), step, across: source.width as usize };
            if !(0..steps).all(|step| weights.holds(fired(step))) {
                return None;
            }
            let (mut sums, count) = (std::mem::take(spare), steps as usize);
            sums.make_room(count * size / 2);
            for (step, sums) in (0..steps).zip(sums.words_mut().chunks_exact_mut(size)) {
                weights.sum(self.level, fired(step), sums);
            }
            operations += spikes.weighed(reached, steps) * short.outputs as u64;
            let lasts = lasts(window, source, (spikes.lasts(), steps));
            all.push(Scattered { sums, steps: count, gain, lasts });
        }
        Some((all, operations))
    }

    /// Adds what has been scattered.
    #[inline(always)]
    pub fn by_scattering<V: Sum<i32> + Pod>(
        &self,
        windows: &Scattering,
        scattered: &[Scattered],
        arrivals: &mut Arrivals<V>,
    ) {
        for (at, steps) in self.sent(arrivals) {
            let position = arrivals.positions.start + at;
            for (sent, from) in (1..=steps).flat_map(|sent| scattered.iter().map(move |from| (sent, from))) {
                let row = windows.sums(from, position).get((sent as usize - 1) * windows.size..).unwrap_or_default();
                let to = arrivals.to(at, sent, self.options.schedule.delay());
                let sums: &mut [i32] = bytemuck::cast_slice_mut(&mut arrivals.sums[to..to + arrivals.width]);
                let pairs = sums.iter_mut().zip(row);
                pairs.for_each(|(sum, &number)| *sum = sum.wrapping_add(from.gain.wrapping_mul(number.into())));
            }
        }
    }
}
