//! A turn: whether one is due, and its transaction, in which ends, output and points are recorded, leases renewed and jobs
//! claimed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::job::Job;
use super::{FLUSH, News, SHORT_MS, Worker};
use crate::clock;
use crate::error::Result;
use crate::id::JobId;
use crate::lifecycle::{self, Points};
use crate::queue::{self, AttemptState, Ended, Want};
use crate::store::WriteTx;

const AHEAD_MAX: usize = 16;
/// Ends of short jobs are recorded when there are so many: before what was claimed ahead runs out.
const TOGETHER: usize = 12;
/// Ends of short jobs are recorded at the latest after this.
const END_DELAY: Duration = Duration::from_millis(20);
/// A worker says at least this often that it lives [ms].
const KEEP_MS_MAX: i64 = 10_000;

impl Worker {
    /// How many jobs may run beyond the live ones, and how many to hold beyond that.
    pub(super) fn wanted(&self) -> (usize, usize) {
        if self.leaving {
            return (0, 0);
        }
        let ahead = self.recent_ends.len().min(AHEAD_MAX);
        let now = self.slots.saturating_sub(self.live.len() + self.ready.len());
        (now, ahead.saturating_sub(self.ready.len()))
    }

    pub(super) fn must_write(&mut self) -> Result<bool> {
        let now_ms = clock::now_ms();
        while self.recent_ends.front().is_some_and(|at| *at < now_ms - SHORT_MS) {
            self.recent_ends.pop_front();
        }
        if !self.ended.is_empty() {
            let starved = self.ready.is_empty() && self.live.len() < self.slots;
            let late = self.first_end.is_none_or(|at| at.elapsed() >= END_DELAY);
            let alone = self.recent_ends.len() < 2;
            if starved || late || alone || self.ended.len() >= TOGETHER {
                return Ok(true);
            }
        }
        if self.last_keep.elapsed() >= self.keep_every() {
            return Ok(true);
        }
        if self.last_flush.elapsed() >= FLUSH
            && self.live.iter().any(|job| {
                !job.start_recorded
                    || !job.said.is_empty()
                    || !job.stdout.pending.is_empty()
                    || !job.stderr.pending.is_empty()
            })
        {
            return Ok(true);
        }
        let (now, _) = self.wanted();
        if now == 0 {
            return Ok(false);
        }
        if self.next_due_ms.is_some_and(|due| due <= now_ms) {
            return Ok(true);
        }
        // Something was committed since we last found nothing: look, without the write lock, whether it is for us.
        let version = self.store.data_version()?;
        if self.seen_version == Some(version) {
            return Ok(false);
        }
        let (room, only) = (self.room, self.only);
        let (any, due) = self.store.read(|tx| lifecycle::peek(tx, room, only))?;
        self.seen_version = Some(version);
        self.next_due_ms = due;
        Ok(any)
    }

    /// Leases are renewed in good time, and a long lease is no reason to be silent for long.
    pub(super) fn keep_every(&self) -> Duration {
        Duration::from_millis((self.lease_ms / 3).clamp(1, KEEP_MS_MAX).unsigned_abs())
    }

    /// The one transaction of a turn.
    pub(super) fn turn(&mut self) -> Result<()> {
        if !self.ended.is_empty() {
            // Nothing of an attempt is at work when its end is recorded.
            self.kill_escaped(true);
        }
        let (now, ahead) = self.wanted();
        let want = Want { room: self.room, now, ahead, lease_ms: self.lease_ms, only: self.only };
        let keep = self.last_keep.elapsed() >= self.keep_every();
        let (id, lease_ms, who) = (self.id, self.lease_ms, self.who.clone());
        // What must touch files is done before the lock is taken.
        let artifacts: Vec<_> = self
            .ended
            .iter_mut()
            .map(|finished| &mut finished.job)
            .chain(&mut self.live)
            .map(|job| {
                let remarks = &mut job.reader.remarks;
                lifecycle::gather(&job.claimed, &job.said, job.cwd.as_deref(), remarks)
            })
            .collect();
        let mut leftovers = Vec::new();
        for finished in &self.ended {
            leftovers.push(finished.job.scratch.as_ref().map(|folder| folder.path().join("exp")));
        }
        let leftovers: Vec<_> = leftovers
            .into_iter()
            .map(|folder| folder.map(|folder| lifecycle::gather_folder(&folder)))
            .collect();
        let (ended, live, points) = (&mut self.ended, &mut self.live, &mut self.points);
        let worker_ends = ended.len();
        let result = self.store.write(|tx| {
            let mut artifacts = artifacts.iter();
            for (finished, leftover) in ended.iter_mut().zip(&leftovers) {
                let said = artifacts.next();
                let job = &mut finished.job;
                let points = points
                    .entry((job.claimed.job, job.claimed.attempt))
                    .or_insert_with(|| Points::new(&job.claimed));
                record(tx, job, points, said, true)?;
                finished.ending.stderr_bytes = job.stderr.total;
                if let Some(files) = leftover {
                    lifecycle::keep_files(tx, &job.claimed, files)?;
                }
                match lifecycle::end(
                    tx,
                    job.claimed.job,
                    job.claimed.attempt,
                    finished.state,
                    &finished.ending,
                    &who,
                )? {
                    Ended::LeaseLost => job.lost = true,
                    Ended::Again => finished.again = true,
                    Ended::Over(_) => {}
                }
            }
            for job in live.iter_mut() {
                let said = artifacts.next();
                let points = points
                    .entry((job.claimed.job, job.claimed.attempt))
                    .or_insert_with(|| Points::new(&job.claimed));
                record(tx, job, points, said, false)?;
            }
            if keep {
                queue::keep(tx, id, lease_ms)?;
                lifecycle::give_up_expired(tx, &who)?;
            }
            let mut claimed = Vec::new();
            for one in queue::claim(tx, id, &want)? {
                let inputs = match one.run {
                    Some(run) => Some(lifecycle::inputs(tx, run)?),
                    None => None,
                };
                claimed.push((one, inputs));
            }
            let due = queue::activity(tx)?.1;
            Ok((claimed, due, tx.data_version()?))
        });
        if result.is_err() {
            self.points.values_mut().for_each(Points::reset);
        }
        let (claimed, due, version) = result?;
        self.count += worker_ends as u64;
        self.next_due_ms = due;
        let asked = now + ahead;
        let dry = asked > 0 && claimed.len() < now;
        if self.seen_version.is_none() || !dry {
            self.seen_version = None;
        }
        if dry {
            self.seen_version = Some(version);
        }
        self.ready.extend(claimed);
        for finished in std::mem::take(&mut self.ended) {
            let claimed = &finished.job.claimed;
            self.points.remove(&(claimed.job, claimed.attempt));
            let (state, ending, again) = (finished.state, &finished.ending, finished.again);
            let state = if finished.job.lost { AttemptState::Lost } else { state };
            self.tell(News::Ended { claimed, state, ending, again });
        }
        self.first_end = None;
        self.last_flush = Instant::now();
        for job in &mut self.live {
            job.said.clear();
        }
        if keep {
            self.last_keep = Instant::now();
            self.check_leases()?;
            if let Some(guard) = &mut self.guard {
                guard.check();
            }
            self.note_live();
        }
        Ok(())
    }

    /// Jobs that were cancelled are told to stop; jobs whose lease is gone are killed and forgotten.
    pub(super) fn check_leases(&mut self) -> Result<()> {
        let id = self.id;
        let held: HashMap<(JobId, i64), bool> = self
            .store
            .read(|tx| queue::held(tx, id))?
            .into_iter()
            .map(|held| ((held.job, held.attempt), held.cancel_wanted))
            .collect();
        for job in &mut self.live {
            match held.get(&(job.claimed.job, job.claimed.attempt)) {
                None => {
                    job.lost = true;
                    job.kill(AttemptState::Lost, "the lease was lost");
                }
                Some(true) => {
                    job.stop(AttemptState::Cancelled, "cancelled on request", libc::SIGTERM)
                }
                Some(false) => {}
            }
        }
        // A job that was claimed ahead and cancelled before it began never begins.
        let never: Vec<(JobId, i64)> = self
            .ready
            .iter()
            .filter(|(claimed, _)| held.get(&(claimed.job, claimed.attempt)) == Some(&true))
            .map(|(claimed, _)| (claimed.job, claimed.attempt))
            .collect();
        self.ready.retain(|(claimed, _)| {
            held.get(&(claimed.job, claimed.attempt)).is_some_and(|cancel_wanted| !cancel_wanted)
        });
        if never.is_empty() {
            return Ok(());
        }
        let who = self.who.clone();
        self.store.write(|tx| {
            never.iter().try_for_each(|(job, attempt)| lifecycle::release(tx, *job, *attempt, &who))
        })
    }
}

/// Stores what a job did since the last turn: its start, its output, what it said.
fn record(
    tx: &WriteTx<'_>,
    job: &mut Job,
    points: &mut Points,
    said: Option<&lifecycle::Said>,
    is_over: bool,
) -> Result<()> {
    if job.lost {
        return Ok(());
    }
    if !job.start_recorded {
        job.start_recorded = lifecycle::begin(tx, &job.claimed, job.pid, job.started_at_ms)?;
        if !job.start_recorded {
            job.lost = true;
            return Ok(());
        }
    }
    if let Some(said) = said {
        lifecycle::keep_said(tx, &job.claimed, points, said, &mut job.reader.remarks)?;
    }
    if is_over {
        job.remark();
    }
    let claimed = &job.claimed;
    for (stream, capture) in [("stdout", &mut job.stdout), ("stderr", &mut job.stderr)] {
        for piece in capture.pieces() {
            queue::add_output(
                tx,
                claimed.job,
                claimed.attempt,
                stream,
                piece.offset,
                &piece.bytes,
            )?;
            if let Some((from, to)) = piece.drop {
                queue::drop_output(tx, claimed.job, claimed.attempt, stream, from, to)?;
            }
        }
    }
    Ok(())
}
