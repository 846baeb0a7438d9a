//! What is wired to what: ports, links, units and the trees that flits follow. Made once, shared by all runs.

use super::state::Downstream;
use crate::engine::EngineError;
use crate::hardware::{Direction, Multicast, Noc, NocTiming, Routing, Shape, Topology, Unit};
use crate::program::Tree;
use crate::units::{Cycle, SliceId, TileId, UnitId};
use crate::ways::Ways;
use std::hint::select_unpredictable;

/// Ports to the neighbours, in the order of [`Direction::ALL`]; the ports of the tile's units follow.
pub const SIDES: u32 = 4;
/// Most ports of a router: one bit each in the masks of this module.
pub const MOST_PORTS: usize = 32;
/// Most virtual channels of all ports of a router together: one bit each, too.
pub const MOST_QUEUES: usize = 64;
/// Most entries of the table of routes on a torus, one byte each.
const MOST_ROUTES: usize = 1 << 20;
/// What lies behind a port at the edge of the mesh.
pub const NOTHING: u32 = u32::MAX;

/// Where a flit is on its way: at a router of a planted tree, or on dimension-order routing to one unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Way(u32);

impl Way {
    /// That of a flit that is not there.
    pub(super) const NOWHERE: Self = Self(0);

    /// Whether it leads to one unit.
    #[inline]
    pub(super) fn is_straight(self) -> bool {
        self.0 & STRAIGHT != 0
    }

    /// The unit that it leads to, if there is one only, where it does not hold the [place](Wiring::toward) of that.
    #[inline]
    fn unit(self) -> usize {
        (self.0 & !STRAIGHT) as usize
    }
}

/// Kinds of link, as places in the tables of the wiring: within a chip along rows and along columns, and between chips.
const HORIZONTAL: u8 = 0;
const VERTICAL: u8 = 1;
const BETWEEN_CHIPS: u8 = 2;
/// From and to units.
pub(super) const FROM_UNITS: u8 = 3;
pub(super) const TO_UNITS: u8 = 4;
/// How many kinds there are.
pub(super) const KINDS: usize = 5;

/// Set in a [`Way`] that leads to one unit.
const STRAIGHT: u32 = 1 << 31;

/// The bits of a [`Way`] that hold the output toward a unit; the place of its tile is in those above.
const OUTPUT: u32 = MOST_PORTS as u32 - 1;

/// One router of a planted tree.
#[derive(Debug, Clone, Copy)]
struct Branching {
    /// One bit for each output that the flit takes.
    outputs: u32,
    /// Where it is in the tree behind each side.
    next: [u32; SIDES as usize],
    /// Sides behind which a closing link of a torus lies ahead.
    ahead: u8,
}

/// What one flit does on its whole way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passage {
    /// Switched to an output of a router.
    pub routes: u64,
    /// Links to the east or west, within a chip.
    pub horizontal: u64,
    /// Links to the north or south, within a chip.
    pub vertical: u64,
    /// Links between chips.
    pub between_chips: u64,
    /// Handed to a unit.
    pub deliveries: u64,
}

/// The immutable part of the network on chip.
///
/// Every router has as many places for ports as the largest one needs, a power of two, and as many for queues. A port has one
/// index for its input and its output side: those of its tile's router begin at `Wiring::port`, the sides first and then the
/// units. The links into the routers are channels: that of a router's output has the index of its port, that of unit `u`'s
/// packet queue comes after all of these.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// How long things take.
    pub timing: NocTiming,
    /// Buffers, packets and routing.
    pub noc: Noc,
    ways: Ways,
    /// For routing on a mesh, column and row of each tile as a [`Way`] holds them, the one along which packets go first in the upper bits;
    /// empty where it has no room for them. And all bits below the upper ones.
    places: Vec<u32>,
    lower: u32,
    /// The side toward larger coordinates in the dimension in which packets go first, and in the other one; the opposite ones follow.
    first_sides: [u32; 2],
    /// Which of its outputs each tile's router takes toward each unit, tile by tile, on a torus, where one would have to divide; empty
    /// on large ones.
    outputs: Vec<u8>,
    /// Ports of each router.
    count: Vec<u8>,
    /// Bits of the index of a port, and of a queue, within its router.
    pub(super) port_bits: u32,
    pub(super) queue_bits: u32,
    /// The same as masks.
    pub(super) port_mask: usize,
    pub(super) queue_mask: usize,
    /// Behind each side the port of the neighbour that faces it, both ways; behind a unit's port the unit.
    pub(super) behind: Vec<u32>,
    /// The kind of link behind each port; cycles of each kind of link, those in the router before it included, and from one flit to the next.
    pub(super) kind: Vec<u8>,
    pub(super) link_cycles: [Cycle; KINDS],
    pub(super) intervals: [Cycle; KINDS],
    pub(super) units: Vec<Unit>,
    /// All ports of a router, one bit each.
    pub(super) sides: u32,
    /// The first queue of every port, one bit each.
    pub(super) first_queues: u64,
    /// Whether a flit without rivals moves on in the cycle in which it asks, into any virtual channel: a mesh with speculation.
    pub(super) plain: bool,
    branchings: Vec<Branching>,
}

impl Wiring {
    /// The wiring of a chip, without any trees.
    ///
    /// # Errors
    /// [`EngineError::Ports`] if a tile has more units than a router has ports for, [`EngineError::Queues`] if its ports have
    /// too many virtual channels, [`EngineError::Torus`] if a torus has fewer than two.
    pub fn new(topology: &Topology, timing: &NocTiming) -> Result<Self, EngineError> {
        let (mesh, units) = (topology.mesh, topology.units());
        let mut ports = vec![SIDES; mesh.tiles()];
        units.iter().for_each(|unit| ports[unit.tile.index()] += 1);
        if let Some(tile) = ports.iter().position(|&ports| ports as usize > MOST_PORTS) {
            let most = MOST_PORTS - SIDES as usize;
            return Err(EngineError::Ports { tile: TileId::at(tile), units: (ports[tile] - SIDES) as usize, most });
        }
        let vcs = topology.noc.virtual_channels;
        if let Some(tile) = ports.iter().position(|&ports| (ports * vcs) as usize > MOST_QUEUES) {
            let (tile, ports) = (TileId::at(tile), ports[tile]);
            return Err(EngineError::Queues { tile, ports, vcs, most: MOST_QUEUES as u32 });
        }
        if topology.noc.shape == Shape::Torus && vcs < 2 {
            return Err(EngineError::Torus { vcs });
        }
        let most = ports.iter().copied().max().unwrap_or(SIDES);
        let (port_places, queue_places) = (most.next_power_of_two(), (most * vcs).next_power_of_two());
        let torus = topology.noc.shape == Shape::Torus;
        let xy = topology.noc.routing == Routing::Xy;
        let (east, south) = (Direction::East as u32, Direction::South as u32);
        // bits of the numbers below each of them
        let [columns, rows] =
            [mesh.columns, mesh.rows].map(|count| u32::BITS - count.saturating_sub(1).leading_zeros());
        let above = OUTPUT.count_ones() + if xy { rows } else { columns };
        let place = |tile: TileId| {
            let (x, y) = mesh.place(tile);
            let (first, second) = if xy { (x, y) } else { (y, x) };
            first << above | second << OUTPUT.count_ones()
        };
        let placed = !torus && OUTPUT.count_ones() + columns + rows <= STRAIGHT.trailing_zeros();
        let serial = u64::from(topology.noc.flit_bits.div_ceil(topology.board.chip_link_bits));
        let interval = timing.flit_interval_cycles;
        let mut wiring = Self {
            timing: *timing,
            noc: topology.noc,
            ways: Ways::over(topology),
            places: (0..if placed { mesh.tiles() } else { 0 }).map(|tile| place(TileId::at(tile))).collect(),
            lower: ((1u64 << above) - 1) as u32,
            first_sides: if xy { [east, south] } else { [south, east] },
            outputs: vec![],
            count: ports.iter().map(|&ports| ports as u8).collect(),
            port_bits: port_places.ilog2(),
            queue_bits: queue_places.ilog2(),
            port_mask: port_places as usize - 1,
            queue_mask: queue_places as usize - 1,
            behind: vec![],
            kind: vec![],
            link_cycles: [
                timing.router_cycles + timing.link_horizontal_cycles,
                timing.router_cycles + timing.link_vertical_cycles,
                timing.router_cycles + timing.link_chip_cycles + serial - 1,
                timing.inject_cycles,
                timing.router_cycles + timing.eject_cycles,
            ],
            intervals: [interval, interval, interval.max(serial), interval, interval],
            units,
            sides: ((1u64 << port_places) - 1) as u32,
            first_queues: (0..MOST_QUEUES as u32).step_by(vcs as usize).fold(0, |first, at| first | 1 << at),
            plain: vcs <= 2 && timing.head_cycles == 0 && topology.noc.shape == Shape::Mesh,
            branchings: vec![],
        };
        wiring.connect(topology);
        if torus && wiring.tiles() * wiring.units() <= MOST_ROUTES {
            let outputs = (0..wiring.tiles() * wiring.units())
                .map(|at| wiring.output_toward(at / wiring.units(), at % wiring.units()) as u8);
            wiring.outputs = outputs.collect();
        }
        Ok(wiring)
    }

    fn connect(&mut self, topology: &Topology) {
        let ports = self.ports();
        (self.behind, self.kind) = (vec![NOTHING; ports], vec![TO_UNITS; ports]);
        for tile in (0..self.tiles()).map(TileId::at) {
            for direction in Direction::ALL {
                let Some(neighbour) = self.ways.beside(tile, direction) else { continue };
                let port = self.port(tile.index(), direction as u32);
                self.behind[port] = self.port(neighbour.index(), direction.opposite() as u32) as u32;
                self.kind[port] = match direction.is_horizontal() {
                    _ if topology.chip_of(tile) != topology.chip_of(neighbour) => BETWEEN_CHIPS,
                    true => HORIZONTAL,
                    false => VERTICAL,
                };
            }
        }
        for (unit, place) in self.units.iter().enumerate() {
            let port = (place.tile.index() << self.port_bits) + (SIDES + place.port) as usize;
            self.behind[port] = unit as u32;
        }
    }

    /// Number of routers.
    #[must_use]
    pub fn tiles(&self) -> usize {
        self.count.len()
    }

    /// Number of units.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units.len()
    }

    /// Column and row of a tile.
    #[must_use]
    pub fn place(&self, tile: TileId) -> (u32, u32) {
        self.ways.place(tile)
    }

    /// The ports of a router.
    pub(super) fn ports_of(&self, tile: usize) -> std::ops::Range<usize> {
        self.port(tile, 0)..self.port(tile, u32::from(self.count[tile]))
    }

    /// A port of a router.
    pub(super) fn port(&self, tile: usize, side: u32) -> usize {
        (tile << self.port_bits) + side as usize
    }

    /// Places for ports of all routers.
    pub(super) fn ports(&self) -> usize {
        self.tiles() << self.port_bits
    }

    /// Links into routers and to units: one behind each port, and one behind each unit's packet queue.
    pub(super) fn links(&self) -> usize {
        self.ports() + self.units()
    }

    /// The router of a port, and which one of its ports it is.
    #[inline]
    pub(super) fn place_of(&self, port: usize) -> (usize, usize) {
        (port >> self.port_bits, port & self.port_mask)
    }

    /// The router of a queue, and which one of its queues it is.
    #[inline]
    pub(super) fn place_of_queue(&self, queue: usize) -> (usize, usize) {
        (queue >> self.queue_bits, queue & self.queue_mask)
    }

    /// The first queue of an input port.
    pub(super) fn queue(&self, port: usize) -> usize {
        let (tile, side) = self.place_of(port);
        (tile << self.queue_bits) + side * self.noc.virtual_channels as usize
    }

    /// The port through which a unit's packets come into its router.
    pub(super) fn source_port(&self, unit: usize) -> usize {
        let place = self.units[unit];
        self.port(place.tile.index(), SIDES + place.port)
    }

    /// The channel that ends in an input port: that of the neighbour's port, or behind all of these that of a unit's packet
    /// queue; [`NOTHING`] at the edge.
    pub(super) fn upstream(&self, port: usize) -> usize {
        let (_, side) = self.place_of(port);
        let behind = self.behind[port] as usize;
        if side < SIDES as usize { behind } else { self.ports() + behind }
    }

    /// The way from anywhere to one unit, by the chip's dimension-order routing: the place of its tile and the output of its router, so
    /// that routers need no table; on a torus, or where these have no room, the unit.
    ///
    /// # Panics
    /// If there is no such unit.
    #[must_use]
    pub fn toward(&self, unit: UnitId) -> Way {
        let Unit { tile, port, .. } = self.units[unit.index()];
        let place = self.places.get(tile.index());
        Way(STRAIGHT | place.map_or(unit.0, |place| place | (SIDES + port)))
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
            let mut branching = Branching { outputs: 0, next: [NOTHING; SIDES as usize], ahead: 0 };
            for direction in Direction::ALL {
                let Some(next) = at.next[direction as usize] else { continue };
                let beyond = tree.nodes.get(next as usize).map(|node| node.tile);
                let forward = next as usize > index;
                if !forward || beyond.is_none() || beyond != self.ways.beside(at.tile, direction) {
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
        self.look_ahead(root, tree);
        Ok(Way(root))
    }

    /// Notes where a closing link of a torus lies ahead on the straight parts of a tree, which is planted from `root` on.
    fn look_ahead(&mut self, root: u32, tree: &Tree) {
        let mut closing = vec![[false; SIDES as usize]; tree.nodes.len()];
        for (index, node) in tree.nodes.iter().enumerate().rev().filter(|_| self.noc.shape == Shape::Torus) {
            for direction in Direction::ALL {
                let Some(next) = node.next[direction as usize] else { continue };
                let ahead = closing[next as usize][direction as usize];
                closing[index][direction as usize] = ahead || self.ways.closes(node.tile, direction);
                self.branchings[root as usize + index].ahead |= u8::from(ahead) << direction as u32;
            }
        }
    }

    /// The outputs that a flit takes at a router, one bit each, none if its tree ends there without a unit.
    #[inline]
    pub(super) fn outputs(&self, way: Way, tile: usize) -> u32 {
        if way.is_straight() { 1 << self.output(tile, way) } else { self.branchings[way.0 as usize].outputs }
    }

    /// The output that a flit takes at a router if it takes one only.
    #[inline(always)]
    pub(super) fn only_output(&self, way: Way, tile: usize) -> Option<u32> {
        if way.is_straight() {
            return Some(self.output(tile, way));
        }
        let outputs = self.branchings[way.0 as usize].outputs;
        outputs.is_power_of_two().then(|| outputs.trailing_zeros())
    }

    /// Whether flits take several outputs at a router of their tree.
    #[inline]
    pub(super) fn splits(&self, way: Way) -> bool {
        !way.is_straight() && !self.branchings[way.0 as usize].outputs.is_power_of_two()
    }

    /// The output that a tile's router takes on the way to one unit: by comparing coordinates, without a branch on them, which nobody
    /// could foresee.
    #[inline(always)]
    fn output(&self, tile: usize, way: Way) -> u32 {
        let Some(&from) = self.places.get(tile) else { return self.output_by_table(tile, way.unit()) };
        let (to, [first, second]) = (way.0 & !(STRAIGHT | OUTPUT), self.first_sides);
        let side = select_unpredictable(to ^ from > self.lower, first, second);
        select_unpredictable(to == from, way.0 & OUTPUT, side + u32::from(to < from))
    }

    #[inline]
    fn output_by_table(&self, tile: usize, unit: usize) -> u32 {
        let known = self.outputs.get(tile * self.units.len() + unit);
        known.map_or_else(|| self.output_toward(tile, unit), |&output| output.into())
    }

    /// The output that a tile's router takes toward a unit.
    #[inline(never)]
    fn output_toward(&self, tile: usize, unit: usize) -> u32 {
        let unit = self.units[unit];
        self.ways.toward(TileId::at(tile), unit.tile).map_or(SIDES + unit.port, |side| side as u32)
    }

    /// Whether a closing link of a torus lies ahead of a flit, in this dimension, when it has left a router by a side.
    pub(super) fn closing_ahead(&self, way: Way, tile: TileId, side: usize) -> bool {
        if !way.is_straight() {
            return self.branchings[way.0 as usize].ahead & (1 << side) != 0;
        }
        let to = self.units[way.unit()].tile;
        self.ways.closing_ahead(tile, Direction::ALL[side], to)
    }

    /// The virtual channels behind an output or packet queue with room for a packet: what keeps copies of long packets free of deadlock.
    #[inline]
    pub(super) fn roomy(&self, flits: u16, downstream: &[Downstream]) -> u16 {
        if flits == 1 || !self.cut_through() {
            return u16::MAX;
        }
        let roomy = downstream.iter().zip(0..).filter(|(vc, _)| vc.credits >= flits);
        roomy.fold(0, |vcs, (_, vc)| vcs | 1 << vc)
    }

    /// The first kind of link between routers that takes as long as another one.
    pub(super) fn alike(&self, kind: u8) -> u8 {
        let takes = |kind: u8| (self.link_cycles[kind as usize], self.intervals[kind as usize]);
        (0..FROM_UNITS).find(|&other| kind < FROM_UNITS && takes(other) == takes(kind)).unwrap_or(kind)
    }

    /// Where a flit is after it has left by an output; it has arrived behind that of a unit.
    #[inline]
    pub(super) fn next(&self, way: Way, output: usize) -> Way {
        if way.is_straight() {
            return way;
        }
        self.branchings[way.0 as usize].next.get(output).map_or(way, |&next| Way(next))
    }

    /// What one flit from `from` does on the whole of `way`.
    #[must_use]
    pub fn passage(&self, from: UnitId, way: Way) -> Passage {
        let mut passage = Passage::default();
        let mut open = vec![(self.units[from.index()].tile.0, way)];
        while let Some((router, way)) = open.pop() {
            for output in bits(self.outputs(way, router as usize)) {
                passage.routes += 1;
                if output >= SIDES {
                    passage.deliveries += 1;
                    continue;
                }
                let out = self.port(router as usize, output);
                match self.kind[out] {
                    HORIZONTAL => passage.horizontal += 1,
                    VERTICAL => passage.vertical += 1,
                    _ => passage.between_chips += 1,
                }
                let port = self.behind[out];
                open.push((self.place_of(port as usize).0 as u32, self.next(way, output as usize)));
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
#[inline]
pub(super) fn bits(mask: u32) -> impl Iterator<Item = u32> {
    bits64(u64::from(mask))
}

/// The set bits of a longer mask, lowest first.
#[inline]
pub(super) fn bits64(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = mask.trailing_zeros();
        (mask != 0).then(|| {
            mask &= mask - 1;
            bit
        })
    })
}
