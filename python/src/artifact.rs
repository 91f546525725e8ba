//! Named bytes of a run or of an experiment.

use std::path::PathBuf;

use mle::artifact::{
    self, ArtifactKind, Checkpoint, INSIDE_MAX_BYTES, NewArtifact, Owner, Prepared, Role, Rules,
};
use mle::error::{Error, Result};
use mle::id::{ArtifactId, ExperimentId, RunId};
use mle::protocol::Goal;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::db::Db;
use crate::errors::OrRaise;
use crate::fork::blocking;
use crate::protocol::word;

/// What is stored: bytes, or the file at a path.
#[derive(FromPyObject)]
pub(crate) enum Source {
    #[pyo3(transparent)]
    Bytes(Vec<u8>),
    #[pyo3(transparent)]
    File(PathBuf),
}

impl Source {
    /// Compresses and hashes, before a transaction.
    pub(crate) fn prepare(&self, inside_max_bytes: u64) -> Result<Prepared> {
        match self {
            Source::Bytes(bytes) => Ok(Prepared::from_bytes(bytes)),
            Source::File(path) => Prepared::from_file(path, inside_max_bytes),
        }
    }
}

fn owner(run: Option<i64>, experiment: Option<i64>) -> Result<Owner> {
    match (run, experiment) {
        (Some(run), None) => Ok(Owner::Run(RunId(run))),
        (None, Some(experiment)) => Ok(Owner::Experiment(ExperimentId(experiment))),
        _ => Err(Error::invalid("artifact", "belongs to a run or to an experiment: name one")),
    }
}

#[pymethods]
impl Db {
    /// Stores bytes, or the file at a path; returns the artifact's id. With `replace` an earlier one of the name goes.
    #[pyo3(signature = (name, source, *, run=None, experiment=None, kind="file", step=None, value=None, attempt=None,
        replace=false, inside_max_bytes=INSIDE_MAX_BYTES))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn add_artifact(
        &self,
        py: Python<'_>,
        name: &str,
        source: Source,
        run: Option<i64>,
        experiment: Option<i64>,
        kind: &str,
        step: Option<i64>,
        value: Option<f64>,
        attempt: Option<i64>,
        replace: bool,
        inside_max_bytes: u64,
    ) -> PyResult<i64> {
        let owner = owner(run, experiment).or_raise()?;
        let kind = word::<ArtifactKind>(kind).or_raise()?;
        let new = NewArtifact { attempt, step, value, ..NewArtifact::new(owner, name, kind) };
        blocking(py, || {
            let prepared = source.prepare(inside_max_bytes)?;
            self.files.write(|tx| {
                let earlier = match owner {
                    _ if !replace => Vec::new(),
                    Owner::Run(run) => artifact::list_of_run(tx, run, i64::MAX)?,
                    Owner::Experiment(id) => artifact::list_of_experiment(tx, id, i64::MAX)?,
                };
                let id = artifact::add(tx, &new, &prepared)?;
                for old in earlier.iter().filter(|old| old.name == name && old.owner == owner) {
                    artifact::replace(tx, old.id)?;
                }
                Ok(id.0)
            })
        })
    }

    /// Stores a checkpoint and keeps those that the rules keep; returns the roles it has and the ids.
    #[pyo3(signature = (name, source, *, run, step=None, number=1, value=None, attempt=None, init=false, last=true,
        every_k=0, top_k=0, goal="min", inside_max_bytes=INSIDE_MAX_BYTES))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn add_checkpoint(
        &self,
        py: Python<'_>,
        name: &str,
        source: Source,
        run: i64,
        step: Option<i64>,
        number: u64,
        value: Option<f64>,
        attempt: Option<i64>,
        init: bool,
        last: bool,
        every_k: u64,
        top_k: usize,
        goal: &str,
        inside_max_bytes: u64,
    ) -> PyResult<Vec<(&'static str, i64)>> {
        let rules = Rules { init, last, every_k, top_k, goal: word::<Goal>(goal).or_raise()? };
        let new = Checkpoint { run: RunId(run), attempt, name, step, number, value };
        blocking(py, || {
            let prepared = source.prepare(inside_max_bytes)?;
            let kept =
                self.files.write(|tx| artifact::keep_checkpoint(tx, &rules, &new, &prepared))?;
            Ok(kept
                .into_iter()
                .map(|(role, id): (Role, ArtifactId)| (role.as_str(), id.0))
                .collect())
        })
    }

    /// Returns the id and name of the checkpoint a run would resume from.
    fn latest_checkpoint(
        &self,
        py: Python<'_>,
        run: i64,
    ) -> PyResult<Option<(i64, String, Option<i64>)>> {
        let found = self.read(py, |tx| artifact::latest_checkpoint(tx, RunId(run)))?;
        Ok(found.map(|found| (found.id.0, found.name, found.step)))
    }

    /// Returns an artifact's bytes.
    fn artifact_bytes<'py>(&self, py: Python<'py>, artifact: i64) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.read(py, |tx| {
            let mut bytes = Vec::new();
            artifact::read(tx, ArtifactId(artifact), &mut bytes)?;
            Ok(bytes)
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Returns the id of an artifact by its id or the latest of a name.
    fn find_artifact(&self, py: Python<'_>, word: &str) -> PyResult<i64> {
        self.read(py, |tx| artifact::find(tx, word)).map(|found| found.id.0)
    }

    /// Forgets an artifact; its bytes go when no other one has them.
    fn delete_artifact(&self, py: Python<'_>, artifact: i64) -> PyResult<()> {
        self.write(py, |tx| {
            artifact::show(tx, ArtifactId(artifact))?;
            artifact::replace(tx, ArtifactId(artifact))
        })
    }
}
