//! Trace files: recorded spikes, to be replayed on any chip that the network fits.

use super::fault::{Fault, LoadError};
use super::skeleton::graph_faults;
use super::tensors::TensorFile;
use crate::graph::{Stage, StageKind};
use crate::trace::{Header, ImageTrace, SpikeTrain, TRACE_KEY, Trace, Widths};
use bitvec::prelude::{BitVec, Lsb0};
use bitvec::view::BitView;
use safetensors::Dtype;
use std::collections::BTreeMap;
use std::path::Path;

const REMEDY: &str = "record the trace again";
/// Most steps of all images together: keeps every product of steps and neurons within 64 bits.
const MAX_STEPS: u64 = 1 << 32;

/// Reads the recorded spikes of a network (the format stands at [`Header`]).
///
/// # Errors
/// All faults together: a header that is no trace's, a graph that is none, tensors that are missing, unknown or misshaped,
/// bits where there is no neuron, or a sign without a spike.
pub fn trace(path: &Path) -> Result<Trace, LoadError> {
    let mut file = TensorFile::open(path)?;
    let name = file.name().to_string();
    let failed = |faults: Vec<Fault>| LoadError { file: name.clone(), faults };
    let header = header(&file).map_err(failed)?;
    let planes = planes(&header);
    let faults = plane_faults(&file, &planes);
    if !faults.is_empty() {
        return Err(failed(faults));
    }
    let mut images: Vec<ImageTrace> =
        header.steps.iter().map(|&steps| ImageTrace { steps, trains: vec![], widths: vec![] }).collect();
    for stage in &header.skeleton.stages {
        let bytes = |file: &mut TensorFile, part| match file.infos.get(&format!("{}.{part}", stage.name)).cloned() {
            Some(info) => file.bytes(&info),
            None => Ok(vec![]),
        };
        let parts = [bytes(&mut file, PRESENCE)?, bytes(&mut file, NEGATIVE)?, bytes(&mut file, VALUES)?];
        append(&mut images, stage, &parts).map_err(|fault| failed(vec![fault]))?;
    }
    if let Some(info) = file.infos.get(WIDTHS).cloned() {
        append_widths(&mut images, &file.bytes(&info)?, header.skeleton.stages.len());
    }
    let Header { fingerprint, time_steps, schedule, skeleton, .. } = header;
    Ok(Trace { skeleton, fingerprint, time_steps, schedule, images })
}

const PRESENCE: &str = "presence";
const NEGATIVE: &str = "negative";
const VALUES: &str = "values";
const WIDTHS: &str = "widths";

fn header(file: &TensorFile) -> Result<Header, Vec<Fault>> {
    let Some(text) = file.metadata.get(TRACE_KEY) else {
        let what = format!("is not a spike trace: its header has no `{TRACE_KEY}`");
        return Err(vec![Fault::new(what, "name a file that `spikemesh record` wrote")]);
    };
    let header: Header = super::ron_text(text).map_err(|fault| {
        let what = format!("`{TRACE_KEY}` in its header does not parse: {}", fault.what);
        vec![Fault { what, remedy: REMEDY.to_string(), ..fault }]
    })?;
    let graph = graph_faults(&header.skeleton).into_iter().map(|what| Fault::new(what, REMEDY));
    let mut faults: Vec<Fault> = graph.collect();
    let steps: u64 = header.steps.iter().map(|&steps| u64::from(steps)).sum();
    if header.time_steps == 0 || header.steps.is_empty() || header.steps.contains(&0) || steps > MAX_STEPS {
        faults.push(Fault::new("has no images, no steps, or too many of them", REMEDY));
    }
    if faults.is_empty() { Ok(header) } else { Err(faults) }
}

/// Type and shape of every tensor that a trace has.
fn planes(header: &Header) -> BTreeMap<String, (Dtype, Vec<usize>)> {
    let steps: usize = header.steps.iter().map(|&steps| steps as usize).sum();
    let mut planes = BTreeMap::new();
    for stage in &header.skeleton.stages {
        let neurons = stage.grid.neurons();
        let mut plane =
            |part, dtype, width| planes.insert(format!("{}.{part}", stage.name), (dtype, vec![steps, width]));
        if stage.kind.is_graded() {
            plane(VALUES, Dtype::I32, neurons);
        } else if !matches!(stage.kind, StageKind::Readout { .. }) {
            plane(PRESENCE, Dtype::U8, neurons.div_ceil(8));
            plane(NEGATIVE, Dtype::U8, neurons.div_ceil(8));
        }
    }
    let widths = vec![header.steps.len(), header.skeleton.stages.len(), Widths::default().0.len()];
    planes.insert(WIDTHS.to_string(), (Dtype::U64, widths));
    planes
}

fn plane_faults(file: &TensorFile, planes: &BTreeMap<String, (Dtype, Vec<usize>)>) -> Vec<Fault> {
    let unknown = file.infos.keys().filter(|name| !planes.contains_key(*name));
    let unknown = unknown.map(|name| Fault::new(format!("tensor `{name}` belongs to no stage"), REMEDY));
    let wrong = planes.iter().filter_map(|(name, (dtype, shape))| {
        let what = match file.infos.get(name) {
            None => format!("tensor `{name}` is missing"),
            Some(info) if info.dtype != *dtype || info.shape != *shape => {
                format!("tensor `{name}` is {} {:?}, where {dtype} {shape:?} is wanted", info.dtype, info.shape)
            }
            Some(_) => return None,
        };
        Some(Fault::new(what, REMEDY))
    });
    unknown.chain(wrong).collect()
}

/// Gives each image its rows of one stage.
fn append(
    images: &mut [ImageTrace],
    stage: &Stage<i32>,
    [presence, negative, values]: &[Vec<u8>; 3],
) -> Result<(), Fault> {
    let neurons = stage.grid.neurons();
    let mut row = 0;
    for image in images {
        let rows = row..row + image.steps as usize;
        row = rows.end;
        image.trains.push(match &stage.kind {
            StageKind::Readout { .. } => SpikeTrain::Silent,
            StageKind::Neurons(_) | StageKind::MaxPool { .. } => {
                let width = neurons.div_ceil(8);
                let bytes = rows.start * width..rows.end * width;
                let wrong = || Fault::new(format!("stage `{}` has bits without a neuron", stage.name), REMEDY);
                let presence = bits(&presence[bytes.clone()], neurons).ok_or_else(wrong)?;
                let negative = bits(&negative[bytes], neurons).ok_or_else(wrong)?;
                if !within(&negative, &presence) {
                    return Err(Fault::new(format!("stage `{}` has signs without a spike", stage.name), REMEDY));
                }
                SpikeTrain::Spikes { neurons, presence, negative }
            }
            StageKind::Input(_) | StageKind::Scores { .. } | StageKind::Softmax { .. } | StageKind::Context { .. } => {
                let bytes = &values[rows.start * neurons * 4..rows.end * neurons * 4];
                let values = bytes.as_chunks().0.iter().map(|&value| i32::from_le_bytes(value)).collect();
                SpikeTrain::Graded { neurons, values }
            }
        });
    }
    Ok(())
}

/// Rows of whole bytes as rows of `neurons` bits; none if a row has bits beyond them.
fn bits(bytes: &[u8], neurons: usize) -> Option<BitVec<u64, Lsb0>> {
    if neurons.is_multiple_of(64) {
        let words = bytes.as_chunks().0.iter().map(|&word| u64::from_le_bytes(word));
        return Some(BitVec::from_vec(words.collect()));
    }
    let mut all = BitVec::with_capacity(bytes.len() * 8);
    for row in bytes.chunks(neurons.div_ceil(8)) {
        let row = row.view_bits::<Lsb0>();
        if row[neurons..].any() {
            return None;
        }
        all.extend_from_bitslice(&row[..neurons]);
    }
    all.set_uninitialized(false);
    Some(all)
}

/// Whether every bit of `part` is also in `whole`.
fn within(part: &BitVec<u64, Lsb0>, whole: &BitVec<u64, Lsb0>) -> bool {
    part.as_raw_slice().iter().zip(whole.as_raw_slice()).all(|(part, whole)| part & !whole == 0)
}

fn append_widths(images: &mut [ImageTrace], bytes: &[u8], stages: usize) {
    let (values, _) = bytes.as_chunks::<8>();
    let mut values = values.iter().map(|&value| u64::from_le_bytes(value));
    for image in images {
        for _ in 0..stages {
            let mut widths = Widths::default();
            widths.0.iter_mut().zip(&mut values).for_each(|(width, value)| *width = value);
            image.widths.push(widths);
        }
    }
}
