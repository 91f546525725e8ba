//! Forests of regression trees: how a value depends on a place, and how sure that is.
//!
//! Rows are places in [0, 1] with NaN for what is inactive, which goes with the smallest values in every split. Choices
//! are split into any two sets.

pub(crate) mod boost;
pub(crate) mod tree;

use rand_pcg::Pcg64;

use self::tree::{Growth, Tree};
use crate::search::stream::below;

/// Rows and their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) rows: Vec<Vec<f64>>,
    pub(crate) values: Vec<f64>,
    /// For each coordinate the number of its choices, 0 for a line.
    pub(crate) choices: Vec<usize>,
}

/// How the trees of a forest come to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variety {
    /// Each sees rows drawn with repetition, and splits best (random forest).
    Rows,
    /// Each sees all rows, and splits at random places (extra trees).
    Splits,
}

/// Trees that grew on one sample.
#[derive(Clone, Debug)]
pub(crate) struct Forest {
    trees: Vec<Tree>,
}

impl Forest {
    /// Grows so many trees.
    ///
    /// # Source
    /// Breiman, Machine Learning 45 (2001); Geurts, Ernst, Wehenkel, Machine Learning 63 (2006).
    pub(crate) fn grow(
        sample: &Sample,
        trees: usize,
        variety: Variety,
        generator: &mut Pcg64,
    ) -> Forest {
        let count = sample.rows.len();
        let growth = Growth {
            random: variety == Variety::Splits,
            leaf_min: 1,
            depth_max: 20,
            tried: sample.choices.len(),
        };
        let tree = |_| {
            let chosen: Vec<usize> = match variety {
                Variety::Rows => {
                    (0..count).map(|_| below(generator, count as u64) as usize).collect()
                }
                Variety::Splits => (0..count).collect(),
            };
            Tree::grow(sample, chosen, growth, generator)
        };
        Forest { trees: (0..trees).map(tree).collect() }
    }

    /// Returns the mean and the standard deviation at a place: how much trees differ, and values within their leaves.
    ///
    /// # Source
    /// Hutter, Xu, Hoos, Leyton-Brown, Artificial Intelligence 206 (2014), section 4.3.2.
    pub(crate) fn predict(&self, row: &[f64]) -> (f64, f64) {
        let (mut sum, mut squares) = (0.0, 0.0);
        for tree in &self.trees {
            let (mean, variance) = tree.predict(row);
            sum += mean;
            squares += mean * mean + variance;
        }
        let count = self.trees.len().max(1) as f64;
        let mean = sum / count;
        (mean, (squares / count - mean * mean).max(0.0).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::stream::{Purpose, stream, unit};

    #[test]
    fn forests_learn_a_step_and_a_choice_and_doubt_where_they_saw_nothing() {
        for variety in [Variety::Rows, Variety::Splits] {
            let mut generator = stream(1, 0, Purpose::Model, 0);
            let mut sample = Sample { choices: vec![0, 4, 0], ..Sample::default() };
            for i in 0..200 {
                let choice = (f64::from(i % 4) + 0.5) / 4.0;
                let last = if i % 4 == 0 { f64::NAN } else { unit(&mut generator) };
                let row = vec![unit(&mut generator), choice, last];
                let step = if row[0] > 0.4 { 1.0 } else { 0.0 };
                sample.values.push(step + if i % 4 == 1 || i % 4 == 2 { 3.0 } else { 0.0 });
                sample.rows.push(row);
            }
            let forest = Forest::grow(&sample, 30, variety, &mut generator);
            for (row, want) in [
                ([0.2, 0.125, f64::NAN], 0.0),
                ([0.9, 0.375, 0.5], 4.0),
                ([0.9, 0.875, 0.2], 1.0),
                ([0.1, 0.625, 0.7], 3.0),
            ] {
                let (mean, deviation) = forest.predict(&row);
                assert!((mean - want).abs() < 0.4, "{variety:?} {row:?} {mean}");
                assert!(deviation < 0.9, "{variety:?} {deviation}");
            }
            let (_, at_step) = forest.predict(&[0.4, 0.125, f64::NAN]);
            let (_, inside) = forest.predict(&[0.95, 0.125, f64::NAN]);
            assert!(at_step > inside, "{variety:?} {at_step} {inside}");
        }
    }

    #[test]
    fn few_and_equal_rows_are_survived() {
        let mut generator = stream(1, 0, Purpose::Model, 0);
        for count in [1, 2, 7] {
            let sample = Sample {
                rows: vec![vec![0.5]; count],
                values: (0..count).map(|i| i as f64).collect(),
                choices: vec![0],
            };
            let forest = Forest::grow(&sample, 5, Variety::Splits, &mut generator);
            let (mean, _) = forest.predict(&[0.1]);
            assert!((mean - (count - 1) as f64 / 2.0).abs() < 1e-9);
        }
    }
}
