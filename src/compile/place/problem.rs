//! What there is to be placed: slices, units, and who sends how much to whom.

use crate::compile::needs::unit_for;
use crate::compile::partition::Partition;
use crate::graph::Graph;
use crate::hardware::{Mesh, Multicast, Routing, Topology, Unit, UnitKind};
use crate::program::Traffic;
use std::collections::BTreeMap;

/// Slices that want units.
#[derive(Debug)]
pub struct Problem {
    pub(super) mesh: Mesh,
    /// The units of the chip.
    pub(super) units: Vec<Unit>,
    /// The kind of unit that each slice needs.
    pub(super) kinds: Vec<UnitKind>,
    /// Packets that routers copy: one tree each.
    pub(super) nets: Vec<Net>,
    /// Packets between two slices, both ways: flits over the shortest way.
    pub(super) pairs: Vec<(u32, u32, u64)>,
    /// Whether packets turn from the column to the row.
    pub(super) columns_first: bool,
}

/// What one slice sends to several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Net {
    pub source: u32,
    pub sinks: Vec<u32>,
    pub flits: u64,
}

impl Problem {
    /// The slices of a partition on a chip; `traffic` names them by their place in the partition.
    ///
    /// # Panics
    /// If the chip has fewer units of a kind than the partition has slices for it, which
    /// [`partition`](crate::compile::partition) refuses.
    #[must_use]
    pub fn new(graph: &Graph<i32>, topology: &Topology, partition: &Partition, traffic: &Traffic) -> Self {
        let units = topology.units();
        let kinds: Vec<UnitKind> = graph
            .stages
            .iter()
            .zip(partition)
            .flat_map(|(stage, regions)| regions.iter().map(|_| unit_for(&stage.kind)))
            .collect();
        for kind in UnitKind::ALL {
            let needed = kinds.iter().filter(|other| **other == kind).count();
            let there = units.iter().filter(|unit| unit.kind == kind).count();
            assert!(needed <= there, "{needed} slices need a {}, and there are {there}", kind.key());
        }
        let copied = topology.noc.multicast == Multicast::Tree;
        let (nets, pairs) = demands(traffic, copied);
        let columns_first = topology.noc.routing == Routing::Yx;
        Self { mesh: topology.mesh, units, kinds, nets, pairs, columns_first }
    }

    /// Column and row of a unit.
    pub(super) fn place(&self, unit: u32) -> (u32, u32) {
        self.mesh.place(self.units[unit as usize].tile)
    }

    /// Row and column as if packets went along the row first.
    pub(super) fn turned(&self, unit: u32) -> (u32, u32) {
        let (x, y) = self.place(unit);
        if self.columns_first { (y, x) } else { (x, y) }
    }
}

/// Trees, and what goes from one slice to one other, both ways taken together.
fn demands(traffic: &Traffic, copied: bool) -> (Vec<Net>, Vec<(u32, u32, u64)>) {
    let mut nets: Vec<Net> = vec![];
    let mut pairs: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut add = |a: u32, b: u32, flits: u64| {
        if a != b && flits > 0 {
            *pairs.entry((a.min(b), a.max(b))).or_default() += flits;
        }
    };
    for flow in &traffic.flows {
        let sinks: Vec<u32> = flow.destinations.iter().map(|slice| slice.0).collect();
        if copied && sinks.len() > 1 {
            nets.push(Net { source: flow.source.0, sinks, flits: flow.flits });
        } else {
            sinks.into_iter().for_each(|sink| add(flow.source.0, sink, flow.flits));
        }
    }
    traffic.neighbours().into_iter().for_each(|(a, b)| add(a.0, b.0, 2 * traffic.control));
    nets.retain(|net| net.flits > 0);
    nets.sort_by(|a, b| (a.source, &a.sinks).cmp(&(b.source, &b.sinks)));
    nets.dedup_by(|next, kept| {
        let same = (next.source, &next.sinks) == (kept.source, &kept.sinks);
        kept.flits += if same { next.flits } else { 0 };
        same
    });
    (nets, pairs.into_iter().map(|((a, b), flits)| (a, b, flits)).collect())
}
