//! Studies of a file that are asked and told.

use mle::analysis::{self, Trial};
use mle::error::Error;
use mle::id::StudyId;
use mle::process::Identity;
use mle::protocol::{self, Goal, Provenance};
use mle::search::history::PastState;
use mle::search::space::Space;
use mle::study::{self, Answer, NewStudy, Nothing, Point, Told};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::convert::{Document, Object, object_to_py, to_py};
use crate::db::Db;
use crate::errors::OrRaise;
use crate::fork::blocking;
use crate::protocol::word;
use crate::search::state;

impl Db {
    /// Asks for some of the trials in a transaction that holds others up for a moment only.
    fn ask_some(&self, study: StudyId, left: u64, hold: bool, who: &str) -> Result<Answer, Error> {
        let some = self.files.prepare_search(|tx, memory| study::prepare(tx, memory, study))?;
        let n = some.min(left);
        self.files.write_search(|tx, memory| {
            if !hold {
                return study::ask(tx, memory, study, n, who);
            }
            let me = Identity::own();
            let mut trials = study::take_over(tx, study, n, &me, who)?;
            let left = n - trials.len() as u64;
            if left == 0 {
                return Ok(Answer { trials, nothing: None });
            }
            let answer = study::ask(tx, memory, study, left, who)?;
            let numbers: Vec<u64> = answer.trials.iter().map(|it| it.number).collect();
            study::hold(tx, study, &numbers, &me)?;
            trials.extend(answer.trials);
            Ok(Answer { trials, nothing: answer.nothing })
        })
    }
}

#[pymethods]
impl Db {
    /// Adds a study that is asked and told by hand; returns the ids of study and experiment, and whether it is new.
    ///
    /// With `if_missing` a study of this name that is there already is the answer.
    #[pyo3(signature = (name, space, *, strategy="auto", settings=Object::default(),
        objectives=vec![("value".to_owned(), "min".to_owned())], constraints=Vec::new(), trials=None, workers=1, seed=0,
        epochs=None, epoch_budget=None, purpose="", if_missing=false, argv=Vec::new()))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn add_study(
        &self,
        py: Python<'_>,
        name: String,
        space: Document,
        strategy: &str,
        settings: Object,
        objectives: Vec<(String, String)>,
        constraints: Vec<String>,
        trials: Option<u64>,
        workers: u64,
        seed: u64,
        epochs: Option<u64>,
        epoch_budget: Option<u64>,
        purpose: &str,
        if_missing: bool,
        argv: Vec<String>,
    ) -> PyResult<(i64, i64, bool)> {
        let objectives =
            objectives.into_iter().map(|(metric, goal)| Ok((metric, word::<Goal>(&goal)?)));
        let new = NewStudy {
            name,
            purpose: purpose.to_owned(),
            space: Space::parse(&space.0)
                .and_then(|space| space.with_constraints(constraints))
                .or_raise()?,
            strategy: strategy.to_lowercase(),
            settings: settings.0,
            objectives: objectives.collect::<mle::Result<_>>().or_raise()?,
            trials,
            workers,
            seed,
            epochs,
            epoch_budget,
        };
        let provenance = py.detach(|| Provenance::capture(".".as_ref(), None, &argv));
        self.write(py, |tx| {
            // By its name alone: what `find` takes for an id or a uid may be the name of a study to come.
            let known = match if_missing {
                true => study::outside::there(tx, Some(&new.name))?.first().copied(),
                false => None,
            };
            let id = match known {
                Some(id) => id,
                None => study::new(tx, &new, &provenance, &protocol::user_name())?,
            };
            Ok((id.0, study::experiment(tx, id)?.0, known.is_none()))
        })
    }

    /// Returns the ids of a study and its experiment, found by that one's id, name or the beginning of its uid.
    fn find_study(&self, py: Python<'_>, word: &str) -> PyResult<(i64, i64)> {
        self.read(py, |tx| {
            let study = study::find(tx, word)?;
            Ok((study.0, study::experiment(tx, study)?.0))
        })
    }

    /// Returns up to `n` trials as dicts, and why there are fewer: "wait", "exhausted" or None. They are at work then.
    ///
    /// With `hold` they are tied to this process: those of one that is gone come first, and are handed out again.
    #[pyo3(signature = (study, n=1, hold=false, who="python"))]
    fn ask<'py>(
        &self,
        py: Python<'py>,
        study: i64,
        n: u64,
        hold: bool,
        who: &str,
    ) -> PyResult<(Bound<'py, PyList>, Option<&'static str>)> {
        let answer = blocking(py, || {
            study::asked_for(n)?;
            let mut answer = Answer { trials: Vec::new(), nothing: None };
            while answer.nothing.is_none() && (answer.trials.len() as u64) < n {
                match self.ask_some(StudyId(study), n - answer.trials.len() as u64, hold, who) {
                    Ok(more) => {
                        answer.trials.extend(more.trials);
                        answer.nothing = more.nothing;
                    }
                    Err(error) if answer.trials.is_empty() => return Err(error),
                    // Those that are at work by now must be heard of; the next ask says what is wrong.
                    Err(_) => break,
                }
            }
            Ok(answer)
        })?;
        let list = PyList::empty(py);
        for trial in &answer.trials {
            let dict = PyDict::new(py);
            dict.set_item("number", trial.number)?;
            dict.set_item("params", object_to_py(py, &trial.params)?)?;
            dict.set_item("epochs", trial.epochs)?;
            dict.set_item("resumed", trial.resumed)?;
            list.append(dict)?;
        }
        let why = answer.nothing.map(|nothing| match nothing {
            Nothing::Wait => "wait",
            Nothing::Exhausted => "exhausted",
        });
        Ok((list, why))
    }

    /// Says how a trial ended: "complete" with a value for each objective, "failed" or "pruned".
    /// `error` is kept with it, as why it failed.
    #[pyo3(signature = (study, number, values=None, status="complete", curve=Vec::new(), error=None, who="python"))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn tell(
        &self,
        py: Python<'_>,
        study: i64,
        number: u64,
        values: Option<Vec<f64>>,
        status: &str,
        curve: Vec<f64>,
        error: Option<&str>,
        who: &str,
    ) -> PyResult<()> {
        let told = match state(status, values).or_raise()? {
            PastState::Complete { values } => Told::Complete(values),
            PastState::Pruned => Told::Pruned,
            PastState::Failed | PastState::Pending => Told::Failed,
        };
        self.write(py, |tx| {
            study::tell(tx, StudyId(study), number, &told, &curve, who)?;
            match error {
                Some(error) => study::note_error(tx, StudyId(study), number, error),
                None => Ok(()),
            }
        })
    }

    /// Ties trials at work to this process.
    fn hold_trials(&self, py: Python<'_>, study: i64, numbers: Vec<u64>) -> PyResult<()> {
        self.write(py, |tx| study::hold(tx, StudyId(study), &numbers, &Identity::own()))
    }

    /// Says that this process tries no trial any more.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        self.write(py, |tx| study::leave(tx, &Identity::own()))
    }

    /// Says whether a space and constraints mean those a study has.
    fn same_space(
        &self,
        py: Python<'_>,
        study: i64,
        space: Document,
        constraints: Vec<String>,
    ) -> PyResult<bool> {
        let wanted = Space::parse(&space.0)
            .and_then(|space| space.with_constraints(constraints))
            .or_raise()?;
        let has = self.read(py, |tx| study::space(tx, StudyId(study)))?;
        Ok(has.to_json() == wanted.to_json() && has.constraints() == wanted.constraints())
    }

    /// Adds points with known values, or points to try; returns the numbers of the new trials, and which were left out
    /// and why.
    #[pyo3(signature = (study, points, strict=true, who="python"))]
    #[expect(clippy::type_complexity, reason = "two lists")]
    fn add_points(
        &self,
        py: Python<'_>,
        study: i64,
        points: Vec<(Object, Option<Vec<f64>>)>,
        strict: bool,
        who: &str,
    ) -> PyResult<(Vec<u64>, Vec<(usize, String)>)> {
        let points: Vec<Point> = points
            .into_iter()
            .map(|(params, values)| Point {
                params: params.0,
                told: values.map(Told::Complete),
                curve: Vec::new(),
                extra: serde_json::json!({}),
                times: None,
            })
            .collect();
        let added = self.write(py, |tx| study::add(tx, StudyId(study), &points, strict, who))?;
        Ok((added.numbers, added.left_out))
    }

    /// Pauses a study, lets it go on, or allows it more trials.
    #[pyo3(signature = (study, verb, trials=0, who="python"))]
    fn steer_study(
        &self,
        py: Python<'_>,
        study: i64,
        verb: &str,
        trials: u64,
        who: &str,
    ) -> PyResult<()> {
        let id = StudyId(study);
        self.write(py, |tx| match verb {
            "pause" => study::pause(tx, id, who).map(drop),
            "resume" => study::resume(tx, id, who).map(drop),
            "extend" => study::extend(tx, id, trials, who).map(drop),
            other => Err(Error::invalid("verb", format!("\"{other}\" is not known"))),
        })
    }

    /// Narrows a study's space to the box around its best `k` trials.
    #[pyo3(signature = (study, k, who="python"))]
    fn refine<'py>(
        &self,
        py: Python<'py>,
        study: i64,
        k: usize,
        who: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let space = self.write(py, |tx| study::refine(tx, StudyId(study), k, who))?;
        to_py(py, &space.to_json())
    }

    /// Replaces a study's space; returns how many trials are inside it and how many outside.
    #[pyo3(signature = (study, space, constraints=Vec::new(), who="python"))]
    fn set_space(
        &self,
        py: Python<'_>,
        study: i64,
        space: Document,
        constraints: Vec<String>,
        who: &str,
    ) -> PyResult<(u64, u64)> {
        let space = Space::parse(&space.0)
            .and_then(|space| space.with_constraints(constraints))
            .or_raise()?;
        self.write(py, |tx| study::set_space(tx, StudyId(study), &space, who))
    }

    /// Takes over the ended trials of another study that fit; returns the numbers of the new ones.
    #[pyo3(signature = (study, from_, who="python"))]
    fn warm_start(&self, py: Python<'_>, study: i64, from_: i64, who: &str) -> PyResult<Vec<u64>> {
        let added =
            self.write(py, |tx| study::warm_start(tx, StudyId(study), StudyId(from_), who))?;
        Ok(added.numbers)
    }

    /// Returns which parameters matter for an objective: `(name, alone, among the best)` of each, and `(name, name, share)`
    /// of pairs; None when too few trials have a value.
    #[expect(clippy::type_complexity, reason = "two lists")]
    #[pyo3(signature = (study, objective=0, top=0.1))]
    fn importance(
        &self,
        py: Python<'_>,
        study: i64,
        objective: usize,
        top: f64,
    ) -> PyResult<Option<(Vec<(String, f64, f64)>, Vec<(String, String, f64)>)>> {
        let found = blocking(py, || {
            let id = StudyId(study);
            let (summary, space, trials, goals) = self.files.read(|tx| {
                let summary = study::summary(tx, id)?;
                let goals = study::objectives(tx, summary.experiment)?;
                Ok((summary, study::space(tx, id)?, study::trials(tx, id)?, goals))
            })?;
            if objective >= goals.len() {
                return Err(Error::not_found("objective", objective));
            }
            let inside: Vec<&Trial> = trials
                .iter()
                .filter(|trial| study::is_inside(&summary.strategy, &space, &trial.params))
                .collect();
            Ok(analysis::importance(&space, &inside, &goals, objective, top))
        })?;
        Ok(found.map(|found| {
            let name = |at: usize| found.names[at].clone();
            let each =
                (0..found.names.len()).map(|at| (name(at), found.alone[at], found.among_best[at]));
            let pairs = found.together.iter().map(|(a, b, share)| (name(*a), name(*b), *share));
            (each.collect(), pairs.collect())
        }))
    }

    /// Derives each proposal again; returns how many were the same, how many trials nobody asked the strategy for, and the number of the first that was not.
    fn replay(&self, py: Python<'_>, study: i64) -> PyResult<(u64, u64, Option<u64>)> {
        let found = self.read(py, |tx| study::replay(tx, StudyId(study), false))?;
        Ok((found.identical, found.added, found.difference.map(|difference| difference.number)))
    }
}
