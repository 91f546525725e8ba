//! The crate's errors as the package's exceptions.

use mle::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Turns results of the crate into those of Python.
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for mle::Result<T> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| Python::attach(|py| exception(py, &error)))
    }
}

fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::NotFound { .. } => "NotFoundError",
        Error::Invalid { .. } => "InvalidError",
        Error::Conflict { .. } => "ConflictError",
        Error::Busy { .. } => "BusyError",
        Error::SchemaTooNew { .. } | Error::WrongFile { .. } => "WrongFileError",
        Error::Backend { .. } | Error::Failed(_) | Error::Exited { .. } => "FailedError",
        Error::Io { .. } => "FileError",
        Error::Sqlite { .. } => "SqlError",
        Error::Interrupted => return pyo3::exceptions::PyKeyboardInterrupt::new_err(()),
    };
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let made = MODULE
        .get_or_try_init(py, || py.import("mle._errors").map(Bound::unbind))
        .and_then(|module| module.bind(py).getattr(class))
        .and_then(|class| class.call1((error.to_string(), error.hint())));
    match made {
        Ok(made) => PyErr::from_value(made),
        Err(other) => other,
    }
}
