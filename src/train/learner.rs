//! One training step: loss, gradients, and what they change.

use super::TrainError;
use super::model::{Model, Tensors};
use super::optimiser::AdamW;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};

/// Images as the network takes them, with their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Normalised values, `[image, position, colour]`.
    pub pixels: Vec<f32>,
    /// Class of each image.
    pub labels: Vec<u32>,
}

/// What a step gave, before it moved the parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Mean cross-entropy, with the labels as smooth as they were trained on.
    pub loss: f64,
    /// Images whose largest logit is that of their class.
    pub correct: usize,
    /// Images.
    pub images: usize,
}

impl Batch {
    /// The images on a device: `[image, position, colour]`.
    pub fn images(&self, positions: usize, device: &Device) -> Tensor<3> {
        let images = self.labels.len();
        let colours = self.pixels.len() / (images * positions).max(1);
        Tensor::from_data(TensorData::new(self.pixels.clone(), [images, positions, colours]), device)
    }

    /// The share of each class in each label, `[image, class]`: one, but for what is spread over all.
    fn targets(&self, classes: usize, smoothing: f32, device: &Device) -> Tensor<2> {
        let spread = smoothing / classes as f32;
        let mut shares = vec![spread; self.labels.len() * classes];
        for (image, &label) in self.labels.iter().enumerate() {
            shares[image * classes + label as usize] += 1.0 - smoothing;
        }
        Tensor::from_data(TensorData::new(shares, [self.labels.len(), classes]), device)
    }
}

/// Mean cross-entropy of logits `[image, class]` with smoothed labels.
fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let images = logits.dims()[0];
    (log_softmax(logits, 1) * targets).sum().neg().div_scalar(images as f32)
}

fn score(loss: Tensor<1>, logits: Tensor<2>, batch: &Batch) -> Score {
    let classes: Vec<i64> = logits.argmax(1).try_into_vec_as::<i64>().unwrap_or_default();
    let right = classes.iter().zip(&batch.labels).filter(|(class, label)| **class == i64::from(**label));
    let loss: f32 = loss.into_scalar();
    Score { loss: f64::from(loss), correct: right.count(), images: batch.labels.len() }
}

/// A model and its optimiser.
pub struct Learner {
    /// The model.
    pub model: Model,
    /// The optimiser.
    pub optimiser: AdamW,
    positions: usize,
    smoothing: f32,
}

/// Loss and gradients of one batch.
pub struct Found {
    /// The score of the batch.
    pub score: Score,
    /// Gradients of all parameters, flat, by name.
    pub gradients: Tensors,
    /// `[image, class]`, row by row.
    pub logits: Vec<f32>,
}

impl Learner {
    /// A learner for images of so many positions.
    pub fn new(model: Model, optimiser: AdamW, positions: usize, smoothing: f32) -> Self {
        Self { model, optimiser, positions, smoothing }
    }

    /// Loss and gradients of a batch; the running moments follow it.
    ///
    /// # Errors
    /// If a layer has no activation without time.
    pub fn gradients(&mut self, batch: &Batch) -> Result<Found, TrainError> {
        let device = self.model.device().clone();
        let pass = self.model.train(batch.images(self.positions, &device))?;
        let classes = pass.logits.dims()[1];
        let loss = cross_entropy(pass.logits.clone(), batch.targets(classes, self.smoothing, &device));
        let gradients = self.model.gradients(loss.backward());
        self.model.keep(&pass);
        let logits = pass.logits.inner();
        let score = score(loss.inner(), logits.clone(), batch);
        Ok(Found { score, gradients, logits: super::model::values(logits.flatten(0, 1)) })
    }

    /// One step of training, the `step`-th from 1.
    ///
    /// # Errors
    /// If the loss is no number any more, the parameters being left as they were; or a layer has no gradient.
    pub fn step(&mut self, batch: &Batch, rate: f64, step: u64) -> Result<Score, TrainError> {
        let found = self.gradients(batch)?;
        if !found.score.loss.is_finite() {
            return Err(TrainError::LossIsNoNumber { step, rate });
        }
        self.optimiser.step(&mut self.model, found.gradients, rate, step);
        Ok(found.score)
    }

    /// The score of a batch with the moments kept from training, labels unsmoothed.
    ///
    /// # Errors
    /// If a layer has no activation without time.
    pub fn test(&self, batch: &Batch) -> Result<Score, TrainError> {
        let device = self.model.device().clone().inner();
        let logits = self.model.test(batch.images(self.positions, &device))?;
        let classes = logits.dims()[1];
        let loss = cross_entropy(logits.clone(), batch.targets(classes, 0.0, &device));
        Ok(score(loss, logits, batch))
    }
}
