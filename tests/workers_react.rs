//! An idle worker sees what is added; a dead one is cleared away by the next.

use crate::lab::{Lab, with_variable};

#[test]
fn an_idle_worker_takes_each_job_as_it_comes() {
    let mut lab = Lab::new();
    lab.start("mle-worker", &["--db", "x.db", "--slots", "1"]);
    for round in 1..=20 {
        let job = lab.mle(&["queue", "add", "--db", "x.db", "--", "true"]).ok();
        assert_eq!(job.trim(), round.to_string());
        lab.wait_for("x.db", &format!("SELECT state FROM jobs WHERE id = {round}"), "succeeded");
    }
    assert_eq!(lab.sql("x.db", "SELECT DISTINCT attempt FROM jobs"), ["1"]);
}

const JOB: &str = r#"#!/bin/sh
if [ "$MLE_ATTEMPT" = 1 ]; then
    setsid sh -c 'while :; do sleep 0.1; done' &
    sleep 100
fi
"#;

#[test]
fn the_next_worker_clears_up_after_a_dead_one() {
    for with_guard in [false, true] {
        let mut lab = Lab::new();
        lab.write("job.sh", JOB);
        let dead = lab.start("mle-worker", &["--db", "x.db", "--slots", "1"]);
        let args = [
            "queue",
            "add",
            "--db",
            "x.db",
            "--retries",
            "1",
            "--retry-delay",
            "0.01",
            "--",
            "sh",
            "job.sh",
        ];
        lab.mle(&args).ok();
        let running =
            "SELECT count(*) FROM attempts WHERE state = 'running' AND started_at IS NOT NULL";
        lab.wait_for("x.db", running, "1");
        let uid = lab.sql("x.db", "SELECT uid FROM workers");
        if with_guard {
            for guard in with_variable(&["MLE_GUARD"], &uid) {
                let pid = guard.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid");
                // SAFETY: a plain system call.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        }
        lab.signal(dead, libc::SIGKILL);
        lab.run("mle-worker", &["--db", "x.db", "--slots", "1", "--when-dry"]).ok();
        assert_eq!(
            lab.sql("x.db", "SELECT state FROM attempts ORDER BY number"),
            ["lost", "succeeded"]
        );
        assert_eq!(lab.sql("x.db", "SELECT state, failures FROM jobs"), ["succeeded|0"]);
        assert_eq!(lab.sql("x.db", "SELECT state FROM workers ORDER BY id"), ["lost", "stopped"]);
        assert_eq!(with_variable(&["MLE_WORKER", "MLE_GUARD"], &uid), [""; 0]);
    }
}

const NESTED: &str = r#"#!/bin/sh
echo "$MLE_ATTEMPT" >> marks
if [ "$MLE_ATTEMPT" = 1 ]; then
    setsid sh -c 'setsid sh -c "while :; do echo 1 >> marks; sleep 0.01; done" & sleep 100' &
    sleep 0.2
    exit 1
fi
sleep 0.5
"#;

#[test]
fn nothing_of_an_attempt_is_at_work_when_the_next_one_begins() {
    let lab = Lab::new();
    lab.write("job.sh", NESTED);
    let retry = ["--retries", "1", "--retry-delay", "0.001"];
    let args = [&["queue", "add", "--db", "x.db"][..], &retry, &["--", "sh", "job.sh"]].concat();
    lab.mle(&args).ok();
    lab.run("mle-worker", &["--db", "x.db", "--when-dry"]).ok();
    let marks = lab.read("marks");
    assert!(marks.starts_with("1\n1\n") && marks.ends_with("1\n2\n"), "{marks}");
}
