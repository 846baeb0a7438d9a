//! The queue in which a unit's packets wait for their router: as long as it needs to be.

use super::allocate::in_turn;
use super::wiring::UNITS;
use super::{Channel, Flit, Mesh, NOTHING, Packet};
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

    /// Packets in a unit's queue, the one that is being sent included.
    #[must_use]
    pub fn waiting(&self, unit: UnitId) -> usize {
        self.sources[unit.index()].waiting.len()
    }

    /// Sends the next flit of a unit's queue if it can; whether to look again in the next cycle.
    pub(super) fn send(&mut self, unit: usize, now: Cycle) -> bool {
        let Source { sent, mut vc, .. } = self.sources[unit];
        let Some(&Packet { tag, way, flits }) = self.sources[unit].front() else { return false };
        let channel = self.wiring.source_channel(unit);
        let flit = Flit { next: NOTHING, tag, way, outputs: 0, index: sent, of: flits, ahead: 0 };
        let Channel { credited, turn, free_at, .. } = self.channels[channel];
        let free = if sent == 0 { credited & self.roomy(&flit, channel) } else { credited & (1 << vc) };
        if free == 0 || free_at > now {
            return false;
        }
        if sent == 0 {
            vc = in_turn(u32::from(free), turn) as u8;
            self.channels[channel].turn = vc + 1;
        }
        self.fill(channel, usize::from(vc));
        self.count(channel, UNITS, now);
        let index = self.store(flit);
        let queue = self.wiring.source_port(unit) * self.vcs as u32 + u32::from(vc);
        let due = now + self.wiring.timing.inject_cycles;
        self.arrivals[UNITS as usize].push(due, (queue, index));
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
