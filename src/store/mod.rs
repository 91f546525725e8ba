//! The file: opening it, its versions, and the two doors to it.
//!
//! Nothing outside this module sees a `rusqlite::Connection`. [`Store::read`] gives a snapshot, [`Store::write`] an
//! immediate transaction that no other writer can get in the way of; nobody else says BEGIN.

mod file;
mod gate;
mod migrate;
mod open;
mod pool;
mod stranger;
mod tx;
mod watch;

pub use gate::waited_ms;
pub use migrate::{SCHEMA_VERSION, VIEWS};
pub use open::{Open, Store};
pub use pool::Pool;
pub use stranger::Stranger;
pub use tx::{ReadTx, Statement, WriteTx};
pub use watch::Watch;

pub use rusqlite::{Row, ToSql, named_params, params, types::Value as SqlValue};
