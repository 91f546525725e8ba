//! Strategies in memory, without a file.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mle::error::Error;
use mle::search::engine::{Engine, Told};
use mle::search::history::{History, Past, PastState};
use mle::search::space::Space;
use mle::search::stopper;
use mle::search::strategy::{KNOWN, Proposal, Setup};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::{Map, Value};

use crate::convert::{Document, Object, object_to_py, to_py};
use crate::errors::OrRaise;
use crate::fork::blocking;

/// A search in memory that is asked and told; no fork finds it in the middle of a thought. Objectives are those of the user: `signs` turns them.
#[pyclass(frozen, module = "mle._mle")]
pub struct Strategy {
    engine: Mutex<Engine>,
    name: String,
    /// For each objective 1 to minimise, -1 to maximise.
    signs: Vec<f64>,
}

/// Returns the names of the strategies.
#[pyfunction]
pub(crate) fn strategies() -> Vec<&'static str> {
    KNOWN.to_vec()
}

/// Returns a line for each parameter of a space: name, kind, range.
#[pyfunction]
#[pyo3(signature = (space, constraints=Vec::new()))]
pub(crate) fn describe_space(
    space: Document,
    constraints: Vec<String>,
) -> PyResult<Vec<(String, String, String)>> {
    let space =
        Space::parse(&space.0).and_then(|space| space.with_constraints(constraints)).or_raise()?;
    Ok(space
        .describe()
        .into_iter()
        .map(|row| (row.name, row.kind.to_string(), row.range))
        .collect())
}

/// A rule that ends trials at work whose curve holds no promise; losses are minimised.
#[pyclass(frozen, module = "mle._mle")]
pub struct Stopper {
    rule: Mutex<Box<dyn stopper::Stopper + Send>>,
}

#[pymethods]
impl Stopper {
    #[new]
    #[pyo3(signature = (name, settings=Object::default()))]
    fn new(name: &str, settings: Object) -> PyResult<Stopper> {
        Ok(Stopper { rule: Mutex::new(stopper::stopper(name, &settings.0).or_raise()?) })
    }

    /// Returns why a trial with this curve is to stop, given the others: `(status, value or None, curve)` each.
    fn stops(
        &self,
        py: Python<'_>,
        curve: Vec<f64>,
        others: Vec<(String, Option<f64>, Vec<f64>)>,
    ) -> PyResult<Option<String>> {
        blocking(py, || {
            let mut history = History::new();
            for (status, value, curve) in others {
                let state = match status.as_str() {
                    "running" => PastState::Pending,
                    status => state(status, value.map(|value| vec![value]))?,
                };
                let number = history.next_number();
                history.put(Past { curve, ..Past::new(number, Map::new(), state) });
            }
            let number = history.next_number();
            history.put(Past { curve, ..Past::new(number, Map::new(), PastState::Pending) });
            let rule = self.rule.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(rule.stops(&history, number))
        })
    }
}

/// Returns the names of the stoppers.
#[pyfunction]
pub(crate) fn stoppers() -> Vec<&'static str> {
    stopper::STOPPERS.to_vec()
}

/// Reads directions: "min"/"minimize" or "max"/"maximize" each.
pub(crate) fn signs(directions: &[String]) -> PyResult<Vec<f64>> {
    let one = |word: &String| match word.as_str() {
        "min" | "minimize" => Ok(1.0),
        "max" | "maximize" => Ok(-1.0),
        other => Err(Error::invalid("direction", format!("\"{other}\" is not known"))
            .with_hint("a direction is min or max")),
    };
    directions.iter().map(one).collect::<mle::Result<_>>().or_raise()
}

/// Reads how a trial ended.
pub(crate) fn state(status: &str, values: Option<Vec<f64>>) -> mle::Result<PastState> {
    match (status, values) {
        ("complete" | "ok", Some(values)) => Ok(PastState::Complete { values }),
        ("complete" | "ok", None) => {
            Err(Error::invalid("values", "are missing")
                .with_hint("tell a value, or status=\"failed\""))
        }
        ("failed", _) => Ok(PastState::Failed),
        ("pruned", _) => Ok(PastState::Pruned),
        (other, _) => Err(Error::invalid("status", format!("\"{other}\" is not known"))
            .with_hint("a status is complete, failed or pruned")),
    }
}

impl Strategy {
    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turned(&self, mut state: PastState) -> PastState {
        if let PastState::Complete { values } = &mut state {
            values.iter_mut().zip(&self.signs).for_each(|(value, sign)| *value *= sign);
        }
        state
    }
}

#[pymethods]
impl Strategy {
    #[new]
    #[pyo3(signature = (name, space, *, seed=0, settings=Object::default(), directions=vec!["min".to_owned()],
        constraints=Vec::new(), trials=None, workers=1, epochs=None, epoch_budget=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        name: String,
        space: Document,
        seed: u64,
        settings: Object,
        directions: Vec<String>,
        constraints: Vec<String>,
        trials: Option<u64>,
        workers: usize,
        epochs: Option<u64>,
        epoch_budget: Option<u64>,
    ) -> PyResult<Strategy> {
        let signs = signs(&directions)?;
        let engine = blocking(py, || {
            let space = Space::parse(&space.0)?.with_constraints(constraints)?;
            let setup = Setup {
                settings: settings.0,
                trials,
                objectives: signs.len().max(1),
                workers: workers.max(1),
                epochs,
                epoch_budget,
                ..Setup::new(space, seed)
            };
            Engine::new(&name, setup)
        })?;
        Ok(Strategy { engine: Mutex::new(engine), name, signs })
    }

    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Returns up to `n` trials as dicts, and why there are fewer: "wait", "exhausted" or None.
    #[pyo3(signature = (n=1))]
    fn ask<'py>(
        &self,
        py: Python<'py>,
        n: usize,
    ) -> PyResult<(Bound<'py, PyList>, Option<&'static str>)> {
        let (asked, why) = blocking(py, || {
            let mut engine = self.engine();
            let mut all = Vec::new();
            for _ in 0..n {
                match engine.ask()? {
                    Ok(asked) => all.push(asked),
                    Err(Proposal::Exhausted) => return Ok((all, Some("exhausted"))),
                    Err(_) => return Ok((all, Some("wait"))),
                }
            }
            Ok((all, None))
        })?;
        let list = PyList::empty(py);
        for trial in &asked {
            let dict = PyDict::new(py);
            dict.set_item("number", trial.number)?;
            dict.set_item("params", object_to_py(py, &trial.params)?)?;
            dict.set_item("epochs", trial.epochs)?;
            dict.set_item("resumed", trial.resumed)?;
            dict.set_item("origin", trial.from.map(|from| (from.number, from.epochs)))?;
            list.append(dict)?;
        }
        Ok((list, why))
    }

    /// Says how trial `number` ended.
    #[pyo3(signature = (number, values=None, status="complete", curve=Vec::new()))]
    fn tell(
        &self,
        py: Python<'_>,
        number: u64,
        values: Option<Vec<f64>>,
        status: &str,
        mut curve: Vec<f64>,
    ) -> PyResult<()> {
        let sign = self.signs.first().copied().unwrap_or(1.0);
        curve.iter_mut().for_each(|value| *value *= sign);
        blocking(py, || {
            let state = self.turned(state(status, values)?);
            self.engine().tell(number, Told { state, curve })
        })
    }

    /// Adds a trial that was not asked for here; returns its number.
    #[pyo3(signature = (params, values=None, status="complete", epochs=None, curve=Vec::new()))]
    fn put(
        &self,
        py: Python<'_>,
        params: Object,
        values: Option<Vec<f64>>,
        status: &str,
        epochs: Option<u64>,
        mut curve: Vec<f64>,
    ) -> PyResult<u64> {
        let sign = self.signs.first().copied().unwrap_or(1.0);
        curve.iter_mut().for_each(|value| *value *= sign);
        blocking(py, || {
            let state = self.turned(state(status, values)?);
            if let PastState::Complete { values } = &state
                && values.len() != self.signs.len()
            {
                let why =
                    format!("are {}, there are {} objectives", values.len(), self.signs.len());
                return Err(Error::invalid("values", why));
            }
            let mut engine = self.engine();
            engine.space().check(&params.0)?;
            let number = engine.history().next_number();
            engine.put(Past { epochs, curve, ..Past::new(number, params.0, state) });
            Ok(number)
        })
    }

    /// Goes on with another space or strategy, with the trials so far.
    #[pyo3(signature = (name, space, *, seed=0, settings=Object::default(), constraints=Vec::new(), trials=None,
        workers=1, epochs=None, epoch_budget=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn restart(
        &self,
        py: Python<'_>,
        name: &str,
        space: Document,
        seed: u64,
        settings: Object,
        constraints: Vec<String>,
        trials: Option<u64>,
        workers: usize,
        epochs: Option<u64>,
        epoch_budget: Option<u64>,
    ) -> PyResult<()> {
        blocking(py, || {
            let space = Space::parse(&space.0)?.with_constraints(constraints)?;
            let setup = Setup {
                settings: settings.0,
                trials,
                objectives: self.signs.len().max(1),
                workers: workers.max(1),
                epochs,
                epoch_budget,
                ..Setup::new(space, seed)
            };
            self.engine().restart(name, setup)
        })
    }

    /// Returns the trials so far as dicts: number, params, state, values, epochs, curve.
    fn trials<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let trials = blocking(py, || Ok(self.engine().history().trials().to_vec()))?;
        let sign = self.signs.first().copied().unwrap_or(1.0);
        let list = PyList::empty(py);
        for past in trials {
            let (word, values) = match past.state {
                PastState::Complete { values } => ("complete", Some(values)),
                PastState::Failed => ("failed", None),
                PastState::Pruned => ("pruned", None),
                PastState::Pending => ("running", None),
            };
            let values: Option<Vec<f64>> = values.map(|values| {
                values.iter().zip(&self.signs).map(|(value, sign)| value * sign).collect()
            });
            let dict = PyDict::new(py);
            dict.set_item("number", past.number)?;
            dict.set_item("params", object_to_py(py, &past.params)?)?;
            dict.set_item("state", word)?;
            dict.set_item("values", values)?;
            dict.set_item("epochs", past.epochs)?;
            dict.set_item(
                "curve",
                past.curve.iter().map(|value| value * sign).collect::<Vec<f64>>(),
            )?;
            list.append(dict)?;
        }
        Ok(list)
    }

    /// Returns the space in our own language.
    fn space<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let space: Value = blocking(py, || Ok(self.engine().space().to_json()))?;
        to_py(py, &space)
    }

    /// Says whether a point lies in the space and keeps its constraints.
    fn contains(&self, py: Python<'_>, params: Object) -> PyResult<bool> {
        blocking(py, || Ok(self.engine().space().contains(&params.0)))
    }

    /// Returns the point with the parameters that are active, nested where names have slashes.
    #[staticmethod]
    fn nest(py: Python<'_>, params: Object) -> PyResult<Bound<'_, PyDict>> {
        object_to_py(py, &mle::search::space::nest(&params.0))
    }
}
