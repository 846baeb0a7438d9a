//! The results as people and scripts read them: the nouns behind every table, JSON object and report.

use serde::Serialize;
use std::collections::BTreeMap;

/// Whether the spiking network computes what the trained one does: the object of `check --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Number of images.
    pub images: u64,
    /// T: steps in which the image and the biases are injected.
    pub time_steps: u32,
    /// Which semantics the spiking run had: `exact` or `reference`.
    pub semantics: String,
    /// Images that the float network classifies right, in percent; absent where the images have no labels.
    pub ann_top1: Option<f64>,
    /// The same for the integer network with L := T.
    pub quantised_ann_top1: Option<f64>,
    /// The same for the spiking run.
    pub snn_top1: Option<f64>,
    /// Images on which the spiking run and the float network choose the same class, in percent.
    pub agreement: f64,
    /// Whether every value of every stage of every image equals the integer network's.
    pub all_equal: bool,
    /// Most steps that an image took to fall silent.
    pub silent_step: u32,
    /// The same, stage by stage.
    pub layers: Vec<LayerAgreement>,
}

/// One stage of an [`Agreement`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerAgreement {
    /// Name of the stage.
    pub name: String,
    /// Kind of the stage.
    pub kind: String,
    /// Values compared, summed over the images.
    pub neurons: u64,
    /// Those that were equal.
    pub equal_neurons: u64,
    /// Spikes sent, or graded values.
    pub spikes: u64,
    /// How many of them were negative.
    pub negative_spikes: u64,
    /// Synaptic operations (sums changed, for special units) that its arriving spikes caused.
    pub synaptic_ops: u64,
    /// Last step in which it sent anything, over all images.
    pub silent_step: u32,
}

/// What a network costs on a chip: the object of `run --json` and the file `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    /// Name of the chip.
    pub chip: String,
    /// Name of the network.
    pub network: String,
    /// Number of images.
    pub images: u64,
    /// T: steps in which the image and the biases are injected.
    pub time_steps: u32,
    /// `live` or `replay`.
    pub drive: String,
    /// Mean cycles of an image.
    pub cycles_per_image: f64,
    /// Mean time of an image, in milliseconds.
    pub time_ms_per_image: f64,
    /// Mean energy of an image, in microjoules.
    pub energy_uj_per_image: f64,
    /// Energy of all images in femtojoules: exactly the sum of the components and of the layers.
    pub energy_fj: u64,
    /// Mean energy of an image by component, in microjoules; `static` is power times time.
    pub energy_by_component: BTreeMap<String, f64>,
    /// The same in femtojoules, of all images.
    pub energy_by_component_fj: BTreeMap<String, u64>,
    /// How often each action happened, over all images.
    pub actions: BTreeMap<String, u64>,
    /// Layer by layer.
    pub layers: Vec<LayerSummary>,
    /// The same network as a quantised ANN on the same technology.
    pub ann_baseline: AnnBaseline,
    /// Whether every spike of the chip was that of the functional run, in every step; absent in replay.
    pub live_equal: Option<bool>,
    /// Whether it computes what the trained network does; absent where only a trace was replayed.
    pub agreement: Option<Agreement>,
    /// How the simulator itself did; the one part that differs from run to run.
    pub simulator: Simulator,
}

/// One stage of a [`RunSummary`]; counts are summed over the images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerSummary {
    /// Name of the stage.
    pub name: String,
    /// Kind of the stage.
    pub kind: String,
    /// Values that it holds.
    pub neurons: u64,
    /// Units that it takes.
    pub cores: u64,
    /// Spikes sent, or graded values.
    pub spikes: u64,
    /// How many of them were negative.
    pub negative_spikes: u64,
    /// Synaptic operations (sums changed, for special units).
    pub synaptic_ops: u64,
    /// Packets sent.
    pub packets: u64,
    /// Links passed by its flits.
    pub flit_hops: u64,
    /// Cycles in which its units were at work, summed over them.
    pub busy_cycles: u64,
    /// Mean energy of an image, in microjoules, without static power.
    pub energy_uj: f64,
    /// The same in femtojoules, of all images.
    pub energy_fj: u64,
    /// Bits of the widest potential, count or sum.
    pub peak_bits: u32,
    /// Potentials, counts or sums that were wider than the chip keeps them, at the end of a step's integration.
    pub overflows: u64,
    /// Most packets that waited at once at one of its units.
    pub peak_queue: u64,
}

/// The same network as a quantised ANN on the same technology.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AnnBaseline {
    /// Multiply-accumulates of an image.
    pub macs: u64,
    /// Weights read, each once.
    pub weight_reads: u64,
    /// Activations read and written, each once in every layer that does.
    pub activation_accesses: u64,
    /// Energy of an image, in microjoules, if every weight is read once: the least that any chip could do with.
    pub energy_uj: f64,
    /// The same if a weight is read for every multiply-accumulate.
    pub energy_uj_without_reuse: f64,
}

/// How the simulator itself did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Simulator {
    /// Wall-clock seconds of the engine.
    pub seconds: f64,
    /// Synaptic operations simulated in a second.
    pub synaptic_ops_per_s: f64,
    /// Flit-hops simulated in a second.
    pub flit_hops_per_s: f64,
    /// Most memory that the process held, in MiB.
    pub peak_memory_mib: f64,
}

/// What a placement is worth: a row of `map`, and the objects of `map --json`. Figures are means of an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MappingSummary {
    /// Name of the strategy.
    pub strategy: String,
    /// Cores on which a slice sits.
    pub cores_used: u64,
    /// Cores of the chip.
    pub cores: u64,
    /// Units of any kind on which a slice sits.
    pub units_used: u64,
    /// Units of the chip.
    pub units: u64,
    /// Neurons that the cores hold, in percent of those that they could hold.
    pub utilisation: f64,
    /// Weighted hops: flits times the links that each of them passes, tokens and acknowledgements included. Without recorded
    /// spikes, those of one step in which every neuron fires once, in packets of one spike.
    pub flit_hops: f64,
    /// Flits over the busiest link.
    pub most_link_flits: f64,
    /// Cycles that no run undercuts; absent without recorded spikes.
    pub predicted_cycles: Option<f64>,
    /// Cycles of the engine; absent without recorded spikes.
    pub simulated_cycles: Option<f64>,
    /// Energy, in microjoules; absent without recorded spikes.
    pub energy_uj: Option<f64>,
}

/// Accuracy by T and settle steps: the object of `accuracy --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccuracyTable {
    /// Number of images.
    pub images: u64,
    /// `exact` or `reference`.
    pub semantics: String,
    /// `int` or `float`.
    pub weights: String,
    /// Top-1 of the float network, in percent.
    pub ann_top1: f64,
    /// Top-5 of the float network, in percent.
    pub ann_top5: f64,
    /// S, the settle steps: one for each column.
    pub settle: Vec<u32>,
    /// One row for each T.
    pub rows: Vec<AccuracyRow>,
}

/// One row of an [`AccuracyTable`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccuracyRow {
    /// T.
    pub time_steps: u32,
    /// Top-1 in percent, one for each column.
    pub top1: Vec<f64>,
    /// Top-5 in percent, one for each column.
    pub top5: Vec<f64>,
    /// Mean cross-entropy loss, one for each column.
    pub loss: Vec<f64>,
}
