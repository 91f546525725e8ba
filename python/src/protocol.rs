//! Experiments, configs and runs.

use std::path::{Path, PathBuf};

use mle::error::{Error, Result};
use mle::id::{ConfigId, ExperimentId, RunId};
use mle::metric;
use mle::protocol::{
    self, Aggregate, Filter, Goal, Kind, NewExperiment, Objective, Provenance, RunState, State,
    Summary, ValueFrom,
};
use mle::store::{ReadTx, WriteTx};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::{Value, json};

use crate::convert::{Document, Object, object_to_py, to_py};
use crate::db::Db;
use crate::errors::OrRaise;

/// Reads one of the words of a column.
pub(crate) fn word<T: std::str::FromStr<Err = Error>>(text: &str) -> Result<T> {
    text.parse()
}

/// A number of an experiment, or a word to find it by.
#[derive(FromPyObject)]
pub(crate) enum Which {
    Id(i64),
    Word(String),
}

impl Which {
    pub(crate) fn find(&self, tx: &ReadTx<'_>) -> Result<ExperimentId> {
        match self {
            Which::Id(id) => {
                let id = ExperimentId(*id);
                protocol::state(tx, id).map(|_| id)
            }
            Which::Word(word) => protocol::find(tx, word),
        }
    }
}

/// An objective from Python: its metric, "min" or "max", which number of the series, how seeds are put together.
#[derive(FromPyObject)]
pub(crate) struct Aim(String, String, String, String);

pub(crate) fn objective(aim: &Aim) -> Result<Objective> {
    Ok(Objective {
        metric: aim.0.clone(),
        goal: word::<Goal>(&aim.1)?,
        value_from: word::<ValueFrom>(&aim.2)?,
        aggregate: word::<Aggregate>(&aim.3)?,
    })
}

/// Ends a run as a program of its own would: valued by the first objective unless a value is given.
fn end(
    tx: &WriteTx<'_>,
    run: RunId,
    state: RunState,
    value: Option<f64>,
    error: Option<&str>,
    who: &str,
) -> Result<bool> {
    let (experiment, config): (ExperimentId, ConfigId) = tx
        .maybe("SELECT experiment_id, config_id FROM run WHERE id = ?1", [run], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .ok_or_else(|| Error::not_found("run", run))?;
    let value = match (value, protocol::objectives(tx, experiment)?.first()) {
        (None, Some(first)) if state == RunState::Complete => {
            metric::final_value(tx, run, &first.metric, first.value_from, first.goal)?
        }
        (value, _) => value,
    };
    let changed = protocol::end_run(tx, run, state, value, error, who)?;
    protocol::score_config(tx, experiment, config)?;
    Ok(changed)
}

fn summary(summary: &Summary) -> Value {
    json!({
        "id": summary.id, "uid": summary.uid, "name": summary.name, "purpose": summary.purpose,
        "project": summary.project, "kind": summary.kind.as_str(), "state": summary.state.as_str(),
        "host": summary.host, "user_name": summary.user_name, "error": summary.error,
        "created_at_ms": summary.created_at_ms, "started_at_ms": summary.started_at_ms,
        "ended_at_ms": summary.ended_at_ms, "deleted_at_ms": summary.deleted_at_ms,
        "runs": summary.runs, "runs_complete": summary.runs_complete, "runs_failed": summary.runs_failed,
        "metric": summary.metric, "goal": summary.goal.map(|goal| goal.as_str()), "best": summary.best,
        "tags": summary.tags,
    })
}

#[pymethods]
impl Db {
    /// Adds an experiment in state "planned"; returns its id.
    #[pyo3(signature = (name, *, kind="log", purpose="", project="", tags=Vec::new(), objectives=Vec::new(),
        extra=Object::default(), cwd=None, script=None, argv=Vec::new()))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn add_experiment(
        &self,
        py: Python<'_>,
        name: &str,
        kind: &str,
        purpose: &str,
        project: &str,
        tags: Vec<String>,
        objectives: Vec<Aim>,
        extra: Object,
        cwd: Option<PathBuf>,
        script: Option<PathBuf>,
        argv: Vec<String>,
    ) -> PyResult<i64> {
        let mut new = NewExperiment::new(name, word::<Kind>(kind).or_raise()?);
        new.purpose = purpose.to_owned();
        if !project.is_empty() {
            new.project = project.to_owned();
        }
        new.tags = tags;
        new.objectives = objectives.iter().map(objective).collect::<Result<_>>().or_raise()?;
        new.extra = Value::Object(extra.0);
        let provenance = py.detach(|| {
            let cwd = cwd.as_deref().unwrap_or(Path::new("."));
            Provenance::capture(cwd, script.as_deref(), &argv)
        });
        self.write(py, |tx| protocol::add(tx, &new, &provenance)).map(|id| id.0)
    }

    /// Returns the id of an experiment by its id, its name or the first characters of its uid.
    fn find_experiment(&self, py: Python<'_>, word: Which) -> PyResult<i64> {
        self.read(py, |tx| word.find(tx)).map(|id| id.0)
    }

    /// Returns all about an experiment, deleted or not, as a dict.
    fn experiment<'py>(&self, py: Python<'py>, word: Which) -> PyResult<Bound<'py, PyAny>> {
        let value = self.read(py, |tx| {
            let found = match &word {
                Which::Id(id) => ExperimentId(*id),
                Which::Word(word) => protocol::find_deleted_too(tx, word)?,
            };
            let detail = protocol::show(tx, found)?;
            let mut value = summary(&detail.summary);
            let objectives = detail.objectives.iter().map(|one| {
                json!({"metric": one.metric, "goal": one.goal.as_str(), "value_from": one.value_from.as_str(),
                    "aggregate": one.aggregate.as_str()})
            });
            let notes = detail.notes.iter().map(|note| {
                json!({"id": note.id, "text": note.text, "at_ms": note.at_ms, "user_name": note.user_name})
            });
            value["objectives"] = objectives.collect();
            value["notes"] = notes.collect();
            value["plan"] = detail.plan;
            value["spec_text"] = json!(detail.spec_text);
            value["spec_name"] = json!(detail.spec_name);
            value["command_line"] = json!(detail.command_line);
            value["cwd"] = json!(detail.cwd);
            value["git_commit"] = json!(detail.git_commit);
            value["git_branch"] = json!(detail.git_branch);
            value["git_dirty"] = json!(detail.git_dirty);
            value["script_name"] = json!(detail.script_name);
            value["script_hash"] = json!(detail.script_hash);
            value["environment"] = Value::Object(detail.environment);
            value["extra"] = detail.extra;
            Ok(value)
        })?;
        to_py(py, &value)
    }

    /// Returns up to `limit` experiments as dicts, newest first.
    #[pyo3(signature = (*, state=None, project=None, tag=None, text=None, kind=None, deleted=false, before=None,
        limit=1000))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn list_experiments<'py>(
        &self,
        py: Python<'py>,
        state: Option<&str>,
        project: Option<String>,
        tag: Option<String>,
        text: Option<String>,
        kind: Option<&str>,
        deleted: bool,
        before: Option<i64>,
        limit: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let filter = Filter {
            state: state.map(word::<State>).transpose().or_raise()?,
            project,
            tag,
            text,
            kind: kind.map(word::<Kind>).transpose().or_raise()?,
            deleted,
            before: before.map(ExperimentId),
        };
        let found = self.read(py, |tx| protocol::list(tx, &filter, limit))?;
        let list = PyList::empty(py);
        found.iter().try_for_each(|one| list.append(to_py(py, &summary(one))?))?;
        Ok(list)
    }

    /// Moves an experiment to another state; returns whether that changed anything.
    #[pyo3(signature = (experiment, state, error=None, who="python"))]
    fn set_state(
        &self,
        py: Python<'_>,
        experiment: i64,
        state: &str,
        error: Option<&str>,
        who: &str,
    ) -> PyResult<bool> {
        let next = word::<State>(state).or_raise()?;
        self.write(py, |tx| protocol::set_state(tx, ExperimentId(experiment), next, error, who))
    }

    /// Replaces what the caller keeps with an experiment.
    #[pyo3(signature = (experiment, extra, who="python"))]
    fn set_extra(&self, py: Python<'_>, experiment: i64, extra: Object, who: &str) -> PyResult<()> {
        let extra = Value::Object(extra.0);
        self.write(py, |tx| protocol::set_extra(tx, ExperimentId(experiment), &extra, who))
    }

    /// Changes some keys of what the caller keeps with an experiment, in one transaction; null removes nothing.
    #[pyo3(signature = (experiment, changes, who="python"))]
    fn update_extra(
        &self,
        py: Python<'_>,
        experiment: i64,
        changes: Object,
        who: &str,
    ) -> PyResult<()> {
        let id = ExperimentId(experiment);
        self.write(py, |tx| {
            let mut extra = match protocol::show(tx, id)?.extra {
                Value::Object(extra) => extra,
                _ => serde_json::Map::new(),
            };
            extra.extend(changes.0.clone());
            protocol::set_extra(tx, id, &Value::Object(extra), who)
        })
    }

    /// Adds a tag; returns whether it was new.
    fn tag(&self, py: Python<'_>, experiment: i64, name: &str) -> PyResult<bool> {
        self.write(py, |tx| protocol::tag(tx, ExperimentId(experiment), name))
    }

    /// Takes a tag off; returns whether it was there.
    fn untag(&self, py: Python<'_>, experiment: i64, name: &str) -> PyResult<bool> {
        self.write(py, |tx| protocol::untag(tx, ExperimentId(experiment), name))
    }

    /// Adds a note; returns its id.
    #[pyo3(signature = (experiment, text, who=None))]
    fn add_note(
        &self,
        py: Python<'_>,
        experiment: i64,
        text: &str,
        who: Option<String>,
    ) -> PyResult<i64> {
        let who = who.unwrap_or_else(protocol::user_name);
        self.write(py, |tx| protocol::add_note(tx, ExperimentId(experiment), text, &who))
    }

    /// Hides an experiment from lists; returns whether it was there to see.
    #[pyo3(signature = (experiment, who="python"))]
    fn delete_experiment(&self, py: Python<'_>, experiment: i64, who: &str) -> PyResult<bool> {
        self.write(py, |tx| protocol::delete(tx, ExperimentId(experiment), who))
    }

    /// Shows a deleted experiment again; returns whether it was deleted.
    #[pyo3(signature = (experiment, who="python"))]
    fn undelete_experiment(&self, py: Python<'_>, experiment: i64, who: &str) -> PyResult<bool> {
        self.write(py, |tx| protocol::undelete(tx, ExperimentId(experiment), who))
    }

    /// Returns the report of an experiment as it is now: Markdown, and one HTML page with its charts.
    fn report(&self, py: Python<'_>, experiment: Which) -> PyResult<(String, String)> {
        let report = self.read(py, |tx| mle::report::render(tx, experiment.find(tx)?))?;
        Ok((report.markdown, report.html))
    }

    /// Adds a waiting run of a config with a seed; returns its id.
    #[pyo3(signature = (experiment, config, seed=0, name="", who="python"))]
    fn add_run(
        &self,
        py: Python<'_>,
        experiment: i64,
        config: Object,
        seed: i64,
        name: &str,
        who: &str,
    ) -> PyResult<i64> {
        self.write(py, |tx| {
            let config = protocol::add_config(tx, &config.0)?;
            protocol::add_run(tx, ExperimentId(experiment), config, None, name, seed, who)
        })
        .map(|id| id.0)
    }

    /// Starts a waiting run; returns whether that changed anything.
    #[pyo3(signature = (run, who="python"))]
    fn start_run(&self, py: Python<'_>, run: i64, who: &str) -> PyResult<bool> {
        self.write(py, |tx| protocol::start_run(tx, RunId(run), who))
    }

    /// Ends a run and works out its config's score; without a value it is that of the first objective.
    #[pyo3(signature = (run, state="complete", value=None, error=None, who="python"))]
    fn end_run(
        &self,
        py: Python<'_>,
        run: i64,
        state: &str,
        value: Option<f64>,
        error: Option<&str>,
        who: &str,
    ) -> PyResult<bool> {
        let state = word::<RunState>(state).or_raise()?;
        self.write(py, |tx| end(tx, RunId(run), state, value, error, who))
    }

    /// Returns the config of a run as a dict, its keys as the user wrote them.
    fn config_of_run<'py>(&self, py: Python<'py>, run: i64) -> PyResult<Bound<'py, PyDict>> {
        let params = self.read(py, |tx| {
            let config = tx
                .maybe("SELECT config_id FROM run WHERE id = ?1", [run], |row| row.get(0))?
                .ok_or_else(|| Error::not_found("run", run))?;
            protocol::params_of_config(tx, config)
        })?;
        object_to_py(py, &params)
    }

    /// Reads a text in YAML, JSON or TOML as specs are read; `origin` is named in errors.
    #[staticmethod]
    fn parse_text<'py>(py: Python<'py>, text: &str, origin: &str) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &mle::spec::value(text, origin).or_raise()?)
    }

    /// Returns a document as Python would have it back: what the file would keep.
    #[staticmethod]
    fn as_document(py: Python<'_>, document: Document) -> PyResult<Bound<'_, PyAny>> {
        to_py(py, &document.0)
    }
}
