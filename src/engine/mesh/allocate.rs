//! Who gets what in a cycle of a router: virtual channels to heads, the switch to input ports, both by turns.

use super::router::bits64;
use super::wiring::bits;
use super::{Channel, Flit, MOST_PORTS, MOST_QUEUES, Mesh, Queue, SIDES};

use crate::hardware::Shape;
use crate::units::Cycle;

/// Most virtual channels of a port.
const MOST_VCS: usize = 16;

/// What the queues of a router ask for; empty between visits.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    /// For each output, the queues whose heads ask for a virtual channel there.
    heads: [u64; MOST_PORTS],
    /// Outputs with such queues.
    headed: u32,
    /// Whether a head may not be able to use every channel.
    choosy: bool,
    /// For each output, the input ports that ask for the switch.
    ports: [u32; MOST_PORTS],
    /// Outputs with such ports.
    asked: u32,
    /// For each input port and output: the virtual channel that asks, and whether its packet holds a channel there.
    speakers: [[(u8, bool); MOST_PORTS]; MOST_PORTS],
    /// For each input port, the outputs that offer it the switch.
    offers: [u32; MOST_PORTS],
    /// Port and virtual channel of each queue.
    place: [(u8, u8); MOST_QUEUES],
}

impl Scratch {
    pub fn new(vcs: usize) -> Self {
        Self {
            heads: [0; MOST_PORTS],
            headed: 0,
            choosy: false,
            ports: [0; MOST_PORTS],
            asked: 0,
            speakers: [[(0, false); MOST_PORTS]; MOST_PORTS],
            offers: [0; MOST_PORTS],
            place: std::array::from_fn(|queue| ((queue / vcs) as u8, (queue % vcs) as u8)),
        }
    }
}

impl Mesh<'_> {
    /// Lets a router move what it can in this cycle; whether it should be visited in the next one, too.
    pub(super) fn switch(&mut self, router: usize, now: Cycle) -> bool {
        let base = self.wiring.first_port[router] as usize;
        let occupied = self.occupied[router];
        if occupied == 0 {
            return false;
        }
        if occupied & (occupied - 1) == 0 {
            let at = occupied.trailing_zeros() as usize;
            let flit = self.flits[self.queues[base * self.vcs + at].first as usize];
            if flit.of == 1 && flit.outputs.is_power_of_two() {
                return self.switch_alone(router, at, &flit, now);
            }
        }
        let mut early = false;
        for at in bits64(occupied) {
            early |= self.ask(base, at as usize, now);
        }
        let (headed, asked) = (self.scratch.headed, self.scratch.asked);
        if headed != 0 {
            self.allocate_channels(base, headed);
        }
        if asked != 0 {
            self.allocate_switch(router, asked, now);
        }
        (self.scratch.headed, self.scratch.asked, self.scratch.choosy) = (0, 0, false);
        self.occupied[router] != 0 && (early | (headed | asked != 0))
    }

    /// The same for the flit of a packet of one, when it is the only one in its router and has one output: what it asks for it
    /// gets.
    fn switch_alone(&mut self, router: usize, at: usize, flit: &Flit, now: Cycle) -> bool {
        let base = self.wiring.first_port[router] as usize;
        let output = flit.outputs.trailing_zeros();
        let Queue { first, held, ready, .. } = self.queues[base * self.vcs + at];
        let Channel { credited, owned, free_at, .. } = self.channels[base + output as usize];
        let on_time = free_at <= now;
        let asks = if held != 0 {
            on_time && credited & (1 << self.held_vc(base, at, output)) != 0
        } else {
            let free = self.open_to(flit, output) & !owned;
            if ready > now || free == 0 {
                return ready > now;
            }
            self.take_channel(base, at, output, free);
            on_time && self.wiring.timing.head_cycles == 0 && free & credited != 0
        };
        if asks {
            let (port, vc) = self.scratch.place[at];
            let input = &mut self.inputs[base + port as usize];
            input.output_turn = output as u8 + 1;
            input.vc_turn = if usize::from(vc) + 1 == self.vcs { 0 } else { vc + 1 };
            self.channels[base + output as usize].turn = port + 1;
            if self.may_pass(base, at, output) {
                self.pass(router, at, first, output, now);
            }
        }
        self.occupied[router] != 0 && (asks || held == 0)
    }

    /// Notes what a queue asks for; whether its head is too early to ask for a virtual channel.
    fn ask(&mut self, base: usize, at: usize, now: Cycle) -> bool {
        let Queue { first, held, ready, .. } = self.queues[base * self.vcs + at];
        let flit = self.flits[first as usize];
        let waiting = self.outputs_of(&flit);
        for output in bits(waiting & held) {
            let channel = &self.channels[base + output as usize];
            let vc = self.held_vc(base, at, output);
            if channel.credited & (1 << vc) != 0 && channel.free_at <= now {
                self.speak(base, at, output, true);
            }
        }
        let wanted = if flit.is_head() { flit.outputs & !held } else { 0 };
        if wanted == 0 || ready > now {
            return wanted != 0;
        }
        for output in bits(wanted) {
            let channel = &self.channels[base + output as usize];
            let free = self.open_to(&flit, output) & !channel.owned & self.roomy(&flit, base + output as usize);
            if free == 0 {
                continue;
            }
            let speculates = self.wiring.timing.head_cycles == 0 && free & channel.credited != 0;
            let on_time = channel.free_at <= now;
            self.scratch.heads[output as usize] |= 1 << at;
            self.scratch.headed |= 1 << output;
            self.scratch.choosy |= self.wiring.noc.shape == Shape::Torus || flit.of > 1;
            if speculates && on_time {
                self.speak(base, at, output, false);
            }
        }
        false
    }

    /// Outputs for which a queue has a flit: behind a packet's first flit there may be others, for outputs that have taken it.
    fn outputs_of(&self, first: &Flit) -> u32 {
        let (mut outputs, mut flit) = (first.outputs, first);
        while self.wiring.cut_through() && !flit.is_tail() && (flit.next as usize) < self.flits.len() {
            flit = &self.flits[flit.next as usize];
            outputs |= flit.outputs;
        }
        outputs
    }

    /// The virtual channels behind an output that a packet may use: on a torus those below the middle as long as a closing link
    /// lies ahead in this dimension, then the others, so that no ring of waiting packets can close.
    fn open_to(&self, flit: &Flit, output: u32) -> u16 {
        let all = ((1u32 << self.vcs) - 1) as u16;
        let lower = ((1u32 << (self.vcs / 2)) - 1) as u16;
        match self.wiring.noc.shape {
            Shape::Torus if output < SIDES && flit.ahead & (1 << output) != 0 => lower,
            Shape::Torus if output < SIDES => all & !lower,
            Shape::Torus | Shape::Mesh => all,
        }
    }

    /// The virtual channels behind a channel with room for a packet: what keeps copies of long packets free of deadlock.
    pub(super) fn roomy(&self, flit: &Flit, channel: usize) -> u16 {
        if flit.of == 1 || !self.wiring.cut_through() {
            return u16::MAX;
        }
        let downstream = self.downstream[channel * self.vcs..][..self.vcs].iter().zip(0..);
        downstream.filter(|(vc, _)| vc.credits >= flit.of).fold(0, |vcs, (_, vc)| vcs | 1 << vc)
    }

    /// The virtual channel that a queue's packet holds at an output.
    pub(super) fn held_vc(&self, base: usize, at: usize, output: u32) -> usize {
        if self.vcs == 1 {
            return 0;
        }
        let channel = base + output as usize;
        let owned = u32::from(self.channels[channel].owned);
        let own = |&vc: &u32| usize::from(self.downstream[channel * self.vcs + vc as usize].owner) == at;
        bits(owned).find(own).map_or(0, |vc| vc as usize)
    }

    /// Lets a queue speak for its port at an output, unless another of the port's queues goes first.
    #[inline]
    fn speak(&mut self, base: usize, at: usize, output: u32, holds: bool) {
        let Scratch { place, ports, asked, speakers, .. } = &mut self.scratch;
        let (port, vc) = place[at];
        let speaker = &mut speakers[port as usize][output as usize];
        *asked |= 1 << output;
        if ports[output as usize] & (1 << port) == 0 {
            ports[output as usize] |= 1 << port;
            *speaker = (vc, holds);
            return;
        }
        let turn = self.inputs[base + port as usize].vc_turn;
        let wait = |vc: u8| if vc >= turn { vc - turn } else { vc + self.vcs as u8 - turn };
        if (holds && !speaker.1) || (holds == speaker.1 && wait(vc) < wait(speaker.0)) {
            *speaker = (vc, holds);
        }
    }

    /// Offers every free virtual channel to a head; each head takes one of those it is offered.
    fn allocate_channels(&mut self, base: usize, headed: u32) {
        for output in bits(headed) {
            let heads = std::mem::take(&mut self.scratch.heads[output as usize]);
            let channel = base + output as usize;
            let free = ((1u32 << self.vcs) - 1) & !u32::from(self.channels[channel].owned);
            let (mut offered, mut offers) = (0u64, [0u8; MOST_VCS]);
            for vc in bits(free) {
                let able = if self.scratch.choosy { self.able(base, output, vc, heads) } else { heads };
                if able != 0 {
                    let at = in_turn64(able, self.downstream[channel * self.vcs + vc as usize].turn);
                    offered |= 1 << at;
                    offers[vc as usize] = at as u8;
                }
            }
            for at in bits64(offered) {
                let own = bits(free).filter(|&vc| u32::from(offers[vc as usize]) == at);
                let own = own.filter(|vc| !self.scratch.choosy || self.able(base, output, *vc, 1 << at) != 0);
                self.take_channel(base, at as usize, output, own.fold(0, |own, vc| own | 1 << vc));
            }
        }
    }

    /// Those of the queues whose heads can use a virtual channel.
    fn able(&self, base: usize, output: u32, vc: u32, heads: u64) -> u64 {
        let can = |&at: &u32| {
            let flit = &self.flits[self.queues[base * self.vcs + at as usize].first as usize];
            self.open_to(flit, output) & self.roomy(flit, base + output as usize) & (1 << vc) != 0
        };
        bits64(heads).filter(can).fold(0, |able, at| able | 1 << at)
    }

    fn take_channel(&mut self, base: usize, at: usize, output: u32, offers: u16) {
        let (queue, first) = (&mut self.queues[base * self.vcs + at], output as usize * self.vcs);
        let turn = usize::from(queue.turn).checked_sub(first).filter(|&turn| turn < self.vcs).unwrap_or(0);
        let vc = in_turn(u32::from(offers), turn as u8);
        queue.turn = (first + vc as usize + 1) as u16;
        queue.held |= 1 << output;
        let channel = base + output as usize;
        self.channels[channel].owned |= 1 << vc;
        let downstream = &mut self.downstream[channel * self.vcs + vc as usize];
        (downstream.owner, downstream.turn) = (at as u8, at as u8 + 1);
    }

    /// Every output offers the switch to an input port; each port takes one offer, and those for the same flit.
    fn allocate_switch(&mut self, router: usize, asked: u32, now: Cycle) {
        let base = self.wiring.first_port[router] as usize;
        let mut offered = 0;
        for output in bits(asked) {
            let ports = std::mem::take(&mut self.scratch.ports[output as usize]);
            let port = in_turn(ports, self.channels[base + output as usize].turn);
            self.scratch.offers[port as usize] |= 1 << output;
            offered |= 1 << port;
        }
        for port in bits(offered) {
            let offers = std::mem::take(&mut self.scratch.offers[port as usize]);
            self.take_switch(router, port, offers, now);
        }
    }

    fn take_switch(&mut self, router: usize, port: u32, offers: u32, now: Cycle) {
        let base = self.wiring.first_port[router] as usize;
        let input = &mut self.inputs[base + port as usize];
        let chosen = in_turn(offers, input.output_turn);
        let (vc, _) = self.scratch.speakers[port as usize][chosen as usize];
        input.output_turn = chosen as u8 + 1;
        input.vc_turn = if usize::from(vc) + 1 == self.vcs { 0 } else { vc + 1 };
        let at = port as usize * self.vcs + usize::from(vc);
        let flit = self.flit_for(base, at, chosen);
        for output in bits(offers) {
            let same = output == chosen
                || (self.scratch.speakers[port as usize][output as usize].0 == vc
                    && self.flit_for(base, at, output) == flit);
            if same {
                self.channels[base + output as usize].turn = port as u8 + 1;
            }
            if same && self.may_pass(base, at, output) {
                self.pass(router, at, flit, output, now);
            }
        }
    }

    /// Whether a flit that was granted the switch has the virtual channel and the credit that it needs, too.
    fn may_pass(&self, base: usize, at: usize, output: u32) -> bool {
        let Channel { credited, .. } = self.channels[base + output as usize];
        self.queues[base * self.vcs + at].held & (1 << output) != 0
            && credited & (1 << self.held_vc(base, at, output)) != 0
    }

    /// The first flit of a queue that has an output still to leave by.
    fn flit_for(&self, base: usize, at: usize, output: u32) -> u32 {
        let mut flit = self.queues[base * self.vcs + at].first;
        while self.flits[flit as usize].outputs & (1 << output) == 0 && self.flits[flit as usize].next != super::NOTHING
        {
            flit = self.flits[flit as usize].next;
        }
        flit
    }
}

/// The first set bit of a mask that is not empty, from `turn` on and then from the start.
#[inline]
pub(super) fn in_turn(mask: u32, turn: u8) -> u32 {
    let later = mask & u32::MAX.checked_shl(u32::from(turn)).unwrap_or(0);
    if later == 0 { mask.trailing_zeros() } else { later.trailing_zeros() }
}

/// The same of a longer mask.
#[inline]
fn in_turn64(mask: u64, turn: u8) -> u32 {
    let later = mask & u64::MAX.checked_shl(u32::from(turn)).unwrap_or(0);
    if later == 0 { mask.trailing_zeros() } else { later.trailing_zeros() }
}
