//! Jobs as they are added: what they ask for, how they are started, what they wait for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CANCEL_OPEN_JOB, JobState, QUEUE, state};
use crate::error::Result;
use crate::id::{ExperimentId, JobId, RunId, new_uid};
use crate::sql::named;
use crate::store::{ReadTx, Statement, WriteTx, named_params, params};

const ADD_JOB: &str = named(QUEUE, "add_job");
pub(super) const FIND_OPEN_JOB_BY_KEY: &str = named(QUEUE, "find_open_job_by_key");
const ADD_NEED: &str = named(QUEUE, "add_need");

/// How a job is started, beyond its words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobSettings {
    /// The folder it starts in; the worker's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Variables set for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// A conda environment to activate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conda: Option<String>,
    /// A virtual environment to activate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venv: Option<String>,
    /// Whether the words hold `{config}` or `{exp_dir}`, which the worker fills with paths of files it makes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub places: bool,
    /// Whether the config's file is YAML, as the user's own was; else JSON.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub yaml: bool,
    /// A folder of the user's that takes the place of the scratch folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp_dir: Option<String>,
    /// The key path of the config that holds the path of the checkpoint it resumes from, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_key: Option<String>,
    /// Time between asking a job to stop and killing it [ms].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<i64>,
    /// Delay of the first retry [ms]; each further one doubles it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<i64>,
}

/// A job to add.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// The experiment it belongs to.
    pub experiment: Option<ExperimentId>,
    /// The run it does.
    pub run: Option<RunId>,
    /// `before`, `main` or `after` in its experiment.
    pub stage: &'static str,
    /// The words of its command; no shell sees them.
    pub command: Vec<String>,
    /// How it is started.
    pub settings: JobSettings,
    /// Larger goes first.
    pub priority: i64,
    /// Cores it takes.
    pub cores: u32,
    /// GPUs it takes.
    pub gpus: u32,
    /// Memory it takes [MiB]; 0: not counted and not limited.
    pub memory_mib: u64,
    /// When it is stopped after its start [ms].
    pub time_limit_ms: Option<i64>,
    /// How often it may fail, and then it has failed.
    pub try_max: u32,
    /// While a job with this key is open, another add returns that one.
    pub unique_key: Option<String>,
    /// Not before this time [unix ms].
    pub due_at_ms: Option<i64>,
    /// Wait for `mle resume`.
    pub held: bool,
    /// Jobs it waits for, and whether they must have succeeded.
    pub needs: Vec<(JobId, bool)>,
}

impl NewJob {
    /// Returns a job of one core with no other wishes.
    pub fn new(command: Vec<String>) -> Self {
        NewJob {
            experiment: None,
            run: None,
            stage: "main",
            command,
            settings: JobSettings::default(),
            priority: 0,
            cores: 1,
            gpus: 0,
            memory_mib: 0,
            time_limit_ms: None,
            try_max: 1,
            unique_key: None,
            due_at_ms: None,
            held: false,
            needs: Vec::new(),
        }
    }
}

/// Adds a job; with a unique key that an open job has, returns that one instead.
///
/// # Errors
/// [`crate::Error::NotFound`] for a needed job that is not there; [`crate::Error::Sqlite`].
pub fn add(tx: &WriteTx<'_>, job: &NewJob, who: &str) -> Result<JobId> {
    Adder::new(tx)?.add(tx, job, who)
}

/// Adds many jobs at little cost each: what they share is prepared once.
pub struct Adder<'tx> {
    insert: Statement<'tx>,
    settings: Option<(JobSettings, String)>,
}

impl<'tx> Adder<'tx> {
    /// Prepares.
    ///
    /// # Errors
    /// [`crate::Error::Sqlite`].
    pub fn new(tx: &'tx WriteTx<'_>) -> Result<Self> {
        Ok(Adder { insert: tx.inserter(ADD_JOB)?, settings: None })
    }

    /// As [`add`].
    ///
    /// # Errors
    /// As [`add`].
    pub fn add(&mut self, tx: &WriteTx<'_>, job: &NewJob, who: &str) -> Result<JobId> {
        if let Some(key) = &job.unique_key
            && let Some(id) =
                tx.maybe(FIND_OPEN_JOB_BY_KEY, named_params! { ":key": key }, |row| row.get(0))?
        {
            return Ok(id);
        }
        let needs = needs_of(tx, job)?;
        let unmet: i64 = needs.iter().map(|need| i64::from(need.2 == "open")).sum();
        let due = job.due_at_ms.filter(|due| *due > tx.now_ms);
        let waits = unmet > 0 || job.held || due.is_some();
        let state = if waits { JobState::Waiting } else { JobState::Queued };
        let memory_mib = i64::try_from(job.memory_mib).unwrap_or(i64::MAX);
        let settings = match &self.settings {
            Some((same, text)) if *same == job.settings => text,
            _ => &self.settings.insert((job.settings.clone(), json(&job.settings)?)).1,
        };
        // By place, in the order of the statement: looking up names costs as much as the row.
        let id = JobId(self.insert.insert(params![
            new_uid(),
            job.experiment,
            job.run,
            job.stage,
            state,
            json(&job.command)?,
            settings,
            job.priority,
            job.cores,
            job.gpus,
            memory_mib,
            job.time_limit_ms,
            job.try_max,
            job.unique_key,
            due,
            unmet,
            job.held,
            tx.now_ms,
            who,
        ])?);
        for (need, only_success, state) in &needs {
            let need = named_params! { ":needs": need, ":job": id, ":only_success": only_success, ":state": state };
            tx.run(ADD_NEED, need)?;
        }
        if let Some((need, _, _)) = needs.iter().find(|need| need.2 == "failed") {
            let error = format!("job {need}, which it needs, did not succeed");
            tx.run(
                CANCEL_OPEN_JOB,
                named_params! { ":id": id, ":error": error, ":now_ms": tx.now_ms, ":who": who },
            )?;
        }
        Ok(id)
    }
}

/// Returns the needs of a job that is to be added, each with how it stands.
fn needs_of(tx: &ReadTx<'_>, job: &NewJob) -> Result<Vec<(JobId, bool, &'static str)>> {
    job.needs
        .iter()
        .map(|(need, only_success)| {
            let stands = match state(tx, *need)? {
                JobState::Succeeded => "met",
                state if !state.is_end() => "open",
                _ if *only_success => "failed",
                _ => "met",
            };
            Ok((*need, *only_success, stands))
        })
        .collect()
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| crate::Error::invalid("job", error.to_string()))
}
