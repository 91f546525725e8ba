//! Programs of the user's at work on the file: scripts that log a run, or try the points of a study. Nothing but what they
//! hold ends with them, and whoever looks at the file can tell whether they are still there.

use crate::error::Result;
use crate::id::{ProcessId, RunId};
use crate::process::Identity;
use crate::sql::named;
use crate::store::{ReadTx, Row, WriteTx, named_params};

const TEXT: &str = include_str!("../../sql/protocol.sql");
const KEEP_PROCESS: &str = named(TEXT, "keep_process");
const PROCESS_BY_START: &str = named(TEXT, "process_by_start");
const LIST_PROCESSES: &str = named(TEXT, "list_processes");
const HOLD_RUN: &str = named(TEXT, "hold_run");
const IS_RUN_HELD: &str = named(TEXT, "is_run_held");
const HOLDERS_OF_RUN: &str = named(TEXT, "holders_of_run");
const LET_RUN_GO: &str = named(TEXT, "let_run_go");
const RUNS_HELD_BY: &str = named(TEXT, "runs_held_by");
const REMOVE_IDLE_PROCESS: &str = named(TEXT, "remove_idle_process");

/// A process that cannot be seen from here is lost when it was not heard of for this long [ms].
const SILENT_MS: i64 = 300_000;

/// A process that holds something.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its row.
    pub id: ProcessId,
    /// Which process it is.
    pub identity: Identity,
    /// When it was last heard of [unix ms].
    pub seen_at_ms: i64,
}

impl Process {
    /// Says whether it is gone: its host's kernel says so, or, seen from elsewhere, it has been silent for minutes.
    pub fn is_gone(&self, now_ms: i64) -> bool {
        self.identity.is_gone().unwrap_or(now_ms - self.seen_at_ms > SILENT_MS)
    }
}

/// Says that a process is at work, and returns its row.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn keep_process(tx: &WriteTx<'_>, identity: &Identity) -> Result<ProcessId> {
    let Identity { host, pid, start } = identity;
    let key = named_params! { ":host": host, ":pid": pid, ":process_start": start };
    let kept = named_params! {
        ":host": host, ":pid": pid, ":process_start": start, ":now_ms": tx.now_ms,
    };
    tx.run(KEEP_PROCESS, kept)?;
    tx.one(PROCESS_BY_START, key, |row| row.get(0))
}

/// Returns the processes that hold something.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn processes(tx: &ReadTx<'_>) -> Result<Vec<Process>> {
    tx.all(LIST_PROCESSES, [], process_of)
}

fn process_of(row: &Row<'_>) -> rusqlite::Result<Process> {
    let identity = Identity { host: row.get(1)?, pid: row.get(2)?, start: row.get(3)? };
    Ok(Process { id: row.get(0)?, identity, seen_at_ms: row.get(4)? })
}

/// Returns the processes that the end of a run is tied to.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn holders_of_run(tx: &ReadTx<'_>, run: RunId) -> Result<Vec<Process>> {
    tx.all(HOLDERS_OF_RUN, named_params! { ":run": run }, process_of)
}

/// Ties the end of a run to a process: it comes with the last of those it is tied to.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn hold_run(tx: &WriteTx<'_>, run: RunId, process: ProcessId) -> Result<()> {
    tx.run(HOLD_RUN, named_params! { ":run": run, ":process": process }).map(drop)
}

/// Returns whether the end of a run is tied to a process.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn is_run_held(tx: &ReadTx<'_>, run: RunId) -> Result<bool> {
    tx.one(IS_RUN_HELD, named_params! { ":run": run }, |row| row.get(0))
}

/// Ties a run to a process no more, or to none at all.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn let_run_go(tx: &WriteTx<'_>, run: RunId, process: Option<ProcessId>) -> Result<()> {
    tx.run(LET_RUN_GO, named_params! { ":run": run, ":process": process }).map(drop)
}

/// Returns the runs that end with a process.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn runs_held_by(tx: &ReadTx<'_>, process: ProcessId) -> Result<Vec<RunId>> {
    tx.all(RUNS_HELD_BY, named_params! { ":process": process }, |row| row.get(0))
}

/// Forgets a process that holds nothing any more.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn remove_idle_process(tx: &WriteTx<'_>, process: ProcessId) -> Result<()> {
    tx.run(REMOVE_IDLE_PROCESS, named_params! { ":process": process }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(host: String, pid: u32, start: &str, seen_at_ms: i64) -> Process {
        let identity = Identity { host, pid, start: start.to_owned() };
        Process { id: ProcessId(1), identity, seen_at_ms }
    }

    #[test]
    fn a_process_is_judged_by_the_kernel_where_it_can_be_seen_and_else_by_its_silence() {
        let own = Identity::own();
        let here = |pid, start: &str, seen| process(own.host.clone(), pid, start, seen);
        assert!(!here(own.pid, &own.start, 0).is_gone(SILENT_MS * 9), "it is this one");
        let (space, tick) = own.start.rsplit_once('/').unwrap();
        let later = format!("{space}/{}", tick.parse::<u64>().unwrap() + 1);
        assert!(here(own.pid, &later, 0).is_gone(0), "another one had its number");
        let rebooted = format!("another-boot/{}", own.start.split_once('/').unwrap().1);
        assert!(here(own.pid, &rebooted, 0).is_gone(0), "the machine was started anew");
        let boot = own.start.split_once('/').unwrap().0;
        let elsewhere = format!("{boot}/pid:[1]/77");
        for unseen in
            [here(1, &elsewhere, 1), process("another".into(), 1, &own.start, 1), here(1, "", 1)]
        {
            assert!(!unseen.is_gone(SILENT_MS), "{unseen:?}");
            assert!(unseen.is_gone(SILENT_MS + 2), "{unseen:?}");
        }
    }
}
