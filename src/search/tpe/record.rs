//! What a model-based strategy remembers of a history: places, values and keys, brought up to date by what changed.

use std::collections::HashMap;

use crate::search::history::{Cursor, History, Past, PastState};
use crate::search::space::Space;

/// A cache of a history, by place in it.
pub(crate) struct Record {
    cursor: Cursor,
    dimensions: usize,
    /// Keys matter only where points can repeat.
    keyed: bool,
    /// One row of coordinates a trial, NaN where inactive.
    places: Vec<f64>,
    values: Vec<Option<f64>>,
    ended: Vec<bool>,
    ended_count: usize,
    /// Valued trials, the best first; the older of equals first.
    ranked: Vec<(f64, usize)>,
    keys: Vec<String>,
    known: HashMap<String, usize>,
}

impl Record {
    pub(crate) fn new(space: &Space) -> Record {
        Record {
            cursor: Cursor::default(),
            dimensions: space.dimensions(),
            keyed: space.can_repeat(),
            places: Vec::new(),
            values: Vec::new(),
            ended: Vec::new(),
            ended_count: 0,
            ranked: Vec::new(),
            keys: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// Takes in what changed since the last call.
    pub(crate) fn follow(&mut self, space: &Space, history: &History) {
        let (anew, changed) = self.cursor.follow(history);
        if anew {
            *self = Record { cursor: std::mem::take(&mut self.cursor), ..Record::new(space) };
        }
        for &at in changed {
            self.forget(at);
            self.take(space, at, &history.trials()[at]);
        }
    }

    /// Returns how many trials there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Says whether a trial is no longer at work.
    pub(crate) fn has_ended(&self, at: usize) -> bool {
        self.ended[at]
    }

    /// Returns how many trials are no longer at work.
    pub(crate) fn ended(&self) -> usize {
        self.ended_count
    }

    /// Returns the valued trials and their values, the best first.
    pub(crate) fn ranked(&self) -> &[(f64, usize)] {
        &self.ranked
    }

    /// Returns the coordinates of a trial.
    pub(crate) fn place(&self, at: usize) -> &[f64] {
        &self.places[at * self.dimensions..(at + 1) * self.dimensions]
    }

    /// Says whether a point was tried, as far as that matters.
    pub(crate) fn knows(&self, key: impl FnOnce() -> String) -> bool {
        self.keyed && self.known.contains_key(&key())
    }

    fn forget(&mut self, at: usize) {
        if at >= self.values.len() {
            return;
        }
        if let Some(value) = self.values[at].take()
            && let Ok(rank) = self.rank(value, at)
        {
            self.ranked.remove(rank);
        }
        self.ended_count -= usize::from(self.ended[at]);
        self.ended[at] = false;
        if self.keyed
            && let Some(count) = self.known.get_mut(&self.keys[at])
        {
            *count -= 1;
            if *count == 0 {
                self.known.remove(&self.keys[at]);
            }
        }
    }

    fn take(&mut self, space: &Space, at: usize, past: &Past) {
        if at >= self.values.len() {
            self.places.resize((at + 1) * self.dimensions, f64::NAN);
            self.values.resize(at + 1, None);
            self.ended.resize(at + 1, false);
            self.keys.resize(at + 1, String::new());
        }
        let row = &mut self.places[at * self.dimensions..(at + 1) * self.dimensions];
        for (own, place) in row.iter_mut().zip(space.encode(&past.params)) {
            *own = place.unwrap_or(f64::NAN);
        }
        self.ended[at] = past.ended();
        self.ended_count += usize::from(past.ended());
        if let Some(value) = worth(past)
            && let Err(rank) = self.rank(value, at)
        {
            self.ranked.insert(rank, (value, at));
            self.values[at] = Some(value);
        }
        if self.keyed {
            self.keys[at] = space.key(&past.params);
            *self.known.entry(self.keys[at].clone()).or_default() += 1;
        }
    }

    fn rank(&self, value: f64, at: usize) -> std::result::Result<usize, usize> {
        self.ranked.binary_search_by(|(other, place)| other.total_cmp(&value).then(place.cmp(&at)))
    }
}

/// Returns what a trial is worth: its value, or the last one of its curve where it was stopped before its end.
fn worth(past: &Past) -> Option<f64> {
    match past.state {
        PastState::Pruned => past.curve.last().copied().filter(|value| value.is_finite()),
        _ => past.value(),
    }
}
