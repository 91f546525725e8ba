//! What a worker is told, how to work when it starts and to stop while it does; and what it tells.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::id::{ExperimentId, WorkerId};
use crate::queue::{AttemptState, Claimed, Ending, Room, WorkerKind};

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
    /// Take jobs of this experiment alone; any when absent.
    pub only: Option<ExperimentId>,
    /// Which program this is.
    pub kind: WorkerKind,
    /// Who is told what happens; nobody when absent.
    pub audience: Option<Arc<dyn Audience>>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            slots: None,
            cores: None,
            memory_mib: None,
            lease_ms: 30_000,
            idle_ms: None,
            only: None,
            kind: WorkerKind::Worker,
            audience: None,
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

/// Who hears what a worker does. Calls come from the worker's loop and must not wait: leases are kept by that loop.
pub trait Audience: std::fmt::Debug + Send + Sync {
    /// Takes a piece of news.
    fn hear(&self, news: News<'_>);

    /// Returns whether it has room for more output of jobs; as long as it has none, none is read, and so jobs wait for
    /// their reader as in any pipe.
    fn is_ready(&self) -> bool {
        true
    }
}

/// What a worker tells.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    /// It is there, and what it gives to jobs.
    Opened {
        /// Which worker it is.
        worker: WorkerId,
        /// Jobs at once.
        slots: usize,
        /// Cores, GPUs and memory for all of them.
        room: Room,
    },
    /// An attempt began.
    Started(&'a Claimed),
    /// An attempt printed something: its bytes as they came.
    Printed {
        /// Which attempt.
        claimed: &'a Claimed,
        /// Whether it is stderr.
        is_stderr: bool,
        /// What it printed.
        bytes: &'a [u8],
    },
    /// The end of an attempt is in the file.
    Ended {
        /// Which attempt.
        claimed: &'a Claimed,
        /// How.
        state: AttemptState,
        /// With what.
        ending: &'a Ending,
        /// Whether the job is tried again.
        again: bool,
    },
    /// It was asked to leave while so many jobs are at work.
    Leaving {
        /// Jobs asked to end.
        live: usize,
    },
}
