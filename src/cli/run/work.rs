//! The loops of all programs as threads of one process, for one experiment.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::cli::leaderboard;
use crate::cli::news::Echo;
use crate::cli::output::{Output, note, path_json};
use crate::cli::{own_name, quote};
use crate::daemon::{self, SCHEDULER, SEARCHER};
use crate::display::{count, json_number, number, sanitize};
use crate::error::{Error, Result};
use crate::id::ExperimentId;
use crate::lifecycle;
use crate::process;
use crate::protocol::{self, State};
use crate::queue::WorkerKind;
use crate::report::{self, Failed, Place};
use crate::spec::{Kind, Launch, Plan};
use crate::store::{Open, ReadTx, Store, Watch};
use crate::worker::{self, Options};

use super::outside::Waiting;
use super::progress::{self, Progress};
use super::verdict;

/// Runs an experiment of the file to its end.
///
/// # Errors
/// See [`super::run`].
pub(super) fn go_on(
    db: &Path,
    id: ExperimentId,
    workers: Option<u32>,
    output: &Output,
) -> Result<()> {
    let began = Instant::now();
    let mut store = Store::open(db, Open::Existing)?;
    worker::clear_host(&mut store)?;
    let (plan, state) = store.read(|tx| {
        let plan: String = tx
            .maybe("SELECT plan FROM experiment WHERE id = ?1", [id], |row| row.get(0))?
            .ok_or_else(|| Error::not_found("experiment", id))?;
        Ok((plan, protocol::state(tx, id)?))
    })?;
    let plan: Plan = serde_json::from_str(&plan).map_err(|error| {
        Error::invalid(format!("experiment {id}"), format!("its plan cannot be read: {error}"))
    })?;
    if state == State::Paused {
        store.write(|tx| lifecycle::resume(tx, id, "run"))?;
    }
    // Of a new experiment this was an error; one that goes on may have jobs that do fit.
    if let Some(error) = super::before::fit(&plan, db)?.error.filter(|_| !output.json) {
        note(&format!("warning: {}", sanitize(&error.to_string())));
    }
    let slots = workers
        .or(plan.workers)
        .unwrap_or_else(|| (process::cores() / plan.resources.cores.max(1)).max(1));
    // One command looks as if it ran by hand: what it prints is what there is to see.
    let is_command = plan.kind == Kind::Command;
    let (echo, printer) = Echo::new(id);
    let echo = (is_command && !output.json).then(|| Arc::new(echo) as Arc<dyn worker::Audience>);
    let options = Options {
        audience: echo,
        slots: Some(slots),
        // What is asked for on this machine is given: the peer's files name the cores of a cluster.
        cores: Some(process::cores().max(slots.saturating_mul(plan.resources.cores))),
        only: Some(id),
        kind: WorkerKind::Run,
        ..Options::default()
    };
    if !output.json {
        let name = sanitize(&plan.name);
        let at_once = if is_command { String::new() } else { format!(" ({slots} at once)") };
        note(&format!("experiment {id} {name} in {}{at_once}", db.display()));
    }
    let stop = daemon::stop_on_signals()?;
    let inner = worker::Stop::default();
    let result = std::thread::scope(|scope| {
        // The scope waits for its threads, also when this one panics or cannot start the second.
        let ending = Ending(&inner);
        let thread = std::thread::Builder::new;
        let turns = thread()
            .spawn_scoped(scope, || daemon::run(db, &[SCHEDULER, SEARCHER], &inner))
            .map_err(no_thread)?;
        let printed = thread().spawn_scoped(scope, || printer.print()).map_err(no_thread)?;
        let stop_jobs = &inner;
        // The options go with the worker, and with them the echo that the printer waits for.
        let jobs = thread()
            .spawn_scoped(scope, move || worker::run(db, &options, stop_jobs))
            .map_err(no_thread)?;
        let progress = Progress::new(output, db, id, is_command, Waiting::of(&plan, db, id));
        let watched = watch(&mut store, db, id, output, progress, &stop, || {
            turns.is_finished() || jobs.is_finished()
        });
        drop(ending);
        let join = |result: std::thread::Result<Result<()>>| {
            result
                .unwrap_or_else(|_| Err(Error::Failed("a thread of this program panicked".into())))
        };
        let jobs = join(jobs.join().map(|result| result.map(drop)));
        let turns = join(turns.join());
        Ok((watched.and_then(|over| jobs.and(turns).map(|()| over)), join(printed.join())))
    });
    let (result, printed) = result.unwrap_or_else(|error| (Err(error), Ok(())));
    let state = store.read(|tx| protocol::state(tx, id))?;
    if matches!(result, Ok(true)) && state == State::Running {
        // It was over, and somebody gave it more to do while the loops ended.
        return go_on(db, id, workers, output);
    }
    // Also when it is paused already: jobs that were stopped meanwhile went back to the queue.
    if !state.is_end() {
        pause(&mut store, id)?;
    }
    result?;
    conclude(&mut store, db, id, &plan, began.elapsed(), output).and(printed)
}

/// Pauses an experiment, unless another `mle run` is at work on it.
fn pause(store: &mut Store, id: ExperimentId) -> Result<()> {
    const OTHERS: &str = "SELECT EXISTS (SELECT 1 FROM job j JOIN worker w ON w.id = j.worker_id
        WHERE j.experiment_id = ?1 AND j.state = 'running' AND w.kind = 'run' AND w.state = 'live'
          AND (w.pid <> ?2 OR w.host <> ?3))";
    store.write(|tx| {
        let params = rusqlite::params![id, std::process::id(), process::host()];
        match tx.one(OTHERS, params, |row| row.get(0))? {
            true => Ok(()),
            false => lifecycle::pause(tx, id, "run").map(drop),
        }
    })
}

/// Asks the loops to stop when it goes, however it goes.
struct Ending<'a>(&'a worker::Stop);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.now.store(true, Ordering::Relaxed);
    }
}

fn no_thread(error: std::io::Error) -> Error {
    let why = format!(
        "{error}; allow more memory or processes (ulimit -v, ulimit -u), then `mle run --resume`"
    );
    Error::io("a thread cannot be started", std::io::Error::new(error.kind(), why))
}

/// Shows progress until the experiment is over, the user stops it, or a loop ended by itself; returns whether it is over.
fn watch(
    store: &mut Store,
    db: &Path,
    id: ExperimentId,
    output: &Output,
    mut progress: Progress<'_>,
    stop: &worker::Stop,
    broken: impl Fn() -> bool,
) -> Result<bool> {
    let watch = Watch::new(db);
    let seeds = store.read(|tx| report::seeds_of_plan(tx, id))?;
    loop {
        let now = store.read(|tx| progress::snapshot(tx, id, seeds))?;
        progress.show(&now);
        store.read(|tx| progress.look(tx, &now))?;
        let over = matches!(now.state.as_str(), "complete" | "failed" | "cancelled");
        if over || broken() {
            progress.end();
            return Ok(over);
        }
        if stop.now.load(Ordering::Relaxed) || stop.preempt.load(Ordering::Relaxed) {
            progress.end();
            if !output.json {
                note("stopping: jobs are asked to end …");
            }
            return pause(store, id).map(|()| false);
        }
        // Commits come in bursts: a display needs no more than ten a second.
        watch.wait(Duration::from_millis(100));
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// What a person wants to know at the end.
fn conclude(
    store: &mut Store,
    db: &Path,
    id: ExperimentId,
    plan: &Plan,
    session: Duration,
    output: &Output,
) -> Result<()> {
    let state = store.read(|tx| protocol::state(tx, id))?;
    if state.is_end() {
        let rendered = store.read(|tx| report::render(tx, id))?;
        let prepared = rendered.prepare();
        store.write(|tx| report::store(tx, id, &prepared))?;
    }
    let path = quote(&db.display().to_string());
    let (places, failed) = store
        .read(|tx| Ok((report::leaderboard(tx, id, 10)?, report::failed_configs(tx, id, 5)?)))?;
    let said = if output.json {
        let board: Vec<serde_json::Value> = places.iter().map(place_json).collect();
        output.json(&serde_json::json!({ "experiment": id, "db": path_json(db), "state": state.as_str(), "leaderboard": board }))
    } else if state == State::Paused {
        note(&format!("paused; go on with:\n  {} run --db {path} --resume", own_name()));
        Ok(())
    } else if plan.kind == Kind::Command {
        for line in store.read(|tx| recorded(tx, id, state, &path))? {
            note(&sanitize(&line));
        }
        Ok(())
    } else {
        let db_flag = crate::cli::db_flag(db);
        for line in store.read(|tx| failures(tx, id, &db_flag))? {
            note(&sanitize(&line));
        }
        print_places(&places, &failed, plan, output)
            .and_then(|()| {
                let took = elapsed(store, id, session)?;
                output.line(&format!("{state} in {took}: everything is in {}", db.display()))
            })
            .and_then(|()| match store.read(|tx| stopped_short(tx, id))? {
                Some((asked, max)) => output.line(&format!(
                    "its search ended after {asked} of {max} trials: nothing else is left to propose"
                )),
                None => Ok(()),
            })
            .and_then(|()| match store.read(|tx| untold(tx, id))? {
                0 => Ok(()),
                n => output.line(&format!(
                    "{} that `mle ask` took has no value yet: `mle tell` still takes it",
                    count(n, "trial")
                )),
            })
            .and_then(|()| print_next(store, id, &path, places.is_empty(), output))
    };
    let error = store.read(|tx| {
        tx.one("SELECT error FROM experiment WHERE id = ?1", [id], |row| {
            row.get::<_, Option<String>>(0)
        })
    })?;
    let verdict = match (plan.kind, state) {
        (Kind::Command, State::Failed) => {
            store.read(|tx| own_end(tx, id))?.map_or_else(|| verdict(state, error), Err)
        }
        _ => verdict(state, error),
    };
    // How the experiment went matters more than that it could not be said.
    verdict.and(said)
}

/// Returns how many trials a search proposed and how many it might have, where nothing was left before.
fn stopped_short(tx: &ReadTx<'_>, id: ExperimentId) -> Result<Option<(i64, i64)>> {
    const SQL: &str = "SELECT (SELECT count(*) FROM trial t WHERE t.study_id = s.id AND t.source = 'asked') AS asked, s.trial_max
        FROM study s JOIN experiment e ON e.id = s.experiment_id
        WHERE s.experiment_id = ?1 AND s.state = 'closed' AND e.state = 'complete' AND s.epoch_max IS NULL AND asked < s.trial_max";
    tx.maybe(SQL, [id], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Returns how many trials of a search are at work by hand.
fn untold(tx: &ReadTx<'_>, id: ExperimentId) -> Result<u64> {
    const SQL: &str = "SELECT count(*) FROM study s JOIN trial t ON t.study_id = s.id
        WHERE s.experiment_id = ?1 AND t.state = 'running' AND t.in_queue = 0";
    tx.one(SQL, [id], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))
}

/// How the command of an experiment ended, when that is why it failed.
fn own_end(tx: &ReadTx<'_>, id: ExperimentId) -> Result<Option<Error>> {
    const SQL: &str =
        "SELECT a.exit_code, a.signal, coalesce(j.error, a.error, '') FROM job j
                       LEFT JOIN attempt a ON a.job_id = j.id AND a.number = j.attempt
                       WHERE j.experiment_id = ?1 AND j.state = 'failed' ORDER BY j.id DESC LIMIT 1";
    let end = tx.maybe(SQL, [id], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, String>(2)?))
    })?;
    Ok(end.map(|(code, signal, why)| {
        let code = match (code, signal) {
            (Some(code), _) => u8::try_from(code).ok().filter(|code| *code > 0).unwrap_or(1),
            (None, Some(signal)) => u8::try_from(128 + signal).unwrap_or(1),
            // What a shell says of a program that it could not start.
            (None, None) => 127,
        };
        Error::Exited { code, why }
    }))
}

/// What was kept of one command, for standard error: standard output is the command's.
fn recorded(tx: &ReadTx<'_>, id: ExperimentId, state: State, path: &str) -> Result<Vec<String>> {
    const METRICS: &str = "SELECT m.name, s.last FROM run r JOIN series s ON s.run_id = r.id JOIN metric m ON m.id = s.metric_id
                           WHERE r.experiment_id = ?1 AND s.kind = 'scalar' ORDER BY s.id LIMIT 5";
    const JOB: &str = "SELECT max(id) FROM job WHERE experiment_id = ?1";
    const WHY: &str =
        "SELECT r.error FROM run r WHERE r.experiment_id = ?1 AND r.state = 'failed' AND r.error IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM job j WHERE j.run_id = r.id AND j.state = 'failed') LIMIT 1";
    let took = crate::clock::duration(tx.one(TOOK, [id], |row| row.get(0))?);
    let metrics: Vec<String> = tx.all(METRICS, [id], |row| {
        let value = row.get::<_, Option<f64>>(1)?.map_or_else(|| "NaN".into(), number);
        Ok(format!("{} {value}", row.get::<_, String>(0)?))
    })?;
    let metrics = match metrics.is_empty() {
        true => String::new(),
        false => format!(", last {}", metrics.join(", ")),
    };
    let mut lines =
        vec![format!("{state} in {took}, recorded as experiment {id} in {path}{metrics}")];
    let job: Option<i64> = tx.one(JOB, [id], |row| row.get(0))?;
    // Why a command that ended well has no value.
    lines.extend(tx.all(WHY, [id], |row| row.get(0))?);
    if let Some(job) = job {
        let mle = own_name();
        lines.push(format!(
            "see `{mle} logs {job} --db {path}`, `{mle} protocol show {id} --db {path}`"
        ));
    }
    Ok(lines)
}

fn place_json(place: &Place) -> serde_json::Value {
    serde_json::json!({
        "place": place.place, "config": place.config, "name": place.name, "mean": json_number(place.mean),
        "low95": place.interval.map(|interval| json_number(interval.0)),
        "high95": place.interval.map(|interval| json_number(interval.1)),
        "seeds": place.seeds, "failed": place.failed, "params": place.params,
    })
}

/// The leaderboard, and the best in words.
fn print_places(places: &[Place], failed: &[Failed], plan: &Plan, output: &Output) -> Result<()> {
    let Some(objective) = plan.objectives.first() else { return Ok(()) };
    if places.is_empty() {
        return Ok(());
    }
    leaderboard::print(places, failed, &objective.metric, "no run has a value yet", output)?;
    let best = &places[0];
    let of = match best.interval {
        _ if best.incomplete.is_some() => format!(" ({} seeds)", best.seeds_text()),
        Some((low, high)) => {
            format!(" (95 % interval {} to {}, {} seeds)", number(low), number(high), best.seeds)
        }
        None => String::new(),
    };
    output.line(&format!("best {}: {}{of}", sanitize(&objective.metric), number(best.mean)))
}

fn print_next(
    store: &Store,
    id: ExperimentId,
    path: &str,
    plain: bool,
    output: &Output,
) -> Result<()> {
    let mle = own_name();
    if !plain {
        let has_front = store.read(|tx| Ok(protocol::objectives(tx, id)?.len() > 1))?;
        let third = match has_front {
            true => format!("{mle} study pareto {id} --db {path}"),
            false => format!("{mle} sql --db {path} \"SELECT * FROM leaderboard\""),
        };
        return output.line(&format!(
            "next:\n  {mle} report {id} --db {path} --format html --out report.html\n  {mle} status {id} --db {path}\n  {third}"
        ));
    }
    let job: Option<i64> = store.read(|tx| {
        tx.one("SELECT max(id) FROM job WHERE experiment_id = ?1", [id], |row| row.get(0))
    })?;
    match job {
        Some(job) => output.line(&format!(
            "next:\n  {mle} logs {job} --db {path}\n  {mle} protocol show {id} --db {path}"
        )),
        None => Ok(()),
    }
}

/// How long an experiment took [ms].
const TOOK: &str =
    "SELECT coalesce(ended_at_ms, changed_at_ms) - coalesce(started_at_ms, created_at_ms)
                    FROM experiment WHERE id = ?1";

/// Says how long an experiment took; where it was taken up again, how long that was.
fn elapsed(store: &Store, id: ExperimentId, session: Duration) -> Result<String> {
    let took: i64 = store.read(|tx| tx.one(TOOK, [id], |row| row.get(0)))?;
    let session = i64::try_from(session.as_millis()).unwrap_or(i64::MAX);
    let duration = crate::clock::duration;
    Ok(match took > session + session / 10 + 1000 {
        true => format!("{}, {} after it began", duration(session), duration(took)),
        false => duration(took),
    })
}

/// The failed jobs, each with why and where to look; at most five.
fn failures(tx: &ReadTx<'_>, id: ExperimentId, db_flag: &str) -> Result<Vec<String>> {
    const SQL: &str = "SELECT id, stage, coalesce(error, '') FROM job
                       WHERE experiment_id = ?1 AND state = 'failed' ORDER BY id";
    let all: Vec<(i64, String, String)> =
        tx.all(SQL, [id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut lines: Vec<String> = all
        .iter()
        .take(5)
        .map(|(job, stage, error)| {
            let which =
                if stage == "main" { String::new() } else { format!(" ({stage} the runs)") };
            format!("job {job}{which} failed: {error}; see `mle logs {job}{db_flag}`")
        })
        .collect();
    if all.len() > 5 {
        lines.push(format!(
            "and {} more failed jobs; see `mle status {id}{db_flag}`",
            all.len() - 5
        ));
    }
    // Runs without a value, whose jobs succeeded.
    const EMPTY: &str = "SELECT coalesce(r.error, ''), count(*), min(r.name) FROM run r
                         WHERE r.experiment_id = ?1 AND r.state = 'failed'
                           AND NOT EXISTS (SELECT 1 FROM job j WHERE j.run_id = r.id AND j.state = 'failed')
                         GROUP BY 1 ORDER BY min(r.id) LIMIT 5";
    tx.each(EMPTY, [id], |row| {
        let (error, n, name): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let of = if n == 1 { format!("run {name}") } else { format!("{n} runs, as {name},") };
        lines.push(format!("{of} failed: {error}"));
        Ok(())
    })?;
    Ok(lines)
}

/// `--dry-run`.
pub(super) fn show_plan(plan: &Plan, db: &Path, output: &Output) -> Result<()> {
    if output.json {
        let text = serde_json::to_string_pretty(plan)
            .map_err(|error| Error::invalid("plan", error.to_string()))?;
        return output.line(&text);
    }
    output.line(&format!("{} would run in {}", plan.name, db.display()))?;
    match &plan.search {
        Some(search) => {
            let trials = match search.trials {
                Some(n) => count(n, "trial"),
                None => "all trials".into(),
            };
            let seeds = count(plan.seeds.len() as u64, "seed");
            output.line(&format!("  {} search: {trials} × {seeds}", search.strategy))?;
            let space = crate::search::space::Space::parse(&search.space)?;
            for row in space.describe() {
                output.line(&format!("    {}: {} {}", row.name, row.kind, row.range))?;
            }
            for constraint in &search.constraints {
                output.line(&format!("    constraint: {}", sanitize(constraint)))?;
            }
            for point in &search.points {
                let point = serde_json::Value::Object(point.clone()).to_string();
                output.line(&format!("    first: {}", sanitize(&point)))?;
            }
            let set =
                |name: &str, value: String| output.line(&format!("  {name}: {}", sanitize(&value)));
            if let Some(epochs) = search.epochs.filter(|_| !search.races()) {
                set("epochs", epochs.to_string())?;
            }
            if let Some(budget) = search.epoch_budget {
                set("epoch_budget", budget.to_string())?;
            }
            for (name, value) in &search.settings {
                set(name, value.to_string())?;
            }
            if let Some(stop) = &search.stop {
                set("stop", crate::display::params(stop))?;
            }
        }
        None => output.line(&format!(
            "  {} configs × {} seeds = {} runs",
            plan.configs.len(),
            plan.seeds.len(),
            plan.configs.len() * plan.seeds.len()
        ))?,
    }
    for objective in &plan.objectives {
        let goal = super::objective_of(objective, plan.aggregate).goal;
        output.line(&format!("  metric: {} ({goal})", sanitize(&objective.metric)))?;
    }
    match &plan.launch {
        Launch::Template(words) => {
            output.line(&format!("  command: {}", sanitize(&shell_words::join(words))))
        }
        Launch::Script { script, .. } => {
            output.line(&format!("  script: {} -exp_dir … -config … -seed …", sanitize(script)))
        }
    }
}
