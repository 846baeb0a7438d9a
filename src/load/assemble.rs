//! A list of layers and a heap of tensors become a network, or the list of all that does not fit.

use super::fault::{Fault, did_you_mean};
use crate::network::{Architecture, INPUT, Layer, Network, Op, Tensor, grid_of, tensors_of};
use crate::units::Grid;
use std::collections::{BTreeMap, BTreeSet};

/// Most values of a layer, and most scores of an attention layer: far above every network, and safe to add and multiply.
const MAX_VALUES: u64 = 1 << 28;

/// Infers all shapes and takes every tensor that a layer reads.
///
/// # Errors
/// All faults together: unknown, repeated and late layers, shapes that do not fit, tensors that are missing, misshaped or
/// unknown, values that are not finite, λ and thresholds that are not positive, negative variances.
pub fn assemble(architecture: Architecture, mut tensors: BTreeMap<String, Tensor>) -> Result<Network, Vec<Fault>> {
    let (shapes, faults) = shapes(&architecture);
    let mut faults: Vec<Fault> = faults.into_iter().map(|(_, fault)| fault).collect();
    let mut taken = BTreeMap::new();
    let mut missing = vec![];
    for (layer, operands) in architecture.layers.iter().zip(&shapes.operands) {
        let own = if let Op::Bias { height, width, channels } = layer.op {
            Some(Grid { height, width, channels })
        } else {
            None
        };
        let input = operands.first().copied().or(own);
        for (part, shape) in input.map_or(vec![], |input| tensors_of(&layer.op, input)) {
            let name = format!("{}.{part}", layer.name);
            match tensors.remove(&name) {
                None => missing.push((name, shape)),
                Some(tensor) => {
                    faults.extend(value_faults(&name, part, &tensor));
                    match reshaped(tensor, &shape, &layer.op) {
                        Ok(tensor) => drop(taken.insert(name, tensor)),
                        Err(came) => faults.push(Fault::new(
                            format!("tensor `{name}` has shape {came:?}, where its layer wants {shape:?}"),
                            shape_remedy(&layer.op, &came, operands),
                        )),
                    }
                }
            }
        }
    }
    // Parts of layers whose shapes are unknown are neither missing nor left over.
    let unshaped = |name: &str| {
        shapes.unknown.iter().any(|layer| name.strip_prefix(layer).is_some_and(|part| part.starts_with('.')))
    };
    tensors.retain(|name, _| !unshaped(name));
    faults.extend(unmatched(&missing, &tensors));
    if faults.is_empty() { Ok(Network { architecture, tensors: taken, grids: shapes.grids }) } else { Err(faults) }
}

/// All that is wrong with a list of layers by itself, each with the number of its layer.
pub fn layer_list_faults(architecture: &Architecture) -> Vec<(Option<usize>, Fault)> {
    shapes(architecture).1
}

fn input_faults(architecture: &Architecture) -> Vec<Fault> {
    let mut faults = vec![];
    if architecture.layers.is_empty() {
        faults.push(Fault::new("there are no layers", "list at least the one that gives the logits"));
    }
    let input = &architecture.input;
    if input.is_absent() {
        return faults;
    }
    if size(input.grid()).is_none() {
        faults.push(Fault::new(
            format!("the image has shape {}", input.grid()),
            "give sizes from 1 up, and sensible ones",
        ));
    }
    for (key, values) in [("mean", &input.mean), ("std", &input.std)] {
        if values.len() != input.channels as usize {
            let what = format!("{key} has {} values for {} channels", values.len(), input.channels);
            faults.push(Fault::new(what, "give one for each channel"));
        }
        let wrong = values.iter().find(|value| !value.is_finite() || (key == "std" && **value <= 0.0));
        if let Some(value) = wrong {
            faults
                .push(Fault::new(format!("{key} holds {value}"), "give the values that the network was trained with"));
        }
    }
    faults
}

/// Shapes along the list.
struct Shapes {
    /// Shape of each layer's result; only complete where there was no fault.
    grids: Vec<Grid>,
    /// Shapes of each layer's operands; empty where the layer has a fault or reads one that has.
    operands: Vec<Vec<Grid>>,
    /// Names of these layers.
    unknown: BTreeSet<String>,
}

fn shapes(architecture: &Architecture) -> (Shapes, Vec<(Option<usize>, Fault)>) {
    let all: BTreeSet<&str> = architecture.layers.iter().map(|layer| layer.name.as_str()).collect();
    let mut faults: Vec<_> = input_faults(architecture).into_iter().map(|fault| (None, fault)).collect();
    let image = Some(&architecture.input).filter(|input| !input.is_absent());
    let mut known: BTreeMap<&str, Option<Grid>> = image.map(|input| (INPUT, size(input.grid()))).into_iter().collect();
    let mut shapes = Shapes { grids: vec![], operands: vec![], unknown: BTreeSet::new() };
    for (at, layer) in architecture.layers.iter().enumerate() {
        faults.extend(layer_faults(layer, &known, &all).into_iter().map(|fault| (Some(at), fault)));
        let operands: Option<Vec<Grid>> =
            layer.from.iter().map(|from| known.get(from.as_str()).copied().flatten()).collect();
        let grid = operands.as_deref().map(|operands| shape(&layer.op, operands)).transpose();
        let grid = grid.unwrap_or_else(|reason| {
            let what = format!("layer `{}` {reason}", layer.name);
            faults.push((Some(at), Fault::new(what, "check it against the code that trained the network")));
            None
        });
        if grid.is_none() {
            shapes.unknown.insert(layer.name.clone());
        }
        known.insert(&layer.name, grid);
        shapes.grids.extend(grid);
        shapes.operands.push(operands.filter(|_| grid.is_some()).unwrap_or_default());
    }
    (shapes, faults)
}

/// What is wrong with a layer by itself and with the names that it reads.
fn layer_faults(layer: &Layer, known: &BTreeMap<&str, Option<Grid>>, all: &BTreeSet<&str>) -> Vec<Fault> {
    let name = &layer.name;
    let mut faults = vec![];
    if name.is_empty() || name == INPUT {
        faults.push(Fault::new(format!("a layer is called `{name}`"), "give it another name"));
    } else if known.contains_key(name.as_str()) {
        faults.push(Fault::new(format!("layer `{name}` is listed twice"), "give every layer a name of its own"));
    }
    for from in layer.from.iter().map(String::as_str).filter(|from| !known.contains_key(from)) {
        faults.push(if all.contains(from) {
            let what = format!("layer `{name}` reads `{from}`, which comes later in the list");
            Fault::new(what, "list every layer after those that it reads")
        } else {
            let remedy = did_you_mean(from, known.keys().copied(), "name a layer above it, or `input`");
            Fault::new(format!("layer `{name}` reads `{from}`, which is not in the list"), remedy)
        });
    }
    let constant = match layer.op {
        Op::BatchNorm { epsilon } if !(epsilon.is_finite() && epsilon >= 0.0) => Some(("epsilon", epsilon.to_string())),
        Op::Attention { scale, .. } if !(scale.is_finite() && scale > 0.0) => Some(("scale", scale.to_string())),
        Op::Qcfs { levels } if !(1..=1 << 16).contains(&levels) => Some(("levels", levels.to_string())),
        Op::Conv { .. } | Op::Linear { .. } | Op::BatchNorm { .. } | Op::Qcfs { .. } | Op::ClippedRelu => None,
        Op::IntegrateFire | Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Add | Op::Attention { .. } => None,
        Op::Mean | Op::Flatten | Op::Bias { .. } => None,
    };
    faults.extend(constant.map(|(key, value)| {
        Fault::new(format!("layer `{name}` has {key} {value}"), "give the one that the network was trained with")
    }));
    faults
}

/// Number of values of a shape, if there are any and not too many.
fn size(grid: Grid) -> Option<Grid> {
    let values = [grid.height, grid.width, grid.channels].map(u64::from);
    let product = values.into_iter().try_fold(1u64, u64::checked_mul)?;
    (1..=MAX_VALUES).contains(&product).then_some(grid)
}

fn shape(op: &Op, operands: &[Grid]) -> Result<Grid, String> {
    let grid = grid_of(op, operands)?;
    let scores = match *op {
        Op::Attention { heads, .. } => {
            operands[0].positions() as u64 * operands[1].positions() as u64 * u64::from(heads)
        }
        Op::Conv { .. } | Op::Linear { .. } | Op::BatchNorm { .. } | Op::Qcfs { .. } | Op::ClippedRelu => 0,
        Op::IntegrateFire | Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Add | Op::Mean | Op::Flatten => 0,
        Op::Bias { .. } => 0,
    };
    if size(grid).is_none() || scores > MAX_VALUES {
        return Err(format!("gives {grid}, where a layer may have from 1 to {MAX_VALUES} values (or scores)"));
    }
    Ok(grid)
}

/// The tensor in the wanted shape: as it is, or a scalar that stands for the value of every channel.
fn reshaped(tensor: Tensor, shape: &[usize], op: &Op) -> Result<Tensor, Vec<usize>> {
    let scalar = tensor.values.len() == 1 && tensor.shape.len() <= 1;
    if tensor.shape == shape {
        Ok(tensor)
    } else if matches!(op, Op::Bias { .. }) && tensor.shape == [shape.iter().product::<usize>()] {
        Ok(Tensor { shape: shape.to_vec(), values: tensor.values })
    } else if scalar && (shape == [1] || *op == Op::IntegrateFire) {
        Ok(Tensor { shape: shape.to_vec(), values: vec![tensor.values[0]; shape[0]] })
    } else {
        Err(tensor.shape)
    }
}

/// What is wrong with the values of one tensor: the first that is, and how many.
fn value_faults(name: &str, part: &str, tensor: &Tensor) -> Option<Fault> {
    let fault = |wrong: &dyn Fn(f32) -> bool, wanted: &str, remedy: &str| {
        let first = tensor.values.iter().position(|&value| wrong(value))?;
        let count = tensor.values.iter().filter(|&&value| wrong(value)).count();
        let (value, all) = (tensor.values[first], tensor.values.len());
        let what =
            format!("tensor `{name}` holds {value} at {first}, where {wanted} is wanted ({count} of {all} values)");
        Some(Fault::new(what, remedy))
    };
    fault(&|value| !value.is_finite(), "a finite number", "train again or take an earlier checkpoint").or_else(|| {
        match part {
            "up" => {
                fault(&|value| value <= 0.0, "a positive λ", "check that `up` is the trained clip of an activation")
            }
            "threshold" => fault(&|value| value <= 0.0, "a positive threshold", "check the training"),
            "running_var" => fault(&|value| value < 0.0, "a variance, zero or more,", "check the export"),
            _ => None,
        }
    })
}

/// Tensors that are wanted and not there, and those that are there and not wanted.
fn unmatched(missing: &[(String, Vec<usize>)], left: &BTreeMap<String, Tensor>) -> Vec<Fault> {
    let names = || missing.iter().map(|(name, _)| name.as_str());
    let absent = missing.iter().map(|(name, shape)| {
        let remedy = did_you_mean(name, left.keys().map(String::as_str), "export it, or correct the layer list");
        Fault::new(format!("tensor `{name}` of shape {shape:?} is missing"), remedy)
    });
    let unknown = left.keys().map(|name| {
        let remedy = did_you_mean(name, names(), "leave it out, or list the layer that reads it");
        Fault::new(format!("tensor `{name}` belongs to no layer"), remedy)
    });
    absent.chain(unknown).collect()
}

/// What to do about a tensor of another shape; the commonest slip is an image that nobody flattened.
fn shape_remedy(op: &Op, came: &[usize], operands: &[Grid]) -> &'static str {
    let flat = operands.first().filter(|grid| grid.positions() > 1).map(|grid| grid.neurons());
    if matches!(op, Op::Linear { .. }) && came.len() == 2 && flat == Some(came[1]) {
        return "put a Flatten layer before it";
    }
    "check that layer list and checkpoint belong together"
}
