//! Inserting many rows by few statements: a cursor that stays open finds the next place without a search.

use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::store::{ToSql, WriteTx};

/// Rows a statement, largest first; each size is prepared once a connection.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// Inserts ticks (step, elapsed [ms]) from place `from` of a stream on.
pub(super) fn insert_ticks(
    tx: &WriteTx<'_>,
    stream: i64,
    from: i64,
    ticks: &[(i64, i64)],
) -> Result<()> {
    static SQL: OnceLock<[String; SIZES.len()]> = OnceLock::new();
    let sql = SQL.get_or_init(|| {
        SIZES.map(|size| {
            let rows = (0..size).map(|i| format!("(?1, ?2 + {i}, ?{}, ?{})", 2 * i + 3, 2 * i + 4));
            statement("tick (stream_id, seq, step, elapsed_ms)", rows)
        })
    });
    let mut seq = from;
    in_pieces(ticks, |size, piece| {
        insert(tx, &sql[size], |bind| {
            bind(&stream)?;
            bind(&seq)?;
            piece.iter().try_for_each(|(step, elapsed_ms)| {
                bind(step)?;
                bind(elapsed_ms)
            })
        })?;
        seq += piece.len() as i64;
        Ok(())
    })
}

/// Inserts points (id, value); ascending ids are fast. NaN becomes NULL.
pub(super) fn insert_points(tx: &WriteTx<'_>, points: &[(i64, f64)]) -> Result<()> {
    static SQL: OnceLock<[String; SIZES.len()]> = OnceLock::new();
    let sql = SQL.get_or_init(|| {
        SIZES.map(|size| {
            let rows = (0..size).map(|i| format!("(?{}, ?{})", 2 * i + 1, 2 * i + 2));
            statement("point (id, value)", rows)
        })
    });
    in_pieces(points, |size, piece| {
        insert(tx, &sql[size], |bind| {
            piece.iter().try_for_each(|(id, value)| {
                bind(id)?;
                bind(value)
            })
        })
    })
}

/// `OR FAIL`: these statements need no journal of their own, as whoever sees them fail rolls back everything.
fn statement(table: &str, rows: impl Iterator<Item = String>) -> String {
    format!("INSERT OR FAIL INTO {table} VALUES {}", rows.collect::<Vec<_>>().join(", "))
}

fn in_pieces<T>(rows: &[T], mut insert: impl FnMut(usize, &[T]) -> Result<()>) -> Result<()> {
    let mut rest = rows;
    for (which, size) in SIZES.iter().enumerate() {
        while rest.len() >= *size {
            let (piece, later) = rest.split_at(*size);
            insert(which, piece)?;
            rest = later;
        }
    }
    Ok(())
}

type Bind<'a> = &'a mut dyn FnMut(&dyn ToSql) -> rusqlite::Result<()>;

fn insert(
    tx: &WriteTx<'_>,
    sql: &str,
    values: impl FnOnce(Bind<'_>) -> rusqlite::Result<()>,
) -> Result<()> {
    let mut statement = tx.prepare(sql)?;
    let mut place = 0;
    let bound = values(&mut |value| {
        place += 1;
        statement.raw_bind_parameter(place, value)
    });
    bound
        .and_then(|()| statement.raw_execute().map(drop))
        .map_err(|error| Error::sqlite(error, sql))
}
