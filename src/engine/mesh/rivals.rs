//! Packets of one flit that ask for the same output, of ports that need not choose between outputs: who goes.

use super::allocate::{held_vc, in_turn64, owners};
use super::state::{Downstream, Port, every};
use super::wiring::MOST_QUEUES;
use std::array::from_fn;
use std::hint::select_unpredictable;

/// An output, what is behind it, and the queues of its router.
pub(super) struct Rivals<'a, const VCS: usize> {
    /// The ports of all routers, and which of them it is.
    pub ports: &'a mut [Port],
    pub nth: usize,
    /// The first queue of its router, counted through the network.
    pub first_queue: usize,
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
        let Port { want, held, credited, owned, turn, .. } = self.ports[self.nth];
        let holding = owners(owned & credited, self.channels) & want;
        let (heads, free) = (want & !held, every(VCS as u32) & !owned);
        self.share([heads; VCS], free);
        let asking = if free & credited == 0 { 0 } else { heads };
        if holding | asking == 0 {
            return Settled { again: heads != 0 && free != 0, winner: None, channel: None };
        }
        let vc_turn = |at: usize| self.ports[(self.first_queue + at) / VCS].vc_turn;
        let at = speaker::<VCS>(holding, asking, turn, vc_turn);
        let port = &self.ports[self.nth];
        let held = (port.held >> at & 1 != 0).then(|| held_vc(port.owned, self.channels, at));
        Settled { again: true, winner: Some(at), channel: held.filter(|vc| credited >> vc & 1 != 0) }
    }

    /// Offers every free virtual channel to the head whose turn it is, of those that are `able` to use it; each head takes one of
    /// those it is offered. Without a branch on who that is, which nobody could foresee.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "three arrays are gone through together")]
    pub fn share(&mut self, able: [u64; VCS], free: u16) {
        let first = self.output * VCS;
        let offers: [usize; VCS] = from_fn(|vc| in_turn64(able[vc], self.channels[vc].turn) as usize % MOST_QUEUES);
        let mut takes = (0..VCS).fold(0, |some, vc| some | u16::from(able[vc] != 0) << vc) & free;
        if VCS == 2 {
            let same = u16::from((takes == 3) & (offers[0] == offers[1]));
            takes &= !(same << u16::from(usize::from(self.turns[offers[0]]) != first + 1));
        }
        let port = &mut self.ports[self.nth];
        port.owned |= takes;
        port.held |= (0..VCS).fold(0, |held, vc| held | u64::from(takes >> vc & 1) << offers[vc]);
        for vc in 0..VCS {
            let (at, takes, channel) = (offers[vc], takes >> vc & 1 != 0, &mut self.channels[vc]);
            channel.turn = select_unpredictable(takes, at as u8 + 1, channel.turn);
            if VCS > 1 {
                let turn = &mut self.turns[at];
                *turn = select_unpredictable(takes, (first + vc) as u16 + 1, *turn);
            }
        }
    }
}

/// The queue for whose port it is the `turn`, of those that ask for the switch: of two queues of one port, those whose packets hold
/// a virtual channel go first, then those whose turn it is in their port.
#[inline(always)]
pub(super) fn speaker<const VCS: usize>(holding: u64, asking: u64, turn: u8, vc_turn: impl Fn(usize) -> u8) -> usize {
    let all = holding | asking;
    if VCS == 1 {
        return in_turn64(all, turn) as usize;
    }
    let first = in_turn64((all | all >> 1) & 0x5555_5555_5555_5555, turn * 2) as usize;
    let (holding, asking) = (holding >> first & 3, asking >> first & 3);
    let speaking = if holding == 0 { asking } else { holding };
    first + if speaking == 3 { usize::from(vc_turn(first)) } else { speaking as usize >> 1 }
}

impl Port {
    /// Gives a virtual channel behind this output to a head.
    #[inline(always)]
    pub fn give(&mut self, channel: &mut Downstream, at: usize, vc: usize) {
        self.owned |= 1 << vc;
        self.held |= 1 << at;
        channel.turn = at as u8 + 1;
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
