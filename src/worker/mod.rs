//! The worker: claims jobs that fit, runs them as process groups, keeps their leases, records their ends.
//!
//! One thread, one connection, one `poll`. Each turn has at most one write transaction, which records what ended, what
//! was printed and logged, renews leases, and claims what comes next. While jobs are short, up to 16 are claimed ahead
//! and their ends recorded together, so that a transaction costs less than a start.

mod job;
pub mod line;
mod options;
mod output;
mod spawn;
mod turn;
mod watch;

pub use job::Inputs;
pub use options::{Audience, News, Options, Stop};

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::clock;
use crate::error::{Error, Result};
use crate::id::{ExperimentId, JobId, WorkerId};
use crate::lifecycle::{self, Points};
use crate::metric;
use crate::process::{self, Guard};
use crate::queue::{self, AttemptState, Claimed, Ended, Ending, NewWorker, Room};
use crate::scratch;
use crate::store::{Open, Store, Watch};
use job::{Finished, Job, Place};

/// Jobs that end within this are short: the next ones are claimed ahead.
const SHORT_MS: i64 = 50;
/// Output and points of running jobs are stored this often.
const FLUSH: Duration = Duration::from_millis(50);
/// Whether a job was cancelled is looked for at most this often.
const LOOK: Duration = Duration::from_millis(10);
const SWEEP: Duration = Duration::from_secs(1);
/// An audience that had no room is looked at again after this [ms].
const ROOM_MS: i64 = 10;

/// Runs a worker until it is told to stop, or is idle for too long. Returns how many attempts it ended.
///
/// # Errors
/// What opening the file or a transaction returns; jobs still running are then stopped and given back by whoever finds
/// their leases run out.
pub fn run(db: &Path, options: &Options, stop: &Stop) -> Result<u64> {
    let mut worker = Worker::open(db, options, stop.clone())?;
    let result = worker.work();
    worker.close();
    result
}

struct Worker {
    store: Store,
    watch: Watch,
    stop: Stop,
    id: WorkerId,
    who: String,
    place: Place,
    guard: Option<Guard>,
    lease_ms: i64,
    idle_ms: Option<i64>,
    only: Option<ExperimentId>,
    slots: usize,
    room: Room,
    free_gpus: Vec<String>,
    ready: VecDeque<(Claimed, Option<Inputs>)>,
    live: Vec<Job>,
    ended: Vec<Finished>,
    points: HashMap<(JobId, i64), Points>,
    recent_ends: VecDeque<i64>,
    first_end: Option<Instant>,
    last_flush: Instant,
    last_keep: Instant,
    last_sweep: Instant,
    last_memory: Instant,
    busy_at: Instant,
    seen_version: Option<i64>,
    next_due_ms: Option<i64>,
    suspects: HashSet<u32>,
    /// Children this process had before it was a worker: no job's.
    strangers: HashSet<u32>,
    cancel_version: Option<i64>,
    last_look: Instant,
    look_due: bool,
    leaving: bool,
    count: u64,
    audience: Option<Arc<dyn Audience>>,
}

impl Worker {
    fn open(db: &Path, options: &Options, stop: Stop) -> Result<Worker> {
        let db = std::path::absolute(db).unwrap_or_else(|_| db.to_owned());
        let mut store = Store::open(&db, Open::Create)?;
        let slots = options.slots.unwrap_or_else(process::cores).max(1);
        let gpus = process::gpus();
        let room = Room {
            cores: options.cores.unwrap_or_else(|| process::cores().max(slots)),
            gpus: u32::try_from(gpus.len()).unwrap_or(0),
            memory_mib: options.memory_mib.unwrap_or_else(process::memory_mib),
        };
        let spawner = spawn::Spawner::new().map_err(|error| Error::io("/dev/null", error))?;
        clear_host(&mut store)?;
        let strangers = process::children().into_iter().collect();
        process::adopt_orphans();
        let (id, uid) = store.write(|tx| {
            queue::register(
                tx,
                &NewWorker {
                    kind: options.kind,
                    host: process::host(),
                    pid: std::process::id(),
                    process_start: process::start_of(std::process::id()).unwrap_or_default(),
                    slots,
                    room,
                },
            )
        })?;
        if let Some(audience) = &options.audience {
            audience.hear(News::Opened { worker: id, slots: slots as usize, room });
        }
        let now = Instant::now();
        Ok(Worker {
            watch: Watch::new(&db),
            store,
            stop,
            who: format!("worker {id}"),
            guard: Guard::start(&uid),
            place: Place { db, worker_uid: uid, spawner, audience: options.audience.clone() },
            id,
            lease_ms: options.lease_ms,
            idle_ms: options.idle_ms,
            only: options.only,
            slots: slots as usize,
            room,
            free_gpus: gpus,
            ready: VecDeque::new(),
            live: Vec::new(),
            ended: Vec::new(),
            points: HashMap::new(),
            recent_ends: VecDeque::new(),
            first_end: None,
            last_flush: now,
            last_keep: now,
            last_sweep: now,
            last_memory: now,
            busy_at: now,
            seen_version: None,
            next_due_ms: None,
            suspects: HashSet::new(),
            strangers,
            cancel_version: None,
            last_look: now,
            look_due: false,
            leaving: false,
            count: 0,
            audience: options.audience.clone(),
        })
    }

    fn work(&mut self) -> Result<u64> {
        loop {
            self.check_stop()?;
            if self.must_write()? {
                self.turn()?;
                self.start_ready()?;
            }
            if self.is_done()? {
                return Ok(self.count);
            }
            self.poll()?;
            self.watch_jobs();
        }
    }

    fn check_stop(&mut self) -> Result<()> {
        let preempt = self.stop.preempt.load(Ordering::Relaxed);
        if self.leaving || !(preempt || self.stop.now.load(Ordering::Relaxed)) {
            return Ok(());
        }
        self.leaving = true;
        self.tell(News::Leaving { live: self.live.len() });
        let signal = if preempt { libc::SIGUSR2 } else { libc::SIGTERM };
        for job in &mut self.live {
            job.stop(AttemptState::Preempted, "the worker had to leave", signal);
        }
        let given: Vec<(JobId, i64)> =
            self.ready.drain(..).map(|(claimed, _)| (claimed.job, claimed.attempt)).collect();
        let who = self.who.clone();
        self.store.write(|tx| {
            given.iter().try_for_each(|(job, attempt)| lifecycle::release(tx, *job, *attempt, &who))
        })
    }

    fn is_done(&mut self) -> Result<bool> {
        if !self.live.is_empty() || !self.ready.is_empty() || !self.ended.is_empty() {
            self.busy_at = Instant::now();
            return Ok(false);
        }
        if self.leaving {
            return Ok(true);
        }
        if self.stop.when_dry.load(Ordering::Relaxed) {
            let (active, due) = self.store.read(queue::activity)?;
            return Ok(!active && due.is_none());
        }
        Ok(self.idle_ms.is_some_and(|idle| {
            self.busy_at.elapsed() >= Duration::from_millis(idle.unsigned_abs())
        }))
    }

    /// # Errors
    /// What the system refuses to any job; it is given back.
    fn start_ready(&mut self) -> Result<()> {
        while self.live.len() < self.slots && !self.leaving {
            let Some(at) = self.ready.iter().position(|(claimed, _)| {
                let mut room = self.room;
                room.take(claimed.cores, claimed.gpus, claimed.memory_mib)
            }) else {
                return Ok(());
            };
            let Some((claimed, inputs)) = self.ready.remove(at) else { return Ok(()) };
            self.room.take(claimed.cores, claimed.gpus, claimed.memory_mib);
            let gpus: Vec<String> =
                self.free_gpus.drain(..(claimed.gpus as usize).min(self.free_gpus.len())).collect();
            match Job::start(&claimed, inputs.as_ref(), &self.place, &gpus) {
                Ok(job) => {
                    self.tell(News::Started(&job.claimed));
                    self.live.push(job);
                    self.note_live();
                }
                Err(error @ Error::Io { .. }) => {
                    self.room.give(claimed.cores, claimed.gpus, claimed.memory_mib);
                    self.free_gpus.extend(gpus);
                    self.ready.insert(at, (claimed, inputs));
                    // What runs may give back what is short.
                    return if self.live.is_empty() { Err(error) } else { Ok(()) };
                }
                Err(error) => {
                    self.free_gpus.extend(gpus);
                    self.cannot_start(claimed, error.to_string());
                }
            }
        }
        Ok(())
    }

    /// Lets the guard know which jobs are at work.
    fn note_live(&self) {
        if let Some(guard) = &self.guard {
            guard.note(self.live.iter().map(|job| job.pid));
        }
    }

    fn tell(&self, news: News<'_>) {
        if let Some(audience) = &self.audience {
            audience.hear(news);
        }
    }

    fn cannot_start(&mut self, claimed: Claimed, error: String) {
        self.room.give(claimed.cores, claimed.gpus, claimed.memory_mib);
        let at = clock::now_ms();
        let ending = Ending {
            started_at_ms: Some(at),
            ended_at_ms: Some(at),
            error: Some(error),
            ..Ending::default()
        };
        let who = self.who.clone();
        let result = self.store.write(|tx| {
            lifecycle::end(tx, claimed.job, claimed.attempt, AttemptState::Failed, &ending, &who)
        });
        self.count += 1;
        // The lease runs out when even this cannot be recorded.
        if let Ok(ended) = result {
            let (state, again) = (AttemptState::Failed, ended == Ended::Again);
            self.tell(News::Ended { claimed: &claimed, state, ending: &ending, again });
        }
    }

    fn poll(&mut self) -> Result<()> {
        let now_ms = clock::now_ms();
        let mut fds = vec![libc::pollfd { fd: self.watch.fd(), events: libc::POLLIN, revents: 0 }];
        let hears = self.audience.as_ref().is_none_or(|audience| audience.is_ready());
        for job in &self.live {
            for fd in job.fds(now_ms, hears) {
                fds.push(libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
            }
        }
        let timeout = self.timeout_ms(now_ms, hears);
        // SAFETY: the array and its length agree.
        unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) };
        self.watch.clear();
        for (job, fds) in self.live.iter_mut().zip(fds[1..].chunks(3)) {
            if fds[0].revents != 0 || fds[1].revents != 0 {
                job.read();
            }
        }
        let mut over = Vec::new();
        let mut i = 0;
        while i < self.live.len() {
            let is_over = fds.get(1 + 3 * i + 2).is_some_and(|fd| match fd.fd {
                -1 => self.live[i].has_ended(),
                _ => fd.revents != 0,
            });
            if is_over {
                let job = self.live.swap_remove(i);
                let last = self.live.len();
                for part in 0..3 {
                    fds.swap(1 + 3 * i + part, 1 + 3 * last + part);
                }
                // What it left in its group goes before its room is given to the next.
                process::signal_group(job.pid, libc::SIGKILL);
                self.give_room(&job);
                over.push(job);
            } else {
                i += 1;
            }
        }
        // The next ones run while we look after those that ended.
        let started = self.start_ready();
        if !over.is_empty() {
            // Before their numbers are free to be given to others.
            self.note_live();
        }
        for job in over {
            self.finish(job);
        }
        started
    }

    fn give_room(&mut self, job: &Job) {
        let claimed = &job.claimed;
        self.room.give(claimed.cores, claimed.gpus, claimed.memory_mib);
        self.free_gpus.extend(job.gpus.iter().cloned());
        self.free_gpus.sort();
    }

    fn finish(&mut self, job: Job) {
        let finished = job.finish();
        let now_ms = clock::now_ms();
        if now_ms - finished.job.started_at_ms < SHORT_MS {
            self.recent_ends.push_back(now_ms);
        } else {
            self.recent_ends.clear();
        }
        self.first_end.get_or_insert_with(Instant::now);
        self.ended.push(finished);
    }

    fn timeout_ms(&self, now_ms: i64, hears: bool) -> i32 {
        let mut wait = if self.live.is_empty() { 500 } else { 200 };
        if !hears {
            wait = ROOM_MS;
        }
        if !self.ended.is_empty() {
            wait = wait.min(2);
        }
        if !self.ready.is_empty() && self.live.len() < self.slots {
            wait = wait.min(5);
        }
        if self.live.iter().any(|job| {
            !job.start_recorded
                || !job.said.is_empty()
                || !job.stdout.pending.is_empty()
                || !job.stderr.pending.is_empty()
        }) {
            let left = FLUSH.saturating_sub(self.last_flush.elapsed()).as_millis();
            wait = wait.min(i64::try_from(left).unwrap_or(50) + 1);
        }
        if self
            .live
            .iter()
            .any(|job| job.stdout.pending.len() + job.stderr.pending.len() > 4 * output::PIECE)
        {
            wait = 0;
        }
        if let Some(due) = self.next_due_ms {
            wait = wait.min((due - now_ms).max(1));
        }
        let left = self.keep_every().saturating_sub(self.last_keep.elapsed()).as_millis();
        wait = wait.min(i64::try_from(left).unwrap_or(500) + 1);
        for job in &self.live {
            if now_ms < job.listen_at_ms() {
                wait = wait.min(job.listen_at_ms() - now_ms);
            }
            let at = match &job.stopping {
                Some(stopping) if !stopping.killed => Some(stopping.kill_at_ms),
                Some(_) => None,
                None => job.claimed.time_limit_ms.map(|limit| job.started_at_ms + limit),
            };
            if let Some(at) = at {
                wait = wait.min((at - now_ms).max(0) + 1);
            }
        }
        if self.look_due {
            wait = wait.min(LOOK.as_millis() as i64);
        }
        if self.stop.when_dry.load(Ordering::Relaxed) && self.live.is_empty() {
            wait = wait.min(20);
        }
        i32::try_from(wait).unwrap_or(500)
    }

    /// Leaves nothing behind: no job, no lease, no row that says it lives.
    fn close(mut self) {
        for mut job in self.live.drain(..) {
            job.kill(AttemptState::Preempted, "the worker ended");
            // A killed process is gone in a moment, unless the kernel holds it (a dead disk): then the guard has it.
            for _ in 0..500 {
                if job.has_ended() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let finished = job.finish();
            self.ended.push(finished);
        }
        let (id, who) = (self.id, self.who.clone());
        let ended = std::mem::take(&mut self.ended);
        let ready: Vec<_> = self.ready.drain(..).collect();
        let result = self.store.write(|tx| {
            for finished in &ended {
                let claimed = &finished.job.claimed;
                lifecycle::end(
                    tx,
                    claimed.job,
                    claimed.attempt,
                    finished.state,
                    &finished.ending,
                    &who,
                )?;
            }
            for (claimed, _) in &ready {
                lifecycle::release(tx, claimed.job, claimed.attempt, &who)?;
            }
            queue::end_worker(tx, id, true)
        });
        for finished in ended.iter().filter(|_| result.is_ok()) {
            let (claimed, ending) = (&finished.job.claimed, &finished.ending);
            self.tell(News::Ended { claimed, state: finished.state, ending, again: false });
        }
    }
}

/// Gives back what workers of this host left that are no longer there, and kills what they left running.
///
/// # Errors
/// [`crate::Error::Sqlite`], [`crate::Error::Busy`].
pub fn clear_host(store: &mut Store) -> Result<()> {
    if !store.read(metric::lost_loggers)?.is_empty() {
        store.write(metric::end_lost_runs)?;
    }
    let host = process::host();
    let gone: Vec<queue::LiveWorker> = store
        .read(|tx| queue::live_workers(tx, &host))?
        .into_iter()
        .filter(|worker| {
            process::start_of(worker.pid).as_deref() != Some(worker.process_start.as_str())
        })
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    process::kill_all_of(&gone.iter().map(|worker| worker.uid.clone()).collect());
    gone.iter().for_each(|worker| scratch::clear(&worker.uid));
    store.write(|tx| gone.iter().try_for_each(|worker| lifecycle::bury(tx, worker.id)))
}
