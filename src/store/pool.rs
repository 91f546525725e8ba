//! A connection for each thread that asks for one.

use std::path::PathBuf;

use super::open::{Open, Store};
use crate::error::{Error, Result};

/// Opens stores of one file for r2d2.
#[derive(Debug)]
pub struct Opener {
    path: PathBuf,
    how: Open,
}

impl r2d2::ManageConnection for Opener {
    type Connection = Store;
    type Error = Error;

    fn connect(&self) -> Result<Store> {
        Store::open(&self.path, self.how)
    }
    fn is_valid(&self, store: &mut Store) -> Result<()> {
        store.data_version().map(drop)
    }
    fn has_broken(&self, _: &mut Store) -> bool {
        false
    }
}

/// Stores of one file, opened when needed and kept.
#[derive(Clone)]
pub struct Pool(r2d2::Pool<Opener>);

impl Pool {
    /// Makes a pool of at most `size` connections; none is opened yet.
    ///
    /// # Errors
    /// [`Error::Failed`] when the pool cannot be made.
    pub fn new(path: impl Into<PathBuf>, how: Open, size: u32) -> Result<Pool> {
        r2d2::Pool::builder()
            .max_size(size.max(1))
            .min_idle(Some(0))
            .test_on_check_out(false)
            .build(Opener { path: path.into(), how })
            .map(Pool)
            .map_err(|error| Error::Failed(error.to_string()))
    }

    /// Returns a connection of its own to the caller.
    ///
    /// # Errors
    /// [`Error::Failed`] with the reason it could not be opened.
    pub fn store(&self) -> Result<r2d2::PooledConnection<Opener>> {
        self.0.get().map_err(|error| Error::Failed(error.to_string()))
    }
}
