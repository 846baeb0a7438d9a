//! Packets of one flit that ask for the same output, each alone in its port: who goes.

use super::allocate::{held_vc, in_turn64, owners};
use super::state::{Downstream, Port, every};

/// An output, what is behind it, and the queues of its router.
pub(super) struct Rivals<'a, const VCS: usize> {
    pub port: &'a mut Port,
    /// The virtual channels behind the output.
    pub channels: &'a mut [Downstream; VCS],
    /// The virtual channels that the heads of the router's queues try first.
    pub turns: &'a mut [u16],
    /// Which output of its router it is.
    pub output: usize,
}

/// What a cycle brings at such an output.
pub(super) struct Settled {
    /// Whether it has to be looked at again in the next cycle if anybody is left.
    pub again: bool,
    /// The queue that wins the switch.
    pub winner: Option<usize>,
    /// The virtual channel into which its packet goes, if it has one, with a free slot.
    pub channel: Option<usize>,
}

impl<const VCS: usize> Rivals<'_, VCS> {
    /// Both allocations of one cycle, as for any others: see [`super::allocate::Round`].
    #[inline(always)]
    pub fn settle(mut self) -> Settled {
        let (want, held, credited) = (self.port.want, self.port.held, self.port.credited);
        let ready = self.port.owned & credited;
        let mut speaking = owners(ready, self.channels) & want;
        let (heads, free) = (want & !held, every(VCS as u32) & !self.port.owned);
        let shares = heads != 0 && free != 0;
        if shares {
            self.share([heads; VCS], free);
            speaking |= if free & credited == 0 { 0 } else { heads };
        }
        if speaking == 0 {
            return Settled { again: shares, winner: None, channel: None };
        }
        let at = in_turn64(speaking, self.port.turn * VCS as u8) as usize;
        self.port.turn = (at / VCS) as u8 + 1;
        let held = (self.port.held >> at & 1 != 0).then(|| held_vc(self.port.owned, self.channels, at));
        Settled { again: true, winner: Some(at), channel: held.filter(|vc| credited >> vc & 1 != 0) }
    }

    /// Offers every free virtual channel to the head whose turn it is, of those that are `able` to use it; each head takes one of
    /// those it is offered.
    #[inline(always)]
    pub fn share(&mut self, able: [u64; VCS], free: u16) {
        let offer = |vc: usize| in_turn64(able[vc], self.channels[vc].turn) as usize;
        if VCS == 2 && free == 3 && able[0] != 0 && offer(0) == offer(1) {
            let at = offer(0);
            let vc = take_turn(&mut self.turns[at], self.output * VCS);
            return self.port.give(&mut self.channels[vc], at, vc);
        }
        for vc in (0..VCS).filter(|vc| free >> vc & 1 != 0 && able[*vc] != 0) {
            let at = in_turn64(able[vc], self.channels[vc].turn) as usize;
            if VCS > 1 {
                self.turns[at] = (self.output * VCS + vc) as u16 + 1;
            }
            self.port.give(&mut self.channels[vc], at, vc);
        }
    }
}

impl Port {
    /// Gives a virtual channel behind this output to a head.
    #[inline(always)]
    pub fn give(&mut self, channel: &mut Downstream, at: usize, vc: usize) {
        self.owned |= 1 << vc;
        self.held |= 1 << at;
        (channel.owner, channel.turn) = (at as u8, at as u8 + 1);
    }
}

/// The virtual channel that a head takes of two that are free, the first of which is `first`: the second one after a packet of its
/// queue has taken the first one.
#[inline(always)]
pub(super) fn take_turn(turn: &mut u16, first: usize) -> usize {
    let vc = usize::from(usize::from(*turn) == first + 1);
    *turn = (first + vc) as u16 + 1;
    vc
}
