//! Runs: one config with one seed each, their states, and the score of a config over its seeds.
//!
//! `waiting → running → complete | failed | cancelled | pruned`; one that did not complete may be opened again.

use std::collections::BTreeMap;

use super::words::RunState;
use crate::aggregate::score;
use crate::error::{Error, Result};
use crate::id::{ConfigId, ExperimentId, RunId, TrialId, new_uid};
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

const ADD_RUN: &str = named(include_str!("../../sql/protocol.sql"), "add_run");
const STATE_OF_RUN: &str = named(include_str!("../../sql/protocol.sql"), "state_of_run");
const START_RUN: &str = named(include_str!("../../sql/protocol.sql"), "start_run");
const END_RUN: &str = named(include_str!("../../sql/protocol.sql"), "end_run");
const REOPEN_RUN: &str = named(include_str!("../../sql/protocol.sql"), "reopen_run");
const GO_ON_WITH_RUN: &str = named(include_str!("../../sql/protocol.sql"), "go_on_with_run");
const COUNT_OPEN: &str = named(include_str!("../../sql/protocol.sql"), "count_open_runs");
const LIST_RUNS: &str = named(include_str!("../../sql/protocol.sql"), "list_runs");
const VALUES: &str = named(include_str!("../../sql/protocol.sql"), "values_of_config");
const SET_SCORE: &str = named(include_str!("../../sql/protocol.sql"), "set_score");
const ENDS_OF_SCORE: &str = named(include_str!("../../sql/protocol.sql"), "ends_of_score");
const LEAVE_SCORE: &str = named(include_str!("../../sql/protocol.sql"), "leave_score");
const LATE_SCORES: &str = named(include_str!("../../sql/protocol.sql"), "late_scores");
const REMOVE_SCORE: &str = named(include_str!("../../sql/protocol.sql"), "remove_score");

/// A run as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its config.
    pub config: ConfigId,
    /// The trial it is a seed of.
    pub trial: Option<TrialId>,
    /// Of its config: a file's stem, or a trial's number.
    pub name: String,
    /// What makes it repeatable.
    pub seed: i64,
    /// How far it is.
    pub state: RunState,
    /// Of the first objective; `None` in a complete run means NaN.
    pub value: Option<f64>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it first started [unix ms].
    pub started_at_ms: Option<i64>,
    /// When it ended [unix ms].
    pub ended_at_ms: Option<i64>,
}

/// Adds a run in state `waiting`.
///
/// # Errors
/// [`Error::Sqlite`], also when the experiment, config or trial is not there.
pub fn add_run(
    tx: &WriteTx,
    experiment: ExperimentId,
    config: ConfigId,
    trial: Option<TrialId>,
    name: &str,
    seed: i64,
    who: &str,
) -> Result<RunId> {
    let params = named_params! {
        ":uid": new_uid(), ":experiment_id": experiment, ":config_id": config, ":trial_id": trial,
        ":name": name, ":seed": seed, ":now_ms": tx.now_ms, ":who": who,
    };
    tx.insert(ADD_RUN, params).map(RunId)
}

/// Starts a waiting run; returns whether that changed anything: a later attempt finds it running.
///
/// # Errors
/// [`Error::Conflict`] when it has ended; [`Error::NotFound`]; [`Error::Sqlite`].
pub fn start_run(tx: &WriteTx, run: RunId, who: &str) -> Result<bool> {
    let params = named_params! {":id": run, ":now_ms": tx.now_ms, ":who": who};
    if tx.run(START_RUN, params)? > 0 {
        return Ok(true);
    }
    match run_state(tx, run)? {
        RunState::Running => Ok(false),
        state => Err(conflict(run, state, RunState::Running)),
    }
}

/// Ends a run; returns whether that changed anything: what ended so already stays as it is. A `value` that is NaN is
/// kept as NULL.
///
/// # Errors
/// [`Error::Conflict`] when it has ended otherwise, or would be complete without having started; [`Error::Invalid`] when
/// `state` is no end; [`Error::NotFound`]; [`Error::Sqlite`].
pub fn end_run(
    tx: &WriteTx,
    run: RunId,
    state: RunState,
    value: Option<f64>,
    error: Option<&str>,
    who: &str,
) -> Result<bool> {
    if !state.is_end() {
        return Err(Error::invalid("state", format!("a run cannot end as {state}")));
    }
    let now = run_state(tx, run)?;
    if now == state {
        return Ok(false);
    }
    if now.is_end() || (now == RunState::Waiting && state == RunState::Complete) {
        return Err(conflict(run, now, state));
    }
    let params = named_params! {
        ":id": run, ":state": state, ":value": value.filter(|value| !value.is_nan()), ":error": error,
        ":now_ms": tx.now_ms, ":who": who,
    };
    tx.run(END_RUN, params)?;
    Ok(true)
}

/// Puts a run that is running, or ended without being complete, back to `waiting`; returns whether that changed
/// anything. Its value, error and times go; its metrics stay, and the next attempt decides which of them count.
///
/// # Errors
/// [`Error::Conflict`] when it is complete; [`Error::NotFound`]; [`Error::Sqlite`].
pub fn reopen_run(tx: &WriteTx, run: RunId, who: &str) -> Result<bool> {
    let params = named_params! {":id": run, ":now_ms": tx.now_ms, ":who": who};
    if tx.run(REOPEN_RUN, params)? > 0 {
        return Ok(true);
    }
    match run_state(tx, run)? {
        RunState::Waiting => Ok(false),
        state => Err(conflict(run, state, RunState::Waiting)),
    }
}

/// Goes on with a run that ended, without a job; returns whether that changed anything. It has no value and no error until it
/// ends again.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn go_on_with_run(tx: &WriteTx, run: RunId, who: &str) -> Result<bool> {
    let params = named_params! {":id": run, ":now_ms": tx.now_ms, ":who": who};
    Ok(tx.run(GO_ON_WITH_RUN, params)? > 0)
}

/// Returns the run if it is there.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn find_run(tx: &ReadTx, run: RunId) -> Result<RunId> {
    run_state(tx, run).map(|_| run)
}

/// Returns how many runs of an experiment have not ended.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn count_open_runs(tx: &ReadTx, experiment: ExperimentId) -> Result<i64> {
    tx.one(COUNT_OPEN, named_params! {":experiment_id": experiment}, |row| row.get(0))
}

/// Returns up to `limit` runs of an experiment, those of a config together, after the run given.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn list_runs(
    tx: &ReadTx,
    experiment: ExperimentId,
    after: Option<&Run>,
    limit: i64,
) -> Result<Vec<Run>> {
    let params = named_params! {
        ":experiment_id": experiment,
        ":config_id": after.map_or(0, |run| run.config.0),
        ":run_id": after.map_or(0, |run| run.id.0),
        ":limit": limit,
    };
    tx.all(LIST_RUNS, params, |row| {
        Ok(Run {
            id: row.get(0)?,
            config: row.get(1)?,
            trial: row.get(2)?,
            name: row.get(3)?,
            seed: row.get(4)?,
            state: row.get(5)?,
            value: row.get(6)?,
            error: row.get(7)?,
            started_at_ms: row.get(8)?,
            ended_at_ms: row.get(9)?,
        })
    })
}

/// Works out again what a config is worth over its seeds, after one of its runs ended or was opened again.
///
/// Of several runs with one seed the latest that ended counts. `n` are those with a finite value, `failed` those that
/// failed or were complete without one; what was pruned or cancelled says nothing about the config.
///
/// Every value is read for this, and one more changes little once there are many: from 64 seeds on it is worked out when a
/// sixteenth more have ended, and when the experiment no longer runs.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn score_config(tx: &WriteTx, experiment: ExperimentId, config: ConfigId) -> Result<()> {
    let of_config = named_params! {":experiment_id": experiment, ":config_id": config};
    let ends: Option<(i64, i64)> =
        tx.maybe(ENDS_OF_SCORE, of_config, |row| Ok((row.get(0)?, row.get(1)?)))?;
    match ends {
        Some((known, late)) if known >= 64 && (late + 1) * 16 < known => {
            tx.run(LEAVE_SCORE, of_config).map(drop)
        }
        _ => score_now(tx, experiment, config),
    }
}

/// Works out the scores of an experiment that do not know all ends yet.
pub(super) fn score_late(tx: &WriteTx, experiment: ExperimentId) -> Result<()> {
    let of_experiment = named_params! {":experiment_id": experiment};
    let late: Vec<ConfigId> = tx.all(LATE_SCORES, of_experiment, |row| row.get(0))?;
    late.into_iter().try_for_each(|config| score_now(tx, experiment, config))
}

fn score_now(tx: &WriteTx, experiment: ExperimentId, config: ConfigId) -> Result<()> {
    let mut latest = BTreeMap::new();
    let of_config = named_params! {":experiment_id": experiment, ":config_id": config};
    tx.each(VALUES, of_config, |row| {
        let complete = row.get::<_, RunState>(1)? == RunState::Complete;
        let value: Option<f64> = row.get(2)?;
        latest.insert(row.get::<_, i64>(0)?, value.filter(|value| complete && value.is_finite()));
        Ok(())
    })?;
    if latest.is_empty() {
        tx.run(REMOVE_SCORE, of_config)?;
        return Ok(());
    }
    let values: Vec<f64> = latest.values().filter_map(|value| *value).collect();
    let (n, failed) = (values.len(), latest.len() - values.len());
    // Without a value all of it is NaN, which is stored as NULL.
    let score = score(&values);
    let params = named_params! {
        ":experiment_id": experiment,
        ":config_id": config,
        ":n": i64::try_from(n).unwrap_or(i64::MAX),
        ":failed": i64::try_from(failed).unwrap_or(i64::MAX),
        ":mean": score.mean,
        ":std": score.std,
        ":low95": score.low95,
        ":high95": score.high95,
        ":iqm": score.iqm,
        ":median": score.median,
    };
    tx.run(SET_SCORE, params).map(drop)
}

fn run_state(tx: &ReadTx, run: RunId) -> Result<RunState> {
    tx.maybe(STATE_OF_RUN, named_params! {":id": run}, |row| row.get(0))?
        .ok_or_else(|| Error::not_found("run", run))
}

fn conflict(run: RunId, now: RunState, next: RunState) -> Error {
    Error::Conflict {
        what: "run",
        id: run.to_string(),
        why: format!("is {now} and cannot become {next}"),
    }
}
