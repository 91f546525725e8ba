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

const TRAIN: &str = r#"
lr=$2
if [ "$lr" = 0.9 ]; then echo diverged >&2; exit 4; fi
echo "::mle {\"step\": 0, \"acc\": 0.1}"
echo "::mle {\"step\": 1, \"acc\": $lr}"
"#;

#[test]
fn commands_of_one_name_are_compared() {
    let lab = Lab::new();
    lab.write("train.sh", TRAIN);
    let run = ["run", "--db", "x.db", "--metric", "acc:maximise", "--"];
    for line in ["--lr 0.1 --seed 1", "--lr 0.1 --seed 2", "--lr 0.25 --seed 1", "--lr 0.9"] {
        let words: Vec<&str> = line.split(' ').collect();
        let said = lab.mle(&[&run[..], &["sh", "train.sh"], &words].concat());
        assert_eq!(said.code, if line.contains("0.9") { 4 } else { 0 }, "{said:?}");
    }
    // A command of another name, or without the metric, is not among them.
    lab.mle(&["run", "--db", "x.db", "--", "sh", "train.sh", "--lr", "0.3"]).ok();
    lab.write("other.sh", TRAIN);
    lab.mle(&[&run[..], &["sh", "other.sh", "--lr", "0.7"]].concat()).ok();
    let json = lab.mle(&["leaderboard", "1", "--db", "x.db", "--json"]).ok();
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    let row = |at: usize| {
        let row = &rows[at];
        (row["place"].as_i64(), row["mean"].as_f64(), row["seeds"].as_i64(), row["params"].clone())
    };
    let params = |lr: f64| serde_json::json!({ "lr": lr });
    assert_eq!(row(0), (Some(1), Some(0.25), Some(1), params(0.25)));
    assert_eq!(row(1), (Some(2), Some(0.1), Some(2), params(0.1)));
    assert_eq!(row(2), (None, None, Some(0), params(0.9)));
    assert!(rows[2]["error"].as_str().unwrap().contains("diverged"), "{json}");
    assert_eq!(rows.as_array().unwrap().len(), 3);
    let text = lab.mle(&["leaderboard", "1", "--db", "x.db"]).ok();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("lr") && lines[0].contains("acc"), "{text}");
    assert!(lines[2].trim_start().starts_with("1  experiment 3  0.25"), "{text}");
    assert!(lines[2].contains(" —  ") && lines[3].contains("[0.1, 0.1]"), "{text}");
    assert!(lines[4].contains("failed") && lines[4].contains("diverged"), "{text}");
    let none = lab.mle(&["leaderboard", "5", "--db", "x.db"]).ok();
    assert!(none.contains("--metric NAME"), "{none}");
    // What was asked for is that the metric is said.
    lab.mle(&[&run[..], &["true"]].concat()).fails(1, "never logged the metric");
    lab.mle(&["run", "--goal", "max", "--", "true"]).fails(2, "--metric");
    lab.mle(&["run", "--metric", "a", "--goal", "up", "--", "true"])
        .fails(2, "neither min nor max");
    lab.mle(&["run", "--seeds", "2", "--", "true"]).fails(2, "there is none");
}
