//! Actions times prices, in whole femtojoules, so that layers and components add up to the same total.

use crate::action::{Action, Component, Counts};
use crate::activity::Activity;
use crate::hardware::{Energy, Timing};
use crate::program::Program;
use crate::units::Femtojoules;

/// What several images cost on one chip.
///
/// `total` is exactly the sum of `layers` and `standing`, and of `components` and `standing`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// What the actions of each slice cost; packets are paid for by the slice that sends them, on their whole way.
    pub slices: Vec<Femtojoules>,
    /// The same, for all slices of each stage.
    pub layers: Vec<Femtojoules>,
    /// The same, for all slices together, by component in the order of [`Component::ALL`].
    pub components: [Femtojoules; Component::ALL.len()],
    /// Static power times time.
    pub standing: Femtojoules,
    /// All of it.
    pub total: Femtojoules,
}

/// Prices the activities of several images that ran one after the other.
#[must_use]
pub fn price(program: &Program, timing: &Timing, energy: &Energy, activities: &[Activity]) -> Bill {
    let counts = slice_counts(program, activities);
    let slices: Vec<Femtojoules> = counts.iter().map(|counts| cost(counts, energy, |_| true)).collect();
    let of_stage =
        |range: &std::ops::Range<u32>| slices[range.start as usize..range.end as usize].iter().copied().sum();
    let standing = standing(timing, energy, activities.iter().map(|activity| activity.cycles).sum());
    Bill {
        layers: program.stage_slices.iter().map(of_stage).collect(),
        components: by_component(&counts, energy),
        standing,
        total: slices.iter().copied().sum::<Femtojoules>() + standing,
        slices,
    }
}

/// The counts of each slice, over all images.
pub(super) fn slice_counts(program: &Program, activities: &[Activity]) -> Vec<Counts> {
    let mut sums = vec![Counts::default(); program.slices.len()];
    for activity in activities {
        sums.iter_mut().zip(&activity.slices).for_each(|(sum, slice)| sum.merge(&slice.counts));
    }
    sums
}

/// What the actions of several slices cost, by component in the order of [`Component::ALL`].
pub(super) fn by_component(counts: &[Counts], energy: &Energy) -> [Femtojoules; Component::ALL.len()] {
    Component::ALL.map(|component| counts.iter().map(|counts| cost(counts, energy, |of| of == component)).sum())
}

fn cost(counts: &Counts, energy: &Energy, pays: impl Fn(Component) -> bool) -> Femtojoules {
    let actions = Action::ALL.iter().filter(|action| pays(action.component()));
    actions.map(|&action| energy.price(action) * counts[action]).sum()
}

/// Static power over `cycles` of the clock: µW · cycles / MHz is picojoules. Rounded once, to the nearest femtojoule.
fn standing(timing: &Timing, energy: &Energy, cycles: u64) -> Femtojoules {
    let mhz = u128::from(timing.clock.mhz);
    let thousandths = u128::from(energy.static_uw) * u128::from(cycles) * 1000;
    Femtojoules(u64::try_from((thousandths + mhz / 2) / mhz).unwrap_or(u64::MAX))
}
