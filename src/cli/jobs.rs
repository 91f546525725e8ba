//! What people do to jobs and experiments: `mle cancel`, `retry`, `pause`, `resume`, `explain`, and `mle queue add`.

use std::path::Path;

use clap::{Args, Subcommand};

use crate::cli::named;
use crate::cli::output::{Output, sanitize};
use crate::display;
use crate::error::{Error, Result};
use crate::id::{ExperimentId, JobId, StudyId};
use crate::lifecycle;
use crate::protocol;
use crate::queue::{self, JobSettings, NewJob};
use crate::store::{Open, ReadTx, SqlValue, Store, WriteTx};
use crate::study;

/// Name jobs, or a whole experiment.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Targets {
    /// Jobs, by number
    #[arg(value_name = "JOB", value_parser = job_number)]
    pub jobs: Vec<i64>,
    /// All of an experiment: its id, name, or the start of its uid
    #[arg(short, long, value_name = "EXPERIMENT")]
    pub experiment: Option<String>,
}

fn job_number(word: &str) -> std::result::Result<i64, String> {
    word.parse().map_err(|_| {
        let name = super::quote(word);
        format!("no number of a job; an experiment is named with -e, as in `-e {name}`")
    })
}

/// Stop jobs, or a whole experiment
///
/// A waiting job is cancelled at once; a running one is asked to stop by its worker (SIGTERM, then SIGKILL after its
/// grace period). With an experiment nothing new is started either.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  mle cancel 17\n  mle cancel --experiment digits")]
pub struct CancelArgs {
    #[command(flatten)]
    targets: Targets,
}

/// Queue failed or cancelled jobs again, with all their tries
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  mle retry 17\n  mle retry --experiment digits   # all its failed jobs"
)]
pub struct RetryArgs {
    #[command(flatten)]
    targets: Targets,
}

/// Let nothing new of an experiment start; running jobs go on
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  mle pause digits")]
pub struct PauseArgs {
    /// Its id, name, or the start of its uid
    #[arg(value_name = "EXPERIMENT")]
    experiment: String,
}

/// Let a paused experiment go on
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  mle resume digits")]
pub struct ResumeArgs {
    /// Its id, name, or the start of its uid
    #[arg(value_name = "EXPERIMENT")]
    experiment: String,
}

/// Say why jobs are not running, or how they stand
///
/// Of an experiment, those are explained that did not succeed, 20 at most.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  mle explain 17\n  mle explain --experiment digits   # all its jobs that did not succeed"
)]
pub struct ExplainArgs {
    #[command(flatten)]
    targets: Targets,
}

/// Jobs of an experiment that are explained at most.
const EXPLAINED_MAX: usize = 20;

/// Add jobs to the queue by hand
#[derive(Debug, Clone, Args)]
pub struct QueueArgs {
    #[command(subcommand)]
    verb: QueueVerb,
}

/// What can be done to the queue.
#[derive(Debug, Clone, Subcommand)]
pub enum QueueVerb {
    #[expect(missing_docs, reason = "its arguments say it")]
    Add(AddArgs),
}

/// Add a job; any worker of the file runs it
///
/// Prints the job's number. The words after `--` are its command; no shell sees them.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  mle queue add -- python prepare.py --size big\n  mle queue add --after 3 --priority 5 -- ./evaluate.sh\n  mle queue add --lines < commands.txt"
)]
pub struct AddArgs {
    /// The command
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "lines")]
    command: Vec<String>,
    /// Read one command a line from standard input, words split as a shell would, and add all at once
    #[arg(long, conflicts_with = "command")]
    lines: bool,
    /// Add it so many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    copies: u32,
    /// Larger goes first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    priority: i64,
    /// Cores it takes
    #[arg(long, value_name = "N", default_value_t = 1)]
    cores: u32,
    /// GPUs it takes
    #[arg(long, value_name = "N", default_value_t = 0)]
    gpus: u32,
    /// Memory it takes, in MiB or as 4GB; it is killed when it uses more
    #[arg(long, value_name = "MEMORY", default_value = "0", value_parser = super::programs::memory)]
    memory: u64,
    /// Time until it is stopped, in seconds or as 90s, 10m, 2h, 1d
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = super::programs::seconds)]
    time: Option<f64>,
    /// Time between asking it to stop (SIGTERM) and killing it [default: 5s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = super::programs::seconds)]
    grace: Option<f64>,
    /// How often it is tried again when it fails
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    retries: u32,
    /// Time before the first retry; each further one waits twice as long
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = super::programs::seconds)]
    retry_delay: Option<f64>,
    /// Start when this job succeeded; may be given several times
    #[arg(long, value_name = "JOB")]
    after: Vec<i64>,
    /// Start when this job ended, however it did; may be given several times
    #[arg(long, value_name = "JOB")]
    after_any: Vec<i64>,
    /// Start after this time
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = super::programs::seconds)]
    delay: Option<f64>,
    /// While a job with this key is open, do not add another: print that one's number
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Set a variable for it; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Start it in this folder [default: this one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<std::path::PathBuf>,
}

fn each_job(
    targets: &Targets,
    db: &Path,
    wanted: &str,
    mut body: impl FnMut(&WriteTx<'_>, JobId) -> Result<()>,
) -> Result<Vec<i64>> {
    let mut store = Store::open(db, Open::Existing)?;
    store.write(|tx| {
        let jobs = match &targets.experiment {
            None => targets.jobs.clone(),
            Some(word) => {
                let id = named::find(tx, word)?;
                // What a search ended early stays so, unless it is asked for by its number: that says why.
                let sql = format!(
                    "SELECT j.id FROM job j WHERE j.experiment_id = ?1 AND j.state IN ({wanted})
                       AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = j.run_id AND r.state = 'pruned'
                                       AND j.state = 'cancelled') ORDER BY j.id"
                );
                tx.all(&sql, [id], |row| row.get(0))?
            }
        };
        jobs.iter().try_for_each(|job| body(tx, JobId(*job)))?;
        Ok(jobs)
    })
}

/// Cancels.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] for a job that is over.
pub fn cancel(args: &CancelArgs, output: &Output, db: &Path) -> Result<()> {
    if let Some(word) = &args.targets.experiment {
        let mut store = Store::open(db, Open::Existing)?;
        let id = store.write(|tx| {
            let id = named::find(tx, word)?;
            lifecycle::cancel(tx, id, "cli")?;
            Ok(id)
        })?;
        return output.done(
            &format!("experiment {id} is cancelled"),
            &serde_json::json!({ "experiment": id, "state": "cancelled" }),
        );
    }
    let jobs = each_job(&args.targets, db, "''", |tx, job| {
        let over = queue::cancel(tx, job, "cli")?;
        lifecycle::after_cancel(tx, &over, "cli")
    })?;
    output.done(
        &format!("{} cancelled, or asked to stop", count(&jobs)),
        &serde_json::json!({ "jobs": jobs }),
    )
}

/// Retries.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] for a job that is not over, or succeeded.
pub fn retry(args: &RetryArgs, output: &Output, db: &Path) -> Result<()> {
    const STATE: &str = "SELECT state IN ('failed', 'cancelled') FROM job WHERE id = ?1";
    let of_experiment = args.targets.experiment.is_some();
    let jobs = each_job(&args.targets, db, "'failed', 'cancelled'", |tx, job| {
        // Of an experiment's, some are queued again with those they needed.
        if of_experiment && !tx.one(STATE, [job], |row| row.get::<_, bool>(0))? {
            return Ok(());
        }
        lifecycle::retry(tx, job, "cli")
    })?;
    output.done(
        &format!("{} queued again; a worker or `mle run --resume` runs them", count(&jobs)),
        &serde_json::json!({ "jobs": jobs }),
    )
}

fn count(jobs: &[i64]) -> String {
    match jobs {
        [job] => format!("job {job}"),
        more => format!("{} jobs", more.len()),
    }
}

/// Pauses.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`].
pub fn pause(args: &PauseArgs, output: &Output, db: &Path) -> Result<()> {
    let id = change(db, &args.experiment, |tx, id| match study_by_hand(tx, id)? {
        Some(study) => study::pause(tx, study, "cli").map(drop),
        None => lifecycle::pause(tx, id, "cli"),
    })?;
    output.done(
        &format!("experiment {id} is paused"),
        &serde_json::json!({ "experiment": id, "state": "paused" }),
    )
}

/// Resumes.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`].
pub fn resume(args: &ResumeArgs, output: &Output, db: &Path) -> Result<()> {
    let path = super::quote(&db.display().to_string());
    let go_on = format!("`mle run --resume --db {path}`");
    let mut by_hand = false;
    let id = change(db, &args.experiment, |tx, id| {
        if let Some(study) = study_by_hand(tx, id)? {
            by_hand = true;
            return study::resume(tx, study, "cli").map(drop);
        }
        let state = protocol::state(tx, id)?;
        if state != protocol::State::Paused {
            let why = match state.is_end() {
                true => format!("is not paused but {state}"),
                false => format!(
                    "is not paused but {state}; where nobody is at work on it, {go_on} does go on"
                ),
            };
            return Err(Error::Conflict { what: "experiment", id: id.to_string(), why });
        }
        lifecycle::resume(tx, id, "cli")
    })?;
    if by_hand {
        let done = serde_json::json!({ "experiment": id, "state": "running" });
        return output.done(&format!("experiment {id} goes on: it can be asked"), &done);
    }
    output.done(
        &format!("experiment {id} goes on as soon as workers are there: {go_on}, or `mle worker --db {path}` beside mle-scheduler and mle-searcher"),
        &serde_json::json!({ "experiment": id, "state": "running" }),
    )
}

/// Returns the study of an experiment that has no jobs: to halt it is to ask it for nothing.
fn study_by_hand(tx: &ReadTx<'_>, id: ExperimentId) -> Result<Option<StudyId>> {
    let study = study::of_experiment(tx, id)?;
    study
        .map(|study| Ok(study::is_by_hand(tx, study)?.then_some(study)))
        .transpose()
        .map(Option::flatten)
}

fn change(
    db: &Path,
    word: &str,
    body: impl FnOnce(&WriteTx<'_>, ExperimentId) -> Result<()>,
) -> Result<ExperimentId> {
    Store::open(db, Open::Existing)?.write(|tx| {
        let id = named::find(tx, word)?;
        body(tx, id)?;
        Ok(id)
    })
}

/// Explains.
///
/// # Errors
/// [`Error::NotFound`].
pub fn explain(args: &ExplainArgs, output: &Output, db: &Path) -> Result<()> {
    const OF_EXPERIMENT: &str =
        "SELECT id FROM job WHERE experiment_id = ?1 AND state <> 'succeeded' ORDER BY id LIMIT ?2";
    const HOW_MANY: &str = "SELECT count(*) FILTER (WHERE state <> 'succeeded'), count(*) FROM job WHERE experiment_id = ?1";
    let store = crate::metric::open_to_read(db)?;
    let (explained, others, succeeded) = store.read(|tx| {
        let (mut jobs, mut others, mut succeeded) = (args.targets.jobs.clone(), 0, 0);
        if let Some(word) = &args.targets.experiment {
            let id = named::find(tx, word)?;
            jobs = tx.all(OF_EXPERIMENT, (id, EXPLAINED_MAX as i64), |row| row.get(0))?;
            let (open, all): (i64, i64) =
                tx.one(HOW_MANY, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            (others, succeeded) = (open.unsigned_abs() - jobs.len() as u64, all - open);
        }
        let explain = |job: i64| Ok((job, lifecycle::explain(tx, JobId(job))?));
        Ok((jobs.into_iter().map(explain).collect::<Result<Vec<_>>>()?, others, succeeded))
    })?;
    if output.json {
        let rows: Vec<Vec<SqlValue>> = explained
            .into_iter()
            .flat_map(|(job, reasons)| reasons.into_iter().map(move |reason| (job, reason)))
            .map(|(job, reason)| {
                let remedy = reason.remedy.map_or(SqlValue::Null, SqlValue::from);
                vec![job.into(), reason.text.into(), remedy]
            })
            .collect();
        return output.rows(&["job".into(), "reason".into(), "remedy".into()], &rows);
    }
    let db_flag = super::db_flag(db);
    for (job, reasons) in &explained {
        output.line(&format!("job {job}:"))?;
        for reason in reasons {
            output.line(&format!("  {}", sanitize(&reason.text)))?;
            if let Some(remedy) = &reason.remedy {
                // One command, or one after the other.
                let commands: Vec<String> =
                    remedy.split(", then ").map(|command| format!("{command}{db_flag}")).collect();
                output.line(&format!("    → {}", commands.join(", then ")))?;
            }
        }
    }
    match (explained.len(), succeeded) {
        (0, 0) => output.line("it has no jobs"),
        (0, n) => output.line(&format!("{} succeeded", display::count(n.unsigned_abs(), "job"))),
        _ if others > 0 => {
            output.line(&format!("{} more did not succeed", display::count(others, "job")))
        }
        _ => Ok(()),
    }
}

/// Runs `mle queue`.
///
/// # Errors
/// [`Error::NotFound`] for a needed job; [`Error::Invalid`].
pub fn queue(args: &QueueArgs, output: &Output, db: &Path) -> Result<()> {
    let QueueVerb::Add(args) = &args.verb;
    let commands = if args.lines {
        let text = super::input::lines_of_stdin()?;
        let mut commands = Vec::new();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let words = shell_words::split(line)
                .map_err(|error| Error::invalid(format!("line {}", i + 1), error.to_string()))?;
            if !words.is_empty() {
                commands.push(words);
            }
        }
        if commands.is_empty() {
            return Err(Error::invalid("standard input", "holds no command"));
        }
        commands
    } else {
        vec![args.command.clone()]
    };
    let cwd = match &args.cwd {
        Some(cwd) => std::path::absolute(cwd).map_err(|error| Error::io(cwd, error))?,
        None => std::env::current_dir().map_err(|error| Error::io(".", error))?,
    };
    let mut env = std::collections::BTreeMap::new();
    for pair in &args.env {
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Error::invalid("--env", format!("{pair:?} is not NAME=VALUE")))?;
        env.insert(name.to_owned(), value.to_owned());
    }
    let ms = |seconds: f64| (seconds * 1000.0) as i64;
    let needs = args
        .after
        .iter()
        .map(|job| (JobId(*job), true))
        .chain(args.after_any.iter().map(|job| (JobId(*job), false)))
        .collect();
    let mut job = NewJob {
        priority: args.priority,
        cores: args.cores,
        gpus: args.gpus,
        memory_mib: args.memory,
        time_limit_ms: args.time.map(|time| ms(time).max(1)),
        try_max: args.retries + 1,
        unique_key: args.key.clone(),
        needs,
        settings: JobSettings {
            cwd: Some(cwd.display().to_string()),
            env,
            grace_ms: args.grace.map(ms),
            retry_ms: args.retry_delay.map(ms),
            ..JobSettings::default()
        },
        ..NewJob::new(Vec::new())
    };
    // A job to wait for is in a file that is there.
    let how = if job.needs.is_empty() { Open::Create } else { Open::Existing };
    let mut store = Store::open(db, how)?;
    let ids = store.write(|tx| {
        job.due_at_ms = args.delay.map(|delay| tx.now_ms + ms(delay));
        let mut ids = Vec::new();
        let mut adder = queue::Adder::new(tx)?;
        for command in &commands {
            job.command.clone_from(command);
            for _ in 0..args.copies {
                ids.push(adder.add(tx, &job, "cli")?);
            }
        }
        Ok(ids)
    })?;
    match ids.as_slice() {
        [id] => output.done(&id.to_string(), &serde_json::json!({ "job": id })),
        [first, .., last] => output.done(
            &format!("{first}..{last}"),
            &serde_json::json!({ "first": first, "last": last, "count": ids.len() }),
        ),
        [] => Ok(()),
    }
}
