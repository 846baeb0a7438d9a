//! Hardware descriptions: RON in which every constant is a tuple of its value and its source.

use super::fault::{Fault, LoadError, did_you_mean};
use super::file::Source;
use super::outline::Outline;
use super::reader::Reader;
use super::{presets, sets};
use crate::action::Action;
use crate::constants::{ENERGY, LAYOUT, NAME, ORIGINS, SOURCES, SUMMARY, TILES, prices};
use crate::hardware::{Energy, Hardware, Origin, Timing, Topology, UnitKind};
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
    let mut reader = Reader::new(Outline::new(&text));
    let hardware = reader.hardware();
    reader.faults.sort_by_key(|fault| fault.place);
    match hardware {
        Some(hardware) if reader.faults.is_empty() => Ok(hardware),
        _ => Err(failed(reader.faults)),
    }
}

/// Most units of a tile: as many as a router has local ports.
const MAX_UNITS: usize = 16;

/// The units of each kind of tile, by letter.
type Tiles = BTreeMap<char, Vec<UnitKind>>;
type Layout = (Vec<String>, Tiles);

impl Reader<'_> {
    fn hardware(&mut self) -> Option<Hardware> {
        self.references = self.typed(SOURCES).unwrap_or_default();
        let origins = self.origins();
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
            origins: origins?,
        })
    }

    /// One for each publication.
    fn origins(&mut self) -> Option<BTreeMap<String, Origin>> {
        let origins: BTreeMap<String, Origin> = self.typed(ORIGINS)?;
        let start = self.start(ORIGINS);
        let missing: Vec<String> = self.references.keys().filter(|key| !origins.contains_key(*key)).cloned().collect();
        for key in missing {
            let what = format!("`{ORIGINS}` says nothing of [{key}]");
            let remedy = format!("add \"{key}\": (node: \"28 nm\", basis: marginal), or average, or structure");
            self.fault(start, what, remedy);
        }
        let unknown: Vec<String> = origins.keys().filter(|key| !self.references.contains_key(*key)).cloned().collect();
        for key in unknown {
            let what = format!("`{ORIGINS}` has [{key}], which `{SOURCES}` lacks");
            self.fault(start, what, format!("add it to `{SOURCES}`, or leave it out"));
        }
        Some(origins)
    }

    fn topology(&mut self) -> Option<Topology> {
        let (mesh, layout) = (self.section(), self.layout());
        let (core, max_pool, attention) = (self.section(), self.section(), self.section());
        let (softmax, noc, board) = (self.section(), self.section(), self.section());
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
            board: board?,
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

    fn layout(&mut self) -> Option<Layout> {
        let (layout, tiles) = (self.typed::<Vec<String>>(LAYOUT), self.typed::<Tiles>(TILES));
        let (layout, tiles) = (layout?, tiles?);
        let before = self.faults.len();
        self.tiles(&tiles);
        self.rows(&layout, &tiles);
        (self.faults.len() == before).then_some((layout, tiles))
    }

    fn tiles(&mut self, tiles: &Tiles) {
        for (letter, units) in tiles {
            if !letter.is_ascii_graphic() || units.len() > MAX_UNITS {
                let what = format!("tile {letter:?} has {} units", units.len());
                let remedy = format!("name tiles by one ASCII letter or sign, with at most {MAX_UNITS} units each");
                self.fault(self.start(TILES), what, remedy);
            }
        }
    }

    fn rows(&mut self, layout: &[String], tiles: &Tiles) {
        let letters: Vec<String> = tiles.keys().map(char::to_string).collect();
        let as_long = |row: &&String| layout.iter().filter(|other| other.len() == row.len()).count();
        let width = layout.iter().max_by_key(as_long).map_or(0, String::len);
        if width == 0 {
            self.fault(self.start(LAYOUT), "the layout is empty".to_string(), "draw at least one tile".to_string());
        }
        for (number, row) in layout.iter().enumerate() {
            let at = self.start(&format!("{LAYOUT}.{number}"));
            let unknown: BTreeSet<char> = row.chars().filter(|letter| !tiles.contains_key(letter)).collect();
            for letter in unknown {
                let what = format!("layout row {number} has tile {letter:?}, which `{TILES}` lacks");
                self.fault(at, what, format!("add it to `{TILES}`, or use one of {}", letters.join(" ")));
            }
            if row.len() != width {
                let what = format!("layout row {number} has {} tiles, where most have {width}", row.len());
                self.fault(at, what, "make all rows equally long".to_string());
            }
        }
    }
}
