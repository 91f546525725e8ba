//! Studies and trials as people and analyses see them: objectives as the user has them, numbers as in the file.

use serde_json::{Map, Value};

use crate::analysis::Trial;
use crate::error::{Error, Result};
use crate::id::{ExperimentId, StudyId};
use crate::protocol::{self, Goal};
use crate::search::history::PastState;
use crate::search::space::Space;
use crate::search::strategy::{EXTERNAL, RACING};
use crate::sql::named;
use crate::store::{ReadTx, Row, named_params};

use super::TEXT;
use super::log::numbers;

const LIST_STUDIES: &str = named(TEXT, "list_studies");
const SUMMARY_OF_STUDY: &str = named(TEXT, "summary_of_study");
const ANY_AT_WORK: &str = named(TEXT, "any_at_work");
const COUNT_GIVEN: &str = named(TEXT, "count_given");
const SETUP_OF_STUDY: &str = named(TEXT, "setup_of_study");
const LEGS_OF_TRIAL: &str = named(TEXT, "legs_of_trial");
const TRIALS_OF_STUDY: &str = named(TEXT, "trials_of_study");

/// A study as lists show it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its id.
    pub id: StudyId,
    /// What it is called across files.
    pub uid: String,
    /// Whose search it is.
    pub experiment: ExperimentId,
    /// The experiment's name.
    pub name: String,
    /// open, paused, exhausted or closed.
    pub state: String,
    /// The strategy's name.
    pub strategy: String,
    /// How many trials are asked for, where that is bounded.
    pub trial_max: Option<i64>,
    /// The seed of the strategy.
    pub seed: i64,
    /// Its trials, the added ones too.
    pub trials: i64,
    /// Those that the strategy proposed.
    pub asked: i64,
    /// Those with values.
    pub complete: i64,
    /// Those waiting or running.
    pub pending: i64,
}

/// Returns the studies of a file, oldest first.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<Summary>> {
    tx.all(LIST_STUDIES, [], row_of)
}

/// Says whether a trial of a study has not ended, whoever does it.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn is_any_at_work(tx: &ReadTx<'_>, study: StudyId) -> Result<bool> {
    tx.one(ANY_AT_WORK, [study], |row| row.get(0))
}

/// Returns how many trials of a study came with their value, so that no run has it.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn count_given(tx: &ReadTx<'_>, study: StudyId) -> Result<u64> {
    tx.one(COUNT_GIVEN, [study], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))
}

/// Returns one study.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn summary(tx: &ReadTx<'_>, study: StudyId) -> Result<Summary> {
    tx.maybe(SUMMARY_OF_STUDY, named_params! { ":study": study }, row_of)?
        .ok_or_else(|| Error::not_found("study", study))
}

fn row_of(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: row.get(0)?,
        uid: row.get(1)?,
        experiment: row.get(2)?,
        name: row.get(3)?,
        state: row.get(4)?,
        strategy: row.get(5)?,
        trial_max: row.get(6)?,
        seed: row.get(7)?,
        trials: row.get(8)?,
        complete: row.get(9)?,
        pending: row.get(10)?,
        asked: row.get(11)?,
    })
}

/// Returns what a study's trials are valued by; one that is to be minimised stands in where none is named.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn objectives(tx: &ReadTx<'_>, experiment: ExperimentId) -> Result<Vec<(String, Goal)>> {
    let found = protocol::objectives(tx, experiment)?;
    let mut all: Vec<(String, Goal)> =
        found.into_iter().map(|objective| (objective.metric, objective.goal)).collect();
    if all.is_empty() {
        all.push(("value".into(), Goal::Min));
    }
    Ok(all)
}

/// What a study's row says it is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The strategy's name.
    pub strategy: String,
    /// What it is given.
    pub settings: Map<String, Value>,
    /// The space, with its constraints.
    pub space: Space,
    /// The seed of the strategy.
    pub seed: i64,
    /// How many trials are asked for, where that is bounded.
    pub trial_max: Option<i64>,
    /// Trials waiting or running at once.
    pub trial_ahead: i64,
    /// The most epochs of a trial, where trials have epochs.
    pub epoch_max: Option<i64>,
    /// The epochs of all trials together, where they are bounded.
    pub epoch_budget: Option<i64>,
    /// The rule that ends trials at work: its name and settings.
    pub stop: Option<Map<String, Value>>,
}

/// Returns what a study is made of now.
///
/// # Errors
/// [`Error::Invalid`] when it cannot be read; [`Error::Sqlite`].
pub fn setup(tx: &ReadTx<'_>, study: StudyId) -> Result<Setup> {
    let bad =
        |error: serde_json::Error| Error::invalid(format!("study {study}"), error.to_string());
    let ((texts, stop), mut setup) =
        tx.one(SETUP_OF_STUDY, named_params! { ":study": study }, |row| {
            let texts: [String; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
            let setup = Setup {
                strategy: row.get(0)?,
                settings: Map::new(),
                space: Space::new(Vec::new()).expect("nothing clashes in an empty space"),
                seed: row.get(4)?,
                trial_max: row.get(5)?,
                trial_ahead: row.get(6)?,
                epoch_max: row.get(7)?,
                epoch_budget: row.get(8)?,
                stop: None,
            };
            Ok(((texts, row.get::<_, Option<String>>(9)?), setup))
        })?;
    setup.settings = serde_json::from_str(&texts[0]).map_err(bad)?;
    setup.stop = stop.map(|text| serde_json::from_str(&text)).transpose().map_err(bad)?;
    let space: Value = serde_json::from_str(&texts[1]).map_err(bad)?;
    let constraints: Vec<String> = serde_json::from_str(&texts[2]).map_err(bad)?;
    setup.space = Space::parse(&space)?.with_constraints(constraints)?;
    Ok(setup)
}

/// Returns the space of a study as it is now.
///
/// # Errors
/// [`Error::Invalid`] when it cannot be read; [`Error::Sqlite`].
pub fn space(tx: &ReadTx<'_>, study: StudyId) -> Result<Space> {
    Ok(setup(tx, study)?.space)
}

/// Says whether a trial has a place in the space of a study with this strategy. Where another program proposes, its trials
/// have what it chose to ask for, under conditions that the space does not know: each parameter counts by itself.
pub fn is_inside(strategy: &str, space: &Space, params: &Map<String, Value>) -> bool {
    if strategy == EXTERNAL { space.holds(params) } else { space.contains(params) }
}

/// How far a trial was asked to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legs {
    /// The epochs to reach, where the study has epochs.
    pub epochs: Option<u64>,
    /// Whether those are seeds.
    pub are_seeds: bool,
    /// So much of its curve is known.
    pub known: usize,
}

/// Returns how far a trial was asked to go.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn legs(tx: &ReadTx<'_>, study: StudyId, number: u64) -> Result<Legs> {
    let key = i64::try_from(number).unwrap_or(i64::MAX);
    tx.maybe(LEGS_OF_TRIAL, named_params! { ":study": study, ":number": key }, |row| {
        Ok(Legs {
            epochs: row.get::<_, Option<i64>>(0)?.map(i64::unsigned_abs),
            are_seeds: row.get_ref(1)?.as_str()? == RACING,
            known: usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
        })
    })?
    .ok_or_else(|| Error::not_found("trial", number))
}

/// Returns a study's trials in order of their numbers, with what they count as having of parameters that came later.
///
/// # Errors
/// [`Error::Invalid`] when its space cannot be read; [`Error::Sqlite`].
pub fn trials(tx: &ReadTx<'_>, study: StudyId) -> Result<Vec<Trial>> {
    let space = space(tx, study)?;
    let mut trials = tx.all(TRIALS_OF_STUDY, named_params! { ":study": study }, |row| {
        let word: String = row.get(3)?;
        let values: Option<String> = row.get(4)?;
        let curve = row.get_ref(6)?.as_str_or_null()?.map(numbers).unwrap_or_default();
        let extra: String = row.get(9)?;
        let params: Map<String, Value> =
            serde_json::from_str(row.get_ref(1)?.as_str()?).unwrap_or_default();
        let state = match word.as_str() {
            "complete" => {
                PastState::Complete { values: numbers(values.as_deref().unwrap_or("[]")) }
            }
            "failed" => PastState::Failed,
            "pruned" => PastState::Pruned,
            _ => PastState::Pending,
        };
        Ok(Trial {
            number: row.get::<_, i64>(0)?.unsigned_abs(),
            params: space.completed(&params).unwrap_or(params),
            asked: row.get_ref(2)?.as_str()? == "asked",
            state,
            word,
            epochs: row.get::<_, Option<i64>>(5)?.map(i64::unsigned_abs),
            values_known: values.as_deref().map(numbers),
            before: row.get_ref(11)?.as_str_or_null()?.map(numbers),
            seeds: (row.get_ref(10)?.as_str()? == RACING).then_some(curve.len()),
            curve,
            asked_at_ms: row.get(7)?,
            ended_at_ms: row.get(8)?,
            extra: serde_json::from_str(&extra).unwrap_or_default(),
        })
    })?;
    trials.sort_by_key(|trial| trial.number);
    Ok(trials)
}
