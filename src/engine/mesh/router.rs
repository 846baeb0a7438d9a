//! One cycle of one router: inputs nominate, outputs grant, flits move.

use super::wiring::bits;
use super::{Arrival, Channel, Credit, MOST_PORTS, Mesh, SIDES, Stuck, Way, in_turn};
use crate::program::Direction;
use crate::units::{Cycle, TileId, UnitId};

/// A part of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flit {
    pub tag: u32,
    pub way: Way,
    /// The outputs of its router that it has not yet left by, one bit each.
    pub outputs: u32,
    /// Which flit of its packet it is.
    pub index: u16,
    /// How many flits its packet has.
    pub of: u16,
}

impl Flit {
    pub fn is_head(self) -> bool {
        self.index == 0
    }

    pub fn is_tail(self) -> bool {
        self.index + 1 == self.of
    }
}

/// The flit that an input port would like to move.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nominee {
    vc: u8,
    /// Its place in its queue.
    depth: u16,
    /// The outputs that it can move to.
    outputs: u32,
}

impl Mesh<'_> {
    /// Lets a router move what it can in this cycle; whether it should be visited in the next one, too.
    pub(super) fn switch(&mut self, router: usize, now: Cycle) -> bool {
        let base = self.wiring.first_port[router] as usize;
        let mut requested = 0;
        for input in bits(self.occupied[router]) {
            let nominee = self.nominate(base, input as usize, now);
            bits(nominee.outputs).for_each(|output| self.requests[output as usize] |= 1 << input);
            requested |= nominee.outputs;
            self.nominees[input as usize] = nominee;
        }
        for output in bits(requested) {
            let requests = std::mem::take(&mut self.requests[output as usize]);
            let channel = &mut self.channels[base + output as usize];
            let input = in_turn(requests, channel.input_turn);
            channel.input_turn = after(input, MOST_PORTS);
            self.pass(router, input as usize, self.nominees[input as usize], output, now);
        }
        requested != 0 && self.occupied[router] != 0
    }

    /// The first flit of an input port that can move, virtual channels in turn; without outputs if there is none.
    fn nominate(&self, base: usize, input: usize, now: Cycle) -> Nominee {
        let Self { inputs, queues, .. } = self;
        let (port, mut left) = (base + input, u32::from(inputs[base + input].occupied));
        while left != 0 {
            let vc = in_turn(left, inputs[port].turn);
            left &= !(1 << vc);
            let queue = port * self.vcs + vc as usize;
            let mut behind_others = 0;
            for (flit, depth) in queues[queue].iter().zip(0..) {
                let outputs = bits(flit.outputs & !behind_others)
                    .filter(|&output| self.lets(base, queue, *flit, output, now))
                    .fold(0, |outputs, output| outputs | 1 << output);
                if outputs != 0 {
                    return Nominee { vc: vc as u8, depth, outputs };
                }
                behind_others |= flit.outputs;
                if flit.is_tail() {
                    break;
                }
            }
        }
        Nominee::default()
    }

    /// Whether an output can take a flit of a queue now.
    fn lets(&self, base: usize, queue: usize, flit: Flit, output: u32, now: Cycle) -> bool {
        let at = base + output as usize;
        let channel = &self.channels[at];
        channel.free_at <= now
            && (output >= SIDES
                || if flit.is_head() {
                    self.free_vcs(at, flit.of) != 0
                } else {
                    channel.credited & (1 << self.held[queue * MOST_PORTS + output as usize]) != 0
                })
    }

    /// The virtual channels behind a channel that a packet of `flits` may take.
    pub(super) fn free_vcs(&self, channel: usize, flits: u16) -> u32 {
        let Channel { credited, owned, .. } = self.channels[channel];
        let free = u32::from(credited & !owned);
        if flits == 1 || !self.wiring.cut_through() {
            return free;
        }
        let credits = &self.credits[channel * self.vcs..][..self.vcs];
        bits(free).filter(|&vc| credits[vc as usize] >= flits).fold(0, |vcs, vc| vcs | 1 << vc)
    }

    /// Moves a nominated flit to one output.
    fn pass(&mut self, router: usize, input: usize, nominee: Nominee, output: u32, now: Cycle) {
        let base = self.wiring.first_port[router] as usize;
        let port = base + input;
        let queue = port * self.vcs + nominee.vc as usize;
        let flit = &mut self.queues[queue][nominee.depth as usize];
        flit.outputs &= !(1 << output);
        let flit = *flit;
        self.moves += 1;
        if output < SIDES {
            let held = &mut self.held[queue * MOST_PORTS + output as usize];
            let mut vc = *held;
            if flit.is_head() {
                vc = self.take_vc(base + output as usize, flit.of);
                self.held[queue * MOST_PORTS + output as usize] = vc;
            }
            self.over_link(base + output as usize, output, vc, flit, now);
        } else {
            self.count(base + output as usize, now);
            if flit.is_tail() {
                let unit = UnitId(self.wiring.behind[base + output as usize]);
                self.ejected.push(now + self.wiring.timing.eject_cycles, (unit, flit.tag));
            }
        }
        self.inputs[port].turn = after(u32::from(nominee.vc), self.vcs);
        if nominee.depth == 0 && flit.outputs == 0 {
            self.release(router, input, nominee.vc, now);
        }
    }

    /// Chooses the virtual channel for a packet's head, in turn, and keeps it for the packet.
    pub(super) fn take_vc(&mut self, channel: usize, flits: u16) -> u8 {
        let free = self.free_vcs(channel, flits);
        let at = &mut self.channels[channel];
        let vc = in_turn(free, at.turn);
        at.turn = after(vc, self.vcs);
        at.owned |= 1 << vc;
        vc as u8
    }

    fn over_link(&mut self, channel: usize, side: u32, vc: u8, flit: Flit, now: Cycle) {
        let timing = &self.wiring.timing;
        let (link, cycles) = if Direction::ALL[side as usize].is_horizontal() {
            (0, timing.link_horizontal_cycles)
        } else {
            (1, timing.link_vertical_cycles)
        };
        let due = now + cycles + timing.router_cycles;
        let flit_on = Flit { way: self.wiring.next(flit.way, side), ..flit };
        self.fill(channel, vc, flit);
        self.count(channel, now);
        self.arrivals[link].push(due, Arrival { port: self.wiring.behind[channel], vc, flit: flit_on });
    }

    /// Takes a slot of a virtual channel for a flit; a tail leaves the virtual channel to others.
    pub(super) fn fill(&mut self, channel: usize, vc: u8, flit: Flit) {
        let credits = &mut self.credits[channel * self.vcs + vc as usize];
        *credits -= 1;
        if *credits == 0 {
            self.channels[channel].credited &= !(1 << vc);
        }
        if flit.is_tail() {
            self.channels[channel].owned &= !(1 << vc);
        }
    }

    /// Counts a flit that leaves, and keeps the channel until the next one may.
    pub(super) fn count(&mut self, channel: usize, now: Cycle) {
        let interval = self.wiring.timing.flit_interval_cycles;
        self.channels[channel].flits += 1;
        self.channels[channel].free_at = now + interval;
        if interval > 1 {
            self.pauses.push(now + interval, channel as u32);
        }
    }

    /// Drops the flit at the head of a queue and sends its slot's credit back.
    fn release(&mut self, router: usize, input: usize, vc: u8, now: Cycle) {
        let port = self.wiring.first_port[router] as usize + input;
        let queue = &mut self.queues[port * self.vcs + vc as usize];
        queue.pop_front();
        self.resident -= 1;
        if queue.is_empty() {
            self.inputs[port].occupied &= !(1 << vc);
            if self.inputs[port].occupied == 0 {
                self.occupied[router] &= !(1 << input);
            }
        }
        // A slot that is freed in this cycle can be filled in the next one at the earliest, in whatever order routers are visited.
        let due = now + self.wiring.timing.credit_cycles.max(1);
        self.returning.push(due, Credit { channel: self.wiring.upstream(router, port) as u32, vc });
    }

    /// The first flit of every queue that holds one, and what it lacks: who is to blame if nothing moves any more.
    #[must_use]
    pub fn stuck(&self) -> Vec<Stuck> {
        let mut all = vec![];
        for (port, &router) in self.wiring.router_of.iter().enumerate() {
            let base = self.wiring.first_port[router as usize] as usize;
            for vc in 0..self.vcs {
                let Some(flit) = self.queues[port * self.vcs + vc].front() else { continue };
                let input = format!("input {}, virtual channel {vc}", side_name((port - base) as u32));
                let lacks = self.lacks(base, port * self.vcs + vc, *flit);
                all.push(Stuck { tag: flit.tag, tile: TileId(router), input, lacks });
            }
        }
        all.extend(self.sources.iter().enumerate().filter_map(|(unit, source)| {
            let place = self.wiring.units[unit];
            let (tag, input) = (source.front()?.tag, format!("packet queue of {}", side_name(SIDES + place.port)));
            Some(Stuck { tag, tile: place.tile, input, lacks: "a credit of its router".into() })
        }));
        all
    }

    fn lacks(&self, base: usize, queue: usize, flit: Flit) -> String {
        let Some(output) = bits(flit.outputs).next() else {
            return "an output: its tree ends here without a unit".into();
        };
        let channel = &self.channels[base + output as usize];
        let side = side_name(output);
        let held = self.held[queue * MOST_PORTS + output as usize];
        if !flit.is_head() {
            format!("a credit of virtual channel {held} to the {side}")
        } else if channel.credited & !channel.owned == 0 && channel.owned != 0 {
            format!("a virtual channel to the {side}: other packets hold them")
        } else {
            format!("a credit to the {side}")
        }
    }
}

fn side_name(port: u32) -> String {
    match Direction::ALL.get(port as usize) {
        Some(direction) => format!("{direction:?}").to_lowercase(),
        None => format!("unit {}", port - SIDES),
    }
}

/// Whose turn it is after `index` of `count`.
pub(super) fn after(index: u32, count: usize) -> u8 {
    if index as usize + 1 == count { 0 } else { index as u8 + 1 }
}
