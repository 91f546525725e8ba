//! What the file says of a study: its trials, and what its strategy was told in which order.

use serde_json::{Map, Value};

use crate::display::json_number;
use crate::error::{Error, Result};
use crate::id::StudyId;
use crate::search::history::{Past, PastState};
use crate::search::space::Space;
use crate::search::strategy::{Origin, Setup};
use crate::sql::named;
use crate::store::ReadTx;

use super::TEXT;

const TRIALS_SINCE: &str = named(TEXT, "trials_since");
const CHANGES_SINCE: &str = named(TEXT, "changes_since");

/// A trial as it was asked for or given.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Its number in the file.
    pub number: u64,
    /// Its active parameters.
    pub params: Map<String, Value>,
    /// Whether the strategy proposed it.
    pub asked: bool,
    /// The last change that was known then.
    pub seen: i64,
    /// The epochs to reach, at first.
    pub epochs: Option<u64>,
    /// The checkpoint of another trial that it starts from.
    pub from: Option<Origin>,
}

/// One thing that a strategy was told.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Its place in the order.
    pub seq: i64,
    /// What it was.
    pub what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// A trial ended, or goes on. Values and curve are as the file has them.
    Trial { number: u64, state: String, values: Vec<f64>, epochs: Option<u64>, curve: Vec<f64> },
    /// The study is made of this from now on.
    Setup(String),
}

/// Trials and changes of a study, each in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub rows: Vec<Row>,
    pub changes: Vec<Change>,
}

/// Reads the trials numbered `number` and above, and the changes after `seq`.
pub(super) fn read(tx: &ReadTx<'_>, study: StudyId, number: u64, seq: i64) -> Result<Log> {
    let mut log = Log::default();
    let from = i64::try_from(number).unwrap_or(i64::MAX);
    tx.each(TRIALS_SINCE, (study, from), |row| {
        log.rows.push(Row {
            number: row.get::<_, i64>(0)?.unsigned_abs(),
            params: serde_json::from_str(row.get_ref(1)?.as_str()?).unwrap_or_default(),
            asked: row.get_ref(2)?.as_str()? == "asked",
            seen: row.get(3)?,
            epochs: row.get::<_, Option<i64>>(4)?.map(i64::unsigned_abs),
            from: match (row.get::<_, Option<i64>>(5)?, row.get::<_, Option<i64>>(6)?) {
                (Some(number), Some(epochs)) => {
                    Some(Origin { number: number.unsigned_abs(), epochs: epochs.unsigned_abs() })
                }
                _ => None,
            },
        });
        Ok(())
    })?;
    log.changes = read_changes(tx, study, seq)?;
    log.first_epochs();
    Ok(log)
}

/// Reads the changes after `seq`.
pub(super) fn read_changes(tx: &ReadTx<'_>, study: StudyId, seq: i64) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    tx.each(CHANGES_SINCE, (study, seq), |row| {
        let what = match row.get::<_, Option<String>>(6)? {
            Some(setup) => What::Setup(setup),
            None => {
                let reached = row.get::<_, Option<i64>>(5)?.unwrap_or(0);
                let mut curve = numbers(row.get_ref(7)?.as_str_or_null()?.unwrap_or("[]"));
                curve.truncate(usize::try_from(reached).unwrap_or(0));
                What::Trial {
                    number: row.get::<_, i64>(1)?.unsigned_abs(),
                    state: row.get(2)?,
                    values: numbers(row.get_ref(3)?.as_str_or_null()?.unwrap_or("[]")),
                    epochs: row.get::<_, Option<i64>>(4)?.map(i64::unsigned_abs),
                    curve,
                }
            }
        };
        changes.push(Change { seq: row.get(0)?, what });
        Ok(())
    })?;
    Ok(changes)
}

impl Log {
    /// The row of a trial that went on says how far it is to go now; what it was asked for at first is in its first
    /// change.
    fn first_epochs(&mut self) {
        let mut known = std::collections::HashSet::new();
        for change in &self.changes {
            let What::Trial { number, epochs, .. } = &change.what else { continue };
            if known.insert(*number)
                && let Ok(at) = self.rows.binary_search_by_key(number, |row| row.number)
            {
                self.rows[at].epochs = *epochs;
            }
        }
    }
}

/// What a strategy is made of, as the file has it.
#[derive(Clone, Debug)]
pub struct Made {
    /// The strategy's name.
    pub strategy: String,
    /// What it is given; `trials` counts what is asked for, not what was added.
    pub setup: Setup,
    /// For each objective 1 to minimise, -1 to maximise.
    pub signs: Vec<f64>,
}

impl Made {
    /// Reads the JSON of a setup.
    pub(super) fn read(text: &str) -> Result<Made> {
        let bad = |why: &str| Error::invalid("study", format!("its setup cannot be read: {why}"));
        let value: Value = serde_json::from_str(text).map_err(|error| bad(&error.to_string()))?;
        let whole = |key: &str| value[key].as_u64();
        let texts = |key: &str| -> Vec<String> {
            let list = value[key].as_array().into_iter().flatten();
            list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let goals = value["goals"].as_array().ok_or_else(|| bad("no goals"))?;
        let mut signs: Vec<f64> =
            goals.iter().map(|goal| if goal == "max" { -1.0 } else { 1.0 }).collect();
        if signs.is_empty() {
            signs.push(1.0);
        }
        let space = Space::parse(&value["space"])?.with_constraints(texts("constraints"))?;
        let setup = Setup {
            settings: value["settings"].as_object().cloned().unwrap_or_default(),
            trials: whole("trials"),
            objectives: signs.len(),
            workers: whole("workers").map_or(1, |n| usize::try_from(n).unwrap_or(1)),
            epochs: whole("epochs"),
            epoch_budget: whole("epoch_budget"),
            ..Setup::new(space, value["seed"].as_i64().unwrap_or(0).cast_unsigned())
        };
        let strategy = value["strategy"].as_str().ok_or_else(|| bad("no strategy"))?.to_owned();
        Ok(Made { strategy, setup, signs })
    }

    /// Returns how a trial stands, to be minimised.
    pub(super) fn state(&self, state: &str, values: &[f64]) -> PastState {
        match state {
            "complete" => PastState::Complete {
                values: values
                    .iter()
                    .enumerate()
                    .map(|(i, value)| value * self.signs.get(i).copied().unwrap_or(1.0))
                    .collect(),
            },
            "failed" => PastState::Failed,
            "pruned" => PastState::Pruned,
            _ => PastState::Pending,
        }
    }

    /// Applies a change to a trial.
    pub(super) fn apply(&self, past: &mut Past, what: &What) {
        let What::Trial { state, values, epochs, curve, .. } = what else { return };
        past.state = self.state(state, values);
        past.epochs = *epochs;
        past.curve = curve.iter().map(|value| value * self.signs[0]).collect();
    }
}

/// Reads a list of numbers in which null is NaN and the infinities are texts.
pub(crate) fn numbers(text: &str) -> Vec<f64> {
    let values: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    values.iter().map(|value| number(value).unwrap_or(f64::NAN)).collect()
}

/// Reads a number as JSON has it, or as people write those that JSON has not.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Null => Some(f64::NAN),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::String(text) => match text.trim().trim_start_matches('+').to_lowercase().as_str() {
            "nan" | ".nan" => Some(f64::NAN),
            "inf" | ".inf" | "infinity" => Some(f64::INFINITY),
            "-inf" | "-.inf" | "-infinity" => Some(f64::NEG_INFINITY),
            number => number.parse().ok(),
        },
        _ => None,
    }
}

/// Writes numbers as [`numbers`] reads them.
pub(crate) fn numbers_text(values: &[f64]) -> String {
    Value::Array(values.iter().map(|value| json_number(*value)).collect()).to_string()
}
