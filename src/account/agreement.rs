//! Whether the spiking network computes what the trained one does.

use crate::graph::Graph;
use crate::summary::{Agreement, LayerAgreement};

/// One image: what the spiking run did, and how much of it equals the integer network. Vectors have one entry a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Values compared.
    pub values: Vec<u64>,
    /// Those that were equal.
    pub equal: Vec<u64>,
    /// Spikes sent, or graded values.
    pub spikes: Vec<u64>,
    /// How many of them were negative.
    pub negative_spikes: Vec<u64>,
    /// Synaptic operations that arriving spikes caused.
    pub synaptic_ops: Vec<u64>,
    /// The last step in which the stage sent anything.
    pub last_step: Vec<u32>,
    /// The step after which nothing moved.
    pub silent_step: u32,
    /// Class with the largest logit of the spiking run.
    pub spiking_class: u32,
    /// Class with the largest logit of the integer network.
    pub quantised_class: u32,
}

/// Sums the comparisons of all images; `ann_classes` are the float network's choices, `labels` the right ones.
#[must_use]
pub fn agreement(
    graph: &Graph<i32>,
    labels: &[u32],
    time_steps: u32,
    semantics: &str,
    ann_classes: &[u32],
    comparisons: &[Comparison],
) -> Agreement {
    let percent = |hits: usize| hits as f64 * 100.0 / comparisons.len().max(1) as f64;
    let right =
        |classes: &mut dyn Iterator<Item = u32>| Some(percent(classes.zip(labels).filter(|(a, b)| a == *b).count()));
    let spiking = || comparisons.iter().map(|comparison| comparison.spiking_class);
    let layers: Vec<LayerAgreement> = graph
        .stages
        .iter()
        .enumerate()
        .map(|(at, stage)| {
            let sum = |of: fn(&Comparison) -> &Vec<u64>| comparisons.iter().map(|comparison| of(comparison)[at]).sum();
            LayerAgreement {
                name: stage.name.clone(),
                kind: stage.kind.key().to_string(),
                neurons: sum(|c| &c.values),
                equal_neurons: sum(|c| &c.equal),
                spikes: sum(|c| &c.spikes),
                negative_spikes: sum(|c| &c.negative_spikes),
                synaptic_ops: sum(|c| &c.synaptic_ops),
                silent_step: comparisons.iter().map(|comparison| comparison.last_step[at]).max().unwrap_or(0),
            }
        })
        .collect();
    Agreement {
        images: comparisons.len() as u64,
        time_steps,
        semantics: semantics.to_string(),
        ann_top1: right(&mut ann_classes.iter().copied()),
        quantised_ann_top1: right(&mut comparisons.iter().map(|comparison| comparison.quantised_class)),
        snn_top1: right(&mut spiking()),
        agreement: percent(spiking().zip(ann_classes).filter(|(a, b)| a == *b).count()),
        all_equal: layers.iter().all(|layer| layer.equal_neurons == layer.neurons),
        silent_step: comparisons.iter().map(|comparison| comparison.silent_step).max().unwrap_or(0),
        layers,
    }
}
