//! Jobs, and what this machine has.

use std::collections::BTreeMap;

use mle::error::{Error, Result};
use mle::id::{ExperimentId, JobId, RunId};
use mle::lifecycle;
use mle::protocol;
use mle::queue::{self, JobSettings, NewJob};
use mle::store::WriteTx;
use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::convert::Object;
use crate::db::Db;
use crate::protocol::Which;

/// Returns the cores of this machine that this process may use.
#[pyfunction]
pub(crate) fn cores() -> u32 {
    mle::process::cores()
}

/// Returns the memory of this machine [MiB].
#[pyfunction]
pub(crate) fn memory_mib() -> u64 {
    mle::process::memory_mib()
}

/// Returns the GPUs of this machine by the names CUDA_VISIBLE_DEVICES takes.
#[pyfunction]
pub(crate) fn gpus(py: Python<'_>) -> Vec<String> {
    py.detach(mle::process::gpus)
}

/// What jobs of one call have in common.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Wishes {
    cwd: Option<String>,
    env: BTreeMap<String, String>,
    conda: Option<String>,
    venv: Option<String>,
    exp_dir: Option<String>,
    yaml: bool,
    grace_s: Option<f64>,
    retry_delay_s: Option<f64>,
    priority: i64,
    cores: u32,
    gpus: u32,
    memory_mib: u64,
    time_limit_s: Option<f64>,
    retries: u32,
    delay_s: Option<f64>,
    held: bool,
    after: Vec<i64>,
    after_any: Vec<i64>,
}

/// A job: its words, a key that no two open jobs share, and the run it does (config, seed, name), if any.
#[derive(FromPyObject)]
struct Wanted {
    #[pyo3(item("command"))]
    command: Vec<String>,
    #[pyo3(item("key"))]
    key: Option<String>,
    #[pyo3(item("config"))]
    config: Option<Object>,
    #[pyo3(item("seed"))]
    seed: i64,
    #[pyo3(item("name"))]
    name: String,
}

fn ms(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

impl Wishes {
    fn job(&self, tx: &WriteTx<'_>, experiment: Option<ExperimentId>) -> NewJob {
        NewJob {
            experiment,
            settings: JobSettings {
                cwd: self.cwd.clone(),
                env: self.env.clone(),
                conda: self.conda.clone(),
                venv: self.venv.clone(),
                yaml: self.yaml,
                exp_dir: self.exp_dir.clone(),
                grace_ms: self.grace_s.map(ms),
                retry_ms: self.retry_delay_s.map(ms),
                ..JobSettings::default()
            },
            priority: self.priority,
            cores: self.cores,
            gpus: self.gpus,
            memory_mib: self.memory_mib,
            time_limit_ms: self.time_limit_s.map(|time| ms(time).max(1)),
            try_max: self.retries.saturating_add(1),
            due_at_ms: self.delay_s.map(|delay| tx.now_ms + ms(delay)),
            held: self.held,
            needs: (self.after.iter().map(|job| (JobId(*job), true)))
                .chain(self.after_any.iter().map(|job| (JobId(*job), false)))
                .collect(),
            ..NewJob::new(Vec::new())
        }
    }
}

impl Wanted {
    /// Makes the run of a job that has a config.
    fn run(
        &self,
        tx: &WriteTx<'_>,
        experiment: Option<ExperimentId>,
        who: &str,
    ) -> Result<Option<RunId>> {
        let Some(config) = &self.config else { return Ok(None) };
        let experiment = experiment.ok_or_else(|| {
            Error::invalid("config", "belongs to a run, and a run to an experiment: name one")
        })?;
        let config = protocol::add_config(tx, &config.0)?;
        protocol::add_run(tx, experiment, config, None, &self.name, self.seed, who).map(Some)
    }

    /// Fills the holes of the words that are parameters; those of paths are left for the worker.
    fn words(&self) -> Result<Vec<String>> {
        match &self.config {
            None => Ok(self.command.clone()),
            Some(config) => fill(&self.command, &config.0, self.seed),
        }
    }
}

fn fill(command: &[String], config: &Map<String, Value>, seed: i64) -> Result<Vec<String>> {
    mle::spec::fill(command, config, seed, Some("{config}"), "{exp_dir}")
}

#[pymethods]
impl Db {
    /// Adds jobs in one transaction; returns `(job, run or None)` of each. With `fill` holes such as `{lr}` are filled.
    #[pyo3(signature = (jobs, wishes, experiment=None, fill=false, who="python"))]
    fn add_jobs(
        &self,
        py: Python<'_>,
        jobs: Vec<Wanted>,
        wishes: Wishes,
        experiment: Option<i64>,
        fill: bool,
        who: &str,
    ) -> PyResult<Vec<(i64, Option<i64>)>> {
        let experiment = experiment.map(ExperimentId);
        self.write(py, |tx| {
            let mut job = wishes.job(tx, experiment);
            let mut adder = queue::Adder::new(tx)?;
            let mut added = Vec::with_capacity(jobs.len());
            for wanted in &jobs {
                if wanted.command.is_empty() {
                    return Err(Error::invalid("command", "is empty"));
                }
                job.run = wanted.run(tx, experiment, who)?;
                job.command = if fill { wanted.words()? } else { wanted.command.clone() };
                job.settings.places = fill
                    && job
                        .command
                        .iter()
                        .any(|word| word.contains("{config}") || word.contains("{exp_dir}"));
                job.unique_key.clone_from(&wanted.key);
                let id = adder.add(tx, &job, who)?;
                added.push((id.0, job.run.map(|run| run.0)));
            }
            Ok(added)
        })
    }

    /// Cancels jobs: at once when no worker holds them, else their workers are asked to stop them.
    #[pyo3(signature = (jobs, who="python"))]
    fn cancel_jobs(&self, py: Python<'_>, jobs: Vec<i64>, who: &str) -> PyResult<()> {
        self.write(py, |tx| {
            for job in &jobs {
                match queue::cancel(tx, JobId(*job), who) {
                    Ok(over) => lifecycle::after_cancel(tx, &over, who)?,
                    // One that needed an earlier one was cancelled with it, or it was over.
                    Err(Error::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }

    /// Queues an ended job again, with all its tries.
    #[pyo3(signature = (job, who="python"))]
    fn retry_job(&self, py: Python<'_>, job: i64, who: &str) -> PyResult<()> {
        self.write(py, |tx| lifecycle::retry(tx, JobId(job), who))
    }

    /// Says why a job is not running or how it stands: pairs of a reason and a remedy.
    fn explain_job(&self, py: Python<'_>, job: i64) -> PyResult<Vec<(String, Option<String>)>> {
        let reasons = self.read(py, |tx| lifecycle::explain(tx, JobId(job)))?;
        Ok(reasons.into_iter().map(|reason| (reason.text, reason.remedy)).collect())
    }

    /// Cancels, pauses or resumes an experiment with its jobs.
    #[pyo3(signature = (experiment, verb, who="python"))]
    fn steer_experiment(
        &self,
        py: Python<'_>,
        experiment: Which,
        verb: &str,
        who: &str,
    ) -> PyResult<()> {
        self.write(py, |tx| {
            let id = experiment.find(tx)?;
            match verb {
                "cancel" => lifecycle::cancel(tx, id, who),
                "pause" => lifecycle::pause(tx, id, who),
                "resume" => lifecycle::resume(tx, id, who),
                other => Err(Error::invalid("verb", format!("\"{other}\" is not known"))),
            }
        })
    }
}
