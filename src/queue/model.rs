//! The queue against a small model of it, under random interleavings of everything that is ever done to it.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::clock;
use crate::store::{Open, Store};

/// Workers, experiments, keys: few, so that they meet.
const FEW: usize = 3;
const LEASE_MS: i64 = 10_000;
const START_MS: i64 = 1_700_000_000_000;

#[derive(Debug, Clone)]
enum Step {
    Add {
        needs: Vec<(Index, bool)>,
        held: bool,
        delay_ms: i64,
        try_max: u32,
        priority: i64,
        key: Option<usize>,
        experiment: usize,
    },
    Claim {
        worker: usize,
        now: usize,
    },
    Keep {
        worker: usize,
    },
    Start {
        which: Index,
    },
    End {
        which: Index,
        state: AttemptState,
    },
    Release {
        which: Index,
    },
    Expire,
    Die {
        worker: usize,
    },
    Cancel {
        job: Index,
    },
    Hold {
        experiment: usize,
    },
    Resume {
        experiment: usize,
    },
    Retry {
        job: Index,
    },
    Pass {
        ms: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let few = 0..FEW;
    let index = any::<Index>;
    let state = prop::sample::select(vec![
        AttemptState::Succeeded,
        AttemptState::Failed,
        AttemptState::Cancelled,
        AttemptState::Preempted,
        AttemptState::Lost,
    ]);
    let add =
        (
            prop::collection::vec((index(), any::<bool>()), 0..3),
            prop::bool::weighted(0.1),
            prop_oneof![3 => Just(0), 1 => 1..5_000i64],
            1..4u32,
            0..2i64,
            prop::option::weighted(0.3, few.clone()),
            few.clone(),
        )
            .prop_map(|(needs, held, delay_ms, try_max, priority, key, experiment)| {
                Step::Add { needs, held, delay_ms, try_max, priority, key, experiment }
            });
    prop_oneof![
        4 => add,
        5 => (few.clone(), 1..4usize).prop_map(|(worker, now)| Step::Claim { worker, now }),
        1 => few.clone().prop_map(|worker| Step::Keep { worker }),
        3 => index().prop_map(|which| Step::Start { which }),
        6 => (index(), state).prop_map(|(which, state)| Step::End { which, state }),
        1 => index().prop_map(|which| Step::Release { which }),
        2 => Just(Step::Expire),
        1 => few.clone().prop_map(|worker| Step::Die { worker }),
        2 => index().prop_map(|job| Step::Cancel { job }),
        1 => few.clone().prop_map(|experiment| Step::Hold { experiment }),
        1 => few.prop_map(|experiment| Step::Resume { experiment }),
        2 => index().prop_map(|job| Step::Retry { job }),
        3 => (1..8_000i64).prop_map(|ms| Step::Pass { ms }),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Open,
    Met,
    Failed,
}

/// A job as the model sees it. Ids are places, from 0.
#[derive(Debug, Clone)]
struct Job {
    state: JobState,
    attempt: i64,
    failures: i64,
    try_max: i64,
    priority: i64,
    worker: usize,
    lease_until_ms: Option<i64>,
    due_at_ms: Option<i64>,
    held: bool,
    cancel_wanted: bool,
    has_started: bool,
    times_lost: i64,
    needs: Vec<(usize, bool, Need)>,
    key: Option<usize>,
    experiment: usize,
    ends: i64,
}

impl Job {
    fn open_needs(&self) -> i64 {
        self.needs.iter().filter(|(_, _, need)| *need == Need::Open).count() as i64
    }

    /// Waiting or queued, by what it waits for.
    fn settle(&mut self) {
        let waits = self.open_needs() > 0 || self.held || self.due_at_ms.is_some();
        self.state = if waits { JobState::Waiting } else { JobState::Queued };
    }
}

#[derive(Debug, Default)]
struct Model {
    jobs: Vec<Job>,
    now_ms: i64,
}

impl Model {
    fn over(&mut self, job: usize, state: JobState) {
        let mut over = vec![(job, state)];
        while let Some((job, state)) = over.pop() {
            let it = &mut self.jobs[job];
            (it.state, it.lease_until_ms, it.due_at_ms, it.ends) = (state, None, None, it.ends + 1);
            it.held = false;
            for (other, it) in self.jobs.iter_mut().enumerate() {
                let waits = it.state == JobState::Waiting && over.iter().all(|(o, _)| *o != other);
                let need = it.needs.iter_mut().find(|need| need.0 == job && need.2 == Need::Open);
                let Some(need) = need.filter(|_| waits) else { continue };
                if state == JobState::Succeeded || !need.1 {
                    need.2 = Need::Met;
                    it.settle();
                } else {
                    need.2 = Need::Failed;
                    over.push((other, JobState::Cancelled));
                }
            }
        }
    }

    fn let_in(&mut self) {
        let now = self.now_ms;
        for job in self.jobs.iter_mut().filter(|job| {
            job.state == JobState::Waiting
                && job.open_needs() == 0
                && !job.held
                && job.due_at_ms.is_some_and(|due| due <= now)
        }) {
            job.due_at_ms = None;
            job.settle();
        }
    }

    fn claim(&mut self, worker: usize, now: usize) -> Vec<(usize, i64)> {
        self.let_in();
        let mut queued: Vec<usize> =
            (0..self.jobs.len()).filter(|i| self.jobs[*i].state == JobState::Queued).collect();
        queued.sort_by_key(|i| (-self.jobs[*i].priority, *i));
        queued.truncate(now);
        for i in &queued {
            let job = &mut self.jobs[*i];
            (job.state, job.worker, job.has_started) = (JobState::Running, worker, false);
            job.attempt += 1;
            job.lease_until_ms = Some(self.now_ms + LEASE_MS);
        }
        queued.into_iter().map(|i| (i, self.jobs[i].attempt)).collect()
    }

    fn holds(&self, job: usize, attempt: i64) -> bool {
        let job = &self.jobs[job];
        job.state == JobState::Running && job.attempt == attempt
    }

    /// Returns whether the job is over; `None` when the lease was lost.
    fn end(&mut self, i: usize, attempt: i64, state: AttemptState) -> Option<bool> {
        if !self.holds(i, attempt) {
            return None;
        }
        let now = self.now_ms;
        let job = &mut self.jobs[i];
        let costs = match state {
            AttemptState::Failed => true,
            AttemptState::Lost if job.has_started => {
                job.times_lost += 1;
                job.times_lost > LOST_FREE
            }
            _ => false,
        };
        job.failures += i64::from(costs);
        let end = match state {
            AttemptState::Succeeded => Some(JobState::Succeeded),
            AttemptState::Cancelled => Some(JobState::Cancelled),
            _ if job.cancel_wanted => Some(JobState::Cancelled),
            _ if job.failures >= job.try_max => Some(JobState::Failed),
            _ => None,
        };
        if let Some(end) = end {
            self.over(i, end);
            return Some(true);
        }
        job.lease_until_ms = None;
        job.due_at_ms = costs.then(|| now + back_off_ms(job.failures, RETRY_MS, id(i)));
        job.settle();
        Some(false)
    }

    fn release(&mut self, i: usize, attempt: i64) -> Option<bool> {
        let wanted = self.jobs[i].cancel_wanted;
        let state = if wanted { AttemptState::Cancelled } else { AttemptState::Preempted };
        self.end(i, attempt, state)
    }

    /// Returns whether it may be retried.
    fn retry(&mut self, i: usize) -> bool {
        let mut again = Vec::new();
        again.extend(self.retry_one(i).then_some(i));
        let mut done = 0;
        while done < again.len() {
            let need = again[done];
            for other in 0..self.jobs.len() {
                let job = &self.jobs[other];
                let with = job.needs.iter().any(|it| it.0 == need && it.2 == Need::Failed);
                if with && job.state == JobState::Cancelled && self.retry_one(other) {
                    again.push(other);
                }
            }
            done += 1;
        }
        done > 0
    }

    fn retry_one(&mut self, i: usize) -> bool {
        let may = matches!(self.jobs[i].state, JobState::Failed | JobState::Cancelled)
            && self.open_with_key(self.jobs[i].key).is_none();
        if !may {
            return false;
        }
        let open: Vec<bool> = self.jobs.iter().map(|job| !job.state.is_end()).collect();
        let job = &mut self.jobs[i];
        for need in &mut job.needs {
            need.2 = if open[need.0] { Need::Open } else { Need::Met };
        }
        (job.failures, job.cancel_wanted) = (0, false);
        job.settle();
        true
    }

    fn open_with_key(&self, key: Option<usize>) -> Option<usize> {
        key?;
        (0..self.jobs.len()).find(|i| self.jobs[*i].key == key && !self.jobs[*i].state.is_end())
    }
}

/// The model and the file, side by side.
struct Both {
    _folder: tempfile::TempDir,
    store: Store,
    model: Model,
    workers: [WorkerId; FEW],
    /// Every attempt there ever was, stale ones too.
    attempts: Vec<(usize, i64)>,
}

fn id(place: usize) -> JobId {
    JobId(place as i64 + 1)
}

fn worker_row() -> NewWorker {
    NewWorker {
        kind: WorkerKind::Worker,
        host: "here".into(),
        pid: 1,
        process_start: String::new(),
        slots: 1,
        room: Room { cores: 64, gpus: 0, memory_mib: 0 },
    }
}

impl Both {
    fn new() -> Both {
        let folder = tempfile::tempdir().expect("a folder");
        clock::freeze_ms(START_MS);
        let mut store = Store::open(folder.path().join("m.db"), Open::Create).expect("a file");
        let workers = store
            .write(|tx| {
                for i in 1..=FEW as i64 {
                    tx.run(
                        "INSERT INTO experiment (uid, name, kind, state, created_at_ms, changed_at_ms)
                         VALUES (?1, ?1, 'command', 'planned', 0, 0)",
                        [i],
                    )?;
                }
                let one = || register(tx, &worker_row()).map(|(id, _)| id);
                Ok([one()?, one()?, one()?])
            })
            .expect("workers");
        let model = Model { now_ms: START_MS, ..Model::default() };
        Both { _folder: folder, store, model, workers, attempts: Vec::new() }
    }

    fn take(&mut self, step: &Step) {
        let jobs = self.model.jobs.len();
        match step {
            Step::Add { needs, held, delay_ms, try_max, priority, key, experiment } => {
                let mut wanted: Vec<(usize, bool)> = Vec::new();
                for (index, only_success) in needs.iter().filter(|_| jobs > 0) {
                    let need = index.index(jobs);
                    if wanted.iter().all(|(other, _)| *other != need) {
                        wanted.push((need, *only_success));
                    }
                }
                self.add(&wanted, *held, *delay_ms, *try_max, *priority, *key, *experiment);
            }
            Step::Claim { worker, now } => self.claim(*worker, *now),
            Step::Keep { worker } => {
                let of = self.workers[*worker];
                self.store.write(|tx| keep(tx, of, LEASE_MS)).expect("kept");
                let until = self.model.now_ms + LEASE_MS;
                for job in &mut self.model.jobs {
                    if job.state == JobState::Running && job.worker == *worker {
                        job.lease_until_ms = Some(until);
                    }
                }
            }
            Step::Start { which } => {
                let Some((job, attempt)) = self.attempt(which) else { return };
                let now = self.model.now_ms;
                let holds = self.model.holds(job, attempt);
                let got = self.store.write(|tx| start(tx, id(job), attempt, 1, now));
                assert_eq!(got.expect("an answer"), holds);
                if holds {
                    self.model.jobs[job].has_started = true;
                }
            }
            Step::End { which, state } => {
                let Some((job, attempt)) = self.attempt(which) else { return };
                self.end(job, attempt, *state);
            }
            Step::Release { which } => {
                let Some((job, attempt)) = self.attempt(which) else { return };
                let wanted = self.model.release(job, attempt);
                let got = self.store.write(|tx| release(tx, id(job), attempt, "test"));
                assert_eq!(verdict(&got.expect("an answer")), wanted);
            }
            Step::Expire => {
                let found = self.store.read(expired).expect("leases");
                let now = self.model.now_ms;
                let mut wanted: Vec<(JobId, i64)> = (0..jobs)
                    .filter(|i| self.model.jobs[*i].lease_until_ms.is_some_and(|at| at < now))
                    .map(|i| (id(i), self.model.jobs[i].attempt))
                    .collect();
                wanted.sort_by_key(|(job, _)| job.0);
                let mut sorted = found.clone();
                sorted.sort_by_key(|(job, _)| job.0);
                assert_eq!(sorted, wanted);
                for (job, attempt) in found {
                    self.end(job.0 as usize - 1, attempt, AttemptState::Lost);
                }
            }
            Step::Die { worker } => {
                let of = self.workers[*worker];
                let held = self.store.read(|tx| held(tx, of)).expect("leases");
                for held in held {
                    self.end(held.job.0 as usize - 1, held.attempt, AttemptState::Lost);
                }
                let new = self.store.write(|tx| {
                    end_worker(tx, of, false)?;
                    register(tx, &worker_row())
                });
                self.workers[*worker] = new.expect("a worker").0;
            }
            Step::Cancel { job } if jobs > 0 => {
                let i = job.index(jobs);
                let got = self.store.write(|tx| cancel(tx, id(i), "test"));
                match self.model.jobs[i].state {
                    state if state.is_end() => {
                        assert!(matches!(got, Err(crate::Error::Conflict { .. })), "{got:?}");
                    }
                    JobState::Running => {
                        assert_eq!(got.expect("an answer"), []);
                        self.model.jobs[i].cancel_wanted = true;
                    }
                    _ => {
                        assert_eq!(got.expect("an answer")[0], (id(i), None));
                        self.model.over(i, JobState::Cancelled);
                    }
                }
            }
            Step::Hold { experiment } => {
                let of = ExperimentId(*experiment as i64 + 1);
                self.store.write(|tx| hold(tx, of, "test")).expect("held");
                for job in self.model.jobs.iter_mut().filter(|job| job.experiment == *experiment) {
                    if matches!(job.state, JobState::Waiting | JobState::Queued) {
                        (job.held, job.state) = (true, JobState::Waiting);
                    }
                }
            }
            Step::Resume { experiment } => {
                let of = ExperimentId(*experiment as i64 + 1);
                self.store.write(|tx| resume(tx, of, "test")).expect("resumed");
                for job in self.model.jobs.iter_mut().filter(|job| job.experiment == *experiment) {
                    if job.state == JobState::Waiting && job.held {
                        job.held = false;
                        job.settle();
                    }
                }
            }
            Step::Retry { job } if jobs > 0 => {
                let i = job.index(jobs);
                let got = self.store.write(|tx| retry(tx, id(i), "test"));
                if self.model.retry(i) {
                    assert_eq!(got.expect("an answer")[0], (id(i), None));
                } else {
                    assert!(matches!(got, Err(crate::Error::Conflict { .. })), "{got:?}");
                }
            }
            Step::Pass { ms } => {
                self.model.now_ms += ms;
                clock::freeze_ms(self.model.now_ms);
            }
            Step::Cancel { .. } | Step::Retry { .. } => {}
        }
    }

    fn attempt(&self, which: &Index) -> Option<(usize, i64)> {
        // The latest ones more often: of many attempts most are stale.
        let n = self.attempts.len();
        let from = if which.index(4) == 0 { 0 } else { n.saturating_sub(4) };
        (n > 0).then(|| self.attempts[from + which.index(n - from)])
    }

    #[expect(clippy::too_many_arguments, reason = "what an add is made of")]
    fn add(
        &mut self,
        needs: &[(usize, bool)],
        held: bool,
        delay_ms: i64,
        try_max: u32,
        priority: i64,
        key: Option<usize>,
        experiment: usize,
    ) {
        let new = NewJob {
            experiment: Some(ExperimentId(experiment as i64 + 1)),
            due_at_ms: Some(self.model.now_ms + delay_ms),
            held,
            try_max,
            priority,
            unique_key: key.map(|key| key.to_string()),
            needs: needs.iter().map(|(need, only)| (id(*need), *only)).collect(),
            ..NewJob::new(vec!["true".into()])
        };
        let got = self.store.write(|tx| add(tx, &new, "test")).expect("a job");
        if let Some(open) = self.model.open_with_key(key) {
            assert_eq!(got, id(open), "the open job of the key");
            return;
        }
        assert_eq!(got, id(self.model.jobs.len()));
        let mut hopeless = false;
        let needs = needs
            .iter()
            .map(|(need, only)| {
                let state = match self.model.jobs[*need].state {
                    JobState::Succeeded => Need::Met,
                    state if !state.is_end() => Need::Open,
                    _ if *only => Need::Failed,
                    _ => Need::Met,
                };
                hopeless |= state == Need::Failed;
                (*need, *only, state)
            })
            .collect();
        let mut job = Job {
            state: JobState::Queued,
            attempt: 0,
            failures: 0,
            try_max: i64::from(try_max),
            priority,
            worker: 0,
            lease_until_ms: None,
            due_at_ms: (delay_ms > 0).then_some(self.model.now_ms + delay_ms),
            held,
            cancel_wanted: false,
            has_started: false,
            times_lost: 0,
            needs,
            key,
            experiment,
            ends: 0,
        };
        job.settle();
        self.model.jobs.push(job);
        if hopeless {
            let i = self.model.jobs.len() - 1;
            self.model.over(i, JobState::Cancelled);
        }
    }

    fn claim(&mut self, worker: usize, now: usize) {
        let want = Want {
            room: Room { cores: 64, gpus: 0, memory_mib: 0 },
            now,
            ahead: 0,
            lease_ms: LEASE_MS,
            only: None,
        };
        let of = self.workers[worker];
        let got = self.store.write(|tx| claim(tx, of, &want)).expect("a claim");
        let got: Vec<(usize, i64)> =
            got.iter().map(|one| (one.job.0 as usize - 1, one.attempt)).collect();
        assert_eq!(got, self.model.claim(worker, now), "what is claimed, in order");
        self.attempts.extend(got);
    }

    fn end(&mut self, job: usize, attempt: i64, state: AttemptState) {
        let wanted = self.model.end(job, attempt, state);
        let ending = Ending::default();
        let got = self.store.write(|tx| end(tx, id(job), attempt, state, &ending, "test"));
        assert_eq!(verdict(&got.expect("an answer")), wanted, "job {job}, attempt {attempt}");
    }

    /// The file says what the model says, and what no model is needed for.
    fn compare(&self) {
        let rows = self
            .store
            .read(|tx| {
                tx.all(
                    "SELECT j.state, j.attempt, j.failures, j.needs, j.held, j.due_at_ms, j.lease_until_ms,
                            j.cancel_wanted, j.failures <= j.try_max,
                            (SELECT count(*) FROM attempt a WHERE a.job_id = j.id AND a.state = 'running'),
                            (SELECT count(*) FROM event e WHERE e.what = 'job' AND e.what_id = j.id
                             AND e.to_state IN ('succeeded', 'failed', 'cancelled')),
                            (SELECT count(*) FROM job_need n WHERE n.job_id = j.id AND n.state = 'open')
                     FROM job j ORDER BY j.id",
                    [],
                    |row| {
                        let job = (
                            row.get::<_, JobState>(0)?,
                            row.get::<_, i64>(1)?,
                            row.get::<_, i64>(2)?,
                            row.get::<_, i64>(3)?,
                            row.get::<_, bool>(4)?,
                            row.get::<_, Option<i64>>(5)?,
                            row.get::<_, Option<i64>>(6)?,
                            row.get::<_, bool>(7)?,
                        );
                        let facts: (bool, i64, i64, i64) =
                            (row.get(8)?, row.get(9)?, row.get(10)?, row.get(11)?);
                        Ok((job, facts))
                    },
                )
            })
            .expect("rows");
        assert_eq!(rows.len(), self.model.jobs.len());
        for (i, ((row, facts), job)) in rows.iter().zip(&self.model.jobs).enumerate() {
            let open = job.open_needs();
            let needs = if job.state.is_end() { 0 } else { open };
            let wanted = (
                job.state,
                job.attempt,
                job.failures,
                needs,
                job.held,
                job.due_at_ms,
                job.lease_until_ms,
                job.cancel_wanted,
            );
            assert_eq!(*row, wanted, "job {}", i + 1);
            let running = i64::from(job.state == JobState::Running);
            assert_eq!(*facts, (true, running, job.ends, open), "job {}", i + 1);
        }
    }

    /// With all holds lifted and every attempt going well, each job ends.
    fn finish(&mut self) {
        for experiment in 0..FEW {
            self.take(&Step::Resume { experiment });
        }
        for _ in 0..4 * self.model.jobs.len() + 4 {
            self.take(&Step::Pass { ms: 2 * RETRY_MAX_MS });
            self.take(&Step::Expire);
            self.claim(0, 1000);
            let held: Vec<(usize, i64)> = (0..self.model.jobs.len())
                .map(|i| (i, self.model.jobs[i].attempt))
                .filter(|(i, attempt)| self.model.holds(*i, *attempt))
                .collect();
            for (job, attempt) in held {
                self.end(job, attempt, AttemptState::Succeeded);
            }
        }
        self.compare();
        assert!(self.model.jobs.iter().all(|job| job.state.is_end()), "{:?}", self.model.jobs);
    }
}

fn verdict(ended: &Ended) -> Option<bool> {
    match ended {
        Ended::Over(_) => Some(true),
        Ended::Again => Some(false),
        Ended::LeaseLost => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_what_its_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut both = Both::new();
        for step in &steps {
            both.take(step);
            both.compare();
        }
        both.finish();
    }
}
