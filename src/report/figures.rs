//! Numbers as people read them.

use super::table::whole;

/// A number with three significant digits.
pub(super) fn three(number: f64) -> String {
    let size = number.abs();
    let digits = match size {
        s if s >= 99.95 || s == 0.0 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 => 2,
        s if s >= 0.09995 => 3,
        s if s >= 0.009_995 => 4,
        _ => 5,
    };
    if digits == 0 && size >= 1e3 { whole(size.round() as u64) } else { format!("{number:.digits$}") }
}

/// A count with a letter for thousands, millions or billions.
pub(super) fn short(count: f64) -> String {
    for (size, letter) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")] {
        if count >= size {
            let unit = if letter == "k" { 1e3 } else { size };
            return format!("{} {letter}", three(count / unit));
        }
    }
    if count.fract() == 0.0 { whole(count as u64) } else { three(count) }
}

/// An energy given in microjoules, and its unit.
pub(super) fn energy(microjoules: f64) -> (String, &'static str) {
    scaled(microjoules * 1e9, [(1e12, "mJ"), (1e9, "µJ"), (1e6, "nJ"), (1e3, "pJ")], "fJ")
}

/// A time given in milliseconds, and its unit.
pub(super) fn time(milliseconds: f64) -> (String, &'static str) {
    scaled(milliseconds * 1e6, [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")], "ns")
}

/// A number in the largest of the units that leaves something before the point.
fn scaled(number: f64, units: [(f64, &'static str); 4], least: &'static str) -> (String, &'static str) {
    let unit = units.into_iter().find(|(size, _)| number >= *size);
    let (size, name) = unit.unwrap_or((1.0, least));
    (three(number / size), name)
}

/// A part from 0 to 1 in percent.
pub(super) fn percent(part: f64) -> String {
    format!("{} %", three(part * 100.0))
}

/// A coordinate with at most two decimals.
pub(super) fn at(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Round numbers from zero to at least `most`, at most six of them.
pub(super) fn ticks(most: f64) -> Vec<f64> {
    if most <= 0.0 || !most.is_finite() {
        return vec![0.0];
    }
    let rough = most / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(power * 10.0);
    (0..=(most / step).floor() as u32).map(|tick| f64::from(tick) * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(
            ["443", "1.11", "0.0357", "12.3", "221,479", "0"].map(String::from),
            [443.2, 1.107, 0.03571, 12.34, 221_479.0, 0.0].map(three)
        );
        assert_eq!([short(116_234_000.0), short(9_999.0), short(12_345.0)], ["116 M", "9,999", "12.3 k"]);
        assert_eq!(energy(443.2), ("443".to_string(), "µJ"));
        assert_eq!(time(0.0271), ("27.1".to_string(), "µs"));
    }

    #[test]
    fn ticks_are_round_and_reach_close_to_the_end() {
        assert_eq!(ticks(83.0), [0.0, 20.0, 40.0, 60.0, 80.0]);
        assert_eq!(ticks(0.0), [0.0]);
        assert!(ticks(221_479.0).len() <= 6);
    }
}
