//! PB2: a Gaussian process over parameters and turns of what each turn gained says which parameters to go on with.
//!
//! # Source
//! Parker-Holder et al., NeurIPS 2020: a squared exponential kernel times (1 - ε)^(|t - t'|/2), an upper confidence
//! bound with β = 0.2 + max(0, ln(0.4 t)), and copies of the same turn taken as if they had turned out as believed. The
//! kernel's length, ε and the noise are those of a small grid that explain the gains best.

use rand_pcg::Pcg64;
use serde_json::{Map, Value};

use super::Turn;
use super::explore::candidates;
use crate::search::gp::cholesky::{Cholesky, dot};
use crate::search::gp::frame::Frame;
use crate::search::gp::kernel::apart;
use crate::search::space::Space;

/// Turns of members that the model looks at, at most: the newest.
const TURNS_MAX: usize = 150;
/// Rows that are compared.
const CANDIDATES: usize = 400;

/// A place in parameters and time.
type Place = (Vec<f64>, f64);

#[derive(Clone, Copy)]
struct Kernel {
    /// The inverse of the squared length.
    weight: f64,
    /// What is left of a covariance after one turn, squared.
    memory: f64,
    noise: f64,
}

impl Kernel {
    fn at(&self, frame: &Frame, a: &Place, b: &Place) -> f64 {
        let square: f64 = (0..a.0.len()).map(|i| apart(&frame.axes[i], a.0[i], b.0[i])).sum();
        (-0.5 * self.weight * square).exp() * self.memory.powf((a.1 - b.1).abs() / 2.0)
    }

    fn row(&self, frame: &Frame, place: &Place, places: &[Place]) -> Vec<f64> {
        places.iter().map(|other| self.at(frame, place, other)).collect()
    }

    fn factor(&self, frame: &Frame, places: &[Place]) -> Cholesky {
        let mut factor = Cholesky::default();
        for (i, place) in places.iter().enumerate() {
            let mut row = self.row(frame, place, &places[..i]);
            row.push(1.0 + self.noise);
            factor.push(&row);
        }
        factor
    }
}

/// Returns the parameters that promise most in `turn`; `None` while there is nothing to learn from.
pub(super) fn best(
    space: &Space,
    frame: &Frame,
    params: &Map<String, Value>,
    turn: u64,
    turns: &[Turn],
    beside: &[Map<String, Value>],
    generator: &mut Pcg64,
) -> Option<Map<String, Value>> {
    let turns = &turns[turns.len().saturating_sub(TURNS_MAX)..];
    if turns.len() < 3 {
        return None;
    }
    let place = |turn: &Turn| (frame.row(space, &turn.params), turn.turn as f64);
    let mut places: Vec<Place> = turns.iter().map(place).collect();
    let targets = standard(turns);
    let (kernel, mut factor) = likeliest(frame, &places, &targets)?;
    let mut alpha = targets;
    factor.solve_lower(&mut alpha);
    factor.solve_upper(&mut alpha);
    let now = turn as f64;
    for params in beside {
        let taken = (frame.row(space, params), now);
        let mut row = kernel.row(frame, &taken, &places);
        row.push(1.0 + kernel.noise);
        factor.push(&row);
        places.push(taken);
        // As believed: it changes the doubt, and no mean.
        alpha.push(0.0);
    }
    let bound = (0.2 + (0.4 * now).ln().max(0.0)).sqrt();
    let promise = |row: &Vec<f64>| {
        let mut covariances = kernel.row(frame, &(row.clone(), now), &places);
        let mean = dot(&covariances, &alpha);
        factor.solve_lower(&mut covariances);
        let variance = 1.0 - dot(&covariances, &covariances);
        mean + bound * variance.max(1e-12).sqrt()
    };
    let rows = candidates(frame, &frame.row(space, params), CANDIDATES, generator);
    let row = rows.into_iter().max_by(|a, b| promise(a).total_cmp(&promise(b)))?;
    Some(frame.point(space, &row))
}

/// Returns the gains with mean 0 and variance 1.
fn standard(turns: &[Turn]) -> Vec<f64> {
    let count = turns.len() as f64;
    let mean = turns.iter().map(|turn| turn.gain).sum::<f64>() / count;
    let variance = turns.iter().map(|turn| (turn.gain - mean).powi(2)).sum::<f64>() / count;
    let deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    turns.iter().map(|turn| (turn.gain - mean) / deviation).collect()
}

/// Returns the kernel that explains the targets best.
fn likeliest(frame: &Frame, places: &[Place], targets: &[f64]) -> Option<(Kernel, Cholesky)> {
    let spread = frame.dimensions().max(1) as f64;
    let mut best: Option<(f64, Kernel, Cholesky)> = None;
    for length in [0.1, 0.2, 0.4, 0.8] {
        for forgets in [0.0, 0.1, 0.3] {
            for noise in [0.01, 0.1, 0.5] {
                let weight = 1.0 / (length * length * spread);
                let kernel = Kernel { weight, memory: 1.0 - forgets, noise };
                let factor = kernel.factor(frame, places);
                let mut half = targets.to_vec();
                factor.solve_lower(&mut half);
                let loss = 0.5 * dot(&half, &half) + 0.5 * factor.log_determinant();
                if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
                    best = Some((loss, kernel, factor));
                }
            }
        }
    }
    best.map(|(_, kernel, factor)| (kernel, factor))
}
