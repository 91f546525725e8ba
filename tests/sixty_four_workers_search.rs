//! Sixty-four processes ask and tell one study through the file, and some are killed at work: each trial ends once, none
//! is proposed twice, and each proposal follows from what was known then.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use mle::store::{Open, Store};
use mle::study::{self, Memory, Nothing, Told};
use serde_json::{Map, Value, json};

use crate::lab::{Lab, wait_until};
use crate::studies_by_hand::json_of;

const WORKERS: usize = 64;
const TRIALS: u64 = 2_000;
const VARIABLE: &str = "MLE_TEST_SIXTY_FOUR";
const NAME: &str = "MLE_TEST_SIXTY_FOUR_NAME";
/// Three real numbers, a whole one and a choice: large, so that only a fault proposes a point twice, and with a
/// parameter that is not always active.
const SPACE: &str = r#"{"lr": {"type": "real", "low": 1e-5, "high": 1, "prior": "log"},
    "momentum": {"type": "real", "low": 0, "high": 1}, "width": {"type": "integer", "low": 8, "high": 512, "prior": "log"},
    "act": ["relu", "tanh", "leaky"], "slope": {"type": "real", "low": 0, "high": 0.5, "when": {"act": "leaky"}}}"#;

/// How a trial ends: one in twenty does not end well, and half of those take their process with them.
enum Fate {
    Valued,
    Failed,
    Killed,
}

fn fate(number: u64) -> Fate {
    match number % 40 {
        7 => Fate::Killed,
        27 => Fate::Failed,
        _ => Fate::Valued,
    }
}

/// How long a trial takes: exponentially distributed, a hash of its number.
fn duration(number: u64) -> Duration {
    let hash = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let uniform = (hash as f64 + 0.5) / (1u64 << 24) as f64;
    Duration::from_micros((-20_000.0 * uniform.ln()) as u64)
}

fn value(params: &Map<String, Value>) -> f64 {
    let number = |name: &str| params.get(name).and_then(Value::as_f64).unwrap_or(0.25);
    (number("lr").log10() + 2.0).powi(2) + (number("momentum") - 0.9).powi(2) + number("slope")
        - number("width").log2() / 20.0
}

#[test]
fn sixty_four_processes_search_together_and_none_is_missed() {
    let lab = Lab::new();
    let (trials, workers) = (TRIALS.to_string(), WORKERS.to_string());
    let args = ["study", "new", "wide", "--space", SPACE, "--strategy", "tpe", "--seed", "3"];
    let budget = ["--trials", &trials, "--workers", &workers, "--db", "wide.db"];
    lab.mle(&[&args[..], &budget].concat()).ok();
    let start = |place: usize| -> Child {
        let mut command = lab.myself("sixty_four_workers_search::one_of_many", VARIABLE);
        command.env(NAME, format!("worker {place}")).spawn().expect("a process")
    };
    let mut children: Vec<Option<Child>> = (0..WORKERS).map(|place| Some(start(place))).collect();
    let mut killed = 0;
    wait_until("all have ended", || {
        for (place, slot) in children.iter_mut().enumerate() {
            let Some(child) = slot else { continue };
            let Some(status) = child.try_wait().expect("a child") else { continue };
            if status.success() {
                *slot = None;
                continue;
            }
            let said = slot.take().map(|child| crate::lab::said(child.wait_with_output().unwrap()));
            assert_eq!(status.signal(), Some(libc::SIGKILL), "{said:?}");
            // What it had asked for is found by its name, and told to have failed; another takes its place.
            let lost = format!(
                "SELECT t.number FROM trials t JOIN events e ON e.what = 'trial' AND e.what_id = t.id
                 WHERE t.state = 'running' AND e.to_state = 'running' AND e.who = 'worker {place}'"
            );
            let lost = lab.sql("wide.db", &lost);
            assert_eq!(lost.len(), 1, "worker {place} had {lost:?}");
            lab.mle(&["tell", "wide", &lost[0], "--failed", "--db", "wide.db"]).ok();
            killed += 1;
            *slot = Some(start(place));
        }
        children.iter().all(Option::is_none)
    });
    assert_eq!(killed, TRIALS / 40);
    let rows = |sql: &str| lab.sql("wide.db", sql);
    let (valued, failed) = (TRIALS / 20 * 19, TRIALS / 20);
    assert_eq!(
        rows("SELECT state, count(*) FROM trials GROUP BY state ORDER BY state"),
        [format!("complete|{valued}"), format!("failed|{failed}")]
    );
    assert_eq!(
        rows(
            "SELECT count(*), count(DISTINCT number), max(number), count(DISTINCT params) FROM trials"
        ),
        [format!("{TRIALS}|{TRIALS}|{}|{TRIALS}", TRIALS - 1)]
    );
    // Each ended once, by the process that asked for it or by the one that found it dead.
    assert_eq!(
        rows(
            "SELECT count(*), count(DISTINCT what_id) FROM events WHERE what = 'trial' AND to_state IN ('complete', 'failed')"
        ),
        [format!("{TRIALS}|{TRIALS}")]
    );
    assert_eq!(rows("SELECT state FROM studies"), ["closed"]);
    // They did work at the same time: asks knew of many trials at work, and of no more than there are workers. The first
    // change a study has is how it was made.
    let at_once = rows("SELECT number - seen + 2 FROM trials ORDER BY 1");
    let at_once: Vec<usize> = at_once.iter().map(|n| n.parse().expect("a count")).collect();
    let (middle, most) = (at_once[at_once.len() / 2], at_once[at_once.len() - 1]);
    assert!(middle > WORKERS / 4 && most <= WORKERS, "{middle} at once, up to {most}");
    let replay = json_of(&lab, &["study", "replay", "wide", "--db", "wide.db"]);
    assert_eq!((&replay["identical"], &replay["proposals"]), (&json!(true), &json!(TRIALS)));
    assert_eq!(rows("PRAGMA integrity_check"), ["ok"]);
}

/// One of the processes: it asks, works, and tells, until nothing is left to ask for.
#[test]
fn one_of_many() {
    let (Ok(folder), Ok(name)) = (std::env::var(VARIABLE), std::env::var(NAME)) else { return };
    let mut store =
        Store::open(Path::new(&folder).join("wide.db"), Open::Existing).expect("a file");
    let study = store.read(|tx| study::find(tx, "wide")).expect("the study");
    let mut memory = Memory::default();
    loop {
        let answer = memory
            .write(&mut store, |tx, memory| study::ask(tx, memory, study, 1, &name))
            .expect("an answer");
        let Some(trial) = answer.trials.first() else {
            assert_eq!(answer.nothing, Some(Nothing::Exhausted));
            return;
        };
        std::thread::sleep(duration(trial.number));
        let told = match fate(trial.number) {
            // SAFETY: a plain system call on this very process.
            Fate::Killed => unsafe {
                libc::kill(libc::getpid(), libc::SIGKILL);
                unreachable!("nobody survives this signal")
            },
            Fate::Failed => Told::Failed,
            Fate::Valued => Told::Complete(vec![value(&trial.params)]),
        };
        store.write(|tx| study::tell(tx, study, trial.number, &told, &[], &name)).expect("told");
    }
}
