//! Typed ids: a bare integer in a signature will be swapped with another one day.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.0.into())
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(value).map($name)
            }
        }
        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    )*};
}

ids! {
    /// A row of the protocol.
    ExperimentId
    /// All inputs of a run except the seed.
    ConfigId
    /// An adaptive search.
    StudyId
    /// One point a study asked for.
    TrialId
    /// One execution of one config with one seed.
    RunId
    /// A request for work.
    JobId
    /// A process that leases jobs.
    WorkerId
    /// Named bytes of a run.
    ArtifactId
    /// Bytes by content hash.
    BlobId
}

/// Returns a new UUIDv7 as text: what identifies a row across files.
pub fn new_uid() -> String {
    uuid::Uuid::now_v7().to_string()
}
