//! Facts about the SQL texts: they prepare, the hot ones read along indices, enums are CHECK lists, views are as promised.

use std::process::Command;

use rusqlite::Connection;

use crate::first_run::{SPEC, TRAIN};
use crate::lab::{Lab, said};

const TEXTS: [(&str, &str); 8] = [
    ("artifact", include_str!("../sql/artifact.sql")),
    ("lifecycle", include_str!("../sql/lifecycle.sql")),
    ("metric", include_str!("../sql/metric.sql")),
    ("outside", include_str!("../sql/outside.sql")),
    ("protocol", include_str!("../sql/protocol.sql")),
    ("queue", include_str!("../sql/queue.sql")),
    ("report", include_str!("../sql/report.sql")),
    ("search", include_str!("../sql/search.sql")),
];

fn fresh() -> (Lab, Connection) {
    let lab = Lab::new();
    lab.mle(&["queue", "add", "--db", "x.db", "--", "true"]).ok();
    let connection = Connection::open(lab.path("x.db")).expect("the file");
    (lab, connection)
}

/// Each statement of a text with its name.
fn statements(text: &str) -> Vec<(&str, &str)> {
    text.split("-- name: ")
        .skip(1)
        .map(|part| part.split_once('\n').expect("a name and a statement"))
        .collect()
}

#[test]
fn every_statement_prepares() {
    let (_lab, connection) = fresh();
    let mut count = 0;
    for (text, sql) in TEXTS {
        for (name, statement) in statements(sql) {
            if let Err(error) = connection.prepare(statement) {
                panic!("{text}.{name}: {error}");
            }
            count += 1;
        }
    }
    assert!(count > 100, "only {count} statements found");
}

/// Indices so small that to read all of one is cheap: they hold what is open.
const SMALL: [&str; 7] = [
    "job_for_claim",
    "job_leased",
    "job_due",
    "job_open",
    "study_open",
    "experiment_open",
    "worker_live",
];

/// Statements that may read much, or sort.
const MAY_READ_ALL: &[(&str, &str)] = &[
    // A person asks for blobs to be cleared away.
    ("artifact", "count_unused_blobs"),
    ("artifact", "delete_unused_blobs"),
    // What it would scan only counts in a transaction that has broken a foreign key so far.
    ("metric", "add_stream"),
    ("protocol", "add_run"),
    ("queue", "add_worker"),
    // The tail is empty, or what loggers committed in the last 50 ms.
    ("metric", "has_tail"),
    ("metric", "list_tails"),
    ("metric", "read_tail"),
    ("metric", "cut_tail"),
    // The metrics of one run are few.
    ("metric", "series_of_run"),
    // Ends at the first that was not deleted.
    ("protocol", "latest_experiment"),
    // One experiment, by a person or at its end.
    ("protocol", "configs_of_experiment"),
    ("protocol", "scalars_of_experiment"),
    ("report", "metrics_of_first_runs"),
    ("report", "count_jobs"),
    // Another program looks at all studies; names are no key.
    ("outside", "studies_there"),
    ("outside", "studies_by_name"),
    // The list of numbers that it is given.
    ("outside", "trials_after"),
    // The scripts that are at work just now.
    ("protocol", "list_processes"),
    ("search", "held_trials"),
    // A person looks at all studies.
    ("search", "list_studies"),
    // The schema is small.
    ("protocol", "text_of_view"),
    ("protocol", "wide_views"),
];

/// Whatever runs while jobs run must cost the same in a file of any size.
#[test]
fn hot_statements_read_along_indices() {
    let (_lab, connection) = fresh();
    let mut slow = Vec::new();
    for (text, sql) in TEXTS {
        for (name, statement) in statements(sql) {
            let plan: Vec<String> = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
                .and_then(|mut plan| {
                    // Nothing is bound: a plan does not depend on values.
                    let mut rows = plan.raw_query();
                    let mut lines = Vec::new();
                    while let Some(row) = rows.next()? {
                        lines.push(row.get(3)?);
                    }
                    Ok(lines)
                })
                .unwrap_or_else(|error| panic!("{text}.{name}: {error}"));
            let bad: Vec<String> = plan
                .into_iter()
                .filter(|line| {
                    let scans = line.starts_with("SCAN ")
                        && line != "SCAN CONSTANT ROW"
                        && !SMALL.iter().any(|index| line.ends_with(&format!("INDEX {index}")));
                    scans || line.contains("TEMP B-TREE")
                })
                .collect();
            if bad.is_empty() == MAY_READ_ALL.contains(&(text, name)) {
                slow.push(format!("(\"{text}\", \"{name}\"), {}", bad.join("; ")));
            }
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

/// Returns the words of a column's CHECK list.
fn check_list(connection: &Connection, table: &str, column: &str) -> Vec<String> {
    let sql: String = connection
        .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0))
        .expect("a table");
    let start = [" IN (", " = "]
        .iter()
        .find_map(|how| sql.find(&format!("CHECK ({column}{how}")))
        .expect("a CHECK list");
    let list = sql[start..].split(')').next().expect("its end");
    // What stands between quotes are the words.
    list.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn enums_are_the_words_of_their_columns() {
    use mle::artifact::{ArtifactKind, Role};
    use mle::protocol::{Aggregate, Goal, Kind, RunState, State, ValueFrom};
    use mle::queue::{AttemptState, JobState, WorkerKind};
    let (_lab, connection) = fresh();
    macro_rules! same {
        ($($name:ident in $table:literal . $column:literal),* $(,)?) => {$(
            let words: Vec<&str> = $name::ALL.iter().map(|it| it.as_str()).collect();
            assert_eq!(words, check_list(&connection, $table, $column), stringify!($name));
        )*};
    }
    same!(
        JobState in "job"."state",
        AttemptState in "attempt"."state",
        WorkerKind in "worker"."kind",
        Kind in "experiment"."kind",
        State in "experiment"."state",
        RunState in "run"."state",
        Goal in "objective"."goal",
        ValueFrom in "objective"."value_from",
        Aggregate in "objective"."aggregate",
        ArtifactKind in "artifact"."kind",
        Role in "artifact"."role",
    );
}

/// sql/schema.sql is for reading: what all migrations and the views make together.
#[test]
fn the_schema_on_paper_is_the_one_in_a_file() {
    let (_lab, connection) = fresh();
    let parts: Vec<String> = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid")
        .and_then(|mut list| list.query_map([], |row| row.get(0))?.collect())
        .expect("the schema");
    let header = "-- The schema of a file: all migrations and the views. Written by `UPDATE=1 cargo test texts_are_sound`.\n\n";
    let schema = format!("{header}{};\n", parts.join(";\n\n"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/schema.sql");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &schema).expect("the file of the schema");
    }
    let on_paper = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        on_paper == schema,
        "sql/schema.sql is not up to date: UPDATE=1 cargo test texts_are_sound"
    );
}

/// The public interface: no column goes or changes its place without this list saying so.
const VIEWS: &[(&str, &str)] = &[
    (
        "experiments",
        "id uid name purpose project kind state runs runs_complete runs_failed runs_pruned metric goal best \
         created_at started_at ended_at duration_s host user_name cwd command_line git_commit \
         git_branch git_dirty script_name script_hash environment spec_name spec_text error tags",
    ),
    ("configs", "id hash params runs"),
    (
        "studies",
        "id uid experiment_id experiment state strategy settings space constraints seed seeds \
         trial_max epoch_max epoch_budget stop trials trials_complete trials_failed",
    ),
    (
        "trials",
        "id uid study_id experiment_id experiment number source state params value values config_id \
         asked_at ended_at duration_s epochs epochs_reached curve seen extra",
    ),
    (
        "runs",
        "id uid experiment_id experiment config_id trial_id name seed state value params \
         started_at ended_at duration_s error epochs epochs_before from_run_id extra",
    ),
    (
        "metrics",
        "run_id experiment_id experiment config_id seed metric kind n nan first last last_step \
         min max mean",
    ),
    (
        "points_of_all_attempts",
        "run_id experiment_id seed metric step value at elapsed_s attempt visible",
    ),
    ("points", "run_id experiment_id seed metric step value at elapsed_s attempt"),
    ("vectors", "run_id experiment_id seed metric step value"),
    ("texts", "run_id experiment_id seed metric step value"),
    (
        "jobs",
        "id uid experiment_id experiment run_id stage state command priority cores gpus \
         memory_mib time_limit_s attempt failures try_max unique_key worker_id host exit_code \
         signal error duration_s user_s system_s memory_peak_kib created_at started_at ended_at \
         lease_until due_at needs held cancel_wanted",
    ),
    (
        "attempts",
        "job_id number experiment_id run_id state worker_id host pid exit_code signal error \
         claimed_at started_at ended_at duration_s user_s system_s memory_peak_kib stdout_bytes \
         stderr_bytes",
    ),
    ("outputs", "job_id attempt stream offset size_bytes text at"),
    (
        "workers",
        "id uid kind state host pid slots cores gpus memory_mib started_at seen_at ended_at",
    ),
    (
        "artifacts",
        "id uid experiment_id run_id attempt name kind role step value size_bytes hash path \
         created_at",
    ),
    ("events", "id at what what_id from_state to_state who detail"),
    ("notes", "id experiment_id text user_name at"),
    ("objectives", "experiment_id position metric goal value_from aggregate"),
    (
        "leaderboard",
        "experiment_id experiment place metric goal mean low95 high95 std iqm median seeds failed \
         config_id name params",
    ),
    ("best_so_far", "study_id experiment_id experiment number ended value best ended_at"),
    ("ranking", "study_id experiment_id experiment place number metric value values params"),
    ("pareto", "study_id experiment_id experiment number values params"),
];

#[test]
fn views_have_the_columns_they_promise() {
    let (_lab, connection) = fresh();
    let views: Vec<(String, String)> = connection
        .prepare(
            "SELECT v.name, (SELECT group_concat(c.name, ' ') FROM pragma_table_info(v.name) c)
             FROM sqlite_schema v WHERE v.type = 'view' ORDER BY v.rowid",
        )
        .and_then(|mut list| list.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .expect("the views");
    let views: Vec<(&str, &str)> = views.iter().map(|(n, c)| (n.as_str(), c.as_str())).collect();
    assert_eq!(views, VIEWS);
}

const PYTHON: &str = "
import sqlite3, sys
file = sqlite3.connect('toy.db')
for (name,) in file.execute(\"SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY rowid\").fetchall():
    print(name, len(file.execute(f'SELECT * FROM \"{name}\"').fetchall()))
";

/// Views need nothing of ours: the stock program and Python's module read them, and find the same in them.
#[test]
fn strangers_can_read_every_view() {
    let lab = Lab::new();
    lab.write("train.py", TRAIN);
    lab.write("toy.yaml", SPEC);
    lab.mle(&["run", "toy.yaml"]).ok();
    lab.mle(&["protocol", "note", "toy", "a note", "--db", "toy.db"]);
    let ours: Vec<String> = lab
        .sql("toy.db", "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY rowid")
        .into_iter()
        .map(|view| {
            format!("{view} {}", lab.sql("toy.db", &format!("SELECT * FROM \"{view}\"")).len())
        })
        .collect();
    assert!(ours.contains(&"leaderboard 4".into()), "{ours:?}");
    let python = Command::new("python3").args(["-c", PYTHON]).current_dir(lab.path(".")).output();
    let python = said(python.expect("python3")).ok();
    assert_eq!(python.lines().collect::<Vec<_>>(), ours);
    if Command::new("sqlite3").arg("--version").output().is_err() {
        return;
    }
    let stranger = |sql: &str| {
        let output =
            Command::new("sqlite3").args(["toy.db", sql]).current_dir(lab.path(".")).output();
        said(output.expect("sqlite3")).ok().trim().to_owned()
    };
    for line in &ours {
        let (view, _) = line.split_once(' ').expect("a view and a count");
        stranger(&format!("SELECT * FROM \"{view}\""));
        assert_eq!(
            &format!("{view} {}", stranger(&format!("SELECT count(*) FROM \"{view}\""))),
            line
        );
    }
}

/// json_valid(NULL) is false in SQLite 3.40, which many systems have.
#[test]
fn json_that_may_be_missing_is_checked_as_such() {
    let text = include_str!("../migrations/0001_initial.sql");
    for line in text.lines().filter(|line| line.contains("json_valid(") && !line.starts_with("--"))
    {
        assert!(line.contains("NOT NULL") || line.contains("IS NULL OR json_valid("), "{line}");
    }
}
