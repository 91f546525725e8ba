//! Dispatch, claims, enqueueing, reaction and start-up: each beside its physical limit or a peer, in the same run.
//!
//! A line is `name value unit ratio`. Sizes can be set: `MLE_BENCH_JOBS=10000`.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mle::id::ExperimentId;
use mle::lifecycle;
use mle::process;
use mle::protocol::{self, Kind, NewExperiment, Provenance};
use mle::queue::{self, AttemptState, Ending, NewJob, NewWorker, Room, Want, WorkerKind};
use mle::store::{Open, Store};

const ROLE: &str = "MLE_BENCH_CLAIMER";

/// Prints all cases. A process that is one of the claimers does its part instead.
pub fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    start_up(folder.path());
    enqueue(folder.path());
    dispatch(folder.path());
    reaction(folder.path());
    claims(folder.path(), 0);
    claims(folder.path(), 15);
    protocol_costs(folder.path());
    lists(folder.path());
}

/// Does the part of a claimer when this process was started as one.
pub fn claimer_if_asked() {
    if let Ok(db) = std::env::var(ROLE) {
        claim_until_dry(Path::new(&db));
        std::process::exit(0);
    }
}

fn show(name: &str, value: f64, unit: &str, ratio: Option<f64>) {
    let ratio = ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"));
    println!("{name} {value:.3} {unit} {ratio}");
}

fn jobs() -> usize {
    std::env::var("MLE_BENCH_JOBS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("our path");
    own.parent().and_then(Path::parent).expect("the build folder").join(name)
}

fn quiet(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn timed(mut command: Command) -> f64 {
    let started = Instant::now();
    let status = command.status().expect("a program");
    assert!(status.success(), "{command:?}: {status}");
    started.elapsed().as_secs_f64()
}

fn cpu_of_children() -> f64 {
    // SAFETY: the kernel fills a plain struct.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn add_jobs(db: &Path, n: usize) -> f64 {
    let mut store = Store::open(db, Open::Create).expect("a file");
    let job = NewJob::new(vec!["/bin/true".into()]);
    let started = Instant::now();
    store
        .write(|tx| {
            let mut adder = queue::Adder::new(tx)?;
            (0..n).try_for_each(|_| adder.add(tx, &job, "bench").map(drop))
        })
        .expect("jobs");
    started.elapsed().as_secs_f64()
}

fn enqueue(folder: &Path) {
    let db = folder.join("enqueue.db");
    let n = jobs();
    show("enqueue_in_one_call", add_jobs(&db, n) / n as f64 * 1e6, "us/job", None);
    let before = cpu_of_children();
    let started = Instant::now();
    for _ in 0..100 {
        let mut command = quiet("mle");
        command.args(["queue", "add", "--db"]).arg(&db).args(["--", "/bin/true"]);
        timed(command);
    }
    show("enqueue_by_command_cpu", (cpu_of_children() - before) * 10.0, "ms/call", None);
    show("enqueue_by_command_wall", started.elapsed().as_secs_f64() * 10.0, "ms/call", None);
}

/// The limit: spawn and wait, two at a time, nothing recorded. With an empty environment `true` itself costs less than
/// with ours, since it then sets up no locale.
fn spawn_all(n: usize, empty: bool) -> f64 {
    let started = Instant::now();
    let mut live: Vec<Child> = Vec::new();
    for _ in 0..n {
        if live.len() == 2 {
            wait_any(&mut live);
        }
        let mut command = Command::new("/bin/true");
        if empty {
            command.env_clear();
        }
        live.push(command.process_group(0).spawn().expect("a child"));
    }
    while !live.is_empty() {
        wait_any(&mut live);
    }
    started.elapsed().as_secs_f64()
}

fn wait_any(live: &mut Vec<Child>) {
    // SAFETY: waits for any child; the status is not wanted.
    let pid = unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
    live.retain(|child| child.id() as i32 != pid);
}

fn dispatch(folder: &Path) {
    let n = jobs();
    let (mut limits, mut empties, mut ours, mut xargs) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut peak = 0;
    for round in 0..3 {
        limits.push(spawn_all(n, false));
        empties.push(spawn_all(n, true));
        let db = folder.join(format!("dispatch{round}.db"));
        let started = Instant::now();
        add_jobs(&db, n);
        let mut command = quiet("mle-worker");
        command.arg("--db").arg(&db).args(["--slots", "2", "--when-dry"]);
        let child = command.spawn().expect("a worker");
        let exit = reap(child, &mut peak);
        assert!(exit, "the worker failed");
        ours.push(started.elapsed().as_secs_f64());
        let store = Store::open(&db, Open::Existing).expect("the file");
        let done: i64 = store
            .read(|tx| {
                tx.one("SELECT count(*) FROM job WHERE state = 'succeeded'", [], |row| row.get(0))
            })
            .expect("a count");
        assert_eq!(done, n as i64);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("seq {n} | xargs -P2 -n1 /bin/true")]);
        xargs.push(timed(command));
    }
    let per_job = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2] / n as f64 * 1e6
    };
    let (limit, ours, xargs) = (per_job(&mut limits), per_job(&mut ours), per_job(&mut xargs));
    let empty = per_job(&mut empties);
    show("dispatch_spawn_limit", limit, "us/job", Some(1.0));
    show("dispatch_spawn_limit_empty_environment", empty, "us/job", Some(empty / limit));
    show("dispatch_mle_worker", ours, "us/job", Some(ours / limit));
    show("dispatch_xargs", xargs, "us/job", Some(xargs / limit));
    show("dispatch_mle_worker_memory", peak as f64 / 1024.0, "MiB", None);
}

fn cpu_of_self() -> f64 {
    // SAFETY: the kernel fills a plain struct.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Waits for a child; raises `peak` to its resident memory [KiB], without that of its children.
fn reap(mut child: Child, peak: &mut u64) -> bool {
    loop {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let hwm = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
        let kib = hwm.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0);
        *peak = (*peak).max(kib);
        if let Some(status) = child.try_wait().expect("a child") {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An idle worker: what it costs, and how soon a job that is added starts.
fn reaction(folder: &Path) {
    let db = folder.join("reaction.db");
    let mut store = Store::open(&db, Open::Create).expect("a file");
    let mut command = quiet("mle-worker");
    command.arg("--db").arg(&db).args(["--slots", "1"]);
    let mut worker = command.spawn().expect("a worker");
    std::thread::sleep(Duration::from_millis(500));
    let ticks = |pid: u32| -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or("", |parts| parts.1).split_whitespace().collect();
        let tick =
            |i: usize| fields.get(i).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        tick(11) + tick(12)
    };
    let before = ticks(worker.id());
    std::thread::sleep(Duration::from_secs(10));
    show("idle_worker", (ticks(worker.id()) - before) / 100.0 / 10.0 * 100.0, "%_of_a_core", None);
    let job = NewJob::new(vec!["/bin/true".into()]);
    let mut waits: Vec<f64> = Vec::new();
    for _ in 0..50 {
        let id = store.write(|tx| queue::add(tx, &job, "bench")).expect("a job");
        let wait = loop {
            let found: Option<(i64, i64)> = store
                .read(|tx| {
                    tx.maybe(
                        "SELECT j.created_at_ms, a.started_at_ms FROM job j JOIN attempt a ON a.job_id = j.id
                         WHERE j.id = ?1 AND j.state = 'succeeded'",
                        [id],
                        |row| Ok((row.get(0)?, row.get(1)?)),
                    )
                })
                .expect("a job");
            if let Some((added, began)) = found {
                break (began - added) as f64;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        waits.push(wait);
        std::thread::sleep(Duration::from_millis(7));
    }
    waits.sort_by(f64::total_cmp);
    show("enqueue_to_start_median", waits[25], "ms", None);
    show("enqueue_to_start_worst", waits[49], "ms", None);
    process::signal(worker.id(), libc::SIGTERM);
    worker.wait().expect("the worker");
}

/// Eight processes, the finish of some jobs and the claim of the next in one transaction: one job each, or sixteen, as
/// workers do it while jobs are short.
fn claims(folder: &Path, ahead: usize) {
    let n = jobs() * 2;
    let db = folder.join(format!("claims{ahead}.db"));
    add_jobs(&db, n);
    let started = Instant::now();
    let own = std::env::current_exe().expect("our path");
    let children: Vec<Child> = (0..8)
        .map(|_| {
            let mut command = Command::new(&own);
            command
                .env(ROLE, &db)
                .env("MLE_BENCH_AHEAD", ahead.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a claimer")
        })
        .collect();
    let worst = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("a claimer");
            assert!(output.status.success());
            String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("a number")
        })
        .fold(0.0, f64::max);
    let wall = started.elapsed().as_secs_f64();
    let store = Store::open(&db, Open::Existing).expect("the file");
    let (least, most, all): (f64, f64, i64) = store
        .read(|tx| {
            tx.one(
                "SELECT min(n), max(n), sum(n) FROM (SELECT count(*) AS n FROM job WHERE state = 'succeeded'
                 GROUP BY worker_id)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
        })
        .expect("counts");
    assert_eq!(all, n as i64);
    show(&format!("claims_8_processes_{}_a_time", ahead + 1), n as f64 / wall, "jobs/s", None);
    show(&format!("claims_least_to_most_{}_a_time", ahead + 1), least / most, "-", None);
    show(&format!("claims_worst_transaction_{}_a_time", ahead + 1), worst, "ms", None);
}

fn claim_until_dry(db: &Path) {
    let mut store = Store::open(db, Open::Existing).expect("the file");
    let room = Room { cores: 64, gpus: 0, memory_mib: 1 << 20 };
    let new = NewWorker {
        kind: WorkerKind::Worker,
        host: process::host(),
        pid: std::process::id(),
        process_start: process::start_of(std::process::id()).unwrap_or_default(),
        slots: 1,
        room,
    };
    let (worker, _) = store.write(|tx| queue::register(tx, &new)).expect("a worker");
    let who = format!("worker {worker}");
    let ahead =
        std::env::var("MLE_BENCH_AHEAD").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let want = Want { room, now: 1, ahead, lease_ms: 60_000, only: None };
    let (mut held, mut worst) = (Vec::new(), 0f64);
    loop {
        let started = Instant::now();
        held = store
            .write(|tx| {
                for job in &held {
                    let job: &queue::Claimed = job;
                    let ending = Ending {
                        started_at_ms: Some(tx.now_ms),
                        exit_code: Some(0),
                        ..Ending::default()
                    };
                    let _ = lifecycle::end(
                        tx,
                        job.job,
                        job.attempt,
                        AttemptState::Succeeded,
                        &ending,
                        &who,
                    )?;
                }
                queue::claim(tx, worker, &want)
            })
            .expect("a claim");
        worst = worst.max(started.elapsed().as_secs_f64() * 1e3);
        if held.is_empty() {
            break;
        }
    }
    println!("{worst}");
}

fn start_up(folder: &Path) {
    let db = folder.join("start.db");
    drop(Store::open(&db, Open::Create).expect("a file"));
    let cost = |command: &mut dyn FnMut() -> Command| {
        let before = cpu_of_children();
        for _ in 0..50 {
            timed(command());
        }
        (cpu_of_children() - before) * 20.0
    };
    // The limit is a program of ours that does nothing but open the file.
    let limit = cost(&mut || {
        let mut command = Command::new(std::env::current_exe().expect("our path"));
        command.env("MLE_BENCH_OPENER", &db).stdout(Stdio::null());
        command
    });
    let help = cost(&mut || {
        let mut command = quiet("mle");
        command.arg("--help");
        command
    });
    let list = cost(&mut || {
        let mut command = quiet("mle");
        command.args(["protocol", "--db"]).arg(&db);
        command
    });
    show("start_open_limit", limit, "ms_cpu", Some(1.0));
    show("start_mle_help", help, "ms_cpu", Some(help / limit));
    show("start_mle_protocol", list, "ms_cpu", Some(list / limit));
}

/// Opens the file, asks it one thing and ends, when this process was started for that.
pub fn opener_if_asked() {
    if let Ok(db) = std::env::var("MLE_BENCH_OPENER") {
        let connection = rusqlite::Connection::open(db).expect("the file");
        let n: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .expect("a count");
        println!("{n}");
        std::process::exit(0);
    }
}

fn protocol_costs(folder: &Path) {
    let db = folder.join("protocol.db");
    let mut store = Store::open(&db, Open::Create).expect("a file");
    let provenance = Provenance::default();
    let new = NewExperiment::new("bench", Kind::Command);
    let started = cpu_of_self();
    let ids: Vec<_> = (0..1000)
        .map(|_| store.write(|tx| protocol::add(tx, &new, &provenance)).expect("an experiment"))
        .collect();
    show("protocol_add", (cpu_of_self() - started) * 1e3, "us_cpu", None);
    let started = cpu_of_self();
    for id in &ids {
        store
            .write(|tx| protocol::set_state(tx, *id, protocol::State::Running, None, "bench"))
            .expect("an update");
    }
    show("protocol_update", (cpu_of_self() - started) * 1e3, "us_cpu", None);
    let started = cpu_of_self();
    for _ in 0..100 {
        let rows =
            store.read(|tx| protocol::list(tx, &protocol::Filter::default(), 20)).expect("a list");
        assert_eq!(rows.len(), 20);
    }
    show("protocol_summary", (cpu_of_self() - started) * 10.0, "ms_cpu", None);
}

/// Pages of 50 and the best 50, of files with ever more runs: the ratio is to the smallest.
fn lists(folder: &Path) {
    let mut first: Vec<f64> = Vec::new();
    for runs in [1_000, 10_000, 100_000] {
        let db = folder.join(format!("lists{runs}.db"));
        let mut store = Store::open(&db, Open::Create).expect("a file");
        fill(&mut store, runs);
        let filter = protocol::Filter::default();
        let middle = ExperimentId(runs / 20);
        let page = |filter: &protocol::Filter| {
            let rows = store.read(|tx| protocol::list(tx, filter, 50)).expect("a page");
            assert!(!rows.is_empty());
        };
        let large = ExperimentId(runs / 10);
        let cases: [(&str, &dyn Fn()); 5] = [
            ("page_of_experiments", &|| page(&filter)),
            ("page_of_experiments_in_the_middle", &|| {
                page(&protocol::Filter { before: Some(middle), ..filter.clone() })
            }),
            ("page_of_experiments_by_state", &|| {
                page(&protocol::Filter { state: Some(protocol::State::Complete), ..filter.clone() })
            }),
            ("page_of_runs", &|| {
                let rows = store.read(|tx| protocol::list_runs(tx, large, None, 50));
                assert_eq!(rows.expect("a page").len(), 50);
            }),
            ("best_50", &|| {
                let rows = store.read(|tx| mle::report::leaderboard(tx, large, 50));
                assert_eq!(rows.expect("the best").len(), 50);
            }),
        ];
        for (i, (name, case)) in cases.iter().enumerate() {
            case();
            let started = cpu_of_self();
            (0..50).for_each(|_| case());
            let ms = (cpu_of_self() - started) * 20.0;
            if first.len() <= i {
                first.push(ms);
            }
            show(&format!("{name}_of_{runs}_runs"), ms, "ms_cpu", Some(ms / first[i]));
        }
    }
}

/// Experiments of five runs each, and one with the other half of all runs, each of a config of its own.
fn fill(store: &mut Store, runs: i64) {
    let experiments = runs / 10;
    let sql = format!(
        "CREATE TEMP TABLE n (i INTEGER PRIMARY KEY);
         INSERT INTO n WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {runs}) SELECT i FROM c;
         INSERT INTO experiment (uid, name, kind, state, planned, created_at_ms, started_at_ms, ended_at_ms, changed_at_ms)
         SELECT 'e' || i, 'e' || i, 'multiple-configs', iif(i % 7, 'complete', 'failed'), 1, 1, 1, 2, 2 FROM n
         WHERE i <= {experiments};
         INSERT INTO objective (experiment_id, position, metric, goal, value_from)
         SELECT id, 0, 'loss', 'min', 'last' FROM experiment;
         INSERT INTO config (hash, params) SELECT i, json_object('lr', i * 1e-5) FROM n;
         INSERT INTO run (uid, experiment_id, config_id, seed, state, value, created_at_ms, started_at_ms, ended_at_ms,
                          changed_at_ms)
         SELECT 'r' || i, iif(i % 2, 1 + i / 2 % {experiments}, {experiments}), i, 0, 'complete', i * 7919 % 10007 / 10007.0, 1, 1, 2, 2
         FROM n;
         INSERT INTO score (experiment_id, config_id, n, failed, mean)
         SELECT experiment_id, config_id, 1, 0, value FROM run;
         DROP TABLE n;"
    );
    store.write(|tx| tx.batch(&sql)).expect("a full file");
    store.checkpoint().expect("a checkpoint");
}
