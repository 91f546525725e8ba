//! Keeps the neighbouring values of lattice coordinates within reach of a normal distribution.
//!
//! Once a distribution fits into one cell, all draws have the same value, and nothing is learnt any more. So each
//! coordinate keeps a least probability of leaving its cell, by moving its mean and widening it alone.
//!
//! # Source
//! Hamano, Saito, Nomura, Shirakawa, GECCO 2022, arXiv 2205.13482, section 4; the probability is that of CatCMA with
//! margin, arXiv 2504.07884.

use super::gaussian::Gaussian;
use crate::search::evolution::axis::Axis;
use crate::search::normal;

/// The chance that a draw has all discrete values of the mean.
const STAY: f64 = 0.73;

/// Returns the least probability of leaving a cell, with so many discrete coordinates.
pub(super) fn chance(discrete: usize) -> f64 {
    1.0 - STAY.powf(1.0 / discrete.max(1) as f64)
}

/// Moves and widens the coordinates of lattices that leave their cell too rarely.
pub(super) fn keep(gaussian: &mut Gaussian, axes: &[Axis], lines: &[usize], chance: f64) {
    for (at, axis) in lines.iter().map(|line| &axes[*line]).enumerate() {
        let Axis::Lattice { edges } = axis else { continue };
        let mean = gaussian.mean[at].clamp(0.0, 1.0);
        let (cell, cells) = (axis.cell(mean), edges.len() - 1);
        if cells < 2 {
            continue;
        }
        let width = gaussian.width(at).max(1e-300);
        let (low, high) = (edges[cell], edges[cell + 1]);
        if cell == 0 || cell == cells - 1 {
            // Outermost cells are left on one side only.
            let (edge, side) = if cell == 0 { (high, -1.0) } else { (low, 1.0) };
            let furthest = width * normal::inverse(1.0 - chance);
            gaussian.mean[at] = edge + side * (mean - edge).abs().min(furthest);
            continue;
        }
        let least = chance / 2.0;
        let below = normal::quick((low - mean) / width);
        let above = normal::quick((mean - high) / width);
        gaussian.mean[at] = mean;
        if below < least || above < least {
            let (down, up) = shares(below, above, least);
            let (down, up) = (-normal::inverse(down), -normal::inverse(up));
            gaussian.mean[at] = (low * up + high * down) / (down + up);
            gaussian.margins[at] *= (high - low) / ((down + up) * width);
        }
    }
}

/// Returns the chances of leaving a cell downwards and upwards, each at least `least`, with the sum of all three kept.
fn shares(below: f64, above: f64, least: f64) -> (f64, f64) {
    let inside = 1.0 - below - above;
    let (down, up) = (below.max(least), above.max(least));
    let surplus = (1.0 - down - up - inside) / (down + up + inside - 3.0 * least);
    let fit = |share: f64| (share + surplus * (share - least)).clamp(1e-9, 0.5 - 1e-9);
    (fit(down), fit(up))
}
