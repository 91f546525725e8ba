//! Searches of other programs are taken over, and ours are given to them.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::studies_by_hand::{json_of, parse};

const SPACE: &str = r#"{"lr": {"type": "real", "low": 0, "high": 1}, "net/act": ["relu", "tanh"], "bn": {"type": "boolean"}}"#;

#[test]
fn a_log_of_mle_hyperopt_goes_out_and_comes_back() {
    let lab = Lab::new();
    lab.mle(&["study", "new", "toy", "--space", SPACE, "--strategy", "random", "--db", "s.db"])
        .ok();
    for trial in json_of(&lab, &["ask", "toy", "-n", "14"])["trials"].as_array().unwrap() {
        let number = trial["number"].to_string();
        match number.as_str() {
            "3" => lab.mle(&["tell", "toy", "3", "--failed"]).ok(),
            "4" => lab.mle(&["tell", "toy", "4", "value=nan"]).ok(),
            "13" => continue,
            _ => lab.mle(&["tell", "toy", &number, &format!("value=0.{number}")]).ok(),
        };
    }
    let said = lab
        .mle(&["study", "export", "toy", "--as", "mle-hyperopt", "--out", "search_log.yaml"])
        .ok();
    assert_eq!(said, "wrote 11 trials to search_log.yaml, left out 3 without a finite value\n");
    lab.mle(&["study", "export", "toy", "--out", "search_log.json"]).ok();
    let printed = lab.mle(&["study", "export", "toy", "--json"]).ok();
    assert_eq!(printed.trim_end(), lab.read("search_log.json").trim_end());
    lab.mle(&["study", "export", "toy", "--out", "search_log.pkl"])
        .fails(2, "ends neither in .yaml nor in .json nor in .csv");
    // The file that everything is in is not written over.
    lab.mle(&["study", "export", "toy", "--as", "csv", "--out", "s.db"])
        .fails(2, "s.db: is a database");
    lab.mle(&["report", "toy", "--out", "s.db"]).fails(2, "s.db: is a database");
    // All trials as a table, also those without a value.
    lab.mle(&["study", "export", "toy", "--out", "trials.csv"]).ok();
    let table = lab.read("trials.csv");
    assert_eq!(lab.mle(&["study", "export", "toy", "--as", "csv"]).ok(), table);
    let lines: Vec<&str> = table.split_terminator("\r\n").collect();
    let header = "trial,state,source,value,epochs,epochs_reached,asked_at,ended_at,param/lr,param/net/act,param/bn";
    assert_eq!((lines[0], lines.len()), (header, 15));
    assert!(
        lines[3].starts_with("2,complete,asked,0.2,,,")
            && lines[4].starts_with("3,failed,asked,,,")
    );
    assert!(
        lines[5].starts_with("4,complete,asked,NaN,,,")
            && lines[14].starts_with("13,running,asked,,,")
    );
    assert!(lines[1].ends_with("true") || lines[1].ends_with("false"), "{}", lines[1]);
    let list = parse(&lab.read("search_log.json"));
    let first = &list[0];
    assert_eq!((&first["eval_id"], &first["objective"]), (&json!(0), &json!(0.0)));
    assert!(first["params"]["net/act"].is_string() && first["params"]["bn"].is_boolean());
    assert_eq!(list[3]["objective"], json!(0.5), "ids have no holes");
    // What Python's YAML says of it.
    let yaml = lab.read("search_log.yaml");
    let keys: Vec<&str> = yaml.lines().filter(|line| !line.starts_with(' ')).collect();
    let plain: Vec<String> =
        keys.iter().map(|key| key.trim_matches([':', '"', '\'']).to_owned()).collect();
    assert_eq!(plain[..4], ["0", "1", "10", "2"], "as the peer sorts");
    assert!(keys.iter().all(|key| key.starts_with(['"', '\''])), "texts, not numbers: {keys:?}");
    for file in ["search_log.yaml", "search_log.json"] {
        let name = file.trim_start_matches("search_log.");
        lab.mle(&["study", "new", name, "--space", SPACE, "--strategy", "tpe"]).ok();
        let added = json_of(&lab, &["study", "import", name, file]);
        assert_eq!(added["numbers"].as_array().unwrap().len(), 11, "{file}");
        let of = |name: &str| {
            lab.sql("s.db", &format!("SELECT params, value FROM trials WHERE experiment = '{name}' AND value IS NOT NULL ORDER BY number"))
        };
        assert_eq!(of(name), of("toy"));
    }
    lab.write("python.json", r#"[{"eval_id": 0, "params": {"lr": 0.5, "net/act": "relu", "bn": true}, "objective": NaN},
        {"eval_id": 1, "params": {"lr": 2, "net/act": "NaN", "bn": true}, "objective": Infinity},
        {"eval_id": 2, "params": {"lr": 0.25, "net/act": "relu", "bn": false}, "objective": -Infinity}]"#);
    let added = json_of(&lab, &["study", "import", "json", "python.json"]);
    assert_eq!((&added["numbers"], &added["left_out"][0]["point"]), (&json!([11, 12]), &json!(1)));
    assert_eq!(
        lab.sql(
            "s.db",
            "SELECT state, \"values\" FROM trials WHERE experiment = 'json' AND number > 10"
        ),
        ["failed|", "complete|[\"-inf\"]"]
    );
    lab.mle(&["study", "import", "other", "search_log.yaml", "--new"])
        .fails(2, "a log does not say what the space is");
    lab.mle(&["study", "import", "json", "nothing.yaml"]).fails(3, "nothing.yaml");
}

#[test]
fn configs_become_files() {
    let lab = Lab::new();
    lab.mle(&["study", "new", "toy", "--space", SPACE, "--strategy", "random", "--db", "s.db"])
        .ok();
    let trials = json_of(&lab, &["ask", "toy", "-n", "3"]);
    lab.mle(&["tell", "toy", "1", "value=1"]).ok();
    lab.mle(&["study", "configs", "toy", "--out", "all"]).ok();
    lab.mle(&["study", "configs", "toy", "--out", "best", "-k", "5", "--as", "json"]).ok();
    let files = |folder: &str| {
        let mut names: Vec<String> = std::fs::read_dir(lab.path(folder))
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        (files("all"), files("best")),
        (
            vec!["eval_0.yaml".into(), "eval_1.yaml".into(), "eval_2.yaml".into()],
            vec!["eval_1.json".into()]
        )
    );
    let config = parse(&lab.read("best/eval_1.json"));
    assert_eq!(config["net"]["act"], trials["trials"][1]["params"]["net/act"]);
    assert!(
        lab.read("all/eval_0.yaml").contains("net:\n  act: "),
        "{}",
        lab.read("all/eval_0.yaml")
    );
}

/// The tables of Optuna 5.0 (schema 12, alembic v3.2.0.a), as `optuna.create_study(storage="sqlite:///…")` makes them,
/// cut down to those with content.
const OPTUNA: &str = r#"
CREATE TABLE studies (study_id INTEGER NOT NULL, study_name VARCHAR(512) NOT NULL, PRIMARY KEY (study_id));
CREATE TABLE study_directions (study_direction_id INTEGER NOT NULL, direction VARCHAR(8) NOT NULL, study_id INTEGER NOT NULL,
    objective INTEGER NOT NULL, PRIMARY KEY (study_direction_id), UNIQUE (study_id, objective));
CREATE TABLE trials (trial_id INTEGER NOT NULL, number INTEGER, study_id INTEGER, state VARCHAR(8) NOT NULL,
    datetime_start DATETIME, datetime_complete DATETIME, PRIMARY KEY (trial_id));
CREATE TABLE trial_params (param_id INTEGER NOT NULL, trial_id INTEGER, param_name VARCHAR(512), param_value FLOAT,
    distribution_json TEXT, PRIMARY KEY (param_id), UNIQUE (trial_id, param_name));
CREATE TABLE trial_values (trial_value_id INTEGER NOT NULL, trial_id INTEGER NOT NULL, objective INTEGER NOT NULL,
    value FLOAT, value_type VARCHAR(7) NOT NULL, PRIMARY KEY (trial_value_id), UNIQUE (trial_id, objective));
CREATE TABLE trial_intermediate_values (trial_intermediate_value_id INTEGER NOT NULL, trial_id INTEGER NOT NULL,
    step INTEGER NOT NULL, intermediate_value FLOAT, intermediate_value_type VARCHAR(7) NOT NULL,
    PRIMARY KEY (trial_intermediate_value_id), UNIQUE (trial_id, step));
INSERT INTO studies VALUES (1, 'one'), (2, 'two');
INSERT INTO study_directions VALUES (1, 'MINIMIZE', 1, 0), (2, 'MINIMIZE', 2, 0), (3, 'MAXIMIZE', 2, 1);
INSERT INTO trials (trial_id, number, study_id, state) VALUES (1, 0, 1, 'COMPLETE'), (2, 1, 1, 'COMPLETE'), (3, 2, 1, 'FAIL'),
    (4, 3, 1, 'PRUNED'), (5, 4, 1, 'COMPLETE'), (6, 5, 1, 'RUNNING'), (7, 0, 2, 'COMPLETE');
UPDATE trials SET datetime_start = '2024-05-01 12:00:00.250000', datetime_complete = '2024-05-01 12:00:03' WHERE trial_id = 1;
INSERT INTO trial_values VALUES (1, 1, 0, 7.5, 'FINITE'), (2, 2, 0, 3.25, 'FINITE'), (3, 4, 0, 2.5, 'FINITE'), (4, 5, 0, NULL, 'INF_POS'),
    (5, 7, 0, 1, 'FINITE'), (6, 7, 1, 2, 'FINITE');
INSERT INTO trial_intermediate_values VALUES (1, 4, 0, 0.5, 'FINITE'), (2, 4, 1, NULL, 'NAN');
"#;

fn optuna(lab: &Lab, old: bool) {
    let file = rusqlite::Connection::open(lab.path("optuna.sqlite")).unwrap();
    file.execute_batch(OPTUNA).unwrap();
    let float = |low: f64, high: f64, step: Value, log: bool| match (old, log, step.is_null()) {
        (true, true, _) => {
            json!({"name": "LogUniformDistribution", "attributes": {"low": low, "high": high}})
        }
        (true, _, false) => {
            json!({"name": "DiscreteUniformDistribution", "attributes": {"low": low, "high": high, "q": step}})
        }
        _ => {
            json!({"name": "FloatDistribution", "attributes": {"step": step, "low": low, "high": high, "log": log}})
        }
    };
    let int = |low: i64, high: i64, step: i64| match old {
        true => {
            json!({"name": "IntUniformDistribution", "attributes": {"low": low, "high": high, "step": step}})
        }
        false => {
            json!({"name": "IntDistribution", "attributes": {"log": false, "step": step, "low": low, "high": high}})
        }
    };
    let act = json!({"name": "CategoricalDistribution", "attributes": {"choices": ["relu", "tanh", null]}});
    let mut id = 0;
    for (trial, choice) in [(1, 1.0), (2, 2.0), (3, 0.0), (4, 1.0), (5, 0.0), (6, 0.0)] {
        let mut params = vec![
            ("x", 0.01 * f64::from(trial), float(0.001, 1.0, Value::Null, true)),
            ("n", 3.0, int(1, 9, 2)),
            ("act", choice, act.clone()),
            ("d", 0.25, float(0.0, 1.0, json!(0.25), false)),
        ];
        if choice == 1.0 {
            params.push(("b", 2.0, int(1, 4, 1)));
        }
        for (name, value, distribution) in params {
            id += 1;
            let row = rusqlite::params![id, trial, name, value, distribution.to_string()];
            file.execute("INSERT INTO trial_params VALUES (?1, ?2, ?3, ?4, ?5)", row).unwrap();
        }
    }
    let row =
        rusqlite::params![id + 1, 7, "x", 0.5, float(0.0, 1.0, Value::Null, false).to_string()];
    file.execute("INSERT INTO trial_params VALUES (?1, ?2, ?3, ?4, ?5)", row).unwrap();
    if old {
        // Files of the first 3.0 have no column that says which values are not finite.
        file.execute_batch("ALTER TABLE trial_values DROP COLUMN value_type").unwrap();
    }
}

#[test]
fn a_study_of_optuna_is_taken_over() {
    for old in [false, true] {
        let lab = Lab::new();
        optuna(&lab, old);
        let import = ["study", "import", "toy", "optuna.sqlite", "--db", "s.db"];
        lab.mle(&[&import[..], &["--new"]].concat()).fails(2, "which study of the file is meant?");
        lab.mle(&[&import[..], &["--new", "--name", "three"]].concat())
            .fails(2, "there is no study \"three\"");
        let added = json_of(&lab, &[&import[..], &["--new", "--name", "one"]].concat());
        lab.mle(&[&import[..], &["--new", "--name", "one"]].concat())
            .fails(2, "without --new it takes the trials in");
        assert_eq!(
            (&added["numbers"], &added["left_out"]),
            (&json!([0, 1, 2, 3, 4]), &json!([])),
            "{old}"
        );
        let rows = lab.sql(
            "s.db",
            "SELECT number, state, \"values\", curve, json_extract(params, '$.act') FROM trials",
        );
        let infinite = if old { "[null]" } else { "[\"inf\"]" };
        assert_eq!(
            rows,
            [
                "0|complete|[7.5]||tanh",
                "1|complete|[3.25]||",
                "2|failed|||relu",
                "3|pruned|[0.5]|[0.5,null]|tanh",
                &format!("4|complete|{infinite}||relu")
            ]
        );
        // When it was tried there stays so; elsewhere it is now.
        let when = "SELECT substr(asked_at, 1, 8), duration_s FROM trials WHERE number < 2 AND asked_at < '2025'";
        assert_eq!(lab.sql("s.db", when), ["2024-05-|2.75"], "{old}");
        let space = json_of(&lab, &["study", "space", "toy"])["space"].clone();
        assert_eq!(space["b"]["when"], json!({"act": ["tanh"]}));
        assert_eq!(
            (&space["x"]["prior"], &space["n"]["step"], &space["d"]["step"]),
            (&json!("log"), &json!(2), &json!(0.25))
        );
        assert_eq!(space["act"]["choices"], json!(["relu", "tanh", null]));
        // It goes on from there.
        let next = json_of(&lab, &["ask", "toy", "-n", "2"]);
        assert_eq!(next["trials"][1]["number"], json!(6));
        // What was taken over before is not taken again.
        let again = json_of(&lab, &["study", "import", "toy", "optuna.sqlite", "--name", "one"]);
        assert_eq!(again["numbers"], json!([]), "{again}");
        assert_eq!(again["left_out"].as_array().unwrap().len(), 5);
        // Into a study with other parameters.
        lab.mle(&[
            "study",
            "new",
            "narrow",
            "--space",
            r#"{"x": {"type": "real", "low": 0.015, "high": 1}}"#,
        ])
        .ok();
        let added = json_of(&lab, &["study", "import", "narrow", "optuna.sqlite", "--name", "one"]);
        assert_eq!(added["left_out"].as_array().unwrap().len(), 5);
        lab.mle(&["study", "import", "narrow", "optuna.sqlite", "--name", "two"])
            .fails(2, "has the objectives min, max, the study min");
    }
    let lab = Lab::new();
    lab.write("bad.sqlite", "SQLite format 3\0 and nothing else");
    lab.mle(&["study", "import", "toy", "bad.sqlite", "--new", "--db", "s.db"])
        .fails(4, "bad.sqlite");
}

#[test]
fn a_file_that_is_none_of_optuna_is_told_from_one() {
    let lab = Lab::new();
    let space = r#"{"x": {"type": "real", "low": 0, "high": 1}}"#;
    lab.mle(&["study", "new", "toy", "--space", space, "--db", "s.db"]).ok();
    let said = lab.mle(&["study", "import", "toy", "s.db", "--db", "s.db"]);
    let said = said.fails(4, "is a file of mle, not of Optuna");
    assert!(said.contains("mle study warm-start"), "{said}");
    for tables in ["CREATE TABLE a (b)", "CREATE TABLE studies (study_id, study_name)"] {
        let _ = std::fs::remove_file(lab.path("x.sqlite"));
        rusqlite::Connection::open(lab.path("x.sqlite")).unwrap().execute_batch(tables).unwrap();
        let import = ["study", "import", "new", "x.sqlite", "--new", "--db", "s.db"];
        let said = lab.mle(&import).fails(4, "is no file of Optuna");
        assert!(said.contains("hint: it has no table stud"), "{said}");
    }
}
