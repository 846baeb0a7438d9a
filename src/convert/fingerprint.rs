//! The digest by which a trace or a program knows its graph.

use crate::graph::{Graph, StageKind};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Digest of shapes and numbers of a graph: 32 hexadecimal digits of its SHA-256.
#[must_use]
pub fn fingerprint(graph: &Graph<i32>) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}", graph.skeleton()));
    for stage in &graph.stages {
        if let StageKind::Neurons(neurons) = &stage.kind {
            update(&mut hash, &neurons.threshold);
        }
        if let Some(synapses) = stage.kind.synapses() {
            update(&mut hash, &synapses.bias);
            synapses.projections.iter().for_each(|projection| update(&mut hash, &projection.kernel.weights));
        }
    }
    hash.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn update(hash: &mut Sha256, values: &[i32]) {
    values.iter().for_each(|value| hash.update(value.to_le_bytes()));
}
