//! Trace files: spikes as bit planes, one row for each step (the format stands at [`Header`]).

use super::file::{WriteError, write};
use crate::trace::{Header, ImageTrace, SpikeTrain, TRACE_KEY, Trace};
use bitvec::field::BitField;
use bitvec::prelude::{BitVec, Lsb0};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;

/// Writes the recorded spikes of a network.
///
/// # Errors
/// If the file cannot be written.
pub fn write_trace(path: &Path, trace: &Trace) -> Result<(), WriteError> {
    let failed = |error: &dyn ToString| WriteError::new(path, error.to_string());
    let header = Header {
        fingerprint: trace.fingerprint.clone(),
        time_steps: trace.time_steps,
        schedule: trace.schedule,
        steps: trace.images.iter().map(|image| image.steps).collect(),
        skeleton: trace.skeleton.clone(),
    };
    let header_text = ron::to_string(&header).map_err(|error| failed(&error))?;
    let planes = planes(trace);
    let views = planes.iter().map(|plane| {
        TensorView::new(plane.dtype, plane.shape.clone(), &plane.bytes).map(|view| (plane.name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
    let metadata = [(TRACE_KEY.to_string(), header_text)].into_iter().collect();
    let file = safetensors::serialize(views, Some(metadata)).map_err(|error| failed(&error))?;
    write(path, &file)
}

/// One tensor of the file.
struct Plane {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn planes(trace: &Trace) -> Vec<Plane> {
    let steps: usize = trace.images.iter().map(|image| image.steps as usize).sum();
    let mut planes = vec![widths(trace)];
    for (at, stage) in trace.skeleton.stages.iter().enumerate() {
        let neurons = stage.grid.neurons();
        let plane = |part: &str, dtype, width, row: &dyn Fn(&mut Vec<u8>, &SpikeTrain, usize)| {
            let mut bytes = vec![];
            for image in &trace.images {
                (0..image.steps as usize).for_each(|step| row(&mut bytes, &image.trains[at], step * neurons));
            }
            Plane { name: format!("{}.{part}", stage.name), dtype, shape: vec![steps, width], bytes }
        };
        match trace.images.first().map(|image| &image.trains[at]) {
            None | Some(SpikeTrain::Silent) => {}
            Some(SpikeTrain::Spikes { .. }) => {
                let width = neurons.div_ceil(8);
                planes.push(plane("presence", Dtype::U8, width, &|bytes, train, start| {
                    if let SpikeTrain::Spikes { presence, .. } = train {
                        push_bits(bytes, presence, start, neurons);
                    }
                }));
                planes.push(plane("negative", Dtype::U8, width, &|bytes, train, start| {
                    if let SpikeTrain::Spikes { negative, .. } = train {
                        push_bits(bytes, negative, start, neurons);
                    }
                }));
            }
            Some(SpikeTrain::Graded { .. }) => {
                planes.push(plane("values", Dtype::I32, neurons, &|bytes, train, start| {
                    if let SpikeTrain::Graded { values, .. } = train {
                        let row = (start..start + neurons).map(|at| values.get(at).copied().unwrap_or(0));
                        bytes.extend(row.flat_map(i32::to_le_bytes));
                    }
                }));
            }
        }
    }
    planes
}

/// Appends one row of bits as whole bytes; a row beyond the end of the train is empty.
fn push_bits(bytes: &mut Vec<u8>, bits: &BitVec<u64, Lsb0>, start: usize, neurons: usize) {
    let end = bytes.len() + neurons.div_ceil(8);
    for word in bits.get(start..start + neurons).into_iter().flat_map(|row| row.chunks(64)) {
        bytes.extend(word.load_le::<u64>().to_le_bytes());
    }
    bytes.resize(end, 0);
}

fn widths(trace: &Trace) -> Plane {
    let all = |image: &ImageTrace| image.widths.iter().flat_map(|widths| widths.0).collect::<Vec<u64>>();
    let values: Vec<u64> = trace.images.iter().flat_map(all).collect();
    Plane {
        name: "widths".to_string(),
        dtype: Dtype::U64,
        shape: vec![trace.images.len(), trace.skeleton.stages.len(), 65],
        bytes: values.into_iter().flat_map(u64::to_le_bytes).collect(),
    }
}
