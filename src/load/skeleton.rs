//! Whether a graph that was read from a file is one: everything that later steps take for granted.

use crate::graph::{Graph, Kernel, NeuronRule, Projection, StageKind, Synapses};
use crate::units::{Grid, StageId, Window};
use std::collections::BTreeSet;

/// Most values of a stage: far above every network, and safe to add and multiply.
const MAX_VALUES: u64 = 1 << 28;
/// Largest side of a window, and largest padding.
const MAX_WINDOW: u32 = 1 << 12;

/// All that is wrong with a graph, each as a sentence.
pub fn graph_faults(graph: &Graph<i32>) -> Vec<String> {
    let mut faults = vec![];
    let mut names = BTreeSet::new();
    let last = graph.stages.len().saturating_sub(1);
    if last == 0 {
        faults.push("has fewer than two stages".to_string());
    }
    for (at, stage) in graph.stages.iter().enumerate() {
        let mut fault = |what: &str| faults.push(format!("stage `{}` {what}", stage.name));
        if stage.name.is_empty() || !names.insert(&stage.name) {
            fault("has no name of its own");
        }
        if matches!(stage.kind, StageKind::Input(_)) && at != 0 {
            fault("is an input in the wrong place");
        }
        if at == 0 && !matches!(stage.kind, StageKind::Input(_)) && !driven_by_biases(&stage.kind) {
            fault("comes first and is neither an input nor driven by biases alone");
        }
        if matches!(stage.kind, StageKind::Readout { .. }) && at != last {
            fault("is a readout in the wrong place");
        }
        if at == last && !matches!(stage.kind, StageKind::Readout { .. }) && !answers(&stage.kind) {
            fault("comes last and is neither a readout nor plain neurons");
        }
        if values(stage.grid).is_none() {
            fault(&format!("has shape {}", stage.grid));
        } else if stage.kind.sources().iter().any(|source| source.index() >= at) {
            fault("reads a stage that does not come before it");
        } else if !faults_before(graph, at)
            && let Err(what) = fits(graph, at)
        {
            fault(what);
        }
    }
    faults
}

/// Neurons that read nothing.
fn driven_by_biases(kind: &StageKind<i32>) -> bool {
    matches!(kind, StageKind::Neurons(neurons) if neurons.synapses.projections.is_empty())
}

/// Neurons whose spike counts are an answer.
fn answers(kind: &StageKind<i32>) -> bool {
    matches!(kind, StageKind::Neurons(neurons) if neurons.rule == NeuronRule::Plain)
}

/// Whether a stage that this one reads has a shape that cannot be worked with.
fn faults_before(graph: &Graph<i32>, at: usize) -> bool {
    graph.stages[at].kind.sources().iter().any(|&source| values(graph.stage(source).grid).is_none())
}

fn values(grid: Grid) -> Option<u64> {
    let product = [grid.height, grid.width, grid.channels]
        .into_iter()
        .try_fold(1u64, |all, side| all.checked_mul(u64::from(side)).filter(|&product| product <= MAX_VALUES))?;
    (product > 0).then_some(product)
}

/// Whether the stage has the shape that its sources give it.
fn fits(graph: &Graph<i32>, at: usize) -> Result<(), &'static str> {
    let stage = &graph.stages[at];
    let grid = |id: &StageId| graph.stage(*id).grid;
    let of_heads = |channels: u32, heads: u32| heads > 0 && channels.is_multiple_of(heads);
    let positions = |grid: Grid| grid.positions() as u64;
    match &stage.kind {
        StageKind::Input(input) => {
            let channels = stage.grid.channels as usize;
            check(input.mean.len() == channels && input.std.len() == channels, "has a mean or std of the wrong length")
        }
        StageKind::Neurons(neurons) => {
            check(empty_or(neurons.threshold.len(), stage.grid), "has thresholds of the wrong length")?;
            synapses(graph, stage.grid, &neurons.synapses)
        }
        StageKind::Readout { synapses: arriving, .. } => synapses(graph, stage.grid, arriving),
        StageKind::MaxPool { source, window } => {
            let fits = output(*window, grid(source)) == Some(stage.grid);
            check(fits && window.padding < window.height.min(window.width), "has windows that do not give its shape")
        }
        StageKind::Scores { queries, keys, heads } => {
            let (queries, keys) = (grid(queries), grid(keys));
            let width = u64::from(*heads) * positions(keys);
            let fits = of_heads(queries.channels, *heads) && queries.channels == keys.channels;
            let shaped = (stage.grid.height, stage.grid.width) == (queries.height, queries.width);
            check(fits && shaped && width == u64::from(stage.grid.channels), "has a shape other than queries by keys")
        }
        StageKind::Softmax { scores, rule } => {
            let fits = grid(scores) == stage.grid && of_heads(stage.grid.channels, rule.heads);
            check(fits, "has a shape other than its scores")?;
            let sound = (1..=30).contains(&rule.probability_bits) && (1..=16).contains(&rule.table_bits);
            check(sound && rule.scale.is_finite() && rule.scale > 0.0, "has a rule that cannot be computed")
        }
        StageKind::Context { probabilities, values, heads } => {
            let (probabilities, values) = (grid(probabilities), grid(values));
            let width = u64::from(*heads) * positions(values);
            let fits = of_heads(values.channels, *heads) && width == u64::from(probabilities.channels);
            let shaped = stage.grid == Grid { channels: values.channels, ..probabilities };
            check(fits && shaped, "has a shape other than queries by channels of the values")
        }
    }
}

fn check(sound: bool, what: &'static str) -> Result<(), &'static str> {
    if sound { Ok(()) } else { Err(what) }
}

/// Whether a list by channel has its length, or was left out.
fn empty_or(length: usize, grid: Grid) -> bool {
    length == 0 || length == grid.channels as usize
}

/// Whether biases are given by channel or by neuron, or were left out.
fn empty_or_biases(length: usize, grid: Grid) -> bool {
    empty_or(length, grid) || length as u64 == values(grid).unwrap_or(0)
}

fn synapses(graph: &Graph<i32>, target: Grid, synapses: &Synapses<i32>) -> Result<(), &'static str> {
    check(empty_or_biases(synapses.bias.len(), target), "has a bias of the wrong length")?;
    synapses.projections.iter().try_for_each(|projection| self::projection(graph, target, projection))
}

fn projection(graph: &Graph<i32>, target: Grid, projection: &Projection<i32>) -> Result<(), &'static str> {
    let grids: Vec<Grid> = projection.sources.iter().map(|source| graph.stage(source.stage).grid).collect();
    let Some(&first) = grids.first() else { return Err("has a projection from nowhere") };
    check(grids.iter().all(|&grid| grid == first), "adds up sources of different shapes")?;
    let kernel = &projection.kernel;
    let grouped = kernel.groups > 0
        && first.channels.is_multiple_of(kernel.groups)
        && target.channels.is_multiple_of(kernel.groups);
    let channels = kernel.in_channels == first.channels && kernel.out_channels == target.channels;
    check(grouped && channels, "has a kernel of the wrong number of channels")?;
    let pooled = kernel.pool.map_or(Some(first), |pool| output(pool, first));
    let shaped = pooled.and_then(|pooled| output(kernel.window, pooled));
    check(
        shaped.map(|grid| (grid.height, grid.width)) == Some((target.height, target.width)),
        "has windows that do not give its shape",
    )?;
    check(
        kernel.weights.is_empty() || kernel.weights.len() as u64 == weights(kernel),
        "has too few or too many weights",
    )
}

fn weights(kernel: &Kernel<i32>) -> u64 {
    let width = u64::from(kernel.out_channels / kernel.groups);
    u64::from(kernel.window.area()) * u64::from(kernel.in_channels) * width
}

fn output(window: Window, grid: Grid) -> Option<Grid> {
    let sides = [window.height, window.width, window.stride];
    let sensible = sides.iter().all(|side| (1..=MAX_WINDOW).contains(side)) && window.padding <= MAX_WINDOW;
    let (height, width) = sensible.then(|| window.output(grid)).flatten()?;
    Some(Grid { height, width, ..grid })
}
