//! What a stage has sent so far in a run: bit planes for spikes, numbers for graded values.

use super::arithmetic::Arithmetic;
use crate::trace::SpikeTrain;
use crate::units::Grid;
use bitvec::prelude::{BitVec, Lsb0};

/// What one stage sends, step by step.
#[derive(Debug)]
pub(super) struct Train<S> {
    grid: Grid,
    planes: Planes<S>,
    steps: u32,
    /// Spikes or graded values sent.
    pub spikes: u64,
    /// How many of them were negative.
    pub negative: u64,
    /// The last step in which anything was sent, or 0.
    pub last_step: u32,
}

#[derive(Debug)]
enum Planes<S> {
    Silent,
    Spikes { presence: BitVec<u64, Lsb0>, negative: BitVec<u64, Lsb0> },
    Graded(Vec<S>),
}

impl<S: Arithmetic> Train<S> {
    /// An empty train of a stage that sends nothing, single spikes, or graded values.
    pub fn new(grid: Grid, sends: bool, graded: bool) -> Self {
        let planes = match (sends, graded) {
            (false, _) => Planes::Silent,
            (true, false) => Planes::Spikes { presence: BitVec::new(), negative: BitVec::new() },
            (true, true) => Planes::Graded(vec![]),
        };
        Self { grid, planes, steps: 0, spikes: 0, negative: 0, last_step: 0 }
    }

    /// Makes room for the next step.
    pub fn begin_step(&mut self) {
        self.resize(self.steps + 1);
    }

    fn resize(&mut self, steps: u32) {
        self.steps = steps;
        let length = self.grid.neurons() * steps as usize;
        match &mut self.planes {
            Planes::Silent => {}
            Planes::Spikes { presence, negative } => {
                presence.resize(length, false);
                negative.resize(length, false);
            }
            Planes::Graded(values) => values.resize(length, S::default()),
        }
    }

    /// Notes what a neuron sends in the current step.
    pub fn push(&mut self, position: u32, channel: u32, value: S) {
        let neuron = position as usize * self.grid.channels as usize + channel as usize;
        let at = self.grid.neurons() * (self.steps as usize - 1) + neuron;
        let below = value < S::default();
        self.spikes += 1;
        self.negative += u64::from(below);
        self.last_step = self.steps;
        match &mut self.planes {
            Planes::Silent => {}
            Planes::Spikes { presence, negative } => {
                presence.set(at, true);
                negative.set(at, below);
            }
            Planes::Graded(values) => values[at] = value,
        }
    }

    /// Calls `visit(position, channel, value)` for everything sent in `step` (from 1), neurons in order.
    pub fn visit(&self, step: u32, mut visit: impl FnMut(u32, u32, S)) {
        if step == 0 || step > self.last_step {
            return;
        }
        let neurons = self.grid.neurons();
        let start = (step as usize - 1) * neurons;
        let place = |neuron: usize| (neuron as u32 / self.grid.channels, neuron as u32 % self.grid.channels);
        match &self.planes {
            Planes::Silent => {}
            Planes::Spikes { presence, negative } => {
                for neuron in presence[start..start + neurons].iter_ones() {
                    let (position, channel) = place(neuron);
                    visit(position, channel, S::spike(if negative[start + neuron] { -1 } else { 1 }));
                }
            }
            Planes::Graded(values) => {
                let sent = values[start..start + neurons].iter().enumerate();
                for (neuron, &value) in sent.filter(|(_, value)| **value != S::default()) {
                    let (position, channel) = place(neuron);
                    visit(position, channel, value);
                }
            }
        }
    }

    /// The train over `steps` steps, where its values are whole numbers.
    pub fn finish(mut self, steps: u32) -> Option<SpikeTrain> {
        self.resize(steps);
        let neurons = self.grid.neurons();
        Some(match self.planes {
            Planes::Silent => SpikeTrain::Silent,
            Planes::Spikes { presence, negative } => SpikeTrain::Spikes { neurons, presence, negative },
            Planes::Graded(values) => SpikeTrain::Graded { neurons, values: S::integers(values)? },
        })
    }
}
