//! A new attempt takes over: what earlier ones logged is cut off where it goes on.

use super::read::{Series, append_bucket, buckets, streams, summary_of};
use super::stats::Stats;
use super::stream::Stream;
use super::{Kind, settle, texts, vectors};
use crate::error::Result;
use crate::id::RunId;
use crate::sql::named;
use crate::store::{WriteTx, named_params};

const TEXT: &str = include_str!("../../sql/metric.sql");
const CUT_STREAMS: &str = named(TEXT, "cut_streams");
const SERIES_OF_RUN: &str = named(TEXT, "series_of_run");
const SET_SERIES: &str = named(TEXT, "set_series");

/// Says that attempt `attempt` of a run begins, from nothing or from a checkpoint at a step.
///
/// What earlier attempts logged stays in the file; of it only steps up to the checkpoint belong to the run from now on.
/// Summaries are made anew, which reads the points that stay. Steps the new attempt does not give begin after the
/// checkpoint.
///
/// # Errors
/// [`Error::NotFound`](crate::Error::NotFound) for the run.
pub fn supersede(
    tx: &WriteTx<'_>,
    run: RunId,
    attempt: i64,
    resumed_at_step: Option<i64>,
) -> Result<()> {
    settle(tx, Some(run))?;
    let step = resumed_at_step.unwrap_or(i64::MIN);
    let params = named_params! { ":run": run, ":attempt": attempt, ":step": step };
    let cut = tx.run(CUT_STREAMS, params)?;
    if let Some(step) = resumed_at_step {
        Stream::begin_at(tx, run.0, attempt, tx.now_ms, step.saturating_add(1))?;
    }
    if cut == 0 {
        return Ok(());
    }
    for (id, series) in tx.all(SERIES_OF_RUN, named_params! { ":run": run }, summary_of)? {
        let stats = if series.kind.is_number() {
            numbers(tx, run, id)?
        } else {
            others(tx, run, &series.metric, series.kind)?
        };
        let params = named_params! {
            ":id": id, ":n": stats.n, ":nan": stats.nan, ":first": stats.first,
            ":last": stats.last, ":last_step": stats.last_step, ":min": stats.min,
            ":max": stats.max, ":sum": stats.sum
        };
        tx.run(SET_SERIES, params)?;
    }
    Ok(())
}

fn numbers(tx: &WriteTx<'_>, run: RunId, series: i64) -> Result<Stats> {
    let mut stats = Stats::default();
    for stream in streams(tx, run)? {
        for bucket in buckets(tx, series, &stream)? {
            let mut points = Series::default();
            append_bucket(tx, &stream, &bucket, false, &mut points)?;
            for (step, value) in points.steps.iter().zip(&points.values) {
                stats.add(*value, *step);
            }
        }
    }
    Ok(stats)
}

fn others(tx: &WriteTx<'_>, run: RunId, metric: &str, kind: Kind) -> Result<Stats> {
    let steps: Vec<i64> = if kind == Kind::Text {
        texts(tx, run, metric)?.unwrap_or_default().into_iter().map(|(step, _)| step).collect()
    } else {
        vectors(tx, run, metric)?.unwrap_or_default().into_iter().map(|(step, _)| step).collect()
    };
    Ok(Stats { n: steps.len() as i64, last_step: steps.last().copied(), ..Stats::default() })
}
