//! Asks and tells of studies without jobs, one transaction each.
//!
//! Their statements get their values in the order in which they name them: to look up each name costs a thirtieth of a pair.

use crate::error::{Error, Result};
use crate::id::{ConfigId, StudyId, TrialId, new_uid};
use crate::protocol::{self, State};
use crate::search::serve::asked_for;
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

use super::log::{numbers, numbers_text};
use super::memory::{Memory, Nothing, Wanted};
use super::{Stand, TEXT, conflict, stand};

const ADD_TRIAL: &str = named(TEXT, "add_trial");
const END_TRIAL: &str = named(TEXT, "end_trial");
const LET_TRIAL_GO: &str = named(TEXT, "let_trial_go");
const GO_ON: &str = named(TEXT, "go_on_with_trial");
const POINTS_TO_TRY: &str = named(TEXT, "points_to_try");
const HAND_OUT: &str = named(TEXT, "hand_out_trial");
const TRIAL_TO_TELL: &str = named(TEXT, "trial_to_tell");
const TRIAL_BY_NUMBER: &str = named(TEXT, "trial_by_number");
const CURVE_OF_TRIAL: &str = named(TEXT, "curve_of_trial");
const ASKED_EPOCHS: &str = named(TEXT, "asked_epochs");
const SET_STATE: &str = named(TEXT, "set_study_state");
const CLOSE_WHEN_DONE: &str = named(TEXT, "close_when_done");

/// What an ask brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What to do next; each is at work from now on.
    pub trials: Vec<Wanted>,
    /// Why there are fewer than were asked for.
    pub nothing: Option<Nothing>,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// With a value for each objective, as the user has them.
    Complete(Vec<f64>),
    /// Without.
    Failed,
    /// Stopped early.
    Pruned,
}

/// Works out what the next ask answers, where that takes long: before the file is locked for it.
///
/// # Errors
/// As of [`ask`].
pub fn prepare(tx: &ReadTx<'_>, memory: &mut Memory, study: StudyId) -> Result<()> {
    let now = stand(tx, study)?;
    if now.state == "open" && !now.has_points { memory.prepare(tx, study) } else { Ok(()) }
}

/// Asks a study for up to `n` trials and writes them down as at work; nobody else is told.
///
/// Several processes may ask at once: each trial is proposed once, knowing all before it.
///
/// # Errors
/// [`Error::Conflict`] when the study is paused; [`Error::Invalid`] when the strategy cannot propose; [`Error::Sqlite`].
pub fn ask(
    tx: &WriteTx<'_>,
    memory: &mut Memory,
    study: StudyId,
    n: u64,
    who: &str,
) -> Result<Answer> {
    asked_for(n)?;
    let mut answer = Answer { trials: Vec::new(), nothing: None };
    let now = stand(tx, study)?;
    if now.state == "paused" {
        return Err(conflict(study, "is paused: it asks for nothing"));
    }
    if now.has_points {
        for (trial, _, wanted) in points_to_try(tx, study, n)? {
            tx.run(HAND_OUT, named_params! { ":trial": trial, ":now_ms": tx.now_ms, ":who": who })?;
            answer.trials.push(wanted);
        }
    }
    if answer.trials.len() as u64 == n {
        return Ok(answer);
    }
    if now.state != "open" {
        return Ok(Answer { nothing: Some(Nothing::Exhausted), ..answer });
    }
    let search = memory.search_before(tx, study, now.next)?;
    for _ in answer.trials.len() as u64..n {
        if let Some(budget) = search.epoch_budget()
            && asked_epochs(tx, study)? >= budget
        {
            answer.nothing = Some(Nothing::Exhausted);
            break;
        }
        match search.ask()? {
            Ok(wanted) => {
                write_trial(tx, study, &wanted, None, search.seen(), "running", who)?;
                answer.trials.push(wanted);
            }
            Err(nothing) => {
                answer.nothing = Some(nothing);
                break;
            }
        }
    }
    if answer.nothing == Some(Nothing::Exhausted) || search.is_spent() {
        tx.run(
            SET_STATE,
            named_params! { ":study": study, ":state": "exhausted", ":now_ms": tx.now_ms, ":who": who },
        )?;
        close_when_done(tx, study, &now, who)?;
    }
    Ok(answer)
}

/// Returns how many epochs trials were asked to train, all together; those that start from another's checkpoint train the
/// rest alone.
fn asked_epochs(tx: &ReadTx<'_>, study: StudyId) -> Result<u64> {
    tx.one(ASKED_EPOCHS, [study], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))
}

/// Returns points that people want to be tried and nobody has taken yet, with the ids of trial and config.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn points_to_try(
    tx: &ReadTx<'_>,
    study: StudyId,
    n: u64,
) -> Result<Vec<(TrialId, Option<ConfigId>, Wanted)>> {
    let limit = i64::try_from(n).unwrap_or(i64::MAX);
    tx.all(POINTS_TO_TRY, named_params! { ":study": study, ":limit": limit }, |row| {
        let params = serde_json::from_str(row.get_ref(2)?.as_str()?).unwrap_or_default();
        let number = row.get::<_, i64>(1)?.unsigned_abs();
        let wanted = Wanted {
            number,
            params,
            epochs: None,
            resumed: false,
            from: None,
            notes: serde_json::Map::new(),
        };
        Ok((row.get(0)?, row.get(3)?, wanted))
    })
}

/// Writes down that a trial was asked for, or goes on: with `state` waiting for its jobs, or running.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn write_trial(
    tx: &WriteTx<'_>,
    study: StudyId,
    wanted: &Wanted,
    config: Option<ConfigId>,
    seen: i64,
    state: &str,
    who: &str,
) -> Result<TrialId> {
    let number = i64::try_from(wanted.number).unwrap_or(i64::MAX);
    let epochs = wanted.epochs.map(|epochs| i64::try_from(epochs).unwrap_or(i64::MAX));
    if wanted.resumed {
        tx.run(
            GO_ON,
            named_params! { ":study": study, ":number": number, ":state": state, ":config": config,
            ":epochs": epochs, ":now_ms": tx.now_ms, ":who": who },
        )?;
        let key = named_params! { ":study": study, ":number": number };
        return tx.one(TRIAL_BY_NUMBER, key, |row| row.get(0));
    }
    let (mut extra, mut curve) = (serde_json::json!({}), None);
    if let Some(from) = wanted.from {
        extra["from"] = serde_json::json!({"number": from.number, "epochs": from.epochs});
        // What came before is part of its curve.
        let parent = i64::try_from(from.number).unwrap_or(i64::MAX);
        let known: Option<String> = tx
            .maybe(CURVE_OF_TRIAL, named_params! { ":study": study, ":number": parent }, |row| {
                row.get(0)
            })?
            .flatten();
        let mut known = numbers(known.as_deref().unwrap_or("[]"));
        known.truncate(usize::try_from(from.epochs).unwrap_or(usize::MAX));
        curve = Some(numbers_text(&known));
    }
    let id = tx.insert(
        ADD_TRIAL,
        (
            new_uid(),
            study,
            number,
            config,
            serde_json::to_string(&wanted.params).unwrap_or_default(),
            state,
            epochs,
            curve,
            seen,
            extra.to_string(),
            tx.now_ms,
            who,
        ),
    )?;
    Ok(TrialId(id))
}

/// Says how a trial ended, with the first objective after each of its epochs so far.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it ended before, or its jobs value it; [`Error::Invalid`] when there is
/// not one value for each objective; [`Error::Sqlite`].
pub fn tell(
    tx: &WriteTx<'_>,
    study: StudyId,
    number: u64,
    told: &Told,
    curve: &[f64],
    who: &str,
) -> Result<()> {
    let key = i64::try_from(number).unwrap_or(i64::MAX);
    type Row = (TrialId, String, bool, String, i64, Option<String>, bool);
    let (trial, state, has_runs, of_study, wants, before, is_held): Row = tx
        .maybe(TRIAL_TO_TELL, (study, key), |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
            ))
        })?
        .ok_or_else(|| Error::not_found("trial", number))?;
    let refuse = |why: String| Err(Error::Conflict { what: "trial", id: number.to_string(), why });
    if has_runs {
        return refuse("is valued by its runs, which jobs do".into());
    }
    if !matches!(state.as_str(), "waiting" | "running") {
        return refuse(format!("was told already: it is {state}"));
    }
    if let Told::Complete(values) = told
        && let wants = usize::try_from(wants.max(1)).unwrap_or(1)
        && values.len() != wants
    {
        let why = format!("{} values, the study has {wants} objectives", values.len());
        return Err(Error::invalid(format!("trial {number}"), why));
    }
    let (state, values) = match told {
        Told::Complete(values) => ("complete", Some(numbers_text(values))),
        Told::Failed => ("failed", None),
        Told::Pruned => ("pruned", None),
    };
    // Proposals since then rest on the epochs that were told before: they stay.
    let mut whole = before.as_deref().map(numbers).unwrap_or_default();
    let known = whole.len();
    whole.extend(curve.iter().skip(known));
    let curve = (!whole.is_empty()).then(|| numbers_text(&whole));
    tx.run(END_TRIAL, (state, values, curve, tx.now_ms, who, trial))?;
    if is_held {
        tx.run(LET_TRIAL_GO, named_params! { ":trial": trial })?;
    }
    match of_study.as_str() {
        "exhausted" => close_when_done(tx, study, &stand(tx, study)?, who),
        _ => Ok(()),
    }
}

/// Closes a study that asks no more once nothing of it is at work; an experiment without jobs is complete then.
pub(super) fn close_when_done(
    tx: &WriteTx<'_>,
    study: StudyId,
    now: &Stand,
    who: &str,
) -> Result<()> {
    let params = named_params! { ":study": study, ":now_ms": tx.now_ms, ":who": who };
    if now.by_hand && tx.run(CLOSE_WHEN_DONE, params)? > 0 {
        protocol::set_state(tx, now.experiment, State::Complete, None, who)?;
    }
    Ok(())
}
