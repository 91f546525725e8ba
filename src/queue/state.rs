//! The states of jobs and attempts, and what ends mean.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// All of them, as the schema's CHECK lists them.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// Returns the word in the file.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }
        }
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_str()? {
                    $($text => Ok($name::$variant),)*
                    _ => Err(FromSqlError::InvalidType),
                }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

states! {
    /// Where a job is.
    JobState {
        /// On other jobs, on a time, or on `mle resume`.
        Waiting = "waiting",
        /// Any worker with room may claim it.
        Queued = "queued",
        /// A worker holds its lease.
        Running = "running",
        /// Ended with exit code 0.
        Succeeded = "succeeded",
        /// Ended otherwise, all tries spent.
        Failed = "failed",
        /// Stopped, or never started, because someone asked or a job it needs failed.
        Cancelled = "cancelled",
    }
}

states! {
    /// How an attempt stands.
    AttemptState {
        /// Claimed, perhaps started.
        Running = "running",
        /// Exit code 0.
        Succeeded = "succeeded",
        /// Another exit code, a signal, or the time limit.
        Failed = "failed",
        /// Stopped on request.
        Cancelled = "cancelled",
        /// Stopped because the worker had to leave; costs no try.
        Preempted = "preempted",
        /// The worker went silent.
        Lost = "lost",
    }
}

impl JobState {
    /// Returns whether nothing more will happen to it by itself.
    pub fn is_end(self) -> bool {
        matches!(self, JobState::Succeeded | JobState::Failed | JobState::Cancelled)
    }
}
