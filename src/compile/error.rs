//! Why a graph has no place on a chip, and what would give it one.

use crate::graph::Graph;
use crate::hardware::UnitKind;
use crate::units::{Grid, Region};

/// All that keeps a network from a chip, or a mapping from being a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("network `{network}` cannot be put on chip `{chip}`:{}", list(.faults))]
pub struct CompileError {
    /// Name of the network.
    pub network: String,
    /// Name of the chip.
    pub chip: String,
    /// Everything that is wrong, in the order of the stages or of the mapping.
    pub faults: Vec<Fault>,
}

impl CompileError {
    pub(super) fn new(graph: &Graph<i32>, chip: &str, faults: Vec<Fault>) -> Self {
        Self { network: graph.name.clone(), chip: chip.to_string(), faults }
    }
}

/// Where a slice was to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stage `{stage}`, {region}, on tile ({}, {}), unit {unit}", .tile.0, .tile.1)]
pub struct Location {
    /// Name of the stage.
    pub stage: String,
    /// The part of it.
    pub region: Region,
    /// Column and row of the tile.
    pub tile: (u32, u32),
    /// Which of the tile's units.
    pub unit: u32,
}

/// A unit on which no slice sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeUnit {
    /// Column and row of the tile.
    pub tile: (u32, u32),
    /// Which of the tile's units.
    pub unit: u32,
}

/// What one stage needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageUnits {
    /// Name of the stage.
    pub name: String,
    /// Its shape.
    pub grid: Grid,
    /// Units that it needs.
    pub units: usize,
    /// The capacity that makes it need so many, by its key in the hardware description.
    pub binding: &'static str,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The chip lacks a kind of unit.
    #[error(
        "the chip has no {}, which {} need{}; take a chip that has one, add `{}` to a tile of its layout, or take a network without such stages",
        name(*.kind), quoted(.stages), if .stages.len() == 1 { "s" } else { "" }, .kind.key()
    )]
    NoUnit {
        /// The kind.
        kind: UnitKind,
        /// Names of the stages that need it.
        stages: Vec<String>,
    },
    /// The chip has too few units of a kind.
    #[error(
        "{needed} {}s are needed, {available} are there, {} are missing{}{}",
        name(*.kind), .needed - .available, demands(.stages), ways(.remedies)
    )]
    TooFewUnits {
        /// The kind.
        kind: UnitKind,
        /// Units that the slices need.
        needed: usize,
        /// Units of the chip.
        available: usize,
        /// What each stage needs, most first.
        stages: Vec<StageUnits>,
        /// Changes after which the chip has enough of them, each by itself, tried.
        remedies: Vec<String>,
    },
    /// A stage cannot be cut finely enough.
    #[error(
        "stage `{stage}` does not fit however it is cut: {region} alone needs `{capacity}` of {needed}, and a unit has {available}; --set {capacity}={needed} or more makes room{}",
        advice(.capacity)
    )]
    TooLarge {
        /// Name of the stage.
        stage: String,
        /// The smallest possible slice that does not fit.
        region: Region,
        /// The capacity, by its key in the hardware description.
        capacity: &'static str,
        /// What the slice needs.
        needed: u64,
        /// What a unit has.
        available: u64,
    },
    /// Weights are wider than the chip's.
    #[error(
        "weights are {bits} bits wide, and a core holds up to {available}; quantise with --weight-bits {available}, or --set core.weight_bits={bits}"
    )]
    WideWeights {
        /// Width of the graph's weights.
        bits: u32,
        /// Widest weight of the chip.
        available: u32,
    },
    /// Graded spikes are wider than a packet's field for them.
    #[error(
        "stage `{stage}` sends values of {bits} bits, and a packet carries {available}; --set noc.graded_bits={bits}, or quantise with fewer {flag}"
    )]
    WidePayload {
        /// Name of the stage.
        stage: String,
        /// Width of its widest value, sign included.
        bits: u32,
        /// Width of the field.
        available: u32,
        /// The option that narrows it.
        flag: &'static str,
    },
    /// A softmax needs a larger table than the chip's.
    #[error(
        "stage `{stage}` looks up {bits} address bits in its table of powers of two, and a softmax unit has {available}; --set softmax.table_bits={bits}, or quantise with --table-bits {available}"
    )]
    LargeTable {
        /// Name of the stage.
        stage: String,
        /// Address bits of the stage's rule.
        bits: u32,
        /// Address bits of the chip's table.
        available: u32,
    },
    /// A line of the mapping names a stage that is not there.
    #[error("{at}: the network has no such stage; its stages are {}", quoted(.known))]
    UnknownStage {
        /// The line.
        at: Location,
        /// Names of the stages.
        known: Vec<String>,
    },
    /// A region has values that the stage has not.
    #[error("{at}: the stage has {} only; keep the ranges within them", .grid.whole())]
    OutsideStage {
        /// The line.
        at: Location,
        /// Shape of the stage.
        grid: Grid,
    },
    /// A region holds nothing.
    #[error(
        "{at}: holds nothing, since a range ends at its start or before; remove the line, or give it positions and channels"
    )]
    Empty {
        /// The line.
        at: Location,
    },
    /// There is no such unit.
    #[error("{at}: {}; {}", missing(*.columns, *.rows, *.units, .at), spare(*.kind, *.free))]
    NoSuchUnit {
        /// The line.
        at: Location,
        /// Columns of the mesh.
        columns: u32,
        /// Rows of the mesh.
        rows: u32,
        /// Units of the tile.
        units: usize,
        /// The kind of unit that the stage needs.
        kind: UnitKind,
        /// A unit of that kind on which no slice sits.
        free: Option<FreeUnit>,
    },
    /// The unit is of another kind.
    #[error("{at}: that unit is {}, and the stage needs {}; {}", one(*.found), one(*.kind), spare(*.kind, *.free))]
    WrongUnit {
        /// The line.
        at: Location,
        /// What the unit is.
        found: UnitKind,
        /// The kind of unit that the stage needs.
        kind: UnitKind,
        /// A unit of that kind on which no slice sits.
        free: Option<FreeUnit>,
    },
    /// Two slices sit on one unit.
    #[error("{at}: shares that unit with stage `{}`, {}, and a unit holds one slice; {}", .other.stage, .other.region, spare(*.kind, *.free))]
    SharedUnit {
        /// The later line.
        at: Location,
        /// The earlier one.
        other: Location,
        /// The kind of unit that the stage needs.
        kind: UnitKind,
        /// A unit of that kind on which no slice sits.
        free: Option<FreeUnit>,
    },
    /// Two slices hold the same values.
    #[error("{at}: holds values that are on tile ({}, {}), unit {} already, with {}; let one range end where the other starts", .other.tile.0, .other.tile.1, .other.unit, .other.region)]
    Overlap {
        /// The later line.
        at: Location,
        /// The earlier one.
        other: Location,
    },
    /// Nobody holds these values.
    #[error("stage `{stage}`: no slice holds {region}; add a line for them, or widen another; {}", spare(*.kind, *.free))]
    Uncovered {
        /// Name of the stage.
        stage: String,
        /// The values.
        region: Region,
        /// The kind of unit that the stage needs.
        kind: UnitKind,
        /// A unit of that kind on which no slice sits.
        free: Option<FreeUnit>,
    },
    /// A slice cuts what is normalised or multiplied together.
    #[error("{at}: cuts what belongs together; {}", together(*.head, *.positions))]
    Cut {
        /// The line.
        at: Location,
        /// Channels of one head.
        head: u32,
        /// All positions, where the softmax normalises over them.
        positions: Option<u32>,
    },
    /// A slice is too large for its unit.
    #[error(
        "{at}: needs `{capacity}` of {needed}, and the unit has {available}; cut it into smaller slices, or --set {capacity}={needed}"
    )]
    OverCapacity {
        /// The line.
        at: Location,
        /// The capacity, by its key in the hardware description.
        capacity: &'static str,
        /// What the slice needs.
        needed: u64,
        /// What the unit has.
        available: u64,
    },
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("\n- {fault}")).collect()
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn demands(stages: &[StageUnits]) -> String {
    let line = |stage: &StageUnits| {
        let StageUnits { name, grid, units, binding } = stage;
        format!("\n    {units} for stage `{name}` ({grid}); `{binding}` sets the number")
    };
    stages.iter().map(line).collect()
}

fn ways(remedies: &[String]) -> String {
    if remedies.is_empty() {
        return "\n  no single change is enough: take a larger chip or a smaller network".to_string();
    }
    let lines = remedies.iter().map(|remedy| format!("\n    {remedy}"));
    format!("\n  any one of these gives enough of them:{}", lines.collect::<String>())
}

fn advice(capacity: &str) -> &'static str {
    match capacity {
        "core.synapse_bits" => ", and fewer --weight-bits or core.kernels=shared take less",
        "core.axons_in" => ", and with core.kernels=shared it counts positions instead of neurons",
        "core.routes_out" => ", and so do larger slices of the stages that read it, or more noc.position_bits",
        _ => "",
    }
}

fn missing(columns: u32, rows: u32, units: usize, at: &Location) -> String {
    if at.tile.0 < columns && at.tile.1 < rows {
        format!("the tile's units are numbered from 0, and it has {units}")
    } else {
        format!("columns and rows are numbered from 0, and the mesh has {columns} and {rows}")
    }
}

fn spare(kind: UnitKind, free: Option<FreeUnit>) -> String {
    free.map_or_else(
        || format!("no {} of the chip is free", name(kind)),
        |FreeUnit { tile: (x, y), unit }| format!("unit {unit} of tile ({x}, {y}) is {} that is free", one(kind)),
    )
}

fn name(kind: UnitKind) -> &'static str {
    match kind {
        UnitKind::Core => "core",
        UnitKind::MaxPool => "max-pool unit",
        UnitKind::Attention => "attention unit",
        UnitKind::Softmax => "softmax unit",
        UnitKind::Port => "image port",
    }
}

fn one(kind: UnitKind) -> String {
    let name = name(kind);
    format!("{} {name}", if name.starts_with(['a', 'i']) { "an" } else { "a" })
}

fn together(head: u32, positions: Option<u32>) -> String {
    let positions = positions.map(|all| format!(" and all positions, 0..{all}"));
    format!("give the slice channels from one multiple of {head} to another{}", positions.unwrap_or_default())
}
