//! The network on chip: input-queued virtual-channel routers with credits, flit by flit and cycle by cycle.
//!
//! A router has one port for each side and one for each unit of its tile. A flit that leaves upstream takes a slot of the
//! virtual channel it will wait in, so that buffers never overflow; the slot's credit returns when the flit has left for
//! all its outputs. Each cycle has two allocations, both by turns, outputs first: every free virtual channel downstream is
//! offered to one of the heads that ask for it, and each head takes one of those it is offered; every output offers the
//! switch to one of the inputs that ask for it, and each input takes one. A packet keeps its virtual channel until its tail
//! has left. With look-ahead routing and speculation (`head_cycles` 0) a head asks for both in one cycle, and a switch it
//! wins without the virtual channel is wasted; otherwise it asks for the switch a cycle after it has got the channel. That
//! is the router of BookSim 2 (Jiang et al., ISPASS 2013) with its allocator of one iteration.
//!
//! A flit with several outputs stays at the head of its queue until each of them has taken it; outputs that offer the switch
//! in the same cycle take it together. A turn moves only when its offer is taken.
//!
//! Everything that reaches another router lies at least one cycle in the future, so routers see only their own state within
//! a cycle, and the order in which they are visited does not matter. A router that has granted nothing is not looked at
//! again before something arrives, a credit returns, or a link becomes free.

mod allocate;
mod events;
mod look;
mod router;
mod source;
mod standstill;
mod wiring;

pub use standstill::Stuck;
pub use wiring::{MOST_PORTS, MOST_QUEUES, NOTHING, Passage, SIDES, Way, Wiring};

use crate::units::{Cycle, UnitId};
use allocate::Scratch;
use events::{Awake, Ejection, Pending};
use source::Source;

/// A packet as the network sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Whatever the sender wants to know it by.
    pub tag: u32,
    /// Where it goes.
    pub way: Way,
    /// Its length, at least 1.
    pub flits: u16,
}

/// The last flit of a packet has reached a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delivery {
    /// When.
    pub cycle: Cycle,
    /// Where.
    pub unit: UnitId,
    /// Which packet.
    pub tag: u32,
}

/// In which order the routers of one cycle are visited; nothing depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// As they woke up.
    #[default]
    Forward,
    /// The other way round.
    Backward,
}

/// A part of a packet, in the pool in which it stays on its whole way.
#[derive(Debug, Clone, Copy)]
struct Flit {
    /// The next of its queue, or of the free places.
    next: u32,
    tag: u32,
    way: Way,
    /// The outputs of its router that it has not yet left by, one bit each.
    outputs: u32,
    /// Which flit of its packet it is.
    index: u16,
    /// How many flits its packet has.
    of: u16,
    /// Sides behind which a closing link of a torus lies ahead.
    ahead: u8,
}

impl Flit {
    fn is_head(&self) -> bool {
        self.index == 0
    }

    fn is_tail(&self) -> bool {
        self.index + 1 == self.of
    }
}

/// A virtual channel of an input port: a list through the pool.
#[derive(Debug, Clone, Copy)]
struct Queue {
    /// Its first flit, where it is occupied, and its last.
    first: u32,
    last: u32,
    /// Outputs at which its packet has a virtual channel.
    held: u32,
    /// The virtual channel that it tries first, counted through all outputs.
    turn: u16,
    /// When the head at its front may ask for a virtual channel.
    ready: Cycle,
}

const EMPTY: Queue = Queue { first: NOTHING, last: NOTHING, held: 0, turn: 0, ready: 0 };

/// The input side of a port.
#[derive(Debug, Clone, Copy, Default)]
struct Input {
    /// The output whose offer it takes first.
    output_turn: u8,
    /// The virtual channel that speaks for the port first, among those that ask for the same output.
    vc_turn: u8,
}

/// The upstream end of a link: of a router's output, or of a unit's packet queue.
#[derive(Debug, Clone, Copy, Default)]
struct Channel {
    /// Virtual channels downstream with a free slot, one bit each.
    credited: u16,
    /// Virtual channels downstream that a packet holds.
    owned: u16,
    /// The input port whose turn it is; for a packet queue, the virtual channel.
    turn: u8,
    /// When the next flit may leave.
    free_at: Cycle,
    /// Flits that have left.
    flits: u64,
}

/// A virtual channel as its upstream end sees it.
#[derive(Debug, Clone, Copy)]
struct Downstream {
    /// Free slots.
    credits: u16,
    /// The queue of the upstream router whose packet holds it.
    owner: u8,
    /// The queue of the upstream router whose turn it is.
    turn: u8,
}

/// The state of the network on chip.
#[derive(Debug, Clone)]
pub struct Mesh<'w> {
    wiring: &'w Wiring,
    order: Order,
    vcs: usize,
    /// All flits in queues and on links, and the first free place.
    flits: Vec<Flit>,
    free: u32,
    queues: Vec<Queue>,
    inputs: Vec<Input>,
    /// For each router, its queues with flits, one bit each.
    occupied: Vec<u64>,
    channels: Vec<Channel>,
    downstream: Vec<Downstream>,
    sources: Vec<Source>,
    routers_awake: Awake,
    sources_awake: Awake,
    /// Flits on their way into a queue, for each kind of link, and from units.
    arrivals: [Pending<(u32, u32)>; 4],
    /// Slots on their way back to a channel's virtual channel.
    returning: Pending<u32>,
    ejected: Pending<Ejection>,
    /// Channels that become free again, for each kind of link, and from units, where the interval is longer than a cycle.
    pauses: [Pending<u32>; 4],
    scratch: Scratch,
    /// Flits in queues, on links and on their way to units, and packets in sources.
    resident: u64,
    moves: u64,
}

impl<'w> Mesh<'w> {
    /// An empty network.
    #[must_use]
    pub fn new(wiring: &'w Wiring, order: Order) -> Self {
        let (ports, units) = (wiring.router_of.len(), wiring.units());
        let vcs = wiring.noc.virtual_channels as usize;
        let open = Channel { credited: ((1u32 << vcs) - 1) as u16, ..Channel::default() };
        let free = Downstream { credits: wiring.noc.buffer_flits as u16, owner: 0, turn: 0 };
        Self {
            wiring,
            order,
            vcs,
            flits: vec![],
            free: NOTHING,
            queues: vec![EMPTY; ports * vcs],
            inputs: vec![Input::default(); ports],
            occupied: vec![0; wiring.tiles()],
            channels: vec![open; ports + units],
            downstream: vec![free; (ports + units) * vcs],
            sources: vec![Source::default(); units],
            routers_awake: Awake::new(wiring.tiles()),
            sources_awake: Awake::new(units),
            arrivals: std::array::from_fn(|_| Pending::new()),
            returning: Pending::new(),
            ejected: Pending::new(),
            pauses: std::array::from_fn(|_| Pending::new()),
            scratch: Scratch::new(vcs),
            resident: 0,
            moves: 0,
        }
    }

    /// First half of a cycle: flits and credits that are due arrive, routers move flits on, and what has reached a unit is
    /// added to `deliveries`, in the order of units.
    pub fn carry(&mut self, now: Cycle, deliveries: &mut Vec<Delivery>) {
        self.arrive(now);
        let mut routers = std::mem::take(&mut self.routers_awake.list);
        if self.order == Order::Backward {
            routers.reverse();
        }
        routers.retain(|&router| {
            let again = self.switch(router as usize, now);
            self.routers_awake.listed[router as usize] = again;
            again
        });
        self.routers_awake.list = routers;
        let first = deliveries.len();
        self.eject(now, deliveries);
        deliveries[first..].sort_unstable();
    }

    /// Second half of a cycle: units' packet queues send their next flits.
    pub fn launch(&mut self, now: Cycle) {
        let mut sources = std::mem::take(&mut self.sources_awake.list);
        if self.order == Order::Backward {
            sources.reverse();
        }
        sources.retain(|&source| {
            let again = self.send(source as usize, now);
            self.sources_awake.listed[source as usize] = again;
            again
        });
        self.sources_awake.list = sources;
    }

    /// The next cycle in which anything can happen without a new packet; none if all is delivered, or stuck.
    #[must_use]
    pub fn next(&self, now: Cycle) -> Option<Cycle> {
        if !self.routers_awake.list.is_empty() || !self.sources_awake.list.is_empty() {
            return Some(now + 1);
        }
        let arrivals = self.arrivals.iter().filter_map(Pending::next);
        let pauses = self.pauses.iter().filter_map(Pending::next);
        let others = [self.returning.next(), self.ejected.next()];
        arrivals.chain(pauses).chain(others.into_iter().flatten()).min()
    }

    /// Whether no packet is underway.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resident == 0
    }

    /// Flits over each link so far: tile by tile, four links each in the order of `Direction::ALL`.
    #[must_use]
    pub fn link_flits(&self) -> Vec<u64> {
        let sides = |&first: &u32| (first..first + SIDES).map(|port| self.channels[port as usize].flits);
        self.wiring.first_port[..self.wiring.tiles()].iter().flat_map(sides).collect()
    }

    /// Flits switched to an output of a router so far, over links and to units.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// Most packets that have waited at once in a unit's packet queue, the one that is being sent included.
    #[must_use]
    pub fn peak_waiting(&self, unit: UnitId) -> u64 {
        self.sources[unit.index()].peak
    }
}
