//! The common case, in one go: flits without rivals.

use super::Mesh;
use super::events::Arrival;
use super::state::{Flit, every};

impl Mesh<'_> {
    /// Moves flits to the outputs of a word that are `wanted`: every packet of one flit that is alone in its port and alone in
    /// asking for its output, behind which all virtual channels have a free slot. What it asks for it gets. The other outputs.
    /// `PAUSING` says whether there are links that do not take a flit in every cycle.
    #[inline(never)]
    pub(super) fn hop<const VCS: usize, const PAUSING: bool>(&mut self, word: usize, mut wanted: u64) -> u64 {
        let Self { wiring, routers, ports, queues, downstream, flits, leaving, followed, .. } = self;
        let (port_bits, queue_bits, all) = (wiring.port_bits, wiring.queue_bits, every(VCS as u32));
        let mut others = 0;
        while wanted != 0 {
            let nth = word * 64 + wanted.trailing_zeros() as usize;
            let bit = wanted & wanted.wrapping_neg();
            wanted ^= bit;
            let (tile, output) = (nth >> port_bits, nth & ((1 << port_bits) - 1));
            let (router, port) = (&mut routers[tile], &mut ports[nth]);
            let (want, alone) = (port.want, alone::<VCS>(router.occupied) & !router.odd);
            let rivals = (want & want.wrapping_sub(1)) | (want & !alone) | port.held | u64::from(port.credited ^ all);
            if rivals != 0 || (PAUSING && router.open & (1 << output) == 0) {
                others |= bit;
                continue;
            }
            let at = want.trailing_zeros() as usize;
            let queue = &mut queues[(tile << queue_bits) + at];
            let Flit { tag, way, index, of, .. } = queue.front;
            // The channel that comes first in turn: the second one after a packet has taken the first one.
            let vc = usize::from(VCS == 2 && usize::from(queue.turn) == output * VCS + 1);
            queue.turn = (output * VCS + vc) as u16 + 1;
            queue.len -= 1;
            if queue.len == 0 {
                router.occupied ^= want;
            } else {
                followed.push(((tile << queue_bits) + at) as u32);
            }
            let downstream = &mut downstream[nth * VCS + vc];
            downstream.turn = at as u8 + 1;
            downstream.credits -= 1;
            port.credited ^= u16::from(downstream.credits == 0) << vc;
            port.want = 0;
            port.turn = (at / VCS) as u8 + 1;
            let (behind, kind) = (port.behind, port.kind);
            let input = &mut ports[(tile << port_bits) + at / VCS];
            input.output_turn = output as u8 + 1;
            input.vc_turn = ((at + 1) % VCS) as u8;
            leaving.returning.push(input.feed + (at % VCS) as u32);
            flits[nth] += 1;
            if PAUSING && leaving.pause(kind, nth as u32) {
                router.open &= !(1 << output);
            }
            let way = wiring.next(way, output);
            leaving.over_link(kind, Arrival { queue: behind + vc as u32, tag, way, index, of });
        }
        others
    }
}

/// Queues that are the only ones of their ports with flits; none of them are found for many virtual channels.
#[inline]
fn alone<const VCS: usize>(occupied: u64) -> u64 {
    match VCS {
        1 => occupied,
        2 => {
            let both = occupied & (occupied >> 1) & 0x5555_5555_5555_5555;
            occupied & !(both | both << 1)
        }
        _ => 0,
    }
}
