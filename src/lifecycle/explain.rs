//! Why a job stands as it does, with what its run and its output say of it.

use crate::error::Result;
use crate::id::{JobId, RunId};
use crate::protocol::RunState;
use crate::queue::{self, Reason};
use crate::sql::named;
use crate::store::{ReadTx, named_params};
use crate::worker::line::Remarks;

use super::TEXT;

const RUN_OF_SUCCESS: &str = named(TEXT, "run_of_success");
const LAST_STDERR: &str = named(TEXT, "last_stderr");

/// Explains why a job is not running, or how it stands: as [`queue::explain`], and why the run of a job that succeeded
/// failed all the same, and what of what the job said was not kept as it stands.
///
/// # Errors
/// [`crate::Error::NotFound`].
pub fn explain(tx: &ReadTx<'_>, job: JobId) -> Result<Vec<Reason>> {
    let mut reasons = match super::why_pruned(tx, job)? {
        Some(why) => {
            vec![Reason { text: format!("its search ended it early: {why}"), remedy: None }]
        }
        None => queue::explain(tx, job)?,
    };
    let run: Option<(RunId, RunState, Option<String>)> =
        tx.maybe(RUN_OF_SUCCESS, named_params! { ":job": job }, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    if let Some((run, RunState::Failed, error)) = run {
        reasons.push(Reason {
            text: format!(
                "its run {run} failed: {}",
                error.as_deref().unwrap_or("no reason recorded")
            ),
            remedy: Some(format!("mle logs {job}")),
        });
    }
    let mut pieces: Vec<Vec<u8>> =
        tx.all(LAST_STDERR, named_params! { ":job": job }, |row| row.get(0))?;
    // They come last first; a line may lie across two.
    pieces.reverse();
    if let Some(remark) = Remarks::find(&pieces.concat()) {
        reasons.push(Reason { text: remark, remedy: Some(format!("mle logs {job}")) });
    }
    Ok(reasons)
}
