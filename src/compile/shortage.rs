//! What a chip lacks for a network: kinds of unit, numbers of units; and which changes would be enough.

use super::error::{Fault, StageUnits};
use super::needs::{capacity_key, unit_for};
use super::partition::{Partition, cut};
use crate::graph::{Graph, StageKind};
use crate::hardware::{Kernels, Topology, UnitKind};

/// What is wrong whatever the partition: kinds of unit that are not there, weights and tables that are too wide.
pub(super) fn unfit(graph: &Graph<i32>, topology: &Topology) -> Vec<Fault> {
    let mut faults = vec![];
    for kind in UnitKind::ALL {
        let stages = graph.stages.iter().filter(|stage| unit_for(&stage.kind) == kind);
        let stages: Vec<String> = stages.map(|stage| stage.name.clone()).collect();
        if !stages.is_empty() && available(topology, kind) == 0 {
            faults.push(Fault::NoUnit { kind, stages });
        }
    }
    if graph.weight_bits > topology.core.weight_bits {
        faults.push(Fault::WideWeights { bits: graph.weight_bits, available: topology.core.weight_bits });
    }
    for stage in graph.stages.iter().filter(|stage| available(topology, unit_for(&stage.kind)) > 0) {
        let (available, bits) = (topology.noc.graded_bits, payload_bits(&stage.kind));
        if let Some((bits, flag)) = bits.filter(|(bits, _)| *bits > available) {
            faults.push(Fault::WidePayload { stage: stage.name.clone(), bits, available, flag });
        }
    }
    let has_softmax = available(topology, UnitKind::Softmax) > 0;
    for stage in graph.stages.iter().filter(|_| has_softmax) {
        if let StageKind::Softmax { rule, .. } = &stage.kind
            && rule.table_bits > topology.softmax.table_bits
        {
            let (bits, available) = (rule.table_bits, topology.softmax.table_bits);
            faults.push(Fault::LargeTable { stage: stage.name.clone(), bits, available });
        }
    }
    faults
}

/// Bits of the widest graded spike of a stage, sign included, where its width is known beforehand: that of a pixel, or of a
/// probability's change from none to all or back; and what narrows it.
fn payload_bits(kind: &StageKind<i32>) -> Option<(u32, &'static str)> {
    match kind {
        StageKind::Input(input) => Some((input.bits, "--input-bits")),
        StageKind::Softmax { rule, .. } => Some((rule.probability_bits + 2, "--probability-bits")),
        StageKind::Neurons(_)
        | StageKind::Readout { .. }
        | StageKind::MaxPool { .. }
        | StageKind::Scores { .. }
        | StageKind::Context { .. } => None,
    }
}

/// The kinds of unit of which the chip has some, but not enough for `partition`.
pub(super) fn too_few(graph: &Graph<i32>, topology: &Topology, partition: &Partition) -> Vec<Fault> {
    let short = UnitKind::ALL.into_iter().filter(|&kind| {
        let there = available(topology, kind);
        there > 0 && there < needed(graph, partition, kind)
    });
    let fault = |kind| {
        let binding = binding(graph, topology, kind);
        let of_kind = graph.stages.iter().zip(partition).zip(&binding);
        let of_kind = of_kind.filter(|((stage, _), _)| unit_for(&stage.kind) == kind);
        let mut stages: Vec<StageUnits> = of_kind
            .map(|((stage, regions), binding)| StageUnits {
                name: stage.name.clone(),
                grid: stage.grid,
                units: regions.len(),
                binding: capacity_key(kind, *binding),
            })
            .collect();
        stages.sort_by_key(|stage| std::cmp::Reverse(stage.units));
        Fault::TooFewUnits {
            kind,
            needed: needed(graph, partition, kind),
            available: available(topology, kind),
            stages,
            remedies: remedies(graph, topology, partition, kind, &binding),
        }
    };
    short.map(fault).collect()
}

pub(super) fn available(topology: &Topology, kind: UnitKind) -> usize {
    topology.units().iter().filter(|unit| unit.kind == kind).count()
}

pub(super) fn needed(graph: &Graph<i32>, partition: &Partition, kind: UnitKind) -> usize {
    let of_kind = graph.stages.iter().zip(partition).filter(|(stage, _)| unit_for(&stage.kind) == kind);
    of_kind.map(|(_, regions)| regions.len()).sum()
}

/// For each stage, the capacity that by itself asks for the most units, as an index into the row of needs.
fn binding(graph: &Graph<i32>, topology: &Topology, kind: UnitKind) -> Vec<usize> {
    let alone: Vec<Vec<usize>> = (0..places(kind))
        .map(|kept| {
            let mut topology = topology.clone();
            for other in (0..places(kind)).filter(|&other| other != kept) {
                *capacity(&mut topology, kind, other) = u64::MAX;
            }
            cut(graph, &topology, &[]).0.iter().map(Vec::len).collect()
        })
        .collect();
    let most = |stage: usize| (0..places(kind)).rev().max_by_key(|&kept| alone[kept][stage]).unwrap_or(0);
    (0..graph.stages.len()).map(most).collect()
}

/// Changes of the chip, or of the network's weights, after which there are enough units of this kind.
fn remedies(
    graph: &Graph<i32>,
    topology: &Topology,
    partition: &Partition,
    kind: UnitKind,
    binding: &[usize],
) -> Vec<String> {
    let enough = |graph: &Graph<i32>, topology: &Topology| {
        let (partition, _) = cut(graph, topology, &[]);
        needed(graph, &partition, kind) <= available(topology, kind)
    };
    let mut remedies: Vec<String> = rows(topology, kind, needed(graph, partition, kind)).into_iter().collect();
    let of_kind = || graph.stages.iter().zip(binding).filter(|(stage, _)| unit_for(&stage.kind) == kind);
    for place in (0..places(kind)).filter(|place| of_kind().any(|(_, binding)| binding == place)) {
        let mut larger = topology.clone();
        for _ in 0..4 {
            *capacity(&mut larger, kind, place) = capacity(&mut larger, kind, place).saturating_mul(2);
            if enough(graph, &larger) {
                remedies.push(format!("--set {}={}", capacity_key(kind, place), capacity(&mut larger, kind, place)));
                break;
            }
        }
    }
    if kind == UnitKind::Core && topology.core.kernels == Kernels::Expanded {
        let mut shared = topology.clone();
        shared.core.kernels = Kernels::Shared;
        remedies.extend(enough(graph, &shared).then(|| "--set core.kernels=shared".to_string()));
    }
    if kind == UnitKind::Core && graph.weight_bits > 2 {
        let fewer = (2..graph.weight_bits).rev().map(|bits| Graph { weight_bits: bits, ..graph.skeleton() });
        let fits = fewer.into_iter().find(|graph| graph.weight_bits % 2 == 0 && enough(graph, topology));
        remedies.extend(fits.map(|graph| format!("--weight-bits {}", graph.weight_bits)));
    }
    remedies
}

/// The fewest rows of the mesh with which the chip has enough units of this kind.
fn rows(topology: &Topology, kind: UnitKind, needed: usize) -> Option<String> {
    let mut taller = topology.clone();
    let mut low = topology.mesh.rows;
    let mut high = 1024;
    let mut enough = |rows| {
        taller.mesh.rows = rows;
        available(&taller, kind) >= needed
    };
    if !enough(high) {
        return None;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle }
    }
    Some(format!("--set mesh.rows={high}"))
}

/// How many capacities a unit of this kind has.
fn places(kind: UnitKind) -> usize {
    match kind {
        UnitKind::Core => 4,
        UnitKind::MaxPool | UnitKind::Attention | UnitKind::Softmax => 1,
        UnitKind::Port => 0,
    }
}

fn capacity(topology: &mut Topology, kind: UnitKind, place: usize) -> &mut u64 {
    let core = &mut topology.core;
    match (kind, place) {
        (UnitKind::Core | UnitKind::Port, 0) => &mut core.neurons,
        (UnitKind::Core | UnitKind::Port, 1) => &mut core.synapse_bits,
        (UnitKind::Core | UnitKind::Port, 2) => &mut core.axons_in,
        (UnitKind::Core | UnitKind::Port, _) => &mut core.routes_out,
        (UnitKind::MaxPool, _) => &mut topology.max_pool.count_bits,
        (UnitKind::Attention, _) => &mut topology.attention.state_bits,
        (UnitKind::Softmax, _) => &mut topology.softmax.state_bits,
    }
}
