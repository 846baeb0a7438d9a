//! Seeded tensors that keep every stage of a reference network busy.

use crate::network::{Architecture, Op, Tensor, grid_of, tensors_of};
use crate::random::Draws;
use crate::units::Grid;
use std::collections::BTreeMap;

/// One tensor for each that the layers ask for: weights with variance 2 / fan-in (He et al. 2015), batch-norms that keep
/// the scale, λ = 2.
#[must_use]
pub fn tensors(architecture: &Architecture, seed: u64) -> BTreeMap<String, Tensor> {
    let mut random = Draws::new(seed);
    let mut grids: BTreeMap<&str, Grid> = BTreeMap::from([(crate::network::INPUT, architecture.input.grid())]);
    let mut tensors = BTreeMap::new();
    for layer in &architecture.layers {
        let operands: Vec<Grid> = layer.from.iter().filter_map(|name| grids.get(name.as_str()).copied()).collect();
        let Some(&first) = operands.first() else { continue };
        for (part, shape) in tensors_of(&layer.op, first) {
            let values = values(&mut random, &layer.op, part, &shape);
            tensors.insert(format!("{}.{part}", layer.name), Tensor { shape, values });
        }
        if let Ok(grid) = grid_of(&layer.op, &operands) {
            grids.insert(&layer.name, grid);
        }
    }
    tensors
}

fn values(random: &mut Draws, op: &Op, part: &str, shape: &[usize]) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let normal = matches!(op, Op::BatchNorm { .. });
    let mut fill =
        |mean: f32, deviation: f32| (0..count).map(|_| mean + deviation * random.normal()).collect::<Vec<_>>();
    match part {
        "up" => vec![2.0; count],
        "weight" if normal => fill(1.0, 0.1).into_iter().map(|value| value.max(0.5)).collect(),
        "running_var" => vec![1.0; count],
        "running_mean" => fill(0.2, 0.1),
        "bias" => fill(0.0, 0.1),
        "threshold" => vec![1.0; count],
        _ => {
            let fan_in: usize = shape[1..].iter().product();
            fill(0.0, (2.0 / fan_in as f32).sqrt())
        }
    }
}
