//! What is written is what is read: bundles, traces, mappings.

use crate::shared;
use bitvec::prelude::{BitVec, Lsb0};
use spikemesh::convert::{self, Precision};
use spikemesh::functional::{Options, Semantics, Settle, Spiking};
use spikemesh::graph::{Graph, Input, Kernel, NeuronRule, Neurons, Projection, Source, Stage, StageKind, Synapses};
use spikemesh::network::{Architecture, Network, Tensor, tensors_of};
use spikemesh::program::{Mapping, Placement};
use spikemesh::trace::{ImageTrace, Schedule, SpikeTrain, Trace, Widths};
use spikemesh::units::{Grid, StageId, Window};
use spikemesh::{load, report};
use std::collections::BTreeMap;

/// A small reference transformer whose tensors hold no two equal values.
pub fn small_network() -> Network {
    let layers = load::reference::Transformer {
        name: "small".to_string(),
        dim: 32,
        heads: 1,
        depth: 1,
        classes: 3,
        ..load::reference::Transformer::default()
    }
    .layers();
    let tensors = tensors(&layers);
    load::assemble(layers, tensors).unwrap()
}

/// Positive values for every tensor of a list of layers.
pub fn tensors(layers: &Architecture) -> BTreeMap<String, Tensor> {
    let mut grids = BTreeMap::from([(spikemesh::network::INPUT, layers.input.grid())]);
    let (mut tensors, mut value) = (BTreeMap::new(), 0.0);
    for layer in &layers.layers {
        let operands: Vec<Grid> = layer.from.iter().map(|from| grids[from.as_str()]).collect();
        for (part, shape) in tensors_of(&layer.op, operands[0]) {
            let values = (0..shape.iter().product::<usize>()).map(|_| {
                value += 0.125;
                value
            });
            tensors.insert(format!("{}.{part}", layer.name), Tensor { values: values.collect(), shape });
        }
        grids.insert(&layer.name, spikemesh::network::grid_of(&layer.op, &operands).unwrap());
    }
    tensors
}

#[test]
fn a_bundle_carries_its_layer_list() {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("net.safetensors"), folder.path().join("again.safetensors"));
    let network = small_network();
    report::write_bundle(&path, &network).unwrap();
    report::write_bundle(&again, &network).unwrap();
    assert_eq!(load::network(&path, None).unwrap(), network);
    assert_eq!(std::fs::read(path).unwrap(), std::fs::read(again).unwrap());
}

#[test]
fn an_architecture_file_is_a_list_or_a_short_form() {
    let folder = tempfile::tempdir().unwrap();
    let (net, list, short) =
        (folder.path().join("net.safetensors"), folder.path().join("list.ron"), folder.path().join("short.ron"));
    let network = small_network();
    report::write_bundle(&net, &network).unwrap();
    std::fs::write(&list, ron::ser::to_string_pretty(&network.architecture, ron::ser::PrettyConfig::new()).unwrap())
        .unwrap();
    let text = "// the small one\nTransformer(name: \"small\", dim: 32, heads: 1, depth: 1, classes: 3)";
    std::fs::write(&short, text).unwrap();
    assert_eq!(load::architecture(&list).unwrap(), network.architecture);
    assert_eq!(load::architecture(&short).unwrap(), network.architecture);
    assert_eq!(load::network(&net, Some(&short)).unwrap(), network);
}

fn skeleton() -> Graph<i32> {
    let grid = |height, width, channels| Grid { height, width, channels };
    let synapses = |stage, out_channels, window| Synapses {
        projections: vec![Projection {
            sources: vec![Source { stage: StageId(stage), gain: 3 }],
            kernel: Kernel { pool: None, window, in_channels: 3, out_channels, groups: 1, weights: vec![] },
        }],
        bias: vec![],
    };
    let input = Input { mean: vec![0.4914, 0.5, 0.25], std: vec![0.1, 0.2, 1.0], fraction_bits: 6, bits: 9 };
    let neurons = Neurons { synapses: synapses(0, 3, Window::ONE), threshold: vec![], rule: NeuronRule::Signed };
    let readout = StageKind::Readout { synapses: synapses(1, 2, Window::whole(grid(2, 2, 3))), scale: 0.3 };
    let stages = [(grid(2, 2, 3), StageKind::Input(input)), (grid(2, 2, 3), StageKind::Neurons(neurons))];
    let stages = stages.into_iter().chain([(grid(1, 1, 2), readout)]).zip(["image", "relu", "head"]);
    let stages = stages.map(|((grid, kind), name)| Stage { name: name.to_string(), grid, kind });
    Graph { name: "tiny \"net\"".to_string(), weight_bits: 8, stages: stages.collect() }
}

/// A trace of 12 neurons, which do not fill whole bytes.
pub fn tiny_trace() -> Trace {
    let image = |steps: u32, seed: usize| {
        let bits = |modulus: usize| {
            (0..steps as usize * 12).map(|at| (at + seed).is_multiple_of(modulus)).collect::<BitVec<u64, Lsb0>>()
        };
        let values = (0..steps as i32 * 12).map(|at| (at - 7) * 1000).collect();
        let widths = (0..3).map(|stage| {
            let mut widths = Widths::default();
            widths.add(1 << (stage + seed));
            widths
        });
        let trains = vec![
            SpikeTrain::Graded { neurons: 12, values },
            SpikeTrain::Spikes { neurons: 12, presence: bits(3), negative: bits(6) },
            SpikeTrain::Silent,
        ];
        ImageTrace { steps, trains, widths: widths.collect() }
    };
    Trace {
        skeleton: skeleton(),
        fingerprint: "f00d".to_string(),
        time_steps: 2,
        schedule: Schedule::NextStep,
        images: vec![image(3, 0), image(5, 1)],
    }
}

#[test]
fn a_trace_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.safetensors");
    report::write_trace(&path, &tiny_trace()).unwrap();
    assert_eq!(load::trace(&path).unwrap(), tiny_trace());
}

#[test]
fn the_spikes_of_the_real_network_come_back_bit_for_bit() {
    let (net, data) = ("models/cifar10-d128-b2.safetensors", "data/cifar10-test-1000.bin");
    let (Some(net), Some(data)) = (shared::path(net), shared::path(data)) else { return };
    let network = load::network(&net, None).unwrap();
    let images = load::images(&data, &network.architecture.input, 10, Some(2)).unwrap();
    let graph = convert::quantise(&convert::fold(&network).unwrap(), &Precision::default()).unwrap();
    let options = Options {
        time_steps: 4,
        settle: Settle::ToSilence,
        semantics: Semantics::EXACT,
        schedule: Schedule::SameStep,
        record: true,
        hold_every: None,
    };
    let run = |at| Spiking::new(&graph).run(images.image(at), &options).unwrap().trace.unwrap();
    let trace = Trace {
        skeleton: graph.skeleton(),
        fingerprint: convert::fingerprint(&graph),
        time_steps: 4,
        schedule: Schedule::SameStep,
        images: vec![run(0), run(1)],
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.safetensors");
    report::write_trace(&path, &trace).unwrap();
    let read = load::trace(&path).unwrap();
    assert_eq!((&read.skeleton, &read.fingerprint), (&trace.skeleton, &trace.fingerprint));
    for (read, run) in read.images.iter().zip(&trace.images) {
        assert_eq!((read.steps, &read.widths), (run.steps, &run.widths));
        for (id, stage) in graph.ids().zip(&graph.stages) {
            for step in 1..=run.steps {
                let sent = |image: &ImageTrace| {
                    let mut sent = vec![];
                    image.train(id).visit(step, stage.grid, &stage.grid.whole(), |position, channel, value| {
                        sent.push((position, channel, value));
                    });
                    sent
                };
                assert_eq!(sent(read), sent(run), "{} in step {step}", stage.name);
            }
        }
    }
}

#[test]
fn a_trace_whose_graph_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.safetensors");
    let mut trace = tiny_trace();
    trace.skeleton.stages[1].grid.width = 3;
    if let StageKind::Readout { synapses, .. } = &mut trace.skeleton.stages[2].kind {
        synapses.projections[0].sources[0].stage = StageId(9);
    }
    report::write_trace(&path, &trace).unwrap();
    let error = load::trace(&path).unwrap_err();
    let faults: Vec<String> = error.faults.iter().map(ToString::to_string).collect();
    let wanted = [
        "stage `relu` has windows that do not give its shape; record the trace again",
        "stage `head` reads a stage that does not come before it; record the trace again",
    ];
    assert_eq!(faults, wanted);
}

#[test]
fn a_mapping_has_one_line_for_each_slice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mapping.ron");
    let slice = |stage: &str, x| Placement {
        stage: stage.to_string(),
        positions: (0, 64),
        channels: (0, 32),
        tile: (x, 2),
        unit: 0,
    };
    let mapping = Mapping {
        network: "net".to_string(),
        chip: "mesh28".to_string(),
        slices: vec![slice("a.b", 1), slice("head", 2)],
    };
    report::write_mapping(&path, &mapping).unwrap();
    assert_eq!(load::mapping(&path).unwrap(), mapping);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("\n        (stage: \"a.b\", positions: (0, 64), channels: (0, 32), tile: (1, 2), unit: 0),\n"),
        "{text}"
    );
}
