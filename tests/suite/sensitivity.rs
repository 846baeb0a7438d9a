//! The sensitivity of a total to its prices is that of pricing the same counts again.

use spikemesh::account;
use spikemesh::action::{Action, Counts};
use spikemesh::load;
use spikemesh::units::Femtojoules;

fn counts() -> Counts {
    Counts(std::array::from_fn(|at| 7 + 13 * at as u64))
}

#[test]
fn a_price_halved_or_doubled_is_the_total_priced_again() {
    let energy = load::hardware("mesh28".as_ref(), &[]).unwrap().energy;
    let standing = Femtojoules(12_345);
    let told = account::sensitivity(&counts(), &energy, standing);
    assert!(told.levers.is_sorted_by(|a, b| a.energy_fj >= b.energy_fj));
    assert!((told.levers.iter().map(|lever| lever.share).sum::<f64>() - 1.0).abs() < 1e-9);
    for &action in Action::ALL {
        let path = format!("energy.{}_pj", action.key());
        let Some(lever) = told.levers.iter().find(|lever| lever.constant == path) else {
            assert_eq!(energy.price(action), Femtojoules(0), "{path} has no part");
            continue;
        };
        let mut doubled = energy.clone();
        doubled.prices[action as usize] = energy.price(action) + energy.price(action);
        let again = account::sensitivity(&counts(), &doubled, standing);
        assert_eq!(lever.doubled_fj, again.energy_fj, "{path}");
        assert_eq!(lever.energy_fj, lever.count * lever.price_fj);
        assert_eq!(lever.halved_fj, told.energy_fj - lever.energy_fj / 2);
    }
    let fixed = told.levers.iter().find(|lever| lever.constant == "energy.static_mw").unwrap();
    assert_eq!((fixed.energy_fj, fixed.doubled_fj), (12_345, told.energy_fj + 12_345));
}

#[test]
fn the_softmax_price_runs_from_a_tenth_to_ten_picojoules() {
    let text = load::hardware("mesh28".as_ref(), &[]).unwrap();
    let told = account::sensitivity(&counts(), &text.energy, Femtojoules(0));
    assert_eq!(told.softmax.iter().map(|point| point.price_fj).collect::<Vec<_>>(), [100, 300, 1_000, 3_000, 10_000]);
    for point in told.softmax {
        let set = format!("softmax_exp_pj={}.{:03}", point.price_fj / 1000, point.price_fj % 1000);
        let other = load::hardware("mesh28".as_ref(), &[set]).unwrap().energy;
        let again = account::sensitivity(&counts(), &other, Femtojoules(0));
        assert_eq!(again.energy_fj, point.energy_fj);
    }
}
