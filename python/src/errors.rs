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

/// Returns the next step as one takes it in Python.
fn hint(error: &Error) -> Option<String> {
    let text = match error {
        Error::NotFound { what: "experiment", .. } => "db.experiments() lists those of the file",
        Error::NotFound { what: "study", .. } => {
            "db.sql(\"SELECT experiment FROM studies\") lists those of the file"
        }
        Error::NotFound { what: "job", .. } => "db.jobs() lists those of the file",
        Error::NotFound { what: "run", .. } => "db.runs() lists those of the file",
        Error::NotFound { what: "trial", .. } => "study.trials() lists those of the study",
        Error::NotFound { what: "file", .. } => {
            "check the path; mle.open(path, create=True) makes a new file"
        }
        _ => {
            let hint = error.hint()?;
            let spoken = |hint: String, (from, to): &(&str, &str)| hint.replace(from, to);
            return Some(IN_PYTHON.iter().fold(hint, spoken));
        }
    };
    Some(text.into())
}

/// Words of hints for the shell, and what is meant here.
const IN_PYTHON: &[(&str, &str)] = &[
    (
        "`mle doctor` shows who uses the file",
        "db.sql(\"SELECT * FROM workers WHERE state = 'live'\") lists our programs",
    ),
    ("`mle run` fills a new file", "mle.open(path, create=True) fills it"),
    ("run `mle status --db FILE` once", "call mle.open(path) once"),
    (", or of a new one, with --db", ", or of a new one with create=True"),
    ("print `::mle {…}` lines or use `mle log`", "print `::mle {…}` lines"),
    (
        "with --set meta_job_args.base_train_config=FILE",
        "with another meta_job_args.base_train_config",
    ),
    ("give another path with --out", "give another path"),
];

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
        .and_then(|class| class.call1((error.to_string(), hint(error))));
    match made {
        Ok(made) => PyErr::from_value(made),
        Err(other) => other,
    }
}
