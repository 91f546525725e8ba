use serde_json::{Map, Value, json};

use super::*;
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
