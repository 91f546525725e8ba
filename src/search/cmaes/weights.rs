//! The weights of ranks and the rates at which a CMA-ES learns.

/// What follows from the number of dimensions and the size of a generation.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    /// For each rank, the best first: positive for the better half with the sum 1, negative for the rest.
    pub(super) of_rank: Vec<f64>,
    /// How many equal weights would say as much as the positive ones.
    pub(super) mu_eff: f64,
    pub(super) c_sigma: f64,
    pub(super) d_sigma: f64,
    pub(super) c_path: f64,
    pub(super) c_one: f64,
    pub(super) c_mu: f64,
    /// Updates after which eigenvectors are found anew; 1 unless there are many dimensions.
    pub(super) stale_max: u32,
}

impl Weights {
    /// # Source
    /// Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772, table 1.
    pub(super) fn new(dimensions: usize, population: usize) -> Weights {
        let (n, population) = (dimensions.max(1) as f64, population.max(2));
        let middle = ((population as f64 + 1.0) / 2.0).ln();
        let raw: Vec<f64> = (1..=population).map(|rank| middle - (rank as f64).ln()).collect();
        let (good, bad) = raw.split_at(population / 2);
        let effective = |side: &[f64]| {
            side.iter().sum::<f64>().powi(2) / side.iter().map(|w| w * w).sum::<f64>()
        };
        let (mu_eff, mu_eff_bad) = (effective(good), effective(bad));
        let c_one = 2.0 / ((n + 1.3).powi(2) + mu_eff);
        let c_mu = (2.0 * (0.25 + mu_eff + 1.0 / mu_eff - 2.0) / ((n + 2.0).powi(2) + mu_eff))
            .min(1.0 - c_one);
        let bad_sum = (1.0 + c_one / c_mu)
            .min(1.0 + 2.0 * mu_eff_bad / (mu_eff + 2.0))
            .min((1.0 - c_one - c_mu) / (n * c_mu));
        let (up, down): (f64, f64) = (
            raw.iter().filter(|weight| **weight > 0.0).sum(),
            raw.iter().filter(|weight| **weight < 0.0).map(|weight| -weight).sum(),
        );
        let scaled =
            |weight: &f64| if *weight > 0.0 { weight / up } else { bad_sum * weight / down };
        let c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        let surplus = (((mu_eff - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0);
        Weights {
            of_rank: raw.iter().map(scaled).collect(),
            mu_eff,
            c_sigma,
            d_sigma: 1.0 + 2.0 * surplus + c_sigma,
            c_path: (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n),
            c_one,
            c_mu,
            stale_max: (1.0 / (10.0 * n * (c_one + c_mu))).max(1.0) as u32,
        }
    }
}

/// Returns the usual size of a generation.
pub(super) fn population(dimensions: usize) -> usize {
    4 + (3.0 * (dimensions.max(1) as f64).ln()) as usize
}
