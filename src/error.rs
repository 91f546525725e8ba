//! The crate's one error type, its exit codes, and the only place that looks inside SQLite's errors.
//!
//! A message completes "cannot …": lower case, no full stop, with the value at fault. A hint says the next step.

use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by what a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The named thing is not in the file.
    #[error("there is no {what} {id}")]
    NotFound {
        /// The noun: "job", "experiment", …
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// Input that cannot be meant: a spec, a flag, a value.
    #[error("{what}: {why}")]
    Invalid {
        /// Where: file, line, key or flag.
        what: String,
        /// What is wrong, with the value.
        why: String,
        /// The next step, when there is one.
        hint: Option<String>,
    },
    /// The thing is in a state that does not allow this.
    #[error("{what} {id} {why}")]
    Conflict {
        /// The noun.
        what: &'static str,
        /// Which one.
        id: String,
        /// What is in the way.
        why: String,
    },
    /// Another process held the write lock for too long.
    #[error("the database was busy for {waited_ms} ms")]
    Busy {
        /// How long we waited.
        waited_ms: i64,
    },
    /// The file was written by a newer release.
    #[error(
        "{} has schema version {found}, this program knows up to {known}",
        path.display()
    )]
    SchemaTooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file is not ours, or is damaged.
    #[error("{}: {why}", path.display())]
    WrongFile {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: String,
        /// The next step.
        hint: Option<String>,
    },
    /// A child program failed.
    #[error("{command} ended with {status}: {stderr}")]
    Backend {
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// What it said, cut.
        stderr: String,
    },
    /// A file or directory could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refused a statement.
    #[error("{message} (in: {statement})")]
    Sqlite {
        /// The first line of the statement.
        statement: String,
        /// SQLite's own words.
        message: String,
        /// SQLite's extended result code, 0 when it was not SQLite itself.
        code: i32,
    },
    /// What was asked for ran and failed: a job, a run, an experiment.
    #[error("{0}")]
    Failed(String),
    /// A command that `mle run` did for someone ended with a code of its own, which is ours too.
    #[error("{why}")]
    Exited {
        /// Its exit code, or 128 and the signal that ended it.
        code: u8,
        /// How it ended.
        why: String,
    },
    /// The user stopped the program.
    #[error("interrupted")]
    Interrupted,
}

/// Exit codes, the same for all programs.
pub mod exit {
    /// Done.
    pub const DONE: u8 = 0;
    /// What was asked for ran and failed.
    pub const FAILED: u8 = 1;
    /// Bad command line or bad input.
    pub const USAGE: u8 = 2;
    /// The named thing is not there.
    pub const NOT_FOUND: u8 = 3;
    /// The file is not ours, damaged, or of a newer release.
    pub const WRONG_FILE: u8 = 4;
    /// The system refused: disk full, permission, missing program.
    pub const SYSTEM: u8 = 71;
    /// The file was busy; try again.
    pub const BUSY: u8 = 75;
    /// Stopped by Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
}

impl Error {
    /// Returns an [`Error::Invalid`] without a hint.
    pub fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Error::Invalid { what: what.into(), why: why.into(), hint: None }
    }

    /// Returns an [`Error::Io`] for `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io { path: path.as_ref().to_owned(), source }
    }

    /// Returns an [`Error::NotFound`].
    pub fn not_found(what: &'static str, id: impl ToString) -> Self {
        Error::NotFound { what, id: id.to_string() }
    }

    /// Adds or replaces the hint where the variant has one.
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Error::Invalid { hint, .. } | Error::WrongFile { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// Returns the documented exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::NotFound { .. } => exit::NOT_FOUND,
            Error::Invalid { .. } | Error::Conflict { .. } => exit::USAGE,
            Error::Busy { .. } => exit::BUSY,
            Error::SchemaTooNew { .. } | Error::WrongFile { .. } => exit::WRONG_FILE,
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                exit::NOT_FOUND
            }
            Error::Sqlite { code, .. } if is_damage(*code) => exit::WRONG_FILE,
            Error::Io { .. } | Error::Backend { .. } | Error::Sqlite { .. } => exit::SYSTEM,
            Error::Failed(_) => exit::FAILED,
            Error::Exited { code, .. } => *code,
            Error::Interrupted => exit::INTERRUPTED,
        }
    }

    /// Returns the next step for the user, when there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Invalid { hint, .. } | Error::WrongFile { hint, .. } => hint.clone(),
            Error::NotFound { what: "experiment", .. } => {
                Some("`mle protocol` lists the experiments of this file".into())
            }
            Error::NotFound { what: "study", .. } => {
                Some("`mle study list` lists the studies of this file".into())
            }
            Error::NotFound { what: "job", .. } => {
                Some("`mle status` lists the jobs of this file".into())
            }
            Error::Busy { .. } => {
                Some("another process holds the write lock; `mle doctor` shows who uses the file".into())
            }
            Error::SchemaTooNew { .. } => Some("upgrade mle to open this file".into()),
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some disk space before you go on: nothing half-written was kept".into())
            }
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
                Some("name a place that can be written, or copy the file to one".into())
            }
            Error::Sqlite { code, .. } if code & 0xff == rusqlite::ffi::SQLITE_FULL => {
                Some("free some disk space before you go on: nothing half-written was kept".into())
            }
            Error::Sqlite { code, .. } if is_damage(*code) => Some(
                "the file is damaged: restore a copy; `sqlite3 FILE .recover` may save what is left".into(),
            ),
            Error::Sqlite { code, .. } if code & 0xff == rusqlite::ffi::SQLITE_READONLY => {
                Some("make the file and its folder writable, or copy the file elsewhere".into())
            }
            _ => None,
        }
    }

    /// Turns a rusqlite error into ours, naming the statement it happened in.
    pub fn sqlite(error: rusqlite::Error, statement: &str) -> Self {
        use rusqlite::ErrorCode;
        if let rusqlite::Error::SqliteFailure(failure, message) = &error {
            return match failure.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    Error::Busy { waited_ms: crate::store::waited_ms() }
                }
                _ => Error::Sqlite {
                    statement: first_line(statement),
                    message: message.clone().unwrap_or_else(|| error.to_string()),
                    code: failure.extended_code,
                },
            };
        }
        Error::Sqlite { statement: first_line(statement), message: error.to_string(), code: 0 }
    }
}

fn is_damage(code: i32) -> bool {
    matches!(code & 0xff, rusqlite::ffi::SQLITE_CORRUPT | rusqlite::ffi::SQLITE_NOTADB)
}

fn first_line(statement: &str) -> String {
    let lines = statement.lines().filter(|line| !line.trim_start().starts_with("--"));
    let text = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    text.chars().take(80).collect()
}

/// Returns the candidate most like `word`, when one is close enough to be meant.
///
/// Distance: Damerau-Levenshtein (optimal string alignment), at most a third of the longer word.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            (edit_distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| {
            *distance <= (word.chars().count().max(candidate.chars().count()) / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word() {
        assert_eq!(did_you_mean("stratgey", ["strategy", "trials"]), Some("strategy"));
        assert_eq!(did_you_mean("sede", ["seed", "seeds"]), Some("seed"));
        assert_eq!(did_you_mean("banana", ["strategy", "trials"]), None);
    }
}
