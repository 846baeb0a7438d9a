//! Trained networks: a bundle, a checkpoint with the reference names, or a checkpoint with an architecture file.

use super::assemble::{assemble, layer_list_faults};
use super::fault::{Fault, LoadError};
use super::file::Source;
use super::npz;
use super::origins::{self, Origins};
use super::outline::Outline;
use super::reference::Transformer;
use super::tensors::TensorFile;
use super::torch;
use crate::checkpoint::MOMENT_KEYS;
use crate::network::{Architecture, BUNDLE_KEY, Input, Layer, Network, Tensor};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads a trained network from a `.safetensors` file, a checkpoint of PyTorch, or a NumPy archive (`.npz`) with an architecture file.
///
/// Its layer list is that of `architecture` where one is given, else the one in the header of a bundle, else the
/// reference transformer whose names the tensors bear.
///
/// # Errors
/// All faults of layers, shapes and values together; or the one that keeps the file from being read at all.
pub fn network(path: &Path, architecture: Option<&Path>) -> Result<Network, LoadError> {
    let described = architecture.map(described).transpose()?;
    if path.extension().is_some_and(|extension| extension == "npz") {
        return foreign(path, described);
    }
    let (described, origins) = match described {
        Some((layers, origins)) => (Some(layers), origins),
        None => (None, Origins::new()),
    };
    let name = path.display().to_string();
    let (listed, tensors) = if is_torch(path)? {
        (None, torch::tensors(path, |name| !is_ignored(name))?)
    } else {
        let mut file = TensorFile::open(path)?;
        (listed(&file)?, file.floats(|name| !is_ignored(name))?)
    };
    let tensors = origins::taken(&origins, tensors).map_err(|faults| LoadError { file: name.clone(), faults })?;
    let layers = match described.or(listed) {
        Some(layers) => layers,
        None => infer(path, &tensors).map_err(|fault| fault.of(&name))?,
    };
    assemble(layers, tensors).map_err(|faults| LoadError { file: name, faults })
}

/// The layer list in the header of a bundle.
fn listed(file: &TensorFile) -> Result<Option<Architecture>, LoadError> {
    let parsed = file.metadata.get(BUNDLE_KEY).map(|text| super::ron_text(text)).transpose();
    parsed.map_err(|fault: Fault| {
        let what = format!("the layer list in its header (`{BUNDLE_KEY}`) does not parse: {}", fault.what);
        Fault::new(what, "import the network again").of(file.name())
    })
}

/// A network bundle that is part of this program.
///
/// # Errors
/// If it is no network bundle.
pub fn embedded_network(name: &str, bytes: &'static [u8]) -> Result<Network, LoadError> {
    let mut file = TensorFile::new(Source::embedded(name, bytes))?;
    let (layers, tensors) = (listed(&file)?, file.floats(|_| true)?);
    let layers = layers.ok_or_else(|| Fault::new("is no network bundle", "import the network again").of(name))?;
    assemble(layers, tensors).map_err(|faults| LoadError { file: name.to_string(), faults })
}

fn is_torch(path: &Path) -> Result<bool, LoadError> {
    torch::is_archive(&mut Source::open(path)?)
}

/// Reads the tensors of a trained network without asking for its layers.
///
/// # Errors
/// If the file cannot be read, or holds no floats.
pub fn tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, LoadError> {
    if is_torch(path)? {
        return torch::tensors(path, |name| !is_ignored(name));
    }
    TensorFile::open(path)?.floats(|name| !is_ignored(name))
}

/// Reads an architecture file: a list of layers, or `Transformer(…)`, the reference network in short form.
///
/// # Errors
/// Where the text stops making sense; or all faults of the layers and their shapes. Each with line and column.
pub fn architecture(path: &Path) -> Result<Architecture, LoadError> {
    described(path).map(|(layers, _)| layers)
}

/// A network from a NumPy archive.
fn foreign(path: &Path, described: Option<(Architecture, Origins)>) -> Result<Network, LoadError> {
    let file = path.display().to_string();
    let Some((layers, origins)) = described else {
        let what = "is a NumPy archive, which says nothing of layers";
        return Err(Fault::new(what, "give an architecture file that lists them (--arch)").of(&file));
    };
    let tensors = npz::npz(path)?;
    let tensors = origins::taken(&origins, tensors).map_err(|faults| LoadError { file: file.clone(), faults })?;
    assemble(layers, tensors).map_err(|faults| LoadError { file, faults })
}

/// An architecture file: the layers, and where their tensors stand in a foreign checkpoint.
fn described(path: &Path) -> Result<(Architecture, Origins), LoadError> {
    let source = Source::open(path)?;
    let file = source.name.clone();
    let text = source.text()?;
    let (layers, origins) = parse(&text).map_err(|faults| LoadError { file: file.clone(), faults })?;
    let outline = Outline::new(&text);
    let place = |at: usize| outline.get(&format!("layers.{at}")).map(|entry| outline.place(entry.start));
    let faults = layer_list_faults(&layers);
    let faults: Vec<Fault> =
        faults.into_iter().map(|(at, fault)| Fault { place: at.and_then(place), ..fault }).collect();
    if faults.is_empty() { Ok((layers, origins)) } else { Err(LoadError { file, faults }) }
}

/// What an architecture file holds; the fields of [`Architecture`], and origins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    #[serde(default)]
    input: Input,
    layers: Vec<Layer>,
    #[serde(default)]
    tensors: Origins,
}

/// Parses the text of an architecture file.
fn parse(text: &str) -> Result<(Architecture, Origins), Vec<Fault>> {
    if !is_short_form(text) {
        let Described { name, input, layers, tensors } = super::ron_text(text).map_err(|fault| vec![fault])?;
        return Ok((Architecture { name, input, layers }, tensors));
    }
    let transformer: Transformer = super::ron_text(text).map_err(|fault| vec![fault])?;
    let outline = Outline::new(text);
    let place = |key| outline.get(key).map(|entry| outline.place(entry.start));
    let faults = transformer.faults().into_iter().map(|(key, fault)| Fault { place: place(key), ..fault });
    let faults: Vec<Fault> = faults.collect();
    if faults.is_empty() { Ok((transformer.layers(), Origins::new())) } else { Err(faults) }
}

/// Whether the first word that is not a comment is `Transformer`.
fn is_short_form(text: &str) -> bool {
    let code = text.lines().map(|line| line.trim_start()).find(|line| !line.is_empty() && !line.starts_with("//"));
    code.is_some_and(|line| line.starts_with("Transformer"))
}

/// Tensors that training leaves behind and that no layer reads: counters, norms that the published code never calls, and what
/// the optimiser of a checkpoint holds.
fn is_ignored(name: &str) -> bool {
    MOMENT_KEYS.iter().any(|key| name.starts_with(key))
        || name.split('.').any(|part| matches!(part, "norm1" | "norm2" | "num_batches_tracked"))
}

fn infer(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<Architecture, Fault> {
    if !Transformer::names(tensors) {
        return Err(Fault::new(
            "says nothing of its layers: there is no layer list in its header, and its tensors do not bear the names \
             of the reference transformer (`patch_embed.…`)",
            "give an architecture file that lists the layers",
        ));
    }
    let stem = path.file_stem().map_or_else(|| "network".into(), |stem| stem.to_string_lossy());
    Ok(Transformer::of(&stem, tensors).layers())
}
