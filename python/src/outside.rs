//! Trials that a program of Python's own proposes and tells.

use mle::id::{StudyId, TrialId};
use mle::study::outside::{self, Edit, Edited, Kept, Proposed};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::convert::{Document, Object, object_to_py, to_py};
use crate::db::Db;

#[pymethods]
impl Db {
    /// Adds a trial that another program proposes; returns its id and number, or None when the study may have no more.
    #[pyo3(signature = (study, params, *, state="waiting", values=None, curve=Vec::new(), extra=Object::default(),
        asked_at_ms=None, ended_at_ms=None, checked=true, who="python"))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn propose(
        &self,
        py: Python<'_>,
        study: i64,
        params: Object,
        state: &str,
        values: Option<Vec<f64>>,
        curve: Vec<f64>,
        extra: Object,
        asked_at_ms: Option<i64>,
        ended_at_ms: Option<i64>,
        checked: bool,
        who: &str,
    ) -> PyResult<Option<(i64, u64)>> {
        let proposed = Proposed {
            params: params.0,
            state: state.to_owned(),
            values,
            curve,
            extra: extra.0.into(),
            asked_at_ms,
            ended_at_ms,
            checked,
        };
        let given = self.write(py, |tx| outside::propose(tx, StudyId(study), &proposed, who))?;
        Ok(given.map(|(trial, number)| (trial.0, number)))
    }

    /// Says that no more trials will be proposed to a study.
    #[pyo3(signature = (study, who="python"))]
    fn exhaust(&self, py: Python<'_>, study: i64, who: &str) -> PyResult<()> {
        self.write(py, |tx| outside::exhaust(tx, StudyId(study), who))
    }

    /// Changes a trial that has not ended; returns "done", "ended" or, with `from_` a state it is not in, "other".
    #[pyo3(signature = (trial, *, params=Object::default(), domains=Object::default(), extra=Vec::new(), from_=None,
        state=None, values=None, curve=Vec::new(), who="python"))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn edit_trial(
        &self,
        py: Python<'_>,
        trial: i64,
        params: Object,
        domains: Object,
        extra: Vec<(Vec<String>, Document)>,
        from_: Option<String>,
        state: Option<String>,
        values: Option<Vec<f64>>,
        curve: Vec<f64>,
        who: &str,
    ) -> PyResult<&'static str> {
        let edit = Edit {
            params: params.0,
            domains: domains.0,
            extra: extra.into_iter().map(|(path, value)| (path, value.0)).collect(),
            from: from_,
            state,
            values,
            curve,
        };
        let edited = self.write(py, |tx| outside::edit(tx, TrialId(trial), &edit, who))?;
        Ok(match edited {
            Edited::Done => "done",
            Edited::Ended => "ended",
            Edited::Other => "other",
        })
    }

    /// Says that a trial is still at work.
    fn touch_trial(&self, py: Python<'_>, trial: i64) -> PyResult<()> {
        self.write(py, |tx| outside::touch(tx, TrialId(trial)))
    }

    /// Returns the ids of the trials at work by hand that were not heard of for so long.
    fn quiet_trials(&self, py: Python<'_>, study: i64, ms: i64) -> PyResult<Vec<i64>> {
        let since = mle::clock::now_ms() - ms;
        let quiet = self.read(py, |tx| outside::quiet(tx, StudyId(study), since))?;
        Ok(quiet.into_iter().map(|trial| trial.0).collect())
    }

    /// Returns what another program must know of a study.
    fn outline<'py>(&self, py: Python<'py>, study: i64) -> PyResult<Bound<'py, PyDict>> {
        let found = self.read(py, |tx| outside::outline(tx, StudyId(study)))?;
        let dict = PyDict::new(py);
        dict.set_item("experiment", found.experiment)?;
        dict.set_item("name", found.name)?;
        dict.set_item("by_hand", found.by_hand)?;
        dict.set_item("extra", to_py(py, &found.extra)?)?;
        dict.set_item("state", found.state)?;
        dict.set_item("experiment_state", found.experiment_state)?;
        dict.set_item("strategy", found.strategy)?;
        for (key, text) in [
            ("settings", found.settings),
            ("space", found.space),
            ("constraints", found.constraints),
        ] {
            let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            dict.set_item(key, to_py(py, &value)?)?;
        }
        dict.set_item("seed", found.seed)?;
        dict.set_item("trial_max", found.trial_max)?;
        dict.set_item("trial_ahead", found.trial_ahead)?;
        dict.set_item("objectives", found.objectives)?;
        Ok(dict)
    }

    /// Returns how many trials of a study were proposed, wait or are at work, and wait for someone to take them.
    fn demand(&self, py: Python<'_>, study: i64) -> PyResult<(i64, i64, i64)> {
        let found = self.read(py, |tx| outside::demand(tx, StudyId(study)))?;
        Ok((found.asked, found.pending, found.free))
    }

    /// Notes something about a study, at a path in what its experiment notes.
    #[pyo3(signature = (study, path, value, who="python"))]
    fn note_study(
        &self,
        py: Python<'_>,
        study: i64,
        path: Vec<String>,
        value: Document,
        who: &str,
    ) -> PyResult<()> {
        self.write(py, |tx| outside::note(tx, StudyId(study), &path, &value.0, who))
    }

    /// Returns the ids of the studies that were not deleted, or of those of one name, the newest first.
    #[pyo3(signature = (name=None))]
    fn studies_there(&self, py: Python<'_>, name: Option<&str>) -> PyResult<Vec<i64>> {
        let found = self.read(py, |tx| outside::there(tx, name))?;
        Ok(found.into_iter().map(|study| study.0).collect())
    }

    /// Returns the study of a trial, and the trial's number there.
    fn study_of_trial(&self, py: Python<'_>, trial: i64) -> PyResult<(i64, u64)> {
        let (study, number) = self.read(py, |tx| outside::of_trial(tx, TrialId(trial)))?;
        Ok((study.0, number))
    }

    /// Returns the trials numbered `from_` and above and those of `numbers`, in order.
    #[pyo3(signature = (study, from_=0, numbers=Vec::new()))]
    fn trials_after<'py>(
        &self,
        py: Python<'py>,
        study: i64,
        from_: u64,
        numbers: Vec<u64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let found = self.read(py, |tx| outside::after(tx, StudyId(study), from_, &numbers))?;
        let list = PyList::empty(py);
        for trial in &found {
            list.append(kept(py, trial)?)?;
        }
        Ok(list)
    }
}

fn kept<'py>(py: Python<'py>, trial: &Kept) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("id", trial.id)?;
    dict.set_item("number", trial.number)?;
    dict.set_item("state", &trial.state)?;
    dict.set_item("params", object_to_py(py, &trial.params)?)?;
    dict.set_item("values", trial.values.as_deref())?;
    dict.set_item("curve", trial.curve.as_slice())?;
    dict.set_item("extra", to_py(py, &trial.extra)?)?;
    dict.set_item("asked_at_ms", trial.asked_at_ms)?;
    dict.set_item("ended_at_ms", trial.ended_at_ms)?;
    dict.set_item("has_epochs", trial.has_epochs)?;
    dict.set_item("has_runs", trial.has_runs)?;
    Ok(dict)
}
