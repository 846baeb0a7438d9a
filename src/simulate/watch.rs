//! Who looks on while images run: the library has no clock and prints nothing, and leaves both to its caller.

use crate::functional::{FunctionalError, Options, Outcome, Spiking};
use crate::profile::StepName;

/// Looks on. Every method does its work and may measure it, too.
pub trait Watch: Sync {
    /// A piece of the work of one step.
    fn step<T>(&self, _step: StepName, work: impl FnOnce() -> T) -> T {
        work()
    }

    /// A part of the functional step that is no spiking run, under its own name.
    fn part<T>(&self, _name: &str, work: impl FnOnce() -> T) -> T {
        work()
    }

    /// The spiking run of one image.
    ///
    /// # Errors
    /// Those of [`Spiking::run`].
    fn spiking(&self, spiking: &Spiking, image: &[u8], options: &Options) -> Result<Outcome, FunctionalError> {
        spiking.run(image, options)
    }

    /// One more image has run.
    fn image_done(&self) {}

    /// All images have run.
    fn images_done(&self) {}
}

/// Nobody looks on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {}
