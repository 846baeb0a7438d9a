//! Neurons and readouts: weights added to membrane potentials, and the firing afterwards.

use super::arithmetic::{Arithmetic, Sum};
use super::neuron::{self, NegativeThreshold};
use super::packed::Packed;
use super::spiking::Held;
use super::sums::{Emit, add_row};
use crate::graph::{Graph, Kernel, NeuronRule, Projection, Source, Stage, Synapses, Tap};
use crate::trace::Widths;
use crate::units::{Grid, Region, StageId};
use multiversion::multiversion;
use std::ops::Range;
use std::sync::Arc;

/// The membrane potentials of a region, with everything that flows into them.
#[derive(Debug, Clone)]
pub(super) struct Population<'g, S, V> {
    region: Region,
    afferents: Arc<[Afferent<'g, S>]>,
    /// Of each neuron; empty if there are none but zeros.
    bias: Arc<[S]>,
    firing: Option<Firing>,
    /// Of each neuron that fires.
    thresholds: Arc<[S]>,
    potentials: Vec<V>,
    /// Positive minus negative spikes of each neuron so far.
    counts: Vec<i32>,
    /// What each neuron fires in this step; kept to save the allocation.
    spikes: Vec<i8>,
    /// Whether anything happened that a neuron may still have to answer.
    restless: bool,
}

/// Neurons whose spikes are looked for together.
const TOGETHER: usize = 16;

/// How the neurons of a stage fire.
#[derive(Debug, Clone, Copy)]
struct Firing {
    rule: NeuronRule,
    negative: NegativeThreshold,
    limit: i32,
}

/// One projection into the region.
#[derive(Debug, Clone)]
struct Afferent<'g, S> {
    sources: &'g [Source<S>],
    kernel: &'g Kernel<S>,
    /// The weights that land in the region, where it has few channels.
    packed: Option<Packed<S>>,
    /// Taps that land in the region, of source position `p`: `taps[starts[p]..starts[p + 1]]`.
    starts: Vec<u32>,
    taps: Vec<Tap>,
}

impl<'g, S: Arithmetic, V: Sum<S> + Into<S::Wide>> Population<'g, S, V> {
    pub fn new(
        graph: &'g Graph<S>,
        stage: &'g Stage<S>,
        synapses: &'g Synapses<S>,
        region: Region,
        limit: i32,
        negative: NegativeThreshold,
    ) -> Self {
        let channels = region.channels.start as usize..region.channels.end as usize;
        let neurons = stage.kind.neurons();
        let of_channels = neurons.map_or(&[][..], |neurons| &neurons.threshold[channels]);
        let thresholds: Arc<[S]> = region.positions.clone().flat_map(|_| of_channels).copied().collect();
        let potentials = match neurons {
            Some(neurons) => thresholds.iter().map(|&of| neuron::start(neurons.rule, V::of(of))).collect(),
            None => vec![V::default(); region.neurons()],
        };
        let afferent = |projection: &'g Projection<S>| {
            let grid = projection.sources.first().map_or(stage.grid, |source| graph.stage(source.stage).grid);
            Afferent::new(projection, grid, &region)
        };
        Self {
            afferents: synapses.projections.iter().map(afferent).collect(),
            bias: bias(synapses, stage.grid, &region).into(),
            firing: neurons.map(|neurons| Firing { rule: neurons.rule, negative, limit }),
            thresholds,
            potentials,
            counts: vec![0; region.neurons()],
            spikes: vec![0; region.neurons()],
            restless: true,
            region,
        }
    }

    /// Adds the weights of a spike; returns the number of synaptic operations.
    pub fn receive(&mut self, source: StageId, position: u32, channel: u32, value: S) -> u64 {
        let mut operations = 0;
        for afferent in &*self.afferents {
            for sender in afferent.sources.iter().filter(|sender| sender.stage == source) {
                let factor = V::default().plus(V::of(sender.gain), value);
                operations += receive(afferent, &mut self.potentials, &self.region, (position, channel), factor);
            }
        }
        self.restless |= operations > 0;
        operations
    }

    /// Adds the biases, in a driven step, and fires.
    pub fn fire(&mut self, driven: bool, widths: Option<&mut Widths>, emit: Emit<S>) {
        if driven {
            add_row(&mut self.potentials, V::ONE, &self.bias);
            self.restless = true;
        }
        if let Some(widths) = widths {
            self.potentials.iter().for_each(|potential| widths.add(potential.whole()));
        }
        let Some(firing) = self.firing.filter(|_| self.restless) else { return };
        fire(firing, &self.thresholds, &mut self.potentials, (&mut self.counts, &mut self.spikes));
        self.emit_spikes(emit);
    }

    fn emit_spikes(&mut self, emit: Emit<S>) {
        self.restless = false;
        for (nth, spikes) in self.spikes.chunks(TOGETHER).enumerate() {
            if spikes.iter().fold(0, |any, spike| any | spike) == 0 {
                continue;
            }
            for (at, &spike) in spikes.iter().enumerate().filter(|(_, spike)| **spike != 0) {
                let (position, channel) = self.region.global(nth * TOGETHER + at);
                emit(position, channel, S::spike(spike));
                self.restless = true;
            }
        }
    }

    /// Calls `each` for up to 64 neurons after the other, with the first of them and a bit for each whose potential is not zero.
    pub fn charged(&self, each: &mut dyn FnMut(usize, u64)) {
        for (nth, potentials) in self.potentials.chunks(64).enumerate() {
            let bit = |(at, potential): (usize, &V)| u64::from(*potential != V::default()) << at;
            each(nth * 64, potentials.iter().enumerate().fold(0, |bits, potential| bits | bit(potential)));
        }
    }

    /// Takes over what its neurons hold in a run of a whole stage of shape `grid`. Counts of plain neurons stay what they are.
    pub fn hold(&mut self, grid: Grid, held: &Held) {
        let (region, whole) = (&self.region, grid.whole());
        let places = || (0..region.neurons()).map(|local| region.global(local)).map(|(p, c)| whole.local(p, c));
        let potentials = self.potentials.iter_mut().zip(places());
        potentials.for_each(|(potential, place)| *potential = V::of_whole(held.potentials.at(place)));
        if !held.counts.is_empty() {
            let counts = self.counts.iter_mut().zip(places());
            counts.for_each(|(count, place)| *count = held.counts.at(place) as i32);
        }
        self.restless = true;
    }

    /// Spike counts; potentials where nothing fires.
    pub fn values(&self) -> Vec<S::Wide> {
        match self.firing {
            Some(_) => self.counts.iter().map(|&count| S::Wide::count(count)).collect(),
            None => self.potentials(),
        }
    }

    /// The membrane potentials.
    pub fn potentials(&self) -> Vec<S::Wide> {
        self.potentials.iter().map(|&potential| potential.into()).collect()
    }
}

/// Adds the weights of a spike through a projection; how many there are. Compiled for several instruction sets; all give the same
/// numbers.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn receive<S: Arithmetic, V: Sum<S>>(
    afferent: &Afferent<S>,
    sums: &mut [V],
    region: &Region,
    (position, channel): (u32, u32),
    factor: V,
) -> u64 {
    match &afferent.packed {
        Some(packed) => packed.receive(sums, position, channel, factor),
        None => afferent.receive(sums, region, (position, channel), factor),
    }
}

/// Fires neurons: what each of them sends, and its count. Compiled likewise.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn fire<S: Arithmetic, V: Sum<S>>(
    Firing { rule, negative, limit }: Firing,
    thresholds: &[S],
    potentials: &mut [V],
    (counts, spikes): (&mut [i32], &mut [i8]),
) {
    let neurons = potentials.iter_mut().zip(counts).zip(spikes).zip(thresholds);
    match rule {
        NeuronRule::Signed => {
            for (((potential, count), spike), &threshold) in neurons {
                *spike = neuron::signed(*potential, V::of(threshold), *count, limit, negative);
                *potential = potential.plus(-V::of(S::spike(*spike)), threshold);
                *count += i32::from(*spike);
            }
        }
        NeuronRule::Plain => {
            for (((potential, count), spike), &threshold) in neurons {
                *spike = neuron::plain(*potential, V::of(threshold));
                *count += i32::from(*spike);
                *potential = if *spike == 0 { *potential } else { V::default() };
            }
        }
    }
}

/// The biases of the neurons of a region, given for each channel or for each neuron of the grid; none if all of them are zero.
fn bias<S: Arithmetic>(synapses: &Synapses<S>, grid: Grid, region: &Region) -> Vec<S> {
    let neurons = (0..region.neurons()).map(|local| region.global(local));
    let bias: Vec<S> = neurons.map(|neuron| synapses.bias_of(grid, neuron)).collect();
    if bias.iter().all(|&of| of == S::default()) { vec![] } else { bias }
}

impl<'g, S: Arithmetic> Afferent<'g, S> {
    fn new(projection: &'g Projection<S>, source: Grid, region: &Region) -> Self {
        let Projection { sources, kernel, .. } = projection;
        let all = kernel.taps(source);
        let within = |&tap: &Tap| region.positions.contains(&tap.position).then_some(tap);
        let of = |position: u32| all.of(position).iter().filter_map(within).collect();
        let taps: Vec<Vec<Tap>> = source.whole().positions.map(of).collect();
        if let Some(packed) = Packed::new(kernel, &taps, region) {
            return Self { sources, kernel, packed: Some(packed), starts: vec![], taps: vec![] };
        }
        let ends = taps.iter().scan(0, |end, taps| {
            *end += taps.len() as u32;
            Some(*end)
        });
        let starts = std::iter::once(0).chain(ends).collect();
        Self { sources, kernel, packed: None, starts, taps: taps.concat() }
    }

    /// Adds the weights of a spike to the sums of the region; how many there are.
    #[inline(always)]
    fn receive<V: Sum<S>>(&self, sums: &mut [V], region: &Region, (position, channel): (u32, u32), factor: V) -> u64 {
        let (channels, weights) = self.overlap(channel, &region.channels);
        let (at, width) = (position as usize, region.channels.len());
        let taps = &self.taps[self.starts[at] as usize..self.starts[at + 1] as usize];
        for tap in taps {
            let start = (tap.position - region.positions.start) as usize * width;
            let row = &mut sums[start + channels.start..start + channels.end];
            add_row(row, factor, &self.kernel.row(tap.tap, channel)[weights.clone()]);
        }
        (taps.len() * channels.len()) as u64
    }

    /// The channels that both `channel` and the region reach: within the region, and within a row of weights.
    fn overlap(&self, channel: u32, region: &Range<u32>) -> (Range<usize>, Range<usize>) {
        let reached = self.kernel.reached(channel);
        let (start, end) = (reached.start.max(region.start), reached.end.min(region.end));
        let within = |range: &Range<u32>| (start - range.start) as usize..(end - range.start) as usize;
        if start < end { (within(region), within(&reached)) } else { (0..0, 0..0) }
    }
}
