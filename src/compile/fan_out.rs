//! Which slices the spikes of each neuron of a stage must reach, whatever slice of its own stage the neuron is in.

use super::tiling::Tiling;
use crate::graph::Graph;
use crate::reach::Reach;
use crate::units::{Grid, Region, StageId};
use bitvec::prelude::{BitVec, Lsb0};
use std::collections::BTreeMap;

/// A slice as the stage that it belongs to and its place among that stage's slices.
pub(super) type Reader = (StageId, u32);

/// The distinct sets of slices that read a stage, and which of them each of its neurons has.
#[derive(Debug)]
pub(super) struct FanOut {
    /// First channel of each span of channels that are read alike.
    spans: Vec<u32>,
    /// `classes[position · spans + span]`: index of the set.
    classes: Vec<u32>,
    /// The sets, each in order.
    pub(super) sets: Vec<Vec<Reader>>,
}

impl FanOut {
    /// The fan-out of `stage`, where every stage that reads it is cut as in `tilings`.
    pub(super) fn new(graph: &Graph<i32>, stage: StageId, tilings: &[Tiling]) -> Self {
        let grid = graph.stage(stage).grid;
        let reaches: Vec<(StageId, Reach)> =
            graph.consumers(stage).map(|target| (target, Reach::new(graph, stage, target))).collect();
        let spans = spans(grid.channels, &reaches, tilings);
        let mut fan_out = Self { classes: Vec::with_capacity(grid.positions() * spans.len()), spans, sets: vec![] };
        let mut known = BTreeMap::new();
        let mut set: Vec<Reader> = vec![];
        for position in grid.whole().positions {
            for span in 0..fan_out.spans.len() {
                set.clear();
                for (target, reach) in &reaches {
                    for area in reach.areas(position, fan_out.spans[span]) {
                        set.extend(tilings[target.index()].touched(&area).map(|slice| (*target, slice)));
                    }
                }
                set.sort_unstable();
                set.dedup();
                fan_out.push(&set, &mut known);
            }
        }
        fan_out
    }

    /// The fan-out of a stage that nobody reads.
    pub(super) fn none(grid: Grid) -> Self {
        Self { spans: vec![0], classes: vec![0; grid.positions()], sets: vec![vec![]] }
    }

    fn push(&mut self, set: &[Reader], known: &mut BTreeMap<Vec<Reader>, u32>) {
        let last = self.classes.last().copied().filter(|&class| self.sets[class as usize] == set);
        let class = last.or_else(|| known.get(set).copied()).unwrap_or_else(|| {
            let class = self.sets.len() as u32;
            self.sets.push(set.to_vec());
            known.insert(set.to_vec(), class);
            class
        });
        self.classes.push(class);
    }

    /// Index of the set of each neuron of `region`, in the order of [`Region::local`].
    pub(super) fn classes<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = u32> + 'a {
        let first = self.span_of(region.channels.start);
        region.positions.clone().flat_map(move |position| {
            let row = self.row(position);
            region.channels.clone().scan(first, move |span, channel| {
                while self.spans.get(*span + 1).is_some_and(|&start| start <= channel) {
                    *span += 1;
                }
                Some(row[*span])
            })
        })
    }

    /// Entries of an axon-out table for these regions, where a route names so many neurons: for each distinct set its size,
    /// once for each route that its neurons need.
    pub(super) fn routes_out(&self, regions: &[Region], named: u64) -> u64 {
        if regions.iter().map(|region| region.neurons() as u64).sum::<u64>() > named {
            return self.routes_shared_out(regions, named);
        }
        let mut seen: BitVec<u64, Lsb0> = BitVec::repeat(false, self.sets.len());
        let mut entries = 0;
        for region in regions {
            let spans = self.span_of(region.channels.start)..self.span_of(region.channels.end - 1) + 1;
            for position in region.positions.clone() {
                for &class in &self.row(position)[spans.clone()] {
                    if !seen.replace(class as usize, true) {
                        entries += self.sets[class as usize].len() as u64;
                    }
                }
            }
        }
        entries
    }

    /// The same where a set may have more neurons than one route names.
    fn routes_shared_out(&self, regions: &[Region], named: u64) -> u64 {
        let mut neurons = vec![0u64; self.sets.len()];
        for region in regions {
            let (first, last) = (self.span_of(region.channels.start), self.span_of(region.channels.end - 1));
            let start = |span: usize| self.spans.get(span).map_or(region.channels.end, |&start| start);
            let width = |span: usize| start(span + 1).min(region.channels.end) - start(span).max(region.channels.start);
            for position in region.positions.clone() {
                let row = self.row(position);
                (first..=last).for_each(|span| neurons[row[span] as usize] += u64::from(width(span)));
            }
        }
        neurons.iter().zip(&self.sets).map(|(neurons, set)| neurons.div_ceil(named) * set.len() as u64).sum()
    }

    fn span_of(&self, channel: u32) -> usize {
        self.spans.partition_point(|&start| start <= channel) - 1
    }

    fn row(&self, position: u32) -> &[u32] {
        let width = self.spans.len();
        &self.classes[position as usize * width..(position as usize + 1) * width]
    }
}

/// First channels of the spans that all of `reaches` spread to the same slices.
fn spans(channels: u32, reaches: &[(StageId, Reach)], tilings: &[Tiling]) -> Vec<u32> {
    let mut spans = vec![];
    let mut channel = 0;
    while channel < channels {
        spans.push(channel);
        let end =
            |(target, reach): &(StageId, Reach)| reach.alike_until(channel, tilings[target.index()].uncut(channel));
        channel = reaches.iter().map(end).min().unwrap_or(channels);
    }
    spans
}
