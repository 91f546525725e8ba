//! `mle sql`: any question to the file.

use std::io::{IsTerminal, Write};
use std::path::Path;

use super::output::{Output, object, sanitize_lines};
use crate::display::{cell, csv_line, json, json_text};
use crate::error::{Error, Result};
use crate::store::{ReadTx, Row, SqlValue};

/// Ask the file a question in SQL
///
/// The views are the interface: experiments, runs, metrics, points, leaderboard and others, and wide_ID for each
/// experiment. The statement can only read.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  mle sql \"SELECT id, name, state, best FROM experiments\"
  mle sql --csv \"SELECT * FROM wide_3\" > runs.csv")]
pub struct Args {
    /// One SELECT statement
    pub statement: String,
    /// Print comma-separated values with a header line
    #[arg(long)]
    pub csv: bool,
}

/// The most rows of a table: more are for programs.
const ROW_MAX: usize = 10_000;

/// Runs the verb.
///
/// # Errors
/// [`Error::Invalid`] for a statement that would write or is none; those of the store.
pub fn run(args: &Args, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let sql = args.statement.as_str();
    let answer = store.read(|tx| {
        if !tx.is_read_only(sql)? || !is_question(sql) {
            return Err(Error::invalid("SQL", "the statement would change the file")
                .with_hint("`mle sql` only reads; give a SELECT"));
        }
        match (args.csv, output.json) {
            (true, _) => output.stream(|out| csv(tx, sql, out)),
            (false, true) => output.stream(|out| json_array(tx, sql, out)),
            (false, false) => table(tx, sql, output),
        }
    });
    answer.map_err(|error| match error {
        Error::Sqlite { message, .. } => Error::invalid("SQL", message).with_hint(
            "`mle sql \"SELECT name FROM sqlite_schema WHERE type = 'view'\"` lists the views",
        ),
        other => other,
    })
}

fn table(tx: &ReadTx, sql: &str, output: &Output) -> Result<()> {
    let (mut names, mut rows, mut is_all) = (Vec::new(), Vec::new(), true);
    tx.stream(
        sql,
        [],
        |found| {
            names = found.to_vec();
            Ok(())
        },
        |row| {
            is_all = rows.len() < ROW_MAX;
            if is_all {
                rows.push(values(row)?);
            }
            Ok(is_all)
        },
    )?;
    output.rows(&names, &rows)?;
    if !is_all {
        output.line(&format!("these are the first {ROW_MAX} rows; --csv and --json give all"))?;
    }
    Ok(())
}

fn values(row: &Row<'_>) -> Result<Vec<SqlValue>> {
    let width = row.as_ref().column_count();
    let values: rusqlite::Result<_> = (0..width).map(|i| row.get(i)).collect();
    values.map_err(|error| Error::sqlite(error, "a row"))
}

/// Returns whether a statement asks: SQLite calls some read-only that change the connection, as ATTACH, BEGIN, most PRAGMAs.
pub fn is_question(statement: &str) -> bool {
    let mut text = statement.trim_start();
    loop {
        text = if let Some(rest) = text.strip_prefix("--") {
            rest.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(rest) = text.strip_prefix("/*") {
            rest.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            break;
        }
        .trim_start();
    }
    let word: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
    ["select", "with", "values", "explain"].contains(&word.to_ascii_lowercase().as_str())
}

/// An array with an object a row on a line of its own.
fn json_array(tx: &ReadTx, sql: &str, out: &mut dyn Write) -> Result<()> {
    let names = std::cell::RefCell::new(Vec::new());
    let start = |found: &[String]| {
        names.replace(found.to_vec());
        Ok(())
    };
    let mut between = "[\n  ";
    tx.stream(sql, [], start, |row| {
        let object = object(&names.borrow(), &values(row)?);
        write!(out, "{between}{}", json_text(&object)).map_err(failed)?;
        between = ",\n  ";
        Ok(true)
    })?;
    let end = if between.starts_with('[') { "[]\n" } else { "\n]\n" };
    out.write_all(end.as_bytes()).map_err(failed)
}

/// RFC 4180. Bytes are hex digits, as in JSON.
fn csv(tx: &ReadTx, sql: &str, out: &mut dyn Write) -> Result<()> {
    let is_terminal = std::io::stdout().is_terminal();
    let out = std::cell::RefCell::new(out);
    let line = |line: String| {
        let line = match is_terminal {
            true => sanitize_lines(line.trim_end_matches("\r\n")) + "\n",
            false => line.into(),
        };
        out.borrow_mut().write_all(line.as_bytes()).map_err(failed)
    };
    let start = |names: &[String]| line(csv_line(names.iter().map(String::as_str)));
    tx.stream(sql, [], start, |row| {
        let cells: Vec<String> = values(row)?.iter().map(csv_cell).collect();
        line(csv_line(cells.iter().map(String::as_str))).map(|()| true)
    })
}

fn failed(error: std::io::Error) -> Error {
    Error::io("standard output", error)
}

/// Numbers in full: a table is for people, this is for programs.
fn csv_cell(value: &SqlValue) -> String {
    match value {
        SqlValue::Real(number) if number.is_finite() => format!("{number:?}"),
        SqlValue::Blob(_) => json(value).as_str().unwrap_or_default().to_owned(),
        value => cell(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tests::{experiment, store};

    #[test]
    fn only_questions_are_answered() {
        let (_folder, mut store) = store();
        experiment(&mut store, "x");
        let path = store.path().to_owned();
        let ask = |statement: &str| {
            let args = Args { statement: statement.into(), csv: false };
            run(&args, &Output { json: true, color: false }, &path)
        };
        assert!(ask("SELECT * FROM experiments").is_ok());
        assert!(ask("-- why\n/* not */ with x AS (SELECT 1) SELECT * FROM x").is_ok());
        for statement in [
            "DELETE FROM experiment",
            "WITH x AS (SELECT 1) DELETE FROM experiment",
            "CREATE TABLE x (a)",
            "PRAGMA user_version = 9",
            "ATTACH '/tmp/x' AS x",
            "BEGIN",
            "VACUUM",
            "SELECT * FROM nowhere",
            "SELECT 1; DELETE FROM experiment",
            "",
            "/*",
        ] {
            let error = ask(statement).unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{statement}: {error:?}");
        }
    }

    #[test]
    fn csv_and_json_hold_what_was_asked_for() {
        let (_folder, store) = store();
        const SQL: &str =
            "SELECT 'x\"y\n' AS \"a,b\", 0.1 + 0.2 AS c, 9e999 AS d, x'01ff' AS e, NULL AS f";
        let (mut text, mut array, mut none) = (Vec::new(), Vec::new(), Vec::new());
        store.read(|tx| csv(tx, SQL, &mut text)).unwrap();
        store.read(|tx| json_array(tx, SQL, &mut array)).unwrap();
        store.read(|tx| json_array(tx, &format!("{SQL} LIMIT 0"), &mut none)).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "\"a,b\",c,d,e,f\r\n\"x\"\"y\n\",0.30000000000000004,inf,01ff,\r\n"
        );
        let array: serde_json::Value = serde_json::from_slice(&array).unwrap();
        let row = serde_json::json!({"a,b": "x\"y\n", "c": 0.1 + 0.2, "d": "inf", "e": "01ff", "f": null});
        assert_eq!(array, serde_json::json!([row]));
        assert_eq!(none, b"[]\n");
    }
}
