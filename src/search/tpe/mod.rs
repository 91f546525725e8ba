//! TPE: proposes where good trials are dense and bad ones are not (tree-structured Parzen estimator).
//!
//! Trials are split into the best few and the rest. Each side becomes a mixture of kernels over all parameters at once;
//! candidates are drawn from the good side and the one with the largest ratio of densities is proposed. The better a
//! good trial, the more its kernel weighs. Trials that failed count as bad, and so do in part those still running, which
//! keeps workers apart; one that was pruned counts by the last value of its curve. A parameter that was inactive in a trial is
//! spread over its prior there, so one model holds all branches of a conditional space.
//!
//! Settings: `startup` (default 10), the trials before the model, spread by Sobol; `candidates` (default 64).
//!
//! # Source
//! Bergstra et al., NeurIPS 2011; the joint kernel, the bandwidths and the weights by improvement follow Watanabe, arXiv
//! 2304.11127, and Optuna 5. That bandwidths shrink by a random factor is our own: on the public problems it gains more
//! than any other change.

mod frame;
mod mixture;
mod parzen;
mod record;

use serde_json::{Map, Value};

pub(crate) use self::frame::{Axis, Frame};
pub(crate) use self::parzen::Parzen;
pub(crate) use self::record::Record;
use super::history::History;
use super::sampler::Sampler;
use super::space::Space;
use super::start::Start;
use super::strategy::{Proposal, Strategy, allow_settings, whole_setting};
use crate::Result;

/// Good trials: a tenth of those that ended, and no more than this.
const GOOD_MAX: usize = 25;

/// TPE search.
pub struct Tpe {
    parzen: Parzen,
    start: Sampler<Start>,
    startup: u64,
}

impl Tpe {
    /// Returns a TPE search.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have.
    pub fn new(space: Space, settings: &Map<String, Value>, seed: u64) -> Result<Tpe> {
        allow_settings("tpe", settings, &["startup", "candidates"])?;
        let candidates = whole_setting("tpe", settings, "candidates", 1)?.unwrap_or(64);
        let candidates = usize::try_from(candidates).unwrap_or(usize::MAX);
        Ok(Tpe {
            start: Sampler::new(space.clone(), Start::new(space.dimensions(), seed), seed),
            parzen: Parzen::new(space, seed, candidates),
            startup: whole_setting("tpe", settings, "startup", 1)?.unwrap_or(10),
        })
    }
}

impl Strategy for Tpe {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let number = history.next_number();
        let record = self.parzen.follow(history);
        let good = good(record.ranked(), record.ended().div_ceil(10).min(GOOD_MAX));
        if number >= self.startup
            && !good.is_empty()
            && let Some(point) = self.parzen.propose(number, &good)?
        {
            return Ok(Some(point).into());
        }
        Ok(self.start.propose(history, |_| None)?.into())
    }
}

/// Returns the best `count` of the ranked trials in order of their numbers, each weighted by how much better it is than
/// the best one left out; the weights are 1 on average.
fn good(ranked: &[(f64, usize)], count: usize) -> Vec<(usize, f64)> {
    let count = count.min(ranked.len());
    let edge = ranked.get(count).or(ranked.last()).map_or(0.0, |(value, _)| *value);
    let sum: f64 = ranked[..count].iter().map(|(value, _)| edge - value).sum();
    let weight = |value: f64| match sum > 0.0 && sum.is_finite() {
        true => count as f64 * (edge - value) / sum,
        false => 1.0,
    };
    let mut good: Vec<(usize, f64)> =
        ranked[..count].iter().map(|(value, at)| (*at, weight(*value))).collect();
    good.sort_unstable_by_key(|(at, _)| *at);
    good
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::search::history::{Past, PastState};

    #[test]
    fn a_pruned_trial_counts_by_its_last_value() {
        let space = Space::parse(&json!({"x": {"type": "real", "low": 0, "high": 1}})).unwrap();
        let mut parzen = Parzen::new(space, 0, 1);
        let trial = |number: u64, state: PastState, curve: &[f64]| {
            let params = json!({"x": 0.5}).as_object().cloned().unwrap();
            Past { curve: curve.to_vec(), ..Past::new(number, params, state) }
        };
        let history: History = [
            trial(0, PastState::Complete { values: vec![2.0] }, &[]),
            trial(1, PastState::Pruned, &[3.0, 1.0]),
            trial(2, PastState::Pruned, &[0.0, f64::NAN]),
            trial(3, PastState::Failed, &[0.0]),
            trial(4, PastState::Pending, &[0.0]),
        ]
        .into_iter()
        .collect();
        let record = parzen.follow(&history);
        assert_eq!((record.ranked(), record.ended()), (&[(1.0, 1), (2.0, 0)][..], 4));
    }

    #[test]
    fn good_trials_weigh_by_their_improvement() {
        let ranked = [(0.0, 3), (2.0, 1), (3.0, 0), (9.0, 2)];
        assert_eq!(good(&ranked, 2), [(1, 0.5), (3, 1.5)]);
        assert_eq!(good(&ranked[..1], 2), [(3, 1.0)]);
        assert_eq!(good(&[], 2), []);
    }
}
