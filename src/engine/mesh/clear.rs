//! A flit that nobody keeps from moving on.

use super::Way;
use super::events::Leaving;
use super::state::{Downstream, Port};
use super::wheel::{Arrival, Part};
use super::wiring::Wiring;
use crate::units::Cycle;

/// A flit that asks for one output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Single {
    /// Its queue, counted through the network, and in its router.
    pub queue: usize,
    pub at: usize,
    /// The port of the output, counted likewise.
    pub port: usize,
    pub output: usize,
    pub tag: u32,
    pub way: Way,
    pub part: Part,
}

/// What a flit touches that nobody keeps from moving on.
pub(super) struct Clear<'a> {
    pub wiring: &'a Wiring,
    pub ports: &'a mut [Port],
    pub downstream: &'a mut [Downstream],
    pub flits: &'a mut [u64],
    pub leaving: &'a mut Leaving,
}

impl Clear<'_> {
    /// Moves a flit, which is in its queue no more and asks for nothing any more, to its output, and gives its slot back.
    #[inline(always)]
    pub fn pass<const VCS: usize, const PAUSING: bool, const SCARCE: bool>(self, flit: Single, vc: usize, now: Cycle) {
        let Self { wiring, ports, downstream, flits, leaving } = self;
        let clear = Clear { wiring, ports, downstream, flits, leaving: &mut *leaving };
        clear.send::<VCS, PAUSING, SCARCE>(flit, vc, now);
        let input = &mut ports[flit.queue / VCS];
        input.take_turns(flit.at, flit.output, VCS);
        leaving.give_back::<SCARCE>(downstream, input.feed + (flit.queue % VCS) as u32);
    }

    /// Moves a flit to one of its outputs.
    #[inline(always)]
    pub fn send<const VCS: usize, const PAUSING: bool, const SCARCE: bool>(self, flit: Single, vc: usize, now: Cycle) {
        let Self { wiring, ports, downstream, flits, leaving } = self;
        let Single { at, port: nth, output, tag, way, part, .. } = flit;
        flits[nth] += 1;
        let port = &mut ports[nth];
        let channel = &mut downstream[nth * VCS + vc];
        channel.turn = at as u8 + 1;
        let last = leaving.take_slot::<SCARCE>(channel);
        if SCARCE || last {
            port.credited ^= u16::from(last) << vc;
        }
        let (behind, kind) = (port.behind, port.kind);
        port.turn = (at / VCS) as u8 + 1;
        if PAUSING {
            leaving.pauses.take(kind, nth, now);
        }
        let way = wiring.next(way, output);
        leaving.put(now, kind, Arrival { queue: behind + vc as u32, tag, way, part });
    }
}
