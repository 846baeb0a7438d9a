//! Flits on links: those that are due in one cycle lie together.

use super::events::Pending;
use super::turn::{TURN, Turn};
use super::wiring::{KINDS, TO_UNITS, bits};
use super::{NOTHING, Way};
use crate::units::Cycle;

/// A flit on its way over a link.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Arrival {
    /// Its queue; on the way to a unit its virtual channel, whose slot is free again when the unit has taken it.
    pub queue: u32,
    pub tag: u32,
    pub way: Way,
    pub part: Part,
}

/// Which flit of its packet one is, and how many there are, in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Part(u32);

impl Part {
    /// The only one.
    pub const ONLY: Self = Self(1 << 16);

    #[inline]
    pub fn new(index: u16, of: u16) -> Self {
        Self(u32::from(index) | u32::from(of) << 16)
    }

    #[inline]
    pub fn index(self) -> u16 {
        self.0 as u16
    }

    #[inline]
    pub fn of(self) -> u16 {
        (self.0 >> 16) as u16
    }

    #[inline]
    pub fn is_tail(self) -> bool {
        self.index() + 1 == self.of()
    }
}

/// The flits that reach routers in a cycle.
#[derive(Debug, Clone)]
struct Place {
    /// Any of them, often the only one; with [`NOTHING`] for its queue if there is none.
    first: Arrival,
    others: Vec<Arrival>,
}

impl Place {
    const EMPTY: Self =
        Self { first: Arrival { queue: NOTHING, tag: 0, way: Way::NOWHERE, part: Part::ONLY }, others: vec![] };
}

/// Flits that have left and have not yet arrived.
#[derive(Debug, Clone)]
pub(super) struct Wheel {
    /// For each cycle of a turn the flits that reach routers then; links that take as long as a turn have lists of their own.
    places: Box<[Place; TURN as usize]>,
    /// How long links of each kind take; those to units count as long, too.
    cycles: [Cycle; KINDS.next_power_of_two()],
    /// Flits on links into routers that take a turn or longer, and on those to units.
    far: [Pending<Arrival>; KINDS],
    /// Kinds of such links on which flits have left in the cycle that is going on, one bit each.
    fresh: u8,
    /// When the first flits on long links reach routers.
    pub far_first: Cycle,
    /// Lists without flits, the last one used first: it is still in the processor's cache.
    spare: Vec<Vec<Arrival>>,
}

impl Wheel {
    /// Nothing on links, each kind of which takes so many cycles.
    pub fn new(link_cycles: [Cycle; KINDS]) -> Self {
        let mut cycles = [TURN; _];
        cycles[..TO_UNITS as usize].copy_from_slice(&link_cycles[..TO_UNITS as usize]);
        Self {
            places: Box::new([const { Place::EMPTY }; TURN as usize]),
            cycles,
            far: link_cycles.map(Pending::new),
            fresh: 0,
            far_first: Cycle::MAX,
            spare: vec![],
        }
    }

    /// Puts a flit on a link of a kind, whose cycle then is one of a turn's, unless it is later.
    #[inline(always)]
    pub fn put(&mut self, turn: &mut Turn, now: Cycle, kind: u8, flit: Arrival) {
        let cycles = self.cycles[kind as usize % self.cycles.len()];
        if cycles >= TURN {
            return self.put_far(kind, flit);
        }
        let place = &mut self.places[((now + cycles) % TURN) as usize];
        // A list has room only where there is a first one.
        if place.others.len() < place.others.capacity() {
            return place.others.push(flit);
        }
        if place.first.queue == NOTHING {
            turn.fill(now + cycles);
            place.first = flit;
            return;
        }
        extend(&mut place.others, &mut self.spare);
        place.others.push(flit);
    }

    #[inline]
    fn put_far(&mut self, kind: u8, flit: Arrival) {
        self.far[kind as usize].push(flit);
        self.fresh |= 1 << kind;
    }

    /// Ends a cycle.
    #[inline]
    pub fn close(&mut self, now: Cycle) {
        for kind in bits(std::mem::take(&mut self.fresh).into()) {
            let due = self.far[kind as usize].close(now);
            if kind != u32::from(TO_UNITS) {
                self.far_first = self.far_first.min(due);
            }
        }
    }

    /// Takes out the flits that reach routers now: one, and the others.
    #[inline(always)]
    pub fn take(&mut self, now: Cycle) -> Option<(Arrival, Vec<Arrival>)> {
        let place = &mut self.places[(now % TURN) as usize];
        let near = place.first.queue != NOTHING;
        if !near && self.far_first > now {
            return None;
        }
        let first = place.first;
        place.first.queue = NOTHING;
        let mut others = if place.others.is_empty() { vec![] } else { std::mem::take(&mut place.others) };
        if self.far_first > now {
            return Some((first, others));
        }
        extend(&mut others, &mut self.spare);
        self.take_far(now, &mut others);
        if near { Some((first, others)) } else { others.pop().map(|first| (first, others)) }
    }

    fn take_far(&mut self, now: Cycle, due: &mut Vec<Arrival>) {
        let far = &mut self.far[..TO_UNITS as usize];
        for far in &mut *far {
            let flits = far.take(now);
            due.extend(far.slices(flits).into_iter().flatten());
        }
        self.far_first = far.iter().fold(Cycle::MAX, |first, far| first.min(far.first));
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

/// Makes room in a list that has none.
#[inline(never)]
fn extend(list: &mut Vec<Arrival>, spare: &mut Vec<Vec<Arrival>>) {
    if list.capacity() == 0 {
        *list = spare.pop().unwrap_or_default();
    }
    list.reserve(1);
}

#[cfg(test)]
mod tests {
    use super::super::wiring::FROM_UNITS;
    use super::*;

    #[test]
    fn flits_come_when_they_are_due_over_links_of_any_length_and_memory_goes_round() {
        let link_cycles = [3, 127, 128, 1, 2];
        let (mut wheel, mut turn) = (Wheel::new(link_cycles), Turn::default());
        let (mut came, mut wanted) = (vec![], vec![]);
        for now in 0..2000 {
            turn.empty(now);
            let flits = wheel.take(now);
            if let Some((first, others)) = flits {
                came.extend(others.iter().chain([&first]).map(|flit| (now, flit.tag)));
                wheel.recycle(others);
            }
            for kind in (0..=FROM_UNITS).filter(|&kind| now % (Cycle::from(kind) + 2) == 0) {
                wheel.put(
                    &mut turn,
                    now,
                    kind,
                    Arrival { tag: now as u32 * 8 + u32::from(kind), ..Arrival::default() },
                );
                wanted.push((now + link_cycles[kind as usize], now as u32 * 8 + u32::from(kind)));
            }
            wheel.close(now);
            let first = wanted.iter().map(|(due, _)| *due).filter(|due| *due > now).min();
            assert_eq!(turn.first(now).min(wheel.far_first), first.unwrap_or(Cycle::MAX));
        }
        wanted.retain(|(due, _)| *due < 2000);
        came.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(came, wanted);
        assert!(wheel.spare.len() <= 2 * TURN as usize, "{} lists", wheel.spare.len());
    }
}
