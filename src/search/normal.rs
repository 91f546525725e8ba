//! The normal distribution, cut at two ends: what normal priors and kernel densities need.

use std::f64::consts::{FRAC_1_SQRT_2, PI};
use std::sync::OnceLock;

/// Returns the probability that a standard normal number is below `z`.
///
/// Relative error below 1e-13 also in the lower tail.
pub fn below(z: f64) -> f64 {
    0.5 * erfc(-z * FRAC_1_SQRT_2)
}

/// Returns [`below`] from a table, to six digits.
pub fn quick(z: f64) -> f64 {
    const STEPS: usize = 4096;
    static TABLE: OnceLock<Vec<f64>> = OnceLock::new();
    let place = |step: usize| step as f64 * (16.0 / STEPS as f64) - 8.0;
    let table = TABLE.get_or_init(|| (0..=STEPS + 1).map(|step| below(place(step))).collect());
    let at = (z.clamp(-8.0, 8.0) + 8.0) * (STEPS as f64 / 16.0);
    let step = at as usize;
    table[step] + (table[step + 1] - table[step]) * (at - step as f64)
}

/// Returns [`inverse`] from a table, for draws: to a few digits, and never beyond four standard deviations.
pub fn rough(p: f64) -> f64 {
    const STEPS: usize = 4096;
    static TABLE: OnceLock<Vec<f64>> = OnceLock::new();
    let place = |step: usize| inverse(step as f64 / STEPS as f64).clamp(-4.0, 4.0);
    let table = TABLE.get_or_init(|| (0..=STEPS + 1).map(|step| place(step.min(STEPS))).collect());
    let at = p.clamp(0.0, 1.0) * STEPS as f64;
    let step = at as usize;
    table[step] + (table[step + 1] - table[step]) * (at - step as f64)
}

/// Returns the share of the mass between `low` and `high` that lies below `z`; all three in standard deviations.
pub fn share(low: f64, high: f64, z: f64) -> f64 {
    if low > 0.0 {
        // The lower tail keeps its digits, the upper does not.
        return 1.0 - share(-high, -low, -z);
    }
    let (start, end) = (below(low), below(high));
    ((below(z) - start) / (end - start)).clamp(0.0, 1.0)
}

/// Returns the point between `low` and `high` with the share `u` of their mass below it: the inverse of [`share`].
pub fn quantile(low: f64, high: f64, u: f64) -> f64 {
    if low > 0.0 {
        return -quantile(-high, -low, 1.0 - u);
    }
    let (start, end) = (below(low), below(high));
    inverse(start + u * (end - start)).clamp(low, high)
}

/// Returns the `z` with [`below`]`(z) == p`, for p inside (0, 1) and infinity at the ends.
///
/// # Source
/// Abramowitz and Stegun 26.2.23 (error 4.5e-4) as the start, then Halley steps to the last digit.
pub fn inverse(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    if p == 0.5 {
        return 0.0;
    }
    if p > 0.5 {
        return -inverse(1.0 - p);
    }
    let t = (-2.0 * p.ln()).sqrt();
    let mut z = -(t
        - (2.515517 + t * (0.802853 + t * 0.010328))
            / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
    for _ in 0..3 {
        let step = (below(z) - p) / density(z);
        z -= step / (1.0 + 0.5 * z * step);
    }
    z
}

/// Returns the standard normal density at `z`.
pub fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// Returns the complementary error function: a series of positive terms inside, a continued fraction outside.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x > 27.3 {
        return 0.0;
    }
    let scale = (-x * x).exp() / PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term > sum * 1e-17 {
            odd += 2.0;
            term *= 2.0 * x * x / odd;
            sum += term;
        }
        return 1.0 - 2.0 * scale * sum;
    }
    // x + (1/2)/(x + 1/(x + (3/2)/(x + …))), from the inside out.
    let depth = 12 + (200.0 / (x * x)) as u32;
    let fraction = (1..=depth).rev().fold(x, |rest, k| x + 0.5 * f64::from(k) / rest);
    scale / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // Values of a 30-digit computation.
        for (z, p) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.0, 0.158_655_253_931_457_05),
            (-3.0, 1.349_898_031_630_095_7e-3),
            (-8.0, 6.220_960_574_271_819e-16),
            (1.959_963_984_540_054, 0.975),
        ] {
            assert!((below(z) / p - 1.0).abs() < 1e-13, "{z}: {} {p}", below(z));
        }
    }

    #[test]
    fn the_table_is_close() {
        for i in -1000..=1000 {
            let z = f64::from(i) / 100.0;
            assert!((quick(z) - below(z)).abs() < 1e-6, "{z}");
        }
        assert!(quick(f64::NAN).is_nan());
    }

    #[test]
    fn quantiles_undo_shares() {
        for (low, high) in
            [(-1.0, 2.0), (3.0, 5.0), (-6.0, -4.0), (f64::NEG_INFINITY, f64::INFINITY)]
        {
            for i in 1..100 {
                let u = f64::from(i) / 100.0;
                let z = quantile(low, high, u);
                assert!((share(low, high, z) - u).abs() < 1e-11, "{low} {high} {u} {z}");
            }
        }
    }
}
