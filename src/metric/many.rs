//! Inserting many rows by few statements: a cursor that stays open finds the next place faster, and at the end of the
//! table without a search.

use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::store::{ToSql, WriteTx, params};

/// Rows a statement, largest first; each size is prepared once a connection.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

const MAX_POINT: &str = "SELECT max(id) FROM point";

type Statements = OnceLock<[String; SIZES.len()]>;

/// Inserts ticks (step, elapsed [ms]) from place `from` of a stream on.
pub(super) fn insert_ticks(
    tx: &WriteTx<'_>,
    stream: i64,
    from: i64,
    ticks: &[(i64, i64)],
) -> Result<()> {
    static SQL: Statements = OnceLock::new();
    let sql = statements(&SQL, "tick (stream_id, seq, step, elapsed_ms)", |i| {
        format!("(?1, ?2 + {i}, ?{}, ?{})", 2 * i + 3, 2 * i + 4)
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

/// Inserts points (id, value). NaN becomes NULL.
///
/// What continues the table gets its ids from SQLite, one after the largest, as that needs no search; in the end the
/// largest must be the one meant.
pub(super) fn insert_points(tx: &WriteTx<'_>, points: &[(i64, f64)]) -> Result<()> {
    if points.len() < SIZES[0] {
        return insert_anywhere(tx, points);
    }
    let mut max: i64 =
        tx.one(MAX_POINT, [], |row| row.get(0)).map(|max: Option<i64>| max.unwrap_or(-1))?;
    let mut rest = points;
    while let Some((id, _)) = rest.first() {
        let ascending = rest.windows(2).take_while(|pair| pair[0].0 + 1 == pair[1].0).count() + 1;
        let (run, later) = rest.split_at(ascending);
        rest = later;
        if *id < max {
            insert_anywhere(tx, run)?;
            max = max.max(id + ascending as i64 - 1);
            continue;
        }
        let (gap, next) = run.split_at(usize::from(*id != max + 1));
        insert_anywhere(tx, gap)?;
        insert_at_end(tx, next)?;
        max = id + ascending as i64 - 1;
    }
    let found: Option<i64> = tx.one(MAX_POINT, params![], |row| row.get(0))?;
    assert_eq!(found, Some(max), "SQLite gives out the ids after the largest");
    Ok(())
}

fn insert_anywhere(tx: &WriteTx<'_>, points: &[(i64, f64)]) -> Result<()> {
    static SQL: Statements = OnceLock::new();
    let sql =
        statements(&SQL, "point (id, value)", |i| format!("(?{}, ?{})", 2 * i + 1, 2 * i + 2));
    in_pieces(points, |size, piece| {
        insert(tx, &sql[size], |bind| {
            piece.iter().try_for_each(|(id, value)| {
                bind(id)?;
                bind(value)
            })
        })
    })
}

fn insert_at_end(tx: &WriteTx<'_>, points: &[(i64, f64)]) -> Result<()> {
    static SQL: Statements = OnceLock::new();
    let sql = statements(&SQL, "point (value)", |i| format!("(?{})", i + 1));
    in_pieces(points, |size, piece| {
        insert(tx, &sql[size], |bind| piece.iter().try_for_each(|(_, value)| bind(value)))
    })
}

/// `OR FAIL`: these statements need no journal of their own, as whoever sees them fail rolls back everything.
fn statements<'a>(
    made: &'a Statements,
    table: &str,
    row: impl Fn(usize) -> String,
) -> &'a [String; SIZES.len()] {
    made.get_or_init(|| {
        SIZES.map(|size| {
            let rows: Vec<String> = (0..size).map(&row).collect();
            format!("INSERT OR FAIL INTO {table} VALUES {}", rows.join(", "))
        })
    })
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
