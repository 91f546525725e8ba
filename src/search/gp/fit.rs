//! The kernel's parameters that explain a set of valued rows best.
//!
//! # Source
//! Maximum a posteriori of the marginal likelihood, Rasmussen and Williams, Gaussian Processes for Machine Learning,
//! section 5.4.1. Lengths have a log-normal prior whose centre grows with the square root of the dimension (Hvarfner et
//! al., arXiv 2402.02229).

use rand_pcg::Pcg64;

use super::cholesky::{Cholesky, dot};
use super::frame::Frame;
use super::kernel::{Kernel, Shape, apart_by};
use super::minimise::minimise;
use crate::search::stream::{normal, unit};

/// The centre and the spread of the prior of a logarithm, and its bounds.
struct Prior {
    centre: f64,
    spread: f64,
    low: f64,
    high: f64,
}

impl Prior {
    /// Returns the negative logarithm of its density, up to a constant, and its slope.
    fn at(&self, log: f64) -> (f64, f64) {
        let z = (log - self.centre) / self.spread;
        (0.5 * z * z, z / self.spread)
    }
}

/// Distances between rows, to be fitted to several targets.
pub(crate) struct Fitter {
    size: usize,
    /// For each length the squared distances of all pairs, as a packed lower triangle.
    squares: Vec<Vec<f64>>,
    priors: Vec<Prior>,
}

/// What a loss is worked out in. It lasts for a whole fit: to give so much back to the system and to take it again costs as
/// much as the work itself.
#[derive(Default)]
struct Room {
    values: Vec<f64>,
    slopes: Vec<f64>,
    factor: Cholesky,
    lower: Vec<f64>,
    pull: Vec<f64>,
    alpha: Vec<f64>,
}

/// A fitted kernel.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    pub logs: Vec<f64>,
    pub shape: Shape,
    /// The negative logarithm of the posterior density of the targets.
    pub loss: f64,
}

impl Fitter {
    pub(crate) fn new(frame: &Frame, rows: &[Vec<f64>]) -> Fitter {
        let pairs = |at: usize, length: usize| {
            let axis = &frame.axes[at];
            let mut squares = Vec::with_capacity(rows.len() * (rows.len() + 1) / 2);
            for (i, row) in rows.iter().enumerate() {
                let square = |other: &Vec<f64>| apart_by(axis, length, row[at], other[at]);
                squares.extend(rows[..=i].iter().map(square));
            }
            squares
        };
        let centre = 0.6f64.ln() + 0.5 * (frame.dimensions().max(1) as f64).ln();
        let (mut squares, mut priors) = (Vec::new(), Vec::new());
        for (at, axis) in frame.axes.iter().enumerate() {
            let count = axis.lengths();
            // Unlike choices are apart by two lengths.
            let centre = centre + if count > 1 { 0.5 * 2.0f64.ln() } else { 0.0 };
            squares.extend((0..count).map(|length| pairs(at, length)));
            priors.extend((0..count).map(|_| Prior { centre, spread: 1.0, low: -4.6, high: 5.0 }));
        }
        priors.push(Prior { centre: 0.0, spread: 1.5, low: -5.0, high: 7.0 });
        priors.push(Prior { centre: 1e-4f64.ln(), spread: 3.0, low: 1e-7f64.ln(), high: 0.0 });
        Fitter { size: rows.len(), squares, priors }
    }

    /// Returns the centre of the priors.
    pub(crate) fn start(&self) -> Vec<f64> {
        self.priors.iter().map(|prior| prior.centre).collect()
    }

    /// Fits from `start` on, in at most so many rounds.
    pub(crate) fn fit(
        &self,
        targets: &[f64],
        shape: Shape,
        start: Vec<f64>,
        rounds: usize,
    ) -> Fitted {
        let bounds: Vec<(f64, f64)> =
            self.priors.iter().map(|prior| (prior.low, prior.high)).collect();
        let mut room = Room::default();
        let loss = |logs: &[f64], gradient: &mut [f64]| {
            self.loss(targets, shape, logs, gradient, &mut room)
        };
        let (logs, loss) = minimise(start, &bounds, rounds, 1e-4, loss);
        Fitted { logs, shape, loss }
    }

    /// Returns draws from the posterior, by random walks of so many steps between them from `start` on.
    ///
    /// A step goes along all parameters, or along about two; what is taken makes steps longer, what is not shorter.
    ///
    /// # Source
    /// Metropolis et al. 1953 (the walk); the rule for its steps is ours, and accepts about three of ten.
    pub(crate) fn draw(
        &self,
        targets: &[f64],
        shape: Shape,
        start: &[f64],
        draws: usize,
        steps: usize,
        generator: &mut Pcg64,
    ) -> Vec<Vec<f64>> {
        let mut room = Room::default();
        let mut here = start.to_vec();
        let count = here.len() as f64;
        let mut level = self.level(targets, &Kernel::of(shape, &here), &here, &mut room);
        let mut scale: f64 = 0.6;
        let walk = |_| {
            for _ in 0..steps {
                let few = unit(generator) < 0.5;
                let size = scale * if few { 1.0 } else { 2.0 / count.sqrt() };
                let mut next = here.clone();
                for (log, prior) in next.iter_mut().zip(&self.priors) {
                    if !few || unit(generator) < 2.0 / count {
                        let step = size * prior.spread.min(1.5) * normal(generator);
                        *log = (*log + step).clamp(prior.low, prior.high);
                    }
                }
                let there = self.level(targets, &Kernel::of(shape, &next), &next, &mut room);
                if there.is_finite() && unit(generator).ln() < level - there {
                    (here, level) = (next, there);
                    scale = (1.1 * scale).min(1.5);
                } else {
                    scale = (0.96 * scale).max(0.05);
                }
            }
            here.clone()
        };
        (0..draws).map(walk).collect()
    }

    /// Returns the negative logarithm of the posterior density.
    fn level(&self, targets: &[f64], kernel: &Kernel, logs: &[f64], room: &mut Room) -> f64 {
        let Room { values, slopes, factor, alpha, .. } = room;
        let n = self.size;
        values.clear();
        values.resize(n * (n + 1) / 2, 0.0);
        for (column, weight) in self.squares.iter().zip(&kernel.weights) {
            values.iter_mut().zip(column).for_each(|(sum, square)| *sum += weight * square);
        }
        kernel.over(values, slopes);
        factor.truncate(0);
        let mut at = 0;
        for i in 0..n {
            values[at + i] += kernel.noise;
            factor.push(&values[at..=at + i]);
            values[at + i] -= kernel.noise;
            at += i + 1;
        }
        (*alpha, _) = weights(factor, targets);
        let priors: f64 = logs.iter().zip(&self.priors).map(|(log, prior)| prior.at(*log).0).sum();
        0.5 * dot(alpha, targets) + 0.5 * factor.log_determinant() + priors
    }

    /// Returns the negative logarithm of the posterior density, and its slopes.
    fn loss(
        &self,
        targets: &[f64],
        shape: Shape,
        logs: &[f64],
        gradient: &mut [f64],
        room: &mut Room,
    ) -> f64 {
        let kernel = Kernel::of(shape, logs);
        let loss = self.level(targets, &kernel, logs, room);
        let Room { values, slopes, factor, lower, pull, alpha } = room;
        let (n, lengths) = (self.size, self.squares.len());
        // What a change of each pair's covariance does to the loss; pairs off the diagonal stand for two entries.
        factor.inverse(lower, pull);
        let mut trace = 0.0;
        let mut at = 0;
        for i in 0..n {
            for j in 0..i {
                pull[at + j] -= alpha[i] * alpha[j];
            }
            pull[at + i] = 0.5 * (pull[at + i] - alpha[i] * alpha[i]);
            trace += pull[at + i];
            at += i + 1;
        }
        gradient[lengths] = dot(pull, values);
        gradient[lengths + 1] = trace * kernel.noise;
        pull.iter_mut().zip(slopes.iter()).for_each(|(pull, slope)| *pull *= slope);
        for (at, column) in self.squares.iter().enumerate() {
            gradient[at] = -2.0 * kernel.weights[at] * dot(pull, column);
        }
        for ((log, prior), slope) in logs.iter().zip(&self.priors).zip(gradient) {
            *slope += prior.at(*log).1;
        }
        loss
    }
}

/// Returns what the targets less their mean weigh in predictions, and the mean.
///
/// The mean is the best linear estimate, drawn towards zero as by one more target of that value.
pub(crate) fn weights(factor: &Cholesky, targets: &[f64]) -> (Vec<f64>, f64) {
    let solve = |mut values: Vec<f64>| {
        factor.solve_lower(&mut values);
        factor.solve_upper(&mut values);
        values
    };
    let ones = solve(vec![1.0; targets.len()]);
    let mean = dot(&ones, targets) / (ones.iter().sum::<f64>() + 1.0);
    let mut alpha = solve(targets.to_vec());
    alpha.iter_mut().zip(&ones).for_each(|(a, one)| *a -= mean * one);
    (alpha, mean)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::search::space::Space;
    use crate::search::stream::{Purpose, stream};

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let space = Space::parse(&json!({
            "x": {"type": "real", "low": 0, "high": 1},
            "c": ["a", "b", "c"],
            "y": {"type": "real", "low": 0, "high": 1, "when": {"c": ["a", "b"]}}
        }))
        .unwrap();
        let frame = Frame::new(&space);
        let row = |i: usize| {
            let u = |k: usize| (i as f64 * 0.618 + k as f64 * 0.37 * i as f64).fract();
            frame.row(&space, &space.decode(&[u(1), u(2), u(3)]))
        };
        let rows: Vec<Vec<f64>> = (0..15).map(row).collect();
        let targets: Vec<f64> = (0..15).map(|i| (i as f64 * 0.7).sin()).collect();
        let fitter = Fitter::new(&frame, &rows);
        for shape in [Shape::Matern32, Shape::Matern52, Shape::Gauss] {
            let at = vec![-0.4, 0.3, 0.1, -0.5, -0.2, 0.1, -2.0];
            let mut gradient = vec![0.0; 7];
            fitter.loss(&targets, shape, &at, &mut gradient, &mut Room::default());
            for i in 0..7 {
                let shifted = |by: f64| {
                    let mut logs = at.clone();
                    logs[i] += by;
                    fitter.loss(&targets, shape, &logs, &mut [0.0; 7], &mut Room::default())
                };
                let slope = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                assert!(
                    (slope - gradient[i]).abs() < 1e-5,
                    "{shape:?} {i} {slope} {}",
                    gradient[i]
                );
            }
        }
    }

    #[test]
    fn draws_of_what_the_targets_do_not_tell_follow_the_prior() {
        let space = Space::parse(&json!({
            "x": {"type": "real", "low": 0, "high": 1},
            "c": ["a", "b", "c"],
        }))
        .unwrap();
        let fitter = Fitter::new(&Frame::new(&space), &[vec![0.5, 0.5]]);
        let mut generator = stream(1, 0, Purpose::Model, 0);
        let start = fitter.start();
        let draws = fitter.draw(&[0.3], Shape::Matern52, &start, 500, 20, &mut generator);
        for at in 0..4 {
            let mean = draws.iter().map(|draw| draw[at]).sum::<f64>() / 500.0;
            let variance = draws.iter().map(|draw| (draw[at] - mean).powi(2)).sum::<f64>() / 500.0;
            assert!((mean - start[at]).abs() < 0.3, "{at}: {mean}");
            assert!((variance.sqrt() - 1.0).abs() < 0.25, "{at}: {variance}");
        }
        let mut generator = stream(1, 0, Purpose::Model, 0);
        let again = fitter.draw(&[0.3], Shape::Matern52, &start, 500, 20, &mut generator);
        assert_eq!(draws, again);
    }
}
