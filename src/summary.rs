//! The results as people and scripts read them: the nouns behind every table, JSON object and report.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether the spiking network computes what the trained one does: the object of `check --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Which prices move the total most.
    #[serde(default)]
    pub sensitivity: Sensitivity,
    /// Whether every spike of the chip was that of the functional run, in every step; absent in replay.
    pub live_equal: Option<bool>,
    /// Whether it computes what the trained network does; absent where only a trace was replayed.
    pub agreement: Option<Agreement>,
    /// Time steps of all images, to silence.
    pub time_steps_run: u64,
    /// The chip as a map, with what each unit and link did.
    pub map: ChipMap,
    /// When each layer worked on which time step.
    pub waterfall: Waterfall,
    /// Every constant of the chip, in the order of its file.
    pub constants: Vec<ChipConstant>,
    /// The publications that the constants' sources cite, by key.
    pub references: BTreeMap<String, String>,
    /// Where the result comes from.
    pub origin: Origin,
    /// How the simulator itself did; with `origin`, the part that differs from run to run.
    pub simulator: Simulator,
}

/// How the energy of all images depends on each price; counts stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// Energy as it is, in femtojoules.
    pub energy_fj: u64,
    /// Every price that has a part in it, the heaviest first.
    pub levers: Vec<Lever>,
    /// The total for prices of an exponential from 0.1 to 10 pJ.
    pub softmax: Vec<SoftmaxPrice>,
}

/// One price and its part of the total.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lever {
    /// Where it stands in the hardware description.
    pub constant: String,
    /// How often its action happened; 0 for static power.
    pub count: u64,
    /// Its value in femtojoules; 0 for static power.
    pub price_fj: u64,
    /// Its part of the total, in femtojoules.
    pub energy_fj: u64,
    /// The same as a part of 1.
    pub share: f64,
    /// The total if it were half as high, in femtojoules.
    pub halved_fj: u64,
    /// The total if it were twice as high, in femtojoules.
    pub doubled_fj: u64,
}

/// The total for one price of an exponential.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SoftmaxPrice {
    /// The price in femtojoules.
    pub price_fj: u64,
    /// The total in femtojoules.
    pub energy_fj: u64,
}

/// One stage of a [`RunSummary`]; counts are summed over the images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Spikes of one value in one time step, over all steps to silence.
    pub firing_rate: f64,
    /// Mean energy of an image, in microjoules, without static power.
    pub energy_uj: f64,
    /// The same in femtojoules, of all images.
    pub energy_fj: u64,
    /// The same by component.
    pub energy_by_component_fj: BTreeMap<String, u64>,
    /// Bits of the widest potential, count or sum.
    pub peak_bits: u32,
    /// Potentials, counts or sums that were wider than the chip keeps them, at the end of a step's integration, and graded
    /// spikes wider than its packets carry them.
    pub overflows: u64,
    /// Most packets that waited at once at one of its units.
    pub peak_queue: u64,
}

/// The chip as a map; counts are summed over the images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChipMap {
    /// What the chip models, in a sentence.
    pub summary: String,
    /// Clock in MHz.
    pub mhz: u64,
    /// Tiles in a row.
    pub columns: u32,
    /// Rows of tiles.
    pub rows: u32,
    /// The units, tiles row by row and the units of a tile in order.
    pub units: Vec<UnitSummary>,
    /// The links that flits passed, tiles row by row, east, west, south, north.
    pub links: Vec<LinkSummary>,
}

/// One unit of a [`ChipMap`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitSummary {
    /// `core`, `max_pool`, `attention`, `softmax` or `port`.
    pub kind: String,
    /// Column of its tile.
    pub x: u32,
    /// Row of its tile.
    pub y: u32,
    /// Which of the tile's units it is.
    pub port: u32,
    /// What sits on it; absent where nothing does.
    pub slice: Option<SliceSummary>,
}

/// The part of a layer that sits on a unit, and what it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceSummary {
    /// Place of the layer in the list of layers.
    pub layer: u32,
    /// Which part of it.
    pub region: String,
    /// Values that it holds.
    pub neurons: u64,
    /// Cycles in which the unit was at work.
    pub busy_cycles: u64,
    /// Their part of all cycles, from 0 to 1.
    pub utilisation: f64,
    /// Spikes sent, or graded values.
    pub spikes: u64,
    /// Packets sent.
    pub packets: u64,
    /// Synaptic operations (sums changed, for special units).
    pub synaptic_ops: u64,
    /// Energy of all images in femtojoules, without static power; packets are paid for by their sender.
    pub energy_fj: u64,
    /// Most packets that waited at once at the unit.
    pub peak_queue: u64,
}

/// One link of a [`ChipMap`], from one tile to its neighbour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkSummary {
    /// Column of the tile that sends.
    pub x: u32,
    /// Row of it.
    pub y: u32,
    /// `north`, `east`, `south` or `west`.
    pub toward: String,
    /// Flits that passed.
    pub flits: u64,
    /// Flits a cycle, as a part of what the link can carry: from 0 to 1.
    pub load: f64,
}

/// When each layer worked on which time step, for the first image and its first [`Waterfall::MOST_STEPS`] steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Waterfall {
    /// Time steps that the image took to fall silent.
    pub steps: u32,
    /// Cycles that it took.
    pub cycles: u64,
    /// For each layer, its time steps in order.
    pub layers: Vec<Vec<StepSummary>>,
}

impl Waterfall {
    /// Steps that are kept of each image.
    pub const MOST_STEPS: u32 = 64;
}

/// One layer in one time step; cycles count from the start of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSummary {
    /// When the first of its units began to take packets for the step or, if none came, to fire.
    pub begins: u64,
    /// When the first of its units began to fire.
    pub fires: u64,
    /// When the last of its units had handed over everything.
    pub ends: u64,
    /// Spikes sent, or graded values.
    pub spikes: u64,
    /// Packets sent.
    pub packets: u64,
}

/// One constant of a chip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChipConstant {
    /// Where it stands in the hardware description, such as `topology.mesh.columns`.
    pub path: String,
    /// Its value, as it would stand in the file.
    pub value: String,
    /// Its unit; empty for plain numbers and words.
    pub unit: String,
    /// What it is.
    pub sentence: String,
    /// Where the value comes from.
    pub source: String,
}

/// Where a result comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of spikemesh.
    pub version: String,
    /// The command line, word by word; empty where the library was called.
    pub command: Vec<String>,
    /// Digest of the spiking graph.
    pub fingerprint: String,
}

/// The same network as a quantised ANN on the same technology.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
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

/// How often the screening of a sweep was wrong, as far as the engine has run its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Screening {
    /// Points that were only forecast.
    pub screened: u64,
    /// Points that the screening chose, and the engine ran.
    pub chosen: u64,
    /// Points that it put aside, and the engine ran all the same.
    pub audited: u64,
    /// Those of them that are faster than the slowest of the chosen.
    pub audited_faster_than_slowest: u64,
    /// Those of them that are faster than the fastest of the chosen.
    pub audited_faster_than_fastest: u64,
    /// Pairs of chosen points.
    pub pairs: u64,
    /// Those that the forecast has in the wrong order.
    pub pairs_in_wrong_order: u64,
    /// Points that the engine ran in less than the least time that was forecast: none, if the forecast holds.
    pub undercut: u64,
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
    /// Energy if the run took no more than the predicted cycles, in microjoules; absent without recorded spikes.
    pub predicted_energy_uj: Option<f64>,
    /// Energy of the simulated run, in microjoules; absent without recorded spikes.
    pub energy_uj: Option<f64>,
}

/// Accuracy by T and settle steps: the object of `accuracy --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Mean cross-entropy of the float network, in nats.
    pub ann_loss: f64,
    /// S, the settle steps: one for each column.
    pub settle: Vec<u32>,
    /// One row for each T.
    pub rows: Vec<AccuracyRow>,
}

/// One row of an [`AccuracyTable`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
