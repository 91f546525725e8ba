//! States that grow trial by trial: what a strategy learnt from the first trials of a history.
//!
//! A state is a function of the trials before its place, in order of their numbers, so it does not matter in which
//! order results arrived. Some earlier states are kept: when an old trial changes, only what came after it is computed
//! again.

use crate::search::history::{Cursor, History, Past};

/// States that are kept; older ones are thinned, so that they lie the further apart the older they are.
const MARKS_MAX: usize = 128;

/// The states of one strategy along a history.
pub(crate) struct Chain<S> {
    cursor: Cursor,
    start: S,
    /// States after so many trials, rising.
    marks: Vec<(usize, S)>,
}

impl<S: Clone> Chain<S> {
    /// Returns a chain whose state before all trials is `start`.
    pub(crate) fn new(start: S) -> Chain<S> {
        Chain { cursor: Cursor::default(), start, marks: Vec::new() }
    }

    /// Returns the state after all trials that `step` takes, and how many those are.
    ///
    /// `step` takes some trials from the front of those left into the state and returns how many; 0 when it needs more.
    pub(crate) fn follow(
        &mut self,
        history: &History,
        step: impl Fn(&mut S, &[Past]) -> usize,
    ) -> (usize, &S) {
        let (anew, changed) = self.cursor.follow(history);
        match changed.iter().min() {
            _ if anew => self.marks.clear(),
            Some(first) => self.marks.truncate(self.marks.partition_point(|mark| mark.0 <= *first)),
            None => {}
        }
        let (mut place, mut state) = self.marks.last().cloned().unwrap_or((0, self.start.clone()));
        loop {
            let taken = step(&mut state, &history.trials()[place..]);
            if taken == 0 {
                break;
            }
            place += taken;
            self.marks.push((place, state.clone()));
            if self.marks.len() > MARKS_MAX {
                self.thin();
            }
        }
        self.marks.last().map_or((0, &self.start), |(place, state)| (*place, state))
    }

    /// Drops every second mark but the newest quarter.
    fn thin(&mut self) {
        let old = self.marks.len() - MARKS_MAX / 4;
        let mut at = 0;
        self.marks.retain(|_| {
            at += 1;
            at > old || at % 2 == 0
        });
    }
}

/// Returns what a trial is worth: infinity when it ended without a number, `None` while it runs.
pub(crate) fn loss(past: &Past) -> Option<f64> {
    past.ended().then(|| past.value().unwrap_or(f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::history::PastState;

    #[test]
    fn a_change_is_seen_wherever_it_is() {
        let step = |sum: &mut f64, trials: &[Past]| {
            let Some(pair) = trials.get(..2) else { return 0 };
            *sum = pair.iter().filter_map(loss).fold(*sum, |sum, loss| sum * 0.99 + loss);
            2
        };
        let complete = |value: f64| PastState::Complete { values: vec![value] };
        let mut history = History::new();
        let mut chain = Chain::new(0.0);
        for number in 0..2001 {
            history.put(Past::new(number, Default::default(), PastState::Pending));
            chain.follow(&history, step);
            let late = (number * 7919) % (number + 1);
            history.change(late, |past| past.state = complete(late as f64));
            let (place, sum) = chain.follow(&history, step);
            let sum = *sum;
            assert!(chain.marks.len() <= MARKS_MAX);
            assert_eq!((place, sum), {
                let mut fresh = Chain::new(0.0);
                let (place, sum) = fresh.follow(&history, step);
                (place, *sum)
            });
        }
    }
}
