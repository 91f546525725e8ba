//! Jobs: added, claimed under a lease, kept, ended exactly once.
//!
//! A claim raises the job's attempt number, which is the fence: whatever a worker does later names the attempt, and
//! nothing changes when the job has moved on. Starts are at-least-once, endings exactly-once. This module knows nothing
//! of runs and trials beyond their ids; [`crate::lifecycle`] puts the two together in one transaction.

mod add;
mod control;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod model;
mod state;
mod worker;

pub use add::{Adder, JobSettings, NewJob, add};
pub use control::{Reason, cancel, cancel_experiment, explain, hold, resume, retry};
pub use state::{AttemptState, JobState};
pub use worker::{
    LiveWorker, NewWorker, WorkerKind, end_worker, keep_worker, live_workers, register,
    silent_workers,
};

use crate::error::Result;
use crate::id::{ExperimentId, JobId, RunId, WorkerId};
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params, params};

const QUEUE: &str = include_str!("../../sql/queue.sql");
const JOB_STATE: &str = named(QUEUE, "job_state");
const DUE_JOBS: &str = named(QUEUE, "due_jobs");
const EXPIRED_JOBS: &str = named(QUEUE, "expired_jobs");
const JOBS_OF_WORKER: &str = named(QUEUE, "jobs_of_worker");
const CANDIDATE_JOBS: &str = named(QUEUE, "candidate_jobs");
const CLAIM_JOB: &str = named(QUEUE, "claim_job");
const ADD_ATTEMPT: &str = named(QUEUE, "add_attempt");
const START_ATTEMPT: &str = named(QUEUE, "start_attempt");
const KEEP_JOBS: &str = named(QUEUE, "keep_jobs");
const RELEASE_JOB: &str = named(QUEUE, "release_job");
const RUNNING_JOB: &str = named(QUEUE, "running_job");
const END_JOB: &str = named(QUEUE, "end_job");
const END_ATTEMPT: &str = named(QUEUE, "end_attempt");
const ATTEMPT_STARTED: &str = named(QUEUE, "attempt_started");
const TIMES_LOST: &str = named(QUEUE, "times_lost");

/// So often a worker may die with a job before that costs the job a try: it is not the job's fault, unless it kills them.
const LOST_FREE: i64 = 3;
const WAITING_ON: &str = named(QUEUE, "waiting_on");
const SETTLE_NEED: &str = named(QUEUE, "settle_need");
const NEED_MET: &str = named(QUEUE, "need_met");
const CANCEL_OPEN_JOB: &str = named(QUEUE, "cancel_open_job");
const COUNT_OPEN_JOBS: &str = named(QUEUE, "count_open_jobs");
const QUEUED_OR_RUNNING: &str = named(QUEUE, "count_queued_or_running");
const NEXT_DUE: &str = named(QUEUE, "next_due");
const ADD_OUTPUT: &str = named(QUEUE, "add_output");
const DROP_OUTPUT: &str = named(QUEUE, "drop_output");

/// Returns where a job is.
///
/// # Errors
/// [`crate::Error::NotFound`].
pub fn state(tx: &ReadTx<'_>, job: JobId) -> Result<JobState> {
    tx.maybe(JOB_STATE, named_params! { ":id": job }, |row| row.get(0))?
        .ok_or_else(|| crate::Error::not_found("job", job))
}

/// What a worker has to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Cores.
    pub cores: u32,
    /// GPUs.
    pub gpus: u32,
    /// Memory [MiB].
    pub memory_mib: u64,
}

impl Room {
    /// Takes a job's share away; returns whether it fitted.
    pub fn take(&mut self, cores: u32, gpus: u32, memory_mib: u64) -> bool {
        let fits = cores <= self.cores && gpus <= self.gpus && memory_mib <= self.memory_mib;
        if fits {
            self.cores -= cores;
            self.gpus -= gpus;
            self.memory_mib -= memory_mib;
        }
        fits
    }

    /// Gives a job's share back.
    pub fn give(&mut self, cores: u32, gpus: u32, memory_mib: u64) {
        self.cores += cores;
        self.gpus += gpus;
        self.memory_mib += memory_mib;
    }
}

/// A claimed job: the worker has its lease.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Which job.
    pub job: JobId,
    /// The fence.
    pub attempt: i64,
    /// The run it does.
    pub run: Option<RunId>,
    /// The experiment it belongs to.
    pub experiment: Option<ExperimentId>,
    /// `before`, `main` or `after`.
    pub stage: String,
    /// The words of its command.
    pub command: Vec<String>,
    /// How it is started.
    pub settings: JobSettings,
    /// Cores it takes.
    pub cores: u32,
    /// GPUs it takes.
    pub gpus: u32,
    /// Memory it takes [MiB].
    pub memory_mib: u64,
    /// When it is stopped [ms after start].
    pub time_limit_ms: Option<i64>,
}

/// What a claim may take.
#[derive(Debug, Clone, Copy)]
pub struct Want {
    /// What is free now; jobs that need more are left for others.
    pub room: Room,
    /// How many to start at once.
    pub now: usize,
    /// How many small ones (one core, no GPU, no memory limit) to take beyond that.
    pub ahead: usize,
    /// How long the lease is good for [ms].
    pub lease_ms: i64,
    /// Jobs of this experiment alone; any when absent.
    pub only: Option<ExperimentId>,
}

/// Claims jobs that fit, by priority, then age. First lets delayed jobs in whose time has come.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn claim(tx: &WriteTx<'_>, worker: WorkerId, want: &Want) -> Result<Vec<Claimed>> {
    let who = format!("worker {worker}");
    tx.run(DUE_JOBS, named_params! { ":now_ms": tx.now_ms, ":who": who })?;
    let limit = want.now + want.ahead;
    if limit == 0 {
        return Ok(Vec::new());
    }
    // One core is what a job held ahead may ask for, though all are taken now.
    let cores = if want.ahead > 0 { want.room.cores.max(1) } else { want.room.cores };
    let candidates: Vec<Claimed> = tx.all(
        CANDIDATE_JOBS,
        named_params! {
            ":cores": cores, ":gpus": want.room.gpus,
            ":memory_mib": i64::try_from(want.room.memory_mib).unwrap_or(i64::MAX),
            ":limit": i64::try_from(limit).unwrap_or(i64::MAX), ":only": want.only,
        },
        |row| {
            Ok(Claimed {
                job: row.get(0)?,
                cores: row.get(1)?,
                gpus: row.get(2)?,
                memory_mib: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
                attempt: row.get::<_, i64>(4)? + 1,
                run: row.get(5)?,
                experiment: row.get(6)?,
                stage: row.get(7)?,
                command: serde_json::from_str(row.get_ref(8)?.as_str()?).unwrap_or_default(),
                settings: serde_json::from_str(row.get_ref(9)?.as_str()?).unwrap_or_default(),
                time_limit_ms: row.get(10)?,
            })
        },
    )?;
    let (mut room, mut now, mut ahead) = (want.room, want.now, want.ahead);
    let mut claimed = Vec::with_capacity(candidates.len());
    for one in candidates {
        if now > 0 && room.take(one.cores, one.gpus, one.memory_mib) {
            now -= 1;
        } else if ahead > 0 && one.cores <= 1 && one.gpus == 0 && one.memory_mib == 0 {
            ahead -= 1;
        } else {
            continue;
        }
        let until = tx.now_ms + want.lease_ms;
        tx.run(CLAIM_JOB, params![one.job, one.attempt, worker, until, tx.now_ms, who])?;
        tx.run(ADD_ATTEMPT, params![one.job, one.attempt, worker, tx.now_ms])?;
        claimed.push(one);
    }
    Ok(claimed)
}

/// Records that an attempt started; returns whether the lease still held.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn start(tx: &WriteTx<'_>, job: JobId, attempt: i64, pid: u32, at_ms: i64) -> Result<bool> {
    Ok(tx.run(
        START_ATTEMPT,
        named_params! { ":job": job, ":number": attempt, ":pid": pid, ":started_at_ms": at_ms },
    )? > 0)
}

/// A job a worker holds, as the file sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which job.
    pub job: JobId,
    /// Which attempt.
    pub attempt: i64,
    /// Someone asked for it to be stopped.
    pub cancel_wanted: bool,
}

/// Returns what a worker holds: what is missing here it has lost.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn held(tx: &ReadTx<'_>, worker: WorkerId) -> Result<Vec<Held>> {
    tx.all(JOBS_OF_WORKER, named_params! { ":worker": worker }, |row| {
        Ok(Held { job: row.get(0)?, attempt: row.get(1)?, cancel_wanted: row.get(2)? })
    })
}

/// Renews all leases of a worker.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn keep(tx: &WriteTx<'_>, worker: WorkerId, lease_ms: i64) -> Result<()> {
    tx.run(
        KEEP_JOBS,
        named_params! { ":worker": worker, ":lease_until_ms": tx.now_ms + lease_ms },
    )?;
    worker::keep_worker(tx, worker)
}

/// How an attempt ended, and what it used.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// Its process group.
    pub pid: Option<u32>,
    /// When it started [unix ms]; absent when it never did.
    pub started_at_ms: Option<i64>,
    /// When it ended [unix ms].
    pub ended_at_ms: Option<i64>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why it failed, in words.
    pub error: Option<String>,
    /// CPU in user mode [ms].
    pub user_ms: Option<i64>,
    /// CPU in the kernel [ms].
    pub system_ms: Option<i64>,
    /// Largest resident size [KiB].
    pub memory_peak_kib: Option<i64>,
    /// Bytes it wrote to stdout.
    pub stdout_bytes: i64,
    /// Bytes it wrote to stderr.
    pub stderr_bytes: i64,
}

/// What became of a job whose attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The job is over.
    Over(Over),
    /// It will be tried again.
    Again,
    /// The attempt was no longer the job's: nothing changed.
    LeaseLost,
}

/// A job that is over, for the caller to tell its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// Which job.
    pub job: JobId,
    /// How it ended.
    pub state: JobState,
    /// The run it did.
    pub run: Option<RunId>,
    /// The experiment it belongs to.
    pub experiment: Option<ExperimentId>,
    /// The attempt that ended it.
    pub attempt: i64,
    /// Why, when it did not succeed.
    pub error: Option<String>,
    /// Jobs that were cancelled with it because they needed it, each with its run.
    pub cancelled: Vec<(JobId, Option<RunId>)>,
}

/// Ends an attempt: exactly once, however often it is called.
///
/// `state` is how the attempt ended. A failed or (started and) lost one costs a try; with tries left the job waits for
/// its back-off and is queued again.
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
    type Found = (Option<RunId>, Option<ExperimentId>, i64, i64, bool, Option<i64>);
    let found: Option<Found> =
        tx.maybe(RUNNING_JOB, named_params! { ":id": job, ":attempt": attempt }, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
        })?;
    let Some((run, experiment, failures, try_max, cancel_wanted, retry_ms)) = found else {
        return Ok(Ended::LeaseLost);
    };
    let cost = match state {
        AttemptState::Failed => 1,
        AttemptState::Lost => {
            i64::from(has_started(tx, job, attempt)? && times_lost(tx, job)? >= LOST_FREE)
        }
        _ => 0,
    };
    let failures = failures + cost;
    let mut due = None;
    let next = match state {
        AttemptState::Succeeded => JobState::Succeeded,
        AttemptState::Cancelled => JobState::Cancelled,
        _ if cancel_wanted => JobState::Cancelled,
        _ if failures >= try_max => JobState::Failed,
        _ if cost > 0 => {
            due = Some(tx.now_ms + back_off_ms(failures, retry_ms.unwrap_or(RETRY_MS), job));
            JobState::Waiting
        }
        _ => JobState::Queued,
    };
    let over = next.is_end();
    let error = ending.error.clone().filter(|_| state != AttemptState::Succeeded);
    tx.run(
        END_JOB,
        named_params! {
            ":id": job, ":attempt": attempt, ":state": next, ":due_at_ms": due, ":failures": failures, ":error": error,
            ":ended_at_ms": over.then_some(tx.now_ms), ":now_ms": tx.now_ms, ":who": who,
        },
    )?;
    tx.run(
        END_ATTEMPT,
        named_params! {
            ":job": job, ":number": attempt, ":state": state,
            ":ended_at_ms": ending.ended_at_ms.unwrap_or(tx.now_ms), ":started_at_ms": ending.started_at_ms,
            ":pid": ending.pid, ":exit_code": ending.exit_code, ":signal": ending.signal, ":error": error,
            ":user_ms": ending.user_ms, ":system_ms": ending.system_ms, ":memory_peak_kib": ending.memory_peak_kib,
            ":stdout_bytes": ending.stdout_bytes, ":stderr_bytes": ending.stderr_bytes,
        },
    )?;
    if !over {
        return Ok(Ended::Again);
    }
    let cancelled = tell_waiting(tx, job, next == JobState::Succeeded, who)?;
    Ok(Ended::Over(Over { job, state: next, run, experiment, attempt, error, cancelled }))
}

/// Lets jobs that waited for `job` come nearer, or cancels those that needed its success.
pub(crate) fn tell_waiting(
    tx: &WriteTx<'_>,
    job: JobId,
    succeeded: bool,
    who: &str,
) -> Result<Vec<(JobId, Option<RunId>)>> {
    let mut cancelled = Vec::new();
    let mut ended = vec![(job, succeeded)];
    while let Some((job, succeeded)) = ended.pop() {
        let waiting: Vec<(JobId, bool)> =
            tx.all(WAITING_ON, named_params! { ":job": job }, |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        for (id, only_success) in waiting {
            let is_met = succeeded || !only_success;
            let state = if is_met { "met" } else { "failed" };
            tx.run(SETTLE_NEED, named_params! { ":state": state, ":needs": job, ":job": id })?;
            if is_met {
                tx.run(NEED_MET, named_params! { ":id": id, ":now_ms": tx.now_ms, ":who": who })?;
                continue;
            }
            let error = format!("job {job}, which it needs, did not succeed");
            let changed = tx.run(
                CANCEL_OPEN_JOB,
                named_params! { ":id": id, ":error": error, ":now_ms": tx.now_ms, ":who": who },
            )?;
            if changed > 0 {
                let run = tx.one("SELECT run_id FROM job WHERE id = ?1", [id], |row| row.get(0))?;
                cancelled.push((id, run));
                ended.push((id, false));
            }
        }
    }
    Ok(cancelled)
}

/// Gives back a job that was claimed and never started: the next claim is its first try still. One that was to be
/// cancelled is over instead.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn release(tx: &WriteTx<'_>, job: JobId, attempt: i64, who: &str) -> Result<Ended> {
    let cancel_wanted: Option<bool> =
        tx.maybe(RUNNING_JOB, named_params! { ":id": job, ":attempt": attempt }, |row| row.get(5))?;
    match cancel_wanted {
        None => return Ok(Ended::LeaseLost),
        Some(true) => {
            let ending = Ending { error: Some("cancelled on request".into()), ..Ending::default() };
            return end(tx, job, attempt, AttemptState::Cancelled, &ending, who);
        }
        Some(false) => {}
    }
    let ending = Ending { error: Some("given back before it started".into()), ..Ending::default() };
    let changed = tx.run(
        RELEASE_JOB,
        named_params! { ":id": job, ":attempt": attempt, ":now_ms": tx.now_ms, ":who": who },
    )?;
    if changed > 0 {
        tx.run(
            END_ATTEMPT,
            named_params! {
                ":job": job, ":number": attempt, ":state": AttemptState::Preempted, ":ended_at_ms": tx.now_ms,
                ":started_at_ms": None::<i64>, ":pid": None::<i64>, ":exit_code": None::<i64>, ":signal": None::<i64>,
                ":error": ending.error, ":user_ms": None::<i64>, ":system_ms": None::<i64>,
                ":memory_peak_kib": None::<i64>, ":stdout_bytes": 0, ":stderr_bytes": 0,
            },
        )?;
    }
    Ok(Ended::Again)
}

/// Returns (job, attempt) of all leases that ran out.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn expired(tx: &ReadTx<'_>) -> Result<Vec<(JobId, i64)>> {
    tx.all(EXPIRED_JOBS, named_params! { ":now_ms": tx.now_ms }, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Returns whether any job is queued or running, and when the next delayed one is due [unix ms].
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn activity(tx: &ReadTx<'_>) -> Result<(bool, Option<i64>)> {
    Ok((tx.one(QUEUED_OR_RUNNING, [], |row| row.get(0))?, tx.one(NEXT_DUE, [], |row| row.get(0))?))
}

/// Returns how many jobs of an experiment are not over.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn count_open(tx: &ReadTx<'_>, experiment: ExperimentId) -> Result<i64> {
    tx.one(COUNT_OPEN_JOBS, named_params! { ":experiment": experiment }, |row| row.get(0))
}

/// Keeps a piece of what an attempt printed.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn add_output(
    tx: &WriteTx<'_>,
    job: JobId,
    attempt: i64,
    stream: &str,
    offset: i64,
    bytes: &[u8],
) -> Result<()> {
    tx.run(
        ADD_OUTPUT,
        named_params! { ":job": job, ":attempt": attempt, ":stream": stream, ":offset": offset,
        ":now_ms": tx.now_ms, ":bytes": bytes },
    )
    .map(drop)
}

/// Drops the middle of what an attempt printed: pieces that lie in `from..to`.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn drop_output(
    tx: &WriteTx<'_>,
    job: JobId,
    attempt: i64,
    stream: &str,
    from: i64,
    to: i64,
) -> Result<()> {
    tx.run(
        DROP_OUTPUT,
        named_params! { ":job": job, ":attempt": attempt, ":stream": stream, ":from": from, ":to": to },
    )
    .map(drop)
}

/// Delay of the first retry [ms].
pub const RETRY_MS: i64 = 1_000;
/// No retry waits longer than this [ms].
pub const RETRY_MAX_MS: i64 = 300_000;

/// Doubles with each failure, with up to a quarter more, so that jobs that failed together come back apart.
fn back_off_ms(failures: i64, first_ms: i64, job: JobId) -> i64 {
    let doublings = u32::try_from(failures - 1).unwrap_or(0).min(20);
    let delay = first_ms.max(0).saturating_mul(1 << doublings).min(RETRY_MAX_MS);
    let mixed = (job.0 ^ failures).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64).unsigned_abs();
    delay + i64::try_from(mixed % 1000).unwrap_or(0) * delay / 4000
}

/// Returns how often a job was lost before while it ran.
fn times_lost(tx: &ReadTx<'_>, job: JobId) -> Result<i64> {
    tx.one(TIMES_LOST, named_params! { ":job": job }, |row| row.get(0))
}

fn has_started(tx: &ReadTx<'_>, job: JobId, attempt: i64) -> Result<bool> {
    Ok(tx
        .maybe(ATTEMPT_STARTED, named_params! { ":job": job, ":number": attempt }, |row| {
            row.get::<_, Option<i64>>(0)
        })?
        .flatten()
        .is_some())
}
