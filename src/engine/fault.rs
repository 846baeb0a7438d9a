//! Why a run was refused, or came to a standstill.

use super::mesh::{Mesh, Stuck};
use crate::units::{Cycle, TileId, UnitId};
use std::fmt;

/// What can go wrong in the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A trace of another schedule.
    #[error(
        "the trace was recorded with schedule {trace}, where {chip} integrates spikes by {wanted}; record it again with --schedule {}",
        .wanted.replace('_', "-")
    )]
    ForeignSchedule {
        /// Name of the chip.
        chip: String,
        /// What the chip asks for.
        wanted: &'static str,
        /// What the trace has.
        trace: &'static str,
    },
    /// A tile has more units than its router can have ports.
    #[error("{tile} has {units} units, and a router has ports for {most}: spread the units over more tiles")]
    Ports {
        /// The tile.
        tile: TileId,
        /// Its units.
        units: usize,
        /// The most that are possible.
        most: usize,
    },
    /// A router has more virtual channels than it can keep apart.
    #[error(
        "the router of {tile} has {ports} ports with {vcs} virtual channels each, and a router keeps {most} apart: lower \
         noc.virtual_channels, or spread the units over more tiles"
    )]
    Queues {
        /// The tile.
        tile: TileId,
        /// Its ports: four sides, and its units.
        ports: u32,
        /// Virtual channels of each.
        vcs: u32,
        /// The most that are possible.
        most: u32,
    },
    /// The rings of a torus need virtual channels to be free of deadlock.
    #[error(
        "packets on the rings of a torus could wait for each other for ever with {vcs} virtual channel: --set \
         noc.virtual_channels=2 or more, or noc.shape=mesh"
    )]
    Torus {
        /// Virtual channels.
        vcs: u32,
    },
    /// A route does not fit the chip.
    #[error("a route from {from} does not fit the chip: {what}; compile the program for this chip again")]
    Tree {
        /// The unit that sends.
        from: UnitId,
        /// What is wrong with it.
        what: String,
    },
    /// Packets that are copied on their way must fit into one buffer.
    #[error(
        "with tree multicast a packet must fit into one buffer of a router, and a packet of {what} has {flits} flits where \
         buffer_flits is {buffer}: raise buffer_flits or flit_bits, lower spikes_per_packet, or choose unicast"
    )]
    LongPacket {
        /// What it carries.
        what: &'static str,
        /// Its length.
        flits: u32,
        /// Slots of a buffer.
        buffer: u32,
    },
    /// The program, the graph, the chip and the input do not belong together.
    #[error("{0}")]
    Misfit(String),
    /// Nothing can move any more.
    #[error("{0}")]
    Stall(Stall),
}

impl EngineError {
    /// The standstill of a network that carries nothing but packets.
    pub(super) fn standstill(cycle: Cycle, mesh: &Mesh) -> Self {
        let culprit = |stuck: Stuck| Culprit {
            who: format!("packet {} at {}, {}", stuck.tag, stuck.tile, stuck.input),
            waits_for: stuck.lacks,
        };
        Self::Stall(Stall { cycle, culprits: mesh.stuck().into_iter().map(culprit).collect() })
    }
}

/// A standstill, and who waits for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// When the last thing moved.
    pub cycle: Cycle,
    /// Who waits for what.
    pub culprits: Vec<Culprit>,
}

/// One of those that keep a run from going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Culprit {
    /// A slice or a packet, and where it is.
    pub who: String,
    /// What it waits for.
    pub waits_for: String,
}

/// Culprits that are listed before the rest is only counted.
const LISTED: usize = 20;

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing can move after cycle {}:", self.cycle)?;
        for Culprit { who, waits_for } in self.culprits.iter().take(LISTED) {
            write!(f, "\n  {who} waits for {waits_for}")?;
        }
        match self.culprits.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
