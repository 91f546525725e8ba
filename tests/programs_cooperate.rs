//! `mle run` is five programs in one: apart they do the same, and what stops one of them loses nothing.

use crate::lab::Lab;

const TRAIN: &str = r#"
import argparse, json
p = argparse.ArgumentParser()
p.add_argument("--lr", type=float); p.add_argument("--act"); p.add_argument("--seed", type=int)
a = p.parse_args()
print("::mle " + json.dumps({"step": 1, "loss": (a.lr - 0.3) ** 2 + 0.1 * (a.act == "relu") + 0.001 * a.seed}))
"#;

fn spec(strategy: &str) -> String {
    format!(
        "name: toy
command: python3 train.py --lr {{lr}} --act {{act}} --seed {{seed}}
seeds: 2
metric: loss
search:
  strategy: {strategy}
  trials: 6
  seed: 11
  batch: 1
  space: {{lr: {{type: real, low: 0.01, high: 1.0, prior: log}}, act: [relu, tanh]}}
workers: 2
"
    )
}

fn waits(lab: &Lab) {
    lab.write("s.yaml", "command: [sh, -c, '[ {n} -lt 3 ] || until [ -e go ]; do sleep 0.02; done; echo {n} >> done']\nconfigs: [{n: 1}, {n: 2}, {n: 3}, {n: 4}]\n");
}

const THIRD_STARTED: &str = "SELECT (SELECT count(*) FROM runs WHERE state = 'complete') || ' ' ||
    (SELECT count(*) FROM attempts WHERE state = 'running' AND started_at IS NOT NULL)";

#[test]
fn apart_they_propose_what_they_propose_together() {
    for strategy in ["random", "tpe"] {
        let mut lab = Lab::new();
        lab.write("train.py", TRAIN);
        lab.write("toy.yaml", spec(strategy));
        lab.mle(&["run", "toy.yaml", "--db", "one.db"]).ok();
        let out = lab.mle(&["run", "toy.yaml", "--db", "five.db", "--enqueue"]).ok();
        assert!(out.contains("experiment 1 is stored in five.db"), "{out}");
        assert_eq!(lab.sql("five.db", "SELECT state FROM experiments"), ["planned"]);
        let places: Vec<usize> = ["mle-reporter", "mle-scheduler", "mle-searcher"]
            .into_iter()
            .map(|name| lab.start(name, &["--db", "five.db", "--when-dry"]))
            .collect();
        let workers = [0, 1].map(|_| lab.start("mle-worker", &["--db", "five.db", "--slots", "1"]));
        for place in places {
            assert!(lab.child(place).wait().unwrap().success());
        }
        for worker in workers {
            lab.signal(worker, libc::SIGTERM);
            assert!(lab.child(worker).wait().unwrap().success());
        }
        for sql in [
            "SELECT number, params, value FROM trials ORDER BY number",
            "SELECT name, seed, state, value FROM runs ORDER BY trial_id, seed",
            "SELECT place, mean, seeds FROM leaderboard ORDER BY place",
            "SELECT state FROM experiments",
        ] {
            assert_eq!(lab.sql("five.db", sql), lab.sql("one.db", sql), "{strategy}: {sql}");
        }
        let reports = "SELECT count(*) > 0 FROM artifacts WHERE kind = 'report'";
        assert_eq!(lab.sql("five.db", reports), ["1"]);
        let kinds = "SELECT kind, count(*) FROM workers WHERE state = 'stopped' GROUP BY kind ORDER BY kind";
        assert_eq!(
            lab.sql("five.db", kinds),
            ["reporter|1", "scheduler|1", "searcher|1", "worker|2"]
        );
    }
}

#[test]
fn a_detached_run_goes_on_in_the_background() {
    let lab = Lab::new();
    waits(&lab);
    let out = lab.mle(&["run", "s.yaml", "--detach", "--workers", "1"]).ok();
    assert!(out.contains("runs in the background"), "{out}");
    lab.wait_for("s.db", THIRD_STARTED, "2 1");
    lab.write("go", "");
    lab.wait_for("s.db", "SELECT state FROM experiments", "complete");
    assert_eq!(std::fs::read_to_string(lab.path("done")).unwrap(), "1\n2\n3\n4\n");
    lab.wait_for("s.db", "SELECT count(*) FROM workers WHERE state = 'live'", "0");
}

#[test]
fn ctrl_c_pauses_and_resume_goes_on() {
    let mut lab = Lab::new();
    waits(&lab);
    let run = lab.start("mle", &["run", "s.yaml", "--workers", "1"]);
    lab.wait_for("s.db", THIRD_STARTED, "2 1");
    lab.signal(run, libc::SIGINT);
    assert_eq!(lab.child(run).wait().unwrap().code(), Some(130));
    assert_eq!(lab.sql("s.db", "SELECT state FROM experiments"), ["paused"]);
    assert_eq!(lab.sql("s.db", "SELECT state FROM workers WHERE state = 'live'"), [""; 0]);
    assert_eq!(lab.sql("s.db", "SELECT sum(failures) FROM jobs"), ["0"]);
    lab.write("go", "");
    // The file need not be named: it is the only one here.
    lab.mle(&["run", "--resume"]).ok();
    assert_eq!(std::fs::read_to_string(lab.path("done")).unwrap(), "1\n2\n3\n4\n");
    assert_eq!(lab.sql("s.db", "SELECT state, count(*) FROM runs GROUP BY state"), ["complete|4"]);
    lab.mle(&["run", "s.yaml", "--resume"]).fails(2, "has no open experiment named \"s\"");
}

#[test]
fn a_killed_run_is_resumed_without_doing_anything_twice() {
    let mut lab = Lab::new();
    waits(&lab);
    let run = lab.start("mle", &["run", "s.yaml", "--workers", "1", "--set", "retries=1"]);
    lab.wait_for("s.db", THIRD_STARTED, "2 1");
    lab.signal(run, libc::SIGKILL);
    lab.child(run).wait().unwrap();
    lab.write("go", "");
    lab.mle(&["run", "s.yaml", "--resume", "--workers", "1"]).ok();
    assert_eq!(lab.sql("s.db", "SELECT state, count(*) FROM runs GROUP BY state"), ["complete|4"]);
    assert_eq!(
        lab.sql("s.db", "SELECT job_id, state FROM attempts WHERE started_at IS NOT NULL ORDER BY job_id, number"),
        ["1|succeeded", "2|succeeded", "3|lost", "3|succeeded", "4|succeeded"]
    );
    assert_eq!(lab.sql("s.db", "PRAGMA integrity_check"), ["ok"]);
}

#[test]
fn a_search_says_that_it_waits_for_points_of_another_program() {
    let lab = Lab::new();
    lab.write(
        "s.yaml",
        "name: s\ncommand: echo {x}\nmetric: loss\n\
         search: {strategy: external, trials: 3, space: {x: {type: real, low: 0, high: 1}}}\n",
    );
    let said = lab.mle(&["run", "s.yaml", "--enqueue"]);
    assert!(said.err.contains("python3 -m mle.integrations s.db 1 optuna.TPESampler"), "{said:?}");
    said.ok();
    for json in [false, true] {
        let mut command = lab.command("mle", &["run", "--db", "s.db", "--experiment", "1"]);
        if json {
            command.arg("--json");
        }
        let (reader, writer) = std::io::pipe().unwrap();
        let run = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
        drop(command);
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(reader));
        // It says so by itself, before anything else can be known of it.
        let wanted = if json { "\"waits_for\"" } else { "waiting for points" };
        lines.by_ref().map(Result::unwrap).find(|line| line.contains(wanted)).expect("it is said");
        // SAFETY: a plain system call on a child that was not waited for.
        unsafe { libc::kill(run.id() as i32, libc::SIGINT) };
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        let ended = { run }.wait().unwrap();
        assert_eq!(ended.code(), Some(130), "{rest:?}");
        assert_eq!(lab.sql("s.db", "SELECT state FROM experiments"), ["paused"]);
        assert_eq!(lab.sql("s.db", "SELECT count(*) FROM workers WHERE state = 'live'"), ["0"]);
    }
}
