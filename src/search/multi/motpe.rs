//! MOTPE: [TPE](crate::search::tpe) for several objectives.
//!
//! The good trials are those of the first fronts of non-dominated ones; of the front that does not fit whole, those that
//! add most to the hypervolume. Each weighs by the hypervolume that it alone dominates.
//!
//! Settings: `startup` (default 10), the trials before the model, spread by Sobol; `candidates` (default 64).
//!
//! # Source
//! Ozaki, Tanigaki, Watanabe, Onishi, GECCO 2020 (doi 10.1145/3377930.3389817).

use super::Valued;
use crate::Result;
use crate::search::history::History;
use crate::search::pareto::{contributions, fronts, hypervolume};
use crate::search::sampler::Sampler;
use crate::search::start::Start;
use crate::search::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use crate::search::tpe::Parzen;

/// Good trials: a tenth of those that ended, and no more than this.
const GOOD_MAX: usize = 25;

/// MOTPE search.
pub struct Motpe {
    parzen: Parzen,
    start: Sampler<Start>,
    startup: u64,
    objectives: usize,
}

impl Motpe {
    /// Returns a MOTPE search.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have.
    pub fn new(setup: &Setup) -> Result<Motpe> {
        let Setup { space, settings, seed, objectives, .. } = setup;
        allow_settings("motpe", settings, &["startup", "candidates"])?;
        let candidates = whole_setting("motpe", settings, "candidates", 1)?.unwrap_or(64);
        let candidates = usize::try_from(candidates).unwrap_or(usize::MAX);
        Ok(Motpe {
            start: Sampler::new(space.clone(), Start::new(space.dimensions(), *seed), *seed),
            parzen: Parzen::new(space.clone(), *seed, candidates),
            startup: whole_setting("motpe", settings, "startup", 1)?.unwrap_or(10),
            objectives: *objectives,
        })
    }
}

impl Strategy for Motpe {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let number = history.next_number();
        let ended = self.parzen.follow(history).ended();
        if number >= self.startup {
            let valued = Valued::new(history.trials(), self.objectives, |rows| {
                fronts(rows).into_iter().next().unwrap_or_default()
            });
            let good = good(&valued, ended.div_ceil(10).min(GOOD_MAX));
            if !good.is_empty()
                && let Some(point) = self.parzen.propose(number, &good)?
            {
                return Ok(Some(point).into());
            }
        }
        Ok(self.start.propose(history, |_| None)?.into())
    }
}

/// Returns `count` good trials in order of their numbers, with weights that are 1 on average.
fn good(valued: &Valued, count: usize) -> Vec<(usize, f64)> {
    let row = |at: &usize| valued.rows[*at].as_slice();
    let mut chosen: Vec<usize> = Vec::with_capacity(count);
    for front in fronts(&valued.rows) {
        let left = count.min(valued.rows.len()) - chosen.len();
        if front.len() <= left {
            chosen.extend(front);
        } else {
            let rows: Vec<&[f64]> = front.iter().map(row).collect();
            chosen.extend(subset(&rows, left).into_iter().map(|at| front[at]));
            break;
        }
    }
    chosen.sort_unstable();
    let rows: Vec<&[f64]> = chosen.iter().map(row).collect();
    let weights = contributions(&rows, &reference(&rows));
    let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;
    let weight = |weight: f64| if mean > 0.0 { weight / mean } else { 1.0 };
    chosen.iter().zip(weights).map(|(at, own)| (valued.at[*at], weight(own))).collect()
}

/// Returns a point behind all rows, far enough for those at the ends of the front to weigh something.
fn reference(rows: &[&[f64]]) -> Vec<f64> {
    let worst = |k: usize| rows.iter().map(|row| row[k]).fold(1e-3, f64::max);
    (0..rows.first().map_or(0, |row| row.len())).map(|k| 1.5 * worst(k)).collect()
}

/// Returns the places of `count` rows that together dominate much, chosen one after the other.
///
/// What a row adds can only shrink as others are chosen, so most of them need no second look.
pub(super) fn subset(rows: &[&[f64]], count: usize) -> Vec<usize> {
    let reference = reference(rows);
    let mut chosen: Vec<usize> = Vec::with_capacity(count);
    let mut bounds = vec![f64::INFINITY; rows.len()];
    let mut reached = 0.0;
    while chosen.len() < count {
        let mut best: Option<(f64, usize)> = None;
        for (at, bound) in bounds.iter_mut().enumerate() {
            if best.is_some_and(|(most, _)| *bound <= most) || chosen.contains(&at) {
                continue;
            }
            let with: Vec<&[f64]> = chosen.iter().chain([&at]).map(|at| rows[*at]).collect();
            *bound = hypervolume(&with, &reference) - reached;
            if best.is_none_or(|(most, _)| *bound > most) {
                best = Some((*bound, at));
            }
        }
        let Some((gain, at)) = best else { break };
        reached += gain;
        chosen.push(at);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_part_of_the_front_is_chosen_and_the_ends_weigh_most() {
        let rows: Vec<Vec<f64>> =
            (0..=10).map(|i| f64::from(i) / 10.0).map(|x| vec![x, 1.0 - x]).collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let mut chosen = subset(&rows, 3);
        chosen.sort_unstable();
        assert!(chosen[0] <= 3 && (4..=6).contains(&chosen[1]) && chosen[2] >= 7, "{chosen:?}");
    }

    #[test]
    fn fronts_come_one_after_the_other() {
        let rows = vec![vec![0.9, 0.9], vec![0.0, 0.5], vec![0.5, 0.0], vec![0.6, 0.6]];
        let valued = Valued { at: vec![2, 3, 5, 8], rows };
        let places = |count| good(&valued, count).iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert_eq!(places(2), [3, 5]);
        assert_eq!(places(3), [3, 5, 8]);
        assert_eq!(places(9), [2, 3, 5, 8]);
    }
}
