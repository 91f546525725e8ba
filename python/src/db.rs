//! A file: connections that are opened when needed and kept, and what is asked of it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mle::aggregate;
use mle::error::{Error, Result};
use mle::id::RunId;
use mle::metric::{self, Series};
use mle::store::{Open, ReadTx, SqlValue, Store, ToSql, Watch, WriteTx};
use mle::study::Memory;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict, PyList, PyMapping, PyTuple};

use crate::convert::{Column, numbers, sql_value, to_py};
use crate::fork;

/// So many idle connections of a kind are kept.
const IDLE_MAX: usize = 4;
/// Threads that read or work out statistics side by side.
const THREADS: usize = 4;

/// The connections to one file. Each call takes one for itself, so threads do not wait for each other's reads.
pub(crate) struct Files {
    path: PathBuf,
    writable: bool,
    readers: Mutex<Vec<Store>>,
    writers: Mutex<Vec<Store>>,
    memory: Mutex<Memory>,
    closed: AtomicBool,
}

impl Files {
    /// Closes what no call uses.
    pub(crate) fn close_idle(&self) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take(idle: &Mutex<Vec<Store>>) -> Option<Store> {
        idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give(idle: &Mutex<Vec<Store>>, store: Store) {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(store);
        }
    }

    /// What was closed answers nothing more: whoever asks has lost track of it.
    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Relaxed) {
            let id = self.path.display().to_string();
            let why = "was closed; mle.open(path) opens it again".into();
            return Err(Error::Conflict { what: "file", id, why });
        }
        Ok(())
    }

    fn reader(&self) -> Result<Store> {
        self.check_open()?;
        let store = Self::take(&self.readers)
            .map_or_else(|| Store::open(&self.path, Open::ReadOnly), Ok)?;
        if self.writable {
            metric::settle_file(&store)?;
        }
        Ok(store)
    }

    pub(crate) fn read<T>(&self, body: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        let store = self.reader()?;
        let result = store.read(body);
        Self::give(&self.readers, store);
        result
    }

    fn with_writer<T>(&self, body: impl FnOnce(&mut Store) -> Result<T>) -> Result<T> {
        self.check_open()?;
        if !self.writable {
            return Err(Error::invalid(
                self.path.display().to_string(),
                "was opened to be read only",
            )
            .with_hint("mle.open(path) without read_only=True"));
        }
        let store = Self::take(&self.writers);
        let mut store = store.map_or_else(|| Store::open(&self.path, Open::Existing), Ok)?;
        let result = body(&mut store);
        Self::give(&self.writers, store);
        result
    }

    pub(crate) fn write<T>(&self, body: impl FnOnce(&WriteTx<'_>) -> Result<T>) -> Result<T> {
        self.with_writer(|store| store.write(body))
    }

    /// Works out what a search will be asked, without the write lock; nothing where asks have been quick. Returns how many
    /// trials to ask for in one transaction.
    pub(crate) fn prepare_search(
        &self,
        body: impl FnOnce(&ReadTx<'_>, &mut Memory) -> Result<()>,
    ) -> Result<u64> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.is_slow() {
            self.read(|tx| body(tx, &mut memory))?;
        }
        Ok(memory.at_once())
    }

    /// Writes what searches are asked and told.
    pub(crate) fn write_search<T>(
        &self,
        body: impl FnOnce(&WriteTx<'_>, &mut Memory) -> Result<T>,
    ) -> Result<T> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        self.with_writer(|store| memory.write(store, body))
    }
}

/// A file, opened. All methods may be called by several threads and after a fork.
#[pyclass(frozen, module = "mle._mle")]
pub struct Db {
    pub(crate) files: Arc<Files>,
}

impl Db {
    pub(crate) fn read<T: Send>(
        &self,
        py: Python<'_>,
        body: impl FnOnce(&ReadTx<'_>) -> Result<T> + Send,
    ) -> PyResult<T> {
        fork::blocking(py, || self.files.read(body))
    }

    pub(crate) fn write<T: Send>(
        &self,
        py: Python<'_>,
        body: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send,
    ) -> PyResult<T> {
        fork::blocking(py, || self.files.write(body))
    }
}

#[pymethods]
impl Db {
    /// Opens the file; `mode` is "create" (make it when it is not there), "existing" or "read".
    #[new]
    fn new(py: Python<'_>, path: PathBuf, mode: &str) -> PyResult<Db> {
        let how = match mode {
            "read" => Open::ReadOnly,
            "existing" => Open::Existing,
            _ => Open::Create,
        };
        let files = fork::blocking(py, || {
            let path = std::path::absolute(&path).map_err(|error| Error::io(&path, error))?;
            let store = Store::open(&path, how)?;
            let files = Files {
                path,
                writable: how != Open::ReadOnly,
                readers: Mutex::default(),
                writers: Mutex::default(),
                memory: Mutex::default(),
                closed: AtomicBool::new(false),
            };
            Files::give(if how == Open::ReadOnly { &files.readers } else { &files.writers }, store);
            Ok(Arc::new(files))
        })?;
        fork::register(&files);
        Ok(Db { files })
    }

    #[getter]
    fn path(&self) -> OsString {
        self.files.path.clone().into_os_string()
    }

    #[getter]
    fn read_only(&self) -> bool {
        !self.files.writable
    }

    /// Closes the connections; calls are errors from then on.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        fork::blocking(py, || {
            self.files.closed.store(true, Ordering::Relaxed);
            self.files.close_idle();
            Ok(())
        })
    }

    /// Returns the column names and the columns of a statement that only reads.
    #[pyo3(signature = (statement, params=None))]
    fn sql<'py>(
        &self,
        py: Python<'py>,
        statement: &str,
        params: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Vec<String>, Vec<Bound<'py, PyTuple>>)> {
        let params = Params::read(params.as_ref())?;
        let answer = self.read(py, |tx| {
            if !tx.is_read_only(statement)? || !mle::cli::sql::is_question(statement) {
                return Err(Error::invalid("SQL", "the statement would change the file")
                    .with_hint("only a SELECT can be asked"));
            }
            params.ask(tx, statement)
        });
        let (names, columns) = answer?;
        Ok((names, columns.into_iter().map(|column| column.into_py(py)).collect::<PyResult<_>>()?))
    }

    /// Returns steps (int64), values (float64) and with `timed` seconds (float64) of a series, or None.
    #[pyo3(signature = (run, metric, timed=false))]
    fn series<'py>(
        &self,
        py: Python<'py>,
        run: i64,
        metric: &str,
        timed: bool,
    ) -> PyResult<Option<Points<'py>>> {
        let found = match timed {
            true => self.read(py, |tx| metric::timed_series(tx, RunId(run), metric))?,
            false => fork::blocking(py, || long_series(&self.files, RunId(run), metric))?,
        };
        found.map(|series| points(py, &series)).transpose()
    }

    /// Copies the file as it is now to a new one.
    fn copy(&self, py: Python<'_>, target: PathBuf) -> PyResult<()> {
        fork::blocking(py, || {
            if target.exists() {
                return Err(Error::invalid(target.display().to_string(), "is there already")
                    .with_hint("name a new file"));
            }
            // SQLite counts this as writing, to the file itself as well.
            self.files.with_writer(|store| {
                metric::settle_file(store)?;
                store.copy_to(&target)
            })
        })
    }

    /// Returns the step and the mean of at most about `count` groups of consecutive points; none for what is no number.
    fn thin(
        &self,
        py: Python<'_>,
        run: i64,
        metric: &str,
        count: usize,
    ) -> PyResult<Vec<(i64, f64)>> {
        let found = self.read(py, |tx| metric::thin(tx, RunId(run), metric, count))?;
        Ok(found.unwrap_or_default().iter().map(|part| (part.step, part.mean)).collect())
    }

    /// Returns `(run, metric, steps, values, seconds)` of each series that is there.
    #[pyo3(signature = (runs, metrics, timed=false))]
    fn many_series<'py>(
        &self,
        py: Python<'py>,
        runs: Vec<i64>,
        metrics: Vec<String>,
        timed: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let found = fork::blocking(py, || read_side_by_side(&self.files, &runs, &metrics, timed))?;
        let list = PyList::empty(py);
        for (run, metric, series) in &found {
            let (steps, values, seconds) = points(py, series)?;
            list.append((run, &metrics[*metric], steps, values, seconds))?;
        }
        Ok(list)
    }

    /// Returns the steps and arrays of a metric of vectors, or None.
    fn vectors<'py>(
        &self,
        py: Python<'py>,
        run: i64,
        metric: &str,
    ) -> PyResult<Option<(Vec<i64>, Bound<'py, PyList>)>> {
        let Some(found) = self.read(py, |tx| metric::vectors(tx, RunId(run), metric))? else {
            return Ok(None);
        };
        let list = PyList::empty(py);
        let mut steps = Vec::with_capacity(found.len());
        for (step, vector) in &found {
            steps.push(*step);
            list.append(to_py(py, vector)?)?;
        }
        Ok(Some((steps, list)))
    }

    /// Returns the steps and texts of a metric of texts, or None.
    fn texts(
        &self,
        py: Python<'_>,
        run: i64,
        metric: &str,
    ) -> PyResult<Option<(Vec<i64>, Vec<String>)>> {
        Ok(self
            .read(py, |tx| metric::texts(tx, RunId(run), metric))?
            .map(|found| found.into_iter().unzip()))
    }

    /// Returns for each metric a dict of columns: steps (int64), n (uint32), and float64 statistics over the runs.
    fn over_seeds<'py>(
        &self,
        py: Python<'py>,
        runs: Vec<i64>,
        metrics: Vec<String>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let found = fork::blocking(py, || {
            let mut of_metrics: Vec<Vec<Series>> = vec![Vec::new(); metrics.len()];
            for (_, metric, series) in read_side_by_side(&self.files, &runs, &metrics, false)? {
                of_metrics[metric].push(series);
            }
            let work =
                |all: &[Vec<Series>]| all.iter().map(|of| aggregate::aggregate(of)).collect();
            side_by_side(&of_metrics, 1, |all| Ok(work(all)))
        })?;
        let dict = PyDict::new(py);
        for (metric, over) in metrics.iter().zip(&found) {
            let columns = PyDict::new(py);
            columns.set_item("step", numbers(py, &over.steps)?)?;
            columns.set_item("n", numbers(py, &over.n)?)?;
            for (name, values) in [
                ("mean", &over.mean),
                ("std", &over.std),
                ("min", &over.min),
                ("max", &over.max),
                ("iqm", &over.iqm),
                ("p10", &over.p10),
                ("p25", &over.p25),
                ("p50", &over.p50),
                ("p75", &over.p75),
                ("p90", &over.p90),
            ] {
                columns.set_item(name, numbers(py, values)?)?;
            }
            dict.set_item(metric, columns)?;
        }
        Ok(dict)
    }

    /// Sleeps until something is written to the file or the time [s] is over; returns whether it was.
    fn wait(&self, py: Python<'_>, seconds: f64) -> bool {
        let timeout = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
        py.detach(|| Watch::new(&self.files.path).wait(timeout))
    }
}

type Points<'py> =
    (Bound<'py, PyByteArray>, Bound<'py, PyByteArray>, Option<Bound<'py, PyByteArray>>);

fn points<'py>(py: Python<'py>, series: &Series) -> PyResult<Points<'py>> {
    let seconds = &series.elapsed_s;
    let seconds = if seconds.is_empty() { None } else { Some(numbers(py, seconds)?) };
    Ok((numbers(py, &series.steps)?, numbers(py, &series.values)?, seconds))
}

/// Reads a series, a long one by a few threads, each with a connection of its own.
fn long_series(files: &Files, run: RunId, metric: &str) -> Result<Option<Series>> {
    const LONG: i64 = 200_000;
    const PAGE: i64 = 1024;
    let threads = THREADS.min(std::thread::available_parallelism().map_or(1, usize::from)) as i64;
    let n = files.read(|tx| metric::summary_of_metric(tx, run, metric))?.map_or(0, |of| of.n);
    if n >= LONG && threads > 1 {
        let share = (n / PAGE / threads + 1) * PAGE;
        // The last part has what was logged meanwhile, too.
        let end = |part: i64| if part == threads - 1 { i64::MAX } else { (part + 1) * share };
        let ranges: Vec<_> = (0..threads).map(|part| part * share..end(part)).collect();
        let parts = side_by_side(&ranges, 1, |ranges| {
            let of = |range: &std::ops::Range<i64>| {
                files.read(|tx| metric::series_part(tx, run, metric, range.clone()))
            };
            ranges.iter().map(of).collect()
        })?;
        let joined =
            parts.into_iter().collect::<Option<Vec<_>>>().and_then(metric::SeriesPart::join);
        if let Some(series) = joined {
            return Ok(Some(series));
        }
    }
    files.read(|tx| metric::series(tx, run, metric))
}

/// Reads series by a few threads, each with a connection of its own: run, place of the metric, series, in the order asked
/// for.
fn read_side_by_side(
    files: &Files,
    runs: &[i64],
    metrics: &[String],
    timed: bool,
) -> Result<Vec<(i64, usize, Series)>> {
    let wanted: Vec<(i64, usize)> =
        runs.iter().flat_map(|run| (0..metrics.len()).map(move |metric| (*run, metric))).collect();
    side_by_side(&wanted, 8, |wanted| {
        files.read(|tx| {
            let mut found = Vec::new();
            for (run, metric) in wanted {
                let series = match timed {
                    true => metric::timed_series(tx, RunId(*run), &metrics[*metric])?,
                    false => metric::series(tx, RunId(*run), &metrics[*metric])?,
                };
                found.extend(series.map(|series| (*run, *metric, series)));
            }
            Ok(found)
        })
    })
}

/// Works on parts of at least so many by a few threads; returns the results in order.
fn side_by_side<T: Sync, R: Send>(
    all: &[T],
    least: usize,
    work: impl Fn(&[T]) -> Result<Vec<R>> + Sync,
) -> Result<Vec<R>> {
    let threads = THREADS.min(std::thread::available_parallelism().map_or(1, usize::from));
    let share = all.len().div_ceil(threads).max(least);
    if all.len() <= share {
        return work(all);
    }
    std::thread::scope(|scope| {
        let parts: Vec<_> = all.chunks(share).map(|part| scope.spawn(|| work(part))).collect();
        let mut results = Vec::with_capacity(all.len());
        for part in parts {
            let part =
                part.join().map_err(|_| Error::Failed("a thread that reads panicked".into()))?;
            results.extend(part?);
        }
        Ok(results)
    })
}

/// Parameters of a statement.
enum Params {
    ByPlace(Vec<SqlValue>),
    ByName(Vec<(String, SqlValue)>),
}

impl Params {
    fn read(given: Option<&Bound<'_, PyAny>>) -> PyResult<Params> {
        let Some(given) = given.filter(|given| !given.is_none()) else {
            return Ok(Params::ByPlace(Vec::new()));
        };
        if let Ok(mapping) = given.cast::<PyMapping>() {
            let pairs = mapping.items()?.iter().map(|pair| {
                let (name, value): (String, Bound<'_, PyAny>) = pair.extract()?;
                let name =
                    if name.starts_with([':', '@', '$']) { name } else { format!(":{name}") };
                Ok((name, sql_value(&value)?))
            });
            return pairs.collect::<PyResult<_>>().map(Params::ByName);
        }
        let values = given.try_iter()?.map(|value| sql_value(&value?));
        values.collect::<PyResult<_>>().map(Params::ByPlace)
    }

    fn ask(&self, tx: &ReadTx<'_>, statement: &str) -> Result<(Vec<String>, Vec<Column>)> {
        let names = std::cell::RefCell::new(Vec::new());
        let mut columns: Vec<Column> = Vec::new();
        let start = |found: &[String]| {
            names.replace(found.to_vec());
            Ok(())
        };
        let row = |row: &mle::store::Row<'_>| {
            columns.resize_with(names.borrow().len(), Column::default);
            for (at, column) in columns.iter_mut().enumerate() {
                column.push(row.get(at).map_err(|error| Error::sqlite(error, statement))?);
            }
            Ok(true)
        };
        match self {
            Params::ByPlace(values) => {
                let values: Vec<&dyn ToSql> =
                    values.iter().map(|value| value as &dyn ToSql).collect();
                tx.stream(statement, values.as_slice(), start, row)?;
            }
            Params::ByName(pairs) => {
                let pairs: Vec<(&str, &dyn ToSql)> = pairs
                    .iter()
                    .map(|(name, value)| (name.as_str(), value as &dyn ToSql))
                    .collect();
                tx.stream(statement, pairs.as_slice(), start, row)?;
            }
        }
        let names = names.into_inner();
        columns.resize_with(names.len(), Column::default);
        Ok((names, columns))
    }
}
