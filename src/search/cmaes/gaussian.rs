//! The normal distribution of a CMA-ES: drawing from it, and moving it to where draws were good.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand_pcg::Pcg64;

use super::weights::Weights;
use crate::search::stream::normal;

/// A normal distribution over the ordered coordinates of the unit cube.
///
/// A draw is `mean + sigma · margins ∘ (basis · scales ∘ z)` with standard normal `z`; `basis` and `scales` are the
/// eigenvectors of the covariance and the roots of its eigenvalues.
#[derive(Clone, Debug)]
pub(super) struct Gaussian {
    pub(super) mean: DVector<f64>,
    pub(super) sigma: f64,
    covariance: DMatrix<f64>,
    basis: DMatrix<f64>,
    scales: DVector<f64>,
    /// Widens each coordinate so that its neighbouring cells stay within reach.
    pub(super) margins: DVector<f64>,
    /// The path of the mean in units of the distribution: long when steps agree.
    path_sigma: DVector<f64>,
    path_covariance: DVector<f64>,
    /// Updates so far, and updates since the eigenvectors were found.
    updates: i32,
    stale: u32,
}

impl Gaussian {
    pub(super) fn new(mean: Vec<f64>, sigma: f64) -> Gaussian {
        let dimensions = mean.len();
        Gaussian {
            mean: DVector::from_vec(mean),
            sigma,
            covariance: DMatrix::identity(dimensions, dimensions),
            basis: DMatrix::identity(dimensions, dimensions),
            scales: DVector::repeat(dimensions, 1.0),
            margins: DVector::repeat(dimensions, 1.0),
            path_sigma: DVector::zeros(dimensions),
            path_covariance: DVector::zeros(dimensions),
            updates: 0,
            stale: 0,
        }
    }

    pub(super) fn draw(&self, generator: &mut Pcg64) -> DVector<f64> {
        let z = DVector::from_fn(self.mean.len(), |_, _| normal(generator));
        let step = &self.basis * z.component_mul(&self.scales);
        &self.mean + step.component_mul(&self.margins) * self.sigma
    }

    /// Returns the standard deviation of a coordinate.
    pub(super) fn width(&self, at: usize) -> f64 {
        self.sigma * self.margins[at] * self.covariance[(at, at)].max(0.0).sqrt()
    }

    /// Returns the largest standard deviation along any direction over the smallest.
    pub(super) fn stretch(&self) -> f64 {
        self.scales.max() / self.scales.min()
    }

    /// Moves the distribution to where the first of `ranked` are; all are places, the best first.
    pub(super) fn update(&mut self, ranked: &[DVector<f64>], weights: &Weights) {
        let dimensions = self.mean.len();
        if dimensions == 0 {
            return;
        }
        self.updates += 1;
        let steps: Vec<DVector<f64>> = ranked.iter().map(|place| self.step_to(place)).collect();
        let mut mean_step = DVector::zeros(dimensions);
        for (step, weight) in steps.iter().zip(&weights.of_rank).filter(|(_, w)| **w > 0.0) {
            mean_step.axpy(*weight, step, 1.0);
        }
        self.mean += mean_step.component_mul(&self.margins) * self.sigma;
        let small = self.follow_paths(&mean_step, weights);
        self.learn_covariance(&steps, small, weights);
        self.stale += 1;
        if self.stale >= weights.stale_max {
            self.find_eigenvectors();
        }
    }

    /// Returns the step from the mean to a place in units of sigma and margins, shortened where no draw would go:
    /// places may come from earlier distributions, or from people.
    fn step_to(&self, place: &DVector<f64>) -> DVector<f64> {
        let mut step = (place - &self.mean).component_div(&self.margins) / self.sigma;
        let dimensions = step.len() as f64;
        let longest = dimensions.sqrt() + 2.0 * dimensions / (dimensions + 2.0);
        let length = self.whiten(&step).norm();
        if length > longest {
            step *= longest / length;
        }
        step
    }

    /// Returns `covariance^(-1/2) · step`.
    fn whiten(&self, step: &DVector<f64>) -> DVector<f64> {
        &self.basis * (self.basis.tr_mul(step).component_div(&self.scales))
    }

    /// Updates both paths and sigma; says whether the path was short enough to learn from.
    fn follow_paths(&mut self, mean_step: &DVector<f64>, weights: &Weights) -> bool {
        let dimensions = self.mean.len() as f64;
        let Weights { c_sigma, d_sigma, c_path, mu_eff, .. } = *weights;
        let white = self.whiten(mean_step);
        self.path_sigma *= 1.0 - c_sigma;
        self.path_sigma.axpy((c_sigma * (2.0 - c_sigma) * mu_eff).sqrt(), &white, 1.0);
        let expected = dimensions.sqrt()
            * (1.0 - 1.0 / (4.0 * dimensions) + 1.0 / (21.0 * dimensions.powi(2)));
        let length = self.path_sigma.norm();
        self.sigma *= ((c_sigma / d_sigma) * (length / expected - 1.0)).min(1.0).exp();
        let grown = (1.0 - (1.0 - c_sigma).powi(2 * self.updates)).sqrt();
        let short = length / grown < (1.4 + 2.0 / (dimensions + 1.0)) * expected;
        self.path_covariance *= 1.0 - c_path;
        if short {
            let factor = (c_path * (2.0 - c_path) * mu_eff).sqrt();
            self.path_covariance.axpy(factor, mean_step, 1.0);
        }
        short
    }

    /// Learns from the path, from good steps, and from bad ones what to avoid (active covariance).
    fn learn_covariance(&mut self, steps: &[DVector<f64>], short: bool, weights: &Weights) {
        let dimensions = self.mean.len() as f64;
        let Weights { c_one, c_mu, c_path, .. } = *weights;
        let total: f64 = weights.of_rank.iter().sum();
        let lost = if short { 0.0 } else { c_one * c_path * (2.0 - c_path) };
        self.covariance *= 1.0 + lost - c_one - c_mu * total;
        self.covariance.ger(c_one, &self.path_covariance, &self.path_covariance, 1.0);
        for (step, weight) in steps.iter().zip(&weights.of_rank) {
            let scale = match *weight < 0.0 {
                true => dimensions / (self.whiten(step).norm_squared() + 1e-12),
                false => 1.0,
            };
            self.covariance.ger(c_mu * weight * scale, step, step, 1.0);
        }
    }

    fn find_eigenvectors(&mut self) {
        self.stale = 0;
        let eigen = SymmetricEigen::new(self.covariance.clone());
        let top = eigen.eigenvalues.max();
        let usable = top.is_finite() && top > 0.0;
        if !usable {
            let dimensions = self.mean.len();
            self.covariance = DMatrix::identity(dimensions, dimensions);
            self.basis = DMatrix::identity(dimensions, dimensions);
            self.scales = DVector::repeat(dimensions, 1.0);
            return;
        }
        self.scales = eigen.eigenvalues.map(|value| value.max(top * 1e-20).sqrt());
        self.basis = eigen.eigenvectors;
    }
}
