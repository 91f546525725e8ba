//! Bending of values before a model is fitted: losses have long bad tails, and may fall over many orders near the best.

/// How far from the best a value is at most taken to be, in distances of the median: one sum that ran over must not make
/// all others look alike.
const FAR: f64 = 1e9;

/// A way to bend values, up to a shift and a scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Warp {
    /// As they are.
    Straight,
    /// The inverse hyperbolic sine of the distance from the best, in units of this share of the distance of the
    /// median: straight near the best, a logarithm beyond.
    Bent(f64),
}

impl Warp {
    /// All that are tried.
    pub(crate) const ALL: [Warp; 5] =
        [Warp::Straight, Warp::Bent(1.0), Warp::Bent(0.1), Warp::Bent(0.01), Warp::Bent(0.001)];

    /// Returns the values bent, with mean 0 and variance 1, and the logarithm of what that does to a density of them.
    pub(crate) fn bend(self, values: &[f64]) -> (Vec<f64>, f64) {
        let (best, unit) = best_and_unit(values);
        let far = |value: &f64| ((0.5 * value - 0.5 * best) / unit).min(FAR);
        let log_unit = unit.ln() + std::f64::consts::LN_2;
        let (bent, log_slope): (Vec<f64>, f64) = match self {
            Warp::Straight => (values.iter().map(far).collect(), -log_unit * values.len() as f64),
            Warp::Bent(share) => {
                let z = |value: &f64| far(value) / share;
                let slope = |value: &f64| -(log_unit + share.ln()) - 0.5 * z(value).powi(2).ln_1p();
                (values.iter().map(|v| z(v).asinh()).collect(), values.iter().map(slope).sum())
            }
        };
        let count = bent.len().max(1) as f64;
        let mean = bent.iter().sum::<f64>() / count;
        let variance = bent.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        let standard = bent.iter().map(|x| (x - mean) / deviation).collect();
        (standard, log_slope - count * deviation.ln())
    }
}

/// Returns the best value and half the distance of the median from it, or where that is none, of the worst: the halves
/// of the largest numbers are no infinity apart.
fn best_and_unit(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let best = sorted.first().copied().unwrap_or(0.0);
    let beyond = |at: usize| sorted.get(at).map_or(0.0, |value| 0.5 * value - 0.5 * best);
    let unit = [beyond(sorted.len() / 2), beyond(sorted.len().saturating_sub(1))];
    (best, unit.into_iter().find(|unit| *unit > 0.0).unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_values_are_standard() {
        let values = [3.0, 1.0, 1e6, 2.0, 1.5, 1.0];
        for warp in Warp::ALL {
            let (bent, log_slope) = warp.bend(&values);
            assert!(log_slope.is_finite());
            assert!(bent.iter().sum::<f64>().abs() < 1e-9);
            for (i, a) in values.iter().enumerate() {
                for (j, b) in values.iter().enumerate() {
                    assert!((a < b) == (bent[i] < bent[j]), "{warp:?}");
                }
            }
        }
        assert_eq!(Warp::Bent(1.0).bend(&[2.0; 3]).0, [0.0; 3]);
    }

    #[test]
    fn one_huge_value_leaves_the_others_apart() {
        for huge in [1e12, 1e40, 1e155, f64::MAX] {
            let values = [3.0, 1.0, huge, 2.0, 1.5, -2.0];
            let (bent, log_slope) = Warp::Bent(1.0).bend(&values);
            assert!(log_slope.is_finite());
            assert!(bent[0] - bent[1] > 0.01, "{huge}: {bent:?}");
        }
        for warp in Warp::ALL {
            let (bent, log_slope) = warp.bend(&[f64::MAX, -f64::MAX, 0.0, 1e307, 5e-324]);
            assert!(log_slope.is_finite() && bent.iter().all(|x| x.is_finite()), "{warp:?}");
            assert!(bent[1] < bent[2] && bent[2] < bent[0], "{warp:?}");
        }
    }
}
