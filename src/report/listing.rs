//! The nouns between the steps, as text: what `dump` prints.

use super::table::{table, whole};
use crate::graph::{Graph, Source, StageKind};
use crate::hardware::Topology;
use crate::network::Network;
use crate::program::Program;

/// Layer by layer: what it computes, from which layers, of what shape.
#[must_use]
pub fn network_listing(network: &Network) -> String {
    let rows = network.architecture.layers.iter().zip(&network.grids).map(|(layer, grid)| {
        let prefix = format!("{}.", layer.name);
        let values = network
            .tensors
            .iter()
            .filter(|(name, _)| name.strip_prefix(&prefix).is_some_and(|part| !part.contains('.')));
        let values: usize = values.map(|(_, tensor)| tensor.values.len()).sum();
        [layer.name.clone(), format!("{:?}", layer.op), layer.from.join(" + "), grid.to_string(), whole(values as u64)]
    });
    let input = &network.architecture.input;
    let input = if input.is_absent() { "no input".to_string() } else { format!("input {}", input.grid()) };
    format!("{}, {}\n{}", network.architecture.name, input, table(["layer", "op", "from", "shape", "values"], 4, rows))
}

/// Stage by stage: what it reads with which gain, its thresholds and how wide it can become.
#[must_use]
pub fn graph_listing(graph: &Graph<i32>, widths: &[u32]) -> String {
    let rows = graph.ids().zip(widths).map(|(id, width)| {
        let stage = graph.stage(id);
        let threshold = match &stage.kind {
            StageKind::Neurons(neurons) => {
                let (low, high) = (neurons.threshold.iter().min(), neurons.threshold.iter().max());
                low.zip(high).map_or(String::new(), |(low, high)| format!("{low}..{high}"))
            }
            StageKind::Input(_)
            | StageKind::MaxPool { .. }
            | StageKind::Scores { .. }
            | StageKind::Softmax { .. }
            | StageKind::Context { .. }
            | StageKind::Readout { .. } => String::new(),
        };
        [
            id.0.to_string(),
            stage.name.clone(),
            stage.kind.key().to_string(),
            stage.grid.to_string(),
            sources(&stage.kind),
            threshold,
            width.to_string(),
        ]
    });
    let titles = ["id", "stage", "kind", "shape", "reads (stage × gain)", "thresholds", "worst-case bits"];
    format!("{}, {}-bit weights\n{}", graph.name, graph.weight_bits, table(titles, 5, rows))
}

fn sources(kind: &StageKind<i32>) -> String {
    let gained = |source: &Source<i32>| format!("{}×{}", source.stage.0, source.gain);
    let projections = kind.synapses().map(|synapses| {
        let streams = synapses.projections.iter().map(|p| p.sources.iter().map(gained).collect::<Vec<_>>().join(" + "));
        streams.collect::<Vec<_>>().join(" | ")
    });
    let plain = || kind.sources().iter().map(|source| source.0.to_string()).collect::<Vec<_>>().join(", ");
    projections.unwrap_or_else(plain)
}

/// Slice by slice: where it sits, what it takes, with how many others it speaks.
#[must_use]
pub fn program_listing<S: crate::units::Number>(program: &Program, graph: &Graph<S>, topology: &Topology) -> String {
    let units = topology.units();
    let rows = program.slices.iter().map(|slice| {
        let unit = units[slice.unit.index()];
        let (x, y) = topology.mesh.place(unit.tile);
        let needs = slice.needs;
        [
            graph.stage(slice.stage).name.clone(),
            slice.region.to_string(),
            format!("{} at ({x}, {y}) port {}", unit.kind.key(), unit.port),
            whole(needs.neurons),
            whole(needs.synapse_bits),
            whole(needs.axons_in),
            whole(needs.routes_out),
            whole(needs.state_bits),
            slice.sources.len().to_string(),
            slice.destinations.len().to_string(),
        ]
    });
    let titles =
        ["stage", "region", "unit", "neurons", "synapse bits", "axons in", "routes out", "state bits", "from", "to"];
    format!(
        "{} on {}, {} slices, {} routes\n{}",
        program.network,
        program.chip,
        program.slices.len(),
        program.routes.len(),
        table(titles, 3, rows)
    )
}
