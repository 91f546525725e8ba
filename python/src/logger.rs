//! Logging: a call copies its numbers into the crate's buffer and returns.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mle::error::{Error, Result};
use mle::id::{ExperimentId, RunId};
use mle::metric::{Logger as Inner, LoggerOptions, Value};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::convert::{Object, from_py, type_name};
use crate::errors::OrRaise;
use crate::fork::blocking;
use crate::protocol::{Aim, objective};

/// Updates of up to so many numbers need no memory of their own.
const FEW: usize = 16;
/// From here on a call may have to wait for room, which it must not do with the interpreter's lock.
const CROWDED: u64 = 900_000;
/// Names that are kept by address.
const KEYS_MAX: usize = 256;

/// Logs to one run. All methods may be called by several threads and in forked children.
#[pyclass(frozen, subclass, module = "mle._mle")]
pub struct Logger {
    /// Only ever locked with the interpreter's lock held, so that no fork finds it locked, and for as long as no Python
    /// runs, which might give the interpreter to a thread that waits here.
    state: Mutex<State>,
    run: RunId,
    attempt: Option<i64>,
    path: PathBuf,
    sync: bool,
    pid: u32,
}

struct State {
    /// Gone when closed.
    inner: Option<Arc<Inner>>,
    /// The names of the last update by place: an interned str is known by its address.
    keys: Vec<Key>,
    crowded: bool,
}

struct Key {
    address: usize,
    /// Keeps the address from being used again.
    _object: Py<PyString>,
    name: Box<str>,
}

/// The names and numbers of an update, and what is no number.
struct Gathered<'py> {
    few: [Option<(Bound<'py, PyAny>, f64)>; FEW],
    many: Vec<(Bound<'py, PyAny>, f64)>,
    len: usize,
    others: Vec<(String, Value)>,
}

fn closed() -> Error {
    Error::Conflict { what: "logger", id: "of this run".into(), why: "is closed".into() }
}

impl<'py> Gathered<'py> {
    fn new() -> Self {
        Gathered { few: [const { None }; FEW], many: Vec::new(), len: 0, others: Vec::new() }
    }

    fn pairs(&self) -> impl Iterator<Item = &(Bound<'py, PyAny>, f64)> {
        self.few.iter().take(self.len).flatten().chain(&self.many)
    }

    /// Takes in a dict. Objects that become numbers may run Python, so no lock is held.
    fn take(&mut self, dict: &Bound<'py, PyDict>, numbers_only: bool) -> PyResult<()> {
        for (key, value) in dict.iter() {
            let number = if let Ok(float) = value.cast::<PyFloat>() {
                float.value()
            } else {
                match number_of(&key, &value)? {
                    Some(number) => number,
                    None if numbers_only => {
                        let why =
                            format!("clock {key}: a number is wanted, not {}", type_name(&value));
                        return Err(PyTypeError::new_err(why));
                    }
                    None => {
                        gather_other(&key.str()?.to_cow()?, &value, &mut self.others)?;
                        continue;
                    }
                }
            };
            match self.few.get_mut(self.len) {
                Some(place) => *place = Some((key, number)),
                None => self.many.push((key, number)),
            }
            self.len += 1;
        }
        Ok(())
    }
}

impl State {
    /// Makes `keys[at]` the name of a key.
    fn name(&mut self, key: &Bound<'_, PyAny>, at: usize) -> PyResult<()> {
        let address = key.as_ptr() as usize;
        if self.keys.get(at).is_some_and(|known| known.address == address) {
            return Ok(());
        }
        let text = key.cast::<PyString>().map_err(|_| {
            PyTypeError::new_err(format!("the name of a metric is a str, not {}", type_name(key)))
        })?;
        let key = Key { address, name: text.to_cow()?.into(), _object: text.clone().unbind() };
        match self.keys.get_mut(at) {
            Some(place) => *place = key,
            None => self.keys.push(key),
        }
        Ok(())
    }
}

/// Returns a value as a number, None when it is text or has several.
fn number_of(name: impl std::fmt::Display, value: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    if value.is_instance_of::<PyInt>() {
        let too_large = |_| {
            PyOverflowError::new_err(format!(
                "metric {name}: a whole number is too large for a float"
            ))
        };
        return value.extract().map(Some).map_err(too_large);
    }
    let plain = value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyTuple>()
        || value.is_instance_of::<PyDict>()
        || value.is_none();
    if plain {
        return Ok(None);
    }
    // An array of one number has a shape all the same.
    if let Ok(dimensions) = value.getattr("ndim")
        && dimensions.extract::<usize>().is_ok_and(|dimensions| dimensions > 0)
    {
        return Ok(None);
    }
    Ok(value.extract().ok())
}

/// Takes in a text, an array, or a dict of more.
fn gather_other(
    name: &str,
    value: &Bound<'_, PyAny>,
    others: &mut Vec<(String, Value)>,
) -> PyResult<()> {
    if let Ok(text) = value.cast::<PyString>() {
        others.push((name.to_owned(), Value::Text(text.to_cow()?.into_owned())));
        return Ok(());
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        for (key, value) in dict.iter() {
            let name = format!("{name}/{}", key.str()?.to_cow()?);
            match number_of(&name, &value)? {
                Some(number) => others.push((name, Value::Scalar(number))),
                None => gather_other(&name, &value, others)?,
            }
        }
        return Ok(());
    }
    // What has no form at all is told by name like what has another.
    let document = match from_py(value, 0) {
        Err(error) if !error.is_instance_of::<PyTypeError>(value.py()) => return Err(error),
        document => document.unwrap_or_default(),
    };
    if !document.is_array() {
        return Err(PyTypeError::new_err(format!(
            "metric {name}: a number, a str or an array of numbers is wanted, not {}",
            type_name(value)
        )));
    }
    others.push((name.to_owned(), Value::Vector(document)));
    Ok(())
}

impl Logger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> PyResult<Arc<Inner>> {
        let inner = self.state().inner.clone();
        inner.ok_or_else(closed).or_raise()
    }

    fn push(
        &self,
        py: Python<'_>,
        step: Option<i64>,
        clock: Option<&Bound<'_, PyDict>>,
        dicts: [Option<&Bound<'_, PyDict>>; 2],
    ) -> PyResult<()> {
        let mut all = Gathered::new();
        if let Some(clock) = clock {
            all.take(clock, true)?;
        }
        let clocks = all.len;
        for dict in dicts.into_iter().flatten() {
            all.take(dict, false)?;
        }
        if all.len == 0 && all.others.is_empty() && step.is_none() {
            return Ok(());
        }
        let others = std::mem::take(&mut all.others);
        let mut guard = self.state();
        let state = &mut *guard;
        for (at, (key, _)) in all.pairs().enumerate() {
            state.name(key, at)?;
        }
        // Making an exception runs Python, so not before the lock is given back.
        let Some(inner) = &state.inner else {
            drop(guard);
            return Err(closed()).or_raise();
        };
        let put = if self.sync && others.is_empty() {
            let inner = Arc::clone(inner);
            let named: Vec<(Box<str>, f64)> = all
                .pairs()
                .zip(&state.keys)
                .map(|(pair, key)| (key.name.clone(), pair.1))
                .collect();
            state.keys.truncate(KEYS_MAX);
            drop(guard);
            let put = py.detach(|| {
                let pairs: Vec<(&str, f64)> =
                    named.iter().map(|(name, number)| (&**name, *number)).collect();
                inner.put_now(step, &pairs[..clocks], &pairs[clocks..])
            });
            return put.or_raise();
        } else if state.crowded {
            let inner = Arc::clone(inner);
            let named: Vec<(Box<str>, f64)> = all
                .pairs()
                .zip(&state.keys)
                .map(|(pair, key)| (key.name.clone(), pair.1))
                .collect();
            drop(guard);
            let put = py.detach(|| {
                let pairs: Vec<(&str, f64)> =
                    named.iter().map(|(name, number)| (&**name, *number)).collect();
                inner.put(step, &pairs[..clocks], &pairs[clocks..], others)
            });
            guard = self.state();
            put
        } else if all.len <= FEW {
            let mut pairs = [("", 0.0); FEW];
            for ((to, pair), key) in pairs.iter_mut().zip(all.pairs()).zip(&state.keys) {
                *to = (&key.name, pair.1);
            }
            inner.put(step, &pairs[..clocks], &pairs[clocks..all.len], others)
        } else {
            let pairs: Vec<(&str, f64)> =
                all.pairs().zip(&state.keys).map(|(pair, key)| (&*key.name, pair.1)).collect();
            inner.put(step, &pairs[..clocks], &pairs[clocks..], others)
        };
        guard.crowded = put.as_ref().is_ok_and(|waiting| *waiting >= CROWDED);
        guard.keys.truncate(KEYS_MAX);
        drop(guard);
        put.or_raise()?;
        if self.sync { self.flush(py) } else { Ok(()) }
    }
}

#[pymethods]
impl Logger {
    #[new]
    #[pyo3(signature = (path, *, name="", purpose="", project="", tags=Vec::new(), objectives=Vec::new(),
        config=Object::default(), config_name="", seed=0, experiment=None, join=None, run=None, from_environment=true,
        keep_open=false, script=None, sync=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        name: &str,
        purpose: &str,
        project: &str,
        tags: Vec<String>,
        objectives: Vec<Aim>,
        config: Object,
        config_name: &str,
        seed: i64,
        experiment: Option<i64>,
        join: Option<String>,
        run: Option<i64>,
        from_environment: bool,
        keep_open: bool,
        script: Option<PathBuf>,
        sync: bool,
    ) -> PyResult<Logger> {
        let options = LoggerOptions {
            name: name.to_owned(),
            purpose: purpose.to_owned(),
            project: project.to_owned(),
            tags,
            objectives: objectives.iter().map(objective).collect::<Result<_>>().or_raise()?,
            config: config.0,
            config_name: config_name.to_owned(),
            seed,
            experiment: experiment.map(ExperimentId),
            join,
            run: run.map(RunId),
            from_environment,
            keep_open,
            script,
        };
        let inner = blocking(py, || Inner::open(path, options))?;
        Ok(Logger {
            run: inner.run(),
            attempt: inner.attempt(),
            path: inner.path().to_owned(),
            state: Mutex::new(State {
                inner: Some(Arc::new(inner)),
                keys: Vec::new(),
                crowded: false,
            }),
            sync,
            pid: std::process::id(),
        })
    }

    /// Logs one update: a dict of metrics, more of them as keywords, and its step.
    #[pyo3(signature = (values=None, step=None, **more))]
    fn log(
        &self,
        py: Python<'_>,
        values: Option<&Bound<'_, PyDict>>,
        step: Option<i64>,
        more: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        self.push(py, step, None, [values, more])
    }

    /// Logs one update: places on axes, the first of which is its step when whole, and what was measured there.
    #[pyo3(signature = (clock, stats=None, step=None))]
    fn update(
        &self,
        py: Python<'_>,
        clock: &Bound<'_, PyDict>,
        stats: Option<&Bound<'_, PyDict>>,
        step: Option<i64>,
    ) -> PyResult<()> {
        self.push(py, step, Some(clock), [stats, None])
    }

    /// Returns when everything logged before is in the file.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let inner = self.inner()?;
        py.detach(|| inner.flush()).or_raise()
    }

    /// Returns why values were left out since the last call.
    fn take_refused(&self) -> PyResult<Vec<String>> {
        self.inner()?.take_refused().or_raise()
    }

    /// Writes what waits and ends the run, when it was made by this logger; with an error it failed.
    #[pyo3(signature = (error=None))]
    fn end(&self, py: Python<'_>, error: Option<String>) -> PyResult<()> {
        let Some(mut inner) = self.state().inner.take() else { return Ok(()) };
        let in_child = std::process::id() != self.pid;
        if in_child {
            // What a thread of the parent held at the fork is never given back here.
            return py.detach(|| inner.flush()).or_raise();
        }
        blocking(py, || {
            let inner = loop {
                // Another thread may be in a flush.
                match Arc::try_unwrap(inner) {
                    Ok(inner) => break inner,
                    Err(shared) => inner = shared,
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            };
            match &error {
                None => inner.close(),
                Some(why) => inner.fail(why),
            }
        })
    }

    /// The id of its run.
    #[getter]
    fn run_id(&self) -> i64 {
        self.run.0
    }

    /// The number of the job's attempt it logs for, None outside of one.
    #[getter]
    fn attempt(&self) -> Option<i64> {
        self.attempt
    }

    /// The file.
    #[getter]
    fn path(&self) -> OsString {
        self.path.clone().into_os_string()
    }

    /// Whether each call returns once its update is in the file.
    #[getter]
    fn sync(&self) -> bool {
        self.sync
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.state().inner.is_none()
    }

    /// Whether this process opened it, rather than a parent that forked.
    #[getter]
    fn is_own(&self) -> bool {
        std::process::id() == self.pid
    }
}
