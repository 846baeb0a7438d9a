//! The chip as described: what is where (topology), how long it takes (timing), what it costs (energy).
//!
//! Every constant is declared once, in the tables below: its key, unit, sentence and range. The reader of hardware
//! descriptions, the `chips` listing and the documentation all go through [`Section`].

use crate::action::Action;
use crate::field::{Value, choice, section};
use crate::units::{Femtojoules, TileId, UnitId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use crate::field::{Field, Range, Section};

/// A whole hardware description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware {
    /// Name of the chip in reports.
    pub name: String,
    /// What it models, in a sentence.
    pub summary: String,
    /// What the compiler may use.
    pub topology: Topology,
    /// What the engine needs beside it.
    pub timing: Timing,
    /// What the account needs.
    pub energy: Energy,
    /// The source of each constant by its path, such as `topology.core.neurons`; `[KEY]` cites one of the references.
    pub sources: BTreeMap<String, String>,
    /// The publications that sources cite, by key.
    pub references: BTreeMap<String, String>,
    /// What each publication's figures are figures of, by the same keys.
    pub origins: BTreeMap<String, Origin>,
}

/// What the figures of a publication are figures of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The technology node and its voltage, such as `14 nm, 0.75 V`; empty where it has none.
    pub node: String,
    /// How they were come by.
    pub basis: Basis,
}

/// How the figures of a publication were come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// What one more action costs or takes.
    Marginal,
    /// What the whole chip spends, divided by the actions.
    Average,
    /// Sizes and rules, neither energies nor times.
    Structure,
}

impl Basis {
    /// The words in reports.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Marginal => "marginal",
            Self::Average => "whole-chip average",
            Self::Structure => "structure",
        }
    }
}

/// Bits of a spike count in max-pool and attention units.
pub const COUNT_BITS: u32 = 8;
/// Bits of a score or a probability in attention and softmax units.
pub const SCORE_BITS: u32 = 16;
/// Bits of a context sum in attention units, sign included.
pub const SUM_BITS: u32 = 32;

/// What is where, and how much fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Size of the mesh.
    pub mesh: Mesh,
    /// The kinds of tile, one letter each, repeated over the mesh: row `y`, column `x` has letter
    /// `layout[y % layout.len()][x % layout[..].len()]`.
    pub layout: Vec<String>,
    /// The units of each kind of tile, by letter.
    pub tiles: BTreeMap<char, Vec<UnitKind>>,
    /// Capacities of a core.
    pub core: CoreCapacity,
    /// Capacities of a max-pool unit.
    pub max_pool: MaxPoolCapacity,
    /// Capacities of an attention unit.
    pub attention: AttentionCapacity,
    /// Capacities of a softmax unit.
    pub softmax: SoftmaxCapacity,
    /// The network on chip.
    pub noc: Noc,
    /// How the mesh is divided into chips.
    pub board: Board,
}

/// What a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    /// Integrate-and-fire core: neurons and readout.
    Core,
    /// Max-pool unit.
    MaxPool,
    /// Attention unit: scores or context.
    Attention,
    /// Softmax unit.
    Softmax,
    /// Port through which the image enters.
    Port,
}

impl UnitKind {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Core, Self::MaxPool, Self::Attention, Self::Softmax, Self::Port];

    /// The name in files and reports.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::MaxPool => "max_pool",
            Self::Attention => "attention",
            Self::Softmax => "softmax",
            Self::Port => "port",
        }
    }
}

/// A unit in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// What it is.
    pub kind: UnitKind,
    /// The tile that it sits on.
    pub tile: TileId,
    /// Which of the tile's units it is, from 0: also its port of the router.
    pub port: u32,
}

impl Topology {
    /// Every unit, tiles row by row and the units of a tile in order; [`UnitId`] indexes it.
    #[must_use]
    pub fn units(&self) -> Vec<Unit> {
        let mut units = vec![];
        for tile in (0..self.mesh.tiles()).map(TileId::at) {
            let (x, y) = self.mesh.place(tile);
            let row = self.layout[y as usize % self.layout.len()].as_bytes();
            let letter = row[x as usize % row.len()] as char;
            let kinds = self.tiles.get(&letter).map_or(&[][..], Vec::as_slice);
            units.extend(kinds.iter().zip(0..).map(|(&kind, port)| Unit { kind, tile, port }));
        }
        units
    }

    /// The unit at `port` of tile `(x, y)`.
    #[must_use]
    pub fn unit_at(&self, x: u32, y: u32, port: u32) -> Option<UnitId> {
        let inside = x < self.mesh.columns && y < self.mesh.rows;
        let tile = TileId(y * self.mesh.columns + x);
        let units = self.units();
        inside.then(|| units.iter().position(|unit| unit.tile == tile && unit.port == port)).flatten().map(UnitId::at)
    }

    /// Column and row, on the board, of the chip that a tile is on.
    #[must_use]
    pub fn chip_of(&self, tile: TileId) -> (u32, u32) {
        let (x, y) = self.mesh.place(tile);
        let Board { chips_across, chips_down, .. } = self.board;
        (x / self.mesh.columns.div_ceil(chips_across), y / self.mesh.rows.div_ceil(chips_down))
    }
}

/// A side of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Direction {
    /// To column `x + 1`.
    East,
    /// To column `x - 1`.
    West,
    /// To row `y + 1`.
    South,
    /// To row `y - 1`.
    North,
}

impl Direction {
    /// Every direction, in the order of the ports of a router, in which they take turns: that of BookSim 2.
    pub const ALL: [Self; 4] = [Self::East, Self::West, Self::South, Self::North];

    /// The name in reports.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::North => "north",
            Self::East => "east",
            Self::South => "south",
            Self::West => "west",
        }
    }

    /// Whether it leads along a row.
    #[must_use]
    pub fn is_horizontal(self) -> bool {
        matches!(self, Self::East | Self::West)
    }

    /// The side on which a flit that leaves here arrives.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::North => Self::South,
            Self::East => Self::West,
            Self::South => Self::North,
            Self::West => Self::East,
        }
    }
}

impl Mesh {
    /// Number of tiles.
    #[must_use]
    pub fn tiles(self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// Column and row of a tile.
    #[must_use]
    pub fn place(self, tile: TileId) -> (u32, u32) {
        (tile.0 % self.columns, tile.0 / self.columns)
    }
}

/// How long everything takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The clock.
    pub clock: Clock,
    /// Core pipeline.
    pub core: CoreTiming,
    /// Max-pool unit.
    pub max_pool: MaxPoolTiming,
    /// Attention unit.
    pub attention: AttentionTiming,
    /// Softmax unit.
    pub softmax: SoftmaxTiming,
    /// Image port.
    pub port: PortTiming,
    /// Routers and links.
    pub noc: NocTiming,
    /// Time-step discipline.
    pub step: StepTiming,
}

/// What everything costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Energy {
    /// Price of each action.
    pub prices: [Femtojoules; Action::COUNT],
    /// Price of one multiply-accumulate of the same network as a quantised ANN.
    pub ann_mac: Femtojoules,
    /// Price of one weight read of the quantised ANN.
    pub ann_weight_read: Femtojoules,
    /// Price of one activation read or written by the quantised ANN.
    pub ann_activation_access: Femtojoules,
    /// Static power of the whole chip, in microwatts.
    pub static_uw: u64,
}

impl Energy {
    /// Price of one action.
    #[must_use]
    pub fn price(&self, action: Action) -> Femtojoules {
        self.prices[action as usize]
    }
}

const CYCLES: Range = Range::Whole(0, 1_000_000);
const RATE: Range = Range::Whole(1, 65_536);

choice!(
    /// How a core stores the weights of a convolution.
    Kernels {
        /// Once for each output channel it holds, whatever the number of positions.
        Shared = "shared",
        /// Once for each synapse, as in a table of axons and neurons.
        Expanded = "expanded",
    }
);
choice!(
    /// Which way a packet turns.
    Routing {
        /// Along the row first.
        Xy = "xy",
        /// Along the column first.
        Yx = "yx",
    }
);
choice!(
    /// Where rows and columns of tiles end.
    Shape {
        /// At the edges.
        Mesh = "mesh",
        /// Nowhere: the last tile is next to the first.
        Torus = "torus",
    }
);
choice!(
    /// How a spike reaches several units.
    Multicast {
        /// As one packet for each unit.
        Unicast = "unicast",
        /// As one packet that routers copy where ways part.
        Tree = "tree",
    }
);
choice!(
    /// Which neurons the soma looks at in a time step.
    Soma {
        /// All that the core holds.
        Sweep = "sweep",
        /// Those that received an operation or a bias, or fire.
        Event = "event",
    }
);
choice!(
    /// How a core takes arriving spikes.
    Lookup {
        /// The next spike is looked up while the operations of one are done.
        Overlapped = "overlapped",
        /// The next spike is looked up when the operations of one are done.
        Serial = "serial",
    }
);
choice!(
    /// Which neurons of a core count as updated in a time step.
    Updates {
        /// Those that received an operation or fire, and all while biases flow.
        Event = "event",
        /// Those that received an operation, fire, or hold a potential other than zero.
        Potential = "potential",
    }
);
choice!(
    /// How time steps are kept apart.
    Discipline {
        /// A global barrier; a spike of step t is integrated in step t + 1.
        Barrier = "barrier",
        /// End-of-step tokens between units; a spike of step t is integrated in step t, and layers overlap.
        Tokens = "tokens",
    }
);

section!(
    /// Size of the mesh.
    Mesh in "topology.mesh" {
        columns: u32, Range::Whole(1, 1024), "Tiles in a row.";
        rows: u32, Range::Whole(1, 1024), "Rows of tiles.";
    }
);
section!(
    /// Capacities of a core.
    CoreCapacity in "topology.core" {
        neurons: u64, Range::Whole(1, 1 << 32), "Membrane potentials of a core.";
        synapse_bits: u64, Range::Whole(1, 1 << 48), "Weight memory of a core, in bits.";
        weight_bits: u32, Range::Whole(1, 16), "Widest weight, sign included, in bits.";
        kernels: Kernels, Range::Word(Kernels::KEYS), "Whether a convolution's weights are stored once (shared) or for each synapse (expanded).";
        axons_in: u64, Range::Whole(1, 1 << 32), "Entries of the axon-in table: source positions with shared kernels, source neurons with expanded ones.";
        routes_out: u64, Range::Whole(1, 1 << 32), "Entries of the axon-out table: one for each destination of each route.";
        membrane_bits: u32, Range::Whole(2, 64), "Width of a membrane potential, sign included, in bits.";
    }
);
section!(
    /// Capacities of a max-pool unit.
    MaxPoolCapacity in "topology.max_pool" {
        count_bits: u64, Range::Whole(1, 1 << 48), "Memory for the spike counts of all inputs, 8 bits each, in bits.";
    }
);
section!(
    /// Capacities of an attention unit.
    AttentionCapacity in "topology.attention" {
        state_bits: u64, Range::Whole(1, 1 << 48), "Memory for the operands and sums of an attention product, in bits: counts 8, scores and probabilities 16, context sums 32 each.";
    }
);
section!(
    /// Capacities of a softmax unit.
    SoftmaxCapacity in "topology.softmax" {
        state_bits: u64, Range::Whole(1, 1 << 48), "Memory for scores and probabilities, 16 bits each, in bits.";
        table_bits: u32, Range::Whole(1, 16), "Address bits of the table of powers of two.";
    }
);
section!(
    /// The network on chip.
    Noc in "topology.noc" {
        shape: Shape, Range::Word(Shape::KEYS), "Whether rows and columns of tiles end at the edges (mesh) or close to rings (torus, with half of the virtual channels for packets that are past the closing link).";
        routing: Routing, Range::Word(Routing::KEYS), "Which way a packet turns.";
        multicast: Multicast, Range::Word(Multicast::KEYS), "How a spike reaches several units.";
        virtual_channels: u32, Range::Whole(1, 16), "Virtual channels of each router input.";
        buffer_flits: u32, Range::Whole(1, 1024), "Flit slots of each virtual channel.";
        flit_bits: u32, Range::Whole(8, 4096), "Width of a flit, in bits.";
        header_bits: u32, Range::Whole(0, 1024), "Packet header, in bits.";
        position_bits: u32, Range::Whole(0, 64), "Bits that name the firing neuron among those of its route; where more neurons share their destinations, they take several routes.";
        graded_bits: u32, Range::Whole(1, 64), "Payload of a graded spike, in bits; a plain spike carries its sign in 1.";
        spikes_per_packet: u32, Range::Whole(1, 1024), "Most spikes of one step and one route that share a packet.";
    }
);
section!(
    /// How the mesh is divided into chips.
    Board in "topology.board" {
        chips_across: u32, Range::Whole(1, 1024), "Chips side by side, which share the columns of the mesh evenly; a link that leaves its chip is a link between chips.";
        chips_down: u32, Range::Whole(1, 1024), "Chips one below the other, which share the rows.";
        chip_link_bits: u32, Range::Whole(1, 4096), "Bits that a link between chips carries in a cycle.";
    }
);
section!(
    /// The clock.
    Clock in "timing.clock" {
        mhz: u64, Range::Whole(1, 1_000_000), "Clock of the chip in MHz, or the time resolution of an asynchronous one.";
    }
);
section!(
    /// Core pipeline: axon in, synapse, soma, axon out.
    CoreTiming in "timing.core" {
        axon_in_cycles: u64, CYCLES, "Cycles to look up one arriving spike.";
        lookup: Lookup, Range::Word(Lookup::KEYS), "Whether the next spike is looked up while the operations of one are done (overlapped) or afterwards (serial).";
        lanes: u64, RATE, "Weights added at once.";
        synapse_cycles: u64, Range::Whole(1, 1_000_000), "Cycles for one group of `lanes` weights.";
        soma: Soma, Range::Word(Soma::KEYS), "Which neurons the soma looks at in a time step.";
        soma_lanes: u64, RATE, "Neurons looked at at once.";
        soma_cycles: u64, Range::Whole(1, 1_000_000), "Cycles for one group of `soma_lanes` neurons.";
        updates: Updates, Range::Word(Updates::KEYS), "Which neurons count as updated: those that received an operation or fire, and all while biases flow (event), or those that received one, fire, or hold a potential other than zero (potential).";
        update_cycles: u64, CYCLES, "Cycles more for each updated neuron, one after the other.";
        spike_cycles: u64, CYCLES, "Cycles more for each neuron that fires, one after the other.";
        axon_out_cycles: u64, Range::Whole(1, 1_000_000), "Cycles to build one packet.";
    }
);
section!(
    /// Max-pool unit.
    MaxPoolTiming in "timing.max_pool" {
        axon_in_cycles: u64, CYCLES, "Cycles to look up one arriving spike.";
        comparators: u64, RATE, "Windows compared at once.";
        compare_cycles: u64, Range::Whole(1, 1_000_000), "Cycles for one group of `comparators` windows.";
        axon_out_cycles: u64, Range::Whole(1, 1_000_000), "Cycles to build one packet.";
    }
);
section!(
    /// Attention unit.
    AttentionTiming in "timing.attention" {
        axon_in_cycles: u64, CYCLES, "Cycles to look up one arriving spike.";
        lanes: u64, RATE, "Sums changed at once.";
        mac_cycles: u64, Range::Whole(1, 1_000_000), "Cycles for one group of `lanes` sums.";
        scan_lanes: u64, RATE, "Sums checked for changes at once at the end of a step.";
        axon_out_cycles: u64, Range::Whole(1, 1_000_000), "Cycles to build one packet.";
    }
);
section!(
    /// Softmax unit.
    SoftmaxTiming in "timing.softmax" {
        axon_in_cycles: u64, CYCLES, "Cycles to take one arriving score.";
        exp_lanes: u64, RATE, "Exponentials computed at once.";
        exp_cycles: u64, Range::Whole(1, 1_000_000), "Cycles for one group of `exp_lanes` exponentials.";
        divide_cycles: u64, CYCLES, "Latency of the divider, once for each normalised vector.";
        axon_out_cycles: u64, Range::Whole(1, 1_000_000), "Cycles to build one packet.";
    }
);
section!(
    /// Image port.
    PortTiming in "timing.port" {
        axon_out_cycles: u64, Range::Whole(1, 1_000_000), "Cycles to build one packet of pixels.";
    }
);
section!(
    /// Routers and links.
    NocTiming in "timing.noc" {
        head_cycles: u64, Range::Whole(0, 64), "Cycles of a packet's head for its route and virtual channel before it asks for the switch; 0: look-ahead routing, and both allocations in one cycle by speculation.";
        router_cycles: u64, Range::Whole(1, 1_000_000), "Cycles from a flit's grant of the switch to its leaving the router, the cycle of the grant included.";
        link_horizontal_cycles: u64, Range::Whole(1, 1_000_000), "Cycles of a link to the east or west.";
        link_vertical_cycles: u64, Range::Whole(1, 1_000_000), "Cycles of a link to the north or south.";
        link_chip_cycles: u64, Range::Whole(1, 1_000_000), "Cycles of a link to another chip, for the first bits of a flit.";
        flit_interval_cycles: u64, Range::Whole(1, 1_000_000), "Cycles from one flit to the next on the same link.";
        credit_cycles: u64, CYCLES, "Cycles from a buffer slot's release to its use by the upstream router.";
        inject_cycles: u64, Range::Whole(1, 1_000_000), "Cycles from a unit's packet queue to where the router can grant the switch.";
        eject_cycles: u64, CYCLES, "Cycles from the router to a unit of its tile, which gives the slot back at once.";
    }
);
section!(
    /// Time-step discipline.
    StepTiming in "timing.step" {
        discipline: Discipline, Range::Word(Discipline::KEYS), "How time steps are kept apart.";
        barrier_cycles: u64, CYCLES, "Cycles of one global barrier.";
        steps_ahead: u32, Range::Whole(1, 65_536), "With tokens: how many steps a unit may be ahead of the units that it sends to.";
    }
);
