//! Connections and forks: SQLite's do not survive one.
//!
//! Before Python forks, no call is in the middle of a file and all idle connections are closed; both processes open
//! their own when they need one. Loggers see to their writers themselves, in the crate.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use pyo3::prelude::*;

use crate::db::Files;
use crate::errors::OrRaise;

/// Who is in the middle of a file, and whether somebody is about to fork.
#[derive(Default)]
struct Use {
    calls: usize,
    forking: bool,
}

static IN_USE: Mutex<Use> = Mutex::new(Use { calls: 0, forking: false });
static CHANGED: Condvar = Condvar::new();
static OPEN: Mutex<Vec<Weak<Files>>> = Mutex::new(Vec::new());

thread_local! {
    /// Held from before a fork until after it, so that the child finds the lock in the hands of its only thread.
    static FORKING: RefCell<Option<MutexGuard<'static, Use>>> = const { RefCell::new(None) };
}

fn in_use() -> MutexGuard<'static, Use> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_while(
    now: MutexGuard<'static, Use>,
    still: impl Fn(&Use) -> bool,
) -> MutexGuard<'static, Use> {
    CHANGED.wait_while(now, |now| still(now)).unwrap_or_else(PoisonError::into_inner)
}

/// One call in the middle of a file.
struct Call;

impl Call {
    fn begin() -> Call {
        wait_while(in_use(), |now| now.forking).calls += 1;
        Call
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        in_use().calls -= 1;
        CHANGED.notify_all();
    }
}

/// Does what touches a file or holds a lock, without the interpreter's lock. Must not be nested: a fork between the two
/// would wait for the outer call, and the inner one for the fork.
pub(crate) fn blocking<T: Send>(
    py: Python<'_>,
    body: impl FnOnce() -> mle::Result<T> + Send,
) -> PyResult<T> {
    py.detach(|| {
        let _call = Call::begin();
        body()
    })
    .or_raise()
}

/// Has the connections of a file closed before forks.
pub(crate) fn register(files: &Arc<Files>) {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|files| files.strong_count() > 0);
    open.push(Arc::downgrade(files));
}

/// Waits until no call is in the middle of a file, and closes idle connections. For `os.register_at_fork`.
#[pyfunction]
#[pyo3(name = "_before_fork")]
pub(crate) fn before_fork(py: Python<'_>) {
    // Two threads may fork at once: the second one must not keep the interpreter from the first.
    py.detach(|| {
        let mut now = wait_while(in_use(), |now| now.forking);
        now.forking = true;
        drop(wait_while(now, |now| now.calls > 0));
    });
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    for files in open.iter().filter_map(Weak::upgrade) {
        files.close_idle();
    }
    FORKING.with(|forking| forking.replace(Some(in_use())));
}

/// Lets calls go on, in both processes. For `os.register_at_fork`.
#[pyfunction]
#[pyo3(name = "_after_fork")]
pub(crate) fn after_fork() {
    if let Some(mut now) = FORKING.with(|forking| forking.replace(None)) {
        now.forking = false;
        drop(now);
        CHANGED.notify_all();
    }
}
