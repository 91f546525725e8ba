//! Tests of spaces and strategies as their callers meet them.

mod evolution;
mod expressions;
mod fidelity;
mod models;
mod objectives;
mod optima;
mod populations;
mod properties;
mod proposals;
mod races;
mod spaces;

use serde_json::{Map, Value, json};

use super::history::{History, Past, PastState};
use super::space::Space;
use super::strategy::{KNOWN, Proposal, Setup, Strategy, WITH_EPOCHS, strategy};

/// A space with every kind of parameter and two levels of conditions.
fn every_kind() -> Space {
    Space::parse(&json!({
        "lrate": {"type": "real", "low": 1e-5, "high": 0.1, "prior": "log"},
        "momentum": {"type": "real", "low": 0.0, "high": 0.99},
        "dropout": {"type": "real", "low": 0.0, "high": 0.5, "step": 0.1},
        "hidden": {"type": "integer", "low": 8, "high": 512, "prior": "log"},
        "layers": {"type": "integer", "low": 1, "high": 4},
        "batch": {"type": "ordinal", "choices": [16, 32, 64]},
        "opt": ["sgd", "adam"],
        "nesterov": {"type": "boolean", "when": {"opt": "sgd"}},
        "damp": {"type": "real", "low": 0, "high": 1, "when": {"nesterov": [false]}},
        "beta": {"type": "real", "low": 0.8, "high": 0.999, "prior": "normal", "when": {"opt": "adam"}},
        "net/name": "mlp"
    }))
    .unwrap()
}

fn finite() -> Space {
    Space::parse(&json!({
        "a": {"type": "integer", "low": 1, "high": 3},
        "b": ["x", "y"],
        "c": {"type": "boolean", "when": {"b": "x"}}
    }))
    .unwrap()
}

/// The strategies that train each trial to its end at once.
fn whole() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().copied().filter(|name| !WITH_EPOCHS.contains(name))
}

/// Those of them that go on until a finite space has nothing left.
fn exhaustive() -> impl Iterator<Item = &'static str> {
    whole().filter(|name| *name != "coordinate")
}

fn settings(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn setup(space: &Space, settings: &Map<String, Value>, seed: u64) -> Setup {
    Setup { settings: settings.clone(), ..Setup::new(space.clone(), seed) }
}

fn make(name: &str, space: &Space, seed: u64) -> Box<dyn Strategy + Send> {
    strategy(name, &Setup::new(space.clone(), seed)).unwrap()
}

fn complete(number: u64, params: Map<String, Value>, value: f64) -> Past {
    Past::new(number, params, PastState::Complete { values: vec![value] })
}

/// Asks for the next new point.
fn ask(strategy: &mut dyn Strategy, history: &History) -> Option<Map<String, Value>> {
    match strategy.ask(history).unwrap() {
        Proposal::New { params, .. } => Some(params),
        Proposal::Exhausted => None,
        other => panic!("{other:?}"),
    }
}

/// Asks `trials` times and values each with `loss`.
fn run(
    strategy: &mut dyn Strategy,
    trials: u64,
    loss: impl Fn(&Map<String, Value>) -> f64,
) -> History {
    let mut history = History::new();
    for number in 0..trials {
        let Some(point) = ask(strategy, &history) else { break };
        let value = loss(&point);
        history.put(complete(number, point, value));
    }
    history
}
