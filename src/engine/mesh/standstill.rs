//! Who is to blame if nothing moves any more.

use super::allocate::held_vc;
use super::wiring::bits;
use super::{Mesh, SIDES};
use crate::hardware::Direction;
use crate::units::TileId;

/// A flit that cannot move, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Which packet.
    pub tag: u32,
    /// The router that it waits in, or before.
    pub tile: TileId,
    /// The input and virtual channel that it waits in, or the packet queue.
    pub input: String,
    /// What it lacks.
    pub lacks: String,
}

impl Mesh<'_> {
    /// The first flit of every queue that holds one, and what it lacks.
    #[must_use]
    pub fn stuck(&self) -> Vec<Stuck> {
        let mut all = vec![];
        for tile in 0..self.routers.len() {
            let ports = self.wiring.ports_of(tile);
            let queues = &self.queues[self.wiring.queue(ports.start)..][..ports.len() * self.vcs];
            for (at, queue) in queues.iter().enumerate().filter(|(_, queue)| queue.len > 0) {
                let input = format!("input {}, virtual channel {}", side_name((at / self.vcs) as u32), at % self.vcs);
                let lacks = self.lacks(ports.start, at, queue.front.outputs);
                all.push(Stuck { tag: queue.front.tag, tile: TileId::at(tile), input, lacks });
            }
        }
        all.extend(self.sources.iter().enumerate().filter_map(|(unit, source)| {
            let place = self.wiring.units[unit];
            let (tag, input) = (source.front()?.tag, format!("packet queue of {}", side_name(SIDES + place.port)));
            Some(Stuck { tag, tile: place.tile, input, lacks: "a credit of its router".into() })
        }));
        all
    }

    fn lacks(&self, first_port: usize, at: usize, outputs: u32) -> String {
        let Some(output) = bits(outputs).next() else {
            return "an output: its tree ends here without a unit".into();
        };
        let (side, port) = (side_name(output), first_port + output as usize);
        if self.ports[port].held & (1 << at) != 0 {
            let held = held_vc(self.ports[port].owned, &self.downstream[port * self.vcs..][..self.vcs], at);
            format!("a credit of virtual channel {held} to the {side}")
        } else if self.ports[port].owned != 0 {
            format!("a virtual channel to the {side}: other packets hold them")
        } else {
            format!("a virtual channel to the {side} with room for all of it")
        }
    }
}

fn side_name(port: u32) -> String {
    match Direction::ALL.get(port as usize) {
        Some(direction) => format!("{direction:?}").to_lowercase(),
        None => format!("unit {}", port - SIDES),
    }
}
