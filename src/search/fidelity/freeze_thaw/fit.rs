//! The kernel's parameters that explain a set of points best (maximum a posteriori).

use super::kernel::{Kernel, SHARED};
use super::points::Point;
use crate::search::gp::cholesky::{Cholesky, dot};
use crate::search::gp::frame::Frame;
use crate::search::gp::kernel::apart;
use crate::search::gp::minimise::minimise;

/// Centre, spread and bounds of the logarithm of a parameter.
type Prior = (f64, f64, f64, f64);

/// Points of curves, to be fitted.
pub(crate) struct Fitter<'a> {
    points: &'a [Point],
    targets: &'a [f64],
    /// For each axis the squared distances of all pairs of trials, as a packed lower triangle.
    squares: Vec<Vec<f64>>,
    priors: Vec<Prior>,
    epochs: f64,
}

impl<'a> Fitter<'a> {
    /// Points are in order of their trials.
    pub(crate) fn new(
        frame: &Frame,
        rows: &[Vec<f64>],
        points: &'a [Point],
        targets: &'a [f64],
        epochs: f64,
    ) -> Fitter<'a> {
        let pairs = |at: usize| {
            let axis = &frame.axes[at];
            let row = |i: usize| (0..=i).map(move |j| (i, j));
            (0..rows.len())
                .flat_map(row)
                .map(|(i, j)| apart(axis, rows[i][at], rows[j][at]))
                .collect()
        };
        let dimensions = frame.dimensions();
        let length = (0.6f64.ln() + 0.5 * (dimensions.max(1) as f64).ln(), 1.0, -4.6, 5.0);
        let mut priors: Vec<Prior> = vec![length; dimensions];
        let variance = |centre: f64, spread: f64| (centre.ln(), spread, -14.0, 6.0);
        let shared: [Prior; SHARED] = [
            (0.0, 0.5, -2.0, 2.0),
            variance(1.0, 1.5),
            variance(0.03, 1.5),
            variance(0.3, 1.5),
            variance(1.0, 1.5),
            variance(0.003, 2.0),
            variance(0.03, 1.5),
            variance(0.001, 2.5),
            (0.0, 0.4, -1.6, 1.4),
            (0.0, 1.0, -3.0, epochs.ln().max(0.1)),
        ];
        priors.extend(shared);
        let squares = (0..dimensions).map(pairs).collect();
        Fitter { points, targets, squares, priors, epochs }
    }

    /// Returns the logarithms of the parameters, and the negative logarithm of their posterior density.
    pub(crate) fn fit(&self, start: Option<Vec<f64>>, rounds: usize) -> (Vec<f64>, f64) {
        let start = start.unwrap_or_else(|| self.priors.iter().map(|prior| prior.0).collect());
        let bounds: Vec<(f64, f64)> = self.priors.iter().map(|p| (p.2, p.3)).collect();
        minimise(start, &bounds, rounds, 1e-4, |logs, slope| self.loss(logs, slope))
    }

    fn loss(&self, logs: &[f64], gradient: &mut [f64]) -> f64 {
        let kernel = Kernel::of(logs, self.epochs);
        let (n, dimensions) = (self.points.len(), self.squares.len());
        let trials = self.points.last().map_or(0, |point| point.trial + 1);
        let mut squares = vec![0.0; trials * (trials + 1) / 2];
        for (column, weight) in self.squares.iter().zip(&kernel.weights) {
            squares.iter_mut().zip(column).for_each(|(sum, square)| *sum += weight * square);
        }
        let pair = |p: &Point, q: &Point| p.trial * (p.trial + 1) / 2 + q.trial;
        let mut factor = Cholesky::default();
        let mut row = Vec::with_capacity(n);
        let near: Vec<(f64, f64)> = squares.iter().map(|square| kernel.near(*square)).collect();
        for (i, p) in self.points.iter().enumerate() {
            row.clear();
            row.extend(self.points[..=i].iter().map(|q| {
                kernel.over_epochs(near[pair(p, q)], p.trial == q.trial, p.epoch, q.epoch)
            }));
            row[i] += kernel.noise / p.count + 1e-8;
            factor.push(&row);
        }
        let mut alpha = self.targets.to_vec();
        factor.solve_lower(&mut alpha);
        factor.solve_upper(&mut alpha);
        let mut loss = 0.5 * dot(&alpha, self.targets) + 0.5 * factor.log_determinant();
        let mut inverse = Vec::new();
        factor.inverse(&mut Vec::new(), &mut inverse);
        gradient.fill(0.0);
        let mut pulls = vec![0.0; squares.len()];
        let mut at = 0;
        for (i, p) in self.points.iter().enumerate() {
            for (j, q) in self.points[..=i].iter().enumerate() {
                let half = if i == j { 0.5 } else { 1.0 };
                let pull = half * (inverse[at] - alpha[i] * alpha[j]);
                at += 1;
                let pair = pair(p, q);
                let parts = kernel.parts(squares[pair], p.trial == q.trial, p.epoch, q.epoch);
                pulls[pair] += pull * (parts.by_square + parts.by_fall_square);
                for (slope, by) in gradient[dimensions..].iter_mut().zip(&parts.by) {
                    *slope += pull * by;
                }
                if i == j {
                    gradient[dimensions + 7] += pull * kernel.noise / p.count;
                }
            }
        }
        for (at, column) in self.squares.iter().enumerate() {
            gradient[at] = -2.0 * kernel.weights[at] * dot(&pulls, column);
        }
        for ((log, (centre, spread, ..)), slope) in logs.iter().zip(&self.priors).zip(gradient) {
            let z = (log - centre) / spread;
            loss += 0.5 * z * z;
            *slope += z / spread;
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::points::points;
    use super::*;
    use crate::search::space::Space;

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let axis = json!({"type": "real", "low": 0, "high": 1});
        let space = Space::parse(&json!({"x": axis, "y": axis})).unwrap();
        let frame = Frame::new(&space);
        let rows: Vec<Vec<f64>> =
            (0..6).map(|i| vec![0.15 * i as f64, 0.9 - 0.1 * (i * i % 7) as f64]).collect();
        let mut all = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            let curve: Vec<f64> = (1..4 + 2 * i)
                .map(|t| row[0] + (t as f64).powf(-row[1]) + 0.01 * (t * i % 3) as f64)
                .collect();
            all.extend(points(i, &curve));
        }
        let targets: Vec<f64> = all.iter().map(|point| point.value - 0.7).collect();
        let fitter = Fitter::new(&frame, &rows, &all, &targets, 27.0);
        let at: Vec<f64> = fitter
            .priors
            .iter()
            .enumerate()
            .map(|(i, prior)| prior.0 + 0.1 * (i % 3) as f64)
            .collect();
        let mut gradient = vec![0.0; at.len()];
        fitter.loss(&at, &mut gradient);
        for i in 0..at.len() {
            let shifted = |by: f64| {
                let mut logs = at.clone();
                logs[i] += by;
                fitter.loss(&logs, &mut vec![0.0; at.len()])
            };
            let slope = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
            assert!(
                (slope - gradient[i]).abs() < 1e-4 * (1.0 + slope.abs()),
                "{i} {slope} {}",
                gradient[i]
            );
        }
    }
}
