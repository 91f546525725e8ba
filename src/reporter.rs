//! The reporter: each experiment that ended gets its report into the file.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::daemon;
use crate::error::Result;
use crate::id::{ExperimentId, WorkerId};
use crate::queue::{self, WorkerKind};
use crate::report;
use crate::store::{Open, Store, Watch};
use crate::worker::Stop;

const WITHOUT_REPORT: &str = "SELECT e.id FROM experiment e
    WHERE e.state IN ('complete', 'failed', 'cancelled') AND e.deleted_at_ms IS NULL AND e.kind <> 'log'
      AND NOT EXISTS (SELECT 1 FROM artifact a WHERE a.experiment_id = e.id AND a.kind = 'report'
                      AND a.created_at_ms >= e.ended_at_ms)
    ORDER BY e.id";

/// Stores reports as experiments end, until told to stop (or, with `when_dry`, until none is open).
///
/// # Errors
/// What opening the file, rendering or storing returns.
pub fn run(db: &Path, stop: &Stop) -> Result<()> {
    let mut store = Store::open(db, Open::Create)?;
    let id = store.write(|tx| queue::register(tx, &daemon::me(WorkerKind::Reporter)))?.0;
    let result = work(&mut store, id, db, stop);
    store.write(|tx| queue::end_worker(tx, id, true))?;
    result
}

fn work(store: &mut Store, me: WorkerId, db: &Path, stop: &Stop) -> Result<()> {
    let watch = Watch::new(db);
    let (mut seen, mut heard) = (None, Instant::now());
    loop {
        if heard.elapsed() >= daemon::HEARTBEAT {
            heard = Instant::now();
            store.write(|tx| queue::keep_worker(tx, me))?;
        }
        if stop.now.load(Ordering::Relaxed) || stop.preempt.load(Ordering::Relaxed) {
            return Ok(());
        }
        let version = store.data_version()?;
        if seen == Some(version) {
            watch.wait(Duration::from_millis(500));
            continue;
        }
        seen = Some(version);
        let due: Vec<ExperimentId> =
            store.read(|tx| tx.all(WITHOUT_REPORT, [], |row| row.get(0)))?;
        for id in due {
            let prepared = store.read(|tx| report::render(tx, id))?.prepare();
            store.write(|tx| report::store(tx, id, &prepared))?;
        }
        if stop.when_dry.load(Ordering::Relaxed) && !store.read(daemon::any_open)? {
            return Ok(());
        }
        // A reader of the file, not of each commit.
        std::thread::sleep(Duration::from_millis(50));
    }
}
