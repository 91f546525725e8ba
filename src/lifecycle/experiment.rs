//! One turn of the scheduler: experiments become runs and jobs, and are over when all of theirs are.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::id::{ExperimentId, JobId, RunId, StudyId, new_uid};
use crate::protocol::{self, State};
use crate::queue::{self, JobSettings, JobState, NewJob};
use crate::spec::{self, Activate, Launch, Plan, Processing, Resources};
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};
use crate::study;

use super::search::ADD_STUDY;
use super::{TEXT, after_cancel, give_up_expired};

const OPEN_EXPERIMENTS: &str = named(TEXT, "open_experiments");
const MARK_PLANNED: &str = named(TEXT, "mark_planned");
const OPEN_RUNS: &str = named(TEXT, "open_runs");
const RUN_COUNTS: &str = named(TEXT, "run_counts");
const STAGE_JOBS: &str = named(TEXT, "stage_jobs");
const HAS_OPEN_STUDY: &str = named(TEXT, "has_open_study");
const CLOSE_STUDY: &str = named(TEXT, "close_study");
const FAIL_OPEN_TRIALS: &str = named(TEXT, "fail_open_trials");
const SCHEDULE_DUE: &str = named(TEXT, "schedule_due");

/// The interpreter of `.py` scripts.
const PYTHON: &str = "python3";

/// Takes one turn: gives up expired leases, plans new experiments, ends those that are done. Returns how many changed.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn schedule(tx: &WriteTx<'_>, who: &str) -> Result<usize> {
    let mut changes = give_up_expired(tx, who)?;
    let open: Vec<(ExperimentId, String, bool, String, String)> =
        tx.all(OPEN_EXPERIMENTS, [], |row| {
            Ok((row.get(0)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })?;
    for (id, state, planned, plan, cwd) in open {
        if state == "paused" {
            // What a running job's end queued meanwhile waits too.
            queue::hold(tx, id, who)?;
            continue;
        }
        let plan: Plan = match serde_json::from_str(&plan) {
            Ok(plan) => plan,
            Err(_) if planned => continue,
            Err(error) => {
                protocol::set_state(
                    tx,
                    id,
                    State::Failed,
                    Some(&format!("its plan cannot be read: {error}")),
                    who,
                )?;
                continue;
            }
        };
        if !planned {
            if let Err(error) = plan_experiment(tx, id, &plan, &cwd, who) {
                if !matches!(error, Error::Invalid { .. }) {
                    return Err(error);
                }
                protocol::set_state(tx, id, State::Failed, Some(&error.to_string()), who)?;
            }
            changes += 1;
        } else if let Some(stage) = finish(tx, id, &plan, &cwd, who)? {
            changes += stage;
        }
    }
    Ok(changes)
}

/// Returns whether [`schedule`] could change anything; takes no write lock.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn schedule_due(tx: &ReadTx<'_>) -> Result<bool> {
    tx.one(SCHEDULE_DUE, named_params! { ":now_ms": tx.now_ms }, |row| row.get(0))
}

/// Makes an experiment's runs and jobs, or its study.
///
/// # Errors
/// [`Error::Invalid`] when its command cannot be filled; [`Error::Sqlite`].
pub fn plan_experiment(
    tx: &WriteTx<'_>,
    id: ExperimentId,
    plan: &Plan,
    cwd: &str,
    who: &str,
) -> Result<()> {
    if tx.run(MARK_PLANNED, named_params! { ":experiment": id })? == 0 {
        return Ok(());
    }
    protocol::set_state(tx, id, State::Running, None, who)?;
    let mut needs = Vec::new();
    if let Some(before) = &plan.before {
        needs.push((add_processing(tx, id, plan, before, "before", cwd, who)?, true));
    }
    if let Some(search) = &plan.search {
        let sources = sources(tx, search)?;
        // Enough trials to keep all workers at work, and one that waits: what is asked for earlier knows less.
        let here = || crate::process::cores() / plan.resources.cores.max(1);
        let workers = i64::from(plan.workers.unwrap_or_else(here).max(1));
        let seeds = i64::try_from(plan.seeds.len()).unwrap_or(i64::MAX).max(1);
        let seeds = if search.races() { 1 } else { seeds };
        // Who decides how far trials train, or with how many seeds, has none to wait: a promotion may be due by then.
        let one_at_a_time = search.decides_epochs() || search.races();
        let ahead = (workers - 1) / seeds + if one_at_a_time { 1 } else { 2 };
        let ahead = search.batch.map_or(ahead, |batch| i64::try_from(batch).unwrap_or(ahead));
        let text = |value: &Value| value.to_string();
        let whole = |n: Option<u64>| n.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let study = tx.insert(
            ADD_STUDY,
            named_params! {
                ":uid": new_uid(), ":experiment": id, ":strategy": search.strategy,
                ":settings": text(&Value::Object(search.settings.clone())), ":space": text(&search.space),
                ":constraints": json(&search.constraints)?, ":epoch_max": whole(search.epochs),
                ":epoch_budget": whole(search.epoch_budget),
                ":stop": search.stop.as_ref().map(|stop| text(&Value::Object(stop.clone()))),
                ":targets": json(&search.targets)?, ":base": text(&Value::Object(plan.base.clone())),
                ":seeds": json(&plan.seeds)?, ":seed": search.seed.cast_signed(),
                ":trial_max": whole(search.trials.map(|trials| trials - search.points.len() as u64)),
                ":trial_ahead": ahead, ":now_ms": tx.now_ms, ":who": who,
            },
        )?;
        return seed_study(tx, StudyId(study), search, &sources, who);
    }
    for config in &plan.configs {
        let config_id = protocol::add_config(tx, &config.params)?;
        for seed in &plan.seeds {
            let run = protocol::add_run(tx, id, config_id, None, &config.name, *seed, who)?;
            let leg = LegSettings::default();
            add_run_job(tx, id, plan, cwd, run, &config.params, *seed, &needs, leg, who)?;
        }
    }
    Ok(())
}

/// Finds the studies whose trials a new one knows: before that is made, so that it is not left behind without them.
fn sources(tx: &WriteTx<'_>, search: &spec::Search) -> Result<Vec<StudyId>> {
    let find = |from: &String| {
        study::find(tx, from).map_err(|error| match error {
            Error::NotFound { .. } => {
                let what = format!("search.warm_start: study {from}");
                Error::invalid(what, "was deleted before this search began")
            }
            other => other,
        })
    };
    search.warm_start.iter().map(find).collect()
}

/// Gives a new study what is known before its first trial: those of other studies, and points to try first.
fn seed_study(
    tx: &WriteTx<'_>,
    study: StudyId,
    search: &spec::Search,
    sources: &[StudyId],
    who: &str,
) -> Result<()> {
    for source in sources {
        study::warm_start(tx, study, *source, who)?;
    }
    let point = |params: &Map<String, Value>| study::Point {
        params: params.clone(),
        told: None,
        curve: Vec::new(),
        extra: serde_json::json!({"source": "spec"}),
        times: None,
    };
    let points: Vec<study::Point> = search.points.iter().map(point).collect();
    study::add(tx, study, &points, true, who).map(drop)
}

/// What the job of a trial with epochs has beyond that of any run.
#[derive(Debug, Default)]
pub(super) struct LegSettings {
    /// The key of its config that holds the path of the checkpoint it starts from.
    pub resume_key: Option<String>,
}

/// Adds the job of a run.
///
/// # Errors
/// [`Error::Invalid`] when a placeholder has no value.
#[expect(
    clippy::too_many_arguments,
    reason = "all of them are what a job is made of; a struct would only rename them"
)]
pub(super) fn add_run_job(
    tx: &WriteTx<'_>,
    experiment: ExperimentId,
    plan: &Plan,
    cwd: &str,
    run: RunId,
    config: &Map<String, Value>,
    seed: i64,
    needs: &[(JobId, bool)],
    leg: LegSettings,
    who: &str,
) -> Result<JobId> {
    // A search's jobs wait for the job before them, which is added with the experiment.
    let mut needs = needs.to_vec();
    if needs.is_empty() && plan.search.is_some() && plan.before.is_some() {
        let before: Vec<JobId> = tx.all(
            STAGE_JOBS,
            named_params! { ":experiment": experiment, ":stage": "before" },
            |row| row.get(0),
        )?;
        needs.extend(before.into_iter().map(|job| (job, true)));
    }
    // `{config}` and `{exp_dir}` stay as they are: the worker puts paths of its own host there.
    let command = match &plan.launch {
        Launch::Template(words) => spec::fill(words, config, seed, Some("{config}"), "{exp_dir}")?,
        Launch::Script { script, args } => spec::script_line(
            PYTHON,
            script,
            "{exp_dir}",
            Some("{config}"),
            plan.pass_seed.then_some(seed),
            args,
        ),
    };
    let mut job = job_of(plan, &plan.resources, &plan.activate, cwd, command);
    job.experiment = Some(experiment);
    job.run = Some(run);
    job.try_max = plan.retries + 1;
    job.needs = needs;
    job.settings.resume_key = leg.resume_key;
    let id = queue::add(tx, &job, who)?;
    // What it needs may have failed already: then it was cancelled as it was added, and its run ends with it.
    if !job.needs.is_empty() && queue::state(tx, id)? == JobState::Cancelled {
        after_cancel(tx, &[(id, Some(run))], who)?;
    }
    Ok(id)
}

fn add_processing(
    tx: &WriteTx<'_>,
    experiment: ExperimentId,
    plan: &Plan,
    processing: &Processing,
    stage: &'static str,
    cwd: &str,
    who: &str,
) -> Result<JobId> {
    let command = match &processing.launch {
        Launch::Template(words) => spec::fill(words, &Map::new(), 0, None, "{exp_dir}")?,
        Launch::Script { script, args } => {
            spec::script_line(PYTHON, script, "{exp_dir}", None, None, args)
        }
    };
    let mut job = job_of(plan, &processing.resources, &processing.activate, cwd, command);
    job.experiment = Some(experiment);
    job.stage = stage;
    queue::add(tx, &job, who)
}

fn job_of(
    plan: &Plan,
    resources: &Resources,
    activate: &Activate,
    cwd: &str,
    command: Vec<String>,
) -> NewJob {
    let places = ["{config}", "{exp_dir}", "{resume}"];
    let places = command.iter().any(|word| places.iter().any(|place| word.contains(place)));
    let folder = match &plan.cwd {
        Some(relative) => Path::new(cwd).join(relative).display().to_string(),
        None => cwd.to_owned(),
    };
    let (conda, venv) = match activate {
        Activate::None => (None, None),
        Activate::Conda(name) => (Some(name.clone()), None),
        Activate::Venv(name) => (None, Some(name.clone())),
    };
    NewJob {
        cores: resources.cores,
        gpus: resources.gpus,
        memory_mib: resources.memory_mib.unwrap_or(0),
        time_limit_ms: resources.time_ms,
        priority: plan.priority,
        settings: JobSettings {
            cwd: Some(folder),
            env: plan.env.clone(),
            conda,
            venv,
            places,
            yaml: has_yaml_configs(plan),
            exp_dir: plan.experiment_dir.clone(),
            grace_ms: plan.grace_ms,
            ..JobSettings::default()
        },
        ..NewJob::new(command)
    }
}

/// Scripts that read their config by its extension get the kind of file they know.
fn has_yaml_configs(plan: &Plan) -> bool {
    let first = plan.configs.iter().find_map(|config| config.source.as_ref());
    plan.base_source
        .as_ref()
        .or(first)
        .is_some_and(|name| name.ends_with(".yaml") || name.ends_with(".yml"))
}

/// Ends an experiment when nothing of it is open, after its last stage ran.
fn finish(
    tx: &WriteTx<'_>,
    id: ExperimentId,
    plan: &Plan,
    cwd: &str,
    who: &str,
) -> Result<Option<usize>> {
    let open_runs: i64 =
        tx.one(OPEN_RUNS, named_params! { ":experiment": id }, |row| row.get(0))?;
    let before = stage(tx, id, "before")?;
    let failed_before =
        before.iter().find(|(state, _)| state.is_end() && *state != JobState::Succeeded);
    if let Some((_, error)) = failed_before {
        tx.run(
            CLOSE_STUDY,
            named_params! { ":experiment": id, ":now_ms": tx.now_ms, ":who": who },
        )?;
        tx.run(
            FAIL_OPEN_TRIALS,
            named_params! { ":experiment": id, ":now_ms": tx.now_ms, ":who": who },
        )?;
        let text = format!(
            "the job before it failed: {}",
            error.as_deref().unwrap_or("no reason recorded")
        );
        if open_runs == 0 {
            end(tx, id, State::Failed, Some(&text), who)?;
            return Ok(Some(1));
        }
        return Ok(None);
    }
    let open_study: bool =
        tx.one(HAS_OPEN_STUDY, named_params! { ":experiment": id }, |row| row.get(0))?;
    if open_runs > 0 || open_study || queue::count_open(tx, id)? > 0 {
        return Ok(None);
    }
    let after = stage(tx, id, "after")?;
    if let Some(processing) = plan.after.as_ref().filter(|_| after.is_empty()) {
        add_processing(tx, id, plan, processing, "after", cwd, who)?;
        return Ok(Some(1));
    }
    let (all, complete, failed, cancelled): (i64, i64, i64, i64) =
        tx.one(RUN_COUNTS, named_params! { ":experiment": id }, |row| {
            // A run that its search stopped did what was wanted of it.
            let pruned: i64 = row.get(4)?;
            Ok((row.get(0)?, row.get::<_, i64>(1)? + pruned, row.get(2)?, row.get(3)?))
        })?;
    let failed_after = after.iter().find(|(state, _)| *state != JobState::Succeeded);
    let (state, error) = if let Some((_, error)) = failed_after {
        let text = error.as_deref().unwrap_or("no reason recorded");
        (State::Failed, Some(format!("the job after it failed: {text}")))
    } else if all > 0 && cancelled == all {
        (State::Cancelled, None)
    } else if failed > 0 && (complete == 0 || plan.search.is_none()) {
        (State::Failed, Some(format!("{failed} of {all} runs failed")))
    } else if all > 0 && complete == 0 {
        (State::Cancelled, Some("no run completed".to_owned()))
    } else {
        (State::Complete, None)
    };
    end(tx, id, state, error.as_deref(), who)?;
    Ok(Some(1))
}

fn end(
    tx: &WriteTx<'_>,
    id: ExperimentId,
    state: State,
    error: Option<&str>,
    who: &str,
) -> Result<()> {
    protocol::set_state(tx, id, state, error, who)?;
    protocol::refresh_wide_view(tx, id)
}

fn stage(
    tx: &WriteTx<'_>,
    id: ExperimentId,
    stage: &str,
) -> Result<Vec<(JobState, Option<String>)>> {
    tx.all(STAGE_JOBS, named_params! { ":experiment": id, ":stage": stage }, |row| {
        Ok((row.get(1)?, row.get(2)?))
    })
}

/// Cancels an experiment: open jobs are cancelled, running ones asked to stop, no trial is asked for any more.
///
/// # Errors
/// [`Error::Conflict`] when it is over already.
pub fn cancel(tx: &WriteTx<'_>, id: ExperimentId, who: &str) -> Result<()> {
    tx.run(CLOSE_STUDY, named_params! { ":experiment": id, ":now_ms": tx.now_ms, ":who": who })?;
    tx.run(
        FAIL_OPEN_TRIALS,
        named_params! { ":experiment": id, ":now_ms": tx.now_ms, ":who": who },
    )?;
    let over = queue::cancel_experiment(tx, id, who)?;
    after_cancel(tx, &over, who)?;
    tx.run(MARK_PLANNED, named_params! { ":experiment": id })?;
    protocol::set_state(tx, id, State::Cancelled, Some("cancelled on request"), who).map(drop)
}

/// Pauses an experiment: its running jobs go on, nothing new starts.
///
/// # Errors
/// [`Error::Conflict`] when it is not running or planned.
pub fn pause(tx: &WriteTx<'_>, id: ExperimentId, who: &str) -> Result<()> {
    protocol::set_state(tx, id, State::Paused, None, who)?;
    queue::hold(tx, id, who).map(drop)
}

/// Lets a paused experiment go on.
///
/// # Errors
/// [`Error::Conflict`] when it is not paused.
pub fn resume(tx: &WriteTx<'_>, id: ExperimentId, who: &str) -> Result<()> {
    protocol::set_state(tx, id, State::Running, None, who)?;
    queue::resume(tx, id, who).map(drop)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::invalid("plan", error.to_string()))
}
