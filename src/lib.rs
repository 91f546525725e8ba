//! Machine-learning experiments in one SQLite file.

pub mod aggregate;
pub mod artifact;
pub mod blob;
pub mod cli;
pub mod clock;
pub mod display;
pub mod error;
pub mod id;
pub mod metric;
pub mod protocol;
pub mod report;
pub mod search;
pub mod spec;
pub mod sql;
pub mod store;
mod words;

pub use error::{Error, Result};
