//! How digits are written: the points that each stroke runs through, in a unit square, y downwards.

use crate::random::Draws;

/// `(x, y)`.
pub type Point = (f32, f32);

/// How far a hand misses a point.
const JITTER: f32 = 0.045;

const ZERO: &[&[Point]] =
    &[&[(0.52, 0.07), (0.22, 0.24), (0.16, 0.56), (0.32, 0.88), (0.58, 0.92), (0.82, 0.7), (0.84, 0.34), (0.52, 0.07)]];
const ONE: &[&[Point]] = &[&[(0.28, 0.28), (0.56, 0.07)], &[(0.56, 0.07), (0.54, 0.5), (0.5, 0.93)]];
const ONE_PLAIN: &[&[Point]] = &[&[(0.52, 0.07), (0.51, 0.5), (0.5, 0.93)]];
const TWO: &[&[Point]] =
    &[&[(0.2, 0.28), (0.36, 0.09), (0.66, 0.1), (0.78, 0.3), (0.58, 0.58), (0.18, 0.9)], &[(0.18, 0.9), (0.84, 0.89)]];
const THREE: &[&[Point]] = &[
    &[(0.22, 0.18), (0.5, 0.07), (0.75, 0.22), (0.66, 0.42), (0.42, 0.48)],
    &[(0.42, 0.48), (0.72, 0.55), (0.8, 0.75), (0.55, 0.93), (0.2, 0.82)],
];
const FOUR: &[&[Point]] = &[&[(0.6, 0.07), (0.16, 0.64)], &[(0.16, 0.64), (0.86, 0.61)], &[(0.62, 0.32), (0.6, 0.93)]];
const FOUR_OPEN: &[&[Point]] =
    &[&[(0.24, 0.08), (0.2, 0.52)], &[(0.2, 0.52), (0.8, 0.5)], &[(0.72, 0.07), (0.68, 0.93)]];
const FIVE: &[&[Point]] = &[
    &[(0.78, 0.09), (0.3, 0.1)],
    &[(0.3, 0.1), (0.26, 0.46)],
    &[(0.26, 0.46), (0.54, 0.38), (0.8, 0.6), (0.65, 0.88), (0.2, 0.87)],
];
const SIX: &[&[Point]] = &[&[
    (0.68, 0.07),
    (0.36, 0.3),
    (0.2, 0.64),
    (0.36, 0.91),
    (0.65, 0.88),
    (0.77, 0.68),
    (0.58, 0.5),
    (0.34, 0.56),
    (0.22, 0.7),
]];
const SEVEN: &[&[Point]] = &[&[(0.17, 0.12), (0.82, 0.1)], &[(0.82, 0.1), (0.56, 0.5), (0.42, 0.93)]];
const SEVEN_BARRED: &[&[Point]] =
    &[&[(0.17, 0.12), (0.82, 0.1)], &[(0.82, 0.1), (0.56, 0.5), (0.42, 0.93)], &[(0.34, 0.5), (0.76, 0.49)]];
const EIGHT: &[&[Point]] = &[&[
    (0.5, 0.48),
    (0.25, 0.28),
    (0.47, 0.07),
    (0.74, 0.25),
    (0.5, 0.48),
    (0.22, 0.72),
    (0.47, 0.93),
    (0.78, 0.74),
    (0.5, 0.48),
]];
const NINE: &[&[Point]] =
    &[&[(0.75, 0.3), (0.54, 0.5), (0.27, 0.4), (0.3, 0.15), (0.6, 0.08), (0.76, 0.28), (0.74, 0.6), (0.6, 0.93)]];

/// The ways in which each digit is written.
const WAYS: [&[&[&[Point]]]; 10] = [
    &[ZERO],
    &[ONE, ONE_PLAIN],
    &[TWO],
    &[THREE],
    &[FOUR, FOUR_OPEN],
    &[FIVE],
    &[SIX],
    &[SEVEN, SEVEN_BARRED],
    &[EIGHT],
    &[NINE],
];

/// The strokes of a digit in one of its ways, each point a little off.
pub fn strokes(random: &mut Draws, digit: usize) -> Vec<Vec<Point>> {
    let ways = WAYS[digit];
    let way = ways[random.below(ways.len() as u64) as usize];
    let mut off = |at: f32| at + random.between(-JITTER, JITTER);
    way.iter().map(|stroke| stroke.iter().map(|&(x, y)| (off(x), off(y))).collect()).collect()
}
