//! Attention without a clock: scores, their softmax, and the context, each kept up to date spike by spike.

use super::arithmetic::Arithmetic;
use super::softmax::{Normalise, Vectors};
use super::sums::{Emit, Sums, add_column, add_row};
use crate::graph::SoftmaxRule;
use crate::network::SoftmaxAxis;
use crate::trace::Widths;
use crate::units::{Grid, Region, StageId};

/// What an attention unit computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// The counts so far: equals the attention of the trained network at silence.
    Accumulated,
    /// The spikes of one step only, and the whole context is sent in each step, as in published code.
    PerStep,
}

impl Attention {
    fn send<S: Arithmetic>(self, sums: &mut Sums<S>, widths: Option<&mut Widths>, emit: Emit<S>) {
        if let Some(widths) = widths {
            sums.count_widths(widths);
        }
        match self {
            Self::Accumulated => sums.emit_changes(emit),
            Self::PerStep => sums.emit_whole(emit),
        }
    }

    /// Forgets the operands of a step.
    fn forget<S: Arithmetic>(self, operands: [&mut Vec<S>; 2]) {
        match self {
            Self::Accumulated => {}
            Self::PerStep => operands.into_iter().for_each(|operand| operand.fill(S::default())),
        }
    }
}

/// `S[i, h, j] = Σ_d Q[i, h, d]·K[j, h, d]` for the queries `i` and the columns `(h, j)` of a region.
#[derive(Debug, Clone)]
pub(super) struct Scores<S> {
    sources: [StageId; 2],
    /// Channels of a head of the operands.
    width: usize,
    /// Number of keys.
    keys: usize,
    mode: Attention,
    /// `Q[channel][query of the region]`.
    query_counts: Vec<S>,
    /// `K[channel][key]`.
    key_counts: Vec<S>,
    scores: Sums<S>,
}

impl<S: Arithmetic> Scores<S> {
    pub fn new(sources: [StageId; 2], operands: [Grid; 2], heads: u32, region: Region, mode: Attention) -> Self {
        let channels = operands[0].channels as usize;
        let keys = operands[1].positions();
        Self {
            sources,
            width: channels / heads.max(1) as usize,
            keys,
            mode,
            query_counts: vec![S::default(); channels * region.positions.len()],
            key_counts: vec![S::default(); channels * keys],
            scores: Sums::new(region),
        }
    }

    /// Adds a spike of a query or a key; returns the number of scores that it changes.
    pub fn receive(&mut self, source: StageId, position: u32, channel: u32, value: S) -> u64 {
        let query = if source == self.sources[0] { self.receive_query(position, channel as usize, value) } else { 0 };
        let key = if source == self.sources[1] { self.receive_key(position, channel as usize, value) } else { 0 };
        self.scores.changed |= query + key > 0;
        (query + key) as u64
    }

    fn receive_query(&mut self, query: u32, channel: usize, value: S) -> usize {
        let Sums { region, now, .. } = &mut self.scores;
        if !region.positions.contains(&query) {
            return 0;
        }
        let row = (query - region.positions.start) as usize;
        self.query_counts[channel * region.positions.len() + row] += value;
        let head = channel / self.width * self.keys;
        let columns = region.channels.start as usize..region.channels.end as usize;
        let (start, end) = (head.max(columns.start), (head + self.keys).min(columns.end));
        if start >= end {
            return 0;
        }
        let at = row * columns.len();
        let keys = &self.key_counts[channel * self.keys..][start - head..end - head];
        add_row(&mut now[at + start - columns.start..at + end - columns.start], value, keys);
        end - start
    }

    fn receive_key(&mut self, key: u32, channel: usize, value: S) -> usize {
        let Sums { region, now, .. } = &mut self.scores;
        self.key_counts[channel * self.keys + key as usize] += value;
        let column = (channel / self.width * self.keys) as u32 + key;
        if !region.channels.contains(&column) {
            return 0;
        }
        let queries = &self.query_counts[channel * region.positions.len()..][..region.positions.len()];
        let first = (column - region.channels.start) as usize;
        add_column(&mut now[first..], region.channels.len(), value, queries);
        queries.len()
    }

    pub fn fire(&mut self, widths: Option<&mut Widths>, emit: Emit<S>) {
        self.mode.send(&mut self.scores, widths, emit);
        self.mode.forget([&mut self.query_counts, &mut self.key_counts]);
    }

    pub fn values(&self) -> &[S] {
        &self.scores.now
    }
}

/// Probabilities of the scores of a region, which holds every vector that it touches whole.
#[derive(Debug, Clone)]
pub(super) struct Softmax<S: Arithmetic> {
    rule: SoftmaxRule,
    softmax: S::Softmax,
    mode: Attention,
    time_steps: u32,
    /// Number of keys.
    keys: usize,
    scores: Vec<S>,
    probabilities: Sums<S>,
}

impl<S: Arithmetic> Softmax<S> {
    pub fn new(rule: SoftmaxRule, scores: Grid, region: Region, time_steps: u32, mode: Attention) -> Self {
        Self {
            rule,
            softmax: S::Softmax::new(&rule, time_steps),
            mode,
            time_steps,
            keys: (scores.channels / rule.heads.max(1)) as usize,
            scores: vec![S::default(); region.neurons()],
            probabilities: Sums::new(region),
        }
    }

    /// Takes the change of a score; returns the number of scores changed.
    pub fn receive(&mut self, position: u32, channel: u32, value: S) -> u64 {
        if !self.probabilities.region.contains(position, channel) {
            return 0;
        }
        self.scores[self.probabilities.region.local(position, channel)] += value;
        self.probabilities.changed = true;
        1
    }

    /// Sends the changes of the probabilities, which depend on the step up to T.
    pub fn fire(&mut self, step: u32, widths: Option<&mut Widths>, emit: Emit<S>) {
        let (stale, time) = match self.mode {
            Attention::Accumulated => (self.probabilities.changed || step <= self.time_steps, step),
            Attention::PerStep => (true, 1),
        };
        if stale {
            self.normalise(time);
            self.probabilities.changed = true;
        }
        self.mode.send(&mut self.probabilities, widths, emit);
        self.mode.forget([&mut self.scores, &mut vec![]]);
    }

    fn normalise(&mut self, step: u32) {
        let Sums { region, now, .. } = &mut self.probabilities;
        now.copy_from_slice(&self.scores);
        normalise_all(&self.softmax, self.rule.axis, self.keys, region.channels.len(), step, now);
    }

    pub fn values(&self) -> &[S] {
        &self.probabilities.now
    }
}

/// Normalises every vector of `scores`: rows of `columns` values, cut into heads of `keys`.
#[inline(always)]
pub(super) fn normalise_all<S: Arithmetic>(
    softmax: &impl Normalise<S>,
    axis: SoftmaxAxis,
    keys: usize,
    columns: usize,
    step: u32,
    scores: &mut [S],
) {
    let vectors = match axis {
        SoftmaxAxis::Keys => Vectors::Runs(keys),
        SoftmaxAxis::Queries => Vectors::Columns(columns),
    };
    softmax.normalise(vectors, scores, step);
}

/// `O[i, h, d] = Σ_j P[i, h, j]·V[j, h, d]` for the queries `i` and the channels `(h, d)` of a region.
#[derive(Debug, Clone)]
pub(super) struct Context<S> {
    sources: [StageId; 2],
    /// Channels of a head of the values.
    width: usize,
    /// Number of keys.
    keys: usize,
    mode: Attention,
    /// `P[column][query of the region]`.
    probabilities: Vec<S>,
    /// `V[key][channel of the region]`.
    value_counts: Vec<S>,
    context: Sums<S>,
}

impl<S: Arithmetic> Context<S> {
    pub fn new(sources: [StageId; 2], operands: [Grid; 2], heads: u32, region: Region, mode: Attention) -> Self {
        let keys = operands[1].positions();
        Self {
            sources,
            width: (operands[1].channels / heads.max(1)) as usize,
            keys,
            mode,
            probabilities: vec![S::default(); operands[0].channels as usize * region.positions.len()],
            value_counts: vec![S::default(); keys * region.channels.len()],
            context: Sums::new(region),
        }
    }

    /// Adds a spike of a value or the change of a probability; returns the number of sums that it changes.
    pub fn receive(&mut self, source: StageId, position: u32, channel: u32, value: S) -> u64 {
        let probability =
            if source == self.sources[0] { self.receive_probability(position, channel as usize, value) } else { 0 };
        let count = if source == self.sources[1] { self.receive_value(position, channel, value) } else { 0 };
        self.context.changed |= probability + count > 0;
        (probability + count) as u64
    }

    fn receive_probability(&mut self, query: u32, column: usize, change: S) -> usize {
        let Sums { region, now, .. } = &mut self.context;
        if !region.positions.contains(&query) {
            return 0;
        }
        let row = (query - region.positions.start) as usize;
        self.probabilities[column * region.positions.len() + row] += change;
        let (head, key) = (column / self.keys * self.width, column % self.keys);
        let channels = region.channels.start as usize..region.channels.end as usize;
        let (start, end) = (head.max(channels.start), (head + self.width).min(channels.end));
        if start >= end {
            return 0;
        }
        let within = start - channels.start..end - channels.start;
        let values = &self.value_counts[key * channels.len()..][within.clone()];
        add_row(&mut now[row * channels.len()..][within], change, values);
        end - start
    }

    fn receive_value(&mut self, key: u32, channel: u32, value: S) -> usize {
        let Sums { region, now, .. } = &mut self.context;
        if !region.channels.contains(&channel) {
            return 0;
        }
        let first = (channel - region.channels.start) as usize;
        self.value_counts[key as usize * region.channels.len() + first] += value;
        let column = channel as usize / self.width * self.keys + key as usize;
        let probabilities = &self.probabilities[column * region.positions.len()..][..region.positions.len()];
        add_column(&mut now[first..], region.channels.len(), value, probabilities);
        probabilities.len()
    }

    pub fn fire(&mut self, widths: Option<&mut Widths>, emit: Emit<S>) {
        self.mode.send(&mut self.context, widths, emit);
        self.mode.forget([&mut self.probabilities, &mut self.value_counts]);
    }

    pub fn values(&self) -> &[S] {
        &self.context.now
    }
}
