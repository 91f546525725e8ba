//! Connections and forks: SQLite's do not survive one.
//!
//! Before Python forks, no call is in the middle of a file and all idle connections are closed; both processes open
//! their own when they need one. Loggers see to their writers themselves, in the crate.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard, Weak};

use pyo3::prelude::*;

use crate::db::Files;
use crate::errors::OrRaise;

/// Read by whoever uses a file, written by whoever forks.
static IN_USE: RwLock<()> = RwLock::new(());
static OPEN: Mutex<Vec<Weak<Files>>> = Mutex::new(Vec::new());

thread_local! {
    static FORKING: RefCell<Option<RwLockWriteGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Does what touches a file or holds a lock, without the interpreter's lock. Must not be nested: a fork between the two would wait for
/// the outer call, and the inner one for the fork.
pub(crate) fn blocking<T: Send>(
    py: Python<'_>,
    body: impl FnOnce() -> mle::Result<T> + Send,
) -> PyResult<T> {
    py.detach(|| {
        let _in_use = IN_USE.read().unwrap_or_else(PoisonError::into_inner);
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
pub(crate) fn before_fork() {
    let guard = IN_USE.write().unwrap_or_else(PoisonError::into_inner);
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    for files in open.iter().filter_map(Weak::upgrade) {
        files.close_idle();
    }
    FORKING.with(|forking| forking.replace(Some(guard)));
}

/// Lets calls go on, in both processes. For `os.register_at_fork`.
#[pyfunction]
#[pyo3(name = "_after_fork")]
pub(crate) fn after_fork() {
    FORKING.with(|forking| forking.replace(None));
}
