//! Which prices move the total most: the same counts priced again, nothing simulated again.

use crate::action::{Action, Counts};
use crate::hardware::Energy;
use crate::summary::{Lever, Sensitivity, SoftmaxPrice};
use crate::units::Femtojoules;

/// Prices of an exponential that are tried, in femtojoules: nobody has published a clean one.
const SOFTMAX_FJ: [u64; 5] = [100, 300, 1_000, 3_000, 10_000];

/// How the total of a run depends on each price, the heaviest first, and on the price of an exponential.
///
/// A total is a sum of counts times prices, so a price that is doubled adds its own part once more, and one that is halved
/// takes half of it away.
#[must_use]
pub fn sensitivity(counts: &Counts, energy: &Energy, standing: Femtojoules) -> Sensitivity {
    let part = |action: Action| energy.price(action) * counts[action];
    let total = Action::ALL.iter().map(|&action| part(action)).sum::<Femtojoules>() + standing;
    let lever = |constant: String, count, price_fj, part: Femtojoules| Lever {
        constant,
        count,
        price_fj,
        energy_fj: part.0,
        share: if total.0 == 0 { 0.0 } else { part.0 as f64 / total.0 as f64 },
        halved_fj: total.0 - part.0 / 2,
        doubled_fj: (total + part).0,
    };
    let of_action = |&action: &Action| {
        lever(format!("energy.{}_pj", action.key()), counts[action], energy.price(action).0, part(action))
    };
    let mut levers: Vec<Lever> = Action::ALL.iter().map(of_action).collect();
    levers.push(lever("energy.static_mw".to_string(), 0, 0, standing));
    levers.retain(|lever| lever.energy_fj > 0);
    levers.sort_by(|a, b| b.energy_fj.cmp(&a.energy_fj).then_with(|| a.constant.cmp(&b.constant)));
    let rest = Femtojoules(total.0 - part(Action::SoftmaxExp).0);
    let softmax = |price_fj: u64| SoftmaxPrice {
        price_fj,
        energy_fj: (rest + Femtojoules(price_fj) * counts[Action::SoftmaxExp]).0,
    };
    Sensitivity { energy_fj: total.0, levers, softmax: SOFTMAX_FJ.map(softmax).to_vec() }
}
