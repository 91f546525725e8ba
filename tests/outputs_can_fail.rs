//! Readers go away, disks are full, limits are low: the work goes on where it can, and else one message says why it ended.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use crate::lab::{Lab, Said, said, wait_until};

const STATE: &str = "SELECT state FROM experiment ORDER BY id DESC LIMIT 1";

/// The writing end of a pipe nobody reads.
fn nobody() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// Runs `mle` in a shell with a limit.
fn limited(lab: &Lab, limit: &str, args: &[&str]) -> Said {
    let mle = lab.command("mle", args);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit {limit} && exec \"$@\""), "sh"]);
    shell.arg(mle.get_program()).args(mle.get_args()).current_dir(lab.path("."));
    shell.stdin(Stdio::null()).env_remove("MLE_DB");
    said(shell.output().unwrap())
}

/// Verbs that say something of the file `x.db`, or of nothing.
const VERBS: &[&[&str]] = &[
    &["--help"],
    &["completions", "bash"],
    &["status", "--db", "x.db"],
    &["status", "--db", "x.db", "--json"],
    &["explain", "1", "--db", "x.db"],
    &["logs", "1", "--db", "x.db"],
    &["protocol", "--db", "x.db"],
    &["protocol", "show", "1", "--db", "x.db"],
    &["leaderboard", "--db", "x.db"],
    &["report", "1", "--db", "x.db", "--print"],
    &["sql", "--db", "x.db", "SELECT * FROM runs"],
    &["doctor", "--db", "x.db"],
    &["run", "s.yaml", "--dry-run"],
    &["study", "list", "--db", "x.db"],
];

fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("s.yaml", "command: echo {a}\nconfigs: [{a: 1}, {a: 2}]\n");
    lab.mle(&["run", "--db", "x.db", "--", "echo", "hi"]).ok();
    lab
}

#[test]
fn a_closed_pipe_is_quiet_and_a_full_device_is_an_error() {
    let lab = lab();
    for verb in VERBS {
        let ended = lab.command("mle", verb).stdout(nobody()).output().unwrap();
        assert_eq!((ended.status.code(), &ended.stderr[..]), (Some(0), &b""[..]), "{verb:?}");
        let ended = said(lab.command("mle", verb).stdout(full()).output().unwrap());
        assert!(ended.code == 71 && !ended.err.contains("panicked"), "{verb:?}: {ended:?}");
    }
    // What cannot be complained about has its exit code all the same.
    for stderr in [nobody(), full()] {
        let ended = lab.command("mle", &["explain", "9", "--db", "x.db"]).stderr(stderr).status();
        assert_eq!(ended.unwrap().code(), Some(3));
    }
}

#[test]
fn an_experiment_runs_whether_or_not_somebody_listens() {
    type Ends = fn() -> Stdio;
    let cases: [(Ends, Ends, &[&str], i32); 4] = [
        (nobody, nobody, &["--", "true"], 0),
        (nobody, full, &["--json", "--", "true"], 0),
        (full, nobody, &["s.yaml"], 71),
        (full, full, &["--json", "--", "true"], 71),
    ];
    for (out, err, args, code) in cases {
        let lab = lab();
        let args = [&["run", "--db", "y.db"], args].concat();
        let ended = lab.command("mle", &args).stdout(out()).stderr(err()).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{args:?}");
        assert_eq!(lab.sql("y.db", STATE), ["complete"], "{args:?}");
    }
    // How the work went matters more than that it could not be said.
    let lab = lab();
    let args = ["run", "--db", "y.db", "--", "false"];
    assert_eq!(lab.command("mle", &args).stdout(full()).status().unwrap().code(), Some(1));
}

#[test]
fn a_reader_may_leave_in_the_middle() {
    let lab = lab();
    lab.write("wait.sh", "while [ ! -e go ]; do sleep 0.01; done\n");
    let args = ["run", "--db", "y.db", "--", "sh", "wait.sh"];
    let mut child =
        lab.command("mle", &args).stdout(nobody()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("experiment 1"), "{first}");
    // The reader is gone before the job has ended.
    lab.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(lab.sql("y.db", STATE), ["complete"]);
}

#[test]
fn one_interrupt_ends_a_run_that_nobody_hears() {
    let lab = lab();
    let args = ["run", "--json", "--db", "y.db", "--", "sleep", "300"];
    let mut child = lab.command("mle", &args).stdout(full()).stderr(nobody()).spawn().unwrap();
    lab.wait_for("y.db", "SELECT state FROM job", "running");
    // SAFETY: a plain system call on a child that was not waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let mut code = None;
    wait_until("the end of the run", || {
        code = child.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(130));
    assert_eq!(lab.sql("y.db", STATE), ["paused"]);
}

#[test]
fn names_need_not_be_text() {
    let lab = lab();
    let name = OsStr::from_bytes(b"a\xff.db");
    for args in [&["run"][..], &["run", "--json"]] {
        let mut command = lab.command("mle", args);
        command.arg("--db").arg(name).args(["--", "mle", "log", "loss=1"]);
        command.env("PATH", crate::lab::program("mle").parent().unwrap());
        said(command.output().unwrap()).ok();
    }
    let rows = Command::new(crate::lab::program("mle"))
        .args(["sql", "--json", "SELECT count(*) AS n FROM points", "--db"])
        .arg(name)
        .current_dir(lab.path("."))
        .output()
        .unwrap();
    assert!(said(rows).ok().contains("\"n\":2"));
}

#[test]
fn low_limits_end_with_a_message() {
    let lab = lab();
    let args = ["run", "--db", "y.db", "--", "echo", "hi"];
    // Too little for the program, for its threads, for the file, enough: each somewhere on the way.
    for kib in (16_000..100_000).step_by(4_000) {
        let _ = std::fs::remove_file(lab.path("y.db"));
        let ended = limited(&lab, &format!("-v {kib}"), &args);
        assert!(ended.code != 101 && !ended.err.contains("panicked"), "{kib} KiB: {ended:?}");
    }
    let _ = std::fs::remove_file(lab.path("y.db"));
    limited(&lab, "-f 20", &args).fails(71, "mle run: ");
    // The job has the signal that mle itself ignores.
    let args = ["run", "--db", "z.db", "--", "sh", "-c", "kill -XFSZ $$"];
    let code = 128 + libc::SIGXFSZ;
    lab.mle(&args).fails(code, &format!("signal {}", libc::SIGXFSZ));
}

#[test]
fn what_is_read_is_bounded_and_text() {
    let lab = lab();
    lab.mle(&["run", "/dev/zero"]).fails(2, "/dev/zero: is larger than");
    let study = ["study", "new", "s", "--db", "x.db", "--space"];
    lab.mle(&[&study[..], &["/dev/zero"]].concat()).fails(2, "/dev/zero: is larger than");
    // Five GB that take no space.
    File::create(lab.path("huge.yaml")).unwrap().set_len(5 << 30).unwrap();
    lab.mle(&["run", "huge.yaml"]).fails(2, "huge.yaml: is larger than");
    lab.mle(&[&study[..], &["huge.yaml"]].concat()).fails(2, "huge.yaml: is larger than");
    let space = r#"{"lr": {"type": "real", "low": 0, "high": 1}}"#;
    lab.mle(&[&study[..], &[space]].concat()).ok();
    lab.write("log.yaml", b"- a: 1\n- b: \xff\n");
    let import = ["study", "import", "s", "log.yaml", "--db", "x.db"];
    lab.mle(&import).fails(2, "log.yaml, line 2: is not UTF-8");
    let mut add = lab.command("mle", &["queue", "add", "--lines", "--db", "x.db"]);
    add.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = add.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"true\ntrue\n\xfe\n").unwrap();
    said(child.wait_with_output().unwrap()).fails(2, "line 3: is not UTF-8");
    assert_eq!(lab.sql("x.db", "SELECT count(*) FROM job"), ["1"]);
    for verb in [&["status"][..], &["protocol", "list"], &["artifact", "list"]] {
        lab.mle(&[verb, &["--limit", "0", "--db", "x.db"]].concat()).fails(2, "--limit");
    }
}
