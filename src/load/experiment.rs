//! Experiments: RON, or the flat YAML of the published code.

use super::fault::{Fault, LoadError, Place};
use super::file::Source;
use super::outline::Outline;
use crate::experiment::Experiment;
use std::path::Path;

/// Lets an optional value stand as itself, as it does in YAML.
const EXTENSION: &str = "#![enable(implicit_some)]";
/// Knobs that are texts, and so stand in quotes in RON.
const TEXTS: [&str; 4] = ["id", "data", "model_path", "arch"];
/// What YAML calls nothing.
const NOTHING: [&str; 5] = ["", "~", "null", "Null", "None"];

/// Reads an experiment: a `.yml` or `.yaml` file as flat YAML, any other as RON.
///
/// # Errors
/// Where the text stops making sense, or a key is unknown; or every knob that is out of range, with its line.
pub fn experiment(path: &Path) -> Result<Experiment, LoadError> {
    let source = Source::open(path)?;
    let file = source.name.clone();
    let text = source.text()?;
    let is_yaml = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
    let text = if is_yaml { from_yaml(&text).map_err(|fault| fault.of(&file))? } else { text };
    let head = if text.contains("implicit_some") { "" } else { EXTENSION };
    let experiment: Experiment = super::ron_text(&format!("{head}{text}")).map_err(|fault| {
        let place = fault.place.map(|place| shown(place, head.len(), is_yaml));
        Fault { place, ..fault }.of(&file)
    })?;
    let outline = Outline::new(&text);
    let faults = experiment.faults().into_iter().map(|(key, what, remedy)| {
        let place = outline.get(key).map(|entry| outline.place(entry.start));
        Fault { place: place.map(|place| shown(place, 0, is_yaml)), what, remedy }
    });
    let faults: Vec<Fault> = faults.collect();
    if faults.is_empty() { Ok(experiment) } else { Err(LoadError { file, faults }) }
}

/// A place of the text that was parsed as a place of the file: without the head, and, in YAML, by its line alone.
fn shown(place: Place, head: usize, is_yaml: bool) -> Place {
    let before = if place.line == 1 { head } else { 0 };
    let column = if is_yaml { 1 } else { place.column.saturating_sub(before).max(1) };
    Place { line: place.line, column }
}

/// The RON text of flat YAML, line by line.
fn from_yaml(text: &str) -> Result<String, Fault> {
    let lines: Vec<String> =
        text.lines().enumerate().map(|(at, line)| ron_line(at + 1, line)).collect::<Result<_, _>>()?;
    Ok(format!("({})", lines.join("\n")))
}

/// `key: value  # comment` as `key: value,`; empty where there is nothing.
fn ron_line(number: usize, line: &str) -> Result<String, Fault> {
    let place = Place { line: number, column: 1 };
    let fault = |what: &str, remedy: &str| Err(Fault::new(what, remedy).at(place));
    let line = without_comment(line);
    if line.trim().is_empty() || line.trim_end() == "---" {
        return Ok(String::new());
    }
    if line.starts_with([' ', '\t', '-']) {
        return fault(
            "is nested, where an experiment is a flat list of `key: value`",
            "write the knob at the start of the line",
        );
    }
    let Some((key, value)) = line.split_once(':') else {
        return fault("is no `key: value`", "write one knob a line, such as `epochs: 200`");
    };
    let (key, value) = (key.trim(), value.trim());
    let bare = value.trim_matches(['"', '\'']);
    if NOTHING.contains(&value) {
        return Ok(if key == "model_path" || key == "arch" { format!("{key}: None,") } else { String::new() });
    }
    if TEXTS.contains(&key) {
        return Ok(format!("{key}: {bare:?},"));
    }
    let value = match bare {
        "True" | "TRUE" | "yes" | "on" => "true",
        "False" | "FALSE" | "no" | "off" => "false",
        other => other,
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_.+-".contains(letter);
    if !key.chars().all(plain) || !value.chars().all(plain) {
        return fault("holds more than a word or a number", "write one knob a line, such as `epochs: 200`");
    }
    Ok(format!("{key}: {value},"))
}

/// The line up to a `#` that stands at its start or after a space, outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '#') if before.is_whitespace() => return &line[..at],
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None | Some(_), _) => {}
        }
        before = letter;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Action, Mode};
    use crate::network::SoftmaxAxis;

    fn read(name: &str, text: &str) -> Result<Experiment, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        experiment(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), name))
    }

    #[test]
    fn yaml_and_ron_say_the_same() {
        let yaml = "# the published experiment\naction: test\nmode: \"snn\"\nl: 8\nlr: 5e-4   # small\nid: 3\nuse_maxpool: False\n\
                    data: './cifar#10'\nmodel_path: null\nsave_acc: 90\n";
        let ron = "(action: test, mode: snn, l: 8, lr: 5e-4, id: \"3\", use_maxpool: false, data: \"./cifar#10\", save_acc: 90)";
        let read_yaml = read("cifar10.yml", yaml).unwrap();
        assert_eq!(read_yaml, read("a.ron", ron).unwrap());
        assert_eq!((read_yaml.action, read_yaml.mode, read_yaml.l), (Action::Test, Mode::Snn, 8));
        assert_eq!(read("b.ron", "(model_path: \"x.pt\")").unwrap().model_path.as_deref(), Some("x.pt"));
    }

    #[test]
    fn every_knob_of_the_published_code_is_read_under_its_own_name() {
        let yaml = "action: test\nmode: snn\nl: 8\nt: 6\nextra_t: 3\nbs: 100\nlr: 0.001\nwd: 0.01\nepochs: 300\nid: cifar10_l8\nseed: 7\n\
                    data: /data/cifar10\ndim: 128\nnum_heads: 4\npatch_size: 8\nmlp_ratio: 2\nsave: False\nsave_acc: 93.5\n\
                    model_path: \"runs/best.pt\"\ninherit: True\nuse_maxpool: False\nuse_amp: True\n";
        let wanted = Experiment {
            action: Action::Test,
            mode: Mode::Snn,
            l: 8,
            t: 6,
            extra_t: 3,
            bs: 100,
            lr: 1e-3,
            wd: 0.01,
            epochs: 300,
            id: "cifar10_l8".to_string(),
            seed: 7,
            data: "/data/cifar10".to_string(),
            dim: 128,
            num_heads: 4,
            patch_size: 8,
            mlp_ratio: 2,
            save: false,
            save_acc: 93.5,
            model_path: Some("runs/best.pt".to_string()),
            inherit: true,
            use_maxpool: false,
            use_amp: true,
            ..Experiment::default()
        };
        assert_eq!(read("cifar10.yml", yaml).unwrap(), wanted);
        let ours = "depth: 2\nsoftmax_axis: Keys\nlambda: 8\n";
        let read = read("cifar10.yml", ours).unwrap();
        assert_eq!((read.depth, read.softmax_axis, read.lambda), (2, SoftmaxAxis::Keys, 8.0));
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let wrong = "(\n  l: 0,\n  patch_size: 3,\n  dim: 12,\n)";
        let wanted = "a.ron:2:3: l is 0; give 1 to 32768\na.ron:3:3: patch_size is 3; give 1, 2, 4, 8 or 16\n\
                      a.ron:4:3: dim is 12, and the patch embedding begins with an eighth of it; give a multiple of 8";
        assert_eq!(read("a.ron", wrong).unwrap_err(), wanted);
        let unknown = read("c.yml", "bs: 64\nepoch: 3\n").unwrap_err();
        assert!(unknown.starts_with("c.yml:2:1: ") && unknown.ends_with("did you mean `epochs`?"), "{unknown}");
        let nested = read("c.yml", "optimiser:\n  lr: 3\n").unwrap_err();
        assert!(nested.starts_with("c.yml:"), "{nested}");
    }
}
