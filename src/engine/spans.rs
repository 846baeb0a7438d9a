//! The steps of one image on several cores: with barriers, the time that a step takes depends on its own spikes alone.
//!
//! A scout goes ahead and computes what units fire, without packets and without time. Where a span of steps begins, it leaves a
//! copy of all that units hold, from which the span runs as it would behind the others: packet by packet, units firing by what
//! has reached them. Each span has to end as the scout has foreseen; if one does not, all is run again in one piece.

use super::drive::Spikes;
use super::fire::marked;
use super::marks::Marks;
use super::packets::Spike;
use super::recorder::Silent;
use super::run::{Done, NOT_YET, Run, Start, mark};
use super::{EngineError, Machine};
use crate::activity::{Activity, SliceActivity, StageStep};
use crate::hardware::Discipline;
use crate::units::{Cycle, SliceId};
use std::ops::Range;
use std::sync::OnceLock;

/// Runs all steps of an image: what happened, and the drives that computed it, one after the other.
///
/// # Errors
/// [`EngineError::Stall`] at a standstill.
pub(super) fn run<D: Spikes + Sync>(
    machine: &Machine,
    drive: D,
    time_steps: u32,
    steps: u32,
) -> Result<(Activity, Vec<D>), EngineError> {
    let barrier = machine.timing.step.discipline == Discipline::Barrier;
    let count = if barrier { machine.spans.clamp(1, steps.max(1)) } else { 1 };
    let spans = if count > 1 { side_by_side(machine, &drive, time_steps, steps, count) } else { None };
    let spans = match spans {
        Some(spans) => spans,
        None => vec![Run::new(machine, Start::first(machine, drive), &mut Silent, time_steps, steps).finish()?],
    };
    Ok((join(machine, &spans), spans.into_iter().map(|span| span.drive).collect()))
}

/// Runs spans of steps side by side; `None` if one comes to a standstill or does not end as foreseen.
fn side_by_side<D: Spikes + Sync>(
    machine: &Machine,
    drive: &D,
    time_steps: u32,
    steps: u32,
    count: u32,
) -> Option<Vec<Done<D>>> {
    let bound = |nth: u32| 1 + (u64::from(steps) * u64::from(nth) / u64::from(count)) as u32;
    let spans: Vec<OnceLock<Result<Done<D>, EngineError>>> = (0..count).map(|_| OnceLock::new()).collect();
    let mut foreseen = vec![];
    rayon::scope(|scope| {
        let mut scout = Scout::new(machine, drive.clone(), time_steps);
        for (nth, span) in (0..count).zip(&spans) {
            let (start, end) = (scout.start.copy(), bound(nth + 1));
            scope.spawn(move |_| {
                // It is empty: nobody else fills it.
                let _ = span.set(Run::new(machine, start, &mut Silent, time_steps, end - 1).finish());
            });
            if nth + 1 < count {
                scout.go_to(end);
                foreseen.push(scout.start.drive.carried());
            }
        }
    });
    let spans: Vec<Done<D>> = spans.into_iter().map(|span| span.into_inner()?.ok()).collect::<Option<_>>()?;
    let as_foreseen = spans.iter().zip(&foreseen).all(|(span, foreseen)| span.drive.carried() == *foreseen);
    as_foreseen.then_some(spans)
}

impl<D: Spikes> Start<D> {
    /// The first step.
    pub fn first(machine: &Machine, drive: D) -> Self {
        let marks = |slice: &super::machine::Seat| Marks::new(slice.role.watched(slice.part));
        Self { step: 1, drive, changed: machine.seats.iter().map(marks).collect() }
    }

    fn copy(&self) -> Self {
        Self { step: self.step, drive: self.drive.clone(), changed: self.changed.clone() }
    }
}

/// Computes what units fire and hold, without packets and without time.
struct Scout<'m, D> {
    machine: &'m Machine<'m>,
    time_steps: u32,
    /// The step before which it stands.
    start: Start<D>,
    fired: Vec<Spike>,
}

impl<'m, D: Spikes> Scout<'m, D> {
    fn new(machine: &'m Machine<'m>, mut drive: D, time_steps: u32) -> Self {
        drive.keep(0..0);
        Self { machine, time_steps, start: Start::first(machine, drive), fired: vec![] }
    }

    /// Goes on to the beginning of a later step.
    fn go_to(&mut self, step: u32) {
        let steps = if D::REMEMBERS { self.start.step..step } else { step - 1..step };
        self.start.changed.iter_mut().for_each(Marks::clear);
        self.pass(steps);
        self.start.step = step;
    }

    fn pass(&mut self, steps: Range<u32>) {
        let (machine, last) = (self.machine, steps.end - 1);
        for step in steps {
            let marks = step == last && marked(machine, step + 1, self.time_steps);
            let mut all = std::mem::take(&mut self.fired);
            let mut ends = vec![];
            for slice in 0..machine.seats.len() {
                self.start.drive.fire(slice, step, &mut all);
                ends.push(all.len());
            }
            let mut begin = 0;
            for (slice, end) in ends.into_iter().enumerate() {
                all[begin..end].iter().for_each(|spike| self.hand(slice, spike, marks));
                begin = end;
            }
            all.clear();
            self.fired = all;
        }
    }

    /// Hands a spike of a slice to all its destinations.
    fn hand(&mut self, slice: usize, spike: &Spike, marks: bool) {
        let Self { machine, start: Start { drive, changed, .. }, .. } = self;
        let (here, stage) = (&machine.program.slices[slice], machine.seats[slice].stage);
        let route = machine.route_of(slice)(spike);
        for &destination in &machine.ways[route.index()].destinations {
            let to = here.destinations[destination as usize].index();
            let spikes = std::slice::from_ref(spike);
            drive.receive(to, stage, spikes);
            if marks {
                let source = machine.source_of(to, SliceId::at(slice));
                mark(&machine.seats[to], &mut changed[to], source, spikes);
            }
        }
    }
}

/// What happened in spans of steps, one after the other.
pub(super) fn join<D>(machine: &Machine, spans: &[Done<D>]) -> Activity {
    let stages = machine.graph.stages.len();
    let steps: usize = spans.iter().map(|span| span.step_ends.len()).sum();
    let mut all = Activity { stage_steps: vec![NOT_YET; stages * steps], ..Activity::default() };
    for span in spans {
        let (before, first, count) = (all.cycles, all.step_ends.len(), span.step_ends.len());
        for (at, more) in span.stage_steps.iter().enumerate() {
            let (stage, step) = (at / (count + 1), first + at % (count + 1));
            if step < steps {
                add_step(&mut all.stage_steps[stage * steps + step], more, before);
            }
        }
        all.step_ends.extend(span.step_ends.iter().map(|end| before + end));
        all.cycles = before + span.cycles;
        all.slices.resize_with(span.slices.len(), SliceActivity::default);
        all.slices.iter_mut().zip(&span.slices).for_each(|(slice, more)| add_slice(slice, more));
        all.link_flits.resize(span.link_flits.len(), 0);
        all.link_flits.iter_mut().zip(&span.link_flits).for_each(|(flits, more)| *flits += more);
    }
    all.stage_steps.iter_mut().filter(|step| **step == NOT_YET).for_each(|step| *step = StageStep::default());
    all
}

/// Adds what was noted of a step, in cycles that are counted from `before`.
fn add_step(sum: &mut StageStep, more: &StageStep, before: Cycle) {
    let later = |cycle: Cycle| if cycle == Cycle::MAX { cycle } else { before + cycle };
    sum.begins = sum.begins.min(later(more.begins));
    sum.fires = sum.fires.min(later(more.fires));
    sum.ends = sum.ends.max(if more.fires == Cycle::MAX { 0 } else { before + more.ends });
    sum.spikes += more.spikes;
    sum.packets += more.packets;
}

fn add_slice(sum: &mut SliceActivity, more: &SliceActivity) {
    sum.counts.merge(&more.counts);
    sum.busy_cycles += more.busy_cycles;
    sum.spikes += more.spikes;
    sum.negative_spikes += more.negative_spikes;
    sum.wide_spikes += more.wide_spikes;
    sum.packets += more.packets;
    sum.flit_hops += more.flit_hops;
    sum.peak_queue = sum.peak_queue.max(more.peak_queue);
    sum.peak_outgoing = sum.peak_outgoing.max(more.peak_outgoing);
}
