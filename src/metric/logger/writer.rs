//! The thread that commits what was logged.

use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::buffer::{Front, PAUSE, Shared, Stop, UPDATES_MAX};
use super::place::{Place, open_store};
use crate::error::{Error, Result};
use crate::metric::rows::{Part, Rows};
use crate::metric::{Appended, Appender};
use crate::store::{Open, Store};

/// So many values at most in one commit, so that others wait for milliseconds.
const VALUES_MAX: usize = 50_000;
/// Once the log has so many pages it is moved into the file, outside of any commit.
const LOG_PAGES: i64 = 1_000;
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Between tries when the file cannot be written.
const RETRY: Duration = Duration::from_millis(500);
/// Between signs of life.
const BEAT: Duration = Duration::from_secs(20);

pub(super) struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    job: String,
    store: Option<Store>,
    appender: Appender,
    known_names: usize,
    /// How many updates callers committed, to become points with the next commit.
    tail: u64,
    looked_at: Instant,
    /// What this process says it is still at work on, and when it said so last.
    held: Option<Place>,
    kept_at: Instant,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, place: &Place, store: Option<Store>) -> Writer {
        Writer {
            shared,
            path: place.path.clone(),
            job: place.job_name(),
            store,
            appender: place.appender().lenient(),
            known_names: 0,
            tail: 0,
            looked_at: Instant::now(),
            held: None,
            kept_at: Instant::now(),
        }
    }

    /// Has this writer give signs of life: that of the process the run ends with, not those of its forked children.
    pub(super) fn keeping(mut self, place: &Place) -> Writer {
        self.held = place.is_held().then(|| place.clone());
        self
    }

    /// Works until the logger is closed.
    pub(super) fn work(mut self) {
        let shared = self.shared.clone();
        let _guard = OnEnd(&shared);
        self.work_until_closed();
        self.store = None;
    }

    fn work_until_closed(&mut self) {
        let mut rows = Rows::default();
        loop {
            let closing = self.take(&mut rows);
            let mut rest = rows.all();
            while !rest.heads.is_empty() || self.tail > 0 {
                let (part, later) = rest.split(UPDATES_MAX, VALUES_MAX);
                if !self.commit(part) {
                    return;
                }
                rest = later;
            }
            rows.clear();
            if closing {
                return;
            }
            self.keep();
        }
    }

    /// Waits for updates and takes them; returns whether they are the last.
    fn take(&mut self, rows: &mut Rows) -> bool {
        let shared = self.shared.clone();
        let mut front = shared.front();
        let mut until: Option<Instant> = None;
        loop {
            if front.holds > 0 {
                front = self.park(&shared, front);
                continue;
            }
            let waiting = front.rows.heads.len() + front.tail as usize;
            if front.closing || waiting >= UPDATES_MAX || (front.urgent && waiting > 0) {
                break;
            }
            front.urgent = false;
            let timeout = match (waiting, until) {
                (0, _) if self.held.is_some() => BEAT.saturating_sub(self.kept_at.elapsed()),
                (0, _) => Duration::from_secs(3600),
                (_, None) => {
                    until = Some(Instant::now() + PAUSE);
                    PAUSE
                }
                (_, Some(until)) => until.saturating_duration_since(Instant::now()),
            };
            if timeout.is_zero() {
                break;
            }
            front = shared.wait_for_work(front, timeout);
        }
        front.urgent = false;
        std::mem::swap(&mut front.rows, rows);
        for name in &front.list[self.known_names..] {
            self.appender.slot(name);
        }
        self.known_names = front.list.len();
        self.tail = std::mem::take(&mut front.tail);
        front.closing
    }

    /// Leaves the file for as long as the process forks. The connection is closed without the lock, as that writes.
    fn park<'a>(
        &mut self,
        shared: &'a Shared,
        front: MutexGuard<'a, Front>,
    ) -> MutexGuard<'a, Front> {
        drop(front);
        self.store = None;
        let mut front = shared.front();
        front.parked = true;
        shared.tell_callers();
        while front.holds > 0 {
            front = shared.wait_for_work(front, Duration::from_secs(60));
        }
        front.parked = false;
        front
    }

    /// Commits some updates, however often that has to be tried; returns whether to go on.
    fn commit(&mut self, part: Part<'_>) -> bool {
        loop {
            match self.try_commit(part) {
                Ok(Appended::Done) => break,
                Ok(Appended::LeaseLost) => {
                    self.shared.stop(Stop::LeaseLost(self.job.clone()));
                    return false;
                }
                Err(error) => {
                    self.appender.reset();
                    if !self.may_retry(&error) {
                        let why = self.in_words(&error);
                        self.shared.stop(Stop::Failed(why));
                        return false;
                    }
                }
            }
        }
        let refused = self.appender.take_refused();
        let mut front = self.shared.front();
        front.committed += part.heads.len() as u64 + std::mem::take(&mut self.tail);
        front.error = None;
        for why in refused {
            if front.refused.len() < 100 && !front.refused.contains(&why) {
                front.refused.push(why);
            }
        }
        drop(front);
        self.shared.tell_callers();
        if let Some(store) = &self.store
            && self.looked_at.elapsed() >= LOOK
        {
            // What could not be moved now, as a reader is in the way, is moved later.
            let _ = store.checkpoint_from(LOG_PAGES);
            self.looked_at = Instant::now();
        }
        true
    }

    /// Says that this process is still there. Should that fail, it is said again the next time.
    fn keep(&mut self) {
        let Some(place) = self.held.as_ref().filter(|_| self.kept_at.elapsed() >= BEAT) else {
            return;
        };
        self.kept_at = Instant::now();
        if let Ok(store) = store_of(&mut self.store, &self.path) {
            let _ = store.write(|tx| place.keep(tx));
        }
    }

    fn try_commit(&mut self, part: Part<'_>) -> Result<Appended> {
        let store = store_of(&mut self.store, &self.path)?;
        store.write(|tx| self.appender.append_rows(tx, part))
    }

    /// What is in the way, with the file and the next step: whoever is told calls something else.
    fn in_words(&self, error: &Error) -> String {
        let (path, mut text) = (self.path.display().to_string(), error.to_string());
        if !text.contains(&path) {
            text = format!("{path}: {text}");
        }
        if let Some(hint) = error.hint().filter(|hint| !text.contains(hint.as_str())) {
            text = format!("{text}; {hint}");
        }
        text
    }

    /// A full disk gets room again and a busy file free; a run or file that is gone does not come back.
    fn may_retry(&mut self, error: &Error) -> bool {
        if !matches!(error, Error::Busy { .. } | Error::Io { .. } | Error::Sqlite { .. }) {
            return false;
        }
        let why = self.in_words(error);
        let shared = self.shared.clone();
        let mut front = shared.front();
        front.error = Some(why);
        front.failures += 1;
        shared.tell_callers();
        if front.closing {
            return false;
        }
        if front.holds > 0 {
            front = self.park(&shared, front);
        }
        let until = Instant::now() + RETRY;
        while !front.closing && Instant::now() < until {
            front = shared.wait_for_work(front, until.saturating_duration_since(Instant::now()));
        }
        true
    }
}

fn store_of<'a>(store: &'a mut Option<Store>, path: &Path) -> Result<&'a mut Store> {
    match store {
        Some(store) => Ok(store),
        empty => Ok(empty.insert(open_store(path, Open::Existing)?)),
    }
}

/// Nobody must wait for a thread that is gone.
struct OnEnd<'a>(&'a Shared);

impl Drop for OnEnd<'_> {
    fn drop(&mut self) {
        self.0.front().parked = true;
        if std::thread::panicking() {
            self.0.stop(Stop::Failed("the writer of the log panicked".into()));
        }
        self.0.tell_callers();
    }
}
