//! Ports whose two queues are offered different outputs in one cycle, of which they take one.

use super::allocate::in_turn;

/// An output that offers the switch to a queue.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Offer {
    /// The output, and the queue, counted through the network.
    pub nth: u32,
    pub queue: u32,
    /// The virtual channel into which its packet goes, if it has one, with a free slot.
    pub channel: Option<u8>,
}

/// Offers to queues beside which others may be offered another output in the same cycle: of the outputs of one word, which are
/// looked at in their order.
#[derive(Debug, Clone)]
pub(super) struct Offers {
    /// The ports that have an offer each.
    ports: u64,
    all: [Offer; 64],
}

impl Offers {
    pub fn none() -> Self {
        Self { ports: 0, all: [Offer::default(); 64] }
    }

    /// Which offer a port takes now, if the queue beside asks for `other` outputs that are awake, at most one: the offer waits while
    /// that one is still to be looked at; of two offers one is taken, and the output of the other one joins those to look at `again`.
    #[inline(always)]
    pub fn settle(&mut self, offer: Offer, (output, other): (u32, u32), turn: u8, again: &mut u64) -> Option<Offer> {
        let port = offer.queue as usize / 2 % 64;
        if other > 1 << output {
            self.ports |= 1 << port;
            self.all[port] = offer;
            return None;
        }
        if other == 0 || self.ports >> port & 1 == 0 {
            return Some(offer);
        }
        self.ports ^= 1 << port;
        let here = in_turn(1 << output | other, turn) == output;
        let (taken, rejected) = if here { (offer, self.all[port]) } else { (self.all[port], offer) };
        *again |= 1 << (rejected.nth % 64);
        Some(taken)
    }

    /// One of those that have waited, and have no rival.
    #[inline(always)]
    pub fn first(&mut self) -> Option<Offer> {
        let port = self.ports.trailing_zeros() as usize;
        self.ports &= self.ports.wrapping_sub(1);
        self.all.get(port).copied()
    }
}
