//! A job starts when it should, ends when it must, leaves no process behind, and what it printed is there.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::lab::{Lab, wait_until};

const DB: &str = "x.db";

/// Adds a job; returns its number.
#[track_caller]
fn add(lab: &Lab, flags: &[&str], command: &[&str]) -> String {
    let args = [&["queue", "add", "--db", DB], flags, &["--"], command].concat();
    lab.mle(&args).ok().trim().to_owned()
}

/// Runs a worker until nothing is left to do.
#[track_caller]
fn work(lab: &Lab, flags: &[&str]) {
    lab.run("mle-worker", &[&["--db", DB, "--when-dry"], flags].concat()).ok();
}

/// The state of a job and what its last attempt says.
fn job(lab: &Lab, id: &str) -> String {
    lab.sql(DB, &format!("SELECT state, exit_code, signal, error FROM jobs WHERE id = {id}"))[0]
        .clone()
}

fn wait_for_start(lab: &Lab, id: &str) {
    let started = format!(
        "SELECT count(*) FROM attempts WHERE job_id = {id} AND state = 'running' AND started_at IS NOT NULL"
    );
    lab.wait_for(DB, &started, "1");
}

fn wait_for_state(lab: &Lab, id: &str, state: &str) {
    lab.wait_for(DB, &format!("SELECT state FROM jobs WHERE id = {id}"), state);
}

/// The processes that have this in their environment.
fn marked(mark: &str) -> Vec<String> {
    let wanted = format!("MARK={mark}");
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| {
            let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            bytes.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
        })
        .collect()
}

/// A mark no other test has.
fn mark(lab: &Lab) -> String {
    lab.path("").display().to_string().replace('/', "_")
}

#[test]
fn a_time_limit_asks_first_and_then_kills() {
    let lab = Lab::new();
    let polite = add(&lab, &["--time", "0.3"], &["sleep", "600"]);
    let deaf = "trap '' TERM; echo deaf; while :; do sleep 0.05; done";
    let deaf = add(&lab, &["--time", "0.3", "--grace", "0.3"], &["sh", "-c", deaf]);
    work(&lab, &["--slots", "2"]);
    assert_eq!(job(&lab, &polite), "failed||15|time limit of 300ms passed");
    assert_eq!(job(&lab, &deaf), "failed||9|time limit of 300ms passed");
}

#[test]
fn nothing_a_job_started_outlives_it() {
    let mut lab = Lab::new();
    let mark = mark(&lab);
    let flag = format!("MARK={mark}");
    let spawn = "sleep 600 & setsid sleep 600 & setsid sh -c 'sleep 600 & setsid sleep 600' & \
                 (setsid setsid sleep 600 >/dev/null 2>&1 </dev/null &)\nsleep 0.2; echo started";
    let quiet = add(&lab, &["--env", &flag], &["sh", "-c", spawn]);
    let endless = add(
        &lab,
        &["--env", &flag, "--time", "0.5"],
        &["sh", "-c", &format!("{spawn}; sleep 600")],
    );
    let worker = lab.start("mle-worker", &["--db", DB, "--slots", "1"]);
    wait_for_state(&lab, &quiet, "succeeded");
    wait_for_state(&lab, &endless, "failed");
    wait_until("the end of all processes", || marked(&mark).is_empty());
    assert!(lab.child(worker).try_wait().unwrap().is_none(), "the worker lives on");
    assert_eq!(lab.sql(DB, "SELECT text FROM outputs"), ["started\n", "started\n"]);
}

#[test]
fn a_running_job_is_cancelled() {
    let mut lab = Lab::new();
    let mark = mark(&lab);
    let id = add(&lab, &["--env", &format!("MARK={mark}"), "--retries", "3"], &["sleep", "600"]);
    let next = add(&lab, &[], &["true"]);
    lab.start("mle-worker", &["--db", DB, "--slots", "1", "--lease", "3600"]);
    wait_for_start(&lab, &id);
    lab.mle(&["cancel", &id, "--db", DB]).ok();
    wait_for_state(&lab, &id, "cancelled");
    assert_eq!(job(&lab, &id), "cancelled||15|cancelled on request");
    wait_until("the end of the process", || marked(&mark).is_empty());
    wait_for_state(&lab, &next, "succeeded");
}

#[test]
fn more_memory_than_asked_for_ends_a_job() {
    let lab = Lab::new();
    let eat = "import subprocess, sys, time\n\
               if len(sys.argv) == 1: subprocess.run([sys.executable, '-c', 'x = bytearray(300 << 20); import time; time.sleep(600)'])\n";
    let away = "import os, subprocess, sys, time\n\
                kid = [sys.executable, '-c', 'x = bytearray(300 << 20); import time; time.sleep(600)']\n\
                subprocess.Popen(kid, start_new_session=True)\ntime.sleep(600)\n";
    let alone = "import os, sys, time\n\
                 if os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n    x = bytearray(300 << 20)\n\
                 time.sleep(600)\n";
    let ids =
        [eat, away, alone].map(|eat| add(&lab, &["--memory", "100"], &["python3", "-c", eat]));
    let small = add(&lab, &["--memory", "100"], &["python3", "-c", "print('fits')"]);
    work(&lab, &["--slots", "1"]);
    for id in &ids {
        let said = job(&lab, id);
        assert!(
            said.starts_with("failed||9|used ") && said.ends_with("the 100 MiB it asked for"),
            "{said}"
        );
    }
    assert_eq!(job(&lab, &small), "succeeded|0||");
}

#[test]
fn a_long_output_keeps_its_start_and_its_end() {
    let lab = Lab::new();
    let talk = "import sys\nprint('the start')\nfor i in range(200_000): print(f'{i:99}')\nprint('the end')\n";
    let id = add(&lab, &[], &["python3", "-c", talk]);
    let line = "import sys\nsys.stdout.write('the start' + 'x' * 20_000_000 + 'the end')\n";
    let one_line = add(&lab, &[], &["python3", "-c", line]);
    work(&lab, &["--slots", "1"]);
    for (id, total) in [(&id, 20_000_018), (&one_line, 20_000_016)] {
        let written =
            lab.sql(DB, &format!("SELECT stdout_bytes FROM attempts WHERE job_id = {id}"));
        assert_eq!(written, [total.to_string()]);
        let kept = lab.sql(DB, &format!("SELECT sum(size_bytes) FROM outputs WHERE job_id = {id}"));
        let kept: i64 = kept[0].parse().unwrap();
        assert!((1_000_000..1_500_000).contains(&kept), "{kept} bytes are kept");
        let out = lab.mle(&["logs", id, "--db", DB]).ok();
        assert!(out.starts_with("the start") && out.trim_end().ends_with("the end"));
        assert_eq!(out.matches("bytes of stdout left out").count(), 1);
        let left_out: i64 =
            out.split_once("[… ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(left_out + kept, total);
    }
}

#[test]
fn output_of_any_bytes_is_kept_and_shown_harmless() {
    let lab = Lab::new();
    let bytes = r"\033[31mred\033[0m \377\376 caf\303\251\r\nnext\007\n";
    let id = add(&lab, &[], &["printf", bytes]);
    work(&lab, &[]);
    let out = lab.mle(&["logs", &id, "--db", DB]).ok();
    assert!(out.contains("\\u{1b}[31mred") && out.contains("café\\r\nnext\\u{7}"), "{out:?}");
    assert!(!out.contains('\u{1b}') && !out.contains('\u{7}'), "{out:?}");
    let raw = lab.command("mle", &["logs", &id, "--raw", "--db", DB]).output().unwrap().stdout;
    assert_eq!(raw, b"\x1b[31mred\x1b[0m \xff\xfe caf\xc3\xa9\r\nnext\x07\n");
}

#[test]
fn a_job_that_keeps_failing_is_tried_again_later_and_then_put_aside() {
    let lab = Lab::new();
    let command = ["sh", "-c", "echo \"try $MLE_ATTEMPT broke\" >&2; exit 7"];
    let id = add(&lab, &["--retries", "2", "--retry-delay", "0.1"], &command);
    work(&lab, &[]);
    assert_eq!(job(&lab, &id), "failed|7||exit code 7: try 3 broke");
    let attempts = "SELECT number, state, exit_code, error FROM attempts ORDER BY number";
    assert_eq!(
        lab.sql(DB, attempts),
        [1, 2, 3].map(|n| format!("{n}|failed|7|exit code 7: try {n} broke"))
    );
    let early = "SELECT count(*) FROM attempts a JOIN attempts b ON b.job_id = a.job_id AND b.number = a.number + 1
                 WHERE (julianday(b.claimed_at) - julianday(a.ended_at)) * 86400 < 0.098 * a.number";
    assert_eq!(lab.sql(DB, early), ["0"], "the second delay is twice the first");
    assert!(lab.mle(&["status", "--jobs", "failed", "--db", DB]).ok().contains("try 3 broke"));
    assert!(lab.mle(&["explain", &id, "--db", DB]).ok().contains("failed 3 of 3 times"));
    assert_eq!(lab.mle(&["logs", &id, "--attempt", "2", "--db", DB]).ok(), "try 2 broke\n");
    lab.mle(&["retry", &id, "--db", DB]).ok();
    work(&lab, &[]);
    assert_eq!(lab.sql(DB, "SELECT count(*) FROM attempts WHERE state = 'failed'"), ["6"]);
}

#[test]
fn jobs_wait_for_those_they_need() {
    let lab = Lab::new();
    let say = ["sh", "-c", "echo $MLE_JOB >> order"];
    let good = add(&lab, &[], &["sh", "-c", "sleep 0.2; echo $MLE_JOB >> order"]);
    let bad = add(&lab, &[], &["sh", "-c", "sleep 0.1; exit 1"]);
    let after_good = add(&lab, &["--after", &good, "--priority", "9"], &say);
    let after_bad = add(&lab, &["--after", &bad], &say);
    let after_both = add(&lab, &["--after", &good, "--after", &bad], &say);
    let after_any = add(&lab, &["--after-any", &bad, "--after", &after_good], &say);
    let after_cancelled = add(&lab, &["--after", &after_bad], &say);
    assert!(
        lab.mle(&["explain", &after_good, "--db", DB])
            .ok()
            .contains(&format!("it needs job {good}"))
    );
    work(&lab, &["--slots", "4"]);
    let order: Vec<String> =
        std::fs::read_to_string(lab.path("order")).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(order, [good.clone(), after_good, after_any]);
    for id in [after_bad, after_both, after_cancelled] {
        let said = job(&lab, &id);
        assert!(
            said.starts_with("cancelled|||job ") && said.ends_with("did not succeed"),
            "{said}"
        );
    }
    // What is over already is known when a job is added.
    let late = add(&lab, &["--after", &good], &["true"]);
    let hopeless = add(&lab, &["--after", &bad], &["true"]);
    work(&lab, &[]);
    assert_eq!(job(&lab, &late), "succeeded|0||");
    assert!(job(&lab, &hopeless).starts_with("cancelled"));
}

#[test]
fn larger_priority_goes_first_then_age() {
    let lab = Lab::new();
    let ids: Vec<String> = ["0", "5", "-3", "5", "1"]
        .iter()
        .map(|priority| {
            add(&lab, &["--priority", priority], &["sh", "-c", "echo $MLE_JOB >> order"])
        })
        .collect();
    work(&lab, &["--slots", "1"]);
    let order = std::fs::read_to_string(lab.path("order")).unwrap();
    let wanted = [&ids[1], &ids[3], &ids[4], &ids[0], &ids[2]];
    assert_eq!(order.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn a_delayed_job_waits_its_time() {
    let lab = Lab::new();
    let id = add(&lab, &["--delay", "0.5"], &["true"]);
    assert_eq!(job(&lab, &id), "waiting|||");
    assert!(lab.mle(&["explain", &id, "--db", DB]).ok().contains("it is to start later"));
    work(&lab, &[]);
    assert_eq!(job(&lab, &id), "succeeded|0||");
    let early = "SELECT count(*) FROM jobs WHERE (julianday(started_at) - julianday(created_at)) * 86400 < 0.498";
    assert_eq!(lab.sql(DB, early), ["0"]);
}

#[test]
fn a_key_names_one_open_job() {
    let lab = Lab::new();
    let first = add(&lab, &["--key", "nightly"], &["true"]);
    assert_eq!(add(&lab, &["--key", "nightly"], &["true"]), first);
    work(&lab, &[]);
    assert_ne!(add(&lab, &["--key", "nightly"], &["true"]), first);
    assert_eq!(lab.sql(DB, "SELECT count(*) FROM jobs"), ["2"]);
}

#[test]
fn a_paused_experiment_starts_nothing_until_it_is_resumed() {
    let mut lab = Lab::new();
    lab.write("s.yaml", "command: [sh, -c, 'until [ -e go ]; do sleep 0.02; done; echo {n} >> done']\nconfigs: [{n: 1}, {n: 2}, {n: 3}]\n");
    let run = lab.start("mle", &["run", "s.yaml", "--workers", "1", "--db", DB]);
    wait_for_start(&lab, "1");
    lab.mle(&["pause", "s", "--db", DB]).ok();
    lab.write("go", "");
    wait_for_state(&lab, "1", "succeeded");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(lab.sql(DB, "SELECT state FROM jobs"), ["succeeded", "waiting", "waiting"]);
    assert_eq!(lab.sql(DB, "SELECT state FROM experiments"), ["paused"]);
    assert!(lab.mle(&["explain", "2", "--db", DB]).ok().contains("its experiment is paused"));
    let whole = lab.mle(&["explain", "--experiment", "s", "--db", DB]).ok();
    assert!(
        !whole.contains("job 1:") && whole.contains("job 2:") && whole.contains("job 3:"),
        "{whole}"
    );
    assert_eq!(whole.matches("its experiment is paused").count(), 2, "{whole}");
    // Who names the experiment as a job is told how.
    lab.mle(&["explain", "s", "--db", DB]).fails(2, "as in `-e s`");
    lab.mle(&["resume", "s", "--db", DB]).ok();
    assert!(lab.child(run).wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(lab.path("done")).unwrap(), "1\n2\n3\n");
    assert_eq!(lab.mle(&["explain", "-e", "s", "--db", DB]).ok(), "3 jobs succeeded\n");
}

#[test]
fn a_worker_that_has_to_leave_gives_its_jobs_back() {
    let mut lab = Lab::new();
    let id = add(&lab, &[], &["sh", "-c", "[ $MLE_ATTEMPT = 2 ] || exec sleep 600"]);
    let queued = add(&lab, &[], &["true"]);
    let worker = lab.start("mle-worker", &["--db", DB, "--slots", "1"]);
    wait_for_start(&lab, &id);
    lab.signal(worker, libc::SIGTERM);
    assert!(lab.child(worker).wait().unwrap().success());
    let rows = "SELECT j.state, j.failures, a.state, a.signal, a.error FROM jobs j JOIN attempts a ON a.job_id = j.id";
    assert_eq!(lab.sql(DB, rows), ["queued|0|preempted|15|the worker had to leave"]);
    assert_eq!(lab.sql(DB, "SELECT DISTINCT state FROM workers"), ["stopped"]);
    // It had one try, and has it still.
    work(&lab, &[]);
    assert_eq!(job(&lab, &id), "succeeded|0||");
    assert_eq!(job(&lab, &queued), "succeeded|0||");
}

#[test]
fn a_machine_about_to_go_warns_its_jobs() {
    let mut lab = Lab::new();
    let warned =
        "trap 'echo saved > saved; exit 0' USR2; touch ready; while :; do sleep 0.02; done";
    let id = add(&lab, &[], &["sh", "-c", warned]);
    let worker = lab.start("mle-worker", &["--db", DB]);
    wait_until("the job's start", || lab.path("ready").exists());
    lab.signal(worker, libc::SIGUSR2);
    assert!(lab.child(worker).wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(lab.path("saved")).unwrap(), "saved\n");
    assert_eq!(lab.sql(DB, "SELECT state, failures FROM jobs"), ["queued|0"]);
    assert_eq!(lab.sql(DB, "SELECT state FROM attempts"), ["preempted"]);
    let _ = id;
}

#[test]
fn a_killed_worker_leaves_no_process_and_its_job_is_taken_at_once() {
    let mut lab = Lab::new();
    let mark = mark(&lab);
    let command = "[ $MLE_ATTEMPT = 2 ] && exit 0; setsid sleep 600 & sleep 600";
    let id = add(
        &lab,
        &["--env", &format!("MARK={mark}"), "--retries", "1", "--retry-delay", "0.01"],
        &["sh", "-c", command],
    );
    // If anybody waited for this lease, the test would not end.
    let worker = lab.start("mle-worker", &["--db", DB, "--slots", "1", "--lease", "36000"]);
    wait_for_start(&lab, &id);
    wait_until("the job's children", || marked(&mark).len() >= 3);
    lab.signal(worker, libc::SIGKILL);
    wait_until("the end of all processes", || marked(&mark).is_empty());
    assert_eq!(lab.sql(DB, "SELECT state FROM jobs"), ["running"]);
    work(&lab, &[]);
    assert_eq!(job(&lab, &id), "succeeded|0||");
    assert_eq!(
        lab.sql(DB, "SELECT number, state, error FROM attempts"),
        ["1|lost|its worker died", "2|succeeded|"]
    );
}

#[test]
fn a_killed_worker_takes_odd_names_and_empty_environments_with_it() {
    let mut lab = Lab::new();
    // The kernel cuts the name of a process in the middle of the letter.
    let script = lab.write("abcdefghijklmnü.sh", "#!/bin/sh\nsleep 600\nsleep 600\n");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    add(&lab, &[], &["./abcdefghijklmnü.sh"]);
    add(&lab, &[], &["env", "-i", "/bin/sleep", "600"]);
    let worker = lab.start("mle-worker", &["--db", DB, "--slots", "2"]);
    lab.wait_for(DB, "SELECT count(*) FROM attempts WHERE started_at IS NOT NULL", "2");
    let pids: Vec<u32> =
        lab.sql(DB, "SELECT pid FROM attempts").iter().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| mle::process::start_of(*pid).is_some()));
    lab.signal(worker, libc::SIGKILL);
    wait_until("the end of both", || pids.iter().all(|pid| mle::process::start_of(*pid).is_none()));
}

#[test]
fn memory_that_processes_share_counts_once() {
    let lab = Lab::new();
    let fork = "import os, time\nx = bytearray(b'x') * (150 << 20)\n\
                for _ in range(4):\n    if os.fork() == 0:\n        time.sleep(1.5)\n        os._exit(0)\n\
                for _ in range(4): os.wait()\n";
    let id = add(&lab, &["--memory", "300"], &["python3", "-c", fork]);
    work(&lab, &["--slots", "1"]);
    assert_eq!(job(&lab, &id), "succeeded|0||");
}

#[test]
fn who_lost_the_lease_records_nothing_any_more() {
    let mut lab = Lab::new();
    let script = r#"if [ $MLE_ATTEMPT = 2 ]; then echo '::mle {"loss": 1}'; exit 0; fi
echo '::mle {"loss": 50}'
touch first; until [ -e go ]; do sleep 0.02; done
echo '::mle {"loss": 99}'
$M log loss=98 2> refused; echo $? > code
sleep 600"#;
    lab.write("train.sh", script);
    lab.write("s.yaml", "script: train.sh\nmetric: loss\nretries: 1\n");
    lab.set("M", crate::lab::program("mle").to_str().unwrap());
    lab.mle(&["run", "s.yaml", "--db", DB, "--enqueue"]).ok();
    lab.start("mle-scheduler", &["--db", DB]);
    let frozen = lab.start("mle-worker", &["--db", DB, "--slots", "1", "--lease", "1"]);
    lab.wait_for(DB, "SELECT count(*) FROM points", "1");
    lab.signal(frozen, libc::SIGSTOP);
    lab.start("mle-worker", &["--db", DB, "--slots", "1", "--lease", "1"]);
    lab.wait_for(DB, "SELECT state FROM experiments", "complete");
    lab.write("go", "");
    wait_until("the old attempt's answer", || {
        std::fs::read_to_string(lab.path("code")).is_ok_and(|text| text.ends_with('\n'))
    });
    assert_eq!(std::fs::read_to_string(lab.path("code")).unwrap(), "2\n");
    let refused = std::fs::read_to_string(lab.path("refused")).unwrap();
    assert!(refused.contains("its lease was lost"), "{refused}");
    let old = lab.sql(DB, "SELECT pid FROM attempts WHERE number = 1")[0].clone();
    lab.signal(frozen, libc::SIGCONT);
    wait_until("the old attempt's end", || !std::path::Path::new(&format!("/proc/{old}")).exists());
    lab.signal(frozen, libc::SIGTERM);
    assert!(lab.child(frozen).wait().unwrap().success());
    assert_eq!(
        lab.sql(DB, "SELECT number, state, error FROM attempts"),
        ["1|lost|its lease ran out", "2|succeeded|"]
    );
    assert_eq!(lab.sql(DB, "SELECT value, attempt FROM points"), ["1|2"]);
    assert_eq!(lab.sql(DB, "SELECT value FROM points_of_all_attempts ORDER BY value"), ["1", "50"]);
    assert_eq!(lab.sql(DB, "SELECT state, value FROM runs"), ["complete|1"]);
}

#[test]
fn a_job_is_told_how_many_threads_to_use() {
    let lab = Lab::new();
    let id = add(&lab, &["--cores", "3"], &["sh", "-c", "echo $OMP_NUM_THREADS $MKL_NUM_THREADS"]);
    work(&lab, &["--cores", "4"]);
    assert_eq!(lab.mle(&["logs", &id, "--db", DB]).ok(), "3 3\n");
}

/// Each job says how many are running with it.
const COUNT: &str = "mkdir -p now; touch now/$MLE_JOB; sleep 0.1; ls now | wc -l >> seen; sleep 0.05; rm now/$MLE_JOB";

fn most_at_once(lab: &Lab) -> u32 {
    let seen = std::fs::read_to_string(lab.path("seen")).unwrap();
    seen.lines().map(|line| line.trim().parse::<u32>().unwrap()).max().unwrap()
}

#[test]
fn no_more_jobs_than_slots_and_cores_run_at_once() {
    for (jobs, cores, worker, most) in [
        ("12", "1", ["--slots", "3", "--cores", "8"], 3),
        ("4", "2", ["--slots", "4", "--cores", "2"], 1),
    ] {
        let lab = Lab::new();
        add(&lab, &["--copies", jobs, "--cores", cores], &["sh", "-c", COUNT]);
        work(&lab, &worker);
        assert_eq!(most_at_once(&lab), most, "{worker:?}");
        assert_eq!(lab.sql(DB, "SELECT count(*) FROM jobs WHERE state = 'succeeded'"), [jobs]);
    }
    // Short jobs are claimed ahead: they keep to the slots all the same.
    let lab = Lab::new();
    add(
        &lab,
        &["--copies", "60"],
        &["sh", "-c", "mkdir -p now; touch now/$MLE_JOB; ls now | wc -l >> seen; rm now/$MLE_JOB"],
    );
    work(&lab, &["--slots", "2", "--cores", "2"]);
    assert!(most_at_once(&lab) <= 2);
}

#[test]
fn a_job_larger_than_any_worker_waits_and_says_why() {
    let mut lab = Lab::new();
    let id = add(&lab, &["--cores", "50"], &["true"]);
    let small = add(&lab, &[], &["true"]);
    lab.start("mle-worker", &["--db", DB, "--slots", "1", "--cores", "2"]);
    wait_for_state(&lab, &small, "succeeded");
    let why = lab.mle(&["explain", &id, "--db", DB]).ok();
    assert!(why.contains("asks for 50 cores, and no live worker has more than 2"), "{why}");
}

fn executable(lab: &Lab, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = lab.write(name, text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn environments_are_activated() {
    let mut lab = Lab::new();
    executable(&lab, "env/bin/python3", "#!/bin/sh\necho \"venv $VIRTUAL_ENV: $1\"\n");
    lab.write("venv.yaml", "command: python3 train.py\nvenv: env\n");
    lab.mle(&["run", "venv.yaml"]).ok();
    let out = lab.sql("venv.db", "SELECT text FROM outputs");
    let folder = lab.path("env").canonicalize().unwrap();
    assert_eq!(out, [format!("venv {}: train.py\n", folder.display())]);

    executable(
        &lab,
        "tools/conda",
        "#!/bin/sh\necho \"conda $*\"; while [ \"$1\" != -n ]; do shift; done; shift 2; exec \"$@\"\n",
    );
    let path = format!("{}:{}", lab.path("tools").display(), std::env::var("PATH").unwrap());
    lab.set("PATH", &path);
    lab.write("conda.yaml", "command: echo inside\nconda: torch\n");
    lab.mle(&["run", "conda.yaml"]).ok();
    let out = lab.mle(&["logs", "1", "--db", "conda.db"]).ok();
    assert_eq!(out, "conda run --no-capture-output -n torch echo inside\ninside\n");

    lab.write("none.yaml", "command: 'true'\nvenv: nowhere\n");
    lab.mle(&["run", "none.yaml"]).fails(1, "there is no virtual environment \"nowhere\"");
}

#[test]
fn a_script_gets_its_config_its_folder_and_its_seed() {
    let lab = Lab::new();
    lab.write(
        "train.sh",
        "test \"$1 $3 $5 $7 $8\" = '-config -exp_dir -seed -mode fast' || test \"$1 $3 $5 $7 $8\" = '-exp_dir -config -seed -mode fast' || { echo \"$@\"; exit 9; }\n\
         while [ $# -gt 1 ]; do case $1 in -config) c=$2;; -exp_dir) d=$2;; -seed) s=$2;; esac; shift 2; done\n\
         echo \"$c\"; cat \"$c\"; mkdir -p $d/deep; echo $s > $d/deep/seed.txt; echo x > $d/curve.png\n",
    );
    lab.write(
        "train.py",
        "import os, sys\nos.execvp('bash', ['bash', 'train.sh', *sys.argv[1:]])\n",
    );
    for (script, config, text) in [
        ("train.sh", "base.json", "{\"lr\": 0.5, \"net\": {\"act\": \"yes\"}}"),
        ("train.py", "base.yaml", "lr: 0.5\nnet: {act: 'yes'}\n"),
    ] {
        lab.write(config, text);
        lab.write(
            "s.yaml",
            format!("script: {script}\nbase: {config}\nargs: {{mode: fast}}\nseeds: [7, 8]\n"),
        );
        let db = format!("{config}.db");
        lab.mle(&["run", "s.yaml", "--workers", "1", "--db", &db]).ok();
        let out = lab.mle(&["logs", "1", "--db", &db]).ok();
        let (path, written) = out.split_once('\n').unwrap();
        assert!(path.ends_with(&format!("/{config}")), "{path}");
        let back: serde_json::Value = if config.ends_with(".json") {
            serde_json::from_str(written).unwrap()
        } else {
            serde_saphyr::from_str(written).unwrap()
        };
        assert_eq!(back, serde_json::json!({"lr": 0.5, "net": {"act": "yes"}}));
        let kept = "SELECT r.seed, a.name, a.kind, a.size_bytes FROM artifacts a JOIN runs r ON r.id = a.run_id ORDER BY 1, 2";
        assert_eq!(
            lab.sql(&db, kept),
            [
                "7|curve.png|figure|2",
                "7|deep/seed.txt|file|2",
                "8|curve.png|figure|2",
                "8|deep/seed.txt|file|2"
            ]
        );
        let get = ["artifact", "get", "deep/seed.txt", "--out", "-", "--db", &db];
        assert_eq!(lab.mle(&get).ok(), "8\n");
        assert!(!std::path::Path::new(path).exists(), "the scratch folder is gone");
    }
    let seeds: BTreeSet<String> =
        lab.sql("base.json.db", "SELECT seed FROM runs").into_iter().collect();
    assert_eq!(seeds, BTreeSet::from(["7".to_owned(), "8".to_owned()]));
}
