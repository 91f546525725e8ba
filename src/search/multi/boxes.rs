//! How much of the space of objectives a trial is expected to dominate that nothing did before.

use crate::search::normal;

/// Boxes that fill what lies below a reference and is dominated by no row of a front; they are open towards minus
/// infinity.
#[derive(Clone, Debug)]
pub(crate) struct Boxes {
    /// For each objective the ends of boxes, minus infinity first.
    ends: Vec<Vec<f64>>,
    /// For each box and objective the places of its two ends.
    boxes: Vec<Vec<(usize, usize)>>,
}

/// An expected gain, and its slopes by the mean and the deviation of each objective.
pub(crate) struct Gained {
    pub(crate) gain: f64,
    pub(crate) by_mean: Vec<f64>,
    pub(crate) by_deviation: Vec<f64>,
}

impl Boxes {
    /// Returns the boxes beside `front`. Their number grows with the size of the front to the power of the objectives
    /// less one.
    pub(crate) fn new(front: &[&[f64]], reference: &[f64]) -> Boxes {
        let inside: Vec<&[f64]> = front
            .iter()
            .filter(|row| row.iter().zip(reference).all(|(value, end)| value < end))
            .copied()
            .collect();
        let ends = reference.iter().enumerate().map(|(k, last)| {
            let mut ends: Vec<f64> = inside.iter().map(|row| row[k]).collect();
            ends.extend([f64::NEG_INFINITY, *last]);
            ends.sort_unstable_by(f64::total_cmp);
            ends.dedup();
            ends
        });
        let ends: Vec<Vec<f64>> = ends.collect();
        let mut boxes = Vec::new();
        slice(&ends, &inside, reference.len(), &mut Vec::new(), &mut boxes);
        Boxes { ends, boxes }
    }

    /// Returns the expected volume that a trial adds whose objectives are normal and independent.
    ///
    /// A place in a box is won when every objective is below it; the chance of that, summed over the box, is a product
    /// of what each objective is expected to lie below the two ends.
    ///
    /// # Source
    /// Emmerich, Yang, Deutz, Wang, Fonseca, Advances in Stochastic and Deterministic Global Optimization (2016), for
    /// two objectives; the same sum over boxes holds for any number.
    pub(crate) fn expect(&self, means: &[f64], deviations: &[f64]) -> Gained {
        let below = |k: usize| {
            let each = |end: &f64| {
                if *end == f64::NEG_INFINITY {
                    return [0.0; 3];
                }
                let z = (end - means[k]) / deviations[k];
                let (share, density) = (normal::below(z), normal::density(z));
                [deviations[k] * (density + z * share).max(0.0), -share, density]
            };
            self.ends[k].iter().map(each).collect::<Vec<[f64; 3]>>()
        };
        let objectives = self.ends.len();
        let below: Vec<Vec<[f64; 3]>> = (0..objectives).map(below).collect();
        let (mut by_mean, mut by_deviation) = (vec![0.0; objectives], vec![0.0; objectives]);
        let mut gain = 0.0;
        let mut sides = vec![[0.0; 3]; objectives];
        for one in &self.boxes {
            for (side, (below, (low, high))) in sides.iter_mut().zip(below.iter().zip(one)) {
                *side = [0, 1, 2].map(|which| below[*high][which] - below[*low][which]);
            }
            gain += sides.iter().map(|side| side[0]).product::<f64>();
            for k in 0..objectives {
                let others = sides.iter().enumerate().filter(|(other, _)| *other != k);
                let others: f64 = others.map(|(_, side)| side[0]).product();
                by_mean[k] += others * sides[k][1];
                by_deviation[k] += others * sides[k][2];
            }
        }
        Gained { gain, by_mean, by_deviation }
    }
}

/// Slices what is left along objective number `left - 1`; between two ends the rows up to the lower one count.
fn slice(
    ends: &[Vec<f64>],
    rows: &[&[f64]],
    left: usize,
    sides: &mut Vec<(usize, usize)>,
    boxes: &mut Vec<Vec<(usize, usize)>>,
) {
    let own = &ends[left - 1];
    let place = |value: f64| own.partition_point(|end| *end < value);
    if left == 1 {
        let lowest = rows.iter().map(|row| row[0]).fold(own[own.len() - 1], f64::min);
        let first = (0, place(lowest));
        boxes.push([first].into_iter().chain(sides.iter().rev().copied()).collect());
        return;
    }
    let mut cuts: Vec<usize> = rows.iter().map(|row| place(row[left - 1])).collect();
    cuts.extend([0, own.len() - 1]);
    cuts.sort_unstable();
    cuts.dedup();
    for pair in cuts.windows(2) {
        let (low, high) = (pair[0], pair[1]);
        let within: Vec<&[f64]> =
            rows.iter().filter(|row| row[left - 1] <= own[low]).copied().collect();
        sides.push((low, high));
        slice(ends, &within, left - 1, sides, boxes);
        sides.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::pareto::hypervolume;
    use crate::search::stream::{Purpose, normal as draw, stream, unit};

    #[test]
    fn the_expectation_is_the_mean_of_many_draws() {
        for objectives in 1..=4 {
            let mut generator = stream(5, objectives as u64, Purpose::Model, 0);
            let front: Vec<Vec<f64>> =
                (0..5).map(|_| (0..objectives).map(|_| unit(&mut generator)).collect()).collect();
            let front: Vec<&[f64]> = front.iter().map(Vec::as_slice).collect();
            let reference = vec![1.1; objectives];
            let means = vec![0.3; objectives];
            let deviations: Vec<f64> = (0..objectives).map(|k| 0.2 + 0.1 * k as f64).collect();
            let before = hypervolume(&front, &reference);
            let mut sum = 0.0;
            for _ in 0..20_000 {
                let pair = means.iter().zip(&deviations);
                let row: Vec<f64> = pair.map(|(m, d)| m + d * draw(&mut generator)).collect();
                let with: Vec<&[f64]> = front.iter().copied().chain([row.as_slice()]).collect();
                sum += hypervolume(&with, &reference) - before;
            }
            let exact = Boxes::new(&front, &reference).expect(&means, &deviations).gain;
            let mean = sum / 20_000.0;
            assert!((mean / exact - 1.0).abs() < 0.05, "{objectives}: {mean} {exact}");
        }
    }

    #[test]
    fn slopes_are_those_of_the_gain() {
        let front: Vec<&[f64]> = vec![&[0.1, 0.8, 0.5], &[0.5, 0.4, 0.6], &[0.7, 0.2, 0.1]];
        let boxes = Boxes::new(&front, &[1.0, 1.0, 1.0]);
        let at = |m: f64, d: f64| boxes.expect(&[0.4, m, 0.3], &[0.2, d, 0.1]);
        let (here, step) = (at(0.5, 0.3), 1e-5);
        let by_mean = (at(0.5 + step, 0.3).gain - at(0.5 - step, 0.3).gain) / (2.0 * step);
        let by_deviation = (at(0.5, 0.3 + step).gain - at(0.5, 0.3 - step).gain) / (2.0 * step);
        assert!((here.by_mean[1] - by_mean).abs() < 1e-7, "{} {by_mean}", here.by_mean[1]);
        assert!((here.by_deviation[1] - by_deviation).abs() < 1e-7);
    }
}
