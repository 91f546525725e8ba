//! Many processes claim and end jobs as fast as they can: none is lost or doubled, no one hears "busy", no one starves.

use std::path::Path;
use std::time::Duration;

use mle::lifecycle;
use mle::queue::{self, AttemptState, Ended, Ending, NewJob, NewWorker, Room, Want, WorkerKind};
use mle::store::{Open, Store};

use crate::lab::Lab;

const PROCESSES: usize = 32;
const JOBS: usize = 20_000;
const VARIABLE: &str = "MLE_TEST_MANY_WORKERS";

#[test]
fn thirty_two_processes_share_twenty_thousand_jobs() {
    let lab = Lab::new();
    let mut store = Store::open(lab.path("many.db"), Open::Create).expect("a file");
    let job = NewJob::new(vec!["true".into()]);
    store
        .write(|tx| {
            let mut adder = queue::Adder::new(tx)?;
            (0..JOBS).try_for_each(|_| adder.add(tx, &job, "test").map(drop))
        })
        .expect("jobs");
    drop(store);
    let children: Vec<_> = (0..PROCESSES)
        .map(|_| lab.myself("many_workers::one_of_many", VARIABLE).spawn().expect("a process"))
        .collect();
    lab.wait_for("many.db", "SELECT count(*) FROM workers", &PROCESSES.to_string());
    lab.write("go", "");
    for child in children {
        let said = crate::lab::said(child.wait_with_output().expect("a process"));
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    }
    let rows = |sql: &str| lab.sql("many.db", sql);
    let n = JOBS.to_string();
    assert_eq!(rows("SELECT state, count(*) FROM jobs GROUP BY state"), [format!("succeeded|{n}")]);
    assert_eq!(
        rows("SELECT state, count(*) FROM attempts GROUP BY state"),
        [format!("succeeded|{n}")]
    );
    assert_eq!(
        rows(
            "SELECT count(*), count(DISTINCT what_id) FROM events WHERE what = 'job' AND to_state = 'succeeded'"
        ),
        [format!("{n}|{n}")]
    );
    let shares: Vec<usize> = rows(
        "SELECT count(a.number) FROM workers w LEFT JOIN attempts a ON a.worker_id = w.id GROUP BY w.id ORDER BY 1",
    )
    .iter()
    .map(|count| count.parse().expect("a count"))
    .collect();
    let fair = JOBS / PROCESSES;
    eprintln!("fair share {fair}, from {} to {}", shares[0], shares[PROCESSES - 1]);
    assert!(shares[0] >= fair / 4, "the slowest got {} of {fair}: {shares:?}", shares[0]);
    assert_eq!(rows("PRAGMA integrity_check"), ["ok"]);
}

/// One of the processes: each transaction ends a job and claims the next.
#[test]
fn one_of_many() {
    let Ok(folder) = std::env::var(VARIABLE) else { return };
    let folder = Path::new(&folder);
    let mut store = Store::open(folder.join("many.db"), Open::Existing).expect("the file");
    let room = Room { cores: 1, gpus: 0, memory_mib: 0 };
    let me = NewWorker {
        kind: WorkerKind::Worker,
        host: "here".into(),
        pid: std::process::id(),
        process_start: String::new(),
        slots: 1,
        room,
    };
    let (id, _) = store.write(|tx| queue::register(tx, &me)).expect("a worker");
    while !folder.join("go").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let want = Want { room, now: 1, ahead: 0, lease_ms: 600_000, only: None };
    let mut held = None;
    loop {
        let next = store.write(|tx| {
            if let Some((job, attempt)) = held {
                let ending = Ending::default();
                let state = AttemptState::Succeeded;
                let ended = lifecycle::end(tx, job, attempt, state, &ending, "test")?;
                assert!(matches!(ended, Ended::Over(_)), "{ended:?}");
            }
            queue::claim(tx, id, &want)
        });
        held = next.expect("a turn").first().map(|claimed| (claimed.job, claimed.attempt));
        if held.is_none() {
            return;
        }
    }
}
