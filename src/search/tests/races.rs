//! Races over seeds, on a training whose seeds matter.

use serde_json::json;

use super::settings;
use crate::search::engine::{Engine, Told};
use crate::search::history::{History, PastState};
use crate::search::space::Space;
use crate::search::strategy::{Proposal, Setup, strategy};
use crate::search::stream::{Purpose, mix, normal, stream};

const SEEDS: u64 = 8;

fn setup(seed: u64, runs: u64) -> Setup {
    let axis = json!({"type": "real", "low": 0, "high": 1});
    let space = Space::parse(&json!({"x": axis, "y": axis})).unwrap();
    Setup { epochs: Some(SEEDS), epoch_budget: Some(runs), ..Setup::new(space, seed) }
}

/// What a point is worth.
fn truth(params: &serde_json::Map<String, serde_json::Value>) -> f64 {
    let at = |name: &str| params[name].as_f64().unwrap();
    (at("x") - 0.3).powi(2) + (at("y") - 0.6).powi(2)
}

/// Its value with a seed: each seed is harder or easier for all, and each run has luck of its own.
fn observed(number: u64, seed: u64, value: f64, noise: f64, world: u64) -> f64 {
    let bell = |of: u64| normal(&mut stream(mix(world) ^ of, seed, Purpose::Walk, 0));
    value + noise * (0.5 * bell(u64::MAX) + bell(number))
}

/// Races until nothing is left.
fn race(setup: &Setup, noise: f64) -> History {
    let mut engine = Engine::new("racing", setup.clone()).unwrap();
    while let Ok(asked) = engine.ask().unwrap() {
        let value = truth(&asked.params);
        let of = |seed| observed(asked.number, seed, value, noise, setup.seed);
        let curve: Vec<f64> = (0..asked.epochs.unwrap()).map(of).collect();
        let mean = curve.iter().sum::<f64>() / curve.len() as f64;
        engine
            .tell(asked.number, Told { state: PastState::Complete { values: vec![mean] }, curve })
            .unwrap();
    }
    assert_eq!(engine.ask().unwrap(), Err(Proposal::Exhausted));
    engine.history().clone()
}

/// Returns the best trial among those with the most runs.
fn winner(history: &History) -> (usize, f64) {
    let most = history.iter().map(|past| past.curve.len()).max().unwrap();
    let full = history.iter().filter(|past| past.curve.len() == most);
    let best = full.min_by(|a, b| a.value().unwrap().total_cmp(&b.value().unwrap())).unwrap();
    (most, truth(&best.params))
}

#[test]
fn the_winner_ran_with_all_seeds_and_most_trials_with_few() {
    for seed in 0..4 {
        let setup = setup(seed, 80);
        let history = race(&setup, 0.1);
        assert_eq!(winner(&history).0 as u64, SEEDS);
        let runs: usize = history.iter().map(|past| past.curve.len()).sum();
        assert!((70..=80).contains(&runs), "{runs}");
        let once = history.iter().filter(|past| past.curve.len() == 1).count();
        assert!(2 * once > history.len(), "{once} of {}", history.len());
    }
}

#[test]
fn a_race_finds_more_than_all_trials_with_all_seeds_and_than_one_run_each() {
    let (mut race_sum, mut all_sum, mut one_sum) = (0.0, 0.0, 0.0);
    for seed in 0..40 {
        let mut setup = setup(seed, 96);
        setup.settings = settings(json!({"model": "random"}));
        race_sum += winner(&race(&setup, 0.15)).1;
        for (runs, sum) in [(SEEDS, &mut all_sum), (1, &mut one_sum)] {
            let plain = Setup {
                settings: settings(json!({})),
                epochs: None,
                epoch_budget: None,
                ..setup.clone()
            };
            let mut engine = Engine::new("random", plain).unwrap();
            let mut best = (f64::INFINITY, 0.0);
            for _ in 0..96 / runs {
                let asked = engine.ask().unwrap().unwrap();
                let value = truth(&asked.params);
                let of = |at| observed(asked.number, at, value, 0.15, setup.seed);
                let mean = (0..runs).map(of).sum::<f64>() / runs as f64;
                if mean < best.0 {
                    best = (mean, value);
                }
                let state = PastState::Complete { values: vec![mean] };
                engine.tell(asked.number, Told { state, curve: Vec::new() }).unwrap();
            }
            *sum += best.1;
        }
    }
    assert!(1.1 * race_sum < all_sum && 1.1 * race_sum < one_sum, "{race_sum} {all_sum} {one_sum}");
}

#[test]
fn where_seeds_make_no_difference_no_run_is_wasted() {
    let history = race(&setup(1, 60), 0.0);
    let repeats: usize = history.iter().map(|past| past.curve.len() - 1).sum();
    // Three to measure the noise; of the rest only trials that were the best.
    assert!(history.iter().all(|past| past.curve.len() <= 2));
    assert!(repeats < history.len() / 2, "{repeats} of {}", history.len());
}

#[test]
fn what_a_race_cannot_do_is_refused() {
    for (own, told) in [
        (json!({"model": "asha"}), "decides how long"),
        (json!({"share": 1.5}), "share 1.5 is not below 1"),
        (json!({"level": 0}), "level 0 is not a number above 0"),
        (json!({"modle": "tpe"}), "has no setting \"modle\""),
    ] {
        let setup = Setup { settings: settings(own), ..setup(0, 9) };
        let error = strategy("racing", &setup).map(drop).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let two = Setup { objectives: 2, ..setup(0, 9) };
    assert!(strategy("racing", &two).map(drop).unwrap_err().to_string().contains("one objective"));
}
