//! The spiking network against the one that was trained, value for value.

use super::Watch;
use crate::account::{self, Comparison};
use crate::functional::{self, FunctionalError, IntegerAnn, Options, Outcome, Spiking, Values};
use crate::graph::Graph;
use crate::images::Images;
use crate::network::Network;
use crate::profile::StepName;
use crate::summary::Agreement;

/// A spiking graph and its integer network, both laid out once for all images.
#[derive(Debug)]
pub struct Networks<'g> {
    /// With time.
    pub spiking: Spiking<'g>,
    /// Without.
    pub integer: IntegerAnn<'g>,
}

impl<'g> Networks<'g> {
    /// Those of this graph.
    #[must_use]
    pub fn new(graph: &'g Graph<i32>) -> Self {
        let (spiking, integer) = rayon::join(|| Spiking::new(graph), || IntegerAnn::new(graph));
        Self { spiking, integer }
    }
}

/// A spiking run of one image, and how it compares with the integer network.
///
/// # Errors
/// If the image does not fit the network, or the run does not fall silent.
pub fn compared(
    networks: &Networks,
    image: &[u8],
    options: &Options,
    watch: &impl Watch,
) -> Result<(Outcome, Comparison), FunctionalError> {
    let outcome = watch.spiking(&networks.spiking, image, options)?;
    let quantised = watch.part("integer network", || networks.integer.run(image, options.time_steps))?;
    let equal = outcome.values.iter().zip(&quantised).map(|(own, other)| own.equal(other) as u64);
    let class = |values: &[Values]| account::first_largest(&values.last().map(Values::to_vec).unwrap_or_default());
    let comparison = Comparison {
        values: quantised.iter().map(|values| values.len() as u64).collect(),
        equal: equal.collect(),
        spikes: outcome.spikes.clone(),
        negative_spikes: outcome.negative_spikes.clone(),
        synaptic_ops: outcome.synaptic_ops.clone(),
        last_step: outcome.last_step.clone(),
        silent_step: outcome.steps,
        spiking_class: class(&outcome.values),
        quantised_class: class(&quantised),
    };
    Ok((outcome, comparison))
}

/// What the float network gives for images: logits of each.
///
/// # Errors
/// If an image does not fit the network.
pub fn float(network: &Network, images: &Images, watch: &impl Watch) -> Result<Vec<Vec<f32>>, FunctionalError> {
    watch.part("float network", || functional::float_ann(network, images))
}

/// The verdict over all images, for each of which there are the `logits` of the float network and a comparison.
pub fn agreement(
    graph: &Graph<i32>,
    images: &Images,
    options: &Options,
    semantics: &str,
    (logits, comparisons): (&[Vec<f32>], &[Comparison]),
    watch: &impl Watch,
) -> Agreement {
    watch.step(StepName::Account, || {
        let ann_classes: Vec<u32> = logits.iter().map(|logits| account::first_largest(logits)).collect();
        account::agreement(graph, &images.labels, options.time_steps, semantics, &ann_classes, comparisons)
    })
}
