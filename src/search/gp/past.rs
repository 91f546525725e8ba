//! The trials of a history as rows, kept up to date as they change.

use super::fit::Fitter;
use super::frame::Frame;
use super::kernel::{Kernel, Shape};
use super::model::Model;
use crate::search::history::{Cursor, History, PastState};
use crate::search::space::Space;

/// Trials that went well, and trials that failed, which a model of success holds at most.
const LABELS_MAX: usize = 150;
/// Trials at work or pruned that count as they are believed to turn out, at most.
const PENDING_MAX: usize = 200;
/// Trials that ended up to which a model of success is fitted to all of them.
const FIT_EACH: usize = 100;

/// How a trial counts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Pending,
    Valued(f64),
    /// Stopped for want of promise: no failure, and no value.
    Pruned,
    Failed,
}

/// The trials of a history in order of their numbers.
#[derive(Default)]
pub(crate) struct Rows {
    cursor: Cursor,
    trials: Vec<(u64, Vec<f64>, Outcome)>,
    success: Option<Success>,
}

/// A model of success, and what it was made of.
struct Success {
    until: u64,
    /// Places and labels its kernel was fitted to.
    of_fit: Vec<(usize, bool)>,
    logs: Vec<f64>,
    /// Those it holds.
    labels: Vec<(usize, bool)>,
    model: Model,
}

impl Rows {
    /// Takes in what changed.
    pub(crate) fn follow(&mut self, space: &Space, frame: &Frame, history: &History) {
        let (anew, changed) = self.cursor.follow(history);
        if anew {
            self.success = None;
            self.trials.clear();
            self.trials.reserve(history.len());
        }
        for &at in changed {
            let past = &history.trials()[at];
            let outcome = match (&past.state, past.value()) {
                (PastState::Pending, _) => Outcome::Pending,
                (PastState::Pruned, _) => Outcome::Pruned,
                (_, Some(value)) => Outcome::Valued(value),
                _ => Outcome::Failed,
            };
            let trial = (past.number, frame.row(space, &past.params), outcome);
            match self.trials.get_mut(at) {
                Some(known) => {
                    let same = |(a, b): (&f64, &f64)| a == b || a.is_nan() && b.is_nan();
                    if !known.1.iter().zip(&trial.1).all(same) {
                        self.success = None;
                    }
                    *known = trial;
                }
                None => self.trials.push(trial),
            }
        }
    }

    /// Returns number, row and value of each trial with one.
    pub(crate) fn valued(&self) -> impl Iterator<Item = (u64, &[f64], f64)> {
        self.trials.iter().filter_map(|(number, row, outcome)| match outcome {
            Outcome::Valued(value) => Some((*number, row.as_slice(), *value)),
            _ => None,
        })
    }

    /// Returns the rows of trials at work and pruned ones: where these are many, the newest, the last one first.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &[f64]> {
        let pending = |outcome: &Outcome| matches!(outcome, Outcome::Pending | Outcome::Pruned);
        let newest = self.trials.iter().rev().filter(move |trial| pending(&trial.2));
        newest.take(PENDING_MAX).map(|trial| trial.1.as_slice())
    }

    /// Returns the number of the first trial at work.
    pub(crate) fn first_pending(&self) -> Option<u64> {
        self.trials.iter().find(|trial| trial.2 == Outcome::Pending).map(|trial| trial.0)
    }

    /// Returns how many of the last ten ended trials failed.
    pub(crate) fn recent_failures(&self) -> usize {
        let ended = self.trials.iter().rev().filter(|trial| trial.2 != Outcome::Pending);
        ended.take(10).filter(|trial| trial.2 == Outcome::Failed).count()
    }

    /// Says whether a trial of that row is known, or one at work or failed is next to it.
    pub(crate) fn knows(&self, row: &[f64]) -> bool {
        self.trials.iter().any(|(_, other, outcome)| {
            let gap = |(a, b): (&f64, &f64)| match (a.is_nan(), b.is_nan()) {
                (true, true) => 0.0,
                (false, false) => (a - b).abs(),
                _ => 1.0,
            };
            let near = match outcome {
                Outcome::Pending => 2e-3,
                Outcome::Failed => 1e-2,
                _ => 1e-7,
            };
            other.iter().zip(row).map(gap).sum::<f64>() < near
        })
    }

    /// Returns a model of success and failure, where any trial failed: where many ended, its kernel is fitted to those
    /// numbered below `until`, if they tell anything.
    pub(crate) fn success(&mut self, frame: &Frame, until: u64) -> Option<Model> {
        let labels = self.labels();
        if labels.iter().all(|(_, fine)| *fine) {
            return None;
        }
        if let Some(known) = &self.success
            && (known.until, &known.labels) == (until, &labels)
        {
            return Some(known.model.clone());
        }
        // While there are few a fit costs little.
        let few = labels.len() <= FIT_EACH;
        let old = |(at, _): &&(usize, bool)| few || self.trials[*at].0 < until;
        let mut of_fit: Vec<(usize, bool)> = labels.iter().filter(old).copied().collect();
        if of_fit.iter().all(|(_, fine)| *fine) {
            of_fit.clone_from(&labels);
        }
        let rows = |of: &[(usize, bool)]| -> Vec<Vec<f64>> {
            of.iter().map(|(at, _)| self.trials[*at].1.clone()).collect()
        };
        let targets = |of: &[(usize, bool)]| -> Vec<f64> {
            of.iter().map(|(_, fine)| if *fine { 1.0 } else { -1.0 }).collect()
        };
        let logs = match &self.success {
            Some(known) if known.of_fit == of_fit => known.logs.clone(),
            _ => {
                let fitter = Fitter::new(frame, &rows(&of_fit));
                fitter.fit(&targets(&of_fit), Shape::Matern52, fitter.start(), 12).logs
            }
        };
        let mut model = Model::new(frame, Kernel::of(Shape::Matern52, &logs));
        rows(&labels).iter().for_each(|row| model.add(frame, row));
        model.aim(targets(&labels));
        self.success = Some(Success { until, of_fit, logs, labels, model: model.clone() });
        Some(model)
    }

    /// Returns the places of the trials that ended, and whether they went well: where there are many, the newest of
    /// either kind.
    fn labels(&self) -> Vec<(usize, bool)> {
        let mut left = [LABELS_MAX; 2];
        let mut labels: Vec<(usize, bool)> = Vec::new();
        for (at, (_, _, outcome)) in self.trials.iter().enumerate().rev() {
            let fine = *outcome != Outcome::Failed;
            if *outcome != Outcome::Pending && left[usize::from(fine)] > 0 {
                left[usize::from(fine)] -= 1;
                labels.push((at, fine));
            }
        }
        labels.reverse();
        labels
    }
}
