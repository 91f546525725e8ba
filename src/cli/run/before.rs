//! What is looked at before an experiment begins: whether one of its name is open, and whether its jobs fit anywhere.

use std::path::Path;

use crate::cli::output::sanitize;
use crate::cli::{own_name, quote};
use crate::display::size;
use crate::error::{Error, Result};
use crate::process;
use crate::protocol::State;
use crate::queue;
use crate::spec::Plan;
use crate::store::{Open, ReadTx, Store};

/// An experiment that has not ended.
struct Other {
    id: i64,
    state: State,
    runs: i64,
    ended: i64,
    spec: Option<String>,
}

/// Refuses to begin an experiment beside an open one of its name, which was perhaps meant to go on.
///
/// # Errors
/// [`Error::Invalid`] that says how to go on and how to begin another.
pub(super) fn no_other_of_name(db: &Path, name: &str, spec: Option<&str>) -> Result<()> {
    if !db.exists() {
        return Ok(());
    }
    // Why it cannot be opened is said by who adds to it.
    let Ok(store) = Store::open(db, Open::ReadOnly) else { return Ok(()) };
    store.read(|tx| no_other(tx, db, name, spec))
}

/// As [`no_other_of_name`], in the transaction that adds the experiment: of two that begin at once, one does.
///
/// # Errors
/// As there.
pub(super) fn no_other(tx: &ReadTx<'_>, db: &Path, name: &str, spec: Option<&str>) -> Result<()> {
    let Some(other) = open_of_name(tx, name)? else { return Ok(()) };
    let how_far = format!("{} of {} runs ended", other.ended, other.runs);
    let (id, name, file) = (other.id, sanitize(name), db.display());
    let mle = own_name();
    let path = quote(&db.display().to_string());
    if other.state != State::Paused && is_at_work(tx)? {
        let why = format!("experiment {id} {name} is at work in {file}, {how_far}");
        let hint = format!("`{mle} status --db {path}` shows it; --new begins another beside it");
        return Err(Error::invalid("mle run", why).with_hint(hint));
    }
    let state = if other.state == State::Paused { "is paused" } else { "was not ended" };
    let why = format!("experiment {id} {name} {state} in {file}, {how_far}");
    let changed = match (spec, &other.spec) {
        (Some(now), Some(then)) if now != then => ", with the spec as it was then",
        _ => "",
    };
    let hint = format!(
        "`{mle} run --db {path} --resume` goes on with it{changed}; --new begins another beside it"
    );
    Err(Error::invalid("mle run", why).with_hint(hint))
}

fn open_of_name(tx: &ReadTx<'_>, name: &str) -> Result<Option<Other>> {
    const SQL: &str = "SELECT e.id, e.state, e.spec_text,
        (SELECT coalesce(sum(n), 0) FROM run_count r WHERE r.experiment_id = e.id),
        (SELECT coalesce(sum(n), 0) FROM run_count r WHERE r.experiment_id = e.id AND r.state NOT IN ('waiting', 'running'))
        FROM experiment e WHERE e.ended_at_ms IS NULL AND e.deleted_at_ms IS NULL AND e.kind NOT IN ('log', 'command')
        AND e.name = ?1 ORDER BY e.id DESC LIMIT 1";
    tx.maybe(SQL, [name], |row| {
        Ok(Other {
            id: row.get(0)?,
            state: row.get(1)?,
            spec: row.get(2)?,
            runs: row.get(3)?,
            ended: row.get(4)?,
        })
    })
}

/// Returns whether the spec of an experiment that goes on is another than this one.
///
/// # Errors
/// What opening the file returns.
pub(super) fn is_other_spec(db: &Path, id: crate::id::ExperimentId, spec: &str) -> Result<bool> {
    const SQL: &str = "SELECT spec_text FROM experiment WHERE id = ?1";
    let then: Option<String> =
        Store::open(db, Open::ReadOnly)?.read(|tx| tx.one(SQL, [id], |row| row.get(0)))?;
    Ok(then.is_some_and(|then| then != spec))
}

/// Whether a program of this host that makes jobs of experiments is alive.
fn is_at_work(tx: &ReadTx<'_>) -> Result<bool> {
    let live = queue::live_workers(tx, &process::host())?;
    Ok(live.iter().any(|worker| {
        process::start_of(worker.pid).as_deref() == Some(worker.process_start.as_str())
    }))
}

/// What a plan's jobs ask for that this machine does not have: a warning where they run all the same, else an error.
pub(super) struct Fit {
    pub warning: Option<String>,
    pub error: Option<Error>,
}

/// Compares what a plan's jobs ask for with what there is, in this machine and in workers of the file at work.
///
/// # Errors
/// What opening the file returns.
pub(super) fn fit(plan: &Plan, db: &Path) -> Result<Fit> {
    let asked = |of: fn(&crate::spec::Resources) -> u64| {
        let beside = plan.before.iter().chain(&plan.after).map(|it| of(&it.resources));
        beside.fold(of(&plan.resources), u64::max)
    };
    let here = (process::cores(), process::gpus().len() as u64, process::memory_mib());
    let mut fit = Fit { warning: None, error: None };
    let cores = asked(|it| it.cores.into());
    if cores > here.0.into() {
        fit.warning = Some(format!(
            "jobs ask for {cores} cores and this machine has {}: they run all the same, more slowly",
            here.0
        ));
    }
    let gpus = asked(|it| it.gpus.into());
    let memory = asked(|it| it.memory_mib.unwrap_or(0));
    if gpus <= here.1 && memory <= here.2 {
        return Ok(fit);
    }
    if db.exists() {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM worker WHERE state = 'live' AND gpus >= ?1 AND memory_mib >= ?2)";
        let Ok(store) = Store::open(db, Open::ReadOnly) else { return Ok(fit) };
        let (gpus, memory) = (gpus.cast_signed(), memory.cast_signed());
        if store.read(|tx| tx.one(SQL, [gpus, memory], |row| row.get::<_, bool>(0)))? {
            return Ok(fit);
        }
    }
    let mib = |mib: u64| size(i64::try_from(mib.saturating_mul(1 << 20)).unwrap_or(i64::MAX));
    let (why, key) = if gpus > here.1 {
        (format!("jobs ask for {gpus} GPUs and this machine has {}", here.1), "gpus")
    } else {
        let (asked, here) = (mib(memory), mib(here.2));
        (format!("jobs ask for {asked} of memory and this machine has {here}"), "memory")
    };
    let error =
        Error::invalid(format!("resources: {key}"), format!("{why}: they would wait for ever"));
    fit.error = Some(error.with_hint(format!(
        "ask for less, as in `--set resources.{key}=…`; with --enqueue they wait for a worker that has more"
    )));
    Ok(fit)
}
