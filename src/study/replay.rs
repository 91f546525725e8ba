//! Whether each proposal of a study follows from what its strategy knew.

use crate::error::Result;
use crate::id::StudyId;
use crate::search::history::{Past, PastState};
use crate::search::stopper::Stopper;
use crate::sql::named;
use crate::store::{ReadTx, named_params};

use serde_json::{Map, Value};

use super::TEXT;
use super::log::{self, Change, Log, Row, What, numbers};
use super::memory::{Nothing, Search, Wanted};

const STOPS_OF_STUDY: &str = named(TEXT, "stops_of_study");

/// What came of deriving a study's proposals again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// How many proposals were derived again and found the same.
    pub identical: u64,
    /// Trials that nobody asked the strategy for.
    pub added: u64,
    /// The first proposal that was another one; none after it were derived.
    pub difference: Option<Difference>,
    /// How many trials were stopped for a reason that was derived again.
    pub stops: u64,
    /// How many were stopped for a reason that does not follow from the file alone: what others at work had said by then, or a
    /// run that was lost.
    pub stops_left: u64,
    /// The first trial that was stopped otherwise.
    pub stop: Option<Stop>,
}

/// A trial that was stopped for a reason that cannot be derived again.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// The trial.
    pub number: u64,
    /// After which epoch.
    pub epoch: u64,
    /// The last change that was known then.
    pub seen: i64,
    /// Why it was stopped.
    pub stored: String,
    /// What the rule says now; nothing where it lets the trial go on.
    pub derived: Option<String>,
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
    let mut replay =
        Replay { stop: None, difference: None, identical: 0, added: 0, stops: 0, stops_left: 0 };
    let mut stops = Stops::read(tx, study)?;
    let mut search = None;
    let mut changes = log.changes.iter().peekable();
    let mut rows = log.rows.iter().peekable();
    // Asks and changes in the order in which they came about: an ask comes after all the changes it knew.
    loop {
        let row = rows.peek().copied();
        match changes.next_if(|change| row.is_none_or(|row| change.seq <= row.seen)) {
            Some(change) => {
                let search = at(&log, &mut search, change.seq - 1, None, cold)?;
                stops.check(search.as_mut(), change.seq, &mut replay);
                if let Some(search) = search.as_mut()
                    && let Some(resumed) = resumed(search, change)
                {
                    search.refresh()?;
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
    if replay.difference.is_none() {
        let last = log.changes.last().map_or(0, |change| change.seq);
        let search = at(&log, &mut search, last, None, cold)?;
        stops.check(search.as_mut(), i64::MAX, &mut replay);
    }
    Ok(replay)
}

/// The stops of a study that were not checked yet, in the order in which they came about.
struct Stops {
    left: std::iter::Peekable<std::vec::IntoIter<(Stop, Option<Vec<f64>>)>>,
    rule: Option<Box<dyn Stopper + Send>>,
}

impl Stops {
    fn read(tx: &ReadTx<'_>, study: StudyId) -> Result<Stops> {
        let mut rule = None;
        let mut all = Vec::new();
        tx.each(STOPS_OF_STUDY, named_params! { ":study": study }, |row| {
            let stop = Stop {
                number: row.get::<_, i64>(0)?.unsigned_abs(),
                epoch: row.get::<_, i64>(2)?.unsigned_abs(),
                seen: row.get(3)?,
                stored: row.get(4)?,
                derived: None,
            };
            let mut curve = numbers(row.get_ref(1)?.as_str_or_null()?.unwrap_or("[]"));
            let epoch = usize::try_from(stop.epoch).unwrap_or(usize::MAX);
            let is_whole = curve.len() >= epoch && !row.get::<_, bool>(6)?;
            curve.truncate(epoch);
            rule = Some(row.get::<_, String>(5)?);
            all.push((stop, is_whole.then_some(curve)));
            Ok(())
        })?;
        all.sort_by_key(|(stop, _)| stop.seen);
        let rule = rule.map(|text| super::read_stopper(&text)).transpose()?;
        Ok(Stops { left: all.into_iter().peekable(), rule })
    }

    /// Checks those that came about before change `before`, with the search as it was then.
    fn check(&mut self, search: Option<&mut Search>, before: i64, replay: &mut Replay) {
        let Some((search, rule)) = search.zip(self.rule.as_deref()) else { return };
        while let Some((stop, curve)) = self.left.next_if(|(stop, _)| stop.seen < before) {
            let Some(curve) = curve.filter(|_| !rule.looks_at_work()) else {
                replay.stops_left += 1;
                continue;
            };
            let derived = search.stops(rule, stop.number, &curve);
            if derived.as_ref() == Some(&stop.stored) {
                replay.stops += 1;
            } else if replay.stop.is_none() {
                replay.stop = Some(Stop { derived, ..stop });
            }
        }
    }
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
    let further = matches!(state.as_str(), "waiting" | "running")
        && past.state != PastState::Pending
        && *epochs > past.epochs;
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
