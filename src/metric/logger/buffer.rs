//! What callers and the writer thread share: the updates that wait, and who waits for what.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::is_number;
use super::place::Place;
use crate::error::{Error, Result};
use crate::metric::rows::{CLOCK, Head, Number, Rows};
use crate::metric::{Appended, Value, check_name};
use crate::store::Store;

/// The writer begins when so many updates wait: with as many being written, 4,096 are at stake …
pub(super) const UPDATES_MAX: usize = 2_048;
/// … or so long after the first, which leaves 10 ms of the 50 for the commit.
pub(super) const PAUSE: Duration = Duration::from_millis(40);
/// So many updates may wait before callers do.
const WAITING_MAX: u64 = 1_000_000;
/// How long a fork waits for the writer to leave the file.
const FORK_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Shared {
    front: Mutex<Front>,
    /// The connection of callers that commit by themselves. Locked before `front`.
    own: Mutex<Option<Store>>,
    /// The writer waits for work.
    wake: Condvar,
    /// Callers wait for the writer.
    done: Condvar,
}

/// Why nothing can be written any more.
#[derive(Clone)]
pub(super) enum Stop {
    LeaseLost(String),
    Failed(String),
}

#[derive(Default)]
pub(super) struct Front {
    pub(super) rows: Rows,
    names: HashMap<Arc<str>, u32>,
    pub(super) list: Vec<Arc<str>>,
    /// The name at each place of the last update.
    places: Vec<u32>,
    counts_updates: bool,
    logged: u64,
    pub(super) committed: u64,
    /// How many updates callers committed that are to become points.
    pub(super) tail: u64,
    pub(super) urgent: bool,
    pub(super) closing: bool,
    /// How many forks want the file left, and whether it is.
    pub(super) holds: u32,
    pub(super) parked: bool,
    pub(super) stopped: Option<Stop>,
    /// What was in the way of the last try, and how many tries failed.
    pub(super) error: Option<String>,
    pub(super) failures: u64,
    pub(super) refused: Vec<String>,
}

impl Shared {
    pub(super) fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the writer sleep until it is woken or the time is over.
    pub(super) fn wait_for_work<'a>(
        &self,
        front: MutexGuard<'a, Front>,
        timeout: Duration,
    ) -> MutexGuard<'a, Front> {
        self.wake.wait_timeout(front, timeout).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn tell_callers(&self) {
        self.done.notify_all();
    }

    /// Adds one update; returns how many wait to be committed.
    pub(super) fn push(
        &self,
        at_ms: i64,
        step: Option<i64>,
        clock: &[(&str, f64)],
        stats: &[(&str, f64)],
        values: &mut dyn Iterator<Item = (String, Value)>,
    ) -> Result<u64> {
        let mut front = self.front();
        if front.logged - front.committed >= WAITING_MAX {
            front = self.wait_for_room(front);
        }
        if let Some(stop) = &front.stopped {
            return Err(stop.error());
        }
        let before = (front.rows.numbers.len(), front.rows.others.len());
        if let Err(error) = front.add(clock, stats, values) {
            front.rows.numbers.truncate(before.0);
            front.rows.others.truncate(before.1);
            return Err(error);
        }
        let head = Head {
            step: step.or_else(|| front.step(clock)),
            at_ms,
            numbers: (front.rows.numbers.len() - before.0) as u32,
            others: (front.rows.others.len() - before.1) as u32,
        };
        front.rows.heads.push(head);
        front.logged += 1;
        let (waiting, uncommitted) = (front.rows.heads.len(), front.logged - front.committed);
        drop(front);
        if waiting == 1 || waiting == UPDATES_MAX {
            self.wake.notify_one();
        }
        Ok(uncommitted)
    }

    /// Commits one update of numbers in the caller's thread.
    pub(super) fn put_now(
        &self,
        place: &Place,
        at_ms: i64,
        step: Option<i64>,
        clock: &[(&str, f64)],
        stats: &[(&str, f64)],
    ) -> Result<()> {
        let mut own = self.own();
        let mut front = self.front();
        while front.holds > 0 {
            drop(own);
            front = self.done.wait(front).unwrap_or_else(PoisonError::into_inner);
            drop(front);
            own = self.own();
            front = self.front();
        }
        if let Some(stop) = &front.stopped {
            return Err(stop.error());
        }
        for (at, (name, _)) in clock.iter().chain(stats).enumerate() {
            front.slot(at, name)?;
        }
        let step = step.or_else(|| front.step(clock));
        drop(front);
        let store = match &mut *own {
            Some(store) => store,
            empty => empty.insert(place.store()?),
        };
        if store.write(|tx| place.put(tx, step, at_ms, clock, stats))? == Appended::LeaseLost {
            let stop = Stop::LeaseLost(place.job_name());
            let error = stop.error();
            self.stop(stop);
            return Err(error);
        }
        let mut front = self.front();
        front.logged += 1;
        front.tail += 1;
        let tail = front.tail;
        drop(front);
        if tail == 1 || tail == UPDATES_MAX as u64 {
            self.wake.notify_one();
        }
        Ok(())
    }

    fn own(&self) -> MutexGuard<'_, Option<Store>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cold]
    fn wait_for_room<'a>(&'a self, mut front: MutexGuard<'a, Front>) -> MutexGuard<'a, Front> {
        while front.logged - front.committed >= WAITING_MAX && front.stopped.is_none() {
            front = self.done.wait(front).unwrap_or_else(PoisonError::into_inner);
        }
        front
    }

    pub(super) fn flush(&self) -> Result<()> {
        let mut front = self.front();
        let (wanted, failures) = (front.logged, front.failures);
        front.urgent = true;
        self.wake.notify_one();
        while front.committed < wanted {
            if let Some(stop) = &front.stopped {
                return Err(stop.error());
            }
            if let (true, Some(error)) = (front.failures > failures, &front.error) {
                return Err(Error::Failed(error.clone()));
            }
            front = self.done.wait(front).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        self.front().closing = true;
        self.wake.notify_one();
    }

    /// Returns what stopped the writer before everything was written.
    pub(super) fn outcome(&self) -> Result<()> {
        match &self.front().stopped {
            Some(stop) => Err(stop.error()),
            None => Ok(()),
        }
    }

    pub(super) fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut self.front().refused)
    }

    /// Has the writer leave the file; returns whether it did.
    pub(super) fn hold(&self) -> bool {
        let mut front = self.front();
        front.holds += 1;
        self.wake.notify_one();
        let (front, _) = self
            .done
            .wait_timeout_while(front, FORK_PATIENCE, |front| {
                !front.parked && front.stopped.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        let has_left = front.parked || front.stopped.is_some();
        drop(front);
        *self.own() = None;
        has_left
    }

    pub(super) fn release(&self) {
        self.front().holds -= 1;
        self.wake.notify_one();
        self.done.notify_all();
    }

    /// Tells callers that nothing more will be written.
    pub(super) fn stop(&self, why: Stop) {
        self.front().stopped.get_or_insert(why);
        self.done.notify_all();
    }
}

impl Front {
    fn add(
        &mut self,
        clock: &[(&str, f64)],
        stats: &[(&str, f64)],
        values: &mut dyn Iterator<Item = (String, Value)>,
    ) -> Result<()> {
        let mut place = 0;
        for (name, value) in clock {
            let slot = self.slot(place, name)? | CLOCK;
            self.rows.numbers.push(Number { slot, value: *value });
            place += 1;
        }
        for (name, value) in stats {
            let slot = self.slot(place, name)?;
            self.rows.numbers.push(Number { slot, value: *value });
            place += 1;
        }
        for (name, value) in values {
            let slot = self.slot(place, &name)?;
            match value {
                Value::Scalar(value) => self.rows.numbers.push(Number { slot, value }),
                Value::Clock(value) => {
                    self.rows.numbers.push(Number { slot: slot | CLOCK, value });
                }
                other => {
                    debug_assert!(!is_number(&other), "numbers have their own arms");
                    self.rows.others.push((slot, other));
                }
            }
            place += 1;
        }
        Ok(())
    }

    /// Returns the number of a name. The names of an update are most likely those of the one before.
    fn slot(&mut self, place: usize, name: &str) -> Result<u32> {
        if let Some(slot) = self.places.get(place)
            && &*self.list[*slot as usize] == name
        {
            return Ok(*slot);
        }
        let slot = match self.names.get(name) {
            Some(slot) => *slot,
            None => {
                check_name(name)?;
                let slot = self.list.len() as u32;
                let name: Arc<str> = name.into();
                self.list.push(name.clone());
                self.names.insert(name, slot);
                slot
            }
        };
        if place < self.places.len() {
            self.places[place] = slot;
        } else {
            self.places.push(slot);
        }
        Ok(slot)
    }

    fn step(&mut self, clock: &[(&str, f64)]) -> Option<i64> {
        let (_, first) = clock.first()?;
        // Beyond 2^53 not every whole number is a float.
        let whole = first.trunc() == *first && first.abs() <= 9_007_199_254_740_992.0;
        self.counts_updates |= !whole;
        (!self.counts_updates).then_some(*first as i64)
    }
}

impl Stop {
    pub(super) fn error(&self) -> Error {
        match self {
            Stop::LeaseLost(job) => Error::Conflict {
                what: "job",
                id: job.clone(),
                why: "is no longer this attempt's: its lease was lost".into(),
            },
            Stop::Failed(why) => Error::Failed(why.clone()),
        }
    }
}
