//! Experiments, configs and runs: what was done, why, with which code and environment, and how far it is.
//!
//! An experiment is a row of the protocol. Its configs are found by content and shared between experiments; a run is one
//! config with one seed. States change only along the lines of [`State::may_become`] and of [`run`], and each change
//! leaves an event. Deleting is soft. What a list shows is in [`list`], what we know of the machine in [`provenance`].

mod config;
pub mod list;
mod machine;
mod process;
pub mod provenance;
mod run;
mod scrub;
mod wide;
mod words;

use serde_json::Value;

use crate::blob;
use crate::error::{Error, Result};
use crate::id::{ExperimentId, new_uid};
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

pub use config::{add_config, canonical, params_of_config};
pub use list::{Detail, Filter, Note, Summary, list, show};
pub use machine::user as user_name;
pub use process::{
    Process, hold_run, holders_of_run, is_run_held, keep_process, let_run_go, processes,
    remove_idle_process, runs_held_by,
};
pub use provenance::{Git, Provenance};
pub use run::{
    Run, add_run, count_open_runs, end_run, find_run, go_on_with_run, list_runs, reopen_run,
    score_config, start_run,
};
pub use scrub::{is_secret_name, scrub};
pub use wide::{refresh_wide_view, wide_view_name};
pub use words::{Aggregate, Goal, Kind, RunState, State, ValueFrom};

const ADD_EXPERIMENT: &str = named(include_str!("../../sql/protocol.sql"), "add_experiment");
const ADD_OBJECTIVE: &str = named(include_str!("../../sql/protocol.sql"), "add_objective");
const LIST_OBJECTIVES: &str = named(include_str!("../../sql/protocol.sql"), "list_objectives");
const STATE_OF: &str = named(include_str!("../../sql/protocol.sql"), "state_of_experiment");
const SET_OPEN_STATE: &str = named(include_str!("../../sql/protocol.sql"), "set_open_state");
const SET_STATE: &str = named(include_str!("../../sql/protocol.sql"), "set_experiment_state");
const SET_EXTRA: &str = named(include_str!("../../sql/protocol.sql"), "set_extra");
const IS_AT_WORK: &str = named(include_str!("../../sql/protocol.sql"), "is_at_work");
const SET_DELETED: &str = named(include_str!("../../sql/protocol.sql"), "set_deleted");
const BY_ID: &str = named(include_str!("../../sql/protocol.sql"), "experiment_by_id");
const DELETED_BY_NAME: &str =
    named(include_str!("../../sql/protocol.sql"), "latest_deleted_by_name");
const IDS_BY_NAME: &str = named(include_str!("../../sql/protocol.sql"), "ids_by_name");
const BY_NAME: &str = named(include_str!("../../sql/protocol.sql"), "latest_by_name");
const BY_UID: &str = named(include_str!("../../sql/protocol.sql"), "experiments_by_uid");
const LATEST: &str = named(include_str!("../../sql/protocol.sql"), "latest_experiment");
const ADD_TAG: &str = named(include_str!("../../sql/protocol.sql"), "add_tag");
const REMOVE_TAG: &str = named(include_str!("../../sql/protocol.sql"), "remove_tag");
const ADD_NOTE: &str = named(include_str!("../../sql/protocol.sql"), "add_note");

/// What an experiment's runs are valued by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objective {
    /// The metric's name.
    pub metric: String,
    /// Whether small or large is good.
    pub goal: Goal,
    /// Which number of its series.
    pub value_from: ValueFrom,
    /// How seeds are put together.
    pub aggregate: Aggregate,
}

impl Objective {
    /// An objective by the last value and the mean over seeds.
    pub fn new(metric: impl Into<String>, goal: Goal) -> Objective {
        Objective {
            metric: metric.into(),
            goal,
            value_from: ValueFrom::Last,
            aggregate: Aggregate::Mean,
        }
    }
}

/// An experiment that is not in the file yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewExperiment {
    /// Any text that is not blank; several experiments may have the same.
    pub name: String,
    /// Why it is done.
    pub purpose: String,
    /// What it belongs to.
    pub project: String,
    /// What it is made of.
    pub kind: Kind,
    /// The checked spec.
    pub plan: Value,
    /// The spec as the user wrote it.
    pub spec_text: Option<String>,
    /// The spec's file name.
    pub spec_name: Option<String>,
    /// Anything the caller wants to keep with it.
    pub extra: Value,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What its runs are valued by, the one lists are ordered by first.
    pub objectives: Vec<Objective>,
}

impl NewExperiment {
    /// An experiment of the project "default" with nothing but a name.
    pub fn new(name: impl Into<String>, kind: Kind) -> NewExperiment {
        NewExperiment {
            name: name.into(),
            purpose: String::new(),
            project: "default".into(),
            kind,
            plan: Value::Object(serde_json::Map::new()),
            spec_text: None,
            spec_name: None,
            extra: Value::Object(serde_json::Map::new()),
            tags: Vec::new(),
            objectives: Vec::new(),
        }
    }
}

/// Adds an experiment in state `planned`, with the code and the machine it starts from.
///
/// # Errors
/// [`Error::Invalid`] for a blank name or tag; [`Error::Sqlite`].
pub fn add(tx: &WriteTx, new: &NewExperiment, provenance: &Provenance) -> Result<ExperimentId> {
    if new.name.trim().is_empty() {
        return Err(Error::invalid("name", "an experiment needs one"));
    }
    let stored = |prepared: Option<&blob::Prepared>| match prepared {
        Some(prepared) => blob::add(tx, prepared),
        None => Ok(None),
    };
    let git = provenance.git.as_ref();
    let git_diff = stored(git.and_then(|git| git.diff.as_ref()))?;
    let script = stored(provenance.script.as_ref())?;
    let id = tx.insert(
        ADD_EXPERIMENT,
        named_params! {
            ":uid": new_uid(),
            ":name": new.name,
            ":purpose": new.purpose,
            ":project": new.project,
            ":kind": new.kind,
            ":plan": new.plan.to_string(),
            ":spec_text": new.spec_text,
            ":spec_name": new.spec_name,
            ":command_line": Value::from(provenance.command_line.as_slice()).to_string(),
            ":cwd": provenance.cwd,
            ":host": provenance.host,
            ":user_name": provenance.user_name,
            ":git_commit": git.and_then(|git| git.commit.as_deref()),
            ":git_branch": git.and_then(|git| git.branch.as_deref()),
            ":git_dirty": git.and_then(|git| git.dirty),
            ":git_diff_blob": git_diff,
            ":script_name": provenance.script_name,
            ":script_hash": provenance.script_hash,
            ":script_blob": script,
            ":environment": Value::Object(provenance.environment.clone()).to_string(),
            ":extra": new.extra.to_string(),
            ":now_ms": tx.now_ms,
        },
    )?;
    let id = ExperimentId(id);
    for (position, objective) in new.objectives.iter().enumerate() {
        tx.run(
            ADD_OBJECTIVE,
            named_params! {
                ":experiment_id": id,
                ":position": i64::try_from(position).unwrap_or(i64::MAX),
                ":metric": objective.metric,
                ":goal": objective.goal,
                ":value_from": objective.value_from,
                ":aggregate": objective.aggregate,
            },
        )?;
    }
    for name in &new.tags {
        add_tag(tx, id, name)?;
    }
    Ok(id)
}

/// Returns what an experiment's runs are valued by, the one lists are ordered by first.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn objectives(tx: &ReadTx, experiment: ExperimentId) -> Result<Vec<Objective>> {
    tx.all(LIST_OBJECTIVES, named_params! {":experiment_id": experiment}, |row| {
        Ok(Objective {
            metric: row.get(0)?,
            goal: row.get(1)?,
            value_from: row.get(2)?,
            aggregate: row.get(3)?,
        })
    })
}

/// Returns how far an experiment is.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn state(tx: &ReadTx, experiment: ExperimentId) -> Result<State> {
    tx.maybe(STATE_OF, named_params! {":id": experiment}, |row| row.get(0))?
        .ok_or_else(|| Error::not_found("experiment", experiment))
}

/// Moves an experiment to another state; returns whether that changed anything. An experiment that is taken up again
/// loses its error and its end; one that ends gets its wide view.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it cannot go there from where it is; [`Error::Sqlite`].
pub fn set_state(
    tx: &WriteTx,
    experiment: ExperimentId,
    next: State,
    error: Option<&str>,
    who: &str,
) -> Result<bool> {
    let now = state(tx, experiment)?;
    if now == next {
        return Ok(false);
    }
    if !now.may_become(next) {
        return Err(Error::Conflict {
            what: "experiment",
            id: experiment.to_string(),
            why: format!("is {now} and cannot become {next}"),
        });
    }
    let params = named_params! {
        ":id": experiment, ":state": next, ":error": error, ":now_ms": tx.now_ms, ":who": who,
    };
    let open = !now.is_end() && !next.is_end();
    tx.run(if open { SET_OPEN_STATE } else { SET_STATE }, params)?;
    if next != State::Running {
        run::score_late(tx, experiment)?;
    }
    if next.is_end() {
        refresh_wide_view(tx, experiment)?;
    }
    Ok(true)
}

/// Replaces what its caller keeps with an experiment.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn set_extra(tx: &WriteTx, id: ExperimentId, extra: &Value, who: &str) -> Result<()> {
    let params = named_params! {
        ":id": id, ":extra": extra.to_string(), ":now_ms": tx.now_ms, ":who": who,
    };
    match tx.run(SET_EXTRA, params)? {
        0 => Err(Error::not_found("experiment", id)),
        _ => Ok(()),
    }
}

/// Hides an experiment from lists; returns whether it was there to see. Nothing of it is lost.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] while programs are at work on it, who would see no more of it;
/// [`Error::Sqlite`].
pub fn delete(tx: &WriteTx, experiment: ExperimentId, who: &str) -> Result<bool> {
    let id = named_params! { ":id": experiment };
    if tx.maybe(IS_AT_WORK, id, |row| row.get(0))? == Some(true) {
        return Err(Error::Conflict {
            what: "experiment",
            id: experiment.to_string(),
            why: format!("is not over: `mle cancel -e {experiment}` ends it"),
        });
    }
    set_deleted(tx, experiment, Some(tx.now_ms), who)
}

/// Shows a deleted experiment again; returns whether it was deleted.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn undelete(tx: &WriteTx, experiment: ExperimentId, who: &str) -> Result<bool> {
    set_deleted(tx, experiment, None, who)
}

fn set_deleted(tx: &WriteTx, id: ExperimentId, at_ms: Option<i64>, who: &str) -> Result<bool> {
    state(tx, id)?;
    let params = named_params! {
        ":id": id, ":deleted_at_ms": at_ms, ":now_ms": tx.now_ms, ":who": who,
    };
    Ok(tx.run(SET_DELETED, params)? > 0)
}

/// Adds a word to find an experiment by; returns whether it was new.
///
/// # Errors
/// [`Error::Invalid`] for a blank word; [`Error::NotFound`]; [`Error::Sqlite`].
pub fn tag(tx: &WriteTx, experiment: ExperimentId, name: &str) -> Result<bool> {
    state(tx, experiment)?;
    add_tag(tx, experiment, name)
}

fn add_tag(tx: &WriteTx, experiment: ExperimentId, name: &str) -> Result<bool> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Error::invalid("tag", "is blank"));
    }
    Ok(tx.run(ADD_TAG, named_params! {":experiment_id": experiment, ":name": name})? > 0)
}

/// Takes a tag off; returns whether it was there.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn untag(tx: &WriteTx, experiment: ExperimentId, name: &str) -> Result<bool> {
    state(tx, experiment)?;
    Ok(tx.run(REMOVE_TAG, named_params! {":experiment_id": experiment, ":name": name.trim()})? > 0)
}

/// Adds a note to an experiment.
///
/// # Errors
/// [`Error::Invalid`] for a blank one; [`Error::NotFound`]; [`Error::Sqlite`].
pub fn add_note(tx: &WriteTx, experiment: ExperimentId, text: &str, who: &str) -> Result<i64> {
    if text.trim().is_empty() {
        return Err(Error::invalid("note", "is blank"));
    }
    state(tx, experiment)?;
    tx.insert(
        ADD_NOTE,
        named_params! {":experiment_id": experiment, ":text": text, ":now_ms": tx.now_ms, ":who": who},
    )
}

/// Finds an experiment by its id, its name (the latest of that name) or the first four or more characters of its uid.
/// The deleted are found by their id only.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] when several uids begin so; [`Error::Sqlite`].
pub fn find(tx: &ReadTx, word: &str) -> Result<ExperimentId> {
    find_among(tx, word, false)
}

/// As [`find`], among the deleted too.
///
/// # Errors
/// As [`find`].
pub fn find_deleted_too(tx: &ReadTx, word: &str) -> Result<ExperimentId> {
    find_among(tx, word, true)
}

/// As [`find_deleted_too`]; of several with the name the latest that is deleted.
///
/// # Errors
/// As [`find`].
pub fn find_deleted(tx: &ReadTx, word: &str) -> Result<ExperimentId> {
    let found = find_deleted_too(tx, word)?;
    let by_name = named_params! {":id": found, ":name": word};
    Ok(tx.maybe(DELETED_BY_NAME, by_name, |row| row.get(0))?.unwrap_or(found))
}

/// Returns the experiments of a name that were not deleted, the latest first.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn with_name(tx: &ReadTx, name: &str) -> Result<Vec<ExperimentId>> {
    tx.all(IDS_BY_NAME, named_params! {":name": name}, |row| row.get(0))
}

/// Returns the newest experiment, if there is one.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn latest(tx: &ReadTx) -> Result<Option<ExperimentId>> {
    tx.maybe(LATEST, [], |row| row.get(0))
}

fn find_among(tx: &ReadTx, word: &str, deleted: bool) -> Result<ExperimentId> {
    // A uid begins with a zero for the next 500 years, an id never does.
    let id = word.parse::<i64>().ok().filter(|_| !word.starts_with(['0', '+']));
    let by_id = match id {
        Some(id) => tx.maybe(BY_ID, named_params! {":id": id}, |row| row.get(0))?,
        None => None,
    };
    let by_name = named_params! {":name": word, ":deleted": deleted};
    let by_name: Option<ExperimentId> = tx.maybe(BY_NAME, by_name, |row| row.get(0))?;
    if by_id.is_some() && by_name.is_some() && by_id != by_name {
        let why = format!("\"{word}\" is the id of one and the name of another");
        return Err(Error::invalid("experiment", why).with_hint("give the uid of the one you mean"));
    }
    if let Some(found) = by_id.or(by_name) {
        return Ok(found);
    }
    let prefix = word.to_ascii_lowercase();
    if prefix.len() < 4 || !prefix.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        return Err(Error::not_found("experiment", word));
    }
    let until = format!("{prefix}~");
    let by_uid = named_params! {":from": prefix, ":until": until, ":deleted": deleted};
    match tx.all(BY_UID, by_uid, |row| row.get(0))?.as_slice() {
        [] => Err(Error::not_found("experiment", word)),
        [found] => Ok(*found),
        _ => Err(Error::invalid(
            "experiment",
            format!("several experiments have a uid that begins with \"{word}\""),
        )
        .with_hint("give more characters of the uid, or the id")),
    }
}

#[cfg(test)]
pub(crate) mod tests;
