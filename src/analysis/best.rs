//! The best trials, and how the best one came about.

use super::Trial;
use crate::protocol::Goal;
use crate::search::pareto;

/// A step of the way to the best value.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// How many trials had ended by then, this one too.
    pub ended: u64,
    /// The trial that ended.
    pub number: u64,
    /// Its value; none when it failed or is NaN.
    pub value: Option<f64>,
    /// The best value so far.
    pub best: Option<f64>,
    /// The trial that had it.
    pub best_number: Option<u64>,
    /// When it ended [unix ms].
    pub ended_at_ms: i64,
}

/// Returns whether `a` is better than `b`.
pub fn better(goal: Goal, a: f64, b: f64) -> bool {
    match goal {
        Goal::Min => a < b,
        Goal::Max => a > b,
    }
}

/// Returns a value that is to be minimised.
pub fn loss(goal: Goal, value: f64) -> f64 {
    match goal {
        Goal::Min => value,
        Goal::Max => -value,
    }
}

/// Returns a trial's objectives, all to be minimised; none unless all of them are numbers.
pub fn losses(trial: &Trial, goals: &[(String, Goal)]) -> Option<Vec<f64>> {
    let values = trial.standing().filter(|values| values.len() == goals.len())?;
    let losses: Vec<f64> =
        values.iter().zip(goals).map(|(value, (_, goal))| loss(*goal, *value)).collect();
    losses.iter().all(|loss| !loss.is_nan()).then_some(losses)
}

/// Returns the trials that have values, the best first: by the value, or with several objectives by how many trials must
/// be taken away before none is better in all (the front first), then by the first objective. Where trials race over seeds,
/// those with fewer seeds than the most come last: what little is known of them may be luck.
pub fn ranking<'a>(trials: &[&'a Trial], goals: &[(String, Goal)]) -> Vec<&'a Trial> {
    let valued: Vec<(&Trial, Vec<f64>)> =
        trials.iter().filter_map(|trial| Some((*trial, losses(trial, goals)?))).collect();
    let points: Vec<&[f64]> = valued.iter().map(|(_, losses)| losses.as_slice()).collect();
    let mut ranks = vec![0; points.len()];
    if goals.len() > 1 {
        for (rank, front) in pareto::fronts(&points).into_iter().enumerate() {
            front.into_iter().for_each(|at| ranks[at] = rank);
        }
    }
    let mut order: Vec<usize> = (0..valued.len()).collect();
    let most = valued.iter().filter_map(|(trial, _)| trial.seeds).max();
    let dropped = |at: usize| valued[at].0.seeds < most;
    order.sort_by(|&a, &b| {
        dropped(a)
            .cmp(&dropped(b))
            .then_with(|| ranks[a].cmp(&ranks[b]))
            .then_with(|| points[a][0].total_cmp(&points[b][0]))
            .then_with(|| valued[a].0.number.cmp(&valued[b].0.number))
    });
    order.into_iter().map(|at| valued[at].0).collect()
}

/// Returns the best value so far after each trial that ended, in the order in which they ended; `at` is the objective.
pub fn history(trials: &[&Trial], goals: &[(String, Goal)], at: usize) -> Vec<Step> {
    let goal = goals[at].1;
    let mut ended: Vec<(&Trial, i64)> =
        trials.iter().filter_map(|trial| Some((*trial, trial.ended_at_ms?))).collect();
    ended.sort_by_key(|(trial, ended_at_ms)| (*ended_at_ms, trial.number));
    let mut best: Option<(f64, u64)> = None;
    let mut steps = Vec::with_capacity(ended.len());
    for (place, (trial, ended_at_ms)) in ended.into_iter().enumerate() {
        let value = trial.values().and_then(|values| values.get(at)).copied();
        let value = value.filter(|value| !value.is_nan());
        if let Some(value) = value
            && best.is_none_or(|(best, _)| better(goal, value, best))
        {
            best = Some((value, trial.number));
        }
        steps.push(Step {
            ended: place as u64 + 1,
            number: trial.number,
            value,
            best: best.map(|(value, _)| value),
            best_number: best.map(|(_, number)| number),
            ended_at_ms,
        });
    }
    steps
}
