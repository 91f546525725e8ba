//! `mle status`: how far everything is, at a glance.

use std::path::Path;

use clap::Args;

use crate::cli::output::{Output, sanitize};
use crate::cli::run::outside::Waiting;
use crate::cli::study::{orphans_of, stand_of_searches};
use crate::cli::{named, own_name, quote};
use crate::display::command_short;
use crate::error::Result;
use crate::id::ExperimentId;
use crate::process;
use crate::store::SqlValue;

/// Show how far experiments, jobs and workers are
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  mle status\n  mle status digits\n  mle status --jobs failed --json"
)]
pub struct StatusArgs {
    /// One experiment: its id, name, or the start of its uid
    #[arg(value_name = "EXPERIMENT")]
    experiment: Option<String>,
    /// List the jobs in this state
    #[arg(long, value_name = "STATE", value_parser = ["waiting", "queued", "running", "succeeded", "failed", "cancelled", "all"])]
    jobs: Option<String>,
    /// Rows at most
    #[arg(short, long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

const EXPERIMENTS: &str = "SELECT id, name, state, runs, runs_complete AS complete, runs_failed AS failed,
    runs_pruned AS pruned, metric, best,
    round(duration_s, 1) AS seconds FROM experiments WHERE ?1 IS NULL OR id = ?1 ORDER BY id DESC LIMIT ?2";
const JOB_COUNTS: &str = "SELECT CASE WHEN state = 'cancelled' AND EXISTS (SELECT 1 FROM run r WHERE r.id = job.run_id AND r.state = 'pruned')
                                        THEN 'pruned' ELSE state END AS what, count(*) AS jobs FROM job
    WHERE ?1 IS NULL OR experiment_id = ?1 GROUP BY what ORDER BY what";
const JOBS: &str = "SELECT id, experiment, run_id AS run, state, attempt, round(duration_s, 2) AS seconds, exit_code,
    CASE WHEN state = 'cancelled'
         THEN coalesce((SELECT 'its search ended it early: ' || coalesce(r.error, 'pruned') FROM run r
                        WHERE r.id = jobs.run_id AND r.state = 'pruned'), error)
         ELSE error END AS error, command FROM jobs WHERE (?1 IS NULL OR experiment_id = ?1) AND (?3 = 'all' OR state = ?3) ORDER BY id LIMIT ?2";
const WORKERS: &str = "SELECT id, kind, host, pid, slots, seen_at, 'at work' AS state,
    (SELECT process_start FROM worker w WHERE w.id = workers.id) AS process_start
    FROM workers WHERE state = 'live' ORDER BY id LIMIT ?1";
const OPEN: &str = "SELECT id FROM experiment WHERE ended_at_ms IS NULL AND deleted_at_ms IS NULL AND kind <> 'log'
    AND (?1 IS NULL OR id = ?1) ORDER BY id DESC LIMIT 1";
const FAILED: &str = "SELECT id, experiment, run_id AS run, attempt, error FROM jobs
    WHERE state = 'failed' AND (?1 IS NULL OR experiment_id = ?1) ORDER BY id DESC LIMIT 5";

/// Says of a program of this host whether its process is still there, by the last column, which it takes away. One that was
/// killed stands in the file as live until another program looks after it.
fn mark_gone(row: &mut Vec<SqlValue>) {
    let start = row.pop();
    let (SqlValue::Text(host), SqlValue::Integer(pid)) = (&row[2], &row[3]) else { return };
    if *host != process::host() {
        return;
    }
    let found = u32::try_from(*pid).ok().and_then(process::start_of).map(SqlValue::Text);
    if found != start
        && let Some(state) = row.last_mut()
    {
        *state = SqlValue::Text("gone".into());
    }
}

/// Shows it.
///
/// # Errors
/// [`crate::Error::NotFound`]; what opening the file returns.
pub fn run(args: &StatusArgs, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    store.read(|tx| {
        let id = args.experiment.as_ref().map(|word| named::find(tx, word)).transpose()?;
        if let Some(state) = &args.jobs {
            let (names, mut rows) = tx.table(JOBS, rusqlite::params![id, args.limit, state])?;
            if !output.json {
                for cell in rows.iter_mut().filter_map(|row| row.last_mut()) {
                    if let SqlValue::Text(command) = cell {
                        *command = command_short(command);
                    }
                }
            }
            return output.rows(&names, &rows);
        }
        let (names, rows) = tx.table(EXPERIMENTS, rusqlite::params![id, args.limit])?;
        if output.json {
            return output.rows(&names, &rows);
        }
        if let (true, Some(id)) = (rows.is_empty(), id) {
            output.line(&format!("experiment {id} is deleted; `mle protocol undelete {id}` brings it back"))?;
        } else if rows.is_empty() {
            output.line("no experiments yet; `mle run SPEC` makes one")?;
        } else {
            output.rows(&names, &rows)?;
        }
        let counts: Vec<(String, i64)> =
            tx.all(JOB_COUNTS, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if !counts.is_empty() {
            let text: Vec<String> =
                counts.iter().map(|(state, n)| format!("{n} {state}")).collect();
            output.line(&format!("jobs: {}", text.join(" · ")))?;
        }
        // Runs are made as a search goes on, so their number does not say how far it is.
        for line in stand_of_searches(tx, id, args.limit)? {
            output.line(&line)?;
        }
        let (mut names, mut rows) = tx.table(WORKERS, [args.limit])?;
        names.pop();
        rows.iter_mut().for_each(mark_gone);
        let gone = SqlValue::Text("gone".into());
        let is_left = rows.iter().all(|row| row.last() == Some(&gone));
        if rows.is_empty() {
            output.line("no program is at work on this file")?;
        } else {
            output.rows(&names, &rows)?;
        }
        if is_left && let Some(id) = tx.maybe(OPEN, [id], |row| row.get::<_, ExperimentId>(0))? {
            let path = quote(&db.display().to_string());
            let mle = own_name();
            output.line(&format!(
                "nobody is at work on experiment {id}; to go on with it:\n  {mle} run --resume --db {path}"
            ))?;
        }
        for waiting in Waiting::of_file(tx, db, id)? {
            let (id, name) = waiting.experiment();
            output.line(&format!("experiment {id} ({}) is {}", sanitize(name), waiting.text()))?;
        }
        for line in orphans_of(tx, None)? {
            output.line(&line)?;
        }
        let (names, rows) = tx.table(FAILED, [id])?;
        if !rows.is_empty() {
            output.line("failed:")?;
            output.rows(&names, &rows)?;
        }
        Ok(())
    })
}
