//! One turn of the searcher: trials whose runs ended get their value, and the strategy is asked for the next ones.
//!
//! The ask and the enqueueing are one transaction: no proposal is lost, and none is made twice.

use serde_json::{Map, Value};

use crate::aggregate;
use crate::error::{Error, Result};
use crate::id::{ConfigId, ExperimentId, RunId, StudyId, TrialId};
use crate::protocol::{self, Aggregate};
use crate::search::strategy::{EXTERNAL, RACING};
use crate::spec::Plan;
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};
use crate::study::{self, Memory, Nothing, Wanted};

use super::curve::{Leg, curve};
use super::experiment::{LegSettings, add_run_job};
use super::{judge, values_of};

pub(super) const TEXT: &str = include_str!("../../sql/search.sql");
pub(super) const ADD_STUDY: &str = named(TEXT, "add_study");
const SEARCH_DUE: &str = named(super::TEXT, "search_due");
const OPEN_STUDIES: &str = named(TEXT, "open_studies");
const PLAN_OF_STUDY: &str = named(TEXT, "plan_of_study");
const PENDING_TRIALS: &str = named(TEXT, "pending_trials");
const SETTLED_TRIALS: &str = named(TEXT, "settled_trials");
const RUNS_OF_TRIAL: &str = named(TEXT, "runs_of_trial");
const END_TRIAL: &str = named(TEXT, "end_trial");
const LAST_COMPLETE: &str = named(TEXT, "last_complete_runs_of_trial");
const LAST_RUN: &str = named(TEXT, "last_run_of_trial");
const COUNT_RUNS: &str = named(TEXT, "count_runs_of_trial");
const RUNS_OF_STUDY: &str = named(TEXT, "count_runs_of_study");
const RUN_AT_EPOCHS: &str = named(TEXT, "run_at_epochs");
const BEGIN_LEG: &str = named(TEXT, "begin_leg");
const EPOCHS_SPENT: &str = named(TEXT, "epochs_spent");
const SET_STUDY_STATE: &str = named(TEXT, "set_study_state");

struct Study {
    id: StudyId,
    experiment: ExperimentId,
    state: String,
    trial_ahead: u64,
    epoch_budget: Option<i64>,
    stop: Option<String>,
    /// Trials race over seeds: each has a run for each of the first few.
    races: bool,
    is_external: bool,
    trial_max: Option<i64>,
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
    let mut changes = settle_searches(tx, memory, who)?;
    for study in open_studies(tx)? {
        changes += ask(tx, memory, &study, who)?;
    }
    Ok(changes)
}

/// Takes the part of a turn that asks for nothing: trials end, and those without promise are stopped.
///
/// # Errors
/// As of [`search`].
pub fn settle_searches(tx: &WriteTx<'_>, memory: &mut Memory, who: &str) -> Result<usize> {
    let mut changes = 0;
    for study in open_studies(tx)? {
        changes += settle(tx, &study, who)?;
        if let Some(rule) = &study.stop {
            changes += judge::judge(tx, memory, study.id, study.experiment, rule, who)?;
        }
    }
    Ok(changes)
}

/// Works out what the strategies will be asked next.
///
/// # Errors
/// As of [`search`].
pub fn prepare_searches(tx: &ReadTx<'_>, memory: &mut Memory) -> Result<()> {
    for study in
        open_studies(tx)?.iter().filter(|study| study.state == "open" && !study.is_external)
    {
        let has_room = count_pending(tx, study)? < study.trial_ahead;
        if has_room && study::points_to_try(tx, study.id, 1)?.is_empty() {
            memory.prepare(tx, study.id)?;
        }
    }
    Ok(())
}

fn count_pending(tx: &ReadTx<'_>, study: &Study) -> Result<u64> {
    let pending: Vec<TrialId> =
        tx.all(PENDING_TRIALS, named_params! { ":study": study.id }, |row| row.get(0))?;
    Ok(pending.len() as u64)
}

/// Returns whether [`search`] could change anything; takes no write lock.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn search_due(tx: &ReadTx<'_>, memory: &Memory) -> Result<bool> {
    Ok(tx.one(SEARCH_DUE, [], |row| row.get(0))? || judge::due(tx, memory)?)
}

fn open_studies(tx: &ReadTx<'_>) -> Result<Vec<Study>> {
    tx.all(OPEN_STUDIES, [], |row| {
        Ok(Study {
            id: row.get(0)?,
            experiment: row.get(1)?,
            state: row.get(2)?,
            trial_ahead: row.get::<_, i64>(3)?.unsigned_abs(),
            epoch_budget: row.get(4)?,
            stop: row.get(5)?,
            races: row.get_ref(6)?.as_str()? == RACING,
            is_external: row.get_ref(6)?.as_str()? == EXTERNAL,
            trial_max: row.get(7)?,
        })
    })
}

/// Ends the trials all of whose runs ended.
fn settle(tx: &WriteTx<'_>, study: &Study, who: &str) -> Result<usize> {
    let settled: Vec<(TrialId, Option<String>)> =
        tx.all(SETTLED_TRIALS, named_params! { ":study": study.id }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if settled.is_empty() {
        return Ok(0);
    }
    let objectives = protocol::objectives(tx, study.experiment)?;
    let how = objectives.first().map_or(Aggregate::Mean, |objective| objective.aggregate);
    for (trial, told) in &settled {
        let runs = legs_of_trial(tx, *trial)?;
        let valued: Vec<&(Leg, String)> = match runs.iter().any(|(_, state)| state == "pruned") {
            true => {
                runs.iter().filter(|(_, state)| state == "complete" || state == "pruned").collect()
            }
            false => runs.iter().filter(|(_, state)| state == "complete").collect(),
        };
        let mut columns = columns_of(tx, valued.iter().map(|(leg, _)| leg.run))?;
        let state = match () {
            () if runs.iter().any(|(_, state)| state == "pruned") => "pruned",
            () if columns.is_empty() && !objectives.is_empty() || valued.is_empty() => {
                // What it was worth before it went on stays; it goes on no more.
                columns = columns_of(tx, earlier(tx, *trial)?.into_iter())?;
                if columns.is_empty() { "failed" } else { "pruned" }
            }
            () => "complete",
        };
        let values: Vec<Value> = columns
            .iter()
            .map(|column| crate::metric::json_number(over_seeds(how, column)))
            .collect();
        let has_curve = study.stop.is_some() || valued.iter().any(|(leg, _)| leg.epochs.is_some());
        let curve = match objectives.first().filter(|_| has_curve || study.races) {
            Some(_) if study.races => Some(by_seed(tx, &runs)?),
            Some(objective) => {
                let legs: Vec<Leg> = valued.iter().map(|(leg, _)| *leg).collect();
                let told = numbers(told.as_deref());
                Some(curve(tx, &objective.metric, how, &told, &legs)?)
            }
            None => None,
        };
        let curve = curve.map(|curve| {
            Value::Array(curve.iter().map(|value| crate::metric::json_number(*value)).collect())
                .to_string()
        });
        tx.run(
            END_TRIAL,
            named_params! {
                ":trial": trial, ":state": state, ":curve": curve,
                ":vals": (state != "failed").then(|| Value::Array(values).to_string()),
                ":now_ms": tx.now_ms, ":who": who,
            },
        )?;
    }
    Ok(settled.len())
}

/// Returns the objectives of some runs: for each objective the values of all.
fn columns_of(tx: &ReadTx<'_>, runs: impl Iterator<Item = RunId>) -> Result<Vec<Vec<f64>>> {
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for run in runs {
        for (i, (_, value)) in values_of(tx, run)?.into_iter().enumerate() {
            if columns.len() <= i {
                columns.push(Vec::new());
            }
            columns[i].push(value.unwrap_or(f64::NAN));
        }
    }
    Ok(columns)
}

/// Returns the runs, one a seed, that a trial ended well with before it went on.
fn earlier(tx: &ReadTx<'_>, trial: TrialId) -> Result<Vec<RunId>> {
    tx.all(LAST_COMPLETE, named_params! { ":trial": trial }, |row| row.get(0))
}

/// Returns the first objective of each run of a trial, one a seed; NaN where it has none.
fn by_seed(tx: &ReadTx<'_>, runs: &[(Leg, String)]) -> Result<Vec<f64>> {
    let value = |(leg, state): &(Leg, String)| match state.as_str() {
        "complete" => Ok(values_of(tx, leg.run)?.first().and_then(|(_, value)| *value)),
        _ => Ok(None),
    };
    runs.iter().map(|run| Ok(value(run)?.unwrap_or(f64::NAN))).collect()
}

/// Returns the runs of a trial that are at work or were last, one a seed, and their states.
pub(super) fn legs_of_trial(tx: &ReadTx<'_>, trial: TrialId) -> Result<Vec<(Leg, String)>> {
    tx.all(RUNS_OF_TRIAL, named_params! { ":trial": trial }, |row| {
        let leg = Leg {
            run: row.get(0)?,
            epochs: row.get::<_, Option<i64>>(2)?.map(i64::unsigned_abs),
            before: row.get::<_, i64>(3)?.unsigned_abs(),
        };
        Ok((leg, row.get(1)?))
    })
}

/// Reads the numbers of a column that may be NULL.
pub(super) fn numbers(text: Option<&str>) -> Vec<f64> {
    let values: Vec<Value> = serde_json::from_str(text.unwrap_or("[]")).unwrap_or_default();
    values.iter().map(|value| study::number(value).unwrap_or(f64::NAN)).collect()
}

/// One number of a trial out of those of its seeds; a seed whose value is NaN makes it NaN.
pub(super) fn over_seeds(how: Aggregate, values: &[f64]) -> f64 {
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
    let mut pending = count_pending(tx, study)?;
    if study.is_external {
        return hand_out(tx, study, pending, who);
    }
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
            let config = config_of_point(tx, work, trial, config, &wanted)?;
            add_runs(tx, study, work, trial, config, &wanted, who)?;
        }
        pending += 1;
        asked += 1;
    }
    let search = memory.search(tx, study.id)?;
    let mut left = epochs_left(tx, study)?;
    while pending < study.trial_ahead {
        if left.is_some_and(|left| left <= 0) {
            set_state(if pending == 0 { "closed" } else { "exhausted" })?;
            asked += 1;
            break;
        }
        let wanted = match search.ask()? {
            Ok(wanted) => wanted,
            // Who asked by hand may still tell.
            Err(Nothing::Wait) if pending > 0 || study::is_any_at_work(tx, study.id)? => break,
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
            let epochs = enqueue(tx, study, work, &wanted, search.seen(), who)?;
            left = left.map(|left| left - epochs);
        }
        pending += 1;
        asked += 1;
    }
    Ok(asked)
}

/// Returns the config of a point that people or another program want to be tried; the trial says from now on that it has
/// one.
fn config_of_point(
    tx: &WriteTx<'_>,
    work: &Work,
    trial: TrialId,
    known: Option<ConfigId>,
    wanted: &Wanted,
) -> Result<ConfigId> {
    if let Some(config) = known {
        return Ok(config);
    }
    let config = protocol::add_config(tx, &work.config(&wanted.params))?;
    study::outside::set_config(tx, trial, config)?;
    Ok(config)
}

/// Makes jobs of the points that another program proposed; ends the study when it proposes no more.
fn hand_out(tx: &WriteTx<'_>, study: &Study, mut pending: u64, who: &str) -> Result<usize> {
    let demand = study::outside::demand(tx, study.id)?;
    // Those that wait, and those that are being made.
    let mut untaken = demand.pending - i64::try_from(pending).unwrap_or(i64::MAX);
    let free = study.trial_ahead.saturating_sub(pending);
    let given = if free > 0 { study::points_to_try(tx, study.id, free)? } else { Vec::new() };
    let mut changes = given.len();
    let work = if given.is_empty() { None } else { Some(self::work(tx, study.id)?) };
    for (trial, config, wanted) in given {
        if let Some(work) = &work {
            let config = config_of_point(tx, work, trial, config, &wanted)?;
            add_runs(tx, study, work, trial, config, &wanted, who)?;
        }
        pending += 1;
        untaken -= 1;
    }
    let is_all =
        study.state == "exhausted" || study.trial_max.is_some_and(|max| demand.asked >= max);
    if is_all && untaken <= 0 {
        let state = if pending == 0 { "closed" } else { "exhausted" };
        changes += tx.run(
            SET_STUDY_STATE,
            named_params! { ":study": study.id, ":state": state, ":now_ms": tx.now_ms, ":who": who },
        )?;
    }
    Ok(changes)
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

/// Returns how many epochs the study may still train, where that is bounded.
fn epochs_left(tx: &ReadTx<'_>, study: &Study) -> Result<Option<i64>> {
    let Some(budget) = study.epoch_budget else { return Ok(None) };
    if study.races {
        let params = named_params! { ":study": study.id };
        return Ok(Some(budget - tx.one(RUNS_OF_STUDY, params, |row| row.get::<_, i64>(0))?));
    }
    let seeds: String =
        tx.one(PLAN_OF_STUDY, named_params! { ":study": study.id }, |row| row.get(2))?;
    let seed =
        serde_json::from_str::<Vec<i64>>(&seeds).ok().and_then(|seeds| seeds.first().copied());
    let params = named_params! { ":study": study.id, ":seed": seed };
    Ok(Some(budget - tx.one(EPOCHS_SPENT, params, |row| row.get::<_, i64>(0))?))
}

/// Writes a proposal down with its jobs; returns the epochs it trains.
fn enqueue(
    tx: &WriteTx<'_>,
    study: &Study,
    work: &Work,
    wanted: &Wanted,
    seen: i64,
    who: &str,
) -> Result<i64> {
    let config = protocol::add_config(tx, &work.config(&wanted.params))?;
    let trial = study::write_trial(tx, study.id, wanted, Some(config), seen, "waiting", who)?;
    add_runs(tx, study, work, trial, config, wanted, who)
}

/// Adds the runs and jobs of a trial, one for each seed; returns the epochs that each trains.
///
/// A trial that goes on, or starts from another, gets runs that start from the checkpoints of earlier ones.
fn add_runs(
    tx: &WriteTx<'_>,
    study: &Study,
    work: &Work,
    trial: TrialId,
    config_id: ConfigId,
    wanted: &Wanted,
    who: &str,
) -> Result<i64> {
    let search = work.plan.search.as_ref();
    let epochs = wanted.epochs.or(search.and_then(|search| search.epochs));
    let name = format!("trial_{}", wanted.number);
    let mut trains = 0;
    if study.races {
        return add_seeds(tx, study, work, trial, config_id, wanted, who);
    }
    for seed in &work.seeds {
        let start = start_of(tx, study, trial, wanted, *seed)?;
        let mut config = work.config(&wanted.params);
        let mut settings = LegSettings::default();
        let run =
            protocol::add_run(tx, study.experiment, config_id, Some(trial), &name, *seed, who)?;
        if let (Some(epochs), Some(search)) = (epochs, search) {
            let extra = search.extra(epochs, start.before, start.count, &wanted.notes);
            let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            trains = whole(epochs) - whole(start.before);
            tx.run(
                BEGIN_LEG,
                named_params! {
                    ":run": run, ":epochs": whole(epochs), ":before": whole(start.before), ":from": start.run,
                    ":extra": Value::Object(extra.clone()).to_string(),
                },
            )?;
            config = crate::spec::merge(&config, &extra);
            settings.resume_key = search.resume_key();
        }
        let (plan, cwd) = (&work.plan, &work.cwd);
        add_run_job(tx, study.experiment, plan, cwd, run, &config, *seed, &[], settings, who)?;
    }
    Ok(trains)
}

/// Adds the runs and jobs of a trial that it has not been run with of as many seeds as it is to reach; returns how many.
fn add_seeds(
    tx: &WriteTx<'_>,
    study: &Study,
    work: &Work,
    trial: TrialId,
    config_id: ConfigId,
    wanted: &Wanted,
    who: &str,
) -> Result<i64> {
    let had: i64 = tx.one(COUNT_RUNS, named_params! { ":trial": trial }, |row| row.get(0))?;
    let had = usize::try_from(had).unwrap_or(usize::MAX);
    // A point of a person's is run with all: nobody knows when it has run enough.
    let reach =
        wanted.epochs.map_or(usize::MAX, |seeds| usize::try_from(seeds).unwrap_or(usize::MAX));
    let seeds = work.seeds.get(had..reach.min(work.seeds.len())).unwrap_or_default();
    let name = format!("trial_{}", wanted.number);
    let config = work.config(&wanted.params);
    for seed in seeds {
        let run =
            protocol::add_run(tx, study.experiment, config_id, Some(trial), &name, *seed, who)?;
        let (plan, cwd, leg) = (&work.plan, &work.cwd, LegSettings::default());
        add_run_job(tx, study.experiment, plan, cwd, run, &config, *seed, &[], leg, who)?;
    }
    Ok(i64::try_from(seeds.len()).unwrap_or(i64::MAX))
}

/// Where a run begins.
#[derive(Default)]
struct StartOf {
    /// The run whose checkpoint it starts from.
    run: Option<RunId>,
    /// The epochs that one reached.
    before: u64,
    /// How many runs its trial had with this seed.
    count: u64,
}

fn start_of(
    tx: &ReadTx<'_>,
    study: &Study,
    trial: TrialId,
    wanted: &Wanted,
    seed: i64,
) -> Result<StartOf> {
    if let Some(from) = wanted.from {
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let params = named_params! {
            ":study": study.id, ":number": whole(from.number), ":epochs": whole(from.epochs), ":seed": seed,
        };
        let run = tx.maybe(RUN_AT_EPOCHS, params, |row| row.get(0))?;
        return Ok(StartOf { run, before: from.epochs, count: 0 });
    }
    if !wanted.resumed {
        return Ok(StartOf::default());
    }
    let last = tx.maybe(LAST_RUN, named_params! { ":trial": trial, ":seed": seed }, |row| {
        Ok(StartOf {
            run: row.get(0)?,
            before: row.get::<_, Option<i64>>(1)?.unwrap_or(0).unsigned_abs(),
            count: row.get::<_, i64>(2)?.unsigned_abs(),
        })
    })?;
    Ok(last.unwrap_or_default())
}

impl Work {
    fn config(&self, params: &Map<String, Value>) -> Map<String, Value> {
        match &self.plan.search {
            Some(search) => search.config(&self.plan.base, params),
            None => params.clone(),
        }
    }
}
