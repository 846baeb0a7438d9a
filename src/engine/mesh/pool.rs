//! Flits that wait behind others: lists through one pool, so that long buffers cost nothing while they are empty.

use super::state::Flit;
use super::{NOTHING, Way};

/// A place for no flit, behind which anything may be put.
pub(super) const NOBODY: u32 = 0;

/// A flit, and the one behind it in its queue; or a free place, and the next one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub flit: Flit,
    pub next: u32,
}

/// All flits that wait behind others.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    places: Vec<Place>,
    free: u32,
}

/// Queues whose next flits come to the front once their routers have been looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed {
    /// One more than there are queues, since one that is not added is written, too.
    places: Vec<u32>,
    len: usize,
}

impl Followed {
    /// Room for all queues.
    pub fn new(queues: usize) -> Self {
        Self { places: vec![0; queues + 1], len: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds one if there is a flit behind it, without a branch.
    #[inline(always)]
    pub fn push_if(&mut self, queue: u32, more: bool) {
        self.places[self.len] = queue;
        self.len += usize::from(more);
    }

    pub fn drain(&mut self) -> &[u32] {
        &self.places[..std::mem::take(&mut self.len)]
    }
}

impl Pool {
    pub fn new() -> Self {
        let flit = Flit { tag: 0, way: Way::default(), outputs: 0, index: 0, of: 1 };
        Self { places: vec![Place { flit, next: NOTHING }], free: NOTHING }
    }

    /// Puts a flit into the pool, behind which there is none.
    #[inline]
    pub fn add(&mut self, flit: Flit) -> u32 {
        let place = Place { flit, next: NOTHING };
        match self.places.get_mut(self.free as usize) {
            Some(free) => {
                let at = std::mem::replace(&mut self.free, free.next);
                *free = place;
                at
            }
            None => {
                self.places.push(place);
                (self.places.len() - 1) as u32
            }
        }
    }

    /// Takes a flit out of the pool.
    #[inline]
    pub fn take(&mut self, at: u32) -> Place {
        let place = self.places[at as usize];
        self.places[at as usize].next = std::mem::replace(&mut self.free, at);
        place
    }

    #[inline]
    pub fn get(&self, at: u32) -> &Place {
        &self.places[at as usize]
    }

    #[inline]
    pub fn get_mut(&mut self, at: u32) -> &mut Place {
        &mut self.places[at as usize]
    }
}
