//! Runs whose logger is gone: killed, or the machine went down. Whoever looks at the file ends them.

use super::place;
use crate::error::Result;
use crate::protocol::{self, Process, runs_held_by};
use crate::store::{ReadTx, WriteTx};

/// Why such a run failed.
pub(super) const LOST: &str = "its process was lost: killed, or the machine went down";

const WHO: &str = "mle";

/// Returns the processes that are gone and still hold runs.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn lost_loggers(tx: &ReadTx<'_>) -> Result<Vec<Process>> {
    let mut lost = Vec::new();
    for process in protocol::processes(tx)? {
        if process.is_gone(tx.now_ms) && !runs_held_by(tx, process.id)?.is_empty() {
            lost.push(process);
        }
    }
    Ok(lost)
}

/// Ends the runs of loggers that are gone, and experiments with their last ones. A run that another process logs too ends with
/// that one.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn end_lost_runs(tx: &WriteTx<'_>) -> Result<()> {
    for process in protocol::processes(tx)? {
        if !process.is_gone(tx.now_ms) {
            continue;
        }
        for run in runs_held_by(tx, process.id)? {
            protocol::let_run_go(tx, run, Some(process.id))?;
            if !place::is_at_work(tx, run)? {
                place::end(tx, run, Some(LOST), WHO)?;
            }
        }
        protocol::remove_idle_process(tx, process.id)?;
    }
    Ok(())
}
