//! Reading the constants of a hardware description one by one, and keeping all that is wrong with them.

use super::fault::{Fault, Place, did_you_mean};
use super::keys::Known;
use super::outline::{Entry, Outline, unquoted};
use crate::constants::{ENERGY, MAX_PRICE_FJ, MAX_STATIC_UW};
use crate::hardware::{Field, Range, Section};
use std::collections::BTreeMap;

/// A text on its way to a description: what is not there or not right becomes a fault and `None`.
pub struct Reader<'t> {
    /// The text, value by value.
    pub outline: Outline<'t>,
    /// All that is wrong so far.
    pub faults: Vec<Fault>,
    /// Source of each constant, by path.
    pub sources: BTreeMap<String, String>,
    /// What sources may cite.
    pub references: BTreeMap<String, String>,
}

impl<'t> Reader<'t> {
    /// A reader at the start of a text; unknown and repeated keys are noted already.
    pub fn new(outline: Outline<'t>) -> Self {
        let mut reader = Self { outline, faults: vec![], sources: BTreeMap::new(), references: BTreeMap::new() };
        reader.keys();
        reader
    }

    /// A section of whole numbers and words.
    pub fn section<T: Section>(&mut self) -> Option<T> {
        self.has_section(T::PATH)?;
        let values: Vec<Option<u64>> = T::FIELDS.iter().map(|field| self.field(T::PATH, field)).collect();
        Some(T::from_values(&values.into_iter().collect::<Option<Vec<u64>>>()?))
    }

    /// Whether there is a section at this path; notes where there is none.
    pub fn has_section(&mut self, path: &str) -> Option<()> {
        if self.outline.get(path).is_none() {
            self.faults.push(Fault::new(format!("section `{path}` is missing"), "add it, with all its constants"));
            return None;
        }
        Some(())
    }

    fn field(&mut self, section: &str, field: &Field) -> Option<u64> {
        let path = format!("{section}.{}", field.key);
        let (value, place) = self.constant(&path, field.sentence)?;
        let word = unquoted(&value);
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
    pub fn price(&mut self, key: &str, sentence: &str) -> Option<u64> {
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
    pub fn typed<T: serde::de::DeserializeOwned>(&mut self, path: &str) -> Option<T> {
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

    /// Unknown and repeated keys.
    fn keys(&mut self) {
        let known = Known::new();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut faults, mut repeated) = (vec![], 0..0);
        for entry in self.outline.entries.iter().skip(1) {
            let path = entry.path.as_str();
            if repeated.contains(&entry.start) {
                continue;
            }
            let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
            if let Some(first) = seen.insert(path, entry.start) {
                let Place { line, column } = self.outline.place(first);
                faults.push((
                    entry.start,
                    format!("`{path}` is there twice, first at {line}:{column}"),
                    "keep one".into(),
                ));
                repeated = entry.start..entry.value.end;
            } else if known.sections.contains(parent) && !known.has(path) {
                let siblings: Vec<&str> = known.within(parent).collect();
                let otherwise = format!("leave it out; the keys here are {}", siblings.join(", "));
                let remedy = did_you_mean(key, siblings.iter().copied(), &otherwise);
                faults.push((entry.start, format!("`{path}` is not known"), remedy));
            }
        }
        faults.into_iter().for_each(|(at, what, remedy)| self.fault(at, what, remedy));
    }

    /// Where a value starts; the start of the text where there is none.
    pub fn start(&self, path: &str) -> usize {
        self.outline.get(path).map_or(0, |entry| entry.start)
    }

    /// Notes a fault at a byte of the text.
    pub fn fault(&mut self, at: usize, what: String, remedy: String) {
        self.faults.push(Fault::new(what, remedy).at(self.outline.place(at)));
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
