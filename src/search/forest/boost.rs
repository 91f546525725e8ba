//! Boosted trees for three quantiles: a median, and how far values spread about it.

use rand_pcg::Pcg64;

use super::Sample;
use super::tree::{Growth, Tree};

/// The quantiles of a standard deviation to either side, and the median.
const QUANTILES: [f64; 3] = [0.16, 0.5, 0.84];
const ROUNDS: usize = 30;
const RATE: f64 = 0.2;

/// Three boosted sums of trees.
#[derive(Clone, Debug)]
pub(crate) struct Boosted {
    quantiles: [(f64, Vec<Tree>); 3],
}

impl Boosted {
    /// Grows the trees, each on what those before it leave.
    ///
    /// # Source
    /// Friedman, Annals of Statistics 29 (2001), with the loss of quantile regression; three quantiles for a deviation
    /// as in scikit-optimize.
    pub(crate) fn grow(sample: &Sample, generator: &mut Pcg64) -> Boosted {
        Boosted { quantiles: QUANTILES.map(|share| boost(sample, share, generator)) }
    }

    /// Returns the median and half the distance of the outer quantiles at a place.
    pub(crate) fn predict(&self, row: &[f64]) -> (f64, f64) {
        let [low, middle, high] = [0, 1, 2].map(|which| {
            let (start, trees) = &self.quantiles[which];
            start + RATE * trees.iter().map(|tree| tree.predict(row).0).sum::<f64>()
        });
        (middle, ((high - low) / 2.0).max(0.0))
    }
}

fn boost(sample: &Sample, share: f64, generator: &mut Pcg64) -> (f64, Vec<Tree>) {
    let start = quantile(sample.values.clone(), share);
    let mut left: Vec<f64> = sample.values.iter().map(|value| value - start).collect();
    let growth = Growth { random: false, leaf_min: 2, depth_max: 3, tried: sample.choices.len() };
    let mut trees = Vec::with_capacity(ROUNDS);
    let mut slopes = sample.clone();
    for _ in 0..ROUNDS {
        slopes.values =
            left.iter().map(|rest| if *rest > 0.0 { share } else { share - 1.0 }).collect();
        let mut tree = Tree::grow(&slopes, (0..left.len()).collect(), growth, generator);
        let leaves: Vec<usize> = sample.rows.iter().map(|row| tree.leaf(row)).collect();
        let mut each: Vec<usize> = leaves.clone();
        each.sort_unstable();
        each.dedup();
        for leaf in each {
            let inside = leaves.iter().zip(&left).filter(|(own, _)| **own == leaf);
            tree.set_leaf(leaf, quantile(inside.map(|(_, rest)| *rest).collect(), share));
        }
        for (rest, row) in left.iter_mut().zip(&sample.rows) {
            *rest -= RATE * tree.predict(row).0;
        }
        trees.push(tree);
    }
    (start, trees)
}

fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = share * (values.len() - 1) as f64;
    let low = at as usize;
    let high = (low + 1).min(values.len() - 1);
    values[low] + (at - low as f64) * (values[high] - values[low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::stream::{Purpose, normal, stream, unit};

    #[test]
    fn median_and_spread_follow_the_place() {
        let mut generator = stream(3, 0, Purpose::Model, 0);
        let mut sample = Sample { choices: vec![0], ..Sample::default() };
        for _ in 0..600 {
            let x = unit(&mut generator);
            let (middle, spread) = if x < 0.5 { (0.0, 0.2) } else { (5.0, 1.0) };
            sample.rows.push(vec![x]);
            sample.values.push(middle + spread * normal(&mut generator));
        }
        let boosted = Boosted::grow(&sample, &mut generator);
        for (x, middle, spread) in [(0.25, 0.0, 0.2), (0.75, 5.0, 1.0)] {
            let (mean, deviation) = boosted.predict(&[x]);
            assert!((mean - middle).abs() < 0.3, "{x} {mean}");
            assert!((deviation / spread - 1.0).abs() < 0.4, "{x} {deviation}");
        }
    }
}
