//! The steps of one image on several cores: with barriers, the time that a step takes depends on its own spikes alone.
//!
//! A functional run foresees what is fired, and what neurons hold where each span of steps begins. From there the span runs as it
//! would behind the others: packet by packet, units firing by what has reached them. Each span has to end as the next one has
//! begun; if one does not, all is run again in one piece.

use super::drive::{Replay, Spikes};
use super::fire::marked;
use super::marks::Marks;
use super::packets::Spike;
use super::recorder::Silent;
use super::run::{Done, NOT_YET, Run, Start, mark};
use super::{EngineError, Machine};
use crate::activity::{Activity, SliceActivity, StageStep};
use crate::functional::{Held, Outcome};
use crate::graph::StageKind;
use crate::hardware::Discipline;
use crate::trace::ImageTrace;
use crate::units::{Cycle, SliceId};
use std::num::NonZeroU32;
use std::sync::OnceLock;

/// What a functional run with the chip's schedule has found, for spans of steps to begin with.
#[derive(Debug, Clone, Copy)]
pub struct Foreseen<'f> {
    /// What each stage sends.
    pub trace: &'f ImageTrace,
    /// What its neurons hold at the end of each span but the last one (see [`crate::functional::Outcome::held`]).
    pub held: &'f [Vec<Held>],
}

impl<'f> Foreseen<'f> {
    /// What a run has found; `None` if it was not recorded.
    #[must_use]
    pub fn of(outcome: &'f Outcome) -> Option<Self> {
        Some(Self { trace: outcome.trace.as_ref()?, held: &outcome.held })
    }
}

/// The steps of an image: T, how many there are, and how many a span has where they are cut into spans.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    pub driven: u32,
    pub all: u32,
    each: Option<NonZeroU32>,
}

impl Steps {
    /// Those of a machine, with barriers in as many spans as it should.
    pub fn on(machine: &Machine, driven: u32, all: u32) -> Self {
        let barrier = machine.timing.step.discipline == Discipline::Barrier;
        let each = NonZeroU32::new(all.div_ceil(machine.spans.max(1)));
        Self { driven, all, each: each.filter(|each| barrier && each.get() < all) }
    }
}

/// Runs all steps of an image: what happened, and the drives that computed it, one after the other. Where steps are cut into
/// spans, `foresee` says once what the spans begin with, given the steps of each.
///
/// # Errors
/// [`EngineError::Stall`] at a standstill, and those of `foresee`.
pub(super) fn run<'f, D: Spikes + Sync, E: From<EngineError> + Send>(
    machine: &Machine,
    drive: D,
    steps: Steps,
    foresee: impl FnOnce(NonZeroU32) -> Result<Foreseen<'f>, E> + Send,
) -> Result<(Activity, Vec<D>), E> {
    let spans = match steps.each {
        Some(each) => side_by_side(machine, &drive, (steps, each), foresee)?,
        None => None,
    };
    let spans = match spans {
        Some(spans) => spans,
        None => {
            let start = Start::first(machine, drive);
            vec![Run::new(machine, start, &mut Silent, steps.driven, steps.all).finish()?]
        }
    };
    Ok((join(machine, &spans), spans.into_iter().map(|span| span.drive).collect()))
}

/// Runs spans of steps side by side; `None` if one comes to a standstill or does not end as the next one has begun.
fn side_by_side<'f, D: Spikes + Sync, E: From<EngineError> + Send>(
    machine: &Machine,
    drive: &D,
    (steps, each): (Steps, NonZeroU32),
    foresee: impl FnOnce(NonZeroU32) -> Result<Foreseen<'f>, E> + Send,
) -> Result<Option<Vec<Done<D>>>, E> {
    let firsts: Vec<u32> = (1..=steps.all).step_by(each.get() as usize).collect();
    let spans: Vec<OnceLock<Result<Done<D>, EngineError>>> = firsts.iter().map(|_| OnceLock::new()).collect();
    let begun = rayon::scope(|scope| {
        let begin = |nth: usize, start: Start<D>| {
            let (span, last) = (&spans[nth], firsts.get(nth + 1).map_or(steps.all, |next| next - 1));
            scope.spawn(move |_| {
                // It is empty: nobody else fills it.
                let _ = span.set(Run::new(machine, start, &mut Silent, steps.driven, last).finish());
            });
        };
        begin(0, Start::first(machine, drive.clone()));
        let mut ahead = Ahead::new(machine, drive.clone(), steps.driven, foresee(each)?)?;
        let mut begun = vec![];
        for (nth, &first) in firsts.iter().enumerate().skip(1) {
            ahead.go_to(first, nth - 1);
            begun.push(ahead.start.drive.carried());
            begin(nth, ahead.start.copy());
        }
        Ok::<_, E>(begun)
    })?;
    let Some(spans) = spans.into_iter().map(|span| span.into_inner()?.ok()).collect::<Option<Vec<Done<D>>>>() else {
        return Ok(None);
    };
    let as_begun = spans.iter().zip(&begun).all(|(span, next)| span.drive.carried() == *next);
    Ok(Some(spans).filter(|_| as_begun))
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

/// How things stand where spans begin, without packets and without time: neurons hold what was foreseen, and all other units
/// what the spikes that were foreseen come to.
struct Ahead<'m, D> {
    machine: &'m Machine<'m>,
    time_steps: u32,
    /// The step before which it stands.
    start: Start<D>,
    foreseen: Replay<'m>,
    held: &'m [Vec<Held>],
    /// Whether what a slice holds has to be found out from step to step.
    follows: Vec<bool>,
    fired: Vec<Spike>,
}

impl<'m, D: Spikes> Ahead<'m, D> {
    fn new(
        machine: &'m Machine<'m>,
        mut drive: D,
        time_steps: u32,
        foreseen: Foreseen<'m>,
    ) -> Result<Self, EngineError> {
        drive.keep(0..0);
        let follows = machine.seats.iter().map(|seat| D::REMEMBERS && follows(&machine.graph.stage(seat.stage).kind));
        Ok(Self {
            machine,
            time_steps,
            start: Start::first(machine, drive),
            foreseen: Replay::beside(machine, foreseen.trace)?,
            held: foreseen.held,
            follows: follows.collect(),
            fired: vec![],
        })
    }

    /// Goes on to the beginning of a later step; neurons hold what was foreseen for the `nth` time.
    fn go_to(&mut self, step: u32, nth: usize) {
        self.start.changed.iter_mut().for_each(Marks::clear);
        if self.follows.contains(&true) {
            (self.start.step..step - 1).for_each(|step| self.pass(step, None));
        }
        self.pass(step - 1, Some(nth));
        self.start.step = step;
    }

    /// Passes over a step; neurons are left out, except in the one after which they hold what was foreseen for the `nth` time.
    fn pass(&mut self, step: u32, nth: Option<usize>) {
        let (mut fired, slices) = (std::mem::take(&mut self.fired), 0..self.machine.seats.len());
        for slice in slices.clone().filter(|slice| self.follows[*slice]) {
            self.start.drive.fire(slice, step, &mut fired);
        }
        for (slice, seat) in self.machine.seats.iter().enumerate() {
            let held = nth.and_then(|nth| self.held.get(seat.stage.index())?.get(nth));
            held.into_iter().for_each(|held| self.start.drive.hold(slice, held));
        }
        let marks = nth.is_some() && marked(self.machine, step + 1, self.time_steps);
        for slice in slices {
            fired.clear();
            self.foreseen.fire(slice, step, &mut fired);
            fired.iter().for_each(|spike| self.hand(slice, spike, (nth.is_some(), marks)));
        }
        fired.clear();
        self.fired = fired;
    }

    /// Hands a spike of a slice to all its destinations, or to those that have to be followed.
    fn hand(&mut self, slice: usize, spike: &Spike, (all, marks): (bool, bool)) {
        let Self { machine, start: Start { drive, changed, .. }, follows, .. } = self;
        let (here, stage) = (&machine.program.slices[slice], machine.seats[slice].stage);
        let route = machine.route_of(slice)(spike);
        for &destination in &machine.ways[route.index()].destinations {
            let to = here.destinations[destination as usize].index();
            let spikes = std::slice::from_ref(spike);
            if all || follows[to] {
                drive.receive(to, stage, spikes);
            }
            if marks {
                let source = machine.source_of(to, SliceId::at(slice));
                mark(&machine.seats[to], &mut changed[to], source, spikes);
            }
        }
    }
}

/// Whether the units of a stage hold what no functional run says: counts, sums and shares, and what they have sent of them.
fn follows(kind: &StageKind<i32>) -> bool {
    match kind {
        StageKind::Input(_) | StageKind::Neurons(_) | StageKind::Readout { .. } => false,
        StageKind::MaxPool { .. }
        | StageKind::Scores { .. }
        | StageKind::Softmax { .. }
        | StageKind::Context { .. } => true,
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
