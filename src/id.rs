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
    /// A program of the user's at work.
    ProcessId
    /// Named bytes of a run.
    ArtifactId
    /// Bytes by content hash.
    BlobId
}

/// Returns a new UUIDv7 as text: what identifies a row across files.
///
/// Random bytes come from the system, a page at a time; a forked child asks for its own.
pub fn new_uid() -> String {
    use std::cell::RefCell;
    const PAGE: usize = 640;
    thread_local! {
        static RANDOM: RefCell<(u32, usize, [u8; PAGE])> = const { RefCell::new((0, PAGE, [0; PAGE])) };
    }
    let bytes = RANDOM.with_borrow_mut(|(pid, used, page)| {
        let own = std::process::id();
        if *pid != own || *used + 10 > PAGE {
            // SAFETY: fills a buffer of the length given; up to 256 bytes never come short, so the parts are smaller.
            let full = page.chunks_mut(160).all(|part| unsafe {
                libc::getrandom(part.as_mut_ptr().cast(), part.len(), 0) == part.len() as isize
            });
            if !full {
                page.copy_from_slice(&std::array::from_fn::<u8, PAGE, _>(|i| {
                    uuid::Uuid::now_v7().as_bytes()[6 + i % 10]
                }));
            }
            (*pid, *used) = (own, 0);
        }
        let mut bytes = [0u8; 10];
        bytes.copy_from_slice(&page[*used..*used + 10]);
        *used += 10;
        bytes
    });
    let now_ms = u64::try_from(crate::clock::now_ms()).unwrap_or(0);
    let uid = uuid::Builder::from_unix_timestamp_millis(now_ms, &bytes).into_uuid();
    uid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn uids_are_version_7_and_differ() {
        let uids: HashSet<String> = (0..10_000).map(|_| super::new_uid()).collect();
        assert_eq!(uids.len(), 10_000);
        assert!(uids.iter().all(|uid| uid.len() == 36 && uid.as_bytes()[14] == b'7'));
    }
}
