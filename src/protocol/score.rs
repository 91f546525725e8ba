//! What a config's values over seeds come to. To be replaced by `crate::aggregate::score`, which has the same shape.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// How often the seeds are drawn again for the interval.
const RESAMPLES: usize = 1000;

/// The columns of `score`.
pub(super) struct Score {
    pub(super) mean: f64,
    pub(super) std: f64,
    pub(super) low95: f64,
    pub(super) high95: f64,
    pub(super) iqm: f64,
    pub(super) median: f64,
}

/// Returns `None` when there is no value. All values are finite.
pub(super) fn score(values: &[f64]) -> Option<Score> {
    if values.is_empty() {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mean = mean(&sorted);
    let variance = sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / len(&sorted);
    let mut random = Pcg64::seed_from_u64(0x6d6c_6531);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let draw = |_| sorted[random.random_range(0..sorted.len())];
            (0..sorted.len()).map(draw).sum::<f64>() / len(&sorted)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let cut = sorted.len() / 4;
    Some(Score {
        mean,
        std: variance.sqrt(),
        low95: quantile(&means, 0.025),
        high95: quantile(&means, 0.975),
        iqm: self::mean(&sorted[cut..sorted.len() - cut]),
        median: quantile(&sorted, 0.5),
    })
}

fn len(values: &[f64]) -> f64 {
    values.len() as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / len(values)
}

/// Linear between the two nearest, as numpy's default.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_all_there_is_to_say() {
        let score = score(&[2.5]).unwrap();
        assert_eq!((score.mean, score.std, score.low95, score.high95), (2.5, 0.0, 2.5, 2.5));
    }

    #[test]
    fn the_interval_holds_the_mean() {
        let score = score(&[1.0, 2.0, 3.0, 4.0, 100.0]).unwrap();
        assert_eq!((score.mean, score.median, score.iqm), (22.0, 3.0, 3.0));
        assert!(score.low95 < 3.0 && score.high95 > 40.0);
    }
}
