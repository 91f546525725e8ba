//! What people see of experiments: pages of a list, and all about one.

use serde_json::{Map, Value};

use super::words::{Goal, Kind, State};
use super::{Objective, objectives};
use crate::error::{Error, Result};
use crate::id::{BlobId, ExperimentId};
use crate::sql::named;
use crate::store::{ReadTx, Row, named_params};

const IDS_OF_ALL: &str = named(include_str!("../../sql/protocol.sql"), "ids_of_all");
const IDS_DELETED: &str = named(include_str!("../../sql/protocol.sql"), "ids_deleted");
const IDS_BY_TAG: &str = named(include_str!("../../sql/protocol.sql"), "ids_by_tag");
const IDS_BY_OPEN_STATE: &str = named(include_str!("../../sql/protocol.sql"), "ids_by_open_state");
const IDS_BY_ENDED_STATE: &str =
    named(include_str!("../../sql/protocol.sql"), "ids_by_ended_state");
const IDS_BY_PROJECT: &str = named(include_str!("../../sql/protocol.sql"), "ids_by_project");
const IDS_BY_KIND: &str = named(include_str!("../../sql/protocol.sql"), "ids_by_kind");
const LIST: &str = named(include_str!("../../sql/protocol.sql"), "list_experiment");
const SHOW: &str = named(include_str!("../../sql/protocol.sql"), "show_experiment");
const LIST_NOTES: &str = named(include_str!("../../sql/protocol.sql"), "list_notes");

/// Which experiments a list shows; an empty one shows all that are not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those that are so far.
    pub state: Option<State>,
    /// Only those of this project.
    pub project: Option<String>,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those with this text in name, purpose or a note; ASCII letters match in either case.
    pub text: Option<String>,
    /// Only those of this kind.
    pub kind: Option<Kind>,
    /// The deleted ones instead of the others.
    pub deleted: bool,
    /// Only those before (older than) this one: the last of the page before.
    pub before: Option<ExperimentId>,
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Its id in this file.
    pub id: ExperimentId,
    /// Its id in any file.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Why it is done.
    pub purpose: String,
    /// What it belongs to.
    pub project: String,
    /// What it is made of.
    pub kind: Kind,
    /// How far it is.
    pub state: State,
    /// Where it was added.
    pub host: String,
    /// By whom.
    pub user_name: String,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was added [unix ms].
    pub created_at_ms: i64,
    /// When it first ran [unix ms].
    pub started_at_ms: Option<i64>,
    /// When it ended [unix ms].
    pub ended_at_ms: Option<i64>,
    /// When it was deleted [unix ms].
    pub deleted_at_ms: Option<i64>,
    /// How many runs it has.
    pub runs: i64,
    /// How many of them are complete.
    pub runs_complete: i64,
    /// How many of them failed.
    pub runs_failed: i64,
    /// What its runs are valued by.
    pub metric: Option<String>,
    /// Whether small or large is good.
    pub goal: Option<Goal>,
    /// The mean over seeds of the best config.
    pub best: Option<f64>,
    /// Its tags, in order.
    pub tags: Vec<String>,
}

/// A remark someone made later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: i64,
    /// What it says.
    pub text: String,
    /// When it was made [unix ms].
    pub at_ms: i64,
    /// By whom.
    pub user_name: String,
}

/// All about one experiment, but its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// What a list shows of it.
    pub summary: Summary,
    /// What its runs are valued by.
    pub objectives: Vec<Objective>,
    /// What was remarked, oldest first.
    pub notes: Vec<Note>,
    /// The checked spec.
    pub plan: Value,
    /// The spec as the user wrote it.
    pub spec_text: Option<String>,
    /// The spec's file name.
    pub spec_name: Option<String>,
    /// The words it was started by.
    pub command_line: Vec<String>,
    /// Where it was started.
    pub cwd: String,
    /// The commit that was checked out.
    pub git_commit: Option<String>,
    /// The branch that was checked out.
    pub git_branch: Option<String>,
    /// Whether tracked files were changed.
    pub git_dirty: Option<bool>,
    /// These changes.
    pub git_diff: Option<BlobId>,
    /// The script's path as given.
    pub script_name: Option<String>,
    /// The script's BLAKE3 hash, hex.
    pub script_hash: Option<String>,
    /// The script's content.
    pub script: Option<BlobId>,
    /// Versions, and variables of an allow-list.
    pub environment: Map<String, Value>,
    /// Whatever the caller kept with it.
    pub extra: Value,
}

/// Returns up to `limit` experiments, newest first.
///
/// A page costs the same in a file of a hundred and of a hundred thousand experiments, unless what is looked for in all of
/// them is rare there: a `text`, the project "default", or single configs.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn list(tx: &ReadTx, filter: &Filter, limit: usize) -> Result<Vec<Summary>> {
    let statement = match filter {
        Filter { deleted: true, .. } => IDS_DELETED,
        Filter { tag: Some(_), .. } => IDS_BY_TAG,
        Filter { state: Some(state), .. } if state.is_end() => IDS_BY_ENDED_STATE,
        Filter { state: Some(_), .. } => IDS_BY_OPEN_STATE,
        Filter { project: Some(project), .. } if project != "default" => IDS_BY_PROJECT,
        Filter { kind: Some(kind), .. } if *kind != Kind::SingleConfig => IDS_BY_KIND,
        _ => IDS_OF_ALL,
    };
    let ids: Vec<ExperimentId> = tx.all(
        statement,
        named_params! {
            ":state": filter.state,
            ":project": filter.project,
            ":tag": filter.tag,
            ":kind": filter.kind,
            ":text": filter.text.as_ref().map(|text| text.to_ascii_lowercase()),
            ":before": filter.before.map_or(i64::MAX, |id| id.0),
            ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
        },
        |row| row.get(0),
    )?;
    ids.into_iter().map(|id| summary(tx, id)).collect()
}

/// Returns what a list shows of one experiment, deleted or not.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn summary(tx: &ReadTx, experiment: ExperimentId) -> Result<Summary> {
    tx.maybe(LIST, named_params! {":id": experiment}, summary_of)?
        .ok_or_else(|| Error::not_found("experiment", experiment))
}

/// Returns all about one experiment, deleted or not.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn show(tx: &ReadTx, experiment: ExperimentId) -> Result<Detail> {
    let summary = summary(tx, experiment)?;
    let objectives = objectives(tx, experiment)?;
    let notes = tx.all(LIST_NOTES, named_params! {":experiment_id": experiment}, |row| {
        Ok(Note { id: row.get(0)?, text: row.get(1)?, at_ms: row.get(2)?, user_name: row.get(3)? })
    })?;
    tx.one(SHOW, named_params! {":id": experiment}, |row| {
        Ok(Detail {
            summary,
            objectives,
            notes,
            plan: json(row, "plan")?,
            spec_text: row.get("spec_text")?,
            spec_name: row.get("spec_name")?,
            command_line: serde_json::from_value(json(row, "command_line")?).unwrap_or_default(),
            cwd: row.get("cwd")?,
            git_commit: row.get("git_commit")?,
            git_branch: row.get("git_branch")?,
            git_dirty: row.get("git_dirty")?,
            git_diff: row.get("git_diff_blob")?,
            script_name: row.get("script_name")?,
            script_hash: row.get("script_hash")?,
            script: row.get("script_blob")?,
            environment: match json(row, "environment")? {
                Value::Object(environment) => environment,
                _ => Map::new(),
            },
            extra: json(row, "extra")?,
        })
    })
}

/// A JSON column. SQLite takes some JSON that serde does not (NaN as a number too large, for one): that reads as null.
fn json(row: &Row<'_>, column: &str) -> rusqlite::Result<Value> {
    Ok(serde_json::from_str(row.get_ref(column)?.as_str()?).unwrap_or_default())
}

fn summary_of(row: &Row<'_>) -> rusqlite::Result<Summary> {
    let tags: Option<String> = row.get(20)?;
    let mut tags: Vec<String> =
        tags.iter().flat_map(|tags| tags.split('\u{1f}')).map(str::to_owned).collect();
    tags.sort_unstable();
    Ok(Summary {
        id: row.get(0)?,
        uid: row.get(1)?,
        name: row.get(2)?,
        purpose: row.get(3)?,
        project: row.get(4)?,
        kind: row.get(5)?,
        state: row.get(6)?,
        host: row.get(7)?,
        user_name: row.get(8)?,
        error: row.get(9)?,
        created_at_ms: row.get(10)?,
        started_at_ms: row.get(11)?,
        ended_at_ms: row.get(12)?,
        deleted_at_ms: row.get(13)?,
        runs: row.get(14)?,
        runs_complete: row.get(15)?,
        runs_failed: row.get(16)?,
        metric: row.get(17)?,
        goal: row.get(18)?,
        best: row.get(19)?,
        tags,
    })
}
