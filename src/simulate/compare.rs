//! The spiking network against the one that was trained, value for value.

use super::Watch;
use crate::account::{self, Comparison};
use crate::functional::{self, FunctionalError, Options, Outcome, Spiking};
use crate::graph::Graph;
use crate::images::Images;
use crate::network::Network;
use crate::summary::{Agreement, StepName};

/// A spiking run of one image, and how it compares with the integer network.
///
/// # Errors
/// If the image does not fit the network, or the run does not fall silent.
pub fn compared(
    spiking: &Spiking,
    image: &[u8],
    options: &Options,
    watch: &impl Watch,
) -> Result<(Outcome, Comparison), FunctionalError> {
    let outcome = watch.spiking(spiking, image, options)?;
    let whole = || functional::quantised_ann(spiking.graph(), image, options.time_steps);
    let quantised = watch.part("integer network", whole)?;
    let equal = outcome
        .values
        .iter()
        .zip(&quantised)
        .map(|(own, other)| own.iter().zip(other).filter(|(own, other)| own == other).count() as u64);
    let comparison = Comparison {
        values: quantised.iter().map(|values| values.len() as u64).collect(),
        equal: equal.collect(),
        spikes: outcome.spikes.clone(),
        negative_spikes: outcome.negative_spikes.clone(),
        synaptic_ops: outcome.synaptic_ops.clone(),
        last_step: outcome.last_step.clone(),
        silent_step: outcome.steps,
        spiking_class: account::first_largest(outcome.values.last().map_or(&[], Vec::as_slice)),
        quantised_class: account::first_largest(quantised.last().map_or(&[], Vec::as_slice)),
    };
    Ok((outcome, comparison))
}

/// The verdict over all images.
///
/// # Errors
/// If an image does not fit the network.
pub fn agreement(
    network: &Network,
    graph: &Graph<i32>,
    images: &Images,
    options: &Options,
    semantics: &str,
    comparisons: &[Comparison],
    watch: &impl Watch,
) -> Result<Agreement, FunctionalError> {
    let ann = watch.part("float network", || functional::float_ann(network, images))?;
    Ok(watch.step(StepName::Account, || {
        let ann_classes: Vec<u32> = ann.iter().map(|logits| account::first_largest(logits)).collect();
        account::agreement(graph, &images.labels, options.time_steps, semantics, &ann_classes, comparisons)
    }))
}
