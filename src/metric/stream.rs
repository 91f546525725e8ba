//! The row of `stream`: how long what an attempt logged is, and how its steps go.

use crate::error::{Error, Result};
use crate::sql::named;
use crate::store::{WriteTx, named_params};

const TEXT: &str = include_str!("../../sql/metric.sql");
const FIND_STREAM: &str = named(TEXT, "find_stream");
const ADD_STREAM: &str = named(TEXT, "add_stream");
const EXTEND_STREAM: &str = named(TEXT, "extend_stream");

#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) id: i64,
    pub(crate) origin_ms: i64,
    pub(crate) n: i64,
    step_first: i64,
    step_last: i64,
    step_stride: Option<i64>,
    pub(crate) visible_to_step: Option<i64>,
}

impl Stream {
    /// Finds the stream, or makes it.
    pub(crate) fn open(tx: &WriteTx<'_>, run: i64, attempt: i64, origin_ms: i64) -> Result<Stream> {
        Stream::begin_at(tx, run, attempt, origin_ms, 0)
    }

    fn find(tx: &WriteTx<'_>, run: i64, attempt: i64) -> Result<Option<Stream>> {
        let params = named_params! { ":run": run, ":attempt": attempt };
        tx.maybe(FIND_STREAM, params, |row| {
            Ok(Stream {
                id: row.get(0)?,
                origin_ms: row.get(1)?,
                n: row.get(2)?,
                step_first: row.get(3)?,
                step_last: row.get(4)?,
                step_stride: row.get(5)?,
                visible_to_step: row.get(6)?,
            })
        })
    }

    /// Makes the stream of an attempt, unless it is there; steps that are not given begin at `begins`.
    pub(crate) fn begin_at(
        tx: &WriteTx<'_>,
        run: i64,
        attempt: i64,
        origin_ms: i64,
        begins: i64,
    ) -> Result<Stream> {
        if let Some(stream) = Stream::find(tx, run, attempt)? {
            return Ok(stream);
        }
        let params = named_params! {
            ":run": run, ":attempt": attempt, ":origin_ms": origin_ms, ":step_last": begins
        };
        if tx.run(ADD_STREAM, params)? == 0 {
            return Err(Error::not_found("run", run));
        }
        Stream::find(tx, run, attempt)?.ok_or_else(|| Error::not_found("run", run))
    }

    /// Adds an update; returns its step.
    pub(crate) fn push(&mut self, step: Option<i64>) -> i64 {
        let step = step.unwrap_or(match self.n {
            0 => self.step_last,
            _ => self.step_last.saturating_add(1),
        });
        match self.n {
            0 => {
                self.step_first = step;
                self.step_stride = Some(1);
            }
            // One tick has any stride.
            1 => self.step_stride = step.checked_sub(self.step_first),
            _ if self.step_stride != step.checked_sub(self.step_last) => self.step_stride = None,
            _ => {}
        }
        self.step_last = step;
        self.n += 1;
        step
    }

    pub(crate) fn save(&self, tx: &WriteTx<'_>) -> Result<()> {
        let params = named_params! {
            ":id": self.id, ":n": self.n, ":step_first": self.step_first,
            ":step_last": self.step_last, ":step_stride": self.step_stride
        };
        tx.run(EXTEND_STREAM, params).map(drop)
    }
}
