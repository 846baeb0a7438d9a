//! Small random graphs that hold every kind of stage, and images for them.

use proptest::prelude::*;
use spikemesh::graph::{
    Graph, Input, Kernel, NeuronRule, Neurons, Projection, SoftmaxRule, Source, Stage, StageKind, Synapses,
};
use spikemesh::network::SoftmaxAxis;
use spikemesh::units::{Grid, StageId, Window};

/// Whole numbers that look random (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }

    fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.roll((high - low + 1) as usize) as i32
    }
}

/// What varies from graph to graph.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub side: u32,
    pub groups: u32,
    pub heads: u32,
    pub axis: SoftmaxAxis,
    pub probability_bits: u32,
    pub stride: u32,
    /// The largest weight, by size: one beyond 127 fits into no byte.
    pub largest: i32,
    pub rule: NeuronRule,
}

/// One of them.
pub const SAMPLE: Plan = Plan {
    seed: 1,
    side: 6,
    groups: 2,
    heads: 2,
    axis: SoftmaxAxis::Queries,
    probability_bits: 12,
    stride: 1,
    largest: 127,
    rule: NeuronRule::Signed,
};

pub fn plan() -> impl Strategy<Value = Plan> {
    let axis = prop_oneof![Just(SoftmaxAxis::Queries), Just(SoftmaxAxis::Keys)];
    let largest = prop_oneof![Just(127), Just(400)];
    (any::<u64>(), 4u32..=7, 1u32..=2, 1u32..=2, axis, 4u32..=14, 1u32..=2, largest).prop_map(
        |(seed, side, groups, heads, axis, probability_bits, stride, largest)| Plan {
            seed,
            side,
            groups,
            heads,
            axis,
            probability_bits,
            stride,
            largest,
            rule: NeuronRule::Signed,
        },
    )
}

impl Plan {
    pub fn image(&self, graph: &Graph<i32>) -> Vec<u8> {
        let mut dice = Dice(self.seed ^ 0x1234_5678);
        (0..graph.stages[0].grid.neurons()).map(|_| dice.roll(256) as u8).collect()
    }

    /// Convolutions (grouped, strided), max-pool, residual sums with gains, attention, and a pooled readout.
    pub fn graph(&self) -> Graph<i32> {
        let mut build = Build { dice: Dice(self.seed), largest: self.largest, rule: self.rule, stages: vec![] };
        let pixels = Input { mean: vec![0.5, 0.4], std: vec![0.25, 0.2], fraction_bits: 6, bits: 9 };
        let grid = Grid { height: self.side, width: self.side + 1, channels: 2 };
        let input = build.stage("input", grid, StageKind::Input(pixels));
        let three = Window { height: 3, width: 3, stride: 1, padding: 1 };
        let conv = build.neurons("conv", &[input], Window { stride: self.stride, ..three }, 8, 1, 64);
        let grouped = build.neurons("grouped", &[conv], three, 8, self.groups, 1);
        let pool = build.max_pool("pool", grouped, Window { stride: 2, ..three });
        let position = build.neurons("position", &[pool], three, 8, 1, 1);
        let residual = [pool, position];
        let [q, k, v] = ["q", "k", "v"].map(|name| build.neurons(name, &residual, Window::ONE, 8, 1, 1));
        let context = build.attention([q, k, v], self);
        let proj = build.neurons("proj", &[context], Window::ONE, 8, 1, 1 << self.probability_bits);
        let fc = build.neurons("fc", &[pool, position, proj], Window::ONE, 12, 1, 1);
        build.readout(&[fc], &[pool, position, proj]);
        Graph { name: "small".to_string(), weight_bits: if self.largest > 127 { 10 } else { 8 }, stages: build.stages }
    }
}

struct Build {
    dice: Dice,
    largest: i32,
    rule: NeuronRule,
    stages: Vec<Stage<i32>>,
}

impl Build {
    fn stage(&mut self, name: &str, grid: Grid, kind: StageKind<i32>) -> StageId {
        self.stages.push(Stage { name: name.to_string(), grid, kind });
        StageId::at(self.stages.len() - 1)
    }

    fn projection(
        &mut self,
        sources: &[StageId],
        pool: Option<Window>,
        window: Window,
        out: u32,
        groups: u32,
    ) -> Projection<i32> {
        let in_channels = self.stages[sources[0].index()].grid.channels;
        let weight = |_| self.dice.between(-self.largest, self.largest);
        let weights = (0..window.area() * in_channels * (out / groups)).map(weight).collect();
        let gain = |_: &StageId| if sources.len() > 1 { self.dice.between(1, 9) } else { 1 };
        let gains: Vec<i32> = sources.iter().map(gain).collect();
        let sources = sources.iter().zip(gains).map(|(&stage, gain)| Source { stage, gain }).collect();
        Projection { sources, kernel: Kernel { pool, window, in_channels, out_channels: out, groups, weights } }
    }

    /// Neurons whose thresholds suit inputs of size `unit`.
    fn neurons(
        &mut self,
        name: &str,
        sources: &[StageId],
        window: Window,
        out: u32,
        groups: u32,
        unit: i32,
    ) -> StageId {
        let source = self.stages[sources[0].index()].grid;
        let (height, width) = window.output(source).unwrap();
        let projection = self.projection(sources, None, window, out, groups);
        let threshold: Vec<i32> =
            (0..out).map(|_| self.dice.between(20, 600) * unit + self.dice.between(0, 1)).collect();
        let bias = threshold.iter().map(|&of| self.dice.between(-of / 3, of / 2)).collect();
        let synapses = Synapses { projections: vec![projection], bias };
        let kind = StageKind::Neurons(Neurons { synapses, threshold, rule: self.rule });
        self.stage(name, Grid { height, width, channels: out }, kind)
    }

    fn max_pool(&mut self, name: &str, source: StageId, window: Window) -> StageId {
        let from = self.stages[source.index()].grid;
        let (height, width) = window.output(from).unwrap();
        self.stage(name, Grid { height, width, ..from }, StageKind::MaxPool { source, window })
    }

    fn attention(&mut self, [queries, keys, values]: [StageId; 3], plan: &Plan) -> StageId {
        let heads = plan.heads;
        let grid = self.stages[queries.index()].grid;
        let pairs = Grid { channels: heads * grid.positions() as u32, ..grid };
        let scores = self.stage("scores", pairs, StageKind::Scores { queries, keys, heads });
        let scale = f64::from(self.dice.between(2, 60)) / 64.0;
        let rule =
            SoftmaxRule { heads, axis: plan.axis, scale, probability_bits: plan.probability_bits, table_bits: 8 };
        let probabilities = self.stage("softmax", pairs, StageKind::Softmax { scores, rule });
        self.stage("context", grid, StageKind::Context { probabilities, values, heads })
    }

    /// The mean over all positions of one source, and a whole-grid map of a residual sum.
    fn readout(&mut self, mean: &[StageId], flat: &[StageId]) {
        let grid = self.stages[mean[0].index()].grid;
        let pooled = self.projection(mean, Some(Window::whole(grid)), Window::ONE, 5, 1);
        let whole = self.projection(flat, None, Window::whole(grid), 5, 1);
        let bias = (0..5).map(|_| self.dice.between(-500, 500)).collect();
        let synapses = Synapses { projections: vec![pooled, whole], bias };
        let kind = StageKind::Readout { synapses, scale: 1.0 / 1024.0 };
        self.stage("readout", Grid { height: 1, width: 1, channels: 5 }, kind);
    }
}
