//! What every strategy keeps to, whatever the space, and however and in whatever order trials end.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::settings;
use crate::search::engine::{Asked, Engine, Told};
use crate::search::history::{Past, PastState};
use crate::search::space::Space;
use crate::search::strategy::{KNOWN, Proposal, Setup, WITH_EPOCHS};

const MOST: u64 = 9;

/// One parameter of a kind: its JSON, the values that others may depend on, and a constraint that half of it meets.
fn param(kind: usize, name: &str) -> (Value, Option<Value>, Option<String>) {
    let half = |text: &str| Some(format!("{name} {text}"));
    match kind {
        0 => (json!({"type": "real", "low": -3, "high": 5}), None, half("< 1")),
        1 => {
            (json!({"type": "real", "low": 1e-6, "high": 1, "prior": "log"}), None, half("> 0.001"))
        }
        2 => (json!({"type": "real", "low": 0, "high": 1, "step": 0.125}), None, half("<= 0.5")),
        3 => (json!({"type": "real", "prior": "normal", "mean": 2, "std": 0.5}), None, half("> 2")),
        4 => (json!({"type": "integer", "low": -2, "high": 3}), None, half("% 2 == 0")),
        5 => (json!({"type": "integer", "low": 1, "high": 100_000, "prior": "log"}), None, None),
        6 => (json!({"type": "ordinal", "choices": [1, 10, 100]}), Some(json!([10, 100])), None),
        7 => (json!({"type": "boolean"}), Some(json!(true)), None),
        8 => (json!("fixed"), None, None),
        _ => (json!(["a", "b", "c", "d"]), Some(json!(["a", "c"])), None),
    }
}

/// A space of parameters of these kinds; each may depend on the last one before it that others can depend on.
fn space_of(kinds: &[(usize, bool)], constrained: bool) -> Space {
    let (mut params, mut constraints) = (Map::new(), Vec::new());
    let mut parent: Option<(String, Value)> = None;
    for (at, (kind, depends)) in kinds.iter().enumerate() {
        let name = format!("p{at}");
        let (mut own, values, constraint) = param(*kind, &name);
        if let (true, Some((above, values)), Some(own)) = (depends, &parent, own.as_object_mut()) {
            own.insert("when".into(), json!({ above: values }));
        }
        constraints.extend(constraint.filter(|_| constrained && constraints.is_empty()));
        if let Some(values) = values {
            parent = Some((name.clone(), values));
        }
        params.insert(name, own);
    }
    Space::parse(&Value::Object(params)).unwrap().with_constraints(constraints).unwrap()
}

/// How a trial ends, by a number.
fn end(how: u8, asked: &Asked) -> Told {
    let sum: f64 = asked.params.values().filter_map(Value::as_f64).map(|x| x.abs().ln_1p()).sum();
    let value = match how % 16 {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => f64::MAX,
        4 => -f64::MAX,
        5 => 5e-324,
        6 => 0.0,
        _ => sum,
    };
    let epochs = asked.epochs.unwrap_or(0) as usize;
    let curve: Vec<f64> = (0..epochs).map(|epoch| value + 1.0 / (1.0 + epoch as f64)).collect();
    let state = match how / 16 {
        0..2 => PastState::Failed,
        2 => PastState::Pruned,
        _ => PastState::Complete { values: vec![value] },
    };
    let curve = if how.is_multiple_of(5) { Vec::new() } else { curve };
    Told { state, curve }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Proposals are points of the space that meet its constraints; only trials that ended go on, and further; whoever
    /// waits waits for somebody; and a search that is put together from the same trials proposes the same, in whatever
    /// order they ended.
    #[test]
    fn every_strategy_keeps_its_promises(
        name in prop::sample::select(KNOWN),
        kinds in prop::collection::vec((0usize..10, any::<bool>()), 1..6),
        constrained: bool,
        seed: u64,
        workers in 1usize..6,
        steps in prop::collection::vec((any::<u8>(), any::<u8>()), 1..30),
    ) {
        let space = space_of(&kinds, constrained);
        let epochs = WITH_EPOCHS.contains(&name).then_some(MOST);
        let own = if name == "grid" { json!({"bins": 3}) } else { json!({}) };
        let setup = Setup {
            settings: settings(own), epochs, workers, trials: Some(steps.len() as u64), ..Setup::new(space.clone(), seed)
        };
        // The coordinates of some strategies are numbers, of others they are limited.
        let Ok(mut engine) = Engine::new(name, setup.clone()) else { return Ok(()) };
        let mut at_work: Vec<Asked> = Vec::new();
        for (which, how) in steps {
            if at_work.len() >= workers {
                let ended = at_work.swap_remove(usize::from(which) % at_work.len());
                engine.tell(ended.number, end(how, &ended)).unwrap();
            }
            let before: Vec<Past> = engine.history().iter().cloned().collect();
            match engine.ask().unwrap() {
                Ok(asked) => {
                    space.check(&asked.params).unwrap();
                    prop_assert!(space.allows(&asked.params).unwrap(), "{name} {:?}", asked.params);
                    prop_assert_eq!(asked.epochs.is_some(), epochs.is_some(), "{}", name);
                    if let Some(past) = before.iter().find(|past| past.number == asked.number) {
                        prop_assert!(asked.resumed && past.ended() && asked.epochs > past.epochs, "{name} {past:?}");
                    }
                    if which.is_multiple_of(4) {
                        let mut anew = Engine::new(name, setup.clone()).unwrap();
                        before.into_iter().rev().for_each(|past| anew.put(past));
                        prop_assert_eq!(anew.ask().unwrap(), Ok(asked.clone()), "{}", name);
                    }
                    at_work.push(asked);
                }
                Err(Proposal::Wait) => {
                    prop_assert!(!at_work.is_empty(), "{name} waits for nobody");
                    let ended = at_work.swap_remove(usize::from(which) % at_work.len());
                    engine.tell(ended.number, end(how, &ended)).unwrap();
                }
                Err(_) => break,
            }
        }
    }
}

/// Strategies whose asks cost the same or little more however long the search is.
const CHEAP: &[&str] = &[
    "random",
    "sobol",
    "halton",
    "tpe",
    "cmaes",
    "de",
    "pso",
    "one_plus_one",
    "fast_ga",
    "evolution",
];

#[test]
fn long_searches_go_on() {
    let space = space_of(&[(0, false), (1, false), (4, false), (9, false), (0, true)], false);
    for name in CHEAP {
        let mut engine = Engine::new(name, Setup::new(space.clone(), 1)).unwrap();
        let (length, from) = (60_000, 59_000);
        // A search of that length as a file has it: strategies have to make do with what they find.
        for number in 0..from {
            let unit = |k: u64| ((number * 7 + k) as f64 * 0.618_033_988_75).fract();
            let params = space.decode(&[unit(1), unit(2), unit(3), unit(4), unit(5)]);
            let value = unit(1) + unit(3);
            engine.put(Past::new(number, params, PastState::Complete { values: vec![value] }));
        }
        for number in from..length {
            let asked = engine.ask().unwrap().unwrap();
            assert_eq!(asked.number, number);
            assert!(space.contains(&asked.params), "{name}");
            let how = (number % 251) as u8;
            engine.tell(number, end(how, &asked)).unwrap();
        }
    }
}
