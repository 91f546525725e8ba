//! Spaces: reading, refusing, counting, and the way to the unit cube and back.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{every_kind, finite, settings};
use crate::search::domain::Domain;
use crate::search::engine::Engine;
use crate::search::space::{Space, nest};
use crate::search::strategy::Setup;

fn refusal(space: Value) -> String {
    let error = Space::parse(&space).unwrap_err();
    format!("{error} {}", error.hint().unwrap_or_default())
}

#[test]
fn a_space_survives_json() {
    let space = every_kind();
    let again = Space::parse(&space.to_json()).unwrap();
    assert_eq!(again.params(), space.params());
    let open = Space::parse(&json!({
        "n": {"type": "real", "prior": "normal", "mean": 1, "std": 2},
        "m": {"type": "real", "prior": "lognormal", "mean": 0, "std": 1, "low": 0.1},
        "k": {"type": "integer", "low": 0, "high": 9, "step": 3, "bins": 2}
    }))
    .unwrap();
    assert_eq!(Space::parse(&open.to_json()).unwrap().params(), open.params());
}

#[test]
fn rows_for_people() {
    let rows = every_kind().describe();
    let text: Vec<String> =
        rows.iter().map(|row| format!("{} | {} | {}", row.name, row.kind, row.range)).collect();
    assert_eq!(
        text,
        [
            "lrate | real | 1e-5 to 0.1, log",
            "momentum | real | 0 to 0.99",
            "dropout | real | 0 to 0.5, step 0.1",
            "hidden | integer | 8 to 512, log",
            "layers | integer | 1 to 4",
            "batch | ordinal | 16, 32, 64",
            "opt | categorical | sgd, adam",
            "nesterov | boolean | false, true; when opt = sgd",
            "damp | real | 0 to 1; when nesterov = false",
            "beta | real | 0.8 to 0.999, normal 0.8995 ± 0.04975; when opt = adam",
            "net/name | fixed | mlp",
        ]
    );
}

#[test]
fn the_peer_and_the_neutral_language() {
    let peer = Space::parse(&json!({
        "real": {"lrate": {"begin": "1e-4", "end": 0.5, "prior": "log-uniform"}},
        "integer": {"batch": {"begin": 1, "end": 5, "bins": 3}},
        "categorical": {"arch": ["mlp", "cnn"], "data": "mnist"}
    }))
    .unwrap();
    let own = Space::parse(&json!({
        "arch": ["mlp", "cnn"],
        "data": ["mnist"],
        "lrate": {"type": "real", "low": 1e-4, "high": 0.5, "prior": "log"},
        "batch": {"type": "integer", "low": 1, "high": 5, "bins": 3}
    }))
    .unwrap();
    assert_eq!(peer.params(), own.params());
    let neutral = Space::parse(&json!({
        "params": [
            {"name": "kernel", "type": "categorical", "choices": ["rbf", "poly", "linear"]},
            {"name": "gamma", "type": "real", "low": 0.1, "high": 1, "prior": "log"}
        ],
        "conditions": [{"param": "gamma", "when": {"kernel": ["rbf", "poly"]}}]
    }))
    .unwrap();
    assert_eq!(neutral.params()[1].when, [("kernel".into(), vec![json!("rbf"), json!("poly")])]);
    let named_like_a_kind = json!({"real": {"type": "real", "low": 0, "high": 1}});
    assert_eq!(Space::parse(&named_like_a_kind).unwrap().params()[0].name, "real");
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    for (entry, reason) in [
        (json!({"low": 0, "high": 1}), "parameter x: has no type"),
        (json!({"type": "rael", "low": 0, "high": 1}), "did you mean \"real\""),
        (json!({"type": "real", "low": 2, "high": 1}), "low 2 is above high 1"),
        (json!({"type": "real", "low": 0, "high": 1, "prior": "log"}), "low 0 has no logarithm"),
        (json!({"type": "real", "low": 0}), "has no high"),
        (json!({"type": "real", "low": "a", "high": 1}), "low \"a\" is not a number"),
        (json!({"type": "real", "low": 0, "high": 1, "pior": "log"}), "did you mean \"prior\""),
        (json!({"type": "real", "low": 0, "high": 1, "prior": "lgo"}), "did you mean \"log\""),
        (json!({"type": "real", "low": 0, "high": 1, "step": 0}), "step 0 does not lead"),
        (json!({"type": "real", "low": 0, "high": 1, "bins": 0}), "bins 0"),
        (json!({"type": "real", "low": 0, "high": 1, "mean": 0}), "mean and std mean nothing"),
        (json!({"type": "real", "prior": "normal"}), "without both bounds needs mean"),
        (json!({"type": "real", "prior": "normal", "mean": 0, "std": -1}), "do not make"),
        (
            json!({"type": "real", "prior": "normal", "mean": 0, "std": 1, "low": 20}),
            "more than 8 deviations",
        ),
        (json!({"type": "integer", "low": 0.5, "high": 3}), "0.5 is not a whole number"),
        (json!({"type": "integer", "low": 0, "high": 1e300}), "2^53"),
        (json!({"type": "real", "low": 1e300, "high": 1e-9}), "low 1e300 is above high 1e-9"),
        (json!({"type": "integer", "low": 0, "high": 9007199254740993i64}), "only below 2^53"),
        (json!({"type": "integer", "low": -9007199254740992i64, "high": 0}), "only below 2^53"),
        (
            json!({"type": "integer", "low": -9007199254740990i64, "high": 9007199254740990i64, "step": 3}),
            "over less than 2^53",
        ),
        (json!({"type": "real", "low": 0, "high": ".inf"}), "high is infinite, or beyond"),
        (json!({"type": "real", "low": "-inf", "high": 0}), "low is infinite, or beyond"),
        (json!({"type": "integer", "prior": "normal", "mean": 0, "std": 1}), "has no low"),
        (json!({"type": "categorical", "choices": []}), "has no choices"),
        (json!([1, 2, 1.0]), "has the choice 1.0 twice"),
        (json!({"type": "boolean", "choices": [1]}), "neither true nor false"),
        (json!({"lr": {"type": "real"}}), "written \"x/lr\""),
        (json!({"type": "boolean", "when": {"y": 1}}), "depends on \"y\", which is not there"),
        (json!({"type": "boolean", "when": {"x": true}}), "depends on itself"),
    ] {
        let found = refusal(json!({"x": entry}));
        assert!(found.contains(reason), "{found}");
        assert!(found.contains('x'), "{found}");
    }
    let circle = json!({
        "a": {"type": "boolean", "when": {"b": true}},
        "b": {"type": "boolean", "when": {"a": true}}
    });
    assert!(refusal(circle).contains("circle"));
    let stranger = json!({"a": ["p", "q"], "b": {"type": "boolean", "when": {"a": "r"}}});
    assert!(refusal(stranger).contains("depends on a = \"r\", which is not in p, q"));
    let on_real = json!({
        "a": {"type": "real", "low": 0, "high": 1},
        "b": {"type": "boolean", "when": {"a": 0.5}}
    });
    assert!(refusal(on_real).contains("a real"));
    assert!(refusal(json!({"a": [1], "a/b": [1]})).contains("lies inside \"a\""));
    assert!(refusal(json!({"a//b": [1]})).contains("empty name"));
    // Of a study whose parameters another program names; our own strategies refuse it.
    let nothing = Space::parse(&json!({})).unwrap();
    let setup = crate::search::strategy::Setup::new(nothing, 1);
    assert!(crate::search::strategy::strategy("random", &setup).is_err());
    assert!(refusal(json!([1])).contains("not a mapping"));
}

#[test]
fn points_are_checked() {
    let space = finite();
    let refused = |point: Value| space.check(&settings(point)).unwrap_err().to_string();
    assert!(space.contains(&settings(json!({"a": 1, "b": "x", "c": true}))));
    assert!(space.contains(&settings(json!({"a": 3.0, "b": "y"}))));
    assert!(refused(json!({"a": 1, "b": "x"})).contains("c: has no value"));
    assert!(refused(json!({"a": 1, "b": "y", "c": true})).contains("when b = x"));
    assert!(refused(json!({"a": 4, "b": "y"})).contains("4 is not in 1 to 3"));
    assert!(refused(json!({"a": 1.5, "b": "y"})).contains("1.5 is not a whole number in 1 to 3"));
    assert!(refused(json!({"a": 1, "b": "y", "d": 1})).contains("d: is not a parameter"));
    let bound = finite().with_constraints(vec!["a < 3 or b == 'x'".into()]).unwrap();
    assert!(!bound.contains(&settings(json!({"a": 3, "b": "y"}))));
    assert!(finite().with_constraints(vec!["b < 3".into()]).is_err());
}

#[test]
fn sizes_of_finite_spaces() {
    assert_eq!(finite().size(), Some(3 * (2 + 1)));
    assert_eq!(every_kind().size(), None);
    let deep = Space::parse(&json!({
        "a": ["p", "q", "r"],
        "b": {"type": "integer", "low": 1, "high": 100, "when": {"a": ["p", "q"]}},
        "c": {"type": "boolean", "when": {"b": [7, 9], "a": "p"}},
        "d": {"type": "boolean", "when": {"c": true}},
        "e": {"type": "integer", "low": 0, "high": 1_000_000_000}
    }))
    .unwrap();
    // a=r: 1; a=q: 100; a=p: 98 + 2·(1 + 2).
    assert_eq!(deep.size(), Some((1 + 100 + 98 + 2 * 3) * 1_000_000_001));
    let many: Map<String, Value> =
        (0..40).map(|i| (format!("p{i}"), json!({"type": "boolean"}))).collect();
    assert_eq!(Space::parse(&Value::Object(many)).unwrap().size(), Some(1 << 40));
}

#[test]
fn a_chain_of_conditions_is_counted_without_trying_all() {
    let mut chain = Map::new();
    chain.insert("p0".into(), json!({"type": "boolean"}));
    for i in 1..60 {
        chain.insert(
            format!("p{i}"),
            json!({"type": "boolean", "when": {format!("p{}", i - 1): true}}),
        );
    }
    assert_eq!(Space::parse(&Value::Object(chain)).unwrap().size(), Some(61));
}

#[test]
fn steps_have_the_decimals_they_were_given() {
    let space =
        Space::parse(&json!({"x": {"type": "real", "low": 0.1, "high": 1.05, "step": 0.1}}))
            .unwrap();
    let domain = &space.params()[0].domain;
    let values: Vec<Value> = (0..domain.count().unwrap()).map(|k| domain.value_at(k)).collect();
    assert_eq!(json!(values), json!([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]));
}

#[test]
fn whole_numbers_have_equal_cells_and_the_log_ones_their_ends() {
    let draw = |entry: Value| {
        let space = Space::parse(&json!({"x": entry})).unwrap();
        let mut counts = [0u32; 6];
        for i in 0..6000 {
            let u = (f64::from(i) + 0.5) / 6000.0;
            counts[space.params()[0].domain.at_unit(u).as_u64().unwrap() as usize] += 1;
        }
        counts
    };
    assert_eq!(
        draw(json!({"type": "integer", "low": 1, "high": 5})),
        [0, 1200, 1200, 1200, 1200, 1200]
    );
    let log = draw(json!({"type": "integer", "low": 1, "high": 5, "prior": "log"}));
    assert!(
        log[1] > log[2] && log[2] > log[3] && log[3] > log[4] && log[4] > log[5] && log[5] > 400
    );
}

#[test]
fn nested_names_become_objects() {
    let point = settings(json!({"opt/lr": 0.1, "seed": 1, "opt/sub/eps": 2, "net/name": "mlp"}));
    let nested = json!({"opt": {"lr": 0.1, "sub": {"eps": 2}}, "seed": 1, "net": {"name": "mlp"}});
    assert_eq!(Value::Object(nest(&point)), nested);
}

#[test]
fn a_space_shrinks_around_points() {
    let space = every_kind();
    let (one, two) = (space.decode(&[0.2; 10]), space.decode(&[0.6; 10]));
    let narrow = space.narrowed(&[&one, &two]);
    assert!(narrow.contains(&one) && narrow.contains(&two));
    for i in 0..=10 {
        let point = narrow.decode(&[f64::from(i) / 10.0; 10]);
        assert!(space.contains(&point), "{point:?}");
    }
    assert!(!narrow.contains(&space.decode(&[0.9; 10])));
}

fn domains() -> Vec<Domain> {
    let space = json!({
        "a": {"type": "real", "low": -3.7, "high": 1e9},
        "b": {"type": "real", "low": 1e-300, "high": 1e300, "prior": "log"},
        "c": {"type": "real", "low": -1.7e308, "high": 1.7e308},
        "d": {"type": "real", "low": 0.1, "high": 0.9, "step": 0.07},
        "e": {"type": "integer", "low": -5, "high": 12},
        "f": {"type": "integer", "low": 1, "high": 1000, "prior": "log"},
        "g": {"type": "integer", "low": 3, "high": 90, "step": 7, "prior": "log"},
        "h": {"type": "real", "low": -1, "high": 4, "prior": "normal", "mean": 0, "std": 1},
        "i": {"type": "real", "prior": "normal", "mean": 5, "std": 0.1},
        "j": {"type": "real", "prior": "lognormal", "mean": -3, "std": 2},
        "k": {"type": "integer", "low": 0, "high": 20, "prior": "normal"},
        "l": {"type": "ordinal", "choices": [1, 2, 4, 8]},
        "m": {"type": "boolean"},
        "n": {"type": "real", "low": 2.5, "high": 2.5},
        "o": {"type": "integer", "low": -9007199254740991i64, "high": 9007199254740991i64},
        "p": {"type": "real", "low": 5, "high": 500, "prior": "log", "step": 0.5},
        "q": {"type": "real", "low": 1, "high": 10, "prior": "lognormal"}
    });
    Space::parse(&space).unwrap().params().iter().map(|param| param.domain.clone()).collect()
}

#[test]
fn whole_numbers_are_shown_whole() {
    let axis = json!({"type": "integer", "low": -12_345_678, "high": 9_007_199_254_740_991i64});
    let space = Space::parse(&json!({"n": axis})).unwrap();
    assert_eq!(space.describe()[0].range, "-12345678 to 9007199254740991");
}

#[test]
fn a_range_of_one_value_has_it_everywhere() {
    for value in [1e-300, 0.5, 3.0, 1e300] {
        for prior in ["uniform", "log"] {
            let axis = json!({"type": "real", "low": value, "high": value, "prior": prior});
            let space = Space::parse(&json!({"x": axis, "y": [1, 2]})).unwrap();
            for place in [0.0, 0.3, 1.0] {
                let point = space.decode(&[place, 0.1]);
                assert_eq!(point["x"].as_f64(), Some(value), "{prior}");
                assert_eq!(space.encode(&point)[0], Some(0.5), "{prior} {value}");
            }
        }
    }
}

#[test]
fn ends_that_rounding_does_not_tell_apart_are_no_panic() {
    let axis = json!({"type": "integer", "low": 9e15, "high": 9e15 + 2.0, "prior": "log"});
    let space = Space::parse(&json!({"x": axis, "y": [1, 2]})).unwrap();
    for name in ["tpe", "smbo", "gp", "cmaes"] {
        let mut engine = Engine::new(name, Setup::new(space.clone(), 1)).unwrap();
        let asked = engine.ask().unwrap().unwrap();
        assert!(space.check(&asked.params).is_ok(), "{name}");
    }
}

#[test]
fn the_ends_of_the_cube_are_the_ends_of_the_range() {
    for domain in domains() {
        if let Domain::Numeric(numeric) = &domain {
            let ends = [domain.at_unit(0.0), domain.at_unit(1.0)];
            let last =
                numeric.count().map_or(numeric.high, |n| domain.value_at(n - 1).as_f64().unwrap());
            if numeric.low.is_finite() && numeric.low != 0.0 {
                assert_eq!(ends[0].as_f64(), Some(numeric.low), "{domain:?}");
            }
            if numeric.high.is_finite() {
                assert_eq!(ends[1].as_f64(), Some(last), "{domain:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn every_place_has_a_value_and_every_value_its_place(u in 0.0f64..=1.0) {
        for domain in domains() {
            let value = domain.at_unit(u);
            prop_assert!(domain.contains(&value), "{:?} {}", domain, value);
            let place = domain.unit_of(&value).unwrap();
            prop_assert!((0.0..=1.0).contains(&place));
            match domain.count() {
                Some(count) if count > 1 << 50 => {}
                Some(_) => prop_assert_eq!(domain.at_unit(place), value),
                None => prop_assert!((place - u).abs() < 1e-9, "{:?} {} {}", domain, u, place),
            }
        }
    }

    #[test]
    fn every_countable_value_has_its_number(index in 0u64..10_000) {
        for domain in domains() {
            if let Some(count) = domain.count().filter(|count| *count < 1 << 40) {
                let value = domain.value_at(index % count);
                prop_assert_eq!(domain.index_of(&value), Some(index % count));
                prop_assert_eq!(domain.at_unit(domain.unit_of(&value).unwrap()), value);
            }
        }
    }

    #[test]
    fn the_cube_maps_into_the_space_and_back(unit in prop::collection::vec(0.0f64..=1.0, 10)) {
        let space = every_kind();
        let point = space.decode(&unit);
        prop_assert!(space.contains(&point), "{:?}", space.check(&point));
        let places: Vec<f64> = space.encode(&point).iter().map(|u| u.unwrap_or(0.5)).collect();
        prop_assert_eq!(space.key(&space.decode(&places)).len(), space.key(&point).len());
        prop_assert_eq!(space.only_active(&point), point);
    }

    #[test]
    fn any_text_is_a_constraint_or_an_error(text in "[a-c0-9 .+*/%<>=()!'a-z-]{0,40}") {
        let _ = finite().with_constraints(vec![text]);
    }
}

#[test]
fn a_finite_space_that_no_point_of_meets_the_constraints_is_refused() {
    let space = || Space::parse(&json!({"x": [1, 2], "y": [1, 2, 3]})).unwrap();
    let error = space().with_constraints(vec!["x + y > 5".into()]).unwrap_err();
    assert_eq!(error.to_string(), "constraints: none of the 6 points of the space meets them all");
    assert!(space().with_constraints(vec!["x + y > 4".into()]).is_ok());
}

#[test]
fn trials_from_before_a_parameter_count_as_having_a_value_of_it() {
    let space = Space::parse(&json!({
        "wd": {"type": "real", "low": 0, "high": 1, "missing": 0},
        "lr": {"type": "real", "low": 0, "high": 1},
        "opt": {"type": "categorical", "choices": ["sgd", "adam"], "missing": "sgd"},
        "momentum": {"type": "real", "low": 0, "high": 1, "when": {"opt": "sgd"}, "missing": 0.9},
        "beta": {"type": "real", "low": 0, "high": 1, "when": {"opt": "adam"}, "missing": 0.5}
    }))
    .unwrap();
    assert_eq!(Space::parse(&space.to_json()).unwrap().to_json(), space.to_json());
    let old = settings(json!({"lr": 0.25}));
    let whole = space.completed(&old).unwrap();
    assert_eq!(json!(whole).to_string(), r#"{"wd":0.0,"lr":0.25,"opt":"sgd","momentum":0.9}"#);
    assert!(space.contains_completed(&old) && !space.contains(&old));
    let adam = settings(json!({"lr": 0.25, "opt": "adam", "stranger": 1}));
    let whole = space.completed(&adam).unwrap();
    assert_eq!(
        json!(whole).to_string(),
        r#"{"wd":0.0,"lr":0.25,"opt":"adam","beta":0.5,"stranger":1}"#
    );
    // Where the space no longer has it, nobody counts as having it.
    let narrow = space.narrowed(&[
        &settings(json!({"wd": 0.5, "lr": 0.5})),
        &settings(json!({"wd": 0.7, "lr": 0.6})),
    ]);
    assert_eq!(narrow.param("wd").unwrap().missing, None);
    let bad = Space::parse(&json!({"wd": {"type": "real", "low": 0, "high": 1, "missing": 2}}));
    assert!(bad.unwrap_err().to_string().contains("where it is missing, 2, is not in"));
}
