//! Links that do not take a flit in every cycle, and who waits for them.

use super::NOTHING;
use super::turn::{TURN, Turn};
use super::wiring::{FROM_UNITS, KINDS, Wiring};
use crate::units::Cycle;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// When links can take their next flits: those behind ports, then those of units' packet queues.
///
/// Over one virtual channel, who goes next is settled a cycle after a flit has left, or once somebody asks. It does not matter
/// before the link is free or others ask too: so it is put off till then, and that cycle need not be looked at.
#[derive(Debug, Clone)]
pub(super) struct Pauses {
    intervals: [Cycle; KINDS],
    /// Empty where every link can take a flit in the next cycle.
    links: Vec<Link>,
    /// Links that somebody waits for, each of them once: for each cycle of a turn the first one that can take a flit then.
    awaited: [u32; TURN as usize],
    /// Those that can take one only later than a turn.
    far: BinaryHeap<Reverse<(Cycle, u32)>>,
    /// Whether it may be put off who goes next.
    puts_off: bool,
    /// When the last of all is free.
    pub last: Cycle,
}

/// A link that does not take a flit in every cycle.
#[derive(Debug, Clone, Copy)]
struct Link {
    /// When it can take a flit again.
    free_at: Cycle,
    /// The cycle as whose it is still to be settled who goes next; the end of time if there is nothing to settle.
    due: Cycle,
    /// The next link of those that somebody waits for and that can take a flit in the same cycle; itself if nobody waits for it.
    next: u32,
}

impl Pauses {
    pub fn new(wiring: &Wiring) -> Self {
        let pausing = |kind: u8| wiring.intervals[kind as usize] > 1;
        // A chip has links from its units in any case; those between chips only where the board has several.
        let any = pausing(FROM_UNITS) || wiring.kind.iter().any(|&kind| pausing(kind));
        let links = if any { wiring.links() } else { 0 };
        Self {
            intervals: wiring.intervals,
            links: (0..links as u32).map(|next| Link { free_at: 0, due: Cycle::MAX, next }).collect(),
            awaited: [NOTHING; _],
            far: BinaryHeap::new(),
            puts_off: any && wiring.plain && wiring.noc.virtual_channels == 1,
            last: 0,
        }
    }

    /// Whether there are links that do not take a flit in every cycle.
    #[inline]
    pub fn any(&self) -> bool {
        !self.links.is_empty()
    }

    /// Whether a link can take a flit that has not taken one in this cycle.
    #[inline]
    pub fn is_open(&self, link: usize, now: Cycle) -> bool {
        self.links.get(link).is_none_or(|link| link.free_at <= now)
    }

    /// Whether it can be put off who goes next over a link that somebody asks for in a cycle.
    #[inline]
    pub fn can_put_off(&self, link: usize, now: Cycle) -> bool {
        self.puts_off && self.links.get(link).is_some_and(|link| link.free_at > now)
    }

    /// Puts off who goes next over a link: that of those who ask for it in a cycle.
    #[inline]
    pub fn put_off(&mut self, link: usize, due: Cycle) {
        if let Some(link) = self.links.get_mut(link) {
            link.due = due;
        }
    }

    /// Whether it has been put off who goes next over a link, and has to be settled before others ask for it in a cycle.
    #[inline]
    pub fn has_put_off(&self, link: usize, now: Cycle) -> bool {
        self.links.get(link).is_some_and(|link| link.due < now)
    }

    /// A link takes a flit.
    #[inline]
    pub fn take(&mut self, kind: u8, link: usize, now: Cycle) {
        if let Some(link) = self.links.get_mut(link) {
            link.free_at = now + self.intervals[kind as usize];
            self.last = self.last.max(link.free_at);
        }
    }

    /// Somebody waits for a link that cannot take a flit now, which makes it part of a turn.
    #[inline]
    pub fn wait(&mut self, turn: &mut Turn, link: usize, now: Cycle) {
        let Link { free_at, next, .. } = &mut self.links[link];
        if *next != link as u32 {
            return;
        }
        if *free_at - now < TURN {
            *next = std::mem::replace(&mut self.awaited[(*free_at % TURN) as usize], link as u32);
            turn.fill(*free_at);
        } else {
            *next = NOTHING;
            self.far.push(Reverse((*free_at, link as u32)));
        }
    }

    /// When the first link is free that somebody waits for longer than a turn; at the end of time if there is none.
    #[inline]
    pub fn far_first(&self) -> Cycle {
        self.far.peek().map_or(Cycle::MAX, |Reverse((free_at, _))| *free_at)
    }

    /// A link that somebody has waited for and that can take a flit now.
    #[inline(always)]
    pub fn next_open(&mut self, now: Cycle) -> Option<usize> {
        let first = &mut self.awaited[(now % TURN) as usize];
        let link = *first;
        if link == NOTHING {
            return if self.far.is_empty() { None } else { self.next_far(now) };
        }
        *first = std::mem::replace(&mut self.links[link as usize].next, link);
        Some(link as usize)
    }

    fn next_far(&mut self, now: Cycle) -> Option<usize> {
        let far = self.far.peek_mut().filter(|far| far.0.0 <= now)?;
        let Reverse((_, link)) = PeekMut::pop(far);
        self.links[link as usize].next = link;
        Some(link as usize)
    }
}
