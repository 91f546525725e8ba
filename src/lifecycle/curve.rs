//! What a trial's runs said of its first objective, epoch by epoch.
//!
//! A step is an epoch, counted from 0 or from 1. Where steps go beyond the epochs a run was to reach, or it was to reach
//! none, each report counts as one epoch. Epochs without a report have the value of the one before.

use crate::error::Result;
use crate::id::RunId;
use crate::metric::{self, Series};
use crate::protocol::Aggregate;
use crate::store::ReadTx;

use super::search::over_seeds;

/// A run as a part of its trial's training.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    /// The run.
    pub run: RunId,
    /// The epochs to reach.
    pub epochs: Option<u64>,
    /// The epochs it does not train.
    pub before: u64,
}

/// Returns the curve of a trial: what was told of it, and what all of `legs`, one a seed, have said since.
pub(super) fn curve(
    tx: &ReadTx<'_>,
    metric: &str,
    how: Aggregate,
    told: &[f64],
    legs: &[Leg],
) -> Result<Vec<f64>> {
    let mut columns = Vec::with_capacity(legs.len());
    for leg in legs {
        columns.push(of_leg(tx, metric, told, leg)?);
    }
    let reached = columns.iter().map(Vec::len).min().unwrap_or(0);
    let mut curve = told.to_vec();
    for at in curve.len()..reached {
        let values: Vec<f64> = columns.iter().map(|column| column[at]).collect();
        curve.push(over_seeds(how, &values));
    }
    Ok(curve)
}

/// Returns the curve of one seed: what was told, and what its run has said.
fn of_leg(tx: &ReadTx<'_>, metric: &str, told: &[f64], leg: &Leg) -> Result<Vec<f64>> {
    let series = metric::series(tx, leg.run, metric)?.unwrap_or_default();
    let mut curve = told.to_vec();
    for (epoch, value) in epochs(&series, leg) {
        let Some(at) = epoch.checked_sub(1).and_then(|at| usize::try_from(at).ok()) else {
            continue;
        };
        let last = curve.last().copied().unwrap_or(f64::NAN);
        if at < told.len() {
            continue;
        }
        if at < curve.len() {
            curve[at] = value;
            continue;
        }
        curve.resize(at, last);
        curve.push(value);
    }
    Ok(curve)
}

/// Returns the epoch of each report of a run.
fn epochs(series: &Series, leg: &Leg) -> Vec<(u64, f64)> {
    let most = i64::try_from(leg.epochs.unwrap_or(0)).unwrap_or(i64::MAX);
    let before = i64::try_from(leg.before).unwrap_or(i64::MAX);
    // Whoever counts from 0 goes on with the number of epochs there were.
    let first = series.steps.iter().min().copied().unwrap_or(0);
    let fit = |shift: i64| series.steps.iter().all(|step| (1..=most).contains(&(step + shift)));
    // One that began anew and counts from 1 goes beyond what it was to reach when it is taken for one of those.
    let from_0 = first == 0 || first == before && (fit(1) || !fit(0));
    let shift = i64::from(from_0);
    let are_epochs = fit(shift);
    series
        .steps
        .iter()
        .zip(&series.values)
        .enumerate()
        .map(|(i, (step, value))| {
            let counted = leg.before + i as u64 + 1;
            let epoch = if are_epochs { (step + shift).unsigned_abs() } else { counted };
            (epoch, *value)
        })
        .filter(|(epoch, _)| leg.epochs.is_none_or(|most| *epoch <= most))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(steps: &[i64], before: u64, epochs: Option<u64>) -> Vec<u64> {
        let values = vec![0.5; steps.len()];
        let series = Series { steps: steps.to_vec(), values, elapsed_s: Vec::new() };
        let leg = Leg { run: RunId(1), epochs, before };
        super::epochs(&series, &leg).into_iter().map(|(epoch, _)| epoch).collect()
    }

    #[test]
    fn steps_are_epochs_from_0_or_from_1() {
        assert_eq!(found(&[0, 1, 2], 0, Some(3)), [1, 2, 3]);
        assert_eq!(found(&[1, 2, 3], 0, Some(3)), [1, 2, 3]);
        assert_eq!(found(&[3, 4], 3, Some(9)), [4, 5]);
        assert_eq!(found(&[4, 5], 3, Some(9)), [4, 5]);
        assert_eq!(found(&[0, 1, 2, 3], 3, Some(9)), [1, 2, 3, 4], "it began anew");
        assert_eq!(found(&[1, 2, 3], 1, Some(3)), [1, 2, 3], "it began anew");
        assert_eq!(found(&[1, 2], 1, Some(3)), [2, 3]);
        assert_eq!(found(&[5, 10], 0, Some(10)), [5, 10], "every fifth");
        assert_eq!(found(&[1, 0, 2], 0, Some(3)), [2, 1, 3], "in another order");
        assert_eq!(found(&[2, 1, 3], 0, Some(3)), [2, 1, 3], "in another order");
    }

    #[test]
    fn reports_are_counted_where_steps_are_no_epochs() {
        assert_eq!(found(&[100, 200, 300], 0, Some(3)), [1, 2, 3]);
        assert_eq!(found(&[400, 500], 3, Some(9)), [4, 5]);
        assert_eq!(found(&[100, 200], 0, None), [1, 2]);
        assert_eq!(found(&[7, 8, 9], 0, Some(2)), [1, 2], "nothing after the last");
    }
}
