//! AdamW and the learning rate of each step.

use super::model::{Model, Tensors, values};
use burn::tensor::Tensor;
use std::collections::BTreeMap;

/// Decay of the mean and of the squared gradients, and what keeps the division finite (Kingma and Ba 2015).
const BETAS: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;
/// Part of the largest learning rate at which the cosine ends.
const FLOOR: f64 = 0.01;
/// End of the names of λ, and how small one may become: below zero there is no activation left.
const LAMBDA: &str = ".up";
const LEAST_LAMBDA: f64 = 1e-3;
/// Most warm-up steps that are taken unasked.
const MOST_WARM_UP: u64 = 500;

/// AdamW: Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019).
pub struct AdamW {
    /// Running means of each gradient and of its square.
    moments: BTreeMap<String, [Tensor<1>; 2]>,
    decay: f64,
    clip: f64,
}

impl AdamW {
    /// The optimiser before the first step: no gradient met yet.
    pub fn new(model: &Model, decay: f32, clip: f32) -> Self {
        let zeros = |(name, parameter): (&String, &Tensor<1>)| {
            let zeros = parameter.clone().inner().zeros_like();
            (name.clone(), [zeros.clone(), zeros])
        };
        Self { moments: model.parameters.iter().map(zeros).collect(), decay: f64::from(decay), clip: f64::from(clip) }
    }

    /// The moments as plain values: of each parameter, the mean of its gradients and of their squares.
    pub fn moments(&self) -> BTreeMap<String, [Vec<f32>; 2]> {
        self.moments.iter().map(|(name, both)| (name.clone(), both.clone().map(values))).collect()
    }

    /// Takes up where an optimiser with these moments stopped.
    pub fn restore(&mut self, moments: &BTreeMap<String, [Vec<f32>; 2]>) {
        for (name, both) in &mut self.moments {
            let Some(kept) = moments.get(name) else { continue };
            let device = both[0].device();
            *both = kept.clone().map(|values| Tensor::from_floats(values.as_slice(), &device));
        }
    }

    /// Moves the parameters by one step; `step` counts from 1.
    pub fn step(&mut self, model: &mut Model, gradients: Tensors, rate: f64, step: u64) {
        let factor = self.clip_factor(&gradients);
        let power = i32::try_from(step).unwrap_or(i32::MAX);
        let (first, second) = (1.0 - BETAS.0.powi(power), 1.0 - BETAS.1.powi(power));
        for (name, gradient) in gradients {
            let Some([mean, square]) = self.moments.get_mut(&name) else { continue };
            let gradient = if factor < 1.0 { gradient.mul_scalar(factor) } else { gradient };
            *mean = mean.clone().mul_scalar(BETAS.0) + gradient.clone().mul_scalar(1.0 - BETAS.0);
            *square = square.clone().mul_scalar(BETAS.1) + gradient.square().mul_scalar(1.0 - BETAS.1);
            let denominator = square.clone().sqrt().div_scalar(second.sqrt()).add_scalar(EPSILON);
            let kept = if model.is_matrix(&name) { 1.0 - rate * self.decay } else { 1.0 };
            let change = mean.clone().div(denominator).mul_scalar(rate / first);
            if let Some(parameter) = model.parameters.get_mut(&name) {
                let moved = parameter.clone().inner().mul_scalar(kept) - change;
                let moved = if name.ends_with(LAMBDA) { moved.clamp_min(LEAST_LAMBDA) } else { moved };
                *parameter = Tensor::from_inner(moved).require_grad();
            }
        }
    }

    /// What gradients are multiplied by so that all together are no longer than the limit.
    fn clip_factor(&self, gradients: &Tensors) -> f64 {
        if self.clip <= 0.0 || gradients.is_empty() {
            return 1.0;
        }
        let squares = gradients.values().map(|gradient| gradient.clone().square().sum());
        let squares = values(Tensor::cat(squares.collect(), 0));
        self.clip / (squares.into_iter().map(f64::from).sum::<f64>().sqrt() + 1e-6)
    }
}

/// The learning rate of each step, from 0: it rises in a line, then falls along half a cosine to a hundredth
/// (Loshchilov and Hutter 2017).
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Largest rate.
    pub rate: f64,
    /// Steps of the rise.
    pub warm_up: u64,
    /// All steps.
    pub steps: u64,
}

impl Schedule {
    /// The schedule of a run; without a wish, the rise takes a tenth of it, at most 500 steps.
    #[must_use]
    pub fn new(rate: f32, warm_up: Option<u32>, steps: u64) -> Self {
        let warm_up = warm_up.map_or((steps / 10).min(MOST_WARM_UP), u64::from);
        Self { rate: f64::from(rate), warm_up: warm_up.max(1), steps }
    }

    /// The rate of a step.
    #[must_use]
    pub fn at(self, step: u64) -> f64 {
        let rise = ((step + 1) as f64 / self.warm_up as f64).min(1.0);
        let after = step.saturating_sub(self.warm_up) as f64 / self.steps.saturating_sub(self.warm_up).max(1) as f64;
        let fall = 0.5 * (1.0 + (std::f64::consts::PI * after).cos());
        self.rate * rise * (fall * (1.0 - FLOOR) + FLOOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_in_a_line_and_falls_along_a_cosine() {
        let schedule = Schedule { rate: 2.0, warm_up: 10, steps: 110 };
        let close = |step: u64, wanted: f64| assert!((schedule.at(step) - wanted).abs() < 1e-9, "step {step}");
        close(0, 0.2);
        close(9, 2.0);
        close(10, 2.0);
        close(60, 2.0 * (0.5 * 0.99 + 0.01));
        close(110, 0.02);
        assert_eq!(Schedule::new(1.0, None, 100_000).warm_up, 500);
        assert_eq!(Schedule::new(1.0, None, 100).warm_up, 10);
    }
}
