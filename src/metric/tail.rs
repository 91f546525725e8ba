//! Updates that were committed one by one: a row each in `tail`, which one page takes, until many at once become points.
//!
//! Whoever writes to their stream, ends their run or opens the file to read it settles them first, so that nobody misses
//! them. A plain SQL shell sees them in `tail` alone for some milliseconds.

use serde_json::{Map, Value as Json};

use super::append::Appender;
use super::logger::{end_lost_runs, lost_loggers};
use super::{Update, Value, json_number};
use crate::error::Result;
use crate::id::RunId;
use crate::sql::named;
use crate::store::{Open, ReadTx, Store, WriteTx, named_params};

const TEXT: &str = include_str!("../../sql/metric.sql");
const ADD_TO_TAIL: &str = named(TEXT, "add_to_tail");
const HAS_TAIL: &str = named(TEXT, "has_tail");
const LIST_TAILS: &str = named(TEXT, "list_tails");
const READ_TAIL: &str = named(TEXT, "read_tail");
const CUT_TAIL: &str = named(TEXT, "cut_tail");

/// Returns whether some updates are not yet among the points.
///
/// # Errors
/// [`Error::Sqlite`](crate::Error::Sqlite).
pub(super) fn is_unsettled(tx: &ReadTx<'_>) -> Result<bool> {
    tx.one(HAS_TAIL, [], |row| row.get(0))
}

/// Puts the updates of a run that were committed one by one among its points, or those of all runs.
///
/// # Errors
/// [`Error::Sqlite`](crate::Error::Sqlite).
pub fn settle(tx: &WriteTx<'_>, run: Option<RunId>) -> Result<()> {
    if !is_unsettled(tx)? {
        return Ok(());
    }
    let streams: Vec<(i64, i64)> =
        tx.all(LIST_TAILS, named_params! { ":run": run.map(|run| run.0) }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    for (run, attempt) in streams {
        let updates = take(tx, run, attempt)?;
        let _ = Appender::new(RunId(run), attempt).lenient().append(tx, &updates)?;
    }
    Ok(())
}

/// Opens a file to read it, with all that was logged among its points, and no run at work whose logger is gone.
///
/// # Errors
/// What [`Store::open`] returns.
pub fn open_to_read(path: impl AsRef<std::path::Path>) -> Result<Store> {
    let reader = Store::open(path, Open::ReadOnly)?;
    settle_file(&reader)?;
    Ok(reader)
}

/// As [`settle`] of all runs and [`end_lost_runs`], of a file that is about to be read; where it cannot be written it is read
/// as it is.
///
/// # Errors
/// What reading and writing it return.
pub fn settle_file(reader: &Store) -> Result<()> {
    let (unsettled, lost) =
        reader.read(|tx| Ok((is_unsettled(tx)?, !lost_loggers(tx)?.is_empty())))?;
    if !unsettled && !lost {
        return Ok(());
    }
    let Ok(mut store) = Store::open(reader.path(), Open::Existing) else { return Ok(()) };
    if unsettled {
        store.write(|tx| settle(tx, None))?;
    }
    if lost {
        // On a full disk, or while others write, whoever looks next does it: nobody asked for it now.
        let _ = store.write(end_lost_runs);
    }
    Ok(())
}

/// Adds one update.
pub(super) fn put(
    tx: &WriteTx<'_>,
    run: i64,
    attempt: i64,
    step: Option<i64>,
    at_ms: i64,
    clock: &[(&str, f64)],
    stats: &[(&str, f64)],
) -> Result<()> {
    let params = named_params! {
        ":run": run, ":attempt": attempt, ":step": step, ":at_ms": at_ms,
        ":clock": (!clock.is_empty()).then(|| json(clock)), ":stats": json(stats)
    };
    tx.run(ADD_TO_TAIL, params).map(drop)
}

/// Takes the updates of one stream out of the tail, in their order.
pub(super) fn take(tx: &WriteTx<'_>, run: i64, attempt: i64) -> Result<Vec<Update>> {
    let stream = named_params! { ":run": run, ":attempt": attempt };
    let updates = tx.all(READ_TAIL, stream, |row| {
        let mut values = Vec::new();
        if let Some(clock) = row.get_ref(2)?.as_str_or_null()? {
            values.extend(numbers(clock).map(|(name, number)| (name, Value::Clock(number))));
        }
        let stats = row.get_ref(3)?.as_str()?;
        values.extend(numbers(stats).map(|(name, number)| (name, Value::Scalar(number))));
        Ok(Update { step: row.get(0)?, at_ms: row.get(1)?, values })
    })?;
    tx.run(CUT_TAIL, stream)?;
    Ok(updates)
}

/// Writes numbers as a JSON object. Of a name given twice the last counts, as everywhere.
fn json(numbers: &[(&str, f64)]) -> String {
    let mut text = String::with_capacity(numbers.len() * 32);
    for (place, (name, number)) in numbers.iter().enumerate() {
        text.push(if place == 0 { '{' } else { ',' });
        text.push_str(&serde_json::to_string(name).expect("a text is JSON"));
        text.push(':');
        text.push_str(&json_number(*number).to_string());
    }
    text.push_str(if numbers.is_empty() { "{}" } else { "}" });
    text
}

/// Reads what [`json`] wrote; what is no number (somebody edited the file) is left out.
fn numbers(text: &str) -> impl Iterator<Item = (String, f64)> + use<> {
    serde_json::from_str::<Map<String, Json>>(text).unwrap_or_default().into_iter().filter_map(
        |(name, value)| {
            let number = match &value {
                Json::Null => f64::NAN,
                Json::Number(number) => number.as_f64()?,
                Json::String(word) if word == "inf" => f64::INFINITY,
                Json::String(word) if word == "-inf" => f64::NEG_INFINITY,
                _ => return None,
            };
            Some((name, number))
        },
    )
}
