//! `mle log` and `mle param`: how a job that is a shell script talks to the file.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::output::Output;
use crate::error::{Error, Result};
use crate::id::{JobId, RunId};
use crate::metric::{self, Appended, Appender, Update, Value};
use crate::store::{Open, Store};

/// Log metrics of the run this is called in
///
/// Inside a job the run is known; elsewhere name it with --run. A value is a number (nan, inf too), or else a text.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  mle log --step 3 train_loss=0.25 accuracy=0.9\n  mle log --run 7 note=\"diverged\""
)]
pub struct LogArgs {
    /// Names and values
    #[arg(required = true, value_name = "NAME=VALUE")]
    values: Vec<String>,
    /// Place on the step axis [default: the next one]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    step: Option<i64>,
    /// The run [default: that of the job this is called in]
    #[arg(long, value_name = "RUN")]
    run: Option<i64>,
}

/// Print a parameter of the config of the run this is called in
///
/// Nested keys are joined by `/`. Without a name prints the whole config as JSON.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  mle param lrate\n  mle param --run 7")]
pub struct ParamArgs {
    /// The parameter
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The run [default: that of the job this is called in]
    #[arg(long, value_name = "RUN")]
    run: Option<i64>,
    /// What to print when the config has no such parameter
    #[arg(long, value_name = "VALUE")]
    default: Option<String>,
}

fn variable(name: &str) -> Option<i64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run_or_here(run: Option<i64>) -> Result<RunId> {
    run.or_else(|| variable("MLE_RUN")).map(RunId).ok_or_else(|| {
        Error::invalid("--run", "which run is not known here")
            .with_hint("inside a job it is; elsewhere give --run RUN (`mle sql \"SELECT id, name FROM runs\"`)")
    })
}

/// Returns the file of the job this is called in.
pub fn db_here() -> Option<PathBuf> {
    std::env::var_os("MLE_DB").map(PathBuf::from)
}

/// Logs.
///
/// # Errors
/// [`Error::Invalid`] for what is no NAME=VALUE; [`Error::Conflict`] when the job's lease is lost.
pub fn log(args: &LogArgs, output: &Output, db: &Path) -> Result<()> {
    let run = run_or_here(args.run)?;
    let mut values = Vec::with_capacity(args.values.len());
    for pair in &args.values {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Error::invalid(format!("{pair:?}"), "is not NAME=VALUE"))?;
        metric::check_name(name)?;
        let value = value.trim();
        values.push((
            name.to_owned(),
            value.parse().map_or_else(|_| Value::Text(value.into()), Value::Scalar),
        ));
    }
    let here = args.run.is_none() || args.run == variable("MLE_RUN");
    let mut appender = match (variable("MLE_JOB"), variable("MLE_ATTEMPT")) {
        (Some(job), Some(attempt)) if here => Appender::for_job(JobId(job), attempt),
        _ => Appender::new(run, 0),
    };
    let mut store = Store::open(db, Open::Existing)?;
    let appended = store.write(|tx| {
        let update = Update { step: args.step, at_ms: tx.now_ms, values: values.clone() };
        appender.append(tx, &[update])
    })?;
    if appended == Appended::LeaseLost {
        return Err(Error::Conflict {
            what: "run",
            id: run.to_string(),
            why: "is no longer this job's: its lease was lost".into(),
        });
    }
    if output.json {
        output.json(&serde_json::json!({ "run": run, "logged": values.len() }))?;
    }
    Ok(())
}

/// Prints a parameter.
///
/// # Errors
/// [`Error::NotFound`] when the config does not have it.
pub fn param(args: &ParamArgs, output: &Output, db: &Path) -> Result<()> {
    let run = run_or_here(args.run)?;
    let store = crate::metric::open_to_read(db)?;
    let text: String = store
        .read(|tx| {
            tx.maybe(
                "SELECT c.params FROM run r JOIN config c ON c.id = r.config_id WHERE r.id = ?1",
                [run],
                |row| row.get(0),
            )
        })?
        .ok_or_else(|| Error::not_found("run", run))?;
    let config: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).unwrap_or_default();
    let Some(name) = &args.name else {
        return output.line(&text);
    };
    match (crate::spec::lookup(&config, name), &args.default) {
        (Some(value), _) if output.json => output.line(&value.to_string()),
        (Some(serde_json::Value::String(text)), _) => output.line(text),
        (Some(value), _) => output.line(&value.to_string()),
        (None, Some(default)) => output.line(default),
        (None, None) => {
            let mut error = Error::not_found("parameter", name);
            if let Some(near) = crate::error::did_you_mean(name, config.keys().map(String::as_str))
            {
                error = Error::NotFound {
                    what: "parameter",
                    id: format!("{name}; did you mean {near}?"),
                };
            }
            Err(error)
        }
    }
}
