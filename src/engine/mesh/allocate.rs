//! Who gets what in a cycle of a router: virtual channels to heads, the switch to input ports, both by turns.

use super::arrive::Line;
use super::awake::Awake;
use super::events::Leaving;
use super::offers::Offers;
use super::pool::Followed;
use super::rivals::{Rivals, speaker};
use super::state::{Downstream, Flit, Port, Queue, Router, every};
use super::wiring::{Wiring, bits, bits64};
use super::{MOST_PORTS, Mesh, NOTHING, Order, SIDES};
use crate::hardware::Shape;
use crate::units::{Cycle, TileId};
use std::hint::select_unpredictable;

/// All routers in one cycle, one after the other: their state, and where that goes which leaves them. `VCS` is the number of
/// virtual channels of a port in a plain network, or 0 for any other one: the usual numbers have code of their own.
pub(super) struct Round<'a, const VCS: usize, const PAUSING: bool> {
    pub wiring: &'a Wiring,
    pub now: Cycle,
    pub order: Order,
    vcs: usize,
    pub routers: &'a mut [Router],
    pub ports: &'a mut [Port],
    pub queues: &'a mut [Queue],
    pub turns: &'a mut [u16],
    /// See [`Mesh::ready`].
    ready: &'a mut [Cycle],
    pub downstream: &'a mut [Downstream],
    pub flits: &'a mut [u64],
    pub leaving: &'a mut Leaving,
    /// See [`Mesh::followed`].
    pub followed: &'a mut Followed,
    pub awake: &'a mut Awake,
    /// The router that is visited, its first port, and its first queue.
    pub tile: usize,
    pub first_port: usize,
    pub first_queue: usize,
    /// Its outputs for which anything was asked: the others sleep until something changes.
    busy: u32,
    /// Offers that ports have not taken yet.
    pub offers: &'a mut Offers,
}

impl<'a, const VCS: usize, const PAUSING: bool> Round<'a, VCS, PAUSING> {
    #[inline]
    pub fn of(mesh: &'a mut Mesh<'_>, now: Cycle) -> Self {
        let ports = mesh.ports.len();
        Self {
            wiring: mesh.wiring,
            now,
            order: mesh.order,
            vcs: if VCS == 0 { mesh.vcs } else { VCS },
            routers: &mut mesh.routers,
            ports: &mut mesh.ports,
            queues: &mut mesh.queues,
            turns: &mut mesh.turns,
            ready: &mut mesh.ready,
            downstream: &mut mesh.downstream,
            flits: &mut mesh.flits[..ports],
            leaving: &mut mesh.leaving,
            followed: &mut mesh.followed,
            awake: &mut mesh.ports_awake,
            tile: 0,
            first_port: 0,
            first_queue: 0,
            busy: 0,
            offers: &mut mesh.offers,
        }
    }

    /// The first virtual channel behind an output.
    #[inline]
    pub fn channel(&self, output: usize) -> usize {
        (self.first_port + output) * self.vcs()
    }

    /// The virtual channels behind an output.
    #[inline]
    fn channels(&self, output: usize) -> &[Downstream] {
        &self.downstream[self.channel(output)..][..self.vcs()]
    }

    /// The queue of the router with a number.
    #[inline]
    fn queue(&self, at: u32) -> &Queue {
        &self.queues[self.first_queue + at as usize]
    }

    #[inline]
    pub fn vcs(&self) -> usize {
        if VCS == 0 { self.vcs } else { VCS }
    }

    /// Lets every router that is awake move what it can.
    pub fn visit_all(mut self) {
        let groups = self.awake.begin();
        for nth in 0..groups {
            let group = self.order.of(nth, groups);
            let mut words = self.awake.take_group(group);
            while words != 0 {
                let word = self.order.first(words);
                words &= !(1 << word);
                self.visit_word(group * 64 + word as usize);
            }
        }
    }

    /// The same for the routers of one word.
    #[inline]
    fn visit_word(&mut self, word: usize) {
        let (mut wanted, mut again) = (self.awake.take(word), 0);
        if VCS != 0 {
            (wanted, again) = self.hop(word, wanted);
        }
        while wanted != 0 {
            let first = self.order.first(wanted) >> self.wiring.port_bits << self.wiring.port_bits;
            let outputs = (wanted >> first) as u32 & self.wiring.sides;
            wanted &= !(u64::from(self.wiring.sides) << first);
            let outputs = self.visit((word * 64 + first as usize) >> self.wiring.port_bits, outputs);
            again |= u64::from(outputs) << first;
        }
        if again != 0 {
            self.awake.wake_all(word, again);
        }
        if !PAUSING && !self.followed.is_empty() {
            self.step_up();
        }
    }

    /// The next flits of queues whose first ones have left come to the front, when all outputs of their routers have been looked at.
    #[inline]
    fn step_up(&mut self) {
        let Self { wiring, now, routers, ports, queues, ready, downstream, leaving, followed, awake, .. } = self;
        Line::<VCS, PAUSING> { wiring, now: *now, routers, ports, queues, ready, downstream, awake, leaving }
            .step_up(followed);
    }

    /// Moves what a router can move to the outputs that are `wanted`; the outputs that should be looked at in the next cycle, too.
    pub fn visit(&mut self, tile: usize, wanted: u32) -> u32 {
        self.tile = tile;
        (self.first_port, self.first_queue) = (tile << self.wiring.port_bits, tile << self.wiring.queue_bits);
        self.busy = 0;
        if wanted.is_power_of_two() {
            let output = wanted.trailing_zeros();
            if let Some(at) = self.offer(output as usize) {
                self.take(at as usize, output);
            }
            return if self.ports[self.first_port + output as usize].want == 0 { 0 } else { self.busy };
        }
        self.allocate(wanted);
        let again = |output: &u32| self.ports[self.first_port + *output as usize].want != 0;
        bits(self.busy).filter(again).fold(0, |again, output| again | 1 << output)
    }

    /// The same for several outputs.
    fn allocate(&mut self, wanted: u32) {
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
            return self.accept(offering, &speakers);
        }
        for output in bits(offering) {
            self.take(speakers[output as usize].into(), output);
        }
    }

    /// A queue's port takes the only output that offers it the switch.
    #[inline]
    fn take(&mut self, at: usize, output: u32) {
        self.take_turns(at, output as usize);
        self.grant(at, self.flit_for(at, output), output as usize);
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
        let link = self.first_port + output;
        let Port { want, held, credited, owned, .. } = self.ports[link];
        let open = !PAUSING || self.leaving.pauses.is_open(link, self.now);
        if !open && want != 0 {
            self.leaving.wait(link, self.now);
        }
        let ready = if open { owned & credited } else { 0 };
        let holding = owners(ready, self.channels(output)) & want;
        let (heads, free) = (want & !held, every(self.vcs() as u32) & !owned);
        let asking = if heads == 0 || free == 0 { 0 } else { self.allocate_channels(output, heads, free, open) };
        (holding | asking != 0).then(|| {
            self.busy |= 1 << output;
            self.speaker(output, holding, asking)
        })
    }

    /// The queue for whose port it is the turn: of two queues of one port, those whose packets hold a virtual channel go first.
    #[inline]
    fn speaker(&self, output: usize, holding: u64, asking: u64) -> u32 {
        let (vcs, turn) = (self.vcs() as u32, self.ports[self.first_port + output].turn);
        let vc_turn = |at: usize| self.ports[self.first_port + at / VCS].vc_turn;
        if VCS != 0 {
            return speaker::<VCS>(holding, asking, turn, vc_turn) as u32;
        }
        let port = in_turn64(self.ports_of(holding | asking), turn * vcs as u8);
        let group = u64::from(every(vcs));
        let (holding, asking) = ((holding >> port) & group, (asking >> port) & group);
        let speaking = if holding == 0 { asking } else { holding };
        port + in_turn(speaking as u32, self.ports[self.first_port + (port / vcs) as usize].vc_turn)
    }

    /// The first queue of each port that has one of these.
    #[inline]
    fn ports_of(&self, queues: u64) -> u64 {
        (0..self.vcs()).fold(0, |ports, vc| ports | (queues >> vc)) & self.wiring.first_queues
    }

    /// Offers every free virtual channel behind an output to a head; each head takes one of those it is offered. Those of the
    /// heads that ask for the switch in the same cycle.
    #[inline]
    fn allocate_channels(&mut self, output: usize, heads: u64, free: u16, open: bool) -> u64 {
        if VCS == 0 {
            return self.allocate_choosy(output, heads, free, open);
        }
        let (nth, first) = (self.first_port + output, self.channel(output));
        let Some(channels) = self.downstream[first..].first_chunk_mut::<VCS>() else { return 0 };
        let port = &self.ports[nth];
        let (mut able, mut asking) = ([heads; VCS], if free & port.credited == 0 { 0 } else { heads });
        let long = if self.wiring.cut_through() { self.routers[self.tile].long & heads } else { 0 };
        asking &= !long;
        for at in bits64(long) {
            let of = self.queues[self.first_queue + at as usize].front.of;
            for vc in 0..VCS {
                let fits = channels[vc].credits >= of;
                able[vc] ^= u64::from(!fits) << at;
                asking |= u64::from(fits && free >> vc & 1 != 0) << at;
            }
        }
        let all = (0..VCS).filter(|vc| free >> vc & 1 != 0).fold(0, |all, vc| all | able[vc]);
        if all == 0 {
            return 0;
        }
        self.busy |= 1 << output;
        let first = self.first_queue;
        Rivals { ports: self.ports, nth, first_queue: first, channels, turns: &mut self.turns[first..], output }
            .share(able, free);
        if open { asking } else { 0 }
    }

    /// The same where a head may not be able to use every channel, or has to wait before it asks.
    fn allocate_choosy(&mut self, output: usize, heads: u64, free: u16, open: bool) -> u64 {
        let heads = if self.ready.is_empty() { heads } else { self.on_time(output, heads) };
        let credited = self.ports[self.first_port + output].credited;
        let usable = |at: u32| self.usable(&self.queue(at).front, output) & free;
        let able: u64 = bits64(heads).filter(|&at| usable(at) != 0).fold(0, |able, at| able | 1 << at);
        let speculates = self.wiring.timing.head_cycles == 0 && open;
        let asking = bits64(able).filter(|&at| speculates && usable(at) & credited != 0);
        let asking = asking.fold(0, |asking, at| asking | 1 << at);
        if able != 0 {
            self.busy |= 1 << output;
            self.share_channels(output, free, able);
        }
        asking
    }

    /// Those of the heads that may ask for a virtual channel already.
    fn on_time(&mut self, output: usize, heads: u64) -> u64 {
        let is_on_time = |at: &u32| self.ready[self.first_queue + *at as usize] <= self.now;
        let on_time = bits64(heads).filter(is_on_time).fold(0, |on_time, at| on_time | 1 << at);
        self.busy |= u32::from(on_time != heads) << output;
        on_time
    }

    /// Offers each free channel to one of the heads that are able to use it.
    fn share_channels(&mut self, output: usize, free: u16, heads: u64) {
        let (mut offered, mut offers) = (0u64, [NOTHING; 16]);
        for vc in bits(u32::from(free)) {
            let can = |&at: &u32| self.usable(&self.queue(at).front, output) & (1 << vc) != 0;
            let able = bits64(heads).filter(can).fold(0, |able, at| able | 1 << at);
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
            Shape::Torus if self.wiring.closing_ahead(head.way, TileId::at(self.tile), output) => lower,
            Shape::Torus => all & !lower,
            Shape::Mesh => all,
        };
        usable & self.wiring.roomy(head.of, self.channels(output))
    }

    #[inline]
    fn take_channel(&mut self, at: u32, output: usize, offers: u16) {
        let (vcs, first) = (self.vcs(), output * self.vcs());
        let turn = &mut self.turns[self.first_queue + at as usize];
        let from = usize::from(*turn).wrapping_sub(first);
        let vc = in_turn(u32::from(offers), if from < vcs { from as u8 } else { 0 }) as usize;
        *turn = (first + vc + 1) as u16;
        let channel = self.channel(output) + vc;
        self.ports[self.first_port + output].give(&mut self.downstream[channel], at as usize, vc);
    }

    /// A port takes one of the outputs that offer it the switch, and those that offer it for the same flit.
    #[inline]
    fn take_switch(&mut self, port: usize, offers: u32, speakers: &[u8; MOST_PORTS]) {
        let chosen = in_turn(offers, self.ports[self.first_port + port].output_turn);
        let at = usize::from(speakers[chosen as usize]);
        if offers & (offers - 1) == 0 {
            return self.take(at, chosen);
        }
        self.take_turns(at, chosen as usize);
        let place = self.flit_for(at, chosen);
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
        self.ports[self.first_port + at / vcs].take_turns(at, output, vcs);
    }

    /// The first flit of a queue that has an output still to leave by: its place in the pool, nothing for the first of all.
    #[inline]
    fn flit_for(&self, at: usize, output: u32) -> u32 {
        let Queue { front, second, .. } = self.queue(at as u32);
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
        let vcs = self.vcs();
        let port = &mut self.ports[self.first_port + output];
        let Port { held, credited, owned, .. } = *port;
        port.turn = (at / vcs) as u8 + 1;
        if held & (1 << at) == 0 {
            return;
        }
        let vc = held_vc(owned, self.channels(output), at);
        if credited & (1 << vc) != 0 {
            self.pass(at, place, output, vc);
        }
    }
}

/// The queues whose packets hold those of an output's virtual channels that are `ready`.
#[inline]
pub(super) fn owners(ready: u16, channels: &[Downstream]) -> u64 {
    channels.iter().zip(0..).fold(0, |queues, (channel, vc)| queues | u64::from(ready >> vc & 1) << channel.owner())
}

/// The one of an output's virtual channels that the packet of a queue holds.
#[inline]
pub(super) fn held_vc(owned: u16, downstream: &[Downstream], at: usize) -> usize {
    let own = |vc: usize| (owned >> vc & 1 != 0) & (downstream[vc].owner() == at);
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
    select_unpredictable(later == 0, mask, later).trailing_zeros()
}

/// The same of a longer mask.
#[inline]
pub(super) fn in_turn64(mask: u64, turn: u8) -> u32 {
    let later = mask & u64::MAX.wrapping_shl(u32::from(turn));
    select_unpredictable(later == 0, mask, later).trailing_zeros()
}
