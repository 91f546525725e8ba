//! Trials that another program proposes: one that has a strategy of its own, such as Optuna's samplers.
//!
//! A study of the strategy [`EXTERNAL`] proposes nothing itself. The other program writes its points down as trials that
//! wait; whoever asks the study, by hand or as the searcher of `mle run`, takes them. A program that also tells keeps what it
//! needs to know of a trial in the trial's `extra`.
//!
//! [`EXTERNAL`]: crate::search::strategy::EXTERNAL

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::id::{ConfigId, ExperimentId, StudyId, TrialId, new_uid};
use crate::protocol;
use crate::search::space::Space;
use crate::search::strategy::EXTERNAL;
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

use super::ask::close_when_done;
use super::log::{numbers, numbers_text};
use super::{conflict, read, stand};

const TEXT: &str = include_str!("../../sql/outside.sql");
const PROPOSE_TRIAL: &str = named(TEXT, "propose_trial");
const SET_CONFIG: &str = named(TEXT, "set_config_of_trial");
const TRIAL_TO_EDIT: &str = named(TEXT, "trial_to_edit");
const EDIT_TRIAL: &str = named(TEXT, "edit_trial");
const MOVE_TRIAL: &str = named(TEXT, "move_trial");
const GROW_SPACE: &str = named(TEXT, "grow_space");
const TOUCH_TRIAL: &str = named(TEXT, "touch_trial");
const QUIET_TRIALS: &str = named(TEXT, "quiet_trials");
const OUTLINE_OF_STUDY: &str = named(TEXT, "outline_of_study");
const DEMAND_OF_STUDY: &str = named(TEXT, "demand_of_study");
const STUDY_IS_THERE: &str = named(TEXT, "study_is_there");
const STUDIES_BY_NAME: &str = named(TEXT, "studies_by_name");
const STUDIES_THERE: &str = named(TEXT, "studies_there");
const STUDY_OF_TRIAL: &str = named(TEXT, "study_of_trial");
const TRIALS_AFTER: &str = named(TEXT, "trials_after");
const NEXT_OF_STUDY: &str = named(super::TEXT, "next_of_study");
const COUNT_ASKED: &str = named(super::TEXT, "count_asked");
const SET_STATE: &str = named(super::TEXT, "set_study_state");

/// A trial that is new to the file.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// Its parameters.
    pub params: Map<String, Value>,
    /// waiting: to be taken by whoever asks; running: taken; or how it ended.
    pub state: String,
    /// The objectives of a complete one.
    pub values: Option<Vec<f64>>,
    /// The first objective after each epoch.
    pub curve: Vec<f64>,
    /// What the other program must know of it.
    pub extra: Value,
    /// When it was proposed; unset: now.
    pub asked_at_ms: Option<i64>,
    /// When it ended; unset: now.
    pub ended_at_ms: Option<i64>,
    /// Whether a point outside the space is refused.
    pub checked: bool,
}

/// What is changed of a trial.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// Parameters that get a value.
    pub params: Map<String, Value>,
    /// What these parameters can be, as entries of a space; the space of an external study grows to hold them.
    pub domains: Map<String, Value>,
    /// Values by their path in `extra`.
    pub extra: Vec<(Vec<String>, Value)>,
    /// Only when it is in this state.
    pub from: Option<String>,
    /// The state it comes to.
    pub state: Option<String>,
    /// The objectives of a complete one.
    pub values: Option<Vec<f64>>,
    /// The first objective after each epoch.
    pub curve: Vec<f64>,
}

/// What came of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It is written.
    Done,
    /// The trial had ended: nothing is changed.
    Ended,
    /// It is not in the state it was to be in: nothing is changed.
    Other,
}

/// Adds a trial; `None` when the study may have no more.
///
/// # Errors
/// [`Error::Conflict`] when the study is paused; [`Error::Invalid`] for a point outside the space, where that is checked;
/// [`Error::Sqlite`].
pub fn propose(
    tx: &WriteTx<'_>,
    study: StudyId,
    proposed: &Proposed,
    who: &str,
) -> Result<Option<(TrialId, u64)>> {
    let now = stand(tx, study)?;
    let setup = read::setup(tx, study)?;
    let asked: i64 = tx.one(COUNT_ASKED, named_params! { ":study": study }, |row| row.get(0))?;
    if setup.trial_max.is_some_and(|max| asked >= max)
        || matches!(now.state.as_str(), "exhausted" | "closed")
    {
        return Ok(None);
    }
    if now.state == "paused" {
        return Err(conflict(study, "is paused: it asks for nothing"));
    }
    if proposed.checked {
        setup.space.check(&proposed.params)?;
    }
    let (number, seen): (i64, i64) =
        tx.one(NEXT_OF_STUDY, named_params! { ":study": study }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let ended = is_end(&proposed.state);
    let id = tx.insert(
        PROPOSE_TRIAL,
        named_params! {
            ":uid": new_uid(), ":study": study, ":number": number, ":state": proposed.state, ":seen": seen,
            ":params": Value::Object(proposed.params.clone()).to_string(),
            ":vals": proposed.values.as_deref().map(numbers_text), ":curve": curve_text(&proposed.curve),
            ":extra": proposed.extra.to_string(), ":asked_at_ms": proposed.asked_at_ms.unwrap_or(tx.now_ms),
            ":ended_at_ms": ended.then(|| proposed.ended_at_ms.unwrap_or(tx.now_ms)), ":now_ms": tx.now_ms, ":who": who,
        },
    )?;
    if now.by_hand && setup.trial_max.is_some_and(|max| asked + 1 >= max) {
        exhaust(tx, study, who)?;
    }
    Ok(Some((TrialId(id), number.unsigned_abs())))
}

/// Says that the other program will propose no more.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn exhaust(tx: &WriteTx<'_>, study: StudyId, who: &str) -> Result<()> {
    let now = stand(tx, study)?;
    if matches!(now.state.as_str(), "open" | "paused") {
        tx.run(
            SET_STATE,
            named_params! { ":study": study, ":state": "exhausted", ":now_ms": tx.now_ms, ":who": who },
        )?;
        close_when_done(tx, study, &now, who)?;
    }
    Ok(())
}

/// Changes a trial that has not ended.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when its runs say what its state is; [`Error::Sqlite`].
pub fn edit(tx: &WriteTx<'_>, trial: TrialId, edit: &Edit, who: &str) -> Result<Edited> {
    let (found, texts) = tx
        .maybe(TRIAL_TO_EDIT, named_params! { ":trial": trial }, |row| {
            let found: (StudyId, String, bool, String, String) =
                (row.get(0)?, row.get(1)?, row.get(4)?, row.get(5)?, row.get(7)?);
            let texts: [String; 3] = [row.get(2)?, row.get(3)?, row.get(6)?];
            Ok((found, texts))
        })?
        .ok_or_else(|| Error::not_found("trial", trial))?;
    let (study, state, has_runs, strategy, of_study) = found;
    if is_end(&state) {
        return Ok(Edited::Ended);
    }
    if edit.from.as_ref().is_some_and(|from| *from != state) {
        return Ok(Edited::Other);
    }
    if has_runs && edit.state.is_some() {
        let (what, id) = ("trial", trial.to_string());
        return Err(Error::Conflict {
            what,
            id,
            why: "is valued by its runs, which jobs do".into(),
        });
    }
    let mut params: Map<String, Value> = serde_json::from_str(&texts[0]).unwrap_or_default();
    params.extend(edit.params.clone());
    let mut extra: Value = serde_json::from_str(&texts[1]).unwrap_or_default();
    for (path, value) in &edit.extra {
        put(&mut extra, path, value);
    }
    let (params, extra) = (Value::Object(params).to_string(), extra.to_string());
    match &edit.state {
        None => tx.run(
            EDIT_TRIAL,
            named_params! { ":trial": trial, ":params": params, ":extra": extra, ":now_ms": tx.now_ms, ":who": who },
        )?,
        Some(state) => tx.run(
            MOVE_TRIAL,
            named_params! {
                ":trial": trial, ":params": params, ":extra": extra, ":state": state,
                ":vals": edit.values.as_deref().map(numbers_text), ":curve": curve_text(&edit.curve),
                ":ended_at_ms": is_end(state).then_some(tx.now_ms), ":now_ms": tx.now_ms, ":who": who,
            },
        )?,
    };
    if strategy == EXTERNAL {
        grow(tx, study, &texts[2], &edit.domains, who)?;
    }
    if of_study == "exhausted" && edit.state.as_deref().is_some_and(is_end) {
        close_when_done(tx, study, &stand(tx, study)?, who)?;
    }
    Ok(Edited::Done)
}

/// Notes the config that a trial's runs have.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn set_config(tx: &WriteTx<'_>, trial: TrialId, config: ConfigId) -> Result<()> {
    tx.run(SET_CONFIG, named_params! { ":trial": trial, ":config": config }).map(drop)
}

/// Says that a trial is still at work.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn touch(tx: &WriteTx<'_>, trial: TrialId) -> Result<()> {
    tx.run(TOUCH_TRIAL, named_params! { ":trial": trial, ":now_ms": tx.now_ms }).map(drop)
}

/// Returns the trials at work by hand that were not heard of since then.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn quiet(tx: &ReadTx<'_>, study: StudyId, since_ms: i64) -> Result<Vec<TrialId>> {
    tx.all(QUIET_TRIALS, named_params! { ":study": study, ":since_ms": since_ms }, |row| row.get(0))
}

/// What another program must know of a study.
#[derive(Clone, Debug)]
pub struct Outline {
    /// The experiment's id.
    pub experiment: i64,
    /// The experiment's name.
    pub name: String,
    /// Nobody but its users asks and tells: no job does.
    pub by_hand: bool,
    /// What the experiment notes.
    pub extra: Value,
    /// open, paused, exhausted or closed.
    pub state: String,
    /// The state of the experiment.
    pub experiment_state: String,
    /// The strategy's name.
    pub strategy: String,
    /// Its settings, as JSON.
    pub settings: String,
    /// The space, as JSON.
    pub space: String,
    /// The constraints, as JSON.
    pub constraints: String,
    /// The seed of the strategy.
    pub seed: i64,
    /// How many trials there may be.
    pub trial_max: Option<i64>,
    /// How many are to be waiting or at work.
    pub trial_ahead: i64,
    /// The metrics of the objectives, with "min" or "max".
    pub objectives: Vec<(String, &'static str)>,
}

/// Returns what another program must know of a study that was not deleted.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn outline(tx: &ReadTx<'_>, study: StudyId) -> Result<Outline> {
    let mut outline = tx
        .maybe(OUTLINE_OF_STUDY, named_params! { ":study": study }, |row| {
            let extra: String = row.get(3)?;
            Ok(Outline {
                experiment: row.get(0)?,
                name: row.get(1)?,
                by_hand: row.get_ref(2)?.as_str()? == "log",
                extra: serde_json::from_str(&extra).unwrap_or_default(),
                state: row.get(4)?,
                strategy: row.get(5)?,
                settings: row.get(6)?,
                space: row.get(7)?,
                constraints: row.get(8)?,
                seed: row.get(9)?,
                trial_max: row.get(10)?,
                trial_ahead: row.get(11)?,
                experiment_state: row.get(12)?,
                objectives: Vec::new(),
            })
        })?
        .ok_or_else(|| Error::not_found("study", study))?;
    let goals = read::objectives(tx, ExperimentId(outline.experiment))?;
    outline.objectives = goals.into_iter().map(|(name, goal)| (name, goal.as_str())).collect();
    Ok(outline)
}

/// How far a study's trials are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// How many were proposed.
    pub asked: i64,
    /// How many are waiting or at work.
    pub pending: i64,
    /// How many among those nobody has taken.
    pub free: i64,
}

/// Returns how far a study's trials are.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn demand(tx: &ReadTx<'_>, study: StudyId) -> Result<Demand> {
    tx.one(DEMAND_OF_STUDY, named_params! { ":study": study }, |row| {
        Ok(Demand { asked: row.get(0)?, pending: row.get(1)?, free: row.get(2)? })
    })
}

/// Notes something about a study, at a path in what its experiment notes.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn note(
    tx: &WriteTx<'_>,
    study: StudyId,
    path: &[String],
    value: &Value,
    who: &str,
) -> Result<()> {
    let outline = outline(tx, study)?;
    let mut extra = outline.extra;
    put(&mut extra, path, value);
    protocol::set_extra(tx, ExperimentId(outline.experiment), &extra, who)
}

/// Returns the studies that were not deleted, or those of one name, the newest of these first.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn there(tx: &ReadTx<'_>, name: Option<&str>) -> Result<Vec<StudyId>> {
    match name {
        Some(name) => tx.all(STUDIES_BY_NAME, named_params! { ":name": name }, |row| row.get(0)),
        None => tx.all(STUDIES_THERE, [], |row| row.get(0)),
    }
}

/// Returns the study of a trial, and the trial's number there.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn of_trial(tx: &ReadTx<'_>, trial: TrialId) -> Result<(StudyId, u64)> {
    tx.maybe(STUDY_OF_TRIAL, named_params! { ":trial": trial }, |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
    })?
    .ok_or_else(|| Error::not_found("trial", trial))
}

/// A trial as the file has it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its id.
    pub id: i64,
    /// Its number in the study.
    pub number: u64,
    /// waiting, running, complete, pruned or failed.
    pub state: String,
    /// Its parameters.
    pub params: Map<String, Value>,
    /// Its objectives, as the user has them.
    pub values: Option<Vec<f64>>,
    /// The first objective after each epoch.
    pub curve: Vec<f64>,
    /// What the program that proposed it must know.
    pub extra: Value,
    /// When it was proposed.
    pub asked_at_ms: i64,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
    /// Whether it has epochs, and so may go on after its end.
    pub has_epochs: bool,
    /// Whether jobs value it.
    pub has_runs: bool,
}

/// Returns the trials numbered `from` and above, and those of `numbers`, in order.
///
/// # Errors
/// [`Error::NotFound`] for a study that is not there; [`Error::Sqlite`].
pub fn after(tx: &ReadTx<'_>, study: StudyId, from: u64, listed: &[u64]) -> Result<Vec<Kept>> {
    tx.maybe(STUDY_IS_THERE, named_params! { ":study": study }, |_| Ok(()))?
        .ok_or_else(|| Error::not_found("study", study))?;
    let params = named_params! {
        ":study": study, ":number": i64::try_from(from).unwrap_or(i64::MAX),
        ":numbers": Value::from(listed.to_vec()).to_string(),
    };
    tx.all(TRIALS_AFTER, params, |row| {
        let values: Option<String> = row.get(4)?;
        let curve: Option<String> = row.get(5)?;
        Ok(Kept {
            id: row.get(0)?,
            number: row.get::<_, i64>(1)?.unsigned_abs(),
            state: row.get(2)?,
            params: serde_json::from_str(row.get_ref(3)?.as_str()?).unwrap_or_default(),
            values: values.as_deref().map(numbers),
            curve: numbers(curve.as_deref().unwrap_or("[]")),
            extra: serde_json::from_str(row.get_ref(6)?.as_str()?).unwrap_or_default(),
            asked_at_ms: row.get(7)?,
            ended_at_ms: row.get(8)?,
            has_epochs: row.get::<_, Option<i64>>(9)?.is_some(),
            has_runs: row.get(10)?,
        })
    })
}

fn is_end(state: &str) -> bool {
    matches!(state, "complete" | "pruned" | "failed")
}

fn curve_text(curve: &[f64]) -> Option<String> {
    (!curve.is_empty()).then(|| numbers_text(curve))
}

/// Puts a value at a path, making objects on the way.
fn put(into: &mut Value, path: &[String], value: &Value) {
    let Some((key, rest)) = path.split_first() else {
        *into = value.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    if let Some(map) = into.as_object_mut() {
        put(map.entry(key.clone()).or_insert(Value::Null), rest, value);
    }
}

/// Makes the space hold what parameters can be; what no space can say is left out of it.
fn grow(
    tx: &WriteTx<'_>,
    study: StudyId,
    text: &str,
    domains: &Map<String, Value>,
    who: &str,
) -> Result<()> {
    let Ok(Value::Object(known)) = serde_json::from_str(text) else { return Ok(()) };
    let mut space = known.clone();
    for (name, domain) in domains {
        let mut larger = space.clone();
        match larger.get_mut(name) {
            None => drop(larger.insert(name.clone(), domain.clone())),
            Some(entry) => widen(entry, domain),
        }
        if larger != space && Space::parse(&Value::Object(larger.clone())).is_ok() {
            space = larger;
        }
    }
    if space != known {
        // As the file writes spaces, so that the next look finds nothing new.
        let space = Space::parse(&Value::Object(space))?.to_json().to_string();
        tx.run(
            GROW_SPACE,
            named_params! { ":study": study, ":space": space, ":now_ms": tx.now_ms, ":who": who },
        )?;
    }
    Ok(())
}

fn widen(entry: &mut Value, domain: &Value) {
    for (key, is_wider) in [("low", f64::lt as fn(&f64, &f64) -> bool), ("high", f64::gt)] {
        if let (Some(new), Some(old)) = (domain[key].as_f64(), entry[key].as_f64())
            && is_wider(&new, &old)
        {
            entry[key] = domain[key].clone();
        }
    }
    // Not by its index, which would make the key where there is none.
    let old = entry.get_mut("choices").and_then(Value::as_array_mut);
    if let (Some(new), Some(old)) = (domain["choices"].as_array(), old) {
        let strangers: Vec<Value> = new.iter().filter(|one| !old.contains(one)).cloned().collect();
        old.extend(strangers);
    }
}
