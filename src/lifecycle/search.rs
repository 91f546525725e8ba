//! One turn of the searcher: trials whose runs ended get their value, and the strategy is asked for the next ones.
//!
//! The ask and the enqueueing are one transaction: no proposal is lost, and none is made twice.

use serde_json::{Map, Value};

use crate::aggregate;
use crate::error::{Error, Result};
use crate::id::{ConfigId, ExperimentId, RunId, StudyId, TrialId, new_uid};
use crate::protocol;
use crate::search::engine::Engine;
use crate::search::history::{Past, PastState};
use crate::search::space::Space;
use crate::search::strategy::Setup;
use crate::spec::{Aggregate, Plan};
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

use super::experiment::add_run_job;
use super::values_of;

const TEXT: &str = include_str!("../../sql/search.sql");
pub(super) const ADD_STUDY: &str = named(TEXT, "add_study");
const SEARCH_DUE: &str = named(super::TEXT, "search_due");
const OPEN_STUDIES: &str = named(TEXT, "open_studies");
const PENDING_TRIALS: &str = named(TEXT, "pending_trials");
const HISTORY: &str = named(TEXT, "history");
const RUNS_OF_TRIAL: &str = named(TEXT, "runs_of_trial");
const ADD_TRIAL: &str = named(TEXT, "add_trial");
const END_TRIAL: &str = named(TEXT, "end_trial");
const SET_STUDY_STATE: &str = named(TEXT, "set_study_state");

struct Study {
    id: StudyId,
    experiment: ExperimentId,
    state: String,
    strategy: String,
    settings: Map<String, Value>,
    space: Value,
    seeds: Vec<i64>,
    seed: u64,
    trial_max: Option<u64>,
    trial_ahead: u64,
    plan: Plan,
    cwd: String,
}

/// Takes one turn with every open study; returns how many trials ended or were asked for.
///
/// # Errors
/// [`Error::Sqlite`]; [`Error::Invalid`] when a stored study cannot be read.
pub fn search(tx: &WriteTx<'_>, who: &str) -> Result<usize> {
    let mut changes = 0;
    for study in open_studies(tx)? {
        changes += settle(tx, &study, who)?;
        changes += ask(tx, &study, who)?;
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
    let rows: Vec<Result<Study>> = tx.all(OPEN_STUDIES, [], |row| {
        let id: StudyId = row.get("id")?;
        let texts: [String; 4] =
            [row.get("settings")?, row.get("space")?, row.get("seeds")?, row.get("plan")?];
        let [settings, space, seeds, plan] = texts.each_ref().map(String::as_str);
        let bad =
            |error: serde_json::Error| Error::invalid(format!("study {id}"), error.to_string());
        let parts = || -> Result<_> {
            Ok((
                serde_json::from_str(settings).map_err(bad)?,
                serde_json::from_str(space).map_err(bad)?,
                serde_json::from_str(seeds).map_err(bad)?,
                serde_json::from_str(plan).map_err(bad)?,
            ))
        };
        let (settings, space, seeds, plan) = match parts() {
            Ok(parts) => parts,
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok(Study {
            id,
            experiment: row.get("experiment_id")?,
            state: row.get("state")?,
            strategy: row.get("strategy")?,
            settings,
            space,
            seeds,
            seed: row.get::<_, i64>("seed")?.cast_unsigned(),
            trial_max: row.get::<_, Option<i64>>("trial_max")?.map(i64::unsigned_abs),
            trial_ahead: row.get::<_, i64>("trial_ahead")?.unsigned_abs(),
            plan,
            cwd: row.get("cwd")?,
        }))
    })?;
    rows.into_iter().collect()
}

/// Ends the trials all of whose runs ended.
fn settle(tx: &WriteTx<'_>, study: &Study, who: &str) -> Result<usize> {
    let pending: Vec<TrialId> =
        tx.all(PENDING_TRIALS, named_params! { ":study": study.id }, |row| row.get(0))?;
    let mut ended = 0;
    for trial in pending {
        let runs: Vec<(RunId, String)> =
            tx.all(RUNS_OF_TRIAL, named_params! { ":trial": trial }, |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        if runs.iter().any(|(_, state)| matches!(state.as_str(), "waiting" | "running")) {
            continue;
        }
        let mut columns: Vec<Vec<f64>> = Vec::new();
        for (run, _) in runs.iter().filter(|(_, state)| state == "complete") {
            for (i, (_, value)) in values_of(tx, *run)?.into_iter().enumerate() {
                if columns.len() <= i {
                    columns.push(Vec::new());
                }
                columns[i].push(value.unwrap_or(f64::NAN));
            }
        }
        let failed = columns.is_empty() && !study.plan.objectives.is_empty()
            || !runs.iter().any(|(_, state)| state == "complete");
        let values: Vec<Value> = columns
            .iter()
            .map(|column| crate::metric::json_number(over_seeds(study.plan.aggregate, column)))
            .collect();
        tx.run(
            END_TRIAL,
            named_params! {
                ":trial": trial, ":state": if failed { "failed" } else { "complete" },
                ":vals": (!failed).then(|| Value::Array(values).to_string()), ":now_ms": tx.now_ms, ":who": who,
            },
        )?;
        ended += 1;
    }
    Ok(ended)
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
fn ask(tx: &WriteTx<'_>, study: &Study, who: &str) -> Result<usize> {
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
    let mut engine = engine(tx, study)?;
    let mut asked = 0;
    while pending < study.trial_ahead {
        let left = study.trial_max.is_none_or(|max| engine.history().next_number() < max);
        // What was at work when it was asked; all else had ended, and what ended does not change.
        let seen: Vec<u64> =
            engine.history().iter().filter(|past| !past.ended()).map(|past| past.number).collect();
        let Some(Ok(next)) = left.then(|| engine.ask()).transpose()? else {
            set_state(if pending == 0 { "closed" } else { "exhausted" })?;
            asked += 1;
            break;
        };
        enqueue(tx, study, next.number, &next.params, &seen, who)?;
        pending += 1;
        asked += 1;
    }
    Ok(asked)
}

fn enqueue(
    tx: &WriteTx<'_>,
    study: &Study,
    number: u64,
    params: &Map<String, Value>,
    seen: &[u64],
    who: &str,
) -> Result<()> {
    let search = study.plan.search.as_ref();
    let config =
        search.map_or_else(|| params.clone(), |search| search.config(&study.plan.base, params));
    let config_id: ConfigId = protocol::add_config(tx, &config)?;
    let trial = TrialId(tx.insert(
        ADD_TRIAL,
        named_params! {
            ":uid": new_uid(), ":study": study.id, ":number": i64::try_from(number).unwrap_or(i64::MAX),
            ":config": config_id, ":params": Value::Object(params.clone()).to_string(),
            ":seen": serde_json::to_string(seen).unwrap_or_else(|_| "[]".into()), ":now_ms": tx.now_ms, ":who": who,
        },
    )?);
    let name = format!("trial_{number}");
    for seed in &study.seeds {
        let run =
            protocol::add_run(tx, study.experiment, config_id, Some(trial), &name, *seed, who)?;
        add_run_job(tx, study.experiment, &study.plan, &study.cwd, run, &config, *seed, &[], who)?;
    }
    Ok(())
}

/// Returns the study's search as the file has it.
fn engine(tx: &ReadTx<'_>, study: &Study) -> Result<Engine> {
    let mut engine = Engine::new(
        &study.strategy,
        Setup {
            settings: study.settings.clone(),
            trials: study.trial_max,
            objectives: study.plan.objectives.len().max(1),
            workers: usize::try_from(study.trial_ahead).unwrap_or(1),
            ..Setup::new(Space::parse(&study.space)?, study.seed)
        },
    )?;
    for past in history(tx, study)? {
        engine.put(past);
    }
    Ok(engine)
}

fn history(tx: &ReadTx<'_>, study: &Study) -> Result<Vec<Past>> {
    let goals: Vec<f64> = study
        .plan
        .objectives
        .iter()
        .map(|objective| if objective.goal == crate::spec::Goal::Max { -1.0 } else { 1.0 })
        .collect();
    tx.all(HISTORY, named_params! { ":study": study.id }, |row| {
        let params: String = row.get(1)?;
        let state: String = row.get(2)?;
        let values: Option<String> = row.get(3)?;
        let number = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
        let params = serde_json::from_str(&params).unwrap_or_default();
        let state = match state.as_str() {
            // Strategies minimise.
            "complete" => PastState::Complete {
                values: numbers(values.as_deref().unwrap_or("[]"))
                    .into_iter()
                    .enumerate()
                    .map(|(i, value)| value * goals.get(i).copied().unwrap_or(1.0))
                    .collect(),
            },
            "failed" => PastState::Failed,
            "pruned" => PastState::Pruned,
            _ => PastState::Pending,
        };
        Ok(Past::new(number, params, state))
    })
}

fn numbers(text: &str) -> Vec<f64> {
    let values: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    values
        .iter()
        .map(|value| match value {
            Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
            Value::String(text) if text == "inf" => f64::INFINITY,
            Value::String(text) if text == "-inf" => f64::NEG_INFINITY,
            _ => f64::NAN,
        })
        .collect()
}
