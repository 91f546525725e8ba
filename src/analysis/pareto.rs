//! Several objectives at once: the front, and how much of the space of objectives it covers.

use super::Trial;
use super::best::losses;
use crate::protocol::Goal;
use crate::search::pareto;

/// A front with its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Front {
    /// Its trials, ordered by the first objective, the best first.
    pub numbers: Vec<u64>,
    /// The volume between the front's finite points and the reference point.
    pub hypervolume: f64,
    /// The reference point, as the user has objectives.
    pub reference: Vec<f64>,
}

/// Returns the trials that no other is better than in all objectives. Without a reference point it is a tenth of the range
/// beyond the worst finite value of each objective.
pub fn front(trials: &[&Trial], goals: &[(String, Goal)], reference: Option<&[f64]>) -> Front {
    let valued: Vec<(u64, Vec<f64>)> = trials
        .iter()
        .filter_map(|trial| Some((trial.number, losses(trial, goals)?)))
        .filter(|(_, losses)| losses.iter().all(|loss| !loss.is_nan()))
        .collect();
    let rows: Vec<&[f64]> = valued.iter().map(|(_, losses)| losses.as_slice()).collect();
    let sign = |at: usize| if goals[at].1 == Goal::Max { -1.0 } else { 1.0 };
    let losses_of_reference: Vec<f64> = match reference {
        Some(point) => point.iter().enumerate().map(|(at, value)| value * sign(at)).collect(),
        None => (0..goals.len()).map(|at| beyond(rows.iter().map(|row| row[at]))).collect(),
    };
    let mut front = pareto::front(&rows);
    front.sort_by(|&a, &b| rows[a][0].total_cmp(&rows[b][0]).then(a.cmp(&b)));
    let is_finite = |row: &&[f64]| row.iter().all(|loss| loss.is_finite());
    let points: Vec<&[f64]> = front.iter().map(|&at| rows[at]).filter(is_finite).collect();
    Front {
        numbers: front.iter().map(|&at| valued[at].0).collect(),
        hypervolume: pareto::hypervolume(&points, &losses_of_reference),
        reference: losses_of_reference
            .iter()
            .enumerate()
            .map(|(at, loss)| loss * sign(at))
            .collect(),
    }
}

fn beyond(losses: impl Iterator<Item = f64>) -> f64 {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for loss in losses.filter(|loss| loss.is_finite()) {
        (low, high) = (low.min(loss), high.max(loss));
    }
    match low <= high {
        true => high + 0.1 * if high > low { high - low } else { 1.0 },
        false => 0.0,
    }
}
