//! All that arrives at the positions of a block, summed up step by step: as rows of weights or as products.

use super::neurons::Population;
use super::planes::{Plane, Planes};
use super::scattered::{Scattered, Scattering};
use super::scratch::Scratch;
use super::synapses::{Afferent, Short};
use super::train::Train;
use super::{Options, Settle};
use crate::functional::arithmetic::Sum;
use crate::functional::lanes::{Aligned, Inflow, LANES, Numbers, Rows};
use bytemuck::Pod;
use std::ops::Range;

/// Sums of a block are about so many, so that they stay in the nearer caches.
const SUMS: usize = 1 << 13;

/// What arrives at the positions of a block.
#[derive(Debug, Default)]
pub(super) struct Arrivals<V> {
    way: Way,
    pub positions: Range<usize>,
    /// Steps of each position, and numbers of a step: channels in whole registers.
    steps: usize,
    pub width: usize,
    /// What is added to potentials, `[position][step][number]`: biases and all that arrives. It begins where a register does,
    /// behind numbers that mean nothing.
    pub sums: Vec<V>,
    skipped: usize,
    /// The last step in which anything arrives at each position, or 0.
    lasts: Vec<u32>,
    /// What single spikes scatter to all positions, for each projection one entry for each source where it does.
    scattered: Vec<Vec<Scattered>>,
    /// What sources send as windows see it, likewise.
    planes: Vec<Vec<Plane>>,
    scratch: Scratch,
}

/// How neurons that go through all their steps at once find what arrives.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As sums of all of it.
    #[default]
    Sums,
    /// As products of all that windows see of the only source.
    Products,
    /// As what the only source has scattered.
    Scattered,
    /// As what the image brings in every step.
    Steady,
}

impl<V: Sum<i32> + Pod> Arrivals<V> {
    /// The last step in which anything arrives at a position of the block, or 0.
    pub fn last(&self, position: usize) -> u32 {
        self.lasts[position - self.positions.start]
    }

    /// What is added at a position of the block, one row after the other for the first steps.
    #[inline(always)]
    pub fn sums(&self, position: usize) -> &[V] {
        let size = self.steps * self.width;
        &self.sums[self.skipped + (position - self.positions.start) * size..][..size]
    }

    /// Where the sums of what is sent in a step begin.
    #[inline(always)]
    pub fn to(&self, at: usize, sent: u32, delay: u32) -> usize {
        self.skipped + (at * self.steps + (sent + delay) as usize - 1) * self.width
    }

    /// The memory of what was scattered, if anything was, which nobody needs any more.
    pub fn release(&mut self) -> Option<Aligned> {
        self.scattered.drain(..).flatten().map(|scattered| scattered.sums).next()
    }

    /// Makes room for the sums of all positions; those there are stay what they are.
    fn make_room(&mut self) {
        let size = self.lasts.len() * self.steps * self.width + LANES;
        self.sums.resize(self.sums.len().max(size), V::default());
        self.skipped = self.sums.as_ptr().align_offset(size_of::<i32>() * LANES).min(LANES);
    }
}

impl Population<'_> {
    /// Positions of a block, whose sums stay in the nearer caches; all where they are found as they are.
    pub fn block<V>(&self, arrivals: &Arrivals<V>) -> usize {
        if arrivals.way == Way::Scattered {
            return self.grid.positions().max(1);
        }
        let steps = self.options.time_steps.max(self.last_input).max(1) as usize;
        let width = self.afferents.channels.next_multiple_of(LANES).max(1);
        (SUMS / width.saturating_mul(steps)).max(1)
    }

    /// Steps in which biases flow.
    pub fn driven(&self) -> u32 {
        let Options { time_steps, semantics, settle, .. } = *self.options;
        match settle {
            Settle::Steps(settle) if semantics.settle_bias => time_steps + settle,
            Settle::Steps(_) | Settle::ToSilence => time_steps,
        }
    }

    /// Sums up all that arrives at positions, as far as it is not found as it is; gives the synaptic operations.
    #[inline(always)]
    pub fn arrive<V: Sum<i32> + Pod>(&self, positions: Range<usize>, arrivals: &mut Arrivals<V>) -> u64 {
        arrivals.positions = positions.clone();
        arrivals.lasts.clear();
        match (arrivals.way, &arrivals.planes[..]) {
            (Way::Steady, _) => arrivals.lasts.resize(positions.len(), self.driven()),
            // spikes arrive in the step in which they are sent
            (Way::Products, [planes]) => arrivals.lasts.extend_from_slice(&planes[0].lasts[positions]),
            (Way::Scattered, _) => {
                let lasts = arrivals.scattered.first().and_then(|scattered| scattered.first());
                let (lasts, delay) = (lasts.map_or(&[][..], |of| &of.lasts[positions]), self.options.schedule.delay());
                arrivals.lasts.extend(lasts.iter().map(|&last| if last > 0 { last + delay } else { 0 }));
            }
            _ => arrivals.lasts.extend(positions.map(|position| self.last_of(position))),
        }
        let last = arrivals.lasts.iter().copied().max().unwrap_or(0);
        match arrivals.way {
            Way::Scattered => 0,
            Way::Steady => match self.steady() {
                Some((afferent, short)) => self.by_steady_products(afferent, short, arrivals),
                None => 0,
            },
            Way::Products => {
                arrivals.steps = last as usize;
                arrivals.make_room();
                self.by_projections(arrivals)
            }
            Way::Sums => {
                arrivals.steps = if self.is_alone() { 0 } else { last.max(self.driven()) as usize };
                self.by_biases(arrivals);
                self.by_projections(arrivals)
            }
        }
    }

    /// Whether nothing but biases comes to it: they are not summed up then.
    pub fn is_alone(&self) -> bool {
        self.afferents.projections.is_empty()
    }

    /// Begins sums with what biases bring.
    #[inline(always)]
    fn by_biases<V: Sum<i32> + Pod>(&self, arrivals: &mut Arrivals<V>) {
        arrivals.make_room();
        let (channels, width) = (self.afferents.channels, arrivals.width);
        let size = arrivals.steps * width;
        let sums = &mut arrivals.sums[arrivals.skipped..][..arrivals.lasts.len() * size];
        for (at, position) in arrivals.positions.clone().enumerate() {
            if at > 0 && self.afferents.bias.len() <= channels {
                sums.copy_within(..size, at * size);
                continue;
            }
            let sums = &mut sums[at * size..][..size];
            sums.fill(V::default());
            for row in sums.chunks_exact_mut(width.max(1)).take(self.driven() as usize) {
                row.iter_mut().zip(self.afferents.bias(position)).for_each(|(sum, &bias)| *sum = V::of(bias));
            }
        }
    }

    /// Adds what arrives through each projection; gives the synaptic operations.
    #[inline(always)]
    fn by_projections<V: Sum<i32> + Pod>(&self, arrivals: &mut Arrivals<V>) -> u64 {
        let mut operations = 0;
        let (all_scattered, all_planes) =
            (std::mem::take(&mut arrivals.scattered), std::mem::take(&mut arrivals.planes));
        for ((afferent, scattered), planes) in self.afferents.projections.iter().zip(&all_scattered).zip(&all_planes) {
            operations += match &afferent.short {
                Some(Short { planes: Some(windows), .. }) if !planes.is_empty() => {
                    self.by_planes(windows, planes, arrivals)
                }
                Some(Short { scatter: Some(windows), .. }) if !scattered.is_empty() => {
                    self.by_scattering(windows, scattered, arrivals);
                    0
                }
                Some(short) if size_of::<V>() == size_of::<i32>() => {
                    let singles = self.sources(afferent).all(|(train, _)| train.singles().is_some());
                    match &short.rows {
                        Some(rows) if singles && afferent.kernel.pool.is_none() => {
                            self.by_rows((afferent, short, rows), arrivals)
                        }
                        None if singles && self.are_few(afferent, short, arrivals) => {
                            self.one_by_one(afferent, arrivals)
                        }
                        Some(_) | None => self.by_products(afferent, short, arrivals),
                    }
                }
                Some(_) | None => self.one_by_one(afferent, arrivals),
            };
        }
        (arrivals.scattered, arrivals.planes) = (all_scattered, all_planes);
        operations
    }

    /// The only projection, where all that it brings is the same in each step in which biases flow.
    fn steady(&self) -> Option<(&Afferent<'_>, &Short)> {
        let [afferent] = &self.afferents.projections[..] else { return None };
        let repeats = self.sources(afferent).map(|(train, _)| train.repeats()).min();
        let steady = repeats == Some(self.driven()) && self.options.schedule.delay() == 0;
        Some((afferent, afferent.short.as_ref()?)).filter(|_| steady)
    }

    /// Sums up what arrives in every step; gives the synaptic operations.
    #[inline(always)]
    fn by_steady_products<V>(&self, afferent: &Afferent, short: &Short, arrivals: &mut Arrivals<V>) -> u64 {
        let Arrivals { positions, scratch, planes, .. } = arrivals;
        scratch.clear();
        let (stride, mut senders) = (short.packed.stride(), 0);
        if let (Some(windows), Some([plane])) = (&short.planes, planes.first().map(|planes| &planes[..])) {
            self.afferents.put_registers_of_bias(positions.clone(), &mut scratch.repeated);
            for (at, position) in positions.clone().enumerate() {
                scratch.rows.push(windows.view(plane, (position, 0), at * stride));
            }
            windows.multiply(self.level, (plane, false), &scratch.rows, &mut scratch.repeated);
            return 0;
        }
        for (at, position) in positions.clone().enumerate() {
            scratch.repeated.extend_from_slice(self.afferents.bias(position));
            scratch.repeated.resize((at + 1) * stride, 0);
            senders += scratch.push(self.sources(afferent), short, afferent.seen(position), (1, at * stride));
        }
        short.packed.multiply(self.level, &scratch.inputs, &scratch.rows, &mut scratch.repeated);
        u64::from(self.driven()) * (senders * short.outputs) as u64
    }

    /// What the only source has scattered, where neurons read that as it is.
    pub fn scattered<'a, V>(&'a self, arrivals: &'a Arrivals<V>) -> Option<(&'a Scattering, &'a Scattered)> {
        let windows = self.afferents.projections.first().and_then(|only| only.short.as_ref()?.scatter.as_ref());
        let from = windows.zip(arrivals.scattered.first().and_then(|scattered| scattered.first()));
        from.filter(|_| arrivals.way == Way::Scattered)
    }

    /// What arrives at a position of a block beside what was scattered, for neurons that go through all steps at once.
    #[inline(always)]
    pub fn inflow<'a, V: Sum<i32> + Pod>(&'a self, arrivals: &'a Arrivals<V>, position: usize) -> Inflow<'a> {
        let (bias, driven) = (self.afferents.registers_of_bias(position), self.driven() as usize);
        let of = |sums| Numbers::Sums { rows: bytemuck::cast_slice(sums), pitch: arrivals.width, delay: 0 };
        match arrivals.way {
            Way::Sums if self.is_alone() => Inflow { numbers: of(&[]), bias, driven },
            Way::Sums => Inflow { numbers: of(arrivals.sums(position)), bias: &[], driven: 0 },
            Way::Products => {
                let sums = &arrivals.sums(position)[..arrivals.last(position) as usize * arrivals.width];
                Inflow { numbers: of(sums), bias, driven }
            }
            Way::Scattered => Inflow { numbers: of(&[]), bias, driven },
            Way::Steady => {
                let first = (position - arrivals.positions.start) * arrivals.width;
                let bias = &arrivals.scratch.repeated[first..first + arrivals.width];
                Inflow { numbers: of(&[]), bias, driven }
            }
        }
    }

    /// Lays out as planes or scatters what can be to all positions, ahead of the blocks, and finds the way for neurons that
    /// are `quick`; gives the synaptic operations.
    #[inline(always)]
    pub fn lay_out<V: Sum<i32>>(&self, quick: bool, arrivals: &mut Arrivals<V>, spare: &mut Aligned) -> u64 {
        arrivals.width = self.afferents.channels.next_multiple_of(LANES);
        let mut operations = 0;
        for afferent in &self.afferents.projections {
            let short = afferent.short.as_ref().filter(|_| size_of::<V>() == size_of::<i32>());
            // no closures here: those are not compiled for the caller's instruction set
            let planes = if let Some(short) = short { self.lay_planes(quick, afferent, short) } else { None };
            let short = short.filter(|_| planes.is_none());
            let (planes, by_planes) = planes.unwrap_or_default();
            let scattered = if let Some(short) = short { self.scatter_all(afferent, short, spare) } else { None };
            let (scattered, by_scattering) = scattered.unwrap_or_default();
            operations += by_planes + by_scattering;
            arrivals.planes.push(planes);
            arrivals.scattered.push(scattered);
        }
        arrivals.way = match (&arrivals.planes[..], &arrivals.scattered[..]) {
            _ if quick && self.steady().is_some() => Way::Steady,
            ([planes], _) if quick && planes.len() == 1 && self.options.schedule.delay() == 0 => Way::Products,
            (_, [scattered]) if quick && scattered.len() == 1 && scattered[0].gain == 1 => Way::Scattered,
            _ => Way::Sums,
        };
        operations
    }

    #[inline(always)]
    fn lay_planes(&self, quick: bool, afferent: &Afferent, short: &Short) -> Option<(Vec<Plane>, u64)> {
        let windows = short.planes.as_ref()?;
        let (mut planes, mut operations) = (vec![], 0);
        for (train, gain) in self.sources(afferent) {
            if !windows.of_signs() {
                let numbers = train.repeated_numbers().filter(|_| quick && self.steady().is_some())?;
                let (plane, landed) = windows.lay_numbers(numbers, gain)?;
                operations += u64::from(self.driven()) * landed * short.outputs as u64;
                planes.push(plane);
                continue;
            }
            let (spikes, steps) = (train.singles()?, train.last_step.min(self.last_sent()));
            if !windows.pay(self.level, train.spikes, steps) {
                return None;
            }
            let (plane, landed) = windows.lay(spikes, steps, gain);
            operations += landed * short.outputs as u64;
            planes.push(plane);
        }
        Some((planes, operations))
    }

    /// The last step whose spikes arrive.
    pub fn last_sent(&self) -> u32 {
        match self.options.settle {
            Settle::ToSilence => u32::MAX,
            Settle::Steps(settle) => self.options.time_steps + settle - self.options.schedule.delay(),
        }
    }

    /// Adds the products of all that windows see.
    #[inline(always)]
    fn by_planes<V: Sum<i32> + Pod>(&self, windows: &Planes, planes: &[Plane], arrivals: &mut Arrivals<V>) -> u64 {
        let fresh = arrivals.way == Way::Products;
        let mut rows = std::mem::take(&mut arrivals.scratch.rows);
        for plane in planes {
            rows.clear();
            let delay = self.options.schedule.delay();
            for step in 0..plane.steps {
                rows.reserve(arrivals.lasts.len());
                for (at, &last) in arrivals.lasts.iter().enumerate() {
                    if last > step + delay {
                        let place = (arrivals.positions.start + at, step as usize);
                        rows.push(windows.view(plane, place, arrivals.to(at, step + 1, delay)));
                    }
                }
            }
            windows.multiply(self.level, (plane, fresh), &rows, bytemuck::cast_slice_mut(&mut arrivals.sums));
        }
        arrivals.scratch.rows = rows;
        0
    }

    /// The last step in which anything arrives at a position, or 0; no later one than the run has.
    fn last_of(&self, position: usize) -> u32 {
        let mut last = 0;
        for afferent in &self.afferents.projections {
            for &(source, _) in &afferent.sources {
                let train = &self.trains[source.index()].train;
                let seen = afferent.seen(position).iter().flat_map(|seen| seen.each());
                last = seen.map(|(from, _)| train.last_of(from)).fold(last, u32::max);
            }
        }
        let last = if last > 0 { last + self.options.schedule.delay() } else { 0 };
        match self.options.settle {
            Settle::ToSilence => last,
            Settle::Steps(settle) => last.min(self.options.time_steps + settle),
        }
    }

    /// Every position within a block, and the steps in which what is sent arrives there.
    pub fn sent<V>(&self, arrivals: &Arrivals<V>) -> impl Iterator<Item = (usize, u32)> + use<V> {
        let delay = self.options.schedule.delay();
        let lasts = arrivals.lasts.clone().into_iter().enumerate();
        lasts.map(move |(at, last)| (at, last.saturating_sub(delay)))
    }

    /// What each source of a projection sends, and its gain.
    #[inline(always)]
    pub fn sources<'a>(&'a self, afferent: &'a Afferent) -> impl Iterator<Item = (&'a Train, i32)> + Clone {
        afferent.sources.iter().map(|&(source, gain)| (&self.trains[source.index()].train, gain))
    }

    /// Adds single spikes through one projection; gives the synaptic operations.
    #[inline(always)]
    fn by_rows<V: Sum<i32> + Pod>(
        &self,
        (afferent, short, rows): (&Afferent, &Short, &Rows),
        arrivals: &mut Arrivals<V>,
    ) -> u64 {
        let delay = self.options.schedule.delay();
        let mut scratch = std::mem::take(&mut arrivals.scratch);
        scratch.clear();
        let codes: Vec<&[u32]> = self.sources(afferent).map(|(train, _)| train.codes()).collect();
        let mut operations = 0;
        for (at, steps) in self.sent(arrivals) {
            let seen = afferent.seen(arrivals.positions.start + at);
            for sent in 1..=steps {
                let (lists, to) = (scratch.bundle.lists.len(), arrivals.to(at, sent, delay));
                let senders = scratch.bundle.collect(self.sources(afferent), short.inputs, seen, sent);
                operations += (senders * short.outputs) as u64;
                if short.prefers_rows(senders, scratch.bundle.lists.len() - lists) {
                    scratch.bundle.targets.push((to, scratch.bundle.lists.len()));
                } else {
                    scratch.bundle.lists.truncate(lists);
                    scratch.push(self.sources(afferent), short, seen, (sent, to));
                }
            }
        }
        rows.add(self.level, &codes, &scratch.bundle, bytemuck::cast_slice_mut(&mut arrivals.sums));
        short.packed.multiply(self.level, &scratch.inputs, &scratch.rows, bytemuck::cast_slice_mut(&mut arrivals.sums));
        arrivals.scratch = scratch;
        operations
    }

    /// Adds numbers through one projection; gives the synaptic operations.
    #[inline(always)]
    fn by_products<V: Sum<i32> + Pod>(&self, afferent: &Afferent, short: &Short, arrivals: &mut Arrivals<V>) -> u64 {
        let delay = self.options.schedule.delay();
        let repeats = self.sources(afferent).map(|(train, _)| train.repeats()).min().unwrap_or(0);
        let mut scratch = std::mem::take(&mut arrivals.scratch);
        scratch.clear();
        let mut operations = 0;
        let stride = short.packed.stride();
        for (at, steps) in self.sent(arrivals) {
            let seen = afferent.seen(arrivals.positions.start + at);
            let alike = repeats.min(steps);
            if alike > 0 {
                let to = scratch.repeated.len();
                scratch.repeated.resize(to + stride, 0);
                let senders = scratch.push(self.sources(afferent), short, seen, (1, to));
                operations += u64::from(alike) * (senders * short.outputs) as u64;
            }
        }
        if repeats > 0 {
            short.packed.multiply(self.level, &scratch.inputs, &scratch.rows, &mut scratch.repeated);
            scratch.inputs.clear();
            scratch.rows.clear();
            let mut products = scratch.repeated.chunks_exact(stride);
            for (at, steps) in self.sent(arrivals).filter(|(_, steps)| *steps > 0) {
                let product = products.next().unwrap_or_default();
                for sent in 1..=repeats.min(steps) {
                    let to = arrivals.to(at, sent, delay);
                    let sums: &mut [i32] = bytemuck::cast_slice_mut(&mut arrivals.sums[to..to + stride]);
                    sums.iter_mut().zip(product).for_each(|(sum, product)| *sum = sum.wrapping_add(*product));
                }
            }
        }
        for (at, steps) in self.sent(arrivals) {
            let seen = afferent.seen(arrivals.positions.start + at);
            let to = |sent| arrivals.to(at, sent, delay);
            if let Some(senders) = scratch.push_counts(self.sources(afferent), short, seen, (steps, to)) {
                operations += (senders * short.outputs) as u64;
                continue;
            }
            for sent in repeats + 1..=steps {
                let to = arrivals.to(at, sent, delay);
                operations += (scratch.push(self.sources(afferent), short, seen, (sent, to)) * short.outputs) as u64;
            }
        }
        short.packed.multiply(self.level, &scratch.inputs, &scratch.rows, bytemuck::cast_slice_mut(&mut arrivals.sums));
        arrivals.scratch = scratch;
        operations
    }

    /// Whether so few single spikes arrive at the block that they are added one by one sooner than as products.
    fn are_few<V: Sum<i32> + Pod>(&self, afferent: &Afferent, short: &Short, arrivals: &Arrivals<V>) -> bool {
        let (mut spikes, mut products) = (0, 0);
        for (at, steps) in self.sent(arrivals) {
            let seen = afferent.seen(arrivals.positions.start + at).iter().flat_map(|seen| seen.each());
            for train in self.sources(afferent).filter_map(|(train, _)| train.singles()) {
                spikes += seen.clone().map(|(from, _)| train.sent_by(from as usize, steps) as usize).sum::<usize>();
            }
            products += steps as usize;
        }
        short.prefers_spikes(spikes, products)
    }

    /// Adds what was sent through one projection spike by spike; gives the synaptic operations.
    #[inline(always)]
    fn one_by_one<V: Sum<i32> + Pod>(&self, afferent: &Afferent, arrivals: &mut Arrivals<V>) -> u64 {
        let (kernel, delay, width) = (afferent.kernel, self.options.schedule.delay(), arrivals.width);
        let mut operations = 0;
        for (at, steps) in self.sent(arrivals) {
            let first = arrivals.to(at, 1, delay);
            let seen = afferent.seen(arrivals.positions.start + at).iter().flat_map(|seen| seen.each());
            for ((train, gain), (from, tap)) in
                self.sources(afferent).flat_map(|source| seen.clone().map(move |seen| (source, seen)))
            {
                train.each_until(from, steps, |step, channel, number| {
                    let (reached, row) = (kernel.reached(channel as u32), kernel.row(tap, channel as u32));
                    let first = first + (step as usize - 1) * width;
                    let sums = &mut arrivals.sums[first + reached.start as usize..first + reached.end as usize];
                    let factor = V::default().plus(V::of(gain), number);
                    sums.iter_mut().zip(row).for_each(|(sum, &weight)| *sum = sum.plus(factor, weight));
                    operations += row.len() as u64;
                });
            }
        }
        operations
    }
}
