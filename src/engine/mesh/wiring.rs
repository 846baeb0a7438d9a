//! What is wired to what: ports, links, units and the trees that flits follow. Made once, shared by all runs.

use crate::engine::EngineError;
use crate::hardware::{Multicast, Noc, NocTiming, Routing, Topology, Unit};
use crate::program::{Direction, Tree};
use crate::units::{SliceId, TileId, UnitId};

/// Ports to the neighbours, in the order of [`Direction::ALL`]; the ports of the tile's units follow.
pub const SIDES: u32 = 4;
/// Most ports of a router: one bit each in the masks of this module.
pub const MOST_PORTS: usize = 32;
/// What lies behind a port at the edge of the mesh.
pub const NOTHING: u32 = u32::MAX;

/// Where a flit is on its way: at a router of a planted tree, or on dimension-order routing to one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way(u32);

/// Set in a [`Way`] that leads to one unit.
const STRAIGHT: u32 = 1 << 31;

/// One router of a planted tree.
#[derive(Debug, Clone, Copy)]
struct Branching {
    /// One bit for each output that the flit takes.
    outputs: u32,
    /// Where it is in the tree behind each side.
    next: [u32; SIDES as usize],
}

/// What one flit does on its whole way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passage {
    /// Switched to an output of a router.
    pub routes: u64,
    /// Links to the east or west.
    pub horizontal: u64,
    /// Links to the north or south.
    pub vertical: u64,
    /// Handed to a unit.
    pub deliveries: u64,
}

/// The immutable part of the network on chip.
///
/// A port has one index for its input and its output side: `first_port[tile] + side`, or `+ SIDES + unit`. The links into
/// the routers are channels: that of a router's output has the index of its port, that of unit `u`'s packet queue
/// comes after all of these.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// How long things take.
    pub timing: NocTiming,
    /// Buffers, packets and routing.
    pub noc: Noc,
    columns: u32,
    /// Column and row of each tile.
    places: Vec<(u32, u32)>,
    pub(super) first_port: Vec<u32>,
    /// The router of each port.
    pub(super) router_of: Vec<u32>,
    /// Behind each side the port of the neighbour that faces it, both ways; behind a unit's port the unit.
    pub(super) behind: Vec<u32>,
    pub(super) units: Vec<Unit>,
    branchings: Vec<Branching>,
}

impl Wiring {
    /// The wiring of a chip, without any trees.
    ///
    /// # Errors
    /// [`EngineError::Ports`] if a tile has more units than a router has ports for.
    pub fn new(topology: &Topology, timing: &NocTiming) -> Result<Self, EngineError> {
        let (mesh, units) = (topology.mesh, topology.units());
        let mut ports = vec![SIDES; mesh.tiles()];
        units.iter().for_each(|unit| ports[unit.tile.index()] += 1);
        if let Some(tile) = ports.iter().position(|&ports| ports as usize > MOST_PORTS) {
            let most = MOST_PORTS - SIDES as usize;
            return Err(EngineError::Ports { tile: TileId::at(tile), units: (ports[tile] - SIDES) as usize, most });
        }
        let mut wiring = Self {
            timing: *timing,
            noc: topology.noc,
            columns: mesh.columns,
            places: (0..mesh.tiles()).map(|tile| mesh.place(TileId::at(tile))).collect(),
            first_port: vec![0],
            router_of: vec![],
            behind: vec![],
            units,
            branchings: vec![],
        };
        for (tile, &ports) in ports.iter().enumerate() {
            wiring.router_of.extend((0..ports).map(|_| tile as u32));
            wiring.first_port.push(wiring.router_of.len() as u32);
        }
        wiring.connect();
        Ok(wiring)
    }

    fn connect(&mut self) {
        self.behind = vec![NOTHING; self.router_of.len()];
        for tile in (0..self.tiles()).map(TileId::at) {
            for direction in Direction::ALL {
                if let Some(neighbour) = self.neighbour(tile, direction) {
                    let port = self.first_port[tile.index()] + direction as u32;
                    self.behind[port as usize] = self.first_port[neighbour.index()] + direction.opposite() as u32;
                }
            }
        }
        for (unit, place) in self.units.iter().enumerate() {
            self.behind[(self.first_port[place.tile.index()] + SIDES + place.port) as usize] = unit as u32;
        }
    }

    /// Number of routers.
    #[must_use]
    pub fn tiles(&self) -> usize {
        self.first_port.len() - 1
    }

    /// Number of units.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units.len()
    }

    /// Column and row of a tile.
    #[must_use]
    pub fn place(&self, tile: TileId) -> (u32, u32) {
        self.places[tile.index()]
    }

    fn neighbour(&self, tile: TileId, direction: Direction) -> Option<TileId> {
        let (x, y) = self.place(tile);
        let rows = self.tiles() as u32 / self.columns;
        let (x, y) = match direction {
            Direction::North => (Some(x), y.checked_sub(1)),
            Direction::East => (Some(x + 1).filter(|&x| x < self.columns), Some(y)),
            Direction::South => (Some(x), Some(y + 1).filter(|&y| y < rows)),
            Direction::West => (x.checked_sub(1), Some(y)),
        };
        Some(TileId(y? * self.columns + x?))
    }

    /// The channel from a unit's packet queue into its router.
    pub(super) fn source_channel(&self, unit: usize) -> usize {
        self.router_of.len() + unit
    }

    /// The channel that ends in an input port.
    pub(super) fn upstream(&self, router: usize, port: usize) -> usize {
        let behind = self.behind[port] as usize;
        if port as u32 - self.first_port[router] < SIDES { behind } else { self.source_channel(behind) }
    }

    /// The way from anywhere to one unit, by the chip's dimension-order routing.
    #[must_use]
    pub fn toward(&self, unit: UnitId) -> Way {
        Way(STRAIGHT | unit.0)
    }

    /// Takes over a tree, so that flits can follow it from its first router.
    ///
    /// # Errors
    /// [`EngineError::Tree`] if it does not start at `from`'s tile, jumps to a tile that is not next door, or names a slice
    /// that is not there.
    pub fn plant(
        &mut self,
        from: UnitId,
        tree: &Tree,
        unit_of: impl Fn(SliceId) -> UnitId,
    ) -> Result<Way, EngineError> {
        let wrong = |what: String| EngineError::Tree { from, what };
        let root = self.branchings.len() as u32;
        let home = self.units[from.index()].tile;
        match tree.nodes.first() {
            Some(first) if first.tile == home => {}
            Some(first) => return Err(wrong(format!("it starts at {} instead of {home}", first.tile))),
            None => return Err(wrong("it has no routers".into())),
        }
        for (index, at) in tree.nodes.iter().enumerate() {
            let mut branching = Branching { outputs: 0, next: [NOTHING; SIDES as usize] };
            for direction in Direction::ALL {
                let Some(next) = at.next[direction as usize] else { continue };
                let beyond = tree.nodes.get(next as usize).map(|node| node.tile);
                let forward = next as usize > index;
                if !forward || beyond.is_none() || beyond != self.neighbour(at.tile, direction) {
                    return Err(wrong(format!("{direction:?} of {} does not lead to router {next} of it", at.tile)));
                }
                branching.outputs |= 1 << direction as u32;
                branching.next[direction as usize] = root + next;
            }
            for &slice in &at.local {
                let place = self.units[unit_of(slice).index()];
                if place.tile != at.tile {
                    return Err(wrong(format!("{slice} is at {}, not at {}", place.tile, at.tile)));
                }
                branching.outputs |= 1 << (SIDES + place.port);
            }
            self.branchings.push(branching);
        }
        Ok(Way(root))
    }

    /// The outputs that a flit takes at a router, one bit each; none if its tree ends there without a unit.
    pub(super) fn outputs(&self, way: Way, router: u32) -> u32 {
        if way.0 & STRAIGHT == 0 {
            return self.branchings[way.0 as usize].outputs;
        }
        let unit = self.units[(way.0 & !STRAIGHT) as usize];
        1 << self.side_toward(TileId(router), unit.tile).map_or(SIDES + unit.port, |side| side as u32)
    }

    fn side_toward(&self, from: TileId, to: TileId) -> Option<Direction> {
        let ((x, y), (to_x, to_y)) = (self.place(from), self.place(to));
        let horizontal = if x < to_x { Direction::East } else { Direction::West };
        let vertical = if y < to_y { Direction::South } else { Direction::North };
        match self.noc.routing {
            Routing::Xy if x != to_x => Some(horizontal),
            Routing::Yx if y != to_y => Some(vertical),
            Routing::Xy => (y != to_y).then_some(vertical),
            Routing::Yx => (x != to_x).then_some(horizontal),
        }
    }

    /// Where a flit is after it has left by a side.
    pub(super) fn next(&self, way: Way, side: u32) -> Way {
        if way.0 & STRAIGHT == 0 { Way(self.branchings[way.0 as usize].next[side as usize]) } else { way }
    }

    /// What one flit from `from` does on the whole of `way`.
    #[must_use]
    pub fn passage(&self, from: UnitId, way: Way) -> Passage {
        let mut passage = Passage::default();
        let mut open = vec![(self.units[from.index()].tile.0, way)];
        while let Some((router, way)) = open.pop() {
            for output in bits(self.outputs(way, router)) {
                passage.routes += 1;
                if output >= SIDES {
                    passage.deliveries += 1;
                    continue;
                }
                let horizontal = Direction::ALL[output as usize].is_horizontal();
                passage.horizontal += u64::from(horizontal);
                passage.vertical += u64::from(!horizontal);
                let port = self.behind[(self.first_port[router as usize] + output) as usize];
                open.push((self.router_of[port as usize], self.next(way, output)));
            }
        }
        passage
    }

    /// Whether a packet moves on only where the next buffer can take all of it: what keeps copies free of deadlock.
    #[must_use]
    pub fn cut_through(&self) -> bool {
        self.noc.multicast == Multicast::Tree
    }
}

/// The set bits of a mask, lowest first.
pub(super) fn bits(mut mask: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = mask.trailing_zeros();
        (mask != 0).then(|| {
            mask &= mask - 1;
            bit
        })
    })
}
