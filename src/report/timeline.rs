//! `timeline.json`: the events of a window in the Chrome trace format, which Perfetto (<https://ui.perfetto.dev>) opens.
//!
//! A process for each layer, in it a track for each unit and two for its time steps; one process for the links. Packets are
//! flows from the firing that built them to the work that they cause. Times are those of the chip, in microseconds.

use super::file::{WriteError, write};
use crate::events::{Events, Span};
use crate::program::{Direction, Program};
use crate::summary::RunSummary;
use crate::units::{Cycle, SliceId};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::path::Path;

/// Links that get a track of their own: the busiest ones of the window.
const LINKS: usize = 32;

/// Writes the timeline of the first image.
///
/// # Errors
/// If the file cannot be written.
pub fn write_timeline(path: &Path, run: &RunSummary, program: &Program, events: &Events) -> Result<(), WriteError> {
    write(path, timeline(run, program, events).as_bytes())
}

/// The timeline of the first image, as JSON with one event in each line.
#[must_use]
pub fn timeline(run: &RunSummary, program: &Program, events: &Events) -> String {
    let page = Page { run, program, events };
    let mut all = page.names();
    all.extend(page.steps());
    all.extend(events.intakes.iter().map(|span| page.span(span, "take in")));
    all.extend(events.firings.iter().map(|span| page.span(span, "fire")));
    all.extend((0..).zip(&events.flights).flat_map(|(id, flight)| {
        let end = |phase: &str, slice: SliceId, cycle| {
            let mut flow = page.event(phase, "packet", slice, cycle);
            flow["id"] = json!(id);
            flow["bp"] = json!("e");
            flow
        };
        [end("s", flight.from, flight.sent), end("f", flight.to, flight.taken)]
    }));
    all.extend(page.links());
    let lines: Vec<String> = all.iter().map(Value::to_string).collect();
    let about = json!({
        "network": run.network, "chip": run.chip, "mhz": run.map.mhz, "first_cycle": events.window.start,
        "end_cycle": events.window.end, "events_left_out": events.left_out,
    });
    format!("{{\"displayTimeUnit\":\"ns\",\"otherData\":{about},\"traceEvents\":[\n{}\n]}}\n", lines.join(",\n"))
}

struct Page<'a> {
    run: &'a RunSummary,
    program: &'a Program,
    events: &'a Events,
}

impl Page<'_> {
    /// A cycle in microseconds.
    fn at(&self, cycle: Cycle) -> Value {
        json!(cycle as f64 / self.run.map.mhz.max(1) as f64)
    }

    /// The process of a layer; the links' is the one after the last.
    fn layer(&self, slice: SliceId) -> usize {
        self.program.slices.get(slice.index()).map_or(0, |slice| slice.stage.index() + 1)
    }

    fn event(&self, phase: &str, name: &str, slice: SliceId, cycle: Cycle) -> Value {
        json!({"ph": phase, "name": name, "cat": name, "pid": self.layer(slice), "tid": slice.index() + FIRST_UNIT, "ts": self.at(cycle)})
    }

    fn span(&self, span: &Span, what: &str) -> Value {
        let mut event = self.event("X", what, span.slice, span.begin);
        event["name"] = json!(format!("{what}, step {}", span.step));
        event["cat"] = json!(what);
        event["dur"] = self.at(span.end - span.begin);
        event["args"] =
            json!({"step": span.step, "spikes": span.spikes, "begin_cycle": span.begin, "end_cycle": span.end});
        event
    }

    /// The names of layers and units, and their order.
    fn names(&self) -> Vec<Value> {
        let name = |what: &str, pid: usize, tid: usize, name: String| json!({"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}});
        let mut names = vec![];
        for (nth, layer) in self.run.layers.iter().enumerate() {
            names.push(name("process_name", nth + 1, 0, format!("{:02} {} ({})", nth + 1, layer.name, layer.kind)));
            names.push(json!({"ph": "M", "name": "process_sort_index", "pid": nth + 1, "args": {"sort_index": nth}}));
            names.push(name("thread_name", nth + 1, 1, "time steps, odd".to_string()));
            names.push(name("thread_name", nth + 1, 2, "time steps, even".to_string()));
        }
        for (index, slice) in self.program.slices.iter().enumerate() {
            let unit = self.run.map.units.get(slice.unit.index());
            let place =
                unit.map_or(String::new(), |unit| format!("{} ({}, {}) {}", unit.kind, unit.x, unit.y, unit.port));
            names.push(name(
                "thread_name",
                slice.stage.index() + 1,
                index + FIRST_UNIT,
                format!("{place}: {}", slice.region),
            ));
        }
        names.push(name("process_name", self.run.layers.len() + 1, 0, "links".to_string()));
        names
    }

    /// Time steps of the layers, as far as they touch the window.
    fn steps(&self) -> Vec<Value> {
        let window = &self.events.window;
        let layers = self.run.waterfall.layers.iter().enumerate();
        let steps = layers.flat_map(|(layer, steps)| steps.iter().enumerate().map(move |(at, step)| (layer, at, step)));
        let seen = steps.filter(|(.., step)| step.begins < window.end && step.ends >= window.start);
        seen.map(|(layer, at, step)| {
            json!({
                "ph": "X", "name": format!("step {}", at + 1), "cat": "step", "pid": layer + 1, "tid": 1 + at % 2,
                "ts": self.at(step.begins), "dur": self.at(step.ends - step.begins),
                "args": {"fires_at_cycle": step.fires, "spikes": step.spikes, "packets": step.packets},
            })
        })
        .collect()
    }

    /// How many flits a cycle pass all links together, and the busiest of them, between two samples.
    fn links(&self) -> Vec<Value> {
        let (Some((_, first)), Some((_, last))) = (self.events.samples.first(), self.events.samples.last()) else {
            return vec![];
        };
        let mut busiest: Vec<usize> = (0..last.len()).filter(|&link| last[link] > first[link]).collect();
        busiest.sort_by_key(|&link| (Reverse(last[link] - first[link]), link));
        busiest.truncate(LINKS);
        let pid = self.run.layers.len() + 1;
        let counter = |name: String, cycle: Cycle, flits: u64, cycles: u64| json!({"ph": "C", "name": name, "pid": pid, "ts": self.at(cycle), "args": {"flits per cycle": flits as f64 / cycles.max(1) as f64}});
        let mut counters = vec![];
        for pair in self.events.samples.windows(2) {
            let [(from, before), (to, after)] = pair else { continue };
            let all: u64 = before.iter().zip(after).map(|(before, after)| after - before).sum();
            counters.push(counter("all links".to_string(), *from, all, to - from));
            counters.extend(
                busiest.iter().map(|&link| counter(self.link(link), *from, after[link] - before[link], to - from)),
            );
        }
        counters
    }

    fn link(&self, link: usize) -> String {
        let sides = Direction::ALL.len();
        let (tile, columns) = ((link / sides) as u32, self.run.map.columns.max(1));
        format!("link ({}, {}) {}", tile % columns, tile / columns, Direction::ALL[link % sides].key())
    }
}

/// The track of the first slice; those before belong to the time steps.
const FIRST_UNIT: usize = 10;
