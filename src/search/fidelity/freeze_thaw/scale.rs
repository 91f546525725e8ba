//! How losses become targets of a model.

/// Shares of the distance of the median from the best beyond which losses may be bent.
pub(super) const SHARES: [f64; 3] = [3.0, 0.3, 0.03];

/// How losses become targets: bent beyond the distance of the median from the best, with mean 0 and variance 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    best: f64,
    unit: f64,
    mean: f64,
    deviation: f64,
}

impl Scale {
    /// Returns the scale of values that are bent beyond this share of the distance of their median from their best.
    pub(super) fn of(values: &[f64], share: f64) -> Scale {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let best = sorted.first().copied().unwrap_or(0.0);
        let beyond = |at: usize| sorted.get(at).map_or(0.0, |value| value - best);
        let unit = [beyond(sorted.len() / 2), beyond(sorted.len().saturating_sub(1)), 1.0];
        let unit = share * unit.into_iter().find(|unit| *unit > 0.0).unwrap_or(1.0);
        let straight = Scale { best, unit, mean: 0.0, deviation: 1.0 };
        let bent: Vec<f64> = values.iter().map(|value| straight.bend(*value)).collect();
        let count = bent.len().max(1) as f64;
        let mean = bent.iter().sum::<f64>() / count;
        let variance = bent.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        Scale { mean, deviation, ..straight }
    }

    pub(super) fn bend(&self, value: f64) -> f64 {
        (((value - self.best) / self.unit).asinh() - self.mean) / self.deviation
    }

    /// Returns the logarithm of what bending does to a density of the values.
    pub(super) fn log_slope(&self, values: &[f64]) -> f64 {
        let slope = |value: &f64| {
            let z = (value - self.best) / self.unit;
            -(self.unit * self.deviation).ln() - 0.5 * (z * z).ln_1p()
        };
        values.iter().map(slope).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_targets_are_standard() {
        let values = [3.0, 1.0, 1e6, 2.0, 1.5];
        for share in SHARES {
            let scale = Scale::of(&values, share);
            let targets: Vec<f64> = values.iter().map(|value| scale.bend(*value)).collect();
            assert!(
                targets.iter().sum::<f64>().abs() < 1e-9 && scale.log_slope(&values).is_finite()
            );
            assert!(targets[1] < targets[4] && targets[0] < targets[2]);
            assert!(scale.bend(0.5) < targets[1], "a new best is better");
        }
        assert_eq!(Scale::of(&[2.0; 3], 1.0).bend(2.0), 0.0);
    }
}
