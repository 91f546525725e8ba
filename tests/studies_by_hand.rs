//! A search that any program asks and tells, through the file and nothing else.

use serde_json::{Value, json};

use crate::lab::Lab;

const SPACE: &str = r#"{"lr": {"type": "real", "low": 0.001, "high": 1, "prior": "log"}, "layers": {"type": "integer", "low": 1, "high": 6}, "act": ["relu", "tanh"]}"#;

pub fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub fn json_of(lab: &Lab, args: &[&str]) -> Value {
    parse(&lab.mle(&[args, &["--json"]].concat()).ok())
}

fn new(lab: &Lab, name: &str, more: &[&str]) {
    lab.mle(&[&["study", "new", name, "--space", SPACE, "--db", "s.db"], more].concat()).ok();
}

/// What a trial is worth: the best is lr 0.1, 3 layers, tanh.
fn value(params: &Value) -> f64 {
    let lr = params["lr"].as_f64().unwrap().log10() + 1.0;
    let layers = params["layers"].as_f64().unwrap() - 3.0;
    lr * lr + 0.1 * layers * layers + if params["act"] == "relu" { 0.2 } else { 0.0 }
}

fn ask(lab: &Lab, study: &str, n: &str) -> Vec<Value> {
    json_of(lab, &["ask", study, "-n", n])["trials"].as_array().unwrap().clone()
}

fn tell(lab: &Lab, study: &str, trial: &Value) -> f64 {
    let value = value(&trial["params"]);
    lab.mle(&["tell", study, &trial["number"].to_string(), &format!("value={value}")]).ok();
    value
}

fn run(lab: &Lab, study: &str, rounds: usize) {
    for _ in 0..rounds {
        for trial in ask(lab, study, "2").iter().rev() {
            tell(lab, study, trial);
        }
    }
}

#[test]
fn a_study_is_asked_and_told_to_its_end() {
    let lab = Lab::new();
    new(&lab, "toy", &["--trials", "12", "--seed", "3", "--strategy", "tpe"]);
    let first = ask(&lab, "toy", "3");
    let numbers: Vec<&Value> = first.iter().map(|trial| &trial["number"]).collect();
    assert_eq!(numbers, [&json!(0), &json!(1), &json!(2)]);
    let pending =
        "SELECT count(*), (SELECT count(*) FROM jobs) FROM trials WHERE state = 'running'";
    assert_eq!(lab.sql("s.db", pending), ["3|0"], "at work, with no jobs");
    assert_eq!(lab.mle(&["tell", "toy", "1", "value=nan"]).ok(), "trial 1 is complete\n");
    lab.mle(&["tell", "toy", "1", "0.5"]).fails(2, "it is complete");
    lab.mle(&["tell", "toy", "1", "value=0.5"])
        .fails(2, "trial 1 was told already: it is complete");
    lab.mle(&["tell", "toy", "0", "--failed"]).ok();
    lab.mle(&["tell", "toy", "0", "value=1"]).fails(2, "it is failed");
    lab.mle(&["tell", "toy", "2", "loss=1"]).fails(2, "loss: is no objective of the study");
    lab.mle(&["tell", "toy", "2", "value=x"]).fails(2, "\"x\" is no number");
    lab.mle(&["tell", "toy", "2"]).fails(2, "NAME=NUMBER");
    lab.mle(&["tell", "toy", "9", "value=1"]).fails(3, "there is no trial 9");
    lab.mle(&["tell", "nobody", "9", "value=1"]).fails(3, "there is no study \"nobody\"");
    let value = value(&first[2]["params"]).to_string();
    lab.mle(&["tell", "toy", "2", "--curve", &format!("9,8,{value}")]).ok();
    assert_eq!(lab.sql("s.db", "SELECT value FROM trials WHERE number = 2"), [value]);
    run(&lab, "toy", 4);
    let last = lab.mle(&["ask", "toy", "-n", "9", "--json"]).ok();
    let last = parse(&last);
    assert_eq!((last["trials"].as_array().unwrap().len(), &last["exhausted"]), (1, &json!(true)));
    assert_eq!(lab.sql("s.db", "SELECT state FROM studies"), ["exhausted"]);
    tell(&lab, "toy", &last["trials"][0]);
    assert_eq!(
        lab.sql("s.db", "SELECT s.state, e.state FROM studies s, experiments e"),
        ["closed|complete"]
    );
    let said = lab.mle(&["ask", "toy"]);
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (0, "", "nothing is left to ask for\n")
    );
    let replay = json_of(&lab, &["study", "replay", "toy"]);
    assert_eq!((&replay["identical"], &replay["proposals"]), (&json!(true), &json!(12)));
    assert_eq!(lab.mle(&["study", "replay", "toy", "--cold"]).ok(), "identical: 12 proposals\n");
    let events =
        "SELECT count(*) FROM events WHERE what = 'trial' AND to_state IN ('complete', 'failed')";
    assert_eq!(lab.sql("s.db", events), ["12"]);
    // A program that takes no notice of studies leaves them alone.
    lab.mle(&["searcher", "--when-dry"]).ok();
    lab.mle(&["scheduler", "--when-dry"]).ok();
}

#[test]
fn what_was_proposed_otherwise_is_found() {
    let lab = Lab::new();
    new(&lab, "toy", &["--strategy", "tpe", "--setting", "startup=4"]);
    run(&lab, "toy", 4);
    let forged = "UPDATE trial SET params = json_set(params, '$.layers', 7 - json_extract(params, '$.layers')) WHERE number = 6 RETURNING 1";
    lab.sql("s.db", forged);
    let said = lab.mle(&["study", "replay", "toy"]);
    assert!(
        said.out.starts_with("6 proposals are identical; trial 6 is not:\n   stored lr="),
        "{}",
        said.out
    );
    assert!(said.out.contains("\n  derived lr="), "{}", said.out);
    said.fails(1, "trial 6 cannot be derived again");
    let value = parse(&lab.mle(&["study", "replay", "toy", "--json"]).out);
    assert_eq!((&value["identical"], &value["difference"]["number"]), (&json!(false), &json!(6)));
    let told_later = "UPDATE study_change SET vals = '[9]' WHERE number = 2 RETURNING 1";
    let file = rusqlite::Connection::open(lab.path("s.db")).unwrap();
    let error = file.execute(told_later, []).unwrap_err().to_string();
    assert!(error.contains("append-only"), "{error}");
}

#[test]
fn many_processes_ask_at_once() {
    let lab = Lab::new();
    for strategy in ["random", "tpe", "grid"] {
        let more: &[&str] = if strategy == "grid" { &["--setting", "bins=9"] } else { &[] };
        new(&lab, strategy, &[&["--strategy", strategy, "--workers", "8"], more].concat());
        std::thread::scope(|scope| {
            for worker in 0..8 {
                let lab = &lab;
                scope.spawn(move || {
                    for turn in 0..3 {
                        let trials = ask(lab, strategy, "2");
                        assert_eq!(trials.len(), 2);
                        if worker != turn {
                            for trial in &trials {
                                tell(lab, strategy, trial);
                            }
                        }
                    }
                });
            }
        });
        let of = format!("FROM trials WHERE experiment = '{strategy}'");
        let counts = format!(
            "SELECT count(*), count(DISTINCT number), max(number), count(DISTINCT params) {of}"
        );
        assert_eq!(lab.sql("s.db", &counts), ["48|48|47|48"], "{strategy}");
        let replay = json_of(&lab, &["study", "replay", strategy]);
        assert_eq!(
            (&replay["identical"], &replay["proposals"]),
            (&json!(true), &json!(48)),
            "{strategy}"
        );
    }
}

#[test]
fn a_space_is_edited_on_the_way() {
    let lab = Lab::new();
    for strategy in ["random", "tpe", "sobol", "grid"] {
        let more: &[&str] = if strategy == "grid" { &["--setting", "bins=3"] } else { &[] };
        new(&lab, strategy, &[&["--strategy", strategy, "--trials", "30"], more].concat());
        run(&lab, strategy, 6);
        let pending = ask(&lab, strategy, "1");
        let narrow = r#"{"lr": {"type": "real", "low": 0.01, "high": 0.5, "prior": "log"}, "layers": {"type": "integer", "low": 2, "high": 4}, "act": ["relu", "tanh"]}"#;
        let edited = json_of(
            &lab,
            &["study", "space", strategy, "--set", narrow, "--constraint", "layers * lr < 1.5"],
        );
        assert_eq!(edited["inside"].as_i64().unwrap() + edited["outside"].as_i64().unwrap(), 13);
        tell(&lab, strategy, &pending[0]);
        run(&lab, strategy, 3);
        let bad = format!("SELECT count(*) FROM trials WHERE experiment = '{strategy}' AND number > 12 AND
            (json_extract(params, '$.lr') NOT BETWEEN 0.01 AND 0.5 OR json_extract(params, '$.layers') NOT BETWEEN 2 AND 4
             OR json_extract(params, '$.lr') * json_extract(params, '$.layers') >= 1.5)");
        assert_eq!(lab.sql("s.db", &bad), ["0"], "{strategy}");
        lab.mle(&["study", "space", strategy, "--set", SPACE, "--no-constraints"]).ok();
        run(&lab, strategy, 2);
        for how in [
            ["study", "replay", strategy, "--json"].as_slice(),
            &["study", "replay", strategy, "--json", "--cold"],
        ] {
            let replay = parse(&lab.mle(how).ok());
            assert_eq!(replay["proposals"], json!(23), "{strategy}: {replay}");
        }
    }
    let wide = r#"{"lr": {"type": "real", "low": 5, "high": 2}}"#;
    lab.mle(&["study", "space", "tpe", "--set", wide])
        .fails(2, "parameter lr: low 5 is above high 2");
    // Constraints stay as long as nobody says otherwise.
    lab.mle(&["study", "space", "sobol", "--set", SPACE, "--constraint", "lr < 0.5"]).ok();
    lab.mle(&["study", "space", "sobol", "--set", SPACE]).ok();
    assert_eq!(json_of(&lab, &["study", "space", "sobol"])["constraints"], json!(["lr < 0.5"]));
    let less = r#"{"layers": {"type": "integer", "low": 1, "high": 6}}"#;
    lab.mle(&["study", "space", "sobol", "--set", less]).fails(2, "--no-constraints drops them");
    let dropped = lab.mle(&["study", "space", "sobol", "--set", less, "--no-constraints"]);
    assert!(dropped.err.contains("no parameter any more: lr, act"), "{}", dropped.err);
    lab.mle(&["study", "new", "sobol", "--space", SPACE]).fails(2, "has the name sobol already");
    lab.mle(&["study", "space", "sobol", "--set", SPACE, "--constraint", "depth < 3"])
        .fails(2, "depth");
    let shown = lab.mle(&["study", "space", "tpe"]).ok();
    assert!(shown.contains("0.001 to 1, log"), "{shown}");
}

#[test]
fn points_are_added_and_studies_start_warm() {
    let lab = Lab::new();
    new(&lab, "old", &["--strategy", "random"]);
    run(&lab, "old", 5);
    new(&lab, "new", &["--strategy", "tpe", "--trials", "6", "--setting", "startup=3"]);
    lab.mle(&["study", "add", "new", "act=tanh", "lr=0.1", "layers=3", "--value", "0"]).ok();
    lab.mle(&["study", "add", "new", "act=tanh", "lr=5", "layers=3", "--value", "0"])
        .fails(2, "mle study: parameter lr: 5 is not in 0.001 to 1, log");
    lab.mle(&["study", "add", "new", "act=relu", "lr=0.5", "layers=6"]).ok();
    let file = json!([
        {"params": {"lr": 0.2, "layers": 2, "act": "relu"}, "value": 0.4},
        {"params": {"lr": 0.3, "layers": 2, "act": "relu"}, "failed": true},
        {"params": {"lr": 0.3, "layers": 9, "act": "relu"}, "value": 1}
    ]);
    lab.write("points.json", file.to_string());
    lab.mle(&["study", "add", "new", "--file", "points.json"])
        .fails(2, "point 2: parameter layers");
    let added = json_of(&lab, &["study", "add", "new", "--file", "points.json", "--skip"]);
    assert_eq!((&added["numbers"], &added["left_out"][0]["point"]), (&json!([2, 3]), &json!(2)));
    lab.write("typo.json", r#"[{"params": {"lr": 0.2, "layers": 2, "act": "relu"}, "valu": 0.4}]"#);
    lab.mle(&["study", "add", "new", "--file", "typo.json"])
        .fails(2, "a key of point 0: \"valu\" is none of params, value, values, failed");
    let warm = json_of(&lab, &["study", "warm-start", "new", "old"]);
    assert_eq!(warm["numbers"].as_array().unwrap().len(), 10);
    assert_eq!(json_of(&lab, &["study", "warm-start", "new", "old"])["numbers"], json!([]));
    lab.mle(&["study", "warm-start", "new", "new"]).fails(2, "cannot start from itself");
    // What a study has from this one is no news.
    let back = json_of(&lab, &["study", "warm-start", "old", "new"]);
    assert_eq!(back["numbers"].as_array().unwrap().len(), 3, "{back}");
    // What is to be tried comes first; the budget counts what is asked for.
    let trials = ask(&lab, "new", "3");
    assert_eq!((&trials[0]["number"], &trials[0]["params"]["layers"]), (&json!(1), &json!(6)));
    assert_eq!((&trials[1]["number"], &trials[2]["number"]), (&json!(14), &json!(15)));
    for trial in &trials {
        tell(&lab, "new", trial);
    }
    run(&lab, "new", 2);
    assert_eq!(lab.sql("s.db", "SELECT state FROM studies WHERE experiment = 'new'"), ["closed"]);
    let replay = json_of(&lab, &["study", "replay", "new"]);
    assert_eq!((&replay["proposals"], &replay["added"]), (&json!(6), &json!(14)));
}

#[test]
fn a_budget_of_epochs_ends_a_study_by_hand() {
    let lab = Lab::new();
    for strategy in ["halving", "hyperband", "asha", "bohb", "dehb", "freeze_thaw", "pbt"] {
        new(&lab, strategy, &["--strategy", strategy, "--epochs", "9", "--epoch-budget", "30"]);
        loop {
            let answer = json_of(&lab, &["ask", strategy, "-n", "3"]);
            let trials = answer["trials"].as_array().unwrap().clone();
            for trial in &trials {
                let epochs = trial["epochs"].as_u64().unwrap() as usize;
                let curve = vec!["0.5"; epochs].join(",");
                lab.mle(&["tell", strategy, &trial["number"].to_string(), "--curve", &curve]).ok();
            }
            if answer["exhausted"] == true {
                break;
            }
            assert!(!trials.is_empty(), "{strategy}: {answer}");
        }
        let trained = format!(
            "SELECT sum(epochs - coalesce(json_extract(extra, '$.from.epochs'), 0)) BETWEEN 30 AND 38 FROM trials WHERE experiment = '{strategy}'"
        );
        assert_eq!(lab.sql("s.db", &trained), ["1"], "{strategy}");
        let state = format!("SELECT state FROM studies WHERE experiment = '{strategy}'");
        assert_eq!(lab.sql("s.db", &state), ["closed"], "{strategy}");
    }
    let long = "x".repeat(201);
    lab.mle(&["study", "new", &long, "--space", SPACE, "--db", "s.db"]).fails(2, "more than 200");
}

#[test]
fn a_study_is_narrowed_paused_and_extended() {
    let lab = Lab::new();
    new(&lab, "toy", &["--strategy", "random", "--trials", "8", "--seed", "5"]);
    lab.mle(&["study", "refine", "toy"])
        .fails(2, "has 0 trials with a value inside its space, fewer than 5");
    run(&lab, "toy", 3);
    lab.mle(&["study", "pause", "toy"]).ok();
    lab.mle(&["ask", "toy"]).fails(2, "is paused");
    let status = lab.mle(&["status"]).ok();
    assert!(
        status.contains("search 1 (toy): 6 of 8 trials, 6 complete, 0 at work · paused"),
        "{status}"
    );
    lab.mle(&["study", "resume", "toy"]).ok();
    run(&lab, "toy", 1);
    assert_eq!(lab.sql("s.db", "SELECT state FROM studies"), ["closed"]);
    lab.mle(&["study", "resume", "toy"]).fails(2, "is closed: extend it");
    assert_eq!(lab.mle(&["study", "extend", "toy", "4"]).ok(), "may ask for 12 trials in all\n");
    assert_eq!(
        lab.sql("s.db", "SELECT s.state, e.state FROM studies s, experiments e"),
        ["open|running"]
    );
    let box_of = "SELECT min(json_extract(params, '$.lr')), max(json_extract(params, '$.lr')) FROM
                  (SELECT params FROM trials ORDER BY value LIMIT 3)";
    let wanted = lab.sql("s.db", box_of);
    let narrow = json_of(&lab, &["study", "refine", "toy", "-k", "3"]);
    let lr = &narrow["space"]["lr"];
    assert_eq!([format!("{}|{}", lr["low"], lr["high"])].as_slice(), wanted);
    run(&lab, "toy", 2);
    let inside = format!(
        "SELECT count(*) FROM trials WHERE number >= 8 AND json_extract(params, '$.lr') BETWEEN {} AND {}",
        lr["low"], lr["high"]
    );
    assert_eq!(lab.sql("s.db", &inside), ["4"]);
    assert_eq!(json_of(&lab, &["study", "replay", "toy"])["proposals"], json!(12));
    let shown = lab.mle(&["study", "show", "toy"]).ok();
    assert!(
        shown.contains("12 of 12: 12 complete") && shown.contains("outside the space"),
        "{shown}"
    );
    assert_eq!(json_of(&lab, &["study"])[0]["complete"], json!(12));
}

#[test]
fn several_objectives_and_a_study_beside_a_run() {
    let lab = Lab::new();
    lab.write("s.yaml", "name: jobs\ncommand: [echo, '::mle {{\"loss\": {x}}}']\nmetric: loss\nsearch:\n  trials: 4\n  space: {x: {type: real, low: 0, high: 1}}\n");
    new(
        &lab,
        "two",
        &["--objective", "loss:min", "--objective", "accuracy:max", "--strategy", "random"],
    );
    let trials = ask(&lab, "two", "2");
    lab.mle(&["run", "s.yaml", "--db", "s.db", "--workers", "1"]).ok();
    lab.mle(&["tell", "two", "0", "loss=1"]).fails(2, "accuracy: has no value");
    lab.mle(&["tell", "two", "0", "accuracy=0.5", "loss=1"]).ok();
    lab.mle(&["tell", "two", &trials[1]["number"].to_string(), "accuracy=0.5", "loss=inf"]).ok();
    assert_eq!(
        lab.sql("s.db", "SELECT \"values\" FROM trials WHERE experiment = 'two'"),
        ["[1.0,0.5]", "[\"inf\",0.5]"]
    );
    assert_eq!(
        lab.sql(
            "s.db",
            "SELECT count(*) FROM trials WHERE experiment = 'jobs' AND state = 'complete'"
        ),
        ["4"]
    );
    let jobs = json_of(&lab, &["study", "replay", "jobs"]);
    assert_eq!((&jobs["identical"], &jobs["proposals"]), (&json!(true), &json!(4)));
    lab.mle(&["tell", "jobs", "0", "loss=1"]).fails(2, "is valued by its runs");
    // Extended, the search of a run goes on.
    lab.mle(&["study", "extend", "jobs", "2"]).ok();
    lab.mle(&["study", "space", "jobs", "--set", r#"{"y": [1, 2]}"#])
        .fails(2, "parameter x: is missing");
    lab.mle(&["study", "add", "jobs", "x=0.25"]).ok();
    lab.mle(&["run", "--resume", "s.yaml", "--db", "s.db", "--workers", "1"]).ok();
    assert_eq!(lab.sql("s.db", "SELECT count(*), sum(value = 0.25) FROM trials WHERE experiment = 'jobs' AND state = 'complete'"), ["7|1"]);
    assert_eq!(json_of(&lab, &["study", "replay", "jobs"])["proposals"], json!(6));
    assert_eq!(lab.sql("s.db", "SELECT state FROM experiments WHERE name = 'jobs'"), ["complete"]);
    // A point to be tried wakes it, though it may ask for no more.
    lab.mle(&["study", "add", "jobs", "x=0.75"]).ok();
    lab.mle(&["run", "--resume", "s.yaml", "--db", "s.db", "--workers", "1"]).ok();
    assert_eq!(
        lab.sql("s.db", "SELECT state, value FROM trials WHERE number = 7"),
        ["complete|0.75"]
    );
}

/// The curve of a trial: it falls towards its value, whatever it was stopped at before.
fn curve(params: &Value, epochs: u64) -> String {
    let end = value(params);
    let points: Vec<String> =
        (1..=epochs).map(|epoch| (end + 1.0 / epoch as f64).to_string()).collect();
    points.join(",")
}

#[test]
fn trials_go_on_where_they_are_worth_it() {
    let lab = Lab::new();
    for (strategy, more) in [
        ("asha", ["--trials", "12"].as_slice()),
        ("halving", &["--setting", "configs=9", "--setting", "rounds=1"]),
    ] {
        new(&lab, strategy, &[&["--strategy", strategy, "--epochs", "9"], more].concat());
        let mut resumed = 0;
        for _ in 0..40 {
            let answer = json_of(&lab, &["ask", strategy, "-n", "3"]);
            let trials = answer["trials"].as_array().unwrap();
            for trial in trials {
                let epochs = trial["epochs"].as_u64().unwrap();
                resumed += u64::from(trial["resumed"] == json!(true));
                let last = format!("value={}", value(&trial["params"]) + 1.0 / epochs as f64);
                let mut curve = curve(&trial["params"], epochs);
                if trial["resumed"] == json!(true) {
                    // A training that begins anew says another number of its first epoch.
                    let rest = curve.split_once(',').map_or("", |(_, rest)| rest);
                    curve = format!("0.5,{rest}");
                }
                lab.mle(&[
                    "tell",
                    strategy,
                    &trial["number"].to_string(),
                    &last,
                    "--curve",
                    &curve,
                ])
                .ok();
            }
            assert!(
                answer["wait"] != json!(true) || !trials.is_empty(),
                "{strategy}: nothing is at work"
            );
            if answer["exhausted"] == json!(true) {
                break;
            }
        }
        assert!(resumed > 2, "{strategy}: {resumed}");
        let of = format!("FROM trials WHERE experiment = '{strategy}'");
        // Halving doubles.
        let most = if strategy == "halving" { "8|8" } else { "9|9" };
        let reached = format!("SELECT max(epochs), max(json_array_length(curve)) {of}");
        assert_eq!(lab.sql("s.db", &reached), [most]);
        for how in [
            ["study", "replay", strategy, "--json"].as_slice(),
            &["study", "replay", strategy, "--json", "--cold"],
        ] {
            let replay = parse(&lab.mle(how).ok());
            let count =
                lab.sql("s.db", &format!("SELECT count(*) {of}"))[0].parse::<u64>().unwrap();
            assert_eq!(replay["proposals"], json!(count + resumed), "{strategy}: {replay}");
        }
        assert_eq!(
            lab.sql("s.db", &format!("SELECT state FROM studies WHERE experiment = '{strategy}'")),
            ["closed"],
            "{strategy}"
        );
    }
}

#[test]
fn no_point_is_proposed_twice_after_an_edit_and_a_number_may_not_mean_two() {
    let lab = Lab::new();
    let space = r#"{"x": {"type": "real", "low": 0, "high": 1}, "y": {"type": "real", "low": 0, "high": 1}}"#;
    for strategy in ["random", "nsga2", "tpe", "de"] {
        lab.mle(&[
            "study",
            "new",
            strategy,
            "--space",
            space,
            "--strategy",
            strategy,
            "--db",
            "e.db",
        ])
        .ok();
        let mut seen = std::collections::HashSet::new();
        for edited in [false, true] {
            if edited {
                lab.mle(&["study", "space", strategy, "--set", space, "--constraint", "x < 0.7"])
                    .ok();
            }
            for _ in 0..12 {
                let trial = json_of(&lab, &["ask", strategy])["trials"][0].clone();
                assert!(seen.insert(trial["params"].to_string()), "{strategy}: {trial} again");
                let value = format!("value={}", trial["params"]["x"]);
                lab.mle(&["tell", strategy, &trial["number"].to_string(), &value]).ok();
            }
        }
        lab.mle(&["study", "replay", strategy]).ok();
    }
    lab.mle(&["study", "new", "2", "--space", space]).ok();
    lab.mle(&["ask", "2"]).fails(2, "\"2\" is the id of one and the name of another");
}

#[test]
fn why_nothing_is_proposed_is_said() {
    let lab = Lab::new();
    new(&lab, "outside", &["--strategy", "external"]);
    let said = lab.mle(&["ask", "outside"]);
    assert_eq!(said.code, 0);
    assert!(said.err.contains("those of this study come from another program"), "{}", said.err);
    let axis = r#"{"x": {"type": "real", "low": 0, "high": 1, "bins": 5}}"#;
    for strategy in ["grid", "coordinate"] {
        let more = ["--strategy", strategy, "--constraint", "x > 2"];
        lab.mle(&[&["study", "new", strategy, "--space", axis], &more[..]].concat()).ok();
        let said = lab.mle(&["ask", strategy]).fails(2, "constraints: met by none of the");
        assert!(said.contains("hint: loosen the constraints"), "{said}");
        lab.mle(&["study", "space", strategy, "--set", axis, "--constraint", "x > 0.6"]).ok();
        assert_eq!(ask(&lab, strategy, "9").len(), 2);
    }
    lab.mle(&["ask", "outside", "-n", "100001"]).fails(2, "n: 100001 is more than 100000");
    lab.mle(&["study", "space", "grid", "--set", ""]).fails(2, "the argument: is empty");
    lab.mle(&["study", "new", "none", "--space", " "]).fails(2, "the argument: is empty");
    let endless = r#"{"x": {"type": "real", "low": 0, "high": 1e400}}"#;
    lab.mle(&["study", "new", "none", "--space", endless]).fails(2, "x: high is infinite");
    lab.mle(&["tell", "grid", "0", "value=-1e400"]).fails(2, "\"-1e400\" is beyond all numbers");
    lab.mle(&["tell", "grid", "0", "value=-inf"]).ok();
}

#[test]
fn names_and_values_may_have_a_sign_of_equality() {
    let lab = Lab::new();
    let space = r#"{"a=b": [0.25, 0.5], "a": ["b=1", "c"]}"#;
    lab.mle(&["study", "new", "eq", "--space", space, "--db", "s.db"]).ok();
    lab.mle(&["study", "add", "eq", "a=b=0.5", "a=c", "--value", "1"]).ok();
    lab.mle(&["study", "add", "eq", "a=b=0.25", "a=b=1", "--value", "1"])
        .fails(2, "a=b: is given twice");
    lab.mle(&["study", "add", "eq", "b=c=1", "--value", "1"]).fails(2, "b=c");
    lab.mle(&["study", "add", "eq", "b", "--value", "1"]).fails(2, "b: is not of the form");
    let params = "SELECT params FROM trials";
    assert_eq!(lab.sql("s.db", params), [r#"{"a=b":0.5,"a":"c"}"#]);
}

#[test]
fn a_curve_is_what_was_asked_for() {
    let lab = Lab::new();
    new(
        &lab,
        "h",
        &[
            "--strategy",
            "halving",
            "--epochs",
            "9",
            "--setting",
            "configs=2",
            "--setting",
            "min_epochs=3",
        ],
    );
    assert_eq!(ask(&lab, "h", "2").len(), 2);
    lab.mle(&["tell", "h", "0", "--curve", "4,3,2,1"])
        .fails(2, "--curve: has 4 values, trial 0 was to reach 3 epochs");
    let short = lab.mle(&["tell", "h", "0", "value=1", "--curve", "4,3"]);
    let said = short.fails(2, "has 2 values, trial 0 was asked for 3, one for each of its epochs");
    assert!(said.contains("--pruned"), "{said}");
    lab.mle(&["tell", "h", "9", "--curve", "4,3"]).fails(3, "there is no trial 9");
    lab.mle(&["tell", "h", "0", "--curve", "4,3,2"]).ok();
    lab.mle(&["tell", "h", "1", "--pruned", "--curve", "4,3"]).ok();
    let best = ["study", "best", "h"];
    assert!(lab.mle(&best).ok().starts_with("trial 0: value 2 "));
    // It goes on, and keeps its value and its place meanwhile.
    let again = ask(&lab, "h", "1");
    assert_eq!((&again[0]["number"], &again[0]["epochs"]), (&json!(0), &json!(6)));
    assert!(lab.mle(&best).ok().starts_with("trial 0: value 2 "));
    let top = json_of(&lab, &["study", "top", "h"]);
    assert_eq!((&top[0]["state"], &top[0]["values"]), (&json!("running"), &json!([2.0])));
    for view in ["ranking", "pareto"] {
        let values = format!("SELECT number, json_extract(\"values\", '$[0]') FROM {view}");
        assert_eq!(lab.sql("s.db", &values), ["0|2"], "{view}");
    }
    lab.mle(&["tell", "h", "0", "--curve", "1,0,0"])
        .fails(2, "was asked for 6, one for each of its epochs, the 3 that were told before among");
    lab.mle(&["tell", "h", "0", "--curve", "4,3,2,3,3,3"]).ok();
    assert!(lab.mle(&best).ok().starts_with("trial 0: value 3 "));
    new(&lab, "race", &["--strategy", "racing", "--epochs", "4", "--seed", "1"]);
    let seeds = ask(&lab, "race", "1")[0]["epochs"].as_u64().unwrap();
    let curve = vec!["1"; seeds as usize + 1].join(",");
    lab.mle(&["tell", "race", "0", "--curve", &curve]).fails(2, "seeds");
}

#[test]
fn added_trials_and_those_outside_are_told_from_the_others() {
    let lab = Lab::new();
    let axis = |low: f64| format!(r#"{{"x": {{"type": "real", "low": {low}, "high": 1}}}}"#);
    let (wide, narrow) = (axis(0.0), axis(0.4));
    lab.mle(&["study", "new", "s", "--space", &wide, "--trials", "2", "--db", "s.db"]).ok();
    lab.mle(&["study", "add", "s", "x=0", "--value", "0"]).ok();
    for trial in ask(&lab, "s", "2") {
        lab.mle(&["tell", "s", &trial["number"].to_string(), "value=1"]).ok();
    }
    let show = lab.mle(&["study", "show", "s"]).ok();
    assert!(show.contains("trials 2 of 2 proposed, 1 added: 3 complete"), "{show}");
    assert!(!show.contains("outside"), "{show}");
    lab.mle(&["study", "space", "s", "--set", &narrow]).ok();
    for verb in ["show", "best"] {
        let text = lab.mle(&["study", verb, "s"]).ok();
        assert!(text.contains("at x=0 (outside the space as it is now)"), "{text}");
    }
    assert_eq!(json_of(&lab, &["study", "best", "s"])["inside"], json!(false));
    assert_eq!(json_of(&lab, &["study", "show", "s"])["asked"], json!(2));
}

#[test]
fn what_a_study_is_made_of_is_shown() {
    let lab = Lab::new();
    let new = ["study", "new", "s", "--space", SPACE, "--strategy", "asha", "--setting", "eta=4"];
    lab.mle(&[&new[..], &["--epochs", "16", "--epoch-budget", "90", "--db", "s.db"]].concat()).ok();
    let show = lab.mle(&["study", "show", "s"]).ok();
    let lines: Vec<&str> = show.lines().map(str::trim).collect();
    for line in ["settings eta=4", "epochs 16 a trial, 90 of all together"] {
        assert!(lines.contains(&line), "{line}: {show}");
    }
    let show = json_of(&lab, &["study", "show", "s"]);
    assert_eq!((&show["settings"]["eta"], &show["epochs"]), (&json!(4), &json!(16)));
    assert_eq!((&show["epoch_budget"], &show["stop"]), (&json!(90), &json!(null)));
}

#[test]
fn many_trials_are_asked_for_at_once() {
    let lab = Lab::new();
    let space = r#"{"x": {"type": "real", "low": 0, "high": 1}, "y": {"type": "real", "low": 0, "high": 1}}"#;
    let more = ["--strategy", "gp", "--trials", "50", "--setting", "startup=4", "--db", "s.db"];
    lab.mle(&[&["study", "new", "many", "--space", space], &more[..]].concat()).ok();
    for at in 0..20 {
        lab.mle(&["study", "add", "many", &format!("x=0.{at:02}"), "y=0.5"]).ok();
    }
    // Points to try come first, in their order; then there are new ones.
    let numbers: Vec<u64> =
        ask(&lab, "many", "60").iter().map(|trial| trial["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..70).collect::<Vec<u64>>()[..60]);
    let rest = json_of(&lab, &["ask", "many", "-n", "60"]);
    assert_eq!((rest["trials"].as_array().unwrap().len(), &rest["exhausted"]), (10, &json!(true)));
    for how in [["study", "replay", "many"].as_slice(), &["study", "replay", "many", "--cold"]] {
        assert!(lab.mle(how).ok().starts_with("identical: 50 proposals"));
    }
}

#[test]
fn a_narrowed_space_lacks_what_cannot_come_up_any_more() {
    let lab = Lab::new();
    let space = r#"{"opt": ["sgd", "adam"], "x": {"type": "real", "low": 0, "high": 1},
        "momentum": {"type": "integer", "low": 1, "high": 4, "when": {"opt": "sgd"}},
        "nesterov": {"type": "boolean", "when": {"momentum": [2, 3]}}}"#;
    let constraint = ["--constraint", "momentum < 4", "--constraint", "x < 0.9"];
    let new = ["study", "new", "n", "--space", space, "--db", "s.db"];
    lab.mle(&[&new[..], &constraint].concat()).ok();
    for x in ["x=0.2", "x=0.4"] {
        lab.mle(&["study", "add", "n", x, "opt=adam", "--value", "0"]).ok();
    }
    let known =
        ["study", "add", "n", "x=0.3", "opt=sgd", "momentum=2", "nesterov=true", "--value", "9"];
    lab.mle(&known).ok();
    let refined = json_of(&lab, &["study", "refine", "n", "-k", "2"]);
    assert_eq!(json_of(&lab, &["study", "space", "n"]), refined);
    let names: Vec<&str> =
        refined["space"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((names, &refined["constraints"]), (vec!["opt", "x"], &json!(["x < 0.9"])));
    for trial in ask(&lab, "n", "3") {
        assert_eq!(trial["params"]["opt"], "adam");
    }
    assert_eq!(json_of(&lab, &["study", "show", "n"])["outside"], json!(1));
    lab.mle(&["study", "replay", "n", "--cold"]).ok();
}

#[test]
fn added_points_are_written_as_proposals_are() {
    let lab = Lab::new();
    let space = r#"{"n": {"type": "integer", "low": 1, "high": 9}, "w": [32, "all"],
                    "x": {"type": "real", "low": 0, "high": 1}}"#;
    lab.mle(&["study", "new", "s", "--space", space, "--db", "s.db"]).ok();
    lab.mle(&["study", "add", "s", "--file", r#"[{"params": {"w": 32.0, "n": 3.0, "x": 1}}]"#])
        .ok();
    assert_eq!(lab.sql("s.db", "SELECT params FROM trials"), [r#"{"n":3,"w":32,"x":1.0}"#]);
}

/// Trials outside an edited space are not in the model, and those inside are numbered anew: what was drawn for a number
/// before is not drawn again, also when a point is added after that.
#[test]
fn nothing_is_proposed_twice_after_an_edit_and_a_point() {
    for (strategy, setting) in
        [("random", "refine_after=100"), ("nsga2", "population=6"), ("tpe", "startup=30")]
    {
        let lab = Lab::new();
        let axis = r#"{"x": {"type": "real", "low": 0, "high": 1}, "y": {"type": "real", "low": 0, "high": 1}}"#;
        let new = ["study", "new", "s", "--space", axis, "--strategy", strategy, "--db", "s.db"];
        lab.mle(&[&new[..], &["--setting", setting]].concat()).ok();
        for trial in ask(&lab, "s", "12") {
            let number = trial["number"].to_string();
            lab.mle(&["tell", "s", &number, &number]).ok();
        }
        lab.mle(&["study", "space", "s", "--set", axis, "--constraint", "x < 0.8"]).ok();
        lab.mle(&["study", "add", "s", "x=0.111", "y=0.5", "--value", "3"]).ok();
        assert_eq!(ask(&lab, "s", "6").len(), 6);
        let twice = "SELECT params FROM trials GROUP BY params HAVING count(*) > 1";
        assert_eq!(lab.sql("s.db", twice), Vec::<String>::new(), "{strategy}");
        assert_eq!(
            json_of(&lab, &["study", "replay", "s"])["identical"],
            json!(true),
            "{strategy}"
        );
    }
}

/// A proposal may be that a trial goes on: it is derived by a strategy that knows the points that were added too.
#[test]
fn what_goes_on_after_a_point_was_added_is_derived_again() {
    for (strategy, seed) in [
        ("freeze_thaw", "1"),
        ("freeze_thaw", "3"),
        ("racing", "2"),
        ("racing", "5"),
        ("asha", "1"),
    ] {
        let lab = Lab::new();
        let axis = |high: &str| format!(r#"{{"x": {{"type": "real", "low": 0, "high": {high}}}}}"#);
        let new =
            ["study", "new", "s", "--space", &axis("1"), "--strategy", strategy, "--seed", seed];
        lab.mle(&[&new[..], &["--epochs", "9", "--db", "s.db"]].concat()).ok();
        let train = || {
            for trial in ask(&lab, "s", "1") {
                let x = trial["params"]["x"].as_f64().unwrap();
                let epochs = trial["epochs"].as_u64().unwrap();
                let noise = |at: u64| ((at * 7919 + 13) % 97) as f64 / 97.0;
                let curve: Vec<String> = (1..=epochs)
                    .map(|at| ((x - 0.3).abs() + noise(at) / at as f64).to_string())
                    .collect();
                lab.mle(&["tell", "s", &trial["number"].to_string(), "--curve", &curve.join(",")])
                    .ok();
            }
        };
        (0..8).for_each(|_| train());
        lab.mle(&["study", "space", "s", "--set", &axis("0.8")]).ok();
        for x in ["x=0.2", "x=0.41"] {
            lab.mle(&["study", "add", "s", x, "--value", "0.5"]).ok();
            (0..6).for_each(|_| train());
        }
        for how in [&["study", "replay", "s"][..], &["study", "replay", "s", "--cold"]] {
            assert_eq!(json_of(&lab, how)["identical"], json!(true), "{strategy} {seed} {how:?}");
        }
    }
}

#[test]
fn a_study_by_hand_is_halted_by_either_name_and_its_deletion_is_told() {
    let lab = Lab::new();
    lab.mle(&["study", "new", "h", "--space", SPACE, "--db", "s.db"]).ok();
    ask(&lab, "h", "1");
    lab.mle(&["pause", "h"]).ok();
    lab.mle(&["ask", "h"]).fails(2, "is paused");
    assert!(lab.mle(&["resume", "h"]).ok().contains("it can be asked"));
    assert_eq!(ask(&lab, "h", "1").len(), 1);
    lab.mle(&["protocol", "delete", "h"]).ok();
    lab.mle(&["tell", "h", "0", "1"]).fails(2, "`mle protocol undelete 1` brings it back");
    lab.mle(&["protocol", "undelete", "h"]).ok();
    lab.mle(&["tell", "h", "0", "1"]).ok();
    let far = ["study", "new", "far", "--space", SPACE, "--strategy", "asha", "--epochs"];
    lab.mle(&[&far[..], &["1000001"]].concat()).fails(2, "is more than 1000000");
}

#[test]
fn a_parameter_may_come_later_and_what_was_tried_still_counts() {
    let lab = Lab::new();
    let narrow = r#"{"x": {"type": "real", "low": 0, "high": 1}}"#;
    let wide = r#"{"x": {"type": "real", "low": 0, "high": 1}, "wd": {"type": "real", "low": 0, "high": 1, "missing": 0}}"#;
    for strategy in ["tpe", "gp"] {
        let new =
            ["study", "new", strategy, "--space", narrow, "--strategy", strategy, "--db", "s.db"];
        lab.mle(&new).ok();
        let tell = |trial: &serde_json::Value| {
            let x = trial["params"]["x"].as_f64().unwrap();
            let wd = trial["params"]["wd"].as_f64().unwrap_or(0.0);
            let value = ((x - 0.3).powi(2) + wd).to_string();
            lab.mle(&["tell", strategy, &trial["number"].to_string(), &value]).ok();
        };
        (0..12).for_each(|_| ask(&lab, strategy, "1").iter().for_each(tell));
        let bare = wide.replace(r#", "missing": 0"#, "");
        let said = lab.mle(&["study", "space", strategy, "--set", &bare]);
        assert!(said.err.contains("wd: {…, missing: VALUE}"), "{said:?}");
        assert_eq!(said.ok(), "0 trials are inside the new space, 12 outside\n");
        let said = lab.mle(&["study", "space", strategy, "--set", wide]).ok();
        assert_eq!(said, "12 trials are inside the new space, 0 outside\n");
        (0..6).for_each(|_| {
            for trial in ask(&lab, strategy, "1") {
                assert!(trial["params"]["wd"].is_number(), "{trial}");
                tell(&trial);
            }
        });
        for how in [&["study", "replay", strategy][..], &["study", "replay", strategy, "--cold"]] {
            assert_eq!(json_of(&lab, how)["identical"], json!(true), "{strategy} {how:?}");
        }
        let all = json_of(&lab, &["study", "top", strategy, "-k", "18"]);
        assert!(all.as_array().unwrap().iter().all(|trial| trial["params"]["wd"].is_number()));
        // In the file each trial has what it ran with.
        let run = format!(
            "SELECT count(*) FROM trials WHERE experiment = '{strategy}' AND params NOT LIKE '%wd%'"
        );
        assert_eq!(lab.sql("s.db", &run), ["12"]);
    }
    // So a study may begin with what another knows of fewer parameters.
    lab.mle(&["study", "new", "next", "--space", wide]).ok();
    let taken = json_of(&lab, &["study", "warm-start", "next", "tpe"]);
    assert_eq!(taken["numbers"].as_array().unwrap().len(), 18);
}
