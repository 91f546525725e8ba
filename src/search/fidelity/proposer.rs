//! Where new trials come from: any strategy for whole trainings, shown what trials were worth at one number of epochs.

use serde_json::{Map, Value};

use super::super::history::{Cursor, History, Past, PastState};
use super::super::strategy::{Proposal, Setup, Strategy, strategy};
use super::standing::{Standing, standing};
use crate::Result;

/// Proposes new trials with the model of the highest rung that has enough of them.
pub(crate) struct Proposer {
    /// One model a rung, lowest first; without a model a single one, for which epochs do not matter.
    levels: Vec<Level>,
    /// The trials a rung needs for its model to be asked.
    least: usize,
}

struct Level {
    epochs: u64,
    model: Box<dyn Strategy + Send>,
    seen: History,
    cursor: Cursor,
    valued: usize,
}

impl Proposer {
    /// Returns the proposals of strategy `model` for trials that are compared at the epochs of `ladder`.
    pub(crate) fn new(model: &str, setup: &Setup, ladder: &[u64]) -> Result<Proposer> {
        let inner =
            Setup { settings: Map::new(), epochs: None, epoch_budget: None, ..setup.clone() };
        let learns = !matches!(model, "random" | "sobol" | "halton" | "grid");
        let ladder = if learns { ladder } else { &ladder[ladder.len() - 1..] };
        let level = |epochs: &u64| {
            Ok(Level {
                epochs: *epochs,
                model: strategy(model, &inner)?,
                seen: History::new(),
                cursor: Cursor::default(),
                valued: 0,
            })
        };
        let levels = ladder.iter().map(level).collect::<Result<_>>()?;
        Ok(Proposer { levels, least: setup.space.dimensions() + 2 })
    }

    /// Returns a new point, `None` when all were tried.
    pub(crate) fn propose(&mut self, history: &History) -> Result<Option<Map<String, Value>>> {
        self.levels.iter_mut().for_each(|level| level.follow(history));
        let enough = self.levels.iter().rposition(|level| level.valued >= self.least);
        let level = &mut self.levels[enough.unwrap_or(0)];
        // A number that no trial has is only known to the history itself.
        let proposal = match level.seen.next_number() == history.next_number() {
            true => level.model.ask(&level.seen)?,
            false => level.model.ask(&level.seen.until(history.next_number()))?,
        };
        match proposal {
            Proposal::New { params, .. } => Ok(Some(params)),
            _ => Ok(None),
        }
    }
}

impl Level {
    fn follow(&mut self, history: &History) {
        let (anew, changed) = self.cursor.follow(history);
        if anew {
            (self.seen, self.valued) = (History::new(), 0);
        }
        for at in changed {
            let past = &history.trials()[*at];
            let seen = Past::new(past.number, past.params.clone(), self.state(past));
            let had = self.seen.get(past.number).is_some_and(|past| past.value().is_some());
            self.valued += usize::from(seen.value().is_some());
            self.valued -= usize::from(had);
            self.seen.put(seen);
        }
    }

    /// Returns the state of a trial as a model of this rung sees it: who stopped before it was pruned.
    fn state(&self, past: &Past) -> PastState {
        match standing(past, self.epochs) {
            Standing::Value(value) => PastState::Complete { values: vec![value] },
            Standing::AtWork => PastState::Pending,
            Standing::Short => PastState::Pruned,
            Standing::Out if past.state == PastState::Pruned => PastState::Pruned,
            Standing::Out => PastState::Failed,
        }
    }
}
