//! Writes a network of the published size with seeded weights, and pictures for it: `published_size DIR`.
//!
//! Width 384, 12 heads, 4 blocks, as in the published network for CIFAR-10. Its batch-norms take mean and variance from
//! the values that the pictures give, layer after layer, so that every activation gets numbers of mean 0 and variance 1
//! and λ alone says how many neurons spike: with λ = 3.5, 14 % of them in a step.
#![allow(clippy::print_stdout, reason = "it says what it has written")]

use spikemesh::images::Images;
use spikemesh::load::{self, reference::Transformer};
use spikemesh::network::{Architecture, Layer, Network, Op, Tensor};
use spikemesh::{functional, report, sample};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// λ of every activation, in standard deviations of what goes into it.
const LAMBDA: f32 = 3.5;
/// Pictures that are written, of which the first two calibrate.
const PICTURES: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder to write to")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let architecture = Architecture { name: "published-size".to_string(), ..Transformer::default().layers() };
    let images = pictures(&architecture, PICTURES);
    let few = Images { pixels: images.pixels[..images.pixels.len() / PICTURES * 2].to_vec(), ..images.clone() };
    let few = Images { labels: few.labels[..2].to_vec(), ..few };
    let network = calibrated(architecture, &few)?;
    report::write_bundle(&folder.join("net.safetensors"), &network)?;
    std::fs::write(folder.join("images.bin"), cifar(&images))?;
    println!("→ {0}/net.safetensors, {0}/images.bin", folder.display());
    Ok(())
}

/// The network whose batch-norms keep mean 0 and variance 1 on these images.
fn calibrated(architecture: Architecture, images: &Images) -> Result<Network, Box<dyn Error>> {
    let mut tensors = sample::tensors(&architecture, sample::SEED);
    for (name, tensor) in &mut tensors {
        match name.rsplit('.').next() {
            Some("up") => tensor.values.fill(LAMBDA),
            Some("running_mean" | "bias") => tensor.values.fill(0.0),
            Some("weight") if tensor.shape.len() == 1 => tensor.values.fill(1.0),
            Some(_) | None => {}
        }
    }
    for (at, layer) in architecture.layers.iter().enumerate() {
        let Op::BatchNorm { .. } = layer.op else { continue };
        let values = before(&architecture, &tensors, at, images)?;
        let channels = tensors[&format!("{}.running_mean", layer.name)].values.len();
        let count = (values.len() / channels) as f32;
        let mut set = |part: &str, values: Vec<f32>| {
            if let Some(tensor) = tensors.get_mut(&format!("{}.{part}", layer.name)) {
                tensor.values = values;
            }
        };
        let of = |channel: usize| values[channel..].iter().step_by(channels).copied();
        let means: Vec<f32> = (0..channels).map(|channel| of(channel).sum::<f32>() / count).collect();
        let square = |channel: usize| of(channel).map(|value| (value - means[channel]).powi(2)).sum::<f32>() / count;
        set("running_var", (0..channels).map(|channel| square(channel).max(1e-4)).collect());
        set("running_mean", means);
    }
    assembled(architecture, tensors)
}

/// What goes into the layer at `at`, of all images.
fn before(
    architecture: &Architecture,
    tensors: &BTreeMap<String, Tensor>,
    at: usize,
    images: &Images,
) -> Result<Vec<f32>, Box<dyn Error>> {
    let input = &architecture.layers[at].from[0];
    let last = architecture.layers.iter().position(|layer| &layer.name == input).unwrap_or(0);
    let layers: Vec<Layer> = used(&architecture.layers[..=last]);
    let named = |name: &str| layers.iter().any(|layer| name.rsplit_once('.').is_some_and(|(of, _)| of == layer.name));
    let tensors = tensors.iter().filter(|(name, _)| named(name)).map(|(name, tensor)| (name.clone(), tensor.clone()));
    let tensors = tensors.collect();
    let network = assembled(Architecture { layers, ..architecture.clone() }, tensors)?;
    Ok(functional::float_ann(&network, images)?.concat())
}

/// The layers that the last one needs.
fn used(layers: &[Layer]) -> Vec<Layer> {
    let mut wanted: Vec<&str> = layers.last().map(|layer| layer.name.as_str()).into_iter().collect();
    let mut kept: Vec<Layer> = vec![];
    for layer in layers.iter().rev() {
        if wanted.contains(&layer.name.as_str()) {
            wanted.extend(layer.from.iter().map(String::as_str));
            kept.push(layer.clone());
        }
    }
    kept.reverse();
    kept
}

fn assembled(architecture: Architecture, tensors: BTreeMap<String, Tensor>) -> Result<Network, Box<dyn Error>> {
    load::assemble(architecture, tensors).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(|fault| format!("{fault:?}")).collect();
        faults.join("\n").into()
    })
}

/// Pictures of soft waves in three colours, each its own.
fn pictures(architecture: &Architecture, count: usize) -> Images {
    let grid = architecture.input.grid();
    let pixel = |at: usize| {
        let (picture, inside) = (at / grid.neurons(), at % grid.neurons());
        let (channel, place) = (inside % 3, inside / 3);
        let (x, y) = ((place as u32 % grid.width) as f32 / 32.0, (place as u32 / grid.width) as f32 / 32.0);
        let (turn, shift) = (1.0 + picture as f32, 2.1 * channel as f32);
        let wave = (9.0 * x + 5.0 * turn * y + shift).sin() + (23.0 * y - 7.0 * turn * x + shift).cos() * 0.7;
        ((wave / 3.4 + 0.5) * 255.0) as u8
    };
    Images { grid, pixels: (0..count * grid.neurons()).map(pixel).collect(), labels: (0..count as u32).collect() }
}

/// The images as CIFAR-10 stores them: a label, then one plane for each colour.
fn cifar(images: &Images) -> Vec<u8> {
    let mut bytes = vec![];
    for (index, label) in images.labels.iter().enumerate() {
        bytes.push(*label as u8);
        for channel in 0..3 {
            bytes.extend(images.image(index)[channel..].iter().step_by(3));
        }
    }
    bytes
}
