//! Every constant of a hardware description in the order of its file: what the reader asks for, and what listings show.

use crate::action::Action;
use crate::hardware::{
    AttentionCapacity, AttentionTiming, Basis, Board, Clock, CoreCapacity, CoreTiming, Field, Hardware,
    MaxPoolCapacity, MaxPoolTiming, Mesh, Noc, NocTiming, Origin, PortTiming, Range, Section, SoftmaxCapacity,
    SoftmaxTiming, StepTiming,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// Key of the chip's name.
pub const NAME: &str = "name";
/// Key of the sentence that says what the chip is.
pub const SUMMARY: &str = "summary";
/// Key of the publications that sources cite.
pub const SOURCES: &str = "sources";
/// Key of what their figures are figures of.
pub const ORIGINS: &str = "origins";
/// Where the map of tiles stands in the file.
pub const LAYOUT: &str = "topology.layout";
/// Where the kinds of tile stand in the file.
pub const TILES: &str = "topology.tiles";
/// Where the prices stand in the file.
pub const ENERGY: &str = "energy";
/// Highest price of an action, in femtojoules: sums over whole runs stay within 64 bits.
pub const MAX_PRICE_FJ: u64 = 1_000_000_000;
/// Highest static power, in microwatts.
pub const MAX_STATIC_UW: u64 = 1_000_000_000;

/// One constant as a row of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Constant {
    /// Where it stands in the file, such as `topology.mesh.columns`.
    pub path: String,
    /// Its value, as it would stand in the file.
    pub value: String,
    /// Its unit; empty for plain numbers and words.
    pub unit: &'static str,
    /// What it is.
    pub sentence: String,
    /// Where the value comes from.
    pub source: String,
    /// Technology nodes of the figures that the source cites; empty where it cites none.
    pub node: String,
    /// Whether they are marginal or whole-chip averages; else what else the value is: chosen, assumed, contained in another
    /// one, or never read.
    pub basis: String,
}

/// The sections of whole numbers and words, each with its path and constants.
#[must_use]
pub fn sections() -> Vec<(&'static str, &'static [Field])> {
    fn of<T: Section>() -> (&'static str, &'static [Field]) {
        (T::PATH, T::FIELDS)
    }
    vec![
        of::<Mesh>(),
        of::<CoreCapacity>(),
        of::<MaxPoolCapacity>(),
        of::<AttentionCapacity>(),
        of::<SoftmaxCapacity>(),
        of::<Noc>(),
        of::<Board>(),
        of::<Clock>(),
        of::<CoreTiming>(),
        of::<MaxPoolTiming>(),
        of::<AttentionTiming>(),
        of::<SoftmaxTiming>(),
        of::<PortTiming>(),
        of::<NocTiming>(),
        of::<StepTiming>(),
    ]
}

/// The constants of the energy section: key and sentence, the actions in their order first.
/// All are given with up to three decimals: picojoules become whole femtojoules, milliwatts whole microwatts.
#[must_use]
pub fn prices() -> Vec<(String, String)> {
    let actions = Action::ALL.iter().map(|action| (format!("{}_pj", action.key()), action.sentence().to_string()));
    let others = [
        ("ann_mac_pj", "One multiply-accumulate of the same network as a quantised ANN."),
        ("ann_weight_read_pj", "One weight read of the quantised ANN."),
        ("ann_activation_access_pj", "One activation read or written by the quantised ANN."),
        ("static_mw", "Static power of the whole chip."),
    ];
    actions.chain(others.map(|(key, sentence)| (key.to_string(), sentence.to_string()))).collect()
}

/// The unit that a key ends in.
#[must_use]
pub fn unit(key: &str) -> &'static str {
    let units = [("_cycles", "cycles"), ("_bits", "bits"), ("_pj", "pJ"), ("_mw", "mW"), ("mhz", "MHz")];
    units.into_iter().find(|(ending, _)| key.ends_with(ending)).map_or("", |(_, unit)| unit)
}

impl Range {
    /// A value of this range as it stands in a file: a number, or a word.
    #[must_use]
    pub fn show(&self, value: u64) -> String {
        match self {
            Self::Whole(..) => value.to_string(),
            Self::Word(words) => words[value as usize].to_string(),
        }
    }

    /// What a value of this range may be, for errors and documentation.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Word(words) => words.join(" or "),
        }
    }
}

impl Hardware {
    /// Every constant, in the order of the file.
    #[must_use]
    pub fn constants(&self) -> Vec<Constant> {
        let fields = sections().into_iter().zip(self.values()).flat_map(|((path, fields), values)| {
            let row = move |(field, value): (&Field, u64)| {
                (format!("{path}.{}", field.key), field.range.show(value), field.sentence.to_string())
            };
            fields.iter().zip(values).map(row)
        });
        let prices = prices().into_iter().zip(self.price_values());
        let prices = prices.map(|((key, sentence), value)| (format!("{ENERGY}.{key}"), thousandths(value), sentence));
        fields
            .chain(prices)
            .map(|(path, value, sentence)| {
                let source = self.sources.get(&path).cloned().unwrap_or_default();
                let (node, basis) = self.origin(&path, &source);
                Constant { unit: unit(&path), source, path, value, sentence, node, basis }
            })
            .collect()
    }

    /// Nodes and bases of the publications that a source cites, each once; or what the value is without any.
    ///
    /// A choice or an assumption stays one, whatever it cites; sizes and rules have no node.
    fn origin(&self, path: &str, source: &str) -> (String, String) {
        let plain = [
            ("design choice", "chosen"),
            ("assumption", "assumed"),
            ("contained", "contained in another"),
            ("no such", "never read"),
            ("there ", "never read"),
            ("--set", "set by hand"),
            ("as ", "as another"),
        ];
        if let Some((_, word)) = plain.iter().find(|(start, _)| source.starts_with(start)) {
            return (String::new(), (*word).to_string());
        }
        let cited = source.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(key, _)| key);
        let cited: Vec<&Origin> = cited.filter_map(|key| self.origins.get(key)).collect();
        let once =
            |words: Vec<&str>| words.into_iter().collect::<BTreeSet<&str>>().into_iter().collect::<Vec<_>>().join("; ");
        if path.starts_with("topology.") || cited.is_empty() {
            return (String::new(), Basis::Structure.title().to_string());
        }
        let nodes = cited.iter().map(|origin| origin.node.as_str()).filter(|node| !node.is_empty()).collect();
        (once(nodes), once(cited.iter().map(|origin| origin.basis.title()).collect()))
    }

    /// The values of all sections, in the order of [`sections`].
    fn values(&self) -> Vec<Vec<u64>> {
        let (topology, timing) = (&self.topology, &self.timing);
        vec![
            topology.mesh.values(),
            topology.core.values(),
            topology.max_pool.values(),
            topology.attention.values(),
            topology.softmax.values(),
            topology.noc.values(),
            topology.board.values(),
            timing.clock.values(),
            timing.core.values(),
            timing.max_pool.values(),
            timing.attention.values(),
            timing.softmax.values(),
            timing.port.values(),
            timing.noc.values(),
            timing.step.values(),
        ]
    }

    /// The values of the energy section in thousandths of its units, in the order of [`prices`].
    fn price_values(&self) -> impl Iterator<Item = u64> {
        let energy = &self.energy;
        let ann = [energy.ann_mac, energy.ann_weight_read, energy.ann_activation_access];
        energy.prices.iter().chain(&ann).map(|price| price.0).collect::<Vec<_>>().into_iter().chain([energy.static_uw])
    }
}

/// A number of thousandths as a decimal without trailing zeros.
fn thousandths(value: u64) -> String {
    let decimal = format!("{}.{:03}", value / 1000, value % 1000);
    decimal.trim_end_matches('0').trim_end_matches('.').to_string()
}
