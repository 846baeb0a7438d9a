//! Everything that a run gave, as one summary.

use super::baseline::ann_baseline;
use super::chip_map::chip_map;
use super::price::{Bill, by_component, price, slice_counts};
use super::sensitivity::sensitivity;
use super::waterfall::waterfall;
use crate::action::{Action, Component, Counts};
use crate::activity::{Activity, SliceActivity};
use crate::graph::{Graph, StageKind};
use crate::hardware::{COUNT_BITS, Hardware, SCORE_BITS, SUM_BITS, Topology};
use crate::program::Program;
use crate::summary::{Agreement, ChipConstant, LayerSummary, Origin, RunSummary, Simulator};
use crate::trace::Widths;
use crate::units::{Femtojoules, StageId};
use std::collections::BTreeMap;

/// The key of static energy among the components.
pub const STATIC: &str = "static";

/// Several images on one chip.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The graph; its skeleton is enough.
    pub graph: &'a Graph<i32>,
    /// The graph in its place.
    pub program: &'a Program,
    /// The chip.
    pub hardware: &'a Hardware,
    /// T: steps in which the image and the biases are injected.
    pub time_steps: u32,
    /// `live` or `replay`.
    pub drive: &'a str,
    /// Whether every spike of the chip was that of the functional run; absent in replay.
    pub live_equal: Option<bool>,
    /// What happened, image by image.
    pub activities: &'a [Activity],
    /// How wide the values of each stage were, image by image.
    pub widths: &'a [&'a [Widths]],
}

/// Prices a run and sums it up, layer by layer and component by component.
#[must_use]
pub fn summarise(run: &Run<'_>, agreement: Option<Agreement>, simulator: Simulator) -> RunSummary {
    let bill = price(run.program, &run.hardware.timing, &run.hardware.energy, run.activities);
    let counts = slice_counts(run.program, run.activities);
    let images = run.activities.len() as u64;
    let mean = |sum: f64| sum / images.max(1) as f64;
    let cycles: u64 = run.activities.iter().map(|activity| activity.cycles).sum();
    let components = components(&bill);
    RunSummary {
        chip: run.hardware.name.clone(),
        network: run.graph.name.clone(),
        images,
        time_steps: run.time_steps,
        drive: run.drive.to_string(),
        cycles_per_image: mean(cycles as f64),
        time_ms_per_image: mean(cycles as f64 / run.hardware.timing.clock.mhz as f64 * 1e-3),
        energy_uj_per_image: mean(bill.total.microjoules()),
        energy_fj: bill.total.0,
        energy_by_component: components.iter().map(|(key, spent)| (key.clone(), mean(spent.microjoules()))).collect(),
        energy_by_component_fj: components.iter().map(|(key, spent)| (key.clone(), spent.0)).collect(),
        actions: actions(&counts),
        layers: run.graph.ids().map(|id| layer(run, &bill, &counts, id)).collect(),
        ann_baseline: ann_baseline(run.graph, &run.hardware.energy),
        sensitivity: sensitivity(&summed(&counts), &run.hardware.energy, bill.standing),
        live_equal: run.live_equal,
        agreement,
        time_steps_run: steps_run(run),
        map: chip_map(run, &bill, &counts),
        waterfall: waterfall(run),
        constants: constants(run.hardware),
        references: run.hardware.references.clone(),
        origin: Origin {
            version: env!("CARGO_PKG_VERSION").to_string(),
            command: vec![],
            fingerprint: run.program.fingerprint.clone(),
        },
        simulator,
    }
}

/// Time steps of all images.
fn steps_run(run: &Run<'_>) -> u64 {
    run.activities.iter().map(|activity| activity.step_ends.len() as u64).sum()
}

fn constants(hardware: &Hardware) -> Vec<ChipConstant> {
    let constants = hardware.constants().into_iter();
    constants
        .map(|constant| ChipConstant {
            path: constant.path,
            value: constant.value,
            unit: constant.unit.to_string(),
            sentence: constant.sentence,
            source: constant.source,
        })
        .collect()
}

fn components(bill: &Bill) -> BTreeMap<String, Femtojoules> {
    keyed(bill.components).chain([(STATIC.to_string(), bill.standing)]).collect()
}

/// Energies with the keys of their components.
fn keyed(energies: [Femtojoules; Component::ALL.len()]) -> impl Iterator<Item = (String, Femtojoules)> {
    Component::ALL.iter().map(|component| component.key().to_string()).zip(energies)
}

fn summed(counts: &[Counts]) -> Counts {
    let mut sum = Counts::default();
    counts.iter().for_each(|counts| sum.merge(counts));
    sum
}

fn actions(counts: &[Counts]) -> BTreeMap<String, u64> {
    let sum = summed(counts);
    Action::ALL.iter().map(|&action| (action.key().to_string(), sum[action])).collect()
}

fn layer(run: &Run<'_>, bill: &Bill, counts: &[Counts], id: StageId) -> LayerSummary {
    let stage = run.graph.stage(id);
    let range = &run.program.stage_slices[id.index()];
    let slices = range.start as usize..range.end as usize;
    let of_image = |activity: &'_ Activity| activity.slices[slices.clone()].to_vec();
    let slice_activities: Vec<SliceActivity> = run.activities.iter().flat_map(of_image).collect();
    let sum = |of: fn(&SliceActivity) -> u64| slice_activities.iter().map(of).sum();
    let widths = || run.widths.iter().map(|image| &image[id.index()]);
    let energy = bill.layers[id.index()];
    let spikes: u64 = sum(|slice| slice.spikes);
    let chances = stage.grid.neurons() as f64 * steps_run(run) as f64;
    let components = by_component(&counts[slices.clone()], &run.hardware.energy);
    LayerSummary {
        name: stage.name.clone(),
        kind: stage.kind.key().to_string(),
        neurons: stage.grid.neurons() as u64,
        cores: slices.len() as u64,
        spikes,
        negative_spikes: sum(|slice| slice.negative_spikes),
        synaptic_ops: counts[slices.clone()].iter().map(|counts| operations(&stage.kind, counts)).sum(),
        packets: sum(|slice| slice.packets),
        flit_hops: sum(|slice| slice.flit_hops),
        busy_cycles: sum(|slice| slice.busy_cycles),
        firing_rate: if chances > 0.0 { spikes as f64 / chances } else { 0.0 },
        energy_uj: energy.microjoules() / run.activities.len().max(1) as f64,
        energy_fj: energy.0,
        energy_by_component_fj: keyed(components).map(|(key, spent)| (key, spent.0)).collect(),
        peak_bits: widths().map(Widths::peak).max().unwrap_or(0),
        overflows: kept_bits(&stage.kind, &run.hardware.topology)
            .map_or(0, |bits| widths().map(|widths| widths.over(bits)).sum())
            + sum(|slice| slice.wide_spikes),
        peak_queue: slice_activities.iter().map(|slice| slice.peak_queue).max().unwrap_or(0),
    }
}

/// How many values arriving spikes changed, by the action that a stage's unit counts for each of them.
pub(super) fn operations(kind: &StageKind<i32>, counts: &Counts) -> u64 {
    match kind {
        StageKind::Input(_) => 0,
        StageKind::Neurons(_) | StageKind::Readout { .. } => counts[Action::SynapticOp],
        StageKind::MaxPool { .. } => counts[Action::PoolCompare],
        StageKind::Scores { .. } | StageKind::Context { .. } => counts[Action::AttentionMac],
        // Each arriving score changes its own entry and no other.
        StageKind::Softmax { .. } => counts[Action::AxonIn],
    }
}

/// The widest value that the unit of a stage can keep, sign included. Counts, scores and probabilities are never negative
/// and are kept without a sign.
fn kept_bits(kind: &StageKind<i32>, topology: &Topology) -> Option<u32> {
    match kind {
        StageKind::Input(_) => None,
        StageKind::Neurons(_) | StageKind::Readout { .. } => Some(topology.core.membrane_bits),
        StageKind::MaxPool { .. } => Some(COUNT_BITS + 1),
        StageKind::Scores { .. } | StageKind::Softmax { .. } => Some(SCORE_BITS + 1),
        StageKind::Context { .. } => Some(SUM_BITS),
    }
}
