//! Proposals: inside the space, the same in any process, even, and exhaustive where they promise to be.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{ask, complete, every_kind, exhaustive, finite, make, run, settings, setup, whole};
use crate::search::history::{History, Past, PastState};
use crate::search::space::Space;
use crate::search::strategy::{Proposal, Setup, strategy};

fn with_bins() -> Map<String, Value> {
    settings(json!({"bins": 3}))
}

#[test]
fn every_strategy_stays_inside_and_forgets_nothing_by_restarting() {
    for space in [every_kind(), finite()] {
        for name in whole() {
            let own = if name == "grid" { with_bins() } else { Map::new() };
            let setup = Setup { trials: Some(40), ..setup(&space, &own, 7) };
            let make = || strategy(name, &setup).unwrap();
            let history = run(&mut *make(), 40, |point| point.len() as f64);
            for past in &*history {
                space.check(&past.params).unwrap();
                let fresh = ask(&mut *make(), &history.until(past.number)).unwrap();
                assert_eq!(fresh, past.params, "{name}");
            }
        }
    }
}

#[test]
fn the_order_and_the_state_of_earlier_trials_do_not_matter() {
    for name in ["random", "sobol", "halton", "grid"] {
        let history = run(&mut *make(name, &finite(), 3), 6, |_| 0.0);
        let pending = |past: &Past| Past { state: PastState::Pending, ..past.clone() };
        let shuffled: History = history.iter().rev().map(pending).collect();
        let one = ask(&mut *make(name, &finite(), 3), &history);
        assert_eq!(ask(&mut *make(name, &finite(), 3), &shuffled), one, "{name}");
        assert_eq!(ask(&mut *make(name, &finite(), 3), &History::new().until(6)), one, "{name}");
    }
}

#[test]
fn a_finite_space_is_met_exactly_once() {
    for name in exhaustive() {
        for constraint in [None, Some("a != 2 or b == 'y'")] {
            let constraints = constraint.iter().map(|text| text.to_string()).collect();
            let space = finite().with_constraints(constraints).unwrap();
            let history = run(&mut *make(name, &space, 11), 100, |_| 0.0);
            let keys: HashSet<String> =
                history.iter().map(|past| space.key(&past.params)).collect();
            let size = if constraint.is_some() { 7 } else { 9 };
            assert_eq!((history.len(), keys.len()), (size, size), "{name}");
        }
    }
}

/// A child that inherits all of its coordinates would be its parent.
#[test]
fn real_points_are_not_proposed_twice() {
    let axis = json!({"type": "real", "low": -1, "high": 1});
    let space = Space::parse(&json!({"x": axis, "y": axis})).unwrap();
    for name in whole().filter(|name| !matches!(*name, "grid" | "coordinate" | "gp" | "smbo")) {
        let value =
            |point: &Map<String, Value>| point.values().map(|x| x.as_f64().unwrap().abs()).sum();
        let history = run(&mut *make(name, &space, 4), 150, value);
        let keys: HashSet<String> = history.iter().map(|past| space.key(&past.params)).collect();
        assert_eq!(keys.len(), 150, "{name}");
    }
}

#[test]
fn a_trial_of_ones_own_is_not_proposed_again() {
    let own = settings(json!({"a": 1, "b": "y"}));
    for name in exhaustive() {
        let mut strategy = make(name, &finite(), 5);
        let mut history: History = [complete(0, own.clone(), 0.0)].into_iter().collect();
        while let Some(point) = ask(&mut *strategy, &history) {
            assert_ne!(point, own, "{name}");
            history.put(complete(history.next_number(), point, 0.0));
        }
        assert_eq!(history.len(), 9, "{name}");
    }
}

#[test]
fn grid_runs_as_the_peer_does() {
    let space = Space::parse(&json!({
        "real": {"lrate": {"begin": 0.1, "end": 0.5, "bins": 3}},
        "integer": {"batch": {"begin": 1, "end": 5, "bins": 4}},
        "categorical": {"arch": ["mlp", "cnn"]}
    }))
    .unwrap();
    assert_eq!(space.grid_size().unwrap(), 24);
    let history = run(&mut *make("grid", &space, 0), 100, |_| 0.0);
    assert_eq!(history.len(), 24);
    let at = |n: usize| Value::Object(history[n].params.clone());
    assert_eq!(at(0), json!({"arch": "mlp", "batch": 1, "lrate": 0.1}));
    assert_eq!(at(1), json!({"arch": "mlp", "batch": 1, "lrate": 0.30000000000000004}));
    assert_eq!(at(2), json!({"arch": "mlp", "batch": 1, "lrate": 0.5}));
    assert_eq!(at(3), json!({"arch": "mlp", "batch": 2, "lrate": 0.1}));
    assert_eq!(at(11), json!({"arch": "mlp", "batch": 5, "lrate": 0.5}));
    assert_eq!(at(12), json!({"arch": "cnn", "batch": 1, "lrate": 0.1}));
}

#[test]
fn a_grid_leaves_out_at_once_what_differs_in_nothing_the_constraint_speaks_of() {
    let wide = json!({"type": "integer", "low": 1, "high": 100_000});
    let space = json!({"a": {"type": "integer", "low": 1, "high": 3}, "b": wide, "c": wide});
    let space = Space::parse(&space).unwrap();
    let space = space.with_constraints(vec!["a > 1 and b % 2 == 0".into()]).unwrap();
    let history = run(&mut *make("grid", &space, 0), 100_001, |_| 0.0);
    let at = |n: usize| Value::Object(history[n].params.clone());
    assert_eq!(at(0), json!({"a": 2, "b": 2, "c": 1}));
    assert_eq!(at(100_000), json!({"a": 2, "b": 4, "c": 1}));
    // Those it proposes are those that looking at each one finds.
    for constraint in ["a != 2", "b > 1", "c == 2 or a == 3", "d != 1", "a + d < 4"] {
        let space = Space::parse(&json!({
            "a": [1, 2, 3],
            "b": {"type": "integer", "low": 1, "high": 2, "when": {"a": [2, 3]}},
            "c": {"type": "integer", "low": 1, "high": 3, "when": {"b": 2}},
            "d": [1, 2]
        }));
        let space = space.unwrap().with_constraints(vec![constraint.into()]).unwrap();
        let mut tree = space.tree().unwrap();
        let mut all: Vec<_> = (0..tree.size().unwrap())
            .map(|index| tree.point(index, &space))
            .filter(|point| space.allows(point).unwrap())
            .collect();
        let history = run(&mut *make("grid", &space, 0), 100, |_| 0.0);
        let mut points: Vec<_> = history.iter().map(|past| past.params.clone()).collect();
        let by_text = |a: &Map<String, Value>, b: &Map<String, Value>| {
            Value::Object(a.clone()).to_string().cmp(&Value::Object(b.clone()).to_string())
        };
        all.sort_by(by_text);
        points.sort_by(by_text);
        assert_eq!(points, all, "{constraint}");
    }
}

#[test]
fn bins_follow_the_prior() {
    let values = |entry: Value| {
        let space = Space::parse(&json!({"x": entry})).unwrap();
        let history = run(&mut *make("grid", &space, 0), 100, |_| 0.0);
        json!(history.iter().map(|past| past.params["x"].clone()).collect::<Vec<_>>())
    };
    let log = json!({"type": "real", "low": 0.0001, "high": 1, "prior": "log", "bins": 5});
    for (value, want) in values(log).as_array().unwrap().iter().zip([1e-4, 1e-3, 1e-2, 0.1, 1.0]) {
        assert!((value.as_f64().unwrap() / want - 1.0).abs() < 1e-12);
    }
    let one = json!({"type": "real", "low": 2, "high": 3, "bins": 1});
    assert_eq!(values(one), json!([2.0]));
    let cut = json!({"type": "integer", "low": 1, "high": 3, "bins": 4});
    assert_eq!(values(cut), json!([1, 2, 3]), "values that coincide are taken once");
    let log = json!({"type": "integer", "low": 1, "high": 64, "prior": "log", "bins": 7});
    assert_eq!(values(log), json!([1, 2, 4, 8, 16, 32, 64]));
    let steps = json!({"type": "real", "low": 0, "high": 1, "step": 0.25, "bins": 3});
    assert_eq!(values(steps), json!([0.0, 0.5, 1.0]));
    let bell = json!({"type": "real", "prior": "normal", "mean": 0, "std": 1, "bins": 3});
    assert_eq!(values(bell.clone()).as_array().unwrap()[1], json!(0.0));
    let no_bins = Space::parse(&json!({"x": {"type": "real", "low": 0, "high": 1}})).unwrap();
    let error = strategy("grid", &Setup::new(no_bins.clone(), 0)).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("parameter x: is a real without bins"));
    assert!(no_bins.grid_size().is_err());
}

#[test]
fn the_coarse_order_is_spread_at_every_stop_and_complete_at_the_end() {
    let axis = json!({"type": "integer", "low": 0, "high": 9});
    let space = Space::parse(&json!({"x": axis, "y": axis, "z": axis})).unwrap();
    let coarse = settings(json!({"order": "coarse"}));
    let mut grid = strategy("grid", &setup(&space, &coarse, 0)).unwrap();
    let history = run(&mut *grid, 2000, |_| 0.0);
    let keys: HashSet<String> = history.iter().map(|past| space.key(&past.params)).collect();
    assert_eq!((history.len(), keys.len()), (1000, 1000));
    let units = |history: &[Past]| {
        let unit = |past: &Past| space.encode(&past.params).into_iter().flatten().collect();
        history.iter().map(unit).collect::<Vec<Vec<f64>>>()
    };
    let random = run(&mut *make("random", &space, 1), 200, |_| 0.0);
    for count in [10, 20, 50, 100, 200] {
        let (ours, theirs) = (units(&history[..count]), units(&random[..count]));
        assert!(discrepancy(&ours) < discrepancy(&theirs), "{count}");
    }
    let wrong = settings(json!({"order": "fine"}));
    assert!(strategy("grid", &setup(&space, &wrong, 0)).is_err());
}

/// The centred L2 discrepancy (Hickernell 1998), squared.
fn discrepancy(points: &[Vec<f64>]) -> f64 {
    let (n, d) = (points.len() as f64, points[0].len());
    let z = |x: f64| (x - 0.5).abs();
    let single: f64 = points
        .iter()
        .map(|p| p.iter().map(|x| 1.0 + 0.5 * z(*x) - 0.5 * z(*x).powi(2)).product::<f64>())
        .sum();
    let pairs: f64 = points
        .iter()
        .flat_map(|p| points.iter().map(move |q| (p, q)))
        .map(|(p, q)| {
            let factor = |k: usize| 1.0 + 0.5 * z(p[k]) + 0.5 * z(q[k]) - 0.5 * (p[k] - q[k]).abs();
            (0..d).map(factor).product::<f64>()
        })
        .sum();
    (13.0f64 / 12.0).powi(d as i32) - 2.0 / n * single + pairs / (n * n)
}

#[test]
fn quasi_random_points_are_evener_than_random_ones() {
    for dimensions in [2, 5, 10] {
        let axis = json!({"type": "real", "low": 0, "high": 1});
        let names = (0..dimensions).map(|i| (format!("x{i}"), axis.clone()));
        let space = Space::parse(&Value::Object(names.collect())).unwrap();
        let mean = |name: &str| {
            let of_seed = |seed| {
                let history = run(&mut *make(name, &space, seed), 128, |_| 0.0);
                let unit = |past: &Past| space.encode(&past.params).into_iter().flatten().collect();
                discrepancy(&history.iter().map(unit).collect::<Vec<Vec<f64>>>())
            };
            (0..5).map(of_seed).sum::<f64>() / 5.0
        };
        let random = mean("random");
        assert!(mean("sobol") < random / 3.0, "{dimensions}: {} {random}", mean("sobol"));
        assert!(mean("halton") < random / 1.5, "{dimensions}: {} {random}", mean("halton"));
    }
}

#[test]
fn the_bounds_of_sobol_are_told() {
    let axis = json!({"type": "boolean"});
    let names = (0..300).map(|i| (format!("x{i}"), axis.clone()));
    let wide = Space::parse(&Value::Object(names.collect())).unwrap();
    let refused = |space: &Space, trials| {
        let setup = Setup { trials, ..Setup::new(space.clone(), 0) };
        strategy("sobol", &setup).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(&wide, None).contains("has 256 dimensions, the space has 300"));
    assert!(refused(&every_kind(), Some(70_000)).contains("65536 points"));
    let late = make("sobol", &every_kind(), 0).ask(&History::new().until(65_536)).unwrap_err();
    assert!(late.to_string().contains("65536 points"));
    assert!(strategy("halton", &Setup::new(wide, 0)).is_err());
}

#[test]
fn constraints_are_met_or_refused() {
    let space = |constraint: &str| {
        Space::parse(&json!({
            "hidden": {"type": "integer", "low": 1, "high": 256},
            "heads": {"type": "integer", "low": 1, "high": 16},
            "lr": {"type": "real", "low": 0, "high": 1}
        }))
        .unwrap()
        .with_constraints(vec![constraint.into()])
        .unwrap()
    };
    for name in ["random", "sobol", "halton"] {
        let history = run(&mut *make(name, &space("hidden % heads == 0"), 2), 30, |_| 0.0);
        assert_eq!(history.len(), 30);
        for past in history.iter() {
            let (hidden, heads) = (&past.params["hidden"], &past.params["heads"]);
            assert_eq!(hidden.as_i64().unwrap() % heads.as_i64().unwrap(), 0);
        }
        let error = make(name, &space("lr > 2"), 2).ask(&History::new()).unwrap_err().to_string();
        assert!(error.contains("none of 10000 draws"), "{error}");
    }
}

#[test]
fn random_search_refines_around_its_best() {
    let space = Space::parse(&json!({
        "x": {"type": "real", "low": 0, "high": 1},
        "k": ["a", "b", "c"]
    }))
    .unwrap();
    let own = settings(json!({"refine_after": [20, 40], "refine_top_k": 3}));
    let mut random = strategy("random", &setup(&space, &own, 1)).unwrap();
    let history = run(&mut *random, 60, |p| (p["x"].as_f64().unwrap() - 0.3).abs());
    let spread = |part: &[Past]| {
        let x = || part.iter().map(|past| past.params["x"].as_f64().unwrap());
        x().fold(0.0, f64::max) - x().fold(1.0, f64::min)
    };
    assert!(spread(&history[..20]) > 0.7);
    assert!(spread(&history[20..40]) < 0.3);
    assert!(spread(&history[40..]) < spread(&history[20..40]));
    let wrong = settings(json!({"refine_top_k": 3}));
    assert!(strategy("random", &setup(&space, &wrong, 1)).is_err());
}

#[test]
fn unknown_names_and_settings_are_refused_with_a_guess() {
    let refused = |name: &str, own: Value| {
        let error = strategy(name, &setup(&finite(), &settings(own), 0)).map(|_| ()).unwrap_err();
        format!("{error} {}", error.hint().unwrap())
    };
    assert!(refused("radnom", json!({})).contains("did you mean \"random\""));
    assert!(refused("simplex", json!({})).contains("random, grid"));
    assert!(refused("random", json!({"refine_afer": 3})).contains("did you mean \"refine_after\""));
    assert!(refused("halton", json!({"x": 3})).contains("it has no settings"));
    assert!(strategy("Random", &Setup::new(finite(), 0)).is_ok());
}

/// Proposals of saved searches: a change here changes every search people have.
#[test]
fn proposals_are_pinned() {
    let space = Space::parse(&json!({
        "lrate": {"type": "real", "low": 0.001, "high": 1, "prior": "log"},
        "units": {"type": "integer", "low": 1, "high": 100},
        "kernel": ["rbf", "poly"],
        "degree": {"type": "integer", "low": 2, "high": 5, "when": {"kernel": "poly"}}
    }))
    .unwrap();
    for (name, want) in [
        (
            "random",
            [
                (0.0010770670270738843, 82, Some(4)),
                (0.34730830242620836, 60, None),
                (0.0044751171590340965, 33, None),
            ],
        ),
        (
            "sobol",
            [
                (0.05233996268055082, 53, None),
                (0.0015369695843969412, 25, Some(4)),
                (0.03137277576628402, 92, None),
            ],
        ),
        (
            "halton",
            [
                (0.0010463405097393358, 51, Some(2)),
                (0.03308819218877897, 18, None),
                (0.005884005088471634, 84, Some(4)),
            ],
        ),
    ] {
        let history = run(&mut *make(name, &space, 42), 3, |_| 0.0);
        for (past, (lrate, units, degree)) in history.iter().zip(want) {
            let drawn = past.params["lrate"].as_f64().unwrap();
            // The last digit of an exponential is the system's.
            assert!((drawn / lrate - 1.0).abs() < 1e-12, "{name} {drawn}");
            assert_eq!(past.params["units"], units, "{name}");
            assert_eq!(past.params.get("degree").and_then(Value::as_u64), degree, "{name}");
        }
    }
}

proptest! {
    #[test]
    fn any_seed_and_number_is_inside(seed: u64, number in 0u64..60_000) {
        let space = every_kind();
        for name in ["random", "sobol", "halton"] {
            let history = History::new().until(number);
            let point = ask(&mut *make(name, &space, seed), &history).unwrap();
            prop_assert!(space.contains(&point));
            prop_assert_eq!(ask(&mut *make(name, &space, seed), &history).unwrap(), point);
        }
    }
}

#[test]
fn where_hardly_any_draw_meets_the_constraints_points_beside_those_that_do_are_taken() {
    let axis = json!({"type": "real", "low": 0, "high": 1});
    let space = Space::parse(&json!({"x": axis, "y": axis})).unwrap();
    let space = space.with_constraints(vec!["x < 0.00002".to_owned()]).unwrap();
    for name in ["random", "sobol", "tpe"] {
        let mut strategy = strategy(name, &Setup::new(space.clone(), 1)).unwrap();
        let known = json!({"x": 0.00001, "y": 0.5}).as_object().cloned().unwrap();
        let mut history = History::new();
        history.put(Past::new(0, known, PastState::Complete { values: vec![1.0] }));
        let mut seen = HashSet::new();
        for number in 1..20 {
            let Proposal::New { params, .. } = strategy.ask(&history).unwrap() else {
                panic!("{name}: no point");
            };
            assert!(space.allows(&params).unwrap() && seen.insert(params["x"].to_string()));
            history.put(Past::new(number, params, PastState::Complete { values: vec![1.0] }));
        }
    }
}

#[test]
fn constraints_that_leave_nothing_are_no_end_of_the_search() {
    let number = json!({"type": "real", "low": 0, "high": 1, "bins": 5});
    let with = |text: &str| {
        Space::parse(&json!({"x": number, "y": number}))
            .unwrap()
            .with_constraints(vec![text.into()])
            .unwrap()
    };
    let history = History::new();
    for (name, text, why) in [
        ("grid", "x > 2", "met by none of the 25 points of the grid"),
        ("coordinate", "x + y < 0.02", "none of the points that differ from the defaults in one"),
        ("random", "x > 2", "met by none of 10000 draws from the space"),
    ] {
        let error = make(name, &with(text), 0).ask(&history).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert!(error.hint().unwrap().starts_with("loosen the constraints"), "{name}");
    }
    // Once something was tried, the search is at its end.
    for name in ["grid", "coordinate"] {
        let history = run(&mut *make(name, &with("x == 0 and y == 0.5"), 0), 9, |_| 0.0);
        assert_eq!(history.len(), 1, "{name}");
    }
}
