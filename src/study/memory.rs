//! Searches in memory, kept up with the file by what changed.
//!
//! A search that was read from the file and one that saw it grow propose the same: both are the trials and the changes
//! of the file, put together in one order by the same function. Whoever lives long keeps a [`Memory`] and pays for an ask
//! what is new since the last one; whoever is started anew reads all.
//!
//! After an edit of the space, trials outside it are kept out of the model: the trials inside it are numbered from 0
//! anew, so that strategies which count see no holes.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::id::StudyId;
use crate::search::engine::Engine;
use crate::search::history::{History, Past, PastState};
use crate::search::strategy::{Proposal, WITH_EPOCHS};
use crate::store::{ReadTx, Store, WriteTx};

use super::log::{self, Change, Log, Made, Row, What};

/// The searches of one file, in memory.
#[derive(Default)]
pub struct Memory {
    searches: HashMap<StudyId, Search>,
}

impl Memory {
    /// Returns a study's search as the file has it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a study that cannot be read; [`Error::Sqlite`].
    pub fn search(&mut self, tx: &ReadTx<'_>, study: StudyId) -> Result<&mut Search> {
        let known = match self.searches.remove(&study) {
            Some(mut search) => search.catch_up(tx, study)?.then_some(search),
            None => None,
        };
        let search = match known {
            Some(search) => search,
            None => Search::open(log::read(tx, study, 0, 0)?, i64::MAX)?,
        };
        Ok(self.searches.entry(study).insert_entry(search).into_mut())
    }

    /// Forgets what was learnt in a transaction that did not come to its end.
    pub fn forget(&mut self) {
        self.searches.clear();
    }

    /// Writes, and forgets when that fails: memory is never ahead of the file.
    ///
    /// # Errors
    /// What `body` returns; those of the store.
    pub fn write<T>(
        &mut self,
        store: &mut Store,
        body: impl FnOnce(&WriteTx<'_>, &mut Memory) -> Result<T>,
    ) -> Result<T> {
        let result = store.write(|tx| body(tx, self));
        if result.is_err() {
            self.forget();
        }
        result
    }
}

/// One study's search.
pub struct Search {
    made: Made,
    engine: Engine,
    /// The number in the file of each trial of the engine.
    numbers: Vec<u64>,
    /// The number of the next trial.
    next: u64,
    /// The last change that is known.
    seen: i64,
    /// How many trials the strategy proposed.
    asked: u64,
    /// Points were added since the strategy was made: it must be told of more trials.
    stale: bool,
    /// It took a trial as begun that may not begin: the file must be read anew.
    spoilt: bool,
}

/// What a strategy wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The trial's number in the file.
    pub number: u64,
    /// Its active parameters.
    pub params: Map<String, Value>,
    /// The epochs to reach, where the study has epochs.
    pub epochs: Option<u64>,
    /// Whether the trial goes on from where it stopped.
    pub resumed: bool,
}

/// Why a strategy wants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// A trial at work must end first.
    Wait,
    /// Nothing is left.
    Exhausted,
}

impl Search {
    /// Returns the search that knows the trials and changes up to `until`.
    pub(super) fn open(log: Log, until: i64) -> Result<Search> {
        let known = log.changes.partition_point(|change| change.seq <= until);
        let changes = &log.changes[..known];
        let setup = changes.iter().rev().find_map(|change| match &change.what {
            What::Setup(text) => Some((change.seq, text)),
            What::Trial { .. } => None,
        });
        let (from, text) = setup
            .ok_or_else(|| Error::invalid("study", "the file does not say what it is made of"))?;
        let made = Made::read(text)?;
        let before = log.rows.partition_point(|row| row.seen < from);
        let (old, new) = log.rows.split_at(before);
        // The first setup comes before all trials: nothing is outside.
        let is_inside = |row: &&Row| from == 1 || made.setup.space.contains(&row.params);
        let inside: Vec<&Row> = old.iter().filter(is_inside).collect();
        let numbers: Vec<u64> = inside.iter().map(|row| row.number).collect();
        let asked = old.iter().filter(|row| row.asked).count() as u64;
        let setup = made.clone().with_trials(numbers.len() as u64, asked);
        let mut search = Search {
            engine: Engine::new(&made.strategy, setup)?,
            made,
            numbers,
            next: old.last().map_or(0, |row| row.number + 1),
            seen: from,
            asked,
            stale: false,
            spoilt: false,
        };
        for (at, row) in inside.into_iter().enumerate() {
            search.engine.put(past(at as u64, row));
        }
        let told = changes.partition_point(|change| change.seq <= from);
        for change in &changes[..told] {
            search.tell(change);
        }
        search.seen = from;
        let new = new.iter().take_while(|row| row.seen <= until);
        search.follow(new, &changes[told..]);
        search.refresh()?;
        Ok(search)
    }

    /// Takes in what is new in the file; says no when it must be read anew.
    fn catch_up(&mut self, tx: &ReadTx<'_>, study: StudyId) -> Result<bool> {
        let log = log::read(tx, study, self.next, self.seen)?;
        if self.spoilt || log.changes.iter().any(|change| matches!(change.what, What::Setup(_))) {
            return Ok(false);
        }
        self.follow(log.rows.iter(), &log.changes);
        self.refresh()?;
        Ok(true)
    }

    /// Takes in trials and changes in the order in which they came about.
    pub(super) fn follow<'a>(&mut self, rows: impl Iterator<Item = &'a Row>, changes: &[Change]) {
        let mut changes = changes.iter().peekable();
        for row in rows {
            while let Some(change) = changes.next_if(|change| change.seq <= row.seen) {
                self.tell(change);
            }
            self.put(row);
        }
        changes.for_each(|change| self.tell(change));
    }

    /// Takes in a trial.
    pub(super) fn put(&mut self, row: &Row) {
        self.next = row.number + 1;
        if row.asked {
            self.asked += 1;
        } else {
            self.stale = true;
        }
        self.engine.put(past(self.numbers.len() as u64, row));
        self.numbers.push(row.number);
    }

    /// Takes in how a trial ended or goes on.
    pub(super) fn tell(&mut self, change: &Change) {
        self.seen = change.seq;
        let What::Trial { number, .. } = &change.what else { return };
        // Trials outside the space are not in the model.
        if let Ok(at) = self.numbers.binary_search(number) {
            self.engine.change(at as u64, |past| self.made.apply(past, &change.what));
        }
    }

    /// Tells the strategy of the trials that were added to those it will be asked for.
    pub(super) fn refresh(&mut self) -> Result<()> {
        if std::mem::take(&mut self.stale) {
            let setup = self.made.clone().with_trials(self.numbers.len() as u64, self.asked);
            self.engine.restart(&self.made.strategy, setup)?;
        }
        Ok(())
    }

    /// Asks the strategy, and takes the trial as begun. The caller writes it, or forgets this search.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the strategy cannot propose.
    pub fn ask(&mut self) -> Result<std::result::Result<Wanted, Nothing>> {
        let spent = self.made.setup.trials.is_some_and(|max| self.asked >= max);
        if self.is_spent() {
            return Ok(Err(Nothing::Exhausted));
        }
        match self.engine.ask()? {
            Ok(asked) if asked.resumed => {
                let at = usize::try_from(asked.number).ok();
                let number = at.and_then(|at| self.numbers.get(at)).copied();
                let number =
                    number.ok_or_else(|| Error::invalid("strategy", "resumes no trial"))?;
                let (params, epochs) = (asked.params, asked.epochs);
                // Writing it down is the next change, and known already.
                self.seen += 1;
                Ok(Ok(Wanted { number, params, epochs, resumed: true }))
            }
            Ok(_) if spent => {
                self.spoilt = true;
                let pending = self.engine.history().iter().filter(|past| !past.ended()).count();
                Ok(Err(if pending > 1 { Nothing::Wait } else { Nothing::Exhausted }))
            }
            Ok(asked) => {
                let number = self.next;
                self.next += 1;
                self.asked += 1;
                self.numbers.push(number);
                Ok(Ok(Wanted {
                    number,
                    params: asked.params,
                    epochs: asked.epochs,
                    resumed: false,
                }))
            }
            Err(Proposal::Exhausted) => Ok(Err(Nothing::Exhausted)),
            Err(_) => Ok(Err(Nothing::Wait)),
        }
    }

    /// Returns a trial of the model by its number in the file.
    pub(super) fn past(&self, number: u64) -> Option<&Past> {
        self.engine.history().get(self.numbers.binary_search(&number).ok()? as u64)
    }

    /// Returns the last change it knows.
    pub fn seen(&self) -> i64 {
        self.seen
    }

    /// Returns the number of the next trial.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Returns what the strategy is made of.
    pub fn made(&self) -> &Made {
        &self.made
    }

    /// Returns the trials the strategy knows, numbered from 0, objectives to be minimised.
    pub fn history(&self) -> &History {
        self.engine.history()
    }

    /// Says whether nothing is left to ask for: where there are epochs, trials may go on when no new ones are allowed.
    pub fn is_spent(&self) -> bool {
        !WITH_EPOCHS.contains(&self.made.strategy.as_str())
            && self.made.setup.trials.is_some_and(|max| self.asked >= max)
    }
}

impl Made {
    /// Returns the setup for an engine: its trials are those it has and those still to be asked for.
    fn with_trials(self, has: u64, asked: u64) -> crate::search::strategy::Setup {
        let mut setup = self.setup;
        setup.trials = setup.trials.map(|max| has + max.saturating_sub(asked));
        setup
    }
}

fn past(number: u64, row: &Row) -> Past {
    let mut past = Past::new(number, row.params.clone(), PastState::Pending);
    past.epochs = row.epochs;
    past
}
