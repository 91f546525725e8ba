//! Trials as the model sees them.

use super::super::standing::best;
use super::points::{Point, coarse, points};
use crate::search::gp::frame::Frame;
use crate::search::history::{History, Past, PastState};
use crate::search::space::Space;
use crate::search::stream::mix;

/// Points a fit looks at, at most.
const FIT_MAX: usize = 140;
/// Points the model holds, at most: of the best trials and the newest.
const POINTS_MAX: usize = 800;

/// A trial as the model sees it.
pub(super) struct Trial<'a> {
    pub past: &'a Past,
    pub row: Vec<f64>,
    /// Its numbers so far.
    pub curve: Vec<f64>,
    /// Its curve in points, whose trial is the place among those kept.
    pub points: Vec<Point>,
}

impl Trial<'_> {
    /// Returns the epochs it has trained.
    pub(super) fn reached(&self) -> u64 {
        match self.past.state {
            // One that ended before the epochs it was to reach has nothing to add until there.
            PastState::Complete { .. } => {
                self.past.epochs.unwrap_or(0).max(self.curve.len() as u64)
            }
            _ => self.curve.len() as u64,
        }
    }

    /// Returns the epochs paid for.
    pub(super) fn paid(&self) -> u64 {
        match self.past.state {
            PastState::Pending => self.past.epochs.unwrap_or(0).max(self.reached()),
            _ => self.curve.len() as u64,
        }
    }

    pub(super) fn failed(&self) -> bool {
        match &self.past.state {
            PastState::Failed => true,
            PastState::Complete { .. } => best(&self.curve).is_none(),
            _ => false,
        }
    }
}

/// Returns the trials of a history, at most as many as a model can hold.
pub(super) fn trials<'a>(
    space: &Space,
    frame: &Frame,
    history: &'a History,
    epochs: u64,
) -> Vec<Trial<'a>> {
    let mut trials: Vec<Trial> = history
        .iter()
        .map(|past| {
            let curve = curve_of(past, epochs);
            Trial { past, row: Vec::new(), points: points(0, &curve), curve }
        })
        .collect();
    keep(&mut trials);
    for (at, trial) in trials.iter_mut().enumerate() {
        trial.row = frame.row(space, &trial.past.params);
        trial.points.iter_mut().for_each(|point| point.trial = at);
    }
    trials
}

/// Keeps the best and the newest trials, half of the points each, and those at work.
fn keep(trials: &mut Vec<Trial>) {
    if trials.iter().map(|trial| trial.points.len()).sum::<usize>() <= POINTS_MAX {
        return;
    }
    let mut order: Vec<usize> = (0..trials.len()).collect();
    let value = |at: usize| best(&trials[at].curve).unwrap_or(f64::INFINITY);
    order.sort_by(|a, b| value(*a).total_cmp(&value(*b)).then(a.cmp(b)));
    let mut kept: Vec<bool> = trials.iter().map(|trial| !trial.past.ended()).collect();
    let mut take = |order: &mut dyn Iterator<Item = usize>| {
        let mut count = 0;
        for at in order.filter(|at| trials[*at].past.ended()) {
            count += trials[at].points.len();
            if count > POINTS_MAX / 2 {
                break;
            }
            kept[at] = true;
        }
    };
    take(&mut order.into_iter());
    take(&mut (0..trials.len()).rev());
    let mut kept = kept.into_iter();
    trials.retain(|_| kept.next().unwrap_or(true));
}

/// Returns the numbers of a trial; its value stands for a curve it has not.
fn curve_of(past: &Past, epochs: u64) -> Vec<f64> {
    match past.value() {
        Some(value) if past.curve.is_empty() => {
            let asked = past.epochs.unwrap_or(epochs).clamp(1, epochs) as usize;
            let mut curve = vec![f64::NAN; asked];
            curve[asked - 1] = value;
            curve
        }
        _ => past.curve.clone(),
    }
}

/// Returns places of trials and points of them for a fit: the longest curves, and others in an order that keeps to those
/// that were taken before.
pub(super) fn to_fit(trials: &[Trial]) -> (Vec<usize>, Vec<Point>) {
    let mut order: Vec<usize> = (0..trials.len()).collect();
    order.sort_by_key(|at| mix(trials[*at].past.number));
    let mut longest = order.clone();
    longest.sort_by_key(|at| std::cmp::Reverse(coarse(0, &trials[*at].curve).len()));
    let mut chosen: Vec<usize> = Vec::new();
    let mut count = 0;
    for at in longest.into_iter().take(8).chain(order) {
        let own = coarse(0, &trials[at].curve).len();
        if own > 0 && count + own <= FIT_MAX && !chosen.contains(&at) {
            chosen.push(at);
            count += own;
        }
    }
    chosen.sort_unstable();
    let mut all = Vec::with_capacity(count);
    for (i, at) in chosen.iter().enumerate() {
        all.extend(coarse(i, &trials[*at].curve));
    }
    (chosen, all)
}
