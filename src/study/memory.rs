//! Searches in memory, kept up with the file by what changed.
//!
//! A search that was read from the file and one that saw it grow propose the same: both are the trials and the changes
//! of the file, put together in one order by the same function. Whoever lives long keeps a [`Memory`] and pays for an ask
//! what is new since the last one; whoever is started anew reads all.
//!
//! After an edit of the space, trials outside it are kept out of the model: the trials inside it are numbered from 0
//! anew, so that strategies which count see no holes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::id::{RunId, StudyId};
use crate::search::engine::Engine;
use crate::search::history::{Cursor, History, Past, PastState};
use crate::search::stopper::Stopper;
use crate::search::strategy::{EXTERNAL, Origin, Proposal, WITH_EPOCHS};
use crate::search::stream::mix;
use crate::store::{ReadTx, Store, WriteTx};

use super::log::{self, Change, Log, Made, Row, What};

/// A proposal that takes longer is worked out before the file is locked, where that can be.
const SLOW: Duration = Duration::from_millis(2);

/// Trials that are asked for in one transaction at most.
pub(crate) const AT_ONCE: u64 = 16;

/// The searches of one file, in memory.
#[derive(Default)]
pub struct Memory {
    searches: HashMap<StudyId, Search>,
    /// How many points of each run at work were looked at to judge its trial.
    judged: HashMap<RunId, i64>,
}

impl Memory {
    /// Returns a study's search as the file has it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a study that cannot be read; [`Error::Sqlite`].
    pub fn search(&mut self, tx: &ReadTx<'_>, study: StudyId) -> Result<&mut Search> {
        self.search_before(tx, study, u64::MAX)
    }

    /// As [`Memory::search`], of a study whose next trial is known to be number `next`.
    pub(super) fn search_before(
        &mut self,
        tx: &ReadTx<'_>,
        study: StudyId,
        next: u64,
    ) -> Result<&mut Search> {
        let known = match self.searches.remove(&study) {
            Some(mut search) => search.catch_up(tx, study, next)?.then_some(search),
            None => None,
        };
        let search = match known {
            Some(search) => search,
            None => Search::open(log::read(tx, study, 0, 0)?, i64::MAX)?,
        };
        Ok(self.searches.entry(study).insert_entry(search).into_mut())
    }

    /// Works out what a study's next ask answers. Should the file change before it, the answer is worked out anew there:
    /// this saves others a wait for the lock and changes no proposal.
    ///
    /// # Errors
    /// As of [`Memory::search`]; [`Error::Invalid`] when the strategy cannot propose.
    pub fn prepare(&mut self, tx: &ReadTx<'_>, study: StudyId) -> Result<()> {
        self.search(tx, study)?.prepare()
    }

    /// Says whether proposals take long, as far as is known.
    pub fn is_slow(&self) -> bool {
        self.searches.is_empty() || self.searches.values().any(|search| search.slow)
    }

    /// Returns how many trials to ask for in one transaction, so that it holds others up for a moment only.
    pub fn at_once(&self) -> u64 {
        if self.is_slow() { 1 } else { AT_ONCE }
    }

    /// Forgets what was learnt in a transaction that did not come to its end.
    pub fn forget(&mut self) {
        self.searches.clear();
        self.judged.clear();
    }

    /// Says whether a run at work has said something since its trial was last judged.
    pub fn is_news(&self, run: RunId, points: i64) -> bool {
        self.judged.get(&run).copied().unwrap_or(0) != points
    }

    /// Notes that a trial is judged by what its run has said so far.
    pub fn note_judged(&mut self, run: RunId, points: i64) {
        self.judged.insert(run, points);
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
    /// The history with what trials at work have said so far, for stoppers: strategies never see that.
    at_work: History,
    followed: Cursor,
    /// The last proposal took long: no part of what is proposed.
    slow: bool,
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
    /// The checkpoint of another trial, by that one's number in the file, that it starts from.
    pub from: Option<Origin>,
    /// What else the strategy says of it, for the training script; no part of the proposal.
    pub notes: Map<String, Value>,
}

impl Wanted {
    /// Says whether both are the same proposal.
    pub(super) fn is_as(&self, other: &Wanted) -> bool {
        let of = |wanted: &Wanted| (wanted.number, wanted.epochs, wanted.resumed, wanted.from);
        of(self) == of(other) && self.params == other.params
    }
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
        let mut made = Made::read(text)?;
        let before = log.rows.partition_point(|row| row.seen < from);
        let (old, new) = log.rows.split_at(before);
        // The first setup comes before all trials: nothing is outside.
        let space = &made.setup.space;
        let is_inside = |row: &&Row| from == 1 || space.contains_completed(&row.params);
        let inside: Vec<&Row> = old.iter().filter(is_inside).collect();
        let numbers: Vec<u64> = inside.iter().map(|row| row.number).collect();
        let asked = old.iter().filter(|row| row.asked).count() as u64;
        if numbers.len() < old.len() {
            // Numbers that were drawn for before are drawn for again: by other streams.
            made.setup.seed = mix(made.setup.seed ^ from.unsigned_abs());
        }
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
            at_work: History::new(),
            followed: Cursor::default(),
            slow: true,
        };
        for (at, row) in inside.into_iter().enumerate() {
            let past = search.past_of(at as u64, row);
            search.engine.put(past);
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
    fn catch_up(&mut self, tx: &ReadTx<'_>, study: StudyId, next: u64) -> Result<bool> {
        let log = if self.next < next {
            log::read(tx, study, self.next, self.seen)?
        } else {
            Log { changes: log::read_changes(tx, study, self.seen)?, ..Log::default() }
        };
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
        let past = self.past_of(self.numbers.len() as u64, row);
        self.engine.put(past);
        self.numbers.push(row.number);
    }

    /// Returns a trial as it was asked for: one that starts from another has that one's curve until there.
    fn past_of(&self, number: u64, row: &Row) -> Past {
        let whole = self.made.setup.space.completed(&row.params);
        let params = whole.unwrap_or_else(|| row.params.clone());
        let mut past = Past::new(number, params, PastState::Pending);
        past.epochs = row.epochs;
        past.added = !row.asked;
        if let Some(from) = row.from
            && let Some(parent) = self.past(from.number)
        {
            let epochs = usize::try_from(from.epochs).unwrap_or(usize::MAX);
            past.curve = parent.curve[..epochs.min(parent.curve.len())].to_vec();
        }
        past
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

    /// Returns how many epochs all trials may train together, where that is bounded.
    pub(super) fn epoch_budget(&self) -> Option<u64> {
        self.made.setup.epoch_budget
    }

    fn prepare(&mut self) -> Result<()> {
        if self.is_spent() || self.engine.is_prepared() {
            return Ok(());
        }
        let start = Instant::now();
        self.engine.prepare()?;
        self.slow = start.elapsed() > SLOW;
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
        let (start, is_prepared) = (Instant::now(), self.engine.is_prepared());
        let answer = self.engine.ask()?;
        if !is_prepared {
            self.slow = start.elapsed() > SLOW;
        }
        match answer {
            Ok(asked) if asked.resumed => {
                let at = usize::try_from(asked.number).ok();
                let number = at.and_then(|at| self.numbers.get(at)).copied();
                let number =
                    number.ok_or_else(|| Error::invalid("strategy", "resumes no trial"))?;
                let (params, epochs) = (asked.params, asked.epochs);
                // Writing it down is the next change, and known already.
                self.seen += 1;
                let notes = self.notes();
                Ok(Ok(Wanted { number, params, epochs, resumed: true, from: None, notes }))
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
                let from = asked.from.and_then(|from| {
                    let number = self.numbers.get(usize::try_from(from.number).ok()?)?;
                    Some(Origin { number: *number, ..from })
                });
                Ok(Ok(Wanted {
                    number,
                    params: asked.params,
                    epochs: asked.epochs,
                    resumed: false,
                    from,
                    notes: self.notes(),
                }))
            }
            Err(Proposal::Exhausted) => Ok(Err(Nothing::Exhausted)),
            Err(_) => Ok(Err(Nothing::Wait)),
        }
    }

    /// Returns what the strategy notes of its last proposal, losses as the user has them.
    fn notes(&self) -> Map<String, Value> {
        let mut notes = self.engine.notes();
        if self.made.signs[0] < 0.0 {
            for (_, value) in notes.iter_mut().filter(|(name, _)| name.ends_with("_performance")) {
                *value = value.as_f64().map_or(Value::Null, |loss| (-loss).into());
            }
        }
        notes
    }

    /// Judges a trial at work by its curve so far, in the user's direction; returns the epoch after which it was to stop
    /// and why. Each epoch is looked at once.
    pub fn judge(
        &mut self,
        stopper: &dyn Stopper,
        number: u64,
        curve: &[f64],
    ) -> Option<(u64, String)> {
        self.follow_work();
        let at = self.numbers.binary_search(&number).ok()? as u64;
        let sign = self.made.signs[0];
        let curve: Vec<f64> = curve.iter().map(|value| value * sign).collect();
        let judged = self.at_work.get(at)?.curve.len();
        for epochs in judged + 1..=curve.len() {
            self.at_work.change(at, |past| {
                past.state = PastState::Pending;
                past.curve = curve[..epochs].to_vec();
            });
            if let Some(why) = stopper.stops(&self.at_work, at) {
                return Some((epochs as u64, why));
            }
        }
        None
    }

    /// Says why a trial is stopped with this curve, in the user's direction, by a rule that looks at complete trials alone.
    pub(super) fn stops(
        &mut self,
        stopper: &dyn Stopper,
        number: u64,
        curve: &[f64],
    ) -> Option<String> {
        self.follow_work();
        let at = self.numbers.binary_search(&number).ok()? as u64;
        let own = self.engine.history().get(at)?.clone();
        let curve = curve.iter().map(|value| value * self.made.signs[0]).collect();
        self.at_work.put(Past { state: PastState::Pending, curve, ..own.clone() });
        let why = stopper.stops(&self.at_work, at);
        self.at_work.put(own);
        why
    }

    fn follow_work(&mut self) {
        let (anew, changed) = self.followed.follow(self.engine.history());
        if anew {
            self.at_work = History::new();
        }
        for at in changed {
            self.at_work.put(self.engine.history().trials()[*at].clone());
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

    /// Says whether another program proposes, which may do so at any time.
    pub fn is_external(&self) -> bool {
        self.made.strategy == EXTERNAL
    }

    /// Says whether nothing is left to ask for: where there are epochs, trials may go on when no new ones are allowed.
    pub fn is_spent(&self) -> bool {
        let decides_epochs = WITH_EPOCHS.contains(&self.made.strategy.as_str())
            || self.made.strategy == "auto" && self.made.setup.epochs.is_some();
        !decides_epochs && self.made.setup.trials.is_some_and(|max| self.asked >= max)
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
