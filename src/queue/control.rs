//! What people do to jobs: cancel, hold, resume, retry, and ask why one is not running.

use crate::error::{Error, Result};
use crate::id::{ExperimentId, JobId, RunId};
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

use super::add::FIND_OPEN_JOB_BY_KEY;
use super::{CANCEL_OPEN_JOB, JobState, QUEUE, tell_waiting};

const WANT_CANCEL: &str = named(QUEUE, "want_cancel");
const OPEN_JOBS_OF_EXPERIMENT: &str = named(QUEUE, "open_jobs_of_experiment");
const HOLD_JOBS: &str = named(QUEUE, "hold_jobs");
const RESUME_JOBS: &str = named(QUEUE, "resume_jobs");
const RETRY_JOB: &str = named(QUEUE, "retry_job");
const CANCELLED_WITH: &str = named(QUEUE, "cancelled_with");
const JUDGE_NEEDS: &str = named(QUEUE, "judge_needs");
const COUNT_OPEN_NEEDS: &str = named(QUEUE, "count_open_needs");
const SHOW_JOB: &str = named(QUEUE, "show_job");
const NEEDS_OF_JOB: &str = named(QUEUE, "needs_of_job");
const AHEAD_OF_JOB: &str = named(QUEUE, "ahead_of_job");
const LIVE_ROOM: &str = named(QUEUE, "live_room");

/// Cancels a job: at once when no worker holds it, else its worker is asked to stop it.
///
/// Returns the jobs that are over now (it and those that needed it), each with its run.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it is over already.
pub fn cancel(tx: &WriteTx<'_>, job: JobId, who: &str) -> Result<Vec<(JobId, Option<RunId>)>> {
    let found: Option<(JobState, Option<RunId>)> =
        tx.maybe("SELECT state, run_id FROM job WHERE id = ?1", [job], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    match found {
        None => Err(Error::not_found("job", job)),
        Some((JobState::Running, _)) => {
            tx.run(WANT_CANCEL, named_params! { ":id": job })?;
            Ok(Vec::new())
        }
        Some((state, _)) if state.is_end() => Err(Error::Conflict {
            what: "job",
            id: job.to_string(),
            why: format!("is {state} already"),
        }),
        Some((_, run)) => {
            tx.run(
                CANCEL_OPEN_JOB,
                named_params! { ":id": job, ":error": "cancelled on request", ":now_ms": tx.now_ms, ":who": who },
            )?;
            let mut over = vec![(job, run)];
            over.extend(tell_waiting(tx, job, false, who)?);
            Ok(over)
        }
    }
}

/// Cancels all open jobs of an experiment; returns those that are over now, each with its run.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn cancel_experiment(
    tx: &WriteTx<'_>,
    experiment: ExperimentId,
    who: &str,
) -> Result<Vec<(JobId, Option<RunId>)>> {
    let open: Vec<JobId> =
        tx.all(OPEN_JOBS_OF_EXPERIMENT, named_params! { ":experiment": experiment }, |row| {
            row.get(0)
        })?;
    let mut over = Vec::new();
    for job in open {
        match cancel(tx, job, who) {
            Ok(more) => over.extend(more),
            // One that needed an earlier one was cancelled with it.
            Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(over)
}

/// Keeps the jobs of an experiment from being claimed; returns how many. Running ones go on.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn hold(tx: &WriteTx<'_>, experiment: ExperimentId, who: &str) -> Result<usize> {
    tx.run(
        HOLD_JOBS,
        named_params! { ":experiment": experiment, ":now_ms": tx.now_ms, ":who": who },
    )
}

/// Undoes [`hold`]; returns how many jobs.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn resume(tx: &WriteTx<'_>, experiment: ExperimentId, who: &str) -> Result<usize> {
    tx.run(
        RESUME_JOBS,
        named_params! { ":experiment": experiment, ":now_ms": tx.now_ms, ":who": who },
    )
}

/// Queues an ended job again, with all its tries, and with it the jobs that were cancelled because it did not succeed.
/// Each waits for those of its needs that are open. Returns them, each with its run.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it is not over, or succeeded, or another job with its key is open.
pub fn retry(tx: &WriteTx<'_>, job: JobId, who: &str) -> Result<Vec<(JobId, Option<RunId>)>> {
    let mut again = vec![(job, retry_one(tx, job, who)?)];
    let mut i = 0;
    while i < again.len() {
        let with: Vec<JobId> =
            tx.all(CANCELLED_WITH, named_params! { ":job": again[i].0 }, |row| row.get(0))?;
        for job in with {
            match retry_one(tx, job, who) {
                Ok(run) => again.push((job, run)),
                // Its work was added anew meanwhile.
                Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        i += 1;
    }
    Ok(again)
}

fn retry_one(tx: &WriteTx<'_>, job: JobId, who: &str) -> Result<Option<RunId>> {
    let conflict = |why: String| Error::Conflict { what: "job", id: job.to_string(), why };
    let (state, run, key): (JobState, Option<RunId>, Option<String>) = tx
        .maybe("SELECT state, run_id, unique_key FROM job WHERE id = ?1", [job], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .ok_or_else(|| Error::not_found("job", job))?;
    if !matches!(state, JobState::Failed | JobState::Cancelled) {
        return Err(conflict(format!("is {state}; only a failed or cancelled job can be retried")));
    }
    if let Some(key) = key
        && let Some(other) =
            tx.maybe(FIND_OPEN_JOB_BY_KEY, named_params! { ":key": key }, |row| {
                row.get::<_, JobId>(0)
            })?
    {
        return Err(conflict(format!(
            "has the key {key:?}, and so has job {other}, which is open"
        )));
    }
    tx.run(JUDGE_NEEDS, named_params! { ":job": job })?;
    let needs: i64 = tx.one(COUNT_OPEN_NEEDS, named_params! { ":job": job }, |row| row.get(0))?;
    tx.run(
        RETRY_JOB,
        named_params! { ":id": job, ":needs": needs, ":now_ms": tx.now_ms, ":who": who },
    )?;
    Ok(run)
}

/// One thing that explains where a job is, and what would change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What holds it, or how it stands.
    pub text: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// Explains why a job is not running, or how it stands.
///
/// # Errors
/// [`Error::NotFound`].
pub fn explain(tx: &ReadTx<'_>, job: JobId) -> Result<Vec<Reason>> {
    struct Job {
        state: JobState,
        priority: i64,
        cores: i64,
        gpus: i64,
        memory_mib: i64,
        attempt: i64,
        failures: i64,
        try_max: i64,
        worker: Option<i64>,
        lease_until_ms: Option<i64>,
        due_at_ms: Option<i64>,
        held: bool,
        cancel_wanted: bool,
        error: Option<String>,
        experiment: Option<i64>,
    }
    let found = tx
        .maybe(SHOW_JOB, named_params! { ":id": job }, |row| {
            Ok(Job {
                state: row.get("state")?,
                priority: row.get("priority")?,
                cores: row.get("cores")?,
                gpus: row.get("gpus")?,
                memory_mib: row.get("memory_mib")?,
                attempt: row.get("attempt")?,
                failures: row.get("failures")?,
                try_max: row.get("try_max")?,
                worker: row.get("worker_id")?,
                lease_until_ms: row.get("lease_until_ms")?,
                due_at_ms: row.get("due_at_ms")?,
                held: row.get("held")?,
                cancel_wanted: row.get("cancel_wanted")?,
                error: row.get("error")?,
                experiment: row.get("experiment_id")?,
            })
        })?
        .ok_or_else(|| Error::not_found("job", job))?;
    let mut reasons = Vec::new();
    let mut say = |text: String, remedy: Option<String>| reasons.push(Reason { text, remedy });
    match found.state {
        JobState::Succeeded => say(format!("it succeeded at attempt {}", found.attempt), None),
        JobState::Cancelled => say(
            format!("it was cancelled: {}", found.error.as_deref().unwrap_or("on request")),
            Some(format!("mle retry {job}")),
        ),
        JobState::Failed => say(
            format!(
                "it failed {} of {} times; last: {}",
                found.failures,
                found.try_max,
                found.error.as_deref().unwrap_or("no reason recorded")
            ),
            Some(format!("mle logs {job}, then mle retry {job}")),
        ),
        JobState::Running => {
            let left = found.lease_until_ms.unwrap_or(0) - tx.now_ms;
            say(
                format!(
                    "it is running as attempt {} on worker {}",
                    found.attempt,
                    found.worker.unwrap_or(0)
                ),
                None,
            );
            if left < 0 {
                say(
                    format!(
                        "its lease ran out {} ago: the worker is gone or cut off",
                        crate::clock::duration(-left)
                    ),
                    Some(
                        "start a worker or a scheduler: either gives the job back to the queue"
                            .into(),
                    ),
                );
            }
            if found.cancel_wanted {
                say("its worker was asked to stop it".into(), None);
            }
        }
        JobState::Waiting => {
            if found.held {
                let experiment = found.experiment.unwrap_or(0);
                say("its experiment is paused".into(), Some(format!("mle resume {experiment}")));
            }
            if let Some(due) = found.due_at_ms {
                let why = if found.failures > 0 {
                    format!(
                        "it failed {} of {} times and waits for its next try",
                        found.failures, found.try_max
                    )
                } else {
                    "it is to start later".into()
                };
                say(format!("{why}, due {}", crate::clock::local(due)), None);
            }
            let needs: Vec<(JobId, JobState)> =
                tx.all(NEEDS_OF_JOB, named_params! { ":job": job }, |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            for (need, state) in needs {
                say(
                    format!("it needs job {need}, which is {state}"),
                    Some(format!("mle explain {need}")),
                );
            }
        }
        JobState::Queued => {
            type Live = (i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
            let (workers, cores, gpus, memory, slots): Live = tx.one(LIVE_ROOM, [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })?;
            let ahead: i64 = tx.one(
                AHEAD_OF_JOB,
                named_params! { ":priority": found.priority, ":id": job },
                |row| row.get(0),
            )?;
            if workers == 0 {
                say("no worker is at work on this file".into(), Some("mle worker".into()));
            } else {
                for (wanted, largest, what) in [
                    (found.cores, cores, "cores"),
                    (found.gpus, gpus, "GPUs"),
                    (found.memory_mib, memory, "MiB of memory"),
                ] {
                    let largest = largest.unwrap_or(0);
                    if wanted > largest {
                        say(
                            format!(
                                "it asks for {wanted} {what}, and no live worker has more than {largest}"
                            ),
                            Some("start a worker with more, or ask for less".into()),
                        );
                    }
                }
                say(
                    format!(
                        "{ahead} jobs are ahead of it, for {} slots of {workers} workers",
                        slots.unwrap_or(0)
                    ),
                    None,
                );
            }
        }
    }
    Ok(reasons)
}
