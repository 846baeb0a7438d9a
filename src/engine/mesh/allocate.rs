//! Who gets what in a cycle of a router: virtual channels to heads, the switch to input ports, both by turns.

use super::events::Leaving;
use super::rivals::Rivals;
use super::state::{Downstream, Flit, Port, Queue, Router, every};
use super::wiring::{Wiring, bits, bits64};
use super::{MOST_PORTS, Mesh, NOTHING, SIDES};
use crate::hardware::Shape;
use crate::units::Cycle;

/// One router in one cycle: its own state, and where that goes which leaves it. `VCS` is the number of virtual channels of a
/// port, or 0 for any other one: the usual numbers have code of their own.
pub(super) struct Visit<'a, const VCS: usize, const PAUSING: bool> {
    pub wiring: &'a Wiring,
    pub now: Cycle,
    vcs: usize,
    pub router: &'a mut Router,
    pub ports: &'a mut [Port],
    pub queues: &'a mut [Queue],
    turns: &'a mut [u16],
    /// See [`Mesh::ready`].
    pub ready: &'a [Cycle],
    /// All virtual channels behind outputs: those of others, too, to which slots go back.
    pub downstream: &'a mut [Downstream],
    pub flits: &'a mut [u64],
    pub leaving: &'a mut Leaving,
    /// Outputs for which anything was asked: the others sleep until something changes.
    busy: u32,
    /// Queues whose next flits come to the front when all has been allocated, and the first queue of the router.
    pub followed: &'a mut Vec<u32>,
    pub first_queue: u32,
    pub first_port: u32,
}

impl<'a, const VCS: usize, const PAUSING: bool> Visit<'a, VCS, PAUSING> {
    #[inline]
    pub fn of(mesh: &'a mut Mesh<'_>, tile: usize, now: Cycle) -> Self {
        let (port_bits, queue_bits) = (mesh.wiring.port_bits, mesh.wiring.queue_bits);
        let vcs = if VCS == 0 { mesh.vcs } else { VCS };
        let queues = tile << queue_bits..(tile + 1) << queue_bits;
        let ports = tile << port_bits..(tile + 1) << port_bits;
        Self {
            wiring: mesh.wiring,
            now,
            vcs,
            router: &mut mesh.routers[tile],
            ports: &mut mesh.ports[ports.clone()],
            first_queue: queues.start as u32,
            first_port: ports.start as u32,
            queues: &mut mesh.queues[queues.clone()],
            turns: &mut mesh.turns[queues.clone()],
            ready: mesh.ready.get(queues).unwrap_or_default(),
            downstream: &mut mesh.downstream,
            flits: &mut mesh.flits[ports],
            leaving: &mut mesh.leaving,
            followed: &mut mesh.followed,
            busy: 0,
        }
    }

    /// The first virtual channel behind an output.
    #[inline]
    pub fn channel(&self, output: usize) -> usize {
        (self.first_port as usize + output) * self.vcs()
    }

    /// The virtual channels behind an output.
    #[inline]
    fn channels(&self, output: usize) -> &[Downstream] {
        &self.downstream[self.channel(output)..][..self.vcs()]
    }

    #[inline]
    pub fn vcs(&self) -> usize {
        if VCS == 0 { self.vcs } else { VCS }
    }

    /// Moves what can be moved to the outputs that are `wanted`; the outputs that should be looked at in the next cycle, too.
    pub fn allocate(mut self, wanted: u32) -> u32 {
        let (mut speakers, mut offering, mut offered, mut several) = ([0u8; MOST_PORTS], 0u32, 0u32, false);
        for output in bits(wanted) {
            let Some(at) = self.offer(output as usize) else { continue };
            let port = 1 << (at as usize / self.vcs());
            speakers[output as usize] = at as u8;
            offering |= 1 << output;
            several |= offered & port != 0;
            offered |= port;
        }
        if several {
            self.accept(offering, &speakers);
        } else {
            for output in bits(offering) {
                let at = usize::from(speakers[output as usize]);
                self.take_turns(at, output as usize);
                self.grant(at, self.flit_for(at, output), output as usize);
            }
        }
        let again = |output: &u32| self.ports[*output as usize].want != 0;
        bits(self.busy).filter(again).fold(0, |again, output| again | 1 << output)
    }

    /// Each port takes one of the outputs that offer it the switch.
    fn accept(&mut self, offering: u32, speakers: &[u8; MOST_PORTS]) {
        let (mut offers, mut offered) = ([0u32; MOST_PORTS], 0u32);
        for output in bits(offering) {
            let port = usize::from(speakers[output as usize]) / self.vcs();
            offers[port] |= 1 << output;
            offered |= 1 << port;
        }
        for port in bits(offered) {
            self.take_switch(port as usize, offers[port as usize], speakers);
        }
    }

    /// Gives the free virtual channels behind an output to heads, and offers the switch to an input port: to the queue that
    /// speaks for it.
    #[inline]
    fn offer(&mut self, output: usize) -> Option<u32> {
        let Port { want, held, credited, owned, .. } = self.ports[output];
        let link = self.first_port as usize + output;
        let open = !PAUSING || self.leaving.pauses.is_open(link, self.now);
        if !open && want != 0 {
            self.leaving.pauses.wait(link, self.now);
        }
        let mut holding = 0;
        if want & held != 0 && open {
            let owners =
                bits(u32::from(owned & credited)).map(|vc| self.downstream[self.channel(output) + vc as usize].owner);
            holding = owners.fold(0, |queues, owner| queues | 1 << owner) & want;
        }
        let mut asking = 0;
        if want & !held != 0 {
            asking = self.allocate_channels(output, want & !held, open);
        }
        (holding | asking != 0).then(|| {
            self.busy |= 1 << output;
            self.speaker(output, holding, asking)
        })
    }

    /// The queue for whose port it is the turn: of two queues of one port, those whose packets hold a virtual channel go first.
    #[inline]
    fn speaker(&self, output: usize, holding: u64, asking: u64) -> u32 {
        let (vcs, turn, all) = (self.vcs() as u32, self.ports[output].turn, holding | asking);
        if VCS == 1 {
            return in_turn64(all, turn);
        }
        let port = in_turn64(self.ports_of(all), turn * vcs as u8);
        let group = u64::from(every(vcs));
        let (holding, asking) = ((holding >> port) & group, (asking >> port) & group);
        let speaking = if holding == 0 { asking } else { holding };
        port + in_turn(speaking as u32, self.ports[(port / vcs) as usize].vc_turn)
    }

    /// The first queue of each port that has one of these.
    #[inline]
    fn ports_of(&self, queues: u64) -> u64 {
        match VCS {
            2 => (queues | queues >> 1) & 0x5555_5555_5555_5555,
            _ => (0..self.vcs()).fold(0, |ports, vc| ports | (queues >> vc)) & self.wiring.first_queues,
        }
    }

    /// Offers every free virtual channel behind an output to a head; each head takes one of those it is offered. Those of the
    /// heads that ask for the switch in the same cycle.
    #[inline]
    fn allocate_channels(&mut self, output: usize, heads: u64, open: bool) -> u64 {
        let heads = if self.ready.is_empty() { heads } else { self.on_time(output, heads) };
        let free = every(self.vcs() as u32) & !self.ports[output].owned;
        if free == 0 || heads == 0 {
            return 0;
        }
        if self.wiring.noc.shape == Shape::Torus || self.are_long(self.router.odd & heads) {
            return self.allocate_choosy(output, heads, open);
        }
        self.busy |= 1 << output;
        let speculates = self.wiring.timing.head_cycles == 0 && open && free & self.ports[output].credited != 0;
        let (first, turns) = (self.channel(output), &mut *self.turns);
        match self.downstream[first..].first_chunk_mut::<VCS>() {
            Some(channels) if VCS != 0 => {
                Rivals { port: &mut self.ports[output], channels, turns, output }.share(heads, free);
            }
            _ => self.share_channels(output, free, |_, _| heads),
        }
        if speculates { heads } else { 0 }
    }

    /// Whether a packet of more than one flit is at the front of any of these queues.
    #[inline]
    fn are_long(&self, queues: u64) -> bool {
        bits64(queues).any(|at| self.queues[at as usize].front.of > 1)
    }

    /// The same where a head may not be able to use every channel.
    fn allocate_choosy(&mut self, output: usize, heads: u64, open: bool) -> u64 {
        let Port { owned, credited, .. } = self.ports[output];
        let usable = |at: u32| self.usable(&self.queues[at as usize].front, output) & !owned;
        let able: u64 = bits64(heads).filter(|&at| usable(at) != 0).fold(0, |able, at| able | 1 << at);
        let speculates = self.wiring.timing.head_cycles == 0 && open;
        let asking = bits64(able).filter(|&at| speculates && usable(at) & credited != 0);
        let asking = asking.fold(0, |asking, at| asking | 1 << at);
        if able != 0 {
            self.busy |= 1 << output;
            let free = every(self.vcs() as u32) & !owned;
            self.share_channels(output, free, |visit, vc| {
                let can = |&at: &u32| visit.usable(&visit.queues[at as usize].front, output) & (1 << vc) != 0;
                bits64(able).filter(can).fold(0, |able, at| able | 1 << at)
            });
        }
        asking
    }

    /// Those of the heads that may ask for a virtual channel already.
    fn on_time(&mut self, output: usize, heads: u64) -> u64 {
        let on_time =
            bits64(heads).filter(|&at| self.ready[at as usize] <= self.now).fold(0, |on_time, at| on_time | 1 << at);
        self.busy |= u32::from(on_time != heads) << output;
        on_time
    }

    /// Offers each free channel to one of the heads that are able to use it.
    fn share_channels(&mut self, output: usize, free: u16, able: impl Fn(&Self, u32) -> u64) {
        let (mut offered, mut offers) = (0u64, [NOTHING; 16]);
        for vc in bits(u32::from(free)) {
            let able = able(self, vc);
            if able != 0 {
                let at = in_turn64(able, self.downstream[self.channel(output) + vc as usize].turn);
                offered |= 1 << at;
                offers[vc as usize] = at;
            }
        }
        for at in bits64(offered) {
            let own = bits(u32::from(free)).filter(|&vc| offers[vc as usize] == at);
            let own = own.fold(0, |own, vc| own | 1 << vc);
            self.take_channel(at, output, own);
        }
    }

    /// The virtual channels behind an output that a head may use: on a torus those below the middle as long as a closing link
    /// lies ahead in this dimension, then the others, so that no ring of waiting packets can close; and only those with room for
    /// all of a long packet, which keeps copies of long packets free of deadlock.
    fn usable(&self, head: &Flit, output: usize) -> u16 {
        let all = every(self.vcs() as u32);
        let lower = every(self.vcs() as u32 / 2);
        let usable = match self.wiring.noc.shape {
            Shape::Torus if output >= SIDES as usize => all,
            Shape::Torus if self.wiring.closing_ahead(head.way, self.router.place, output) => lower,
            Shape::Torus => all & !lower,
            Shape::Mesh => all,
        };
        usable & self.wiring.roomy(head.of, self.channels(output))
    }

    #[inline]
    fn take_channel(&mut self, at: u32, output: usize, offers: u16) {
        let (vcs, first) = (self.vcs(), output * self.vcs());
        let turn = &mut self.turns[at as usize];
        let from = usize::from(*turn).wrapping_sub(first);
        let vc = in_turn(u32::from(offers), if from < vcs { from as u8 } else { 0 }) as usize;
        *turn = (first + vc + 1) as u16;
        let channel = self.channel(output) + vc;
        self.ports[output].give(&mut self.downstream[channel], at as usize, vc);
    }

    /// A port takes one of the outputs that offer it the switch, and those that offer it for the same flit.
    #[inline]
    fn take_switch(&mut self, port: usize, offers: u32, speakers: &[u8; MOST_PORTS]) {
        let chosen = in_turn(offers, self.ports[port].output_turn);
        let at = usize::from(speakers[chosen as usize]);
        self.take_turns(at, chosen as usize);
        let place = self.flit_for(at, chosen);
        if offers & (offers - 1) == 0 {
            return self.grant(at, place, chosen as usize);
        }
        let same = |output: &u32| usize::from(speakers[*output as usize]) == at && self.flit_for(at, *output) == place;
        let granted = bits(offers).filter(same).fold(0u32, |granted, output| granted | 1 << output);
        for output in bits(granted) {
            self.grant(at, place, output as usize);
        }
    }

    /// A queue has spoken for its port, which takes an output: others go first the next time.
    #[inline]
    fn take_turns(&mut self, at: usize, output: usize) {
        let vcs = self.vcs();
        self.ports[at / vcs].take_turns(at, output, vcs);
    }

    /// The first flit of a queue that has an output still to leave by: its place in the pool, nothing for the first of all.
    #[inline]
    fn flit_for(&self, at: usize, output: u32) -> u32 {
        let Queue { front, second, .. } = &self.queues[at];
        if front.outputs & (1 << output) != 0 {
            return NOTHING;
        }
        let mut place = *second;
        while place != NOTHING && self.leaving.pool.get(place).flit.outputs & (1 << output) == 0 {
            place = self.leaving.pool.get(place).next;
        }
        place
    }

    /// A flit that was granted the switch moves on if it has the virtual channel and the credit that it needs, too.
    #[inline]
    fn grant(&mut self, at: usize, place: u32, output: usize) {
        let Port { held, credited, owned, .. } = self.ports[output];
        self.ports[output].turn = (at / self.vcs()) as u8 + 1;
        if held & (1 << at) == 0 {
            return;
        }
        let vc = held_vc(owned, self.channels(output), at);
        if credited & (1 << vc) != 0 {
            self.pass(at, place, output, vc);
        }
    }
}

/// The one of an output's virtual channels that the packet of a queue holds.
#[inline]
pub(super) fn held_vc(owned: u16, downstream: &[Downstream], at: usize) -> usize {
    let own = |vc: usize| owned & (1 << vc) != 0 && usize::from(downstream[vc].owner) == at;
    match downstream.len() {
        1 => 0,
        2 => usize::from(own(1)),
        count => (0..count).find(|&vc| own(vc)).unwrap_or(0),
    }
}

/// The first set bit of a mask that is not empty, from `turn` on and then from the start.
#[inline]
pub(super) fn in_turn(mask: u32, turn: u8) -> u32 {
    // A turn past the last bit wraps to the first one, which is where it starts again.
    let later = mask & u32::MAX.wrapping_shl(u32::from(turn));
    if later == 0 { mask.trailing_zeros() } else { later.trailing_zeros() }
}

/// The same of a longer mask.
#[inline]
pub(super) fn in_turn64(mask: u64, turn: u8) -> u32 {
    let later = mask & u64::MAX.wrapping_shl(u32::from(turn));
    if later == 0 { mask.trailing_zeros() } else { later.trailing_zeros() }
}
