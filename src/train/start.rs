//! The weights that training starts from.

use crate::network::{Architecture, INPUT, Op, Tensor, grid_of, tensors_of};
use crate::random::Draws;
use crate::units::Grid;
use std::collections::BTreeMap;

/// Deviation of the weights of a linear map in a transformer (Devlin et al. 2019), cut off at ± 2, which no weight reaches.
const LINEAR_DEVIATION: f32 = 0.02;

/// One tensor for each that the layers ask for: linear maps near normal, convolutions uniform within `1/√fan-in` (PyTorch's
/// default), batch normalisations that change nothing, and λ as given.
#[must_use]
pub fn weights(architecture: &Architecture, seed: u64, lambda: f32) -> BTreeMap<String, Tensor> {
    let mut grids: BTreeMap<&str, Grid> = BTreeMap::from([(INPUT, architecture.input.grid())]);
    let mut tensors = BTreeMap::new();
    for (at, layer) in architecture.layers.iter().enumerate() {
        let operands: Vec<Grid> = layer.from.iter().filter_map(|name| grids.get(name.as_str()).copied()).collect();
        let first = operands.first().copied().unwrap_or(architecture.input.grid());
        let mut random = Draws::at(seed, &[at as u64]);
        for (part, shape) in tensors_of(&layer.op, first) {
            let values = values(&mut random, &layer.op, part, &shape, lambda);
            tensors.insert(format!("{}.{part}", layer.name), Tensor { shape, values });
        }
        if let Ok(grid) = grid_of(&layer.op, &operands) {
            grids.insert(&layer.name, grid);
        }
    }
    tensors
}

fn values(random: &mut Draws, op: &Op, part: &str, shape: &[usize], lambda: f32) -> Vec<f32> {
    let count: usize = shape.iter().product();
    match (part, op) {
        ("up", _) => vec![lambda; count],
        ("weight", Op::BatchNorm { .. }) | ("running_var", _) => vec![1.0; count],
        ("weight", Op::Conv { .. }) => {
            let bound = 1.0 / (shape[1..].iter().product::<usize>() as f32).sqrt();
            (0..count).map(|_| random.between(-bound, bound)).collect()
        }
        ("weight", _) => (0..count).map(|_| LINEAR_DEVIATION * random.normal()).collect(),
        _ => vec![0.0; count],
    }
}
