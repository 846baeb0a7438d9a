//! Training from the command line: progress, checkpoints, interruption.

#[cfg(not(feature = "train"))]
pub fn run(
    _: &crate::experiment::Experiment,
    _: &std::path::Path,
    _: super::meter::Progress,
) -> Result<(), super::Failure> {
    let what = "this build has no trainer, which needs a deep-learning library; \
                build it with `cargo install --path . --features train`";
    Err(super::Failure::Input(what.to_string()))
}

#[cfg(feature = "train")]
pub use with_trainer::run;

#[cfg(feature = "train")]
mod with_trainer {
    use super::super::meter::{Clock, Progress};
    use super::super::train::{DRAWN, data};
    use super::super::{Failure, interrupt, say};
    use crate::checkpoint::{Checkpoint, Epoch, Standing};
    use crate::experiment::{Experiment, Processor};
    use crate::images::Images;
    use crate::load::reference::Transformer;
    use crate::load::{self, LoadError};
    use crate::network::{Architecture, Input, Network};
    use crate::report::{self, WriteError};
    use crate::train::{self, Observer, Report, Run, TrainError};
    use indicatif::ProgressBar;
    use std::path::{Path, PathBuf};

    /// The run as it stands after its last epoch or interruption: a network bundle that can be taken up again.
    const LAST: &str = "last.safetensors";
    /// The network with the best top-1 on the test images so far.
    const BEST: &str = "best.safetensors";

    /// The test images, where they were drawn and are in no file yet.
    const TEST_IMAGES: &str = "test.bin";

    pub fn run(experiment: &Experiment, out: &Path, progress: Progress) -> Result<(), Failure> {
        let target = train::target(experiment.device, experiment.use_amp)?;
        let (training, test) = data(experiment)?;
        let start = if experiment.inherit { inherited(experiment, out)? } else { fresh(experiment, out, &training)? };
        let mut run = Run::new(start, &training, &test, &target)?;
        report::write_log(out, &run.standing().epochs)?;
        if experiment.data.starts_with(DRAWN) {
            report::write_images(&out.join(TEST_IMAGES), &test)?;
        }
        if experiment.device == Processor::Gpu && !progress.is_quiet() {
            eprintln!(
                "the first step compiles and tunes its kernels for this device, which takes half a minute or more"
            );
        }
        let mut watch = Watch::new(experiment, out, &run, progress);
        let ended = run.go(&mut watch);
        watch.bar.finish_and_clear();
        let ended = ended?;
        let standing = run.standing();
        if !ended {
            if experiment.save {
                report::write_checkpoint(&out.join(LAST), &run.checkpoint())?;
            }
            let how = if experiment.save { "go on with --inherit" } else { "nothing was kept, since `save` is false" };
            watch.say_speed();
            let (step, steps, loss) = (standing.step, run.steps(), watch.mean_loss());
            say(&format!("stopped after step {step} of {steps}, mean loss since the start {loss:.4}; {how}"))?;
            return if interrupt::asked() { Err(Failure::Result) } else { Ok(()) };
        }
        say(&format!("{} epochs, best top-1 {:.2} %, in {}", standing.epochs.len(), standing.best, out.display()))
    }

    /// The run that the folder holds, if it is this one.
    fn inherited(experiment: &Experiment, out: &Path) -> Result<Checkpoint, Failure> {
        let path = out.join(LAST);
        if !path.exists() {
            let what = format!("there is no run to go on with: {} does not exist; leave `inherit` out", path.display());
            return Err(Failure::Input(what));
        }
        let checkpoint = load::checkpoint(&path)?;
        let differences = checkpoint.standing.experiment.differences(experiment);
        if !differences.is_empty() {
            let what = format!(
                "{} is a run of another experiment: {}; put that back, or begin in another folder",
                path.display(),
                differences.join(", ")
            );
            return Err(Failure::Input(what));
        }
        Ok(checkpoint)
    }

    /// A run before its first step, with seeded weights or those of `model_path`.
    fn fresh(experiment: &Experiment, out: &Path, training: &Images) -> Result<Checkpoint, Failure> {
        if out.join(LAST).exists() {
            let what = format!("{} holds a run already; go on with --inherit, or choose another folder", out.display());
            return Err(Failure::Input(what));
        }
        let architecture = architecture(experiment, training)?;
        let (file, tensors) = match &experiment.model_path {
            None => (experiment.id.clone(), train::weights(&architecture, experiment.seed, experiment.lambda)),
            Some(path) => (path.clone(), load::tensors(Path::new(path))?),
        };
        let network: Network = load::assemble(architecture, tensors).map_err(|faults| LoadError { file, faults })?;
        Ok(Checkpoint { standing: Standing::new(experiment.clone()), network, moments: Default::default() })
    }

    /// The layers of the file that `arch` names, or those of the reference transformer for these images.
    fn architecture(experiment: &Experiment, training: &Images) -> Result<Architecture, Failure> {
        if let Some(path) = &experiment.arch {
            return Ok(load::architecture(Path::new(path))?);
        }
        let published = Transformer::default();
        let grid = training.grid;
        let input = if grid == published.input.grid() {
            published.input
        } else {
            let (mean, std) = training.moments();
            Input { height: grid.height, width: grid.width, channels: grid.channels, mean, std }
        };
        let transformer = Transformer {
            name: experiment.id.clone(),
            input,
            dim: experiment.dim,
            heads: experiment.num_heads,
            depth: experiment.depth,
            mlp_ratio: experiment.mlp_ratio,
            levels: experiment.l,
            classes: training.labels.iter().max().map_or(2, |most| (most + 1).max(2)),
            max_pool: experiment.pools(),
            average: !experiment.use_maxpool,
            softmax_axis: experiment.softmax_axis,
            ..Transformer::default()
        };
        Ok(transformer.layers())
    }

    /// Shows how a run comes on, keeps its checkpoints, and stops it when asked to.
    struct Watch {
        out: PathBuf,
        save: bool,
        kept: f64,
        minutes: Option<f32>,
        last_step: Option<u64>,
        clock: Clock,
        bar: ProgressBar,
        steps: u64,
        images: usize,
        loss_sum: f64,
        quiet: bool,
    }

    impl Watch {
        fn new(experiment: &Experiment, out: &Path, run: &Run, progress: Progress) -> Self {
            interrupt::watch();
            Self {
                out: out.to_path_buf(),
                save: experiment.save,
                kept: f64::from(experiment.save_acc).max(run.standing().best),
                minutes: experiment.minutes,
                last_step: experiment.steps.map(u64::from),
                clock: Clock::start(),
                bar: progress.steps(run.steps(), run.standing().step),
                steps: 0,
                images: 0,
                loss_sum: 0.0,
                quiet: progress.is_quiet(),
            }
        }

        /// Mean training loss of the steps that this program ran.
        fn mean_loss(&self) -> f64 {
            self.loss_sum / self.images.max(1) as f64
        }

        fn say_speed(&self) {
            if !self.quiet {
                eprintln!("{} steps, {:.3} s a step", self.steps, self.clock.seconds() / self.steps.max(1) as f64);
            }
        }
    }

    impl Observer for Watch {
        fn step(&mut self, report: &Report) -> bool {
            self.steps += 1;
            self.images += report.batch.images;
            self.loss_sum += report.batch.loss * report.batch.images as f64;
            let rate = self.images as f64 / self.clock.seconds().max(1e-9);
            self.bar.set_position(report.step);
            self.bar.set_message(format!(
                "epoch {}: loss {:.4}, top-1 {:.1} %, {rate:.0} images/s",
                report.epoch, report.loss, report.top1
            ));
            let over = self.minutes.is_some_and(|minutes| self.clock.seconds() > f64::from(minutes) * 60.0);
            let last = self.last_step.is_some_and(|last| report.step >= last);
            !over && !last && !interrupt::asked()
        }

        fn epoch(&mut self, run: &Run, epoch: &Epoch) -> Result<(), TrainError> {
            let failed = |error: WriteError| TrainError::Observer(error.to_string());
            report::write_log(&self.out, &run.standing().epochs).map_err(failed)?;
            if self.save {
                let checkpoint = run.checkpoint();
                report::write_checkpoint(&self.out.join(LAST), &checkpoint).map_err(failed)?;
                if epoch.test_top1 > self.kept {
                    self.kept = epoch.test_top1;
                    report::write_bundle(&self.out.join(BEST), &checkpoint.network).map_err(failed)?;
                }
            }
            if !self.quiet {
                let rate = self.images as f64 / self.clock.seconds().max(1e-9);
                let line = format!(
                    "epoch {}: loss {:.4}, top-1 {:.2} %; test: loss {:.4}, top-1 {:.2} %; {rate:.0} images/s",
                    epoch.epoch, epoch.train_loss, epoch.train_top1, epoch.test_loss, epoch.test_top1
                );
                self.bar.suspend(|| eprintln!("{line}"));
            }
            Ok(())
        }
    }
}
