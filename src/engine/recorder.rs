//! Somebody who watches a run: passed into the loop, told what happens, without any say in it.

use super::mesh::Mesh;
use crate::events::{Change, Events, Flight, Span};
use crate::units::{Cycle, SliceId, TileId};
use std::ops::Range;

/// What the loop tells.
pub trait Recorder {
    /// Whether it is told anything at all.
    const WATCHES: bool = true;
    /// A slice fires `spikes` spikes of its step from `span.start` to `span.end`.
    fn fires(&mut self, slice: SliceId, step: u32, spikes: u64, span: Range<Cycle>);
    /// A slice hands a packet of spikes to its router; `tag` is its name until all its copies have been taken.
    fn sends(&mut self, slice: SliceId, tag: u32, now: Cycle);
    /// A slice works on a packet of `spikes` spikes for its step from `span.start` to `span.end`.
    fn takes(&mut self, slice: SliceId, tag: u32, step: u32, spikes: u64, span: Range<Cycle>);
    /// A cycle in which something was due has ended.
    fn ends(&mut self, now: Cycle, mesh: &Mesh<'_>);
}

/// Watches nothing, and costs nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Silent;

impl Recorder for Silent {
    const WATCHES: bool = false;
    #[inline]
    fn fires(&mut self, _: SliceId, _: u32, _: u64, _: Range<Cycle>) {}
    #[inline]
    fn sends(&mut self, _: SliceId, _: u32, _: Cycle) {}
    #[inline]
    fn takes(&mut self, _: SliceId, _: u32, _: u32, _: u64, _: Range<Cycle>) {}
    #[inline]
    fn ends(&mut self, _: Cycle, _: &Mesh<'_>) {}
}

/// Writes down what happens in a window of cycles, up to a number of events of each kind.
#[derive(Debug, Clone)]
pub struct Log {
    events: Events,
    most: usize,
    /// Cycles from one sample of the links to the next, and when the next one is due.
    every: Cycle,
    due: Cycle,
    /// Who sent the packet that a tag names, and when.
    sent: Vec<(SliceId, Cycle)>,
    /// For each slice, its last intake.
    last: Vec<Option<usize>>,
    /// For each router watched, its last change.
    changed: Vec<Option<usize>>,
}

/// Samples of the links in a window.
const SAMPLES: u64 = 400;

impl Log {
    /// A log of `window` that keeps at most `most` events of each kind and watches these routers.
    #[must_use]
    pub fn new(window: Range<Cycle>, most: usize, routers: &[TileId]) -> Self {
        let every = (window.end.saturating_sub(window.start) / SAMPLES).max(1);
        let count = routers.len();
        let routers = routers.iter().map(|&tile| (tile, 0)).collect();
        let due = window.start;
        Self {
            events: Events { window, routers, ..Events::default() },
            most,
            every,
            due,
            sent: vec![],
            last: vec![],
            changed: vec![None; count],
        }
    }

    /// What was written down.
    #[must_use]
    pub fn into_events(self) -> Events {
        self.events
    }

    /// Whether a span touches the window.
    fn sees(&self, span: &Range<Cycle>) -> bool {
        span.start < self.events.window.end && span.end >= self.events.window.start
    }

    fn watch(&mut self, now: Cycle, mesh: &Mesh<'_>) {
        for router in 0..self.events.routers.len() {
            let tile = self.events.routers[router].0;
            let (inputs, outputs) = (mesh.input_flits(tile), mesh.output_flits(tile));
            self.events.routers[router].1 = outputs.len().saturating_sub(super::mesh::SIDES as usize);
            let before = self.changed[router].map(|at| &self.events.changes[at]);
            if before.is_some_and(|before| before.inputs == inputs && before.outputs == outputs) {
                continue;
            }
            if self.events.changes.len() < self.most {
                self.changed[router] = Some(self.events.changes.len());
                self.events.changes.push(Change { cycle: now, router, inputs, outputs });
            } else {
                self.events.left_out += 1;
            }
        }
    }
}

impl Recorder for Log {
    fn fires(&mut self, slice: SliceId, step: u32, spikes: u64, span: Range<Cycle>) {
        if !self.sees(&span) {
            return;
        }
        if self.events.firings.len() < self.most {
            self.events.firings.push(Span { slice, step, begin: span.start, end: span.end, spikes });
        } else {
            self.events.left_out += 1;
        }
    }

    fn sends(&mut self, slice: SliceId, tag: u32, now: Cycle) {
        if self.sent.len() <= tag as usize {
            self.sent.resize(tag as usize + 1, (slice, now));
        }
        self.sent[tag as usize] = (slice, now);
    }

    fn takes(&mut self, slice: SliceId, tag: u32, step: u32, spikes: u64, span: Range<Cycle>) {
        if !self.sees(&span) {
            return;
        }
        if let Some(&(from, sent)) = self.sent.get(tag as usize) {
            if self.events.flights.len() < self.most {
                self.events.flights.push(Flight { from, sent, to: slice, taken: span.start });
            } else {
                self.events.left_out += 1;
            }
        }
        if self.last.len() <= slice.index() {
            self.last.resize(slice.index() + 1, None);
        }
        if let Some(last) = self.last[slice.index()].map(|at| &mut self.events.intakes[at])
            && last.step == step
            && last.end >= span.start
        {
            last.end = last.end.max(span.end);
            last.spikes += spikes;
        } else if self.events.intakes.len() < self.most {
            self.last[slice.index()] = Some(self.events.intakes.len());
            self.events.intakes.push(Span { slice, step, begin: span.start, end: span.end, spikes });
        } else {
            self.events.left_out += 1;
        }
    }

    fn ends(&mut self, now: Cycle, mesh: &Mesh<'_>) {
        if !self.events.window.contains(&now) {
            return;
        }
        if now >= self.due {
            self.events.samples.push((now, mesh.link_flits()));
            self.due = now + self.every;
        }
        self.watch(now, mesh);
    }
}
