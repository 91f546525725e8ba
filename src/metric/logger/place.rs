//! Where a logger logs to: the run of the job it is in, or a run made for it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::lost::LOST;
use crate::error::{Error, Result};
use crate::id::{ConfigId, ExperimentId, JobId, RunId};
use crate::metric::{Appended, Appender, final_value, settle, tail};
use crate::process::Identity;
use crate::protocol::{
    self, Kind, NewExperiment, Objective, Provenance, RunState, State, add_config, add_run,
    count_open_runs, end_run, score_config, start_run,
};
use crate::sql::named;
use crate::store::{Open, ReadTx, Store, WriteTx, named_params};

const ORIGIN_OF_RUN: &str = named(include_str!("../../../sql/metric.sql"), "origin_of_run");
const ERROR_OF_RUN: &str = named(include_str!("../../../sql/metric.sql"), "error_of_run");

const WHO: &str = "logger";

/// What a run that is made for a logger is to be. The default is a run without config of a new experiment.
#[derive(Debug, Clone)]
pub struct LoggerOptions {
    /// The new experiment's name; empty: the program's.
    pub name: String,
    /// Why it is done.
    pub purpose: String,
    /// What it belongs to; empty: "default".
    pub project: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What its runs are valued by.
    pub objectives: Vec<Objective>,
    /// All inputs of the run except the seed.
    pub config: Map<String, Value>,
    /// What the run is called in lists; of its config.
    pub config_name: String,
    /// What makes the run repeatable.
    pub seed: i64,
    /// Add the run to this experiment instead of making one.
    pub experiment: Option<ExperimentId>,
    /// Add the run to the latest experiment of this name, which is made where there is none.
    pub join: Option<String>,
    /// Go on with this run instead of making one, also when it ended. Where other processes log it too, the last of them ends it.
    pub run: Option<RunId>,
    /// Inside a job, log to the job's run.
    pub from_environment: bool,
    /// Leave the run running at the end: another logger or program ends it.
    pub keep_open: bool,
    /// The script that logs, to be kept with a new experiment.
    pub script: Option<PathBuf>,
}

impl Default for LoggerOptions {
    fn default() -> Self {
        LoggerOptions {
            name: String::new(),
            purpose: String::new(),
            project: String::new(),
            tags: Vec::new(),
            objectives: Vec::new(),
            config: Map::new(),
            config_name: String::new(),
            seed: 0,
            experiment: None,
            join: None,
            run: None,
            from_environment: true,
            keep_open: false,
            script: None,
        }
    }
}

/// Where updates go. `owned` runs are ended by the logger.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) run: RunId,
    pub(super) job: Option<(JobId, i64)>,
    attempt: i64,
    owned: bool,
    /// The process an owned run ends with.
    process: Option<Identity>,
}

/// What a worker tells its job.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Environment {
    db: Option<PathBuf>,
    run: RunId,
    job: Option<JobId>,
    attempt: i64,
}

impl Environment {
    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Environment>> {
        let number = |name: &str| match variable(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => text
                .parse::<i64>()
                .map(Some)
                .map_err(|_| Error::invalid(name, format!("{text:?} is no number"))),
        };
        let Some(run) = number("MLE_RUN")? else { return Ok(None) };
        let db = variable("MLE_DB").filter(|text| !text.is_empty());
        if let Some(db) = db.as_deref().filter(|db| db.contains("://")) {
            return Err(Error::invalid("MLE_DB", format!("{db} is on another host"))
                .with_hint("print `::mle {…}` lines or use `mle log`: the worker carries them"));
        }
        Ok(Some(Environment {
            db: db.map(PathBuf::from),
            run: RunId(run),
            job: number("MLE_JOB")?.map(JobId),
            attempt: number("MLE_ATTEMPT")?.unwrap_or(0),
        }))
    }
}

impl Place {
    pub(super) fn open(path: &Path, options: LoggerOptions) -> Result<(Place, Store)> {
        let environment = if options.from_environment {
            Environment::read(|name| std::env::var(name).ok())?
        } else {
            None
        };
        match environment {
            Some(environment) => Place::of_job(path, environment),
            None => Place::made(path, options),
        }
    }

    fn of_job(path: &Path, environment: Environment) -> Result<(Place, Store)> {
        let Environment { db, run, job, attempt } = environment;
        let path = std::path::absolute(db.as_deref().unwrap_or(path))
            .map_err(|error| Error::io(path, error))?;
        let mut store = open_store(&path, Open::Existing)?;
        let place = Place {
            path,
            run,
            job: job.map(|job| (job, attempt)),
            attempt,
            owned: false,
            process: None,
        };
        store.write(|tx| place.begin(tx))?;
        Ok((place, store))
    }

    fn made(path: &Path, options: LoggerOptions) -> Result<(Place, Store)> {
        let path = std::path::absolute(path).map_err(|error| Error::io(path, error))?;
        let mut store = open_store(&path, Open::Create)?;
        // Looking at the machine and the code takes a while, and is no part of the transaction.
        let joined = match &options.join {
            Some(name) => store.read(|tx| joined(tx, name))?,
            None => None,
        };
        let provenance = match (options.run, options.experiment.or(joined)) {
            (None, None) => {
                let words: Vec<String> =
                    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
                Some(Provenance::capture(Path::new("."), options.script.as_deref(), &words))
            }
            _ => None,
        };
        let place = store.write(|tx| {
            let run = match options.run {
                Some(run) => run,
                None => make_run(tx, &options, provenance.as_ref())?,
            };
            let (kind, mut state, ..) = origin(tx, run)?;
            if kind == Kind::Log && state.is_end() && !options.keep_open {
                go_on(tx, run)?;
                state = RunState::Running;
            }
            if state == RunState::Waiting {
                start_run(tx, run, WHO)?;
            }
            let owned = kind == Kind::Log && !state.is_end() && !options.keep_open;
            let process = owned.then(Identity::own);
            let place = Place { path, run, job: None, attempt: 0, owned, process };
            place.begin(tx)?;
            place.hold(tx)?;
            Ok(place)
        })?;
        Ok((place, store))
    }

    pub(super) fn appender(&self) -> Appender {
        match self.job {
            Some((job, attempt)) => Appender::for_job(job, attempt),
            None => Appender::new(self.run, self.attempt),
        }
    }

    pub(super) fn store(&self) -> Result<Store> {
        open_store(&self.path, Open::Existing)
    }

    /// The job as messages name it.
    pub(super) fn job_name(&self) -> String {
        self.job.map(|(job, _)| job.to_string()).unwrap_or_default()
    }

    /// Adds one update to what waits to become points.
    pub(super) fn put(
        &self,
        tx: &WriteTx<'_>,
        step: Option<i64>,
        at_ms: i64,
        clock: &[(&str, f64)],
        stats: &[(&str, f64)],
    ) -> Result<Appended> {
        let Some((run, attempt)) = self.appender().run(tx)? else {
            return Ok(Appended::LeaseLost);
        };
        tail::put(tx, run, attempt, step, at_ms, clock, stats)?;
        Ok(Appended::Done)
    }

    /// Times count from here.
    fn begin(&self, tx: &WriteTx<'_>) -> Result<()> {
        match self.appender().begin(tx, tx.now_ms)? {
            Appended::Done => Ok(()),
            Appended::LeaseLost => Err(Error::Conflict {
                what: "job",
                id: self.job_name(),
                why: "is no longer this attempt's: its lease was lost".into(),
            }),
        }
    }

    /// Ties the end of the run to this process.
    fn hold(&self, tx: &WriteTx<'_>) -> Result<()> {
        let Some(identity) = &self.process else { return Ok(()) };
        let process = protocol::keep_process(tx, identity)?;
        protocol::hold_run(tx, self.run, process)
    }

    /// Returns whether anybody may ask for signs of life.
    pub(super) fn is_held(&self) -> bool {
        self.process.is_some()
    }

    /// Says that this process is still there. A run that was given up meanwhile, as from elsewhere only silence was heard,
    /// is taken up again; one that somebody else ended or goes on with is theirs.
    pub(super) fn keep(&self, tx: &WriteTx<'_>) -> Result<()> {
        let Some(identity) = &self.process else { return Ok(()) };
        if protocol::is_run_held(tx, self.run)? {
            return protocol::keep_process(tx, identity).map(drop);
        }
        let error: Option<Option<String>> =
            tx.maybe(ERROR_OF_RUN, named_params! { ":run": self.run }, |row| row.get(0))?;
        if error.flatten().as_deref() == Some(LOST) {
            go_on(tx, self.run)?;
            self.hold(tx)?;
        }
        Ok(())
    }

    /// Ends the run, when it is ours and no other process is at work on it, and the experiment with its last one.
    pub(super) fn end(&mut self, why: Option<&str>) -> Result<()> {
        if !std::mem::take(&mut self.owned) {
            return Ok(());
        }
        Store::open(&self.path, Open::Existing)?.write(|tx| {
            // Taken up again where it was given up meanwhile, to end as it did.
            self.keep(tx)?;
            let process = match &self.process {
                Some(identity) => Some(protocol::keep_process(tx, identity)?),
                None => None,
            };
            if let Some(process) = process {
                protocol::let_run_go(tx, self.run, Some(process))?;
            }
            if !is_at_work(tx, self.run)? {
                end(tx, self.run, why, WHO)?;
            }
            process.map_or(Ok(()), |process| protocol::remove_idle_process(tx, process))
        })
    }
}

pub(super) fn open_store(path: &Path, how: Open) -> Result<Store> {
    let mut store = Store::open(path, how)?;
    store.checkpoint_by_hand();
    Ok(store)
}

fn make_run(
    tx: &WriteTx<'_>,
    options: &LoggerOptions,
    provenance: Option<&Provenance>,
) -> Result<RunId> {
    let known = match (options.experiment, &options.join) {
        (None, Some(name)) => joined(tx, name)?,
        (experiment, _) => experiment,
    };
    let experiment = match known {
        Some(experiment) => experiment,
        None => {
            let name = options.join.as_ref().unwrap_or(&options.name);
            let name = if name.is_empty() { program_name() } else { name.clone() };
            let mut new = NewExperiment::new(name, Kind::Log);
            new.purpose.clone_from(&options.purpose);
            if !options.project.is_empty() {
                new.project.clone_from(&options.project);
            }
            new.tags.clone_from(&options.tags);
            new.objectives.clone_from(&options.objectives);
            protocol::add(tx, &new, provenance.unwrap_or(&Provenance::default()))?
        }
    };
    protocol::set_state(tx, experiment, State::Running, None, WHO)?;
    let config = add_config(tx, &options.config)?;
    add_run(tx, experiment, config, None, &options.config_name, options.seed, WHO)
}

/// Returns the experiment a name means. What looks like an id or a uid must be there: it names no new one.
fn joined(tx: &ReadTx<'_>, name: &str) -> Result<Option<ExperimentId>> {
    let is_key = name.parse::<i64>().is_ok() || name.len() == 36 && name.matches('-').count() == 4;
    match protocol::find(tx, name) {
        Err(Error::NotFound { .. }) if !is_key => Ok(None),
        found => found.map(Some),
    }
}

/// Goes on with a run that ended.
fn go_on(tx: &WriteTx<'_>, run: RunId) -> Result<()> {
    let (_, _, experiment, config) = origin(tx, run)?;
    protocol::go_on_with_run(tx, run, WHO)?;
    score_config(tx, experiment, config)?;
    protocol::set_state(tx, experiment, State::Running, None, WHO).map(drop)
}

/// Says whether a process that a run is tied to is still there.
pub(super) fn is_at_work(tx: &ReadTx<'_>, run: RunId) -> Result<bool> {
    let holders = protocol::holders_of_run(tx, run)?;
    Ok(holders.iter().any(|holder| !holder.is_gone(tx.now_ms)))
}

/// Ends a run that no process is tied to from then on, and the experiment with its last one.
pub(super) fn end(tx: &WriteTx<'_>, run: RunId, why: Option<&str>, who: &str) -> Result<()> {
    let (_, state, experiment, config) = origin(tx, run)?;
    protocol::let_run_go(tx, run, None)?;
    if state.is_end() {
        return Ok(());
    }
    settle(tx, Some(run))?;
    let value = match protocol::objectives(tx, experiment)?.first() {
        Some(objective) if why.is_none() => {
            final_value(tx, run, &objective.metric, objective.value_from, objective.goal)?
        }
        _ => None,
    };
    let ended = if why.is_some() { RunState::Failed } else { RunState::Complete };
    end_run(tx, run, ended, value, why, who)?;
    score_config(tx, experiment, config)?;
    if count_open_runs(tx, experiment)? == 0 && protocol::state(tx, experiment)? == State::Running {
        let state = if why.is_some() { State::Failed } else { State::Complete };
        protocol::set_state(tx, experiment, state, why, who)?;
    }
    Ok(())
}

fn origin(tx: &ReadTx<'_>, run: RunId) -> Result<(Kind, RunState, ExperimentId, ConfigId)> {
    tx.maybe(ORIGIN_OF_RUN, named_params! { ":run": run }, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?
    .ok_or_else(|| Error::not_found("run", run))
}

fn program_name() -> String {
    std::env::current_exe()
        .ok()
        .and_then(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "log".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_known_by_its_environment() {
        let read = |pairs: &[(&str, &str)]| {
            Environment::read(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(read(&[("MLE_DB", "x.db")]).unwrap(), None);
        let job = [("MLE_DB", "/x.db"), ("MLE_RUN", "3"), ("MLE_JOB", "4"), ("MLE_ATTEMPT", "2")];
        assert_eq!(
            read(&job).unwrap(),
            Some(Environment {
                db: Some("/x.db".into()),
                run: RunId(3),
                job: Some(JobId(4)),
                attempt: 2
            })
        );
        assert!(read(&[("MLE_RUN", "three")]).is_err());
        assert!(read(&[("MLE_RUN", "3"), ("MLE_DB", "ssh://host/x.db")]).is_err());
    }
}
