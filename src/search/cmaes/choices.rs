//! The categorical distributions of a CMA-ES over coordinates without order.
//!
//! # Source
//! CatCMA with margin, arXiv 2504.07884; the step length is that of the adaptive stochastic natural gradient, Akimoto
//! et al., ICML 2019, arXiv 1905.08537, algorithm 1.

/// How much noise the accumulated gradient may hold.
const NOISE_RATIO: f64 = 1.5;

/// One distribution for each coordinate, and the length of their common next step.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    /// The probability of each value of each coordinate.
    pub(super) shares: Vec<Vec<f64>>,
    /// The least probability of a value, for each coordinate.
    least: Vec<f64>,
    /// The accumulated gradient, in units of the distribution.
    path: Vec<f64>,
    /// The squared length that the path would have if gradients were all noise.
    path_noise: f64,
    /// One over the length of a step.
    delay: f64,
}

impl Choices {
    /// Returns even distributions over so many values each; `chance` is the probability of leaving the likeliest one
    /// that each keeps.
    pub(super) fn new(counts: &[usize], chance: f64) -> Choices {
        let free = |count: &usize| count.saturating_sub(1).max(1) as f64;
        Choices {
            shares: counts.iter().map(|count| vec![1.0 / *count as f64; *count]).collect(),
            least: counts
                .iter()
                .map(|count| (chance / free(count)).min(1.0 / *count as f64))
                .collect(),
            path: vec![0.0; counts.iter().map(|count| count.saturating_sub(1)).sum()],
            path_noise: 0.0,
            delay: 1.0,
        }
    }

    /// Returns the value of coordinate `at` below which the share `u` lies.
    pub(super) fn pick(&self, at: usize, u: f64) -> usize {
        let mut left = u;
        let passes = |share: &f64| {
            left -= share;
            left < 0.0
        };
        self.shares[at].iter().position(passes).unwrap_or(self.shares[at].len() - 1)
    }

    /// Moves the distributions towards the picks of the better half; the best row first, `None` where a coordinate was
    /// inactive.
    pub(super) fn update(&mut self, ranked: &[Vec<Option<usize>>], weights: &[f64]) {
        let gradient: Vec<Vec<f64>> =
            (0..self.shares.len()).map(|at| self.gradient(at, ranked, weights)).collect();
        let white = self.whiten(&gradient);
        let length = white.iter().map(|part| part * part).sum::<f64>().sqrt();
        if length < 1e-12 {
            return;
        }
        let step = 1.0 / (self.delay * length);
        for (shares, gradient) in self.shares.iter_mut().zip(&gradient) {
            shares.iter_mut().zip(gradient).for_each(|(share, part)| *share += step * part);
        }
        self.adapt(&white, length);
        for (shares, least) in self.shares.iter_mut().zip(&self.least) {
            keep(shares, *least);
        }
    }

    fn gradient(&self, at: usize, ranked: &[Vec<Option<usize>>], weights: &[f64]) -> Vec<f64> {
        let mut gradient = vec![0.0; self.shares[at].len()];
        for (row, weight) in ranked.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            let Some(picked) = row[at] else { continue };
            for (value, part) in gradient.iter_mut().enumerate() {
                let had = if value == picked { 1.0 } else { 0.0 };
                *part += weight * (had - self.shares[at][value]);
            }
        }
        gradient
    }

    /// Returns the gradient in units in which equal lengths change the distributions by as much.
    fn whiten(&self, gradient: &[Vec<f64>]) -> Vec<f64> {
        let mut white = Vec::with_capacity(self.path.len());
        for (shares, gradient) in self.shares.iter().zip(gradient) {
            let Some((last, shares)) = shares.split_last() else { continue };
            let free: f64 = gradient[..shares.len()].iter().sum();
            let rest = free / (last + last.sqrt());
            let part = |(share, part): (&f64, &f64)| part / share.sqrt() + share.sqrt() * rest;
            white.extend(shares.iter().zip(gradient).map(part));
        }
        white
    }

    /// Lengthens the steps when gradients agree, and shortens them when they are noise.
    fn adapt(&mut self, white: &[f64], length: f64) {
        let rate = (1.0 / (self.delay * (self.path.len() as f64).sqrt())).min(1.0);
        let fresh = (rate * (2.0 - rate)).sqrt() / length;
        for (path, part) in self.path.iter_mut().zip(white) {
            *path = (1.0 - rate) * *path + fresh * part;
        }
        self.path_noise = (1.0 - rate).powi(2) * self.path_noise + rate * (2.0 - rate);
        let squared: f64 = self.path.iter().map(|part| part * part).sum();
        self.delay *= (rate * (self.path_noise - squared / NOISE_RATIO)).exp();
        self.delay = self.delay.clamp(1e-3, 1e6);
    }
}

/// Raises shares to at least `least` at the cost of the others, and the sum to 1.
fn keep(shares: &mut [f64], least: f64) {
    shares.iter_mut().for_each(|share| *share = share.max(least));
    let sum: f64 = shares.iter().sum();
    let spare = sum - least * shares.len() as f64;
    if spare > 1e-12 {
        shares.iter_mut().for_each(|share| *share -= (sum - 1.0) * (*share - least) / spare);
    }
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
}
