//! Schema versions: forward only, in one transaction, under one lock.

use rusqlite::Connection;
use std::path::Path;

use crate::error::{Error, Result};

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_initial.sql"),
    include_str!("../../migrations/0002_add_tail.sql"),
    include_str!("../../migrations/0003_fewer_pages_a_trial.sql"),
    include_str!("../../migrations/0004_add_process.sql"),
    include_str!("../../migrations/0005_a_trial_ends_in_place.sql"),
    include_str!("../../migrations/0006_views_name_their_experiment.sql"),
];

/// The public interface: every view, dropped and created again by each migration.
pub const VIEWS: &str = include_str!("../../sql/views.sql");

/// The schema version this program writes.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Reads the version without a lock.
///
/// # Errors
/// [`Error::SchemaTooNew`] for a file of a newer release.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64> {
    let found = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| open_error(error, path))?;
    if found > SCHEMA_VERSION {
        return Err(Error::SchemaTooNew { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    Ok(found)
}

/// Brings the file to [`SCHEMA_VERSION`]. The version is read again once the write lock is held, so that of many
/// programs opening an old file at once one migrates it and the others find it done.
///
/// # Errors
/// [`Error::SchemaTooNew`], [`Error::Sqlite`]; the file is then as it was.
pub(super) fn migrate(connection: &Connection, path: &Path) -> Result<()> {
    let run = |sql: &str| connection.execute_batch(sql).map_err(|error| Error::sqlite(error, sql));
    run("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE;")?;
    let result = (|| {
        let found = version(connection, path)?;
        if found == SCHEMA_VERSION {
            return Ok(());
        }
        let others = drop_views(connection)?;
        for migration in &MIGRATIONS[usize::try_from(found).unwrap_or(0)..] {
            run(migration)?;
        }
        let broken: i64 = connection
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .map_err(|error| Error::sqlite(error, "foreign_key_check"))?;
        if broken > 0 {
            return Err(Error::WrongFile {
                path: path.to_owned(),
                why: format!("{broken} rows point to rows that are not there"),
                hint: None,
            });
        }
        run(VIEWS)?;
        // One whose columns are gone is kept too: reading it says so.
        for sql in others {
            let _ = connection.execute(&sql, []);
        }
        run(&format!("PRAGMA user_version = {SCHEMA_VERSION}"))
    })();
    match result {
        Ok(()) => run("COMMIT; PRAGMA foreign_keys = ON;"),
        Err(error) => {
            let _ = connection.execute_batch("ROLLBACK");
            Err(error)
        }
    }
}

/// Drops all views, and returns the text of those that are made for an experiment or by a person.
fn drop_views(connection: &Connection) -> Result<Vec<String>> {
    const LIST: &str = "SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY rowid";
    let views: Vec<(String, String)> = connection
        .prepare(LIST)
        .and_then(|mut statement| {
            let views = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            views.collect::<rusqlite::Result<_>>()
        })
        .map_err(|error| Error::sqlite(error, LIST))?;
    let mut others = Vec::new();
    for (name, text) in views {
        let sql = format!("DROP VIEW \"{}\"", name.replace('"', "\"\""));
        connection.execute_batch(&sql).map_err(|error| Error::sqlite(error, &sql))?;
        // SQLite writes the first two words of what it keeps; `execute` runs one statement alone.
        if !VIEWS.contains(&format!("CREATE VIEW {name} AS")) && text.starts_with("CREATE VIEW ") {
            others.push(text);
        }
    }
    Ok(others)
}

/// A failure of the first statements on a file means the file or its disk, not the statement.
pub(super) fn open_error(error: rusqlite::Error, path: &Path) -> Error {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseCorrupt, DiskFull, NotADatabase, ReadOnly, SystemIoFailure,
    };
    match &error {
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(failure.code, CannotOpen | DiskFull | ReadOnly | SystemIoFailure) =>
        {
            match super::file::refusal(path) {
                Some(source) => Error::io(path, source),
                None => Error::sqlite(error, "open"),
            }
        }
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(failure.code, NotADatabase | DatabaseCorrupt) =>
        {
            Error::WrongFile {
                path: path.to_owned(),
                why: format!("is damaged ({error})"),
                hint: Some("restore a copy; `sqlite3 FILE .recover` may save what is left".into()),
            }
        }
        _ => Error::sqlite(error, "open"),
    }
}
