//! One turn of the searcher: trials whose runs ended get their value, and the strategy is asked for the next ones.
//!
//! The ask and the enqueueing are one transaction: no proposal is lost, and none is made twice.

use serde_json::{Map, Value};

use crate::aggregate;
use crate::error::{Error, Result};
use crate::id::{ConfigId, ExperimentId, RunId, StudyId, TrialId};
use crate::protocol::{self, Aggregate};
use crate::spec::Plan;
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};
use crate::study::{self, Memory, Nothing, Wanted};

use super::experiment::add_run_job;
use super::values_of;

const TEXT: &str = include_str!("../../sql/search.sql");
pub(super) const ADD_STUDY: &str = named(TEXT, "add_study");
const SEARCH_DUE: &str = named(super::TEXT, "search_due");
const OPEN_STUDIES: &str = named(TEXT, "open_studies");
const PLAN_OF_STUDY: &str = named(TEXT, "plan_of_study");
const PENDING_TRIALS: &str = named(TEXT, "pending_trials");
const SETTLED_TRIALS: &str = named(TEXT, "settled_trials");
const RUNS_OF_TRIAL: &str = named(TEXT, "runs_of_trial");
const END_TRIAL: &str = named(TEXT, "end_trial");
const SET_STUDY_STATE: &str = named(TEXT, "set_study_state");

struct Study {
    id: StudyId,
    experiment: ExperimentId,
    state: String,
    trial_ahead: u64,
}

/// How a trial becomes runs and jobs.
struct Work {
    plan: Plan,
    cwd: String,
    seeds: Vec<i64>,
}

/// Takes one turn with every open study; returns how many trials ended or were asked for.
///
/// # Errors
/// [`Error::Sqlite`]; [`Error::Invalid`] when a stored study cannot be read.
pub fn search(tx: &WriteTx<'_>, memory: &mut Memory, who: &str) -> Result<usize> {
    let mut changes = 0;
    for study in open_studies(tx)? {
        changes += settle(tx, &study, who)?;
        changes += ask(tx, memory, &study, who)?;
    }
    Ok(changes)
}

/// Returns whether [`search`] could change anything; takes no write lock.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn search_due(tx: &ReadTx<'_>) -> Result<bool> {
    tx.one(SEARCH_DUE, [], |row| row.get(0))
}

fn open_studies(tx: &ReadTx<'_>) -> Result<Vec<Study>> {
    tx.all(OPEN_STUDIES, [], |row| {
        Ok(Study {
            id: row.get(0)?,
            experiment: row.get(1)?,
            state: row.get(2)?,
            trial_ahead: row.get::<_, i64>(3)?.unsigned_abs(),
        })
    })
}

/// Ends the trials all of whose runs ended.
fn settle(tx: &WriteTx<'_>, study: &Study, who: &str) -> Result<usize> {
    let settled: Vec<TrialId> =
        tx.all(SETTLED_TRIALS, named_params! { ":study": study.id }, |row| row.get(0))?;
    if settled.is_empty() {
        return Ok(0);
    }
    let objectives = protocol::objectives(tx, study.experiment)?;
    let how = objectives.first().map_or(Aggregate::Mean, |objective| objective.aggregate);
    for trial in &settled {
        let runs: Vec<(RunId, String)> =
            tx.all(RUNS_OF_TRIAL, named_params! { ":trial": trial }, |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let mut columns: Vec<Vec<f64>> = Vec::new();
        for (run, _) in runs.iter().filter(|(_, state)| state == "complete") {
            for (i, (_, value)) in values_of(tx, *run)?.into_iter().enumerate() {
                if columns.len() <= i {
                    columns.push(Vec::new());
                }
                columns[i].push(value.unwrap_or(f64::NAN));
            }
        }
        let failed = columns.is_empty() && !objectives.is_empty()
            || !runs.iter().any(|(_, state)| state == "complete");
        let values: Vec<Value> = columns
            .iter()
            .map(|column| crate::metric::json_number(over_seeds(how, column)))
            .collect();
        tx.run(
            END_TRIAL,
            named_params! {
                ":trial": trial, ":state": if failed { "failed" } else { "complete" }, ":curve": None::<String>,
                ":vals": (!failed).then(|| Value::Array(values).to_string()), ":now_ms": tx.now_ms, ":who": who,
            },
        )?;
    }
    Ok(settled.len())
}

/// One number of a trial out of those of its seeds; a seed whose value is NaN makes it NaN.
fn over_seeds(how: Aggregate, values: &[f64]) -> f64 {
    let p = match how {
        Aggregate::Mean => return values.iter().sum::<f64>() / values.len() as f64,
        Aggregate::P10 => 0.10,
        Aggregate::P25 => 0.25,
        Aggregate::P50 => 0.50,
        Aggregate::P75 => 0.75,
        Aggregate::P90 => 0.90,
    };
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    aggregate::quantile(sorted.len(), p, |i| sorted[i])
}

/// Asks for trials until enough are waiting or running.
fn ask(tx: &WriteTx<'_>, memory: &mut Memory, study: &Study, who: &str) -> Result<usize> {
    if study.state == "paused" {
        return Ok(0);
    }
    let pending: Vec<TrialId> =
        tx.all(PENDING_TRIALS, named_params! { ":study": study.id }, |row| row.get(0))?;
    let mut pending = pending.len() as u64;
    let set_state = |state: &str| {
        tx.run(
            SET_STUDY_STATE,
            named_params! { ":study": study.id, ":state": state, ":now_ms": tx.now_ms, ":who": who },
        )
    };
    if study.state == "exhausted" || pending >= study.trial_ahead {
        if study.state == "exhausted" && pending == 0 {
            set_state("closed")?;
            return Ok(1);
        }
        return Ok(0);
    }
    let mut asked = 0;
    let given = study::points_to_try(tx, study.id, study.trial_ahead - pending)?;
    let mut work = if given.is_empty() { None } else { Some(self::work(tx, study.id)?) };
    for (trial, config, wanted) in given {
        if let Some(work) = &work {
            let config = match config {
                Some(config) => config,
                None => protocol::add_config(tx, &work.config(&wanted.params))?,
            };
            add_runs(tx, study, work, trial, config, &wanted, who)?;
        }
        pending += 1;
        asked += 1;
    }
    let search = memory.search(tx, study.id)?;
    while pending < study.trial_ahead {
        let wanted = match search.ask()? {
            Ok(wanted) => wanted,
            Err(Nothing::Wait) if pending > 0 => break,
            Err(_) => {
                set_state(if pending == 0 { "closed" } else { "exhausted" })?;
                asked += 1;
                break;
            }
        };
        if work.is_none() {
            work = Some(self::work(tx, study.id)?);
        }
        if let Some(work) = &work {
            enqueue(tx, study, work, &wanted, search.seen(), who)?;
        }
        pending += 1;
        asked += 1;
    }
    Ok(asked)
}

fn work(tx: &ReadTx<'_>, study: StudyId) -> Result<Work> {
    let bad =
        |error: serde_json::Error| Error::invalid(format!("study {study}"), error.to_string());
    let texts: (String, String, String) =
        tx.one(PLAN_OF_STUDY, named_params! { ":study": study }, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    Ok(Work {
        plan: serde_json::from_str(&texts.0).map_err(bad)?,
        cwd: texts.1,
        seeds: serde_json::from_str(&texts.2).map_err(bad)?,
    })
}

fn enqueue(
    tx: &WriteTx<'_>,
    study: &Study,
    work: &Work,
    wanted: &Wanted,
    seen: i64,
    who: &str,
) -> Result<()> {
    if wanted.resumed {
        let why = "goes on with trials that ended, which jobs cannot do";
        return Err(Error::invalid("strategy", why));
    }
    let config = protocol::add_config(tx, &work.config(&wanted.params))?;
    let trial = study::write_trial(tx, study.id, wanted, Some(config), seen, "waiting", who)?;
    add_runs(tx, study, work, trial, config, wanted, who)
}

/// Adds the runs and jobs of a trial, one for each seed.
fn add_runs(
    tx: &WriteTx<'_>,
    study: &Study,
    work: &Work,
    trial: TrialId,
    config_id: ConfigId,
    wanted: &Wanted,
    who: &str,
) -> Result<()> {
    let config = work.config(&wanted.params);
    let name = format!("trial_{}", wanted.number);
    for seed in &work.seeds {
        let run =
            protocol::add_run(tx, study.experiment, config_id, Some(trial), &name, *seed, who)?;
        let (plan, cwd) = (&work.plan, &work.cwd);
        add_run_job(tx, study.experiment, plan, cwd, run, &config, *seed, &[], who)?;
    }
    Ok(())
}

impl Work {
    fn config(&self, params: &Map<String, Value>) -> Map<String, Value> {
        match &self.plan.search {
            Some(search) => search.config(&self.plan.base, params),
            None => params.clone(),
        }
    }
}
