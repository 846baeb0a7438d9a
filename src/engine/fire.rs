//! The end of a step on one unit: the soma goes over its neurons, spikes are packed, the rest of the chip is told.

use super::drive::Spikes;
use super::machine::Machine;
use super::mesh::{Packet, Passage};
use super::packets::{self, Kind, Spike};
use super::recorder::Recorder;
use super::run::{Due, Run};
use super::state::Outgoing;
use super::units::{Role, Scan};
use crate::action::Action;
use crate::hardware::{Soma, Updates};
use crate::units::{Cycle, RouteId, SliceId};
use std::cmp::Reverse;

impl<D: Spikes, R: Recorder> Run<'_, D, R> {
    /// A slice fires its step, from `start` on: all that it will hand over is put into its outbox with its cycles.
    pub fn fire(&mut self, slice: usize, start: Cycle) {
        let (seat, step) = (self.seat(slice), self.slices[slice].step);
        let mut fired = std::mem::take(&mut self.fired);
        self.drive.fire(slice, step, &mut fired);
        let scan = self.scan(slice, start, &fired);
        let state = &mut self.slices[slice];
        state.firing = true;
        state.activity.spikes += fired.len() as u64;
        state.activity.negative_spikes += fired.iter().filter(|spike| spike.value < 0).count() as u64;
        state.activity.counts.add(Action::Spike, fired.len() as u64);
        if seat.graded {
            let noc = &self.machine.wiring.noc;
            state.activity.wide_spikes +=
                fired.iter().filter(|spike| packets::is_wide(noc, spike.value)).count() as u64;
        }
        self.note(slice, |step| {
            step.begins = step.begins.min(start);
            step.fires = step.fires.min(start);
            step.spikes += fired.len() as u64;
        });
        let mut sent = vec![0; seat.to_destinations.len()];
        let built = self.pack(slice, &scan, &fired, &mut sent);
        let mut end = scan.end.max(built);
        if !self.is_barrier() {
            end = self.announce(slice, end, &sent);
        }
        self.recorder.fires(SliceId::at(slice), step, fired.len() as u64, start..end);
        let state = &mut self.slices[slice];
        state.outbox.push_back((end, Outgoing::End));
        state.work(start, end);
        state.changed.clear();
        if let Some((due, _)) = state.outbox.front() {
            self.calendar.push(Reverse(Due::new(*due, slice)));
        }
        fired.clear();
        self.fired = fired;
    }

    /// Counts what the unit looks at, and how long that takes.
    fn scan(&mut self, slice: usize, start: Cycle, fired: &[Spike]) -> Scan {
        let (seat, drive) = (self.seat(slice), self.slices[slice].step <= self.time_steps);
        let (state, all) = (&mut self.slices[slice], seat.part.neurons() as u64);
        let counts = &mut state.activity.counts;
        match seat.role {
            Role::Port | Role::MaxPool => Scan::at_once(start),
            Role::Attention => {
                counts.add(Action::AttentionAccess, all);
                Scan::through(start, all, &seat.pace)
            }
            Role::Softmax(vectors) => {
                let count = if drive { u64::from(vectors.count) } else { state.changed.count() };
                let elements = count * u64::from(vectors.len);
                counts.add(Action::SoftmaxDivide, count);
                counts.add(Action::SoftmaxExp, elements);
                counts.add(Action::SoftmaxScale, elements);
                Scan::normalise(start, count, u64::from(vectors.len), &seat.pace)
            }
            Role::Core(soma) => {
                let marked = marked(self.machine, state.step, self.time_steps);
                for spike in fired.iter().filter(|_| marked) {
                    let local = seat.part.local(spike.position, spike.channel);
                    state.changed.add(local..local + 1);
                }
                if self.machine.timing.core.updates == Updates::Potential {
                    self.drive.charged(slice, &mut state.changed);
                }
                let updated = if marked { state.changed.count() } else { all };
                let visited = if soma == Soma::Sweep { all } else { updated };
                counts.add(Action::NeuronUpdate, updated);
                counts.add(Action::NeuronVisit, visited);
                Scan::through(start, visited, &seat.pace).longer(seat.pace.extra(updated, fired.len() as u64))
            }
        }
    }

    /// When the unit has found a spike, the one that it fires as number `nth` from 1.
    fn found(&self, slice: usize, scan: &Scan, spike: &Spike, nth: u64) -> Cycle {
        let (seat, state) = (self.seat(slice), &self.slices[slice]);
        let local = seat.part.local(spike.position, spike.channel);
        let Role::Core(soma) = seat.role else { return scan.found(local as u64) };
        let marked = marked(self.machine, state.step, self.time_steps);
        if !marked || (soma == Soma::Sweep && seat.pace.extra(1, 0) == 0) {
            return scan.found(local as u64) + seat.pace.extra(local as u64 + 1, nth);
        }
        let rank = state.changed.rank(local);
        scan.found(if soma == Soma::Event { rank } else { local as u64 }) + seat.pace.extra(rank + 1, nth)
    }

    /// Packs consecutive spikes of one route, and counts the packets for each destination; when the last one is built.
    fn pack(&mut self, slice: usize, scan: &Scan, fired: &[Spike], sent: &mut [u64]) -> Cycle {
        let (machine, step) = (self.machine, self.slices[slice].step);
        let (mut built, mut nth) = (0, 0);
        for (route, group) in packets::groups(fired, machine.route_of(slice), &machine.wiring.noc) {
            nth += group.len() as u64;
            let found = self.found(slice, scan, &group[group.len() - 1], nth);
            built = self.build(slice, route, group, step, built.max(found));
            for &destination in &machine.ways[route.index()].destinations {
                sent[destination as usize] += 1;
            }
        }
        built
    }

    /// Builds the packets of a group of spikes, one for each tree of its route, from `from` on; when the last one is built.
    fn build(&mut self, slice: usize, route: RouteId, group: &[Spike], step: u32, from: Cycle) -> Cycle {
        let trees = &self.machine.ways[route.index()].trees;
        let copies = trees.iter().map(|tree| tree.passage.deliveries).sum();
        if trees.is_empty() {
            return from;
        }
        let tag = self.parcels.add(Kind::Spikes, SliceId::at(slice), step, copies);
        self.parcels.get_mut(tag).spikes.extend_from_slice(group);
        let (pace, noc) = (&self.seat(slice).pace, &self.machine.wiring.noc);
        let flits = packets::spike_flits(noc, group.len(), self.seat(slice).graded) as u16;
        let mut built = from;
        for tree in 0..trees.len() as u32 {
            built += pace.axon_out;
            self.slices[slice].outbox.push_back((built, Outgoing::Spikes { tag, route: route.0, tree, flits }));
        }
        built
    }

    /// Builds tokens and acknowledgements, from `from` on; when the last one is built.
    fn announce(&mut self, slice: usize, from: Cycle, sent: &[u64]) -> Cycle {
        let (seat, outbox) = (&self.machine.seats[slice], &mut self.slices[slice].outbox);
        let tokens = sent.iter().zip(0..).map(|(&packets, destination)| Outgoing::Token { destination, packets });
        let sources = seat.to_sources.len() as u32;
        let acknowledgements = (0..sources).map(|source| Outgoing::Acknowledgement { source });
        let mut built = from;
        for outgoing in tokens.chain(acknowledgements) {
            built += seat.pace.axon_out;
            outbox.push_back((built, outgoing));
        }
        built
    }

    /// Hands a packet to the router, and counts all that it will cause.
    pub fn send(&mut self, slice: usize, packet: Packet, passage: Passage, action: Action) {
        let activity = &mut self.slices[slice].activity;
        let flits = u64::from(packet.flits);
        activity.counts.add(action, 1);
        activity.counts.add(Action::FlitRoute, flits * passage.routes);
        activity.counts.add(Action::HopHorizontal, flits * passage.horizontal);
        activity.counts.add(Action::HopVertical, flits * passage.vertical);
        activity.counts.add(Action::HopChip, flits * passage.between_chips);
        activity.counts.add(Action::LocalDelivery, flits * passage.deliveries);
        activity.flit_hops += flits * (passage.horizontal + passage.vertical + passage.between_chips);
        self.mesh.inject(self.machine.seats[slice].unit, packet);
    }
}

/// Whether it must be known which neurons of a core changed in this step.
pub(super) fn marked(machine: &Machine, step: u32, time_steps: u32) -> bool {
    step > time_steps || machine.timing.core.updates == Updates::Potential
}
