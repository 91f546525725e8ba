//! What a job costs does not grow with what the file holds. Counted in steps of SQLite's machine, not in time.

use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::lifecycle;
use crate::store::{Open, Store};

const DONE: &[usize] = &[100, 200_000];

/// Ended experiments, runs and jobs, and one experiment at work with three jobs queued.
fn fill(store: &mut Store, done: usize) -> WorkerId {
    let plan = crate::spec::for_command(vec!["true".into()], "now");
    let plan = serde_json::to_string(&plan).expect("a plan");
    store
        .write(|tx| {
            tx.batch(&format!(
                "CREATE TEMP TABLE n (i INTEGER PRIMARY KEY);
                 INSERT INTO n WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {done})
                 SELECT i FROM c;
                 INSERT INTO worker (uid, kind, state, host, pid, process_start, started_at_ms, seen_at_ms, ended_at_ms)
                 SELECT 'w' || i, 'worker', 'stopped', 'here', 1, '', 1, 1, 2 FROM n WHERE i % 100 = 0;
                 INSERT INTO experiment (uid, name, kind, state, plan, planned, created_at_ms, started_at_ms, ended_at_ms, changed_at_ms)
                 SELECT 'e' || i, 'e', 'multiple-configs', 'complete', '{{}}', 1, 1, 1, 2, 2 FROM n WHERE i % 100 = 0;
                 INSERT INTO experiment (uid, name, kind, state, plan, planned, created_at_ms, started_at_ms, changed_at_ms)
                 VALUES ('now', 'now', 'multiple-configs', 'running', '{plan}', 1, 1, 1, 1);
                 INSERT INTO objective (experiment_id, position, metric, goal, value_from) SELECT id, 0, 'loss', 'min', 'last' FROM experiment;
                 INSERT INTO metric (name) VALUES ('loss');
                 INSERT INTO config (hash, params) SELECT i, '{{}}' FROM n;
                 INSERT INTO run (uid, experiment_id, config_id, seed, state, value, created_at_ms, started_at_ms, ended_at_ms, changed_at_ms)
                 SELECT 'r' || i, iif(i % 2, 1 + i % (SELECT count(*) FROM experiment), (SELECT max(id) FROM experiment)), i, 0, 'complete', i, 1, 1, 2, 2 FROM n;
                 INSERT INTO series (run_id, metric_id, kind, n, last) SELECT i, 1, 'scalar', 1, i FROM n;
                 INSERT INTO score (experiment_id, config_id, n, failed, mean) SELECT experiment_id, config_id, 1, 0, value FROM run;
                 INSERT INTO job (uid, experiment_id, run_id, state, command, attempt, worker_id, created_at_ms, ended_at_ms, changed_at_ms)
                 SELECT 'j' || i, (SELECT experiment_id FROM run r WHERE r.id = i), i, 'succeeded', '[]', 1, 1, 1, 2, 2 FROM n;
                 INSERT INTO attempt (job_id, number, worker_id, state, claimed_at_ms, started_at_ms, ended_at_ms)
                 SELECT i, 1, 1, 'succeeded', 1, 1, 2 FROM n;
                 INSERT INTO run (uid, experiment_id, config_id, seed, state, created_at_ms, changed_at_ms)
                 SELECT 'q' || i, (SELECT max(id) FROM experiment), i, 1, 'waiting', 1, 1 FROM n WHERE i <= 3;
                 INSERT INTO series (run_id, metric_id, kind, n, last) SELECT id, 1, 'scalar', 1, 0.5 FROM run WHERE state = 'waiting';
                 INSERT INTO job (uid, experiment_id, run_id, state, command, created_at_ms, changed_at_ms)
                 SELECT uid, experiment_id, id, 'queued', '[]', 1, 1 FROM run WHERE state = 'waiting';
                 DROP TABLE n;"
            ))?;
            let room = Room { cores: 4, gpus: 0, memory_mib: 1000 };
            let new = NewWorker {
                kind: WorkerKind::Worker,
                host: "here".into(),
                pid: 1,
                process_start: String::new(),
                slots: 4,
                room,
            };
            Ok(register(tx, &new)?.0)
        })
        .expect("a full file")
}

/// What happens for one job, and what idle programs look at.
fn one_job(store: &mut Store, worker: WorkerId) {
    let room = Room { cores: 4, gpus: 0, memory_mib: 1000 };
    let want = Want { room, now: 1, ahead: 0, lease_ms: 1000, only: None };
    let claimed = store
        .write(|tx| {
            let claimed = claim(tx, worker, &want)?;
            claimed
                .iter()
                .filter_map(|one| one.run)
                .try_for_each(|run| lifecycle::inputs(tx, run).map(drop))?;
            Ok(claimed)
        })
        .expect("a claim");
    let [claimed] = &claimed[..] else { panic!("{} jobs claimed", claimed.len()) };
    store
        .write(|tx| {
            assert!(lifecycle::begin(tx, claimed, 1, tx.now_ms)?);
            keep(tx, worker, 1000)?;
            lifecycle::give_up_expired(tx, "test")?;
            let ending = Ending::default();
            let state = AttemptState::Succeeded;
            let ended = lifecycle::end(tx, claimed.job, claimed.attempt, state, &ending, "test")?;
            assert!(matches!(ended, Ended::Over(_)), "{ended:?}");
            Ok(())
        })
        .expect("an end");
    store
        .read(|tx| {
            lifecycle::peek(tx, room, None)?;
            lifecycle::any_cancel(tx, worker)?;
            lifecycle::schedule_due(tx)?;
            lifecycle::search_due(tx, &Default::default())?;
            live_workers(tx, "here")?;
            count_open(tx, claimed.experiment.expect("an experiment"))?;
            held(tx, worker)
        })
        .expect("looks");
    store
        .write(|tx| {
            let experiment = claimed.experiment.expect("an experiment");
            hold(tx, experiment, "test")?;
            resume(tx, experiment, "test")?;
            lifecycle::schedule(tx, "test")
        })
        .expect("a turn");
}

#[test]
fn a_job_costs_the_same_in_a_full_file() {
    let mut costs = Vec::new();
    for done in DONE {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(folder.path().join("full.db"), Open::Create).expect("a file");
        let worker = fill(&mut store, *done);
        // The first job prepares the statements.
        one_job(&mut store, worker);
        let steps = store.count_steps();
        one_job(&mut store, worker);
        costs.push(steps.load(Relaxed));
    }
    eprintln!("steps of a job among {DONE:?} done: {costs:?}");
    assert!(costs[0] > 100, "{costs:?}");
    assert!(costs[1] * 2 <= costs[0] * 3, "steps of a job among {DONE:?} done: {costs:?}");
}
