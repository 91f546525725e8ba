//! Wilcoxon's signed-rank test, exact.

use crate::search::normal;

/// Pairs up to which chances are counted; beyond, the bell is as good.
const EXACT_MAX: usize = 60;

/// Returns the chance of ranks that speak as much for values above zero, if they were as often below.
///
/// Ties share their mean rank, zeros take part in the ranking and count half (Pratt's ranks, split).
///
/// # Source
/// Wilcoxon 1945; agrees with `scipy.stats.wilcoxon(alternative="greater", zero_method="zsplit", method="exact")` where
/// there are no ties, and with counting all signs where there are.
pub(super) fn greater(values: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].abs().total_cmp(&values[*b].abs()));
    // Twice the ranks: whole numbers also where ties share one.
    let mut ranks = vec![0usize; values.len()];
    let mut from = 0;
    while from < order.len() {
        let size = values[order[from]].abs();
        let to = order[from..].iter().take_while(|at| values[**at].abs() == size).count() + from;
        order[from..to].iter().for_each(|at| ranks[*at] = from + 1 + to);
        from = to;
    }
    let signed: Vec<(usize, bool)> = (0..values.len())
        .filter(|at| values[*at] != 0.0)
        .map(|at| (ranks[at], values[at] > 0.0))
        .collect();
    if signed.len() > EXACT_MAX { bell(&signed) } else { exact(&signed) }
}

fn observed(signed: &[(usize, bool)]) -> usize {
    signed.iter().filter(|(_, up)| *up).map(|(rank, _)| rank).sum()
}

/// Counts the signs that give a rank sum as large.
fn exact(signed: &[(usize, bool)]) -> f64 {
    let all: usize = signed.iter().map(|(rank, _)| rank).sum();
    let mut chances = vec![0.0; all + 1];
    chances[0] = 1.0;
    for (rank, _) in signed {
        for sum in (0..=all).rev() {
            let with = if sum >= *rank { chances[sum - rank] } else { 0.0 };
            chances[sum] = 0.5 * (chances[sum] + with);
        }
    }
    chances[observed(signed)..].iter().sum()
}

fn bell(signed: &[(usize, bool)]) -> f64 {
    let mean = signed.iter().map(|(rank, _)| *rank as f64).sum::<f64>() / 2.0;
    let variance = signed.iter().map(|(rank, _)| (*rank as f64).powi(2)).sum::<f64>() / 4.0;
    normal::below((mean + 1.0 - observed(signed) as f64) / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_those_of_scipy() {
        for (values, want) in [
            (&[0.1, 0.2, -0.05, 0.3, 0.4][..], 0.0625),
            (&[1.0, 2.0, 3.0], 0.125),
            (&[0.5, -0.2, 0.3, 0.8, 1.2, -0.1, 0.7, 0.9], 0.01953125),
            (&[-1.0, -2.0, 0.5, -0.1], 0.875),
            // Three ties and a zero, by counting all signs.
            (&[0.1, 0.1, 0.2, -0.1, 0.3, 0.0], 0.125),
            (&[0.0, 0.0], 1.0),
        ] {
            assert!((greater(values) - want).abs() < 1e-12, "{values:?} {}", greater(values));
        }
    }

    #[test]
    fn the_bell_meets_the_count() {
        for every in 2..6 {
            let signed: Vec<(usize, bool)> = (1..=60).map(|i| (2 * i, i % 5 < every)).collect();
            assert!((exact(&signed) - bell(&signed)).abs() < 0.002, "{every}");
        }
    }
}
