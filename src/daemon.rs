//! What the scheduler, the searcher and the reporter share: register, take turns, wake when the file changes, stop on a
//! signal.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::process;
use crate::queue::{self, NewWorker, Room, WorkerKind};
use crate::store::{Open, ReadTx, Store, Watch, WriteTx};
use crate::study::Memory;
use crate::worker::{self, Stop};

/// One kind of turn.
pub struct Turn {
    /// Which program takes it.
    pub kind: WorkerKind,
    /// Whether a turn could change anything; read without the write lock.
    pub due: fn(&ReadTx<'_>, &Memory) -> Result<bool>,
    /// What comes before the turn where that takes long: what can be written at once, and what can be worked out then
    /// without the write lock.
    pub before: Option<Before>,
    /// The turn; returns how much changed. The memory is the program's, and never ahead of the file.
    pub take: fn(&WriteTx<'_>, &mut Memory, &str) -> Result<usize>,
}

/// See [`Turn::before`].
pub struct Before {
    /// Writes; returns how much changed.
    pub write: fn(&WriteTx<'_>, &mut Memory, &str) -> Result<usize>,
    /// Works out what the turn will need.
    pub prepare: fn(&ReadTx<'_>, &mut Memory) -> Result<()>,
}

/// The scheduler's turn.
pub const SCHEDULER: Turn = Turn {
    kind: WorkerKind::Scheduler,
    due: |tx, _| crate::lifecycle::schedule_due(tx),
    before: None,
    take: |tx, _, who| crate::lifecycle::schedule(tx, who),
};

/// The searcher's turn.
pub const SEARCHER: Turn = Turn {
    kind: WorkerKind::Searcher,
    due: crate::lifecycle::search_due,
    before: Some(Before {
        write: crate::lifecycle::settle_searches,
        prepare: crate::lifecycle::prepare_searches,
    }),
    take: crate::lifecycle::search,
};

/// Turns are at least this far apart: others' commits come in bursts.
const APART: Duration = Duration::from_millis(4);
/// Without a commit of others, a look this often: leases run out silently.
const LOOK: Duration = Duration::from_millis(500);
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);

/// Takes turns until told to stop (or, with `when_dry`, until no experiment is open).
///
/// # Errors
/// What opening the file or a turn returns. A busy file is waited for.
pub fn run(db: &Path, turns: &[Turn], stop: &Stop) -> Result<()> {
    let mut store = Store::open(db, Open::Create)?;
    worker::clear_host(&mut store)?;
    let mut ids = Vec::new();
    for turn in turns {
        ids.push(store.write(|tx| queue::register(tx, &me(turn.kind)))?.0);
    }
    let watch = Watch::new(db);
    let (mut seen, mut looked, mut heard) = (None, Instant::now(), Instant::now());
    let (mut first, mut memory) = (true, Memory::default());
    let result = loop {
        if stop.now.load(Ordering::Relaxed) || stop.preempt.load(Ordering::Relaxed) {
            break Ok(());
        }
        let version = store.data_version()?;
        if first || seen != Some(version) || looked.elapsed() >= LOOK {
            first = false;
            (seen, looked) = (Some(version), Instant::now());
            if let Err(error) = take_all(&mut store, &mut memory, turns) {
                match error {
                    Error::Busy { .. } => {}
                    other => break Err(other),
                }
            }
            if stop.when_dry.load(Ordering::Relaxed) && !store.read(any_open)? {
                break Ok(());
            }
            std::thread::sleep(APART);
        } else {
            watch.wait(LOOK.saturating_sub(looked.elapsed()).max(Duration::from_millis(1)));
        }
        if heard.elapsed() >= HEARTBEAT {
            heard = Instant::now();
            store.write(|tx| ids.iter().try_for_each(|id| queue::keep_worker(tx, *id)))?;
            worker::clear_host(&mut store)?;
        }
    };
    store.write(|tx| ids.iter().try_for_each(|id| queue::end_worker(tx, *id, true)))?;
    result
}

fn take_all(store: &mut Store, memory: &mut Memory, turns: &[Turn]) -> Result<()> {
    // One turn's changes may make another's due.
    for _ in 0..8 {
        let mut changes = 0;
        for turn in turns {
            if store.read(|tx| (turn.due)(tx, memory))? {
                let who = turn.kind.as_str();
                if let Some(before) = turn.before.as_ref().filter(|_| memory.is_slow()) {
                    changes += memory.write(store, |tx, memory| (before.write)(tx, memory, who))?;
                    store.read(|tx| (before.prepare)(tx, memory))?;
                }
                changes += memory.write(store, |tx, memory| (turn.take)(tx, memory, who))?;
            }
        }
        if changes == 0 {
            break;
        }
    }
    Ok(())
}

pub(crate) fn any_open(tx: &ReadTx<'_>) -> Result<bool> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM experiment WHERE ended_at_ms IS NULL
                       AND deleted_at_ms IS NULL AND kind <> 'log')";
    tx.one(SQL, [], |row| row.get(0))
}

pub(crate) fn me(kind: WorkerKind) -> NewWorker {
    NewWorker {
        kind,
        host: process::host(),
        pid: std::process::id(),
        process_start: process::start_of(std::process::id()).unwrap_or_default(),
        slots: 0,
        room: Room { cores: 0, gpus: 0, memory_mib: 0 },
    }
}

/// Turns signals into flags: SIGINT and SIGTERM ask to stop, SIGUSR2 says the machine will be taken away. A second
/// SIGINT ends the process at once.
///
/// # Errors
/// [`Error::Failed`] when handlers cannot be set.
pub fn stop_on_signals() -> Result<Stop> {
    let stop = Stop::default();
    let register = |signal, flag: &Arc<AtomicBool>| {
        signal_hook::flag::register(signal, Arc::clone(flag))
            .map_err(|error| Error::Failed(format!("cannot handle signal {signal}: {error}")))
    };
    for signal in
        [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
    {
        // The order matters: this one acts only when the flag is set already.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop.now))
            .map_err(|error| Error::Failed(format!("cannot handle signal {signal}: {error}")))?;
        register(signal, &stop.now)?;
    }
    register(signal_hook::consts::SIGUSR2, &stop.preempt)?;
    Ok(stop)
}
