//! Programs at work on the file: registered, heard of, and known to be gone.

use crate::error::Result;
use crate::id::{WorkerId, new_uid};
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};
use crate::words::words;

use super::QUEUE;

const ADD_WORKER: &str = named(QUEUE, "add_worker");
const KEEP_WORKER: &str = named(QUEUE, "keep_worker");
const END_WORKER: &str = named(QUEUE, "end_worker");
const LIVE_WORKERS: &str = named(QUEUE, "live_workers");
const SILENT_WORKERS: &str = named(QUEUE, "silent_workers");

words! {
    /// Which program it is.
    WorkerKind, "program" {
        /// `mle-worker`
        Worker = "worker"
        /// `mle-scheduler`
        Scheduler = "scheduler"
        /// `mle-searcher`
        Searcher = "searcher"
        /// `mle-reporter`
        Reporter = "reporter"
        /// `mle run`, which is all of them
        Run = "run"
    }
}

/// A program that starts.
#[derive(Debug, Clone)]
pub struct NewWorker {
    /// Which program.
    pub kind: WorkerKind,
    /// Its host's name.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// What tells the process from a later one of the same pid.
    pub process_start: String,
    /// Jobs at once; 0 for a program that runs none.
    pub slots: u32,
    /// What it has to give.
    pub room: super::Room,
}

/// Registers a program; returns its id and uid.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn register(tx: &WriteTx<'_>, new: &NewWorker) -> Result<(WorkerId, String)> {
    let uid = new_uid();
    let id = tx.insert(
        ADD_WORKER,
        named_params! {
            ":uid": uid, ":kind": new.kind.as_str(), ":host": new.host, ":pid": new.pid,
            ":process_start": new.process_start, ":slots": new.slots, ":cores": new.room.cores,
            ":gpus": new.room.gpus, ":memory_mib": i64::try_from(new.room.memory_mib).unwrap_or(i64::MAX),
            ":now_ms": tx.now_ms,
        },
    )?;
    Ok((WorkerId(id), uid))
}

/// Says that a program still lives.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn keep_worker(tx: &WriteTx<'_>, worker: WorkerId) -> Result<()> {
    tx.run(KEEP_WORKER, named_params! { ":id": worker, ":now_ms": tx.now_ms }).map(drop)
}

/// Says that a program stopped (or, when not by itself, was lost).
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn end_worker(tx: &WriteTx<'_>, worker: WorkerId, by_itself: bool) -> Result<()> {
    let state = if by_itself { "stopped" } else { "lost" };
    tx.run(END_WORKER, named_params! { ":id": worker, ":state": state, ":now_ms": tx.now_ms })
        .map(drop)
}

/// A program the file thinks is alive.
#[derive(Debug, Clone)]
pub struct LiveWorker {
    /// Which.
    pub id: WorkerId,
    /// The uid its jobs carry in their environment.
    pub uid: String,
    /// The word for which program it is.
    pub kind: String,
    /// Its process.
    pub pid: u32,
    /// What tells the process from a later one of the same pid.
    pub process_start: String,
    /// When it was last heard of [unix ms].
    pub seen_at_ms: i64,
}

/// Returns the programs of a host that the file thinks are alive.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn live_workers(tx: &ReadTx<'_>, host: &str) -> Result<Vec<LiveWorker>> {
    tx.all(LIVE_WORKERS, named_params! { ":host": host }, |row| {
        Ok(LiveWorker {
            id: row.get(0)?,
            uid: row.get(1)?,
            kind: row.get(2)?,
            pid: row.get(3)?,
            process_start: row.get(4)?,
            seen_at_ms: row.get(5)?,
        })
    })
}

/// Returns programs, of any host, not heard of since a time.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn silent_workers(tx: &ReadTx<'_>, since_ms: i64) -> Result<Vec<WorkerId>> {
    tx.all(SILENT_WORKERS, named_params! { ":since_ms": since_ms }, |row| row.get(0))
}
