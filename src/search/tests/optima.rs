//! Strategies with a model against random search, on functions with known minima.

use serde_json::{Map, Value, json};

use super::{ask, finite, make, run, settings, setup};
use crate::search::history::{History, Past, PastState};
use crate::search::space::Space;
use crate::search::strategy::{Setup, strategy};

/// Strategies that must beat random search.
pub(super) const MODELS: &[&str] = &[
    "auto",
    "tpe",
    "gp",
    "motpe",
    "parego",
    "ehvi",
    "cmaes",
    "smbo",
    "de",
    "pso",
    "one_plus_one",
    "fast_ga",
    "evolution",
];

pub(super) fn box_of(dimensions: usize, low: f64, high: f64) -> Space {
    let axis = json!({"type": "real", "low": low, "high": high});
    let names = (0..dimensions).map(|i| (format!("x{i}"), axis.clone()));
    Space::parse(&Value::Object(names.collect())).unwrap()
}

fn place(point: &Map<String, Value>) -> Vec<f64> {
    point.values().filter_map(Value::as_f64).collect()
}

/// Branin's function less its minimum, over [-5, 10] × [0, 15] given as the unit square.
fn branin(point: &Map<String, Value>) -> f64 {
    let pi = std::f64::consts::PI;
    let p = place(point);
    let (x, y) = (15.0 * p[0] - 5.0, 15.0 * p[1]);
    let bowl = (y - 5.1 / (4.0 * pi * pi) * x * x + 5.0 / pi * x - 6.0).powi(2);
    bowl + 10.0 * (1.0 - 1.0 / (8.0 * pi)) * x.cos() + 10.0 - 0.397887
}

/// Hartmann's function of six variables less its minimum.
fn hartmann(point: &Map<String, Value>) -> f64 {
    const A: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let x = place(point);
    let bump = |i: usize| -> f64 { (0..6).map(|j| A[i][j] * (x[j] - P[i][j]).powi(2)).sum() };
    let height = [1.0, 1.2, 3.0, 3.2];
    3.32237 - (0..4).map(|i| height[i] * (-bump(i)).exp()).sum::<f64>()
}

fn sphere(point: &Map<String, Value>) -> f64 {
    place(point).iter().map(|x| (x - 1.3).powi(2)).sum()
}

/// A learning rate, a width and a choice with conditional parameters; 0 is the best.
fn training(point: &Map<String, Value>) -> f64 {
    let number = |name: &str| point.get(name).and_then(Value::as_f64);
    let rate = (number("lrate").unwrap().log10() + 2.7).powi(2) * 0.5;
    let width = (number("width").unwrap().log2() - 7.5).powi(2) * 0.1;
    let branch = match point["arch"].as_str().unwrap() {
        "a" => 1.0,
        "b" => (number("depth").unwrap() - 4.0).abs() * 0.2,
        "c" => 0.6 + number("slope").unwrap(),
        _ => 1.5,
    };
    rate + width + branch
}

fn training_space() -> Space {
    Space::parse(&json!({
        "lrate": {"type": "real", "low": 1e-5, "high": 1, "prior": "log"},
        "width": {"type": "integer", "low": 16, "high": 512, "prior": "log"},
        "arch": ["a", "b", "c", "d"],
        "depth": {"type": "integer", "low": 1, "high": 8, "when": {"arch": "b"}},
        "slope": {"type": "real", "low": 0, "high": 1, "when": {"arch": "c"}}
    }))
    .unwrap()
}

/// Those whose asks take milliseconds: fewer seeds must do.
const SLOW: &[&str] = &["auto", "gp", "smbo", "ehvi"];

/// Returns the median over seeds of the best value found.
fn median(name: &str, space: &Space, trials: u64, loss: fn(&Map<String, Value>) -> f64) -> f64 {
    let best = |seed| {
        let setup = Setup { trials: Some(trials), ..Setup::new(space.clone(), seed) };
        let history = run(&mut *strategy(name, &setup).unwrap(), trials, loss);
        history.iter().filter_map(Past::value).fold(f64::INFINITY, f64::min)
    };
    let seeds = if SLOW.contains(&name) { 3 } else { 11 };
    let mut found: Vec<f64> = (0..seeds).map(best).collect();
    found.sort_by(f64::total_cmp);
    found[found.len() / 2]
}

#[test]
fn models_beat_random_search() {
    type Loss = fn(&Map<String, Value>) -> f64;
    // The share of random search's regret that is allowed.
    let problems: [(&str, Space, u64, Loss, f64); 4] = [
        ("branin", box_of(2, 0.0, 1.0), 80, branin, 1.0),
        ("hartmann", box_of(6, 0.0, 1.0), 100, hartmann, 0.6),
        ("sphere", box_of(5, -5.0, 5.0), 100, sphere, 0.5),
        ("training", training_space(), 60, training, 0.3),
    ];
    for (problem, space, trials, loss, share) in &problems {
        let random = median("random", space, *trials, *loss);
        for name in MODELS {
            // In 60 trials differential evolution makes a few generations only.
            let share = if (*name, *problem) == ("de", "training") { &0.4 } else { share };
            let ours = median(name, space, *trials, *loss);
            println!("{problem}: random {random:.4}, {name} {ours:.4}");
            assert!(ours < random * share, "{problem}: random {random}, {name} {ours}");
        }
    }
}

#[test]
fn running_trials_keep_proposals_apart() {
    let space = box_of(2, 0.0, 1.0);
    for name in MODELS {
        let mut history = run(&mut *make(name, &space, 1), 30, sphere);
        let mut strategy = make(name, &space, 1);
        for number in 30..38 {
            let params = ask(&mut *strategy, &history).unwrap();
            history.put(Past::new(number, params, PastState::Pending));
        }
        let asked: Vec<Vec<f64>> = history[30..].iter().map(|past| place(&past.params)).collect();
        for (at, one) in asked.iter().enumerate() {
            for other in &asked[..at] {
                let apart = (one[0] - other[0]).abs() + (one[1] - other[1]).abs();
                assert!(apart > 1e-3, "{name} {asked:?}");
            }
        }
    }
}

#[test]
fn a_region_that_fails_is_left() {
    let space = box_of(2, 0.0, 1.0);
    for name in MODELS {
        let setup = Setup { trials: Some(60), ..Setup::new(space.clone(), 2) };
        let mut strategy = strategy(name, &setup).unwrap();
        let mut history = History::new();
        for number in 0..60 {
            let params = ask(&mut *strategy, &history).unwrap();
            let p = place(&params);
            let state = match p[0] < 0.5 {
                true => PastState::Failed,
                false => PastState::Complete { values: vec![p[0] + p[1]] },
            };
            history.put(Past::new(number, params, state));
        }
        let failed = history[20..].iter().filter(|past| past.state == PastState::Failed).count();
        assert!(failed < 20, "{name}: {failed} of 40");
    }
}

#[test]
fn nothing_but_failures_and_nan_is_survived() {
    for name in MODELS {
        for state in [
            PastState::Failed,
            PastState::Pruned,
            PastState::Pending,
            PastState::Complete { values: vec![f64::NAN] },
            PastState::Complete { values: vec![] },
        ] {
            let mut strategy = make(name, &training_space(), 2);
            let mut history = History::new();
            for number in 0..25 {
                let params = ask(&mut *strategy, &history).unwrap();
                assert!(training_space().contains(&params), "{name}");
                history.put(Past::new(number, params, state.clone()));
            }
        }
    }
}

#[test]
fn a_model_exhausts_a_finite_space() {
    for name in MODELS {
        let loss = |point: &Map<String, Value>| point["a"].as_f64().unwrap();
        let history = run(&mut *make(name, &finite(), 4), 50, loss);
        assert_eq!(history.len(), 9, "{name}");
    }
}

#[test]
fn models_meet_constraints() {
    let space = box_of(2, 0.0, 1.0).with_constraints(vec!["x0 + x1 > 1".into()]).unwrap();
    for name in MODELS {
        for past in run(&mut *make(name, &space, 4), 40, sphere).iter() {
            assert!(space.contains(&past.params), "{name}");
        }
    }
}

#[test]
fn settings_of_models_are_checked() {
    let space = box_of(1, 0.0, 1.0);
    let wrong = settings(json!({"startup": 0}));
    assert!(strategy("tpe", &setup(&space, &wrong, 0)).is_err());
}
