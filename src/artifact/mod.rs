//! Named bytes of a run or of an experiment: figures, checkpoints, reports, any file.
//!
//! Storing is in two steps, so that no file is read and nothing is compressed while others wait for the write lock:
//! [`Prepared::from_file`] (or `from_bytes`, `from_reader`) before the transaction, [`add`] inside it. Names are data:
//! they may hold anything, and [`export`](mod@export) sees to it that none of them leaves the target folder.

mod checkpoint;
mod export;

use std::io::Write;

use crate::blob;
use crate::error::{Error, Result};
use crate::id::{ArtifactId, BlobId, ExperimentId, RunId, new_uid};
use crate::sql::named;
use crate::store::{ReadTx, Row, WriteTx, named_params};
use crate::words::words;

pub use crate::blob::{Freed, INSIDE_MAX_BYTES, Prepared, collect_garbage as gc};
pub use checkpoint::{Checkpoint, Rules, keep_checkpoint, latest_checkpoint};
pub use export::{export, export_to, relative_path};

const ADD: &str = named(include_str!("../../sql/artifact.sql"), "add_artifact");
const SHOW: &str = named(include_str!("../../sql/artifact.sql"), "show_artifact");
const LIST: &str = named(include_str!("../../sql/artifact.sql"), "list_artifacts");
const LIST_OF_RUN: &str = named(include_str!("../../sql/artifact.sql"), "list_artifacts_of_run");
const LIST_OF_EXPERIMENT: &str =
    named(include_str!("../../sql/artifact.sql"), "list_artifacts_of_experiment");
const LIST_OF_RUNS: &str = named(include_str!("../../sql/artifact.sql"), "list_artifacts_of_runs");
const BY_NAME: &str = named(include_str!("../../sql/artifact.sql"), "latest_artifact_by_name");
const DELETE_BLOB: &str = named(include_str!("../../sql/artifact.sql"), "delete_blob_if_unused");
const DELETE: &str = named(include_str!("../../sql/artifact.sql"), "delete_artifact");

words! {
    /// What an artifact is for.
    ArtifactKind, "kind" {
        /// Any file.
        File = "file"
        /// A picture.
        Figure = "figure"
        /// What a run can resume from.
        Checkpoint = "checkpoint"
        /// An object beside the metrics.
        Extra = "extra"
        /// A report of an experiment.
        Report = "report"
        /// Source code.
        Code = "code"
        /// A config as a file.
        Config = "config"
    }

    /// Why a checkpoint is kept.
    Role, "role" {
        /// The first of its run.
        Init = "init"
        /// The latest of its run.
        Final = "final"
        /// One of every k.
        EveryK = "every_k"
        /// One of the k best.
        TopK = "top_k"
    }
}

/// What an artifact belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// An experiment as a whole.
    Experiment(ExperimentId),
    /// One of its runs.
    Run(RunId),
}

/// An artifact that is not in the file yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewArtifact<'a> {
    /// What it belongs to.
    pub owner: Owner,
    /// Which attempt made it.
    pub attempt: Option<i64>,
    /// Any text but none; often a path.
    pub name: &'a str,
    /// What it is for.
    pub kind: ArtifactKind,
    /// Why it is kept, of a checkpoint.
    pub role: Option<Role>,
    /// Where on the step axis it was made.
    pub step: Option<i64>,
    /// The metric it is kept for.
    pub value: Option<f64>,
}

impl<'a> NewArtifact<'a> {
    /// An artifact with a name and nothing else.
    pub fn new(owner: Owner, name: &'a str, kind: ArtifactKind) -> NewArtifact<'a> {
        NewArtifact { owner, attempt: None, name, kind, role: None, step: None, value: None }
    }
}

/// An artifact as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// Its id in this file.
    pub id: ArtifactId,
    /// Its id in any file.
    pub uid: String,
    /// What it belongs to.
    pub owner: Owner,
    /// Which attempt made it.
    pub attempt: Option<i64>,
    /// Its name: data, not a path to be trusted.
    pub name: String,
    /// What it is for.
    pub kind: ArtifactKind,
    /// Why it is kept, of a checkpoint.
    pub role: Option<Role>,
    /// Where on the step axis it was made.
    pub step: Option<i64>,
    /// The metric it is kept for; `None` also for NaN.
    pub value: Option<f64>,
    /// Its bytes, when they are in the file.
    pub blob: Option<BlobId>,
    /// Where its bytes are otherwise.
    pub path: Option<String>,
    /// Its size.
    pub size_bytes: i64,
    /// BLAKE3 of its content, hex.
    pub hash: String,
    /// When it was added [unix ms].
    pub created_at_ms: i64,
}

/// Adds an artifact and, once, its bytes.
///
/// # Errors
/// [`Error::Invalid`] for an empty name; [`Error::Sqlite`], also when the owner is not there.
pub fn add(tx: &WriteTx, new: &NewArtifact<'_>, prepared: &Prepared) -> Result<ArtifactId> {
    if new.name.is_empty() {
        return Err(Error::invalid("name", "an artifact needs one"));
    }
    let (experiment, run) = match new.owner {
        Owner::Experiment(id) => (Some(id), None),
        Owner::Run(id) => (None, Some(id)),
    };
    let blob = blob::add(tx, prepared)?;
    let id = tx.insert(
        ADD,
        named_params! {
            ":uid": new_uid(),
            ":experiment_id": experiment,
            ":run_id": run,
            ":attempt": new.attempt,
            ":name": new.name,
            ":kind": new.kind,
            ":role": new.role,
            ":step": new.step,
            ":value": new.value.filter(|value| !value.is_nan()),
            ":blob_id": blob,
            ":path": prepared.outside().map(|path| path.to_string_lossy()),
            ":size_bytes": i64::try_from(prepared.size_bytes).unwrap_or(i64::MAX),
            ":hash": prepared.hash,
            ":now_ms": tx.now_ms,
        },
    )?;
    Ok(ArtifactId(id))
}

/// Returns an artifact, without its bytes.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn show(tx: &ReadTx, id: ArtifactId) -> Result<Artifact> {
    tx.maybe(SHOW, named_params! {":id": id}, artifact_of)?
        .ok_or_else(|| Error::not_found("artifact", id))
}

/// Finds an artifact by its id, or the latest of a name.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn find(tx: &ReadTx, word: &str) -> Result<Artifact> {
    if let Ok(id) = word.parse()
        && let Some(found) = tx.maybe(SHOW, named_params! {":id": ArtifactId(id)}, artifact_of)?
    {
        return Ok(found);
    }
    match tx.maybe(BY_NAME, named_params! {":name": word}, |row| row.get(0))? {
        Some(id) => show(tx, id),
        None => Err(Error::not_found("artifact", word)),
    }
}

/// Returns up to `limit` artifacts of the whole file, newest first.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn list(tx: &ReadTx, before: Option<ArtifactId>, limit: i64) -> Result<Vec<Artifact>> {
    let before = before.map_or(i64::MAX, |id| id.0);
    tx.all(LIST, named_params! {":before": before, ":limit": limit}, artifact_of)
}

/// Returns up to `limit` artifacts of a run, those of a kind together.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn list_of_run(tx: &ReadTx, run: RunId, limit: i64) -> Result<Vec<Artifact>> {
    tx.all(LIST_OF_RUN, named_params! {":run_id": run, ":limit": limit}, artifact_of)
}

/// Returns up to `limit` artifacts of an experiment, then of its runs.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn list_of_experiment(
    tx: &ReadTx,
    experiment: ExperimentId,
    limit: i64,
) -> Result<Vec<Artifact>> {
    let page = |limit: i64, sql| {
        tx.all(sql, named_params! {":experiment_id": experiment, ":limit": limit}, artifact_of)
    };
    let mut found = page(limit, LIST_OF_EXPERIMENT)?;
    let left = limit.saturating_sub(i64::try_from(found.len()).unwrap_or(i64::MAX));
    found.extend(page(left, LIST_OF_RUNS)?);
    Ok(found)
}

/// Removes an artifact. Its bytes stay until [`gc`].
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn delete(tx: &WriteTx, id: ArtifactId) -> Result<()> {
    match tx.run(DELETE, named_params! {":id": id})? {
        0 => Err(Error::not_found("artifact", id)),
        _ => Ok(()),
    }
}

/// Removes an artifact that another one took the place of, with its bytes if nothing else has them.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn replace(tx: &WriteTx, id: ArtifactId) -> Result<()> {
    let blob: Option<BlobId> =
        tx.maybe(SHOW, named_params! {":id": id}, |row| row.get("blob_id"))?.flatten();
    tx.run(DELETE, named_params! {":id": id})?;
    if let Some(blob) = blob {
        tx.run(DELETE_BLOB, named_params! {":id": blob})?;
    }
    Ok(())
}

/// Writes an artifact's bytes to `out`; returns how many.
///
/// Bytes outside the file are read from where they were, and only if they are still the same: a file from a stranger
/// cannot have us hand out other files of this machine.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Failed`] when the bytes are not what the hash says; [`Error::Io`].
pub fn read(tx: &ReadTx, id: ArtifactId, out: &mut impl Write) -> Result<u64> {
    let artifact = show(tx, id)?;
    match (artifact.blob, &artifact.path) {
        (Some(blob), _) => blob::read(tx, blob, out),
        (None, Some(path)) => read_outside(path, &artifact.hash, out),
        (None, None) => Err(Error::not_found("artifact", id)),
    }
}

fn read_outside(path: &str, hash: &str, out: &mut impl Write) -> Result<u64> {
    use std::io::{Read, Seek};
    let io = |error| Error::io(path, error);
    // A pipe or a device would never end.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(Error::Failed(format!("{path} is no longer a regular file")));
    }
    let mut file = std::fs::File::open(path).map_err(io)?;
    let (found, size) = blob::hash_of(&file).map_err(io)?;
    if found != hash {
        return Err(Error::Failed(format!("{path} has changed since it was recorded")));
    }
    file.rewind().map_err(io)?;
    std::io::copy(&mut file.take(size), out).map_err(|error| Error::io("output", error))
}

fn artifact_of(row: &Row<'_>) -> rusqlite::Result<Artifact> {
    let (experiment, run): (Option<ExperimentId>, Option<RunId>) = (row.get(2)?, row.get(3)?);
    Ok(Artifact {
        id: row.get(0)?,
        uid: row.get(1)?,
        owner: match run {
            Some(run) => Owner::Run(run),
            None => Owner::Experiment(experiment.unwrap_or(ExperimentId(0))),
        },
        attempt: row.get(4)?,
        name: row.get(5)?,
        kind: row.get(6)?,
        role: row.get(7)?,
        step: row.get(8)?,
        value: row.get(9)?,
        blob: row.get(10)?,
        path: row.get(11)?,
        size_bytes: row.get(12)?,
        hash: row.get(13)?,
        created_at_ms: row.get(14)?,
    })
}

#[cfg(test)]
mod tests;
