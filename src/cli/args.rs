//! Arguments that several commands share.

use super::Failure;
use super::profile::time;
use crate::compile::{Slicing, Strategy};
use crate::convert::{self, Precision};
use crate::graph::Graph;
use crate::hardware::Hardware;
use crate::images::Images;
use crate::load;
use crate::network::Network;
use crate::profile::StepName;
use clap::Args;
use std::path::PathBuf;

/// A trained network.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// Network bundle, or checkpoint (.safetensors) with the reference names or with --arch
    #[arg(value_name = "NET")]
    pub net: PathBuf,
    /// Layer list (RON) of a checkpoint that is no bundle
    #[arg(long, value_name = "ARCH.ron")]
    pub arch: Option<PathBuf>,
}

impl SourceArgs {
    pub fn load(&self) -> Result<Network, Failure> {
        Ok(time(StepName::Load, || load::network(&self.net, self.arch.as_deref()))?)
    }
}

/// A trained network and how it becomes integers.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub precision: PrecisionArgs,
}

/// Widths of the integers on the chip.
#[derive(Debug, Clone, Copy, Args)]
pub struct PrecisionArgs {
    /// Bits of a weight, sign included
    #[arg(long, default_value_t = Precision::default().weight_bits)]
    pub weight_bits: u32,
    /// Bits of the gains of residual sources
    #[arg(long, default_value_t = Precision::default().gain_bits)]
    pub gain_bits: u32,
    /// Fractional bits of attention probabilities
    #[arg(long, default_value_t = Precision::default().probability_bits)]
    pub probability_bits: u32,
    /// Address bits of the softmax table
    #[arg(long, default_value_t = Precision::default().table_bits)]
    pub table_bits: u32,
    /// Fractional bits of a normalised pixel
    #[arg(long, default_value_t = Precision::default().input_fraction_bits)]
    pub input_fraction_bits: u32,
    /// Bits of a normalised pixel, sign included
    #[arg(long, default_value_t = Precision::default().input_bits)]
    pub input_bits: u32,
}

impl PrecisionArgs {
    pub fn precision(self) -> Precision {
        let Self { weight_bits, gain_bits, probability_bits, table_bits, input_fraction_bits, input_bits } = self;
        Precision { weight_bits, gain_bits, probability_bits, table_bits, input_fraction_bits, input_bits }
    }
}

impl NetworkArgs {
    /// The network and its spiking graph in integers.
    pub fn graph(&self) -> Result<(Network, Graph<i32>), Failure> {
        let network = self.source.load()?;
        let graph = quantised(&network, &self.precision.precision())?;
        Ok((network, graph))
    }
}

/// The spiking graph of a network in integers.
pub fn quantised(network: &Network, precision: &Precision) -> Result<Graph<i32>, Failure> {
    time(StepName::Convert, || Ok(convert::graph(network, precision)?))
}

/// What tells a graph from others.
pub fn fingerprint(graph: &Graph<i32>) -> String {
    time(StepName::Convert, || convert::fingerprint(graph))
}

/// Labelled images.
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// Images: CIFAR-10 binary, MNIST IDX (`…images-idx3-ubyte`, with `…labels-idx1-ubyte` beside it), or Parquet with JPEG or
    /// PNG pictures
    #[arg(long, value_name = "DATA")]
    pub images: PathBuf,
    /// How many of them, from the first; all where left out
    #[arg(short = 'n', long = "count", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,
}

impl ImageArgs {
    pub fn load(&self, network: &Network) -> Result<Images, Failure> {
        let limit = self.count.map(|count| count as usize);
        let (grid, classes) = (&network.architecture.input, network.classes());
        let images = time(StepName::Load, || load::images(&self.images, grid, classes, limit))?;
        if let Some(count) = limit.filter(|&count| count > images.len()) {
            eprintln!("note: {} has {} images, not the {count} of -n", self.images.display(), images.len());
        }
        Ok(images)
    }
}

/// A chip, with changes.
#[derive(Debug, Args)]
pub struct ChipArgs {
    /// Hardware description (RON), or the name of a built-in one such as `mesh28`
    #[arg(long, value_name = "CHIP")]
    pub chip: PathBuf,
    #[command(flatten)]
    pub sets: SetArgs,
}

/// Changes to a hardware description.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Change a constant, as if it stood in the file: `--set mesh.columns=32`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ChipArgs {
    pub fn load(&self) -> Result<Hardware, Failure> {
        chip(&self.chip, &self.sets.set)
    }
}

/// Which slices there are, and where they sit.
#[derive(Debug, Default, Args)]
pub struct PlaceArgs {
    /// A mapping file instead of our own
    #[arg(long, value_name = "M.ron", conflicts_with_all = ["slicing", "strategy"])]
    pub mapping: Option<PathBuf>,
    /// How finely stages are cut: into the fewest slices that fit, or balanced: every unit of the chip, the busiest stages finest
    #[arg(long, value_name = "HOW", default_value = Slicing::default().key())]
    pub slicing: Slicing,
    /// How slices are placed, as far as the graph alone can say: row_major, snake, hilbert, greedy, multilevel, force or anneal;
    /// `map` places by recorded spikes
    #[arg(long, default_value = Strategy::default().key())]
    pub strategy: Strategy,
}

/// A chip by file or by built-in name.
pub fn chip(name: &std::path::Path, sets: &[String]) -> Result<Hardware, Failure> {
    Ok(time(StepName::Load, || load::hardware(name, sets))?)
}

/// T: from 1, and small enough that counts fit 16 bits.
pub fn time_steps() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1024)
}

/// Whole numbers as `4`, `1..8` (both ends included) or `1,2,4`.
pub fn numbers(text: &str) -> Result<Numbers, String> {
    let number = |text: &str| {
        text.trim().parse::<u32>().map_err(|_| format!("`{text}` is no whole number; write 4, 1..8 or 1,2,4"))
    };
    if let Some((first, last)) = text.split_once("..") {
        let (first, last) = (number(first)?, number(last.trim_start_matches('='))?);
        if first > last || last > 1024 {
            return Err(format!("{first}..{last} is no range within 0..1024"));
        }
        return Ok(Numbers((first..=last).collect()));
    }
    text.split(',').map(number).collect::<Result<_, _>>().map(Numbers)
}

/// A list of whole numbers.
#[derive(Debug, Clone)]
pub struct Numbers(pub Vec<u32>);

/// Which choice the published code makes, or the exact one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SemanticsName {
    /// Equals the integer network at silence, bit for bit
    Exact,
    /// As the published code: symmetric negative threshold, attention step by step, bias in the settle steps
    Reference,
}
