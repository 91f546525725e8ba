use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::metric::{series, texts};
use crate::protocol::{Goal, Objective};
use crate::store::Open;

fn options() -> LoggerOptions {
    LoggerOptions { name: "test".into(), from_environment: false, ..LoggerOptions::default() }
}

fn count(store: &Store, sql: &str) -> i64 {
    store.read(|tx| tx.one(sql, [], |row| row.get(0))).unwrap()
}

#[test]
fn what_is_logged_is_in_the_views_and_the_run_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let mut wanted = options();
    wanted.seed = 7;
    wanted.config.insert("lrate".into(), 0.1.into());
    wanted.objectives = vec![Objective::new("loss", Goal::Min)];
    let log = Logger::open(&path, wanted).unwrap();
    let run = log.run();
    for i in 0..3000 {
        log.update(
            &[("steps", f64::from(i * 5))],
            &[("loss", 1.0 / f64::from(i + 1)), ("nan", f64::NAN)],
        )
        .unwrap();
    }
    log.flush().unwrap();
    let store = Store::open(&path, Open::ReadOnly).unwrap();
    assert_eq!(count(&store, "SELECT count(*) FROM points WHERE metric = 'loss'"), 3000);
    log.vector(&[], "v", &[1.0, f64::NAN]).unwrap();
    log.text(&[("steps", 0.5)], "note", "hello").unwrap();
    log.update(&[("steps", 3.0)], &[("loss", 0.25)]).unwrap();
    assert!(log.update(&[], &[("loss", 9.0), ("", 1.0)]).is_err(), "a bad name");
    log.record(&[], [("loss".into(), Value::Text("x".into()))]).unwrap();
    log.flush().unwrap();
    assert_eq!(log.take_refused().unwrap().len(), 1);
    log.close().unwrap();

    let loss = store.read(|tx| series(tx, run, "loss")).unwrap().unwrap();
    assert_eq!(loss.steps[2999..], [14_995, 14_998], "a clock that is not whole: updates count on");
    assert_eq!(
        store.read(|tx| texts(tx, run, "note")).unwrap().unwrap(),
        [(14_997, "hello".into())]
    );
    assert_eq!(
        count(&store, "SELECT count(*) FROM runs WHERE state = 'complete' AND value = 0.25"),
        1
    );
    assert_eq!(count(&store, "SELECT count(*) FROM experiments WHERE state = 'complete'"), 1);
    assert_eq!(count(&store, "SELECT seeds FROM leaderboard"), 1);
    assert_eq!(count(&store, "SELECT n FROM metrics WHERE metric = 'nan'"), 3000);

    // What belongs to a deleted experiment is in no view, and comes back with it.
    let views = ["experiments", "runs", "metrics", "points", "vectors", "texts", "leaderboard"];
    let mut writer = Store::open(&path, Open::Existing).unwrap();
    let experiment = crate::id::ExperimentId(count(&store, "SELECT experiment_id FROM runs"));
    writer.write(|tx| crate::protocol::delete(tx, experiment, "me")).unwrap();
    for view in views {
        assert_eq!(count(&store, &format!("SELECT count(*) FROM {view}")), 0, "{view}");
    }
    writer.write(|tx| crate::protocol::undelete(tx, experiment, "me")).unwrap();
    for view in views {
        assert!(count(&store, &format!("SELECT count(*) FROM {view}")) > 0, "{view}");
    }
}

#[test]
fn callers_do_not_wait_for_a_busy_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let log = Logger::open(&path, options()).unwrap();
    let mut other = Store::open(&path, Open::Existing).unwrap();
    other
        .write(|_| {
            // Nothing can be committed before this transaction ends: a caller that waited for that would never return.
            for _ in 0..10_000 {
                log.update(&[], &[("a", 1.0)])?;
            }
            std::thread::sleep(Duration::from_millis(100));
            Ok(())
        })
        .unwrap();
    log.flush().unwrap();
    assert_eq!(count(&other, "SELECT n FROM stream"), 10_000);
}

#[test]
fn a_run_that_is_gone_ends_the_logger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let log = Logger::open(&path, options()).unwrap();
    log.update(&[], &[("a", 1.0)]).unwrap();
    log.flush().unwrap();
    let mut other = Store::open(&path, Open::Existing).unwrap();
    other.write(|tx| tx.run("DELETE FROM experiment", [])).unwrap();
    log.update(&[], &[("a", 1.0)]).unwrap();
    assert!(log.flush().is_err());
    assert!(log.update(&[], &[("a", 1.0)]).is_err());
    assert!(log.close().is_err());
}

/// Runs one test of this file in a process of its own.
fn alone(test: &str, variable: &str, value: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("metric::logger::tests::{test}")]);
    command.env(variable, value).stdout(Stdio::null());
    command
}

const FORKS: &str = "MLE_TEST_FORKS";

/// Alone in a process, as a fork in the middle of other tests would copy their locks.
#[test]
fn a_forked_child_logs_beside_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os(FORKS).is_none() {
        let mut command = alone("a_forked_child_logs_beside_its_parent", FORKS, folder.path());
        assert!(command.status().unwrap().success());
        return;
    }
    let path = folder.path().join("x.db");
    let log = Logger::open(&path, options()).unwrap();
    for _ in 0..100 {
        log.update(&[], &[("parent", 1.0)]).unwrap();
    }
    for child in 0..3 {
        // SAFETY: the child uses the logger, whose locks no other thread of ours holds, and leaves by _exit.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let logged = (0..100).try_for_each(|_| log.update(&[], &[("child", f64::from(child))]));
            let code = i32::from(logged.and_then(|()| log.close()).is_err());
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(code) };
        }
        log.update(&[], &[("parent", 2.0)]).unwrap();
        let mut status = -1;
        // SAFETY: waits for our own child; `status` outlives the call.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(status, 0);
    }
    log.flush().unwrap();
    let store = Store::open(&path, Open::ReadOnly).unwrap();
    assert_eq!(count(&store, "SELECT count(*) FROM points WHERE metric = 'parent'"), 103);
    assert_eq!(count(&store, "SELECT count(*) FROM points WHERE metric = 'child'"), 300);
    assert_eq!(
        count(&store, "SELECT count(*) FROM run WHERE state = 'running'"),
        1,
        "not the child's to end"
    );
    log.close().unwrap();
    assert_eq!(count(&store, "SELECT count(*) FROM run WHERE state = 'complete'"), 1);
}

const CHILD: &str = "MLE_TEST_LOGGING_CHILD";

/// The body of the child of the next test: logs, and notes in a file how many updates it made and flushed.
#[test]
fn child_that_logs_until_killed() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let folder = Path::new(&folder);
    let notes = std::fs::File::create(folder.join("notes")).unwrap();
    let log = Logger::open(folder.join("x.db"), options()).unwrap();
    let started = Instant::now();
    for i in 1u64.. {
        log.update(&[], &[("a", i as f64), ("b", 0.5)]).unwrap();
        notes.write_at(&i.to_le_bytes(), 0).unwrap();
        if i == 5_000 {
            log.flush().unwrap();
            notes.write_at(&i.to_le_bytes(), 8).unwrap();
        }
        // 20,000 updates a second: any machine keeps up.
        while started.elapsed() < Duration::from_micros(50 * i) {}
    }
}

#[test]
fn kill_9_loses_fifty_milliseconds_and_nothing_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = alone("child_that_logs_until_killed", CHILD, folder.path()).spawn().unwrap();
    let note = |at: u64| {
        let mut bytes = [0; 8];
        let file = std::fs::File::open(folder.path().join("notes"));
        let read = file.and_then(|file| file.read_exact_at(&mut bytes, at));
        read.map_or(0, |()| u64::from_le_bytes(bytes))
    };
    while note(8) == 0 || note(0) < 15_000 {
        assert!(child.try_wait().unwrap().is_none(), "the child logs until it is killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (logged, flushed) = (note(0), note(8));
    let store = Store::open(folder.path().join("x.db"), Open::Existing).unwrap();
    let kept = count(&store, "SELECT n FROM stream") as u64;
    assert!(kept >= flushed);
    assert!(kept + 4_096 >= logged, "logged {logged}, kept {kept}");
    let values =
        count(&store, "SELECT count(*) FROM points WHERE metric = 'a' AND value = step + 1");
    assert_eq!(values as u64, kept, "what is kept is whole");
}

#[test]
fn what_is_put_now_is_in_the_file_and_soon_among_the_points() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let mut wanted = options();
    wanted.objectives = vec![Objective::new("loss", Goal::Min)];
    let log = Logger::open(&path, wanted).unwrap();
    let store = Store::open(&path, Open::ReadOnly).unwrap();
    const KEPT: &str = "SELECT (SELECT count(*) FROM tail) + (SELECT n FROM stream)";
    log.put_now(Some(5), &[("epoch", 1.5)], &[("loss", 0.5), ("nan", f64::NAN)]).unwrap();
    assert_eq!(count(&store, KEPT), 1);
    log.put_now(None, &[], &[("loss", f64::INFINITY)]).unwrap();
    assert_eq!(count(&store, KEPT), 2);
    assert!(log.put_now(None, &[], &[("", 1.0)]).is_err(), "a bad name");
    // An update of another kind comes after them.
    log.text(&[], "note", "third").unwrap();
    log.flush().unwrap();
    assert_eq!(count(&store, "SELECT count(*) FROM tail"), 0);
    log.put_now(None, &[], &[("loss", 0.25)]).unwrap();
    log.close().unwrap();
    let loss = store.read(|tx| series(tx, RunId(1), "loss")).unwrap().unwrap();
    assert_eq!((loss.steps, loss.values), (vec![5, 6, 8], vec![0.5, f64::INFINITY, 0.25]));
    assert_eq!(store.read(|tx| texts(tx, RunId(1), "note")).unwrap().unwrap()[0].0, 7);
    assert_eq!(count(&store, "SELECT n = 1 AND nan = 1 FROM metrics WHERE metric = 'nan'"), 1);
    assert_eq!(count(&store, "SELECT kind = 'clock' FROM metrics WHERE metric = 'epoch'"), 1);
    assert_eq!(count(&store, "SELECT value = 0.25 FROM runs"), 1);
}

/// The body of the child of the next test: notes how many updates are in the file.
#[test]
fn child_that_puts_until_killed() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let folder = Path::new(&folder);
    let notes = std::fs::File::create(folder.join("notes")).unwrap();
    let log = Logger::open(folder.join("x.db"), options()).unwrap();
    for i in 1u64.. {
        log.put_now(None, &[], &[("a", i as f64), ("b", 0.5)]).unwrap();
        notes.write_at(&i.to_le_bytes(), 0).unwrap();
    }
}

#[test]
fn kill_9_loses_nothing_that_was_put_now() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = alone("child_that_puts_until_killed", CHILD, folder.path()).spawn().unwrap();
    let noted = || {
        let mut bytes = [0; 8];
        let file = std::fs::File::open(folder.path().join("notes"));
        file.and_then(|file| file.read_exact_at(&mut bytes, 0))
            .map_or(0, |()| u64::from_le_bytes(bytes))
    };
    while noted() < 3_000 {
        assert!(child.try_wait().unwrap().is_none(), "the child logs until it is killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let store = crate::metric::open_to_read(folder.path().join("x.db")).unwrap();
    let a = store.read(|tx| series(tx, RunId(1), "a")).unwrap().unwrap();
    assert!(a.values.len() as u64 >= noted(), "noted {}, kept {}", noted(), a.values.len());
    assert!(a.values.iter().zip(1..).all(|(value, i)| *value == f64::from(i)));
    assert_eq!(count(&store, "SELECT count(*) FROM tail"), 0);
}

#[test]
fn a_logger_elsewhere_is_given_up_after_minutes_of_silence_and_takes_its_run_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let log = Logger::open(&path, options()).unwrap();
    let mut store = Store::open(&path, Open::Existing).unwrap();
    let mut silent_for = |ms: i64| {
        let sql = "UPDATE process SET host = 'another', seen_at_ms = ?1";
        store.write(|tx| tx.run(sql, [tx.now_ms - ms])).unwrap();
    };
    let is = |state: &str| {
        let store = crate::metric::open_to_read(&path).unwrap();
        count(&store, &format!("SELECT count(*) FROM run WHERE state = '{state}'")) == 1
            && count(&store, &format!("SELECT count(*) FROM experiment WHERE state = '{state}'"))
                == 1
    };
    silent_for(240_000);
    assert!(is("running"), "it may live, where it cannot be seen from here");
    silent_for(301_000);
    assert!(is("failed"));
    let mut store = Store::open(&path, Open::Existing).unwrap();
    store.write(|tx| log.place.keep(tx)).unwrap();
    assert!(is("running"), "it does");
    assert_eq!(count(&store, "SELECT count(*) FROM held_run"), 1);
    log.close().unwrap();
    assert!(is("complete"));
    assert_eq!(count(&store, "SELECT count(*) FROM held_run"), 0);
}

#[test]
fn a_run_that_ended_is_valued_anew_by_who_goes_on_with_it_and_ended_by_the_last_at_work_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let valued =
        || LoggerOptions { objectives: vec![Objective::new("loss", Goal::Min)], ..options() };
    let again = || LoggerOptions { run: Some(RunId(1)), ..options() };
    let log_one = |options: LoggerOptions, loss: f64| {
        let log = Logger::open(&path, options).unwrap();
        log.update(&[], &[("loss", loss)]).unwrap();
        log
    };
    log_one(valued(), 2.0).close().unwrap();
    log_one(again(), 0.5).close().unwrap();
    let mut store = Store::open(&path, Open::Existing).unwrap();
    let all = "SELECT count(*) FROM runs r JOIN leaderboard l ON l.mean = r.value
               WHERE r.state = 'complete' AND r.value = 0.5";
    assert_eq!(count(&store, all), 1);
    assert_eq!(count(&store, "SELECT state = 'complete' FROM experiments"), 1);
    // Another process is at work on it: what we log is kept, and the run ends with that one.
    let ours = log_one(again(), 0.25);
    store
        .write(|tx| {
            let other = crate::process::Identity {
                host: "another".into(),
                ..crate::process::Identity::own()
            };
            let other = crate::protocol::keep_process(tx, &other)?;
            crate::protocol::hold_run(tx, RunId(1), other)
        })
        .unwrap();
    ours.close().unwrap();
    assert_eq!(count(&store, "SELECT state = 'running' FROM runs"), 1);
    store
        .write(|tx| {
            tx.run("UPDATE process SET seen_at_ms = 1", [])?;
            crate::metric::end_lost_runs(tx)
        })
        .unwrap();
    assert_eq!(count(&store, "SELECT state = 'failed' FROM runs"), 1);
    assert_eq!(count(&store, "SELECT count(*) FROM held_run"), 0);
    assert_eq!(count(&store, "SELECT count(*) FROM process"), 0);
}
