use serde_json::{Map, Value, json};

use super::*;
use crate::id::TrialId;
use crate::protocol::{Goal, Provenance};
use crate::search::space::Space;
use crate::search::strategy::{KNOWN, WITH_EPOCHS};
use crate::store::{Open, Store};

/// Asks for and tells `trials` trials, one after the other; returns what was asked for.
fn search(strategy: &str, goals: &[Goal], second: f64, trials: u64) -> Vec<Map<String, Value>> {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path().join("x.db"), Open::Create).unwrap();
    let space = json!({"x": {"type": "real", "low": 0, "high": 1}, "y": {"type": "real", "low": -1, "high": 1}});
    let made = NewStudy {
        name: "toy".into(),
        purpose: String::new(),
        space: Space::parse(&space).unwrap(),
        strategy: strategy.into(),
        settings: Map::new(),
        objectives: goals.iter().enumerate().map(|(i, goal)| (format!("f{i}"), *goal)).collect(),
        trials: Some(trials),
        workers: 1,
        seed: 3,
        epochs: None,
        epoch_budget: None,
    };
    // Some strategies have one objective only.
    let Ok(study) = store.write(|tx| new(tx, &made, &Provenance::default(), "me")) else {
        return Vec::new();
    };
    let mut memory = Memory::default();
    let mut asked = Vec::new();
    for _ in 0..trials {
        let answer = store.write(|tx| ask(tx, &mut memory, study, 1, "me")).unwrap();
        let Some(trial) = answer.trials.into_iter().next() else { break };
        let at = |name: &str| trial.params[name].as_f64().unwrap();
        let (x, y) = (at("x"), at("y"));
        let losses =
            [(x - 0.3).powi(2) + (y - 0.2).powi(2), (x - second).powi(2) + (y + 0.5).powi(2)];
        let values = losses.iter().zip(goals).map(|(loss, goal)| match goal {
            Goal::Min => *loss,
            Goal::Max => -loss,
        });
        let told = Told::Complete(values.collect());
        store.write(|tx| tell(tx, study, trial.number, &told, &[], "me")).unwrap();
        asked.push(trial.params);
    }
    asked
}

#[test]
fn large_is_sought_as_small_is() {
    // A grid learns nothing.
    let learning = |name: &&&str| !WITH_EPOCHS.contains(name) && **name != "grid";
    for strategy in KNOWN.iter().filter(learning) {
        for goals in [1, 2] {
            let small = search(strategy, &[Goal::Min, Goal::Min][..goals], 0.8, 24);
            let large = search(strategy, &[Goal::Max, Goal::Max][..goals], 0.8, 24);
            assert!(!small.is_empty() || goals > 1, "{strategy}");
            assert_eq!(small, large, "{strategy} with {goals} objectives");
        }
    }
}

/// What is learnt from two objectives is not what is learnt from the first alone.
#[test]
fn all_objectives_are_told() {
    for strategy in ["auto", "ehvi", "parego", "motpe", "nsga2"] {
        let two = search(strategy, &[Goal::Min, Goal::Min], 0.8, 60);
        let other = search(strategy, &[Goal::Min, Goal::Min], 0.0, 60);
        assert_ne!(two, other, "{strategy}");
    }
}

/// A study whose points another program proposes.
fn external(
    space: Value,
    constraints: &[&str],
    trials: Option<u64>,
) -> (tempfile::TempDir, Store, StudyId) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path().join("x.db"), Open::Create).unwrap();
    let constraints = constraints.iter().map(|text| (*text).to_owned()).collect();
    let made = NewStudy {
        name: "toy".into(),
        purpose: String::new(),
        space: Space::parse(&space).unwrap().with_constraints(constraints).unwrap(),
        strategy: "external".into(),
        settings: Map::new(),
        objectives: vec![("f".into(), Goal::Min)],
        trials,
        workers: 1,
        seed: 3,
        epochs: None,
        epoch_budget: None,
    };
    let study = store.write(|tx| new(tx, &made, &Provenance::default(), "me")).unwrap();
    (folder, store, study)
}

fn point(params: Value, state: &str) -> outside::Proposed {
    outside::Proposed {
        params: params.as_object().unwrap().clone(),
        state: state.into(),
        values: (state == "complete").then(|| vec![0.5]),
        curve: Vec::new(),
        extra: json!({}),
        asked_at_ms: None,
        ended_at_ms: None,
        checked: true,
    }
}

#[test]
fn points_of_another_program_are_taken_by_who_asks() {
    let (_folder, mut store, study) =
        external(json!({"x": {"type": "real", "low": 0, "high": 1}}), &[], Some(3));
    let mut memory = Memory::default();
    let none = store.write(|tx| ask(tx, &mut memory, study, 1, "me")).unwrap();
    assert!(none.trials.is_empty(), "it proposes nothing itself");
    let propose = |store: &mut Store, x: f64, state: &str| {
        store
            .write(|tx| outside::propose(tx, study, &point(json!({ "x": x }), state), "it"))
            .unwrap()
    };
    let demand = |store: &Store| {
        let demand = store.read(|tx| outside::demand(tx, study)).unwrap();
        (demand.asked, demand.pending, demand.free)
    };
    let (first, number) = propose(&mut store, 0.25, "waiting").unwrap();
    assert_eq!((number, demand(&store)), (0, (1, 1, 1)));
    assert_eq!(store.read(|tx| outside::of_trial(tx, first)).unwrap(), (study, 0));
    let taken = store.write(|tx| ask(tx, &mut memory, study, 2, "me")).unwrap().trials;
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].number, &taken[0].params["x"]), (0, &json!(0.25)));
    assert_eq!(demand(&store), (1, 1, 0));
    // One that has ended is known at once; the third is the last that the study may have.
    assert_eq!(propose(&mut store, 0.5, "complete").unwrap().1, 1);
    assert_eq!(propose(&mut store, 0.75, "running").unwrap().1, 2);
    assert_eq!(propose(&mut store, 0.9, "waiting"), None);
    assert_eq!(store.read(|tx| outside::outline(tx, study)).unwrap().state, "exhausted");
    let kept = store.read(|tx| outside::after(tx, study, 1, &[0])).unwrap();
    let kept: Vec<_> =
        kept.iter().map(|kept| (kept.number, kept.state.as_str(), kept.values.clone())).collect();
    assert_eq!(
        kept,
        [(0, "running", None), (1, "complete", Some(vec![0.5])), (2, "running", None)]
    );
    // With the last of them told the study is closed.
    store.write(|tx| tell(tx, study, 0, &Told::Complete(vec![1.0]), &[], "me")).unwrap();
    store.write(|tx| tell(tx, study, 2, &Told::Failed, &[], "me")).unwrap();
    assert_eq!(store.read(|tx| outside::outline(tx, study)).unwrap().state, "closed");
}

#[test]
fn points_outside_the_space_or_against_its_constraints_are_refused() {
    let space = json!({"x": {"type": "real", "low": 0, "high": 1}, "y": {"type": "real", "low": 0, "high": 1}});
    let (_folder, mut store, study) = external(space, &["x + y < 1"], None);
    for (params, why) in [
        (json!({"x": 2.0, "y": 0.1}), "x"),
        (json!({"x": 0.5}), "y"),
        (json!({"x": 0.5, "y": 0.1, "z": 1}), "z"),
        (json!({"x": 0.5, "y": 0.6}), "x + y < 1"),
    ] {
        let mut proposed = point(params, "waiting");
        let refused = store.write(|tx| outside::propose(tx, study, &proposed, "it")).unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
        // A program that checks by itself may write any.
        proposed.checked = false;
        assert!(store.write(|tx| outside::propose(tx, study, &proposed, "it")).unwrap().is_some());
    }
    assert_eq!(store.read(|tx| outside::demand(tx, study)).unwrap().asked, 4);
    assert_eq!(
        store.read(|tx| outside::outline(tx, study)).unwrap().constraints,
        r#"["x + y < 1"]"#
    );
}

#[test]
fn an_edit_writes_what_it_is_for_and_no_trial_that_ended() {
    let (_folder, mut store, study) =
        external(json!({"x": {"type": "real", "low": 0, "high": 1}}), &[], None);
    let made = point(json!({"x": 0.25}), "running");
    let (trial, _) = store.write(|tx| outside::propose(tx, study, &made, "it")).unwrap().unwrap();
    let edit = |store: &mut Store, edit: &outside::Edit| {
        store.write(|tx| outside::edit(tx, trial, edit, "it")).unwrap()
    };
    let path = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    // The space grows to hold what comes up; what no space can say is left out.
    let domains = json!({
        "x": {"type": "real", "low": -1, "high": 0.5}, "n": {"type": "integer", "low": 1, "high": 3},
        "kind": {"type": "categorical", "choices": ["a", "b"]}, "odd": {"type": "unheard of"},
    });
    let change = outside::Edit {
        params: json!({"n": 2, "kind": "a"}).as_object().unwrap().clone(),
        domains: domains.as_object().unwrap().clone(),
        extra: vec![(path(&["attrs", "why"]), json!("so")), (path(&["attrs", "n"]), json!(1))],
        ..outside::Edit::default()
    };
    assert_eq!(edit(&mut store, &change), outside::Edited::Done);
    let more = json!({"kind": {"type": "categorical", "choices": ["b", "c"]}});
    let change =
        outside::Edit { domains: more.as_object().unwrap().clone(), ..outside::Edit::default() };
    assert_eq!(edit(&mut store, &change), outside::Edited::Done);
    let space: Value =
        serde_json::from_str(&store.read(|tx| outside::outline(tx, study)).unwrap().space).unwrap();
    assert_eq!((space["x"]["low"].as_f64(), space["x"]["high"].as_f64()), (Some(-1.0), Some(1.0)));
    assert_eq!(space["kind"]["choices"], json!(["a", "b", "c"]));
    assert!(space["n"].is_object() && space.get("odd").is_none(), "{space}");
    let kept = store.read(|tx| outside::after(tx, study, 0, &[])).unwrap().remove(0);
    assert_eq!(Value::Object(kept.params), json!({"x": 0.25, "n": 2, "kind": "a"}));
    assert_eq!(kept.extra, json!({"attrs": {"why": "so", "n": 1}}));
    // Only when it is where it is thought to be, and not once it has ended.
    let end = |from: &str, state: &str| outside::Edit {
        from: Some(from.into()),
        state: Some(state.into()),
        values: (state == "complete").then(|| vec![0.25]),
        ..outside::Edit::default()
    };
    assert_eq!(edit(&mut store, &end("waiting", "failed")), outside::Edited::Other);
    assert_eq!(edit(&mut store, &end("running", "complete")), outside::Edited::Done);
    assert_eq!(edit(&mut store, &end("running", "failed")), outside::Edited::Ended);
    let kept = store.read(|tx| outside::after(tx, study, 0, &[])).unwrap().remove(0);
    assert_eq!((kept.state.as_str(), kept.values), ("complete", Some(vec![0.25])));
}

#[test]
fn a_study_says_when_nothing_more_is_proposed() {
    let (_folder, mut store, study) = external(json!({"x": [1, 2]}), &[], None);
    let made = point(json!({"x": 1}), "running");
    let (trial, _) = store.write(|tx| outside::propose(tx, study, &made, "it")).unwrap().unwrap();
    let state = |store: &Store| store.read(|tx| outside::outline(tx, study)).unwrap().state;
    assert_eq!(state(&store), "open");
    // Nothing is heard of it, until it says that it is at work.
    let later = store.read(|tx| Ok(tx.now_ms)).unwrap() + 60_000;
    assert_eq!(store.read(|tx| outside::quiet(tx, study, later)).unwrap(), [trial]);
    assert_eq!(store.read(|tx| outside::quiet(tx, study, 0)).unwrap(), []);
    store.write(|tx| outside::touch(tx, trial)).unwrap();
    store.write(|tx| outside::exhaust(tx, study, "it")).unwrap();
    assert_eq!(state(&store), "exhausted");
    assert_eq!(store.write(|tx| outside::propose(tx, study, &made, "it")).unwrap(), None);
    store.write(|tx| tell(tx, study, 0, &Told::Complete(vec![1.0]), &[], "me")).unwrap();
    assert_eq!(state(&store), "closed");
    store.write(|tx| outside::exhaust(tx, study, "it")).unwrap();
    assert_eq!(state(&store), "closed");
    // What is noted of it is found again, and no study is invented.
    let path = ["a".to_owned(), "b".to_owned()];
    store.write(|tx| outside::note(tx, study, &path, &json!(1), "it")).unwrap();
    let outline = store.read(|tx| outside::outline(tx, study)).unwrap();
    assert_eq!(
        (outline.extra["a"]["b"].clone(), outline.name.as_str(), outline.by_hand),
        (json!(1), "toy", true)
    );
    assert_eq!(outline.objectives, [("f".to_owned(), "min")]);
    assert_eq!(store.read(|tx| outside::there(tx, Some("toy"))).unwrap(), [study]);
    assert_eq!(store.read(|tx| outside::there(tx, Some("other"))).unwrap(), []);
    let nothing = StudyId(study.0 + 1);
    assert!(
        store.read(|tx| outside::outline(tx, nothing)).unwrap_err().to_string().contains("study")
    );
    assert!(store.read(|tx| outside::after(tx, nothing, 0, &[])).is_err());
    assert!(store.read(|tx| outside::of_trial(tx, TrialId(trial.0 + 1))).is_err());
}
