//! Neurons and readouts whose potentials are looked at on the way, by either rule and in whichever numbers they fit.

use super::arrivals::Arrivals;
use super::held::Holding;
use super::neurons::Population;
use super::spikes::Firing;
use super::{FunctionalError, Options, Ran};
use crate::functional::NegativeThreshold;
use crate::functional::arithmetic::Sum;
use crate::functional::lanes::{LANES, Marks, mark};
use crate::functional::neuron;
use crate::graph::{NeuronRule, Neurons};
use bytemuck::Pod;
use std::ops::Range;

/// Neurons of one position in a register; those behind the last one never fire.
struct Register<V> {
    there: usize,
    thresholds: [i32; LANES],
    potentials: [V; LANES],
    counts: [i32; LANES],
    signs: [i8; LANES],
}

impl Population<'_> {
    /// A block of positions, each through all its steps, a register of neurons after the other; puts their counts, and the
    /// potentials of readouts.
    #[inline(always)]
    pub fn watched<V: Sum<i32> + Into<i64> + Pod>(
        &self,
        block: Range<usize>,
        arrivals: &Arrivals<V>,
        spikes: &mut Firing,
        ran: &mut Ran,
    ) -> Result<(), FunctionalError> {
        let channels = self.afferents.channels;
        let Some(neurons) = self.neurons else {
            block.for_each(|position| self.read_out(position, arrivals, ran));
            return Ok(());
        };
        let most = self.most_steps();
        for position in block.clone() {
            let mut marks = spikes.begin(most as usize, block.end - position);
            let mut rests = true;
            for first in (0..channels).step_by(LANES) {
                let register = Register::at_rest(neurons, self.thresholds.all(), first..channels);
                rests &= self.register((position, first), (neurons.rule, register), arrivals, &mut marks, ran);
            }
            let done = marks.done();
            spikes.end(done, position + 1 == block.end);
            if !rests {
                return Err(self.restless());
            }
        }
        Ok(())
    }

    /// A register of neurons through all steps; says whether it comes to rest.
    #[inline(always)]
    fn register<V: Sum<i32> + Into<i64> + Pod>(
        &self,
        (position, first): (usize, usize),
        (rule, mut register): (NeuronRule, Register<V>),
        arrivals: &Arrivals<V>,
        marks: &mut Marks,
        ran: &mut Ran,
    ) -> bool {
        let &Options { time_steps, semantics, record, .. } = self.options;
        let (least, most) = (self.least_steps(arrivals.last(position)), self.most_steps());
        let bias = self.bias_apart(position).get(first..).unwrap_or_default();
        let (mut sums, mut rests) = (arrivals.sums(position).get(first..).unwrap_or_default(), true);
        let (mut step, mut holding) = (0, Holding::new(self.options.hold_every, most));
        while step < most && (step < least || !rests) {
            step += 1;
            register.potentials.iter_mut().zip(sums).for_each(|(potential, &sum)| *potential += sum);
            sums = sums.get(arrivals.width..).unwrap_or_default();
            if step <= self.driven() {
                register.potentials.iter_mut().zip(bias).for_each(|(potential, &bias)| *potential += V::of(bias));
            }
            if record {
                ran.widths.count(step, &register.potentials[..register.there]);
            }
            register.fire(rule, semantics.negative_threshold, time_steps as i32);
            rests = register.signs.iter().fold(0, |any, sign| any | sign) == 0;
            if !rests {
                let (mut plus, mut minus) = ([0], [0]);
                mark(&register.signs, &mut plus, &mut minus);
                marks.fire(step as usize - 1, first, (plus[0], minus[0]));
            }
            if let Some(nth) = holding.due(step) {
                self.hold(nth, &register, ran);
            }
        }
        holding.left().for_each(|nth| self.hold(nth, &register, ran));
        if record {
            ran.widths.rest(step, &register.potentials[..register.there]);
        }
        ran.values.put(position * self.afferents.channels + first, &register.counts[..register.there]);
        rests || least == most
    }

    #[inline(always)]
    fn hold<V: Copy + Into<i64>>(&self, nth: usize, register: &Register<V>, ran: &mut Ran) {
        let Register { there, potentials, counts, .. } = register;
        let signed = self.neurons.is_some_and(|neurons| neurons.rule == NeuronRule::Signed);
        ran.hold(nth, &potentials[..*there], Some(&counts[..*there]).filter(|_| signed));
    }

    /// The biases of a position in whole registers, where they are not among what arrives.
    #[inline(always)]
    fn bias_apart(&self, position: usize) -> &[i32] {
        if self.is_alone() { self.afferents.registers_of_bias(position) } else { &[] }
    }

    /// The potentials of a position of a readout in all steps.
    #[inline(always)]
    fn read_out<V: Sum<i32> + Into<i64> + Pod>(&self, position: usize, arrivals: &Arrivals<V>, ran: &mut Ran) {
        let channels = self.afferents.channels;
        let (bias, steps) = (self.bias_apart(position), self.least_steps(self.last_input));
        let mut holding = Holding::new(self.options.hold_every, steps);
        let (mut potentials, mut sums) = (vec![V::default(); channels], arrivals.sums(position));
        for step in 1..=steps {
            potentials.iter_mut().zip(sums).for_each(|(potential, &sum)| *potential += sum);
            sums = sums.get(arrivals.width..).unwrap_or_default();
            if step <= self.driven() {
                potentials.iter_mut().zip(bias).for_each(|(potential, &bias)| *potential += V::of(bias));
            }
            ran.note_potentials(step, position, &potentials);
            if self.options.record {
                ran.widths.count(step, &potentials);
            }
            if let Some(nth) = holding.due(step) {
                ran.hold(nth, &potentials, None);
            }
        }
        holding.left().for_each(|nth| ran.hold(nth, &potentials, None));
        if self.options.record {
            ran.widths.rest(steps, &potentials);
        }
        ran.values.extend(&potentials);
    }
}

impl<V: Sum<i32>> Register<V> {
    /// Those of the channels of a position that fit into it.
    #[inline(always)]
    fn at_rest(neurons: &Neurons<i32>, all: &[i32], channels: Range<usize>) -> Self {
        let (there, mut thresholds, mut potentials) =
            (channels.len().min(LANES), [i32::MAX; LANES], [V::default(); LANES]);
        thresholds.copy_from_slice(&all[channels.start..channels.start + LANES]);
        let lanes = potentials[..there].iter_mut().zip(&thresholds);
        lanes.for_each(|(potential, &threshold)| *potential = neuron::start(neurons.rule, V::of(threshold)));
        Self { there, thresholds, potentials, counts: [0; LANES], signs: [0; LANES] }
    }

    /// Fires those that do.
    #[inline(always)]
    fn fire(&mut self, rule: NeuronRule, negative: NegativeThreshold, limit: i32) {
        let Self { thresholds, potentials, counts, signs, .. } = self;
        match (rule, negative) {
            (NeuronRule::Signed, NegativeThreshold::Zero) => {
                for lane in 0..LANES {
                    let threshold = V::of(thresholds[lane]);
                    signs[lane] = signed(&mut potentials[lane], &mut counts[lane], threshold, V::default(), limit);
                }
            }
            (NeuronRule::Signed, NegativeThreshold::Symmetric) => {
                for lane in 0..LANES {
                    let threshold = V::of(thresholds[lane]);
                    let lowest = V::ONE - threshold;
                    signs[lane] = signed(&mut potentials[lane], &mut counts[lane], threshold, lowest, limit);
                }
            }
            (NeuronRule::Plain, _) => {
                for lane in 0..LANES {
                    signs[lane] = neuron::plain(potentials[lane], V::of(thresholds[lane]));
                    counts[lane] += i32::from(signs[lane]);
                    potentials[lane] = if signs[lane] == 0 { potentials[lane] } else { V::default() };
                }
            }
        }
    }
}

/// The signed rule without branches: −1 below `lowest`.
#[inline(always)]
fn signed<V: Sum<i32>>(potential: &mut V, count: &mut i32, threshold: V, lowest: V, limit: i32) -> i8 {
    let up = (*potential >= threshold) & (*count < limit);
    let down = (*potential < lowest) & (*count > 0);
    let (lower, higher) = (*potential - threshold, *potential - -threshold);
    *potential = if up {
        lower
    } else if down {
        higher
    } else {
        *potential
    };
    *count += i32::from(up) - i32::from(down);
    i8::from(up) - i8::from(down)
}
