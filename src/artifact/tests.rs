//! Artifacts on real files, with names as bad as they come.

use super::*;
use crate::protocol::Goal;
use crate::protocol::RunState;
use crate::protocol::tests::{config, ended_run, experiment, store};
use crate::store::Store;

fn run(store: &mut Store) -> RunId {
    let id = experiment(store, "x");
    let config = config(store, serde_json::json!({}));
    ended_run(store, id, config, 0, RunState::Failed, None)
}

fn blobs(store: &Store) -> i64 {
    store.read(|tx| tx.one("SELECT count(*) FROM blob", [], |row| row.get(0))).unwrap()
}

#[test]
fn odd_names_are_kept_as_they_are_and_exported_inside() {
    let (folder, mut store) = store();
    let owner = Owner::Run(run(&mut store));
    let target = folder.path().join("out");
    for name in ["../../evil", "quo'te\"\n", "/abs/ölüt.png", "a\0b", "..", "-rf *"] {
        let prepared = Prepared::from_bytes(name.as_bytes());
        let new = NewArtifact::new(owner, name, ArtifactKind::Figure);
        let id = store.write(|tx| add(tx, &new, &prepared)).unwrap();
        assert_eq!(store.read(|tx| find(tx, name)).unwrap().id, id);
        let path = store.read(|tx| export(tx, id, &target)).unwrap();
        assert!(path.canonicalize().unwrap().starts_with(target.canonicalize().unwrap()));
        assert_eq!(std::fs::read(&path).unwrap(), name.as_bytes());
        let again = store.read(|tx| export(tx, id, &target));
        assert!(matches!(again, Err(Error::Invalid { .. })), "nothing is overwritten");
    }
}

#[test]
fn a_link_in_the_target_is_not_followed() {
    let (folder, mut store) = store();
    let owner = Owner::Run(run(&mut store));
    let new = NewArtifact::new(owner, "link/x", ArtifactKind::File);
    let id = store.write(|tx| add(tx, &new, &Prepared::from_bytes(b"x"))).unwrap();
    let target = folder.path().join("out");
    std::fs::create_dir(&target).unwrap();
    std::os::unix::fs::symlink(folder.path(), target.join("link")).unwrap();
    assert!(store.read(|tx| export(tx, id, &target)).is_err());
    assert!(!folder.path().join("x").exists());
}

#[test]
fn what_is_outside_is_read_only_while_unchanged() {
    let (folder, mut store) = store();
    let owner = Owner::Experiment(experiment(&mut store, "x"));
    let path = folder.path().join("big");
    std::fs::write(&path, "large").unwrap();
    let prepared = Prepared::from_file(&path, 3).unwrap();
    let new = NewArtifact::new(owner, "big", ArtifactKind::File);
    let id = store.write(|tx| add(tx, &new, &prepared)).unwrap();
    let mut out = Vec::new();
    assert_eq!(store.read(|tx| read(tx, id, &mut out)).unwrap(), 5);
    assert_eq!(out, b"large");
    std::fs::write(&path, "other").unwrap();
    assert!(matches!(store.read(|tx| read(tx, id, &mut Vec::new())), Err(Error::Failed(_))));
}

#[test]
fn checkpoints_are_kept_by_the_rules() {
    let (_folder, mut store) = store();
    let run = run(&mut store);
    let rules = Rules { init: true, last: true, every_k: 3, top_k: 2, goal: Goal::Max };
    let values = [f64::NAN, 1.0, 5.0, 5.0, 3.0, 9.0, f64::NAN];
    for (number, value) in (1..).zip(values) {
        let name = format!("model-{number}.pt");
        let new = Checkpoint {
            run,
            attempt: Some(1),
            name: &name,
            step: Some(number),
            number: number.unsigned_abs(),
            value: Some(value),
        };
        let prepared = Prepared::from_bytes(name.as_bytes());
        store.write(|tx| keep_checkpoint(tx, &rules, &new, &prepared)).unwrap();
    }
    let found = store.read(|tx| list_of_run(tx, run, 99)).unwrap();
    let of = |role| -> Vec<i64> {
        found.iter().filter(|a| a.role == Some(role)).filter_map(|a| a.step).collect()
    };
    assert_eq!(of(Role::Init), [1]);
    assert_eq!(of(Role::EveryK), [3, 6]);
    assert_eq!(of(Role::TopK), [3, 6]);
    assert_eq!(of(Role::Final), [7]);
    assert_eq!(blobs(&store), 4, "1, 3, 6 and 7: the others went with their bytes");
    let latest = store.read(|tx| latest_checkpoint(tx, run)).unwrap().unwrap();
    assert_eq!((latest.step, latest.value), (Some(7), None));
}

#[test]
fn lists_of_runs_and_experiments_hold_their_own() {
    let (_folder, mut store) = store();
    let run = run(&mut store);
    let id = ExperimentId(1);
    let prepared = Prepared::from_bytes(b"x");
    let added = store.write(|tx| {
        add(tx, &NewArtifact::new(Owner::Run(run), "r", ArtifactKind::File), &prepared)?;
        add(tx, &NewArtifact::new(Owner::Experiment(id), "e", ArtifactKind::Report), &prepared)
    });
    let names = |found: Vec<Artifact>| found.into_iter().map(|a| a.name).collect::<Vec<_>>();
    assert_eq!(names(store.read(|tx| list_of_experiment(tx, id, 9)).unwrap()), ["e", "r"]);
    assert_eq!(names(store.read(|tx| list_of_experiment(tx, id, 1)).unwrap()), ["e"]);
    assert_eq!(names(store.read(|tx| list_of_run(tx, run, 9)).unwrap()), ["r"]);
    assert_eq!(names(store.read(|tx| list(tx, None, 9)).unwrap()), ["e", "r"]);
    assert_eq!(blobs(&store), 1);
    store.write(|tx| delete(tx, added.unwrap())).unwrap();
    assert_eq!(store.write(gc).unwrap().blobs, 0, "the run still has it");
}

#[test]
fn lists_use_an_index() {
    let (_folder, store) = store();
    for sql in [SHOW, LIST, LIST_OF_RUN, LIST_OF_EXPERIMENT, LIST_OF_RUNS, BY_NAME] {
        let (_, rows) = store
            .read(|tx| tx.table(&format!("EXPLAIN QUERY PLAN {sql}"), named_params! {}))
            .unwrap();
        let plan = format!("{rows:?}");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}
