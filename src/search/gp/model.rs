//! The Gaussian process given valued rows: what it expects at other rows.

use super::cholesky::{Cholesky, dot};
use super::fit::weights;
use super::frame::Frame;
use super::kernel::{Kernel, gap};

/// A Gaussian process conditioned on rows.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub kernel: Kernel,
    /// The rows by coordinate.
    columns: Vec<Vec<f64>>,
    factor: Cholesky,
    targets: Vec<f64>,
    alpha: Vec<f64>,
    mean: f64,
}

/// What a model expects at a row.
#[derive(Clone, Debug)]
pub(crate) struct Belief {
    pub mean: f64,
    /// The standard deviation of the function, without noise.
    pub deviation: f64,
}

/// A belief and how it changes along each coordinate; zero for choices and inactive coordinates.
#[derive(Clone, Debug)]
pub(crate) struct Slopes {
    pub mean: Vec<f64>,
    pub deviation: Vec<f64>,
}

impl Model {
    /// Returns a model without rows.
    pub(crate) fn new(frame: &Frame, kernel: Kernel) -> Model {
        let columns = vec![Vec::new(); frame.dimensions()];
        let factor = Cholesky::default();
        Model { kernel, columns, factor, targets: Vec::new(), alpha: Vec::new(), mean: 0.0 }
    }

    /// Forgets the rows from `size` on.
    pub(crate) fn truncate(&mut self, size: usize) {
        self.factor.truncate(size);
        self.columns.iter_mut().for_each(|column| column.truncate(size));
        self.targets.truncate(size);
    }

    /// Adds a row without a target; [`Model::aim`] has to follow before beliefs are asked for.
    pub(crate) fn add(&mut self, frame: &Frame, row: &[f64]) {
        let (mut covariances, _) = self.kernel.against(frame, row, &self.columns);
        covariances.push(self.kernel.signal + self.kernel.noise);
        self.factor.push(&covariances);
        self.columns.iter_mut().zip(row).for_each(|(column, x)| column.push(*x));
    }

    /// Sets the targets of all rows.
    pub(crate) fn aim(&mut self, targets: Vec<f64>) {
        (self.alpha, self.mean) = weights(&self.factor, &targets);
        self.targets = targets;
    }

    /// Adds a row as if it had turned out as believed, and returns how: only the doubt about its surroundings changes.
    pub(crate) fn believe(&mut self, frame: &Frame, row: &[f64]) -> f64 {
        let believed = self.belief(frame, row).mean;
        self.add(frame, row);
        self.targets.push(believed);
        self.alpha.push(0.0);
        believed
    }

    /// Returns the mean of [`Model::belief`], which costs much less than the deviation.
    pub(crate) fn mean(&self, frame: &Frame, row: &[f64]) -> f64 {
        self.mean + dot(&self.kernel.against(frame, row, &self.columns).0, &self.alpha)
    }

    pub(crate) fn belief(&self, frame: &Frame, row: &[f64]) -> Belief {
        let (mut covariances, _) = self.kernel.against(frame, row, &self.columns);
        let mean = self.mean + dot(&covariances, &self.alpha);
        self.factor.solve_lower(&mut covariances);
        let variance = self.kernel.signal - dot(&covariances, &covariances);
        Belief { mean, deviation: variance.max(1e-12 * self.kernel.signal).sqrt() }
    }

    /// Returns the belief with its slopes.
    pub(crate) fn slopes(&self, frame: &Frame, row: &[f64]) -> (Belief, Slopes) {
        let (covariances, by_square) = self.kernel.against(frame, row, &self.columns);
        let mean = self.mean + dot(&covariances, &self.alpha);
        let mut beta = covariances;
        self.factor.solve_lower(&mut beta);
        let variance = self.kernel.signal - dot(&beta, &beta);
        let deviation = variance.max(1e-12 * self.kernel.signal).sqrt();
        self.factor.solve_upper(&mut beta);
        let mut slopes = Slopes { mean: vec![0.0; row.len()], deviation: vec![0.0; row.len()] };
        for (at, column) in self.columns.iter().enumerate() {
            if frame.axes[at].choice || row[at].is_nan() {
                continue;
            }
            let (mut up, mut out) = (0.0, 0.0);
            for (i, other) in column.iter().enumerate() {
                let gap = gap(row[at], *other);
                up += by_square[i] * gap * self.alpha[i];
                out += by_square[i] * gap * beta[i];
            }
            let scale = 2.0 * self.kernel.weights[frame.lengths[at]];
            slopes.mean[at] = scale * up;
            slopes.deviation[at] = -scale * out / deviation;
        }
        (Belief { mean, deviation }, slopes)
    }
}
