//! The integer network without time as dense products: the values that [`quantised_ann`] computes one by one.

mod map;

use super::attention::Attention;
use super::bounds::{Bound, Bounds, Extent};
use super::lanes::{HeadProduct, LANES, Level, Packed};
use super::quantised_ann::{places, under};
use super::softmax::{FixedSoftmax, Normalise};
use super::{FunctionalError, Values, attention, input, quantised_ann};
use crate::graph::{Graph, NeuronRule, Neurons, SoftmaxRule, Stage, StageKind, Synapses};
use crate::units::{Grid, StageId};
use map::Map;
use multiversion::multiversion;

/// The integer network of a graph, laid out once for all images.
#[derive(Debug)]
pub struct IntegerAnn<'g> {
    graph: &'g Graph<i32>,
    level: Level,
    bounds: Bounds,
    /// The projections of each stage; `None` where any of the graph is computed value by value.
    maps: Option<Vec<Vec<Map<'g>>>>,
}

impl<'g> IntegerAnn<'g> {
    /// The integer network of this graph.
    #[must_use]
    pub fn new(graph: &'g Graph<i32>) -> Self {
        let maps = |stage: &'g Stage<i32>| match stage.kind.synapses() {
            Some(synapses) => {
                let fed = synapses.projections.iter().filter(|projection| !projection.sources.is_empty());
                fed.map(|projection| Map::new(graph, stage.grid, projection)).collect()
            }
            None => Some(vec![]),
        };
        let maps = graph.stages.iter().map(maps).collect();
        Self { graph, level: Level::best(), bounds: Bounds::new(graph), maps }
    }

    /// As [`quantised_ann`], for one image.
    ///
    /// # Errors
    /// As [`quantised_ann`].
    pub fn run(&self, image: &[u8], time_steps: u32) -> Result<Vec<Values>, FunctionalError> {
        let pixels = input::injected(self.graph, image)?;
        let quick = self.maps.as_ref().and_then(|maps| self.products(maps, &pixels, time_steps));
        match quick {
            Some(values) => Ok(values),
            None => Ok(quantised_ann(self.graph, image, time_steps)?.into_iter().map(Values::Wide).collect()),
        }
    }

    /// Whether counts fit into bytes, and whatever is bounded ahead of the run into 32 bits, as T thresholds have to.
    fn fits(&self, time_steps: u32, bounds: &[Bound]) -> bool {
        let thresholds = |stage: &Stage<i32>| stage.kind.neurons().and_then(|n| n.threshold.iter().copied().max());
        let most = self.graph.stages.iter().filter_map(thresholds).max().unwrap_or(0);
        let spikes = |id: &StageId| !self.graph.stage(*id).kind.is_graded();
        time_steps <= i8::MAX as u32
            && f64::from(time_steps + 1) * f64::from(most) <= f64::from(i32::MAX)
            && self.graph.stages.iter().zip(bounds).all(|(stage, bound)| match &stage.kind {
                StageKind::Neurons(neurons) => neurons.rule == NeuronRule::Signed,
                StageKind::MaxPool { source, .. } => spikes(source),
                StageKind::Scores { queries, keys, .. } => bound.is_narrow() && spikes(queries) && spikes(keys),
                StageKind::Context { values, .. } => bound.is_narrow() && spikes(values),
                StageKind::Input(_) | StageKind::Softmax { .. } => bound.is_narrow(),
                StageKind::Readout { .. } => true,
            })
    }

    /// The values of all stages by products; `None` where one may not fit into 32 bits.
    fn products(&self, maps: &[Vec<Map>], pixels: &[i32], time_steps: u32) -> Option<Vec<Values>> {
        let extent = Extent { time_steps, fires: time_steps, attention: Attention::Accumulated };
        let bounds = self.bounds.all(self.graph, extent);
        self.fits(time_steps, &bounds).then_some(())?;
        let mut values: Vec<Values> = vec![];
        for (id, maps) in self.graph.ids().zip(maps) {
            let stage = self.graph.stage(id);
            // what sums are made of is often far less than it might be
            let sent = |id: &StageId| values[id.index()].ends();
            let is_narrow = bounds[id.index()].is_narrow() || self.bounds.of(self.graph, id, extent, sent).is_narrow();
            is_narrow.then_some(())?;
            let of = |id: &StageId| (self.graph.stage(*id).grid, &values[id.index()]);
            let result = match &stage.kind {
                StageKind::Input(_) => Values::Narrow(pixels.iter().map(|&pixel| pixel * time_steps as i32).collect()),
                StageKind::Neurons(neurons) => {
                    let sums = self.potentials(stage, &neurons.synapses, maps, &values, time_steps);
                    Values::Bytes(activations(stage.grid.channels as usize, neurons, &sums, time_steps as i32))
                }
                StageKind::Readout { synapses, .. } => {
                    let (stride, channels) = (stage.grid.channels.next_multiple_of(LANES as u32), stage.grid.channels);
                    let sums = self.potentials(stage, synapses, maps, &values, time_steps);
                    let rows = sums.chunks_exact(stride as usize);
                    Values::Narrow(rows.flat_map(|row| &row[..channels as usize]).copied().collect())
                }
                StageKind::MaxPool { source, window } => {
                    let mut maxima = vec![0; stage.grid.neurons()];
                    for (row, at) in maxima.chunks_exact_mut(stage.grid.channels as usize).zip(places(stage.grid)) {
                        for (position, _) in under(*window, at, of(source).0) {
                            largest(row, &bytes(of(source).1)[position * row.len()..]);
                        }
                    }
                    Values::Bytes(maxima)
                }
                StageKind::Scores { queries, keys, heads } => {
                    Values::Narrow(self.scores(of(queries), of(keys), *heads as usize))
                }
                StageKind::Softmax { scores, rule } => {
                    Values::Narrow(softmax(narrow(of(scores).1), stage.grid.channels as usize, rule, time_steps))
                }
                StageKind::Context { probabilities, values, heads } => {
                    Values::Narrow(self.context(of(probabilities), of(values), *heads as usize))
                }
            };
            values.push(result);
        }
        Some(values)
    }

    /// `Σ W·gain·N + T·b`, position by position, in rows padded to whole registers.
    fn potentials(
        &self,
        stage: &Stage<i32>,
        synapses: &Synapses<i32>,
        maps: &[Map],
        values: &[Values],
        time_steps: u32,
    ) -> Vec<i32> {
        let channels = stage.grid.channels as usize;
        let stride = channels.next_multiple_of(LANES);
        let mut sums = vec![0; stage.grid.positions() * stride];
        for (row, bias) in sums.chunks_exact_mut(stride).zip(synapses.bias.chunks(channels.max(1)).cycle()) {
            row.iter_mut().zip(bias).for_each(|(sum, &bias)| *sum = bias * time_steps as i32);
        }
        for map in maps {
            map.multiply(self.level, values, &mut sums);
        }
        sums
    }

    fn scores(&self, queries: (Grid, &Values), keys: (Grid, &Values), heads: usize) -> Vec<i32> {
        let (rows, columns, channels) = (queries.0.positions(), keys.0.positions(), queries.0.channels as usize);
        let (width, counts) = (channels / heads, |values| bytes(values).iter().map(|&count| count.into()).collect());
        let [queries, keys]: [Vec<i32>; 2] = [queries.1, keys.1].map(counts);
        let keys = |head: usize, packed: &mut Packed| {
            packed.fill_columns(columns, |key| &keys[key * channels + head * width..][..width]);
        };
        let mut sums = vec![0; rows * heads * columns];
        HeadProduct::new(heads, (rows, width, columns)).multiply(self.level, &queries, keys, &mut sums);
        sums
    }

    fn context(&self, shares: (Grid, &Values), values: (Grid, &Values), heads: usize) -> Vec<i32> {
        let (rows, keys, channels) = (shares.0.positions(), values.0.positions(), values.0.channels as usize);
        let width = channels / heads;
        let counts: Vec<i32> = bytes(values.1).iter().map(|&count| count.into()).collect();
        let values = |head: usize, packed: &mut Packed| {
            packed.fill_rows(keys, |key| &counts[key * channels + head * width..][..width]);
        };
        let mut sums = vec![0; rows * channels];
        HeadProduct::new(heads, (rows, keys, width)).multiply(self.level, narrow(shares.1), values, &mut sums);
        sums
    }
}

/// Counts, which are kept in bytes.
fn bytes(values: &Values) -> &[u8] {
    match values {
        Values::Bytes(values) => values,
        Values::Words(_) | Values::Narrow(_) | Values::Wide(_) => &[],
    }
}

/// Sums, which are kept in 32 bits.
fn narrow(values: &Values) -> &[i32] {
    match values {
        Values::Narrow(values) => values,
        Values::Bytes(_) | Values::Words(_) | Values::Wide(_) => &[],
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn softmax(scores: &[i32], columns: usize, rule: &SoftmaxRule, time_steps: u32) -> Vec<i32> {
    let mut shares = scores.to_vec();
    let (softmax, keys) = (FixedSoftmax::new(rule, time_steps), columns / rule.heads.max(1) as usize);
    attention::normalise_all(&softmax, rule.axis, keys, columns, time_steps, &mut shares);
    shares
}

#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn largest(maxima: &mut [u8], counts: &[u8]) {
    maxima.iter_mut().zip(counts).for_each(|(maximum, &count)| *maximum = count.max(*maximum));
}

/// `clip(floor((sum + floor(θ/2)) / θ), 0, T)`: how many of the T levels `k·θ − floor(θ/2)` a sum reaches.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn activations(channels: usize, neurons: &Neurons<i32>, sums: &[i32], time_steps: i32) -> Vec<u8> {
    let stride = channels.next_multiple_of(LANES);
    let mut counts = vec![0; sums.len() / stride * channels];
    let level = |k: i32| neurons.threshold.iter().map(move |&threshold| k * threshold - threshold / 2);
    let levels: Vec<i32> = (1..=time_steps).flat_map(level).collect();
    for (counts, sums) in counts.chunks_exact_mut(channels).zip(sums.chunks_exact(stride)) {
        for levels in levels.chunks_exact(channels) {
            let pairs = counts.iter_mut().zip(sums).zip(levels);
            pairs.for_each(|((count, &sum), &level)| *count += u8::from(sum >= level));
        }
    }
    counts
}
