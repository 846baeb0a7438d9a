//! Layer list → stages: linear layers, batch-norm, averages and sums fold into the projections of the next activation.

use super::ConvertError;
use crate::graph::{
    Graph, Input, Kernel, NeuronRule, Neurons, Projection, SoftmaxRule, Source, Stage, StageKind, Synapses,
};
use crate::network::{INPUT, Layer, Network, Op, SoftmaxAxis};
use crate::units::{Grid, StageId, Window};

/// What a layer gives: a linear function of the spikes of stages, not yet integrated anywhere.
#[derive(Debug, Clone)]
struct Sum {
    /// Shape of the result.
    grid: Grid,
    /// The streams that are added up.
    streams: Vec<Stream>,
    /// Bias of each channel, or of each neuron.
    bias: Vec<f32>,
    /// The shape before it was flattened, where it was.
    flattened: Option<Grid>,
}

/// Stages that are added up and pass one linear map.
#[derive(Debug, Clone)]
struct Stream {
    sources: Vec<Source<f32>>,
    /// Windows that are averaged first.
    pool: Option<Window>,
    /// The map after that; the identity where there is none yet.
    kernel: Option<Kernel<f32>>,
}

/// The stages of a network in the numbers of its training: thresholds and gains are λ, pixels are normalised reals.
///
/// # Errors
/// Where a layer stands in a place that no stage can take: two linear maps without an activation between them, a
/// max-pool or an attention product over anything but spikes of one stage.
pub fn fold(network: &Network) -> Result<Graph<f32>, ConvertError> {
    let mut folding = Folding { network, stages: vec![], sums: vec![] };
    let input = &network.architecture.input;
    let image = (!input.is_absent()).then(|| {
        let (mean, std) = (input.mean.clone(), input.std.clone());
        folding.stage(INPUT, input.grid(), StageKind::Input(Input { mean, std, fraction_bits: 0, bits: 32 }), 1.0)
    });
    let layers = &network.architecture.layers;
    let mut readers = vec![0; layers.len()];
    let read = layers.iter().flat_map(|layer| &layer.from).filter_map(|name| network.position(name));
    read.for_each(|at| readers[at] += 1);
    for layer in layers {
        let operand = |name: &String| {
            let Some(at) = network.position(name) else { return image.clone() };
            readers[at] -= 1;
            // The last one who reads it takes it.
            if readers[at] == 0 { folding.sums[at].take() } else { folding.sums[at].clone() }
        };
        let operands: Vec<Sum> = layer.from.iter().filter_map(operand).collect();
        let grid = network.grid(&layer.name);
        let sum = folding.layer(layer, grid, operands)?;
        folding.sums.push(Some(sum));
    }
    if let Some(layer) = layers.last().filter(|layer| layer.op == Op::Flatten) {
        return Err(flat_operand(&layer.name));
    }
    let last = layers.last();
    if let Some(sum) = folding.sums.pop().flatten().filter(|_| last.is_some_and(|layer| layer.op != Op::IntegrateFire))
    {
        let grid = sum.grid;
        let readout = StageKind::Readout { synapses: synapses(sum), scale: 1.0 };
        folding.stage(last.map_or(INPUT, |layer| &layer.name), grid, readout, 1.0);
    }
    Ok(Graph { name: network.architecture.name.clone(), weight_bits: 32, stages: folding.stages })
}

struct Folding<'a> {
    network: &'a Network,
    stages: Vec<Stage<f32>>,
    /// What each layer gives; none where all who read it have.
    sums: Vec<Option<Sum>>,
}

impl Folding<'_> {
    /// Adds a stage and gives its spikes, each worth `gain`.
    fn stage(&mut self, name: &str, grid: Grid, kind: StageKind<f32>, gain: f32) -> Sum {
        let stage = StageId::at(self.stages.len());
        self.stages.push(Stage { name: name.to_string(), grid, kind });
        let stream = Stream { sources: vec![Source { stage, gain }], pool: None, kernel: None };
        Sum { grid, streams: vec![stream], bias: vec![0.0; grid.channels as usize], flattened: None }
    }

    fn layer(&mut self, layer: &Layer, grid: Grid, mut operands: Vec<Sum>) -> Result<Sum, ConvertError> {
        let name = layer.name.as_str();
        let tensor = |part: &str| self.network.tensor(name, part);
        if operands.iter().any(|sum| sum.flattened.is_some()) && !matches!(layer.op, Op::Linear { .. }) {
            return Err(flat_operand(name));
        }
        match layer.op {
            Op::Bias { .. } => Ok(Sum { bias: tensor("bias").to_vec(), ..nothing(grid) }),
            Op::Conv { kernel, stride, padding, groups, bias, .. } => {
                let window = Window { height: kernel, width: kernel, stride, padding };
                let sum = operands.remove(0);
                let kernel = conv_kernel(tensor("weight"), window, groups, sum.grid.channels, grid.channels);
                mapped(sum, grid, kernel, bias.then(|| tensor("bias"))).ok_or_else(|| two_maps(name, "conv"))
            }
            Op::Linear { bias, .. } => {
                let sum = operands.remove(0);
                let kernel = linear_kernel(tensor("weight"), &sum, grid.channels);
                mapped(sum, grid, kernel, bias.then(|| tensor("bias"))).ok_or_else(|| two_maps(name, "linear"))
            }
            Op::BatchNorm { epsilon } => {
                let statistics = ["weight", "bias", "running_mean", "running_var"].map(tensor);
                Ok(normalised(operands.remove(0), statistics, epsilon))
            }
            Op::Qcfs { .. } | Op::ClippedRelu => {
                let clip = tensor("up")[0];
                Ok(self.neurons(name, operands.remove(0), vec![clip; grid.channels as usize], NeuronRule::Signed, clip))
            }
            Op::IntegrateFire => {
                let threshold = tensor("threshold").to_vec();
                Ok(self.neurons(name, operands.remove(0), threshold, NeuronRule::Plain, 1.0))
            }
            Op::MaxPool { kernel, stride, padding } => {
                let window = Window { height: kernel, width: kernel, stride, padding };
                let source = single(&operands[0]).ok_or_else(|| not_spikes(name, "max-pool"))?;
                let kind = StageKind::MaxPool { source: source.stage, window };
                Ok(self.stage(name, grid, kind, source.gain))
            }
            Op::AvgPool { kernel, stride, padding } => {
                let window = Window { height: kernel, width: kernel, stride, padding };
                pooled(operands.remove(0), grid, window).ok_or_else(|| two_maps(name, "average pool"))
            }
            Op::Mean => {
                let sum = operands.remove(0);
                let window = Window::whole(sum.grid);
                pooled(sum, grid, window).ok_or_else(|| two_maps(name, "mean"))
            }
            Op::Add => Ok(operands.into_iter().reduce(added).unwrap_or_else(|| nothing(grid))),
            Op::Flatten => flattened(operands.remove(0), grid).ok_or_else(|| two_maps(name, "flatten")),
            Op::Attention { heads, scale, axis } => self.attention(name, grid, &operands, (heads, scale, axis)),
        }
    }

    fn neurons(&mut self, name: &str, sum: Sum, threshold: Vec<f32>, rule: NeuronRule, gain: f32) -> Sum {
        let grid = sum.grid;
        let kind = StageKind::Neurons(Neurons { synapses: synapses(sum), threshold, rule });
        self.stage(name, grid, kind, gain)
    }

    fn attention(
        &mut self,
        name: &str,
        grid: Grid,
        operands: &[Sum],
        (heads, scale, axis): (u32, f32, SoftmaxAxis),
    ) -> Result<Sum, ConvertError> {
        let spikes: Option<Vec<Source<f32>>> = operands.iter().map(single).collect();
        let [queries, keys, values] = spikes.ok_or_else(|| not_spikes(name, "attention"))?[..] else {
            return Err(not_spikes(name, "attention"));
        };
        let scores_grid = Grid { channels: heads * operands[1].grid.positions() as u32, ..grid };
        let kind = StageKind::Scores { queries: queries.stage, keys: keys.stage, heads };
        let scores = last(&self.stage(&format!("{name}.scores"), scores_grid, kind, 1.0));
        let rule = SoftmaxRule {
            heads,
            axis,
            scale: f64::from(queries.gain) * f64::from(keys.gain) * f64::from(scale),
            probability_bits: 0,
            table_bits: 0,
        };
        let kind = StageKind::Softmax { scores, rule };
        let probabilities = last(&self.stage(&format!("{name}.softmax"), scores_grid, kind, 1.0));
        let kind = StageKind::Context { probabilities, values: values.stage, heads };
        Ok(self.stage(name, grid, kind, values.gain))
    }
}

fn last(sum: &Sum) -> StageId {
    sum.streams[0].sources[0].stage
}

/// The spikes of one stage, where the sum is just that.
fn single(sum: &Sum) -> Option<Source<f32>> {
    match &sum.streams[..] {
        [Stream { sources, pool: None, kernel: None }] if sources.len() == 1 && sum.flattened.is_none() => {
            Some(sources[0])
        }
        _ => None,
    }
}

/// Puts a kernel behind a sum that has passed nothing but averages yet; `None` where it has.
fn mapped(mut sum: Sum, grid: Grid, kernel: Kernel<f32>, bias: Option<&[f32]>) -> Option<Sum> {
    if sum.bias.iter().any(|&bias| bias != 0.0) {
        return None;
    }
    for stream in &mut sum.streams {
        stream.kernel = Some(match stream.kernel.take() {
            Some(averages) => behind(&averages, &kernel)?,
            None => {
                let area = stream.pool.map_or(1, Window::area) as f32;
                let weights = kernel.weights.iter().map(|weight| weight / area).collect();
                Kernel { pool: stream.pool, weights, ..kernel.clone() }
            }
        });
    }
    let bias = bias.map_or_else(|| vec![0.0; grid.channels as usize], <[f32]>::to_vec);
    Some(Sum { grid, streams: sum.streams, bias, flattened: None })
}

/// A map of single positions behind one that keeps each channel by itself: both as one; `None` for any other two.
fn behind(averages: &Kernel<f32>, kernel: &Kernel<f32>) -> Option<Kernel<f32>> {
    let (channels, outputs) = (averages.in_channels as usize, kernel.out_channels as usize);
    let by_channel = averages.groups == averages.in_channels && averages.groups == averages.out_channels;
    if !by_channel || kernel.window != Window::ONE || kernel.groups != 1 {
        return None;
    }
    let rows = averages.weights.iter().enumerate().flat_map(|(row, share)| {
        let start = row % channels * outputs;
        kernel.weights[start..start + outputs].iter().map(move |weight| share * weight)
    });
    let weights = rows.collect();
    Some(Kernel { weights, pool: averages.pool, window: averages.window, ..kernel.clone() })
}

/// `[out, in / groups, ky, kx]` → rows of output channels for each tap and input channel.
fn conv_kernel(weight: &[f32], window: Window, groups: u32, inputs: u32, outputs: u32) -> Kernel<f32> {
    let (area, group_in, group_out) = (window.area() as usize, (inputs / groups) as usize, (outputs / groups) as usize);
    let mut weights = Vec::with_capacity(weight.len());
    for tap in 0..area {
        for input in 0..inputs as usize {
            let first = input / group_in * group_out;
            weights.extend(
                (first..first + group_out).map(|output| weight[(output * group_in + input % group_in) * area + tap]),
            );
        }
    }
    Kernel { pool: None, window, in_channels: inputs, out_channels: outputs, groups, weights }
}

/// `[out, in]` → a kernel of one position, or of the whole grid that was flattened channel by channel.
fn linear_kernel(weight: &[f32], sum: &Sum, outputs: u32) -> Kernel<f32> {
    let grid = sum.flattened.unwrap_or(Grid { height: 1, width: 1, channels: sum.grid.channels });
    conv_kernel(weight, Window::whole(grid), 1, grid.channels, outputs)
}

/// Scales and shifts each channel (Ioffe and Szegedy 2015, with running statistics).
fn normalised(mut sum: Sum, [weight, bias, mean, variance]: [&[f32]; 4], epsilon: f32) -> Sum {
    let scale: Vec<f32> = weight.iter().zip(variance).map(|(w, v)| w / (v + epsilon).sqrt()).collect();
    for stream in &mut sum.streams {
        let kernel = stream.kernel.get_or_insert_with(|| identity(stream.pool, sum.grid.channels));
        let width = (kernel.out_channels / kernel.groups) as usize;
        for (row, weights) in kernel.weights.chunks_exact_mut(width).enumerate() {
            let first = kernel_row_start(row, kernel.in_channels, kernel.groups, width);
            weights.iter_mut().zip(&scale[first..]).for_each(|(weight, scale)| *weight *= scale);
        }
    }
    for (neuron, value) in sum.bias.iter_mut().enumerate() {
        let channel = neuron % scale.len();
        *value = (*value - mean[channel]) * scale[channel] + bias[channel];
    }
    sum
}

/// First output channel of row `tap · in_channels + input channel`.
fn kernel_row_start(row: usize, in_channels: u32, groups: u32, width: usize) -> usize {
    row % in_channels as usize / (in_channels / groups) as usize * width
}

/// The map that changes nothing, as a depthwise kernel.
fn identity(pool: Option<Window>, channels: u32) -> Kernel<f32> {
    let weight = 1.0 / pool.map_or(1, Window::area) as f32;
    Kernel {
        pool,
        window: Window::ONE,
        in_channels: channels,
        out_channels: channels,
        groups: channels,
        weights: vec![weight; channels as usize],
    }
}

/// Averages a sum that has passed no map yet; `None` where it has. An average of averages is a map of each channel by itself.
fn pooled(mut sum: Sum, grid: Grid, window: Window) -> Option<Sum> {
    if sum.flattened.is_some() || !sum.streams.iter().all(|stream| stream.kernel.is_none()) {
        return None;
    }
    for stream in &mut sum.streams {
        if let Some(pool) = stream.pool {
            let weights = vec![1.0 / (pool.area() * window.area()) as f32; (window.area() * grid.channels) as usize];
            stream.kernel = Some(Kernel { window, weights, ..identity(stream.pool, grid.channels) });
        } else {
            stream.pool = Some(window);
        }
    }
    Some(Sum { grid, ..sum })
}

/// Adds two sums; sources that pass the same way share one stream, and later one weight memory.
fn added(mut sum: Sum, other: Sum) -> Sum {
    for stream in other.streams {
        let same = |own: &&mut Stream| own.kernel.is_none() && stream.kernel.is_none() && own.pool == stream.pool;
        match sum.streams.iter_mut().find(same) {
            Some(own) => own.sources.extend(stream.sources),
            None => sum.streams.push(stream),
        }
    }
    let (mut longer, shorter) =
        if sum.bias.len() < other.bias.len() { (other.bias, sum.bias) } else { (sum.bias, other.bias) };
    longer.iter_mut().zip(shorter.iter().cycle()).for_each(|(own, bias)| *own += bias);
    Sum { bias: longer, ..sum }
}

/// The sum of no streams.
fn nothing(grid: Grid) -> Sum {
    Sum { grid, streams: vec![], bias: vec![0.0; grid.channels as usize], flattened: None }
}

fn flattened(sum: Sum, grid: Grid) -> Option<Sum> {
    let free = sum.streams.iter().all(|stream| stream.kernel.is_none()) && sum.bias.iter().all(|&bias| bias == 0.0);
    free.then(|| Sum {
        grid,
        bias: vec![0.0; grid.channels as usize],
        flattened: (sum.grid.positions() > 1).then_some(sum.grid),
        streams: sum.streams,
    })
}

/// All that arrives at the potentials of a stage.
fn synapses(sum: Sum) -> Synapses<f32> {
    let channels = sum.grid.channels;
    let projections = sum
        .streams
        .into_iter()
        .map(|Stream { sources, pool, kernel }| Projection {
            sources,
            kernel: kernel.unwrap_or_else(|| identity(pool, channels)),
        })
        .collect();
    Synapses { projections, bias: sum.bias }
}

fn two_maps(layer: &str, what: &'static str) -> ConvertError {
    ConvertError::Layer {
        layer: layer.to_string(),
        what,
        why: "follows another linear layer, or a bias, without an activation between them".to_string(),
        remedy: "put a Qcfs layer between them, or multiply the two maps into one before the import",
    }
}

fn flat_operand(layer: &str) -> ConvertError {
    ConvertError::Layer {
        layer: layer.to_string(),
        what: "after flatten",
        why: "reads a flattened layer, which only a linear layer can".to_string(),
        remedy: "put the flatten directly before the linear layer",
    }
}

fn not_spikes(layer: &str, what: &'static str) -> ConvertError {
    ConvertError::Layer {
        layer: layer.to_string(),
        what,
        why: "reads something that is not the spikes of one stage".to_string(),
        remedy: "let it read a Qcfs, max-pool or attention layer directly",
    }
}
