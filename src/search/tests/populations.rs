//! Population-based training, on trainings with weights.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value, json};

use super::settings;
use crate::search::engine::{Asked, Engine, Told};
use crate::search::history::{Past, PastState};
use crate::search::space::Space;
use crate::search::strategy::{Proposal, Setup, strategy};

fn space() -> Space {
    let axis = json!({"type": "real", "low": 0, "high": 1});
    Space::parse(&json!({"h0": axis, "h1": axis})).unwrap()
}

fn setup(own: Value, epochs: u64) -> Setup {
    let setup = Setup::new(space(), 3);
    Setup { settings: settings(own), epochs: Some(epochs), ..setup }
}

/// Jaderberg's toy: 1.2 - θ² is to be as large as can be, what is followed is the slope of 1.2 - h·θ².
#[derive(Default)]
struct Toy {
    /// The weights of each trial after each epoch.
    weights: HashMap<(u64, u64), [f64; 2]>,
    curves: HashMap<u64, Vec<f64>>,
}

impl Toy {
    fn train(&mut self, asked: &Asked) -> Told {
        let mut curve = self.curves.get(&asked.number).cloned().unwrap_or_default();
        let mut weights = [0.9, 0.9];
        if let Some(from) = asked.from {
            weights = self.weights[&(from.number, from.epochs)];
            curve = self.curves[&from.number][..from.epochs as usize].to_vec();
        } else if let Some(had) = self.weights.get(&(asked.number, curve.len() as u64)) {
            weights = *had;
        }
        for epoch in curve.len() as u64 + 1..=asked.epochs.unwrap() {
            for (weight, h) in weights.iter_mut().zip(asked.params.values()) {
                *weight -= 0.02 * 2.0 * h.as_f64().unwrap() * *weight;
            }
            self.weights.insert((asked.number, epoch), weights);
            curve.push(weights[0].powi(2) + weights[1].powi(2) - 1.2);
        }
        self.curves.insert(asked.number, curve.clone());
        let values = vec![curve[curve.len() - 1]];
        Told { state: PastState::Complete { values }, curve }
    }

    fn best(&self) -> f64 {
        self.curves.values().map(|curve| -curve[curve.len() - 1]).fold(f64::MIN, f64::max)
    }
}

/// Runs until nothing is left; members in `begun` are at work from the start.
fn run(engine: &mut Engine, begun: Vec<Asked>, workers: usize) -> Toy {
    let mut toy = Toy::default();
    let mut at_work: VecDeque<Asked> = begun.into();
    loop {
        while at_work.len() < workers
            && let Ok(asked) = engine.ask().unwrap()
        {
            at_work.push_back(asked);
        }
        let Some(asked) = at_work.pop_front() else { return toy };
        let told = toy.train(&asked);
        engine.tell(asked.number, told).unwrap();
    }
}

/// The two runs of the paper, the second a little slower: each follows one half of the slope.
fn halves(engine: &mut Engine, epochs: u64) -> Vec<Asked> {
    let begin = |number: u64| {
        let params: Map<String, Value> =
            settings(json!({"h0": 1.0 - number as f64, "h1": 0.9 * number as f64}));
        let past = Past::new(number, params.clone(), PastState::Pending);
        engine.put(Past { epochs: Some(epochs), ..past });
        Asked { number, params, epochs: Some(epochs), resumed: false, from: None }
    };
    [0, 1].map(begin).into()
}

#[test]
fn the_toy_reaches_its_optimum_where_independent_runs_do_not() {
    for own in [
        json!({"exploit": "truncation", "explore": "noise"}),
        json!({"exploit": "tournament", "explore": "perturb"}),
        json!({"exploit": {"strategy": "truncation", "selection_percent": 0.2}, "explore": {"strategy": "additive-noise", "noise_scale": 0.1}}),
    ] {
        let mut own = settings(own);
        own.extend(settings(json!({"population": 2, "interval": 5})));
        let mut engine = Engine::new("pbt", setup(Value::Object(own), 200)).unwrap();
        let begun = halves(&mut engine, 5);
        let reached = run(&mut engine, begun, 2).best();
        assert!(reached > 1.19, "{reached}");
        assert!(engine.history().len() > 3 && engine.ask().unwrap() == Err(Proposal::Exhausted));
    }
    let mut engine =
        Engine::new("pbt", setup(json!({"population": 2, "interval": 200}), 200)).unwrap();
    let begun = halves(&mut engine, 200);
    let apart = run(&mut engine, begun, 2).best();
    assert!(
        (apart - 0.39).abs() < 0.001,
        "1.2 - 0.9² is as far as one half of the slope leads: {apart}"
    );
}

#[test]
fn what_is_decided_does_not_depend_on_who_ended_first() {
    for name in ["pbt", "pb2"] {
        for exploit in ["truncation", "tournament"] {
            let own = json!({"population": 6, "interval": 3, "exploit": exploit});
            let trials = |workers: usize| {
                let mut engine = Engine::new(name, setup(own.clone(), 30)).unwrap();
                run(&mut engine, vec![], workers);
                engine.history().iter().map(|past| past.params.clone()).collect::<Vec<_>>()
            };
            let one = trials(1);
            assert!(one.len() > 10, "{name} {exploit}");
            assert_eq!(one, trials(4), "{name} {exploit}");
            assert_eq!(one, trials(6), "{name} {exploit}");
        }
    }
}

/// What was given with a value has no checkpoint here, however good it is.
#[test]
fn a_trial_that_was_given_is_no_member() {
    for name in ["pbt", "pb2"] {
        let own = json!({"population": 4, "interval": 5});
        let mut engine = Engine::new(name, setup(own, 20)).unwrap();
        let give = |engine: &mut Engine| {
            let number = engine.history().next_number();
            let params = settings(json!({"h0": 0.5, "h1": 0.5}));
            let state = PastState::Complete { values: vec![-9.0] };
            let curve = vec![-9.0; 20];
            engine.put(Past {
                epochs: Some(20),
                curve,
                added: true,
                ..Past::new(number, params, state)
            });
        };
        let (mut toy, mut own) = (Toy::default(), Vec::new());
        give(&mut engine);
        while let Ok(asked) = engine.ask().unwrap() {
            assert!(asked.from.is_none_or(|from| own.contains(&from.number)), "{asked:?}");
            own.push(asked.number);
            let told = toy.train(&asked);
            engine.tell(asked.number, told).unwrap();
            if own.len() % 3 == 0 {
                give(&mut engine);
            }
        }
        // Four turns of four members, each of them trained here.
        assert_eq!(own.len(), 16, "{name}");
        assert!(own.iter().any(|number| *number > 4), "{name}");
    }
}

#[test]
fn the_worst_copies_the_best_and_the_rest_go_on() {
    let own = json!({"population": 5, "interval": 2, "resample": 0.0});
    let mut engine = Engine::new("pbt", setup(own, 4)).unwrap();
    for _ in 0..5 {
        assert!(!engine.ask().unwrap().unwrap().resumed);
    }
    let tell = |engine: &mut Engine, number: u64, last: f64| {
        let curve = vec![0.0, last];
        let state = PastState::Complete { values: vec![0.0] };
        engine.tell(number, Told { state, curve }).unwrap();
    };
    tell(&mut engine, 0, 0.5);
    assert_eq!(engine.ask().unwrap(), Err(Proposal::Wait), "0 may still be the worst");
    tell(&mut engine, 1, 0.7);
    let asked = engine.ask().unwrap().unwrap();
    assert_eq!((asked.number, asked.epochs, asked.resumed), (0, Some(4), true), "now it is not");
    tell(&mut engine, 2, 0.9);
    assert_eq!(engine.ask().unwrap().unwrap().number, 1);
    engine.tell(3, Told { state: PastState::Failed, curve: vec![] }).unwrap();
    tell(&mut engine, 4, 0.6);
    assert_eq!(engine.ask().unwrap().unwrap().number, 2, "who failed is the worst");
    let copy = loop {
        let asked = engine.ask().unwrap().unwrap();
        if !asked.resumed {
            break asked;
        }
    };
    let from = copy.from.unwrap();
    assert_eq!((copy.number, from.number, from.epochs, copy.epochs), (5, 0, 2, Some(4)));
    let parent = engine.history().get(0).unwrap().params.clone();
    for (name, value) in &copy.params {
        let factor = value.as_f64().unwrap() / parent[name].as_f64().unwrap();
        let clipped = value.as_f64() == Some(1.0);
        assert!(clipped || (factor - 0.8).abs() < 1e-9 || (factor - 1.2).abs() < 1e-9, "{factor}");
    }
    assert_eq!(
        engine.history().get(5).unwrap().curve,
        [0.0, 0.5],
        "its curve begins with the other's"
    );
}

#[test]
fn a_model_follows_what_helps_in_each_turn() {
    // Gains are largest near h0 = 0.8 in the first half and 0.2 in the second; h1 does not matter.
    let best = |name: &str, seed: u64| {
        let own = settings(json!({"population": 6, "interval": 1}));
        let setup = Setup { settings: own, seed, ..setup(json!({}), 24) };
        let mut engine = Engine::new(name, setup).unwrap();
        let mut best = f64::INFINITY;
        while let Ok(asked) = engine.ask().unwrap() {
            let mut curve = engine.history().get(asked.number).unwrap().curve.clone();
            let h = asked.params["h0"].as_f64().unwrap();
            while (curve.len() as u64) < asked.epochs.unwrap() {
                let aim = if curve.len() < 12 { 0.8 } else { 0.2 };
                curve.push(curve.last().unwrap_or(&0.0) - 1.0 + 3.0 * (h - aim).abs());
            }
            best = best.min(curve[curve.len() - 1]);
            let state = PastState::Complete { values: vec![curve[curve.len() - 1]] };
            engine.tell(asked.number, Told { state, curve }).unwrap();
        }
        best
    };
    let mean = |name: &str| (0..12).map(|seed| best(name, seed)).sum::<f64>() / 12.0;
    let (pbt, pb2) = (mean("pbt"), mean("pb2"));
    println!("pbt {pbt:.2}, pb2 {pb2:.2}, the best there is -24");
    assert!(pb2 < pbt && pb2 < -10.0);
}

#[test]
fn settings_are_checked() {
    let refused = |own: Value| {
        let error = strategy("pbt", &setup(own, 10)).map(|_| ()).unwrap_err();
        format!("{error} {}", error.hint().unwrap_or_default())
    };
    assert!(refused(json!({"exploit": "war"})).contains("it is truncation or tournament"));
    assert!(refused(json!({"explore": "far"})).contains("it is perturb"));
    assert!(refused(json!({"selection": 2})).contains("from 0 to 1"));
    assert!(refused(json!({"factors": []})).contains("no list of numbers"));
    assert!(refused(json!({"population": 1})).contains("at least 2"));
}
