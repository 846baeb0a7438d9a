//! Who is to blame if nothing moves any more.

use super::router::bits64;
use super::wiring::bits;
use super::{Flit, Mesh, SIDES};
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
        for (router, &occupied) in self.occupied.iter().enumerate() {
            let base = self.wiring.first_port[router] as usize;
            for at in bits64(occupied) {
                let (port, vc) = (at as usize / self.vcs, at as usize % self.vcs);
                let flit = self.flits[self.queues[base * self.vcs + at as usize].first as usize];
                let input = format!("input {}, virtual channel {vc}", side_name(port as u32));
                let lacks = self.lacks(base, at as usize, flit);
                all.push(Stuck { tag: flit.tag, tile: TileId::at(router), input, lacks });
            }
        }
        all.extend(self.sources.iter().enumerate().filter_map(|(unit, source)| {
            let place = self.wiring.units[unit];
            let (tag, input) = (source.front()?.tag, format!("packet queue of {}", side_name(SIDES + place.port)));
            Some(Stuck { tag, tile: place.tile, input, lacks: "a credit of its router".into() })
        }));
        all
    }

    fn lacks(&self, base: usize, at: usize, flit: Flit) -> String {
        let Some(output) = bits(flit.outputs).next() else {
            return "an output: its tree ends here without a unit".into();
        };
        let side = side_name(output);
        if self.queues[base * self.vcs + at].held & (1 << output) != 0 {
            let held = self.held_vc(base, at, output);
            format!("a credit of virtual channel {held} to the {side}")
        } else if self.channels[base + output as usize].owned != 0 {
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
