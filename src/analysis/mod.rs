//! What can be learnt from a study's trials. Everything here is a pure function of trials, space and goals.
//!
//! Trials come in order of their numbers with values as the user has them; a NaN is no value, and infinities are the worst
//! there is. Numbers that must be chosen at random come from streams of a fixed seed, so that an analysis says the same
//! each time.

mod advice;
mod best;
mod compare;
mod forest;
mod importance;
mod pareto;
mod slices;
#[cfg(test)]
mod tests;

pub use advice::{Advice, ENDED_MIN, STOP_MIN, advice};
pub use best::{Step, history, losses, ranking};
pub use compare::{Comparison, Contender, Course, compare};
pub use importance::{Importance, importance};
pub use pareto::{Front, front};
pub use slices::{parallel, slice};

use serde_json::{Map, Value};

use crate::search::history::PastState;

/// A trial with all that is known of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its number in the study.
    pub number: u64,
    /// Its active parameters.
    pub params: Map<String, Value>,
    /// Whether the strategy proposed it.
    pub asked: bool,
    /// How it stands; values as the user has them.
    pub state: PastState,
    /// waiting, running, complete, pruned or failed.
    pub word: String,
    /// The epochs it was last asked to reach.
    pub epochs: Option<u64>,
    /// The first objective after each epoch, as the user has it.
    pub curve: Vec<f64>,
    /// The values the file has of it: those of a pruned one are what it was worth when it was stopped.
    pub values_known: Option<Vec<f64>>,
    /// The values it had before it went on, as long as it is at work again.
    pub before: Option<Vec<f64>>,
    /// With how many seeds it was run, where trials race over them.
    pub seeds: Option<usize>,
    /// When it was asked for [unix ms].
    pub asked_at_ms: i64,
    /// When it ended [unix ms].
    pub ended_at_ms: Option<i64>,
    /// What else is known of it.
    pub extra: Value,
}

impl Trial {
    /// Returns its values, when it is complete.
    pub fn values(&self) -> Option<&[f64]> {
        match &self.state {
            PastState::Complete { values } => Some(values),
            _ => None,
        }
    }

    /// Returns its values, or those that it had before it went on: they stand until it ends again.
    pub fn standing(&self) -> Option<&[f64]> {
        self.values().or(self.before.as_deref())
    }
}
