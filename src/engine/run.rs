//! The loop of one image, and what units do when packets reach them.

use super::drive::Spikes;
use super::fire::marked;
use super::machine::Seat;
use super::marks::Marks;
use super::mesh::{AtRest, Delivery, Mesh, Packet};
use super::packets::{Kind, Parcel, Parcels, Spike};
use super::recorder::Recorder;
use super::state::{Outgoing, SliceState};
use super::units::Role;
use super::{EngineError, Machine, control, packets};
use crate::action::Action;
use crate::activity::{SliceActivity, StageStep};
use crate::hardware::Discipline;
use crate::units::{Cycle, SliceId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// A step that nobody has begun.
pub(super) const NOT_YET: StageStep =
    StageStep { begins: Cycle::MAX, fires: Cycle::MAX, ends: 0, spikes: 0, packets: 0 };

/// How things stand at the beginning of a step.
pub(super) struct Start<D> {
    /// Which step.
    pub step: u32,
    pub drive: D,
    /// What has changed in each slice since it has fired.
    pub changed: Vec<Marks>,
}

/// When a slice hands something over: by cycle, then by slice, in one number, which is compared without a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due(u128);

impl Due {
    pub fn new(cycle: Cycle, slice: usize) -> Self {
        Self(u128::from(cycle) << 64 | slice as u128)
    }

    pub fn cycle(self) -> Cycle {
        (self.0 >> 64) as Cycle
    }

    pub fn slice(self) -> usize {
        self.0 as usize
    }
}

/// What a run of some steps gives, its cycles counted from their start.
pub(super) struct Done<D> {
    pub drive: D,
    pub cycles: Cycle,
    pub step_ends: Vec<Cycle>,
    pub slices: Vec<SliceActivity>,
    /// All steps of the first stage and one that is not run, then those of the next; where nothing began, nothing is noted.
    pub stage_steps: Vec<StageStep>,
    pub link_flits: Vec<u64>,
}

/// One image on its way through a machine, in some steps.
pub(super) struct Run<'m, D, R> {
    pub machine: &'m Machine<'m>,
    pub drive: D,
    pub recorder: &'m mut R,
    pub mesh: Mesh<'m>,
    pub slices: Vec<SliceState>,
    pub parcels: Parcels,
    /// When each firing slice next hands something over.
    pub calendar: BinaryHeap<Reverse<Due>>,
    /// T: steps in which the biases flow.
    pub time_steps: u32,
    /// The first step, and the last one.
    pub first: u32,
    pub steps: u32,
    pub step_ends: Vec<Cycle>,
    /// See [`Done::stage_steps`].
    stage_steps: Vec<StageStep>,
    /// What a slice is firing; empty between firings.
    pub fired: Vec<Spike>,
}

impl<'m, D: Spikes, R: Recorder> Run<'m, D, R> {
    /// A run from a step on, up to the one with the number `steps`.
    pub fn new(machine: &'m Machine<'m>, start: Start<D>, recorder: &'m mut R, time_steps: u32, steps: u32) -> Self {
        let Start { step: first, mut drive, changed } = start;
        let count = (steps + 1 - first) as usize;
        drive.keep(first..steps + 1);
        let mut mesh = Mesh::new(&machine.wiring, machine.order);
        // With barriers, units begin nothing because a packet comes.
        mesh.watch(R::WATCHES, machine.timing.step.discipline == Discipline::Barrier);
        mesh.expect(packets::longest(&machine.wiring.noc, machine.graph));
        Self {
            machine,
            drive,
            recorder,
            mesh,
            slices: machine
                .seats
                .iter()
                .zip(changed)
                .map(|(seat, changed)| SliceState::new(seat, first, changed))
                .collect(),
            parcels: Parcels::default(),
            calendar: BinaryHeap::new(),
            time_steps,
            first,
            steps,
            step_ends: vec![0; count],
            stage_steps: vec![NOT_YET; machine.graph.stages.len() * (count + 1)],
            fired: vec![],
        }
    }

    /// The loop; its moves are those of the engine's page.
    pub fn finish(mut self) -> Result<Done<D>, EngineError> {
        let mut now = 0;
        let mut deliveries = vec![];
        self.begin();
        loop {
            for delivery in deliveries.drain(..) {
                self.receive(delivery);
            }
            while self.due() <= now {
                self.hand_over(now);
            }
            self.mesh.launch(now);
            self.recorder.ends(now, &self.mesh);
            // Who watches sees every cycle in which anything is due.
            let until = if R::WATCHES { self.mesh.next(now).unwrap_or(Cycle::MAX).min(self.due()) } else { self.due() };
            now = match self.mesh.carry_on(now, until, &mut deliveries) {
                Ok(next) => next,
                Err(AtRest(last)) if self.at_rest(last)? => break,
                Err(AtRest(last)) => last,
            };
        }
        Ok(self.done())
    }

    /// When the first slice hands over what it has fired; at the end of time if none does.
    #[inline]
    fn due(&self) -> Cycle {
        self.calendar.peek().map_or(Cycle::MAX, |Reverse(due)| due.cycle())
    }

    pub fn seat(&self, slice: usize) -> &'m Seat<'m> {
        &self.machine.seats[slice]
    }

    /// Notes what a slice does for its step with its stage.
    pub fn note(&mut self, slice: usize, what: impl FnOnce(&mut StageStep)) {
        let (count, step) = (self.step_ends.len(), (self.slices[slice].step - self.first) as usize);
        what(&mut self.stage_steps[self.machine.seats[slice].stage.index() * (count + 1) + step.min(count)]);
    }

    /// A packet reaches the unit of a slice.
    fn receive(&mut self, Delivery { cycle, unit, tag }: Delivery) {
        let Some(slice) = self.machine.slice_at[unit.index()].map(SliceId::index) else { return };
        let Parcel { kind, sender, step, .. } = *self.parcels.get(tag);
        let here = &self.machine.program.slices[slice];
        match kind {
            Kind::Spikes => self.receive_spikes(slice, tag, cycle),
            Kind::Token { packets } => {
                if let Some(source) = self.machine.source_of(slice, sender) {
                    self.slices[slice].take_token(source, step, packets);
                }
                self.parcels.taken(tag);
            }
            Kind::Acknowledgement => {
                if let Ok(destination) = here.destinations.binary_search(&sender) {
                    let last = &mut self.slices[slice].acknowledged[destination];
                    *last = step.max(*last);
                }
                self.parcels.taken(tag);
            }
        }
        self.fire_if_ready(slice, cycle);
    }

    fn receive_spikes(&mut self, slice: usize, tag: u32, now: Cycle) {
        let Parcel { sender, step, .. } = *self.parcels.get(tag);
        let source = self.machine.source_of(slice, sender);
        let state = &mut self.slices[slice];
        // A packet that nobody announced may come too late; it is taken as soon as possible.
        let soonest = state.step + u32::from(state.firing);
        let due = (step + control::delay(self.machine.timing.step.discipline)).max(soonest);
        state.tally(due).arrived += u64::from(source.is_some());
        if let Some(source) = source {
            state.from_sources[source].arrived += 1;
        }
        if due > state.step || state.firing {
            state.tally(due).early.push(tag);
            state.early += 1;
            state.note_queue();
        } else {
            self.integrate(slice, (tag, source), now);
        }
    }

    /// A slice takes a packet that is due, from one of its sources.
    pub fn integrate(&mut self, slice: usize, (tag, source): (u32, Option<usize>), now: Cycle) {
        let (seat, state) = (&self.machine.seats[slice], &mut self.slices[slice]);
        let Parcel { sender, spikes, .. } = self.parcels.get(tag);
        let (mut begin, mut all_operations) = (None, 0);
        let input = source.map(|source| &seat.inputs[source]);
        for spike in spikes {
            let (operations, work) = input.map_or((0, 0), |input| input.of(spike.position, spike.channel));
            begin.get_or_insert(state.intake.take(now, &seat.pace, work));
            all_operations += operations;
        }
        let begin = begin.unwrap_or(now);
        state.work(begin, state.intake.done);
        state.wait(now, begin);
        seat.role.count_arrival(spikes.len() as u64, all_operations, &mut state.activity.counts);
        let (number, stage) = (spikes.len() as u64, self.machine.seats[sender.index()].stage);
        if marked(self.machine, state.step, self.time_steps) {
            mark(seat, &mut state.changed, source, spikes);
        }
        self.note(slice, |step| step.begins = step.begins.min(begin));
        let (step, done) = (self.slices[slice].step, self.slices[slice].intake.done.max(begin));
        self.recorder.takes(SliceId::at(slice), tag, step, number, begin..done);
        self.drive.receive(slice, stage, &self.parcels.get(tag).spikes);
        self.parcels.taken(tag);
    }

    /// The slice that is first in the calendar hands over what is due.
    fn hand_over(&mut self, now: Cycle) {
        let Some(slice) = self.calendar.peek().map(|Reverse(due)| due.slice()) else { return };
        while let Some((_, outgoing)) = self.slices[slice].outbox.pop_front_if(|(due, _)| *due <= now) {
            self.let_go(slice, outgoing, now);
        }
        let next = self.slices[slice].outbox.front().map(|(due, _)| *due);
        // What it may have put into the calendar meanwhile is not due earlier, so it is still the first.
        if let Some(mut first) = self.calendar.peek_mut() {
            match next {
                Some(due) => *first = Reverse(Due::new(due, slice)),
                None => drop(PeekMut::pop(first)),
            }
        }
    }

    fn let_go(&mut self, slice: usize, outgoing: Outgoing, now: Cycle) {
        let seat = self.seat(slice);
        match outgoing {
            Outgoing::Spikes { tag, route, tree, flits } => {
                let to = self.machine.ways[route as usize].trees[tree as usize];
                self.slices[slice].activity.packets += 1;
                self.recorder.sends(SliceId::at(slice), tag, now);
                self.note(slice, |step| step.packets += 1);
                self.send(slice, Packet { tag, way: to.way, flits }, to.passage, Action::AxonOut);
            }
            Outgoing::Token { destination, packets } => {
                self.send_control(slice, Kind::Token { packets }, seat.to_destinations[destination as usize]);
            }
            Outgoing::Acknowledgement { source } => {
                self.send_control(slice, Kind::Acknowledgement, seat.to_sources[source as usize]);
            }
            Outgoing::End => self.end_step(slice, now),
        }
    }

    fn done(self) -> Done<D> {
        let mut slices = vec![];
        for (state, seat) in self.slices.into_iter().zip(&self.machine.seats) {
            let peak_outgoing = self.mesh.peak_waiting(seat.unit);
            slices.push(SliceActivity { peak_outgoing, ..state.activity });
        }
        let cycles = self.step_ends.last().copied().unwrap_or(0);
        let Self { drive, step_ends, stage_steps, mesh, .. } = self;
        Done { drive, cycles, step_ends, slices, stage_steps, link_flits: mesh.link_flits() }
    }

    pub fn is_barrier(&self) -> bool {
        self.machine.timing.step.discipline == Discipline::Barrier
    }
}

/// Notes which neurons or vectors the spikes of a source change.
pub(super) fn mark(seat: &Seat, changed: &mut Marks, source: Option<usize>, spikes: &[Spike]) {
    match seat.role {
        Role::Core(_) => {
            let Some(input) = source.map(|source| &seat.inputs[source]) else { return };
            for patch in spikes.iter().flat_map(|spike| input.changes(spike.position, spike.channel)) {
                changed.add_word(patch);
            }
        }
        Role::Softmax(vectors) => {
            let region = &seat.part.bounds();
            for spike in spikes.iter().filter(|spike| region.contains(spike.position, spike.channel)) {
                let vector = vectors.of(region, spike.position, spike.channel) as usize;
                changed.add(vector..vector + 1);
            }
        }
        Role::Port | Role::MaxPool | Role::Attention => {}
    }
}
