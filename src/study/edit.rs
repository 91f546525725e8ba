//! What people do to a study while it goes on. Each edit is a change that the next ask knows, and replay too.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::analysis::{Trial, ranking};
use crate::error::{Error, Result};
use crate::id::{ConfigId, StudyId, new_uid};
use crate::protocol::{self, Goal};
use crate::search::space::Space;
use crate::search::strategy::{self, strategy};
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

use super::ask::Told;
use super::log::numbers_text;
use super::read::{self, Setup};
use super::{Stand, TEXT, conflict, stand};

const BASE_OF_STUDY: &str = named(TEXT, "base_of_study");
const EDIT_STUDY: &str = named(TEXT, "edit_study");
const GIVE_TRIAL: &str = named(TEXT, "give_trial");
const NEXT_OF_STUDY: &str = named(TEXT, "next_of_study");
const COUNT_ASKED: &str = named(TEXT, "count_asked");
const SET_STATE: &str = named(TEXT, "set_study_state");
const REOPEN: &str = named(TEXT, "reopen_by_study");

/// A point that is known from elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its active parameters.
    pub params: Map<String, Value>,
    /// What came of it; nothing when it is to be tried.
    pub told: Option<Told>,
    /// The first objective after each epoch.
    pub curve: Vec<f64>,
    /// Where it is from.
    pub extra: Value,
    /// When it was begun and when it ended elsewhere [unix ms].
    pub times: Option<(i64, i64)>,
}

/// What came of adding points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Added {
    /// The numbers of the new trials.
    pub numbers: Vec<u64>,
    /// Points that were left out: which of those given, and why.
    pub left_out: Vec<(usize, String)>,
}

/// Replaces a study's space. Trials outside it stay in the file and are kept out of the model; returns how many are
/// inside and how many outside.
///
/// # Errors
/// [`Error::Invalid`] when the strategy cannot search it; [`Error::Sqlite`].
pub fn set_space(tx: &WriteTx<'_>, study: StudyId, space: &Space, who: &str) -> Result<(u64, u64)> {
    let mut setup = read::setup(tx, study)?;
    let lost = setup.space.params().iter().find(|param| space.param(&param.name).is_none());
    if let Some(param) = lost.filter(|_| !stand(tx, study).is_ok_and(|now| now.by_hand)) {
        let why = "is missing, and the study's jobs may need it";
        return Err(Error::invalid(format!("parameter {}", param.name), why)
            .with_hint("write a single value to search it no more"));
    }
    setup.space = space.clone();
    put_setup(tx, study, &setup, who)?;
    let trials = read::trials(tx, study)?;
    let is_inside = |trial: &&Trial| space.contains_completed(&trial.params);
    let inside = trials.iter().filter(is_inside).count() as u64;
    Ok((inside, trials.len() as u64 - inside))
}

fn put_setup(tx: &WriteTx<'_>, study: StudyId, setup: &Setup, who: &str) -> Result<()> {
    write(tx, study, setup)?;
    reopen(tx, study, setup, who)
}

/// Narrows a study's space to the box around its best `k` trials; returns it.
///
/// # Errors
/// [`Error::Conflict`] when fewer trials have a value; [`Error::Sqlite`].
pub fn refine(tx: &WriteTx<'_>, study: StudyId, k: usize, who: &str) -> Result<Space> {
    let trials = read::trials(tx, study)?;
    let goals = read::objectives(tx, stand(tx, study)?.experiment)?;
    let space = read::space(tx, study)?;
    let inside: Vec<&Trial> = trials.iter().filter(|trial| space.contains(&trial.params)).collect();
    let best = ranking(&inside, &goals);
    if best.len() < k {
        let why =
            format!("has {} trials with a value inside its space, fewer than {k}", best.len());
        return Err(conflict(study, why));
    }
    let points: Vec<&Map<String, Value>> = best[..k].iter().map(|trial| &trial.params).collect();
    // What cannot come up any more was in none of them: jobs do not need it.
    let narrow = space.narrowed(&points).without_unreachable()?;
    let setup = Setup { space: narrow.clone(), ..read::setup(tx, study)? };
    put_setup(tx, study, &setup, who)?;
    Ok(narrow)
}

/// Lets a study ask for `more` further trials; returns how many it may ask for in all.
///
/// # Errors
/// [`Error::Conflict`] when nothing bounds it; [`Error::Sqlite`].
pub fn extend(tx: &WriteTx<'_>, study: StudyId, more: u64, who: &str) -> Result<i64> {
    let mut setup = read::setup(tx, study)?;
    let Some(max) = setup.trial_max else {
        return Err(conflict(study, "has no bound on its trials"));
    };
    let max = max.saturating_add(i64::try_from(more).unwrap_or(i64::MAX));
    setup.trial_max = Some(max);
    put_setup(tx, study, &setup, who)?;
    Ok(max)
}

/// Lets a study ask for nothing; trials at work go on. Returns whether that changed anything.
///
/// # Errors
/// [`Error::Conflict`] when it asks for nothing anyway; [`Error::Sqlite`].
pub fn pause(tx: &WriteTx<'_>, study: StudyId, who: &str) -> Result<bool> {
    let now = stand(tx, study)?;
    match now.state.as_str() {
        "open" | "paused" => set_state(tx, study, "paused", who),
        other => Err(conflict(study, format!("is {other}"))),
    }
}

/// Lets a paused study ask again. Returns whether that changed anything.
///
/// # Errors
/// [`Error::Conflict`] when it is not paused and does not ask; [`Error::Sqlite`].
pub fn resume(tx: &WriteTx<'_>, study: StudyId, who: &str) -> Result<bool> {
    let now = stand(tx, study)?;
    match now.state.as_str() {
        "open" | "paused" => set_state(tx, study, "open", who),
        other if read::setup(tx, study)?.trial_max.is_none() => {
            Err(conflict(study, format!("is {other}: its strategy has nothing left to propose")))
        }
        other => Err(conflict(study, format!("is {other}: extend it to ask for more"))),
    }
}

/// Adds points as trials of their own; those without a value are what the next asks hand out. With `strict` one that does not fit refuses all;
/// one of another study that was added before is left out.
///
/// # Errors
/// [`Error::Invalid`] for a point that does not fit; [`Error::Sqlite`].
pub fn add(
    tx: &WriteTx<'_>,
    study: StudyId,
    points: &[Point],
    strict: bool,
    who: &str,
) -> Result<Added> {
    let space = read::space(tx, study)?;
    let now = stand(tx, study)?;
    let goals = read::objectives(tx, now.experiment)?;
    let mut added = Added::default();
    if !now.by_hand && points.iter().any(|point| point.told.is_none()) {
        // Whoever makes jobs of them looks at open studies alone.
        wake(tx, study, &now, who)?;
    }
    // A log of mle-hyperopt has no study: its evaluations are told apart by their numbers and parameters.
    let is_taken_over = |extra: &Value| !extra["number"].is_null() || !extra["eval_id"].is_null();
    let key_of = |extra: &Value| {
        format!("{} {} {} {}", extra["source"], extra["number"], extra["study"], extra["eval_id"])
    };
    let mut taken: HashMap<String, Vec<Map<String, Value>>> = HashMap::new();
    if points.iter().any(|point| is_taken_over(&point.extra)) {
        for trial in read::trials(tx, study)? {
            if is_taken_over(&trial.extra) {
                taken.entry(key_of(&trial.extra)).or_default().push(trial.params);
            }
        }
    }
    for (at, point) in points.iter().enumerate() {
        let whole = space.completed(&point.params);
        let params = in_order(&space, whole.as_ref().unwrap_or(&point.params));
        if taken.get(&key_of(&point.extra)).is_some_and(|known| known.contains(&params)) {
            added.left_out.push((at, "was taken over before".to_owned()));
            continue;
        }
        match space.check(&params).and_then(|()| check_values(point.told.as_ref(), goals.len())) {
            Ok(()) => {
                added.numbers.push(give(tx, study, &now, &Point { params, ..point.clone() }, who)?)
            }
            Err(Error::Invalid { what, why, hint }) if strict => {
                let what = if points.len() > 1 { format!("point {at}: {what}") } else { what };
                return Err(Error::Invalid { what, why, hint });
            }
            Err(error @ Error::Invalid { .. }) => added.left_out.push((at, error.to_string())),
            Err(error) => return Err(error),
        }
    }
    Ok(added)
}

/// Takes over the ended trials of another study of the file that fit; what was taken over before is not taken again.
///
/// # Errors
/// [`Error::Invalid`] when the studies' objectives differ in number or direction, or jobs would go on with trials whose
/// checkpoints they do not have; [`Error::Sqlite`].
pub fn warm_start(tx: &WriteTx<'_>, study: StudyId, from: StudyId, who: &str) -> Result<Added> {
    let goals = |study| -> Result<Vec<Goal>> {
        let all = read::objectives(tx, stand(tx, study)?.experiment)?;
        Ok(all.into_iter().map(|(_, goal)| goal).collect())
    };
    if study == from {
        return Err(Error::invalid("study", "cannot start from itself"));
    }
    let setup = read::setup(tx, study)?;
    if strategy::decides_epochs(&setup.strategy, setup.epoch_max.is_some())
        && !stand(tx, study)?.by_hand
    {
        let why = format!(
            "{} would train the trials of another study on, whose checkpoints its jobs do not get",
            setup.strategy
        );
        return Err(Error::invalid(format!("study {study}"), why)
            .with_hint("let it try the best ones: `mle study add`, without values"));
    }
    if goals(study)? != goals(from)? {
        let why = "its objectives differ in number or direction";
        return Err(Error::invalid(format!("study {from}"), why));
    }
    let (uid, ours) = (read::summary(tx, from)?.uid, read::summary(tx, study)?.uid);
    let points: Vec<Point> = read::trials(tx, from)?
        .into_iter()
        .filter_map(|trial| {
            let told = match trial.word.as_str() {
                "complete" => Told::Complete(trial.values()?.to_vec()),
                "failed" => Told::Failed,
                "pruned" => Told::Pruned,
                _ => return None,
            };
            // One that was taken over before is still that one.
            let extra = match (&trial.extra["study"], &trial.extra["number"]) {
                (Value::String(_), Value::Number(_)) => {
                    json!({"study": trial.extra["study"], "number": trial.extra["number"]})
                }
                _ => json!({"study": uid, "number": trial.number}),
            };
            // One that they have from us.
            if extra["study"] == ours.as_str() {
                return None;
            }
            Some(Point {
                params: trial.params,
                told: Some(told),
                curve: trial.curve,
                extra,
                times: None,
            })
        })
        .collect();
    add(tx, study, &points, false, who)
}

fn check_values(told: Option<&Told>, objectives: usize) -> Result<()> {
    match told {
        Some(Told::Complete(values)) if values.len() != objectives => {
            let why = format!("{} given, the study has {objectives} objectives", values.len());
            Err(Error::invalid("values", why))
        }
        _ => Ok(()),
    }
}

/// Returns a point as proposals are written, so that equal points look equal.
fn in_order(space: &Space, params: &Map<String, Value>) -> Map<String, Value> {
    let known = space.params().iter().filter_map(|param| {
        Some((param.name.clone(), param.domain.canonical(params.get(&param.name)?)))
    });
    let strangers = params.iter().filter(|(name, _)| space.param(name).is_none());
    known.chain(strangers.map(|(name, value)| (name.clone(), value.clone()))).collect()
}

fn give(tx: &WriteTx<'_>, study: StudyId, now: &Stand, point: &Point, who: &str) -> Result<u64> {
    let (number, seen): (i64, i64) = next(tx, study)?;
    let config = match now.by_hand {
        true => None,
        false => Some(config(tx, study, &point.params)?),
    };
    let (state, values) = match &point.told {
        None => ("waiting", None),
        Some(Told::Complete(values)) => ("complete", Some(numbers_text(values))),
        Some(Told::Failed) => ("failed", None),
        // What it was worth when it was stopped, where that is known.
        Some(Told::Pruned) => (
            "pruned",
            point.curve.iter().rfind(|value| !value.is_nan()).map(|value| numbers_text(&[*value])),
        ),
    };
    let (asked_at, ended_at) = point.times.unwrap_or((tx.now_ms, tx.now_ms));
    let curve = (!point.curve.is_empty()).then(|| numbers_text(&point.curve));
    let epochs = (!point.curve.is_empty()).then_some(point.curve.len() as i64);
    tx.run(
        GIVE_TRIAL,
        named_params! {
            ":uid": new_uid(), ":study": study, ":number": number, ":config": config,
            ":params": Value::Object(point.params.clone()).to_string(), ":state": state, ":vals": values,
            ":epochs": epochs, ":curve": curve, ":seen": seen, ":extra": point.extra.to_string(),
            ":asked_at_ms": asked_at, ":ended_at_ms": point.told.is_some().then_some(ended_at), ":now_ms": tx.now_ms, ":who": who,
        },
    )?;
    Ok(number.unsigned_abs())
}

/// The config of a trial that jobs will value: the study's base with the point on it.
fn config(tx: &WriteTx<'_>, study: StudyId, params: &Map<String, Value>) -> Result<ConfigId> {
    let bad = |error: serde_json::Error| Error::invalid("the study's base", error.to_string());
    let (base, targets): (String, String) =
        tx.one(BASE_OF_STUDY, named_params! { ":study": study }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let base = serde_json::from_str(&base).map_err(bad)?;
    let targets = serde_json::from_str(&targets).map_err(bad)?;
    protocol::add_config(tx, &crate::spec::place_proposal(&base, params, &targets))
}

fn next(tx: &ReadTx<'_>, study: StudyId) -> Result<(i64, i64)> {
    tx.one(NEXT_OF_STUDY, named_params! { ":study": study }, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Writes what a study is made of, when its strategy can work with it.
fn write(tx: &WriteTx<'_>, study: StudyId, setup: &Setup) -> Result<()> {
    let goals = read::objectives(tx, stand(tx, study)?.experiment)?;
    let whole = |n: Option<i64>| n.map(i64::unsigned_abs);
    strategy(
        &setup.strategy,
        &strategy::Setup {
            settings: setup.settings.clone(),
            trials: whole(setup.trial_max),
            objectives: goals.len(),
            workers: usize::try_from(setup.trial_ahead).unwrap_or(1),
            epochs: whole(setup.epoch_max),
            epoch_budget: whole(setup.epoch_budget),
            ..strategy::Setup::new(setup.space.clone(), setup.seed.cast_unsigned())
        },
    )?;
    tx.run(
        EDIT_STUDY,
        named_params! {
            ":study": study, ":strategy": setup.strategy,
            ":settings": Value::Object(setup.settings.clone()).to_string(),
            ":space": setup.space.to_json().to_string(),
            ":constraints": Value::from(setup.space.constraints()).to_string(), ":trial_max": setup.trial_max,
        },
    )?;
    Ok(())
}

/// A study that asked for all it could goes on when it can ask for more, and so does its experiment.
fn reopen(tx: &WriteTx<'_>, study: StudyId, setup: &Setup, who: &str) -> Result<()> {
    let now = stand(tx, study)?;
    let asked: i64 = tx.one(COUNT_ASKED, named_params! { ":study": study }, |row| row.get(0))?;
    match setup.trial_max.is_none_or(|max| asked < max) {
        true => wake(tx, study, &now, who),
        false => Ok(()),
    }
}

fn wake(tx: &WriteTx<'_>, study: StudyId, now: &Stand, who: &str) -> Result<()> {
    if matches!(now.state.as_str(), "exhausted" | "closed") {
        set_state(tx, study, "open", who)?;
        tx.run(
            REOPEN,
            named_params! { ":experiment": now.experiment, ":now_ms": tx.now_ms, ":who": who },
        )?;
    }
    Ok(())
}

fn set_state(tx: &WriteTx<'_>, study: StudyId, state: &str, who: &str) -> Result<bool> {
    let params =
        named_params! { ":study": study, ":state": state, ":now_ms": tx.now_ms, ":who": who };
    Ok(tx.run(SET_STATE, params)? > 0)
}
