//! The network on chip: input-queued virtual-channel routers with credits, flit by flit and cycle by cycle.
//!
//! A router has one port for each side and one for each unit of its tile. A flit that leaves upstream takes a slot of the
//! virtual channel it will wait in, so that buffers never overflow; the slot's credit returns when the flit has left for
//! all its outputs. Each cycle has two allocations, both by turns, outputs first: every free virtual channel downstream is
//! offered to one of the heads that ask for it, and each head takes one of those it is offered; every output offers the
//! switch to one of the inputs that ask for it, and each input takes one. A packet keeps its virtual channel until its tail
//! has left. With look-ahead routing and speculation (`head_cycles` 0) a head asks for both in one cycle, and a switch it
//! wins without the virtual channel is wasted; otherwise it asks for the switch a cycle after it has got the channel. That
//! is the router of BookSim 2 (Jiang et al., ISPASS 2013) with its allocator of one iteration (iSLIP), ports in its order.
//!
//! A flit with several outputs stays at the head of its queue until each of them has taken it; outputs that offer the switch
//! in the same cycle take it together. A turn moves only when its offer is taken.
//!
//! Everything that reaches another router lies at least one cycle in the future, so routers see only their own state within
//! a cycle, and the order in which they are visited does not matter. A router that has granted nothing is not looked at
//! again before something arrives, a credit returns, or a link becomes free.
//!
//! What a cycle needs to know of a router lies together and is kept up to date flit by flit: for each output the queues
//! that have a flit for it, as bits of one word, the first flit of each queue beside the queue. So a visit goes over the bits
//! that are set, and a router in which nothing happens costs a bit of a word.

mod allocate;
mod arrive;
mod awake;
mod clear;
mod events;
mod hop;
mod look;
mod newcomers;
mod offers;
mod pass;
mod pauses;
mod pool;
mod rivals;
mod source;
mod standstill;
mod state;
mod turn;
mod wheel;
mod wiring;

pub use standstill::Stuck;
pub use wiring::{MOST_PORTS, MOST_QUEUES, NOTHING, Passage, SIDES, Way, Wiring};

use crate::units::{Cycle, UnitId};
use allocate::Round;
use awake::{Awake, Reached};
use events::Leaving;
use newcomers::Newcomer;
use offers::Offers;
use pool::Followed;
use source::Source;
use state::{Downstream, Port, Queue, Router};
use wiring::bits64;

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

/// Nothing will happen any more, after this cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AtRest(pub Cycle);

/// In which order the routers of one cycle are visited; nothing depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Tile by tile.
    #[default]
    Forward,
    /// The other way round.
    Backward,
}

impl Order {
    /// The number that comes as `nth` of so many.
    fn of(self, nth: usize, count: usize) -> usize {
        match self {
            Self::Forward => nth,
            Self::Backward => count - 1 - nth,
        }
    }

    /// The bit of a mask, which is not empty, that comes first.
    #[inline]
    fn first(self, mask: u64) -> u32 {
        match self {
            Self::Forward => mask.trailing_zeros(),
            Self::Backward => mask.ilog2(),
        }
    }
}

/// The state of the network on chip.
#[derive(Debug, Clone)]
pub struct Mesh<'w> {
    wiring: &'w Wiring,
    order: Order,
    vcs: usize,
    routers: Vec<Router>,
    /// Both sides of every port, router by router.
    ports: Vec<Port>,
    /// The virtual channels of the input sides, port by port.
    queues: Vec<Queue>,
    /// The virtual channel that the head of each queue tries first, counted through all outputs of its router.
    turns: Vec<u16>,
    /// When the head at the front of each queue may ask for a virtual channel, where it cannot at once.
    ready: Vec<Cycle>,
    /// The virtual channels behind the output sides, port by port, then those behind units' packet queues.
    downstream: Vec<Downstream>,
    /// Flits that have left by each port, then by each unit's packet queue.
    flits: Vec<u64>,
    sources: Vec<Source>,
    ports_awake: Awake,
    sources_awake: Awake,
    leaving: Leaving,
    reached: Reached,
    /// Virtual channels that have a free slot again, until those who wait for one are woken.
    revived: Vec<u32>,
    /// Queues whose next flits come to the front once all outputs of their routers have been looked at.
    followed: Followed,
    /// Offers of outputs that ports have not taken yet, while a word of them is looked at.
    offers: Offers,
    /// Memory for the flits that come in a cycle: those that may move on at once, then those that wait.
    newcomers: Vec<Newcomer>,
    /// Outputs whose links can take a flit again, over one virtual channel, and whose holders leave at the end of the visits.
    departing: Vec<u32>,
    /// The cycle that is going on.
    now: Cycle,
}

impl<'w> Mesh<'w> {
    /// An empty network.
    #[must_use]
    pub fn new(wiring: &'w Wiring, order: Order) -> Self {
        let (ports, units, vcs) = (wiring.ports(), wiring.units(), wiring.noc.virtual_channels as usize);
        let queues = wiring.tiles() << wiring.queue_bits;
        Self {
            wiring,
            order,
            vcs,
            routers: vec![Router::new(); wiring.tiles()],
            ports: (0..ports).map(|port| Port::new(wiring, port)).collect(),
            queues: vec![Queue::empty(); queues],
            turns: vec![0; queues],
            ready: vec![0; if wiring.timing.head_cycles > 1 { queues } else { 0 }],
            downstream: vec![Downstream::free(wiring.noc.buffer_flits as u16); (ports + units) * vcs],
            flits: vec![0; ports + units],
            sources: (0..units).map(|unit| Source::new(wiring, unit)).collect(),
            ports_awake: Awake::new(ports),
            sources_awake: Awake::new(units),
            leaving: Leaving::new(wiring),
            reached: Reached::new(units),
            revived: vec![],
            followed: Followed::new(queues),
            offers: Offers::none(),
            newcomers: vec![],
            departing: vec![],
            now: 0,
        }
    }

    /// Whether somebody watches every cycle in which anything is due; if not, whether units need not be told of packets at once:
    /// these are then added to the deliveries of a later cycle, with their own.
    pub(super) fn watch(&mut self, watched: bool, patient: bool) {
        self.leaving.patient = patient && !watched;
        if watched {
            self.leaving.be_precise();
        }
    }

    /// Says how long packets may be, best before the first one comes.
    #[inline]
    pub(super) fn expect(&mut self, flits: u16) {
        if flits > self.leaving.longest {
            self.expect_longer(flits);
        }
    }

    #[cold]
    fn expect_longer(&mut self, flits: u16) {
        if self.wiring.cut_through() {
            self.take_credits(self.now);
            self.leaving.expect(flits, &self.downstream);
        }
    }

    /// Begins all turns anew, as in a new network; this one is empty.
    pub(super) fn start_anew(&mut self) {
        self.turns.fill(0);
        self.downstream.iter_mut().for_each(|channel| channel.turn = 0);
        for port in &mut self.ports {
            (port.turn, port.output_turn, port.vc_turn) = (0, 0, 0);
        }
        self.sources.iter_mut().for_each(Source::start_anew);
    }

    /// First half of a cycle: flits and credits that are due arrive, routers move flits on, and what has reached a unit is
    /// added to `deliveries`, in the order of units.
    pub fn carry(&mut self, now: Cycle, deliveries: &mut Vec<Delivery>) {
        match (self.plain_vcs(), self.leaving.pauses.any()) {
            (1, false) => self.carry_flits::<1, false>(now, true, deliveries),
            (1, true) => self.carry_flits::<1, true>(now, true, deliveries),
            (2, false) => self.carry_flits::<2, false>(now, true, deliveries),
            (2, true) => self.carry_flits::<2, true>(now, true, deliveries),
            _ => self.carry_flits::<0, true>(now, true, deliveries),
        }
    }

    /// From the end of a cycle to the first half of the next one in which somebody outside may have something to do: `until`, or
    /// an earlier one that brings `deliveries` to units that are not patient, or in which the last flit has come. Which one that
    /// is, or the last one of all and an error if nothing will happen any more.
    pub(super) fn carry_on(
        &mut self,
        now: Cycle,
        until: Cycle,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Cycle, AtRest> {
        match (self.plain_vcs(), self.leaving.pauses.any()) {
            (1, false) => self.carry_on_flits::<1, false>(now, until, deliveries),
            (1, true) => self.carry_on_flits::<1, true>(now, until, deliveries),
            (2, false) => self.carry_on_flits::<2, false>(now, until, deliveries),
            (2, true) => self.carry_on_flits::<2, true>(now, until, deliveries),
            _ => self.carry_on_flits::<0, true>(now, until, deliveries),
        }
    }

    /// The number of virtual channels of a [plain](Wiring) network, which has code of its own; 0 of any other one.
    fn plain_vcs(&self) -> usize {
        if self.wiring.plain { self.vcs } else { 0 }
    }

    fn carry_on_flits<const VCS: usize, const PAUSING: bool>(
        &mut self,
        mut now: Cycle,
        mut until: Cycle,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Cycle, AtRest> {
        loop {
            let first = self.first(now);
            if first == Cycle::MAX {
                // What nobody waits for takes its time, too.
                let last = self.leaving.last();
                until = if last > now { until.min(last) } else { until };
                if until == Cycle::MAX {
                    // Patient units have not been told of these.
                    return if deliveries.is_empty() { Err(AtRest(now)) } else { Ok(now) };
                }
            }
            now = first.min(until);
            self.carry_flits::<VCS, PAUSING>(now, now == until, deliveries);
            if now == until || !(self.leaving.patient || deliveries.is_empty()) {
                return Ok(now);
            }
            self.launch(now);
        }
    }

    /// See [`Mesh::carry`]; `VCS` is the number of virtual channels of a plain network, or 0 for any other one, and `PAUSING`
    /// says whether there may be links that do not take a flit in every cycle. Patient units take their flits only where they
    /// are `asked` to.
    #[inline(always)]
    fn carry_flits<const VCS: usize, const PAUSING: bool>(
        &mut self,
        now: Cycle,
        asked: bool,
        deliveries: &mut Vec<Delivery>,
    ) {
        self.now = now;
        self.arrive::<VCS, PAUSING>(now, asked, deliveries);
        if self.ports_awake.any() {
            Round::<VCS, PAUSING>::of(self, now).visit_all();
        }
        if PAUSING && VCS == 1 && !self.departing.is_empty() {
            self.depart::<PAUSING>(now);
        }
        if PAUSING && !self.followed.is_empty() {
            self.step_up::<VCS, PAUSING>(now);
        }
    }

    /// Second half of a cycle: units' packet queues send their next flits, and the cycle ends.
    #[inline(always)]
    pub fn launch(&mut self, now: Cycle) {
        if self.sources_awake.any() {
            self.send_all();
        }
        self.leaving.close(now);
    }

    /// Lets every packet queue that is awake send what it can.
    fn send_all(&mut self) {
        for group in 0..self.sources_awake.begin() {
            for word in bits64(self.sources_awake.take_group(group)) {
                let word = group * 64 + word as usize;
                for source in bits64(self.sources_awake.take(word)) {
                    let source = word * 64 + source as usize;
                    if self.send(source) {
                        self.sources_awake.wake(source);
                    }
                }
            }
        }
    }

    /// The next cycle in which anything can happen without a new packet; none if all is delivered, or stuck.
    #[must_use]
    pub fn next(&self, now: Cycle) -> Option<Cycle> {
        let (first, last) = (self.first(now), self.leaving.last());
        // What nobody waits for takes its time, too.
        if first < Cycle::MAX { Some(first) } else { (last > now).then_some(last) }
    }

    /// The next cycle in which anybody can do anything; the end of time if there is none.
    #[inline]
    fn first(&self, now: Cycle) -> Cycle {
        if self.ports_awake.any() || self.sources_awake.any() {
            return now + 1;
        }
        self.leaving.first(now).max(now + 1)
    }

    /// Whether no packet is underway.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaving.resident == 0
    }

    /// Flits over each link so far: tile by tile, four links each in the order of `Direction::ALL`.
    #[must_use]
    pub fn link_flits(&self) -> Vec<u64> {
        let sides = |tile: usize| &self.flits[self.wiring.port(tile, 0)..][..SIDES as usize];
        (0..self.wiring.tiles()).flat_map(sides).copied().collect()
    }

    /// Flits switched to an output of a router so far, over links and to units.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.flits[..self.ports.len()].iter().sum()
    }

    /// Most packets that have waited at once in a unit's packet queue, the one that is being sent included.
    #[must_use]
    pub fn peak_waiting(&self, unit: UnitId) -> u64 {
        self.sources[unit.index()].peak
    }
}
