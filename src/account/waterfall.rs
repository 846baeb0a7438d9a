//! When each layer worked on which time step.

use super::summarise::Run;
use crate::activity::StageStep;
use crate::summary::{StepSummary, Waterfall};

/// The first steps of the first image.
pub(super) fn waterfall(run: &Run<'_>) -> Waterfall {
    let Some(first) = run.activities.first() else { return Waterfall::default() };
    let steps = first.step_ends.len();
    let summary = |step: &StageStep| {
        let StageStep { begins, fires, ends, spikes, packets } = *step;
        StepSummary { begins, fires, ends, spikes, packets }
    };
    let layers = first.stage_steps.chunks(steps.max(1));
    Waterfall {
        steps: steps as u32,
        cycles: first.cycles,
        layers: layers.map(|of| of.iter().take(Waterfall::MOST_STEPS as usize).map(summary).collect()).collect(),
    }
}
