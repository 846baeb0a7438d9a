//! Writes a network that fills every core of `truenorth` to the last neuron: `whole_chip DIR`.
//!
//! Four layers of 32 × 32 × 256 = 262,144 integrate-and-fire neurons, 1,048,576 in all, on 4,096 cores of 256. The first is
//! driven by constant currents; each neuron of the others reads all 256 of the layer before at its own position, as one
//! crossbar holds them. Weights from −8 to 12 and thresholds of ten steps' input let one neuron in ten fire in a step, so
//! that 100 steps have some ten million spikes.
#![allow(clippy::print_stdout, reason = "it says what it has written")]

use spikemesh::network::{Architecture, Input, Layer, Op, Tensor};
use spikemesh::random::Draws;
use spikemesh::{load, report};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// Rows and columns of positions, neurons of each, layers.
const SIDE: u32 = 32;
const CHANNELS: u32 = 256;
const LAYERS: u32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder to write to")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let (layers, tensors) = network(&mut Draws::new(1));
    let architecture = Architecture { name: "whole-chip".to_string(), input: Input::default(), layers };
    let network = load::assemble(architecture, tensors).map_err(|faults| format!("{faults:?}"))?;
    report::write_bundle(&folder.join("net.safetensors"), &network)?;
    println!("→ {}/net.safetensors", folder.display());
    Ok(())
}

/// The layers, and currents, weights and thresholds for them.
fn network(draws: &mut Draws) -> (Vec<Layer>, BTreeMap<String, Tensor>) {
    let mut whole = |low: i64, high: i64, count: u32| -> Vec<f32> {
        (0..count).map(|_| (low + draws.below((high - low + 1) as u64) as i64) as f32).collect()
    };
    let (mut layers, mut tensors) = (vec![], BTreeMap::new());
    let mut last = String::new();
    for nth in 0..LAYERS {
        let (name, neurons) = (format!("layer{nth}"), format!("layer{nth}.neurons"));
        let (op, from, part, shape, values, threshold) = if nth == 0 {
            let op = Op::Bias { height: SIDE, width: SIDE, channels: CHANNELS };
            let count = SIDE * SIDE * CHANNELS;
            (op, vec![], "bias", vec![count as usize], whole(50, 150, count), 1000.0)
        } else {
            let op = Op::Linear { out_features: CHANNELS, bias: false };
            let shape = vec![CHANNELS as usize; 2];
            (op, vec![last], "weight", shape, whole(-8, 12, CHANNELS * CHANNELS), 512.0)
        };
        tensors.insert(format!("{name}.{part}"), Tensor { shape, values });
        tensors.insert(format!("{neurons}.threshold"), Tensor { shape: vec![1], values: vec![threshold] });
        layers.push(Layer { name: name.clone(), from, op });
        layers.push(Layer { name: neurons.clone(), from: vec![name], op: Op::IntegrateFire });
        last = neurons;
    }
    (layers, tensors)
}
