//! Trained networks: a bundle, a checkpoint with the reference names, or a checkpoint with an architecture file.

use super::assemble::assemble;
use super::fault::{Fault, LoadError};
use super::file::Source;
use super::reference::Transformer;
use super::tensors::TensorFile;
use crate::network::{Architecture, BUNDLE_KEY, Network, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// Reads a trained network from a `.safetensors` file.
///
/// Its layer list is that of `architecture` where one is given, else the one in the header of a bundle, else the
/// reference transformer whose names the tensors bear.
///
/// # Errors
/// All faults of layers, shapes and values together; or the one that keeps the file from being read at all.
pub fn network(path: &Path, architecture: Option<&Path>) -> Result<Network, LoadError> {
    let mut file = TensorFile::open(path)?;
    let described = match (architecture, file.metadata.get(BUNDLE_KEY)) {
        (Some(path), _) => Some(self::architecture(path)?),
        (None, Some(text)) => Some(parse(text).map_err(|fault| {
            let what = format!("the layer list in its header (`{BUNDLE_KEY}`) does not parse: {}", fault.what);
            Fault { what, ..fault }.of(file.name())
        })?),
        (None, None) => None,
    };
    let tensors = file.floats(|name| !is_ignored(name))?;
    let name = file.name().to_string();
    let layers = match described {
        Some(layers) => layers,
        None => infer(path, &tensors).map_err(|fault| fault.of(&name))?,
    };
    assemble(layers, tensors).map_err(|faults| LoadError { file: name, faults })
}

/// Reads an architecture file: a list of layers, or `Transformer(…)`, the reference network in short form.
///
/// # Errors
/// Where the text stops making sense, with line and column.
pub fn architecture(path: &Path) -> Result<Architecture, LoadError> {
    let source = Source::open(path)?;
    let name = source.name.clone();
    parse(&source.text()?).map_err(|fault| fault.of(&name))
}

/// Parses the text of an architecture file.
fn parse(text: &str) -> Result<Architecture, Fault> {
    if !is_short_form(text) {
        return super::ron_text(text);
    }
    let transformer: Transformer = super::ron_text(text)?;
    match transformer.faults().into_iter().reduce(|all, next| {
        Fault::new(format!("{}, and {}", all.what, next.what), format!("{}; {}", all.remedy, next.remedy))
    }) {
        Some(fault) => Err(fault),
        None => Ok(transformer.layers()),
    }
}

/// Whether the first word that is not a comment is `Transformer`.
fn is_short_form(text: &str) -> bool {
    let code = text.lines().map(|line| line.trim_start()).find(|line| !line.is_empty() && !line.starts_with("//"));
    code.is_some_and(|line| line.starts_with("Transformer"))
}

/// Tensors that training leaves behind and that no layer reads: counters, and norms that the published code never calls.
fn is_ignored(name: &str) -> bool {
    name.split('.').any(|part| matches!(part, "norm1" | "norm2" | "num_batches_tracked"))
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
