//! Forks of the process: our connections are closed before one, and a child knows that it is one.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

use super::buffer::Shared;

type Loggers = Vec<Weak<Shared>>;

/// How many forks lie between the first process and this one.
static GENERATION: AtomicU64 = AtomicU64::new(0);
/// Whether all writers had left the file when this process was forked.
static CLEAN: AtomicBool = AtomicBool::new(true);
static LOGGERS: Mutex<Loggers> = Mutex::new(Vec::new());

thread_local! {
    /// Held by the thread that forks, so that the list is whole on both sides.
    static HELD: RefCell<Option<MutexGuard<'static, Loggers>>> = const { RefCell::new(None) };
}

pub(super) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

pub(super) fn is_clean() -> bool {
    CLEAN.load(Ordering::Relaxed)
}

/// Has forks wait for this logger from now on; returns the generation it belongs to.
pub(super) fn register(shared: &Arc<Shared>) -> u64 {
    static HOOKS: Once = Once::new();
    HOOKS.call_once(|| {
        // SAFETY: the three functions are of the type wanted, live as long as the program, and do not unwind into C:
        // a panic in them aborts.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    });
    let mut loggers = LOGGERS.lock().unwrap_or_else(PoisonError::into_inner);
    loggers.retain(|logger| logger.strong_count() > 0);
    loggers.push(Arc::downgrade(shared));
    generation()
}

extern "C" fn prepare() {
    let loggers = LOGGERS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut clean = true;
    for logger in loggers.iter().filter_map(Weak::upgrade) {
        clean &= logger.hold();
    }
    CLEAN.store(clean, Ordering::Relaxed);
    let _ = HELD.try_with(|held| held.borrow_mut().replace(loggers));
}

extern "C" fn parent() {
    let loggers = HELD.try_with(RefCell::take).ok().flatten();
    for logger in loggers.iter().flat_map(|loggers| loggers.iter()).filter_map(Weak::upgrade) {
        logger.release();
    }
    CLEAN.store(true, Ordering::Relaxed);
}

extern "C" fn child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    if let Some(mut loggers) = HELD.try_with(RefCell::take).ok().flatten() {
        // Their locks may be held by threads that are not here: they are left alone.
        std::mem::take(&mut *loggers).into_iter().for_each(std::mem::forget);
    }
}
