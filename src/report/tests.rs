//! Reports of experiments as they come: large, odd, hostile, empty.

use serde_json::json;

use super::*;
use crate::id::{ConfigId, RunId};
use crate::metric::{Update, Value};
use crate::protocol::tests::{config, ended_run, experiment, store};
use crate::protocol::{Kind, NewExperiment, Provenance, RunState};
use crate::store::Store;

const EVIL: &str = "<script>alert('x')</script> | `a` \u{1b}[31m \"q\" \u{202e}é\n# head";

fn log(store: &mut Store, run: RunId, name: &str, values: impl Iterator<Item = f64>) {
    let updates: Vec<Update> = (0i64..)
        .zip(values)
        .map(|(step, value)| Update {
            step: Some(step),
            at_ms: 1_000 + step,
            values: vec![(name.into(), Value::Scalar(value))],
        })
        .collect();
    store.write(|tx| crate::metric::append(tx, run, 0, &updates)).unwrap();
}

fn rendered(store: &Store, id: ExperimentId) -> Report {
    store.read(|tx| render(tx, id)).unwrap()
}

#[test]
fn an_empty_experiment_has_a_report() {
    let (_folder, mut store) = store();
    let id = experiment(&mut store, "nothing yet");
    let report = rendered(&store, id);
    assert!(report.markdown.starts_with("# nothing yet\n\n**planned** · experiment 1"));
    assert!(report.html.contains("<h1>nothing yet</h1>"));
    assert!(matches!(
        store.read(|tx| render(tx, ExperimentId(9))),
        Err(crate::Error::NotFound { .. })
    ));
}

#[test]
fn hostile_text_is_only_text() {
    let (_folder, mut store) = store();
    let new = NewExperiment {
        purpose: EVIL.into(),
        project: EVIL.into(),
        tags: vec![EVIL.into()],
        plan: json!({"warnings": [EVIL]}),
        spec_text: Some(EVIL.into()),
        spec_name: Some(EVIL.into()),
        objectives: vec![protocol::Objective::new(EVIL, protocol::Goal::Max)],
        ..NewExperiment::new(EVIL, Kind::Search)
    };
    let provenance = Provenance {
        command_line: vec![EVIL.into()],
        cwd: EVIL.into(),
        environment: json!({"os": EVIL, "kernel": EVIL, "gpus": [EVIL]})
            .as_object()
            .unwrap()
            .clone(),
        ..Provenance::default()
    };
    let id = store.write(|tx| protocol::add(tx, &new, &provenance)).unwrap();
    for i in 0..3 {
        let config = config(&mut store, json!({EVIL: EVIL, "i": i}));
        let run = ended_run(&mut store, id, config, 0, RunState::Complete, Some(f64::from(i)));
        log(&mut store, run, "m", (0..30).map(|x| f64::from(x * i)));
    }
    store
        .write(|tx| {
            tx.run("UPDATE run SET name = ?1, error = ?1", [EVIL])?;
            tx.run("UPDATE metric SET name = ?1", [EVIL])?;
            tx.run("UPDATE experiment SET error = ?1", [EVIL])?;
            protocol::add_note(tx, id, EVIL, EVIL)
        })
        .unwrap();
    let report = rendered(&store, id);
    assert!(!report.html.contains("<script"), "{}", report.html);
    for text in [&report.html, &report.markdown] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']));
    }
    assert!(report.html.contains("<svg"));
    // Outside of code, markup characters are escaped and no line of the text begins one of its own.
    let outside = report.markdown.split("```").next().unwrap().replace("\\<", "");
    assert!(!outside.contains("<script") && !outside.contains("\n# head"));
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let (_folder, mut store) = store();
    let id = experiment(&mut store, "x");
    let html = rendered(&store, id).html;
    for word in ["src=", "href=", "url(", "@import", "http://", "https://", "<script", "<link"] {
        assert!(!html.contains(word), "{word}");
    }
}

#[test]
fn numbers_that_are_none_are_shown_as_such() {
    let (_folder, mut store) = store();
    let id = experiment(&mut store, "x");
    let config = config(&mut store, json!({"lr": 0.1}));
    for (seed, value) in [(0, 1.0), (1, 2.0), (2, f64::NAN), (3, f64::INFINITY)] {
        let run = ended_run(&mut store, id, config, seed, RunState::Complete, Some(value));
        let values = [1.0, f64::NAN, 0.5, f64::NEG_INFINITY, 0.25];
        log(&mut store, run, "loss", values.into_iter());
    }
    let report = rendered(&store, id);
    for text in [&report.html, &report.markdown] {
        assert!(text.contains("NaN") && text.contains("inf"));
        assert!(text.contains("1 run completed with NaN for a value"));
    }
    assert!(report.markdown.contains("| 1 | c | 1.5 |"), "{}", report.markdown);
}

#[test]
fn a_large_experiment_has_a_bounded_report() {
    let (_folder, mut store) = store();
    let id = experiment(&mut store, "large");
    store
        .write(|tx| {
            for i in 0..400 {
                let params = json!({"lr": i, "fixed": "same"});
                let config = protocol::add_config(tx, params.as_object().unwrap())?;
                let run = protocol::add_run(tx, id, config, None, &format!("c{i}"), 0, "")?;
                protocol::start_run(tx, run, "")?;
                let value = Some(f64::from(i));
                protocol::end_run(tx, run, RunState::Complete, value, None, "")?;
                protocol::score_config(tx, id, config)?;
            }
            Ok(())
        })
        .unwrap();
    let first = RunId(1);
    log(&mut store, first, "loss", (0..50_000).map(|x| 1.0 / f64::from(x + 1)));
    let report = rendered(&store, id);
    assert!(report.html.len() < 300_000, "{}", report.html.len());
    assert!(report.markdown.contains("350 more configs are in the file."));
    assert!(report.markdown.contains("200 more runs are in the file."));
    assert!(!report.markdown.contains("fixed=same"), "only what differs is listed");
    let best = store.read(|tx| leaderboard(tx, id, 3)).unwrap();
    assert_eq!(best.iter().map(|place| place.config).collect::<Vec<_>>(), [1, 2, 3].map(ConfigId));
}

#[test]
fn equal_configs_share_a_place_and_large_can_be_good() {
    let (_folder, mut store) = store();
    let id = experiment(&mut store, "x");
    store.write(|tx| tx.run("UPDATE objective SET goal = 'max'", [])).unwrap();
    for (i, value) in [1.0, 3.0, 3.0, 2.0].into_iter().enumerate() {
        let config = config(&mut store, json!({"i": i}));
        ended_run(&mut store, id, config, 0, RunState::Complete, Some(value));
    }
    let places = store.read(|tx| leaderboard(tx, id, 9)).unwrap();
    let got: Vec<_> = places.iter().map(|place| (place.place, place.mean)).collect();
    assert_eq!(got, [(1, 3.0), (1, 3.0), (3, 2.0), (4, 1.0)]);
}

#[test]
fn a_report_takes_the_place_of_the_one_before() {
    let (_folder, mut store) = store();
    let id = experiment(&mut store, "x");
    for text in ["one", "two"] {
        let report = Report { markdown: text.into(), html: format!("<p>{text}") };
        let prepared = report.prepare();
        let ids = store.write(|tx| super::store(tx, id, &prepared)).unwrap();
        let mut out = Vec::new();
        store.read(|tx| artifact::read(tx, ids[0], &mut out)).unwrap();
        assert_eq!(out, text.as_bytes());
    }
    let count = |sql: &str| -> i64 { store.read(|tx| tx.one(sql, [], |row| row.get(0))).unwrap() };
    assert_eq!(count("SELECT count(*) FROM artifact"), 2);
    assert_eq!(count("SELECT count(*) FROM blob"), 2);
    assert_eq!(count("SELECT count(*) FROM wide_1"), 0);
}

#[test]
fn failed_jobs_say_their_last_words() {
    let (_folder, mut store) = store();
    let id = experiment(&mut store, "x");
    let config = config(&mut store, json!({}));
    ended_run(&mut store, id, config, 3, RunState::Failed, None);
    store
        .write(|tx| {
            tx.batch(
                "INSERT INTO worker (uid, kind, state, host, pid, process_start, started_at_ms, seen_at_ms)
                 VALUES ('w', 'worker', 'live', 'h', 1, '', 0, 0);
                 INSERT INTO job (uid, experiment_id, run_id, state, command, attempt, worker_id, created_at_ms,
                    ended_at_ms, changed_at_ms) VALUES ('j', 1, 1, 'failed', '[]', 1, 1, 0, 9000, 0);
                 INSERT INTO attempt (job_id, number, worker_id, state, claimed_at_ms, started_at_ms, ended_at_ms,
                    exit_code, memory_peak_kib) VALUES (1, 1, 1, 'failed', 0, 1000, 9000, 2, 2048);
                 INSERT INTO output VALUES (1, 1, 'stderr', 0, 0, CAST('Traceback\nValueError: <b>' AS BLOB));",
            )
        })
        .unwrap();
    let report = rendered(&store, id);
    assert!(
        report.markdown.contains("1 failed; attempts 1, wall time of all 8.0s"),
        "{}",
        report.markdown
    );
    assert!(report.markdown.contains("**job 1 (c, seed 3)** failed: exit code 2"));
    assert!(report.html.contains("ValueError: &lt;b&gt;"));
}

#[test]
fn statements_use_an_index() {
    let (_folder, store) = store();
    let sql = include_str!("../../sql/report.sql");
    for part in sql.split("-- name: ").skip(1) {
        let (name, body) = part.split_once('\n').unwrap();
        let (_, rows) = store
            .read(|tx| tx.table(&format!("EXPLAIN QUERY PLAN {body}"), named_params! {}))
            .unwrap();
        for row in rows {
            let crate::store::SqlValue::Text(step) = &row[3] else { panic!("no text") };
            // Bounded: the metrics of fifty runs, and the few states of jobs.
            let bounded = ["metrics_of_first_runs", "count_jobs"].contains(&name);
            assert!(!step.starts_with("SCAN") || bounded, "{name}: {step}");
            assert!(!step.contains("TEMP B-TREE") || bounded, "{name}: {step}");
        }
    }
}

#[test]
fn failed_configs_stand_at_the_end_of_the_leaderboard() {
    let (_folder, mut store) = store();
    let id = experiment(&mut store, "x");
    for (i, value) in [Some(2.0), None, Some(1.0)].into_iter().enumerate() {
        let config = config(&mut store, json!({"i": i}));
        let state = if value.is_some() { RunState::Complete } else { RunState::Failed };
        ended_run(&mut store, id, config, 0, state, value);
    }
    store
        .write(|tx| tx.run("UPDATE run SET error = 'boom <b>' WHERE state = 'failed'", []))
        .unwrap();
    let failed = store.read(|tx| failed_configs(tx, id, 9)).unwrap();
    assert_eq!((failed.len(), failed[0].failed, failed[0].error.as_str()), (1, 1, "boom <b>"));
    let report = rendered(&store, id);
    let table: Vec<&str> =
        report.markdown.split("## Leaderboard").nth(1).unwrap().lines().skip(4).take(3).collect();
    assert!(table[2].starts_with("| – | c | failed | boom \\<b\\> | 0 (1 failed) |"), "{table:?}");
    assert!(report.html.contains("boom &lt;b&gt;"));
    // What ran to its end and said no finite number has not failed: runs and trials say it is complete.
    let config = config(&mut store, json!({"i": 3}));
    ended_run(&mut store, id, config, 0, RunState::Complete, Some(f64::NEG_INFINITY));
    let failed = store.read(|tx| failed_configs(tx, id, 9)).unwrap();
    assert_eq!((failed[0].word(), failed[1].word()), ("failed".into(), "-inf".into()));
    let row = "| – | c | -inf | its value is no finite number | 0 of 1 |";
    assert!(rendered(&store, id).markdown.contains(row));
}

#[test]
fn doing_it_again_leaves_the_user_s_spec_alone() {
    let (_folder, mut store) = store();
    let new = NewExperiment {
        spec_text: Some("command: x".into()),
        spec_name: Some("search.yaml".into()),
        ..NewExperiment::new("my search", Kind::Search)
    };
    let id = store.write(|tx| protocol::add(tx, &new, &Provenance::default())).unwrap();
    let markdown = rendered(&store, id).markdown;
    assert!(markdown.contains("show 1 --spec > again-1-search.yaml\n"), "{markdown}");
    assert!(markdown.contains("mle run again-1-search.yaml --name 'my search'\n"), "{markdown}");
    assert!(!markdown.contains("> search.yaml"));
}
