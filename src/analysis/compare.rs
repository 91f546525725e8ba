//! Studies beside each other: how fast each got how far, and how its trials are spread.

use super::Trial;
use super::best::{history, losses};
use crate::protocol::Goal;

/// A study to be compared.
#[derive(Clone, Debug)]
pub struct Contender<'a> {
    /// Its trials.
    pub trials: Vec<&'a Trial>,
    /// Its objectives.
    pub goals: &'a [(String, Goal)],
    /// The one it is compared by.
    pub at: usize,
}

/// How a study did.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// The distance of the best so far from the best of all studies, after 1, 2, 3, … ended trials; none before a value.
    pub regret: Vec<Option<f64>>,
    /// Its best value.
    pub best: Option<f64>,
    /// How many of its trials have a value.
    pub valued: usize,
    /// For each threshold the share of its ended trials that are as good or better: the failed ones never are.
    pub shares: Vec<f64>,
}

/// Studies, and the thresholds at which their trials are counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// One for each study.
    pub courses: Vec<Course>,
    /// The best value of all.
    pub best: Option<f64>,
    /// Values from the best to the worst of all studies.
    pub thresholds: Vec<f64>,
}

/// Compares studies by one objective of each; these must have the same direction.
pub fn compare(studies: &[Contender<'_>], steps: usize) -> Comparison {
    let sign = match studies.first().and_then(|study| study.goals.get(study.at)) {
        Some((_, Goal::Max)) => -1.0,
        _ => 1.0,
    };
    let all: Vec<Vec<f64>> = studies
        .iter()
        .map(|study| {
            let loss = |trial: &&Trial| losses(trial, study.goals).map(|losses| losses[study.at]);
            study.trials.iter().filter_map(loss).collect()
        })
        .collect();
    let best = all.iter().flatten().copied().min_by(f64::total_cmp);
    let mut sorted: Vec<f64> =
        all.iter().flatten().copied().filter(|loss| loss.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let thresholds: Vec<f64> = match sorted.is_empty() {
        true => Vec::new(),
        false => (0..steps)
            .map(|step| {
                let p = step as f64 / (steps.max(2) - 1) as f64;
                crate::aggregate::quantile(sorted.len(), p, |i| sorted[i])
            })
            .collect(),
    };
    let courses = studies
        .iter()
        .zip(&all)
        .map(|(study, losses)| {
            let steps = history(&study.trials, study.goals, study.at);
            // Of what is as good as an infinite best one, the difference is no number.
            let distance = |loss: f64, best: f64| if loss == best { 0.0 } else { loss - best };
            let regret =
                steps.iter().map(|step| Some(distance(sign * step.best?, best?))).collect();
            let share = |threshold: &f64| {
                losses.iter().filter(|loss| *loss <= threshold).count() as f64
                    / steps.len().max(1) as f64
            };
            Course {
                regret,
                best: steps.last().and_then(|step| step.best),
                valued: losses.iter().filter(|loss| loss.is_finite()).count(),
                shares: thresholds.iter().map(share).collect(),
            }
        })
        .collect();
    let thresholds = thresholds.into_iter().map(|loss| sign * loss).collect();
    Comparison { courses, best: best.map(|loss| sign * loss), thresholds }
}
