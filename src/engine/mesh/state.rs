//! What is known of a router: few words, those that are needed together beside each other.

use super::wiring::{MOST_QUEUES, SIDES, Wiring};
use super::{NOTHING, Way};

/// A part of a packet in a router.
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
    #[inline]
    pub fn is_tail(&self) -> bool {
        self.index + 1 == self.of
    }
}

/// A router as a whole.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(super) struct Router {
    /// Queues with flits, one bit each.
    pub occupied: u64,
    /// Queues at whose front is a flit of a longer packet.
    pub long: u64,
    /// Queues at whose front is a flit of a packet that takes several outputs here.
    pub split: u64,
    /// Pairs of queues of one port at whose fronts are flits for different outputs: the port lets one of them go in a cycle.
    pub torn: u64,
}

impl Router {
    pub fn new() -> Self {
        Self { occupied: 0, long: 0, split: 0, torn: 0 }
    }

    /// Notes that a flit has come to the front of a queue that had none there.
    #[inline(always)]
    pub fn come_first(&mut self, at: usize, long: bool, split: bool) {
        self.occupied |= 1 << at;
        self.long |= u64::from(long) << at;
        self.split |= u64::from(split) << at;
    }

    /// Notes whether the two queues of a port, of which one has a number, ask for different outputs.
    #[inline(always)]
    pub fn tear(&mut self, at: usize, torn: bool) {
        let first = at & !1;
        self.torn = self.torn & !(3 << first) | (u64::from(torn) * 3) << first;
    }

    /// Queues at whose front is a flit of a longer packet, or with several outputs.
    #[inline]
    pub fn odd(&self) -> u64 {
        self.long | self.split
    }
}

/// Both sides of a port: its output, and the input beside it.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(super) struct Port {
    /// Queues whose first packet has a flit for this output, one bit each.
    pub want: u64,
    /// Queues whose packets hold a virtual channel behind this output.
    pub held: u64,
    /// The first queue behind this output, counted through the whole network; behind a unit's port its first virtual channel.
    pub behind: u32,
    /// The virtual channel, as its upstream end counts it, that fills the first queue of this input.
    pub feed: u32,
    /// Virtual channels behind this output with a free slot, one bit each.
    pub credited: u16,
    /// Virtual channels behind this output that a packet holds.
    pub owned: u16,
    /// The input port whose turn it is at this output.
    pub turn: u8,
    /// The output whose offer this input takes first.
    pub output_turn: u8,
    /// The virtual channel that speaks for this input first, among those that ask for the same output.
    pub vc_turn: u8,
    /// The kind of link behind this output.
    pub kind: u8,
}

impl Port {
    pub fn new(wiring: &Wiring, port: usize) -> Self {
        let vcs = wiring.noc.virtual_channels;
        let (_, side) = wiring.place_of(port);
        let behind = match wiring.behind[port] {
            _ if side >= SIDES as usize => port as u32 * vcs,
            NOTHING => NOTHING,
            neighbour => wiring.queue(neighbour as usize) as u32,
        };
        let feed = (wiring.upstream(port) as u32).saturating_mul(vcs);
        Self {
            want: 0,
            held: 0,
            behind,
            feed,
            credited: every(vcs),
            owned: 0,
            turn: 0,
            output_turn: 0,
            vc_turn: 0,
            kind: wiring.alike(wiring.kind[port]),
        }
    }
}

/// All virtual channels of a port, one bit each.
pub(super) fn every(vcs: u32) -> u16 {
    ((1u32 << vcs) - 1) as u16
}

/// A virtual channel of an input port: its first flit, and a list of the others through the pool.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(super) struct Queue {
    pub front: Flit,
    /// The flit behind the first one, and the last one, where there are more.
    pub second: u32,
    pub last: u32,
    /// How many flits there are.
    pub len: u16,
}

impl Queue {
    pub fn empty() -> Self {
        let front = Flit { tag: 0, way: Way::default(), outputs: 0, index: 0, of: 1 };
        Self { front, second: NOTHING, last: NOTHING, len: 0 }
    }
}

/// A virtual channel as its upstream end sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Downstream {
    /// Free slots.
    pub credits: u16,
    /// One more than the queue of the upstream router whose packet holds it, or has held it last: the queue whose turn is next. 0
    /// before the first one.
    pub turn: u8,
}

impl Downstream {
    pub fn free(credits: u16) -> Self {
        Self { credits, turn: 0 }
    }

    /// The queue of the upstream router whose packet holds it, if any does.
    #[inline(always)]
    pub fn owner(self) -> usize {
        usize::from(self.turn.wrapping_sub(1)) % MOST_QUEUES
    }

    /// Takes a slot back that is free again, where there are so many others; otherwise it has to wait until it has come.
    #[inline]
    pub fn take_back(&mut self, others: u16) -> bool {
        let many = self.credits >= others;
        self.credits += u16::from(many);
        many
    }
}
