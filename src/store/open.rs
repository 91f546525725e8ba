//! Opening the file: what it must be, and the pragmas every connection has, each with its reason.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::file::{self, Found};
use super::gate::{self, Gate, Turn};
use super::migrate;
use super::tx::{ReadTx, WriteTx};
use crate::error::{Error, Result};

/// What to do when the file is not there, and what may be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// Make it when it is not there; migrate it when it is old.
    Create,
    /// It must be there; migrate it when it is old.
    Existing,
    /// It must be there; changes nothing but an old schema, where it may. Works on a read-only disk.
    ReadOnly,
}

/// One connection to the file.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// The same, wherever this process goes.
    place: PathBuf,
    gate: Option<&'static Gate>,
    /// When the file was last seen where it was.
    seen_in_place: Cell<Option<Instant>>,
    /// Pages in the log after our last commit.
    log_pages: Arc<AtomicI32>,
    /// So many make us move them into the file.
    log_pages_max: i32,
}

/// Twice SQLite's own limit: a page that is written again and again is moved half as often.
const LOG_PAGES_MAX: i32 = 2000;

/// A file that was in its place is taken to be there for so long: to look it up costs a fifth of a small transaction.
const STAYS: Duration = Duration::from_millis(1);

impl Store {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::WrongFile`] when it is not ours, damaged, or on a network file system;
    /// [`Error::SchemaTooNew`]; [`Error::Io`]; [`Error::Busy`].
    pub fn open(path: impl AsRef<Path>, how: Open) -> Result<Store> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() {
            return Err(Error::invalid("--db", "the path is empty"));
        }
        let found = file::inspect(path)?;
        if how != Open::Create && found != Found::Ours {
            return Err(match found {
                Found::Nothing => Error::NotFound { what: "file", id: path.display().to_string() },
                _ => Error::WrongFile {
                    path: path.to_owned(),
                    why: "is empty".into(),
                    hint: Some("`mle run` fills a new file".into()),
                },
            });
        }
        file::refuse_network(path)?;
        count_no_memory();
        match how {
            Open::ReadOnly => Self::open_read_only(path),
            _ => Self::open_writable(path, found),
        }
    }

    fn open_writable(path: &Path, found: Found) -> Result<Store> {
        if found == Found::Nothing {
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
                && !parent.is_dir()
            {
                return Err(Error::io(parent, std::io::Error::from_raw_os_error(libc::ENOENT)));
            }
            // An exclusive turn needs a file to lock; an empty one is what SQLite itself would make.
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|error| Error::io(path, error))?;
        }
        let gate = file::gate(path)?;
        file::refuse_two_names(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)
            .map_err(|error| migrate::open_error(error, path))?;
        set_pragmas(&mut connection, path)?;
        let log_pages = count_log_pages(&mut connection, path)?;
        let gate = Some(gate);
        let log_pages_max = LOG_PAGES_MAX;
        let place = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let store = Store {
            connection,
            path: path.to_owned(),
            place,
            gate,
            seen_in_place: Cell::default(),
            log_pages,
            log_pages_max,
        };
        if found != Found::Ours
            || migrate::version(&store.connection, path)? < migrate::SCHEMA_VERSION
        {
            let _turn = Turn::wait(store.gate);
            store.make_ours()?;
            migrate::migrate(&store.connection, path)?;
        }
        Ok(store)
    }

    /// The header says it is ours before the journal mode changes, so that a crash here leaves a file we know again.
    fn make_ours(&self) -> Result<()> {
        let found: i32 = self.pragma("application_id")?;
        if found == 0 {
            self.batch(&format!("PRAGMA application_id = {}", file::APPLICATION_ID))?;
        }
        // WAL: readers never wait for writers, and a commit is one append.
        let mode: String = self
            .connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            .map_err(|error| Error::sqlite(error, "PRAGMA journal_mode = WAL"))?;
        if mode != "wal" {
            return Err(Error::WrongFile {
                path: self.path.clone(),
                why: format!("cannot use write-ahead logging here (journal mode is {mode})"),
                hint: Some("keep the file on a local disk".into()),
            });
        }
        Ok(())
    }

    fn open_read_only(path: &Path) -> Result<Store> {
        let wal = PathBuf::from(format!("{}-wal", path.display()));
        let has_wal = std::fs::metadata(&wal).is_ok_and(|metadata| metadata.len() > 0);
        // Reading a WAL file needs a shared-memory file beside it. Where we cannot make one, and no log is left to
        // read, the file is taken as it stands.
        // Whoever may not write the file itself must leave nothing beside it that keeps its owner from writing.
        let writable = is_writable(path) && is_writable(file::folder_of(path));
        let frozen = !has_wal && !writable;
        let mut uri = String::from("file:");
        for byte in path.as_os_str().as_encoded_bytes() {
            match byte {
                b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                    uri.push(char::from(*byte))
                }
                _ => uri.push_str(&format!("%{byte:02X}")),
            }
        }
        if frozen {
            uri.push_str("?immutable=1");
        }
        // Only a connection that may write takes the log and the shared memory away when it is the last to close.
        let access = match writable {
            true => OpenFlags::SQLITE_OPEN_READ_WRITE,
            false => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        let flags = access | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&uri, flags)
            .map_err(|error| migrate::open_error(error, path))?;
        set_pragmas(&mut connection, path)?;
        connection
            .execute_batch("PRAGMA query_only = ON")
            .map_err(|error| migrate::open_error(error, path))?;
        let found = migrate::version(&connection, path)?;
        if found < migrate::SCHEMA_VERSION && writable {
            drop(connection);
            Self::open_writable(path, Found::Ours)?;
            return Self::open_read_only(path);
        }
        if found < migrate::SCHEMA_VERSION {
            return Err(Error::WrongFile {
                path: path.to_owned(),
                why: format!("has the older schema version {found}"),
                hint: Some(
                    "make it writable and run `mle status --db FILE` once to upgrade it".into(),
                ),
            });
        }
        Ok(Store {
            connection,
            path: path.to_owned(),
            place: path.to_owned(),
            gate: None,
            seen_in_place: Cell::default(),
            log_pages: Arc::default(),
            log_pages_max: LOG_PAGES_MAX,
        })
    }

    /// Returns the path the file was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads in one snapshot.
    ///
    /// # Errors
    /// What `body` returns.
    pub fn read<T>(&self, body: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.statement("BEGIN")?;
        let tx = ReadTx::new(&self.connection);
        let result = body(&tx);
        let end = self.statement("COMMIT");
        if end.is_err() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        result
    }

    /// Writes in one immediate transaction: all of `body` happens, or nothing.
    ///
    /// # Errors
    /// [`Error::Busy`] when others hold the file too long; what `body` returns.
    pub fn write<T>(&mut self, body: impl FnOnce(&WriteTx<'_>) -> Result<T>) -> Result<T> {
        let turn = Turn::wait(self.gate);
        self.check_place()?;
        self.statement("BEGIN IMMEDIATE")?;
        let guard = RollBack(&self.connection);
        let tx = WriteTx::new(&self.connection);
        let value = body(&tx)?;
        self.statement("COMMIT")?;
        std::mem::forget(guard);
        drop(turn);
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages >= self.log_pages_max {
            // What it is about is in the log already; where this fails, a later one will do it.
            let _ = self.checkpoint_from(i64::from(self.log_pages_max));
        }
        Ok(value)
    }

    /// Refuses to write to a file that is no longer where it was: what is in its log would be lost, since SQLite looks for
    /// the log beside the name.
    ///
    /// # Errors
    /// [`Error::WrongFile`].
    pub fn check_place(&self) -> Result<()> {
        use std::os::unix::fs::MetadataExt;
        let Some(gate) = self.gate else { return Ok(()) };
        let now = Instant::now();
        if self.seen_in_place.get().is_some_and(|at| now.duration_since(at) < STAYS) {
            return Ok(());
        }
        let named = std::fs::metadata(&self.place).map(|named| (named.dev(), named.ino())).ok();
        if named.is_none() || named != gate.place() {
            return Err(self.misplaced());
        }
        self.seen_in_place.set(Some(now));
        Ok(())
    }

    fn misplaced(&self) -> Error {
        Error::WrongFile {
            path: self.path.clone(),
            why: "was deleted, renamed or replaced while it was in use; what was written since is lost, or beside its old name"
                .into(),
            hint: Some(
                "stop all programs that use a file before you move it; rename it back before anything else opens it, and \
                 what its log holds comes back"
                    .into(),
            ),
        }
    }

    /// Counts the steps of SQLite's machine from now on, for tests.
    #[cfg(test)]
    pub(crate) fn count_steps(&mut self) -> std::sync::Arc<std::sync::atomic::AtomicU64> {
        let steps = std::sync::Arc::<std::sync::atomic::AtomicU64>::default();
        let counter = std::sync::Arc::clone(&steps);
        let count = move || {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            false
        };
        self.connection.progress_handler(1, Some(count)).expect("a handler");
        steps
    }

    /// Returns a number that changes whenever another connection commits. Whoever looks at the file and then waits for it to
    /// change takes the number before, or in, the transaction that looks: one taken after it hides what came in between.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn data_version(&self) -> Result<i64> {
        ReadTx::new(&self.connection).data_version()
    }

    /// Leaves checkpoints to [`Store::checkpoint_from`], so that none comes after a write.
    pub fn checkpoint_by_hand(&mut self) {
        // Not off: when no one gets to it, the log must still not grow without bound.
        self.log_pages_max = 20 * LOG_PAGES_MAX;
    }

    /// Moves what the log holds into the file, as far as no reader is in the way.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn checkpoint(&self) -> Result<()> {
        self.checkpoint_pages("PRAGMA wal_checkpoint(PASSIVE)").map(drop)
    }

    /// As [`Store::checkpoint`], once at least `pages` wait in the log, and so that the log begins anew.
    ///
    /// Where others write all the time, one pass never gets to the end of the log, which then grows without bound. So most is
    /// moved beside them, and the rest while it is our turn to write.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn checkpoint_from(&self, pages: i64) -> Result<()> {
        let (_, log, moved) = self.checkpoint_pages("PRAGMA wal_checkpoint(NOOP)")?;
        if log - moved < pages {
            return Ok(());
        }
        let (busy, ..) = self.checkpoint_pages("PRAGMA wal_checkpoint(PASSIVE)")?;
        // It counts the pages there were when it began; what was added since keeps the log from beginning anew as well.
        let (_, log, moved) = self.checkpoint_pages("PRAGMA wal_checkpoint(NOOP)")?;
        if busy != 0 || moved == log {
            // Another program is at it, or nobody wrote meanwhile.
            return Ok(());
        }
        // SQLite syncs the file with the last page of the log only, so all of it would wait for the disk in our turn.
        if let Some(gate) = self.gate {
            let _ = gate.file().sync_data();
        }
        let _turn = Turn::wait(self.gate);
        self.checkpoint()
    }

    /// Returns whether another checkpoint was in the way, the pages in the log, and how many of them are in the file.
    fn checkpoint_pages(&self, sql: &'static str) -> Result<(i64, i64, i64)> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            })
            .map_err(|error| Error::sqlite(error, sql))
    }

    /// Commits to the disk, not only to the system, from now on (or no longer).
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn set_durable(&self, durable: bool) -> Result<()> {
        self.batch(if durable {
            "PRAGMA synchronous = FULL"
        } else {
            "PRAGMA synchronous = NORMAL"
        })
    }

    /// Copies a consistent state into a new file at `target`, which must not exist.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn copy_to(&self, target: &Path) -> Result<()> {
        const SQL: &str = "VACUUM INTO ?1";
        // A connection that only reads may write no other file either.
        let only_reads: bool = self.pragma("query_only")?;
        if only_reads {
            self.batch("PRAGMA query_only = OFF")?;
        }
        let copied = self.connection.execute(SQL, [target.to_string_lossy()]);
        if only_reads {
            self.batch("PRAGMA query_only = ON")?;
        }
        // SQLite makes it with a rollback journal, in which readers and writers wait for each other.
        const WAL: &str = "PRAGMA journal_mode = WAL";
        copied.map_err(|error| Error::sqlite(error, SQL))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(target, flags)
            .and_then(|copy| copy.query_row(WAL, [], |_| Ok(())))
            .map_err(|error| Error::sqlite(error, WAL))
    }

    fn pragma<T: rusqlite::types::FromSql>(&self, name: &str) -> Result<T> {
        let sql = format!("PRAGMA {name}");
        self.connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(|error| Error::sqlite(error, &sql))
    }

    fn batch(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|error| Error::sqlite(error, sql))
    }

    fn statement(&self, sql: &'static str) -> Result<()> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.raw_execute())
            .map(drop)
            .map_err(|error| Error::sqlite(error, sql))
    }
}

/// Rolls back when a body failed or panicked.
struct RollBack<'a>(&'a Connection);

impl Drop for RollBack<'_> {
    fn drop(&mut self) {
        let _ = self.0.execute_batch("ROLLBACK");
    }
}

/// SQLite's count of its memory, which nobody reads, takes a lock at each allocation: a tenth of what opening a file costs.
/// Where SQLite is at work already in this process, it stays as it is.
fn count_no_memory() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: this option takes one int; SQLite refuses the call once it is set up.
        let _ = unsafe { rusqlite::ffi::sqlite3_config(rusqlite::ffi::SQLITE_CONFIG_MEMSTATUS, 0) };
    });
}

/// Counts the pages of the log at each commit. SQLite would checkpoint there, while all other writers wait for us.
fn count_log_pages(connection: &mut Connection, path: &Path) -> Result<Arc<AtomicI32>> {
    let log_pages = Arc::<AtomicI32>::default();
    let counter = Arc::clone(&log_pages);
    let count = move |_: &mut rusqlite::hooks::Wal, pages| {
        counter.store(pages, Ordering::Relaxed);
        Ok(())
    };
    connection.wal_hook(Some(count)).map_err(|error| migrate::open_error(error, path))?;
    Ok(log_pages)
}

fn set_pragmas(connection: &mut Connection, path: &Path) -> Result<()> {
    connection
        .busy_handler(Some(gate::on_busy))
        .map_err(|error| migrate::open_error(error, path))?;
    connection.set_prepared_statement_cache_capacity(128);
    use rusqlite::config::DbConfig;
    for (option, on) in [
        // A stranger's file is data: its schema calls no function with side effects, and cannot be edited by hand.
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        // A misspelt column is an error, not a string.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        // Bound values do not decide the plan. Without this SQLite looks at them where a table has a partial index, and
        // prepares the statement again for each new value: 50 µs instead of 4.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        connection.set_db_config(option, on).map_err(|error| migrate::open_error(error, path))?;
    }
    connection
        .execute_batch(
            // NORMAL: a crash of any process loses nothing committed; a power cut may lose the last commits, never the file.
            // foreign_keys: off by default in SQLite. mmap 0: a torn mapping is a bus error, and a truncated file one too.
            // temp_store: sorting never leaves a file behind. journal_size_limit: the log shrinks after a burst.
            "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA mmap_size = 0;
             PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -8000;",
        )
        .map_err(|error| migrate::open_error(error, path))
}

fn is_writable(path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::CString::new(path.as_os_str().as_bytes()).is_ok_and(|text| {
        // SAFETY: `text` is a C string that outlives the call.
        unsafe { libc::access(text.as_ptr(), libc::W_OK) == 0 }
    })
}
