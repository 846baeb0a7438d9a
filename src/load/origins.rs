//! Where the tensors of a layer list stand in a foreign checkpoint: under which name, with which axes, at which index.

use super::fault::{Fault, did_you_mean};
use crate::network::Tensor;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Where one tensor comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Its name in the checkpoint.
    from: String,
    /// Where several tensors are stacked in one: the index along each of the first dimensions.
    #[serde(default)]
    at: Vec<usize>,
    /// What is dimension 0, 1, … here is this dimension there; in the order of the checkpoint where left out.
    #[serde(default)]
    axes: Vec<usize>,
}

/// The origins of tensors by the names that the layer list gives them; all others keep their names.
pub type Origins = BTreeMap<String, Origin>;

/// The tensors under the names of the layer list.
///
/// # Errors
/// All faults together: names that the checkpoint lacks, indices beyond a dimension, axes that are no order of them all.
pub fn taken(origins: &Origins, mut tensors: BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>, Vec<Fault>> {
    let (mut taken, mut faults) = (BTreeMap::new(), vec![]);
    for (name, origin) in origins {
        match tensors.get(&origin.from) {
            None => {
                let remedy = did_you_mean(&origin.from, tensors.keys().map(String::as_str), "name one that is there");
                faults.push(Fault::new(
                    format!("tensor `{name}` comes from `{}`, which is missing", origin.from),
                    remedy,
                ));
            }
            Some(whole) => match origin.take(whole) {
                Ok(tensor) => drop(taken.insert(name.clone(), tensor)),
                Err(what) => {
                    let what =
                        format!("tensor `{name}` comes from `{}` of shape {:?}, {what}", origin.from, whole.shape);
                    faults.push(Fault::new(what, "correct `at` or `axes` in the layer list"));
                }
            },
        }
    }
    origins.values().for_each(|origin| drop(tensors.remove(&origin.from)));
    tensors.extend(taken);
    if faults.is_empty() { Ok(tensors) } else { Err(faults) }
}

impl Origin {
    fn take(&self, whole: &Tensor) -> Result<Tensor, String> {
        let mut part = whole.clone();
        for &index in &self.at {
            let Some((&first, rest)) = part.shape.split_first() else {
                return Err(format!("which has fewer dimensions than `at: {:?}`", self.at));
            };
            if index >= first {
                return Err(format!("which has no index {index}"));
            }
            let size = part.values.len() / first;
            part = Tensor { shape: rest.to_vec(), values: part.values[index * size..(index + 1) * size].to_vec() };
        }
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if self.axes.is_empty() {
            return Ok(part);
        }
        if sorted != (0..part.shape.len()).collect::<Vec<_>>() {
            return Err(format!("of which `axes: {:?}` is no order", self.axes));
        }
        Ok(permuted(&part, &self.axes))
    }
}

/// The tensor with its dimensions in another order: dimension `d` of the result is dimension `axes[d]` of `tensor`.
pub fn permuted(tensor: &Tensor, axes: &[usize]) -> Tensor {
    let mut strides = vec![1; tensor.shape.len()];
    for at in (1..tensor.shape.len()).rev() {
        strides[at - 1] = strides[at] * tensor.shape[at];
    }
    let shape: Vec<usize> = axes.iter().map(|&axis| tensor.shape[axis]).collect();
    let values = (0..tensor.values.len()).map(|index| {
        let mut rest = index;
        let sides = shape.iter().zip(axes).rev();
        let places = sides.map(|(&side, &axis)| {
            let along = rest % side;
            rest /= side;
            along * strides[axis]
        });
        tensor.values[places.sum::<usize>()]
    });
    Tensor { values: values.collect(), shape }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_put_in_the_order_of_the_list() {
        let tensor = Tensor { shape: vec![2, 3, 1], values: vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0] };
        let turned = permuted(&tensor, &[1, 2, 0]);
        assert_eq!((turned.shape, turned.values), (vec![3, 1, 2], vec![0.0, 10.0, 1.0, 11.0, 2.0, 12.0]));
        let origin = Origin { from: String::new(), at: vec![1, 2], axes: vec![] };
        assert_eq!(origin.take(&tensor).unwrap(), Tensor { shape: vec![1], values: vec![12.0] });
        assert!(Origin { at: vec![2], ..origin.clone() }.take(&tensor).is_err());
        assert!(Origin { at: vec![], axes: vec![0, 0, 1], ..origin }.take(&tensor).is_err());
    }
}
