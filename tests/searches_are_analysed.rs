//! What a search found out is said in tables, in JSON, and in plain SQL.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::studies_by_hand::{json_of, parse};

const SPACE: &str = r#"{"x": {"type": "real", "low": -1, "high": 1}, "y": {"type": "real", "low": -1, "high": 1}, "idle": ["a", "b"]}"#;

/// Asks and tells: `value` makes the objectives of x and y.
fn search(
    lab: &Lab,
    name: &str,
    more: &[&str],
    rounds: usize,
    value: impl Fn(f64, f64) -> Vec<String>,
) {
    lab.mle(
        &[&["study", "new", name, "--space", SPACE, "--strategy", "random", "--db", "s.db"], more]
            .concat(),
    )
    .ok();
    for _ in 0..rounds {
        for trial in json_of(lab, &["ask", name, "-n", "10"])["trials"].as_array().unwrap() {
            let at = |key: &str| trial["params"][key].as_f64().unwrap();
            let number = trial["number"].to_string();
            let values = value(at("x"), at("y"));
            let mut args = vec!["tell", name, &number];
            args.extend(values.iter().map(String::as_str));
            lab.mle(&args).ok();
        }
    }
}

#[test]
fn one_objective() {
    let lab = Lab::new();
    search(&lab, "toy", &["--objective", "loss:min"], 3, |x, y| {
        vec![format!("loss={}", x * x + 0.01 * y)]
    });
    lab.mle(&["ask", "toy"]).ok();
    let best = json_of(&lab, &["study", "best", "toy"]);
    let ranked = "SELECT number FROM ranking WHERE experiment = 'toy' ORDER BY place LIMIT 3";
    let top = json_of(&lab, &["study", "top", "toy", "-k", "3"]);
    let numbers: Vec<String> =
        top.as_array().unwrap().iter().map(|row| row["number"].to_string()).collect();
    assert_eq!((best["number"].to_string(), numbers.len()), (numbers[0].clone(), 3));
    assert_eq!(lab.sql("s.db", ranked), numbers);
    let all = json_of(&lab, &["study", "history", "toy", "--all"]);
    let mine: Vec<String> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{}|{}", row["ended"], row["number"]))
        .collect();
    assert_eq!(lab.sql("s.db", "SELECT ended, number FROM best_so_far ORDER BY ended"), mine);
    let last = "SELECT best = (SELECT min(value) FROM trials) FROM best_so_far ORDER BY ended DESC LIMIT 1";
    assert_eq!((all.as_array().unwrap().len(), lab.sql("s.db", last)), (30, vec!["1".to_owned()]));
    let better = json_of(&lab, &["study", "history", "toy"]);
    assert!(better.as_array().unwrap().len() < 15);
    let found = json_of(&lab, &["study", "importance", "toy"]);
    assert_eq!((&found["params"][0]["name"], &found["trials"]), (&json!("x"), &json!(30)));
    let text = lab.mle(&["study", "importance", "toy"]).ok();
    assert!(text.lines().nth(2).unwrap().trim().starts_with("x "), "{text}");
    let slices = json_of(&lab, &["study", "slice", "toy"]);
    let xs: Vec<f64> = slices[0]["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point["x"].as_f64().unwrap())
        .collect();
    assert!(xs.len() == 30 && xs.is_sorted());
    let parallel = json_of(&lab, &["study", "parallel", "toy"]);
    assert_eq!(
        (parallel["axes"].as_array().unwrap().len(), parallel["lines"].as_array().unwrap().len()),
        (3, 30)
    );
    let advice = json_of(&lab, &["study", "advice", "toy", "--more", "30"]);
    assert!(advice["chance"].as_f64().unwrap() > 0.0 && advice["stop"].is_boolean(), "{advice}");
    let text = lab.mle(&["study", "advice", "toy"]).ok();
    assert!(text.contains("another 20 ") && text.contains(" % of the distance "), "{text}");
    assert!(
        lab.mle(&["study", "best", "toy"])
            .ok()
            .starts_with(&format!("trial {}: loss ", best["number"]))
    );
    lab.mle(&["study", "history", "toy", "--objective", "gain"])
        .fails(2, "\"gain\" is no objective");
    // A refined space says which trials still count.
    lab.mle(&["study", "refine", "toy", "-k", "2"]).ok();
    lab.mle(&["study", "importance", "toy"]).fails(1, "it takes 4 trials");
}

#[test]
fn several_objectives_have_a_front() {
    let lab = Lab::new();
    let value = |x: f64, y: f64| vec![format!("loss={}", x + 1.0), format!("gain={}", x + 0.5 * y)];
    search(&lab, "two", &["--objective", "loss:min", "--objective", "gain:max"], 2, value);
    let pareto = json_of(&lab, &["study", "pareto", "two", "--reference", "3,-2"]);
    let mut front: Vec<i64> = pareto["front"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["number"].as_i64().unwrap())
        .collect();
    front.sort_unstable();
    let numbers: Vec<String> = front.iter().map(i64::to_string).collect();
    assert_eq!(lab.sql("s.db", "SELECT number FROM pareto WHERE experiment = 'two'"), numbers);
    assert!(pareto["hypervolume"].as_f64().unwrap() > 2.0);
    lab.mle(&["study", "pareto", "two", "--reference", "3"])
        .fails(2, "1 numbers, the study has 2 objectives");
    let text = lab.mle(&["study", "pareto", "two"]).ok();
    assert!(text.contains("hypervolume "), "{text}");
    let first = json_of(&lab, &["study", "top", "two", "-k", "1"]);
    assert!(front.contains(&first[0]["number"].as_i64().unwrap()));
}

#[test]
fn studies_are_compared() {
    let lab = Lab::new();
    let value = |x: f64, y: f64| vec![format!("value={}", x * x + y * y)];
    search(&lab, "one", &["--seed", "1"], 1, value);
    search(&lab, "two", &["--seed", "2"], 2, value);
    search(&lab, "up", &["--objective", "value:max"], 1, value);
    let found = json_of(&lab, &["study", "compare", "one", "two"]);
    let course = |at: usize| found["studies"][at]["regret"].as_array().unwrap().clone();
    assert_eq!((course(0).len(), course(1).len()), (10, 20));
    let last = [course(0)[9].as_f64().unwrap(), course(1)[19].as_f64().unwrap()];
    assert!(last.contains(&0.0), "{last:?}");
    assert_eq!(found["studies"][0]["shares"].as_array().unwrap().last(), Some(&json!(1.0)));
    let text = lab.mle(&["study", "compare", "one", "two"]).ok();
    assert!(text.contains("after 10"), "{text}");
    lab.mle(&["study", "compare", "one", "up"])
        .fails(2, "is to be maximised, that of \"one\" is not");
    lab.mle(&["study", "best", "nobody"]).fails(3, "there is no study \"nobody\"");
    lab.mle(&["study", "new", "empty", "--space", SPACE]).ok();
    lab.mle(&["study", "best", "empty"]).fails(1, "no trial has a value yet");
    lab.mle(&["study", "advice", "empty"]).fails(1, "it takes 8 ended trials");
    let empty: Value = parse(&lab.mle(&["study", "pareto", "empty", "--json"]).ok());
    assert_eq!(empty["front"], json!([]));
}
