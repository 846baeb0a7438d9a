//! Graphs without numbers, which is all that a compiler reads: made stage by stage, or at random.
#![allow(dead_code, reason = "each behaviour uses what it needs")]

use proptest::prelude::*;
use spikemesh::graph::{
    Graph, Input, Kernel, NeuronRule, Neurons, Projection, SoftmaxRule, Source, Stage, StageKind, Synapses,
};
use spikemesh::network::SoftmaxAxis;
use spikemesh::units::{Grid, StageId, Window};

/// A graph as it grows.
pub struct Shape {
    pub graph: Graph<i32>,
}

/// A projection that is summed up before it slides a window over the grid of its sources.
#[derive(Clone, Copy)]
pub struct Map {
    pub pool: Option<Window>,
    pub window: Window,
    pub groups: u32,
}

impl Map {
    /// A square convolution that keeps the grid at stride 1.
    pub fn conv(size: u32, stride: u32) -> Self {
        Self { pool: None, window: Window { height: size, width: size, stride, padding: size / 2 }, groups: 1 }
    }

    /// A linear map of the channels of every position.
    pub const LINEAR: Self = Self { pool: None, window: Window::ONE, groups: 1 };
}

impl Shape {
    /// The input stage alone.
    pub fn new(height: u32, width: u32, channels: u32) -> Self {
        let input = Input { mean: vec![], std: vec![], fraction_bits: 6, bits: 9 };
        let grid = Grid { height, width, channels };
        let stage = Stage { name: "input".to_string(), grid, kind: StageKind::Input(input) };
        Self { graph: Graph { name: "shape".to_string(), weight_bits: 8, stages: vec![stage] } }
    }

    fn push(&mut self, name: &str, grid: Grid, kind: StageKind<i32>) -> StageId {
        let id = StageId::at(self.graph.stages.len());
        self.graph.stages.push(Stage { name: format!("{name}{}", id.0), grid, kind });
        id
    }

    pub fn grid(&self, id: StageId) -> Grid {
        self.graph.stage(id).grid
    }

    pub fn last(&self) -> StageId {
        StageId::at(self.graph.stages.len() - 1)
    }

    fn synapses(&self, sources: &[StageId], map: Map, channels: u32) -> (Grid, Synapses<i32>) {
        let from = self.grid(sources[0]);
        let kernel = Kernel {
            pool: map.pool,
            window: map.window,
            in_channels: from.channels,
            out_channels: channels,
            groups: map.groups,
            weights: vec![],
        };
        let (height, width) = map.window.output(kernel.pooled(from)).expect("the window fits");
        let sources = sources.iter().map(|&stage| Source { stage, gain: 1 }).collect();
        (Grid { height, width, channels }, Synapses { projections: vec![Projection { sources, kernel }], bias: vec![] })
    }

    pub fn neurons(&mut self, sources: &[StageId], map: Map, channels: u32) -> StageId {
        let (grid, synapses) = self.synapses(sources, map, channels);
        let neurons = Neurons { synapses, threshold: vec![], rule: NeuronRule::Signed };
        self.push("neurons", grid, StageKind::Neurons(neurons))
    }

    pub fn readout(&mut self, sources: &[StageId], map: Map, classes: u32) -> StageId {
        let (grid, synapses) = self.synapses(sources, map, classes);
        self.push("readout", grid, StageKind::Readout { synapses, scale: 1.0 })
    }

    pub fn max_pool(&mut self, source: StageId, window: Window) -> StageId {
        let from = self.grid(source);
        let (height, width) = window.output(from).expect("the window fits");
        self.push("max_pool", Grid { height, width, ..from }, StageKind::MaxPool { source, window })
    }

    /// Queries, keys, values, scores, softmax, context.
    pub fn attention(&mut self, source: StageId, heads: u32, axis: SoftmaxAxis) -> StageId {
        let from = self.grid(source);
        let [queries, keys, values] = [(); 3].map(|()| self.neurons(&[source], Map::LINEAR, from.channels));
        let scores_grid = Grid { channels: heads * from.positions() as u32, ..from };
        let scores = self.push("scores", scores_grid, StageKind::Scores { queries, keys, heads });
        let rule = SoftmaxRule { heads, axis, scale: 0.1, probability_bits: 8, table_bits: 6 };
        let probabilities = self.push("softmax", scores_grid, StageKind::Softmax { scores, rule });
        self.push("context", from, StageKind::Context { probabilities, values, heads })
    }
}

/// The reference transformer by its shape: 32×32×3 images, `dim` channels, heads of 32.
pub fn transformer(dim: u32, blocks: u32) -> Graph<i32> {
    let mut shape = Shape::new(32, 32, 3);
    let pool = Window { height: 3, width: 3, stride: 2, padding: 1 };
    let mut x = StageId(0);
    for (channels, pooled) in [(dim / 8, false), (dim / 4, false), (dim / 2, true), (dim, true)] {
        x = shape.neurons(&[x], Map::conv(3, 1), channels);
        if pooled {
            x = shape.max_pool(x, pool);
        }
    }
    let position = shape.neurons(&[x], Map::conv(3, 1), dim);
    let mut stream = vec![x, position];
    for _ in 0..blocks {
        let [queries, keys, values] = [(); 3].map(|()| shape.neurons(&stream, Map::LINEAR, dim));
        let heads = dim / 32;
        let grid = Grid { channels: heads * 64, ..shape.grid(queries) };
        let scores = shape.push("scores", grid, StageKind::Scores { queries, keys, heads });
        let axis = SoftmaxAxis::Queries;
        let rule = SoftmaxRule { heads, axis, scale: 0.1, probability_bits: 8, table_bits: 6 };
        let probabilities = shape.push("softmax", grid, StageKind::Softmax { scores, rule });
        let grid = shape.grid(values);
        let context = shape.push("context", grid, StageKind::Context { probabilities, values, heads });
        stream.push(shape.neurons(&[context], Map::LINEAR, dim));
        let hidden = shape.neurons(&stream, Map::LINEAR, 4 * dim);
        stream.push(shape.neurons(&[hidden], Map::LINEAR, dim));
    }
    let mean = Map { pool: Some(Window::whole(shape.grid(x))), ..Map::LINEAR };
    shape.readout(&stream, mean, 10);
    shape.graph
}

/// One step of a random graph.
#[derive(Debug, Clone, Copy)]
enum Growth {
    Conv { size: u32, stride: u32, channels: u32, grouped: bool },
    Residual { channels: u32 },
    AvgPool,
    MaxPool { size: u32, stride: u32 },
    Attention { axis: SoftmaxAxis },
}

fn growth() -> impl Strategy<Value = Growth> {
    let channels = (1..=4u32).prop_map(|half| 2 * half);
    prop_oneof![
        (prop_oneof![Just(1u32), Just(3)], 1..=2u32, channels.clone(), any::<bool>())
            .prop_map(|(size, stride, channels, grouped)| Growth::Conv { size, stride, channels, grouped }),
        channels.prop_map(|channels| Growth::Residual { channels }),
        Just(Growth::AvgPool),
        (2..=3u32, 1..=2u32).prop_map(|(size, stride)| Growth::MaxPool { size, stride }),
        prop_oneof![Just(SoftmaxAxis::Queries), Just(SoftmaxAxis::Keys)].prop_map(|axis| Growth::Attention { axis }),
    ]
}

/// Small graphs of every stage kind.
pub fn any_graph() -> impl Strategy<Value = Graph<i32>> {
    (2..=6u32, 2..=6u32, 1..=3u32, prop::collection::vec(growth(), 0..5), any::<bool>()).prop_map(
        |(height, width, channels, growths, mean)| {
            let mut shape = Shape::new(height, width, channels);
            let mut x = shape.neurons(&[StageId(0)], Map::conv(3, 1), 4);
            for growth in growths {
                x = grow(&mut shape, x, growth);
            }
            let whole = Window::whole(shape.grid(x));
            let map =
                if mean { Map { pool: Some(whole), ..Map::LINEAR } } else { Map { window: whole, ..Map::LINEAR } };
            shape.readout(&[x], map, 5);
            shape.graph
        },
    )
}

fn grow(shape: &mut Shape, x: StageId, growth: Growth) -> StageId {
    let grid = shape.grid(x);
    match growth {
        Growth::Conv { size, stride, channels, grouped } => {
            shape.neurons(&[x], Map { groups: if grouped { 2 } else { 1 }, ..Map::conv(size, stride) }, channels)
        }
        Growth::Residual { channels } => {
            let branch = shape.neurons(&[x], Map::conv(3, 1), grid.channels);
            shape.neurons(&[x, branch], Map::LINEAR, channels)
        }
        Growth::AvgPool if grid.height.min(grid.width) >= 2 => {
            let pool = Some(Window { height: 2, width: 2, stride: 1, padding: 0 });
            shape.neurons(&[x], Map { pool, ..Map::conv(3, 1) }, grid.channels)
        }
        Growth::MaxPool { size, stride } => shape.max_pool(x, Window { height: size, width: size, stride, padding: 1 }),
        Growth::Attention { axis } => shape.attention(x, 2, axis),
        Growth::AvgPool => x,
    }
}
