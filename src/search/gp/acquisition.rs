//! How much a row promises: the expected improvement, and the chance that a trial there gives a value at all.
//!
//! # Source
//! The logarithm of the expected improvement and its safe evaluation: Ament et al., NeurIPS 2023 (arXiv 2310.20708).

use super::frame::Frame;
use super::model::Model;
use crate::search::normal;

/// What a trial would gain if it gave a value.
pub(crate) trait Gain {
    /// Returns the logarithm of the gain at a row.
    fn at(&self, frame: &Frame, row: &[f64]) -> f64;

    /// Returns the logarithm of the gain and its slope along each coordinate.
    fn slope(&self, frame: &Frame, row: &[f64], slope: &mut [f64]) -> f64;
}

/// The expected improvement.
pub(crate) struct Improvement<'a> {
    pub model: &'a Model,
    /// The value to improve on.
    pub best: f64,
}

impl Gain for Improvement<'_> {
    fn at(&self, frame: &Frame, row: &[f64]) -> f64 {
        let belief = self.model.belief(frame, row);
        let (log, _) = log_improvement((self.best - belief.mean) / belief.deviation);
        belief.deviation.ln() + log
    }

    fn slope(&self, frame: &Frame, row: &[f64], slope: &mut [f64]) -> f64 {
        let (belief, slopes) = self.model.slopes(frame, row);
        let z = (self.best - belief.mean) / belief.deviation;
        let (log, by_z) = log_improvement(z);
        for ((slope, mean), deviation) in slope.iter_mut().zip(&slopes.mean).zip(&slopes.deviation)
        {
            *slope = (deviation - by_z * (mean + z * deviation)) / belief.deviation;
        }
        belief.deviation.ln() + log
    }
}

/// What is to be made as large as can be.
pub(crate) struct Promise<'a> {
    pub frame: &'a Frame,
    pub gain: &'a dyn Gain,
    /// A model of success (1) and failure (-1), where any trial failed.
    pub success: Option<&'a Model>,
    /// How much the chance of success counts.
    pub caution: f64,
}

impl Promise<'_> {
    /// Returns the logarithm of the promise.
    pub(crate) fn at(&self, row: &[f64]) -> f64 {
        let mut promise = self.gain.at(self.frame, row);
        if let Some(success) = self.success {
            let belief = success.belief(self.frame, row);
            promise = floored(promise).0;
            promise += self.caution * log_chance(belief.mean, belief.deviation).0;
        }
        promise
    }

    /// Returns the logarithm of the promise and its slope along each coordinate.
    pub(crate) fn slope(&self, row: &[f64], slope: &mut [f64]) -> f64 {
        let mut promise = self.gain.slope(self.frame, row, slope);
        if let Some(success) = self.success {
            let (belief, slopes) = success.slopes(self.frame, row);
            let (log, by_mean, by_deviation) = log_chance(belief.mean, belief.deviation);
            let (floored, share) = floored(promise);
            promise = floored + self.caution * log;
            for (at, slope) in slope.iter_mut().enumerate() {
                *slope = share * *slope
                    + self.caution
                        * (by_mean * slopes.mean[at] + by_deviation * slopes.deviation[at]);
            }
        }
        promise
    }
}

/// Returns the logarithm of the expected improvement in standard deviations, and its slope, where the mean is `z`
/// standard deviations better than the best.
pub(crate) fn log_improvement(z: f64) -> (f64, f64) {
    // The difference below loses as many digits as z² has, and keeps enough.
    if z > -25.0 {
        let below = normal::below(z);
        let improvement = normal::density(z) + z * below;
        return (improvement.ln(), below / improvement);
    }
    // φ(z)·(1 - 3/z² + 15/z⁴ - 105/z⁶)/z², and for the slope Φ(z) = -φ(z)/z·(1 - 1/z² + 3/z⁴ - 15/z⁶).
    let w = 1.0 / (z * z);
    let near = 1.0 - w * (3.0 - w * (15.0 - 105.0 * w));
    let log = -0.5 * z * z - 0.5 * std::f64::consts::TAU.ln() + w.ln() + near.ln();
    let slope = -z * (1.0 - w * (1.0 - w * (3.0 - 15.0 * w))) / near;
    (log, slope)
}

/// Returns the logarithm of an improvement plus a tiny one, and the share of the former in it.
///
/// Without it a slight chance to succeed where much might be gained outweighs any safe place with nothing to gain.
fn floored(log: f64) -> (f64, f64) {
    const TINY: f64 = 1e-9;
    let sum = log.exp() + TINY;
    (sum.ln(), log.exp() / sum)
}

/// Returns the logarithm of the chance of success, and its slopes by mean and deviation.
pub(crate) fn log_chance(mean: f64, deviation: f64) -> (f64, f64, f64) {
    // Labels are 1 and -1; the blur keeps a single failure from being a wall.
    let spread = (deviation * deviation + 0.1).sqrt();
    let z = (mean / spread).max(-30.0);
    let chance = normal::below(z).max(1e-200);
    let by_z = normal::density(z) / chance;
    (chance.ln(), by_z / spread, -by_z * mean * deviation / spread.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_improvement_meet() {
        let (left, right) = (log_improvement(-25.0 - 1e-9), log_improvement(-25.0 + 1e-9));
        assert!((left.0 - right.0).abs() < 1e-5, "{left:?} {right:?}");
        assert!((left.1 - right.1).abs() < 1e-4, "{left:?} {right:?}");
        for z in [-30.0, -20.0, -7.0, -5.0, -1.0, 0.0, 2.0] {
            let slope = (log_improvement(z + 1e-5).0 - log_improvement(z - 1e-5).0) / 2e-5;
            assert!((slope / log_improvement(z).1 - 1.0).abs() < 1e-3, "{z}");
        }
    }
}
