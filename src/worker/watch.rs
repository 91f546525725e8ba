//! Between turns: limits, cancels, and descendants that left their group.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::job::Job;
use super::{LOOK, SWEEP, Worker, clear_host};
use crate::clock;
use crate::id::JobId;
use crate::lifecycle;
use crate::process::{self, Guard};
use crate::queue::AttemptState;

impl Worker {
    /// Kills descendants that left their group and whose job is over. They were adopted by this process.
    ///
    /// With `ended`, those of the attempts that are about to be recorded; else those of no live attempt, and zombies
    /// that nobody waits for.
    pub(super) fn kill_escaped(&mut self, ended: bool) {
        // What a killed one had started is adopted when that one is gone: look until there is none.
        for _ in 0..200 {
            if !self.kill_adopted(ended) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Returns whether there may be more once those killed now are gone.
    fn kill_adopted(&mut self, ended: bool) -> bool {
        let mut again = false;
        let live: HashSet<u32> = self.live.iter().map(|job| job.pid).collect();
        let guard = self.guard.as_ref().map_or(0, Guard::pid);
        // The first process of a container is given everybody's orphans.
        let adopts_jobs_only = std::process::id() != 1;
        for pid in process::children() {
            if live.contains(&pid) || pid == guard || self.strangers.contains(&pid) {
                continue;
            }
            let ours = process::variable_of(pid, process::WORKER_VARIABLE)
                .is_some_and(|uid| uid == self.place.worker_uid);
            if ours {
                let is = |job: &Job, of| (job.claimed.job, job.claimed.attempt) == of;
                let is_over = match self.said_job(pid) {
                    Some(of) if ended => self.ended.iter().any(|ended| is(&ended.job, of)),
                    Some(of) => !self.live.iter().any(|live| is(live, of)),
                    None => !ended,
                };
                if is_over {
                    process::signal(pid, libc::SIGKILL);
                    again = true;
                }
                self.suspects.insert(pid);
            } else if process::is_ending(pid) {
                // Whose it was cannot be seen any more; what it started is ours to look at once it is gone.
                again = true;
            } else if self.live.is_empty() && adopts_jobs_only && process::start_of(pid).is_some() {
                // It cleared its environment; no job is at work, so it is left from one that is over.
                process::signal(pid, libc::SIGKILL);
                again = true;
            } else if !ended && process::start_of(pid).is_none() && !self.suspects.insert(pid) {
                // A zombie, seen before, that nobody else waits for.
                process::reap(pid);
                self.suspects.remove(&pid);
            }
        }
        again
    }

    /// Returns the attempt a process says it is part of: jobs pass on their environment.
    fn said_job(&self, pid: u32) -> Option<(JobId, i64)> {
        let number = |name| process::variable_of(pid, name)?.parse().ok();
        Some((JobId(number("MLE_JOB")?), number("MLE_ATTEMPT")?))
    }

    pub(super) fn watch_jobs(&mut self) {
        let now_ms = clock::now_ms();
        for job in &mut self.live {
            job.check_time(now_ms);
        }
        let limited: Vec<u32> =
            self.live.iter().filter(|job| job.claimed.memory_mib > 0).map(|job| job.pid).collect();
        if !limited.is_empty() && self.last_memory.elapsed() >= Duration::from_millis(200) {
            self.last_memory = Instant::now();
            let sums = process::memory_of_jobs(&limited, |pid| {
                let of = self.said_job(pid)?;
                let of = |job: &&Job| (job.claimed.job, job.claimed.attempt) == of;
                self.live.iter().find(of).map(|job| job.pid)
            });
            for (pid, (pids, kib)) in limited.into_iter().zip(sums) {
                let Some(job) = self.live.iter_mut().find(|job| job.pid == pid) else { continue };
                if kib / 1024 <= job.claimed.memory_mib {
                    continue;
                }
                let kib = process::own_memory(&pids);
                if kib / 1024 > job.claimed.memory_mib {
                    let error = format!(
                        "used {} MiB of memory, more than the {} MiB it asked for",
                        kib / 1024,
                        job.claimed.memory_mib
                    );
                    job.kill(AttemptState::Failed, error);
                }
            }
        }
        if self.last_sweep.elapsed() >= SWEEP {
            self.last_sweep = Instant::now();
            self.kill_escaped(false);
            // A neighbour that was killed: its jobs need not wait for the end of their leases.
            let _ = clear_host(&mut self.store);
        }
        if self.live.is_empty() && self.ready.is_empty() {
            self.look_due = false;
            return;
        }
        self.look_due = self.last_look.elapsed() < LOOK;
        if self.look_due {
            return;
        }
        self.last_look = Instant::now();
        // A cancel is a commit of someone else: the live jobs' leases are looked at when anything was committed.
        if let Ok(version) = self.store.data_version()
            && self.cancel_version != Some(version)
        {
            self.cancel_version = Some(version);
            if self.store.read(|tx| lifecycle::any_cancel(tx, self.id)).unwrap_or(false) {
                let _ = self.check_leases();
            }
        }
    }
}
