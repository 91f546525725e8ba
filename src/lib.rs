//! Machine-learning experiments in one SQLite file.
// These panic when the reader has gone away: `cli::output` does not.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod aggregate;
pub mod analysis;
pub mod artifact;
pub mod blob;
pub mod cli;
pub mod clock;
pub mod daemon;
pub mod display;
pub mod error;
pub mod id;
pub mod lifecycle;
pub mod metric;
pub mod process;
pub mod protocol;
pub mod queue;
pub mod report;
pub mod reporter;
pub mod scratch;
pub mod search;
pub mod spec;
pub mod sql;
pub mod store;
pub mod study;
mod words;
pub mod worker;

pub use error::{Error, Result};
