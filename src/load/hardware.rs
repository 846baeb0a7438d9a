//! Hardware descriptions: RON in which every constant is a tuple of its value and its source.

use super::fault::{Fault, LoadError, Place, did_you_mean};
use super::file::Source;
use super::outline::{Entry, Outline};
use super::{presets, sets};
use crate::action::Action;
use crate::constants::{ENERGY, MAX_PRICE_FJ, MAX_STATIC_UW, prices, sections};
use crate::hardware::{Energy, Field, Hardware, Range, Section, Timing, Topology, UnitKind};
use crate::units::Femtojoules;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Reads a hardware description: a file, or where there is none of that name, a built-in one such as `mesh28`.
///
/// Each of `sets` changes one constant, as `mesh.columns=32`; the text is then read as if it had stood there.
///
/// # Errors
/// All faults together: unknown, missing and repeated keys, values out of range, constants without a source, a layout
/// that is not a map of known tiles.
pub fn hardware(path: &Path, sets: &[String]) -> Result<Hardware, LoadError> {
    let name = path.display().to_string();
    if let Some(text) = presets::preset(&name).filter(|_| !path.exists()) {
        return hardware_from_text(&name, text, sets);
    }
    if !path.exists() && path.extension().is_none() {
        let known: Vec<&str> = presets::PRESETS.iter().map(|(name, _)| *name).collect();
        let otherwise = format!("name a file, or a built-in one: {}", known.join(", "));
        let remedy = did_you_mean(&name, known, &otherwise);
        return Err(Fault::new("is neither a file nor a built-in hardware description", remedy).of(&name));
    }
    hardware_from_text(&name, &Source::open(path)?.text()?, sets)
}

/// Reads a hardware description from its text; `name` stands for the file in errors.
///
/// # Errors
/// As for [`hardware`].
pub fn hardware_from_text(name: &str, text: &str, sets: &[String]) -> Result<Hardware, LoadError> {
    let failed = |faults| LoadError { file: name.to_string(), faults };
    let _: serde::de::IgnoredAny = super::ron_text(text).map_err(|fault| fault.of(name))?;
    let text = sets::applied(text, sets).map_err(failed)?;
    let mut reader =
        Reader { outline: Outline::new(&text), faults: vec![], sources: BTreeMap::new(), references: BTreeMap::new() };
    let hardware = reader.hardware();
    reader.faults.sort_by_key(|fault| fault.place);
    match hardware {
        Some(hardware) if reader.faults.is_empty() => Ok(hardware),
        _ => Err(failed(reader.faults)),
    }
}

const NAME: &str = "name";
const SUMMARY: &str = "summary";
const SOURCES: &str = "sources";
const LAYOUT: &str = "topology.layout";
const TILES: &str = "topology.tiles";
/// Most units of a tile: as many as a router has local ports.
const MAX_UNITS: usize = 16;

/// A text on its way to a description: what is not there or not right becomes a fault and `None`.
struct Reader<'t> {
    outline: Outline<'t>,
    faults: Vec<Fault>,
    sources: BTreeMap<String, String>,
    references: BTreeMap<String, String>,
}

impl Reader<'_> {
    fn hardware(&mut self) -> Option<Hardware> {
        self.keys();
        self.references = self.typed(SOURCES).unwrap_or_default();
        let (name, summary) = (self.typed(NAME), self.typed(SUMMARY));
        let (topology, timing, energy) = (self.topology(), self.timing(), self.energy());
        Some(Hardware {
            name: name?,
            summary: summary?,
            topology: topology?,
            timing: timing?,
            energy: energy?,
            sources: std::mem::take(&mut self.sources),
            references: std::mem::take(&mut self.references),
        })
    }

    fn topology(&mut self) -> Option<Topology> {
        let (mesh, layout) = (self.section(), self.layout());
        let (core, max_pool, attention) = (self.section(), self.section(), self.section());
        let (softmax, noc) = (self.section(), self.section());
        let (layout, tiles) = layout?;
        Some(Topology {
            mesh: mesh?,
            layout,
            tiles,
            core: core?,
            max_pool: max_pool?,
            attention: attention?,
            softmax: softmax?,
            noc: noc?,
        })
    }

    fn timing(&mut self) -> Option<Timing> {
        let (clock, core, max_pool, attention) = (self.section(), self.section(), self.section(), self.section());
        let (softmax, port, noc, step) = (self.section(), self.section(), self.section(), self.section());
        Some(Timing {
            clock: clock?,
            core: core?,
            max_pool: max_pool?,
            attention: attention?,
            softmax: softmax?,
            port: port?,
            noc: noc?,
            step: step?,
        })
    }

    fn energy(&mut self) -> Option<Energy> {
        self.has_section(ENERGY)?;
        let values: Vec<Option<u64>> = prices().iter().map(|(key, sentence)| self.price(key, sentence)).collect();
        let values: Vec<u64> = values.into_iter().collect::<Option<_>>()?;
        let (actions, others) = values.split_at(Action::COUNT);
        let price = |at: usize| others.get(at).copied();
        let mut prices = [Femtojoules(0); Action::COUNT];
        prices.iter_mut().zip(actions).for_each(|(price, &value)| *price = Femtojoules(value));
        Some(Energy {
            prices,
            ann_mac: Femtojoules(price(0)?),
            ann_weight_read: Femtojoules(price(1)?),
            ann_activation_access: Femtojoules(price(2)?),
            static_uw: price(3)?,
        })
    }

    /// A section of whole numbers and words.
    fn section<T: Section>(&mut self) -> Option<T> {
        self.has_section(T::PATH)?;
        let values: Vec<Option<u64>> = T::FIELDS.iter().map(|field| self.field(T::PATH, field)).collect();
        Some(T::from_values(&values.into_iter().collect::<Option<Vec<u64>>>()?))
    }

    fn has_section(&mut self, path: &str) -> Option<()> {
        if self.outline.get(path).is_none() {
            self.faults.push(Fault::new(format!("section `{path}` is missing"), "add it, with all its constants"));
            return None;
        }
        Some(())
    }

    fn field(&mut self, section: &str, field: &Field) -> Option<u64> {
        let path = format!("{section}.{}", field.key);
        let (value, place) = self.constant(&path, field.sentence)?;
        let word = super::outline::unquoted(&value);
        let number = match field.range {
            Range::Whole(least, most) => {
                value.replace('_', "").parse().ok().filter(|number| (least..=most).contains(number))
            }
            Range::Word(words) => words.iter().position(|known| *known == word).map(|at| at as u64),
        };
        if number.is_none() {
            let wanted = format!("give {}: {}", field.range.describe(), field.sentence);
            let remedy = match field.range {
                Range::Word(words) => did_you_mean(word, words.iter().copied(), &wanted),
                Range::Whole(..) => wanted,
            };
            self.faults.push(Fault::new(format!("`{path}` is {value}"), remedy).at(place));
        }
        number
    }

    /// A price or power in thousandths of its unit.
    fn price(&mut self, key: &str, sentence: &str) -> Option<u64> {
        let path = format!("{ENERGY}.{key}");
        let (value, place) = self.constant(&path, sentence)?;
        let most = if key.ends_with("_pj") { MAX_PRICE_FJ } else { MAX_STATIC_UW };
        let number = thousandths(&value).filter(|&number| number <= most);
        if number.is_none() {
            let remedy = format!("give a number from 0 to {} with at most three decimals: {sentence}", most / 1000);
            self.faults.push(Fault::new(format!("`{path}` is {value}"), remedy).at(place));
        }
        number
    }

    /// The text of a constant's value, and its place; its source is checked and kept.
    fn constant(&mut self, path: &str, sentence: &str) -> Option<(String, Place)> {
        let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
        let Some(entry) = self.outline.get(path) else {
            let remedy = format!("add `{key}: (value, \"source\")`: {sentence}");
            let place = self.outline.get(section).map_or(0, |section| section.start);
            self.fault(place, format!("`{path}` is missing"), remedy);
            return None;
        };
        let start = entry.start;
        let member = |number: usize| self.outline.get(&format!("{path}.{number}"));
        let parts = (member(0), member(1), member(2));
        let (Some(value), Some(source), None) = parts else {
            let what = format!("`{path}` is {}", self.outline.text(entry));
            let remedy = format!("write `{key}: (value, \"source\")`: {sentence}");
            self.fault(start, what, remedy);
            return None;
        };
        let found = (self.outline.text(value).to_string(), self.outline.place(value.start));
        self.source(path, &source.clone());
        Some(found)
    }

    fn source(&mut self, path: &str, entry: &Entry) {
        let text = ron::from_str::<String>(self.outline.text(entry)).unwrap_or_default();
        if text.trim().is_empty() {
            let remedy = "write where its value comes from, in quotes, or that it is a design choice";
            self.fault(entry.start, format!("`{path}` has no source"), remedy.to_string());
        }
        for key in text.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(key, _)| key) {
            if !self.references.contains_key(key) {
                let known = self.references.keys().map(String::as_str);
                let remedy = did_you_mean(key, known, "add it to `sources`");
                self.fault(entry.start, format!("the source of `{path}` cites [{key}], which `sources` lacks"), remedy);
            }
        }
        let cited = if self.references.contains_key(&text) { format!("[{text}]") } else { text };
        self.sources.insert(path.to_string(), cited);
    }

    /// A value that is no constant: a name, the layout, the tiles, the references.
    fn typed<T: serde::de::DeserializeOwned>(&mut self, path: &str) -> Option<T> {
        let Some(entry) = self.outline.get(path) else {
            self.faults.push(Fault::new(format!("`{path}` is missing"), "add it"));
            return None;
        };
        let start = self.outline.place(entry.value.start);
        let mut fault = match super::ron_text(self.outline.text(entry)) {
            Ok(value) => return Some(value),
            Err(fault) => fault,
        };
        fault.what = format!("`{path}`: {}", fault.what);
        fault.place = fault.place.map(|place| place.after(start));
        self.faults.push(fault);
        None
    }

    fn layout(&mut self) -> Option<(Vec<String>, BTreeMap<char, Vec<UnitKind>>)> {
        let (layout, tiles) = (self.typed::<Vec<String>>(LAYOUT), self.typed::<BTreeMap<char, Vec<UnitKind>>>(TILES));
        let (layout, tiles) = (layout?, tiles?);
        let start = |path: &str| self.outline.get(path).map_or(0, |entry| entry.start);
        let mut faults = vec![];
        for (letter, units) in &tiles {
            if !letter.is_ascii_graphic() || units.len() > MAX_UNITS {
                let what = format!("tile {letter:?} has {} units", units.len());
                let remedy = format!("name tiles by one ASCII letter or sign, with at most {MAX_UNITS} units each");
                faults.push((start(TILES), what, remedy));
            }
        }
        let width = layout.first().map_or(0, String::len);
        if width == 0 {
            faults.push((start(LAYOUT), "the layout is empty".to_string(), "draw at least one tile".to_string()));
        }
        for (number, row) in layout.iter().enumerate() {
            let at = start(&format!("{LAYOUT}.{number}"));
            let unknown: BTreeSet<char> = row.chars().filter(|letter| !tiles.contains_key(letter)).collect();
            let letters: Vec<String> = tiles.keys().map(char::to_string).collect();
            faults.extend(unknown.into_iter().map(|letter| {
                let remedy = format!("add it to `{TILES}`, or use one of {}", letters.join(" "));
                (at, format!("layout row {number} has tile {letter:?}, which `{TILES}` lacks"), remedy)
            }));
            if row.len() != width {
                let what = format!("layout row {number} has {} tiles, where row 0 has {width}", row.len());
                faults.push((at, what, "make all rows equally long".to_string()));
            }
        }
        let sound = faults.is_empty();
        faults.into_iter().for_each(|(at, what, remedy)| self.fault(at, what, remedy));
        sound.then_some((layout, tiles))
    }

    /// Unknown and repeated keys.
    fn keys(&mut self) {
        let known = Known::new();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut faults = vec![];
        for entry in self.outline.entries.iter().skip(1) {
            let path = entry.path.as_str();
            let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
            if let Some(first) = seen.insert(path, entry.start) {
                let Place { line, column } = self.outline.place(first);
                faults.push((
                    entry.start,
                    format!("`{path}` is there twice, first at {line}:{column}"),
                    "keep one".into(),
                ));
            } else if known.sections.contains(parent) && !known.has(path) {
                let siblings: Vec<&str> = known.within(parent).collect();
                let otherwise = format!("leave it out; the keys here are {}", siblings.join(", "));
                let remedy = did_you_mean(key, siblings.iter().copied(), &otherwise);
                faults.push((entry.start, format!("`{path}` is not known"), remedy));
            }
        }
        faults.into_iter().for_each(|(at, what, remedy)| self.fault(at, what, remedy));
    }

    fn fault(&mut self, at: usize, what: String, remedy: String) {
        self.faults.push(Fault::new(what, remedy).at(self.outline.place(at)));
    }
}

/// Every path that a description may have.
struct Known {
    /// Paths of structs, the whole file among them.
    sections: BTreeSet<String>,
    /// Paths of values in them.
    leaves: Vec<String>,
}

impl Known {
    fn new() -> Self {
        let of = |path: &str, key: &str| format!("{path}.{key}");
        let mut leaves: Vec<String> = [NAME, SUMMARY, SOURCES, LAYOUT, TILES].map(String::from).to_vec();
        leaves.extend(sections().iter().flat_map(|(path, fields)| fields.iter().map(|field| of(path, field.key))));
        leaves.extend(prices().iter().map(|(key, _)| of(ENERGY, key)));
        let mut known = Self { sections: BTreeSet::from([String::new()]), leaves };
        for leaf in &known.leaves {
            known.sections.extend(leaf.match_indices('.').map(|(at, _)| leaf[..at].to_string()));
        }
        known
    }

    fn has(&self, path: &str) -> bool {
        self.sections.contains(path) || self.leaves.iter().any(|leaf| leaf == path)
    }

    /// Keys of a section.
    fn within(&self, section: &str) -> impl Iterator<Item = &str> {
        let paths = self.leaves.iter().chain(&self.sections).filter(|path| !path.is_empty());
        paths.filter_map(move |path| match path.rsplit_once('.') {
            Some((parent, key)) => (parent == section).then_some(key),
            None => section.is_empty().then_some(path.as_str()),
        })
    }
}

/// A decimal with at most three decimals, in thousandths.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
        return None;
    }
    format!("{whole}{decimals:0<3}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::thousandths;

    #[test]
    fn picojoules_become_whole_femtojoules() {
        let values = ["0.03", "23.6", "104", "0.001", "0.0001", "-1", ".5", "1e3", "99999999999999999999"];
        let wanted = [Some(30), Some(23_600), Some(104_000), Some(1), None, None, None, None, None];
        assert_eq!(values.map(thousandths), wanted);
    }
}
