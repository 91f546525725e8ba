//! Writing points: a batch of updates becomes ticks, points, and the summaries of both, in the caller's transaction.

use std::collections::HashMap;
use std::sync::Arc;

use super::rows::{CLOCK, Part, Rows};
use super::stats::{Stats, extend_series, find_bucket, put_bucket};
use super::stream::Stream;
use super::{Kind, PAGE, Update, Value, check_name, json_number, many, tail};
use crate::error::{Error, Result};
use crate::id::{JobId, RunId};
use crate::sql::named;
use crate::store::{WriteTx, named_params};

const TEXT: &str = include_str!("../../sql/metric.sql");
const RUN_OF_LEASE: &str = named(TEXT, "run_of_lease");
const FIND_METRIC: &str = named(TEXT, "find_metric");
const ADD_METRIC: &str = named(TEXT, "add_metric");
const FIND_SERIES: &str = named(TEXT, "find_series");
const ADD_SERIES: &str = named(TEXT, "add_series");
const PUT_VECTOR: &str = named(TEXT, "put_vector");
const PUT_TEXT: &str = named(TEXT, "put_text");
const POINTS_OF_BUCKET: &str = named(TEXT, "points_of_bucket");
const MOVE_BUCKET: &str = named(TEXT, "move_bucket");
const TAKE_POINTS: &str = named(TEXT, "take_points");
const LAST_BUCKET: &str = named(TEXT, "last_bucket");

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// It is in the transaction.
    Done,
    /// The attempt is no longer the one at work on its job; nothing was written.
    LeaseLost,
}

/// Appends updates to what an attempt of a run logged; `attempt` is 0 without a job.
///
/// Whoever appends often keeps an [`Appender`].
///
/// # Errors
/// [`Error::NotFound`] for the run; [`Error::Invalid`] for a name or a value that does not fit its series.
pub fn append(tx: &WriteTx<'_>, run: RunId, attempt: i64, updates: &[Update]) -> Result<()> {
    Appender::new(run, attempt).append(tx, updates).map(drop)
}

/// Appends to one attempt of one run, and remembers between batches where its series and buckets are.
///
/// Others may append to the same attempt: what is remembered is checked against the file. A transaction that failed after
/// [`Appender::append`] has to be followed by [`Appender::reset`].
pub struct Appender {
    target: Target,
    lenient: bool,
    names: HashMap<Arc<str>, u32>,
    slots: Vec<Slot>,
    /// The slot of the value at each place of the last update: the next one most likely has the same names.
    places: Vec<u32>,
    /// Run, stream, and its length after our last batch.
    seen: Option<(i64, i64, i64)>,
    refused: Vec<(String, u64)>,
    rows: Rows,
    ticks: Vec<(i64, i64)>,
    points: Vec<(i64, f64)>,
}

enum Target {
    Run(RunId, i64),
    Job(JobId, i64),
}

/// A name, and its series once known.
struct Slot {
    name: Arc<str>,
    bad_name: bool,
    series: Option<(i64, Kind)>,
    /// Page and id of the bucket last written to.
    bucket: Option<(i64, i64)>,
    /// Points of this batch by place in the stream.
    pending: Vec<(i64, f64)>,
    clock: bool,
}

impl Appender {
    /// Appends to a run; `attempt` is 0 without a job.
    pub fn new(run: RunId, attempt: i64) -> Self {
        Self::with(Target::Run(run, attempt))
    }

    /// Appends to the run of a job for as long as `attempt` is the one at work on it.
    pub fn for_job(job: JobId, attempt: i64) -> Self {
        Self::with(Target::Job(job, attempt))
    }

    fn with(target: Target) -> Self {
        Appender {
            target,
            lenient: false,
            names: HashMap::new(),
            slots: Vec::new(),
            places: Vec::new(),
            seen: None,
            refused: Vec::new(),
            rows: Rows::default(),
            ticks: Vec::new(),
            points: Vec::new(),
        }
    }

    /// Leaves out values that cannot be stored, instead of failing the batch: see [`Appender::take_refused`].
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Returns why values were left out since the last call, once for each name and reason.
    pub fn take_refused(&mut self) -> Vec<String> {
        self.take_refused_counts().into_iter().map(|(why, _)| why).collect()
    }

    /// As [`Appender::take_refused`], each with how many values it was the reason for.
    pub fn take_refused_counts(&mut self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.refused)
    }

    /// Forgets what is remembered of the file: the transaction of the last batch did not commit.
    pub fn reset(&mut self) {
        self.seen = None;
        for slot in &mut self.slots {
            slot.series = None;
            slot.bucket = None;
            slot.pending.clear();
        }
    }

    /// Appends updates.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the run; [`Error::Invalid`] for a name or a value that does not fit its series (a text
    /// for a series of numbers), unless lenient. The transaction has to be given up then.
    pub fn append(&mut self, tx: &WriteTx<'_>, updates: &[Update]) -> Result<Appended> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        rows.extend(updates, |place, name| {
            if let Some(slot) = self.places.get(place)
                && &*self.slots[*slot as usize].name == name
            {
                return *slot;
            }
            let slot = self.slot(name);
            if place < self.places.len() {
                self.places[place] = slot;
            } else if place == self.places.len() {
                self.places.push(slot);
            }
            slot
        });
        let result = self.append_rows(tx, rows.all());
        self.rows = rows;
        result
    }

    /// Returns the number of a name, giving it the next one when it is new.
    pub(crate) fn slot(&mut self, name: &str) -> u32 {
        if let Some(slot) = self.names.get(name) {
            return *slot;
        }
        let slot = self.slots.len() as u32;
        let name: Arc<str> = name.into();
        self.names.insert(name.clone(), slot);
        let bad_name = check_name(&name).is_err();
        self.slots.push(Slot {
            name,
            bad_name,
            series: None,
            bucket: None,
            pending: Vec::new(),
            clock: false,
        });
        slot
    }

    /// Makes the stream, so that its times count from `origin_ms`.
    pub(crate) fn begin(&mut self, tx: &WriteTx<'_>, origin_ms: i64) -> Result<Appended> {
        match self.run(tx)? {
            Some((run, attempt)) => {
                Stream::open(tx, run, attempt, origin_ms)?;
                Ok(Appended::Done)
            }
            None => Ok(Appended::LeaseLost),
        }
    }

    /// As [`Appender::append`], of updates whose names are numbers from [`Appender::slot`].
    pub(crate) fn append_rows(&mut self, tx: &WriteTx<'_>, part: Part<'_>) -> Result<Appended> {
        let result = self.try_append(tx, part);
        if result.is_err() {
            self.reset();
        }
        result
    }

    fn try_append(&mut self, tx: &WriteTx<'_>, part: Part<'_>) -> Result<Appended> {
        let Some((run, attempt)) = self.run(tx)? else { return Ok(Appended::LeaseLost) };
        if tail::is_unsettled(tx)? {
            let updates = tail::take(tx, run, attempt)?;
            if !updates.is_empty() {
                let _ = self.append(tx, &updates)?;
            }
        }
        let Some(head) = part.heads.first() else { return Ok(Appended::Done) };
        let mut stream = Stream::open(tx, run, attempt, head.at_ms)?;
        if self.seen != Some((run, stream.id, stream.n)) {
            self.slots.iter_mut().for_each(|slot| slot.bucket = None);
            if self.seen.is_some_and(|(before, ..)| before != run) {
                self.slots.iter_mut().for_each(|slot| slot.series = None);
            }
        }
        let from = stream.n;
        self.ticks.clear();
        for head in part.heads {
            let step = stream.push(head.step);
            self.ticks.push((step, head.at_ms.saturating_sub(stream.origin_ms)));
        }
        many::insert_ticks(tx, stream.id, from, &self.ticks)?;
        let touched = self.stage(part, from);
        let numeric = self.find_all(tx, run, &stream, from, &touched)?;
        self.write_pages(tx, run, &stream, from, &numeric)?;
        self.write_others(tx, run, &stream, from, part)?;
        stream.save(tx)?;
        self.seen = Some((run, stream.id, stream.n));
        Ok(Appended::Done)
    }

    /// Returns run and attempt, or `None` when the lease was lost.
    pub(super) fn run(&self, tx: &WriteTx<'_>) -> Result<Option<(i64, i64)>> {
        let (job, attempt) = match self.target {
            Target::Run(run, attempt) => return Ok(Some((run.0, attempt))),
            Target::Job(job, attempt) => (job, attempt),
        };
        let params = named_params! { ":job": job, ":attempt": attempt };
        match tx.maybe(RUN_OF_LEASE, params, |row| row.get::<_, Option<i64>>(0))? {
            None => Ok(None),
            Some(Some(run)) => Ok(Some((run, attempt))),
            Some(None) => Err(Error::Conflict {
                what: "job",
                id: job.to_string(),
                why: "belongs to no run, so it has nothing to log to".into(),
            }),
        }
    }

    /// Sorts the numbers by slot; returns the slots that have some, in order of appearance.
    fn stage(&mut self, part: Part<'_>, from: i64) -> Vec<u32> {
        let mut touched = Vec::new();
        let mut numbers = part.numbers.iter();
        for (seq, head) in (from..).zip(part.heads) {
            for number in numbers.by_ref().take(head.numbers as usize) {
                let index = number.slot & !CLOCK;
                let slot = &mut self.slots[index as usize];
                match slot.pending.last_mut() {
                    Some(last) if last.0 == seq => last.1 = number.value,
                    Some(_) => slot.pending.push((seq, number.value)),
                    None => {
                        touched.push(index);
                        slot.clock = number.slot & CLOCK != 0;
                        slot.pending.push((seq, number.value));
                    }
                }
            }
        }
        touched
    }

    /// Finds the series of the slots, and stores at once what belongs to series of another kind.
    fn find_all(
        &mut self,
        tx: &WriteTx<'_>,
        run: i64,
        stream: &Stream,
        from: i64,
        touched: &[u32],
    ) -> Result<Vec<u32>> {
        let mut numeric = Vec::with_capacity(touched.len());
        for index in touched {
            let wanted = if self.slots[*index as usize].clock { Kind::Clock } else { Kind::Scalar };
            match self.find(tx, run, *index, wanted)? {
                Some((_, kind)) if kind.is_number() => numeric.push(*index),
                Some(series) => {
                    let pending = std::mem::take(&mut self.slots[*index as usize].pending);
                    for (seq, number) in pending {
                        let step = self.ticks[(seq - from) as usize].0;
                        self.put(
                            tx,
                            run,
                            stream,
                            *index,
                            series,
                            seq,
                            step,
                            &Value::Scalar(number),
                        )?;
                    }
                }
                None => self.slots[*index as usize].pending.clear(),
            }
        }
        Ok(numeric)
    }

    /// Returns the series of a slot, made when it is not there; `None` when its name cannot be one.
    fn find(
        &mut self,
        tx: &WriteTx<'_>,
        run: i64,
        index: u32,
        wanted: Kind,
    ) -> Result<Option<(i64, Kind)>> {
        let slot = &mut self.slots[index as usize];
        if slot.series.is_some() {
            return Ok(slot.series);
        }
        if slot.bad_name {
            let error = check_name(&slot.name).err();
            return match error {
                Some(error) if !self.lenient => Err(error),
                error => {
                    let n = slot.pending.len().max(1) as u64;
                    refuse(&mut self.refused, error.map(|error| error.to_string()), n);
                    Ok(None)
                }
            };
        }
        let found =
            tx.maybe(FIND_METRIC, named_params! { ":name": &*slot.name }, |row| row.get(0))?;
        let metric: i64 = match found {
            Some(metric) => metric,
            None => tx.insert(ADD_METRIC, named_params! { ":name": &*slot.name })?,
        };
        let params = named_params! { ":run": run, ":metric": metric };
        let found = tx.maybe(FIND_SERIES, params, |row| {
            Ok((row.get(0)?, Kind::parse(row.get_ref(1)?.as_str()?)))
        })?;
        slot.series = Some(match found {
            Some(series) => series,
            None => {
                let params =
                    named_params! { ":run": run, ":metric": metric, ":kind": wanted.as_str() };
                (tx.insert(ADD_SERIES, params)?, wanted)
            }
        });
        Ok(slot.series)
    }

    /// Writes the staged numbers page by page and series by series, so that new points go to the end of the table.
    fn write_pages(
        &mut self,
        tx: &WriteTx<'_>,
        run: i64,
        stream: &Stream,
        from: i64,
        numeric: &[u32],
    ) -> Result<()> {
        self.points.clear();
        let mut totals = vec![(0, Stats::default()); numeric.len()];
        let mut is_loose = from % PAGE != 0;
        for page in from / PAGE..=(stream.n - 1) / PAGE {
            for (index, (done, total)) in numeric.iter().zip(&mut totals) {
                let slot = &mut self.slots[*index as usize];
                let rest = &slot.pending[*done..];
                let rest = &rest[..rest.partition_point(|(seq, _)| *seq < (page + 1) * PAGE)];
                if rest.is_empty() {
                    continue;
                }
                *done += rest.len();
                let mut stats = Stats::default();
                for (seq, value) in rest {
                    stats.add(*value, self.ticks[(*seq - from) as usize].0);
                }
                let (series, _) = slot.series.expect("numeric slots have a series");
                let bucket = put_bucket(tx, series, stream.id, page, slot.bucket, &stats)?;
                slot.bucket = Some((page, bucket));
                self.points
                    .extend(rest.iter().map(|(seq, value)| (bucket * PAGE + seq % PAGE, *value)));
                match stream.visible_to_step {
                    None => total.merge(&stats),
                    Some(visible) => {
                        for (seq, value) in rest {
                            let step = self.ticks[(*seq - from) as usize].0;
                            if step <= visible {
                                total.add(*value, step);
                            }
                        }
                    }
                }
            }
            if is_loose && stream.n >= (page + 1) * PAGE {
                many::insert_points(tx, &self.points)?;
                self.points.clear();
                self.tidy(tx, stream, page, numeric)?;
            }
            is_loose = false;
        }
        many::insert_points(tx, &self.points)?;
        for (index, (_, total)) in numeric.iter().zip(&totals) {
            let slot = &mut self.slots[*index as usize];
            slot.pending.clear();
            let (series, _) = slot.series.expect("numeric slots have a series");
            extend_series(tx, run, series, total)?;
        }
        Ok(())
    }

    /// Writes the points of a full page anew, at the end of the table. Rows that came a few at a time between those of other
    /// series leave an eighth of the room empty for good.
    fn tidy(
        &mut self,
        tx: &WriteTx<'_>,
        stream: &Stream,
        page: i64,
        numeric: &[u32],
    ) -> Result<()> {
        let mut buckets = Vec::with_capacity(numeric.len());
        let mut points = Vec::with_capacity(numeric.len() * PAGE as usize);
        for index in numeric {
            let (series, _) =
                self.slots[*index as usize].series.expect("numeric slots have a series");
            if let Some(bucket) = find_bucket(tx, series, stream.id, page)? {
                let range = named_params! { ":bucket": bucket };
                tx.each(POINTS_OF_BUCKET, range, |row| {
                    let value: Option<f64> = row.get(1)?;
                    points.push((
                        buckets.len() as i64 * PAGE + row.get::<_, i64>(0)?,
                        value.unwrap_or(f64::NAN),
                    ));
                    Ok(())
                })?;
                tx.run(TAKE_POINTS, range)?;
                buckets.push(bucket);
            }
        }
        let last: i64 = tx.one(LAST_BUCKET, [], |row| row.get(0))?;
        let at_end =
            buckets.windows(2).all(|pair| pair[0] + 1 == pair[1]) && buckets.last() == Some(&last);
        if !at_end {
            for (bucket, after) in buckets.iter_mut().zip(last + 1..) {
                tx.run(MOVE_BUCKET, named_params! { ":before": *bucket, ":after": after })?;
                *bucket = after;
            }
        }
        for (id, _) in &mut points {
            *id += buckets[(*id / PAGE) as usize] * PAGE - *id / PAGE * PAGE;
        }
        many::insert_points(tx, &points)
    }

    fn write_others(
        &mut self,
        tx: &WriteTx<'_>,
        run: i64,
        stream: &Stream,
        from: i64,
        part: Part<'_>,
    ) -> Result<()> {
        let mut others = part.others.iter();
        for (seq, head) in (from..).zip(part.heads) {
            for (index, value) in others.by_ref().take(head.others as usize) {
                if let Some(series) = self.find(tx, run, *index, value.kind())? {
                    let step = self.ticks[(seq - from) as usize].0;
                    self.put(tx, run, stream, *index, series, seq, step, value)?;
                }
            }
        }
        Ok(())
    }

    /// Stores one value of a series of vectors or texts, or refuses it for a series of numbers.
    #[expect(clippy::too_many_arguments, reason = "one call site's worth of context, private")]
    fn put(
        &mut self,
        tx: &WriteTx<'_>,
        run: i64,
        stream: &Stream,
        index: u32,
        (series, kind): (i64, Kind),
        seq: i64,
        step: i64,
        value: &Value,
    ) -> Result<()> {
        let (sql, text) = match (kind, value) {
            (Kind::Vector, Value::Vector(json)) => (PUT_VECTOR, json.to_string()),
            (Kind::Vector, Value::Scalar(x) | Value::Clock(x)) => {
                (PUT_VECTOR, json_number(*x).to_string())
            }
            (Kind::Text, Value::Text(text)) => (PUT_TEXT, text.clone()),
            (Kind::Text, Value::Scalar(x) | Value::Clock(x)) => (PUT_TEXT, x.to_string()),
            (Kind::Text, Value::Vector(json)) => (PUT_TEXT, json.to_string()),
            (Kind::Scalar | Kind::Clock | Kind::Vector, value) => {
                let name = &self.slots[index as usize].name;
                let why = format!(
                    "is a series of {}, and was given a {}",
                    if kind == Kind::Vector { "vectors" } else { "numbers" },
                    value.kind().as_str()
                );
                let error = Error::invalid(format!("metric {name:?}"), why);
                if !self.lenient {
                    return Err(error);
                }
                refuse(&mut self.refused, Some(error.to_string()), 1);
                return Ok(());
            }
        };
        let params = named_params! {
            ":series": series, ":stream": stream.id, ":seq": seq, ":value": text
        };
        tx.run(sql, params)?;
        if stream.visible_to_step.is_some_and(|visible| step > visible) {
            return Ok(());
        }
        extend_series(tx, run, series, &Stats { n: 1, last_step: Some(step), ..Stats::default() })
    }
}

fn refuse(refused: &mut Vec<(String, u64)>, why: Option<String>, n: u64) {
    let Some(why) = why else { return };
    match refused.iter().position(|(before, _)| *before == why) {
        Some(at) => refused[at].1 += n,
        None if refused.len() < 100 => refused.push((why, n)),
        None => {}
    }
}
