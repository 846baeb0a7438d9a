//! The embedded default: its pictures are worth classifying, and its network classifies them.

use spikemesh::images::Images;
use spikemesh::network::Op;
use spikemesh::random::Draws;
use spikemesh::{account, functional, sample};

/// Pixels of an image on the scale -1 to 1, and a constant.
fn features(images: &Images, index: usize) -> Vec<f32> {
    let pixels = images.image(index).iter().map(|&value| f32::from(value) / 127.5 - 1.0);
    pixels.chain([1.0]).collect()
}

/// Softmax regression by gradient descent, step by step smaller; gives top-1 on the test images, in percent.
fn linear_top1(training: &Images, test: &Images, passes: usize) -> f64 {
    let width = training.grid.neurons() + 1;
    let mut weights = vec![0f32; 10 * width];
    let logits = |weights: &[f32], x: &[f32]| -> Vec<f32> {
        weights.chunks_exact(width).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    };
    let all: Vec<Vec<f32>> = (0..training.len()).map(|index| features(training, index)).collect();
    let mut order: Vec<usize> = (0..training.len()).collect();
    for pass in 0..passes {
        Draws::new(pass as u64).shuffle(&mut order);
        let rate = 2e-3 * (1.0 - pass as f32 / passes as f32);
        for &index in &order {
            let x = &all[index];
            let mut shares = logits(&weights, x);
            let most = shares.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            shares.iter_mut().for_each(|share| *share = (*share - most).exp());
            let sum: f32 = shares.iter().sum();
            for (class, row) in weights.chunks_exact_mut(width).enumerate() {
                let off = shares[class] / sum - f32::from(u8::from(class as u32 == training.labels[index]));
                row.iter_mut().zip(x).for_each(|(weight, x)| *weight -= rate * off * x);
            }
        }
    }
    let right = (0..test.len())
        .filter(|&index| account::first_largest(&logits(&weights, &features(test, index))) == test.labels[index]);
    right.count() as f64 * 100.0 / test.len() as f64
}

#[test]
fn a_linear_model_stays_under_80_percent() {
    let (training, test) = (sample::digits(sample::SEED, 0, 4000), sample::digits(sample::SEED, 1, 1000));
    let on_test = linear_top1(&training, &test, 12);
    println!("a linear model: {on_test:.1} % of the test pictures");
    assert!((10.0..80.0).contains(&on_test), "{on_test:.1} %");
}

#[test]
fn the_embedded_network_classifies_more_than_97_percent() {
    let (network, images) = (sample::trained().unwrap(), sample::test_pictures().unwrap());
    assert_eq!(images.len() as i64, sample::EMBEDDED_PICTURES);
    let score = account::score(&functional::float_ann(&network, &images).unwrap(), &images.labels);
    println!("the embedded network: {:.2} % of the embedded pictures", score.top1);
    assert!(score.top1 > 97.0, "{:.2} %", score.top1);
}

#[test]
fn the_embedded_pictures_are_drawn_from_the_seed() {
    let drawn = sample::digits(sample::SEED, 1, sample::EMBEDDED_PICTURES as usize);
    assert_eq!(sample::test_pictures().unwrap(), drawn);
}

#[test]
fn the_embedded_network_has_every_kind_of_layer_of_the_reference() {
    let layers = sample::trained().unwrap().architecture.layers;
    let count = |is: fn(&Op) -> bool| layers.iter().filter(|layer| is(&layer.op)).count();
    assert_eq!(count(|op| matches!(op, Op::Conv { .. })), 5);
    assert_eq!(count(|op| matches!(op, Op::MaxPool { .. })), 2);
    assert_eq!(count(|op| matches!(op, Op::Attention { .. })), 2);
    assert_eq!(count(|op| matches!(op, Op::Add)), 5);
    assert_eq!(count(|op| matches!(op, Op::Qcfs { levels: 4 })), 5 + 2 * 6);
}

#[test]
fn a_set_of_pictures_is_its_own() {
    assert_eq!(sample::digits(3, 0, 20), sample::digits(3, 0, 40).first(20));
    assert_ne!(sample::digits(3, 0, 20), sample::digits(3, 1, 20));
    assert_ne!(sample::digits(3, 0, 20), sample::digits(4, 0, 20));
}
