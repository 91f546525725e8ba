//! Reading series: whole, summarised, or thinned for a chart.

use rusqlite::types::ValueRef;

use super::{Kind, PAGE};
use crate::error::Result;
use crate::id::RunId;
use crate::protocol::{Goal, ValueFrom};
use crate::sql::named;
use crate::store::{ReadTx, Row, named_params};

const TEXT: &str = include_str!("../../sql/metric.sql");
const LIST_STREAMS: &str = named(TEXT, "list_streams");
const LIST_BUCKETS: &str = named(TEXT, "list_buckets");
const POINTS_BETWEEN: &str = named(TEXT, "points_between");
const VALUES_FROM: &str = named(TEXT, "values_from");
const TICKS_BETWEEN: &str = named(TEXT, "ticks_between");
const VECTOR_POINTS: &str = named(TEXT, "vector_points");
const TEXT_POINTS: &str = named(TEXT, "text_points");
const SERIES_OF_RUN: &str = named(TEXT, "series_of_run");
const SERIES_BY_NAME: &str = named(TEXT, "series_by_name");

/// The points of a metric that belong to the run, in the order they were logged, attempt after attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Step of each point.
    pub steps: Vec<i64>,
    /// Value of each point; may be NaN or infinite.
    pub values: Vec<f64>,
    /// Time of each point since its attempt began to log [s]; empty unless asked for by [`timed_series`].
    pub elapsed_s: Vec<f64>,
}

/// What lists need to know of a metric of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Its name.
    pub metric: String,
    /// What it holds.
    pub kind: Kind,
    /// Points that belong to the run.
    pub n: i64,
    /// Those of them that are NaN; the rest is of the others.
    pub nan: i64,
    /// The first number.
    pub first: Option<f64>,
    /// The last number.
    pub last: Option<f64>,
    /// Its step (of vectors and texts: of the last point).
    pub last_step: Option<i64>,
    /// The least number.
    pub min: Option<f64>,
    /// The largest number.
    pub max: Option<f64>,
    /// The mean of the numbers.
    pub mean: Option<f64>,
}

/// Some consecutive points of a series, for a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thin {
    /// Step of the first update it covers.
    pub step: i64,
    /// How many numbers it has; NaN is left out.
    pub n: i64,
    /// Least.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
}

/// Reads the numbers of a metric, without times; `None` when the run has no such series of numbers.
///
/// Costs what the series is long, whatever else is in the file.
///
/// # Errors
/// [`Error::Sqlite`](crate::Error::Sqlite).
pub fn series(tx: &ReadTx<'_>, run: RunId, metric: &str) -> Result<Option<Series>> {
    load(tx, run, metric, false)
}

/// As [`series`], with the time of each point.
///
/// # Errors
/// [`Error::Sqlite`](crate::Error::Sqlite).
pub fn timed_series(tx: &ReadTx<'_>, run: RunId, metric: &str) -> Result<Option<Series>> {
    load(tx, run, metric, true)
}

fn load(tx: &ReadTx<'_>, run: RunId, metric: &str, timed: bool) -> Result<Option<Series>> {
    let Some((id, summary)) = find(tx, run, metric)? else { return Ok(None) };
    if !summary.kind.is_number() {
        return Ok(None);
    }
    let n = usize::try_from(summary.n).unwrap_or(0);
    let mut series =
        Series { steps: Vec::with_capacity(n), values: Vec::with_capacity(n), elapsed_s: vec![] };
    for stream in streams(tx, run)? {
        for bucket in buckets(tx, id, &stream)? {
            append_bucket(tx, &stream, &bucket, timed, &mut series)?;
        }
    }
    Ok(Some(series))
}

/// One of some parts of a long series, for readers side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesPart {
    /// Its points.
    pub series: Series,
    /// Stream, and the step up to which it shows.
    stream: (i64, Option<i64>),
}

impl SeriesPart {
    /// Joins parts that were read in transactions of their own; `None` when an attempt took over between them.
    pub fn join(parts: Vec<SeriesPart>) -> Option<Series> {
        if parts.windows(2).any(|pair| pair[0].stream != pair[1].stream) {
            return None;
        }
        let n = parts.iter().map(|part| part.series.values.len()).sum();
        let mut whole = Series {
            steps: Vec::with_capacity(n),
            values: Vec::with_capacity(n),
            elapsed_s: Vec::new(),
        };
        for part in parts {
            whole.steps.extend(part.series.steps);
            whole.values.extend(part.series.values);
        }
        Some(whole)
    }
}

/// Reads the numbers of a metric at some updates of the run: those from `updates.start` to before `updates.end`, which are
/// multiples of 1,024. `None` when there is no such series of numbers, or it is not of one attempt alone.
///
/// # Errors
/// [`Error::Sqlite`](crate::Error::Sqlite).
pub fn series_part(
    tx: &ReadTx<'_>,
    run: RunId,
    metric: &str,
    updates: std::ops::Range<i64>,
) -> Result<Option<SeriesPart>> {
    let Some((id, summary)) = find(tx, run, metric)? else { return Ok(None) };
    let streams = streams(tx, run)?;
    let ([stream], true) = (&streams[..], summary.kind.is_number()) else { return Ok(None) };
    let pages = updates.start / PAGE..updates.end / PAGE;
    let mut series = Series::default();
    for bucket in buckets(tx, id, stream)?.iter().filter(|bucket| pages.contains(&bucket.page)) {
        append_bucket(tx, stream, bucket, false, &mut series)?;
    }
    Ok(Some(SeriesPart { series, stream: (stream.id, stream.visible_to_step) }))
}

/// Returns the summary of one metric of a run.
///
/// # Errors
/// [`Error::Sqlite`](crate::Error::Sqlite).
pub fn summary_of_metric(tx: &ReadTx<'_>, run: RunId, metric: &str) -> Result<Option<Summary>> {
    Ok(find(tx, run, metric)?.map(|(_, summary)| summary))
}

/// Returns the summaries of all metrics of a run, in the order they were first logged.
///
/// # Errors
/// [`Error::Sqlite`](crate::Error::Sqlite).
pub fn summary(tx: &ReadTx<'_>, run: RunId) -> Result<Vec<Summary>> {
    tx.all(SERIES_OF_RUN, named_params! { ":run": run }, |row| Ok(summary_of(row)?.1))
}

/// Returns the number a run is valued by.
///
/// `None`: there is no point, or it is no series of numbers. A last point that is NaN gives NaN, and so do the best and the
/// mean of nothing but NaN; otherwise those leave NaN out.
///
/// # Errors
/// [`Error::Sqlite`](crate::Error::Sqlite).
pub fn final_value(
    tx: &ReadTx<'_>,
    run: RunId,
    metric: &str,
    from: ValueFrom,
    goal: Goal,
) -> Result<Option<f64>> {
    let Some((id, summary)) = find(tx, run, metric)? else { return Ok(None) };
    if !summary.kind.is_number() || summary.n == 0 {
        return Ok(None);
    }
    let value = match (from, goal) {
        // The summary knows the last number; the last point may have come after it.
        (ValueFrom::Last, _) if summary.nan > 0 => return last_point(tx, run, id),
        (ValueFrom::Last, _) => summary.last,
        (ValueFrom::Best, Goal::Min) => summary.min,
        (ValueFrom::Best, Goal::Max) => summary.max,
        (ValueFrom::Mean, _) => summary.mean,
    };
    Ok(Some(value.unwrap_or(f64::NAN)))
}

fn last_point(tx: &ReadTx<'_>, run: RunId, series: i64) -> Result<Option<f64>> {
    let mut streams = streams(tx, run)?;
    streams.reverse();
    for stream in streams {
        for bucket in buckets(tx, series, &stream)?.iter().rev() {
            let mut points = Series::default();
            append_bucket(tx, &stream, bucket, false, &mut points)?;
            if let Some(last) = points.values.last() {
                return Ok(Some(*last));
            }
        }
    }
    Ok(None)
}

/// Returns at most about `count` groups of consecutive points, for a chart.
///
/// A series of many points is read from its bucket rows alone, so that groups are of 1,024 updates or a multiple; a shorter
/// one from its points. `None` when the run has no such series of numbers.
///
/// # Errors
/// [`Error::Sqlite`](crate::Error::Sqlite).
pub fn thin(tx: &ReadTx<'_>, run: RunId, metric: &str, count: usize) -> Result<Option<Vec<Thin>>> {
    let Some((id, summary)) = find(tx, run, metric)? else { return Ok(None) };
    if !summary.kind.is_number() {
        return Ok(None);
    }
    let count = count.max(1);
    let points = usize::try_from(summary.n).unwrap_or(0);
    let parts = if points / PAGE as usize >= count.div_ceil(4) {
        whole_buckets(tx, run, id)?
    } else {
        single_points(&load(tx, run, metric, false)?.unwrap_or_default())
    };
    Ok(Some(parts.chunks(parts.len().div_ceil(count).max(1)).filter_map(join).collect()))
}

fn single_points(series: &Series) -> Vec<Thin> {
    series
        .steps
        .iter()
        .zip(&series.values)
        .map(|(step, x)| Thin {
            step: *step,
            n: i64::from(!x.is_nan()),
            min: *x,
            max: *x,
            mean: *x,
        })
        .collect()
}

fn whole_buckets(tx: &ReadTx<'_>, run: RunId, series: i64) -> Result<Vec<Thin>> {
    let mut parts = Vec::new();
    for stream in streams(tx, run)? {
        for bucket in buckets(tx, series, &stream)? {
            let from = bucket.page * PAGE;
            let to = (from + PAGE).min(stream.n);
            let steps = match (stream.step_stride, stream.visible_to_step) {
                (Some(stride), _) => {
                    vec![stream.step_at(from, stride), stream.step_at(to - 1, stride)]
                }
                (None, None) => ticks(tx, stream.id, from, from + 1)?.0,
                (None, Some(_)) => ticks(tx, stream.id, from, to)?.0,
            };
            if steps.iter().all(|step| stream.shows(*step)) {
                parts.push(Thin {
                    step: steps.first().copied().unwrap_or(0),
                    n: bucket.n,
                    min: bucket.min.unwrap_or(f64::NAN),
                    max: bucket.max.unwrap_or(f64::NAN),
                    mean: bucket.sum / bucket.n as f64,
                });
            } else if steps.iter().any(|step| stream.shows(*step)) {
                let mut points = Series::default();
                append_bucket(tx, &stream, &bucket, false, &mut points)?;
                parts.extend(join(&single_points(&points)));
            }
        }
    }
    Ok(parts)
}

fn join(parts: &[Thin]) -> Option<Thin> {
    let step = parts.first()?.step;
    let mut joined = Thin { step, n: 0, min: f64::NAN, max: f64::NAN, mean: f64::NAN };
    let mut sum = 0.0;
    for part in parts.iter().filter(|part| part.n > 0) {
        joined.n += part.n;
        joined.min = joined.min.min(part.min);
        joined.max = joined.max.max(part.max);
        sum += part.mean * part.n as f64;
    }
    joined.mean = sum / joined.n as f64;
    Some(joined)
}

/// Reads a metric's vectors as JSON, with their steps; `None` when it is no series of vectors.
///
/// # Errors
/// [`Error::Sqlite`](crate::Error::Sqlite).
pub fn vectors(
    tx: &ReadTx<'_>,
    run: RunId,
    metric: &str,
) -> Result<Option<Vec<(i64, serde_json::Value)>>> {
    let rows = others(tx, run, metric, Kind::Vector, VECTOR_POINTS)?;
    Ok(rows.map(|rows| {
        rows.into_iter()
            .map(|(step, text)| (step, serde_json::from_str(&text).unwrap_or_default()))
            .collect()
    }))
}

/// Reads a metric's texts with their steps; `None` when it is no series of texts.
///
/// # Errors
/// [`Error::Sqlite`](crate::Error::Sqlite).
pub fn texts(tx: &ReadTx<'_>, run: RunId, metric: &str) -> Result<Option<Vec<(i64, String)>>> {
    others(tx, run, metric, Kind::Text, TEXT_POINTS)
}

fn others(
    tx: &ReadTx<'_>,
    run: RunId,
    metric: &str,
    kind: Kind,
    sql: &str,
) -> Result<Option<Vec<(i64, String)>>> {
    let Some((id, summary)) = find(tx, run, metric)? else { return Ok(None) };
    if summary.kind != kind {
        return Ok(None);
    }
    let mut found = Vec::new();
    for stream in streams(tx, run)? {
        let params = named_params! { ":series": id, ":stream": stream.id };
        let rows = tx.all(sql, params, |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (seq, value) in rows {
            let step = match stream.step_stride {
                Some(stride) => stream.step_at(seq, stride),
                None => ticks(tx, stream.id, seq, seq + 1)?.0.first().copied().unwrap_or(0),
            };
            if stream.shows(step) {
                found.push((step, value));
            }
        }
    }
    Ok(Some(found))
}

/// A stream as readers see it.
pub(super) struct StreamRow {
    pub(super) id: i64,
    pub(super) n: i64,
    step_first: i64,
    step_stride: Option<i64>,
    visible_to_step: Option<i64>,
}

impl StreamRow {
    fn step_at(&self, seq: i64, stride: i64) -> i64 {
        self.step_first.wrapping_add(seq.wrapping_mul(stride))
    }

    fn shows(&self, step: i64) -> bool {
        self.visible_to_step.is_none_or(|visible| step <= visible)
    }
}

pub(super) struct BucketRow {
    id: i64,
    page: i64,
    n: i64,
    min: Option<f64>,
    max: Option<f64>,
    sum: f64,
}

/// Lists the streams of a run that show anything, in the order of attempts.
pub(super) fn streams(tx: &ReadTx<'_>, run: RunId) -> Result<Vec<StreamRow>> {
    let mut streams = tx.all(LIST_STREAMS, named_params! { ":run": run }, |row| {
        Ok(StreamRow {
            id: row.get(0)?,
            n: row.get(2)?,
            step_first: row.get(3)?,
            step_stride: row.get(4)?,
            visible_to_step: row.get(5)?,
        })
    })?;
    streams.retain(|stream| stream.n > 0 && stream.visible_to_step != Some(i64::MIN));
    Ok(streams)
}

pub(super) fn buckets(tx: &ReadTx<'_>, series: i64, stream: &StreamRow) -> Result<Vec<BucketRow>> {
    let params = named_params! { ":series": series, ":stream": stream.id };
    tx.all(LIST_BUCKETS, params, |row| {
        Ok(BucketRow {
            id: row.get(0)?,
            page: row.get(1)?,
            n: row.get(2)?,
            min: row.get(3)?,
            max: row.get(4)?,
            sum: row.get(5)?,
        })
    })
}

/// Adds the visible points of a bucket.
pub(super) fn append_bucket(
    tx: &ReadTx<'_>,
    stream: &StreamRow,
    bucket: &BucketRow,
    timed: bool,
    series: &mut Series,
) -> Result<()> {
    let base = bucket.id * PAGE;
    let from = bucket.page * PAGE;
    if let (Some(stride), false) = (stream.step_stride, timed)
        && append_full_bucket(tx, stream, bucket, stride, series)?
    {
        return Ok(());
    }
    let (steps, elapsed_ms) = match stream.step_stride {
        Some(_) if !timed => (Vec::new(), Vec::new()),
        _ => ticks(tx, stream.id, from, from + PAGE)?,
    };
    let mut push = |place: i64, value: f64| {
        let step = match stream.step_stride {
            Some(stride) => stream.step_at(from + place, stride),
            None => steps.get(place as usize).copied().unwrap_or(0),
        };
        if stream.shows(step) {
            series.steps.push(step);
            series.values.push(value);
            if timed {
                let ms = elapsed_ms.get(place as usize).copied().unwrap_or(0);
                series.elapsed_s.push(ms as f64 / 1000.0);
            }
        }
    };
    let params = named_params! { ":from": base, ":to": base + PAGE - 1 };
    tx.each(POINTS_BETWEEN, params, |row| {
        push(row.get::<_, i64>(0)? - base, number(row, 1)?);
        Ok(())
    })
}

/// Adds the points of a bucket that has one at each tick, as most have: then the values alone say where they belong.
/// Returns false, and adds nothing, when it has not.
fn append_full_bucket(
    tx: &ReadTx<'_>,
    stream: &StreamRow,
    bucket: &BucketRow,
    stride: i64,
    series: &mut Series,
) -> Result<bool> {
    let (base, from) = (bucket.id * PAGE, bucket.page * PAGE);
    let count = PAGE.min(stream.n - from);
    let before = series.values.len();
    let (mut left, mut is_full) = (count, false);
    tx.each_while(VALUES_FROM, named_params! { ":from": base }, |row| {
        series.values.push(number(row, 0)?);
        left -= 1;
        if left == 0 {
            is_full = row.get::<_, i64>(1)? == base + count - 1;
        }
        Ok(left > 0)
    })?;
    let ends = [stream.step_at(from, stride), stream.step_at(from + count - 1, stride)];
    if !is_full || !ends.iter().all(|step| stream.shows(*step)) {
        series.values.truncate(before);
        return Ok(false);
    }
    series.steps.extend((from..from + count).map(|seq| stream.step_at(seq, stride)));
    Ok(true)
}

/// Reads a number; NULL is NaN.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<f64> {
    match row.get_ref(column)? {
        ValueRef::Real(value) => Ok(value),
        ValueRef::Null => Ok(f64::NAN),
        _ => row.get(column),
    }
}

/// Returns the steps and times of the ticks from place `from` to before `to`.
fn ticks(tx: &ReadTx<'_>, stream: i64, from: i64, to: i64) -> Result<(Vec<i64>, Vec<i64>)> {
    let (mut steps, mut elapsed_ms) = (Vec::new(), Vec::new());
    let params = named_params! { ":stream": stream, ":from": from, ":to": to - 1 };
    tx.each(TICKS_BETWEEN, params, |row| {
        steps.push(row.get(0)?);
        elapsed_ms.push(row.get(1)?);
        Ok(())
    })?;
    Ok((steps, elapsed_ms))
}

fn find(tx: &ReadTx<'_>, run: RunId, metric: &str) -> Result<Option<(i64, Summary)>> {
    tx.maybe(SERIES_BY_NAME, named_params! { ":run": run, ":name": metric }, summary_of)
}

pub(super) fn summary_of(row: &Row<'_>) -> rusqlite::Result<(i64, Summary)> {
    let (n, nan, sum): (i64, i64, f64) = (row.get(3)?, row.get(4)?, row.get(10)?);
    let summary = Summary {
        metric: row.get(1)?,
        kind: Kind::parse(row.get_ref(2)?.as_str()?),
        n,
        nan,
        first: row.get(5)?,
        last: row.get(6)?,
        last_step: row.get(7)?,
        min: row.get(8)?,
        max: row.get(9)?,
        mean: None,
    };
    let mean = (summary.kind.is_number() && n > nan).then(|| sum / (n - nan) as f64);
    Ok((row.get(0)?, Summary { mean, ..summary }))
}
