//! SQLite files of other programs, read and never written.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Params};

use super::file::APPLICATION_ID;
use crate::error::{Error, Result};

/// A file of another program.
pub struct Stranger {
    connection: Connection,
    path: PathBuf,
}

impl Stranger {
    /// Opens a file to read it. Nothing in it is executed: its schema is not trusted.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::WrongFile`] when it is no SQLite file.
    pub fn open(path: &Path) -> Result<Stranger> {
        std::fs::metadata(path).map_err(|error| Error::io(path, error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let wrong = |error: rusqlite::Error| Error::WrongFile {
            path: path.to_owned(),
            why: error.to_string(),
            hint: None,
        };
        let connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
        for (config, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        ] {
            connection.set_db_config(config, on).map_err(wrong)?;
        }
        connection.busy_timeout(std::time::Duration::from_secs(30)).map_err(wrong)?;
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
            .map_err(wrong)?;
        Ok(Stranger { connection, path: path.to_owned() })
    }

    /// Returns whether it is a file of ours after all.
    pub fn is_ours(&self) -> bool {
        let sql = "PRAGMA application_id";
        self.connection.query_row(sql, [], |row| row.get::<_, i32>(0)) == Ok(APPLICATION_ID)
    }

    /// Refuses the file, with what to do instead.
    pub fn wrong(&self, why: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::WrongFile { path: self.path.clone(), why: why.into(), hint: Some(hint.into()) }
    }

    /// Returns whether it has a table with all these columns.
    pub fn has(&self, table: &str, columns: &[&str]) -> bool {
        let sql = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
        columns.iter().all(|column| {
            self.connection.query_row(sql, [table, column], |row| row.get::<_, i64>(0)) == Ok(1)
        })
    }

    /// Returns the rows of a query.
    ///
    /// # Errors
    /// [`Error::WrongFile`] when the file has no such tables.
    pub fn rows(&self, sql: &str, params: impl Params) -> Result<Vec<Vec<Value>>> {
        let all = || -> rusqlite::Result<Vec<Vec<Value>>> {
            let mut statement = self.connection.prepare(sql)?;
            let width = statement.column_count();
            statement.query_map(params, |row| (0..width).map(|i| row.get(i)).collect())?.collect()
        };
        all().map_err(|error| Error::WrongFile {
            path: self.path.clone(),
            why: error.to_string(),
            hint: None,
        })
    }
}
