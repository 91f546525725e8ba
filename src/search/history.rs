//! What a study has tried so far, as strategies see it.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

/// How a trial stands.
#[derive(Clone, Debug, PartialEq)]
pub enum PastState {
    /// Asked for, not yet valued.
    Pending,
    /// Valued: one number for each objective, all to be minimised. Whoever maximises hands in negated values.
    Complete {
        /// The objectives.
        values: Vec<f64>,
    },
    /// Crashed, or gave no number.
    Failed,
    /// Stopped before its end for want of promise.
    Pruned,
}

/// One earlier trial of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// Its number in the study, from 0.
    pub number: u64,
    /// Its active parameters.
    pub params: Map<String, Value>,
    /// How it stands.
    pub state: PastState,
    /// The epochs it was last asked to reach, counted from its beginning, where the search has epochs.
    pub epochs: Option<u64>,
    /// The first objective after each epoch run so far, to be minimised; NaN where it was no number.
    pub curve: Vec<f64>,
    /// Whether it was given to the study, and not proposed by its strategy.
    pub added: bool,
}

impl Past {
    /// Returns a trial without epochs, as proposed by the strategy.
    pub fn new(number: u64, params: Map<String, Value>, state: PastState) -> Past {
        Past { number, params, state, epochs: None, curve: Vec::new(), added: false }
    }

    /// Returns the first objective of a complete trial, when it is a number.
    pub fn value(&self) -> Option<f64> {
        self.values()?.first().copied().filter(|value| value.is_finite())
    }

    /// Returns the objectives of a complete trial.
    pub fn values(&self) -> Option<&[f64]> {
        match &self.state {
            PastState::Complete { values } => Some(values),
            _ => None,
        }
    }

    /// Says whether nothing of it is at work.
    pub fn ended(&self) -> bool {
        self.state != PastState::Pending
    }
}

/// The trials of a study in order of their numbers, and the order in which they changed.
///
/// The number of the next trial is part of it: all trials have lower numbers. Strategies that keep caches follow the
/// changes with a [`Cursor`].
#[derive(Debug)]
pub struct History {
    id: u64,
    trials: Vec<Past>,
    next: u64,
    changes: Vec<usize>,
}

impl History {
    /// Returns the history of a study without trials.
    pub fn new() -> History {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        History { id, trials: Vec::new(), next: 0, changes: Vec::new() }
    }

    /// Returns the trials in order of their numbers.
    pub fn trials(&self) -> &[Past] {
        &self.trials
    }

    /// Returns a number that no other history of this process has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Returns what no other state of any history of this process has.
    pub(crate) fn version(&self) -> (u64, usize) {
        (self.id, self.changes.len())
    }

    /// Returns the trials numbered `number` and above.
    pub fn since(&self, number: u64) -> &[Past] {
        &self.trials[self.trials.partition_point(|past| past.number < number)..]
    }

    /// Returns the trial of that number.
    pub fn get(&self, number: u64) -> Option<&Past> {
        let at = self.trials.binary_search_by_key(&number, |past| past.number).ok()?;
        Some(&self.trials[at])
    }

    /// Returns the number of the next trial.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Adds a trial, or puts it in the place of the one with its number.
    pub fn put(&mut self, past: Past) {
        self.next = self.next.max(past.number + 1);
        let at = self.trials.partition_point(|other| other.number < past.number);
        match self.trials.get_mut(at) {
            Some(other) if other.number == past.number => *other = past,
            Some(_) => {
                // Places move: whoever followed the changes begins anew.
                self.trials.insert(at, past);
                let (trials, next) = (std::mem::take(&mut self.trials), self.next);
                *self = History { trials, next, ..History::new() };
                self.changes = (0..self.trials.len()).collect();
                return;
            }
            None => self.trials.push(past),
        }
        self.changes.push(at);
    }

    /// Changes the trial of that number; says whether there is one.
    pub fn change(&mut self, number: u64, change: impl FnOnce(&mut Past)) -> bool {
        let Ok(at) = self.trials.binary_search_by_key(&number, |past| past.number) else {
            return false;
        };
        change(&mut self.trials[at]);
        self.trials[at].number = number;
        self.changes.push(at);
        true
    }

    /// Returns what was there when `number` was the next one, as far as trials are concerned; their states are
    /// today's.
    pub fn until(&self, number: u64) -> History {
        let before = self.trials.iter().filter(|past| past.number < number).cloned();
        let mut until: History = before.collect();
        until.next = number;
        until
    }
}

impl Deref for History {
    type Target = [Past];

    fn deref(&self) -> &[Past] {
        &self.trials
    }
}

impl Default for History {
    fn default() -> Self {
        History::new()
    }
}

impl Clone for History {
    fn clone(&self) -> Self {
        History {
            trials: self.trials.clone(),
            next: self.next,
            changes: self.changes.clone(),
            ..History::new()
        }
    }
}

impl FromIterator<Past> for History {
    fn from_iter<I: IntoIterator<Item = Past>>(trials: I) -> Self {
        let mut trials: Vec<Past> = trials.into_iter().collect();
        trials.sort_by_key(|past| past.number);
        let next = trials.last().map_or(0, |past| past.number + 1);
        let changes = (0..trials.len()).collect();
        History { trials, next, changes, ..History::new() }
    }
}

/// How far a cache has followed the changes of a history.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    id: u64,
    seen: usize,
}

impl Cursor {
    /// Returns whether the cache must begin anew, and the places in [`History::trials`] that changed since the last
    /// call, or all of them, in order of their changes; a place may come more than once.
    pub fn follow<'a>(&mut self, history: &'a History) -> (bool, &'a [usize]) {
        let anew = self.id != history.id || self.seen > history.changes.len();
        if anew {
            *self = Cursor { id: history.id, seen: 0 };
        }
        let changed = &history.changes[self.seen..];
        self.seen = history.changes.len();
        (anew, changed)
    }
}
