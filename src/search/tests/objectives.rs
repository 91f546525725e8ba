//! Strategies for several objectives against random search, and whatever values they are told.

use serde_json::{Map, Value, json};

use super::{ask, make, settings};
use crate::search::history::{History, Past, PastState};
use crate::search::pareto::hypervolume;
use crate::search::space::Space;
use crate::search::strategy::{Setup, strategy};

/// Strategies with a model of several objectives.
const MODELS: &[&str] = &["motpe", "parego", "ehvi"];

fn space() -> Space {
    let axis = json!({"type": "real", "low": 0, "high": 1});
    let names = (0..4).map(|i| (format!("x{i}"), axis.clone()));
    Space::parse(&Value::Object(names.collect())).unwrap()
}

/// Two bowls: the front lies between their middles.
fn bowls(point: &Map<String, Value>) -> Vec<f64> {
    let bowl = |middle: f64| -> f64 {
        point.values().filter_map(Value::as_f64).map(|x| (x - middle).powi(2)).sum()
    };
    vec![bowl(0.3), bowl(0.6)]
}

fn volume(name: &str, seed: u64) -> f64 {
    let setup = Setup { objectives: 2, ..Setup::new(space(), seed) };
    let mut strategy = strategy(name, &setup).unwrap();
    let mut history = History::new();
    for number in 0..60 {
        let point = ask(&mut *strategy, &history).unwrap();
        // Some trials fail and some are pruned, as they do.
        let state = match number % 9 {
            4 => PastState::Failed,
            7 => PastState::Pruned,
            _ => PastState::Complete { values: bowls(&point) },
        };
        history.put(Past::new(number, point, state));
    }
    let rows: Vec<&[f64]> = history.iter().filter_map(Past::values).collect();
    hypervolume(&rows, &[0.5, 0.5])
}

#[test]
fn models_of_several_objectives_beat_random_search() {
    let mean = |name: &str| (0..5).map(|seed| volume(name, seed)).sum::<f64>() / 5.0;
    let random = mean("random");
    for name in MODELS {
        let ours = mean(name);
        println!("random {random:.4}, {name} {ours:.4}");
        assert!(ours > random * 1.1, "{name}: {ours} {random}");
    }
}

#[test]
fn odd_objectives_are_survived() {
    for name in MODELS {
        for values in [
            vec![f64::NAN, 0.0, 1.0],
            vec![f64::INFINITY, 1.0, 0.0],
            vec![-f64::MAX, f64::MAX, 0.0],
            vec![1.0; 3],
            vec![1.0],
            vec![],
        ] {
            let setup = Setup { objectives: 3, ..Setup::new(space(), 1) };
            let mut strategy = strategy(name, &setup).unwrap();
            let mut history = History::new();
            for number in 0..25 {
                let point = ask(&mut *strategy, &history).unwrap();
                assert!(space().contains(&point), "{name}");
                let mut values = values.clone();
                if number % 4 == 0 && values.len() == 3 {
                    values = vec![0.1 * number as f64, 0.5, 0.5];
                }
                history.put(Past::new(number, point, PastState::Complete { values }));
            }
        }
    }
}

#[test]
fn the_model_of_parego_is_checked() {
    let refused = |own: Value| {
        let setup = Setup { settings: settings(own), ..Setup::new(space(), 0) };
        strategy("parego", &setup).is_err()
    };
    assert!(refused(json!({"model": "parego"})));
    assert!(refused(json!({"model": "none"})));
    assert!(refused(json!({"model": "random", "startup": 3})));
    assert!(!refused(json!({"model": "random"})));
    make("parego", &space(), 0).ask(&History::new()).unwrap();
}
