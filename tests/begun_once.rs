//! An experiment begins when it can and was meant to: not beside itself, and not when no machine has what it asks for.

use crate::lab::Lab;

const SPEC: &str = "name: slow\ncommand: sh wait.sh {x}\nconfigs: [{x: 1}, {x: 2}]\nworkers: 1\n";

#[test]
fn a_paused_experiment_is_not_begun_again_unasked() {
    let mut lab = Lab::new();
    lab.write("s.yaml", SPEC);
    lab.write("wait.sh", "[ $1 = 1 ] || [ -e go ] || sleep 300\n");
    let running = lab.start("mle", &["run", "s.yaml"]);
    lab.wait_for("slow.db", "SELECT state FROM jobs WHERE id = 2", "running");
    lab.mle(&["run", "s.yaml"]).fails(2, "experiment 1 slow is at work in slow.db, 1 of 2 runs");
    // Programs at work on it would see no more of it.
    lab.mle(&["protocol", "delete", "slow"]).fails(2, "is not over: `mle cancel -e 1` ends it");
    lab.signal(running, libc::SIGINT);
    assert_eq!(lab.child(running).wait().unwrap().code(), Some(130));
    let count = "SELECT count(*) FROM experiments";
    let told = lab.mle(&["run", "s.yaml"]).fails(2, "experiment 1 slow is paused in slow.db");
    assert!(told.starts_with("mle run: experiment 1 slow"), "{told}");
    assert!(told.contains("--resume` goes on with it;") && told.contains("--new"), "{told}");
    // Of a changed spec it is said that the stored one goes on.
    lab.write("s.yaml", SPEC.replace("workers: 1", "workers: 2"));
    lab.mle(&["run", "s.yaml"]).fails(2, "with the spec as it was then");
    assert_eq!(lab.sql("slow.db", count), ["1"]);
    lab.write("go", "");
    lab.mle(&["run", "s.yaml", "--new"]).ok();
    assert_eq!(lab.sql("slow.db", count), ["2"]);
    let said = lab.mle(&["run", "s.yaml", "--resume"]);
    assert!(said.err.contains("the spec has changed"), "{said:?}");
    said.ok();
    let states = lab.sql("slow.db", "SELECT state FROM experiments ORDER BY id");
    assert_eq!(states, ["complete", "complete"]);
    lab.mle(&["protocol", "delete", "2"]).ok();
    assert_eq!(lab.sql("slow.db", count), ["1"]);
    // What has ended is no hindrance.
    lab.mle(&["run", "s.yaml"]).ok();
}

#[test]
fn of_two_that_begin_at_once_one_does() {
    let lab = Lab::new();
    lab.write("s.yaml", "name: one\ncommand: sh -c 'sleep 0.2' {x}\nconfigs: [{x: 1}, {x: 2}]\n");
    for round in 1..=4 {
        let both: Vec<_> = (0..2)
            .map(|_| {
                lab.command("mle", &["run", "s.yaml"])
                    .stdout(std::process::Stdio::null())
                    .stderr(std::process::Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        let mut codes: Vec<Option<i32>> =
            both.into_iter().map(|mut one| one.wait().unwrap().code()).collect();
        codes.sort();
        assert_eq!(codes, [Some(0), Some(2)]);
        assert_eq!(lab.sql("one.db", "SELECT count(*) FROM experiments"), [round.to_string()]);
    }
}

#[test]
fn jobs_that_no_machine_has_room_for_are_told_at_once() {
    let lab = Lab::new();
    lab.write("s.yaml", "command: 'true'\nresources: {gpus: 1000}\n");
    let told = lab.mle(&["run", "s.yaml"]).fails(2, "jobs ask for 1000 GPUs and this machine has");
    assert!(told.contains("resources.gpus"), "{told}");
    assert!(!lab.path("s.db").exists());
    let memory = ["run", "s.yaml", "--set", "resources.gpus=0", "--set", "resources.memory=900T"];
    lab.mle(&memory).fails(2, "jobs ask for 900.0 TiB of memory");
    // Who only plans or queues is warned: another machine's worker is not seen from here.
    for how in ["--dry-run", "--enqueue"] {
        let said = lab.mle(&["run", "s.yaml", how]);
        assert!(said.err.contains("warning: resources: gpus: jobs ask for 1000 GPUs"), "{said:?}");
        said.ok();
    }
    // Cores are given all the same.
    let cores = ["run", "s.yaml", "--db", "y.db", "--set", "resources={cores: 9999}"];
    let said = lab.mle(&cores);
    assert!(said.err.contains("warning: jobs ask for 9999 cores"), "{said:?}");
    said.ok();
}

#[test]
fn goals_times_and_memory_are_read_in_every_spelling() {
    let lab = Lab::new();
    for (word, goal) in [("maximize", "max"), ("maximise", "max"), ("minimise", "min")] {
        let spec = format!("command: x\nmetric: {{name: m, goal: {word}}}\n");
        lab.write("s.yaml", spec);
        lab.mle(&["run", "s.yaml", "--enqueue", "--db", &format!("{word}.db")]).ok();
        assert_eq!(lab.sql(&format!("{word}.db"), "SELECT goal FROM objectives"), [goal]);
    }
    let add = |flags: &[&str]| {
        lab.mle(&[&["queue", "add", "--db", "q.db"], flags, &["--", "true"]].concat())
    };
    add(&["--time", "2h", "--memory", "4GB", "--grace", "1m", "--delay", "00:00:01"]).ok();
    add(&["--time", "90", "--memory", "300"]).ok();
    let rows = lab.sql("q.db", "SELECT CAST(time_limit_s AS INTEGER), memory_mib FROM jobs");
    assert_eq!(rows, ["7200|4096", "90|300"]);
    add(&["--time", "2y"]).fails(2, "a time such as");
    add(&["--memory", "4X"]).fails(2, "an amount of memory such as");
}

/// What people are told to type means the file that they work on, also where there are others.
#[test]
fn what_is_said_beside_the_progress_is_of_use() {
    let lab = Lab::new();
    lab.mle(&["queue", "add", "--db", "other.db", "--", "true"]).ok();
    lab.write(
        "bad.yaml",
        "name: bad\ncommand: sh -c 'exit 7' {x}\nmetric: loss\nworkers: 1\nconfigs: [{x: 1}, {x: 2}, {x: 3}, {x: 4}, {x: 5}, {x: 6}]\n",
    );
    let said = lab.mle(&["run", "bad.yaml", "--db", "my own.db"]);
    for text in [
        "runs so far failed, the last one: exit code 7; `mle logs ",
        "see `mle logs 1 --db 'my own.db'`",
    ] {
        assert!(said.err.contains(text), "{text}: {}", said.err);
    }
    let explained = lab.mle(&["explain", "6", "--db", "my own.db"]).ok();
    assert!(
        explained.contains("mle logs 6 --db 'my own.db', then mle retry 6 --db 'my own.db'"),
        "{explained}"
    );
    // A space of three points has no fourth.
    lab.write(
        "short.yaml",
        "name: short\ncommand: sh say.sh {x}\nmetric: loss\nsearch: {strategy: random, trials: 9, space: {x: [1, 2, 3]}}\n",
    );
    lab.write("say.sh", "echo \"::mle {\\\"loss\\\": $1}\"\n");
    let said = lab.mle(&["run", "short.yaml", "--db", "other.db"]).ok();
    assert!(
        said.contains("its search ended after 3 of 9 trials: nothing else is left to propose"),
        "{said}"
    );
}
