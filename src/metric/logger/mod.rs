//! Logging from a program: calls cost well under a microsecond, a thread of ours writes.
//!
//! A call puts its numbers into a buffer; the writer thread commits what is there every 50 ms, or sooner when many updates
//! wait. A process that is killed loses what was not committed: the last 50 ms or 4,096 updates, as long as the writer keeps
//! up (about 500,000 updates a second). [`Logger::flush`] returns when everything before it is in the file. When a million
//! updates wait, calls block: nothing is dropped.
//!
//! A forked child logs to the same run through a connection and a thread of its own, opened at its first call. SQLite
//! connections do not survive a fork, so ours are closed before each fork of the process and opened again after it.
//!
//! A run that ends with its logger is tied to the process: where that is gone without a word, whoever looks at the file next
//! ends the run as failed ([`end_lost_runs`]).

mod buffer;
mod fork;
mod lost;
mod place;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use super::{Kind, Value};
use crate::clock;
use crate::error::{Error, Result};
use crate::id::RunId;
use crate::store::Store;
use buffer::Shared;

pub use lost::{end_lost_runs, lost_loggers};
pub use place::LoggerOptions;
use place::Place;

/// Logs to one run. May be shared between threads; each call is one update.
///
/// ```no_run
/// use mle::metric::{Logger, LoggerOptions};
/// let log = Logger::open("lab.db", LoggerOptions::default())?;
/// for step in 0..1_000 {
///     log.update(&[("num_steps", f64::from(step))], &[("train_loss", 0.1), ("test_loss", 0.2)])?;
/// }
/// log.close()?;
/// # Ok::<(), mle::Error>(())
/// ```
pub struct Logger {
    place: Place,
    here: Node,
}

/// The logger of one process; that of a forked child hangs below its parent's, which it must not touch.
struct Node {
    generation: u64,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    child: OnceLock<Box<Node>>,
}

impl Logger {
    /// Opens the file and a run in it.
    ///
    /// Inside a job (`MLE_RUN` is set) that is the job's run in the job's file, whatever `path` is; otherwise a run of
    /// `options`, with an experiment of kind `log` and a config made for it.
    ///
    /// # Errors
    /// What [`Store::open`] returns; [`Error::Conflict`] when the job's lease is lost; [`Error::NotFound`].
    pub fn open(path: impl AsRef<Path>, options: LoggerOptions) -> Result<Logger> {
        let (place, store) = Place::open(path.as_ref(), options)?;
        let here = Node::start(&place, Some(store))?;
        Ok(Logger { place, here })
    }

    /// Returns the run it logs to.
    pub fn run(&self) -> RunId {
        self.place.run
    }

    /// Returns the job's attempt it logs for, when it is one.
    pub fn attempt(&self) -> Option<i64> {
        self.place.job.map(|(_, attempt)| attempt)
    }

    /// Returns the file it logs to.
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Logs numbers: places on axes, and what was measured there.
    ///
    /// The first clock is the step of the update as long as it is a whole number; without one, and from the first that is
    /// not whole, updates are counted: one more than the step before, from 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is none (the update is not logged); [`Error::Conflict`] once the job's lease is
    /// lost; [`Error::Failed`] once nothing can be written any more.
    pub fn update(&self, clock: &[(&str, f64)], stats: &[(&str, f64)]) -> Result<()> {
        let shared = self.shared()?;
        shared.push(clock::now_ms(), None, clock, stats, &mut std::iter::empty()).map(drop)
    }

    /// Logs numbers and other values, at a `step` that need not be that of a clock; returns how many updates wait to be
    /// written, those of other threads among them.
    ///
    /// # Errors
    /// As [`Logger::update`].
    pub fn put(
        &self,
        step: Option<i64>,
        clock: &[(&str, f64)],
        stats: &[(&str, f64)],
        values: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<u64> {
        self.shared()?.push(clock::now_ms(), step, clock, stats, &mut values.into_iter())
    }

    /// Logs numbers as [`Logger::put`] does, and returns once they are in the file: a transaction of their own.
    ///
    /// # Errors
    /// As [`Logger::update`]; what [`Store::write`] returns, and the update is not logged.
    pub fn put_now(
        &self,
        step: Option<i64>,
        clock: &[(&str, f64)],
        stats: &[(&str, f64)],
    ) -> Result<()> {
        self.shared()?.put_now(&self.place, clock::now_ms(), step, clock, stats)
    }

    /// Logs values of any kind, besides clocks.
    ///
    /// A value that does not fit what its series holds is left out: see [`Logger::take_refused`].
    ///
    /// # Errors
    /// As [`Logger::update`].
    pub fn record(
        &self,
        clock: &[(&str, f64)],
        values: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<()> {
        let shared = self.shared()?;
        shared.push(clock::now_ms(), None, clock, &[], &mut values.into_iter()).map(drop)
    }

    /// Logs an array of numbers.
    ///
    /// # Errors
    /// As [`Logger::update`].
    pub fn vector(&self, clock: &[(&str, f64)], name: &str, numbers: &[f64]) -> Result<()> {
        self.record(clock, [(name.to_owned(), Value::vector(numbers))])
    }

    /// Logs a text.
    ///
    /// # Errors
    /// As [`Logger::update`].
    pub fn text(&self, clock: &[(&str, f64)], name: &str, text: &str) -> Result<()> {
        self.record(clock, [(name.to_owned(), Value::Text(text.to_owned()))])
    }

    /// Returns when everything logged before is committed.
    ///
    /// # Errors
    /// [`Error::Failed`] with what is in the way (the writer goes on trying); [`Error::Conflict`] once the lease is lost.
    pub fn flush(&self) -> Result<()> {
        self.shared()?.flush()
    }

    /// Returns why values were left out since the last call, once for each name and reason.
    ///
    /// # Errors
    /// As [`Logger::update`].
    pub fn take_refused(&self) -> Result<Vec<String>> {
        Ok(self.shared()?.take_refused())
    }

    /// Writes what waits, and ends a run that was made by [`Logger::open`]: it is complete.
    ///
    /// # Errors
    /// As [`Logger::flush`]; what could not be written is then lost.
    pub fn close(mut self) -> Result<()> {
        self.end(None)
    }

    /// As [`Logger::close`], but the run failed.
    ///
    /// # Errors
    /// As [`Logger::close`].
    pub fn fail(mut self, why: &str) -> Result<()> {
        self.end(Some(why))
    }

    fn shared(&self) -> Result<&Shared> {
        let generation = fork::generation();
        if self.here.generation == generation {
            return Ok(&self.here.shared);
        }
        self.after_fork(generation)
    }

    #[cold]
    fn after_fork(&self, generation: u64) -> Result<&Shared> {
        if !fork::is_clean() {
            return Err(Error::Failed(
                "the process forked while the file was in use, so this child cannot log".into(),
            ));
        }
        let mut node = &self.here;
        while node.generation != generation {
            if node.child.get().is_none() {
                // Of two threads the one that comes too late gives up its node again.
                let _ = node.child.set(Box::new(Node::start(&self.place, None)?));
            }
            match node.child.get() {
                Some(child) => node = child,
                None => return Err(Error::Failed("this child cannot log".into())),
            }
        }
        Ok(&node.shared)
    }

    fn end(&mut self, why: Option<&str>) -> Result<()> {
        let generation = fork::generation();
        let is_maker = self.here.generation == generation;
        let mut node = &self.here;
        while node.generation != generation {
            match node.child.get() {
                Some(child) => node = child,
                None => return Ok(()),
            }
        }
        let ended = node.end();
        if is_maker {
            return ended.and(self.place.end(why));
        }
        ended
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        let why = std::thread::panicking().then_some("the program panicked");
        // Nobody is left to tell; `close` tells.
        let _ = self.end(why);
        self.here.forget_parents(fork::generation());
    }
}

impl Node {
    fn start(place: &Place, store: Option<Store>) -> Result<Node> {
        let shared = Arc::new(Shared::default());
        let generation = fork::register(&shared);
        let is_first = store.is_some();
        let mut writer = writer::Writer::new(shared.clone(), place, store);
        if is_first {
            writer = writer.keeping(place);
        }
        let thread = std::thread::Builder::new()
            .name("mle-logger".into())
            .spawn(move || writer.work())
            .map_err(|error| Error::Failed(format!("cannot start a thread: {error}")))?;
        Ok(Node { generation, shared, thread: Mutex::new(Some(thread)), child: OnceLock::new() })
    }

    /// Lets the writer finish. The second time there is nothing to do.
    fn end(&self) -> Result<()> {
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        let Some(thread) = thread else { return Ok(()) };
        self.shared.close();
        let joined = thread.join();
        self.shared.outcome()?;
        joined.map_err(|_| Error::Failed("the writer of the log panicked".into()))
    }

    /// In a child, the threads of its parents are not there to be joined or detached.
    fn forget_parents(&self, generation: u64) {
        if self.generation == generation {
            return;
        }
        if let Ok(mut thread) = self.thread.try_lock() {
            std::mem::forget(thread.take());
        }
        std::mem::forget(self.shared.clone());
        if let Some(child) = self.child.get() {
            child.forget_parents(generation);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A node that lost the race in `after_fork`, or a logger that was never closed.
        if self.generation == fork::generation() {
            let _ = self.end();
        }
    }
}

/// Returns whether a value of this kind is stored among the numbers.
fn is_number(value: &Value) -> bool {
    matches!(value.kind(), Kind::Scalar | Kind::Clock)
}
