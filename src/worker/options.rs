//! What a worker is told: how to work when it starts, and to stop while it does.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::queue::WorkerKind;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Jobs at once; the number of cores when absent.
    pub slots: Option<u32>,
    /// Cores to give; those of the machine (or the slots, when more) when absent.
    pub cores: Option<u32>,
    /// Memory to give [MiB]; that of the machine when absent.
    pub memory_mib: Option<u64>,
    /// How long a lease lasts without renewal [ms].
    pub lease_ms: i64,
    /// Leave after so long without work [ms]; stay when absent.
    pub idle_ms: Option<i64>,
    /// Which program this is.
    pub kind: WorkerKind,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            slots: None,
            cores: None,
            memory_mib: None,
            lease_ms: 30_000,
            idle_ms: None,
            kind: WorkerKind::Worker,
        }
    }
}

/// What others may ask of a running worker.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Leave: stop the jobs, give them back, end.
    pub now: Arc<AtomicBool>,
    /// The machine is about to be taken away: warn the jobs first (SIGUSR2), then leave.
    pub preempt: Arc<AtomicBool>,
    /// Leave once nothing is queued, running or due.
    pub when_dry: Arc<AtomicBool>,
}
