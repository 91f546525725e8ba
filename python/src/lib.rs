//! `mle._mle`: what the Python package is made of. Everything here converts and calls; the work is in the crate `mle`.
//!
//! Rules: no interpreter lock is held while a file is read or written or a strategy thinks; what touches a file goes
//! through [`fork::blocking`], so that no connection lives through a fork.

mod artifact;
mod convert;
mod db;
mod errors;
mod events;
mod fork;
mod logger;
mod outside;
mod protocol;
mod queue;
mod search;
mod study;

use pyo3::prelude::*;

/// The native part of `mle`; use the names of the package instead.
#[pymodule]
mod _mle {
    #[pymodule_export]
    use super::db::Db;
    #[pymodule_export]
    use super::events::{event_head, event_records, event_scalars};
    #[pymodule_export]
    use super::fork::{after_fork, before_fork};
    #[pymodule_export]
    use super::logger::Logger;
    #[pymodule_export]
    use super::queue::{cores, gpus, memory_mib};
    #[pymodule_export]
    use super::search::{Stopper, Strategy, describe_space, stoppers, strategies};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let version = Python::version_str();
        mle::protocol::provenance::in_python(version.split(' ').next().unwrap_or(version));
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("VIEWS", mle::store::VIEWS)
    }
}
