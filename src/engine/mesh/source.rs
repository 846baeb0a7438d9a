//! The queue in which a unit's packets wait for their router: as long as it needs to be.

use super::allocate::in_turn;
use super::state::{Downstream, every};
use super::wheel::{Arrival, Part};
use super::wiring::{FROM_UNITS, Wiring};
use super::{Mesh, Packet};
use crate::units::{Cycle, UnitId};
use std::collections::VecDeque;

/// A unit's packet queue, and its link into the router.
#[derive(Debug, Clone)]
pub(super) struct Source {
    waiting: VecDeque<Packet>,
    /// Flits of the first packet that have been sent.
    sent: u16,
    /// The virtual channel that the first packet holds.
    vc: u8,
    /// The virtual channel whose turn it is.
    turn: u8,
    /// Virtual channels with a free slot, one bit each.
    pub credited: u16,
    /// The cycle after the last flit.
    idle_from: Cycle,
    /// The first queue behind the link.
    behind: u32,
    pub peak: u64,
}

impl Source {
    pub fn new(wiring: &Wiring, unit: usize) -> Self {
        let behind = wiring.queue(wiring.source_port(unit)) as u32;
        let credited = every(wiring.noc.virtual_channels);
        Self { waiting: VecDeque::new(), sent: 0, vc: 0, turn: 0, credited, idle_from: 0, behind, peak: 0 }
    }

    /// Begins its turns anew.
    pub fn start_anew(&mut self) {
        self.turn = 0;
    }

    pub fn front(&self) -> Option<&Packet> {
        self.waiting.front()
    }

    /// The virtual channels into which the next flit can go, which is of a packet of so many flits.
    fn free(&self, wiring: &Wiring, downstream: &[Downstream], flits: u16) -> u16 {
        self.credited & if self.sent == 0 { wiring.roomy(flits, downstream) } else { 1 << self.vc }
    }
}

impl Mesh<'_> {
    /// Puts a packet into a unit's queue; its head can leave in the same cycle's [`Mesh::launch`].
    pub fn inject(&mut self, unit: UnitId, packet: Packet) {
        self.expect(packet.flits);
        self.leaving.resident += 1;
        let source = &mut self.sources[unit.index()];
        let single = packet.flits == 1 && source.waiting.is_empty();
        source.peak = source.peak.max(source.waiting.len() as u64 + 1);
        if single && self.leaves_at_once(unit.index()) {
            let free = self.sources[unit.index()].credited;
            return self.send_flit(unit.index(), packet, 0, free);
        }
        self.sources[unit.index()].waiting.push_back(packet);
        if packet.flits > 1 || (single && self.send(unit.index())) {
            self.sources_awake.wake(unit.index());
        }
    }

    /// Whether a packet of one flit that comes to an empty queue is not kept from leaving it.
    #[inline]
    fn leaves_at_once(&self, unit: usize) -> bool {
        let source = &self.sources[unit];
        let idle = source.idle_from <= self.now;
        idle && source.credited != 0 && self.leaving.pauses.is_open(self.ports.len() + unit, self.now)
    }

    /// Packets in a unit's queue, the one that is being sent included.
    #[must_use]
    pub fn waiting(&self, unit: UnitId) -> usize {
        self.sources[unit.index()].waiting.len()
    }

    /// Sends the next flit of a unit's queue if it can; whether to look again in the next cycle.
    pub(super) fn send(&mut self, unit: usize) -> bool {
        let channel = self.ports.len() + unit;
        let source = &mut self.sources[unit];
        let Some(&packet) = source.front() else { return false };
        if source.idle_from > self.now {
            return true;
        }
        let free = source.free(self.wiring, &self.downstream[channel * self.vcs..][..self.vcs], packet.flits);
        if free == 0 {
            return false;
        }
        if !self.leaving.pauses.is_open(channel, self.now) {
            self.leaving.wait(channel, self.now);
            return false;
        }
        let index = source.sent;
        source.sent += 1;
        if source.sent == packet.flits {
            source.waiting.pop_front();
            source.sent = 0;
        } else {
            self.leaving.resident += 1;
        }
        self.send_flit(unit, packet, index, free);
        !self.sources[unit].waiting.is_empty()
    }

    /// Sends a flit of a packet, the first one into one of the virtual channels that are `free`.
    #[inline(always)]
    fn send_flit(&mut self, unit: usize, Packet { tag, way, flits: of }: Packet, index: u16, free: u16) {
        let channel = self.ports.len() + unit;
        let downstream = &mut self.downstream[channel * self.vcs..][..self.vcs];
        let source = &mut self.sources[unit];
        if index == 0 {
            source.vc = in_turn(u32::from(free), source.turn) as u8;
            source.turn = source.vc + 1;
        }
        let downstream = &mut downstream[usize::from(source.vc)];
        source.credited ^= u16::from(self.leaving.take_slot::<false>(downstream)) << source.vc;
        source.idle_from = self.now + 1;
        self.flits[channel] += 1;
        self.leaving.pauses.take(FROM_UNITS, channel, self.now);
        let queue = source.behind + u32::from(source.vc);
        let flit = Arrival { queue, tag, way, part: Part::new(index, of) };
        self.leaving.put(self.now, FROM_UNITS, flit);
    }
}
