//! Trials that end with the process that asked for them: when it is gone, they are handed out once more.

use crate::error::Result;
use crate::id::StudyId;
use crate::process::Identity;
use crate::protocol::{self, Process};
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

use super::ask::{Told, tell};
use super::memory::Wanted;
use super::{TEXT, conflict, stand};

const HOLD_TRIAL: &str = named(TEXT, "hold_trial");
const HELD_TRIALS: &str = named(TEXT, "held_trials");
const TRIAL_TO_TAKE_OVER: &str = named(TEXT, "trial_to_take_over");
const NOTE_ERROR: &str = named(TEXT, "note_error_of_trial");

/// So many processes try a trial before it is taken for what ends them.
const TAKE_MAX: i64 = 2;

/// A trial whose process is gone.
#[derive(Debug, Clone)]
pub struct Orphan {
    /// Its study.
    pub study: StudyId,
    /// The study's name.
    pub name: String,
    /// Its number there.
    pub number: u64,
    /// How many processes tried it.
    pub take: i64,
    process: Process,
}

impl Orphan {
    /// Says whose it was.
    pub fn process(&self) -> &Identity {
        &self.process.identity
    }
}

/// Ties trials at work to a process.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn hold(tx: &WriteTx<'_>, study: StudyId, numbers: &[u64], me: &Identity) -> Result<()> {
    let process = protocol::keep_process(tx, me)?;
    for number in numbers {
        let number = i64::try_from(*number).unwrap_or(i64::MAX);
        let key = named_params! { ":study": study, ":number": number, ":process": process };
        tx.run(HOLD_TRIAL, key)?;
    }
    Ok(())
}

/// Forgets a process that tries no trial any more.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn leave(tx: &WriteTx<'_>, me: &Identity) -> Result<()> {
    let process = protocol::keep_process(tx, me)?;
    protocol::remove_idle_process(tx, process)?;
    // Those that were killed between two trials go with us.
    for process in protocol::processes(tx)? {
        if process.is_gone(tx.now_ms) {
            protocol::remove_idle_process(tx, process.id)?;
        }
    }
    Ok(())
}

/// Returns the trials at work, of one study or of all, whose process is gone: one of this host, so that there is no doubt.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn orphans(tx: &ReadTx<'_>, study: Option<StudyId>) -> Result<Vec<Orphan>> {
    let held = tx.all(HELD_TRIALS, named_params! { ":study": study }, |row| {
        let identity = Identity { host: row.get(5)?, pid: row.get(6)?, start: row.get(7)? };
        Ok(Orphan {
            study: row.get(0)?,
            name: row.get(1)?,
            number: row.get::<_, i64>(2)?.unsigned_abs(),
            take: row.get(3)?,
            process: Process { id: row.get(4)?, identity, seen_at_ms: row.get(8)? },
        })
    })?;
    // The trials of a process stand together, and the kernel need be asked once for them.
    let mut last = None;
    let mut is_gone = |process: &Process| match last {
        Some((id, gone)) if id == process.id => gone,
        _ => {
            let gone = process.identity.is_gone() == Some(true);
            last = Some((process.id, gone));
            gone
        }
    };
    Ok(held.into_iter().filter(|orphan| is_gone(&orphan.process)).collect())
}

/// Takes over up to `n` trials of processes of this host that are gone; one that ended two of them has failed.
///
/// # Errors
/// [`crate::Error::Conflict`] when the study is paused; [`crate::Error::Sqlite`].
pub fn take_over(
    tx: &WriteTx<'_>,
    study: StudyId,
    n: u64,
    me: &Identity,
    who: &str,
) -> Result<Vec<Wanted>> {
    let orphans = orphans(tx, Some(study))?;
    if orphans.is_empty() {
        return Ok(Vec::new());
    }
    if stand(tx, study)?.state == "paused" {
        return Err(conflict(study, "is paused: it asks for nothing"));
    }
    let mut taken = Vec::new();
    for orphan in &orphans {
        if orphan.take >= TAKE_MAX {
            note_error(tx, study, orphan.number, "the processes that tried it were lost, twice")?;
            tell(tx, study, orphan.number, &Told::Failed, &[], who)?;
        } else if (taken.len() as u64) < n {
            let number = i64::try_from(orphan.number).unwrap_or(i64::MAX);
            let key = named_params! { ":study": study, ":number": number };
            taken.push(tx.one(TRIAL_TO_TAKE_OVER, key, |row| {
                Ok(Wanted {
                    number: orphan.number,
                    params: serde_json::from_str(row.get_ref(0)?.as_str()?).unwrap_or_default(),
                    epochs: row.get::<_, Option<i64>>(1)?.map(i64::unsigned_abs),
                    resumed: row.get(2)?,
                    from: None,
                    notes: serde_json::Map::new(),
                })
            })?);
        }
    }
    let numbers: Vec<u64> = taken.iter().map(|wanted| wanted.number).collect();
    hold(tx, study, &numbers, me)?;
    for orphan in &orphans {
        protocol::remove_idle_process(tx, orphan.process.id)?;
    }
    Ok(taken)
}

/// Notes why a trial failed, as `error` in its `extra`.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn note_error(tx: &WriteTx<'_>, study: StudyId, number: u64, error: &str) -> Result<()> {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    tx.run(NOTE_ERROR, named_params! { ":study": study, ":number": number, ":error": error })
        .map(drop)
}
