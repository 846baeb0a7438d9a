//! What the spikes of one slice cost another, and what they change in it.

use super::marks::Patch;
use super::units::Pace;
use crate::reach::Reach;
use crate::units::{Cycle, Part};
use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What arrives at a slice from one of its sources.
#[derive(Debug)]
pub(super) struct Input {
    first_position: u32,
    /// Channels that spread alike, the number of the first such run, and how many there are.
    run: u32,
    first_run: u32,
    runs: u32,
    /// For each position and run; and what it changes.
    costs: Arc<[Cost]>,
    changes: Arc<Changes>,
}

/// What one spike costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    cycles: Cycle,
    operations: u32,
}

/// Values that change, by `Part::local`: those of one position and run after those of the other.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Changes {
    ends: Vec<u32>,
    patches: Vec<Patch>,
}

/// What inputs share to which the same happens: it is kept once, since it has to fit into the processor's caches.
#[derive(Debug, Default)]
pub(super) struct Shared {
    costs: BTreeSet<Arc<[Cost]>>,
    changes: BTreeSet<Arc<Changes>>,
}

impl Input {
    /// From one part to another; `marks` says whether it will be asked for what changes.
    pub fn new(reach: &Reach, from: &Part, to: &Part, pace: &Pace, marks: bool, shared: &mut Shared) -> Self {
        let (run, from) = (reach.channel_run(), from.bounds());
        let (first_run, end_run) = (from.channels.start / run, from.channels.end.div_ceil(run));
        let (mut costs, mut changes) = (vec![], Changes { ends: vec![], patches: vec![] });
        // most spikes take as many operations as the one before, and a division takes long
        let mut cost = Cost { cycles: pace.work(0), operations: 0 };
        for (position, nth) in from.positions.clone().flat_map(|p| (first_run..end_run).map(move |nth| (p, nth))) {
            let operations: u64 = to.regions().iter().map(|to| reach.operations(position, nth * run, to)).sum();
            if operations != u64::from(cost.operations) {
                cost = Cost { cycles: pace.work(operations), operations: operations as u32 };
            }
            costs.push(cost);
            if marks {
                change(reach, position, nth * run, to, &mut changes.patches);
                changes.ends.push(changes.patches.len() as u32);
            }
        }
        Self {
            first_position: from.positions.start,
            run,
            first_run,
            runs: end_run - first_run,
            costs: once(&mut shared.costs, costs.into()),
            changes: once(&mut shared.changes, changes.into()),
        }
    }

    #[inline]
    fn place(&self, position: u32, channel: u32) -> usize {
        let nth = if self.runs == 1 { 0 } else { channel / self.run - self.first_run };
        ((position - self.first_position) * self.runs + nth) as usize
    }

    /// Operations, and cycles for them, of one spike.
    #[inline]
    pub fn of(&self, position: u32, channel: u32) -> (u64, Cycle) {
        let Cost { operations, cycles } = self.costs[self.place(position, channel)];
        (operations.into(), cycles)
    }

    /// The values that one spike changes; none where nobody was to ask.
    #[inline]
    pub fn changes(&self, position: u32, channel: u32) -> &[Patch] {
        let Changes { ends, patches } = &*self.changes;
        let at = self.place(position, channel);
        let start = if at == 0 { 0 } else { ends.get(at - 1).copied().unwrap_or(0) };
        ends.get(at).map_or(&[], |&end| &patches[start as usize..end as usize])
    }
}

/// What is known already like this, or else this.
fn once<T: ?Sized + Ord>(known: &mut BTreeSet<Arc<T>>, new: Arc<T>) -> Arc<T> {
    match known.get(Borrow::<T>::borrow(&new)) {
        Some(known) => Arc::clone(known),
        None => {
            known.insert(Arc::clone(&new));
            new
        }
    }
}

/// Appends what a spike changes in a part.
fn change(reach: &Reach, position: u32, channel: u32, to: &Part, changes: &mut Vec<Patch>) {
    let first = changes.len();
    for (number, region) in to.numbered() {
        for area in reach.areas(position, channel) {
            let channels = area.channels.start.max(region.channels.start)..area.channels.end.min(region.channels.end);
            let positions =
                area.positions.start.max(region.positions.start)..area.positions.end.min(region.positions.end);
            for position in positions.filter(|_| !channels.is_empty()) {
                let start = (number + region.local(position, channels.start)) as u32;
                Patch::append(start..start + channels.len() as u32, first, changes);
            }
        }
    }
}
