//! `mle sql`: any question to the file.

use std::path::Path;

use super::output::Output;
use crate::display::{cell, json};
use crate::error::{Error, Result};
use crate::store::{Open, SqlValue, Store};

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

/// Runs the verb.
///
/// # Errors
/// [`Error::Invalid`] for a statement that would write or is none; those of the store.
pub fn run(args: &Args, output: &Output, db: &Path) -> Result<()> {
    let store = Store::open(db, Open::ReadOnly)?;
    let (names, rows) = store.read(|tx| {
        let invalid = |error: Error| match error {
            Error::Sqlite { message, .. } => Error::invalid("SQL", message).with_hint(
                "`mle sql \"SELECT name FROM sqlite_schema WHERE type = 'view'\"` lists the views",
            ),
            other => other,
        };
        if !tx.is_read_only(&args.statement).map_err(invalid)? || !is_question(&args.statement) {
            return Err(Error::invalid("SQL", "the statement would change the file")
                .with_hint("`mle sql` only reads; give a SELECT"));
        }
        tx.table(&args.statement, []).map_err(invalid)
    })?;
    if args.csv {
        return output.raw(csv(&names, &rows).as_bytes());
    }
    output.rows(&names, &rows)
}

/// SQLite calls some statements read-only that change the connection: ATTACH, BEGIN, most PRAGMAs.
fn is_question(statement: &str) -> bool {
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

/// RFC 4180. Bytes are hex digits, as in JSON.
fn csv(names: &[String], rows: &[Vec<SqlValue>]) -> String {
    let quote = |text: &str| match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let mut out = String::new();
    let mut line = |cells: Vec<String>| {
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    };
    line(names.iter().map(|name| quote(name)).collect());
    for row in rows {
        line(row.iter().map(|value| quote(&csv_cell(value))).collect());
    }
    out
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
    fn csv_quotes_what_it_must() {
        let names = ["a,b".to_owned(), "c".to_owned()];
        let rows = [vec![SqlValue::Text("x\"y\n".into()), SqlValue::Real(0.1 + 0.2)]];
        assert_eq!(csv(&names, &rows), "\"a,b\",c\r\n\"x\"\"y\n\",0.30000000000000004\r\n");
    }
}
