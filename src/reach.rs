//! Where a spike lands: which values of a stage change when one neuron of another stage fires.
//!
//! Routes, axon tables and operation counts are all made from this one relation: a spike of neuron `(position, channel)`
//! costs a slice as many operations as the reach of that neuron has values in the slice's region.

use crate::graph::{Graph, StageKind, Taps};
use crate::units::{Number, Region, StageId};
use std::ops::Range;

/// The reach of one stage into another.
#[derive(Debug, Clone)]
pub struct Reach {
    shapes: Vec<Shape>,
}

/// One of the ways in which a spike spreads.
#[derive(Debug, Clone)]
enum Shape {
    /// To the taps of its position, in the output channels of its channel's group.
    Kernel { taps: Taps, group_in: u32, group_out: u32 },
    /// To the windows over its position, in its own channel.
    Windows(Taps),
    /// To itself.
    Same,
    /// From `(position, head · width_in + _)` to `(position, head's width_out channels)`.
    HeadRow { width_in: u32, width_out: u32 },
    /// From key `(j, head · width + d)` to score `(every query, head · keys + j)`.
    KeyColumn { width: u32, keys: u32, queries: u32 },
    /// From value `(j, channel)` to `(every query, channel)`.
    Column { queries: u32 },
}

impl Reach {
    /// The reach of `source` into `target`; empty where `target` does not read `source`.
    #[must_use]
    pub fn new<S: Number>(graph: &Graph<S>, source: StageId, target: StageId) -> Self {
        let (from, to) = (graph.stage(source), graph.stage(target));
        let queries = to.grid.height * to.grid.width;
        let mut shapes = vec![];
        match &to.kind {
            StageKind::Neurons(_) | StageKind::Readout { .. } => {
                for projection in to.kind.synapses().iter().flat_map(|s| &s.projections) {
                    let kernel = &projection.kernel;
                    for _ in projection.sources.iter().filter(|s| s.stage == source) {
                        shapes.push(Shape::Kernel {
                            taps: kernel.taps(from.grid),
                            group_in: kernel.in_channels / kernel.groups,
                            group_out: kernel.out_channels / kernel.groups,
                        });
                    }
                }
            }
            StageKind::MaxPool { source: read, window } if *read == source => {
                shapes.push(Shape::Windows(Taps::over(*window, from.grid)));
            }
            StageKind::Scores { queries: read_q, keys: read_k, heads } => {
                let keys = to.grid.channels / heads;
                let width = from.grid.channels / heads;
                if *read_q == source {
                    shapes.push(Shape::HeadRow { width_in: width, width_out: keys });
                }
                if *read_k == source {
                    shapes.push(Shape::KeyColumn { width, keys, queries });
                }
            }
            StageKind::Softmax { scores, .. } if *scores == source => shapes.push(Shape::Same),
            StageKind::Context { probabilities, values, heads } => {
                if *probabilities == source {
                    shapes.push(Shape::HeadRow {
                        width_in: from.grid.channels / heads,
                        width_out: to.grid.channels / heads,
                    });
                }
                if *values == source {
                    shapes.push(Shape::Column { queries });
                }
            }
            StageKind::Input(_) | StageKind::MaxPool { .. } | StageKind::Softmax { .. } => {}
        }
        Self { shapes }
    }

    /// The areas that a spike of `(position, channel)` changes; where two overlap, it changes their common values twice.
    pub fn areas(&self, position: u32, channel: u32) -> impl Iterator<Item = Region> + '_ {
        self.shapes.iter().flat_map(move |shape| {
            let (positions, channels, taps) = shape.spread(position, channel);
            let whole = taps.is_none().then(|| Region { positions, channels: channels.clone() });
            let single = taps
                .unwrap_or(&[])
                .iter()
                .map(move |tap| Region { positions: tap.position..tap.position + 1, channels: channels.clone() });
            whole.into_iter().chain(single)
        })
    }

    /// The end of the channels from `channel` on whose spikes land in the same slices as its own, at every position, where the
    /// target's channels are not cut before `uncut`.
    #[must_use]
    pub fn alike_until(&self, channel: u32, uncut: u32) -> u32 {
        self.shapes.iter().map(|shape| shape.alike_until(channel, uncut)).min().unwrap_or(channel + 1)
    }

    /// Channels `k·n..(k + 1)·n` of any one position spread alike, for every `k`: this is the largest such `n` known.
    #[must_use]
    pub fn channel_run(&self) -> u32 {
        let runs = self.shapes.iter().map(|shape| match shape {
            Shape::Kernel { group_in, .. } => *group_in,
            Shape::HeadRow { width_in, .. } => *width_in,
            Shape::KeyColumn { width, .. } => *width,
            Shape::Windows(_) | Shape::Same | Shape::Column { .. } => 1,
        });
        runs.reduce(divisor).unwrap_or(1)
    }

    /// How many values of `region` a spike of `(position, channel)` changes, each counted as often as it is changed.
    #[must_use]
    pub fn operations(&self, position: u32, channel: u32, region: &Region) -> u64 {
        self.shapes
            .iter()
            .map(|shape| {
                let (positions, channels, taps) = shape.spread(position, channel);
                let rows = match taps {
                    Some(taps) => taps.iter().filter(|tap| region.positions.contains(&tap.position)).count(),
                    None => overlap(&positions, &region.positions),
                };
                (rows * overlap(&channels, &region.channels)) as u64
            })
            .sum()
    }
}

impl Shape {
    /// The end of the channels that spread as `channel` does, or each to itself and before `uncut`.
    fn alike_until(&self, channel: u32, uncut: u32) -> u32 {
        let width = match self {
            Self::Kernel { group_in, .. } => *group_in,
            Self::HeadRow { width_in, .. } => *width_in,
            Self::KeyColumn { width, .. } => *width,
            Self::Windows(_) | Self::Same | Self::Column { .. } => return uncut.max(channel + 1),
        };
        (channel / width + 1) * width
    }

    /// Positions, channels, and, where the positions are scattered, the taps that name them.
    fn spread(&self, position: u32, channel: u32) -> (Range<u32>, Range<u32>, Option<&[crate::graph::Tap]>) {
        match self {
            Self::Kernel { taps, group_in, group_out } => {
                let group = channel / group_in;
                (0..0, group * group_out..(group + 1) * group_out, Some(taps.of(position)))
            }
            Self::Windows(taps) => (0..0, channel..channel + 1, Some(taps.of(position))),
            Self::Same => (position..position + 1, channel..channel + 1, None),
            Self::HeadRow { width_in, width_out } => {
                let head = channel / width_in;
                (position..position + 1, head * width_out..(head + 1) * width_out, None)
            }
            Self::KeyColumn { width, keys, queries } => {
                let column = channel / width * keys + position;
                (0..*queries, column..column + 1, None)
            }
            Self::Column { queries } => (0..*queries, channel..channel + 1, None),
        }
    }
}

fn overlap(a: &Range<u32>, b: &Range<u32>) -> usize {
    a.end.min(b.end).saturating_sub(a.start.max(b.start)) as usize
}

/// Greatest common divisor.
fn divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { divisor(b, a % b) }
}
