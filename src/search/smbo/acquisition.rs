//! How much a belief promises; larger is better. All values are to be minimised.

use crate::search::normal;

/// What is to be made as large as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acquisition {
    /// The logarithm of the expected improvement of values that are logarithms themselves.
    LogEi,
    /// The expected improvement.
    Ei,
    /// The probability of an improvement.
    Pi,
    /// The lower end of what can be hoped for.
    Lcb,
    /// One of the last three.
    Hedge,
}

/// Standard deviations below the mean that [`Acquisition::Lcb`] hopes for.
const HOPE: f64 = 1.96;

impl Acquisition {
    pub(super) fn named(name: &str) -> Option<Acquisition> {
        Some(match name {
            "logei" => Acquisition::LogEi,
            "ei" => Acquisition::Ei,
            "pi" => Acquisition::Pi,
            "lcb" => Acquisition::Lcb,
            "gp_hedge" | "hedge" => Acquisition::Hedge,
            _ => return None,
        })
    }

    /// Returns the promise of a belief, given the best value so far.
    pub(super) fn at(self, best: f64, (mean, deviation): (f64, f64)) -> f64 {
        let deviation = deviation.max(1e-9);
        let z = (best - mean) / deviation;
        match self {
            Acquisition::Lcb => HOPE * deviation - mean,
            // Where rounding leaves nothing, the nearer one is still better.
            Acquisition::Pi => {
                if z > -30.0 {
                    normal::below(z)
                } else {
                    z * 1e-200
                }
            }
            Acquisition::LogEi => log_improvement(best, mean, deviation),
            Acquisition::Ei | Acquisition::Hedge => {
                let improvement = deviation * (normal::density(z) + z * normal::below(z));
                if z > -30.0 { improvement } else { z * 1e-200 }
            }
        }
    }
}

/// Returns the expected improvement of `exp(best)` by a value whose logarithm is normal.
///
/// # Source
/// Hutter, Hoos, Leyton-Brown, Murphy, GECCO 2009.
fn log_improvement(best: f64, mean: f64, deviation: f64) -> f64 {
    let z = (best - mean) / deviation;
    if z < -30.0 {
        return z * 1e-200;
    }
    let above = best.exp() * normal::below(z);
    above - (0.5 * deviation * deviation + mean).exp() * normal::below(z - deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_means_and_wider_doubts_promise_more() {
        for one in [Acquisition::LogEi, Acquisition::Ei, Acquisition::Pi, Acquisition::Lcb] {
            assert!(one.at(0.0, (0.5, 1.0)) > one.at(0.0, (1.0, 1.0)), "{one:?}");
            assert!(one.at(0.0, (0.5, 1.0)) > one.at(0.0, (0.5, 0.3)), "{one:?}");
            assert!(one.at(0.0, (90.0, 0.1)) > one.at(0.0, (99.0, 0.1)), "{one:?}");
            assert!(one.at(0.0, (1.0, 0.0)).is_finite());
        }
    }

    #[test]
    fn the_improvement_of_a_logarithm_is_the_integral() {
        let (best, mean, deviation) = (0.2f64, 0.5, 0.7);
        let step = 1e-3;
        let part = |i: i32| {
            let y = mean + deviation * (f64::from(i) * step);
            (best.exp() - y.exp()).max(0.0) * normal::density((y - mean) / deviation) * step
        };
        let sum: f64 = (-8000..8000).map(part).sum();
        assert!((log_improvement(best, mean, deviation) - sum).abs() < 1e-4);
    }
}
