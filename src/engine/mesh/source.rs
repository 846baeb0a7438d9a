//! The queue in which a unit's packets wait for their router: as long as it needs to be.

use super::allocate::in_turn;
use super::state::every;
use super::wheel::{Arrival, Part};
use super::wiring::{FROM_UNITS, Wiring};
use super::{Mesh, NOTHING, Packet};
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
}

impl Mesh<'_> {
    /// Puts a packet into a unit's queue; its head can leave in the same cycle's [`Mesh::launch`].
    pub fn inject(&mut self, unit: UnitId, packet: Packet) {
        let source = &mut self.sources[unit.index()];
        source.waiting.push_back(packet);
        source.peak = source.peak.max(source.waiting.len() as u64);
        self.expect(packet.flits);
        self.leaving.resident += 1;
        if packet.flits > 1 {
            self.sources_awake.wake(unit.index());
        } else if self.sources[unit.index()].waiting.len() == 1 {
            // Nobody is before it: it leaves at once.
            if self.send(unit.index()) {
                self.sources_awake.wake(unit.index());
            }
        }
    }

    /// Packets in a unit's queue, the one that is being sent included.
    #[must_use]
    pub fn waiting(&self, unit: UnitId) -> usize {
        self.sources[unit.index()].waiting.len()
    }

    /// Sends the next flit of a unit's queue if it can; whether to look again in the next cycle.
    pub(super) fn send(&mut self, unit: usize) -> bool {
        let channel = self.ports.len() + unit;
        let downstream = &mut self.downstream[channel * self.vcs..][..self.vcs];
        let source = &mut self.sources[unit];
        let Some(&Packet { tag, way, flits: of }) = source.front() else { return false };
        if source.idle_from > self.now {
            return true;
        }
        let index = source.sent;
        let usable = if index == 0 { self.wiring.roomy(of, downstream) } else { 1 << source.vc };
        let free = source.credited & usable;
        if free == 0 {
            return false;
        }
        if !self.leaving.pauses.is_open(channel, self.now) {
            self.leaving.wait(channel, self.now);
            return false;
        }
        if index == 0 {
            source.vc = in_turn(u32::from(free), source.turn) as u8;
            source.turn = source.vc + 1;
        }
        let downstream = &mut downstream[usize::from(source.vc)];
        source.credited ^= u16::from(self.leaving.take_slot(downstream)) << source.vc;
        self.flits[channel] += 1;
        self.leaving.pauses.take(FROM_UNITS, channel, self.now);
        let queue = source.behind + u32::from(source.vc);
        let flit = Arrival { queue, tag, way, part: Part::new(index, of), port: NOTHING };
        self.leaving.put(self.now, FROM_UNITS, flit);
        self.leaving.resident += 1;
        source.idle_from = self.now + 1;
        source.sent = index + 1;
        if source.sent == of {
            source.waiting.pop_front();
            source.sent = 0;
            self.leaving.resident -= 1;
        }
        !source.waiting.is_empty()
    }
}
