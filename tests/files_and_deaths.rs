//! What happens when a file goes, a program dies, and a job hides what it started.

use crate::lab::{Lab, wait_until};

#[test]
fn a_file_that_is_deleted_under_a_run_is_an_error() {
    let mut lab = Lab::new();
    lab.write("d.yaml", "name: d\ncommand: sleep 0.2\nseeds: 20\n");
    let run = lab.start("mle", &["run", "d.yaml", "--db", "d.db"]);
    lab.wait_for("d.db", "SELECT count(*) > 0 FROM runs WHERE state = 'complete'", "1");
    std::fs::remove_file(lab.path("d.db")).unwrap();
    let status = lab.child(run).wait().unwrap();
    assert!(!status.success(), "{status}");
}

#[test]
fn a_file_that_is_renamed_under_a_run_is_an_error_and_whole_once_it_is_back() {
    let mut lab = Lab::new();
    lab.write("d.yaml", "name: d\ncommand: sleep 0.1\nseeds: 20\n");
    let run = lab.start("mle", &["run", "d.yaml", "--db", "d.db"]);
    lab.wait_for("d.db", "SELECT count(*) > 1 FROM runs WHERE state = 'complete'", "1");
    std::fs::rename(lab.path("d.db"), lab.path("e.db")).unwrap();
    let status = lab.child(run).wait().unwrap();
    assert_eq!(status.code(), Some(4));
    std::fs::rename(lab.path("e.db"), lab.path("d.db")).unwrap();
    lab.mle(&["run", "--resume", "--db", "d.db"]).ok();
    assert_eq!(lab.sql("d.db", "SELECT count(*) FROM runs WHERE state = 'complete'"), ["20"]);
    assert_eq!(lab.sql("d.db", "PRAGMA integrity_check"), ["ok"]);
}

#[test]
fn a_file_of_two_names_is_not_written() {
    let lab = Lab::new();
    lab.mle(&["run", "--db", "x.db", "--", "true"]).ok();
    std::fs::hard_link(lab.path("x.db"), lab.path("y.db")).unwrap();
    lab.mle(&["queue", "add", "--db", "y.db", "--", "true"]).fails(4, "2 names (hard links)");
    lab.mle(&["status", "--db", "y.db"]).ok();
    std::fs::remove_file(lab.path("y.db")).unwrap();
    lab.mle(&["queue", "add", "--db", "x.db", "--", "true"]).ok();
}

#[test]
fn what_the_machine_is_short_of_is_no_fault_of_the_jobs() {
    let mut lab = Lab::new();
    lab.write("s.yaml", "name: s\ncommand: 'true {exp_dir}'\nseeds: 3\n");
    let there = std::env::temp_dir();
    lab.set("TMPDIR", "/nonexistent");
    lab.mle(&["run", "s.yaml", "--db", "s.db"]).fails(71, "/nonexistent");
    assert_eq!(lab.sql("s.db", "SELECT count(*) FROM jobs WHERE state = 'failed'"), ["0"]);
    lab.set("TMPDIR", there.to_str().unwrap());
    lab.mle(&["run", "--resume", "--db", "s.db"]).ok();
    assert_eq!(
        lab.sql("s.db", "SELECT count(*), max(failures) FROM jobs WHERE state = 'succeeded'"),
        ["3|0"]
    );
}

#[test]
fn a_run_leaves_the_jobs_of_others_to_others() {
    let lab = Lab::new();
    lab.mle(&["queue", "add", "--db", "x.db", "--", "true"]).ok();
    lab.mle(&["run", "--db", "x.db", "--", "true"]).ok();
    assert_eq!(lab.sql("x.db", "SELECT state FROM jobs ORDER BY id"), ["queued", "succeeded"]);
    lab.run("mle-worker", &["--db", "x.db", "--when-dry"]).ok();
    assert_eq!(lab.sql("x.db", "SELECT state FROM jobs ORDER BY id"), ["succeeded", "succeeded"]);
}

#[test]
fn a_run_that_was_killed_leaves_no_folder_and_goes_on_without_a_try_lost() {
    let mut lab = Lab::new();
    lab.write("s.sh", "#!/bin/sh\nif [ -e again ]; then exit 0; fi\ntouch again\nsleep 60\n");
    lab.write("s.yaml", "name: s\ncommand: sh s.sh {exp_dir}\n");
    lab.write("tmp/else", "");
    lab.set("TMPDIR", lab.path("tmp").to_str().unwrap());
    let folder = lab.path("tmp");
    let temporary = || std::fs::read_dir(&folder).unwrap().count();
    let run = lab.start("mle", &["run", "s.yaml", "--db", "s.db"]);
    lab.wait_for("s.db", "SELECT count(*) FROM attempts WHERE started_at IS NOT NULL", "1");
    wait_until("the script to run", || lab.path("again").exists());
    assert_eq!(temporary(), 2);
    lab.signal(run, libc::SIGKILL);
    wait_until("its folder to go", || temporary() == 1);
    // What it committed stands in the log beside the file, which the next program to look at it merges.
    assert!(lab.path("s.db-wal").exists());
    lab.mle(&["copy", "copy.db", "--db", "s.db"]).ok();
    assert!(!lab.path("s.db-wal").exists());
    lab.mle(&["copy", "copy.db", "--db", "s.db"]).fails(2, "copy.db: is there already");
    let all =
        "SELECT e.id, (SELECT count(*) FROM events), (SELECT attempt FROM jobs) FROM experiments e";
    assert_eq!(lab.sql("copy.db", all), lab.sql("s.db", all));
    let status = lab.mle(&["status", "--db", "s.db"]).ok();
    assert!(status.contains("nobody is at work on experiment 1;"), "{status}");
    assert!(status.contains(" run --resume --db s.db\n"), "{status}");
    lab.mle(&["resume", "s", "--db", "s.db"]).fails(2, "`mle run --resume --db s.db` does go on");
    lab.mle(&["run", "--db", "s.db", "--resume"]).ok();
    assert!(!lab.mle(&["status", "--db", "s.db"]).ok().contains("nobody is at work on"));
    // Also of the copy, which knows no better than that it was at work.
    lab.mle(&["run", "--db", "copy.db", "--resume"]).ok();
    assert_eq!(lab.sql("s.db", "SELECT state, attempt FROM jobs"), ["succeeded|2"]);
}

#[test]
fn what_cleared_its_environment_and_left_its_group_ends_with_the_last_job() {
    let lab = Lab::new();
    lab.write("d.sh", "env -i setsid sh -c 'echo $$ > hidden; exec sleep 300' >/dev/null 2>&1 </dev/null &\nwhile [ ! -s hidden ]; do sleep 0.01; done\n");
    lab.mle(&["run", "--db", "d.db", "--", "sh", "d.sh"]).ok();
    let pid: u32 = lab.read("hidden").trim().parse().unwrap();
    wait_until("the hidden process to go", || mle::process::start_of(pid).is_none());
}

#[test]
fn what_was_there_before_the_worker_is_left_alone() {
    let lab = Lab::new();
    let mle = crate::lab::program("mle");
    let line =
        format!("sleep 300 & echo $! > before; exec '{}' run --db d.db -- true", mle.display());
    let status = std::process::Command::new("sh")
        .args(["-c", &line])
        .current_dir(lab.path("."))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let pid: u32 = lab.read("before").trim().parse().unwrap();
    assert!(mle::process::start_of(pid).is_some());
    mle::process::signal(pid, libc::SIGKILL);
}

const READER: &str = "MLE_TEST_READER";

#[test]
fn a_reader_who_may_not_write_leaves_nothing_beside_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let counted = |path: &str| {
        let store = mle::store::Store::open(path, mle::store::Open::ReadOnly).unwrap();
        let count = "SELECT count(*) FROM runs";
        store.read(|tx| tx.one(count, [], |row| row.get::<_, i64>(0))).unwrap()
    };
    if let Ok(path) = std::env::var(READER) {
        // SAFETY: this process is alone, and does nothing else.
        unsafe {
            if libc::geteuid() == 0 {
                assert_eq!(libc::setuid(65534), 0);
            }
        }
        assert!(std::fs::write(format!("{path}-mine"), "").is_err(), "may write");
        assert_eq!(counted(&path), 1);
        return;
    }
    let mut lab = Lab::new();
    lab.mle(&["run", "--db", "x.db", "--", "true"]).ok();
    let mode = |name: &str, mode| {
        std::fs::set_permissions(lab.path(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    let test = "files_and_deaths::a_reader_who_may_not_write_leaves_nothing_beside_the_file";
    let path = lab.path("x.db");
    let read = |lab: &Lab| {
        let mut reader = lab.myself(test, READER);
        let output = reader.env(READER, &path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    mode(".", 0o555);
    mode("x.db", 0o444);
    read(&lab);
    let beside = || ["x.db-wal", "x.db-shm"].map(|name| lab.path(name).exists());
    assert_eq!(beside(), [false, false]);
    mode(".", 0o755);
    mode("x.db", 0o644);
    // Beside its owner, who is at work.
    let worker = lab.start("mle-worker", &["--db", "x.db"]);
    lab.wait_for(
        "x.db",
        "SELECT count(*) FROM workers WHERE state = 'live' AND kind = 'worker'",
        "1",
    );
    read(&lab);
    lab.signal(worker, libc::SIGTERM);
    assert!(lab.child(worker).wait().unwrap().success());
    lab.mle(&["queue", "add", "--db", "x.db", "--", "true"]).ok();
    assert_eq!(counted(lab.path("x.db").to_str().unwrap()), 1);
}

#[test]
fn a_file_of_an_older_release_is_brought_up_to_date_by_whoever_opens_it() {
    let lab = Lab::new();
    lab.mle(&["run", "--db", "new.db", "--", "true"]).ok();
    let now = lab.sql("new.db", "PRAGMA user_version");
    let id = lab.sql("new.db", "PRAGMA application_id").join("");
    // A study of three points of the first release: one with a value, one at work, and one that jobs do.
    rusqlite::Connection::open(lab.path("x.db"))
        .and_then(|file| {
            file.execute_batch("PRAGMA journal_mode = WAL")?;
            file.execute_batch(include_str!("../migrations/0001_initial.sql"))?;
            file.execute_batch(&format!(
                r#"INSERT INTO experiment (uid, name, kind, state, created_at_ms, started_at_ms, changed_at_ms, changed_by)
                       VALUES ('e', 'old', 'log', 'running', 1000, 1000, 1000, 'me');
                   INSERT INTO objective VALUES (1, 0, 'loss', 'min', 'last', 'mean');
                   INSERT INTO study (uid, experiment_id, state, strategy, space, seeds, seed, changed_at_ms, changed_by)
                       VALUES ('s', 1, 'open', 'tpe', '{{"x":{{"type":"real","low":0,"high":1}}}}', '[0]', 1, 1000, 'me');
                   INSERT INTO trial (uid, study_id, number, source, params, state, vals, seen, asked_at_ms, ended_at_ms,
                                      changed_at_ms, changed_by)
                       VALUES ('a', 1, 0, 'added', '{{"x":0.25}}', 'complete', '[0.5]', 1, 2000, 2000, 2000, 'me'),
                              ('b', 1, 1, 'added', '{{"x":0.75}}', 'waiting', NULL, 2, 3000, NULL, 3000, 'me'),
                              ('c', 1, 2, 'added', '{{"x":0.5}}', 'running', NULL, 2, 3000, NULL, 3000, 'me');
                   INSERT INTO config (hash, params) VALUES ('h', '{{"x":0.5}}');
                   INSERT INTO run (uid, experiment_id, config_id, trial_id, seed, state, created_at_ms, started_at_ms, changed_at_ms)
                       VALUES ('r', 1, 1, 3, 0, 'running', 3000, 3000, 3000);
                   UPDATE trial SET state = 'running', changed_at_ms = 4000, changed_by = 'you' WHERE number = 1;
                   CREATE VIEW trials AS SELECT id FROM trial;
                   CREATE VIEW "my own" AS SELECT number FROM trial;
                   CREATE VIEW wide_1 AS SELECT id AS run_id FROM run;
                   PRAGMA application_id = {id}; PRAGMA user_version = 1;"#
            ))
        })
        .expect("a file of the first release");
    let events =
        lab.sql("x.db", "SELECT what, what_id, from_state, to_state, who FROM event ORDER BY id");
    assert_eq!(events.len(), 7, "{events:?}");
    assert!(lab.mle(&["study", "show", "old", "--db", "x.db"]).ok().contains("tpe"));
    assert_eq!(lab.sql("x.db", "PRAGMA user_version"), now);
    let kept = "SELECT what, what_id, from_state, to_state, who FROM events ORDER BY id";
    assert_eq!(lab.sql("x.db", kept), events);
    // Views of people and of experiments stay.
    assert_eq!(lab.sql("x.db", "SELECT number FROM \"my own\" ORDER BY 1"), ["0", "1", "2"]);
    assert_eq!(lab.sql("x.db", "SELECT count(*) FROM wide_1"), ["1"]);
    assert_eq!(lab.sql("x.db", "SELECT count(uid) FROM trials"), ["3"]);
    let queued = "SELECT config_id, in_queue FROM trial ORDER BY number";
    assert_eq!(lab.sql("x.db", queued), ["|0", "|0", "1|1"]);
    // It goes on where it was, and each change of state is told once.
    lab.mle(&["tell", "old", "1", "loss=0.1", "--db", "x.db"]).ok();
    let asked = lab.mle(&["ask", "old", "--json", "--db", "x.db"]).ok();
    assert!(asked.contains("\"number\":3") || asked.contains("\"number\": 3"), "{asked}");
    lab.mle(&["tell", "old", "3", "--failed", "--db", "x.db"]).ok();
    let since = "SELECT what_id, from_state, to_state FROM events WHERE what = 'trial' AND id IS NULL ORDER BY at, to_state DESC";
    assert_eq!(lab.sql("x.db", since), ["2|running|complete", "4||running", "4|running|failed"]);
    assert!(lab.mle(&["study", "replay", "old", "--db", "x.db"]).ok().contains("identical"));
    let twice =
        "INSERT INTO trial (uid, study_id, number, params, state, asked_at_ms, changed_at_ms)
                 VALUES ('d', 1, 2, '{}', 'waiting', 1, 1)";
    let refused = rusqlite::Connection::open(lab.path("x.db"))
        .and_then(|file| file.execute(twice, []))
        .expect_err("one trial of a number");
    assert!(
        refused.to_string().contains("UNIQUE constraint failed: trial.study_id, trial.number"),
        "{refused}"
    );
}
