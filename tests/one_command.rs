//! A command without a spec looks as if it ran by hand, and is recorded.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::lab::{Lab, wait_until};

#[test]
fn what_it_prints_is_seen_as_it_comes() {
    let lab = Lab::new();
    lab.write(
        "talk.py",
        "import os, sys, time\nprint('first')\nprint('aside', file=sys.stderr)\n\
         while not os.path.exists('go'): time.sleep(0.01)\nprint('last')\n",
    );
    let args = ["run", "--db", "x.db", "--", "python3", "talk.py"];
    let mut command = lab.command("mle", &args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "first\n");
    // The script still waits: its line came while it ran.
    assert_eq!(child.try_wait().unwrap(), None);
    lab.write("go", "");
    let (mut rest, mut err) = (String::new(), String::new());
    out.read_to_string(&mut rest).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("last\n", Some(0)));
    assert!(err.contains("aside\n") && err.contains("complete in"), "{err}");
}

#[test]
fn all_of_a_long_output_comes_through_to_a_slow_reader() {
    let lab = Lab::new();
    let args = ["run", "--db", "x.db", "--", "seq", "1000000"];
    let mut command = lab.command("mle", &args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // Long before anything is read, all that is held back is full, and the command waits as in any pipe.
    lab.wait_for("x.db", "SELECT state FROM jobs", "running");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(out.lines().count(), 1_000_000);
    assert!(out.ends_with("999999\n1000000\n"));
}

#[test]
fn its_exit_code_is_ours() {
    let lab = Lab::new();
    let run = ["run", "--db", "x.db", "--"];
    let with = |words: &[&str]| lab.mle(&[&run[..], words].concat());
    with(&["sh", "-c", "exit 42"]).fails(42, "exit code 42");
    with(&["sh", "-c", "kill -TERM $$"]).fails(128 + 15, "signal 15");
    with(&["no-such-program"]).fails(127, "no-such-program");
    let states = lab.sql("x.db", "SELECT DISTINCT state FROM experiments");
    assert_eq!(states, ["failed"]);
}

#[test]
fn with_json_only_json_is_printed() {
    let lab = Lab::new();
    let out = lab.mle(&["run", "--json", "--db", "x.db", "--", "echo", "hello"]).ok();
    assert!(!out.contains("hello") && out.lines().all(|line| line.starts_with('{')), "{out}");
    assert_eq!(lab.mle(&["logs", "1", "--db", "x.db"]).ok(), "hello\n");
}

#[test]
fn a_worker_says_what_it_does() {
    let lab = Lab::new();
    for words in [&["sh", "-c", "exit 3"][..], &["true"]] {
        lab.mle(&[&["queue", "add", "--db", "x.db", "--"], words].concat()).ok();
    }
    let said = lab.mle(&["worker", "--db", "x.db", "--slots", "1", "--when-dry"]);
    for words in [
        "of x.db: 1 job at once",
        "job 1 started: sh -c 'exit 3'",
        "job 1 failed after",
        ": exit code 3",
        "job 2 succeeded after",
        "the worker ends; jobs: 1 succeeded, 1 failed",
    ] {
        assert!(said.err.contains(words), "{words}: {said:?}");
    }
    assert_eq!(said.ok(), "");
    lab.mle(&["queue", "add", "--db", "x.db", "--", "true"]).ok();
    let said = lab.mle(&["worker", "--db", "x.db", "--when-dry", "--json"]);
    assert_eq!(said.err, "");
    let events: Vec<String> = (said.ok().lines())
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].to_string())
        .collect();
    assert_eq!(events, ["\"opened\"", "\"started\"", "\"ended\"", "\"closed\""]);
    lab.mle(&["queue", "add", "--db", "x.db", "--", "true"]).ok();
    let said = lab.mle(&["worker", "--db", "x.db", "--when-dry", "--quiet"]);
    assert_eq!((said.code, said.out, said.err), (0, String::new(), String::new()));

    // Ctrl-C: what is at work goes back, and the last line says how it went.
    lab.mle(&["queue", "add", "--db", "x.db", "--", "sleep", "300"]).ok();
    let mut command = lab.command("mle", &["worker", "--db", "x.db"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    lab.wait_for("x.db", "SELECT state FROM jobs ORDER BY id DESC LIMIT 1", "running");
    // SAFETY: a plain system call on a child that was not waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let mut code = None;
    wait_until("the end of the worker", || {
        code = child.try_wait().unwrap();
        code.is_some()
    });
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(code.unwrap().code(), Some(0), "{err}");
    assert!(err.contains("stopping: one job is asked to end"), "{err}");
    assert!(err.contains("1 stopped before their end"), "{err}");
}
