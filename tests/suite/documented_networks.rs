//! What the documentation says of architecture files is so.

use spikemesh::convert::{self, Precision};
use spikemesh::functional::{Options, Semantics, Settle, Spiking, quantised_ann};
use spikemesh::trace::Schedule;
use spikemesh::{load, sample};
use std::path::{Path, PathBuf};

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

#[test]
fn the_documented_list_is_a_network_that_runs_exactly() {
    let architecture = load::architecture(&docs("small-cnn.ron")).unwrap();
    let tensors = sample::tensors(&architecture, 3);
    let network = load::assemble(architecture, tensors).unwrap();
    let graph = convert::quantise(&convert::fold(&network).unwrap(), &Precision::default()).unwrap();
    let image: Vec<u8> = (0..28 * 28).map(|at| (at * 37 % 251) as u8).collect();
    let options = Options {
        time_steps: 4,
        settle: Settle::ToSilence,
        semantics: Semantics::EXACT,
        schedule: Schedule::SameStep,
        record: false,
        hold_every: None,
    };
    let outcome = Spiking::new(&graph).run(&image, &options).unwrap();
    assert_eq!(outcome.values, quantised_ann(&graph, &image, 4).unwrap());
    assert!(outcome.spikes.iter().take(graph.stages.len() - 1).all(|&spikes| spikes > 0), "every stage has work");
}

#[test]
fn the_documented_short_form_is_the_reference_network() {
    let text = std::fs::read_to_string(docs("networks.md")).unwrap();
    let short = text.lines().map(str::trim).find(|line| line.starts_with("Transformer(")).unwrap();
    let file = tempfile::Builder::new().suffix(".ron").tempfile().unwrap();
    std::fs::write(file.path(), short).unwrap();
    let architecture = load::architecture(file.path()).unwrap();
    assert!(architecture.layers.iter().any(|layer| layer.name == "block.1.mlp.fc2_relu"));
    assert_eq!(architecture.layers.last().unwrap().name, "head");
}

#[test]
fn a_forgotten_flatten_is_named() {
    let mut architecture = load::architecture(&docs("small-cnn.ron")).unwrap();
    let tensors = sample::tensors(&architecture, 3);
    let flat = architecture.layers.iter().position(|layer| layer.name == "flat").unwrap();
    architecture.layers.remove(flat);
    architecture.layers[flat].from = vec!["mean".to_string()];
    let faults = load::assemble(architecture, tensors).unwrap_err();
    assert!(faults[0].remedy.contains("Flatten"), "{faults:?}");
}
