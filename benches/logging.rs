//! Logging and reading: what a point costs, in time and in bytes. Sizes can be set: `MLE_BENCH_POINTS=1e8`.
//!
//! CPU times are those of the whole process (getrusage), so threads count. A ratio is to the goal, or, of layouts, to ours.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mle::aggregate;
use mle::id::RunId;
use mle::metric::{self, Appender, Logger, LoggerOptions, Update, Value};
use mle::store::{Open, Pool, Store, WriteTx, params};

const METRICS: [&str; 5] = ["train_loss", "test_loss", "accuracy", "grad_norm", "reward"];

type Case = (&'static str, fn(&Path));
const CASES: [Case; 6] = [
    ("layouts", layouts),
    ("caller", caller),
    ("whole_way", whole_way),
    ("one_of_many", one_of_many),
    ("seeds", seeds),
    ("eight_loggers", eight_loggers),
];

/// Prints all cases, or those that `MLE_BENCH_CASES=layouts,seeds` names.
pub fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let wanted = std::env::var("MLE_BENCH_CASES").unwrap_or_default();
    for (name, case) in CASES {
        if wanted.is_empty() || wanted.split(',').any(|word| word == name) {
            case(folder.path());
        }
    }
}

fn show(name: &str, value: f64, unit: &str, ratio: Option<f64>) {
    let ratio = ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"));
    println!("{name} {value:.3} {unit} {ratio}");
}

/// User and system time of this process and all its threads [s].
fn cpu() -> f64 {
    // SAFETY: the kernel fills a plain struct.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn sized(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse::<f64>().ok()).map_or(default, |value| value as usize)
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn add_run(tx: &WriteTx<'_>) -> mle::Result<RunId> {
    let experiment = tx.insert(
        "INSERT INTO experiment (uid, name, kind, state, created_at_ms, started_at_ms, changed_at_ms)
         VALUES (?1, 'bench', 'log', 'running', 0, 0, 0)",
        params![mle::id::new_uid()],
    )?;
    tx.run("INSERT OR IGNORE INTO config (id, hash, params) VALUES (1, 'h', '{}')", [])?;
    tx.insert(
        "INSERT INTO run (uid, experiment_id, config_id, seed, state, created_at_ms, changed_at_ms)
         VALUES ('r', ?1, 1, 0, 'running', 0, 0)",
        params![experiment],
    )
    .map(RunId)
}

/// Noise, so that no number is stored as an integer.
fn noise(i: usize, metric: usize) -> f64 {
    let word = (i as u64 * 8 + metric as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word >> 11) as f64 / (1u64 << 53) as f64 + 0.001
}

fn updates(from: usize, count: usize) -> Vec<Update> {
    (from..from + count)
        .map(|i| Update {
            step: Some(i as i64 * 10),
            at_ms: 1_700_000_000_000 + i as i64,
            values: METRICS
                .iter()
                .enumerate()
                .map(|(m, name)| ((*name).to_owned(), Value::Scalar(noise(i, m))))
                .collect(),
        })
        .collect()
}

/// (a) Where a point lies: the same numbers and ticks in three layouts, 5 metrics an update.
fn layouts(folder: &Path) {
    let n = sized("MLE_BENCH_UPDATES", 100_000);
    for batch in [4_000, 1_000, 50, 1] {
        let n = if batch == 1 { n / 20 } else { n };
        let ours = ours(folder, n, batch);
        for (layout, (us, bytes)) in [
            ("ours", ours),
            ("by_run_metric_seq", plain(folder, n, batch, false)),
            ("packed_integer_key", plain(folder, n, batch, true)),
        ] {
            show(&format!("layout.{layout}.batch_{batch}"), us, "us_cpu/point", Some(us / ours.0));
            show(
                &format!("layout.{layout}.batch_{batch}"),
                bytes,
                "bytes/point",
                Some(bytes / ours.1),
            );
        }
    }
}

fn ours(folder: &Path, n: usize, batch: usize) -> (f64, f64) {
    let path = folder.join("ours.db");
    let mut store = Store::open(&path, Open::Create).expect("a file");
    let run = store.write(add_run).expect("a run");
    store.checkpoint().expect("a checkpoint");
    let empty = size_of(&path);
    let all = updates(0, n);
    let mut appender = Appender::new(run, 0);
    let started = cpu();
    for part in all.chunks(batch) {
        store.write(|tx| appender.append(tx, part)).map(drop).expect("room");
    }
    let us = (cpu() - started) * 1e6 / (n * METRICS.len()) as f64;
    finish(store, &path, us, n, empty)
}

fn plain(folder: &Path, n: usize, batch: usize, packed: bool) -> (f64, f64) {
    let path = folder.join("plain.db");
    let mut store = Store::open(&path, Open::Create).expect("a file");
    let table = if packed {
        "CREATE TABLE p (id INTEGER PRIMARY KEY, value REAL) STRICT"
    } else {
        "CREATE TABLE p (run INTEGER NOT NULL, metric INTEGER NOT NULL, seq INTEGER NOT NULL, value REAL,
                         PRIMARY KEY (run, metric, seq)) STRICT, WITHOUT ROWID"
    };
    let ticks = "CREATE TABLE t (run INTEGER NOT NULL, seq INTEGER NOT NULL, step INTEGER NOT NULL,
                                 elapsed_ms INTEGER NOT NULL, PRIMARY KEY (run, seq)) STRICT, WITHOUT ROWID";
    store.write(|tx| tx.batch(&format!("{table}; {ticks}"))).expect("tables");
    store.checkpoint().expect("a checkpoint");
    let empty = size_of(&path);
    let all = updates(0, n);
    let started = cpu();
    for (part, updates) in all.chunks(batch).enumerate() {
        store
            .write(|tx| {
                let mut tick = tx.prepare("INSERT INTO t VALUES (?1, ?2, ?3, ?4)")?;
                let mut packed_point =
                    packed.then(|| tx.prepare("INSERT INTO p VALUES (?1, ?2)")).transpose()?;
                let mut wide_point = (!packed)
                    .then(|| tx.prepare("INSERT INTO p VALUES (?1, ?2, ?3, ?4)"))
                    .transpose()?;
                for (i, update) in updates.iter().enumerate() {
                    let seq = (part * batch + i) as i64;
                    tick.execute(params![1, seq, update.step, seq]).expect("a row");
                    for (metric, (_, value)) in update.values.iter().enumerate() {
                        let Value::Scalar(value) = value else { continue };
                        let metric = metric as i64 + 1;
                        if let Some(point) = &mut packed_point {
                            point.execute(params![metric << 24 | seq, value]).expect("a row");
                        }
                        if let Some(point) = &mut wide_point {
                            point.execute(params![1, metric, seq, value]).expect("a row");
                        }
                    }
                }
                Ok(())
            })
            .expect("room");
    }
    let us = (cpu() - started) * 1e6 / (n * METRICS.len()) as f64;
    finish(store, &path, us, n, empty)
}

fn finish(store: Store, path: &Path, us: f64, n: usize, empty: u64) -> (f64, f64) {
    store.checkpoint().expect("a checkpoint");
    drop(store);
    let bytes = (size_of(path) - empty) as f64 / (n * METRICS.len()) as f64;
    std::fs::remove_file(path).expect("the file is ours");
    (us, bytes)
}

fn options() -> LoggerOptions {
    LoggerOptions { name: "bench".into(), from_environment: false, ..LoggerOptions::default() }
}

fn log_updates(log: &Logger, from: usize, count: usize) {
    for i in from..from + count {
        let stats: [(&str, f64); 5] = std::array::from_fn(|m| (METRICS[m], noise(i, m)));
        log.update(&[("num_steps", i as f64)], &stats).expect("the logger works");
    }
}

/// (b) What a call of `Logger::update` costs the caller, in bursts of 10,000: 5 metrics and a clock.
fn caller(folder: &Path) {
    let log = Logger::open(folder.join("caller.db"), options()).expect("a logger");
    let mut costs = Vec::new();
    for burst in 0..9 {
        let started = thread_cpu();
        log_updates(&log, burst * 10_000, 10_000);
        costs.push((thread_cpu() - started) * 1e6 / 10_000.0);
        log.flush().expect("room");
    }
    let us = median(costs);
    show("logger.update.caller", us, "us_cpu/update", Some(us / 0.6));
    log.close().expect("room");
}

fn thread_cpu() -> f64 {
    // SAFETY: the kernel fills a plain struct.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time);
        time
    };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// (c, d) From the call into the file, all CPU counted; and what a point takes there.
fn whole_way(folder: &Path) {
    let path = folder.join("whole.db");
    let n = sized("MLE_BENCH_UPDATES", 100_000) * 4;
    let log = Logger::open(&path, options()).expect("a logger");
    log.flush().expect("room");
    let points = (n * 6) as f64;
    let (started, began) = (cpu(), Instant::now());
    log_updates(&log, 0, n);
    log.flush().expect("room");
    let (used, wall) = (cpu() - started, began.elapsed().as_secs_f64());
    log.close().expect("room");
    show("logger.to_file", used * 1e6 / points, "us_cpu/point", None);
    show("logger.to_file", points / used / 1e6, "Mpoints/s_cpu", None);
    show("logger.to_file", points / wall / 1e6, "Mpoints/s_wall", None);
    let bytes = size_of(&path) as f64 / points;
    show("logger.to_file", bytes, "bytes/point", Some(bytes / 21.0));
    std::fs::remove_file(&path).expect("the file is ours");
}

/// (e) One series of 10^5 points out of a file of many.
fn one_of_many(folder: &Path) {
    let path = folder.join("many.db");
    let total = sized("MLE_BENCH_POINTS", 10_000_000);
    let length = 100_000;
    let mut store = Store::open(&path, Open::Create).expect("a file");
    store.checkpoint_by_hand();
    let mut runs = Vec::new();
    let (mut used, mut points) = (0.0, 0);
    while points < total {
        let run = store.write(add_run).expect("a run");
        let mut appender = Appender::new(run, 0);
        for from in (0..length).step_by(4_000) {
            let part = updates(from, 4_000);
            let started = cpu();
            store.write(|tx| appender.append(tx, &part)).map(drop).expect("room");
            used += cpu() - started;
        }
        let started = cpu();
        store.checkpoint().expect("a checkpoint");
        used += cpu() - started;
        points += length * METRICS.len();
        runs.push(run);
    }
    show(
        "many.append",
        used * 1e6 / points as f64,
        "us_cpu/point",
        Some(used * 1e6 / points as f64 / 0.35),
    );
    show("many.file", size_of(&path) as f64 / points as f64, "bytes/point", None);
    drop(store);
    let (mut walls, mut cpus, mut thins, mut timed) = (vec![], vec![], vec![], vec![]);
    for run in runs.iter().rev().step_by((runs.len() / 10).max(1)) {
        let store = Store::open(&path, Open::ReadOnly).expect("the file");
        let (clock, started) = (Instant::now(), cpu());
        let series = store.read(|tx| metric::series(tx, *run, METRICS[1])).expect("it reads");
        walls.push(clock.elapsed().as_secs_f64() * 1e3);
        cpus.push((cpu() - started) * 1e3);
        assert_eq!(series.expect("it is there").values.len(), length);
        let clock = Instant::now();
        store.read(|tx| metric::timed_series(tx, *run, METRICS[2])).expect("it reads");
        timed.push(clock.elapsed().as_secs_f64() * 1e3);
        let clock = Instant::now();
        store.read(|tx| metric::thin(tx, *run, METRICS[0], 200)).expect("it reads");
        thins.push(clock.elapsed().as_secs_f64() * 1e3);
    }
    let ms = median(walls);
    show(&format!("series.of_{points}"), ms, "ms_wall/100000_points", Some(ms / 15.0));
    show(&format!("series.of_{points}"), median(cpus), "ms_cpu/100000_points", None);
    show(&format!("series.of_{points}.with_times"), median(timed), "ms_wall/100000_points", None);
    show(&format!("thin.of_{points}"), median(thins), "ms_wall/100000_points", None);
    std::fs::remove_file(&path).expect("the file is ours");
}

/// (f) Statistics over 100 seeds of 5 metrics and 10,000 steps.
fn seeds(folder: &Path) {
    let path = folder.join("seeds.db");
    let mut store = Store::open(&path, Open::Create).expect("a file");
    let runs: Vec<RunId> = (0..100)
        .map(|seed| {
            store
                .write(|tx| {
                    let run = add_run(tx)?;
                    metric::append(tx, run, 0, &updates(seed * 10_000, 10_000)).map(|()| run)
                })
                .expect("room")
        })
        .collect();
    store
        .write(|tx| tx.run("UPDATE stream SET step_first = 0", []))
        .expect("seeds share their steps");
    store.checkpoint().expect("a checkpoint");
    drop(store);
    let pool = Pool::new(&path, Open::ReadOnly, 2).expect("a pool");
    for threads in [1, 2] {
        let (mut walls, mut cpus) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let (clock, started) = (Instant::now(), cpu());
            let over = aggregate::over_seeds_of_metrics(&pool, &runs, &METRICS, threads)
                .expect("it reads");
            walls.push(clock.elapsed().as_secs_f64());
            cpus.push(cpu() - started);
            assert!(over.iter().all(|metric| metric.steps.len() == 10_000 && metric.n[0] == 100));
        }
        let wall = median(walls);
        show(&format!("seeds.100x10000x5.threads_{threads}"), wall, "s_wall", Some(wall / 0.5));
        show(&format!("seeds.100x10000x5.threads_{threads}"), median(cpus), "s_cpu", None);
    }
    let values: Vec<f64> = (0..10).map(|i| noise(i, 0)).collect();
    let clock = Instant::now();
    for _ in 0..100 {
        std::hint::black_box(aggregate::score(std::hint::black_box(&values)));
    }
    show("score.10_seeds", clock.elapsed().as_secs_f64() * 1e6 / 100.0, "us_wall", None);
    std::fs::remove_file(&path).expect("the file is ours");
}

/// (g) Eight writers of one file: how long a commit takes at worst, and that nothing is lost.
fn eight_loggers(folder: &Path) {
    let path = folder.join("eight.db");
    drop(Store::open(&path, Open::Create).expect("a file"));
    let seconds = sized("MLE_BENCH_SECONDS", 5) as f64;
    let (began, wal) = (Instant::now(), AtomicU64::new(0));
    let worst: Vec<(f64, f64, usize)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let log = Logger::open(&path, options()).expect("a logger");
                    let (mut calls, mut flushes, mut i) = (0.0f64, 0.0f64, 0);
                    while began.elapsed().as_secs_f64() < seconds {
                        let clock = Instant::now();
                        log_updates(&log, i, 100);
                        calls = calls.max(clock.elapsed().as_secs_f64());
                        i += 100;
                        let clock = Instant::now();
                        log.flush().expect("room");
                        flushes = flushes.max(clock.elapsed().as_secs_f64());
                        std::thread::sleep(Duration::from_millis(10));
                        wal.fetch_max(size_of(&folder.join("eight.db-wal")), Ordering::Relaxed);
                    }
                    log.close().expect("room");
                    (calls * 1e3, flushes * 1e3, i)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let most = |column: fn(&(f64, f64, usize)) -> f64| worst.iter().map(column).fold(0.0, f64::max);
    let logged: usize = worst.iter().map(|(_, _, i)| i).sum();
    let store = Store::open(&path, Open::Existing).expect("the file");
    let kept: i64 = store
        .read(|tx| tx.one("SELECT sum(n) FROM stream", [], |row| row.get(0)))
        .expect("it reads");
    assert_eq!(kept, logged as i64, "no update is lost");
    let flush = most(|row| row.1);
    show("eight_loggers.worst_100_calls", most(|row| row.0), "ms", None);
    show("eight_loggers.worst_commit", flush, "ms", Some(flush / 100.0));
    show("eight_loggers.log", wal.load(Ordering::Relaxed) as f64 / 1e6, "MB", None);
    show("eight_loggers.rate", logged as f64 / seconds, "updates/s", None);
    drop(store);
    std::fs::remove_file(&path).expect("the file is ours");
}
