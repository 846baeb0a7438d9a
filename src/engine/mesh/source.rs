//! The queue in which a unit's packets wait for their router: as long as it needs to be.

use super::router::Flit;
use super::{Arrival, Mesh, Packet};
use crate::units::{Cycle, UnitId};
use std::collections::VecDeque;

/// A unit's packet queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    waiting: VecDeque<Packet>,
    /// Flits of the first packet that have been sent.
    sent: u16,
    /// The virtual channel that the first packet holds.
    vc: u8,
    pub peak: u64,
}

impl Source {
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
        self.resident += 1;
        self.sources_awake.wake(unit.0);
    }

    /// Sends the next flit of a unit's queue if it can; whether to look again in the next cycle.
    pub(super) fn send(&mut self, unit: usize, now: Cycle) -> bool {
        let Source { sent, mut vc, .. } = self.sources[unit];
        let Some(&Packet { tag, way, flits }) = self.sources[unit].front() else { return false };
        let channel = self.wiring.source_channel(unit);
        let can = if sent == 0 {
            self.free_vcs(channel, flits) != 0
        } else {
            self.channels[channel].credited & (1 << vc) != 0
        };
        if !can || self.channels[channel].free_at > now {
            return false;
        }
        if sent == 0 {
            vc = self.take_vc(channel, flits);
        }
        let flit = Flit { tag, way, outputs: 0, index: sent, of: flits };
        self.fill(channel, vc, flit);
        self.count(channel, now);
        let place = self.wiring.units[unit];
        let port = self.wiring.first_port[place.tile.index()] + super::SIDES + place.port;
        let due = now + self.wiring.timing.inject_cycles + self.wiring.timing.router_cycles;
        self.arrivals[2].push(due, Arrival { port, vc, flit });
        let source = &mut self.sources[unit];
        (source.sent, source.vc) = (sent + 1, vc);
        if flit.is_tail() {
            source.waiting.pop_front();
            source.sent = 0;
            self.resident -= 1;
        }
        !self.sources[unit].waiting.is_empty()
    }
}
