//! Studies of a file: what they are made of, asks and tells, edits, and whether proposals can be derived again.
//!
//! A study belongs to an experiment. Those of `mle run` are asked by the searcher, and jobs value their trials; those of
//! `mle study new` are asked and told by whoever likes, and their experiments are of the kind `log`, which no scheduler
//! touches. Either way [`memory`] holds the strategy, and what it knew at each ask stands in the file ([`log`]).

mod ask;
mod edit;
mod exchange;
mod held;
mod log;
pub mod memory;
mod new;
pub mod outside;
mod read;
mod replay;

pub use ask::{Answer, Told, ask, points_to_try, prepare, tell, write_trial};
pub use edit::{Added, Point, add, extend, pause, refine, resume, set_space, warm_start};
pub use exchange::{optuna, peer};
pub use held::{Orphan, hold, leave, note_error, orphans, take_over};
pub(crate) use log::number;
pub use memory::{Memory, Nothing, Search, Wanted};
pub use new::{NewStudy, new};
pub use read::{
    Legs, Setup, Summary, count_given, is_any_at_work, is_inside, legs, list, objectives, setup,
    space, summary, trials,
};
pub use replay::{Difference, Replay, Stop, replay};

pub use crate::search::serve::asked_for;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::id::{ExperimentId, StudyId};
use crate::protocol;
use crate::search::stopper::{Stopper, stopper};
use crate::sql::named;
use crate::store::{ReadTx, named_params};

pub(crate) const TEXT: &str = include_str!("../../sql/search.sql");
const STUDY_OF_EXPERIMENT: &str = named(TEXT, "study_of_experiment");
const STATE_OF_STUDY: &str = named(TEXT, "state_of_study");

/// Finds the study of an experiment by that one's id, name or the beginning of its uid.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] when several uids begin so; [`Error::Sqlite`].
pub fn find(tx: &ReadTx<'_>, word: &str) -> Result<StudyId> {
    let experiment = match protocol::find(tx, word) {
        Err(Error::NotFound { .. }) => {
            return Err(match protocol::find_deleted_too(tx, word) {
                Ok(id) => Error::invalid(format!("study \"{word}\""), "was deleted")
                    .with_hint(format!("`mle protocol undelete {id}` brings it back")),
                Err(_) => Error::not_found("study", format!("\"{word}\"")),
            });
        }
        found => found?,
    };
    of_experiment(tx, experiment)?
        .ok_or_else(|| Error::not_found("study", format!("of experiment {experiment}")))
}

/// Returns the study of an experiment, where that is a search.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn of_experiment(tx: &ReadTx<'_>, experiment: ExperimentId) -> Result<Option<StudyId>> {
    tx.maybe(STUDY_OF_EXPERIMENT, named_params! { ":experiment": experiment }, |row| row.get(0))
}

/// Says whether nobody but its users asks and tells a study: it has no jobs.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn is_by_hand(tx: &ReadTx<'_>, study: StudyId) -> Result<bool> {
    Ok(stand(tx, study)?.by_hand)
}

/// Reads a rule that ends trials as a study has it: its name and its settings.
///
/// # Errors
/// [`Error::Invalid`] when there is none of that name, or a setting does not fit.
pub(crate) fn read_stopper(text: &str) -> Result<Box<dyn Stopper + Send>> {
    let mut settings: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| Error::invalid("the study's stopper", error.to_string()))?;
    let name = settings.shift_remove("name");
    stopper(name.as_ref().and_then(Value::as_str).unwrap_or_default(), &settings)
}

/// What an ask or a tell must know of a study's row.
struct Stand {
    state: String,
    experiment: ExperimentId,
    /// Nobody but its users asks and tells.
    by_hand: bool,
    /// There are points to try that nobody has taken yet.
    has_points: bool,
    /// The number of the next trial.
    next: u64,
}

fn stand(tx: &ReadTx<'_>, study: StudyId) -> Result<Stand> {
    tx.maybe(STATE_OF_STUDY, [study], |row| {
        Ok(Stand {
            state: row.get(0)?,
            experiment: row.get(1)?,
            by_hand: row.get_ref(2)?.as_str()? == "log",
            has_points: row.get(3)?,
            next: row.get::<_, i64>(4)?.unsigned_abs(),
        })
    })?
    .ok_or_else(|| Error::not_found("study", study))
}

/// Returns whose search a study is.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn experiment(tx: &ReadTx<'_>, study: StudyId) -> Result<ExperimentId> {
    Ok(stand(tx, study)?.experiment)
}

fn conflict(study: StudyId, why: impl Into<String>) -> Error {
    Error::Conflict { what: "study", id: study.to_string(), why: why.into() }
}

#[cfg(test)]
mod tests;
