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
    assert!(
        text.contains("another 20 ") && text.contains("go on: with fewer than 40 ended trials"),
        "{text}"
    );
    assert!(
        lab.mle(&["study", "best", "toy"])
            .ok()
            .starts_with(&format!("trial {}: loss ", best["number"]))
    );
    // Nobody's runs stand on a leaderboard: its trials are in the report, and the best one in lists.
    let report = lab.mle(&["report", "toy", "--format", "md"]).ok();
    let table = report.split("## The best trials").nth(1).unwrap();
    let rows: Vec<&str> = table.trim().lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 12, "{report}");
    assert!(rows[2].starts_with(&format!("| {} | ", best["number"])), "{report}");
    assert!(report.contains("search, 30 of 31 trials complete."), "{report}");
    lab.mle(&["report", "toy", "--format", "html", "--out", "toy.html"]).ok();
    assert!(lab.read("toy.html").contains("<h3>The best trials</h3>"));
    let value = best["values"][0].as_f64().unwrap();
    assert_eq!(lab.sql("s.db", "SELECT best FROM experiments"), [value.to_string()]);
    assert_eq!(json_of(&lab, &["protocol"])[0]["best"], json!(value));
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
    let said = lab.mle(&["study", "best", "two"]);
    let n = front.len();
    assert!(
        said.err.contains(&format!("one of {n} that no other beats in all objectives")),
        "{said:?}"
    );
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
    let cost = |x: f64, y: f64| vec![format!("cost={}", x + y)];
    search(&lab, "cost", &["--objective", "cost:min"], 1, cost);
    let said = lab.mle(&["study", "compare", "one", "cost"]);
    assert!(said.err.contains("different names (value, cost)"), "{said:?}");
    lab.mle(&["study", "warm-start", "two", "one"]).ok();
    let said = lab.mle(&["study", "compare", "one", "two"]);
    assert!(said.err.contains("10 trials of \"two\" came from other studies"), "{said:?}");
    lab.mle(&["study", "compare", "one", "up"])
        .fails(2, "is to be maximised, that of \"one\" is not");
    lab.mle(&["study", "best", "nobody"]).fails(3, "there is no study \"nobody\"");
    lab.mle(&["study", "new", "empty", "--space", SPACE]).ok();
    lab.mle(&["study", "best", "empty"]).fails(1, "no trial has a value yet");
    lab.mle(&["study", "advice", "empty"]).fails(1, "it takes 8 ended trials");
    let empty: Value = parse(&lab.mle(&["study", "pareto", "empty", "--json"]).ok());
    assert_eq!(empty["front"], json!([]));
}

#[test]
fn a_search_with_jobs_starts_from_another_study_and_from_points_of_its_spec() {
    let lab = Lab::new();
    lab.write(
        "train.py",
        "import os, sys, time\ntime.sleep(0.6 * os.path.exists('slow'))\n\
         print('::mle {\"loss\": %r}' % abs(float(sys.argv[1]) - 0.7))\n",
    );
    let spec = |name: &str, more: &str| {
        let text = format!(
            "name: {name}\ncommand: python3 train.py {{x}}\nmetric: loss\nworkers: 1\nsearch:\n  strategy: tpe\n  \
             trials: 6\n  space: {{x: {{type: real, low: 0.0, high: 1.0}}}}\n{more}"
        );
        lab.write("s.yaml", text);
    };
    let run = |more: &[&str]| lab.mle(&[&["run", "s.yaml", "--db", "s.db"], more].concat());
    spec("first", "");
    run(&[]).ok();
    let both = "  points: [{x: 0.25}, {x: 0.5}]\n  warm_start: first\n";
    spec("second", both);
    let plan = run(&["--dry-run"]);
    assert!(plan.err.contains("it knows 6 of 6 trials of first"), "{}", plan.err);
    assert!(plan.ok().contains("first: {\"x\":0.25}"));
    let elsewhere = lab.mle(&["run", "s.yaml"]);
    let said =
        elsewhere.fails(2, "search.warm_start: second.db is not there, and so no study \"first\"");
    assert!(said.contains("here are s.db"), "{said}");
    assert!(!lab.path("second.db").exists());
    let slow = lab.write("slow", "");
    let went = run(&[]);
    assert!(went.err.contains("/6 runs"), "the points are among the six: {}", went.err);
    assert!(!went.err.contains("/4 runs"), "the points are among the six: {}", went.err);
    went.ok();
    std::fs::remove_file(slow).unwrap();
    let of = |what: &str, name: &str| {
        lab.sql("s.db", &format!("SELECT {what} FROM trials WHERE experiment = '{name}'"))[0]
            .clone()
    };
    // Six it knew, two of the spec, and four of its own; only those that were tried have runs.
    assert_eq!(of("count(*), sum(state = 'complete'), sum(source = 'added')", "second"), "12|12|8");
    let runs = "SELECT count(*) FROM runs WHERE experiment = 'second'";
    assert_eq!(lab.sql("s.db", runs), ["6"]);
    let known = "group_concat(json_extract(\"values\", '$[0]') ORDER BY number)";
    assert!(of(known, "second").starts_with(&of(known, "first")), "it begins with what is known");
    let first = "SELECT value FROM runs WHERE experiment = 'second' ORDER BY id LIMIT 2";
    assert_eq!(lab.sql("s.db", first), ["0.44999999999999996", "0.19999999999999996"]);
    lab.mle(&["study", "replay", "second", "--db", "s.db"]).ok();
    // What it did not propose says where it is from; the leaderboard, which has runs alone, says that there are others.
    let top = lab.mle(&["study", "top", "second", "--top", "12"]).ok();
    assert_eq!(top.matches(" of first ").count(), 6, "{top}");
    assert_eq!(top.matches(" spec ").count(), 2, "{top}");
    let board = lab.mle(&["leaderboard", "second"]).err;
    assert!(board.contains("6 trials that came with a value have no run"), "{board}");
    assert!(!lab.mle(&["leaderboard", "first"]).err.contains("no run"));
    assert!(!lab.mle(&["study", "top", "first"]).ok().contains("from"));
    // What does not fit is said before anything runs.
    spec("third", "  points: [{x: 3}]\n");
    run(&[]).fails(2, "search.points[0]: parameter x 3 is not in 0 to 1");
    spec("third", "  points: {x: 0.5}\n");
    run(&[]).fails(2, "search.points: must be a list of points");
    spec("third", &format!("  points: [{}]\n", ["{x: 0}"; 6].join(", ")));
    run(&[]).fails(2, "search.points: 6 of them, and only 6 `trials` in all");
    spec("third", "  warm_start: [first, nobody]\n");
    run(&[]).fails(2, "search.warm_start: study \"nobody\": is not in s.db");
    run(&["--dry-run"]).fails(2, "study \"nobody\": is not in s.db");
    // Trials that came from elsewhere are those, whichever way they are taken; ids are written as numbers too.
    spec("third", "  warm_start: [2, 1]\n");
    lab.write("s.yaml", lab.read("s.yaml").replace("high: 1.0", "high: 0.9"));
    run(&["--enqueue"]).ok();
    let known = lab.mle(&["run", "--resume", "--db", "s.db"]);
    known.ok();
    let twice = "SELECT count(*) - count(DISTINCT params) FROM trials WHERE experiment = 'third' AND source = 'added'";
    assert_eq!(lab.sql("s.db", twice), ["0"]);
    spec("fourth", "  warm_start: first\n  epochs: 9\n");
    lab.write("s.yaml", lab.read("s.yaml").replace("tpe", "asha"));
    run(&[]).fails(2, "search.warm_start: `asha` would train the trials of another search on");
    spec("fourth", "  points: [{x: 0}, {x: 1}]\n  epochs: 9\n  epoch_budget: 18\n");
    lab.write("s.yaml", lab.read("s.yaml").replace("tpe", "asha"));
    run(&[]).fails(2, "search.points: 2 of them train 18 epochs, and `epoch_budget` is 18");
    spec("fourth", "  constraints: x > 2\n");
    run(&[]).fails(2, "constraints met by none of 10000 draws");
    spec("third", "  warm_start: first\n  points: []\n");
    lab.write(
        "s.yaml",
        lab.read("s.yaml").replace("metric: loss", "metric: {name: loss, goal: max}"),
    );
    run(&[]).fails(2, "objectives of another number or direction");
    assert_eq!(lab.sql("s.db", "SELECT count(*) FROM experiments"), ["3"], "nothing half-made");
}

#[test]
fn infinities_stand_on_the_front_and_in_the_report() {
    let lab = Lab::new();
    let space = r#"{"x": {"type": "real", "low": 0, "high": 1}}"#;
    let new =
        ["study", "new", "ends", "--space", space, "--objective", "loss", "--objective", "size"];
    lab.mle(&[&new[..], &["--db", "s.db"]].concat()).ok();
    for (x, loss, size) in [
        ("0.1", "-inf", "5"),
        ("0.2", "1", "inf"),
        ("0.3", "2", "1"),
        ("0.4", "nan", "0"),
        ("0.5", "3", "1"),
    ] {
        let point = format!("x={x}");
        lab.mle(&["study", "add", "ends", &point, "--value", loss, "--value", size]).ok();
    }
    // No other is below -inf, nor below 1 of size; 1 with inf is beaten by -inf with 5, and what has NaN has no place.
    let front = json_of(&lab, &["study", "pareto", "ends"]);
    let numbers: Vec<i64> = front["front"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["number"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, [0, 2]);
    assert_eq!(lab.sql("s.db", "SELECT number FROM pareto ORDER BY number"), ["0", "2"]);
    let report = lab.mle(&["report", "ends", "--format", "md"]).ok();
    assert!(report.contains("| 0 | -inf | 5 | x=0.1 |"), "{report}");
    assert!(report.contains("| 2 | 2 | 1 | x=0.3 |"), "{report}");
    lab.mle(&["report", "ends", "--format", "html", "--out", "ends.html"]).ok();
    let page = lab.read("ends.html");
    assert!(page.contains("-inf") && !page.contains("NaN\""), "no place on an axis is no number");
}

#[test]
fn of_several_objectives_the_front_is_shown() {
    let lab = Lab::new();
    lab.write(
        "train.py",
        "import sys\nx = float(sys.argv[1])\nprint('::mle {\"loss\": %r, \"size\": %r}' % ((x - 1) ** 2, x))\n",
    );
    lab.write(
        "mo.yaml",
        "name: mo\ncommand: python3 train.py {x}\nmetric: [loss, size]\nworkers: 1\nsearch:\n  strategy: grid\n  \
         space: {x: {type: real, low: 0.0, high: 2.0, bins: 5}}\n",
    );
    lab.mle(&["run", "mo.yaml"]).ok();
    let board = lab.mle(&["leaderboard", "mo"]);
    assert!(
        board.err.contains("by loss alone; `") && board.err.contains("study pareto 1 --db mo.db`"),
        "{}",
        board.err
    );
    assert!(board.err.contains("no other beats in loss and size"), "{}", board.err);
    // Above 1 both get worse.
    let report = lab.mle(&["report", "mo", "--format", "md"]).ok();
    let table = report.split("## Trials that no other beats in all objectives").nth(1).unwrap();
    let rows: Vec<&str> = table.trim().lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows[0], "| trial | loss (min) | size (min) | parameters |");
    assert_eq!(rows.len(), 5, "{report}");
    assert!(
        rows[2].ends_with("| 0 | 1 | x=1 |") && rows[4].ends_with("| 1 | 0 | x=0 |"),
        "{rows:?}"
    );
    lab.mle(&["report", "mo", "--format", "html", "--out", "mo.html"]).ok();
    let page = lab.read("mo.html");
    assert!(page.contains("Trials that no other beats in all objectives"));
    assert!(page.contains("loss against size; the line joins trials no other beats in both"));
    // Whoever asks by hand where jobs do the trials is told whose they are.
    lab.mle(&["study", "add", "mo", "x=0.5"]).ok();
    let asked = lab.mle(&["ask", "mo"]);
    assert!(asked.err.contains("they wait for `mle tell mo NUMBER"), "{}", asked.err);
}
