//! Summaries of numbers, running and in the file.

use crate::error::{Error, Result};
use crate::sql::named;
use crate::store::{WriteTx, named_params};

const TEXT: &str = include_str!("../../sql/metric.sql");
const EXTEND_SERIES: &str = named(TEXT, "extend_series");
const FIND_BUCKET: &str = named(TEXT, "find_bucket");
const ADD_BUCKET: &str = named(TEXT, "add_bucket");
const EXTEND_BUCKET: &str = named(TEXT, "extend_bucket");

/// Summary of some points. A sum of both infinities stays at the first one, as in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Stats {
    /// All points.
    pub(crate) n: i64,
    /// Those that are NaN; the rest is of the others.
    pub(crate) nan: i64,
    pub(crate) first: Option<f64>,
    pub(crate) last: Option<f64>,
    pub(crate) last_step: Option<i64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) sum: f64,
}

impl Stats {
    pub(crate) fn add(&mut self, value: f64, step: i64) {
        self.n += 1;
        if value.is_nan() {
            self.nan += 1;
            return;
        }
        if self.first.is_none() {
            self.first = Some(value);
        }
        self.last = Some(value);
        self.last_step = Some(step);
        self.min = Some(self.min.map_or(value, |min| if value < min { value } else { min }));
        self.max = Some(self.max.map_or(value, |max| if value > max { value } else { max }));
        self.sum = plus(self.sum, value);
    }

    /// Adds points that came after these.
    pub(crate) fn merge(&mut self, later: &Stats) {
        self.n += later.n;
        self.nan += later.nan;
        self.first = self.first.or(later.first);
        self.last = later.last.or(self.last);
        self.last_step = later.last_step.or(self.last_step);
        self.min = least(self.min, later.min);
        self.max = least(self.max.map(|x| -x), later.max.map(|x| -x)).map(|x| -x);
        self.sum = plus(self.sum, later.sum);
    }
}

fn plus(sum: f64, value: f64) -> f64 {
    let next = sum + value;
    if next.is_nan() { sum } else { next }
}

fn least(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Returns the id of a bucket, if there is one.
pub(super) fn find_bucket(
    tx: &WriteTx<'_>,
    series: i64,
    stream: i64,
    page: i64,
) -> Result<Option<i64>> {
    let params = named_params! { ":series": series, ":stream": stream, ":page": page };
    tx.maybe(FIND_BUCKET, params, |row| row.get(0))
}

/// Adds points to the summary of their bucket, made when it is not there; returns its id.
pub(super) fn put_bucket(
    tx: &WriteTx<'_>,
    series: i64,
    stream: i64,
    page: i64,
    known: Option<(i64, i64)>,
    stats: &Stats,
) -> Result<i64> {
    let id = match known {
        Some((known_page, id)) if known_page == page => Some(id),
        _ => find_bucket(tx, series, stream, page)?,
    };
    let numbers = stats.n - stats.nan;
    let Some(id) = id else {
        let params = named_params! {
            ":series": series, ":stream": stream, ":page": page,
            ":n": numbers, ":min": stats.min, ":max": stats.max, ":sum": stats.sum
        };
        return tx.insert(ADD_BUCKET, params);
    };
    let params = named_params! {
        ":id": id, ":series": series, ":stream": stream, ":page": page,
        ":n": numbers, ":min": stats.min, ":max": stats.max, ":sum": stats.sum
    };
    changed(tx.run(EXTEND_BUCKET, params)?).map(|()| id)
}

/// Adds points to the summary of their series.
pub(super) fn extend_series(tx: &WriteTx<'_>, run: i64, series: i64, stats: &Stats) -> Result<()> {
    let params = named_params! {
        ":id": series, ":run": run, ":n": stats.n, ":nan": stats.nan, ":first": stats.first,
        ":last": stats.last, ":last_step": stats.last_step, ":min": stats.min, ":max": stats.max,
        ":sum": stats.sum
    };
    changed(tx.run(EXTEND_SERIES, params)?)
}

/// What is remembered of the file must be in it: otherwise a transaction failed and nobody called `reset`.
fn changed(rows: usize) -> Result<()> {
    if rows == 1 {
        return Ok(());
    }
    Err(Error::Conflict {
        what: "series",
        id: String::new(),
        why: "is not what this appender wrote: its last transaction did not commit".into(),
    })
}
