//! The two kinds of transaction, and how statements run in them.

use std::ops::Deref;

use rusqlite::{Connection, OptionalExtension, Params, Row};

use crate::clock;
use crate::error::{Error, Result};

/// A snapshot. `now_ms` is the only time a domain function sees.
pub struct ReadTx<'a> {
    connection: &'a Connection,
    /// When the transaction began (a writer: after it had the lock) [unix ms].
    pub now_ms: i64,
}

/// A write transaction: the only writer until it ends.
pub struct WriteTx<'a>(ReadTx<'a>);

impl<'a> ReadTx<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        ReadTx { connection, now_ms: clock::now_ms() }
    }

    /// Returns the row of a statement that always has one.
    ///
    /// # Errors
    /// [`Error::Sqlite`], also when there is none.
    pub fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params, row))
            .map_err(|error| Error::sqlite(error, sql))
    }

    /// Returns the first row, if there is one.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn maybe<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params, row).optional())
            .map_err(|error| Error::sqlite(error, sql))
    }

    /// Returns all rows.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(params, row)?.collect())
            .map_err(|error| Error::sqlite(error, sql))
    }

    /// Calls `row` for each row, without collecting.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn each(
        &self,
        sql: &str,
        params: impl Params,
        mut row: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<()> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                let mut rows = statement.query(params)?;
                while let Some(next) = rows.next()? {
                    row(next)?;
                }
                Ok(())
            })
            .map_err(|error| Error::sqlite(error, sql))
    }

    /// As [`ReadTx::each`], until `row` returns false.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn each_while(
        &self,
        sql: &str,
        params: impl Params,
        mut row: impl FnMut(&Row<'_>) -> rusqlite::Result<bool>,
    ) -> Result<()> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                let mut rows = statement.query(params)?;
                while let Some(next) = rows.next()? {
                    if !row(next)? {
                        break;
                    }
                }
                Ok(())
            })
            .map_err(|error| Error::sqlite(error, sql))
    }

    /// Returns the column names of a statement and its rows as values, for tables made of any view.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn table(
        &self,
        sql: &str,
        params: impl Params,
    ) -> Result<(Vec<String>, Vec<Vec<rusqlite::types::Value>>)> {
        self.connection
            .prepare(sql)
            .and_then(|mut statement| {
                let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
                let width = names.len();
                let rows = statement
                    .query_map(params, |row| (0..width).map(|i| row.get(i)).collect())?
                    .collect::<rusqlite::Result<_>>()?;
                Ok((names, rows))
            })
            .map_err(|error| Error::sqlite(error, sql))
    }

    /// Calls `start` with the column names and `row` for each row until that returns false, without collecting.
    ///
    /// # Errors
    /// [`Error::Sqlite`]; what `start` and `row` return.
    pub fn stream(
        &self,
        sql: &str,
        params: impl Params,
        start: impl FnOnce(&[String]) -> Result<()>,
        mut row: impl FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        let failed = |error| Error::sqlite(error, sql);
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        start(&names)?;
        let mut rows = statement.query(params).map_err(failed)?;
        while let Some(next) = rows.next().map_err(failed)? {
            if !row(next)? {
                break;
            }
        }
        Ok(())
    }

    /// Returns a number that changes whenever another connection commits: of what this transaction sees.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn data_version(&self) -> Result<i64> {
        self.one("PRAGMA data_version", [], |row| row.get(0))
    }

    /// Returns whether a statement only reads.
    ///
    /// # Errors
    /// [`Error::Sqlite`] when it is no statement.
    pub fn is_read_only(&self, sql: &str) -> Result<bool> {
        self.connection
            .prepare(sql)
            .map(|statement| statement.readonly())
            .map_err(|error| Error::sqlite(error, sql))
    }
}

impl<'a> WriteTx<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        WriteTx(ReadTx::new(connection))
    }

    /// Runs a statement; returns how many rows it changed.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn run(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(|error| Error::sqlite(error, sql))
    }

    /// Runs an INSERT; returns the new row's id.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn insert(&self, sql: &str, params: impl Params) -> Result<i64> {
        self.run(sql, params)?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Prepares a statement that is run many times in this transaction.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn prepare<'b>(&'b self, sql: &str) -> Result<rusqlite::CachedStatement<'b>> {
        self.connection.prepare_cached(sql).map_err(|error| Error::sqlite(error, sql))
    }

    /// Prepares an INSERT that is run many times in this transaction.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn inserter<'b>(&'b self, sql: &'static str) -> Result<Statement<'b>> {
        Ok(Statement { statement: self.prepare(sql)?, sql })
    }

    /// Runs several statements that take no parameters.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn batch(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|error| Error::sqlite(error, sql))
    }
}

impl<'a> Deref for WriteTx<'a> {
    type Target = ReadTx<'a>;

    fn deref(&self) -> &ReadTx<'a> {
        &self.0
    }
}

/// An INSERT, prepared.
pub struct Statement<'a> {
    statement: rusqlite::CachedStatement<'a>,
    sql: &'static str,
}

impl Statement<'_> {
    /// Runs it; returns the new row's id.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn insert(&mut self, params: impl Params) -> Result<i64> {
        self.statement.insert(params).map_err(|error| Error::sqlite(error, self.sql))
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Open, Store};

    /// What a worker relies on: it waits for the file to change since the transaction in which it found nothing to do.
    #[test]
    fn a_commit_right_after_a_transaction_is_news_to_who_took_the_version_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.db");
        let mut ours = Store::open(&path, Open::Create).expect("a file");
        let mut theirs = Store::open(&path, Open::Existing).expect("a file");
        let set =
            "INSERT INTO setting VALUES ('k', ?1) ON CONFLICT DO UPDATE SET value = excluded.value";
        for round in ["a", "b"] {
            let seen = ours
                .write(|tx| {
                    tx.run(set, [round])?;
                    tx.data_version()
                })
                .expect("written");
            assert_eq!(ours.data_version().expect("a version"), seen, "our own commit is no news");
            theirs.write(|tx| tx.run(set, ["theirs"])).expect("written");
            assert_ne!(ours.data_version().expect("a version"), seen);
        }
    }
}
