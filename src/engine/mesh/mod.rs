//! The network on chip: input-queued virtual-channel routers with credits, flit by flit and cycle by cycle.
//!
//! A router has one port for each side and one for each unit of its tile. A flit that leaves upstream takes a slot of the
//! virtual channel it will wait in, so that buffers never overflow; the slot's credit returns when the flit has left for
//! all its outputs. Each cycle every input port nominates one flit, the first of its virtual channels (in turn) that can
//! move, for all outputs it can move to; every output grants one of the inputs that ask for it (in turn). A packet's head
//! takes a virtual channel downstream, its tail frees it. A flit with several outputs stays at the head of its queue until
//! each of them has granted it once.
//!
//! Everything that reaches another router lies at least one cycle in the future, so routers see only their own state within
//! a cycle, and the order in which they are visited does not matter. A router that moved nothing is not looked at again
//! before something arrives, a credit returns, or a link becomes free.

mod look;
mod router;
mod source;
mod wiring;

pub use wiring::{MOST_PORTS, NOTHING, Passage, SIDES, Way, Wiring};

use crate::units::{Cycle, TileId, UnitId};
use router::{Flit, Nominee};
use source::Source;
use std::collections::VecDeque;

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

/// A flit that cannot move, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Which packet.
    pub tag: u32,
    /// The router that it waits in, or before.
    pub tile: TileId,
    /// The input and virtual channel that it waits in, or the packet queue.
    pub input: String,
    /// What it lacks.
    pub lacks: String,
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

/// Events of one latency: pushed in the order in which they are due.
#[derive(Debug, Clone)]
struct Pending<T>(VecDeque<(Cycle, T)>);

impl<T> Pending<T> {
    fn new() -> Self {
        Self(VecDeque::new())
    }

    fn push(&mut self, due: Cycle, event: T) {
        debug_assert!(self.0.back().is_none_or(|(last, _)| *last <= due), "one latency, so one order");
        self.0.push_back((due, event));
    }

    fn pop(&mut self, now: Cycle) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_front().map(|(_, event)| event)
    }

    fn next(&self) -> Option<Cycle> {
        self.0.front().map(|(due, _)| *due)
    }
}

/// A flit on its way into an input port.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    port: u32,
    vc: u8,
    flit: Flit,
}

/// A buffer slot on its way back to the channel that fills it.
#[derive(Debug, Clone, Copy)]
struct Credit {
    channel: u32,
    vc: u8,
}

/// The upstream end of a link: of a router's output, or of a unit's packet queue.
#[derive(Debug, Clone, Copy, Default)]
struct Channel {
    /// Virtual channels downstream with a free slot, one bit each.
    credited: u16,
    /// Virtual channels downstream that a packet holds.
    owned: u16,
    /// The virtual channel to try first.
    turn: u8,
    /// The input port whose turn it is.
    input_turn: u8,
    /// When the next flit may leave.
    free_at: Cycle,
    /// Flits that have left.
    flits: u64,
}

/// The input side of a port.
#[derive(Debug, Clone, Copy, Default)]
struct Input {
    /// Virtual channels with flits.
    occupied: u16,
    /// The virtual channel whose turn it is.
    turn: u8,
}

/// Routers or sources that may be able to move something.
#[derive(Debug, Clone, Default)]
struct Awake {
    list: Vec<u32>,
    listed: Vec<bool>,
}

impl Awake {
    fn new(len: usize) -> Self {
        Self { list: vec![], listed: vec![false; len] }
    }

    fn wake(&mut self, index: u32) {
        if !std::mem::replace(&mut self.listed[index as usize], true) {
            self.list.push(index);
        }
    }
}

/// The state of the network on chip.
#[derive(Debug, Clone)]
pub struct Mesh<'w> {
    wiring: &'w Wiring,
    order: Order,
    vcs: usize,
    inputs: Vec<Input>,
    queues: Vec<VecDeque<Flit>>,
    /// For each queue and output of its router: the virtual channel that its packet holds there.
    held: Vec<u8>,
    /// For each router, its ports with flits, one bit each.
    occupied: Vec<u32>,
    channels: Vec<Channel>,
    /// Free slots of each virtual channel behind each channel.
    credits: Vec<u16>,
    sources: Vec<Source>,
    routers_awake: Awake,
    sources_awake: Awake,
    /// Flits underway: horizontally, vertically, from a unit.
    arrivals: [Pending<Arrival>; 3],
    returning: Pending<Credit>,
    ejected: Pending<(UnitId, u32)>,
    /// Channels that become free again, where the interval is longer than a cycle.
    pauses: Pending<u32>,
    /// For each output of a router, the inputs that ask for it; empty between visits.
    requests: [u32; MOST_PORTS],
    /// For each of these inputs, what it would like to move.
    nominees: [Nominee; MOST_PORTS],
    /// Flits in queues and packets in sources.
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
        Self {
            wiring,
            order,
            vcs,
            inputs: vec![Input::default(); ports],
            queues: vec![VecDeque::new(); ports * vcs],
            held: vec![0; ports * vcs * MOST_PORTS],
            occupied: vec![0; wiring.tiles()],
            channels: vec![open; ports + units],
            credits: vec![wiring.noc.buffer_flits as u16; (ports + units) * vcs],
            sources: vec![Source::default(); units],
            routers_awake: Awake::new(wiring.tiles()),
            sources_awake: Awake::new(units),
            arrivals: [Pending::new(), Pending::new(), Pending::new()],
            returning: Pending::new(),
            ejected: Pending::new(),
            pauses: Pending::new(),
            requests: [0; MOST_PORTS],
            nominees: [Nominee::default(); MOST_PORTS],
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
        while let Some((unit, tag)) = self.ejected.pop(now) {
            deliveries.push(Delivery { cycle: now, unit, tag });
        }
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
        let others = [self.returning.next(), self.ejected.next(), self.pauses.next()];
        arrivals.chain(others.into_iter().flatten()).min()
    }

    /// Whether no packet is underway.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resident == 0 && self.ejected.next().is_none() && self.arrivals.iter().all(|a| a.next().is_none())
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

    fn arrive(&mut self, now: Cycle) {
        while let Some(Credit { channel, vc }) = self.returning.pop(now) {
            self.credits[channel as usize * self.vcs + vc as usize] += 1;
            self.channels[channel as usize].credited |= 1 << vc;
            self.wake(channel);
        }
        while let Some(channel) = self.pauses.pop(now) {
            self.wake(channel);
        }
        for from in 0..self.arrivals.len() {
            while let Some(arrival) = self.arrivals[from].pop(now) {
                self.enqueue(arrival);
            }
        }
    }

    /// Whoever sends into a channel looks again.
    fn wake(&mut self, channel: u32) {
        match (channel as usize).checked_sub(self.wiring.router_of.len()) {
            Some(source) => self.sources_awake.wake(source as u32),
            None => self.routers_awake.wake(self.wiring.router_of[channel as usize]),
        }
    }

    fn enqueue(&mut self, Arrival { port, vc, mut flit }: Arrival) {
        let router = self.wiring.router_of[port as usize];
        flit.outputs = self.wiring.outputs(flit.way, router);
        self.queues[port as usize * self.vcs + vc as usize].push_back(flit);
        self.inputs[port as usize].occupied |= 1 << vc;
        self.occupied[router as usize] |= 1 << (port - self.wiring.first_port[router as usize]);
        self.resident += 1;
        self.routers_awake.wake(router);
    }
}

/// The first set bit of a mask that is not empty, from `turn` on and then from the start.
fn in_turn(mask: u32, turn: u8) -> u32 {
    let later = mask & (u32::MAX << turn);
    if later == 0 { mask.trailing_zeros() } else { later.trailing_zeros() }
}
