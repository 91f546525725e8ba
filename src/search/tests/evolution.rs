//! Evolutionary strategies with several workers, and what they cost.

use serde_json::{Value, json};

use super::{ask, every_kind, make, settings, setup};
use crate::search::history::{History, Past, PastState};
use crate::search::pareto::hypervolume;
use crate::search::space::Space;
use crate::search::strategy::{Setup, strategy};
use crate::search::stream::{Purpose, below, stream};

/// The strategies of one objective.
const SINGLE: &[&str] = &["cmaes", "de", "pso", "one_plus_one", "fast_ga", "nsga2", "evolution"];

fn numbers(dimensions: usize) -> Space {
    let axis = json!({"type": "real", "low": -5, "high": 5});
    let names = (0..dimensions).map(|i| (format!("x{i}"), axis.clone()));
    Space::parse(&Value::Object(names.collect())).unwrap()
}

/// Returns how a trial ends: by its parameters alone, now and then without a value.
fn outcome(past: &Past) -> PastState {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::from(value.is_string()));
    let value = past.params.values().map(|value| (number(value) - 0.5).powi(2)).sum();
    match past.number % 13 {
        5 => PastState::Failed,
        7 => PastState::Pruned,
        9 => PastState::Complete { values: vec![f64::NAN] },
        _ => PastState::Complete { values: vec![value] },
    }
}

#[test]
fn the_order_in_which_workers_return_does_not_matter() {
    for (space, name) in
        [every_kind(), numbers(3)].iter().flat_map(|s| SINGLE.iter().map(move |n| (s, *n)))
    {
        let mut strategy = make(name, space, 3);
        let mut history = History::new();
        let mut at_work: Vec<u64> = Vec::new();
        let mut generator = stream(1, 0, Purpose::Point, 0);
        for number in 0..150 {
            let params = ask(&mut *strategy, &history).unwrap();
            history.put(Past::new(number, params, PastState::Pending));
            at_work.push(number);
            while at_work.len() > below(&mut generator, 12) as usize {
                let number =
                    at_work.swap_remove(below(&mut generator, at_work.len() as u64) as usize);
                history.change(number, |past| past.state = outcome(past));
            }
            // One that saw nothing grow, and one that saw the same results come in order.
            let fresh: History = history.iter().cloned().collect();
            let next = ask(&mut *strategy, &history);
            assert_eq!(ask(&mut *make(name, space, 3), &fresh), next, "{name} {number}");
        }
    }
}

/// Returns the best of 400 trials of a shifted bowl, and of the first 40, with 40 workers.
fn best_by_many(name: &str, seed: u64) -> (f64, f64) {
    let setup = Setup { workers: 40, trials: Some(400), ..Setup::new(numbers(4), seed) };
    let mut strategy = strategy(name, &setup).unwrap();
    let mut history = History::new();
    for number in 0..400 {
        let params = ask(&mut *strategy, &history).unwrap();
        history.put(Past::new(number, params, PastState::Pending));
        if let Some(number) = number.checked_sub(40) {
            history.change(number, |past| {
                let value = past.params.values().filter_map(Value::as_f64);
                let value = value.map(|x| (x - 1.5).powi(2)).sum();
                past.state = PastState::Complete { values: vec![value] };
            });
        }
    }
    let best = |part: &[Past]| part.iter().filter_map(Past::value).fold(f64::INFINITY, f64::min);
    (best(&history), best(&history[..40]))
}

#[test]
fn many_workers_help() {
    for name in SINGLE.iter().filter(|name| **name != "nsga2") {
        let found: Vec<(f64, f64)> = (0..5).map(|seed| best_by_many(name, seed)).collect();
        let last = found.iter().map(|best| best.0).sum::<f64>() / 5.0;
        let first = found.iter().map(|best| best.1).sum::<f64>() / 5.0;
        println!("{name}: {first:.3} {last:.3}");
        assert!(last < 0.1 * first, "{name} {first} {last}");
    }
}

#[test]
fn settings_are_checked() {
    for (name, own) in [
        ("cmaes", json!({"population": 1})),
        ("cmaes", json!({"sigma": 0})),
        ("cmaes", json!({"restarts": "often"})),
        ("cmaes", json!({"size": 3})),
        ("de", json!({"population": 3})),
        ("pso", json!({"population": 0})),
        ("one_plus_one", json!({"sigma": -1})),
        ("fast_ga", json!({"sigma": 1})),
        ("nsga2", json!({"population": "many"})),
    ] {
        let setup = setup(&numbers(2), &settings(own.clone()), 0);
        assert!(strategy(name, &setup).is_err(), "{name} {own}");
    }
    let own = settings(json!({"population": 6, "sigma": 0.1, "restarts": "ipop", "startup": 4}));
    assert!(strategy("cmaes", &setup(&numbers(2), &own, 0)).is_ok());
}

/// Returns the volume that 200 trials of two bowls dominate; some fail, some have odd values.
fn volume(name: &str, seed: u64) -> f64 {
    let setup = Setup { objectives: 2, trials: Some(200), ..Setup::new(numbers(4), seed) };
    let mut strategy = strategy(name, &setup).unwrap();
    let mut history = History::new();
    for number in 0..200 {
        let params = ask(&mut *strategy, &history).unwrap();
        let bowl = |middle: f64| -> f64 {
            params.values().filter_map(Value::as_f64).map(|x| (x - middle).powi(2)).sum()
        };
        let state = match number % 9 {
            4 => PastState::Failed,
            7 => PastState::Complete { values: vec![f64::NAN, 0.0] },
            8 => PastState::Complete { values: vec![] },
            _ => PastState::Complete { values: vec![bowl(-2.0), bowl(1.0)] },
        };
        history.put(Past::new(number, params, state));
    }
    let rows: Vec<&[f64]> =
        history.iter().filter_map(Past::values).filter(|row| row.len() == 2).collect();
    hypervolume(&rows, &[50.0, 50.0])
}

#[test]
fn populations_spread_along_a_front() {
    let mean = |name: &str| (0..5).map(|seed| volume(name, seed)).sum::<f64>() / 5.0;
    let random = mean("random");
    for name in ["nsga2", "evolution"] {
        println!("random {random:.1}, {name} {:.1}", mean(name));
        assert!(mean(name) > random * 1.1, "{name}: {} {random}", mean(name));
    }
}
