//! Flits on links: those that are due in one cycle lie together.

use super::Way;
use super::events::Pending;
use super::wiring::{KINDS, TO_UNITS, Wiring};
use crate::units::Cycle;

/// A flit on its way over a link.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Arrival {
    /// Its queue; on the way to a unit its virtual channel, whose slot is free again when the unit has taken it.
    pub queue: u32,
    pub tag: u32,
    pub way: Way,
    /// Which flit of its packet it is.
    pub index: u16,
    /// How many flits its packet has.
    pub of: u16,
}

/// Cycles of a turn of the wheel: links that take as long or longer have lists of their own.
const TURN: u64 = 128;

/// Flits that have left and have not yet arrived.
#[derive(Debug, Clone)]
pub(super) struct Wheel {
    /// What leaves in the cycle that is going on, by kind of link.
    fresh: [Vec<Arrival>; KINDS.next_power_of_two()],
    /// For each cycle of a turn the flits that reach routers then.
    places: Box<[Vec<Arrival>; TURN as usize]>,
    /// Places with any flits, one bit each.
    filled: u128,
    /// How long links of each kind take.
    cycles: [Cycle; KINDS],
    /// Flits on links into routers that take a turn or longer, and on those to units.
    far: [Pending<Arrival>; KINDS],
    /// Lists without flits, the last one used first: it is still in the processor's cache.
    spare: Vec<Vec<Arrival>>,
}

impl Wheel {
    pub fn new(wiring: &Wiring) -> Self {
        Self {
            fresh: Default::default(),
            places: Box::new([const { vec![] }; TURN as usize]),
            filled: 0,
            cycles: wiring.link_cycles,
            far: wiring.link_cycles.map(Pending::new),
            spare: vec![],
        }
    }

    /// Puts a flit on a link of a kind, in the cycle that is going on.
    #[inline]
    pub fn put(&mut self, kind: u8, flit: Arrival) {
        self.fresh[kind as usize % self.fresh.len()].push(flit);
    }

    /// Ends a cycle.
    #[inline]
    pub fn close(&mut self, now: Cycle) {
        for kind in 0..KINDS {
            if !self.fresh[kind].is_empty() {
                self.send(kind, now);
            }
        }
    }

    /// Sends what has been put on links of a kind in this cycle on its way.
    fn send(&mut self, kind: usize, now: Cycle) {
        let (fresh, cycles) = (&mut self.fresh[kind], self.cycles[kind]);
        if kind == TO_UNITS as usize || cycles >= TURN {
            fresh.drain(..).for_each(|flit| self.far[kind].push(flit));
            self.far[kind].close(now);
            return;
        }
        let place = (now + cycles) % TURN;
        if self.filled & (1 << place) == 0 {
            self.filled |= 1 << place;
            self.places[place as usize] = std::mem::replace(fresh, self.spare.pop().unwrap_or_default());
        } else {
            self.places[place as usize].append(fresh);
        }
    }

    /// When the first flits reach routers, after `now`.
    #[inline]
    pub fn first(&self, now: Cycle) -> Cycle {
        let ahead = self.filled.rotate_right(((now + 1) % TURN) as u32).trailing_zeros();
        let near = if self.filled == 0 { Cycle::MAX } else { now + 1 + Cycle::from(ahead) };
        self.far[..TO_UNITS as usize].iter().fold(near, |first, far| first.min(far.first))
    }

    /// Takes out the flits that reach routers now.
    #[inline]
    pub fn take(&mut self, now: Cycle) -> Vec<Arrival> {
        let place = now % TURN;
        self.filled &= !(1 << place);
        let mut due = std::mem::take(&mut self.places[place as usize]);
        for far in &mut self.far[..TO_UNITS as usize] {
            if far.first <= now {
                let flits = far.take(now);
                due.extend(far.slices(flits).into_iter().flatten());
            }
        }
        due
    }

    /// Takes the memory back of flits that have been taken out.
    #[inline]
    pub fn recycle(&mut self, mut flits: Vec<Arrival>) {
        flits.clear();
        if flits.capacity() > 0 {
            self.spare.push(flits);
        }
    }

    /// Flits on links to units.
    #[inline]
    pub fn to_units(&self) -> &Pending<Arrival> {
        &self.far[TO_UNITS as usize]
    }

    /// The same, to take them out.
    #[inline]
    pub fn to_units_mut(&mut self) -> &mut Pending<Arrival> {
        &mut self.far[TO_UNITS as usize]
    }
}
