//! Tests of spaces and strategies as their callers meet them.

mod expressions;
mod optima;
mod proposals;
mod spaces;

use serde_json::{Map, Value, json};

use super::space::Space;
use super::strategy::{Past, PastState, Strategy, strategy};

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

fn settings(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn make(name: &str, space: &Space, seed: u64) -> Box<dyn Strategy + Send> {
    strategy(name, space, &Map::new(), seed, None).unwrap()
}

fn complete(number: u64, params: Map<String, Value>, value: f64) -> Past {
    Past { number, params, state: PastState::Complete { values: vec![value] } }
}

/// Asks `trials` times and values each with `loss`.
fn run(
    strategy: &mut dyn Strategy,
    trials: u64,
    loss: impl Fn(&Map<String, Value>) -> f64,
) -> Vec<Past> {
    let mut history = Vec::new();
    for number in 0..trials {
        let Some(point) = strategy.ask(&history, number).unwrap() else { break };
        let value = loss(&point);
        history.push(complete(number, point, value));
    }
    history
}
