//! Every program is killed again and again while they work; each job still ends once, and nothing is lost.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::lab::{Lab, with_variable};

const KILLS: usize = 200;
const RUNS: usize = 60;
const BARE: usize = 24;
const TRIALS: usize = 8;

/// What the jobs do: note start and end, log, and leave children behind in their group, in another session, or both.
const JOB: &str = r#"#!/bin/sh
mark() { echo "$1 $MLE_JOB $MLE_ATTEMPT" >> marks; }
mark start
case $(($1 % 5)) in
0) sleep 0.05 ;;
1) (while :; do mark child; sleep 0.02; done) & sleep 0.4 ;;
2) setsid sh -c 'while :; do echo "child $MLE_JOB $MLE_ATTEMPT" >> marks; sleep 0.02; done' & sleep 0.5 ;;
3) setsid sh -c 'setsid sh -c "while :; do echo \"child $MLE_JOB $MLE_ATTEMPT\" >> marks; sleep 0.02; done" & sleep 9' &
   sleep 0.6 ;;
4) for step in 0 1 2 3; do echo "::mle {\"step\": $step, \"loss\": 0.$step}"; sleep 0.1; done ;;
esac
echo '::mle {"loss": 0.5}'
mark end
"#;

const SPECS: [&str; 2] = [
    "name: many\ncommand: sh job.sh {seed}\nseeds: RUNS\nmetric: loss\nretries: 1000\n",
    "name: study\ncommand: sh job.sh {x} {seed}\nseeds: 2\nmetric: loss\nretries: 1000\nworkers: 2\n\
     search: {trials: TRIALS, space: {x: {type: integer, low: 0, high: 100}}}\n",
];

const PROGRAMS: [(&str, &[&str]); 6] = [
    ("mle-scheduler", &["--db", "storm.db"]),
    ("mle-searcher", &["--db", "storm.db"]),
    ("mle-worker", &["--db", "storm.db", "--slots", "2", "--cores", "2", "--lease", "3"]),
    ("mle-worker", &["--db", "storm.db", "--slots", "2", "--cores", "2", "--lease", "3"]),
    ("mle-worker", &["--db", "storm.db", "--slots", "2", "--cores", "2"]),
    ("mle-reporter", &["--db", "storm.db"]),
];

/// Restarts what died, and remembers what died by itself.
struct Supervisor<'a> {
    lab: &'a Lab,
    live: Vec<Option<Child>>,
    died: Vec<String>,
}

impl<'a> Supervisor<'a> {
    fn new(lab: &'a Lab) -> Self {
        Supervisor { lab, live: PROGRAMS.iter().map(|_| None).collect(), died: Vec::new() }
    }

    fn start(&mut self, place: usize) {
        let (name, args) = PROGRAMS[place];
        let said = File::create(self.lab.path(&format!("said.{place}"))).expect("a file");
        let mut command = self.lab.command(name, args);
        let child = command.stdout(Stdio::null()).stderr(said).spawn().expect("a program");
        self.live[place] = Some(child);
    }

    fn restart(&mut self) {
        for (place, (name, _)) in PROGRAMS.iter().enumerate() {
            let ended = match &mut self.live[place] {
                None => true,
                Some(child) => match child.try_wait().expect("a child") {
                    None => false,
                    Some(status) => {
                        let said = self.lab.read(&format!("said.{place}"));
                        self.died.push(format!("{name} {status}: {said}"));
                        true
                    }
                },
            };
            if ended {
                self.start(place);
            }
        }
    }

    /// Kills one without a warning, and waits for it: a parent that never does leaves a zombie, which counts as dead too.
    fn kill(&mut self, place: usize, wait: bool) -> bool {
        let Some(mut child) = self.live[place].take() else { return false };
        if let Some(status) = child.try_wait().expect("a child") {
            let said = self.lab.read(&format!("said.{place}"));
            self.died.push(format!("{} {status}: {said}", PROGRAMS[place].0));
            return false;
        }
        child.kill().expect("a kill");
        if wait {
            child.wait().expect("a child");
        } else {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                child.wait()
            });
        }
        true
    }

    fn stop(&mut self) {
        for child in self.live.iter().flatten() {
            // SAFETY: a plain system call on a child that was not waited for.
            unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
        }
        for child in self.live.iter_mut().filter_map(Option::take) {
            // One that has only just begun has no handler yet.
            let status = child.wait_with_output().expect("a child").status;
            assert!(status.success() || status.signal() == Some(libc::SIGTERM), "{status}");
        }
    }
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        for child in self.live.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A stream of numbers, the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn add_work(lab: &Lab) {
    lab.write("job.sh", JOB);
    let lines: String = (0..BARE).map(|i| format!("sh job.sh {i}\n")).collect();
    lab.write("lines", lines);
    let input = File::open(lab.path("lines")).expect("a file");
    let args = [
        "queue",
        "add",
        "--db",
        "storm.db",
        "--lines",
        "--retries",
        "1000",
        "--retry-delay",
        "0.05",
    ];
    let output = lab.command("mle", &args).stdin(input).output().expect("a program");
    crate::lab::said(output).ok();
    for (i, spec) in SPECS.iter().enumerate() {
        let spec = spec.replace("RUNS", &RUNS.to_string()).replace("TRIALS", &TRIALS.to_string());
        let name = format!("spec{i}.yaml");
        lab.write(&name, spec);
        // The first kill: of the program that only had to put the experiment into the file.
        let mut command = lab.command("mle", &["run", &name, "--db", "storm.db", "--workers", "1"]);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a program");
        let wanted = (i + 1).to_string();
        lab.wait_for("storm.db", "SELECT count(*) FROM experiments", &wanted);
        child.kill().expect("a kill");
        child.wait().expect("a child");
    }
}

#[test]
fn each_job_ends_once_whatever_is_killed() {
    let lab = Lab::new();
    add_work(&lab);
    let wanted = RUNS + BARE + 2 * TRIALS;
    let mut supervisor = Supervisor::new(&lab);
    supervisor.restart();
    let reader = rusqlite::Connection::open(lab.path("storm.db")).expect("the file");
    reader.busy_timeout(Duration::from_secs(30)).expect("a timeout");
    let mut dice = Dice(7);
    let mut succeeded: HashSet<i64> = HashSet::new();
    let (mut kills, mut at_work, started) = (0, 0, Instant::now());
    loop {
        if kills < KILLS {
            at_work += usize::from(succeeded.len() < wanted);
            let place = dice.roll(PROGRAMS.len() as u64) as usize;
            kills += usize::from(supervisor.kill(place, dice.roll(4) > 0));
        }
        supervisor.restart();
        let doubled: i64 = reader
            .query_row(
                "SELECT count(*) FROM (SELECT 1 FROM attempts WHERE state = 'running'
                                       GROUP BY job_id HAVING count(*) > 1)",
                [],
                |row| row.get(0),
            )
            .expect("a count");
        assert_eq!(doubled, 0, "a job had two attempts at once");
        let now: HashSet<i64> = reader
            .prepare_cached("SELECT id FROM jobs WHERE state = 'succeeded'")
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
            .expect("ids");
        assert!(succeeded.is_subset(&now), "a finished job was taken back");
        succeeded = now;
        let open = "SELECT count(*) FROM experiments WHERE state NOT IN ('complete', 'failed', 'cancelled')";
        let over = succeeded.len() == wanted
            && reader.query_row(open, [], |row| row.get::<_, i64>(0)).expect("a count") == 0;
        if over && kills == KILLS {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(400),
            "{} of {wanted} done, {kills} kills, {:?}",
            succeeded.len(),
            lab.sql("storm.db", "SELECT state, count(*), max(failures) FROM jobs GROUP BY state"),
        );
        std::thread::sleep(Duration::from_millis(10 + dice.roll(100)));
    }
    drop(reader);
    eprintln!(
        "{kills} kills ({at_work} while work was left) in {:.1} s, {} attempts lost",
        started.elapsed().as_secs_f64(),
        lab.sql("storm.db", "SELECT count(*) FROM attempts WHERE state = 'lost'")[0]
    );
    supervisor.stop();
    assert_eq!(supervisor.died, [""; 0], "programs that ended by themselves");
    drop(supervisor);
    lab.run("mle-worker", &["--db", "storm.db", "--when-dry"]).ok();
    let rows = |sql: &str| lab.sql("storm.db", sql);
    let n = wanted.to_string();
    assert_eq!(rows("SELECT count(*) FROM jobs WHERE state = 'succeeded'"), [n.as_str()]);
    assert_eq!(
        rows(
            "SELECT count(*), count(DISTINCT what_id) FROM events
              WHERE what = 'job' AND to_state IN ('succeeded', 'failed', 'cancelled')"
        ),
        [format!("{n}|{n}")],
        "each job ends once"
    );
    assert_eq!(rows("SELECT count(*) FROM attempts WHERE state = 'succeeded'"), [n.as_str()]);
    assert_eq!(
        rows("SELECT count(*) FROM attempts WHERE state NOT IN ('succeeded', 'lost', 'preempted')"),
        ["0"]
    );
    let runs = RUNS + 2 * TRIALS;
    assert_eq!(
        rows("SELECT state, count(*) FROM runs GROUP BY state"),
        [format!("complete|{runs}")]
    );
    assert_eq!(rows("SELECT DISTINCT value FROM runs"), ["0.5"]);
    assert_eq!(
        rows("SELECT state, count(*) FROM trials GROUP BY state"),
        [format!("complete|{TRIALS}")]
    );
    assert_eq!(rows("SELECT DISTINCT state FROM studies"), ["closed"]);
    assert_eq!(rows("SELECT DISTINCT state FROM experiments"), ["complete"]);
    assert_eq!(rows("SELECT count(*) FROM workers WHERE state = 'live'"), ["0"]);
    assert_eq!(rows("PRAGMA integrity_check"), ["ok"]);
    assert_eq!(rows("PRAGMA foreign_key_check"), [""; 0]);
    check_marks(&lab, wanted);
    nothing_lives(&lab);
}

/// Once an attempt of a job has said a word, none before it says any more; and the last one came to its end.
fn check_marks(lab: &Lab, wanted: usize) {
    let mut latest: BTreeMap<i64, i64> = BTreeMap::new();
    let mut ends: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut late = Vec::new();
    for line in lab.read("marks").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, job, attempt] = words[..] else { panic!("a torn mark: {line:?}") };
        let (job, attempt) = (job.parse().expect("a job"), attempt.parse().expect("an attempt"));
        let last = latest.entry(job).or_insert(attempt);
        if attempt < *last {
            late.push(format!("{line}, after attempt {last}"));
        }
        *last = attempt.max(*last);
        if what == "end" {
            ends.entry(job).or_default().push(attempt);
        }
    }
    assert_eq!(late, [""; 0], "attempts at work after a later one had begun");
    assert_eq!(ends.len(), wanted);
    let done = lab.sql(
        "storm.db",
        "SELECT job_id, number FROM attempts WHERE state = 'succeeded' ORDER BY job_id",
    );
    let marked: Vec<String> = ends
        .iter()
        .map(|(job, attempts)| format!("{job}|{}", attempts[attempts.len() - 1]))
        .collect();
    assert_eq!(marked, done, "the attempt that counts is the last one that came to its end");
}

/// No job, child of a job or guard is left.
fn nothing_lives(lab: &Lab) {
    let db = lab.path("storm.db").canonicalize().expect("the file").display().to_string();
    let mut uids = lab.sql("storm.db", "SELECT uid FROM workers");
    uids.push(db);
    let mut left = Vec::new();
    for _ in 0..100 {
        left = with_variable(&["MLE_DB", "MLE_WORKER", "MLE_GUARD"], &uids);
        if left.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("still there: {left:?}");
}
