//! Where jobs, runs, trials and experiments meet. Each function is called inside one transaction of a program's turn.
//!
//! The domain modules know each other's ids only; what the end of a job means for its run, and the end of runs for
//! their experiment, is written here and nowhere else.

mod curve;
mod experiment;
mod explain;
mod judge;
mod said;
mod search;

pub use experiment::{cancel, pause, plan_experiment, resume, schedule, schedule_due};
pub use explain::explain;
pub use said::{Files, Points, Said, gather, gather_folder, keep_files, keep_said};
pub use search::{prepare_searches, search, search_due, settle_searches};

use crate::artifact;
use crate::error::{Error, Result};
use crate::id::{ExperimentId, JobId, RunId, WorkerId};
use crate::metric;
use crate::protocol::{self, Goal, RunState, ValueFrom};
use crate::queue::{self, AttemptState, Claimed, Ended, Ending, JobState, Over, Room};
use crate::spec;
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};
use crate::worker::Inputs;

const TEXT: &str = include_str!("../../sql/lifecycle.sql");
const RUN_INPUTS: &str = named(TEXT, "run_inputs");
const REOPEN_TRIAL: &str = named(TEXT, "reopen_trial");
const SPARE_RUN: &str = named(TEXT, "spare_run");
const WHY_PRUNED: &str = named(TEXT, "why_pruned");
const LEG_OF_RUN: &str = named(TEXT, "leg_of_run");
const REOPEN_STUDY: &str = named(TEXT, "reopen_study");
const REOPEN_EXPERIMENT: &str = named(TEXT, "reopen_experiment");
const TRIAL_RUNS: &str = named(TEXT, "trial_runs");
const OBJECTIVES_OF_RUN: &str = named(TEXT, "objectives_of_run");
const RUN_OF: &str = named(TEXT, "run_of");
const PEEK_JOB: &str = named(TEXT, "peek_job");
const ANY_CANCEL: &str = named(TEXT, "any_cancel");
const JOBS_OF_DEAD_WORKER: &str = named(TEXT, "jobs_of_dead_worker");

/// Returns whether a job is queued that fits, and when the next delayed one is due. Takes no write lock.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn peek(
    tx: &ReadTx<'_>,
    room: Room,
    only: Option<ExperimentId>,
) -> Result<(bool, Option<i64>)> {
    let any = tx.one(
        PEEK_JOB,
        named_params! { ":cores": room.cores, ":gpus": room.gpus, ":only": only,
        ":memory_mib": i64::try_from(room.memory_mib).unwrap_or(i64::MAX) },
        |row| row.get(0),
    )?;
    Ok((any, queue::activity(tx)?.1))
}

/// Returns whether someone asked for one of a worker's jobs to be stopped.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn any_cancel(tx: &ReadTx<'_>, worker: WorkerId) -> Result<bool> {
    tx.one(ANY_CANCEL, named_params! { ":worker": worker }, |row| row.get(0))
}

/// Returns what a run's job is given.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn inputs(tx: &ReadTx<'_>, run: RunId) -> Result<Inputs> {
    let (params, seed, name, extra, from): (String, i64, String, String, Option<RunId>) =
        tx.one(RUN_INPUTS, named_params! { ":run": run }, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })?;
    let mut params = serde_json::from_str(&params).unwrap_or_default();
    if extra != "{}" {
        params = spec::merge(&params, &serde_json::from_str(&extra).unwrap_or_default());
    }
    let resume = match checkpoint_for(tx, run, from)? {
        Some(checkpoint) => {
            let mut bytes = Vec::new();
            artifact::read(tx, checkpoint.id, &mut bytes)?;
            Some((checkpoint.name, bytes))
        }
        None => None,
    };
    Ok(Inputs { params, seed, name, resume })
}

/// Returns the checkpoint a run resumes from: its own last one, or the last one of the runs it starts from.
fn checkpoint_for(
    tx: &ReadTx<'_>,
    run: RunId,
    from: Option<RunId>,
) -> Result<Option<artifact::Artifact>> {
    let mut found = artifact::latest_checkpoint(tx, run)?;
    let mut next = from;
    while let Some(run) = next.filter(|_| found.is_none()) {
        found = artifact::latest_checkpoint(tx, run)?;
        next = tx.one(LEG_OF_RUN, named_params! { ":run": run }, |row| row.get(0))?;
    }
    Ok(found)
}

/// An attempt started: its run and its trial run. Returns false when the lease was lost.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn begin(tx: &WriteTx<'_>, claimed: &Claimed, pid: u32, at_ms: i64) -> Result<bool> {
    if !queue::start(tx, claimed.job, claimed.attempt, pid, at_ms)? {
        return Ok(false);
    }
    if let Some(run) = claimed.run {
        let who = format!("job {}", claimed.job);
        unless_ended(protocol::start_run(tx, run, &who))?;
        tx.run(TRIAL_RUNS, named_params! { ":run": run, ":now_ms": tx.now_ms, ":who": who })?;
        let from: Option<RunId> =
            tx.one(LEG_OF_RUN, named_params! { ":run": run }, |row| row.get(0))?;
        if claimed.attempt > 1 || from.is_some() {
            let step = resumed_at(tx, run, from)?;
            metric::supersede(tx, run, claimed.attempt, step)?;
        }
    }
    Ok(true)
}

/// Returns the step of the checkpoint a run resumes from. Where none was given it is the last one that its run said
/// something at; the first step that is said after it corrects that.
fn resumed_at(tx: &ReadTx<'_>, run: RunId, from: Option<RunId>) -> Result<Option<i64>> {
    let Some(checkpoint) = checkpoint_for(tx, run, from)? else { return Ok(None) };
    match (checkpoint.step, checkpoint.owner) {
        (None, artifact::Owner::Run(of)) => {
            Ok(metric::summary(tx, of)?.iter().filter_map(|series| series.last_step).max())
        }
        (step, _) => Ok(step),
    }
}

/// Ends an attempt, and what ends with it.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn end(
    tx: &WriteTx<'_>,
    job: JobId,
    attempt: i64,
    state: AttemptState,
    ending: &Ending,
    who: &str,
) -> Result<Ended> {
    let ended = queue::end(tx, job, attempt, state, ending, who)?;
    match &ended {
        Ended::Over(over) => after_job(tx, over, who)?,
        Ended::Again => {
            let run: Option<RunId> =
                tx.one("SELECT run_id FROM job WHERE id = ?1", [job], |row| row.get(0))?;
            if let Some(run) = run {
                unless_ended(protocol::reopen_run(tx, run, who))?;
            }
        }
        Ended::LeaseLost => {}
    }
    Ok(ended)
}

/// A job is over: so is its run, and the runs of those that were cancelled with it.
fn after_job(tx: &WriteTx<'_>, over: &Over, who: &str) -> Result<()> {
    for (_, run) in &over.cancelled {
        if let Some(run) = run {
            cancel_run(tx, *run, who)?;
        }
    }
    let Some(run) = over.run else { return Ok(()) };
    metric::settle(tx, Some(run))?;
    let end = |state, value, error: Option<&str>| {
        unless_ended(protocol::end_run(tx, run, state, value, error, who))
    };
    let (prune_why, epochs, before): (Option<String>, Option<i64>, i64) =
        tx.one(LEG_OF_RUN, named_params! { ":run": run }, |row| {
            Ok((row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    // A script that ends well when it is told to stop has not done its work, unless it got to its last epoch.
    let is_pruned = prune_why.is_some()
        && match (over.state, epochs) {
            (JobState::Succeeded, Some(epochs)) => !has_reached(tx, run, epochs, before)?,
            _ => true,
        };
    match over.state {
        _ if is_pruned => {
            let (value, _) = value_of(tx, run)?;
            end(RunState::Pruned, value, prune_why.as_deref())?;
        }
        JobState::Succeeded => {
            let (value, missing) = value_of(tx, run)?;
            match missing {
                None => {
                    // A short job's start may come with its end.
                    unless_ended(protocol::start_run(tx, run, who))?;
                    end(RunState::Complete, value, None)?;
                }
                Some(metric) => {
                    let logged = metric::summary(tx, run)?;
                    let names: Vec<&str> =
                        logged.iter().take(8).map(|summary| summary.metric.as_str()).collect();
                    let as_what = logged.iter().find(|it| it.metric == metric).map(|it| it.kind);
                    let error = match as_what {
                        Some(metric::Kind::Text) => {
                            format!(
                                "its job succeeded and logged the metric {metric:?} as text only, not as a number"
                            )
                        }
                        Some(metric::Kind::Vector) => {
                            format!(
                                "its job succeeded and logged the metric {metric:?} as an array only, not as a number"
                            )
                        }
                        _ => format!(
                            "its job succeeded and never logged the metric {metric:?}; it logged {}",
                            if names.is_empty() { "nothing".into() } else { names.join(", ") }
                        ),
                    };
                    end(RunState::Failed, None, Some(&error))?;
                }
            }
        }
        JobState::Cancelled => {
            end(RunState::Cancelled, None, over.error.as_deref())?;
        }
        _ => {
            // A failed run keeps what it logged; its last value is no result.
            end(RunState::Failed, None, over.error.as_deref())?;
        }
    }
    score(tx, run)
}

/// Ends the runs of jobs that were cancelled.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn after_cancel(tx: &WriteTx<'_>, over: &[(JobId, Option<RunId>)], who: &str) -> Result<()> {
    over.iter().filter_map(|(_, run)| *run).try_for_each(|run| cancel_run(tx, run, who))
}

fn cancel_run(tx: &WriteTx<'_>, run: RunId, who: &str) -> Result<()> {
    let prune_why: Option<String> =
        tx.one(LEG_OF_RUN, named_params! { ":run": run }, |row| row.get(1))?;
    let state = if prune_why.is_some() { RunState::Pruned } else { RunState::Cancelled };
    let why = prune_why.as_deref().unwrap_or("its job was cancelled");
    unless_ended(protocol::end_run(tx, run, state, None, Some(why), who))?;
    score(tx, run)
}

/// Returns whether a run has said what its first objective was after its last epoch.
fn has_reached(tx: &ReadTx<'_>, run: RunId, epochs: i64, before: i64) -> Result<bool> {
    let metric: Option<String> =
        tx.maybe(OBJECTIVES_OF_RUN, named_params! { ":run": run }, |row| row.get(1))?;
    let Some(metric) = metric else { return Ok(false) };
    let leg =
        curve::Leg { run, epochs: Some(epochs.unsigned_abs()), before: before.unsigned_abs() };
    let told = vec![f64::NAN; usize::try_from(before).unwrap_or(0)];
    let curve = curve::curve(tx, &metric, protocol::Aggregate::Mean, &told, &[leg])?;
    Ok(curve.len() as i64 >= epochs)
}

/// A run that someone else ended stays as it is: its job must still be able to end.
fn unless_ended(changed: Result<bool>) -> Result<()> {
    match changed {
        Ok(_) | Err(Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn score(tx: &WriteTx<'_>, run: RunId) -> Result<()> {
    let (experiment, config) =
        tx.one(RUN_OF, named_params! { ":run": run }, |row| Ok((row.get(0)?, row.get(1)?)))?;
    protocol::score_config(tx, experiment, config)
}

/// Returns objective 0 of a run (`None`: NaN, or no objective), and the first objective's metric that was never logged.
fn value_of(tx: &ReadTx<'_>, run: RunId) -> Result<(Option<f64>, Option<String>)> {
    let mut first = None;
    for (position, value) in values_of(tx, run)?.into_iter().enumerate() {
        match value {
            (metric, None) => return Ok((None, Some(metric))),
            (_, Some(value)) if position == 0 => {
                first = Some(value).filter(|value| !value.is_nan())
            }
            _ => {}
        }
    }
    Ok((first, None))
}

/// Returns each objective's metric and the run's value of it (`None`: never logged; NaN: logged as NaN).
fn values_of(tx: &ReadTx<'_>, run: RunId) -> Result<Vec<(String, Option<f64>)>> {
    let objectives: Vec<(String, Goal, ValueFrom)> =
        tx.all(OBJECTIVES_OF_RUN, named_params! { ":run": run }, |row| {
            Ok((row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    objectives
        .into_iter()
        .map(|(metric, goal, from)| {
            let mut value = metric::final_value(tx, run, &metric, from, goal)?;
            // The best of a training that went on may lie before.
            let mut next: Option<RunId> = match from {
                ValueFrom::Best => {
                    tx.one(LEG_OF_RUN, named_params! { ":run": run }, |row| row.get(0))?
                }
                _ => None,
            };
            while let Some(earlier) = next {
                let other = metric::final_value(tx, earlier, &metric, from, goal)?;
                value = match (value, other) {
                    (Some(own), Some(other)) if goal == Goal::Min => Some(own.min(other)),
                    (Some(own), Some(other)) => Some(own.max(other)),
                    (own, _) => own,
                };
                next = tx.one(LEG_OF_RUN, named_params! { ":run": earlier }, |row| row.get(0))?;
            }
            Ok((metric, value))
        })
        .collect()
}

/// Ends the attempts whose lease ran out, and the workers nobody has heard of for long.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn give_up_expired(tx: &WriteTx<'_>, who: &str) -> Result<usize> {
    let expired = queue::expired(tx)?;
    for (job, attempt) in &expired {
        lose(tx, *job, *attempt, "its lease ran out", who)?;
    }
    for worker in queue::silent_workers(tx, tx.now_ms - SILENT_MS)? {
        queue::end_worker(tx, worker, false)?;
    }
    Ok(expired.len())
}

/// A worker that holds no lease and was not heard of for this long is lost [ms].
const SILENT_MS: i64 = 120_000;

/// A worker is known to be dead: its attempts are lost now, not when their leases run out.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn bury(tx: &WriteTx<'_>, worker: WorkerId) -> Result<()> {
    let held: Vec<(JobId, i64)> =
        tx.all(JOBS_OF_DEAD_WORKER, named_params! { ":worker": worker }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    for (job, attempt) in held {
        lose(tx, job, attempt, "its worker died", &format!("worker {worker}"))?;
    }
    queue::end_worker(tx, worker, false)
}

fn lose(tx: &WriteTx<'_>, job: JobId, attempt: i64, why: &str, who: &str) -> Result<()> {
    let ending = Ending { error: Some(why.into()), ..Ending::default() };
    end(tx, job, attempt, AttemptState::Lost, &ending, who).map(drop)
}

/// Gives back a job that was claimed and never started, or ends it when it was to be cancelled.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn release(tx: &WriteTx<'_>, job: JobId, attempt: i64, who: &str) -> Result<()> {
    match queue::release(tx, job, attempt, who)? {
        Ended::Over(over) => after_job(tx, &over, who),
        Ended::Again | Ended::LeaseLost => Ok(()),
    }
}

/// Returns why the search that a job is of ended it early, where that is so.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn why_pruned(tx: &ReadTx<'_>, job: JobId) -> Result<Option<String>> {
    tx.maybe(WHY_PRUNED, [job], |row| row.get(0))
}

/// Queues an ended job again, with what was cancelled with it, and reopens what ended with them.
///
/// # Errors
/// [`crate::Error::NotFound`]; [`crate::Error::Conflict`], also for one that its search pruned.
pub fn retry(tx: &WriteTx<'_>, job: JobId, who: &str) -> Result<()> {
    if let Some(why) = why_pruned(tx, job)? {
        let why = format!("was ended by its search: {why}");
        return Err(Error::Conflict { what: "job", id: job.to_string(), why });
    }
    for (job, run) in queue::retry(tx, job, who)? {
        if let Some(run) = run {
            protocol::reopen_run(tx, run, who)?;
            tx.run(SPARE_RUN, named_params! { ":run": run })?;
            tx.run(REOPEN_TRIAL, named_params! { ":run": run, ":now_ms": tx.now_ms, ":who": who })?;
        }
        let experiment: Option<ExperimentId> =
            tx.one("SELECT experiment_id FROM job WHERE id = ?1", [job], |row| row.get(0))?;
        if let Some(experiment) = experiment {
            let params =
                named_params! { ":experiment": experiment, ":now_ms": tx.now_ms, ":who": who };
            tx.run(REOPEN_STUDY, params)?;
            tx.run(REOPEN_EXPERIMENT, params)?;
        }
    }
    Ok(())
}
