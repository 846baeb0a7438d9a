//! The trainer: its gradients against recorded and numerical ones, and runs that are taken up again.

use crate::shared;
use safetensors::SafeTensors;
use spikemesh::checkpoint::{Checkpoint, Epoch, Standing};
use spikemesh::experiment::{Experiment, Processor};
use spikemesh::images::Images;
use spikemesh::load::reference::Transformer;
use spikemesh::network::{Architecture, Input, Layer, Network, Op, SoftmaxAxis};
use spikemesh::train::{self, AdamW, Batch, Found, Learner, Model, Observer, Report, Run, Target, TrainError};
use spikemesh::{functional, load, sample};
use std::collections::BTreeMap;

fn floats(file: &SafeTensors, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn cpu() -> Target {
    train::target(Processor::Cpu, false).unwrap()
}

fn learner(network: &Network, smoothing: f32) -> Learner {
    learner_on(network, smoothing, &cpu())
}

fn learner_on(network: &Network, smoothing: f32, target: &Target) -> Learner {
    let model = Model::new(network, target).unwrap();
    let optimiser = AdamW::new(&model, 0.0, 0.0);
    Learner::new(model, optimiser, network.architecture.input.grid().positions(), smoothing)
}

/// Distance of two vectors as a part of the length of the second.
fn relative(found: &[f32], wanted: &[f32]) -> f64 {
    let length =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
    let off = length(&mut found.iter().zip(wanted).map(|(a, b)| a - b));
    off / length(&mut wanted.iter().copied()).max(1e-12)
}

fn values(found: &Found, name: &str) -> Vec<f32> {
    found.gradients[name].clone().try_into_vec_as::<f32>().unwrap()
}

#[test]
fn one_step_gives_the_recorded_loss_and_gradients() {
    let folder = "reference/train-step";
    let [Some(weights), Some(batch), Some(gradients)] =
        ["weights", "batch", "gradients"].map(|name| shared::path(&format!("{folder}/{name}.safetensors")))
    else {
        return;
    };
    let network = load::network(&weights, None).unwrap();
    let (batch, gradients) = (std::fs::read(batch).unwrap(), std::fs::read(gradients).unwrap());
    let (batch, gradients) = (SafeTensors::deserialize(&batch).unwrap(), SafeTensors::deserialize(&gradients).unwrap());
    // recorded as [image, colour, row, column]
    let planes = floats(&batch, "images");
    let pixels =
        (0..16).flat_map(|image| (0..1024).flat_map(move |at| (0..3).map(move |c| (image * 3 + c) * 1024 + at)));
    let labels =
        batch.tensor("labels").unwrap().data().as_chunks().0.iter().map(|&b| u64::from_le_bytes(b) as u32).collect();
    let batch = Batch { pixels: pixels.map(|at| planes[at]).collect(), labels };
    let found = learner(&network, 0.0).gradients(&batch).unwrap();

    let loss = f64::from(floats(&gradients, "loss")[0]);
    assert!((found.score.loss - loss).abs() < 1e-3 * loss, "loss {} where {loss} was recorded", found.score.loss);
    let off = relative(&found.logits, &floats(&gradients, "logits"));
    println!("loss off by {:.1e}, logits by {off:.1e} of their length", (found.score.loss - loss).abs() / loss);
    let (mut compared, mut worst) = (0, 0f64);
    for (name, _) in gradients.tensors().into_iter().filter(|(name, _)| name != "loss" && name != "logits") {
        let (found, wanted) = (values(&found, &name), floats(&gradients, &name));
        // a bias before a batch normalisation has no effect: what is recorded for it is rounding
        let size = wanted.iter().fold(0f32, |most, value| most.max(value.abs()));
        if size < 1e-6 {
            assert!(found.iter().all(|value| value.abs() < 1e-6), "{name}: {found:?}");
        } else {
            let off = relative(&found, &wanted);
            println!("{name}: off by {off:.1e} of its length");
            worst = worst.max(off);
        }
        compared += 1;
    }
    assert_eq!(compared, found.gradients.len());
    assert!(worst < 1e-3, "a gradient is off by {worst:.1e} of its length");
}

/// A network with every kind of layer that has a gradient everywhere but at kinks.
fn smooth_network() -> Network {
    let mut layers: Vec<Layer> = vec![];
    let mut push = |name: &str, from: &[&str], op: Op| {
        layers.push(Layer { name: name.to_string(), from: from.iter().map(|&from| from.to_string()).collect(), op });
    };
    let conv = |out_channels, groups, stride| Op::Conv {
        out_channels,
        kernel: 3,
        stride,
        padding: 1,
        groups,
        bias: groups > 1,
    };
    push("conv", &["input"], conv(8, 1, 1));
    push("bn", &["conv"], Op::BatchNorm { epsilon: 1e-5 });
    push("relu", &["bn"], Op::ClippedRelu);
    push("max", &["relu"], Op::MaxPool { kernel: 3, stride: 2, padding: 1 });
    push("grouped", &["max"], conv(8, 2, 1));
    push("mean_pool", &["grouped"], Op::AvgPool { kernel: 2, stride: 2, padding: 1 });
    push("q", &["mean_pool"], Op::Linear { out_features: 8, bias: true });
    push("k", &["mean_pool"], Op::Linear { out_features: 8, bias: false });
    push("v", &["mean_pool"], Op::Linear { out_features: 8, bias: true });
    push("by_queries", &["q", "k", "v"], Op::Attention { heads: 2, scale: 0.5, axis: SoftmaxAxis::Queries });
    push("by_keys", &["k", "q", "v"], Op::Attention { heads: 1, scale: 0.5, axis: SoftmaxAxis::Keys });
    push("current", &[], Op::Bias { height: 3, width: 3, channels: 8 });
    push("add", &["mean_pool", "by_queries", "by_keys", "current"], Op::Add);
    push("bn2", &["add"], Op::BatchNorm { epsilon: 1e-3 });
    push("flat", &["bn2"], Op::Flatten);
    push("head", &["flat"], Op::Linear { out_features: 3, bias: true });
    let input = Input { height: 8, width: 8, channels: 2, mean: vec![0.4, 0.5], std: vec![0.3, 0.2] };
    let architecture = Architecture { name: "smooth".to_string(), input, layers };
    let mut tensors = train::weights(&architecture, 7, 2.0);
    for name in ["q.weight", "k.weight", "v.weight", "head.weight"] {
        tensors.get_mut(name).unwrap().values.iter_mut().for_each(|value| *value *= 20.0);
    }
    load::assemble(architecture, tensors).unwrap()
}

fn noise(network: &Network, count: usize) -> Images {
    let grid = network.architecture.input.grid();
    let mut draws = spikemesh::random::Draws::new(11);
    let pixels = (0..count * grid.neurons()).map(|_| draws.below(256) as u8).collect();
    let labels = (0..count).map(|at| (at % network.classes()) as u32).collect();
    Images { grid, pixels, labels }
}

/// Mean cross-entropy with smoothed labels, in 64 bits, so that small differences are not lost.
fn cross_entropy(logits: &[f32], labels: &[u32], smoothing: f64) -> f64 {
    let classes = logits.len() / labels.len();
    let loss = |(logits, &label): (&[f32], &u32)| {
        let log_sum = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
        let mean = logits.iter().map(|&logit| f64::from(logit)).sum::<f64>() / classes as f64;
        log_sum - (1.0 - smoothing) * f64::from(logits[label as usize]) - smoothing * mean
    };
    logits.chunks_exact(classes).zip(labels).map(loss).sum::<f64>() / labels.len() as f64
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let network = smooth_network();
    let images = noise(&network, 6);
    let batch = train::plain(&images, &network.architecture.input, 0..6);
    let found = learner(&network, 0.1).gradients(&batch).unwrap();
    let mut draws = spikemesh::random::Draws::new(5);
    for (name, tensor) in network.tensors.iter().filter(|(name, _)| found.gradients.contains_key(*name)) {
        let direction: Vec<f32> = tensor.values.iter().map(|_| draws.normal()).collect();
        let length = direction.iter().map(|part| part * part).sum::<f32>().sqrt();
        let loss = |step: f32| {
            let mut moved = network.clone();
            let values = &mut moved.tensors.get_mut(name).unwrap().values;
            values.iter_mut().zip(&direction).for_each(|(value, part)| *value += step * part / length);
            let found = learner(&moved, 0.1).gradients(&batch).unwrap();
            cross_entropy(&found.logits, &batch.labels, 0.1)
        };
        let step = 2e-3;
        let numerical = (loss(step) - loss(-step)) / f64::from(2.0 * step);
        let gradient = values(&found, name);
        let along: f32 = gradient.iter().zip(&direction).map(|(gradient, part)| gradient * part / length).sum();
        let off = (f64::from(along) - numerical).abs();
        assert!(off < 2e-4 + 0.01 * numerical.abs(), "{name}: {along} by differentiation, {numerical} by difference");
    }
}

#[test]
fn a_tested_network_is_the_float_network() {
    for network in [smooth_network(), small_digits(&Experiment::default()).network] {
        let images = if network.classes() == 3 { noise(&network, 5) } else { sample::digits(1, 0, 5) };
        let model = Model::new(&network, &cpu()).unwrap();
        let batch = train::plain(&images, &network.architecture.input, 0..5);
        let device = model.device().clone().inner();
        let found = model.test(batch.images(images.grid.positions(), &device)).unwrap();
        let found: Vec<f32> = found.flatten::<1>(0, 1).try_into_vec_as().unwrap();
        let wanted = functional::float_ann(&network, &images).unwrap().concat();
        assert!(relative(&found, &wanted) < 1e-4, "{}: {found:?} where {wanted:?}", network.architecture.name);
    }
}

#[test]
fn mixed_precision_rounds_products_and_nothing_else() {
    let network = smooth_network();
    let batch = train::plain(&noise(&network, 5), &network.architecture.input, 0..5);
    let found = |use_amp: bool| {
        let target = train::target(Processor::Cpu, use_amp).unwrap();
        learner_on(&network, 0.0, &target).gradients(&batch).unwrap()
    };
    let (full, half) = (found(false), found(true));
    let off = relative(&half.logits, &full.logits);
    assert!((1e-5..0.02).contains(&off), "eight bits of mantissa, {off}");
    let all = |found: &Found| -> Vec<f32> {
        found.gradients.values().flat_map(|of| of.clone().try_into_vec_as::<f32>().unwrap()).collect()
    };
    let off = relative(&all(&half), &all(&full));
    assert!((1e-5..0.05).contains(&off), "gradients, {off}");
}

/// A run over a few digits before its first step.
fn small_digits(experiment: &Experiment) -> Checkpoint {
    let input = Input { height: sample::SIZE, width: sample::SIZE, ..Transformer::default().input };
    let layers = Transformer { input, dim: 8, heads: 1, depth: 1, mlp_ratio: 2, ..Transformer::default() }.layers();
    let tensors = train::weights(&layers, experiment.seed, 2.0);
    let network = load::assemble(layers, tensors).unwrap();
    Checkpoint { standing: Standing::new(experiment.clone()), network, moments: BTreeMap::new() }
}

fn small_experiment() -> Experiment {
    Experiment { bs: 16, epochs: 2, lr: 3e-3, cutout: 4, ..Experiment::default() }
}

/// Stops a run after a step.
struct StopAfter(u64);

impl Observer for StopAfter {
    fn step(&mut self, report: &Report) -> bool {
        report.step < self.0
    }

    fn epoch(&mut self, _: &Run, _: &Epoch) -> Result<(), TrainError> {
        Ok(())
    }
}

/// Runs until `stop`, and gives the run as it then stands, through a file.
fn run_until(checkpoint: Checkpoint, stop: u64) -> Checkpoint {
    let (training, test) = (sample::digits(1, 0, 64), sample::digits(1, 1, 20));
    let mut run = Run::new(checkpoint, &training, &test, &cpu()).unwrap();
    run.go(&mut StopAfter(stop)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    spikemesh::report::write_checkpoint(&path, &run.checkpoint()).unwrap();
    let read = load::checkpoint(&path).unwrap();
    assert_eq!(load::network(&path, None).unwrap(), read.network, "a checkpoint is a network bundle");
    read
}

#[test]
fn an_interrupted_run_ends_as_an_unbroken_one() {
    let unbroken = run_until(small_digits(&small_experiment()), u64::MAX);
    assert_eq!((unbroken.standing.step, unbroken.standing.epochs.len()), (8, 2));
    for stop in [3, 4] {
        let stopped = run_until(small_digits(&small_experiment()), stop);
        assert_eq!(stopped.standing.step, stop);
        assert_ne!(stopped.network, unbroken.network);
        assert_eq!(run_until(stopped, u64::MAX), unbroken, "taken up again after step {stop}");
    }
}

#[test]
fn a_run_does_not_depend_on_threads() {
    let unbroken = run_until(small_digits(&small_experiment()), 4);
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(alone.install(|| run_until(small_digits(&small_experiment()), 4)), unbroken);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_with_its_step() {
    let experiment = Experiment { lr: 1e30, clip_gradient: 0.0, warm_up_steps: Some(1), ..small_experiment() };
    let (training, test) = (sample::digits(1, 0, 64), sample::digits(1, 1, 20));
    let start = small_digits(&experiment);
    let mut run = Run::new(start, &training, &test, &cpu()).unwrap();
    let error = run.go(&mut StopAfter(u64::MAX)).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, TrainError::LossIsNoNumber { step: 2..=4, .. }), "{text}");
    assert!(text.contains("`clip_gradient`"), "{text}");
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let said = |error: TrainError| error.to_string();
    let start = || small_digits(&small_experiment());
    let device = cpu();
    #[cfg(not(feature = "gpu"))]
    assert!(said(train::target(Processor::Gpu, false).unwrap_err()).contains("build it with the feature `gpu`"));
    let (few, many, mut odd) = (sample::digits(1, 0, 10), sample::digits(1, 0, 64), sample::digits(1, 0, 64));
    odd.labels[3] = 10;
    let error = |images: &Images| said(Run::new(start(), images, &many, &device).err().unwrap());
    assert_eq!(error(&few), "there are 10 images, where a batch has 16; give more images or a smaller `bs`");
    assert_eq!(
        error(&odd),
        "image 3 has label 10, where the network has 10 classes; take images that the network is made for"
    );
}
