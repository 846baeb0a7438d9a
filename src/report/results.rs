//! The files of a run: `summary.json` and `layers.csv`.

use super::file::{WriteError, make, write};
use crate::summary::{AccuracyTable, LayerSummary, RunSummary};
use std::path::Path;

/// Writes `summary.json` and `layers.csv` into `folder`, which is made where it is missing.
///
/// # Errors
/// Where the folder or a file cannot be written; neither file then has half its content.
pub fn write_summary(folder: &Path, run: &RunSummary) -> Result<(), WriteError> {
    make(folder)?;
    let broken = |error: &dyn std::fmt::Display| WriteError::new(folder, error);
    let mut json = serde_json::to_vec_pretty(run).map_err(|error| broken(&error))?;
    json.push(b'\n');
    let csv = layers_csv(run).map_err(|error| broken(&error))?;
    write(&folder.join("summary.json"), &json)?;
    write(&folder.join("layers.csv"), &csv)
}

/// Writes `accuracy.json`, `accuracy.csv` and the heat map `accuracy.svg` into `folder`, which is made where it is missing.
///
/// # Errors
/// Where the folder or the file cannot be written.
pub fn write_accuracy(folder: &Path, table: &AccuracyTable) -> Result<(), WriteError> {
    make(folder)?;
    let mut json = serde_json::to_vec_pretty(table).map_err(|error| WriteError::new(folder, error))?;
    json.push(b'\n');
    write(&folder.join("accuracy.json"), &json)?;
    super::accuracy::write_files(folder, table)
}

/// A line for each layer; the energy of each component has a column of its own.
fn layers_csv(run: &RunSummary) -> Result<Vec<u8>, csv::Error> {
    let mut csv = csv::Writer::from_writer(vec![]);
    for (at, layer) in run.layers.iter().enumerate() {
        let (keys, values): (Vec<String>, Vec<String>) = columns(layer).unzip();
        if at == 0 {
            csv.write_record(keys)?;
        }
        csv.write_record(values)?;
    }
    csv.into_inner().map_err(|error| error.into_error().into())
}

fn columns(layer: &LayerSummary) -> impl Iterator<Item = (String, String)> {
    let LayerSummary { name, kind, neurons, cores, spikes, negative_spikes, synaptic_ops, packets, .. } = layer;
    let LayerSummary { flit_hops, busy_cycles, firing_rate, energy_uj, energy_fj, .. } = layer;
    let LayerSummary { peak_bits, overflows, peak_queue, energy_by_component_fj, .. } = layer;
    let plain = [
        ("name", name.clone()),
        ("kind", kind.clone()),
        ("neurons", neurons.to_string()),
        ("cores", cores.to_string()),
        ("spikes", spikes.to_string()),
        ("negative_spikes", negative_spikes.to_string()),
        ("synaptic_ops", synaptic_ops.to_string()),
        ("packets", packets.to_string()),
        ("flit_hops", flit_hops.to_string()),
        ("busy_cycles", busy_cycles.to_string()),
        ("firing_rate", firing_rate.to_string()),
        ("energy_uj", energy_uj.to_string()),
        ("energy_fj", energy_fj.to_string()),
        ("peak_bits", peak_bits.to_string()),
        ("overflows", overflows.to_string()),
        ("peak_queue", peak_queue.to_string()),
    ];
    let components = energy_by_component_fj.iter().map(|(key, fj)| (format!("energy_{key}_fj"), fj.to_string()));
    plain.map(|(key, value)| (key.to_string(), value)).into_iter().chain(components)
}
