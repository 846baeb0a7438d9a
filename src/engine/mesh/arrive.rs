//! Flits and credits reach routers, and wake those that can do something with them.

use super::events::Arrival;
use super::state::Flit;
use super::wiring::bits;
use super::{Mesh, NOTHING};
use crate::units::Cycle;

impl Mesh<'_> {
    /// Credits and flits that are due arrive.
    pub(super) fn arrive(&mut self, now: Cycle) {
        while let Some(credits) = self.leaving.returning.take(now) {
            credits.iter().for_each(|&downstream| self.credit(downstream));
            self.leaving.returning.done(credits);
        }
        for kind in 0..self.leaving.pauses.len() {
            while let Some(links) = self.leaving.pauses[kind].take(now) {
                links.iter().for_each(|&link| self.reopen(link as usize));
                self.leaving.pauses[kind].done(links);
            }
        }
        for link in 0..self.leaving.links.len() {
            while let Some(flits) = self.leaving.links[link].take(now) {
                flits.iter().for_each(|flit| self.enqueue(flit, now));
                self.leaving.links[link].done(flits);
            }
        }
    }

    /// A slot of a virtual channel is free again.
    #[inline]
    fn credit(&mut self, at: u32) {
        let downstream = &mut self.downstream[at as usize];
        downstream.credits += 1;
        // More free slots than the longest packet has flits change nothing.
        if downstream.credits > self.longest {
            return;
        }
        let (at, vc) = (at as usize / self.vcs, at as usize % self.vcs);
        if let Some(port) = self.ports.get_mut(at) {
            port.credited |= 1 << vc;
            self.wake(at);
        } else {
            let unit = at - self.ports.len();
            self.sources[unit].credited |= 1 << vc;
            self.sources_awake.wake(unit);
        }
    }

    /// A link can take a flit again.
    fn reopen(&mut self, port: usize) {
        match port.checked_sub(self.ports.len()) {
            Some(unit) => {
                self.sources[unit].open = true;
                self.sources_awake.wake(unit);
            }
            None => {
                let router = self.wiring.router_of[port] as usize;
                self.routers[router].open |= 1 << (port - self.routers[router].first_port as usize);
                self.wake(port);
            }
        }
    }

    /// The router of a port looks again if it has anything to send.
    fn wake(&mut self, port: usize) {
        let router = self.wiring.router_of[port] as usize;
        if self.routers[router].wanted != 0 {
            self.routers_awake.wake(router);
        }
    }

    #[inline]
    fn enqueue(&mut self, &Arrival { queue, tag, way, index, of }: &Arrival, now: Cycle) {
        let (tile, at) = ((queue / 64) as usize, (queue % 64) as usize);
        let router = &mut self.routers[tile];
        let outputs = self.wiring.outputs(way, router.place);
        let flit = Flit { tag, way, outputs, index, of };
        let first = router.first_port as usize * self.vcs + at;
        let queue = &mut self.queues[first];
        queue.len += 1;
        if queue.len == 1 {
            queue.front = flit;
            router.occupied |= 1 << at;
            router.odd |= u64::from(flit.is_odd()) << at;
            if let Some(ready) = self.ready.get_mut(first) {
                *ready = now + self.wiring.timing.head_cycles.saturating_sub(1);
            }
        } else {
            let place = self.leaving.pool.add(flit);
            let last = std::mem::replace(&mut queue.last, place);
            match queue.second {
                NOTHING => queue.second = place,
                _ => self.leaving.pool.get_mut(last).next = place,
            }
            // A flit of the first packet may leave by outputs that have taken those before it.
            let of_first = u32::from(queue.front.index) + u32::from(queue.len) - 1 < u32::from(queue.front.of);
            if !(self.wiring.cut_through() && of_first) {
                return;
            }
        }
        let ports = &mut self.ports[router.first_port as usize..][..usize::from(router.ports)];
        for output in bits(outputs) {
            ports[output as usize].want |= 1 << at;
        }
        router.wanted |= outputs;
        self.routers_awake.wake(tile);
    }
}
