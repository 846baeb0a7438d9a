//! Stage after stage along a Hilbert curve, which keeps what is near on the line near on the mesh.
//!
//! Hilbert, Über die stetige Abbildung einer Linie auf ein Flächenstück, Math. Ann. 1891; as an initial placement of spiking
//! networks: Jin et al., Mapping very large scale spiking neuron network to neuromorphic hardware, ASPLOS 2023.

use super::{Placer, Problem, Search, Watch, order};

/// Tiles along a Hilbert curve.
pub(super) struct Hilbert;

impl Placer for Hilbert {
    fn place(&self, problem: &Problem, _: &Search, _: Watch) -> Vec<u32> {
        order::along(problem, |place| distance(problem, place))
    }
}

/// How far along the curve a tile is.
pub(super) fn distance(problem: &Problem, (x, y): (u32, u32)) -> u64 {
    let side = problem.mesh.columns.max(problem.mesh.rows).next_power_of_two();
    u64::from(along(side, x, y))
}

/// Distance of `(x, y)` from the start of the Hilbert curve that fills a square of `side`, a power of two.
fn along(side: u32, mut x: u32, mut y: u32) -> u32 {
    let mut distance = 0;
    let mut half = side / 2;
    while half > 0 {
        let (right, low) = (u32::from(x & half > 0), u32::from(y & half > 0));
        distance += half * half * ((3 * right) ^ low);
        if low == 0 {
            if right == 1 {
                (x, y) = (side - 1 - x, side - 1 - y);
            }
            (x, y) = (y, x);
        }
        half /= 2;
    }
    distance
}
