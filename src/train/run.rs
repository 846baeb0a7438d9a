//! The loop over epochs and batches.

use super::TrainError;
use super::augment::{self, Augmentation};
use super::learner::{Learner, Score};
use super::model::Model;
use super::optimiser::{AdamW, Schedule};
use super::target::Target;
use crate::checkpoint::{Checkpoint, Epoch, Standing};
use crate::images::Images;
use crate::network::Network;
use crate::random::Draws;

/// Images of a batch when testing.
const TEST_BATCH: usize = 250;
/// Tells the streams of orders from those of weights and augmentation.
const STREAM: u64 = 0x0de;

/// Somebody who watches a run, keeps its checkpoints, and may stop it.
pub trait Observer {
    /// After each step; `false` stops the run there.
    fn step(&mut self, report: &Report) -> bool;
    /// After each epoch.
    ///
    /// # Errors
    /// Whatever keeps the run from going on, such as a checkpoint that cannot be written.
    fn epoch(&mut self, run: &Run, epoch: &Epoch) -> Result<(), TrainError>;
}

/// Where a run is after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// The present epoch, from 1.
    pub epoch: u64,
    /// The batch of this step.
    pub batch: Score,
    /// Mean loss of the present epoch so far.
    pub loss: f64,
    /// Top-1 of the present epoch so far, in percent.
    pub top1: f64,
}

/// A run of an experiment.
pub struct Run<'a> {
    standing: Standing,
    learner: Learner,
    schedule: Schedule,
    train: &'a Images,
    test: &'a Images,
    steps_per_epoch: u64,
    input: crate::network::Input,
}

impl<'a> Run<'a> {
    /// Begins a run with the weights of `network`, or takes up the one that `checkpoint` holds.
    ///
    /// # Errors
    /// If the network cannot be trained, or the images do not fill a batch of its shape and classes.
    pub fn new(
        checkpoint: Checkpoint,
        train: &'a Images,
        test: &'a Images,
        target: &Target,
    ) -> Result<Self, TrainError> {
        let Checkpoint { standing, network, moments } = checkpoint;
        let experiment = &standing.experiment;
        fits(&network, train, experiment.bs)?;
        fits(&network, test, 1)?;
        let model = Model::new(&network, target)?;
        let mut optimiser = AdamW::new(&model, experiment.wd, experiment.clip_gradient);
        optimiser.restore(&moments);
        let steps_per_epoch = train.len() as u64 / u64::from(experiment.bs);
        let steps = steps_per_epoch * u64::from(experiment.epochs);
        let positions = train.grid.positions();
        Ok(Self {
            schedule: Schedule::new(experiment.lr, experiment.warm_up_steps, steps),
            learner: Learner::new(model, optimiser, positions, experiment.label_smoothing),
            input: network.architecture.input.clone(),
            standing,
            train,
            test,
            steps_per_epoch,
        })
    }

    /// The run as it stands.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            standing: self.standing.clone(),
            network: self.learner.model.network(),
            moments: self.learner.optimiser.moments(),
        }
    }

    /// Steps of the whole run.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.schedule.steps
    }

    /// How far the run has come.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Runs to the end, or until the observer stops it; says whether the end was reached.
    ///
    /// # Errors
    /// If the loss is no number any more, or the observer fails.
    pub fn go(&mut self, observer: &mut dyn Observer) -> Result<bool, TrainError> {
        while self.standing.step < self.schedule.steps {
            let epoch = self.standing.step / self.steps_per_epoch;
            let mut order: Vec<usize> = (0..self.train.len()).collect();
            Draws::at(self.standing.experiment.seed, &[STREAM, epoch]).shuffle(&mut order);
            let first = self.standing.step % self.steps_per_epoch;
            for at in first..self.steps_per_epoch {
                let report = self.step(&order, epoch, at)?;
                let last = at + 1 == self.steps_per_epoch;
                let go_on = observer.step(&report);
                if last {
                    let done = self.end_epoch(epoch)?;
                    observer.epoch(self, &done)?;
                }
                if !go_on {
                    return Ok(self.standing.step == self.schedule.steps);
                }
            }
        }
        Ok(true)
    }

    fn step(&mut self, order: &[usize], epoch: u64, at: u64) -> Result<Report, TrainError> {
        let experiment = &self.standing.experiment;
        let size = experiment.bs as usize;
        let indices = &order[at as usize * size..(at as usize + 1) * size];
        let batch = augment::training(self.train, &self.input, indices, epoch, Augmentation::from(experiment));
        let rate = self.schedule.at(self.standing.step);
        let score = self.learner.step(&batch, rate, self.standing.step + 1)?;
        self.standing.step += 1;
        self.standing.loss_sum += score.loss * score.images as f64;
        self.standing.correct += score.correct as u64;
        let seen = ((at + 1) * size as u64) as f64;
        Ok(Report {
            step: self.standing.step,
            steps: self.schedule.steps,
            epoch: epoch + 1,
            batch: score,
            loss: self.standing.loss_sum / seen,
            top1: self.standing.correct as f64 / seen * 100.0,
        })
    }

    /// Tests the network and closes the epoch's line of the log.
    fn end_epoch(&mut self, epoch: u64) -> Result<Epoch, TrainError> {
        let seen = (self.steps_per_epoch * u64::from(self.standing.experiment.bs)) as f64;
        let (test_loss, test_top1) = self.test()?;
        let done = Epoch {
            epoch: epoch + 1,
            step: self.standing.step,
            learning_rate: self.schedule.at(self.standing.step - 1),
            train_loss: self.standing.loss_sum / seen,
            train_top1: self.standing.correct as f64 / seen * 100.0,
            test_loss,
            test_top1,
        };
        (self.standing.loss_sum, self.standing.correct) = (0.0, 0);
        self.standing.best = self.standing.best.max(test_top1);
        self.standing.epochs.push(done);
        Ok(done)
    }

    /// Mean cross-entropy and top-1, in percent, on the test images.
    fn test(&self) -> Result<(f64, f64), TrainError> {
        let (mut loss, mut correct) = (0.0, 0);
        for start in (0..self.test.len()).step_by(TEST_BATCH) {
            let batch = augment::plain(self.test, &self.input, start..(start + TEST_BATCH).min(self.test.len()));
            let score = self.learner.test(&batch)?;
            loss += score.loss * score.images as f64;
            correct += score.correct;
        }
        let images = self.test.len().max(1) as f64;
        Ok((loss / images, correct as f64 / images * 100.0))
    }
}

fn fits(network: &Network, images: &Images, least: u32) -> Result<(), TrainError> {
    let (grid, classes) = (network.architecture.input.grid(), network.classes());
    let fault = |what: String, remedy: &str| Err(TrainError::Data { what, remedy: remedy.to_string() });
    if images.grid != grid {
        let what = format!("the images are {}, where the network takes {grid}", images.grid);
        return fault(what, "take images of the network's size");
    }
    if images.len() < least as usize {
        let what = format!("there are {} images, where a batch has {least}", images.len());
        return fault(what, "give more images or a smaller `bs`");
    }
    match images.labels.iter().position(|&label| label as usize >= classes) {
        Some(at) => {
            let what = format!("image {at} has label {}, where the network has {classes} classes", images.labels[at]);
            fault(what, "take images that the network is made for")
        }
        None => Ok(()),
    }
}
