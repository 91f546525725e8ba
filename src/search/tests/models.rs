//! What every strategy with a model keeps to, whatever the order in which results arrive.

use serde_json::{Map, Value, json};

use super::optima::{MODELS, box_of};
use super::{ask, complete, every_kind, finite, make, run};
use crate::search::history::{History, Past, PastState};
use crate::search::space::Space;
use crate::search::stream::{Purpose, below, stream};

fn loss(point: &Map<String, Value>) -> f64 {
    let rate = point.get("lrate").and_then(Value::as_f64).map_or(0.0, |rate| rate.log10().abs());
    let first = point.get("x0").and_then(Value::as_f64).unwrap_or(0.0);
    rate + first + point.len() as f64
}

/// Ends the pending trial of that number.
fn end(history: &mut History, number: u64) {
    history.change(number, |past| {
        let value = loss(&past.params);
        (past.state, past.curve) = match number % 7 {
            3 => (PastState::Failed, Vec::new()),
            5 => (PastState::Pruned, vec![value + 1.0, value]),
            _ => (PastState::Complete { values: vec![value] }, Vec::new()),
        };
    });
}

#[test]
fn caches_change_no_answer_while_results_come_out_of_order() {
    for name in MODELS {
        for (space, trials) in [(every_kind(), 60), (finite(), 9), (box_of(4, 0.0, 1.0), 40)] {
            let mut grown = make(name, &space, 3);
            let mut history = History::new();
            let mut running: Vec<u64> = Vec::new();
            let mut generator = stream(8, 0, Purpose::Point, 0);
            for number in 0..trials {
                let point = ask(&mut *grown, &history).unwrap();
                let told: History = history.iter().cloned().collect();
                let fresh = ask(&mut *make(name, &space, 3), &told).unwrap();
                assert_eq!(fresh, point, "{name} {number}");
                history.put(Past::new(number, point, PastState::Pending));
                running.push(number);
                if running.len() > 4 {
                    let at = below(&mut generator, running.len() as u64) as usize;
                    end(&mut history, running.swap_remove(at));
                }
            }
        }
    }
}

#[test]
fn a_trial_may_be_replaced_and_another_history_taken_up() {
    for name in MODELS {
        let space = finite();
        let mut grown = make(name, &space, 3);
        let mut history = History::new();
        for number in 0..5 {
            let point = ask(&mut *grown, &history).unwrap();
            history.put(complete(number, point, number as f64));
        }
        let other = history.until(3);
        let freed = history[4].params.clone();
        history.put(Past::new(4, history[0].params.clone(), PastState::Failed));
        for history in [&history, &other, &history] {
            let fresh = ask(&mut *make(name, &space, 3), &history.clone());
            assert_eq!(ask(&mut *grown, history), fresh, "{name}");
        }
        let mut proposed = false;
        while let Some(point) = ask(&mut *grown, &history) {
            proposed |= point == freed;
            history.put(complete(history.next_number(), point, 1.0));
        }
        assert!(proposed, "{name} takes the point of a replaced trial for tried");
    }
}

#[test]
fn what_another_value_of_a_number_brings_up_is_searched() {
    let number = json!({"type": "real", "low": 0, "high": 1});
    let space = Space::parse(&json!({
        "layers": {"type": "integer", "low": 1, "high": 3}, "rate": number,
        "width": {"type": "real", "low": 0, "high": 1, "when": {"layers": [1, 2]}}
    }))
    .unwrap();
    for name in MODELS {
        for seed in 0..2 {
            // The best trials lack the width.
            let loss = |point: &Map<String, Value>| {
                let rate = point["rate"].as_f64().unwrap();
                rate * rate - f64::from(u8::from(point["layers"] == 3)) + 0.1 * point.len() as f64
            };
            let history = run(&mut *make(name, &space, seed), 40, loss);
            assert!(history.iter().all(|past| space.check(&past.params).is_ok()), "{name}");
            let with = history.iter().filter(|past| past.params.contains_key("width")).count();
            assert!((1..40).contains(&with), "{name}: {with}");
        }
    }
}
