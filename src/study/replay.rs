//! Whether each proposal of a study follows from what its strategy knew.

use crate::error::Result;
use crate::id::StudyId;
use crate::search::history::{Past, PastState};
use crate::store::ReadTx;

use serde_json::{Map, Value};

use super::log::{self, Change, Log, Row, What};
use super::memory::{Nothing, Search, Wanted};

/// What came of deriving a study's proposals again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// How many proposals were derived again and found the same.
    pub identical: u64,
    /// Trials that nobody asked the strategy for.
    pub added: u64,
    /// The first proposal that was another one; none after it were derived.
    pub difference: Option<Difference>,
}

/// A proposal that cannot be derived again.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The trial.
    pub number: u64,
    /// What stands in the file: parameters and epochs.
    pub stored: (Map<String, Value>, Option<u64>),
    /// What follows now; nothing when the strategy proposes nothing there.
    pub derived: Option<Wanted>,
    /// The last change that was known at the ask.
    pub seen: i64,
}

/// Derives each proposal of a study again from what was known at its ask.
///
/// With `cold` the search is made anew for each proposal, as after a crash, which takes time in the square of the trials.
///
/// # Errors
/// [`crate::Error::Invalid`] when the study cannot be read; [`crate::Error::Sqlite`].
pub fn replay(tx: &ReadTx<'_>, study: StudyId, cold: bool) -> Result<Replay> {
    let log = log::read(tx, study, 0, 0)?;
    let mut replay = Replay { identical: 0, added: 0, difference: None };
    let mut search = None;
    let mut changes = log.changes.iter().peekable();
    let mut rows = log.rows.iter().peekable();
    // Asks and changes in the order in which they came about: an ask comes after all the changes it knew.
    loop {
        let row = rows.peek().copied();
        match changes.next_if(|change| row.is_none_or(|row| change.seq <= row.seen)) {
            Some(change) => {
                let search = at(&log, &mut search, change.seq - 1, None, cold)?;
                if let Some(search) = search.as_mut()
                    && let Some(resumed) = resumed(search, change)
                {
                    let derived = search.ask()?;
                    if !replay.compare(resumed, change.seq - 1, derived) {
                        break;
                    }
                }
                step(&log, search, change)?;
            }
            None => {
                let Some(row) = rows.next() else { break };
                let search = at(&log, &mut search, row.seen, Some(row), cold)?;
                let Some(search) = search.as_mut() else { break };
                if row.asked && !search.is_external() {
                    search.refresh()?;
                    let wanted = Wanted {
                        number: row.number,
                        params: row.params.clone(),
                        epochs: row.epochs,
                        resumed: false,
                        from: row.from,
                        notes: Map::new(),
                    };
                    let derived = search.ask()?;
                    if !replay.compare(wanted, row.seen, derived) {
                        break;
                    }
                } else {
                    replay.added += 1;
                    search.put(row);
                }
            }
        }
    }
    Ok(replay)
}

/// Returns the search as it was after change `seen`, and before the ask for `row`.
fn at<'a>(
    log: &Log,
    search: &'a mut Option<Search>,
    seen: i64,
    row: Option<&Row>,
    cold: bool,
) -> Result<&'a mut Option<Search>> {
    if cold && seen > 0 {
        let rows = match row {
            Some(row) => log.rows.partition_point(|other| other.number < row.number),
            None => log.rows.partition_point(|other| other.seen <= seen),
        };
        let known = Log { rows: log.rows[..rows].to_vec(), changes: log.changes.clone() };
        *search = Some(Search::open(known, seen)?);
    }
    Ok(search)
}

/// Takes in a change; a new setup makes the search anew.
fn step(log: &Log, search: &mut Option<Search>, change: &Change) -> Result<()> {
    match (&change.what, &mut *search) {
        (What::Trial { .. }, Some(search)) => search.tell(change),
        _ => {
            let rows = log.rows.partition_point(|row| row.seen < change.seq);
            let known = Log { rows: log.rows[..rows].to_vec(), changes: log.changes.clone() };
            *search = Some(Search::open(known, change.seq)?);
        }
    }
    Ok(())
}

/// Returns what the strategy wanted when a change says that a trial goes on further than it was to go.
fn resumed(search: &Search, change: &Change) -> Option<Wanted> {
    let What::Trial { number, state, epochs, .. } = &change.what else { return None };
    let past: &Past = search.past(*number)?;
    let further = state == "waiting" && past.state != PastState::Pending && *epochs > past.epochs;
    further.then(|| Wanted {
        number: *number,
        params: past.params.clone(),
        epochs: *epochs,
        resumed: true,
        from: None,
        notes: Map::new(),
    })
}

impl Replay {
    /// Counts a proposal that is the same, or keeps the difference.
    fn compare(
        &mut self,
        stored: Wanted,
        seen: i64,
        derived: std::result::Result<Wanted, Nothing>,
    ) -> bool {
        if derived.as_ref().is_ok_and(|derived| derived.is_as(&stored)) {
            self.identical += 1;
            return true;
        }
        self.difference = Some(Difference {
            number: stored.number,
            stored: (stored.params, stored.epochs),
            derived: derived.ok(),
            seen,
        });
        false
    }
}
