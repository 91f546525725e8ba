//! Analyses of searches whose answers are known.

use serde_json::{Map, Value, json};

use super::{Contender, Trial, advice, compare, front, history, importance, ranking};
use crate::protocol::Goal;
use crate::search::history::PastState;
use crate::search::history::{History, Past};
use crate::search::space::Space;
use crate::search::strategy::Proposal;
use crate::search::strategy::{Setup, strategy};

fn goals(all: &[Goal]) -> Vec<(String, Goal)> {
    all.iter().enumerate().map(|(at, goal)| (format!("m{at}"), *goal)).collect()
}

fn trial(number: u64, params: Map<String, Value>, state: PastState) -> Trial {
    let word = match state {
        PastState::Complete { .. } => "complete",
        PastState::Failed => "failed",
        PastState::Pruned => "pruned",
        PastState::Pending => "running",
    };
    let ended = (word != "running").then_some(1_000 + number as i64);
    Trial {
        number,
        params,
        asked: true,
        state,
        word: word.into(),
        epochs: None,
        curve: Vec::new(),
        seeds: None,
        values_known: None,
        before: None,
        asked_at_ms: 0,
        ended_at_ms: ended,
        extra: Value::Null,
    }
}

fn valued(values: &[&[f64]]) -> Vec<Trial> {
    let one = |(number, values): (usize, &&[f64])| {
        let state = match values.is_empty() {
            true => PastState::Failed,
            false => PastState::Complete { values: values.to_vec() },
        };
        trial(number as u64, Map::new(), state)
    };
    values.iter().enumerate().map(one).collect()
}

fn space() -> Space {
    Space::parse(&json!({
        "a": {"type": "real", "low": 0, "high": 1},
        "b": {"type": "real", "low": 1e-3, "high": 10, "prior": "log"},
        "c": ["x", "y", "z"],
        "d": {"type": "real", "low": 0, "high": 1},
        "e": {"type": "real", "low": 0, "high": 1},
        "f": {"type": "integer", "low": 1, "high": 9, "when": {"c": "y"}}
    }))
    .unwrap()
}

/// Random trials of a function of the parameters.
fn tried(count: u64, value: impl Fn(&Map<String, Value>) -> f64) -> Vec<Trial> {
    let mut random = strategy("random", &Setup::new(space(), 3)).unwrap();
    let mut history = History::new();
    (0..count)
        .map(|number| {
            let Proposal::New { params, .. } = random.ask(&history).unwrap() else { panic!() };
            history.put(Past::new(number, params.clone(), PastState::Pending));
            let value = value(&params);
            trial(number, params, PastState::Complete { values: vec![value] })
        })
        .collect()
}

#[test]
fn who_dropped_out_of_a_race_comes_after_those_with_all_seeds() {
    let mut trials = valued(&[&[2.0], &[0.5], &[1.0], &[3.0]]);
    for (trial, seeds) in trials.iter_mut().zip([4, 1, 4, 2]) {
        trial.seeds = Some(seeds);
    }
    let all: Vec<&Trial> = trials.iter().collect();
    let order: Vec<u64> =
        ranking(&all, &goals(&[Goal::Min])).iter().map(|trial| trial.number).collect();
    assert_eq!(order, [2, 0, 1, 3]);
}

#[test]
fn the_best_come_first_and_nan_never() {
    let trials = valued(&[&[2.0], &[f64::NAN], &[], &[1.0], &[f64::INFINITY], &[1.0]]);
    let all: Vec<&Trial> = trials.iter().collect();
    let order = |goal| -> Vec<u64> {
        ranking(&all, &goals(&[goal])).iter().map(|trial| trial.number).collect()
    };
    assert_eq!(order(Goal::Min), [3, 5, 0, 4]);
    assert_eq!(order(Goal::Max), [4, 0, 3, 5]);
    let best: Vec<Option<f64>> =
        history(&all, &goals(&[Goal::Min]), 0).iter().map(|step| step.best).collect();
    assert_eq!(best, [Some(2.0), Some(2.0), Some(2.0), Some(1.0), Some(1.0), Some(1.0)]);
}

#[test]
fn fronts_come_before_those_behind_them() {
    let trials = valued(&[&[1.0, 1.0], &[2.0, 3.0], &[0.5, 0.0], &[2.0, 0.0], &[f64::NAN, 9.0]]);
    let all: Vec<&Trial> = trials.iter().collect();
    let goals = goals(&[Goal::Min, Goal::Max]);
    let order: Vec<u64> = ranking(&all, &goals).iter().map(|trial| trial.number).collect();
    assert_eq!(order, [2, 0, 1, 3]);
    let found = front(&all, &goals, Some(&[3.0, -1.0]));
    assert_eq!(found.numbers, [2, 0, 1]);
    // Strips from the second objective's reference upwards: 2.5 by 1, 2 by 1, 1 by 2.
    assert!((found.hypervolume - (2.5 + 2.0 + 2.0)).abs() < 1e-12, "{found:?}");
    let own = front(&all, &goals, None);
    assert!((own.reference[0] - 2.15).abs() < 1e-9 && (own.reference[1] + 0.3).abs() < 1e-9);
}

#[test]
fn what_matters_is_found() {
    let number = |params: &Map<String, Value>, name: &str| params[name].as_f64().unwrap();
    let value = |params: &Map<String, Value>| {
        let b = number(params, "b").log10();
        let product = (number(params, "d") - 0.5) * (number(params, "e") - 0.5);
        b * b + if params["c"] == "z" { 4.0 } else { 0.0 } + 30.0 * product
    };
    let trials = tried(400, value);
    let all: Vec<&Trial> = trials.iter().collect();
    let found = importance(&space(), &all, &goals(&[Goal::Min]), 0, 0.1).unwrap();
    assert_eq!(found.names, ["a", "b", "c", "d", "e", "f"]);
    // By the prior: b explains most, then c; d and e explain nothing alone and much together.
    let [a, b, c, d, e, f] = found.alone[..] else { panic!() };
    assert!(b > 0.3 && c > 0.1 && b > c, "{found:?}");
    assert!([a, d, e, f].iter().all(|share| *share < 0.08), "{found:?}");
    let pair = found.together[0];
    assert_eq!((pair.0, pair.1), (3, 4), "{found:?}");
    let [a, b, c, _, _, f] = found.among_best[..] else { panic!() };
    assert!(b > a && b > f && c > a, "{found:?}");
    let again = importance(&space(), &all, &goals(&[Goal::Min]), 0, 0.1).unwrap();
    assert_eq!(found, again);
    // Wherever the values lie, and however large they are.
    for (scale, offset) in [(1.0, 1e8), (1e-200, 0.0), (1e300, 0.0), (-1e-310, 0.0)] {
        let moved = tried(400, |params| scale * value(params) + offset);
        let moved: Vec<&Trial> = moved.iter().collect();
        let goal = if scale < 0.0 { Goal::Max } else { Goal::Min };
        let moved = importance(&space(), &moved, &goals(&[goal]), 0, 0.1).unwrap();
        for (ours, theirs) in found.alone.iter().zip(&moved.alone) {
            assert!((ours - theirs).abs() < 0.02, "{scale} {offset}: {found:?} {moved:?}");
        }
    }
    assert_eq!(importance(&space(), &all[..3], &goals(&[Goal::Min]), 0, 0.1), None);
    let flat = tried(30, |_| 1.0);
    let flat: Vec<&Trial> = flat.iter().collect();
    assert_eq!(importance(&space(), &flat, &goals(&[Goal::Min]), 0, 0.1), None);
}

#[test]
fn studies_are_compared_by_what_all_of_them_found() {
    let good = valued(&[&[4.0], &[2.0], &[1.0]]);
    let poor = valued(&[&[], &[5.0], &[3.0], &[9.0]]);
    let goals = goals(&[Goal::Min]);
    let both = [&good, &poor].map(|trials| Contender {
        trials: trials.iter().collect(),
        goals: &goals,
        at: 0,
    });
    let found = compare(&both, 3);
    assert_eq!((found.best, found.thresholds), (Some(1.0), vec![1.0, 3.5, 9.0]));
    assert_eq!(found.courses[0].regret, [Some(3.0), Some(1.0), Some(0.0)]);
    assert_eq!(found.courses[1].regret, [None, Some(4.0), Some(2.0), Some(2.0)]);
    assert_eq!(found.courses[1].shares, [0.0, 0.25, 0.75]);
}

#[test]
fn advice_follows_the_last_doublings() {
    let steps = |values: &[f64]| {
        let rows: Vec<[f64; 1]> = values.iter().map(|value| [*value]).collect();
        let rows: Vec<&[f64]> = rows.iter().map(|row| row.as_slice()).collect();
        let trials = valued(&rows);
        history(&trials.iter().collect::<Vec<_>>(), &goals(&[Goal::Min]), 0)
    };
    assert_eq!(advice(&steps(&[1.0; 7]), Goal::Min, 20), None);
    // Best after 4, 8 and 16 trials: 8, 4, 2. The next doubling halves again.
    let falls: Vec<f64> = (1..=16).map(|n| 32.0 / f64::from(n)).collect();
    let next = advice(&steps(&falls), Goal::Min, 16).unwrap();
    assert!((next.expected - 1.0).abs() < 1e-9 && next.chance > 0.99 && !next.stop, "{next:?}");
    let mut flat = vec![1.0];
    flat.extend([2.0; 39]);
    let flat = advice(&steps(&flat), Goal::Min, 20).unwrap();
    assert!(flat.stop && flat.expected == 0.0 && flat.chance < 0.3, "{flat:?}");
    let mut few = vec![1.0];
    few.extend([2.0; 29]);
    let few = advice(&steps(&few), Goal::Min, 20).unwrap();
    assert!(few.early && !few.stop, "{few:?}");
    // Of ten draws from one distribution another ten hold a better one half of the time.
    let even =
        advice(&steps(&[3.0, 2.0, 4.0, 3.5, 1.5, 2.5, 4.5, 3.0, 1.0, 2.0]), Goal::Min, 10).unwrap();
    assert!(even.chance > 0.4 && even.chance < 0.8, "{even:?}");
}

#[test]
fn an_infinite_best_value_is_infinitely_far_from_the_others() {
    let goals = goals(&[Goal::Max]);
    let (one, two) = (valued(&[&[1.0], &[f64::INFINITY], &[2.0]]), valued(&[&[5.0], &[7.0]]));
    let contender = |trials| Contender { trials, goals: &goals, at: 0 };
    let both = [contender(one.iter().collect()), contender(two.iter().collect())];
    let found = compare(&both, 3);
    let far = Some(f64::INFINITY);
    assert_eq!(found.best, far);
    assert_eq!(found.courses[0].regret, [far, Some(0.0), Some(0.0)]);
    assert_eq!(found.courses[1].regret, [far, far]);
    assert_eq!((found.courses[0].valued, found.thresholds), (2, vec![7.0, 3.5, 1.0]));
}

#[test]
fn a_trial_that_goes_on_keeps_its_place_until_it_ends() {
    let mut trials = valued(&[&[0.5], &[0.2], &[0.3]]);
    trials[1].state = PastState::Pending;
    trials[1].before = Some(vec![0.2]);
    let all: Vec<&Trial> = trials.iter().collect();
    let numbers: Vec<u64> =
        ranking(&all, &goals(&[Goal::Min])).iter().map(|trial| trial.number).collect();
    assert_eq!(numbers, [1, 2, 0]);
}
