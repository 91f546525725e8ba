//! Strategies with epochs, driven by a training that is simulated.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{every_kind, finite, settings};
use crate::search::engine::{Asked, Engine, Told};
use crate::search::history::{History, Past, PastState};
use crate::search::space::Space;
use crate::search::strategy::{Proposal, RACING, Setup, WITH_EPOCHS, strategy};

const MOST: u64 = 27;

fn setup(space: &Space, own: Value, seed: u64) -> Setup {
    let setup = Setup::new(space.clone(), seed);
    Setup { settings: settings(own), epochs: Some(MOST), workers: 3, ..setup }
}

fn plane() -> Space {
    let axis = json!({"type": "real", "low": 0, "high": 1});
    Space::parse(&json!({"x": axis, "y": axis})).unwrap()
}

fn number(point: &Map<String, Value>, name: &str) -> f64 {
    point.get(name).and_then(Value::as_f64).unwrap_or(0.5)
}

/// The loss after an epoch: falls to the squared distance from 0.3 in each number, faster for large x.
fn loss(point: &Map<String, Value>, epoch: u64) -> f64 {
    let end: f64 = point.values().filter_map(Value::as_f64).map(|v| (v - 0.3).powi(2)).sum();
    end + (epoch as f64).powf(-0.5 - number(point, "x"))
}

/// Trains what was asked; trials with x above 0.95 diverge after two epochs.
fn train(asked: &Asked) -> Told {
    let epochs = asked.epochs.unwrap();
    let mut curve: Vec<f64> = (1..=epochs).map(|epoch| loss(&asked.params, epoch)).collect();
    if number(&asked.params, "x") > 0.95 && epochs > 2 {
        curve.truncate(2);
        curve.push(f64::NAN);
        return Told { state: PastState::Failed, curve };
    }
    let best = curve.iter().copied().fold(f64::INFINITY, f64::min);
    Told { state: PastState::Complete { values: vec![best] }, curve }
}

/// Runs until `epochs` are spent, `workers` at once; the trial at work that is asked for least ends first.
fn run(engine: &mut Engine, epochs: u64, workers: usize) -> Vec<Asked> {
    let (mut all, mut at_work, mut spent) = (Vec::new(), Vec::<Asked>::new(), 0);
    let mut reached: HashMap<u64, u64> = HashMap::new();
    loop {
        while at_work.len() < workers && spent < epochs {
            match engine.ask().unwrap() {
                Ok(asked) => {
                    let epochs = asked.epochs.expect("a strategy with epochs says how many");
                    let before = reached.insert(asked.number, epochs).unwrap_or(0);
                    assert!(epochs > before && epochs <= MOST, "{asked:?} after {before}");
                    assert_eq!(asked.resumed, before > 0);
                    spent += epochs - before;
                    all.push(asked.clone());
                    at_work.push(asked);
                }
                Err(Proposal::Wait) => {
                    assert!(!at_work.is_empty(), "waits for nobody");
                    break;
                }
                Err(_) => break,
            }
        }
        let first = (0..at_work.len()).min_by_key(|at| at_work[*at].epochs);
        let Some(first) = first else { return all };
        let ended = at_work.remove(first);
        engine.tell(ended.number, train(&ended)).unwrap();
    }
}

#[test]
fn every_strategy_stays_inside_and_begins_and_resumes() {
    for name in WITH_EPOCHS {
        for space in [every_kind(), plane()] {
            let mut engine = Engine::new(name, setup(&space, json!({}), 5)).unwrap();
            let asked = run(&mut engine, 20 * MOST, 3);
            // A race has no reason to go on where seeds do the same to all.
            let goes_on = *name != RACING;
            assert!(!goes_on || asked.iter().any(|asked| asked.resumed), "{name}");
            for past in engine.history().iter() {
                space.check(&past.params).unwrap();
            }
        }
    }
}

#[test]
fn a_strategy_made_anew_at_any_time_goes_on_as_it_would_have() {
    for name in WITH_EPOCHS {
        let setup = setup(&plane(), json!({}), 5);
        let mut kept = strategy(name, &setup).unwrap();
        let mut engine = Engine::new(name, setup.clone()).unwrap();
        for step in 0..60 {
            let old = kept.ask(engine.history()).unwrap();
            let shuffled: History = engine.history().iter().rev().cloned().collect();
            let new = strategy(name, &setup).unwrap().ask(&shuffled).unwrap();
            assert_eq!(old, new, "{name} {step}");
            let Ok(asked) = engine.ask().unwrap() else {
                assert_eq!(old, Proposal::Wait, "{name} {step}");
                end_first(&mut engine);
                continue;
            };
            assert!(match old {
                Proposal::New { params, .. } => params == asked.params && !asked.resumed,
                Proposal::Resume { number, .. } => number == asked.number && asked.resumed,
                _ => false,
            });
            // Two in three end at once, so some are always at work.
            if step % 3 > 0 {
                end_first(&mut engine);
            }
        }
    }
}

/// Ends the trial at work with the lowest number.
fn end_first(engine: &mut Engine) {
    let at_work = |past: &&Past| past.state == PastState::Pending;
    let past = engine.history().iter().find(at_work).unwrap().clone();
    let Past { number, params, epochs, .. } = past;
    let told = train(&Asked { number, params, epochs, resumed: false, from: None });
    engine.tell(number, told).unwrap();
}

#[test]
fn failures_and_strange_ends_break_nothing() {
    let ends: [fn() -> Told; 5] = [
        || Told { state: PastState::Failed, curve: vec![] },
        || Told { state: PastState::Pruned, curve: vec![1.0] },
        || Told { state: PastState::Complete { values: vec![f64::NAN] }, curve: vec![] },
        || Told { state: PastState::Complete { values: vec![1.0] }, curve: vec![] },
        || Told {
            state: PastState::Complete { values: vec![f64::INFINITY] },
            curve: vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY],
        },
    ];
    for name in WITH_EPOCHS {
        for end in ends {
            let mut engine = Engine::new(name, setup(&plane(), json!({}), 5)).unwrap();
            for _ in 0..40 {
                let asked = engine.ask().unwrap().unwrap();
                engine.tell(asked.number, end()).unwrap();
            }
        }
    }
}

#[test]
fn a_finite_space_ends() {
    // Members of a population may have the parameters of others.
    for name in WITH_EPOCHS.iter().filter(|name| !name.starts_with("pb")) {
        let mut engine = Engine::new(name, setup(&finite(), json!({}), 5)).unwrap();
        run(&mut engine, 100 * MOST, 2);
        assert_eq!(engine.history().len(), 9, "{name}");
        assert_eq!(engine.ask().unwrap(), Err(Proposal::Exhausted), "{name}");
    }
}

#[test]
fn the_epochs_of_a_full_training_are_needed() {
    for name in WITH_EPOCHS {
        let without = Setup::new(plane(), 0);
        let error = strategy(name, &without).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("max_epoch"), "{error}");
        let own = Setup { settings: settings(json!({"max_epoch": 9})), ..without };
        let Proposal::New { epochs, .. } =
            strategy(name, &own).unwrap().ask(&History::new()).unwrap()
        else {
            panic!("{name}")
        };
        assert!(epochs.unwrap() <= 9, "{name}");
    }
}

/// How many trials trained how long.
fn spent(history: &History) -> Vec<(u64, usize)> {
    let mut counts: Vec<(u64, usize)> = Vec::new();
    for past in history.iter() {
        let epochs = past.epochs.unwrap();
        match counts.iter_mut().find(|(of, _)| *of == epochs) {
            Some((_, count)) => *count += 1,
            None => counts.push((epochs, 1)),
        }
    }
    counts.sort_unstable();
    counts
}

#[test]
fn a_round_of_halving_and_of_hyperband_spends_what_its_table_says() {
    let flat = json!({"x": {"type": "real", "low": 0, "high": 0.9}});
    let space = Space::parse(&flat).unwrap();
    for workers in [1, 4] {
        let own = json!({"num_arms": 20, "min_budget": 1, "halving_coeff": 2, "max_budget": 16});
        let mut engine = Engine::new("halving", setup(&space, own, 1)).unwrap();
        run(&mut engine, 10_000, workers);
        assert_eq!(spent(engine.history()), [(1, 10), (2, 5), (4, 3), (8, 1), (16, 1)]);
        assert_eq!(engine.ask().unwrap(), Err(Proposal::Exhausted));
        let mut engine = Engine::new("hyperband", setup(&space, json!({"rounds": 1}), 1)).unwrap();
        run(&mut engine, 10_000, workers);
        // 27@1 9@3 3@9 1@27, 12@3 4@9 1@27, 6@9 2@27, 4@27.
        assert_eq!(spent(engine.history()), [(1, 18), (3, 6 + 8), (9, 2 + 3 + 4), (27, 8)]);
        let best = engine.history().iter().filter(|past| past.number < 27);
        let best = best.min_by(|a, b| loss(&a.params, 1).total_cmp(&loss(&b.params, 1))).unwrap();
        assert!(best.epochs.unwrap() > 1, "the best of the first rung went on");
    }
}

#[test]
fn asha_promotes_the_best_third_at_once() {
    let mut engine = Engine::new("asha", setup(&plane(), json!({}), 3)).unwrap();
    let mut tell = |values: &[f64]| {
        for value in values {
            let asked = engine.ask().unwrap().unwrap();
            assert!(!asked.resumed);
            let told = PastState::Complete { values: vec![*value] };
            engine.tell(asked.number, Told { state: told, curve: vec![*value] }).unwrap();
        }
    };
    tell(&[0.5, 0.4, 0.6]);
    let asked = engine.ask().unwrap().unwrap();
    assert_eq!((asked.number, asked.epochs, asked.resumed), (1, Some(3), true));
    // It is at work: the next best is not among the best third.
    assert!(!engine.ask().unwrap().unwrap().resumed);
}

#[test]
fn pasha_stops_where_the_order_is_settled() {
    let longest = |progressive: bool, crossing: bool| {
        let own = json!({"progressive": progressive});
        let mut engine = Engine::new("asha", setup(&plane(), own, 3)).unwrap();
        let mut longest = 0;
        for _ in 0..120 {
            let asked = engine.ask().unwrap().unwrap();
            longest = longest.max(asked.epochs.unwrap());
            let (x, y) = (number(&asked.params, "x"), number(&asked.params, "y"));
            let slope = if crossing { y } else { 1.0 };
            let curve: Vec<f64> =
                (1..=asked.epochs.unwrap()).map(|t| x - slope * (t as f64).ln()).collect();
            let state = PastState::Complete { values: vec![curve[curve.len() - 1]] };
            engine.tell(asked.number, Told { state, curve }).unwrap();
        }
        longest
    };
    assert_eq!(longest(false, false), 27);
    assert_eq!(longest(true, false), 3, "parallel curves: nothing is learnt by going on");
    assert_eq!(longest(true, true), 27);
}

#[test]
fn model_based_promotion_beats_random_proposals() {
    let axis = json!({"type": "real", "low": 0, "high": 1});
    let space =
        Space::parse(&json!({"x": axis, "a": axis, "b": axis, "c": axis, "d": axis})).unwrap();
    let best = |name: &str, seed: u64, trainings: u64| {
        let mut engine = Engine::new(name, setup(&space, json!({}), seed)).unwrap();
        run(&mut engine, trainings * MOST, 4);
        let whole = engine.history().iter().filter(|past| past.epochs == Some(MOST));
        whole.filter_map(Past::value).fold(f64::INFINITY, f64::min)
    };
    let median = |name: &str, seeds: u64, trainings: u64| {
        let mut found: Vec<f64> = (0..seeds).map(|seed| best(name, seed, trainings)).collect();
        found.sort_by(f64::total_cmp);
        found[found.len() / 2]
    };
    for (name, seeds, trainings) in [("bohb", 11, 40), ("dehb", 11, 40), ("freeze_thaw", 3, 10)] {
        let (asha, ours) = (median("asha", seeds, trainings), median(name, seeds, trainings));
        println!("asha {asha:.4}, {name} {ours:.4}");
        assert!(ours < asha, "asha {asha:.4}, {name} {ours:.4}");
    }
}

#[test]
fn settings_that_cannot_be_met_are_refused() {
    for name in ["halving", "hyperband", "asha", "bohb", "dehb"] {
        let at_most =
            |least: u64| strategy(name, &setup(&plane(), json!({"min_epochs": least}), 0));
        let error = at_most(28).map(|_| ()).unwrap_err().to_string();
        let why = "min_epochs 28 is more than 27, the epochs of a full training";
        assert_eq!(error, format!("strategy {name}: {why}"));
        assert!(at_most(27).is_ok(), "{name}");
    }
    for name in ["pbt", "pb2"] {
        let at = |interval: u64| strategy(name, &setup(&plane(), json!({"interval": interval}), 0));
        let error = at(28).map(|_| ()).unwrap_err().to_string();
        let why = "interval 28 is more than 27, the epochs of a full training";
        assert_eq!(error, format!("strategy {name}: {why}"));
        assert!(at(27).is_ok(), "{name}");
    }
    let own = setup(&plane(), json!({"min_seeds": 28}), 0);
    let error = strategy(RACING, &own).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "strategy racing: min_seeds 28 is more than 27, the seeds there are");
    for (name, model) in [("hyperband", "Hyperband"), ("asha", "bohb"), (RACING, RACING)] {
        let own = setup(&plane(), json!({"model": model}), 0);
        let error = strategy(name, &own).map(|_| ()).unwrap_err().to_string();
        let why = format!("the model \"{model}\" decides how long trials train itself");
        assert_eq!(error, format!("strategy {name}: {why}"));
    }
}

#[test]
fn who_decides_epochs_does_not_decide_seeds() {
    use crate::search::strategy::decides_epochs;
    for name in WITH_EPOCHS {
        assert_eq!(decides_epochs(name, true), *name != RACING, "{name}");
    }
    assert!(decides_epochs("auto", true) && !decides_epochs("auto", false));
    assert!(!decides_epochs("tpe", true));
}
